//! What a request has of each of its holders, and how their budgets stand.

use std::sync::{Arc, MutexGuard};

use super::Means;
use crate::limits::allowance::{Allowance, Limit, Share};
use crate::limits::budget::Unit;
use crate::limits::ledger::{Ledger, Place};
use crate::limits::purse::Purse;
use crate::limits::quota::{Quota, Refused, seconds_until};
use crate::limits::slice::Occasion;

/// What a request has of one holder.
#[derive(Debug)]
pub(in crate::limits) struct Stake {
    pub(in crate::limits) purse: Arc<Purse>,
    /// The request's number in the ledger.
    pub(in crate::limits) sitting: usize,
    /// The budgets that limit it: which of the allowance's, and where it is in the ledger.
    pub(in crate::limits) shares: Vec<(usize, Place)>,
    /// The windows of requests, by their number in the allowance.
    pub(in crate::limits) requests: Vec<usize>,
}

impl Stake {
    pub(in crate::limits) fn of(purse: Arc<Purse>) -> Self {
        Self { purse, sitting: usize::MAX, shares: Vec::new(), requests: Vec::new() }
    }
}

/// The ledgers of all holders, locked in the order of the stakes, which is the same for every request.
pub(in crate::limits) fn lock_all(stakes: &[Stake]) -> Vec<MutexGuard<'_, Ledger>> {
    stakes.iter().map(|stake| stake.purse.ledger()).collect()
}

/// Seats a request with every holder.
pub(in crate::limits) fn sit(
    stakes: &mut [Stake],
    occasion: &Arc<Occasion>,
    allowance: &Allowance,
    now_ms: i64,
) -> Vec<(usize, u64)> {
    let mut before = Vec::with_capacity(allowance.budgets().len());
    for Stake { purse, sitting, shares, .. } in stakes {
        let mut ledger = purse.ledger();
        *sitting = ledger.sit(occasion);
        before.extend(shares.iter().map(|(share, place)| (*share, ledger.used(*place, now_ms))));
    }
    before
}

/// A budget that is used up.
pub(in crate::limits) struct UsedUp<'a> {
    share: &'a Share,
    wait_s: u64,
}

impl UsedUp<'_> {
    pub(in crate::limits) fn refused(&self, quotas: Vec<Quota>) -> Refused {
        Refused {
            limit: Limit::Budget(self.share.budget.clone()),
            holder: self.share.holder.clone(),
            retry_after_s: self.wait_s,
            quotas,
        }
    }
}

/// Of the used-up budgets among those asked about, the one that stays so for longest.
pub(in crate::limits) fn used_up<'a>(
    stakes: &[Stake],
    ledgers: &mut [MutexGuard<'_, Ledger>],
    allowance: &'a Allowance,
    is_asked: impl Fn(Unit) -> bool,
    now_ms: i64,
) -> Option<UsedUp<'a>> {
    let mut worst: Option<UsedUp<'_>> = None;
    for (stake, ledger) in stakes.iter().zip(ledgers) {
        for (share, place) in &stake.shares {
            let Some(share) = allowance.budgets().get(*share) else { continue };
            if !is_asked(share.budget.unit) {
                continue;
            }
            let seconds = share.budget.period.seconds();
            let Some(wait_s) = ledger.used_up_for((*place, share.limit), seconds, now_ms) else {
                continue;
            };
            if worst.as_ref().is_none_or(|worst| wait_s > worst.wait_s) {
                worst = Some(UsedUp { share, wait_s });
            }
        }
    }
    worst
}

/// How the budgets and windows of requests stand that the caller shares with nobody.
pub(in crate::limits) fn own_quotas(
    stakes: &[Stake],
    ledgers: &mut [MutexGuard<'_, Ledger>],
    allowance: &Allowance,
    means: &Means,
) -> Vec<Quota> {
    let (now, steady) = (means.clock.unix_ms(), means.steady_ms());
    let mut quotas = Vec::new();
    for (stake, ledger) in stakes.iter().zip(ledgers) {
        let asked = stake.requests.iter().filter_map(|at| allowance.requests().get(*at));
        for share in asked.filter(|share| !share.holder.is_shared()) {
            let (used, relaxes) = ledger.requests().standing(&share.budget, steady);
            let relaxes = relaxes.map(|at| seconds_until(steady, at));
            quotas.push(Quota::of_budget(&share.budget, share.limit, used, relaxes));
        }
        for (share, place) in &stake.shares {
            let Some(share) = allowance.budgets().get(*share) else { continue };
            if share.holder.is_shared() {
                continue;
            }
            let used = ledger.used(*place, now);
            let relaxes = ledger.relaxes_at(*place).map(|at| seconds_until(now, at));
            quotas.push(Quota::of_budget(&share.budget, share.limit, used, relaxes));
        }
    }
    quotas
}
