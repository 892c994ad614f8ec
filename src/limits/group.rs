//! The windows of one unit and slice of one holder: what counts in each, and what is held of all of them.

use std::sync::Arc;

use super::budget::{Budget, Unit};
use super::distinct::Distinct;
use super::lease::Leases;
use super::slice::Slice;
use super::store::{AmountRow, UsageChange};
use super::window::{Amounts, Grid, Tally};

/// A budget and its window.
#[derive(Debug)]
pub(super) struct Account<W> {
    pub(super) budget: Budget,
    pub(super) window: W,
    /// When an allowance last named the budget.
    pub(super) named_ms: i64,
}

/// All windows of one unit and slice: what one of them counts, the others count too.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) unit: Unit,
    pub(super) slice: Slice,
    pub(super) windows: Windows,
}

/// What a group counts by.
#[derive(Debug)]
pub(super) enum Windows {
    /// Amounts.
    Amounts(Totals),
    /// Distinct subjects.
    Subjects(Distinct),
    /// Requests.
    Requests(Leases),
}

impl Group {
    pub(super) fn new(unit: Unit, slice: Slice, tally: &Arc<Tally>) -> Self {
        let windows = match unit {
            Unit::Subjects | Unit::Unmasked => Windows::Subjects(Distinct::new(Arc::clone(tally))),
            Unit::Requests => Windows::Requests(Leases::default()),
            Unit::Records | Unit::Bytes | Unit::Files | Unit::ZeroHits => {
                Windows::Amounts(Totals::default())
            }
        };
        Self { unit, slice, windows }
    }

    /// Opens a budget's window; says where it is and whether it is new.
    pub(super) fn open(&mut self, budget: &Budget, now_ms: i64) -> (usize, bool) {
        match &mut self.windows {
            Windows::Amounts(totals) => totals.open(budget, now_ms),
            Windows::Subjects(distinct) => distinct.open(budget, now_ms),
            Windows::Requests(leases) => leases.open(budget, now_ms),
        }
    }

    /// Gives a new window what the longest other one knows, so that a change of policy refills nobody.
    /// That one's buckets are coarser, which is stricter.
    pub(super) fn adopt(&mut self, holder: &Arc<str>, at: usize, now_ms: i64) -> Vec<UsageChange> {
        match &mut self.windows {
            Windows::Amounts(totals) => totals.adopt(holder, at, now_ms),
            Windows::Subjects(distinct) => distinct.adopt(holder, at, now_ms),
            Windows::Requests(leases) => leases.totals.adopt(holder, at, now_ms),
        }
    }

    /// What counts in a window now, held included.
    pub(super) fn used(&mut self, at: usize, now_ms: i64) -> u64 {
        match &mut self.windows {
            Windows::Amounts(totals) => totals.used(at, now_ms),
            Windows::Subjects(distinct) => distinct.used(at, now_ms),
            Windows::Requests(leases) => leases.used(at, now_ms),
        }
    }

    /// When a window will have fallen so far that `target` or less counts; `None` while nothing of it is
    /// booked, since answers under way decide then.
    pub(super) fn falls_to_at(&self, at: usize, target: u64, now_ms: i64) -> Option<i64> {
        match &self.windows {
            Windows::Amounts(totals) | Windows::Requests(Leases { totals, .. }) => {
                let account = totals.accounts.get(at)?;
                account.window.relaxes_at()?;
                Some(account.window.falls_to_at(target.saturating_sub(totals.held), now_ms))
            }
            Windows::Subjects(distinct) => distinct.relaxes_at(at),
        }
    }

    /// What counts in each window, and how many milliseconds ago at least it was released.
    pub(super) fn released(&mut self, now_ms: i64) -> Vec<(Budget, Vec<(u64, i64)>)> {
        match &mut self.windows {
            Windows::Amounts(totals) | Windows::Requests(Leases { totals, .. }) => totals
                .accounts
                .iter_mut()
                .map(|a| (a.budget.clone(), a.window.released(now_ms)))
                .collect(),
            Windows::Subjects(distinct) => distinct.released(now_ms),
        }
    }

    /// When the oldest release leaves a window.
    pub(super) fn relaxes_at(&self, at: usize) -> Option<i64> {
        match &self.windows {
            Windows::Amounts(totals) | Windows::Requests(Leases { totals, .. }) => {
                totals.accounts.get(at)?.window.relaxes_at()
            }
            Windows::Subjects(distinct) => distinct.relaxes_at(at),
        }
    }

    /// Each window's length in seconds, and whether anything counts in it.
    pub(super) fn standing(&mut self, now_ms: i64) -> Vec<(u32, bool)> {
        match &mut self.windows {
            Windows::Amounts(totals) | Windows::Requests(Leases { totals, .. }) => totals
                .accounts
                .iter_mut()
                .map(|a| (a.budget.period.seconds(), a.window.used(now_ms) > 0))
                .collect(),
            Windows::Subjects(distinct) => distinct.standing(now_ms).collect(),
        }
    }

    /// Each budget, with what counts of it and when the oldest of that leaves.
    pub(super) fn standings(&mut self, now_ms: i64) -> Vec<(Budget, u64, Option<i64>)> {
        let budgets = match &self.windows {
            Windows::Amounts(totals) | Windows::Requests(Leases { totals, .. }) => {
                totals.accounts.iter().map(|a| a.budget.clone()).collect()
            }
            Windows::Subjects(distinct) => distinct.budgets(),
        };
        let budgets: Vec<Budget> = budgets;
        let stand = |(at, budget)| (budget, self.used(at, now_ms), self.relaxes_at(at));
        budgets.into_iter().enumerate().map(stand).collect()
    }

    /// Begins a budget's window anew. It stays open: a new one would start with what another one knows.
    pub(super) fn reset(&mut self, budget: &Budget) {
        match &mut self.windows {
            Windows::Amounts(totals) => {
                totals.reset(budget);
            }
            Windows::Subjects(distinct) => distinct.reset(budget),
            Windows::Requests(leases) => leases.reset(budget),
        }
    }

    /// Drops windows that were not named since a moment; says whether any is left.
    pub(super) fn forget(&mut self, oldest_ms: i64) -> bool {
        match &mut self.windows {
            Windows::Amounts(totals) => totals.forget(oldest_ms),
            Windows::Subjects(distinct) => distinct.forget(oldest_ms),
            Windows::Requests(leases) => leases.forget(oldest_ms),
        }
    }

    /// Whether an answer under way holds a subject.
    pub(super) fn holds_subjects(&self) -> bool {
        match &self.windows {
            Windows::Amounts(_) | Windows::Requests(_) => false,
            Windows::Subjects(distinct) => distinct.is_held(),
        }
    }
}

/// Windows that count by amount.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// What answers under way hold.
    held: u64,
    pub(super) accounts: Vec<Account<Amounts>>,
}

impl Totals {
    /// Takes over an amount that the store remembers, in a window that is open.
    pub(super) fn restore(&mut self, row: &AmountRow) {
        if let Some(account) = self.accounts.iter_mut().find(|a| a.budget == row.budget) {
            account.window.restore(row.bucket, row.amount);
        }
    }

    pub(super) fn hold(&mut self, amount: u64) {
        self.held = self.held.saturating_add(amount);
    }

    pub(super) fn give_back(&mut self, amount: u64) {
        self.held = self.held.saturating_sub(amount);
    }

    /// Books as released now what was held; gives what to write.
    pub(super) fn book(
        &mut self,
        holder: &Arc<str>,
        amount: u64,
        now_ms: i64,
        owed: &mut Vec<UsageChange>,
    ) {
        self.give_back(amount);
        for account in &mut self.accounts {
            let bucket = account.window.book(now_ms, amount);
            owed.push(add(holder, &account.budget, bucket, amount));
        }
    }

    /// Opens a budget's window; says where it is and whether it is new.
    pub(super) fn open(&mut self, budget: &Budget, now_ms: i64) -> (usize, bool) {
        if let Some(at) = self.accounts.iter().position(|a| a.budget == *budget) {
            if let Some(account) = self.accounts.get_mut(at) {
                account.named_ms = now_ms;
            }
            return (at, false);
        }
        let window = Amounts::new(Grid::of(&budget.period));
        self.accounts.reserve_exact(1);
        self.accounts.push(Account { budget: budget.clone(), window, named_ms: now_ms });
        (self.accounts.len() - 1, true)
    }

    pub(super) fn adopt(&mut self, holder: &Arc<str>, at: usize, now_ms: i64) -> Vec<UsageChange> {
        let Some(budget) = self.accounts.get(at).map(|a| a.budget.clone()) else {
            return Vec::new();
        };
        let grid = Grid::of(&budget.period);
        let siblings = self.accounts.iter().filter(|a| a.budget != budget);
        let longest = siblings.max_by_key(|a| a.budget.period.seconds());
        let known = longest.map(|a| a.window.copied_to(&grid)).unwrap_or_default();
        let Some(account) = self.accounts.get_mut(at) else { return Vec::new() };
        let mut owed = Vec::new();
        for (bucket, amount) in known {
            if bucket >= grid.oldest(now_ms) {
                account.window.restore(bucket, amount);
                owed.push(add(holder, &budget, bucket, amount));
            }
        }
        owed
    }

    pub(super) fn used(&mut self, at: usize, now_ms: i64) -> u64 {
        let booked = self.accounts.get_mut(at).map_or(0, |a| a.window.used(now_ms));
        booked.saturating_add(self.held)
    }

    /// Lets a budget begin anew; says where its window is.
    pub(super) fn reset(&mut self, budget: &Budget) -> Option<usize> {
        let at = self.accounts.iter().position(|account| account.budget == *budget)?;
        self.accounts.get_mut(at)?.window = Amounts::new(Grid::of(&budget.period));
        Some(at)
    }

    /// Drops windows that were not named since a moment; says whether any is left.
    pub(super) fn forget(&mut self, oldest_ms: i64) -> bool {
        self.accounts.retain(|a| a.named_ms >= oldest_ms);
        !self.accounts.is_empty()
    }
}

fn add(holder: &Arc<str>, budget: &Budget, bucket: i64, amount: u64) -> UsageChange {
    UsageChange::Add(amount_row(holder, budget, bucket, amount))
}

pub(super) fn amount_row(
    holder: &Arc<str>,
    budget: &Budget,
    bucket: i64,
    amount: u64,
) -> AmountRow {
    AmountRow { holder: Arc::clone(holder), budget: budget.clone(), bucket, amount }
}
