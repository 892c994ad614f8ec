//! Time of which nobody knows what was released: after a restore, from the backup on. Every budget whose window reaches
//! over it is taken as used up, of everybody, until the window has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Limits;
use super::allowance::Allowance;
use super::period::{MAX_WINDOW_S, Period};
use super::window::Grid;

/// Nothing is missing.
const NONE: i64 = i64::MIN;

/// When such a time ended, in Unix milliseconds.
#[derive(Debug)]
pub(super) struct Gap(AtomicI64);

impl Default for Gap {
    fn default() -> Self {
        Self(AtomicI64::new(NONE))
    }
}

impl Gap {
    /// Whether what was released at its end would still count now.
    fn reaches(&self, period: &Period, now_ms: i64) -> bool {
        let end = self.0.load(Ordering::Relaxed);
        let grid = Grid::of(period);
        end != NONE && grid.bucket(end) >= grid.oldest(now_ms)
    }

    /// The terms with nothing left of what may have been used up meanwhile.
    pub(super) fn tighten(&self, allowance: &Arc<Allowance>, now_ms: i64) -> Arc<Allowance> {
        if self.0.load(Ordering::Relaxed) == NONE {
            return Arc::clone(allowance);
        }
        Arc::new(allowance.used_up(|period| self.reaches(period, now_ms)))
    }
}

impl Limits {
    /// Takes every budget as used up, of everybody, whose window reaches over a time that ended then; `None` if there is
    /// none, or somebody decided otherwise. What a window of rates or of minutes forgets at a restart it forgets here too.
    pub fn unknown_until(&self, unix_ms: Option<i64>) {
        self.gap.0.store(unix_ms.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Whether any window there is may reach over that time.
    #[must_use]
    pub fn is_any_used_up(&self) -> bool {
        self.gap.reaches(&Period::Sliding(MAX_WINDOW_S), self.means.clock.unix_ms())
    }
}
