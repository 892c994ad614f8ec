//! What the front door of a log, its writer and its publisher share: queue, progress, faults.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::oneshot;

use super::at_rest::{DayKeys, RestError, Tenants};
use super::entry::{Entry, EntryId, Moment, Stamp};
use super::follow::Tails;
use super::log::{LogError, Receipt, Settings, Sink};
use super::queue::{Capacity, Item, Queue, Written};
use super::text::Text;
use crate::clock::Clock;
use crate::secret::SecretError;

/// Tiles follow at the latest when this many entries wait for them.
const PUBLISH_ENTRIES: u64 = 256;

/// The pause between two publications, so that they leave disk and processor to the journal: each makes files anew.
const PUBLISH_PAUSE: Duration = Duration::from_millis(400);
/// The same where whoever reads the public form wants it sooner than that.
const SHORT_PAUSE: Duration = Duration::from_millis(100);

/// What the front door, the writer and the publisher share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) tails: Tails,
    clock: Clock,
    node: Text,
    /// The keys that entries are sealed under; none for a legible log.
    keys: Option<DayKeys>,
    publish_interval: Duration,
    sink: Sink,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) durable: u64,
    pub(super) published: u64,
    pub(super) failure: Option<Arc<io::Error>>,
    pub(super) publish_failure: Option<String>,
    /// Missed entries that no entry tells of yet.
    pub(super) missed: u64,
    pub(super) missed_ever: u64,
    writer_stopped: bool,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        keys: Option<DayKeys>,
        durable: u64,
        published: u64,
    ) -> Self {
        let capacity = Capacity { entries: settings.queue_entries, bytes: settings.queue_bytes };
        Self {
            queue: Queue::new(capacity),
            tails: Tails::default(),
            clock,
            node: Text::word(&settings.node),
            keys,
            publish_interval: settings.publish_interval,
            sink: settings.sink,
            state: Mutex::new(State { durable, published, ..State::default() }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is appended is forgotten.
    pub(super) fn forgets(&self) -> bool {
        match self.sink {
            Sink::Folder => false,
            #[cfg(feature = "unrecorded")]
            Sink::Nowhere => true,
        }
    }

    pub(super) fn stamp(&self) -> Result<Stamp, LogError> {
        let mut random = [0; 10];
        rand::fill(&mut random).map_err(SecretError::from)?;
        let unix_ms = self.clock.unix_ms();
        let node = self.node.clone();
        Ok(Stamp { id: EntryId::new(unix_ms, random), time: Moment(unix_ms), node })
    }

    pub(super) fn item(
        &self,
        entry: Entry,
        waiting: Option<oneshot::Sender<Result<Receipt, LogError>>>,
    ) -> Result<Item, LogError> {
        let id = entry.id;
        let encoded = entry.encode(|| self.stamp())?;
        let now = Moment(self.clock.unix_ms());
        let mut written = Vec::with_capacity(encoded.len());
        for (entry, json) in encoded {
            // Here, on the thread of whoever appends: the writer is one for all.
            let sealed =
                self.keys.as_ref().map(|keys| keys.seal(&entry, now, &json)).transpose()?;
            let (stored, keys) = sealed.unwrap_or((json, Vec::new()));
            written.push(Arc::new(Written { entry: Arc::new(entry), stored, keys }));
        }
        Ok(Item { id, written, waiting })
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.clock.unix_ms())
    }

    pub(super) fn steady(&self) -> Duration {
        self.clock.steady()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().writer_stopped
    }

    /// Makes the keys of the day and the next that are not there yet.
    pub(super) fn tend_keys(&self) -> Result<(), RestError> {
        self.keys.as_ref().map_or(Ok(()), |keys| keys.tend(Moment(self.clock.unix_ms())))
    }

    /// Puts back the files of keys in use that somebody removed.
    pub(super) fn keep_keys(&self) -> io::Result<()> {
        self.keys.as_ref().map_or(Ok(()), DayKeys::keep)
    }

    /// Has these get keys of their own.
    pub(super) fn name_tenants(&self, tenants: BTreeSet<Tenants>) -> Result<(), RestError> {
        let now = self.now();
        self.keys.as_ref().map_or(Ok(()), |keys| keys.name(tenants, now))
    }

    fn keys_are_due(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.are_due(Moment(self.clock.unix_ms())))
    }

    pub(super) fn durable(&self, size: u64) {
        let mut state = self.state();
        state.durable = size;
        if state.failure.take().is_some() {
            tracing::info!("the log can be written again");
        }
        if size.saturating_sub(state.published) >= PUBLISH_ENTRIES {
            self.changed.notify_all();
        }
    }

    pub(super) fn failed(&self, error: &Arc<io::Error>) {
        tracing::error!(%error, "the log cannot be written");
        self.state().failure = Some(Arc::clone(error));
    }

    pub(super) fn missed(&self, count: u64) {
        let mut state = self.state();
        state.missed += count;
        state.missed_ever += count;
        drop(state);
        // An entry has to tell of it, also if no other one comes.
        if count > 0 {
            self.queue.nudge();
        }
    }

    /// How many missed entries are to be told of; [`Shared::restore_missed`] takes it back.
    pub(super) fn take_missed(&self) -> u64 {
        std::mem::take(&mut self.state().missed)
    }

    pub(super) fn restore_missed(&self, count: u64) {
        self.state().missed += count;
    }

    pub(super) fn writer_stopped(&self) {
        self.state().writer_stopped = true;
        self.changed.notify_all();
    }

    /// Waits until entries beyond `published` are to be published, keys are to be made, or the writer
    /// has stopped; gives how many entries are durable.
    pub(super) fn wait_to_publish(&self, published: u64) -> u64 {
        let mut state = self.state();
        let has_failed = state.publish_failure.is_some();
        let rest = PUBLISH_PAUSE.min(self.publish_interval.max(SHORT_PAUSE));
        let mut pause = if has_failed { self.publish_interval } else { rest };
        loop {
            let waited = self.changed.wait_timeout_while(state, pause, |s| !s.writer_stopped);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let waited = self.changed.wait_timeout_while(state, self.publish_interval, |s| {
                !s.writer_stopped && s.durable.saturating_sub(published) < PUBLISH_ENTRIES
            });
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.writer_stopped || state.durable > published || self.keys_are_due() {
                return state.durable;
            }
            pause = Duration::ZERO;
        }
    }

    /// Notes how a publication went; true if it was the last.
    pub(super) fn publish_done(&self, published: u64, result: io::Result<()>) -> bool {
        let mut state = self.state();
        state.published = published;
        state.publish_failure = result.err().map(|error| {
            tracing::error!(%error, "tiles and checkpoint of the log cannot follow");
            error.to_string()
        });
        state.writer_stopped && (state.publish_failure.is_some() || published == state.durable)
    }
}
