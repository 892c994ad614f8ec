//! Whether answers that stream are read. One that nobody takes holds its place at the endpoint all the same, so while a
//! request waits for one, the place is called back. Where nobody waits, nobody is hurried.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A reader who has let an answer wait for so long in all
const WAITED: Duration = Duration::from_secs(2);
/// and took less than this meanwhile does not read.
const TAKEN_BYTES: u64 = 64 * 1024;
/// How long a request waits for a place before one is called back, and then another.
const CALLS: Duration = Duration::from_millis(100);

/// The readers of the answers that stream from one endpoint and hold a place there.
#[derive(Default)]
pub(super) struct Readers(Mutex<Vec<Arc<Reader>>>);

struct Reader {
    whose: Arc<str>,
    pace: Mutex<Pace>,
    called_back: CancellationToken,
}

/// How a reader has done of late.
#[derive(Default)]
struct Pace {
    waited: Duration,
    taken_bytes: u64,
    /// Since when a piece waits to be taken, if one does.
    since: Option<Instant>,
}

/// Of an answer that streams: is told how it is read, and tells if its place is needed.
pub struct Reading(Arc<Reader>);

/// An answer that holds a place, until that is given back.
pub(super) struct Holding {
    readers: Arc<Readers>,
    reader: Arc<Reader>,
}

impl Readers {
    /// Notes that an answer streams to somebody.
    pub(super) fn note(self: &Arc<Self>, whose: Arc<str>) -> (Holding, Reading) {
        let (pace, called_back) = Default::default();
        let reader = Arc::new(Reader { whose, pace, called_back });
        lock(&self.0).push(Arc::clone(&reader));
        (Holding { readers: Arc::clone(self), reader: Arc::clone(&reader) }, Reading(reader))
    }

    /// Calls places back, one after the other, for as long as this is waited for.
    pub(super) async fn call_back(&self) -> Infallible {
        loop {
            sleep(CALLS).await;
            self.call_one_back(Instant::now());
        }
    }

    /// Of those that are not read one of whoever has most of them, the one that waited longest.
    fn call_one_back(&self, now: Instant) {
        let readers = lock(&self.0);
        let is_left = |reader: &&Arc<Reader>| !reader.called_back.is_cancelled();
        let unread: Vec<_> = readers
            .iter()
            .filter(is_left)
            .filter_map(|reader| Some((reader, lock(&reader.pace).unread(now)?)))
            .collect();
        let mut each: HashMap<&str, usize> = HashMap::new();
        for (reader, _) in &unread {
            *each.entry(&reader.whose).or_default() += 1;
        }
        let first =
            unread.iter().max_by_key(|(reader, waited)| (each.get(&*reader.whose), *waited));
        if let Some((reader, _)) = first {
            reader.called_back.cancel();
        }
    }
}

impl Pace {
    fn begin(&mut self, now: Instant) {
        self.since = Some(now);
    }

    fn end(&mut self, bytes: u64, now: Instant) {
        let waited = self.since.take().map_or(Duration::ZERO, |since| now - since);
        self.waited += waited;
        self.taken_bytes = self.taken_bytes.saturating_add(bytes);
        if self.waited >= WAITED {
            *self = Self::default();
        }
    }

    /// For how long it has waited for its reader, if it waits and that one does not read.
    fn unread(&self, now: Instant) -> Option<Duration> {
        let piece = now - self.since?;
        let waited = self.waited + piece;
        let takes_little = waited >= WAITED && self.taken_bytes < TAKEN_BYTES;
        (piece >= WAITED || takes_little).then_some(waited)
    }
}

impl Reading {
    /// Waits until the reader has taken these bytes; `None` if the place that the answer holds is called back before.
    pub async fn takes<T>(&self, bytes: u64, taking: impl Future<Output = T>) -> Option<T> {
        let Self(reader) = self;
        lock(&reader.pace).begin(Instant::now());
        let taken = tokio::select! {
            biased;
            taken = taking => Some(taken),
            () = reader.called_back.cancelled() => None,
        };
        lock(&reader.pace).end(bytes, Instant::now());
        taken
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        lock(&self.readers.0).retain(|one| !Arc::ptr_eq(one, &self.reader));
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reading").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const PIECE: u64 = 16 * 1024;

    /// So many answers of one, none of which is taken.
    fn unread(readers: &Arc<Readers>, whose: &str, answers: usize) -> Vec<(Holding, Reading)> {
        let note = |_| readers.note(whose.into());
        let all: Vec<_> = (0..answers).map(note).collect();
        all.iter().for_each(|(_, reading)| lock(&reading.0.pace).begin(Instant::now()));
        all
    }

    fn called_back(of: &[(Holding, Reading)]) -> usize {
        of.iter().filter(|(_, reading)| reading.0.called_back.is_cancelled()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_called_back_from_whoever_has_most_that_are_not_read() {
        let readers = Arc::new(Readers::default());
        let (few, mut many) = (unread(&readers, "few", 2), unread(&readers, "many", 5));
        readers.call_one_back(Instant::now() + WAITED - CALLS);
        assert_eq!((called_back(&few), called_back(&many)), (0, 0), "not before its time");
        let later = Instant::now() + WAITED;
        (0..3).for_each(|_| readers.call_one_back(later));
        assert_eq!((called_back(&few), called_back(&many)), (0, 3));
        many.retain(|(_, reading)| !reading.0.called_back.is_cancelled());
        (0..10).for_each(|_| readers.call_one_back(later));
        assert_eq!((called_back(&few), called_back(&many)), (2, 2));
        drop((few, many));
        assert!(lock(&readers.0).is_empty(), "what holds no place is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_or_waits_for_the_backend_keeps_the_place() {
        let readers = Arc::new(Readers::default());
        let (_holding, reading) = readers.note("slow".into());
        for (pause, is_read) in [(400, true), (600, false), (1_900, false), (400, true)] {
            // Begins anew, whatever was before.
            *lock(&reading.0.pace) = Pace::default();
            let mut unread = 0;
            for _ in 0..20 {
                let taking = sleep(Duration::from_millis(pause));
                let mut taking = std::pin::pin!(reading.takes(PIECE, taking));
                let almost = sleep(Duration::from_millis(pause - 1));
                tokio::select! {
                    biased;
                    _taken = &mut taking => panic!("taken before its time"),
                    () = almost => {}
                }
                unread += u32::from(lock(&reading.0.pace).unread(Instant::now()).is_some());
                taking.await.unwrap();
                // The backend has nothing: nobody is waited for.
                sleep(Duration::from_secs(10)).await;
                assert_eq!(lock(&reading.0.pace).unread(Instant::now()), None);
            }
            assert_eq!(unread == 0, is_read, "a piece in {pause} ms: {unread} times");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_request_waits_one_place_after_the_other_is_called_back() {
        let readers = Arc::new(Readers::default());
        let (_holding, reading) = readers.note("idle".into());
        let taken = tokio::join!(reading.takes(PIECE, pending::<()>()), async {
            let waiting = tokio::time::timeout(WAITED * 2, readers.call_back());
            assert!(waiting.await.is_err());
        });
        assert_eq!(taken.0, None);
    }
}
