//! The composition root: the only place that knows every part. Starts, runs and drains the gate.
//!
//! A start is all or nothing: every file is read and every part opened before the first port is.

mod policies;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use policies::{PolicyError, compile_policies, load_policies, read_policies};

use crate::audit::{self, Act, Event, Log, LogError};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{Identity, IdentityError};
use crate::limits::{AddressLimits, LimitError, Limits};
use crate::listen::{Listener, Shutdown};
use crate::policy::Program;
use crate::proxy::{Gate, Parts};
use crate::secret::{MasterKey, SecretError};
use crate::state::{StateError, Store};
use crate::tls::{self, TlsError};
use crate::upstream::{OpenError, Upstreams};
use usage::StoredUsage;

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
    /// A route's `to` names a backend that the configuration does not have.
    #[error(
        "route `{route}` goes to `{upstream}`, which is not among the `upstreams` of the configuration"
    )]
    NoUpstream {
        /// The route.
        route: String,
        /// What it names.
        upstream: String,
    },
    /// A listener's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A backend's certificates.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// Token issuers.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The state folder.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// The counters.
    #[error("counters: {0}")]
    Limits(#[from] LimitError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
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
            | Self::NoUpstream { .. }
            | Self::Tls(_)
            | Self::Upstream(_)
            | Self::Identity(_) => true,
            Self::Log(error) => matches!(error, LogError::Name(_)),
            Self::State(_) | Self::Limits(_) | Self::Listen { .. } => false,
        }
    }
}

/// A running gate.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    gate: Arc<Gate>,
    log: Log,
    tasks: TaskTracker,
    shutdown: Shutdown,
    drain: Duration,
}

impl Server {
    /// Opens every part, binds every port, and serves.
    ///
    /// # Errors
    /// [`StartError`]; no port is open then.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let master = MasterKey::read(&config.key)?;
        let program = Arc::new(load_policies(&config.policies)?);
        check_upstreams(&config, &program)?;
        let (tasks, shutdown) = (TaskTracker::new(), Shutdown::default());
        let upstreams = Upstreams::open(&config.upstreams, &tasks)?;
        let mut certificates = Vec::new();
        for listener in &config.listeners {
            certificates.push(tls::server_config(&listener.tls)?);
        }
        let store = Store::open(&config.state, &master, clock.clone())?;
        let identity =
            Identity::new(config.identity.clone(), store.clone(), &master, clock.clone())?;
        let usage = StoredUsage::load(store).await?;
        let limits = Limits::open(config.limits.clone(), &clock, Arc::new(usage))?;
        let log = open_log(&config, &clock, &master)?;
        let addresses = Arc::new(AddressLimits::new(&config.addresses, &clock));
        record_start(&log, program.version()).await?;
        let gate = Arc::new(Gate::new(
            Parts {
                program,
                identity: Arc::new(identity),
                limits: Arc::new(limits),
                addresses: Arc::clone(&addresses),
                upstreams: Arc::new(upstreams),
                log: log.clone(),
                clock,
                tasks: tasks.clone(),
                caps: config.caps,
                settings: config.proxy.clone(),
            },
            &master,
        )?);
        gate.tidy_ledger().await;
        let mut bound = Vec::new();
        for (listener, tls) in config.listeners.into_iter().zip(certificates) {
            let address = listener.socket.address;
            let refused = |source| StartError::Listen { address, source };
            let listener = Listener::bind(listener.socket, tls).await.map_err(refused)?;
            bound.push((listener.address().map_err(refused)?, listener));
        }
        let server = Self {
            addresses: bound.iter().map(|(address, _)| *address).collect(),
            gate: Arc::clone(&gate),
            log,
            tasks,
            shutdown,
            drain: config.drain,
        };
        for (address, listener) in bound {
            tracing::info!(%address, "listening");
            let (gate, tasks) = (Arc::clone(&gate), &server.tasks);
            let (addresses, shutdown) = (Arc::clone(&addresses), server.shutdown.clone());
            tasks.spawn(listener.serve(gate, addresses, tasks.clone(), shutdown));
        }
        server.tasks.spawn(housekeeping(gate, server.shutdown.finish.clone()));
        Ok(server)
    }

    /// Where the gate listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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
        if tokio::time::timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end in time and are cut off");
            self.shutdown.cut.cancel();
            if tokio::time::timeout(CUT_TIME, self.tasks.wait()).await.is_err() {
                tracing::error!(
                    "some requests that were cut off may be without an outcome in the log"
                );
            }
        }
        self.gate.tidy().await;
        let log = self.log.clone();
        let closed = tokio::task::spawn_blocking(move || log.close());
        if !matches!(tokio::time::timeout(CUT_TIME, closed).await, Ok(Ok(()))) {
            tracing::error!("the log did not close cleanly; it will recover at the next start");
        }
    }
}

/// Checks all that can be checked without opening anything: the policy, where its routes go, the
/// certificates and keys. Gives the compiled policy.
///
/// # Errors
/// [`StartError`], as a start would give it.
pub fn check(config: &Config) -> Result<Program, StartError> {
    let program = load_policies(&config.policies)?;
    check_upstreams(config, &program)?;
    Upstreams::open(&config.upstreams, &TaskTracker::new())?;
    for listener in &config.listeners {
        tls::server_config(&listener.tls)?;
    }
    MasterKey::read(&config.key)?;
    Ok(program)
}

fn check_upstreams(config: &Config, program: &Program) -> Result<(), StartError> {
    for route in program.routes() {
        if !config.upstreams.iter().any(|upstream| upstream.name == route.upstream()) {
            return Err(StartError::NoUpstream {
                route: route.name().to_owned(),
                upstream: route.upstream().to_owned(),
            });
        }
    }
    Ok(())
}

fn open_log(config: &Config, clock: &Clock, master: &MasterKey) -> Result<Log, LogError> {
    let settings = audit::Settings {
        origin: format!("menshen.log/{}", config.node),
        node: config.node.clone(),
        ..audit::Settings::default()
    };
    let (log, recovery) = Log::open(&config.log, settings, clock.clone(), master)?;
    tracing::info!(?recovery, "the log is open");
    Ok(log)
}

/// From here on this policy decides; reviewers see since when.
async fn record_start(log: &Log, policy: &str) -> Result<(), LogError> {
    let mut entry = log.entry(Event::Change)?;
    let object = format!("policy {policy}");
    entry.act = Some(Act {
        name: "started".into(),
        object: object.as_str().into(),
        succeeded: Some(true),
        ..Act::default()
    });
    log.append(entry).await.map(drop)
}

/// Forgets what is over, every few seconds or once a minute.
async fn housekeeping(gate: Arc<Gate>, stop: CancellationToken) {
    const OFTEN: Duration = Duration::from_secs(5);
    const TIDY_EVERY: u32 = 12;
    let mut rounds = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(OFTEN) => {}
        }
        gate.close_stale();
        gate.tidy_ledger().await;
        rounds += 1;
        if rounds % TIDY_EVERY == 0 {
            gate.tidy().await;
        }
    }
}
