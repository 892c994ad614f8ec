//! Follows a log that is being written: what was just written is taken from memory, several times a second, and its words are
//! written down together. What is not at hand is read in the log's folder.

use std::time::Duration;

use super::{Index, IndexError};
use crate::audit::{Feed, Log};

/// Between two looks for what is at hand.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Entries that are read in the folder in one piece.
const BATCH: usize = 2_000;
/// How often what was gathered is written down; and where that is much, since few long rounds cost half of many short ones.
const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(2);
const MUCH: u64 = 500;

/// How far a look came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Entries of the log that are written down altogether.
    pub position: u64,
    /// How long the next look can wait.
    pub pause: Duration,
}

impl Index {
    /// Takes what is at hand of what `log` wrote, else what is in its folder, and writes down what is due at `now`, a time that
    /// goes on steadily.
    ///
    /// Blocks. Another process may build the same index.
    ///
    /// # Errors
    /// [`IndexError`]; what was gathered is read anew from the folder then.
    pub fn follow(&mut self, log: &Log, feed: &Feed, now: Duration) -> Result<Reach, IndexError> {
        let mut taken = feed.take(self.next()?);
        let mut has_read = false;
        if taken.is_empty() && log.health().durable > self.next()? {
            has_read = self.read_on(BATCH)?.added > 0;
            self.written = now;
        }
        while !taken.is_empty() {
            for one in &taken {
                self.gather(one.index, Some(one.entry()), &one.keys(), one.leaf())?;
            }
            // What is taken and not gathered would have to be read in the folder.
            taken = if self.is_full() { Vec::new() } else { feed.take(self.next()?) };
        }
        let pause = if self.gathered() >= MUCH { LONG_PAUSE } else { PAUSE };
        if self.is_full() || now.saturating_sub(self.written) >= pause {
            self.write_down()?;
            self.written = now;
        }
        // Where a look finds nothing, the next one soon does not either.
        let goes_on = has_read && log.health().durable > self.next()?;
        let pause = if goes_on { Duration::ZERO } else { LOOK_EVERY };
        Ok(Reach { position: self.position()?, pause })
    }
}
