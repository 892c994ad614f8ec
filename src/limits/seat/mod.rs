//! A seat: what an admitted request may still take, record by record, and how it is made durable.

mod durable;
mod stake;
mod taking;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub use self::durable::{LimitError, Persist};
pub(super) use self::stake::{Stake, lock_all, own_quotas, sit, used_up};
use super::allowance::{Allowance, Limit};
use super::concurrency::Place as Room;
use super::holder::Holder;
use super::ledger::Portion;
use super::quota::{Counter, Quota, Refused, seconds_until};
use super::sharing::Sharing;
use super::store::UsageStore;
use super::window::Tally;
use crate::clock::Clock;

/// What is near a limit: nine tenths of it.
const NEAR: (u128, u128) = (9, 10);

/// Whether a record or some bytes may be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// It may, after the next [`Seat::persist`].
    Release,
    /// It may not; this limit is used up.
    HoldBack(Limit),
}

/// How seats reach time and store.
pub(super) struct Means {
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn UsageStore>,
    pub(super) store_deadline: Duration,
    pub(super) tally: Arc<Tally>,
}

impl Means {
    /// Milliseconds on a clock that nobody sets.
    pub(super) fn steady_ms(&self) -> i64 {
        i64::try_from(self.clock.steady().as_millis()).unwrap_or(i64::MAX)
    }
}

/// An admitted request.
///
/// Taking never waits and never exceeds a limit, however many answers of whoever shares a budget run: what
/// is taken is held by all its holders or by none. Dropping the seat, once no [`Persist`] of it is left,
/// gives back what was taken and not persisted.
pub struct Seat {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// In the order of the holders' texts, which is that in which ledgers are locked.
    pub(super) stakes: Vec<Stake>,
    pub(super) allowance: Arc<Allowance>,
    pub(super) means: Arc<Means>,
    /// What counted of each budget when the request was admitted.
    pub(super) before: Vec<(usize, u64)>,
    pub(super) rates: Vec<Quota>,
    /// Whether it was taken as a search.
    pub(super) searches: AtomicBool,
    /// What held something back first.
    pub(super) reached: Mutex<Option<Reached>>,
    /// The same budgets over several gates, if they share.
    pub(super) shared: OnceLock<Sharing>,
    /// What counts once with what is released.
    pub(super) beside: OnceLock<Seat>,
    pub(super) is_used: AtomicBool,
    pub(super) room: Room<Arc<str>>,
}

/// A limit that held something back.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    limit: Limit,
    stake: usize,
    /// Which of the stake's shares; none where memory was full.
    share: Option<usize>,
}

impl Seat {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Under what the person is counted who asks.
    #[must_use]
    pub fn person(&self) -> Arc<str> {
        self.inner.room.key().map_or_else(Arc::default, Arc::clone)
    }

    /// Takes one record, and the person it is about if it is about one.
    ///
    /// `subject` is a keyed hash. A subject that already counts in a window costs nothing there.
    /// `unmasked` is set where a field of a high grade is in clear: the subject's hash once more, or one
    /// that no other record has where it is about nobody.
    #[must_use]
    pub fn take_record(&self, subject: Option<u64>, unmasked: Option<u64>) -> Take {
        // Of a grant that may give so many records only.
        if let Some(beside) = self.inner.beside.get()
            && let held_back @ Take::HoldBack(_) = beside.take_record(None, None)
        {
            return held_back;
        }
        self.inner.take_everywhere(Portion::Record { subject, unmasked })
    }

    /// Takes the answer as a file, before the backend is asked for it. It counts once something of the
    /// answer is made durable.
    ///
    /// # Errors
    /// [`Refused`] if no file is left; answers under way hold theirs.
    pub fn take_file(&self) -> Result<(), Refused> {
        self.inner.take_or_refuse(Portion::File)
    }

    /// Takes the request as a search that finds nobody, before the backend is asked, until [`Seat::found`] is told.
    ///
    /// # Errors
    /// [`Refused`] if too many found nobody; searches under way count as such.
    pub fn take_search(&self) -> Result<(), Refused> {
        self.inner.take_or_refuse(Portion::Search)?;
        self.inner.searches.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Says whether the search found anybody whom the caller may see. One that did costs nothing; one that
    /// did not counts with the next [`Seat::persist`]. One of which nothing is said costs nothing.
    pub fn found(&self, anybody: bool) {
        if !self.is_search() {
            return;
        }
        for stake in &self.inner.stakes {
            stake.purse.ledger().found(stake.sitting, anybody);
        }
        if let Some(sharing) = self.inner.shared.get() {
            sharing.found(anybody);
        }
    }

    /// Whether the request was taken as a search.
    #[must_use]
    pub fn is_search(&self) -> bool {
        self.inner.searches.load(Ordering::Relaxed)
    }

    /// Each budget that this answer brought to nine tenths of its limit: its unit, and whose it is.
    #[must_use]
    pub fn came_near(&self) -> Vec<(&'static str, &'static str)> {
        let is_near =
            |used: u64, quota: u64| u128::from(used) * NEAR.1 >= u128::from(quota) * NEAR.0;
        let counters = self.counters().into_iter();
        counters
            .filter(|c| !is_near(c.before, c.quota) && is_near(c.after, c.quota))
            .map(|c| (c.limit.kind(), c.holder.kind()))
            .collect()
    }

    /// Why the answer was held back: by the limit that was reached first, or by the number of its records.
    #[must_use]
    pub fn refusal(&self) -> Refused {
        let Inner { stakes, allowance, means, reached, .. } = &*self.inner;
        let reached = reached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(reached) = reached else { return Refused::by_rows(self.quotas()) };
        if let Some(refused) = self.inner.shared.get().and_then(|s| s.refusal(&reached.limit)) {
            return Refused { quotas: self.quotas(), ..refused };
        }
        let now = means.clock.unix_ms();
        let mut ledgers = lock_all(stakes);
        let Reached { limit, stake, share } = reached;
        let mut refused = Refused {
            limit,
            holder: Holder::Person,
            retry_after_s: 1,
            quotas: own_quotas(stakes, &mut ledgers, allowance, means),
        };
        let found = share.and_then(|at| {
            let (share, place) = stakes.get(stake)?.shares.get(at)?;
            Some((allowance.budgets().get(*share)?, *place, ledgers.get_mut(stake)?))
        });
        if let Some((share, place, ledger)) = found {
            let seconds = share.budget.period.seconds();
            let full = ledger.used_up_for((place, share.limit), seconds, now);
            let relaxes = || ledger.relaxes_at(place).map(|at| seconds_until(now, at));
            refused.retry_after_s = full.or_else(relaxes).unwrap_or(1);
            refused.holder = share.holder.clone();
        }
        refused
    }

    /// Takes bytes of the answer: all of them or none.
    #[must_use]
    pub fn take_bytes(&self, bytes: u64) -> Take {
        self.inner.take_everywhere(Portion::Bytes(bytes))
    }

    /// Makes everything taken so far durable; release nothing before it is `Ok`.
    ///
    /// What counts from when is the moment the future starts. Cheap when nothing was taken. The
    /// future owns what it needs; dropped half way, it leaves everything counted.
    ///
    /// # Errors
    /// The future ends in a [`LimitError`] if the store fails. What was taken stays counted, and is
    /// written together with what its holders take next.
    #[must_use]
    pub fn persist(&self) -> Persist {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            if let Some(beside) =
                inner.beside.get().filter(|_| inner.is_used.load(Ordering::Acquire))
            {
                beside.inner.persist().await?;
            }
            inner.persist().await
        })
    }

    /// Has something else counted with what is made durable, once [`Seat::is_used`] was said: the use of a grant. Its
    /// own portion is taken already, and given back with this seat if nothing was.
    pub fn counts_with(&self, other: Self) {
        drop(self.inner.beside.set(other));
    }

    /// Says that what is released next is what the other seat counts.
    pub fn is_used(&self) {
        self.inner.is_used.store(true, Ordering::Release);
    }

    /// Gives back what was taken since the last [`Seat::persist`]: it will not be released.
    pub fn give_back(&self) {
        self.inner.give_back();
    }

    /// Whose budgets it holds.
    pub(super) fn stakes(&self) -> &[Stake] {
        &self.inner.stakes
    }

    /// Counts at shared accounts, too.
    pub(super) fn share(&self, sharing: Sharing) {
        drop(self.inner.shared.set(sharing));
    }

    /// The terms of the seat.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        &self.inner.allowance
    }

    /// How the caller's own limits stand now. What is shared with others is not told.
    #[must_use]
    pub fn quotas(&self) -> Vec<Quota> {
        let Inner { stakes, allowance, means, rates, .. } = &*self.inner;
        let mut ledgers = lock_all(stakes);
        let mut quotas = rates.clone();
        quotas.extend(own_quotas(stakes, &mut ledgers, allowance, means));
        if let Some(sharing) = self.inner.shared.get() {
            quotas.iter_mut().for_each(|quota| sharing.adjust(quota));
        }
        quotas
    }

    /// Each budget when the request was admitted and now, those of shared holders too: for the log.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        let Inner { stakes, allowance, means, before, .. } = &*self.inner;
        let now = means.clock.unix_ms();
        let mut ledgers = lock_all(stakes);
        let mut before = before.iter();
        let mut counters = Vec::new();
        for (stake, ledger) in stakes.iter().zip(&mut ledgers) {
            for (share, place) in &stake.shares {
                let (Some(share), Some((_, before))) =
                    (allowance.budgets().get(*share), before.next())
                else {
                    continue;
                };
                counters.push(Counter {
                    limit: Limit::Budget(share.budget.clone()),
                    holder: share.holder.clone(),
                    quota: share.limit,
                    before: *before,
                    after: ledger.used(*place, now),
                });
            }
        }
        counters
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("allowance", &self.inner.allowance).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for stake in &self.stakes {
            stake.purse.ledger().leave(stake.sitting);
        }
    }
}
