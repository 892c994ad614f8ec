//! Another `menshen.yaml` under a running gate: read, checked whole, recorded, and only then in force.
//!
//! A fault anywhere leaves all of the old one. What takes a restart is named and waits for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::certificates::Files;
use super::policies::Backends;
use super::prepared::{Handles, Prepared, held};
use super::targets::Targets;
use super::watch::Watch;
use crate::audit::{Act, Event, Log, LogError};
use crate::config::{Change, Config, ConfigError, Effect, changes};
use crate::document::Source;
use crate::telemetry::{Reload, Telemetry};

/// A file that changes is read until two readings so far apart agree.
const SETTLE: Duration = Duration::from_millis(250);
/// So often at most; the next look goes on.
const SETTLE_ROUNDS: usize = 20;

/// Takes up another configuration when the operator asks for it, and when the file changes.
pub(super) struct Reconfigurer {
    pub(super) handles: Arc<Handles>,
    pub(super) targets: Targets,
    /// Held while the configuration is judged and put in force, so that the policy is no other meanwhile.
    pub(super) backends: Arc<Mutex<Backends>>,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    /// What is in force: what takes a restart is as the gate was started.
    pub(super) current: Box<Config>,
    pub(super) asked: Arc<Notify>,
    /// Who is asked to look next, once the configuration has its say.
    pub(super) then: Vec<Arc<Notify>>,
    /// What was refused last, so that it is told once.
    pub(super) refused: Option<String>,
}

/// Why somebody looks at the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    Asked,
    Changed,
}

impl Occasion {
    fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Changed => "changed",
        }
    }
}

/// Why the old one stays.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("the file is unchanged")]
    Unchanged,
    #[error(transparent)]
    File(#[from] ConfigError),
    #[error(transparent)]
    Parts(#[from] StartError),
    #[error("it could not be judged: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Unrecorded(LogError),
}

impl Kept {
    /// How many faults there are, and the first of them in one line. Nothing of it goes into the log.
    fn summary(&self) -> (usize, String) {
        let Self::File(ConfigError::Faults(faults)) = self else { return (1, self.to_string()) };
        let first = faults.as_slice().first().map_or_else(String::new, |first| {
            format!("{}:{}:{}: {}", first.file, first.line, first.column, first.message)
        });
        (faults.as_slice().len(), first)
    }
}

impl Reconfigurer {
    /// Goes on until told to stop. Without `watch` it waits to be asked.
    pub(super) async fn run(mut self, mut watch: Option<Watch>, stop: CancellationToken) {
        loop {
            let occasion = tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => Occasion::Asked,
                () = changed(&mut watch) => Occasion::Changed,
            };
            if let Some(path) = self.current.file.clone() {
                // Not given up half-way: whoever drains waits for it.
                self.look(&path, occasion).await;
            }
            if occasion == Occasion::Asked {
                self.then.iter().for_each(|next| next.notify_one());
            }
        }
    }

    async fn look(&mut self, path: &Path, occasion: Occasion) {
        match self.reload(path, occasion).await {
            Ok(changed) => {
                self.refused = None;
                self.telemetry.reconfigured(Reload::Loaded);
                self.tell(&changed);
                // New policies may need what is there now.
                self.then.iter().for_each(|next| next.notify_one());
            }
            Err(Kept::Unchanged) => {
                let was_refused = self.refused.take().is_some();
                if occasion == Occasion::Asked {
                    self.telemetry.reconfigured(Reload::Unchanged);
                    tracing::info!("the configuration is unchanged");
                } else if was_refused {
                    tracing::info!("the file has the configuration again that is in force");
                }
            }
            Err(Kept::Unrecorded(error)) => {
                self.telemetry.reconfigured(Reload::Unrecorded);
                tracing::error!(%error, "a new configuration could not be recorded, so the old one stays");
            }
            Err(kept @ (Kept::File(_) | Kept::Parts(_) | Kept::Broken(_))) => {
                self.refuse(&kept, path, occasion).await;
            }
        }
    }

    /// Gives the keys that changed.
    async fn reload(&mut self, path: &Path, occasion: Occasion) -> Result<Vec<Change>, Kept> {
        let text = match occasion {
            Occasion::Asked => read(path).await?,
            Occasion::Changed => self.read_settled(path).await?,
        };
        if *text == *self.current.text {
            return Err(Kept::Unchanged);
        }
        let config = parsed(path, text)?;
        let changed = changes(&self.current.text, &config.text);
        let mut backends = Arc::clone(&self.backends).lock_owned().await;
        let handles = Arc::clone(&self.handles);
        let mut guards = Vec::new();
        for listener in &handles.listeners {
            guards.push(listener.files.lock().await);
        }
        let mut files: Vec<&mut Files> = guards.iter_mut().map(|guard| &mut **guard).collect();
        let prepared = self.prepare(config, &files).await?;
        prepared.recall_keys().await;
        self.record("configuration_loaded", &prepared.config.text, (occasion, Ok(&changed)))
            .await
            .map_err(Kept::Unrecorded)?;
        self.current = handles.take(prepared, &mut files);
        *backends = Backends::of(&self.current);
        drop((guards, backends));
        handles.gate.identity.keep_keys().await;
        self.targets.set(&self.current).await;
        Ok(changed)
    }

    async fn prepare(&self, config: Config, files: &[&mut Files]) -> Result<Prepared, Kept> {
        let (handles, before) = (Arc::clone(&self.handles), self.current.clone());
        let held = held(files);
        let made = move || handles.prepare(config, &before, &held);
        Ok(tokio::task::spawn_blocking(made).await??)
    }

    /// Reads until nobody writes any more. A file that is replaced may be missing for a moment.
    async fn read_settled(&self, path: &Path) -> Result<String, ConfigError> {
        let mut last = read(path).await;
        for _ in 0..SETTLE_ROUNDS {
            if last.as_ref().is_ok_and(|text| **text == *self.current.text) {
                break;
            }
            tokio::time::sleep(SETTLE).await;
            let next = read(path).await;
            let is_same = match (&last, &next) {
                (Ok(last), Ok(next)) => last == next,
                (last, next) => last.is_err() && next.is_err(),
            };
            last = next;
            if is_same {
                break;
            }
        }
        last
    }

    /// From here on it holds, or was refused; reviewers see which file did before. Of what stands in it there are the names of
    /// keys only.
    async fn record(
        &self,
        name: &str,
        after: &str,
        (occasion, outcome): (Occasion, Result<&[Change], usize>),
    ) -> Result<(), LogError> {
        let mut entry = self.log.entry(Event::Change)?;
        let detail = match outcome {
            Ok(changed) => format!("{}: {}", occasion.word(), blocks(changed)),
            Err(_faults) => occasion.word().to_owned(),
        };
        let count = outcome.map_or_else(|faults| faults, <[Change]>::len);
        entry.act = Some(Act {
            name: name.into(),
            object: "configuration".into(),
            succeeded: Some(outcome.is_ok()),
            before: print(&self.current.text).as_str().into(),
            after: print(after).as_str().into(),
            detail: detail.as_str().into(),
            count: u64::try_from(count).ok(),
            ..Act::default()
        });
        self.log.append(entry).await.map(drop)
    }

    fn tell(&self, changed: &[Change]) {
        let waiting = waiting(&self.handles.started.text, &self.current.text);
        let waits =
            |change: &&Change| change.effect == Effect::Restart && waiting.contains(&change.key);
        let keys = changed.iter().filter(|change| !waits(change)).map(|change| change.key.as_str());
        let keys = keys.collect::<Vec<_>>().join(", ");
        let version = print(&self.current.text);
        tracing::info!(version, keys, "a new configuration is in force");
        self.telemetry.waits_for_restart(waiting.len());
        for key in waiting {
            tracing::warn!("`{key}` changed: takes effect after a restart");
        }
    }

    async fn refuse(&mut self, kept: &Kept, path: &Path, occasion: Occasion) {
        let (faults, first) = kept.summary();
        let is_known = self.refused.as_deref() == Some(first.as_str());
        if is_known && occasion == Occasion::Changed {
            return;
        }
        self.telemetry.reconfigured(Reload::Refused);
        tracing::error!(faults, first, "the new configuration is refused, so the old one stays");
        if is_known {
            return;
        }
        self.refused = Some(first);
        let after = read(path).await.unwrap_or_default();
        let recorded = self.record("configuration_refused", &after, (occasion, Err(faults))).await;
        if let Err(error) = recorded {
            tracing::error!(%error, "a refused configuration could not be recorded");
        }
    }
}

/// The keys that differ from what the gate started with and take a restart.
#[must_use]
pub fn waiting(started: &str, now: &str) -> Vec<String> {
    let changes = changes(started, now).into_iter();
    changes.filter(|one| one.effect == Effect::Restart).map(|one| one.key).collect()
}

/// The blocks that changed, each once.
fn blocks(changed: &[Change]) -> String {
    let top = |change: &Change| change.key.split(['.', '[']).next().unwrap_or_default().to_owned();
    changed.iter().map(top).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// SHA-256 of a text in hexadecimal.
pub(super) fn print(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn read(path: &Path) -> Result<String, ConfigError> {
    let path: PathBuf = path.to_owned();
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
    let read = read.unwrap_or_else(|broken| Err(std::io::Error::other(broken)));
    read.map_err(|source| ConfigError::File { path, source })
}

fn parsed(path: &Path, text: String) -> Result<Config, ConfigError> {
    let source = Source { name: path.display().to_string(), text };
    let base = path.parent().unwrap_or(Path::new(""));
    let config = Config::parse(source, base).map_err(ConfigError::Faults)?;
    Ok(Config { file: Some(path.to_owned()), ..config })
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
