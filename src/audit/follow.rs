//! Reading a log while it is written: what was just made durable is handed over in memory, and whoever cannot keep
//! up reads the folder instead. Nobody who writes ever waits for a reader, and no reader misses an entry.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::at_rest::{Frame, Opener};
use super::reader::{Frames, ReadError};
use super::shared::Shared;

/// Bytes that wait for the reader; what is more is read from the folder.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Entries that are handed over at a time.
const BATCH: usize = 512;
/// The pause after the folder could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// What was made durable and not yet read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing is kept before somebody reads.
    is_followed: bool,
    frames: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
}

impl Tail {
    /// Takes the entries from index `first` on.
    pub(super) fn push(&self, first: u64, frames: Vec<Vec<u8>>) {
        let mut state = self.state();
        if !state.is_followed {
            return;
        }
        for (index, frame) in (first..).zip(frames) {
            state.bytes += frame.len();
            state.frames.push_back((index, frame));
        }
        if state.bytes > WAITING_BYTES {
            // The gap sends the reader to the folder.
            state.bytes = 0;
            state.frames.clear();
        }
    }

    /// Wakes the reader.
    pub(super) fn tell(&self) {
        self.changed.notify_one();
    }

    /// The entries from `next` on that are here; none if the first of them is not.
    fn take(&self, next: u64) -> Vec<(u64, Vec<u8>)> {
        let mut state = self.state();
        let mut taken = Vec::new();
        while taken.len() < BATCH {
            let wanted = next + taken.len() as u64;
            let Some((index, frame)) = state.frames.pop_front_if(|(index, _)| *index <= wanted)
            else {
                break;
            };
            state.bytes = state.bytes.saturating_sub(frame.len());
            if index == wanted {
                taken.push((index, frame));
            }
        }
        taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The JSON of entries in their order, each with its index.
pub type Followed = Vec<(u64, Vec<u8>)>;

/// Reads a log that is being written.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    opener: Opener,
    next: u64,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, opener: Opener, next: u64) -> Self {
        shared.tail.state().is_followed = true;
        Self { shared, opener, next }
    }

    /// The index of the entry that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Some of the entries that come next, waiting for the first.
    ///
    /// Cancel safe while it waits; what was taken in memory and not given is read from the folder.
    pub async fn next(&mut self) -> Followed {
        loop {
            let taken = self.shared.tail.take(self.next);
            if !taken.is_empty() {
                return self.given(taken);
            }
            if self.shared.state().durable > self.next {
                match self.read().await {
                    Ok(read) if !read.is_empty() => return self.given(read),
                    Ok(_none) => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        tracing::error!(%error, "the log cannot be read on; it is tried again");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                continue;
            }
            self.shared.tail.changed.notified().await;
        }
    }

    /// Opens what was sealed; what cannot be opened is passed over.
    fn given(&mut self, batch: Vec<(u64, Vec<u8>)>) -> Followed {
        self.next += batch.len() as u64;
        let mut opened = Vec::with_capacity(batch.len());
        for (index, stored) in batch {
            match self.opener.open(stored) {
                Ok(Frame::Json(json)) => opened.push((index, json)),
                Ok(Frame::Closed(closed)) => tracing::error!(index, %closed, "nobody reviews it"),
                Err(error) => tracing::error!(index, %error, "nobody reviews it"),
            }
        }
        opened
    }

    async fn read(&self) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let (root, next) = (self.opener.dir().to_owned(), self.next);
        let read = move || Frames::new(&root, next).take(BATCH).collect();
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_panicked| Ok(Vec::new()))
    }
}
