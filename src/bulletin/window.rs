//! Batches of a lane that are on the board.

use std::collections::VecDeque;

use super::board::Sealed;

/// Batches that nobody has read yet, at once.
const MOST: usize = if cfg!(test) { 3 } else { 32 };
/// So long what is new stays there; whoever has not read it by then is told again as one who is behind.
const STAYS_MS: i64 = 2_000;
/// After so long what somebody needs is put there again, should the board have lost it.
const AGAIN_MS: i64 = 1_000;

/// A batch that is on the board.
pub(super) struct Posted {
    pub(super) after: i64,
    pub(super) upto: i64,
    pub(super) tag: String,
    pub(super) sealed: Vec<u8>,
    /// On the steady clock: since when it is there.
    pub(super) since: i64,
    /// When it was put there last.
    pub(super) last: Option<i64>,
}

/// What is on the board of a lane, for those who are as far as this.
pub(super) struct Window {
    batches: VecDeque<Posted>,
    /// Behind which number the next batch begins.
    tail: i64,
}

impl Window {
    /// An empty one, which goes on behind this number.
    pub(super) fn behind(tail: i64) -> Self {
        Self { batches: VecDeque::new(), tail }
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.batches.iter().any(|batch| batch.tag == tag)
    }

    /// Takes away what was there long enough, and goes on no further back than what somebody has read.
    pub(super) fn expire(&mut self, read: i64, now: i64, drops: &mut Vec<Sealed>) {
        let is_over = |batch: &mut Posted| now.saturating_sub(batch.since) >= STAYS_MS;
        while let Some(batch) = self.batches.pop_front_if(is_over) {
            drops.push((batch.tag, batch.sealed));
        }
        self.tail = self.tail.max(read);
    }

    /// Takes away what all have read, and everything if somebody is further back than it begins.
    pub(super) fn forget(&mut self, read: i64, drops: &mut Vec<Sealed>) {
        while let Some(batch) = self.batches.pop_front_if(|batch| batch.upto <= read) {
            drops.push((batch.tag, batch.sealed));
        }
        if self.batches.front().is_some_and(|first| first.after > read) {
            drops.extend(self.batches.drain(..).map(|batch| (batch.tag, batch.sealed)));
        }
        if self.batches.is_empty() {
            self.tail = read;
        }
    }

    /// Behind which number what is on the board begins.
    pub(super) fn start(&self) -> i64 {
        self.batches.front().map_or(self.tail, |first| first.after)
    }

    pub(super) fn tail(&self) -> i64 {
        self.tail
    }

    pub(super) fn has_room(&self, read: i64) -> bool {
        self.batches.iter().filter(|batch| batch.upto > read).count() < MOST
    }

    pub(super) fn push(&mut self, batch: Posted) {
        self.tail = batch.upto;
        self.batches.push_back(batch);
    }

    /// What is to be put on the board: what is new, and what somebody still needs once more.
    pub(super) fn post(&mut self, read: i64, now: i64, posts: &mut Vec<Sealed>) {
        for batch in self.batches.iter_mut().filter(|batch| batch.upto > read) {
            if batch.last.is_none_or(|last| now.saturating_sub(last) >= AGAIN_MS) {
                batch.last = Some(now);
                posts.push((batch.tag.clone(), batch.sealed.clone()));
            }
        }
    }

    /// The board lost them, or may have.
    pub(super) fn again(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.last = None);
    }

    pub(super) fn into_drops(self) -> impl Iterator<Item = Sealed> {
        self.batches.into_iter().map(|batch| (batch.tag, batch.sealed))
    }
}
