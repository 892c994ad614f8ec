//! Makes backups when the newest is old enough, and says so when there is none that is new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::audit::note::Verifier;
use crate::audit::{Act, Alert, Concern, Event, Log};
use crate::backup::{BackupError, Found, Hanging, Made, Maker, PlaceSettings, Settings, make};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::state::Store;
use crate::telemetry::Telemetry;

/// How often to look how old the newest are.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long one place may take to say what it has: a folder of the network may hang for ever.
const LOOK_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 120 });
/// How long the first backup may take before it is told how old the newest are.
const GRACE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 900 });
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
        hanging: Hanging::default(),
    }
}

/// What looks after backups.
pub(super) struct Keeper {
    pub(super) maker: Arc<Maker>,
    pub(super) settings: Settings,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Looks into places that have not answered yet, one at a time for each place.
type Looks = BTreeMap<String, JoinHandle<Result<Vec<Found>, BackupError>>>;

impl Keeper {
    /// Goes on until told to stop. A backup that is being made, for however long, keeps nobody from being told that
    /// there is none that is new.
    pub(super) async fn run(self, stop: CancellationToken) {
        let made = Notify::new();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_making(&made) => {}
            () = self.keep_telling(&made) => {}
        }
    }

    async fn keep_making(&self, made: &Notify) {
        let mut looks = Looks::new();
        loop {
            let due = self.due(&mut looks).await;
            let pause = if due.is_empty() { LOOK_EVERY } else { self.make(due).await };
            made.notify_one();
            tokio::time::sleep(pause).await;
        }
    }

    /// The places that need a new one: a place that is down is tried again without filling up the others.
    async fn due(&self, looks: &mut Looks) -> Vec<PlaceSettings> {
        let now_s = self.maker.clock.unix_s();
        let every_s = i64::try_from(self.settings.every.as_secs()).unwrap_or(i64::MAX);
        let mut due = Vec::new();
        for place in &self.settings.places {
            let newest = self.newest(place, looks).await;
            if newest.is_none_or(|newest| now_s.saturating_sub(newest) >= every_s) {
                due.push(place.clone());
            }
        }
        due
    }

    async fn keep_telling(&self, made: &Notify) {
        let (mut alerted, mut looks) = (None, Looks::new());
        let mut pause = GRACE;
        loop {
            // Early where something was made, or tried.
            timeout(pause, made.notified()).await.unwrap_or_default();
            self.tell(&mut alerted, &mut looks).await;
            pause = LOOK_EVERY;
        }
    }

    /// When the newest in a place was made; `None` if there is none, or nobody can say.
    async fn newest(&self, place: &PlaceSettings, looks: &mut Looks) -> Option<i64> {
        let look = looks.entry(place.name.clone()).or_insert_with(|| {
            let (place, maker) = (place.place.clone(), Arc::clone(&self.maker));
            let runtime = Handle::current();
            tokio::task::spawn_blocking(move || place.found(&maker.clock, &runtime))
        });
        let Ok(found) = timeout(LOOK_WITHIN, look).await else {
            // It goes on, and the next round waits for it again: no second thread hangs there.
            tracing::error!(place = place.name, "a place of backups does not answer");
            return None;
        };
        looks.remove(&place.name);
        match found {
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

    async fn make(&self, places: Vec<PlaceSettings>) -> Duration {
        let (maker, settings) =
            (Arc::clone(&self.maker), Settings { places, ..self.settings.clone() });
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
    async fn tell(&self, alerted: &mut Option<Duration>, looks: &mut Looks) {
        let now_s = self.maker.clock.unix_s();
        let mut overdue = Vec::new();
        for place in &self.settings.places {
            let newest = self.newest(place, looks).await;
            let age_s = newest.map(|newest| now_s.saturating_sub(newest).max(0));
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::audit::{Opener, Reader, RestKey};
    use crate::backup::Place;
    use crate::ship::{Endpoint, S3Settings, Security};

    fn keeper(dir: &std::path::Path, places: Vec<PlaceSettings>) -> Keeper {
        let (clock, master) = (Clock::fixed(1_790_000_000_000), MasterKey::from_bytes([1; 32]));
        let settings = crate::audit::Settings::default();
        let (log, _) = Log::open(&dir.join("log"), settings, clock.clone(), &master).unwrap();
        std::fs::create_dir(dir.join("policies")).unwrap();
        let maker = Maker {
            node: "gate-1".into(),
            store: Store::open(&dir.join("state"), &master, clock.clone()).unwrap(),
            state: dir.join("state"),
            log: dir.join("log"),
            verifier: log.verifier().clone(),
            policies: dir.join("policies"),
            files: Vec::new(),
            has_log_key: false,
            master,
            clock,
            hanging: Hanging::default(),
        };
        let day = Duration::from_secs(24 * 3600);
        let settings = Settings { every: day, keep: day * 30, places };
        Keeper { maker: Arc::new(maker), settings, log, telemetry: Arc::new(Telemetry::new()) }
    }

    /// A store that takes connections and says nothing.
    async fn silent(dir: &std::path::Path) -> (tokio::net::TcpListener, Place) {
        let credentials = dir.join("keys");
        std::fs::write(&credentials, "id\nkey\n").unwrap();
        std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let endpoint = Endpoint::parse(&url, |_| Security::PlainOnLoopback).unwrap();
        let (bucket, prefix, region) = ("b".into(), String::new(), "r".into());
        let settings = S3Settings { endpoint, bucket, prefix, region, credentials };
        (silent, Place::S3(Box::new(settings)))
    }

    fn named(name: &str, place: Place) -> PlaceSettings {
        PlaceSettings { name: name.into(), place }
    }

    /// A folder of the network that hangs: whoever opens a pipe that nobody writes waits.
    fn hung(dir: &std::path::Path, at_s: i64) -> Place {
        let time = jiff::Timestamp::from_second(at_s).unwrap().strftime("%Y%m%dT%H%M%SZ");
        let folder = dir.join("hung");
        let backup = folder.join(format!("gate-1-{time}"));
        std::fs::create_dir_all(&backup).unwrap();
        let pipe = backup.join("manifest");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        Place::Folder(folder)
    }

    fn made_in(folder: &std::path::Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_that_hangs_costs_the_others_a_wait_and_gets_no_second_thread() {
        let dir = tempfile::tempdir().unwrap();
        let far = hung(dir.path(), 1_790_000_000);
        let near = dir.path().join("near");
        let places = vec![named("far", far), named("near", Place::Folder(near.clone()))];
        let keeper = keeper(dir.path(), places);
        let (maker, settings) = (Arc::clone(&keeper.maker), keeper.settings.clone());
        let runtime = Handle::current();
        let both = tokio::task::spawn_blocking(move || {
            let made = make(&maker, &settings, &runtime);
            maker.clock.advance_ms(1000);
            (made, make(&maker, &settings, &runtime))
        });
        let (first, second) = both.await.unwrap();
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.places, ["near"]);
        assert_eq!(first.failed, [("far".to_owned(), "it does not answer".to_owned())]);
        assert_eq!(second.places, ["near"]);
        let said = "it has not answered since an earlier backup";
        assert_eq!(second.failed, [("far".to_owned(), said.to_owned())]);
        assert_eq!(made_in(&near), 2);
        keeper.log.close();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_place_that_is_down_is_tried_again_without_filling_up_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (near, down) = (dir.path().join("near"), dir.path().join("in-the-way"));
        std::fs::write(&down, "a file").unwrap();
        let folder = |path: &std::path::Path| Place::Folder(path.to_owned());
        let places = vec![named("far", folder(&down)), named("near", folder(&near))];
        let keeper = keeper(dir.path(), places);
        let mut looks = Looks::new();
        for round in 0..3 {
            let due = keeper.due(&mut looks).await;
            assert_eq!(due.len(), if round == 0 { 2 } else { 1 }, "{due:?}");
            assert_eq!(keeper.make(due).await, PAUSE);
            keeper.maker.clock.advance_ms(600_000);
        }
        assert_eq!(made_in(&near), 1);
        // What was begun and not finished is cleared away by the next try; what others have there is not.
        std::fs::remove_file(&down).unwrap();
        for left in ["gate-1-20260101T000000Z", "gate-2-20260101T000000Z"] {
            std::fs::create_dir_all(down.join(left)).unwrap();
            std::fs::write(down.join(left).join("000000"), "half").unwrap();
        }
        let due = keeper.due(&mut looks).await;
        assert_eq!(keeper.make(due).await, LOOK_EVERY);
        assert!(keeper.due(&mut looks).await.is_empty());
        assert_eq!((made_in(&near), made_in(&down)), (1, 2));
        assert!(!down.join("gate-1-20260101T000000Z").exists());
        keeper.log.close();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_never_answers_is_alerted_and_the_other_place_has_its_backup() {
        let dir = tempfile::tempdir().unwrap();
        let (_silent, cloud) = silent(dir.path()).await;
        let near = Place::Folder(dir.path().join("near"));
        let keeper = keeper(dir.path(), vec![named("cloud", cloud), named("near", near)]);
        let log = keeper.log.clone();
        let stop = CancellationToken::new();
        let tasks = tokio_util::task::TaskTracker::new();
        tasks.spawn(keeper.run(stop.clone()));
        let happened = || {
            let rest = RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap();
            let at = dir.path().join("log");
            let opener = Opener::new(&at, vec![rest]);
            let read: Vec<_> =
                Reader::new(&at, 0, opener).filter_map(|read| read.ok()?.1.entry()).collect();
            let is_told = |alert: &Alert| {
                alert.concern == Concern::Backup && alert.kinds.iter().any(|one| one == "cloud")
            };
            let is_made = |act: &Act| act.name.as_str() == "backup_made";
            read.iter().any(|entry| entry.alert.as_ref().is_some_and(is_told))
                && read.iter().any(|entry| entry.act.as_ref().is_some_and(is_made))
        };
        let waited = async {
            while !happened() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(90), waited).await.expect("an alert and a backup");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        log.close();
    }
}
