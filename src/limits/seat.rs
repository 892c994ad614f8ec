//! A seat: what an admitted request may still take, record by record, and how it is made durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::allowance::{Allowance, Budget, Limit, Unit};
use super::budget::{Held, Ledger, Portion};
use super::concurrency::Place;
use super::quota::{Counter, Quota, Refused, seconds_until};
use super::store::{StoreError, UsageStore};
use crate::clock::Clock;

/// Changes a person may owe to a failing store before answers stop altogether.
const MAX_OWED: usize = 2_000_000;

/// Whether a record or some bytes may be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// A future that makes what was taken durable.
pub type Persist = Pin<Box<dyn Future<Output = Result<(), LimitError>> + Send>>;

/// One person, as long as anything about them counts.
#[derive(Debug)]
pub(super) struct Person {
    ledger: Mutex<Ledger>,
    /// One write at a time: what is owed is written in order and settled by its length.
    saving: tokio::sync::Mutex<()>,
}

impl Person {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new(ledger), saving: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How seats reach time and store.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) clock: Clock,
    pub(super) store: Arc<dyn UsageStore>,
    pub(super) store_deadline: Duration,
}

impl Means {
    /// Milliseconds on a clock that nobody sets.
    pub(super) fn steady_ms(&self) -> i64 {
        i64::try_from(self.clock.steady().as_millis()).unwrap_or(i64::MAX)
    }
}

/// An admitted request.
///
/// Taking never waits and never exceeds a limit, however many answers of a person run. Dropping
/// the seat, once no [`Persist`] of it is left, gives back what was taken and not persisted.
pub struct Seat {
    inner: Arc<Inner>,
}

struct Inner {
    person: Arc<Person>,
    allowance: Arc<Allowance>,
    means: Means,
    held: Mutex<Held>,
    before: Vec<(Budget, u64, u64)>,
    rate: Option<Quota>,
    _place: Place<Arc<str>>,
}

impl Seat {
    pub(super) fn new(
        person: Arc<Person>,
        allowance: Arc<Allowance>,
        means: Means,
        rate: Option<Quota>,
        place: Place<Arc<str>>,
    ) -> Self {
        let now = means.clock.unix_ms();
        let mut ledger = person.ledger();
        let before = allowance.budgets().iter();
        let before =
            before.map(|(budget, limit)| (*budget, *limit, ledger.used(*budget, now))).collect();
        drop(ledger);
        let held = Mutex::new(Held::default());
        Self {
            inner: Arc::new(Inner { person, allowance, means, held, before, rate, _place: place }),
        }
    }

    /// Takes one record, and the person it is about if it is about one.
    ///
    /// `subject` is a keyed hash. A subject that already counts in a window costs nothing there.
    /// `unmasked` is set where a field of a high grade is in clear: the subject's hash once more, or one
    /// that no other record has where it is about nobody.
    #[must_use]
    pub fn take_record(&self, subject: Option<u64>, unmasked: Option<u64>) -> Take {
        self.inner.take(Portion::Record { subject, unmasked })
    }

    /// Takes the answer as a file, before the backend is asked for it. It counts once something of the
    /// answer is made durable.
    ///
    /// # Errors
    /// [`Refused`] if no file is left; answers under way hold theirs.
    pub fn take_file(&self) -> Result<(), Refused> {
        let Take::HoldBack(limit) = self.inner.take(Portion::File) else { return Ok(()) };
        let now = self.inner.means.clock.unix_ms();
        let mut ledger = self.inner.person.ledger();
        let is_file = |unit| unit == Unit::Files;
        let used_up = ledger.used_up(&self.inner.allowance, is_file, now);
        Err(Refused {
            limit,
            retry_after_s: used_up.map_or(1, |(_, wait_s)| wait_s),
            quotas: budget_quotas(&mut ledger, &self.inner.allowance, now),
        })
    }

    /// Takes bytes of the answer: all of them or none.
    #[must_use]
    pub fn take_bytes(&self, bytes: u64) -> Take {
        self.inner.take(Portion::Bytes(bytes))
    }

    /// Makes everything taken so far durable; release nothing before it is `Ok`.
    ///
    /// What counts from when is the moment the future starts. Cheap when nothing was taken. The
    /// future owns what it needs; dropped half way, it leaves everything counted.
    ///
    /// # Errors
    /// The future ends in a [`LimitError`] if the store fails. What was taken stays counted, and is
    /// written together with what this person takes next.
    #[must_use]
    pub fn persist(&self) -> Persist {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.persist().await })
    }

    /// Gives back what was taken since the last [`Seat::persist`]: it will not be released.
    pub fn give_back(&self) {
        self.inner.give_back();
    }

    /// The terms of the seat.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        &self.inner.allowance
    }

    /// How the caller's limits stand now.
    #[must_use]
    pub fn quotas(&self) -> Vec<Quota> {
        let now = self.inner.means.clock.unix_ms();
        let steady = self.inner.means.steady_ms();
        let allowance = &self.inner.allowance;
        let mut ledger = self.inner.person.ledger();
        let mut quotas = Vec::from_iter(self.inner.rate);
        quotas.extend(request_quotas(&mut ledger, allowance, steady));
        quotas.extend(budget_quotas(&mut ledger, allowance, now));
        quotas
    }

    /// Each budget when the request was admitted and now.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        let now = self.inner.means.clock.unix_ms();
        let mut ledger = self.inner.person.ledger();
        let before = self.inner.before.iter();
        before
            .map(|&(budget, quota, before)| {
                let after = ledger.used(budget, now);
                Counter { limit: Limit::Budget(budget), quota, before, after }
            })
            .collect()
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("allowance", &self.inner.allowance).finish_non_exhaustive()
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, portion: Portion) -> Take {
        let now = self.means.clock.unix_ms();
        let mut held = self.held();
        match self.person.ledger().take(&self.allowance, portion, &mut held, now) {
            Ok(()) => Take::Release,
            Err(limit) => Take::HoldBack(limit),
        }
    }

    fn give_back(&self) {
        let held = std::mem::take(&mut *self.held());
        if !held.is_empty() {
            self.person.ledger().give_back(held);
        }
    }

    async fn persist(&self) -> Result<(), LimitError> {
        let deadline = self.means.store_deadline;
        let saved = tokio::time::timeout(deadline, self.save()).await;
        saved.unwrap_or(Err(LimitError::Slow(deadline)))
    }

    /// Writes what is owed. Answers of one person that end together share a write: each books first,
    /// and whoever gets the turn writes what all have booked.
    async fn save(&self) -> Result<(), LimitError> {
        let booked = self.book()?;
        let _turn = self.person.saving.lock().await;
        let owed = {
            let ledger = self.person.ledger();
            if ledger.settled() >= booked {
                return Ok(());
            }
            ledger.owed().to_vec()
        };
        let count = owed.len();
        self.means.store.add(owed).await?;
        self.person.ledger().settle(count);
        Ok(())
    }

    /// Books what is held; gives how many changes must be in the store for all of it to be.
    fn book(&self) -> Result<u64, LimitError> {
        let mut held = self.held();
        let mut ledger = self.person.ledger();
        if ledger.owed().len() > MAX_OWED {
            return Err(LimitError::Behind);
        }
        if !held.is_empty() {
            ledger.book(std::mem::take(&mut *held), self.means.clock.unix_ms());
        }
        Ok(ledger.booked())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// How the budgets of an allowance stand.
pub(super) fn budget_quotas(ledger: &mut Ledger, allowance: &Allowance, now: i64) -> Vec<Quota> {
    let budgets = allowance.budgets().iter();
    budgets
        .map(|&(budget, quota)| {
            let used = ledger.used(budget, now);
            let relaxes = ledger.relaxes_at(budget).map(|at| seconds_until(now, at));
            Quota {
                limit: Limit::Budget(budget),
                quota,
                window_s: budget.seconds,
                remaining: quota.saturating_sub(used),
                reset_s: relaxes.unwrap_or(u64::from(budget.seconds)),
            }
        })
        .collect()
}

/// How the windows of requests of an allowance stand.
pub(super) fn request_quotas(
    ledger: &mut Ledger,
    allowance: &Allowance,
    steady_ms: i64,
) -> Vec<Quota> {
    let windows = allowance.requests().iter();
    windows
        .map(|window| {
            let (used, relaxes) = ledger.requests().standing(window.seconds, steady_ms);
            let relaxes = relaxes.map(|at| seconds_until(steady_ms, at));
            Quota {
                limit: Limit::Requests(window.seconds),
                quota: window.limit,
                window_s: window.seconds,
                remaining: window.limit.saturating_sub(used),
                reset_s: relaxes.unwrap_or(u64::from(window.seconds)),
            }
        })
        .collect()
}
