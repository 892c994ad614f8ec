//! The composition root: the only place that knows every part. Starts, runs and drains the gate.
//!
//! A start is all or nothing: every file is read and every part opened before the first port is.

mod acme;
mod activation;
mod backend_certificates;
mod backups;
mod beside;
mod bound;
mod bulletin;
mod calls;
mod campaigns;
mod certificates;
mod check;
mod commands;
mod configuration;
mod confine;
mod doctor;
mod fetch;
mod fields;
mod healing;
mod index;
mod log;
mod lost;
mod memory;
mod notices;
mod open;
mod policies;
mod prepared;
mod readings;
mod reload;
mod restored;
mod retention;
mod review;
mod shared;
mod shipping;
mod started;
mod targets;
mod traces;
mod unsigned;
mod usage;
mod watch;
mod witnesses;

#[cfg(test)]
mod conformance;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use activation::kept_sources;
pub use backups::maker;
pub use calls::{CallsError, give_up_calls};
pub use check::check;
pub use configuration::waiting;
pub use confine::{ConfineError, Confinement, confine};
pub use doctor::{Finding, Standing, examine};
pub use fetch::HttpsFetch;
pub use log::{at_rest, cursors, open_log, ship_source};
pub use policies::{PolicyError, compile_policies, load_policies, read_policies};
pub use retention::{holds, periods};
pub use review::to_keep;
pub use started::started_with;
pub use usage::read_limits;

use crate::acme::AcmeError;
use crate::audit::{Log, LogError, ReadError, Sink};
use crate::clock::Clock;
use crate::command::{CommandError, Desk};
use crate::config::Config;
use crate::consent::ConsentError;
use crate::identity::{FetchError, IdentityError, KeyFileError};
use crate::limits::LimitError;
use crate::link::LinkError;
use crate::listen::Shutdown;
pub use crate::listen::Sockets;
use crate::notify::NotifyError;
use crate::proxy::Gate;
use crate::secret::SecretError;
use crate::shared::RedisFault;
use crate::ship::ShipError;
use crate::state::{Claim, StateError};
use crate::tls::TlsError;
use crate::upstream::OpenError;

/// How long requests that are cut off may take to leave their outcome in the log.
const CUT_TIME: Duration = Duration::from_secs(5);

/// Why the gate cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The master key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The policy folder or a fault in it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A listener's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A backend's certificates.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// Token issuers.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificates that vouch for an issuer.
    #[error("issuer: {0}")]
    Issuer(#[from] FetchError),
    /// The state folder.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// Business links.
    #[error("links: {0}")]
    Link(#[from] LinkError),
    /// What data subjects said cannot be known.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// The keys of business systems.
    #[error("links: {0}")]
    CaseKeys(#[from] KeyFileError),
    /// Nobody has answered for what was done since the backup, or copy, that the state comes from.
    #[error(
        "the state comes from {0}, and what was suspended, revoked or switched off since is good again: have `menshen restored` do it anew, or answer for it there"
    )]
    Restored(String),
    /// The files are not those in force before, which said that a wider policy takes two persons, and what is wider nobody
    /// can say.
    #[error(
        "the policy {version} is not the one in force before, which takes two persons for anything wider, and that cannot be compared with it ({why}): put the former files back, or have it agreed to: `menshen policy activate`, then another person `menshen policy confirm`"
    )]
    PolicyWaits {
        /// The version of the files.
        version: String,
        /// Why not.
        why: String,
    },
    /// The log has fewer entries than the state has seen.
    #[error(
        "the log has {found} entries, and the state has seen {known} of it: put back the log that belongs to the state, or answer for what is missing with `menshen restored --shorter-log`"
    )]
    ShorterLog {
        /// How many the state has seen.
        known: u64,
        /// How many there are.
        found: u64,
    },
    /// There is no log, and there are backups of a gate of this name.
    #[error(
        "there is no log, and `{place}` has the backup `{backup}`: where the disk of `{node}` was lost, bring it back with `menshen restore`; to begin anew, give the gate another `node`"
    )]
    Lost {
        /// The gate's name.
        node: String,
        /// The place of backups.
        place: String,
        /// The newest that it has.
        backup: String,
    },
    /// An entry since the state's last look could not be read.
    #[error("whether the state belongs to the log cannot be told: {0}")]
    Unread(#[from] ReadError),
    /// What is commanded.
    #[error("commands: {0}")]
    Command(#[from] CommandError),
    /// The counters.
    #[error("counters: {0}")]
    Limits(#[from] LimitError),
    /// The store in which several gates count together.
    #[error("shared: {0}")]
    Shared(#[from] RedisFault),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A place that the log is carried to.
    #[error("ship: {0}")]
    Ship(#[from] ShipError),
    /// A target of notices.
    #[error("notify: {0}")]
    Notify(#[from] NotifyError),
    /// Who issues certificates.
    #[error("acme: {0}")]
    Acme(#[from] AcmeError),
    /// A port.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StartError {
    /// Whether somebody must correct a file, rather than the machine.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Secret(_)
            | Self::Policy(_)
            | Self::Tls(_)
            | Self::Upstream(_)
            | Self::Identity(_)
            | Self::Issuer(_)
            | Self::Shared(_)
            | Self::Ship(_)
            | Self::Notify(_)
            | Self::Acme(_)
            | Self::CaseKeys(_) => true,
            Self::PolicyWaits { .. }
            | Self::Restored(_)
            | Self::ShorterLog { .. }
            | Self::Lost { .. } => true,
            Self::Log(error) => matches!(error, LogError::Name(_)),
            Self::State(_)
            | Self::Unread(_)
            | Self::Link(_)
            | Self::Consent(_)
            | Self::Command(_)
            | Self::Limits(_)
            | Self::Listen { .. } => false,
        }
    }
}

/// A running gate.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    redirect: Option<SocketAddr>,
    gate: Arc<Gate>,
    desk: Desk,
    log: Log,
    tasks: TaskTracker,
    shutdown: Shutdown,
    /// Milliseconds.
    drain_ms: Arc<AtomicU64>,
    /// Wakes whoever takes up another configuration, and then those below.
    asked: Arc<Notify>,
    /// Wakes whoever reads policies and certificates again.
    reload: Vec<Arc<Notify>>,
    monitoring: Monitoring,
    /// Who sends spans on, until the last request has ended.
    exporter: TaskTracker,
    /// Until the last counter is written.
    _claim: Claim,
}

/// The listener for monitoring: it goes on until the drain is over.
#[derive(Debug, Default)]
struct Monitoring {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// Opens every part, binds every port, and serves.
    ///
    /// # Errors
    /// [`StartError`]; no port is open then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        Self::start_on(config, clock, Sockets::default()).await
    }

    /// As [`Server::start`], on sockets that were handed over where they have the addresses of the configuration.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(
        config: Config,
        clock: Clock,
        sockets: Sockets,
    ) -> Result<Self, StartError> {
        // Boxed, so that whoever waits does not carry what all the parts take on the way.
        Box::pin(Self::open(Box::new(config), clock, (Sink::Folder, sockets))).await
    }

    /// As [`Server::start`], with a log that keeps nothing of requests: for measuring what the log costs. It is
    /// built with the feature `unrecorded` only, which no program has.
    ///
    /// # Errors
    /// [`StartError`].
    #[cfg(feature = "unrecorded")]
    pub async fn start_unrecorded(config: Config, clock: Clock) -> Result<Self, StartError> {
        Box::pin(Self::open(Box::new(config), clock, (Sink::Nowhere, Sockets::default()))).await
    }

    /// Where the gate listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics are told, if they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where the security team's interface listens, if it does.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where people without TLS are sent from, if they are.
    #[must_use]
    pub fn redirect_address(&self) -> Option<SocketAddr> {
        self.redirect
    }

    /// Where commands are given, as beside the gate.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The version of the policy that decides.
    #[must_use]
    pub fn policy_version(&self) -> String {
        self.gate.policies.live().version().to_owned()
    }

    /// The version of the policy that waits for two persons, if one does.
    #[must_use]
    pub fn waiting_policy(&self) -> Option<String> {
        self.gate.policies.waiting().map(|waiting| waiting.version.clone())
    }

    /// Has the configuration, then the policy folders and all certificates read again, soon. What comes of it is told as an
    /// event and in the log.
    pub fn reload(&self) {
        self.asked.notify_one();
    }

    /// The log, for its health and its verifier.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Accepts no more, lets open requests end for as long as the configuration says, cuts off the
    /// rest, records what they disclosed, and closes the log.
    pub async fn drain(self) {
        self.shutdown.finish.cancel();
        self.gate.drain();
        self.tasks.close();
        let drain = Duration::from_millis(self.drain_ms.load(Ordering::Relaxed));
        if tokio::time::timeout(drain, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time and are cut off");
            self.shutdown.cut.cancel();
            if tokio::time::timeout(CUT_TIME, self.tasks.wait()).await.is_err() {
                tracing::error!(
                    "some requests that were cut off may be without an outcome in the log"
                );
            }
        }
        // Also what was done beside it a moment ago: whoever loses the disk has the log elsewhere.
        self.gate.tidy_ledger().await;
        self.gate.tidy().await;
        self.monitoring.stop.cancel();
        self.exporter.close();
        // The last spans may be lost; nobody waits longer for a collector.
        tokio::time::timeout(traces::FAREWELL, self.exporter.wait()).await.unwrap_or_default();
        if let Some(shared) = self.gate.limits.shared() {
            shared.leave().await;
        }
        let log = self.log.clone();
        let closed = tokio::task::spawn_blocking(move || log.close());
        if !matches!(tokio::time::timeout(CUT_TIME, closed).await, Ok(Ok(()))) {
            tracing::error!("the log did not close cleanly; it will recover at the next start");
        }
    }
}
