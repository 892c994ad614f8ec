//! How portions are taken of all holders of a request, or of none.

use std::sync::{MutexGuard, PoisonError};

use super::stake::{lock_all, own_quotas, used_up};
use super::{Inner, Reached, Take};
use crate::limits::allowance::{Limit, MAX_SUBJECTS};
use crate::limits::budget::Unit;
use crate::limits::holder::Holder;
use crate::limits::ledger::{Ledger, Portion};
use crate::limits::quota::Refused;

impl Inner {
    /// Takes a portion of all holders, or of none.
    pub(in crate::limits) fn take(&self, portion: Portion) -> Take {
        let stakes = &self.stakes;
        let mut ledgers = lock_all(stakes);
        if let Some(reached) = self.lacking(&mut ledgers, portion) {
            drop(ledgers);
            let limit = reached.limit.clone();
            let mut first = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(reached);
            return Take::HoldBack(limit);
        }
        for (stake, ledger) in stakes.iter().zip(&mut ledgers) {
            ledger.hold(stake.sitting, portion);
        }
        Take::Release
    }

    /// Notes a limit that other gates share in reaching.
    pub(in crate::limits) fn reach_limit(&self, limit: Limit) -> Take {
        let mut first = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| Reached { limit: limit.clone(), stake: 0, share: None });
        Take::HoldBack(limit)
    }

    /// What has no room for a portion.
    fn lacking(&self, ledgers: &mut [MutexGuard<'_, Ledger>], portion: Portion) -> Option<Reached> {
        let Self { stakes, allowance, means, .. } = self;
        let now = means.clock.unix_ms();
        for (at, (stake, ledger)) in stakes.iter().zip(ledgers.iter_mut()).enumerate() {
            for (which, (share, place)) in stake.shares.iter().enumerate() {
                let Some(share) = allowance.budgets().get(*share) else { continue };
                if !ledger.has_left((*place, share.limit), portion, now) {
                    let limit = Limit::Budget(share.budget.clone());
                    return Some(Reached { limit, stake: at, share: Some(which) });
                }
            }
        }
        let full = || Some(Reached { limit: Limit::Memory, stake: 0, share: None });
        let most = usize::try_from(MAX_SUBJECTS).unwrap_or(usize::MAX);
        let mut fresh = 0;
        for (stake, ledger) in stakes.iter().zip(ledgers) {
            match ledger.fresh(stake.sitting, portion, most) {
                Some(more) => fresh += more,
                None => return full(),
            }
        }
        if means.tally.has_room_for(fresh) { None } else { full() }
    }

    /// Takes a portion that is asked for before the backend is.
    pub(super) fn take_or_refuse(&self, portion: Portion) -> Result<(), Refused> {
        let Take::HoldBack(limit) = self.take_everywhere(portion) else { return Ok(()) };
        let Self { stakes, allowance, means, .. } = self;
        let now = means.clock.unix_ms();
        let mut ledgers = lock_all(stakes);
        if let Some(refused) = self.shared.get().and_then(|shared| shared.refusal(&limit)) {
            let quotas = own_quotas(stakes, &mut ledgers, allowance, means);
            return Err(Refused { quotas, ..refused });
        }
        let unit = match portion {
            Portion::Search => Unit::ZeroHits,
            Portion::File | Portion::Record { .. } | Portion::Bytes(_) => Unit::Files,
        };
        let used_up = used_up(stakes, &mut ledgers, allowance, |asked| asked == unit, now);
        let quotas = own_quotas(stakes, &mut ledgers, allowance, means);
        Err(match used_up {
            Some(used_up) => used_up.refused(quotas),
            // One came back in between.
            None => Refused { limit, holder: Holder::Person, retry_after_s: 1, quotas },
        })
    }

    pub(super) fn give_back(&self) {
        if let Some(sharing) = self.shared.get() {
            sharing.seat().give_back();
        }
        for stake in &self.stakes {
            stake.purse.ledger().give_back(stake.sitting);
        }
    }
}
