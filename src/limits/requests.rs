//! Requests of one person in sliding windows: a rate without a burst. No span of a window's length
//! sees more than its limit, which a leaky bucket that lets as many pass at once cannot keep.
//!
//! In steady time, since a clock that is set back must shut nobody out; the store knows nothing of it.

use std::collections::BTreeMap;

use super::allowance::Window;
use super::window::{Amounts, Grid};

/// All windows, by their length in seconds.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<u32, Amounts>);

/// A window is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) window: Window,
    /// Until there is room for one more.
    pub(super) wait_ms: i64,
}

impl Requests {
    /// Counts one request in all windows, or in none.
    pub(super) fn take(&mut self, windows: &[Window], steady_ms: i64) -> Result<(), Full> {
        for window in windows {
            let amounts = self.amounts(window.seconds);
            if amounts.used(steady_ms) >= window.limit {
                let free = amounts.falls_to_at(window.limit.saturating_sub(1), steady_ms);
                return Err(Full { window: *window, wait_ms: free.saturating_sub(steady_ms) });
            }
        }
        for window in windows {
            self.amounts(window.seconds).book(steady_ms, 1);
        }
        Ok(())
    }

    /// How many requests count in a window now, and when the oldest leaves it.
    pub(super) fn standing(&mut self, seconds: u32, steady_ms: i64) -> (u64, Option<i64>) {
        let amounts = self.amounts(seconds);
        (amounts.used(steady_ms), amounts.relaxes_at())
    }

    /// Drops empty windows; says whether anything still counts.
    pub(super) fn tidy(&mut self, steady_ms: i64) -> bool {
        self.0.retain(|_, amounts| amounts.used(steady_ms) > 0);
        !self.0.is_empty()
    }

    fn amounts(&mut self, seconds: u32) -> &mut Amounts {
        self.0.entry(seconds).or_insert_with(|| Amounts::new(Grid::of(seconds)))
    }
}
