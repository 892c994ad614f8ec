//! Reading a log while it is written: what was just made durable is handed over in memory, and whoever cannot keep
//! up reads the folder instead. Nobody who writes ever waits for a reader, and no reader misses an entry.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::at_rest::{KeyName, Opener};
use super::entry::Entry;
use super::merkle::{Hash, leaf_hash};
use super::queue::Written;
use super::reader::{Frames, ReadError, Record};
use super::shared::Shared;

/// About the memory of what waits for the reader; what is more is read from the folder.
const WAITING_BYTES: usize = if cfg!(test) { 128 * 1024 } else { 8 * 1024 * 1024 };
/// Entries that are handed over at a time.
const BATCH: usize = 512;
/// The pause after the folder could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// All who follow.
#[derive(Debug, Default)]
pub(super) struct Tails(Mutex<Vec<Weak<Tail>>>);

impl Tails {
    /// For one more reader, what becomes durable from now on.
    fn one_more(&self) -> Arc<Tail> {
        let tail = Arc::default();
        let mut all = locked(&self.0);
        all.retain(|tail| tail.strong_count() > 0);
        all.push(Arc::downgrade(&tail));
        tail
    }

    /// Takes the entries from index `first` on.
    pub(super) fn push(&self, first: u64, written: &[Arc<Written>]) {
        self.each(|tail| tail.push(first, written));
    }

    /// Wakes the readers.
    pub(super) fn tell(&self) {
        self.each(|tail| tail.changed.notify_one());
    }

    fn each(&self, tell: impl Fn(&Tail)) {
        locked(&self.0).iter().filter_map(Weak::upgrade).for_each(|tail| tell(&tail));
    }
}

/// What was made durable and one reader has not read yet.
#[derive(Debug, Default)]
struct Tail {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    written: VecDeque<(u64, Arc<Written>)>,
    bytes: usize,
}

impl Tail {
    fn push(&self, first: u64, written: &[Arc<Written>]) {
        let mut state = locked(&self.state);
        for (index, one) in (first..).zip(written) {
            state.bytes += one.weight();
            state.written.push_back((index, Arc::clone(one)));
        }
        if state.bytes > WAITING_BYTES {
            // The gap sends the reader to the folder.
            state.bytes = 0;
            state.written.clear();
        }
    }

    /// The entries from `next` on that are here; none if the first of them is not.
    fn take(&self, next: u64) -> Vec<(u64, Arc<Written>)> {
        let mut state = locked(&self.state);
        let mut taken = Vec::new();
        while taken.len() < BATCH {
            let wanted = next + taken.len() as u64;
            let Some((index, one)) = state.written.pop_front_if(|(index, _)| *index <= wanted)
            else {
                break;
            };
            state.bytes = state.bytes.saturating_sub(one.weight());
            if index == wanted {
                taken.push((index, one));
            }
        }
        taken
    }
}

fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was just made durable, at hand in memory, for one reader who looks from time to time and reads the folder where it is not.
#[derive(Debug)]
pub struct Feed(Arc<Tail>);

impl Feed {
    pub(super) fn new(shared: &Shared) -> Self {
        Self(shared.tails.one_more())
    }

    /// The entries from index `next` on, some hundred at most; none if the first of them is not at hand.
    #[must_use]
    pub fn take(&self, next: u64) -> Vec<Durable> {
        let taken = self.0.take(next).into_iter();
        taken.map(|(index, written)| Durable { index, written }).collect()
    }
}

/// An entry that is durable.
#[derive(Clone, Debug)]
pub struct Durable {
    /// Its place in the log.
    pub index: u64,
    written: Arc<Written>,
}

impl Durable {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.written.entry
    }

    /// The files of the keys that it is sealed under.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.written.keys.iter().map(KeyName::file).collect()
    }

    /// Its hash as a leaf of the tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.written.stored)
    }
}

/// Entries as they are stored, each with its index.
type Stored = Vec<(u64, Vec<u8>)>;

/// Entries in their order, each with its index.
pub type Followed = Vec<(u64, Arc<Entry>)>;

/// Reads a log that is being written.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    tail: Arc<Tail>,
    opener: Opener,
    next: u64,
    /// A look into the folder that is under way; whoever waits for it may come and go.
    reading: Option<JoinHandle<Result<Stored, ReadError>>>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, opener: Opener, next: u64) -> Self {
        let tail = shared.tails.one_more();
        Self { shared, tail, opener, next, reading: None }
    }

    /// The index of the entry that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Some of the entries that come next, waiting for the first.
    ///
    /// Cancel safe: a look into the folder goes on meanwhile, and nothing is taken that is not given.
    pub async fn next(&mut self) -> Followed {
        loop {
            let taken = self.tail.take(self.next);
            if !taken.is_empty() {
                self.next += taken.len() as u64;
                let entry = |(index, one): (u64, Arc<Written>)| (index, Arc::clone(&one.entry));
                return taken.into_iter().map(entry).collect();
            }
            let durable = self.shared.state().durable;
            if durable > self.next {
                match self.read().await {
                    Ok(read) if read.is_empty() => tokio::time::sleep(PAUSE).await,
                    Ok(mut read) => {
                        // What a look found that was begun before something was taken in memory.
                        read.retain(|(index, _)| *index >= self.next);
                        return self.given(read);
                    }
                    Err(error) => {
                        tracing::error!(%error, "the log cannot be read on; it is tried again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                continue;
            }
            self.tail.changed.notified().await;
        }
    }

    /// Opens what was sealed; what cannot be opened is passed over.
    fn given(&mut self, batch: Stored) -> Followed {
        self.next += batch.len() as u64;
        let mut opened = Vec::with_capacity(batch.len());
        for (index, stored) in batch {
            match Record::of(index, self.opener.open(index, stored)) {
                Record::Entry(entry) => opened.push((index, Arc::from(entry))),
                Record::Closed(closed) => tracing::error!(index, %closed, "nobody reviews it"),
            }
        }
        opened
    }

    async fn read(&mut self) -> Result<Stored, ReadError> {
        let (root, next) = (self.opener.dir().to_owned(), self.next);
        let begin =
            || tokio::task::spawn_blocking(move || Frames::new(&root, next).take(BATCH).collect());
        let read = self.reading.get_or_insert_with(begin).await;
        self.reading = None;
        read.unwrap_or_else(|_panicked| Ok(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Act, Event, Log, Settings};
    use super::*;
    use crate::clock::Clock;
    use crate::secret::MasterKey;

    fn open(dir: &std::path::Path) -> Log {
        let key = MasterKey::from_bytes([9; 32]);
        Log::open(dir, Settings::default(), Clock::system(), &key).unwrap().0
    }

    async fn append(log: &Log, numbers: std::ops::Range<u64>) {
        let mut waiting = Vec::new();
        for number in numbers {
            let mut entry = log.entry(Event::Custody).unwrap();
            entry.act = Some(Act { count: Some(number), ..Act::default() });
            waiting.push(log.append(entry));
        }
        for appended in waiting {
            appended.await.unwrap();
        }
    }

    /// Reads up to this entry; gives the numbers in the entries, and whether the indices have no gap.
    async fn read(follower: &mut Follower, to: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while follower.position() < to {
            let places = follower.position()..;
            for (place, (index, entry)) in places.zip(follower.next().await) {
                assert_eq!(index, place);
                numbers.extend(entry.act.as_ref().unwrap().count);
            }
        }
        numbers
    }

    #[tokio::test]
    async fn whoever_follows_gets_every_entry_once_and_in_order_also_if_they_lag_behind() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        append(&log, 0..50).await;
        let mut follower = log.follow(0);
        assert_eq!(read(&mut follower, 50).await, (0..50).collect::<Vec<_>>(), "from before");
        append(&log, 50..60).await;
        assert_eq!(read(&mut follower, 60).await, (50..60).collect::<Vec<_>>(), "as they come");
        // Far more than may wait in memory, while nobody reads.
        append(&log, 60..1500).await;
        append(&log, 1500..3000).await;
        assert_eq!(read(&mut follower, 3000).await, (60..3000).collect::<Vec<_>>(), "behind");
        log.close();
    }

    #[tokio::test]
    async fn who_stops_waiting_again_and_again_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path());
        append(&log, 0..1500).await;
        let (mut follower, mut numbers) = (log.follow(0), Vec::new());
        while numbers.len() < 1500 {
            let waited = tokio::time::timeout(Duration::from_micros(1), follower.next()).await;
            for (_, entry) in waited.into_iter().flatten() {
                numbers.extend(entry.act.as_ref().unwrap().count);
            }
        }
        assert_eq!(numbers, (0..1500).collect::<Vec<_>>());
        log.close();
    }
}
