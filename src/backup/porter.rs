//! One thread for each place, so that a place that is slow, down or hangs keeps nobody from the others.
//!
//! A folder of the network may hang for ever, and no call that hangs can be ended. Its thread is left behind then, and
//! the place gets no second one before the first has ended.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::place::{PlaceSettings, Shelf};
use super::{BackupError, place::Place};
use crate::clock::Clock;

/// What waits for one place; each part takes some MiB.
const DEPTH: usize = 2;
/// A place that does nothing for so long is given up; a store answers or fails earlier by itself.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 180 });

/// Something to do in a place.
pub(super) type Work = Box<dyn FnOnce(&Shelf<'_>) -> Result<(), BackupError> + Send>;

/// The places in which a call hangs, as far as this process knows; clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Hanging(Arc<Mutex<BTreeSet<String>>>);

impl Hanging {
    fn begin(&self, place: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_owned())
    }

    fn end(&self, place: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }
}

/// What carries into one place.
pub(super) struct Porter {
    pub(super) name: String,
    line: Arc<Line>,
}

/// What waits, and how it goes.
#[derive(Default)]
struct Line {
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Default)]
struct Standing {
    waiting: VecDeque<Work>,
    is_busy: bool,
    done: u64,
    failed: Option<String>,
    is_over: bool,
}

impl Porter {
    /// Starts the thread. A place in which an earlier one hangs has failed from the beginning.
    pub(super) fn start(
        settings: &PlaceSettings,
        hanging: &Hanging,
        (clock, runtime): (&Clock, &Handle),
    ) -> Self {
        let name = settings.name.clone();
        let porter = Self { name: name.clone(), line: Arc::default() };
        if !hanging.begin(&name) {
            porter.line.fail("it has not answered since an earlier backup".to_owned());
            return porter;
        }
        let (line, own, place) =
            (Arc::clone(&porter.line), hanging.clone(), settings.place.clone());
        let (clock, runtime) = (clock.clone(), runtime.clone());
        let started = std::thread::Builder::new().name(format!("backup-{name}")).spawn(move || {
            line.work_off(&place, &clock, &runtime);
            own.end(&name);
        });
        if let Err(error) = started {
            hanging.end(&porter.name);
            porter.line.fail(error.to_string());
        }
        porter
    }

    /// Has it done after what was given before; waits while there is no room. Whether the place goes on.
    pub(super) fn give(&self, work: Work) -> bool {
        let mut standing = self.line.wait_while(|standing| standing.waiting.len() >= DEPTH);
        let goes_on = standing.failed.is_none();
        if goes_on {
            standing.waiting.push_back(work);
            self.line.changed.notify_all();
        }
        goes_on
    }

    /// Waits until all of it is done. Whether the place goes on.
    pub(super) fn settle(&self) -> bool {
        let idle = self.line.wait_while(|one| one.is_busy || !one.waiting.is_empty());
        idle.failed.is_none()
    }

    /// Why it does not go on.
    pub(super) fn failure(&self) -> String {
        self.line.lock().failed.clone().unwrap_or_default()
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        self.line.lock().is_over = true;
        self.line.changed.notify_all();
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, why: String) {
        let mut standing = self.lock();
        standing.failed.get_or_insert(why);
        standing.waiting.clear();
        self.changed.notify_all();
    }

    /// Waits while this holds and something goes on; a place where nothing does is given up.
    fn wait_while(&self, holds: impl Fn(&Standing) -> bool) -> MutexGuard<'_, Standing> {
        let mut standing = self.lock();
        while standing.failed.is_none() && holds(&standing) {
            let before = standing.done;
            let stands_still =
                |now: &mut Standing| now.failed.is_none() && now.done == before && holds(now);
            let waited = self.changed.wait_timeout_while(standing, PATIENCE, stands_still);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            standing = now;
            if timeout.timed_out() && standing.done == before {
                standing.failed.get_or_insert_with(|| "it does not answer".to_owned());
                standing.waiting.clear();
            }
        }
        standing
    }

    /// Until nobody gives anything more, or something fails.
    fn work_off(&self, place: &Place, clock: &Clock, runtime: &Handle) {
        let shelf = Shelf { place, clock, runtime };
        loop {
            let idle =
                |now: &mut Standing| now.waiting.is_empty() && !now.is_over && now.failed.is_none();
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut standing = waited.unwrap_or_else(PoisonError::into_inner);
            let Some(work) = standing.waiting.pop_front() else { return };
            standing.is_busy = true;
            drop(standing);
            let done = work(&shelf);
            let mut standing = self.lock();
            standing.is_busy = false;
            standing.done += 1;
            if let Err(error) = done {
                standing.failed.get_or_insert(error.to_string());
                standing.waiting.clear();
            }
            self.changed.notify_all();
        }
    }
}
