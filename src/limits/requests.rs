//! Requests of one holder in short sliding windows: a rate without a burst. No span of a window's length
//! sees more than its limit, which a leaky bucket that lets as many pass at once cannot keep.
//!
//! In steady time, since a clock that is set back must shut nobody out; the store knows nothing of it.

use super::budget::Budget;
use super::window::{Amounts, Grid};

/// All windows by their budget: a handful.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<(Budget, Amounts)>);

impl Requests {
    /// How long a window stays full, in milliseconds; `None` if one more request fits.
    pub(super) fn full_for(&mut self, budget: &Budget, limit: u64, steady_ms: i64) -> Option<i64> {
        let amounts = self.amounts(budget);
        if amounts.used(steady_ms) < limit {
            return None;
        }
        let free = amounts.falls_to_at(limit.saturating_sub(1), steady_ms);
        Some(free.saturating_sub(steady_ms))
    }

    /// Counts one request.
    pub(super) fn count(&mut self, budget: &Budget, steady_ms: i64) {
        self.amounts(budget).book(steady_ms, 1);
    }

    /// How many requests count in a window now, and when the oldest leaves it.
    pub(super) fn standing(&mut self, budget: &Budget, steady_ms: i64) -> (u64, Option<i64>) {
        let amounts = self.amounts(budget);
        (amounts.used(steady_ms), amounts.relaxes_at())
    }

    /// Each budget, with how many requests count and when the oldest leaves.
    pub(super) fn standings(&mut self, steady_ms: i64) -> Vec<(Budget, u64, Option<i64>)> {
        let windows = self.0.iter_mut();
        windows
            .map(|(b, amounts)| (b.clone(), amounts.used(steady_ms), amounts.relaxes_at()))
            .collect()
    }

    /// What counts of each budget, and how many milliseconds ago at least it was counted.
    pub(super) fn released(&mut self, steady_ms: i64) -> Vec<(Budget, Vec<(u64, i64)>)> {
        let windows = self.0.iter_mut();
        windows.map(|(budget, amounts)| (budget.clone(), amounts.released(steady_ms))).collect()
    }

    /// Forgets the requests of a budget.
    pub(super) fn reset(&mut self, budget: &Budget) {
        self.0.retain(|(known, _)| known != budget);
    }

    /// Drops empty windows; says whether anything still counts.
    pub(super) fn tidy(&mut self, steady_ms: i64) -> bool {
        self.0.retain_mut(|(_, amounts)| amounts.used(steady_ms) > 0);
        !self.0.is_empty()
    }

    fn amounts(&mut self, budget: &Budget) -> &mut Amounts {
        let found = self.0.iter().position(|(known, _)| known == budget);
        let at = found.unwrap_or(self.0.len());
        if found.is_none() {
            self.0.push((budget.clone(), Amounts::new(Grid::of(&budget.period))));
        }
        // Just found or pushed.
        #[expect(clippy::indexing_slicing, reason = "the index was found or pushed one line above")]
        &mut self.0[at].1
    }
}
