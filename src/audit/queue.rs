//! The bounded queue between those who have something to record and the one who writes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::at_rest::KeyName;
use super::entry::{Entry, EntryId};
use super::log::{LogError, Receipt};

/// Entries that go to the disk together.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// How long the writer waits before it tries again on its own.
const RETRY: Duration = Duration::from_secs(1);

/// How long entries that nobody waits for may wait for one that somebody waits for, to share its write.
const LINGER: Duration = Duration::from_millis(5);

/// Where so many waited for one write, as many are on their way again: the next one is given this long to gather them.
const COMPANY: usize = 3;
const PACE: Duration = Duration::from_micros(300);

/// So many make two groups that take turns: one computes what it records next while that of the other is written.
const CROWD: usize = 16;

/// An entry, the bytes that are stored of it, and the keys that these are sealed under.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) entry: Arc<Entry>,
    pub(super) stored: Vec<u8>,
    pub(super) keys: Vec<KeyName>,
}

impl Written {
    /// About the memory that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Entry>() + 4 * self.stored.len()
    }
}

/// One entry, with its continuations, on its way to the disk.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: EntryId,
    pub(super) written: Vec<Arc<Written>>,
    /// Who waits; nobody for a detached entry, which is tried until it is written.
    pub(super) waiting: Option<oneshot::Sender<Result<Receipt, LogError>>>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.written.iter().map(|one| one.stored.len()).sum()
    }

    fn weight(&self) -> usize {
        self.written.iter().map(|one| one.weight()).sum()
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
    /// Of them all, in memory.
    weight: usize,
    /// The last batch failed and its detached entries are back; only a new entry or a pause ends that.
    cooling: bool,
    closed: bool,
    nudged: bool,
    /// Items that somebody waits for.
    awaited: usize,
    /// Those that nobody waits for have waited long enough.
    lingered: bool,
    /// How many waited for the last write.
    written: usize,
    /// How many the next write is to gather, if these are many.
    company: usize,
}

impl Queue {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes the item in, or says why not: never waits.
    pub(super) fn push(&self, item: Item) -> Result<(), LogError> {
        let share = if item.waiting.is_some() { 1 } else { 2 };
        let weight = item.weight();
        let mut state = self.state();
        if state.closed {
            return Err(LogError::Closed);
        }
        let full = state.items.len() >= self.capacity.entries.saturating_mul(share)
            || state.weight.saturating_add(weight) > self.capacity.bytes.saturating_mul(share);
        if full {
            return Err(LogError::Overloaded);
        }
        state.weight += weight;
        let is_awaited = item.waiting.is_some();
        // Whatever else comes, the writer looks at it by itself.
        let is_first = state.items.is_empty() || is_awaited && state.awaited == 0;
        state.awaited += usize::from(is_awaited);
        let is_news = is_first || state.cooling || is_awaited && state.awaited == state.company;
        state.items.push_back(item);
        state.cooling = false;
        drop(state);
        if is_news {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// What is to be written next, waiting for it; `None` when the queue is closed and empty.
    ///
    /// Nothing, after [`Queue::nudge`].
    pub(super) fn take(&self) -> Option<Vec<Item>> {
        let mut state = self.state();
        state.expect();
        loop {
            let wait = state.wait();
            if wait == Some(Duration::ZERO) {
                return Some(state.drain());
            }
            if state.closed {
                return None;
            }
            if std::mem::take(&mut state.nudged) {
                return Some(Vec::new());
            }
            state = match wait {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        (state.cooling, state.company, state.lingered) = (false, 0, true);
                    }
                    state
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
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
            state.weight += item.weight();
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
        state.awaited = 0;
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
    /// As many are on their way as waited for the last write. Together with those who came meanwhile they are all there are,
    /// and half of a crowd is enough.
    fn expect(&mut self) {
        self.company = match self.written + self.awaited {
            crowd @ CROWD.. => crowd.div_ceil(2),
            _ if self.written < COMPANY => 0,
            _ => self.written,
        };
    }

    /// How long the writer has to wait for what is here; `None` where nothing is.
    fn wait(&self) -> Option<Duration> {
        let is_full = self.items.len() >= BATCH_ITEMS;
        match (self.items.is_empty(), self.awaited) {
            (true, _) => None,
            (false, _) if self.closed => Some(Duration::ZERO),
            (false, _) if self.cooling => Some(RETRY),
            (false, 0) if !self.lingered && !is_full => Some(LINGER),
            (false, 1..) if self.awaited < self.company && !is_full => Some(PACE),
            (false, _) => Some(Duration::ZERO),
        }
    }

    /// Takes a batch out.
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
            self.weight -= item.weight();
            batch.push(item);
        }
        let awaited = batch.iter().filter(|item| item.waiting.is_some()).count();
        self.awaited = self.awaited.saturating_sub(awaited);
        (self.lingered, self.written) = (false, awaited);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Moment, Stamp};
    use super::super::groups::Event;
    use super::*;

    fn item(n: u8, is_awaited: bool) -> Item {
        let id = EntryId::new(1_790_000_000_123, [n; 10]);
        let stamp = Stamp { id, time: Moment(1_790_000_000_123), node: "n1".into() };
        let entry = Entry::new(Event::Custody, stamp);
        let waiting = is_awaited.then(|| oneshot::channel().0);
        let one = Written { entry: Arc::new(entry), stored: vec![n; 100], keys: Vec::new() };
        Item { id, written: vec![Arc::new(one)], waiting }
    }

    fn queue() -> Queue {
        Queue::new(Capacity { entries: 1000, bytes: 1 << 24 })
    }

    #[test]
    fn what_nobody_waits_for_goes_with_what_somebody_waits_for() {
        let queue = queue();
        queue.push(item(1, false)).unwrap();
        assert_eq!(queue.state().wait(), Some(LINGER));
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| queue.take().unwrap().len());
            queue.push(item(2, true)).unwrap();
            assert_eq!(taken.join().unwrap(), 2);
        });
        queue.push(item(3, false)).unwrap();
        assert_eq!(queue.take().unwrap().len(), 1, "after a while also alone");
        queue.push(item(4, false)).unwrap();
        queue.close();
        assert_eq!(queue.take().unwrap().len(), 1, "and at once at the end");
        assert!(queue.take().is_none());
    }

    #[test]
    fn where_many_wait_the_next_write_is_given_time_to_gather() {
        let queue = queue();
        let come = |most| (0..most).for_each(|_| queue.push(item(1, true)).unwrap());
        let waits = || {
            let mut state = queue.state();
            state.expect();
            state.wait()
        };
        let gone = || queue.take().unwrap().len();
        come(COMPANY);
        assert_eq!((waits(), gone()), (Some(Duration::ZERO), COMPANY));
        come(COMPANY);
        assert_eq!((waits(), gone()), (Some(Duration::ZERO), COMPANY), "all again");
        come(1);
        assert_eq!((waits(), gone()), (Some(PACE), 1));
        come(1);
        assert_eq!(waits(), Some(Duration::ZERO), "one alone waits for nobody");
        (0..BATCH_ITEMS).for_each(|_| queue.push(item(4, true)).unwrap());
        assert_eq!(queue.take().unwrap().len(), BATCH_ITEMS);
        assert_eq!((queue.len(), queue.state().awaited), (1, 1));
    }
    #[test]
    fn a_crowd_goes_in_two_groups() {
        let queue = queue();
        let come = |most| (0..most).for_each(|_| queue.push(item(1, true)).unwrap());
        let waits = |came| {
            come(came);
            queue.state().wait()
        };
        come(CROWD);
        assert_eq!(queue.take().unwrap().len(), CROWD);
        // All of them work on what they record next. Half of them are enough.
        queue.state().expect();
        assert_eq!(waits(CROWD / 2 - 1), Some(PACE));
        assert_eq!(waits(1), Some(Duration::ZERO));
        assert_eq!(queue.take().unwrap().len(), CROWD / 2);
        // The others came while these were written, and go at once.
        come(CROWD / 2);
        queue.state().expect();
        assert_eq!(waits(0), Some(Duration::ZERO));
    }
}
