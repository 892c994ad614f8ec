//! One endpoint of an upstream: its connections and how it stands.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::balance::Candidate;
use super::body::UpstreamBody;
use super::connect::{Connector, RequestBody, Socket, Target};
use super::error::{Stage, UpstreamError};
use super::pool::{Pool, Unanswered};
use super::settings::{Health, Settings};
use super::socket::Switch;
use super::standing::{Place, Standing};

pub(super) struct Endpoint {
    /// Which address of the settings it is of.
    pub(super) of: usize,
    pub(super) socket: Socket,
    pub(super) pool: Pool,
    standing: Mutex<Standing>,
}

/// How an endpoint did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Showing {
    Well,
    Badly,
    /// It says nothing of the endpoint: its queue was full, or the request was at fault.
    Neither,
}

/// Why a health check does not find an endpoint well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwell {
    #[error("it answered the health check with {0}")]
    Status(StatusCode),
    #[error("it did not answer the health check within {} ms", .0.as_millis())]
    Late(Duration),
    #[error(transparent)]
    Failed(#[from] UpstreamError),
}

impl Endpoint {
    pub(super) fn new(
        (of, target): (usize, &Target),
        socket: Socket,
        settings: &Settings,
        standing: Standing,
        tasks: &TaskTracker,
    ) -> Self {
        let connector = Connector::new(socket.clone(), target, settings, tasks);
        let pool = Pool::new(connector, settings, tasks);
        Self { of, socket, pool, standing: Mutex::new(standing) }
    }

    /// Sends it there; also gives how the endpoint did.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        counts_5xx: bool,
    ) -> (Result<Response<UpstreamBody>, Unanswered>, Showing) {
        let answer = self.pool.send(request).await;
        let showing = showing(answer.as_ref().map(Response::status), counts_5xx);
        (answer, showing)
    }

    /// Asks it for another protocol; also gives how the endpoint did.
    pub(super) async fn switch(
        &self,
        request: Request<RequestBody>,
        (counts_5xx, replaced): (bool, CancellationToken),
    ) -> (Result<Switch, Unanswered>, Showing) {
        let answer = self.pool.switch(request, replaced).await;
        let showing = showing(answer.as_ref().map(Switch::status), counts_5xx);
        (answer, showing)
    }

    pub(super) fn candidate(&self, settings: &Settings, now: Instant) -> Candidate {
        let standing = self.standing();
        let share = standing.share(settings.slow_start, now);
        Candidate { open: self.pool.open(), place: standing.place(now), share }
    }

    /// Asks whether it is well.
    ///
    /// # Errors
    /// [`Unwell`] says what is wrong.
    pub(super) async fn check(&self, health: &Health) -> Result<(), Unwell> {
        let asking = tokio::time::timeout(health.timeout, self.pool.check(&health.path));
        let status = asking.await.map_err(|_late| Unwell::Late(health.timeout))??;
        if status.is_success() { Ok(()) } else { Err(Unwell::Status(status)) }
    }

    pub(super) fn is_in(&self, now: Instant) -> bool {
        self.standing().place(now) == Place::In
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn showing(answered: Result<StatusCode, &Unanswered>, counts_5xx: bool) -> Showing {
    match answered {
        Ok(status) if counts_5xx && status.is_server_error() => Showing::Badly,
        Ok(_) => Showing::Well,
        // A backend that renews its connections is well.
        Err(Unanswered::Unprocessed(_)) => Showing::Neither,
        Err(unanswered) => failing(unanswered.error()),
    }
}

/// Malformed answers say nothing here: what provokes one may be the caller's request, and must not take the backend from all
/// others.
fn failing(error: &UpstreamError) -> Showing {
    match error {
        UpstreamError::Connect(_) | UpstreamError::Tls(_) | UpstreamError::Closed(_) => {
            Showing::Badly
        }
        UpstreamError::Timeout(Stage::Connect | Stage::Tls | Stage::Head, _) => Showing::Badly,
        UpstreamError::Timeout(Stage::Body, _)
        | UpstreamError::Unknown(_)
        | UpstreamError::Unsettled
        | UpstreamError::AllOut
        | UpstreamError::Busy(_)
        | UpstreamError::QueueFull
        | UpstreamError::Dns(_)
        | UpstreamError::PlainBeyondLoopback(_)
        | UpstreamError::BadHead(_)
        | UpstreamError::Fields(_)
        | UpstreamError::TwoLengths
        | UpstreamError::TransferCoding
        | UpstreamError::Switched
        | UpstreamError::Short(_)
        | UpstreamError::LeftOff
        | UpstreamError::Reset(_)
        | UpstreamError::BadBody(_)
        | UpstreamError::RequestBody(_) => Showing::Neither,
    }
}
