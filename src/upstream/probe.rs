//! One question of the gate's own to a backend, over the way that requests go, and without what they leave there: nothing
//! of it is kept or counted.

use http::header::DATE;
use http::{Method, StatusCode};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::connect::{Connector, Target};
use super::error::{OpenError, Stage, UpstreamError};
use super::pool::Pool;
use super::resolve::{by_system, sockets};
use super::secure::Way;
use super::settings::{Address, Settings, Transport};

/// What a backend answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The status.
    pub status: StatusCode,
    /// What it says that the time is.
    pub date: Option<String>,
}

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It cannot be set up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was not reached, or did not answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Asks the backend at one address for what it is asked by health checks, else what any server may be asked. `as_gate`, it
/// is shown the gate's certificate, where there is one.
///
/// # Errors
/// [`ProbeError`]. Of several addresses of a name, the last one's.
pub async fn probe(
    settings: &Settings,
    address: &Address,
    as_gate: bool,
) -> Result<Probed, ProbeError> {
    let mut settings = settings.clone();
    if let (Transport::Tls(tls), false) = (&mut settings.transport, as_gate) {
        tls.identity = None;
    }
    let target = Target::new(&settings, address, &Way::open(&settings)?)?;
    let found = sockets(&target, &by_system(), settings.timeouts.connect).await;
    let (tasks, mut last) = (TaskTracker::new(), UpstreamError::AllOut);
    for socket in found.map_err(UpstreamError::Dns)? {
        let connector = Connector::new(socket, &target, &settings, &tasks);
        match ask(&Pool::new(connector, &settings, &tasks), &settings).await {
            Err(
                error @ (UpstreamError::Connect(_) | UpstreamError::Timeout(Stage::Connect, _)),
            ) => {
                last = error;
            }
            asked => return Ok(asked?),
        }
    }
    Err(last.into())
}

async fn ask(pool: &Pool, settings: &Settings) -> Result<Probed, UpstreamError> {
    let (method, path) = match &settings.health {
        Some(health) => (Method::GET, health.path.as_str()),
        None => (Method::OPTIONS, "*"),
    };
    let limits = settings.timeouts;
    let limit = limits.connect.saturating_add(limits.tls).saturating_add(limits.head);
    let late = |_late| UpstreamError::Timeout(Stage::Head, limit);
    let head = timeout(limit, pool.ask(method, path)).await.map_err(late)??;
    let date = head.headers.get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    Ok(Probed { status: head.status, date })
}
