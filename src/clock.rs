//! The only source of time, so that a test can say what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time: the machine's, or one that a test moves by hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Unix time in milliseconds when set by hand, else the machine's clock is read.
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `unix_ms` until [`Clock::advance_ms`] moves it; its clones move along.
    #[must_use]
    pub fn fixed(unix_ms: i64) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(unix_ms))) }
    }

    /// Moves a fixed clock forward by `ms` milliseconds; the machine's clock is left alone.
    pub fn advance_ms(&self, ms: i64) {
        if let Some(fixed) = &self.fixed {
            fixed.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        if let Some(fixed) = &self.fixed {
            return fixed.load(Ordering::SeqCst);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Unix time in whole seconds.
    #[must_use]
    pub fn unix_s(&self) -> i64 {
        self.unix_ms().div_euclid(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_by_hand_and_its_clones_move_along() {
        let clock = Clock::fixed(1_000);
        let other = clock.clone();
        clock.advance_ms(500);
        assert_eq!(other.unix_ms(), 1_500);
        assert_eq!(other.unix_s(), 1);
    }

    #[test]
    fn the_system_clock_is_past_2026() {
        assert!(Clock::system().unix_s() > 1_767_225_600);
    }
}
