//! The purses of all holders of a kind, by their text: in shards, so that requests of different people do not wait for
//! each other.

use std::sync::{Arc, Mutex};

use dashmap::DashMap;

use super::lock;
use super::purse::Purse;

/// Purses by their holder's text.
#[derive(Debug, Default)]
pub(super) struct Purses {
    by_text: DashMap<Arc<str>, Arc<Purse>>,
    /// One is opened at a time, so that there are never more than fit.
    opening: Mutex<()>,
}

impl Purses {
    /// The purse of a holder, if there is one.
    pub(super) fn get(&self, text: &str) -> Option<Arc<Purse>> {
        self.by_text.get(text).map(|purse| Arc::clone(&purse))
    }

    /// The purse of a holder, opened where there is none; none if there is no room for another.
    ///
    /// Where all places are taken, `tidy` says of each that nobody uses whether anything of it still counts.
    pub(super) fn open(
        &self,
        text: &Arc<str>,
        most: usize,
        tidy: impl Fn(&Purse) -> bool,
        new: impl FnOnce() -> Purse,
    ) -> Option<Arc<Purse>> {
        if let Some(purse) = self.get(text) {
            return Some(purse);
        }
        let _only_one = lock(&self.opening);
        if self.by_text.len() >= most {
            self.tidy(tidy);
        }
        if let Some(purse) = self.get(text) {
            return Some(purse);
        }
        if self.by_text.len() >= most {
            return None;
        }
        let purse = Arc::new(new());
        self.by_text.insert(Arc::clone(text), Arc::clone(&purse));
        Some(purse)
    }

    /// Drops the purses that nobody uses and of which nothing counts any more.
    pub(super) fn tidy(&self, still_counts: impl Fn(&Purse) -> bool) {
        self.by_text.retain(|_, purse| in_use(purse) || still_counts(purse));
    }

    /// Every purse.
    pub(super) fn all(&self) -> Vec<Arc<Purse>> {
        self.by_text.iter().map(|purse| Arc::clone(&purse)).collect()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_text.len()
    }
}

/// A seat holds on to its purses; they are handed out under the lock of their shard.
fn in_use(purse: &Arc<Purse>) -> bool {
    Arc::strong_count(purse) > 1
}
