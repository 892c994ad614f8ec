//! Limits: how often, how many at once, and how much of whose data a person may be answered with, or all
//! together who share a role, a tenant or a partner.
//!
//! Rates are forgotten at a restart; budgets are not. Whatever cannot be counted, because a table
//! is full or the store fails, is refused. Status codes are chosen elsewhere.

mod address;
mod admission;
mod allowance;
mod buckets;
mod budget;
mod caller_rate;
mod concurrency;
mod distinct;
mod gap;
mod group;
mod handshake;
mod holder;
mod lease;
mod ledger;
mod period;
mod probe;
mod purse;
mod purses;
mod quota;
mod rate;
mod requests;
mod seat;
pub mod shared;
mod sharing;
mod slice;
mod standing;
pub(crate) mod store;
mod text;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::address::{AddressLimits, AddressRefused, AddressSeat, AddressSettings, network};
pub use self::allowance::{Allowance, AllowanceFault, Limit, MAX_SUBJECTS, Rate, Terms, Window};
pub use self::budget::{Budget, NotABudget, Unit};
pub use self::caller_rate::CallerRate;
pub use self::handshake::Handshake;
pub use self::holder::{Asker, Holder};
pub use self::period::{Period, Zone};
pub use self::probe::{Network, UnknownNetwork};
pub use self::quota::{Counter, Quota, RateLimitFields, Refused};
pub use self::seat::{LimitError, Persist, Seat, Take};
pub use self::slice::{Occasion, Slice};
pub use self::standing::Standing;
pub use self::store::{
    AmountRow, SeenRow, StoreError, StoreFuture, Usage, UsageChange, UsageFuture, UsageStore,
};

use self::concurrency::Concurrency;
use self::gap::Gap;
use self::ledger::Ledger;
use self::purse::Purse;
use self::purses::Purses;
use self::rate::KeyedRate;
use self::seat::Means;
use self::shared::Shared;
use self::window::{Grid, Tally};
use crate::clock::Clock;

/// What a holder's text begins with that counts the uses of a grant; no account's name begins with its first character.
pub const USES: &str = "%grant:";

/// Different rates in use at once; a policy has a handful.
const MAX_RATES: usize = 256;

/// What limits may cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests of everybody at once.
    pub in_flight: u32,
    /// Requests of one person at once, where the policy does not say: nobody may hold every
    /// connection to a backend.
    pub in_flight_each: u32,
    /// Persons and shared holders whose usage is held in memory, and as many grants beside them; further ones are
    /// refused.
    pub persons: usize,
    /// Subjects held in memory over all holders and windows, unmasked ones apart, at some 60 bytes each.
    pub subjects: usize,
    /// How long to wait for the store.
    pub store_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            in_flight_each: 32,
            persons: 100_000,
            subjects: 4_000_000,
            store_deadline: Duration::from_secs(5),
        }
    }
}

/// The limits of all persons and of what they share.
pub struct Limits {
    settings: Settings,
    means: Arc<Means>,
    in_flight: Arc<Concurrency<Arc<str>>>,
    rates: Mutex<HashMap<Rate, Arc<KeyedRate<Arc<str>>>>>,
    /// Of one person, where the policy does not say.
    in_flight_each: AtomicU32,
    /// By the holder's text: persons, and what they share.
    purses: Purses,
    /// Grants whose uses are counted, which take nobody's place.
    granted: Purses,
    /// Every budget that the store may have rows of.
    budgets: Mutex<BTreeSet<Budget>>,
    /// Where several gates count together, if they do.
    shared: Option<Arc<Shared>>,
    /// Of what time nobody knows what was released.
    gap: Gap,
}

impl Limits {
    /// Opens limits on what a store remembers.
    ///
    /// # Errors
    /// [`LimitError`] if the store cannot be read or remembers more than the settings allow for.
    pub fn open(
        settings: Settings,
        clock: &Clock,
        store: Arc<dyn UsageStore>,
    ) -> Result<Self, LimitError> {
        let usage = store.load()?;
        let limits = Self {
            in_flight: Concurrency::new(settings.in_flight),
            in_flight_each: AtomicU32::new(settings.in_flight_each),
            means: Arc::new(Means {
                clock: clock.clone(),
                store,
                store_deadline: settings.store_deadline,
                tally: Tally::new(settings.subjects),
            }),
            rates: Mutex::default(),
            purses: Purses::default(),
            granted: Purses::default(),
            budgets: Mutex::default(),
            shared: None,
            gap: Gap::default(),
            settings,
        };
        limits.restore(&usage)?;
        Ok(limits)
    }

    /// So many requests at once, of everybody and of one person, from now on; who is under way is not ended.
    pub fn set_in_flight(&self, everybody: u32, each: u32) {
        self.in_flight.set_cap(everybody);
        self.in_flight_each.store(each, Ordering::Relaxed);
    }

    /// Counts for `into` as well what `from` has used, as the store remembers it: they are one person's. Requests of
    /// `from` that are under way go on under its own name.
    ///
    /// # Errors
    /// [`LimitError`]; then neither may be admitted, since nobody knows what they have used.
    pub async fn join(&self, from: &str, into: &str) -> Result<(), LimitError> {
        let deadline = self.settings.store_deadline;
        let used = tokio::time::timeout(deadline, self.means.store.of(from)).await;
        let mut usage = used.ok().ok_or(LimitError::Slow(deadline))??;
        let into: Arc<str> = into.into();
        usage.amounts.iter_mut().for_each(|row| row.holder = Arc::clone(&into));
        usage.seen.iter_mut().for_each(|row| row.holder = Arc::clone(&into));
        self.restore(&usage)
    }

    /// Forgets what has left its window, in memory and in the store; call it once a minute.
    ///
    /// # Errors
    /// [`LimitError`] if the store failed; what it still holds does no harm.
    pub async fn tidy(&self) -> Result<(), LimitError> {
        let now = self.means.clock.unix_ms();
        lock(&self.rates).retain(|_, rate| rate.sweep() > 0 || Arc::strong_count(rate) > 1);
        let steady = self.means.steady_ms();
        for purses in self.all_purses() {
            purses.tidy(|purse| purse.ledger().tidy(now, steady));
        }
        let budgets = lock(&self.budgets).clone();
        let forget = budgets.into_iter().map(|budget| {
            let before = Grid::of(&budget.period).oldest(now);
            UsageChange::Forget { budget, before }
        });
        let changes = Vec::from_iter(forget);
        if changes.is_empty() {
            return Ok(());
        }
        let deadline = self.settings.store_deadline;
        let written = tokio::time::timeout(deadline, self.means.store.add(changes)).await;
        Ok(written.ok().ok_or(LimitError::Slow(deadline))??)
    }

    /// Whether what is released now could be counted, as far as that is known: a request whose answer would have to be is better
    /// refused before the backend is asked.
    #[must_use]
    pub fn can_count(&self) -> bool {
        !self.means.store.is_failing()
    }

    /// How many requests are admitted and have not ended.
    #[must_use]
    pub fn admitted(&self) -> u32 {
        self.in_flight.running()
    }

    fn all_purses(&self) -> [&Purses; 2] {
        [&self.purses, &self.granted]
    }

    /// Where a holder's purse is; each has room for as many.
    fn purses_beside(&self, text: &str) -> &Purses {
        if text.starts_with(USES) { &self.granted } else { &self.purses }
    }

    /// The purse of a holder; none if there is no room for another.
    fn purse(&self, text: &Arc<str>, now: i64) -> Option<Arc<Purse>> {
        let steady = self.means.steady_ms();
        self.purses_beside(text).open(
            text,
            self.settings.persons,
            |purse| purse.ledger().tidy(now, steady),
            || {
                let ledger = Ledger::new(Arc::clone(text), Arc::clone(&self.means.tally));
                Purse::new(Arc::clone(text), ledger)
            },
        )
    }

    fn restore(&self, usage: &Usage) -> Result<(), LimitError> {
        let now = self.means.clock.unix_ms();
        let persons = self.settings.persons;
        let is_over = |budget: &Budget, bucket: i64| bucket < Grid::of(&budget.period).oldest(now);
        for row in &usage.amounts {
            lock(&self.budgets).insert(row.budget.clone());
            if !is_over(&row.budget, row.bucket) {
                let purse = self.purse(&row.holder, now).ok_or(LimitError::TooMany(persons))?;
                purse.ledger().restore_amount(row, now);
            }
        }
        for row in &usage.seen {
            lock(&self.budgets).insert(row.budget.clone());
            if !is_over(&row.budget, row.bucket) {
                let purse = self.purse(&row.holder, now).ok_or(LimitError::TooMany(persons))?;
                if !self.means.tally.has_room_for(1) {
                    return Err(LimitError::TooMany(self.settings.subjects));
                }
                purse.ledger().restore_seen(row, now);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
