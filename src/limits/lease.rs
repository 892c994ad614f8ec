//! Requests in long windows: written ahead in small leases, so that a request costs a write now and then
//! only, and a crash costs at most what was leased: a little strictness, never a refill.
//!
//! What is leased counts as used in the store; in memory what of it is not spent yet is free. A lease lives in
//! one bucket of time: what is left of it when the next bucket begins is returned, in the write of the next lease.

use std::sync::Arc;

use super::budget::Budget;
use super::group::{Totals, amount_row};
use super::store::{AmountRow, UsageChange};

/// Leases that make up a limit.
const LEASES: u64 = 32;

/// A part of a budget that was written as used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lease {
    bucket: i64,
    /// What is not spent of it.
    spare: u64,
}

/// Windows of requests with the lease of each.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) totals: Totals,
    leases: Vec<Lease>,
}

impl Leases {
    /// Opens a budget's window; says where it is and whether it is new.
    pub(super) fn open(&mut self, budget: &Budget, now_ms: i64) -> (usize, bool) {
        let (at, is_new) = self.totals.open(budget, now_ms);
        if is_new {
            self.leases.push(Lease::default());
        }
        (at, is_new)
    }

    /// How many requests count in a window now.
    pub(super) fn used(&mut self, at: usize, now_ms: i64) -> u64 {
        let used = self.totals.used(at, now_ms);
        // A lease that has left its window counts neither way.
        let counts = |lease: &&Lease| {
            self.totals.accounts.get(at).is_some_and(|a| a.window.has_bucket(lease.bucket))
        };
        let spare = self.leases.get(at).filter(counts).map_or(0, |lease| lease.spare);
        used.saturating_sub(spare)
    }

    /// Counts one request, for which there must be room; gives what to write, if a lease is due.
    pub(super) fn count(
        &mut self,
        holder: &Arc<str>,
        (at, limit): (usize, u64),
        now_ms: i64,
        owed: &mut Vec<UsageChange>,
    ) {
        let free = limit.saturating_sub(self.used(at, now_ms));
        let (Some(lease), Some(account)) =
            (self.leases.get_mut(at), self.totals.accounts.get_mut(at))
        else {
            return;
        };
        let bucket = account.window.bucket(now_ms);
        if lease.spare > 0 && lease.bucket != bucket {
            account.window.take_back(lease.bucket, lease.spare);
            let row = amount_row(holder, &account.budget, lease.bucket, lease.spare);
            owed.push(UsageChange::Return(row));
            lease.spare = 0;
        }
        if lease.spare == 0 {
            let amount = (limit / LEASES).min(free).max(1);
            *lease = Lease { bucket: account.window.book(now_ms, amount), spare: amount };
            let row = amount_row(holder, &account.budget, lease.bucket, amount);
            owed.push(UsageChange::Add(row));
        }
        lease.spare -= 1;
    }

    /// Takes over what the store remembers: a lease of a process that is gone is spent.
    pub(super) fn restore(&mut self, row: &AmountRow) {
        self.totals.restore(row);
    }

    /// Lets a budget begin anew, and with it its lease.
    pub(super) fn reset(&mut self, budget: &Budget) {
        if let Some(lease) = self.totals.reset(budget).and_then(|at| self.leases.get_mut(at)) {
            *lease = Lease::default();
        }
    }

    /// Drops windows that were not named since a moment; says whether any is left.
    pub(super) fn forget(&mut self, oldest_ms: i64) -> bool {
        let named = self.totals.accounts.iter().map(|account| account.named_ms >= oldest_ms);
        let kept: Vec<bool> = named.collect();
        let mut kept = kept.iter();
        self.leases.retain(|_| kept.next().copied().unwrap_or(false));
        self.totals.forget(oldest_ms)
    }
}
