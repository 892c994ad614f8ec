//! A new policy under a running gate: read, checked, recorded, and only then put in force, in one step.
//!
//! Whatever fails on the way, the policy that decides stays the one that decided before.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::activation::{self, must_wait};
use super::policies::{Backends, PolicyError, admit, admit_candidate, demands, read_policies};
use super::retention;
use super::watch::Watch;
use crate::audit::{Act, Event, Log, LogError, Text};
use crate::command::{CommandError, Desk};
use crate::document::Source;
use crate::policy::{Program, version_of};
use crate::proxy::{Policies, Waiting};
use crate::registry::Registry;
use crate::state::{StateError, Store};
use crate::telemetry::{Reload, Role, Telemetry};

/// Files that change are read until two readings so far apart agree: half a file may well be a policy.
const SETTLE: Duration = Duration::from_millis(250);
/// So often at most; the next look goes on.
const SETTLE_ROUNDS: usize = 20;
/// How often to look whether two persons have agreed to what waits.
const AGREED_EVERY: Duration = Duration::from_millis(500);

/// Puts the policy of a folder in its role whenever it changes, and when the operator asks for it.
pub(super) struct Reloader {
    pub(super) role: Role,
    pub(super) folder: PathBuf,
    /// Held while a policy is judged and put in force, so that the backends are not others meanwhile.
    pub(super) backends: Arc<Mutex<Backends>>,
    pub(super) policies: Arc<Policies>,
    pub(super) log: Log,
    pub(super) desk: Desk,
    pub(super) store: Store,
    pub(super) registry: Arc<Registry>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) asked: Arc<Notify>,
    /// What was refused last, so that it is told once.
    pub(super) refused: Option<String>,
}

/// Why somebody looks at the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// The operator asked: what is found is told, whatever it is.
    Asked,
    /// It may have changed.
    Changed,
}

/// Why a policy was not put in force.
enum Kept {
    Unchanged,
    /// It was refused before, and told.
    StillRefused,
    Refused {
        error: PolicyError,
        version: Option<String>,
    },
    Unrecorded(LogError),
    /// Nobody could be told for which commands it wants a second person.
    Unread(CommandError),
    /// The state could not say or keep what is in force.
    Unkept(StateError),
    /// It is wider, and two persons have not agreed to it.
    Waits(Waiting),
}

impl Reloader {
    /// Goes on until told to stop. Without `watch` it waits to be asked.
    pub(super) async fn run(mut self, mut watch: Option<Watch>, stop: CancellationToken) {
        if self.current().is_none() {
            self.look(Occasion::Changed).await;
        }
        loop {
            let occasion = tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => Occasion::Asked,
                () = look(&mut watch) => Occasion::Changed,
                () = self.agreed() => Occasion::Asked,
            };
            self.look(occasion).await;
        }
    }

    /// Waits until two persons have agreed to the policy that waits, if one does.
    async fn agreed(&self) {
        let waiting = match self.role {
            Role::Live => self.policies.waiting(),
            Role::Shadow => None,
        };
        let Some(waiting) = waiting else { return std::future::pending().await };
        loop {
            tokio::time::sleep(AGREED_EVERY).await;
            if self.store.is_policy_agreed(&waiting.version).await.unwrap_or(false) {
                return;
            }
        }
    }

    async fn look(&mut self, occasion: Occasion) {
        let outcome = self.reload(occasion).await;
        self.tell(outcome, occasion).await;
    }

    /// The program in this role.
    fn current(&self) -> Option<Arc<Program>> {
        match self.role {
            Role::Live => Some(self.policies.live()),
            Role::Shadow => self.policies.candidate(),
        }
    }

    fn current_version(&self) -> String {
        self.current().map_or_else(String::new, |program| program.version().to_owned())
    }

    async fn reload(&self, occasion: Occasion) -> Result<Arc<Program>, Kept> {
        let sources = match occasion {
            Occasion::Asked => self.read().await,
            Occasion::Changed => self.read_settled().await,
        };
        let sources = sources.map_err(|error| Kept::Refused { error, version: None })?;
        let (old, version) = (self.current_version(), version_of(&sources));
        if old == version {
            self.no_longer_waits();
            return Err(Kept::Unchanged);
        }
        if occasion == Occasion::Changed && self.refused.as_deref() == Some(version.as_str()) {
            return Err(Kept::StillRefused);
        }
        let backends = self.backends.lock().await;
        let (role, known) = (self.role, backends.clone());
        let read = sources.clone();
        let judged = move || match role {
            Role::Live => admit(&read, &known),
            Role::Shadow => admit_candidate(&read, &known),
        };
        let program = off_the_runtime(judged).await;
        let program = program.map_err(|error| Kept::Refused { error, version: Some(version) })?;
        let program = Arc::new(program);
        if self.role == Role::Live {
            self.check_agreed(&program).await?;
            self.tell_tenants(&program).await.map_err(Kept::Unrecorded)?;
        }
        self.record(&old, program.version()).await.map_err(Kept::Unrecorded)?;
        if self.role == Role::Live {
            self.desk.set_two_person(&program.two_person()).await.map_err(Kept::Unread)?;
            let told = self.registry.office().set_demands(&demands(&program)).await;
            told.map_err(|error| Kept::Unread(error.into()))?;
            activation::keep(&self.store, &program, &sources).await.map_err(Kept::Unkept)?;
            self.no_longer_waits();
        }
        match self.role {
            Role::Live => self.policies.replace(Arc::clone(&program)),
            Role::Shadow => self.policies.replace_candidate(Arc::clone(&program)),
        }
        Ok(program)
    }

    /// Has the log make keys for the tenants whose entries are kept for times of their own, before any is written.
    async fn tell_tenants(&self, program: &Arc<Program>) -> Result<(), LogError> {
        let (log, tenants) = (self.log.clone(), retention::tenants(program));
        let told = tokio::task::spawn_blocking(move || log.tell_tenants(&tenants)).await;
        told.unwrap_or(Err(LogError::Closed))
    }

    /// Whether it may take the place of the one in force, by what that one says.
    async fn check_agreed(&self, new: &Arc<Program>) -> Result<(), Kept> {
        let (old, new) = (self.policies.live(), Arc::clone(new));
        let words = old.two_person();
        match must_wait(&self.store, &words, old, new).await.map_err(Kept::Unkept)? {
            None => Ok(()),
            Some(waiting) => Err(Kept::Waits(waiting)),
        }
    }

    fn no_longer_waits(&self) {
        if self.role == Role::Live {
            self.policies.set_waiting(None);
        }
    }

    async fn read(&self) -> Result<Vec<Source>, PolicyError> {
        let folder = self.folder.clone();
        off_the_runtime(move || read_policies(&folder)).await
    }

    /// Reads until nobody writes any more. A folder that is replaced is missing for a moment.
    async fn read_settled(&self) -> Result<Vec<Source>, PolicyError> {
        let seen = |read: &Result<Vec<Source>, PolicyError>| match read {
            Ok(sources) => version_of(sources),
            Err(error) => error.to_string(),
        };
        let mut last = self.read().await;
        if seen(&last) == self.current_version() {
            return last;
        }
        for _ in 0..SETTLE_ROUNDS {
            tokio::time::sleep(SETTLE).await;
            let next = self.read().await;
            if seen(&next) == seen(&last) {
                break;
            }
            last = next;
        }
        last
    }

    /// From here on another policy decides; reviewers see since when, and which one did before.
    async fn record(&self, old: &str, new: &str) -> Result<(), LogError> {
        let mut entry = self.log.entry(Event::Change)?;
        let name = match self.role {
            Role::Live => "policy_loaded",
            Role::Shadow => "shadow_loaded",
        };
        entry.act = Some(Act {
            name: name.into(),
            object: "policy".into(),
            succeeded: Some(true),
            before: old.into(),
            after: new.into(),
            ..Act::default()
        });
        self.log.append(entry).await.map(drop)
    }

    async fn record_refusal(&self, count: usize, version: Option<&str>) -> Result<(), LogError> {
        let mut entry = self.log.entry(Event::Change)?;
        let name = match self.role {
            Role::Live => "policy_refused",
            Role::Shadow => "shadow_refused",
        };
        entry.act = Some(Act {
            name: name.into(),
            object: "policy".into(),
            succeeded: Some(false),
            before: self.current_version().as_str().into(),
            after: Text::from(version.unwrap_or_default()),
            count: u64::try_from(count).ok(),
            ..Act::default()
        });
        self.log.append(entry).await.map(drop)
    }
}

/// Telling what became of it.
impl Reloader {
    async fn tell(&mut self, outcome: Result<Arc<Program>, Kept>, occasion: Occasion) {
        match outcome {
            Ok(program) => {
                self.refused = None;
                self.telemetry.reloaded(self.role, Reload::Loaded);
                self.tell_versions();
                let (version, warnings) = (program.version(), program.warnings().len());
                let what = self.role.word();
                tracing::info!(what, version, warnings, "a new policy is in force");
            }
            Err(Kept::Unchanged) => {
                let was_refused = self.refused.take().is_some();
                if occasion == Occasion::Asked {
                    self.telemetry.reloaded(self.role, Reload::Unchanged);
                    tracing::info!(what = self.role.word(), "the policy is unchanged");
                } else if was_refused {
                    let what = self.role.word();
                    tracing::info!(what, "the folder has the policy again that is in force");
                }
            }
            Err(Kept::StillRefused) => {}
            Err(Kept::Refused { error, version }) => self.refuse(&error, version, occasion).await,
            Err(Kept::Waits(waiting)) => {
                self.telemetry.reloaded(self.role, Reload::Waits);
                self.refused = Some(waiting.version.clone());
                activation::tell(&waiting);
                self.policies.set_waiting(Some(waiting));
            }
            Err(Kept::Unkept(error)) => {
                self.telemetry.reloaded(self.role, Reload::Unrecorded);
                tracing::error!(%error, "the state cannot say whether two persons agreed to the new policy, or not keep it, so the old one stays");
            }
            Err(Kept::Unread(error)) => {
                self.telemetry.reloaded(self.role, Reload::Unrecorded);
                tracing::error!(%error, "a new policy could not be noted, so the old one stays");
            }
            Err(Kept::Unrecorded(error)) => {
                self.telemetry.reloaded(self.role, Reload::Unrecorded);
                tracing::error!(%error, "a new policy could not be recorded, so the old one stays");
            }
        }
    }

    fn tell_versions(&self) {
        let (live, shadow) = (self.policies.live(), self.policies.candidate());
        self.telemetry.in_force(live.version(), shadow.as_ref().map(|program| program.version()));
    }

    async fn refuse(&mut self, error: &PolicyError, version: Option<String>, occasion: Occasion) {
        let told = version.clone().unwrap_or_else(|| error.to_string());
        let is_known = self.refused.as_deref() == Some(told.as_str());
        if is_known && occasion == Occasion::Changed {
            return;
        }
        let (faults, first) = error.summary();
        self.telemetry.reloaded(self.role, Reload::Refused);
        self.no_longer_waits();
        let what = self.role.word();
        tracing::error!(what, faults, first, "the new policy is refused, so the old one stays");
        if is_known {
            return;
        }
        self.refused = Some(told);
        if let Err(error) = self.record_refusal(faults, version.as_deref()).await {
            tracing::error!(%error, "a refused policy could not be recorded");
        }
    }
}

async fn look(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Reading and compiling take longer than a task may.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PolicyError> + Send + 'static,
) -> Result<T, PolicyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|broken| Err(PolicyError::Broken(broken.to_string())))
}
