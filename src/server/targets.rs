//! Where the log goes beside the requests: places it is carried to, witnesses, people who are told. Each can come and go while
//! the gate runs; what was not delivered by then goes after the next beginning, from where its cursor stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::notices::Notices;
use super::{StartError, shipping, witnesses};
use crate::audit::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::ship;
use crate::state::Store;
use crate::telemetry::Telemetry;
use crate::{notify, server};

/// So long whatever ends may take before the next of its name begins; a step that was begun is ended meanwhile.
const END: Duration = Duration::from_secs(5);

/// What all of them need.
pub(super) struct Means {
    pub(super) source: ship::Source,
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
    pub(super) tasks: TaskTracker,
    /// The end of all of them.
    pub(super) stop: CancellationToken,
}

/// One that goes on.
struct Going {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Going {
    /// Has it end, and waits for that.
    async fn end(self) {
        self.stop.cancel();
        let ended = async {
            for task in self.tasks {
                // One that panicked has ended, too.
                task.await.unwrap_or_default();
            }
        };
        if tokio::time::timeout(END, ended).await.is_err() {
            tracing::error!("something that carries the log elsewhere does not end");
        }
    }
}

/// All that go on now, as the configuration names them.
pub(super) struct Targets {
    means: Means,
    /// The folder of the log and that of the cursors, which no reload changes.
    started: Box<Config>,
    shippers: HashMap<String, (ship::Settings, Going)>,
    witnesses: HashMap<String, (ship::WitnessSettings, Going)>,
    notices: Option<(Vec<notify::Settings>, Going)>,
}

impl Targets {
    /// None yet.
    pub(super) fn new(means: Means, started: Box<Config>) -> Self {
        let (shippers, witnesses) = (HashMap::new(), HashMap::new());
        Self { means, started, shippers, witnesses, notices: None }
    }

    /// Begins those of the start.
    ///
    /// # Errors
    /// [`StartError`] if the state cannot say what people were told.
    pub(super) async fn begin(&mut self, config: &Config) -> Result<(), StartError> {
        if !config.notify.is_empty() {
            let notices = self.notices_for(&config.notify);
            let next = notices.begin().await?;
            let stop = self.means.stop.child_token();
            let tasks = notices.spawn(next, &self.means.tasks, &stop);
            self.notices = Some((config.notify.clone(), Going { stop, tasks }));
        }
        self.set(config).await;
        Ok(())
    }

    /// Has those go on that the configuration names, and no others.
    pub(super) async fn set(&mut self, config: &Config) {
        self.set_shippers(&config.ship).await;
        self.set_witnesses(&config.witnesses).await;
        self.set_notices(&config.notify).await;
    }

    async fn set_shippers(&mut self, wanted: &[ship::Settings]) {
        for (settings, going) in take_others(&mut self.shippers, wanted) {
            going.end().await;
            self.means.telemetry.ship_ended(&settings.name);
        }
        for settings in wanted {
            if self.shippers.contains_key(&settings.name) {
                continue;
            }
            let stop = self.means.stop.child_token();
            let shipper = shipping::Shipper {
                settings: settings.clone(),
                cursors: server::cursors(&self.started),
                source: self.means.source.clone(),
                log: self.means.log.clone(),
                telemetry: Arc::clone(&self.means.telemetry),
                clock: self.means.clock.clone(),
            };
            let tasks = vec![self.means.tasks.spawn(shipper.run(stop.clone()))];
            let going = (settings.clone(), Going { stop, tasks });
            self.shippers.insert(settings.name.clone(), going);
        }
    }

    async fn set_witnesses(&mut self, wanted: &[ship::WitnessSettings]) {
        for (settings, going) in take_others(&mut self.witnesses, wanted) {
            going.end().await;
            self.means.telemetry.witness_ended(&settings.name);
        }
        for settings in wanted {
            if self.witnesses.contains_key(&settings.name) {
                continue;
            }
            let stop = self.means.stop.child_token();
            let verifier = self.means.log.verifier().clone();
            let asker = witnesses::Asker {
                settings: settings.clone(),
                shown: ship::WitnessedLog { dir: self.started.log.clone(), verifier },
                log: self.means.log.clone(),
                telemetry: Arc::clone(&self.means.telemetry),
                clock: self.means.clock.clone(),
            };
            let tasks = vec![self.means.tasks.spawn(asker.run(stop.clone()))];
            let going = (settings.clone(), Going { stop, tasks });
            self.witnesses.insert(settings.name.clone(), going);
        }
    }

    /// One reads for all of them, so all begin anew where one changes; what waits for a target stays.
    async fn set_notices(&mut self, wanted: &[notify::Settings]) {
        if self.notices.as_ref().map_or(&[][..], |(settings, _)| settings) == wanted {
            return;
        }
        if let Some((targets, going)) = self.notices.take() {
            going.end().await;
            targets.iter().for_each(|one| self.means.telemetry.notices_ended(&one.name));
        }
        let notices = self.notices_for(wanted);
        let (stop, tasks) = (self.means.stop.child_token(), self.means.tasks.clone());
        let until = stop.clone();
        let task = self.means.tasks.spawn(async move {
            // It runs until told to stop, the waiting for a state that cannot be read included.
            until
                .run_until_cancelled(notices.begin_and_go(&tasks, &until))
                .await
                .unwrap_or_default();
        });
        self.notices = Some((wanted.to_vec(), Going { stop, tasks: vec![task] }));
    }

    fn notices_for(&self, targets: &[notify::Settings]) -> Notices {
        Notices {
            targets: targets.to_vec(),
            source: self.means.source.clone(),
            store: self.means.store.clone(),
            log: self.means.log.clone(),
            telemetry: Arc::clone(&self.means.telemetry),
            clock: self.means.clock.clone(),
        }
    }
}

/// Takes out those that are not among the wanted ones as they are.
fn take_others<S: PartialEq>(
    going: &mut HashMap<String, (S, Going)>,
    wanted: &[S],
) -> Vec<(S, Going)> {
    let is_other = |settings: &S| !wanted.contains(settings);
    let names: Vec<String> = going
        .iter()
        .filter(|(_, (settings, _))| is_other(settings))
        .map(|(name, _)| name.clone())
        .collect();
    names.iter().filter_map(|name| going.remove(name)).collect()
}
