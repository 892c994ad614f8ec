//! The composition root: the only place that knows every part. Starts, runs and drains the gate.
//!
//! A start is all or nothing: every file is read and every part opened before the first port is.

mod backups;
mod bulletin;
mod certificates;
mod commands;
mod fetch;
mod fields;
mod index;
mod notices;
mod policies;
mod readings;
mod reload;
mod retention;
mod review;
mod shared;
mod shipping;
mod unsigned;
mod usage;
mod watch;

#[cfg(test)]
mod conformance;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use backups::maker;
use certificates::{Certificates, Followed};
pub use fetch::HttpsFetch;
use fields::known_fields;
use policies::{Backends, admit};
pub use policies::{PolicyError, compile_policies, load_policies, read_policies};
pub use retention::{hold, periods};

use crate::admin::Admin;
use crate::audit::{self, Act, AtRest, Event, Log, LogError, Opener, Readings, RestKey};
use crate::clock::Clock;
use crate::command::{CommandError, Desk, Switches};
use crate::config::{self, Config};
use crate::identity::{Assertions, FetchError, Identity, IdentityError, KeySource};
use crate::index::Index;
use crate::limits::{AddressLimits, AddressSettings, LimitError, Limits};
use crate::listen::{Listener, Shutdown};
use crate::notify::{self, NotifyError};
use crate::policy::Program;
use crate::proxy::{Gate, Parts, Policies, Voucher};
use crate::scan::Scanners;
use crate::secret::{MasterKey, SecretError};
use crate::shared::RedisFault;
use crate::ship::{self, ShipError};
use crate::state::{StateError, Store};
use crate::telemetry::{self, Health, Role, Telemetry};
use crate::tls::{self, TlsError};
use crate::upstream::{OpenError, Upstreams};
use reload::Reloader;
pub use review::to_keep;
use review::{Reviewer, load_curbs};
use shared::Keeper;
use usage::StoredUsage;
pub use usage::read_limits;
use watch::Watch;

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
            | Self::Notify(_) => true,
            Self::Log(error) => matches!(error, LogError::Name(_)),
            Self::State(_) | Self::Command(_) | Self::Limits(_) | Self::Listen { .. } => false,
        }
    }
}

/// A running gate.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    gate: Arc<Gate>,
    desk: Desk,
    log: Log,
    tasks: TaskTracker,
    shutdown: Shutdown,
    drain: Duration,
    /// Wakes whoever reloads a policy.
    reload: Vec<Arc<Notify>>,
    monitoring: Monitoring,
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
        // Boxed, so that whoever waits does not carry what all the parts take on the way.
        Box::pin(Self::open(Box::new(config), clock)).await
    }

    async fn open(config: Box<Config>, clock: Clock) -> Result<Self, StartError> {
        let master = MasterKey::read(&config.key)?;
        let backends = Backends::of(&config);
        let program = Arc::new(admit(&read_policies(&config.policies)?, &backends)?);
        let (tasks, shutdown) = (TaskTracker::new(), Shutdown::default());
        let upstreams = Upstreams::open(&config.upstreams, &tasks)?;
        let certificates = follow_certificates(&config)?;
        let store = Store::open(&config.state, &master, clock.clone())?;
        check_others(&config)?;
        let identity =
            Identity::new(config.identity.clone(), store.clone(), &master, clock.clone())?
                .fetching(Arc::new(HttpsFetch));
        identity.recall_keys().await;
        // Those that do not answer now are asked again when their tokens come.
        identity.keep_keys().await;
        let voucher = voucher(&config, &master, clock.clone())?;
        let fields = known_fields(store.clone()).await?;
        identity.load_roster().await?;
        let desk = Desk::new(store.clone(), clock.clone());
        desk.set_two_person(&program.two_person()).await?;
        let curbs = load_curbs(&store).await?;
        let limits = open_limits(&config, &store, &identity, (&clock, &master)).await?;
        let log = open_log(&config, &clock, &master)?;
        let addresses = Arc::new(AddressLimits::new(&config.addresses, &clock));
        record_start(&log, program.version()).await?;
        let telemetry = Arc::new(Telemetry::new());
        telemetry.in_force(program.version(), None);
        let gate = Arc::new(Gate::new(
            Parts {
                policies: Arc::new(Policies::new(program)),
                curbs,
                identity: Arc::new(identity),
                switches: Arc::new(Switches::new(store.clone())),
                limits: Arc::new(limits),
                addresses,
                upstreams: Arc::new(upstreams),
                voucher,
                scanners: Arc::new(Scanners::new(&config.scanners)),
                log: log.clone(),
                telemetry,
                clock: clock.clone(),
                tasks: tasks.clone(),
                fields,
                caps: config.caps,
                settings: config.proxy.clone(),
            },
            &master,
        )?);
        let reviewer = Reviewer::begin(store.clone(), &gate, &master).await?;
        gate.tidy_ledger().await;
        gate.tidy_commands().await;
        let mut bound = Bound::bind(&config, &certificates).await?;
        let mut server = Self {
            addresses: bound.addresses(),
            metrics: bound.metrics_address(),
            admin: bound.admin_address(),
            gate,
            desk,
            log,
            tasks,
            shutdown,
            drain: config.drain,
            reload: Vec::new(),
            monitoring: Monitoring::default(),
        };
        server.keep_policies(&config, &backends);
        server.keep_certificates(certificates);
        server.keep_board(&config, (&clock, &master), &store).await?;
        server.keep_notices(&store, &config, (&clock, &master)).await?;
        server.keep_log(store, &config, (&clock, &master))?;
        server.serve_admin(&config, &clock, &mut bound);
        server.tasks.spawn(reviewer.run(server.shutdown.finish.clone()));
        server.keep_shared().await;
        server.serve(bound);
        Ok(server)
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

    /// Has the policy folders and the listeners' certificates read again, soon. What comes of it is told as an event and in the log.
    pub fn reload(&self) {
        self.reload.iter().for_each(|asked| asked.notify_one());
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
        self.monitoring.stop.cancel();
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

/// The parts that go on beside requests.
impl Server {
    /// Follows the policy folder, and that of the candidate if there is one.
    fn keep_policies(&mut self, config: &Config, backends: &Backends) {
        let live = Some((Role::Live, config.policies.clone()));
        let shadow = config.shadow.clone().map(|folder| (Role::Shadow, folder));
        for (role, folder) in live.into_iter().chain(shadow) {
            let watch = config.policies_watch.then(|| Watch::begin(&folder));
            let asked = Arc::new(Notify::new());
            self.reload.push(Arc::clone(&asked));
            let reloader = Reloader {
                role,
                folder,
                backends: backends.clone(),
                policies: Arc::clone(&self.gate.policies),
                log: self.log.clone(),
                desk: self.desk.clone(),
                telemetry: Arc::clone(&self.gate.telemetry),
                asked,
                refused: None,
            };
            self.tasks.spawn(reloader.run(watch, self.shutdown.finish.clone()));
        }
    }

    /// Looks after the end of the log's entries, carries them elsewhere, and keeps their index and what is read of them.
    fn keep_log(
        &self,
        store: Store,
        config: &Config,
        (clock, master): (&Clock, &MasterKey),
    ) -> Result<(), SecretError> {
        let keeper = retention::Keeper {
            log: self.log.clone(),
            store: store.clone(),
            policies: Arc::clone(&self.gate.policies),
            telemetry: Arc::clone(&self.gate.telemetry),
        };
        self.tasks.spawn(keeper.run(self.shutdown.finish.clone()));
        self.keep_backups(config, &store, clock, master);
        self.ship(config, clock, master)?;
        self.keep_index(config, master)
    }

    /// Keeps the log's index, and brings into the log what was read of it.
    fn keep_index(&self, config: &Config, master: &MasterKey) -> Result<(), SecretError> {
        let rest = match at_rest(config)? {
            AtRest::Under(own) => own,
            AtRest::UnderMaster | AtRest::Legible => RestKey::new(master)?,
        };
        let dir = config.index.clone().unwrap_or_else(|| Index::place_of(&config.log));
        let indexer = index::Indexer {
            dir,
            log_dir: config.log.clone(),
            log: self.log.clone(),
            opener: Opener::new(&config.log, vec![rest]),
            master: master.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
            clock: self.gate.clock.clone(),
            told: std::sync::atomic::AtomicBool::new(false),
        };
        let finish = &self.shutdown.finish;
        self.tasks.spawn(indexer.run(finish.clone()));
        let readings = Readings::new(&config.log, master)?;
        self.tasks.spawn(readings::keep(self.log.clone(), readings, finish.clone()));
        Ok(())
    }

    /// Makes backups, and looks how old they are.
    fn keep_backups(&self, config: &Config, store: &Store, clock: &Clock, master: &MasterKey) {
        let Some(settings) = config.backup.clone() else { return };
        let verifier = self.log.verifier().clone();
        let keeper = backups::Keeper {
            maker: Arc::new(maker(
                config,
                store.clone(),
                verifier,
                (clock.clone(), master.clone()),
            )),
            settings,
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
        };
        self.tasks.spawn(keeper.run(self.shutdown.finish.clone()));
    }

    /// Carries the log elsewhere.
    fn ship(&self, config: &Config, clock: &Clock, master: &MasterKey) -> Result<(), SecretError> {
        let log = self.log.clone();
        let durable = Arc::new(move || log.health().durable);
        let source = ship_source(config, master)?;
        for settings in &config.ship {
            let shipper = shipping::Shipper {
                settings: settings.clone(),
                cursors: cursors(config),
                source: ship::Source { durable: Some(durable.clone()), ..source.clone() },
                log: self.log.clone(),
                telemetry: Arc::clone(&self.gate.telemetry),
                clock: clock.clone(),
            };
            self.tasks.spawn(shipper.run(self.shutdown.finish.clone()));
        }
        Ok(())
    }

    /// Tells people what needs one of them.
    async fn keep_notices(
        &self,
        store: &Store,
        config: &Config,
        (clock, master): (&Clock, &MasterKey),
    ) -> Result<(), StartError> {
        if config.notify.is_empty() {
            return Ok(());
        }
        let log = self.log.clone();
        let durable: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || log.health().durable);
        let source = ship_source(config, master)?;
        let notices = notices::Notices {
            targets: config.notify.clone(),
            source: ship::Source { durable: Some(durable), ..source },
            store: store.clone(),
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
            clock: clock.clone(),
        };
        let next = notices.begin().await?;
        notices.spawn(next, &self.tasks, &self.shutdown.finish);
        Ok(())
    }

    /// Follows the certificates of the listeners.
    fn keep_certificates(&mut self, listeners: Vec<Followed>) {
        let asked = Arc::new(Notify::new());
        self.reload.push(Arc::clone(&asked));
        let certificates = Certificates::new(listeners, self.log.clone(), asked);
        self.tasks.spawn(certificates.run(self.shutdown.finish.clone()));
    }

    /// Serves the interface for the security team, if there is one.
    fn serve_admin(&self, config: &Config, clock: &Clock, bound: &mut Bound) {
        let (Some(settings), Some((address, listener))) = (&config.admin, bound.admin.take())
        else {
            return;
        };
        tracing::info!(%address, "the security team's interface");
        let (gate, desk) = (Arc::clone(&self.gate), self.desk.clone());
        let admin = Admin::new(gate, desk, settings.settings.clone(), clock);
        // Its own: whoever floods the gate does not keep the security team out.
        let addresses = Arc::new(AddressLimits::new(&AddressSettings::default(), clock));
        let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
        self.tasks.spawn(listener.serve(Arc::new(admin), addresses, tasks, shutdown));
    }

    /// Keeps the part in a store of shared budgets, until the last request has ended.
    async fn keep_shared(&self) {
        let Some(shared) = self.gate.limits.shared() else { return };
        let keeper = Keeper {
            shared: Arc::clone(shared),
            limits: Arc::clone(&self.gate.limits),
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
        };
        keeper.begin().await;
        let Monitoring { tasks, stop } = &self.monitoring;
        tasks.spawn(keeper.run(stop.clone()));
    }

    /// Hears of what is done at other gates, and tells them, until the last request has ended.
    async fn keep_board(
        &self,
        config: &Config,
        (clock, master): (&Clock, &MasterKey),
        store: &Store,
    ) -> Result<(), StartError> {
        let keeper = bulletin::Keeper::open(config, clock, master, (store, &self.gate))?;
        let Some(mut keeper) = keeper else { return Ok(()) };
        keeper.begin().await;
        let Monitoring { tasks, stop } = &self.monitoring;
        tasks.spawn(keeper.run(stop.clone()));
        Ok(())
    }

    /// Serves what was bound.
    fn serve(&self, bound: Bound) {
        for (address, listener) in bound.listeners {
            tracing::info!(%address, "listening");
            let addresses = Arc::clone(&self.gate.addresses);
            let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
            self.tasks.spawn(listener.serve(Arc::clone(&self.gate), addresses, tasks, shutdown));
        }
        if let Some((address, listener)) = bound.metrics {
            tracing::info!(%address, "metrics");
            let (log, finish) = (self.log.clone(), self.shutdown.finish.clone());
            let health = move || {
                let health = log.health();
                Health {
                    is_draining: finish.is_cancelled(),
                    can_record: health.is_healthy,
                    missed_entries: health.missed,
                }
            };
            let Monitoring { tasks, stop } = &self.monitoring;
            let telemetry = Arc::clone(&self.gate.telemetry);
            tasks.spawn(listener.serve(telemetry, health, tasks.clone(), stop.clone()));
        }
        let gate = Arc::clone(&self.gate);
        let finish = &self.shutdown.finish;
        self.tasks.spawn(commands::keep(Arc::clone(&gate), finish.clone()));
        self.tasks.spawn(housekeeping(gate, finish.clone()));
    }
}

/// Ports that are bound and not served yet.
struct Bound {
    listeners: Vec<(SocketAddr, Listener)>,
    metrics: Option<(SocketAddr, telemetry::Listener)>,
    admin: Option<(SocketAddr, Listener)>,
}

impl Bound {
    async fn bind(config: &Config, certificates: &[Followed]) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for (settings, followed) in all_listeners(config).zip(certificates) {
            let address = settings.socket.address;
            let refused = |source| StartError::Listen { address, source };
            let listener = Listener::bind(settings.socket.clone(), followed.shown());
            let listener = listener.await.map_err(refused)?;
            listeners.push((listener.address().map_err(refused)?, listener));
        }
        let mut metrics = None;
        if let Some(settings) = config.metrics {
            let address = settings.address;
            let refused = |source| StartError::Listen { address, source };
            let listener = telemetry::Listener::bind(settings).await.map_err(refused)?;
            metrics = Some((listener.address().map_err(refused)?, listener));
        }
        let admin = if config.admin.is_some() { listeners.pop() } else { None };
        Ok(Self { listeners, metrics, admin })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(address, _)| *address).collect()
    }

    fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }
}

/// Checks all that can be checked without opening anything: the policy, where its routes go, the
/// certificates and keys. Gives the compiled policy.
///
/// # Errors
/// [`StartError`], as a start would give it.
pub fn check(config: &Config) -> Result<Program, StartError> {
    let program = admit(&read_policies(&config.policies)?, &Backends::of(config))?;
    Upstreams::open(&config.upstreams, &TaskTracker::new())?;
    for listener in all_listeners(config) {
        tls::server_config(&listener.tls)?;
    }
    check_others(config)?;
    if let Some(shared) = &config.shared {
        shared.redis.check()?;
    }
    MasterKey::read(&config.key)?;
    at_rest(config)?;
    Ok(program)
}

/// All listeners that speak TLS; that of the security team comes last.
fn all_listeners(config: &Config) -> impl Iterator<Item = &config::Listener> {
    config.listeners.iter().chain(config.admin.as_ref().map(|admin| &admin.listener))
}

/// The budgets, with what was used of them before, shared with other gates where the configuration says so.
async fn open_limits(
    config: &Config,
    store: &Store,
    identity: &Identity,
    (clock, master): (&Clock, &MasterKey),
) -> Result<Limits, StartError> {
    let usage = StoredUsage::load(store.clone(), |account| identity.counted_as(account)).await?;
    let limits = Limits::open(config.limits.clone(), clock, Arc::new(usage))?;
    Ok(match shared::open(config, clock, master)? {
        Some(shared) => limits.sharing(shared),
        None => limits,
    })
}

/// The certificates of the listeners, as they are now.
fn follow_certificates(config: &Config) -> Result<Vec<Followed>, TlsError> {
    all_listeners(config).map(|one| Followed::begin(one.socket.address, one.tls.clone())).collect()
}

/// Who tells the backends who asks.
fn voucher(config: &Config, master: &MasterKey, clock: Clock) -> Result<Voucher, SecretError> {
    let assertions = Assertions::new(config.assertions.clone(), master, clock)?;
    Ok(Voucher { assertions, upstreams: config.vouching.clone() })
}

/// Reads what vouches for issuers, for the places that the log is carried to and for the targets of notices.
fn check_others(config: &Config) -> Result<(), StartError> {
    check_issuers(config)?;
    config.ship.iter().try_for_each(ship::check)?;
    config.notify.iter().try_for_each(notify::check)?;
    Ok(())
}

/// Reads the certificates that vouch for issuers.
fn check_issuers(config: &Config) -> Result<(), FetchError> {
    for issuer in &config.identity.issuers {
        if let KeySource::Url { ca, .. } = &issuer.keys {
            fetch::check_ca(ca)?;
        }
        if let Some(client) = &issuer.sign_in {
            fetch::check_ca(&client.ca)?;
        }
    }
    Ok(())
}

/// Opens the log as a gate with this configuration does, such as to record what an operator did.
///
/// # Errors
/// [`LogError`].
pub fn open_log(config: &Config, clock: &Clock, master: &MasterKey) -> Result<Log, LogError> {
    let settings = audit::Settings {
        origin: format!("menshen.log/{}", config.node),
        node: config.node.clone(),
        at_rest: at_rest(config)?,
        copies: config.checkpoint_copies.as_ref().map(|copies| audit::CopySettings {
            folder: copies.folder.clone(),
            every: copies.every,
        }),
        ..audit::Settings::default()
    };
    let (log, recovery) = Log::open(&config.log, settings, clock.clone(), master)?;
    tracing::info!(?recovery, "the log is open");
    Ok(log)
}

/// What wraps the keys of the log's entries.
///
/// # Errors
/// [`SecretError`] if the file that is named cannot be used.
pub fn at_rest(config: &Config) -> Result<AtRest, SecretError> {
    let Some(file) = &config.log_key else { return Ok(AtRest::UnderMaster) };
    RestKey::new(&MasterKey::read(file)?).map(AtRest::Under)
}

/// The log as it is read to be carried elsewhere.
///
/// # Errors
/// [`SecretError`] if its key cannot be used.
pub fn ship_source(config: &Config, master: &MasterKey) -> Result<ship::Source, SecretError> {
    let rest = match at_rest(config)? {
        AtRest::Under(own) => vec![own, RestKey::new(master)?],
        AtRest::UnderMaster | AtRest::Legible => vec![RestKey::new(master)?],
    };
    let (node, dir) = (config.node.clone(), config.log.clone());
    let opener = Opener::new(&dir, rest);
    Ok(ship::Source { node, dir, opener, durable: None })
}

/// The folder of the cursors of what is carried elsewhere.
#[must_use]
pub fn cursors(config: &Config) -> PathBuf {
    config.state.join("shipping")
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
