//! Whether state and log belong together: a state that was put back from a copy by hand knows nothing of what was done
//! since, and the log does.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::audit::{Act, Event, Log, Lost, Moment, ReadError, Record};
use crate::state::Store;

/// How often the state leaves its mark in a log that grows.
const MARK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 600_000 });
/// How a copy that was put back by hand is called among the backups.
const COPY: &str = "copy of ";

/// What the log has since the state last looked.
#[derive(Debug, Default)]
struct Since {
    /// The largest number of an act.
    newest: u64,
    /// When the first entry was written, Unix milliseconds.
    first_ms: Option<i64>,
}

/// Compares them, before anything is taken from the state.
///
/// Each act and mark is durable in the state before the log has it, so a crash at any moment leaves a state that knows
/// whatever the log tells.
///
/// # Errors
/// [`StartError::Restored`] if the log knows acts that the state does not; what is to be ended on a restored state is
/// ended then. [`StartError::ShorterLog`] if the log has lost entries.
pub(super) async fn compare(store: &Store, log: &Log, node: &str) -> Result<(), StartError> {
    let (seen, found) = (store.seen_of_log().await?, log.health().durable);
    let from = seen.unwrap_or(0);
    if from > found {
        return Err(StartError::ShorterLog { known: from, found });
    }
    let since = look(log, from).await?;
    // After the look: another process may be acting on this state.
    if since.newest <= store.newest_number().await? {
        return Ok(());
    }
    // The first start after an answer takes the log as it is.
    if store.restores().await?.iter().any(|row| row.until_ms.is_none()) {
        return Ok(store.go_on_after(since.newest).await?);
    }
    let made_ms = since.first_ms.unwrap_or_default();
    let copy = format!("{COPY}{node} of {}, put back by hand", Moment(made_ms));
    store.end_after_copy(&copy, made_ms, from).await?;
    Err(StartError::Restored(origin(&copy)))
}

/// What a state comes from, in words.
pub(super) fn origin(backup: &str) -> String {
    if backup.starts_with(COPY) { format!("a {backup}") } else { format!("the backup `{backup}`") }
}

async fn look(log: &Log, from: u64) -> Result<Since, StartError> {
    let entries = log.reader(from);
    let looked = tokio::task::spawn_blocking(move || {
        let mut since = Since::default();
        for read in entries {
            let entry = match read?.1 {
                Record::Entry(entry) => entry,
                // It may be the one that tells.
                Record::Closed(closed) if matches!(closed.lost, Lost::Altered { .. }) => {
                    return Err(ReadError::Closed(closed).into());
                }
                // What cannot be opened any more is none of the newest.
                Record::Closed(_) => continue,
            };
            since.first_ms.get_or_insert(entry.time.0);
            let number = entry.act.as_ref().and_then(|act| act.number);
            since.newest = since.newest.max(number.unwrap_or(0));
        }
        Ok(since)
    });
    looked.await.map_err(|_panicked| crate::state::StateError::Closed)?
}

/// Leaves a mark now and then, so that a copy of the state shows its age by more than by acts.
pub(super) async fn keep(store: Store, log: Log, stop: CancellationToken) {
    let mut marked = log.health().durable;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MARK_EVERY) => {}
        }
        if log.health().durable == marked {
            continue;
        }
        let Ok(number) = store.mark().await else { continue };
        let Ok(mut entry) = log.entry(Event::Custody) else { continue };
        let number = Some(number);
        entry.act = Some(Act { name: "state_marked".into(), number, ..Act::default() });
        if log.append(entry).await.is_ok() {
            marked = log.health().durable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Settings;
    use crate::clock::Clock;
    use crate::secret::MasterKey;

    fn marks(log: &Log) -> usize {
        let entries = log.reader(0).filter_map(|read| read.unwrap().1.entry()?.act);
        entries.filter(|act| act.name.as_str() == "state_marked").count()
    }

    #[tokio::test]
    async fn a_log_that_grows_is_marked_and_a_copy_of_the_state_from_before_is_known_by_that() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, master) = (Clock::fixed(1_800_000_000_000), MasterKey::from_bytes([5; 32]));
        let open =
            |name: &str| Store::open(&dir.path().join(name), &master, clock.clone()).unwrap();
        let settings = Settings::default();
        let (log, _) =
            Log::open(&dir.path().join("log"), settings, clock.clone(), &master).unwrap();
        let store = open("state");
        let copy = dir.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        store.snapshot_to(&copy.join(Store::file_name())).unwrap();
        let stop = CancellationToken::new();
        let tasks = tokio_util::task::TaskTracker::new();
        tasks.spawn(keep(store.clone(), log.clone(), stop.clone()));
        tokio::time::sleep(MARK_EVERY * 4).await;
        assert_eq!(marks(&log), 0, "nothing was recorded that it would be the mark of");
        log.append(log.entry(Event::Session).unwrap()).await.unwrap();
        while marks(&log) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(MARK_EVERY * 4).await;
        assert_eq!(marks(&log), 1, "a mark is no reason for another");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        compare(&store, &log, "gate-1").await.unwrap();
        let copy = open("copy");
        let older = compare(&copy, &log, "gate-1").await.unwrap_err();
        assert!(matches!(&older, StartError::Restored(from) if from.contains("put back by hand")));
        copy.settle_restores("", "why").await.unwrap();
        compare(&copy, &log, "gate-1").await.unwrap();
        assert_eq!(copy.newest_number().await.unwrap(), 1);
        log.close();
    }
}
