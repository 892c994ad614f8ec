//! How many different ones, in little memory: exact up to [`KEPT`], beyond by an adaptive sample (Wegman), whose
//! standard error is 8 %.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// Hashes that are kept.
const KEPT: usize = 256;

/// A hash that is the same on every machine and in every run.
pub(super) fn hash(text: &str) -> u64 {
    let whole = digest::digest(&digest::SHA256, text.as_bytes());
    whole.as_ref().iter().take(8).fold(0, |so_far, byte| so_far << 8 | u64::from(*byte))
}

/// What was seen of something, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Distinct {
    /// Only hashes that end in so many zeros are kept.
    level: u32,
    /// Sorted.
    hashes: Vec<u64>,
}

impl Distinct {
    pub(super) fn insert(&mut self, hash: u64) {
        if hash.trailing_zeros() < self.level {
            return;
        }
        let Err(place) = self.hashes.binary_search(&hash) else { return };
        self.hashes.insert(place, hash);
        while self.hashes.len() > KEPT {
            self.level += 1;
            let level = self.level;
            self.hashes.retain(|kept| kept.trailing_zeros() >= level);
        }
    }

    pub(super) fn count(&self) -> u64 {
        (self.hashes.len() as u64) << self.level.min(40)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_exact_while_few_and_near_when_many_and_repetition_changes_nothing() {
        let mut distinct = Distinct::default();
        for n in 0..200 {
            distinct.insert(hash(&format!("{n}")));
            distinct.insert(hash(&format!("{}", n / 2)));
        }
        assert_eq!(distinct.count(), 200);
        for n in 0..20_000 {
            distinct.insert(hash(&format!("{n}")));
        }
        let error = distinct.count().abs_diff(20_000);
        assert!(error < 20_000 / 4, "{}", distinct.count());
        assert!(distinct.hashes.len() <= KEPT);
    }
}
