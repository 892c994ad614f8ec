//! The bounded queue between those who have something to record and the one who writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::EntryId;
use super::log::{LogError, Receipt};

/// Entries that go to the disk together.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// How long the writer waits before it tries again on its own.
const RETRY: Duration = Duration::from_secs(1);

/// One entry, with its continuations, on its way to the disk.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: EntryId,
    pub(super) frames: Vec<Vec<u8>>,
    /// Who waits; nobody for a detached entry, which is tried until it is written.
    pub(super) waiting: Option<oneshot::Sender<Result<Receipt, LogError>>>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.frames.iter().map(Vec::len).sum()
    }
}

/// How much may wait. The second half of each is kept for detached entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Queue {
    capacity: Capacity,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// The last batch failed and its detached entries are back; only a new entry or a pause ends that.
    cooling: bool,
    closed: bool,
    nudged: bool,
}

impl Queue {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes the item in, or says why not: never waits.
    pub(super) fn push(&self, item: Item) -> Result<(), LogError> {
        let share = if item.waiting.is_some() { 1 } else { 2 };
        let bytes = item.bytes();
        let mut state = self.state();
        if state.closed {
            return Err(LogError::Closed);
        }
        let full = state.items.len() >= self.capacity.entries.saturating_mul(share)
            || state.bytes.saturating_add(bytes) > self.capacity.bytes.saturating_mul(share);
        if full {
            return Err(LogError::Overloaded);
        }
        state.bytes += bytes;
        state.items.push_back(item);
        state.cooling = false;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// What is to be written next, waiting for it; `None` when the queue is closed and empty.
    ///
    /// Nothing, after [`Queue::nudge`].
    pub(super) fn take(&self) -> Option<Vec<Item>> {
        let mut state = self.state();
        loop {
            if !state.items.is_empty() && (!state.cooling || state.closed) {
                return Some(state.drain());
            }
            if state.closed {
                return None;
            }
            if std::mem::take(&mut state.nudged) {
                return Some(Vec::new());
            }
            state = if state.cooling {
                let waited = self.changed.wait_timeout(state, RETRY);
                let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state.cooling &= !timeout.timed_out();
                state
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Puts detached entries back to the front; gives how many had to be dropped, which happens
    /// only when the queue is closed and will not be tried again.
    pub(super) fn put_back(&self, items: Vec<Item>) -> usize {
        let mut state = self.state();
        if state.closed {
            return items.len();
        }
        for item in items.into_iter().rev() {
            state.bytes += item.bytes();
            state.items.push_front(item);
            state.cooling = true;
        }
        0
    }

    /// Makes the writer look up although nothing waits.
    pub(super) fn nudge(&self) {
        self.state().nudged = true;
        self.changed.notify_one();
    }

    /// Refuses everything from now on; what waits is forgotten, which tells those who wait for it.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.items.clear();
    }

    /// Refuses everything from now on; what waits is still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.state().items.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way; a poisoned lock must not take the log down.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drain(&mut self) -> Vec<Item> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ITEMS {
            let Some(item) = self.items.pop_front_if(|item| {
                bytes += item.bytes();
                bytes <= BATCH_BYTES || batch.is_empty()
            }) else {
                break;
            };
            self.bytes -= item.bytes();
            batch.push(item);
        }
        batch
    }
}
