//! What is asked of budgets beside requests: how they stand, and that one begins anew.

use std::sync::Arc;

use super::Limits;
use super::budget::{Budget, Unit};
use super::purses::Purses;
use super::quota::seconds_until;

/// How one budget of one holder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The holder's text.
    pub holder: Arc<str>,
    /// Which budget.
    pub budget: Budget,
    /// What counts of it now, with what answers under way hold.
    pub used: u64,
    /// In how many seconds the oldest of that leaves the window.
    pub eases_in_s: Option<u64>,
}

impl Limits {
    /// How the budgets of a holder stand, or those of everybody; those of which nothing counts are left out.
    #[must_use]
    pub fn standings(&self, holder: Option<&str>) -> Vec<Standing> {
        let (now, steady) = (self.means.clock.unix_ms(), self.means.steady_ms());
        let asked = |purses: &Purses| match holder {
            Some(text) => Vec::from_iter(purses.get(text)),
            None => purses.all(),
        };
        let mut standings = Vec::new();
        for purse in self.all_purses().map(asked).iter().flatten() {
            for (budget, used, (eases_at, from)) in purse.ledger().standings(now, steady) {
                let eases_in_s = eases_at.map(|at| seconds_until(from, at));
                let holder = Arc::clone(&purse.text);
                standings.push(Standing { holder, budget, used, eases_in_s });
            }
        }
        standings.sort_unstable_by(|a, b| (&a.holder, &a.budget).cmp(&(&b.holder, &b.budget)));
        standings
    }

    /// How many records, or files (which uses of a grant count as), a holder was given: what answers under way hold is not
    /// in it, since they may give it back.
    #[must_use]
    pub fn settled(&self, holder: &str, unit: Unit) -> u64 {
        let (now, steady) = (self.means.clock.unix_ms(), self.means.steady_ms());
        let Some(purse) = self.purses_beside(holder).get(holder) else { return 0 };
        let released = purse.ledger().released(now, steady);
        let amounts = released
            .iter()
            .filter(|(budget, _)| budget.unit == unit)
            .map(|(_, past)| past.iter().map(|(count, _)| count).sum::<u64>());
        amounts.max().unwrap_or_default()
    }

    /// Lets a holder's budget begin anew: nothing that was released counts any more. What answers under way hold does.
    ///
    /// In memory only: what the store remembers of it must be gone before, or a restart brings it back.
    pub fn reset(&self, holder: &str, budget: &Budget) {
        self.reset_shared(holder, budget);
        self.reset_here(holder, budget);
    }

    /// The same of what this gate counts itself, not of what several count together.
    pub fn reset_here(&self, holder: &str, budget: &Budget) {
        if let Some(purse) = self.purses_beside(holder).get(holder) {
            purse.ledger().reset(budget);
        }
    }
}
