//! A request for an interface of the gate's own, on another listener than those of the policy: read, authenticated and
//! recorded as any other. What it asks for is that interface's business.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts as RequestHead;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Gate;
use super::body::{self, Answer, BodyFault, read_capped};
use super::entrance::rejection;
use super::head::Head;
use super::query;
use super::rejection::Rejection;
use super::respond::{self, Form};
use super::sent::Sent;
use super::trail::Trail;
use crate::audit::{Effect, Entry, Event};
use crate::command::Kind;
use crate::identity::{Caller, counted_as};
use crate::limits::Standing;
use crate::listen::Facts;

/// A caller who is known, with what they ask for.
pub struct Visit {
    parts: RequestHead,
    body: Sent,
    facts: Facts,
    form: Form,
    head: Head,
    caller: Arc<Caller>,
    person: Option<Arc<str>>,
    trail: Trail,
    /// Whether it stands in the log that it was let in.
    is_recorded: bool,
}

/// Why an interface of the gate's own does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is nothing of that name, or the method means nothing for it.
    NotFound,
    /// None of the caller's roles has that right.
    Forbidden,
    /// The caller must show a factor of this level.
    Weak(u8),
    /// The caller must show a factor of this level anew.
    Factor {
        /// The level.
        assurance: u8,
        /// How old it may be, in seconds.
        fresh_s: u32,
    },
    /// The body is not JSON.
    Type,
    /// The body could not be read.
    Read(BodyFault),
    /// The body asks for nothing that could be done.
    Body(String),
    /// It cannot be done as things are.
    Conflict(String),
    /// The caller asks too often.
    TooMany {
        /// Seconds until it may ask again.
        wait_s: u64,
    },
    /// It cannot be read or recorded at the moment. What was commanded holds as soon as it can.
    NotYet,
}

impl Gate {
    /// Reads the head of a request and finds out who asks.
    ///
    /// # Errors
    /// The answer, which is recorded.
    pub async fn visit(
        &self,
        request: Request<Incoming>,
        facts: Facts,
    ) -> Result<Visit, Box<Response<Answer>>> {
        let Ok(stamp) = self.log.stamp() else {
            self.telemetry.unrecorded();
            return Err(Box::new(respond::without_record(&facts)));
        };
        let mut trail = Trail::begin(stamp, &facts, request.headers());
        trail.visits();
        let form = Form::of(&request);
        let (parts, body) = request.into_parts();
        let mut body = Sent::Live(body);
        match self.let_in(&parts, &mut body, &facts, &mut trail).await {
            Ok((head, caller)) => {
                let person = self.identity.person(&caller.account);
                let is_recorded = false;
                Ok(Visit { parts, body, facts, form, head, caller, person, trail, is_recorded })
            }
            Err(rejection) => {
                body::take_leave(&parts, &mut body).await;
                let response = self.reject(rejection, None, &facts, &mut trail).await;
                Err(Box::new(respond::finish(response, &form, trail.id)))
            }
        }
    }

    async fn let_in(
        &self,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<(Head, Arc<Caller>), Rejection> {
        let mut head = self.read_head(parts, body, facts, trail).await?;
        // Nobody is sent to pages that this listener does not have.
        head.wants_page = false;
        if head.query.is_some() {
            return Err(Rejection::NotFound);
        }
        let caller = self.authenticate(&head, parts, facts, trail).await?;
        self.refuse_switched_holder(&caller, facts, trail).await?;
        self.refuse_apart(&caller, facts, trail)?;
        self.check_curbs(&caller, trail.time_unix_s())?;
        Ok((head, caller))
    }

    /// Refuses whoever holds roles that the policy keeps apart: nobody operates and reviews.
    pub(super) fn refuse_apart(
        &self,
        caller: &Caller,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        let elsewhere = self.identity.roles_elsewhere(&caller.account);
        let principal = query::principal(caller, elsewhere, facts.peer.ip());
        let program = self.policies.live();
        program.check_apart(&principal).map_err(|denial| {
            trail.denied(&denial, program.version());
            rejection(denial)
        })
    }

    /// Brings what was commanded into the log and into force; `false` if it could not be read or recorded.
    pub async fn take_effect(&self) -> bool {
        self.record_acts().await.is_ok()
            && self.look_for_commands().await.is_ok()
            && self.look_for_grants().await.is_ok()
    }

    /// How budgets stand: of a person by name or account, of what several share, or of everybody.
    #[must_use]
    pub fn standings(&self, holder: Option<&str>) -> Vec<Standing> {
        let Some(holder) = holder else { return self.limits.standings(None) };
        let of_account = self.limits.standings(Some(&self.identity.counted_as(holder)));
        match of_account.is_empty() {
            true => self.limits.standings(Some(&counted_as(holder))),
            false => of_account,
        }
    }

    /// Whether the policy in force defines what is named; of people, tenants and partners it knows none.
    #[must_use]
    pub fn knows(&self, kind: Kind, name: &str) -> bool {
        let program = self.policies.live();
        match kind {
            Kind::Role => program.roles().any(|(role, ..)| role == name),
            Kind::Route => program.routes().iter().any(|route| route.name() == name),
            Kind::Right => name
                .split_once('@')
                .is_some_and(|(right, _)| program.roles().any(|(role, ..)| role == right)),
            Kind::Person | Kind::Tenant | Kind::Partner | Kind::Exports => true,
        }
    }
}

impl Visit {
    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.method.as_str()
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.path.as_str()
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The person whose account it is, where that was said.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        self.person.as_deref()
    }

    /// The body, which must be a JSON object.
    ///
    /// # Errors
    /// [`Refused::Type`], [`Refused::Read`] or [`Refused::Body`].
    pub async fn json(&mut self, limit_bytes: usize) -> Result<serde_json::Value, Refused> {
        const TIME: std::time::Duration = std::time::Duration::from_secs(10);
        let types: Vec<_> = self.parts.headers.get_all(CONTENT_TYPE).iter().collect();
        let is_json = |value: &HeaderValue| {
            let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("application/json")
        };
        if !matches!(types[..], [one] if is_json(one)) {
            return Err(Refused::Type);
        }
        let body = read_capped(&mut self.body, limit_bytes, TIME).await.map_err(Refused::Read)?;
        let read = serde_json::from_slice(&body).ok().filter(serde_json::Value::is_object);
        read.ok_or_else(|| Refused::Body("the body must be one JSON object".to_owned()))
    }

    /// Says what is asked for, in the interface's words.
    pub fn named(&mut self, path: &str, name: &str, object: &str, reason: &str) {
        self.trail.visited([path, name, object, reason]);
    }

    /// Records durably that it is let in, and how it is answered where that is known.
    ///
    /// # Errors
    /// [`Refused::NotYet`]: nothing may be done or told.
    pub async fn record(&mut self, gate: &Gate, status: Option<u16>) -> Result<(), Refused> {
        let entry = self.trail.visit_entry(Effect::Allow, status, "");
        let recorded = gate.log.append(entry).await;
        recorded.map_err(|error| {
            tracing::error!(%error, "a request of the security team could not be recorded");
            Refused::NotYet
        })?;
        self.is_recorded = true;
        Ok(())
    }

    /// The answer to what was recorded before.
    #[must_use]
    pub fn answered(
        self,
        status: u16,
        content_type: &'static str,
        content: Bytes,
    ) -> Response<Answer> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let response = respond::plain(status, content_type, content, &self.facts);
        respond::finish(response, &self.form, self.trail.id)
    }

    /// Records and tells a refusal.
    pub async fn refused(mut self, gate: &Gate, refused: Refused) -> Response<Answer> {
        body::take_leave(&self.parts, &mut self.body).await;
        let rejection = Rejection::Visit(refused);
        if self.is_recorded {
            // It was let in: this is how it ended.
            let told = rejection.told();
            let (status, cause) = (told.status.as_u16(), told.cause);
            if let Some(entry) = self.ending(gate, status, cause) {
                drop(gate.log.append(entry).await);
            }
            gate.telemetry.denied(cause);
            let response = told.into_response(&self.facts, &self.trail.id.to_string());
            return respond::finish(response, &self.form, self.trail.id);
        }
        let response = gate.reject(rejection, None, &self.facts, &mut self.trail).await;
        respond::finish(response, &self.form, self.trail.id)
    }

    fn ending(&mut self, gate: &Gate, status: u16, cause: &str) -> Option<Entry> {
        let stamp = gate.log.stamp().ok()?;
        let mut entry = self.trail.visit_entry(Effect::Deny, Some(status), cause);
        entry.decided_by = Some(self.trail.id);
        (entry.id, entry.time) = (stamp.id, stamp.time);
        entry.event = Event::Admin;
        Some(entry)
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").field("path", &self.path()).finish_non_exhaustive()
    }
}
