//! The stages before anything is forwarded: head, route, caller, decision, limits, record.

use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts as RequestHead;

use super::Gate;
use super::body::ends_with_its_head;
use super::head::{self, Head, same_origin};
use super::mark::Carried;
use super::outcome::Outcome;
use super::passkey::site;
use super::query;
use super::question::Question;
use super::rejection::{FactorAsked, Rejection};
use super::sent::Sent;
use super::trail::Trail;
use crate::audit::{LogError, Receipt};
use crate::identity::{AuthError, Caller, Certificate, Credentials, Place, Target};
use crate::limits::Seat;
use crate::listen::Facts;
use crate::policy::{Denial, DenialKind, Permit, Program, RouteMatch, Value};
use crate::telemetry::Stage;

/// The longest query that goes along while its browser signs in.
const MOST_QUERY_BYTES: usize = 1024;

/// A published entry point, the values of its path's parameters, and the program that publishes it: the
/// request keeps to that one until it is answered.
pub(super) struct Entrance {
    pub(super) program: Arc<Program>,
    pub(super) found: RouteMatch,
}

/// A decision on its way to the disk. It is written even if nobody waits for it any more.
pub(super) struct Recorded(Pin<Box<Waiting>>);

type Waiting = dyn Future<Output = Result<Receipt, LogError>> + Send;

impl Recorded {
    /// Waits until the decision is durable.
    pub(super) async fn durable(self) -> Result<(), Rejection> {
        match self.0.await {
            Ok(_receipt) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "a decision could not be recorded, so nothing is released");
                Err(Rejection::LogUnavailable)
            }
        }
    }
}

impl Gate {
    pub(super) async fn read_head(
        &self,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Head, Rejection> {
        let is_empty = ends_with_its_head(parts, body).await;
        let head = head::judge(parts, facts, is_empty).map_err(Rejection::Head)?;
        trail.head(&head);
        Ok(head)
    }

    pub(super) fn route(
        &self,
        head: &Head,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Entrance, Rejection> {
        trail.enters(Stage::Route);
        let program = self.policies.live();
        let found = program.find(&facts.zone, &head.host, head.method.as_str(), &head.path);
        let found = found.ok_or(Rejection::NotFound)?;
        trail.route(&found.route);
        for (name, value) in &found.params {
            // By keyed hash: a refused look at one customer can be found, and the log tells nobody who.
            let hash = self.keys.query.reference(&[name.as_bytes(), value.as_bytes()]);
            trail.searched(&format!("{{{name}}}"), found.route.searches(name), &hash);
        }
        Ok(Entrance { program, found })
    }

    pub(super) async fn authenticate(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Arc<Caller>, Rejection> {
        trail.enters(Stage::Authenticate);
        let place = place(head, facts)?;
        let credentials = Credentials::from_headers(&parts.headers, &place);
        // A cookie or certificate goes along with whatever page makes the browser send a request; a token
        // does not.
        if matches!(credentials, Ok(Credentials::Session(_) | Credentials::Certificate))
            && !head.method.is_safe()
            && !same_origin(&parts.headers, &head.host)
        {
            return Err(Rejection::ForeignSite);
        }
        let caller = match credentials {
            Ok(Credentials::Dpop { token, proof }) => {
                let target = Target {
                    method: head.method.as_str().to_owned(),
                    origin: site(head, parts).origin,
                    path: parts.uri.path().to_owned(),
                };
                self.identity.authenticate_proved((&token, &proof), &target, &place).await
            }
            Ok(credentials) => self.identity.authenticate(credentials, &place).await,
            Err(error) => Err(error),
        };
        let caller = match caller {
            Ok(caller) => caller,
            // A browser whose session ended is sent to sign in, as one that had none.
            Err(error)
                if error == AuthError::Missing
                    || (error == AuthError::SessionEnded && head.wants_page) =>
            {
                let next = head.wants_page.then(|| coming_back(head));
                return Err(Rejection::SignIn(next));
            }
            // Whoever waits for a store that is lost guesses nothing.
            Err(error @ AuthError::ProofsUnavailable) => return Err(Rejection::Credential(error)),
            Err(error) => {
                self.addresses.attempt(facts.peer.ip()).map_err(Rejection::Address)?;
                return Err(Rejection::Credential(error));
            }
        };
        let caller = self.with_rights(caller, trail).await?;
        trail.caller(&caller, self.identity.person(&caller.account));
        Ok(caller)
    }

    /// Has accounts counted together that were found to be one person's, before anybody is admitted.
    async fn count_together(&self) -> Result<(), Rejection> {
        if self.identity.next_joined().is_none() {
            return Ok(());
        }
        let _only_one = self.joining.lock().await;
        while let Some(joined) = self.identity.next_joined() {
            self.limits.join(&joined.from, &joined.into).await.map_err(|error| {
                tracing::error!(%error, "accounts of one person cannot be counted together");
                Rejection::StoreUnavailable
            })?;
            self.identity.joined_is_counted();
        }
        Ok(())
    }

    pub(super) fn decide(
        &self,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<Permit, Rejection> {
        trail.read_by(question.program(), question.principal());
        let decided = question.decide();
        if let Some(candidate) = self.policies.candidate() {
            trail.read_by(&candidate, question.principal());
            self.ask_candidate(&candidate, question, &decided, trail.id);
        }
        decided.map_err(|denial| {
            trail.denied(&denial, question.program().version());
            rejection(denial)
        })
    }

    pub(super) async fn admit(&self, caller: &Caller, permit: &Permit) -> Result<Seat, Rejection> {
        let allowance = query::allowance(permit.limits()).map_err(|error| {
            tracing::error!(%error, "a limit of the policy cannot be counted, so nothing is admitted");
            Rejection::Uncountable
        })?;
        // Before the backend is asked: what cannot be counted is not released, and a change that was made would be told as failed.
        if (allowance.is_counted() || permit.grant().is_some()) && !self.limits.can_count() {
            return Err(Rejection::StoreUnavailable);
        }
        let refused = |refused| Rejection::Limit(Box::new(refused));
        let counted_as = self.identity.counted_as(&caller.account);
        // Asked after the name: whoever gets the name of a person finds that it waits to be counted.
        self.count_together().await?;
        let sharers = query::Sharers::of(caller);
        let occasion = Arc::new(query::occasion(permit));
        let asker = sharers.asker(&counted_as);
        let allowance = Arc::new(allowance);
        let seat = self.limits.admit_shared(asker, &occasion, &allowance).await.map_err(refused)?;
        if permit.is_file() {
            seat.take_file().map_err(refused)?;
        }
        if permit.is_search() {
            seat.take_search().map_err(refused)?;
        }
        Ok(seat)
    }

    /// Notes the caller's own record, where the policy says which that is.
    pub(super) fn note_own(&self, question: &Question, trail: &Trail) {
        let Some(own) = question.program().detections().own_record() else { return };
        let key = match question.principal().attributes.get(&*own.attribute) {
            Some(Value::Text(key)) => Some(key.clone()),
            Some(other) => other.whole_number(),
            None => None,
        };
        let Some(key) = key else { return };
        if let Some(outcome) = trail.outcome() {
            let subject = self.keys.subject(&own.entity, &key);
            outcome.disclosure().is_of(subject.map(|subject| subject.reference));
        }
    }

    /// Hands the decision to the log; what follows may go on while the disk works.
    pub(super) fn record(&self, permit: &Permit, trail: &mut Trail) -> Result<(), Rejection> {
        trail.enters(Stage::Record);
        let stamp = self.log.stamp().map_err(|error| {
            tracing::error!(%error, "no id for a log entry");
            Rejection::LogUnavailable
        })?;
        let account = trail.account().unwrap_or_default();
        let carried = Carried::of(permit, &self.keys, &trail.id.to_string(), &account);
        let (decision, outcome) = trail.permitted(permit, &carried, stamp);
        let (log, unwritten) = (self.log.clone(), self.tasks.token());
        trail.begin_outcome(Outcome::begin(log, outcome, carried, trail.started, unwritten));
        trail.recording(Recorded(Box::pin(self.log.append(decision))));
        Ok(())
    }
}

/// Where a browser comes back to after signing in: its path and, if that is of a reasonable length, its query.
fn coming_back(head: &Head) -> String {
    let path = head.path.as_str();
    let query = head.query.as_deref().filter(|query| query.len() <= MOST_QUERY_BYTES);
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// Where a request came in, as sessions are bound to it.
pub(super) fn place(head: &Head, facts: &Facts) -> Result<Place, Rejection> {
    let read = |der: &[u8]| Certificate::read(der).map(Arc::new);
    let certificate = facts.client.as_ref().map(|shown| shown.once(read)).transpose();
    let certificate = certificate.map_err(|fault| Rejection::Credential(fault.into()))?;
    Ok(Place { host: head.host.as_str().into(), zone: facts.zone.clone(), certificate })
}

/// What the caller is told of a denial; the reasons stay in the log, since they describe the policy.
pub(super) fn rejection(denial: Denial) -> Rejection {
    match denial.kind {
        DenialKind::NotPublished | DenialKind::Withheld => Rejection::NotFound,
        DenialKind::Forbidden => Rejection::Forbidden,
        DenialKind::Purpose { accepted, ticket: None } => Rejection::Purpose(accepted),
        DenialKind::Purpose { ticket: Some(form), .. } => Rejection::Ticket(form),
        DenialKind::Grant => Rejection::Grant(Box::default()),
        DenialKind::StepUp(step_up) => Rejection::StepUp(FactorAsked::of(step_up)),
    }
}
