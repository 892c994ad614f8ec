//! The order of a start: every file is read and every part opened before the first port is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify};
use tokio_util::task::TaskTracker;

use super::activation;
use super::bound::{Bound, follow_certificates};
use super::certificates::Followed;
use super::check::check_others;
use super::fetch::HttpsFetch;
use super::fields::known_fields;
use super::log::{open_sink, record_start};
use super::policies::{Backends, admit, demands, read_policies};
use super::prepared::Handles;
use super::review::{Reviewer, load_curbs};
use super::usage::StoredUsage;
use super::{
    Monitoring, Server, StartError, lost, memory, restored, retention, shared, started, traces,
};
use crate::audit::Sink;
use crate::clock::Clock;
use crate::command::{Desk, Switches};
use crate::config::Config;
use crate::consent::Register;
use crate::grant::Counter;
use crate::identity::{Assertions, CaseTickets, Identity};
use crate::limits::{AddressLimits, Limits};
use crate::link::Links;
use crate::listen::{Shutdown, Sockets};
use crate::policy::Program;
use crate::proxy::{Configured, Gate, Grants, Parts, Policies, Voucher};
use crate::registry::{Office, Registry};
use crate::scan::Scanners;
use crate::secret::MasterKey;
use crate::state::{Claim, Store};
use crate::telemetry::Telemetry;
use crate::tls::Challenges;
use crate::upstream::Upstreams;

/// What the parts of a start have in common.
struct Opening {
    config: Box<Config>,
    clock: Clock,
    master: MasterKey,
    backends: Backends,
    program: Arc<Program>,
    claim: Claim,
    store: Store,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl Server {
    pub(super) async fn open(
        config: Box<Config>,
        clock: Clock,
        (sink, sockets): (Sink, Sockets),
    ) -> Result<Self, StartError> {
        let master = MasterKey::read(&config.key)?;
        let backends = Backends::of(&config);
        let sources = read_policies(&config.policies)?;
        let program = Arc::new(admit(&sources, &backends)?);
        let (tasks, shutdown) = (TaskTracker::new(), Shutdown::default());
        let upstreams = Upstreams::open(&config.upstreams, &tasks)?;
        let challenges = Arc::new(Challenges::default());
        let certificates = follow_certificates(&config, &challenges)?;
        lost::check(&config, &clock).await?;
        let claim = Claim::take(&config.state)?;
        let store = restored::open_settled(&config, &master, &clock).await?;
        check_others(&config)?;
        let desk = Desk::new(store.clone(), clock.clone());
        let began = activation::at_start(&store, &desk, (program, sources), &backends).await?;
        let (program, sources, waiting) = began;
        let opening =
            Opening { config, clock, master, backends, program, claim, store, tasks, shutdown };
        let gate = Box::pin(opening.gate(&desk, upstreams, sink)).await?;
        activation::keep(&opening.store, &opening.program, &sources).await?;
        waiting.iter().for_each(activation::tell);
        gate.policies.set_waiting(waiting);
        let reviewer = Reviewer::begin(opening.store.clone(), &gate, &opening.master).await?;
        gate.tidy_ledger().await;
        gate.tidy_commands().await;
        gate.look_for_links().await;
        gate.look_for_subjects().await;
        let bound = Bound::bind(&opening.config, (&certificates, &challenges), sockets).await?;
        Box::pin(opening.run(gate, desk, reviewer, (bound, certificates, challenges))).await
    }
}

impl Opening {
    /// Everything that a request passes.
    async fn gate(
        &self,
        desk: &Desk,
        upstreams: Upstreams,
        sink: Sink,
    ) -> Result<Arc<Gate>, StartError> {
        let Self { config, clock, master, program, store, tasks, .. } = self;
        let identity = Box::pin(self.identity()).await?;
        let configured = configured(config, master, clock.clone())?;
        let fields = known_fields(store.clone()).await?;
        identity.load_roster().await?;
        desk.set_two_person(&program.two_person()).await?;
        let office = Office::new(store.clone(), master, clock.clone())?;
        office.set_demands(&demands(program)).await?;
        let registry = Arc::new(Registry::new(office));
        let curbs = load_curbs(store).await?;
        let counter = Counter::new(store.clone(), master, clock.clone())?;
        let grants = Arc::new(Grants::new(counter, clock));
        let log = open_sink(config, clock, master, sink)?;
        log.tell_tenants(&retention::tenants(program))?;
        // Before anything counts on what the state says.
        memory::compare(store, &log, &config.node).await?;
        let limits = self.limits(&identity).await?;
        record_start(&log, program.version(), store.mark().await?).await?;
        let telemetry = Arc::new(Telemetry::new());
        telemetry.in_force(program.version(), None);
        let parts = Parts {
            policies: Arc::new(Policies::new(Arc::clone(program))),
            curbs,
            grants,
            registry,
            identity: Arc::new(identity),
            switches: Arc::new(Switches::new(store.clone())),
            links: Arc::new(Links::new(store.clone(), master, clock.clone())?),
            subjects: Arc::new(Register::new(store.clone(), master, clock.clone())?),
            limits: Arc::new(limits),
            addresses: Arc::new(AddressLimits::new(&config.addresses, clock)),
            upstreams: Arc::new(upstreams),
            log,
            traces: traces::open(config, &telemetry),
            telemetry,
            clock: clock.clone(),
            tasks: tasks.clone(),
            fields,
            configured: ArcSwap::from_pointee(configured),
        };
        Ok(Arc::new(Gate::new(parts, master)?))
    }

    async fn identity(&self) -> Result<Identity, StartError> {
        let (settings, clock) = (self.config.identity.clone(), self.clock.clone());
        let identity = Identity::new(settings, self.store.clone(), &self.master, clock)?
            .fetching(Arc::new(HttpsFetch));
        let identity = match shared::proofs(&self.config, &self.clock, &self.master).await? {
            Some(proofs) => identity.sharing_proofs(proofs),
            None => identity,
        };
        identity.recall_keys().await;
        // Those that do not answer now are asked again when their tokens come.
        identity.keep_keys().await;
        Ok(identity)
    }

    async fn limits(&self, identity: &Identity) -> Result<Limits, StartError> {
        let Self { config, clock, master, store, .. } = self;
        let usage =
            StoredUsage::load(store.clone(), |account| identity.counted_as(account)).await?;
        let limits = Limits::open(config.limits.clone(), clock, Arc::new(usage))?;
        let limits = match shared::open(config, clock, master)? {
            Some(shared) => limits.sharing(shared),
            None => limits,
        };
        restored::begin(store, identity, &limits).await?;
        Ok(limits)
    }

    /// Begins all that goes on beside requests, then serves them.
    async fn run(
        self,
        gate: Arc<Gate>,
        desk: Desk,
        reviewer: Reviewer,
        (mut bound, certificates, challenges): (Bound, Vec<Arc<Followed>>, Arc<Challenges>),
    ) -> Result<Server, StartError> {
        let Self { config, clock, master, backends, claim, store, tasks, shutdown, program: _ } =
            self;
        let (backends, settings) = (Arc::new(Mutex::new(backends)), config.admin.as_ref());
        let admin = settings.map(|admin| Arc::new(ArcSwap::from_pointee(admin.settings.clone())));
        let drain_ms = u64::try_from(config.drain.as_millis()).unwrap_or(u64::MAX);
        started::keep(&config);
        let mut server = Server {
            addresses: bound.addresses(),
            metrics: bound.metrics_address(),
            admin: bound.admin_address(),
            redirect: bound.redirect_address(),
            log: gate.log.clone(),
            gate,
            desk,
            tasks,
            shutdown,
            drain_ms: Arc::new(AtomicU64::new(drain_ms)),
            asked: Arc::new(Notify::new()),
            reload: Vec::new(),
            monitoring: Monitoring::default(),
            exporter: TaskTracker::new(),
            _claim: claim,
        };
        server.keep_policies(&config, &backends);
        let renewed = server.keep_certificates(&certificates);
        let wanted = server.keep_acme(&config, challenges, renewed);
        server.keep_board(&config, (&clock, &master), &store).await?;
        let targets = server.keep_targets(&store, &config, (&clock, &master)).await?;
        server.keep_log(store, &config, (&clock, &master))?;
        server.serve_admin(admin.as_ref(), &clock, &mut bound);
        server.send_traces(&config);
        let handles = Handles {
            started: config.clone(),
            gate: Arc::clone(&server.gate),
            master,
            clock,
            listeners: certificates,
            redirect: bound.redirect.as_ref().map(|(_, redirect)| redirect.settings()),
            admin,
            drain_ms: Arc::clone(&server.drain_ms),
            wanted,
        };
        server.keep_configuration(handles, targets, (config, backends));
        server.tasks.spawn(reviewer.run(server.shutdown.finish.clone()));
        server.keep_shared().await;
        server.serve(bound);
        Ok(server)
    }
}

/// What the operator may change while the gate runs. Reads the keys of business systems.
pub(super) fn configured(
    config: &Config,
    master: &MasterKey,
    clock: Clock,
) -> Result<Configured, StartError> {
    let assertions = Assertions::new(config.assertions.clone(), master, clock)?;
    Ok(Configured {
        cases: Arc::new(CaseTickets::load(&config.case_issuers)?),
        voucher: Voucher { assertions, upstreams: config.vouching.clone() },
        scanners: Arc::new(Scanners::new(&config.scanners)),
        caps: config.caps,
        settings: config.proxy.clone(),
    })
}
