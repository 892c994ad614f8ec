//! What is looked at every so many seconds by whoever comes along: one of many is told to.

use std::sync::atomic::{AtomicI64, Ordering};

/// When to look again.
#[derive(Debug)]
pub(super) struct Due {
    interval_s: i64,
    next_s: AtomicI64,
}

impl Due {
    /// Due at once, and then every so many seconds.
    pub(super) fn every(interval_s: i64) -> Self {
        Self { interval_s, next_s: AtomicI64::new(i64::MIN) }
    }

    /// Whether it is time; only one of many askers is told so.
    pub(super) fn is_now(&self, now_s: i64) -> bool {
        let next = self.next_s.load(Ordering::Relaxed);
        let later = now_s.saturating_add(self.interval_s);
        // A look planned far ahead was planned by a clock that was set back since.
        (now_s >= next || next > later)
            && self
                .next_s
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether it is time; all askers are told so until somebody says that they looked.
    pub(super) fn is_due(&self, now_s: i64) -> bool {
        let next = self.next_s.load(Ordering::Acquire);
        now_s >= next || next > now_s.saturating_add(self.interval_s)
    }

    /// Somebody looked.
    pub(super) fn looked(&self, now_s: i64) {
        self.next_s.store(now_s.saturating_add(self.interval_s), Ordering::Release);
    }

    /// Has the next asker look again: this look failed.
    pub(super) fn again(&self) {
        self.next_s.store(i64::MIN, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_old_keys_in_use() {
        let due = Due::every(5);
        assert!(due.is_now(1_000_000));
        assert!(!due.is_now(1_000_000) && !due.is_now(1_000_004));
        assert!(due.is_now(1_000_005));
        assert!(due.is_now(1_000), "the clock ran ahead when the next look was planned");
        assert!(!due.is_now(1_004));
        due.again();
        assert!(due.is_now(1_004));
    }
}
