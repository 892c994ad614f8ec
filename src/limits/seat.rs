//! A seat: what an admitted request may still take, record by record, and how it is made durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::allowance::{Allowance, Limit, MAX_SUBJECTS, Share};
use super::budget::Unit;
use super::concurrency::Place as Room;
use super::holder::Holder;
use super::ledger::{Ledger, Place, Portion};
use super::purse::Purse;
use super::quota::{Counter, Quota, Refused, seconds_until};
use super::sharing::Sharing;
use super::slice::Occasion;
use super::store::{StoreError, UsageStore};
use super::window::Tally;
use crate::clock::Clock;

/// Changes a holder may owe to a failing store before answers stop altogether.
const MAX_OWED: usize = 2_000_000;

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

/// Why what was taken may not be released, or limits cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not answer in time.
    #[error("the store of what was released did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// The store has failed for so long that too much is waiting to be written.
    #[error("the store of what was released has too many writes outstanding")]
    Behind,
    /// The store remembers more than may be held in memory.
    #[error("the store remembers more persons or subjects than the cap of {0}")]
    TooMany(usize),
    /// What was taken of a shared budget came too late.
    #[error("what was lent of a shared budget is too old, and the shared store did not renew it")]
    Shared,
}

/// A future that makes what was taken durable.
pub type Persist = Pin<Box<dyn Future<Output = Result<(), LimitError>> + Send>>;

/// How seats reach time and store.
#[derive(Clone)]
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

/// What a request has of one holder.
#[derive(Debug)]
pub(super) struct Stake {
    pub(super) purse: Arc<Purse>,
    /// The request's number in the ledger.
    pub(super) sitting: usize,
    /// The budgets that limit it: which of the allowance's, and where it is in the ledger.
    pub(super) shares: Vec<(usize, Place)>,
    /// The windows of requests, by their number in the allowance.
    pub(super) requests: Vec<usize>,
}

impl Stake {
    pub(super) fn of(purse: Arc<Purse>) -> Self {
        Self { purse, sitting: usize::MAX, shares: Vec::new(), requests: Vec::new() }
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
    pub(super) means: Means,
    /// What counted of each budget when the request was admitted.
    pub(super) before: Vec<(usize, u64)>,
    pub(super) rates: Vec<Quota>,
    /// Whether it was taken as a search.
    pub(super) searches: AtomicBool,
    /// What held something back first.
    pub(super) reached: Mutex<Option<Reached>>,
    /// The same budgets over several gates, if they share.
    pub(super) shared: OnceLock<Sharing>,
    pub(super) _room: Room<Arc<str>>,
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

    /// Takes one record, and the person it is about if it is about one.
    ///
    /// `subject` is a keyed hash. A subject that already counts in a window costs nothing there.
    /// `unmasked` is set where a field of a high grade is in clear: the subject's hash once more, or one
    /// that no other record has where it is about nobody.
    #[must_use]
    pub fn take_record(&self, subject: Option<u64>, unmasked: Option<u64>) -> Take {
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
        Box::pin(async move { inner.persist().await })
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

impl Inner {
    /// Takes a portion of all holders, or of none.
    pub(super) fn take(&self, portion: Portion) -> Take {
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
    pub(super) fn reach_limit(&self, limit: Limit) -> Take {
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
    fn take_or_refuse(&self, portion: Portion) -> Result<(), Refused> {
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

    fn give_back(&self) {
        if let Some(sharing) = self.shared.get() {
            sharing.seat().give_back();
        }
        for stake in &self.stakes {
            stake.purse.ledger().give_back(stake.sitting);
        }
    }

    async fn persist(&self) -> Result<(), LimitError> {
        let deadline = self.means.store_deadline;
        let saved = tokio::time::timeout(deadline, self.save()).await;
        saved.unwrap_or(Err(LimitError::Slow(deadline)))
    }

    /// Writes what is owed. Answers of one holder that end together share a write: each books first,
    /// and whoever gets the turn writes what all have booked. Turns are waited for in the order of the
    /// holders, so that no two answers wait for each other.
    async fn save(&self) -> Result<(), LimitError> {
        let booked = self.book()?;
        // After the own books: what a store that began anew is told of them misses nothing.
        if let Some(sharing) = self.shared.get() {
            sharing.seat().book().map_err(|_late| LimitError::Shared)?;
        }
        let mut turns = Vec::new();
        for (stake, booked) in self.stakes.iter().zip(booked) {
            if stake.purse.ledger().settled() >= booked {
                continue;
            }
            let turn = stake.purse.saving.lock().await;
            // Whoever had the turn may have written it.
            if stake.purse.ledger().settled() < booked {
                turns.push((&stake.purse, turn));
            }
        }
        if turns.is_empty() {
            return Ok(());
        }
        let mut owed = Vec::new();
        let mut counts = Vec::new();
        for (purse, _) in &turns {
            let ledger = purse.ledger();
            owed.extend_from_slice(ledger.owed());
            counts.push(ledger.owed().len());
        }
        self.means.store.add(owed).await?;
        for ((purse, _), count) in turns.iter().zip(counts) {
            purse.ledger().settle(count);
        }
        Ok(())
    }

    /// Books what is held; gives how many changes of each holder must be in the store for all of it to be.
    fn book(&self) -> Result<Vec<u64>, LimitError> {
        let mut ledgers = lock_all(&self.stakes);
        if ledgers.iter().any(|ledger| ledger.owed().len() > MAX_OWED) {
            return Err(LimitError::Behind);
        }
        let now = self.means.clock.unix_ms();
        let stakes = self.stakes.iter().zip(&mut ledgers);
        let booked = stakes.map(|(stake, ledger)| {
            ledger.book(stake.sitting, now);
            ledger.booked()
        });
        Ok(booked.collect())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for stake in &self.stakes {
            stake.purse.ledger().leave(stake.sitting);
        }
    }
}

/// The ledgers of all holders, locked in the order of the stakes, which is the same for every request.
pub(super) fn lock_all(stakes: &[Stake]) -> Vec<MutexGuard<'_, Ledger>> {
    stakes.iter().map(|stake| stake.purse.ledger()).collect()
}

/// Seats a request with every holder.
pub(super) fn sit(
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
pub(super) struct UsedUp<'a> {
    share: &'a Share,
    wait_s: u64,
}

impl UsedUp<'_> {
    pub(super) fn refused(&self, quotas: Vec<Quota>) -> Refused {
        Refused {
            limit: Limit::Budget(self.share.budget.clone()),
            holder: self.share.holder.clone(),
            retry_after_s: self.wait_s,
            quotas,
        }
    }
}

/// Of the used-up budgets among those asked about, the one that stays so for longest.
pub(super) fn used_up<'a>(
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
pub(super) fn own_quotas(
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
