//! Limits: how often, how many at once, and how much of whose data a person may be answered with.
//!
//! Rates are forgotten at a restart; budgets are not. Whatever cannot be counted, because a table
//! is full or the store fails, is refused. Status codes are chosen elsewhere.

mod address;
mod allowance;
mod budget;
mod concurrency;
mod distinct;
mod quota;
mod rate;
mod requests;
mod seat;
mod store;
mod window;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::address::{AddressLimits, AddressRefused, AddressSeat, AddressSettings, network};
pub use self::allowance::{
    Allowance, AllowanceFault, Budget, Limit, MAX_SUBJECTS, NotABudget, Rate, Terms, Unit, Window,
};
pub use self::quota::{Counter, Quota, RateLimitFields, Refused};
pub use self::seat::{LimitError, Persist, Seat, Take};
pub use self::store::{
    AmountRow, SeenRow, StoreError, StoreFuture, Usage, UsageChange, UsageFuture, UsageStore,
};

use self::budget::Ledger;
use self::concurrency::{Concurrency, Full};
use self::quota::seconds_until;
use self::rate::KeyedRate;
use self::seat::{Means, Person, budget_quotas, request_quotas};
use self::window::{Grid, Tally};
use crate::clock::Clock;

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
    /// Persons whose usage is held in memory; further ones are refused.
    pub persons: usize,
    /// Subjects held in memory over all persons and windows, unmasked ones apart, at some 60 bytes each.
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

/// The limits of all persons.
pub struct Limits {
    settings: Settings,
    means: Means,
    tally: Arc<Tally>,
    in_flight: Arc<Concurrency<Arc<str>>>,
    rates: Mutex<HashMap<Rate, Arc<KeyedRate<Arc<str>>>>>,
    persons: Mutex<HashMap<Arc<str>, Arc<Person>>>,
    /// Every budget that the store may have rows of.
    budgets: Mutex<BTreeSet<Budget>>,
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
            tally: Tally::new(settings.subjects),
            in_flight: Concurrency::new(settings.in_flight),
            means: Means { clock: clock.clone(), store, store_deadline: settings.store_deadline },
            rates: Mutex::default(),
            persons: Mutex::default(),
            budgets: Mutex::default(),
            settings,
        };
        limits.restore(&usage)?;
        Ok(limits)
    }

    /// Admits a request of `person`, or says when to come back.
    ///
    /// A used-up budget of subjects, unmasked or not, still admits, since a subject already seen costs
    /// nothing: each record decides then. A used-up budget of records or bytes does not; one of files
    /// refuses [`Seat::take_file`].
    ///
    /// # Errors
    /// [`Refused`]; nothing is held then, but a refused request counts for its rate.
    pub fn admit(&self, person: &str, allowance: &Arc<Allowance>) -> Result<Seat, Refused> {
        let name: Arc<str> = person.into();
        let now = self.means.clock.unix_ms();
        let concurrent = allowance.concurrent().unwrap_or(self.settings.in_flight_each);
        let place = self.in_flight.enter(&name, concurrent).map_err(|full| match full {
            Full::Key => refused(Limit::Concurrent, 1),
            Full::Everybody => refused(Limit::InFlight, 1),
        })?;
        let rate = self.check_rate(&name, allowance)?;
        let known = self.person(&name, now).ok_or_else(|| refused(Limit::Memory, 60))?;
        self.check_requests(&known, allowance)?;
        self.check_budgets(&known, allowance, now)?;
        Ok(Seat::new(known, Arc::clone(allowance), self.means.clone(), rate, place))
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
        usage.amounts.iter_mut().for_each(|row| row.person = Arc::clone(&into));
        usage.seen.iter_mut().for_each(|row| row.person = Arc::clone(&into));
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
        lock(&self.persons).retain(|_, person| in_use(person) || person.ledger().tidy(now, steady));
        let budgets = lock(&self.budgets).clone();
        let forget = budgets.into_iter().map(|budget| UsageChange::Forget {
            budget,
            before: Grid::of(budget.seconds).oldest(now),
        });
        let changes = Vec::from_iter(forget);
        if changes.is_empty() {
            return Ok(());
        }
        let deadline = self.settings.store_deadline;
        let written = tokio::time::timeout(deadline, self.means.store.add(changes)).await;
        Ok(written.ok().ok_or(LimitError::Slow(deadline))??)
    }

    fn check_rate(&self, name: &Arc<str>, allowance: &Allowance) -> Result<Option<Quota>, Refused> {
        let Some(rate) = allowance.rate() else { return Ok(None) };
        let keyed = self.keyed_rate(rate).ok_or_else(|| refused(Limit::Memory, 60))?;
        let period_s = u64::from(rate.window_s).div_ceil(u64::from(rate.per_window.max(1)));
        match keyed.check(name) {
            Ok(left) => Ok(Some(Quota::of_rate(rate, left, period_s))),
            Err(too_fast) => {
                let wait = u64::try_from(too_fast.wait.as_millis()).unwrap_or(u64::MAX);
                let wait_s = wait.div_ceil(1_000).max(1);
                Err(Refused {
                    limit: if too_fast.no_room { Limit::Memory } else { Limit::Rate },
                    retry_after_s: wait_s,
                    quotas: vec![Quota::of_rate(rate, 0, wait_s)],
                })
            }
        }
    }

    fn check_requests(&self, person: &Person, allowance: &Allowance) -> Result<(), Refused> {
        let steady = self.means.steady_ms();
        let mut ledger = person.ledger();
        let Err(full) = ledger.requests().take(allowance.requests(), steady) else { return Ok(()) };
        Err(Refused {
            limit: Limit::Requests(full.window.seconds),
            retry_after_s: seconds_until(0, full.wait_ms),
            quotas: request_quotas(&mut ledger, allowance, steady),
        })
    }

    fn check_budgets(
        &self,
        person: &Person,
        allowance: &Allowance,
        now: i64,
    ) -> Result<(), Refused> {
        let mut ledger = person.ledger();
        ledger.name(allowance, now);
        lock(&self.budgets).extend(allowance.budgets().iter().map(|(budget, _)| *budget));
        let used_up = ledger.used_up(allowance, Unit::stops_requests, now);
        let Some((budget, retry_after_s)) = used_up else { return Ok(()) };
        let quotas = budget_quotas(&mut ledger, allowance, now);
        Err(Refused { limit: Limit::Budget(budget), retry_after_s, quotas })
    }

    fn keyed_rate(&self, rate: Rate) -> Option<Arc<KeyedRate<Arc<str>>>> {
        let mut rates = lock(&self.rates);
        if let Some(keyed) = rates.get(&rate) {
            return Some(Arc::clone(keyed));
        }
        if rates.len() >= MAX_RATES {
            rates.retain(|_, rate| rate.sweep() > 0 || Arc::strong_count(rate) > 1);
        }
        if rates.len() >= MAX_RATES {
            return None;
        }
        let keyed = Arc::new(KeyedRate::new(rate, self.settings.persons, &self.means.clock));
        rates.insert(rate, Arc::clone(&keyed));
        Some(keyed)
    }

    /// The person of this name; nobody if there is no room for another.
    fn person(&self, name: &Arc<str>, now: i64) -> Option<Arc<Person>> {
        let mut persons = lock(&self.persons);
        if let Some(person) = persons.get(name) {
            return Some(Arc::clone(person));
        }
        if persons.len() >= self.settings.persons {
            let steady = self.means.steady_ms();
            persons.retain(|_, person| in_use(person) || person.ledger().tidy(now, steady));
        }
        if persons.len() >= self.settings.persons {
            return None;
        }
        let ledger = Ledger::new(Arc::clone(name), Arc::clone(&self.tally));
        let person = Arc::new(Person::new(ledger));
        persons.insert(Arc::clone(name), Arc::clone(&person));
        Some(person)
    }

    fn restore(&self, usage: &Usage) -> Result<(), LimitError> {
        let now = self.means.clock.unix_ms();
        let persons = self.settings.persons;
        for row in &usage.amounts {
            lock(&self.budgets).insert(row.budget);
            if row.bucket >= Grid::of(row.budget.seconds).oldest(now) {
                let person = self.person(&row.person, now).ok_or(LimitError::TooMany(persons))?;
                person.ledger().restore_amount(row, now);
            }
        }
        for row in &usage.seen {
            lock(&self.budgets).insert(row.budget);
            if row.bucket >= Grid::of(row.budget.seconds).oldest(now) {
                let person = self.person(&row.person, now).ok_or(LimitError::TooMany(persons))?;
                if !self.tally.has_room_for(1) {
                    return Err(LimitError::TooMany(self.settings.subjects));
                }
                person.ledger().restore_seen(row, now);
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

/// A seat holds on to its person; new seats are made under the lock of the map.
fn in_use(person: &Arc<Person>) -> bool {
    Arc::strong_count(person) > 1
}

fn refused(limit: Limit, retry_after_s: u64) -> Refused {
    Refused { limit, retry_after_s, quotas: Vec::new() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
