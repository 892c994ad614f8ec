//! How a request's budgets are counted over several gates, too: each of its budgets is an account of the
//! shared store, beside the gate's own count, which stays as strict as it is.

use std::sync::{Arc, Mutex, PoisonError};

use super::Limits;
use super::allowance::{Allowance, Limit, Share};
use super::budget::{Budget, Unit};
use super::holder::Asker;
use super::ledger::Portion;
use super::period::Period;
use super::purses::Purses;
use super::quota::{Quota, Refused};
use super::seat::{Inner, Seat, Stake, Take};
use super::shared::{Counts, Part, Receipt, Released, Shared, SharedSeat, Short, Span, Want};
use super::slice::Occasion;

/// A calendar's day is at most this long; an account of one is another each day.
const LONGEST_DAY_S: u32 = 26 * 3_600;
/// When to come back while nobody can be asked.
const LOST_WAIT_S: u64 = 5;

/// What of a request is shared: a seat at its accounts, and which budget each of them is.
pub(super) struct Sharing {
    shared: Arc<Shared>,
    seat: SharedSeat,
    shares: Vec<Share>,
    /// What a search took that may have found nobody.
    search: Mutex<Receipt>,
}

impl Limits {
    /// Counts over several gates from now on.
    #[must_use]
    pub fn sharing(mut self, shared: Arc<Shared>) -> Self {
        self.shared = Some(shared);
        self
    }

    /// The shared store, if there is one.
    #[must_use]
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Admits a request as [`admit`](Self::admit) does, and by what other gates admitted as well.
    ///
    /// # Errors
    /// [`Refused`]; nothing is held then, but a refused request counts for its rates.
    pub async fn admit_shared<'a>(
        &self,
        asker: impl Into<Asker<'a>>,
        occasion: &Arc<Occasion>,
        allowance: &Arc<Allowance>,
    ) -> Result<Seat, Refused> {
        let seat = self.admit(asker, occasion, allowance)?;
        let Some(shared) = &self.shared else { return Ok(seat) };
        let sharing = self.share(shared, seat.stakes(), allowance).await?;
        let admitted = sharing.admit().await;
        admitted.map_err(|short| Refused { quotas: seat.quotas(), ..sharing.refused(short) })?;
        seat.share(sharing);
        Ok(seat)
    }

    /// Everything that this gate released and that still counts.
    #[must_use]
    pub fn released(&self) -> Vec<Released> {
        let now = self.means.clock.unix_ms();
        let steady = self.means.steady_ms();
        let mut released = Vec::new();
        for purse in self.all_purses().into_iter().flat_map(Purses::all) {
            for (budget, past) in purse.ledger().released(now, steady) {
                let (owner, counts, span) = account(&purse.text, &budget, now);
                released.push(Released { owner, counts, span, past });
            }
        }
        released
    }

    /// Lets a holder's budget begin anew where several gates count, if they do.
    pub(super) fn reset_shared(&self, holder: &str, budget: &Budget) {
        let Some(shared) = &self.shared else { return };
        let (owner, counts, span) = account(holder, budget, self.means.clock.unix_ms());
        shared.reset(&Vec::from_iter(owner.iter().map(Vec::as_slice)), counts, span);
    }

    async fn share(
        &self,
        shared: &Arc<Shared>,
        stakes: &[Stake],
        allowance: &Allowance,
    ) -> Result<Sharing, Refused> {
        let now = self.means.clock.unix_ms();
        let (mut parts, mut shares) = (Vec::new(), Vec::new());
        for stake in stakes {
            let budgets = stake.shares.iter().filter_map(|(at, _)| allowance.budgets().get(*at));
            let requests = stake.requests.iter().filter_map(|at| allowance.requests().get(*at));
            for share in budgets.chain(requests) {
                let (owner, counts, span) = account(&stake.purse.text, &share.budget, now);
                let owner = Vec::from_iter(owner.iter().map(Vec::as_slice));
                let cell = shared.cell(&owner, counts, span).ok_or_else(|| Refused {
                    limit: Limit::Memory,
                    holder: share.holder.clone(),
                    retry_after_s: 60,
                    quotas: Vec::new(),
                })?;
                parts.push(Part { cell, limit: share.limit, when_lost: share.when_lost });
                shares.push(share.clone());
            }
        }
        let seat = shared.seat(parts).await;
        Ok(Sharing { shared: Arc::clone(shared), seat, shares, search: Mutex::default() })
    }
}

impl Sharing {
    /// Takes a portion of all accounts, or of none; it is to be kept or reverted then.
    fn take(&self, portion: Portion) -> Result<Receipt, Limit> {
        self.seat.take(|part| self.want(part, portion)).map_err(|short| self.limit(short))
    }

    /// Keeps what a search took until it is known whether it found anybody.
    fn searches(&self, receipt: Receipt) {
        *self.search.lock().unwrap_or_else(PoisonError::into_inner) = receipt;
    }

    /// Says whether the search found anybody.
    pub(super) fn found(&self, anybody: bool) {
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = std::mem::take(&mut *search);
        if anybody { self.seat.revert(receipt) } else { self.seat.keep(receipt) }
    }

    pub(super) fn seat(&self) -> &SharedSeat {
        &self.seat
    }

    /// Counts the request, if nothing that stops requests is used up.
    async fn admit(&self) -> Result<(), Short> {
        let unit = |part: usize| self.shares.get(part).map(|share| share.budget.unit);
        let stops = |part| unit(part).filter(|unit| unit.stops_requests());
        let one = self.seat.take_waiting(|part| stops(part).map(|_| Want::Amount(1))).await?;
        let is_request = |part: usize| unit(part) == Some(Unit::Requests);
        let (counted, looked_at) = one.into_iter().partition(|(part, ..)| is_request(*part));
        self.seat.revert(looked_at);
        self.seat.keep(counted);
        // A loan that is too old by now covers no request; the next one is asked for.
        self.seat.book().map_err(|_late| Short { part: 0, is_lost: true })
    }

    fn want(&self, part: usize, portion: Portion) -> Option<Want> {
        let unit = self.shares.get(part)?.budget.unit;
        match (portion, unit) {
            (Portion::Record { .. }, Unit::Records) | (Portion::File, Unit::Files) => {
                Some(Want::Amount(1))
            }
            (Portion::Record { subject, .. }, Unit::Subjects) => subject.map(Want::Subject),
            (Portion::Record { unmasked, .. }, Unit::Unmasked) => unmasked.map(Want::Subject),
            (Portion::Bytes(bytes), Unit::Bytes) => Some(Want::Amount(bytes)),
            (Portion::Search, Unit::ZeroHits) => Some(Want::Amount(1)),
            (Portion::Record { .. } | Portion::Bytes(_) | Portion::File | Portion::Search, _) => {
                None
            }
        }
    }

    fn limit(&self, short: Short) -> Limit {
        match self.shares.get(short.part) {
            Some(share) if !short.is_lost => Limit::Budget(share.budget.clone()),
            Some(_) | None => {
                self.shared.count_stricter();
                Limit::SharedStore
            }
        }
    }

    /// Why the request is not admitted.
    fn refused(&self, short: Short) -> Refused {
        self.told(self.limit(short), short)
    }

    /// How a limit is told that held something back, if it is one over all gates.
    pub(super) fn refusal(&self, limit: &Limit) -> Option<Refused> {
        let is_it = |share: &Share| *limit == Limit::Budget(share.budget.clone());
        let part = self.shares.iter().position(is_it);
        let is_lost = *limit == Limit::SharedStore;
        let used_up = |part: usize| {
            let lease = self.seat.parts().get(part)?.cell.lease();
            let limit = self.shares.get(part)?.limit;
            lease.used().filter(|used| *used >= limit).map(|_| part)
        };
        let part = if is_lost { Some(part.unwrap_or(0)) } else { part.and_then(used_up) };
        Some(self.told(limit.clone(), Short { part: part?, is_lost }))
    }

    fn told(&self, limit: Limit, short: Short) -> Refused {
        let part = self.seat.parts().get(short.part);
        let relaxes_ms = part.and_then(|part| part.cell.lease().heard()).map(|h| h.relaxes_ms);
        let wait_s = relaxes_ms.map_or(1, |ms| u64::try_from(ms).unwrap_or(0).div_ceil(1_000));
        let share = self.shares.get(short.part);
        Refused {
            limit,
            holder: share.map(|share| share.holder.clone()).unwrap_or_default(),
            retry_after_s: if short.is_lost { LOST_WAIT_S } else { wait_s.max(1) },
            quotas: Vec::new(),
        }
    }

    /// Tells of one's own budget what is left over all gates, as far as this one heard.
    pub(super) fn adjust(&self, quota: &mut Quota) {
        let own = |share: &Share| {
            !share.holder.is_shared() && quota.limit == Limit::Budget(share.budget.clone())
        };
        let part = self.shares.iter().position(own).and_then(|at| self.seat.parts().get(at));
        if let Some(used) = part.and_then(|part| part.cell.lease().used()) {
            quota.remaining = quota.remaining.min(quota.quota.saturating_sub(used));
        }
    }
}

impl Inner {
    /// Takes a portion of the shared accounts first, since they may have to be asked.
    pub(super) fn take_everywhere(&self, portion: Portion) -> Take {
        let Some(sharing) = self.shared.get() else { return self.take(portion) };
        let receipt = match sharing.take(portion) {
            Ok(receipt) => receipt,
            Err(limit) => return self.reach_limit(limit),
        };
        let taken = self.take(portion);
        match (&taken, portion) {
            (Take::Release, Portion::Search) => sharing.searches(receipt),
            (Take::Release, _) => sharing.seat().keep(receipt),
            (Take::HoldBack(_), _) => sharing.seat().revert(receipt),
        }
        taken
    }
}

impl Drop for Sharing {
    /// A search of which nothing was said costs nothing.
    fn drop(&mut self) {
        self.found(true);
    }
}

/// The account of a holder's budget: its name's parts, what it counts and its window.
fn account(holder: &str, budget: &Budget, now_ms: i64) -> (Vec<Vec<u8>>, Counts, Span) {
    let mut owner = vec![holder.as_bytes().to_vec(), budget.to_string().into_bytes()];
    let seconds = match &budget.period {
        Period::Sliding(seconds) => *seconds,
        Period::Day(zone) => {
            owner.push(zone.day(now_ms).to_string().into_bytes());
            LONGEST_DAY_S
        }
    };
    let counts = if budget.unit.is_distinct() { Counts::Subjects } else { Counts::Amounts };
    (owner, counts, Span::of(seconds))
}
