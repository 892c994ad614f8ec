//! The parts that go on beside requests.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::bound::Bound;
use super::certificates::{Certificates, Followed};
use super::configuration::Reconfigurer;
use super::log::{at_rest, ship_source};
use super::policies::Backends;
use super::prepared::Handles;
use super::reload::Reloader;
use super::shared::Keeper;
use super::targets::{self, Targets};
use super::watch::Watch;
use super::{
    Monitoring, Server, StartError, acme, backups, bulletin, campaigns, commands, healing, index,
    maker, memory, readings, restored, retention,
};
use crate::admin::{self, Admin};
use crate::audit::{AtRest, Opener, Readings, RestKey};
use crate::campaign::Campaigns;
use crate::clock::Clock;
use crate::config::Config;
use crate::index::Index;
use crate::limits::{AddressLimits, AddressSettings};
use crate::proxy::Gate;
use crate::secret::{MasterKey, SecretError};
use crate::ship;
use crate::state::Store;
use crate::telemetry::{Health, Role, UpstreamEndpoint, UpstreamHealth};
use crate::tls::Challenges;
use crate::upstream::SeenUpstream;

impl Server {
    /// Follows the policy folder, and that of the candidate if there is one.
    pub(super) fn keep_policies(&mut self, config: &Config, backends: &Arc<Mutex<Backends>>) {
        let live = Some((Role::Live, config.policies.clone()));
        let shadow = config.shadow.clone().map(|folder| (Role::Shadow, folder));
        for (role, folder) in live.into_iter().chain(shadow) {
            let watch = config.policies_watch.then(|| Watch::begin(&folder));
            let asked = Arc::new(Notify::new());
            self.reload.push(Arc::clone(&asked));
            let reloader = Reloader {
                role,
                folder,
                backends: Arc::clone(backends),
                policies: Arc::clone(&self.gate.policies),
                log: self.log.clone(),
                desk: self.desk.clone(),
                store: self.desk.place().0,
                registry: Arc::clone(&self.gate.registry),
                telemetry: Arc::clone(&self.gate.telemetry),
                asked,
                refused: None,
            };
            self.tasks.spawn(reloader.run(watch, self.shutdown.finish.clone()));
        }
    }

    /// Looks after the end of the log's entries, carries them elsewhere, and keeps their index and what is read of them.
    pub(super) fn keep_log(
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
        self.tasks.spawn(healing::keep(store.clone(), self.shutdown.finish.clone()));
        let (limits, finish) = (Arc::clone(&self.gate.limits), self.shutdown.finish.clone());
        self.tasks.spawn(restored::follow(store.clone(), limits, finish));
        let reviews = Campaigns::beside(&self.desk);
        self.tasks.spawn(campaigns::keep(reviews, self.shutdown.finish.clone()));
        self.tasks.spawn(memory::keep(
            store.clone(),
            self.log.clone(),
            self.shutdown.finish.clone(),
        ));
        self.keep_backups(config, &store, clock, master);
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
            feed: self.log.feed(),
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

    /// Carries the log elsewhere, shows its checkpoints to witnesses, and tells people what needs one of them.
    pub(super) async fn keep_targets(
        &self,
        store: &Store,
        config: &Config,
        (clock, master): (&Clock, &MasterKey),
    ) -> Result<Targets, StartError> {
        let log = self.log.clone();
        let durable: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || log.health().durable);
        let source = ship::Source { durable: Some(durable), ..ship_source(config, master)? };
        let means = targets::Means {
            source,
            store: store.clone(),
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
            clock: clock.clone(),
            tasks: self.tasks.clone(),
            stop: self.shutdown.finish.clone(),
        };
        let mut targets = Targets::new(means, Box::new(config.clone()));
        targets.begin(config).await?;
        Ok(targets)
    }

    /// Follows the certificates of the listeners and those for the backends.
    ///
    /// Gives what wakes whoever does.
    pub(super) fn keep_certificates(&mut self, listeners: &[Arc<Followed>]) -> Arc<Notify> {
        let asked = Arc::new(Notify::new());
        self.reload.push(Arc::clone(&asked));
        let upstreams = Arc::clone(&self.gate.upstreams);
        let (log, woken) = (self.log.clone(), Arc::clone(&asked));
        let certificates = Certificates::new(listeners.to_vec(), upstreams, log, woken);
        self.tasks.spawn(certificates.run(self.shutdown.finish.clone()));
        asked
    }

    /// Orders certificates for the listeners that have them so. Gives where other ones are asked for.
    pub(super) fn keep_acme(
        &self,
        config: &Config,
        challenges: Arc<Challenges>,
        renewed: Arc<Notify>,
    ) -> watch::Sender<acme::Wanted> {
        let wanted = watch::Sender::new(acme::Wanted::of(config));
        let keeper = acme::Keeper {
            state: config.state.clone(),
            challenges,
            wanted: wanted.subscribe(),
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
            renewed,
            clock: Clock::system(),
        };
        self.tasks.spawn(keeper.run(self.shutdown.finish.clone()));
        wanted
    }

    /// Takes up another configuration when the operator asks for it, or the file changes; then whoever else reads files looks.
    pub(super) fn keep_configuration(
        &mut self,
        handles: Handles,
        targets: Targets,
        (config, backends): (Box<Config>, Arc<Mutex<Backends>>),
    ) {
        let watched = config.file.as_ref().filter(|_| config.config_watch);
        let watch = watched.map(|file| Watch::begin(file));
        let reconfigurer = Reconfigurer {
            handles: Arc::new(handles),
            targets,
            backends,
            log: self.log.clone(),
            telemetry: Arc::clone(&self.gate.telemetry),
            current: config,
            asked: Arc::clone(&self.asked),
            then: std::mem::take(&mut self.reload),
            refused: None,
        };
        self.tasks.spawn(reconfigurer.run(watch, self.shutdown.finish.clone()));
    }

    /// Serves the interface for the security team, if there is one.
    pub(super) fn serve_admin(
        &self,
        settings: Option<&Arc<ArcSwap<admin::Settings>>>,
        clock: &Clock,
        bound: &mut Bound,
    ) {
        let (Some(settings), Some((address, listener))) = (settings, bound.admin.take()) else {
            return;
        };
        tracing::info!(%address, "the security team's interface");
        let desks = (self.desk.clone(), Campaigns::beside(&self.desk));
        let admin = Admin::new(Arc::clone(&self.gate), desks, Arc::clone(settings), clock);
        // Its own: whoever floods the gate does not keep the security team out.
        let addresses = Arc::new(AddressLimits::new(&AddressSettings::default(), clock));
        let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
        self.tasks.spawn(listener.serve(Arc::new(admin), addresses, tasks, shutdown));
    }

    /// Keeps the part in a store of shared budgets, until the last request has ended.
    pub(super) async fn keep_shared(&self) {
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
    pub(super) async fn keep_board(
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
    pub(super) fn serve(&self, bound: Bound) {
        for (address, listener) in bound.listeners {
            tracing::info!(%address, "listening");
            let addresses = Arc::clone(&self.gate.addresses);
            let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
            self.tasks.spawn(listener.serve(Arc::clone(&self.gate), addresses, tasks, shutdown));
        }
        if let Some((address, redirect)) = bound.redirect {
            tracing::info!(%address, "sends to the port with TLS");
            let addresses = Arc::clone(&self.gate.addresses);
            let (tasks, shutdown) = (self.tasks.clone(), self.shutdown.clone());
            self.tasks.spawn(redirect.serve(addresses, tasks, shutdown));
        }
        if let Some((address, listener)) = bound.metrics {
            tracing::info!(%address, "metrics");
            let (log, finish) = (self.log.clone(), self.shutdown.finish.clone());
            let gate = Arc::clone(&self.gate);
            let health = move || {
                let health = log.health();
                Health {
                    is_draining: finish.is_cancelled(),
                    can_record: health.is_healthy,
                    can_count: gate.limits.can_count(),
                    missed_entries: health.missed,
                    connections: gate.addresses.connected(),
                    open_requests: gate.limits.admitted(),
                    upstreams: gate.upstreams.seen().into_iter().map(told).collect(),
                }
            };
            let Monitoring { tasks, stop } = &self.monitoring;
            let telemetry = Arc::clone(&self.gate.telemetry);
            tasks.spawn(listener.serve(telemetry, health, tasks.clone(), stop.clone()));
        }
        let gate = Arc::clone(&self.gate);
        gate.upstreams.keep();
        let finish = &self.shutdown.finish;
        self.tasks.spawn(commands::keep(Arc::clone(&gate), finish.clone()));
        self.tasks.spawn(housekeeping(gate, finish.clone()));
    }
}

fn told(seen: SeenUpstream) -> UpstreamHealth {
    let endpoints = seen.endpoints.into_iter().map(|endpoint| UpstreamEndpoint {
        place: endpoint.place,
        is_up: endpoint.is_up,
        is_ejected: endpoint.is_ejected,
        open: endpoint.open,
        fault: endpoint.fault,
    });
    UpstreamHealth {
        name: seen.name,
        endpoints: endpoints.collect(),
        retries: seen.retries,
        ejections: seen.ejections,
        refused: seen.refused,
    }
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
