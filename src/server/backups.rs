//! Makes backups when the newest is old enough, and says so when there is none that is new.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::audit::note::Verifier;
use crate::audit::{Act, Alert, Concern, Event, Log};
use crate::backup::{BackupError, Made, Maker, PlaceSettings, Settings, make};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::state::Store;
use crate::telemetry::Telemetry;

/// How often to look how old the newest are.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The pause after one that failed.
const PAUSE: Duration = Duration::from_secs(600);
/// A place whose newest is older is told.
const OVERDUE_S: i64 = 26 * 3600;
/// So often an alert is raised again while it lasts.
const ALERT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What a backup of a gate with this configuration is made of; no private key is in it.
#[must_use]
pub fn maker(
    config: &Config,
    store: Store,
    verifier: Verifier,
    (clock, master): (Clock, MasterKey),
) -> Maker {
    let file = config.file.clone().map(|file| ("menshen.yaml".to_owned(), file));
    Maker {
        node: config.node.clone(),
        store,
        state: config.state.clone(),
        log: config.log.clone(),
        verifier,
        policies: config.policies.clone(),
        files: file.into_iter().collect(),
        has_log_key: config.log_key.is_some(),
        master,
        clock,
    }
}

/// What looks after backups.
pub(super) struct Keeper {
    pub(super) maker: Arc<Maker>,
    pub(super) settings: Settings,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Keeper {
    /// Goes on until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut alerted = None;
        loop {
            let pause = tokio::select! {
                () = stop.cancelled() => return,
                pause = self.round(&mut alerted) => pause,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self, alerted: &mut Option<Duration>) -> Duration {
        let now_s = self.maker.clock.unix_s();
        let mut oldest = Some(now_s);
        for place in &self.settings.places {
            oldest = oldest.min(self.newest(place).await);
        }
        let every_s = i64::try_from(self.settings.every.as_secs()).unwrap_or(i64::MAX);
        let is_due = oldest.is_none_or(|oldest| now_s.saturating_sub(oldest) >= every_s);
        let pause = if is_due { self.make().await } else { LOOK_EVERY };
        self.tell(alerted).await;
        pause
    }

    /// When the newest in a place was made; `None` if there is none, or nobody can say.
    async fn newest(&self, place: &PlaceSettings) -> Option<i64> {
        let (place, maker) = (place.clone(), Arc::clone(&self.maker));
        let runtime = Handle::current();
        let found = tokio::task::spawn_blocking(move || place.place.found(&maker.clock, &runtime));
        match found.await {
            Ok(Ok(found)) => {
                let prefix = format!("{}-", self.maker.node);
                let own = found.into_iter().filter(|found| found.name.starts_with(&prefix));
                own.map(|found| found.at_s).max()
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a place of backups cannot be looked into");
                None
            }
            Err(_panicked) => None,
        }
    }

    async fn make(&self) -> Duration {
        let (maker, settings) = (Arc::clone(&self.maker), self.settings.clone());
        let runtime = Handle::current();
        let made = tokio::task::spawn_blocking(move || make(&maker, &settings, &runtime)).await;
        match made {
            Ok(Ok(made)) => {
                let is_whole = made.failed.is_empty();
                for (place, why) in &made.failed {
                    tracing::error!(place, why, "a place did not take the backup");
                }
                tracing::info!(backup = made.name, bytes = made.bytes, "a backup was made");
                self.record(&made).await;
                if is_whole { LOOK_EVERY } else { PAUSE }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "no backup was made; it is tried again");
                // One that is made beside the gate is not in the way for long.
                if matches!(error, BackupError::Busy) { LOOK_EVERY } else { PAUSE }
            }
            Err(error) => {
                tracing::error!(%error, "the making of a backup ended by a panic");
                PAUSE
            }
        }
    }

    /// The evidence: an entry of the log.
    async fn record(&self, made: &Made) {
        let Ok(mut entry) = self.log.entry(Event::Custody) else { return };
        let detail = detail(made);
        entry.act = Some(Act {
            name: "backup_made".into(),
            object: made.name.as_str().into(),
            detail: detail.as_str().into(),
            succeeded: Some(made.failed.is_empty()),
            count: Some(made.entries),
            ..Act::default()
        });
        if let Err(error) = self.log.append(entry).await {
            tracing::error!(%error, "a backup is not recorded");
        }
    }

    /// Says how old the newest are, and raises the alert.
    async fn tell(&self, alerted: &mut Option<Duration>) {
        let now_s = self.maker.clock.unix_s();
        let mut overdue = Vec::new();
        for place in &self.settings.places {
            let age_s = self.newest(place).await.map(|newest| now_s.saturating_sub(newest).max(0));
            let is_overdue = age_s.is_none_or(|age| age > OVERDUE_S);
            let age = age_s.map(|age| Duration::from_secs(u64::try_from(age).unwrap_or(0)));
            self.telemetry.backup_age(&place.name, age, is_overdue);
            if is_overdue {
                overdue.push(place.name.as_str());
            }
        }
        if overdue.is_empty() {
            *alerted = None;
            return;
        }
        let now = self.maker.clock.steady();
        if alerted.is_some_and(|before| now.saturating_sub(before) < ALERT_EVERY) {
            return;
        }
        *alerted = Some(now);
        tracing::error!(places = overdue.join(", "), "the newest backup is older than 26 hours");
        let Ok(mut entry) = self.log.entry(Event::Alert) else { return };
        let mut alert = Alert::new(Concern::Backup, overdue.len() as u64);
        overdue.iter().for_each(|place| alert.kinds.push(place));
        entry.alert = Some(alert);
        self.log.append_detached(entry);
    }
}

/// Where a backup is, and where it is not.
fn detail(made: &Made) -> String {
    let places = made.places.join(", ");
    let failed: Vec<_> = made.failed.iter().map(|(place, _)| place.as_str()).collect();
    match failed.as_slice() {
        [] => format!("in {places}"),
        failed => format!("in {places}, not in {}", failed.join(", ")),
    }
}
