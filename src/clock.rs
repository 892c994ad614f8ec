//! The only source of time, so that a test can say what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// The time since some moment before; goes on steadily while somebody sets the machine's clock.
    ///
    /// For what is forgotten at a restart: rates and pauses. A fixed clock's goes as it is moved.
    #[must_use]
    pub fn steady(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        if self.fixed.is_some() {
            return Duration::from_millis(u64::try_from(self.unix_ms()).unwrap_or(0));
        }
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
        let now = Instant::now();
        now.saturating_duration_since(*START.get_or_init(|| now))
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
    fn the_steady_time_does_not_follow_the_calendar() {
        let clock = Clock::system();
        let before = clock.steady();
        assert!(clock.steady() >= before);
        assert!(before < Duration::from_secs(86_400 * 365), "counted from this process");
    }

    #[test]
    fn the_system_clock_is_past_2026() {
        assert!(Clock::system().unix_s() > 1_767_225_600);
    }
}
