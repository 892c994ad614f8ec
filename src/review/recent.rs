//! The last few times at which something happened.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The most times that are kept.
pub(super) const MOST: usize = 64;

/// Times in Unix milliseconds, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Recent(VecDeque<i64>);

impl Recent {
    /// Notes that it happened; whether it is now `count` times within so long. Then it begins anew.
    pub(super) fn reached(&mut self, at_ms: i64, count: u32, within_s: u32) -> bool {
        let count = usize::try_from(count).unwrap_or(MOST).clamp(1, MOST);
        self.0.push_back(at_ms);
        while self.0.len() > count {
            self.0.pop_front();
        }
        let first = self.0.front().copied().unwrap_or(at_ms);
        let reached =
            self.0.len() == count && at_ms.saturating_sub(first) <= i64::from(within_s) * 1000;
        if reached {
            self.0.clear();
        }
        reached
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_within_so_long_and_then_anew() {
        let mut recent = Recent::default();
        let reached: Vec<bool> = [0, 10, 20, 29, 30, 31, 32]
            .into_iter()
            .map(|s| recent.reached(s * 1000, 3, 10))
            .collect();
        // 20, 29 and 30 are the first three within ten seconds; 31 and 32 are two of the next.
        assert_eq!(reached, [false, false, false, false, true, false, false]);
    }
}
