//! How old it is what a gate knows, and a time that never goes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// What is known since then counts no more.
const OLD: Duration = Duration::from_secs(5);

/// When somebody looked last.
#[derive(Debug)]
pub(crate) struct Age {
    clock: Clock,
    /// The clock's time at the start, by which a clock that is set back brings nothing to life again.
    began_s: i64,
    began: Duration,
    start: Instant,
    /// When somebody looked last, in milliseconds from `start`; 0 for never.
    looked_ms: AtomicU64,
}

impl Age {
    /// Nobody looked yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            began_s: clock.unix_s(),
            began: clock.steady(),
            start: Instant::now(),
            looked_ms: AtomicU64::new(0),
            clock,
        }
    }

    /// Whether what is known is too old to be relied on.
    pub(crate) fn is_old(&self) -> bool {
        let looked = self.looked_ms.load(Ordering::Acquire);
        let old = u64::try_from(OLD.as_millis()).unwrap_or(0);
        looked == 0 || self.elapsed_ms().saturating_sub(looked) > old
    }

    /// All was known at this moment, as [`Age::elapsed_ms`] gave it.
    pub(crate) fn looked_at(&self, moment_ms: u64) {
        self.looked_ms.store(moment_ms, Ordering::Release);
    }

    /// The moment, never 0.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        // 0 stands for never.
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// The time, which never goes back while the gate runs.
    pub(crate) fn now_s(&self) -> i64 {
        let ran = self.clock.steady().saturating_sub(self.began).as_secs();
        let least = self.began_s.saturating_add(i64::try_from(ran).unwrap_or(0));
        self.clock.unix_s().max(least)
    }
}
