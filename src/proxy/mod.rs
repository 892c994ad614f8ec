//! The way of a request. `pipeline.rs` shows it whole; the other files are its stages.
//!
//! Nothing here decides what a caller may see (policy), which bytes pass (guard) or how much may
//! leave (limits): this is the shell that brings them together in the one right order.

mod admitted;
mod alerts;
mod answer_headers;
mod arrival;
mod body;
mod cases;
mod constant;
mod curbs;
mod devices;
mod drift;
mod enrol;
mod entrance;
mod form;
mod grant_desk;
mod grant_pages;
mod grants;
mod head;
mod heard;
mod illegible;
mod kept;
mod ledger;
mod looks;
mod mark;
mod meter;
mod new_password;
mod oidc;
mod onward;
mod orders;
mod outcome;
mod pages;
mod park;
mod passage;
mod passkey;
mod pipeline;
mod policies;
mod purpose;
mod query;
mod question;
mod recovery;
mod refusals;
mod rehearsal;
mod rejection;
mod release;
mod respond;
mod right;
mod room;
mod sent;
mod session;
mod shadow;
mod sign_in;
mod socket;
mod standing;
mod step;
mod switched;
mod traced;
mod trail;
mod unread;
mod uploads;
mod visit;
mod vouch;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::request::Parts as RequestHead;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use body::{Answer, BodyFault, Cut};
pub use curbs::{Curb, Curbs};
pub use drift::{FieldStore, FieldStoreError, FieldStoreFuture, KnownFields, UnknownField};
pub use grants::Grants;
pub use head::{GRANT, HeadFault, PURPOSE, TICKET};
pub use policies::{Policies, Waiting};
pub use rehearsal::{
    Contract, Exchange, FieldFate, Registered, Rehearsal, RehearsalError, Rehearsed,
};
pub use visit::{Refused, Visit};
pub use vouch::{Fact, Voucher, Vouching, may_carry_a_fact};

use crate::audit::Log;
use crate::clock::Clock;
use crate::command::Switches;
use crate::consent::Register;
use crate::guard;
use crate::identity::{CaseTickets, Identity};
use crate::limits::{AddressLimits, AllowanceFault, Limits};
use crate::link::Links;
use crate::listen::{Facts, Handler, Illegible};
use crate::policy::{Program, Ties};
use crate::registry::Registry;
use crate::scan::Scanners;
use crate::secret::{MasterKey, SecretError};
use crate::telemetry::{Telemetry, Traces};
use crate::upstream::Upstreams;
use alerts::Alerts;
use looks::Looks;
use meter::Keys;
use orders::Orders;
use pages::{Page, Words};
use refusals::{Refusals, Who};
use rejection::{Rejection, Told, UNRECORDED};
use sent::Sent;
use shadow::Differences;
use trail::Trail;

/// Checks that the limits of a policy can be counted, whatever roles a caller holds together. A caller of several tenants
/// whose files together cannot be is refused when they ask.
///
/// # Errors
/// [`AllowanceFault`] naming the limit.
pub fn check_limits(program: &Program) -> Result<(), AllowanceFault> {
    program.all_limits().try_for_each(|limits| query::allowance(limits.iter()).map(drop))
}

/// Bodies and their deadlines.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest request body, in bytes.
    pub request_limit_bytes: usize,
    /// How long a request body may take to come.
    pub request_time: Duration,
    /// An answer up to this size, in bytes, is held whole, so that a fault in it is a clean 502.
    pub held_bytes: usize,
    /// How long a caller may leave an answer unread before it is cut off. It holds a connection to the
    /// backend, and others of the same HTTP/2 connection may go on meanwhile.
    pub unread_time: Duration,
    /// Whom a caller asks who has reached a limit.
    pub contact: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_limit_bytes: 1024 * 1024,
            request_time: Duration::from_secs(30),
            held_bytes: 256 * 1024,
            unread_time: Duration::from_secs(60),
            contact: None,
        }
    }
}

/// What the gate is made of; the composition root brings the parts.
#[derive(Debug)]
pub struct Parts {
    /// The policy in force.
    pub policies: Arc<Policies>,
    /// Who asks.
    pub identity: Arc<Identity>,
    /// What is switched off by command.
    pub switches: Arc<Switches>,
    /// Who is tied to whom by a case.
    pub links: Arc<Links>,
    /// What data subjects said, and what is marked of them.
    pub subjects: Arc<Register>,
    /// Whom a detection holds.
    pub curbs: Arc<Curbs>,
    /// What people were granted.
    pub grants: Arc<Grants>,
    /// Which partners and tenants there are.
    pub registry: Arc<Registry>,
    /// How much may leave.
    pub limits: Arc<Limits>,
    /// How often an address may try.
    pub addresses: Arc<AddressLimits>,
    /// The backends.
    pub upstreams: Arc<Upstreams>,
    /// The log.
    pub log: Log,
    /// What the operator's monitoring reads.
    pub telemetry: Arc<Telemetry>,
    /// Where the time of requests goes, if that is asked for.
    pub traces: Option<Traces>,
    /// The time.
    pub clock: Clock,
    /// Where tasks that outlive a request are tracked.
    pub tasks: TaskTracker,
    /// Fields that backends have and nobody declared.
    pub fields: KnownFields,
    /// What the operator may change while it runs.
    pub configured: ArcSwap<Configured>,
}

/// What the operator may change while the gate runs, and what is as one then.
#[derive(Debug)]
pub struct Configured {
    /// The business systems whose tickets say that somebody is tied to somebody by a case.
    pub cases: Arc<CaseTickets>,
    /// Who tells the backends who asks.
    pub voucher: Voucher,
    /// Who says of uploaded files whether they are clean.
    pub scanners: Arc<Scanners>,
    /// Caps of the guard.
    pub caps: guard::Caps,
    /// Caps of the proxy.
    pub settings: Settings,
}

/// The gate: answers requests.
#[derive(Debug)]
pub struct Gate {
    parts: Parts,
    keys: Arc<Keys>,
    refusals: Refusals,
    looks: Looks,
    /// Held while acts on accounts go into the log, so that each goes once.
    ledger: tokio::sync::Mutex<()>,
    /// Held while accounts are counted together that are one person's.
    joining: tokio::sync::Mutex<()>,
    differences: Differences,
    alerts: Arc<Alerts>,
    /// What people asked for lately.
    orders: Orders,
    /// The links and what data subjects said, as the policy asks for them.
    ties: Arc<dyn Ties>,
    /// Tickets of business systems that were taken lately.
    taken_tickets: cases::TakenTickets,
    /// Places for requests that were answered constantly and are still with a backend.
    beside: Arc<Semaphore>,
    /// WebSockets that are open.
    sockets: Arc<socket::Places>,
    /// What bodies with files take while they are read, judged, scanned and with a backend.
    uploads: Arc<room::Rooms>,
}

impl std::ops::Deref for Gate {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Gate {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn new(parts: Parts, master: &MasterKey) -> Result<Self, SecretError> {
        let keys = Arc::new(Keys::derive(master)?);
        let (refusals, looks, ledger, joining, differences, orders) = Default::default();
        let alerts = Arc::new(Alerts::new(
            parts.log.clone(),
            Arc::clone(&parts.telemetry),
            parts.fields.clone(),
            parts.clock.clone(),
        ));
        let beside = Arc::new(Semaphore::new(constant::BESIDE_LIMIT));
        let (links, subjects) = (Arc::clone(&parts.links), Arc::clone(&parts.subjects));
        let ties = Arc::new(cases::Tied { links, subjects });
        Ok(Self {
            parts,
            keys,
            refusals,
            looks,
            ledger,
            joining,
            differences,
            alerts,
            orders,
            ties,
            taken_tickets: cases::TakenTickets::default(),
            beside,
            sockets: Arc::default(),
            uploads: Arc::default(),
        })
    }

    /// What the operator says at this moment. Do not keep it over a wait.
    pub fn configured(&self) -> arc_swap::Guard<Arc<Configured>> {
        self.parts.configured.load()
    }

    /// What must be done about once a minute: forget what left its window, write what was gathered.
    pub async fn tidy(&self) {
        if let Err(error) = self.limits.tidy().await {
            tracing::warn!(%error, "counters could not be tidied");
        }
        self.addresses.tidy();
        if let Err(error) = self.links.tidy().await {
            tracing::warn!(%error, "business links that ended could not be forgotten");
        }
        if let Err(error) = self.subjects.tidy().await {
            tracing::warn!(%error, "what data subjects said long ago could not be forgotten");
        }
        if let Err(error) = self.identity.forget_parked().await {
            tracing::warn!(%error, "kept requests could not be forgotten");
        }
        self.write_gathered_refusals().await;
        self.write_looks().await;
        self.write_differences();
        self.tidy_grants().await;
        self.tidy_registry().await;
        self.alerts.write_gathered();
        self.alerts.keep_fields().await;
    }
}

impl Handler for Gate {
    type Body = Answer;
    type Error = Cut;

    async fn handle(&self, request: Request<Incoming>, facts: Facts) -> Response<Answer> {
        let Ok(stamp) = self.log.stamp() else {
            self.telemetry.unrecorded();
            return respond::without_record(&facts);
        };
        let began = self.clock.steady();
        let mut trail = Trail::begin(stamp, &facts, request.headers());
        self.begin_trace(request.headers(), &facts, &mut trail);
        let form = respond::Form::of(&request);
        // The stages are boxed: their state is large, and most connections idle most of the time.
        let (parts, body) = request.into_parts();
        let mut body = Sent::Live(body);
        let response = match Box::pin(self.pass(&parts, &mut body, &facts, &mut trail)).await {
            Ok(response) => response,
            Err(rejection) => {
                body::take_leave(&parts, &mut body).await;
                self.reject(rejection, Some(&parts), &facts, &mut trail).await
            }
        };
        let took = self.clock.steady().saturating_sub(began);
        let status = response.status().as_u16();
        self.telemetry.answered(trail.action(), status, took);
        trail.know(|known| known.status = Some(status));
        respond::finish(response, &form, trail.id)
    }

    async fn illegible(&self, what: Illegible, facts: Facts) {
        self.note_illegible(what, &facts).await;
    }
}

impl Gate {
    /// Brings what was done to accounts into the log; what fails is tried again at the next sign-in.
    pub async fn tidy_ledger(&self) {
        if self.record_acts().await.is_err() {
            tracing::warn!("nobody can sign in until changes to accounts are recorded");
        }
        // Who is no longer welcome may have a stream open and ask for nothing more.
        if let Err(error) = self.identity.look_at_roster().await {
            tracing::warn!(%error, "the roster could not be read; nobody is let in until it can");
        }
    }

    /// Looks for what was commanded beside the gate; call it every [`crate::command::LOOK_EVERY`]. `false` if that
    /// could not be read or recorded: nothing passes until it can.
    pub async fn tidy_commands(&self) -> bool {
        let is_known = self.look_for_commands().await.is_ok();
        if is_known {
            self.note_used_up().await;
        }
        is_known
    }

    /// Closes connections to the backends that have been idle for too long.
    pub fn close_stale(&self) {
        self.upstreams.close_stale();
    }

    /// Closes idle connections to the backends; those in use close when their answer ends.
    pub fn drain(&self) {
        self.upstreams.drain();
    }

    /// Ends a request early: recorded first, then told; in words, where a browser asked with this head.
    async fn reject(
        &self,
        mut rejection: Rejection,
        head: Option<&RequestHead>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Response<Answer> {
        // A refusal after the decision, too, is told only once the decision is durable.
        if let Err(unrecorded) = trail.durable().await {
            rejection = unrecorded;
        }
        let mut told = rejection.told().contact(self.configured().settings.contact.as_deref());
        if let Some(head) = head.filter(|head| head::wants_page(head)) {
            // A host that is not the one of the connection was refused before.
            let host = facts.server_name.as_deref().unwrap_or_default();
            told = told.for_browser(&rejection, &Page::new(host, Words::of(&head.headers)));
        }
        let status = told.status.as_u16();
        let cause = told.cause;
        trail.know(|known| known.cause = Some(cause));
        tracing::debug!(status, cause, trace = trail.trace_id(), "refused");
        if let Some(note) = &told.note {
            let (route, trace) = (trail.route_name(), trail.trace_id());
            tracing::warn!(status, route, %trace, %note, "a request failed");
        }
        let permitted = trail.refuse_permitted(status, told.cause);
        if !permitted && !self.record_refusal(&told, facts, trail).await {
            told = Rejection::LogUnavailable.told();
        }
        self.telemetry.denied(told.cause);
        if let Some((limit, holder)) = told.limited {
            self.telemetry.limited(limit, holder);
        }
        if told.cause == UNRECORDED {
            self.telemetry.unrecorded();
        }
        told.into_response(facts, &trail.id.to_string())
    }

    /// Records a refusal without a permit; `false` if the log cannot take it.
    async fn record_refusal(&self, told: &Told, facts: &Facts, trail: &mut Trail) -> bool {
        let route = trail.route_name().to_owned();
        let who = trail.account().map_or(Who::Unknown(facts.peer.ip()), Who::Known);
        if self.gather_refusal(who, &route) {
            return true;
        }
        let is_error = told.status.is_server_error();
        let entry = trail.refusal(told.status.as_u16(), told.cause, is_error);
        match self.log.append(entry).await {
            Ok(_receipt) => true,
            Err(error) => {
                tracing::error!(%error, "a refusal could not be recorded");
                false
            }
        }
    }
}
