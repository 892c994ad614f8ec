//! What one request may use: the terms that a policy states, checked once, and the names of limits.

use std::fmt;

use super::budget::{Budget, Unit};
use super::holder::Holder;
use super::period::{MAX_WINDOW_S, Period};
use super::shared::WhenLost;
use super::slice::Slice;

/// The highest limit on distinct subjects; they are counted exactly, so each costs memory.
pub const MAX_SUBJECTS: u64 = 1_000_000;
/// The highest limit on records or bytes in one window: what fits the store's signed numbers.
const MAX_AMOUNT: u64 = u64::MAX >> 1;
/// How many windows of one unit and slice a holder may be held to at once.
const MAX_WINDOWS: usize = 4;
/// Requests are counted durably in windows of this length or more; what is left of shorter ones after a restart
/// is less than the restart itself costs whoever waits for it.
const DURABLE_FROM_S: u32 = 3_600;
/// The longest window of a rate with a burst.
const MAX_RATE_WINDOW_S: u32 = 86_400;
/// The highest number of requests in the window of a rate.
const MAX_PER_WINDOW: u32 = 1_000_000;
/// The highest number of requests a rate may allow at once.
const MAX_BURST: u32 = 10_000;

/// The limit that refused a request or held back a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Requests at a pace, of a slice.
    Rate(Slice),
    /// Requests at once, of one holder or from one address.
    Concurrent,
    /// Requests at once, of everybody.
    InFlight,
    /// Records in one answer.
    Rows,
    /// A budget.
    Budget(Budget),
    /// The memory set aside for counting is full: whom nobody can count, nobody serves.
    Memory,
    /// The store that gates share cannot be asked, and what this one was lent is used up.
    SharedStore,
}

impl Limit {
    /// What it limits, from a closed set: for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rate(_) => "rate",
            Self::Concurrent => "concurrent",
            Self::InFlight => "in-flight",
            Self::Rows => "rows",
            Self::Budget(budget) => budget.unit.name(),
            Self::Memory => "memory",
            Self::SharedStore => "shared-store",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(budget) => budget.fmt(f),
            Self::Rate(slice) => write!(f, "rate{slice}"),
            Self::Concurrent | Self::InFlight | Self::Rows | Self::Memory | Self::SharedStore => {
                f.write_str(self.kind())
            }
        }
    }
}

/// A request rate: on average `per_window` in `window_s` seconds, and at most `burst` at once.
///
/// It is a leaky bucket (GCRA): any span of `window_s` seconds sees at most `per_window + burst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests per window.
    pub per_window: u32,
    /// Length of the window in seconds, at most a day.
    pub window_s: u32,
    /// Requests at once.
    pub burst: u32,
}

/// At most `limit` over a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The highest amount.
    pub limit: u64,
    /// Over which time.
    pub period: Period,
}

impl Window {
    /// At most `limit` in any `seconds` seconds.
    #[must_use]
    pub fn sliding(limit: u64, seconds: u32) -> Self {
        Self { limit, period: Period::Sliding(seconds) }
    }
}

/// Terms of one holder and slice as a policy states them, not yet checked. What is absent or empty is not limited.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whose budgets these are.
    pub holder: Holder,
    /// Which requests they count.
    pub slice: Slice,
    /// Request rate.
    pub rate: Option<Rate>,
    /// Requests.
    pub requests: Vec<Window>,
    /// Requests at once.
    pub concurrent: Option<u32>,
    /// Records released.
    pub records: Vec<Window>,
    /// Distinct subjects released.
    pub subjects: Vec<Window>,
    /// Bytes released.
    pub bytes: Vec<Window>,
    /// Distinct subjects released unmasked.
    pub unmask: Vec<Window>,
    /// Files released.
    pub files: Vec<Window>,
    /// Searches that find nobody.
    pub zero_hits: Vec<Window>,
    /// What becomes of these limits while a store that gates share is lost.
    pub when_lost: WhenLost,
}

/// Why terms cannot be kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceFault {
    /// A window is empty or too long to count.
    #[error("a window must be between 1 and {MAX_WINDOW_S} seconds, got `{0}`")]
    Window(u32),
    /// Too many subjects to count exactly.
    #[error("a limit on people must be at most {MAX_SUBJECTS}, got `{0}`")]
    Subjects(u64),
    /// More than the store's numbers hold.
    #[error("a limit must be at most {MAX_AMOUNT}, got `{0}`")]
    Amount(u64),
    /// Too many windows of one unit.
    #[error("at most {MAX_WINDOWS} windows may limit the same unit, got `{0}`")]
    TooManyWindows(usize),
    /// The rate cannot be kept.
    #[error(
        "a rate must be 1 to {MAX_PER_WINDOW} in 1 to {MAX_WINDOW_S} seconds, or in 1 to {MAX_RATE_WINDOW_S} with a burst of 1 to {MAX_BURST}"
    )]
    Rate,
}

/// A budget with its limit, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) holder: Holder,
    pub(super) budget: Budget,
    pub(super) limit: u64,
    /// While a shared store is lost.
    pub(super) when_lost: WhenLost,
}

/// A number for each holder and slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound<T> {
    pub(super) holder: Holder,
    pub(super) slice: Slice,
    pub(super) most: T,
}

/// Terms that can be kept, of one or several holders.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    rates: Vec<Bound<Rate>>,
    concurrent: Vec<Bound<u32>>,
    requests: Vec<Share>,
    budgets: Vec<Share>,
}

impl Allowance {
    /// Checks terms; of two windows of the same holder, unit, slice and length the tighter one holds.
    ///
    /// # Errors
    /// [`AllowanceFault`] for terms that could not be kept exactly.
    pub fn new(terms: &[Terms]) -> Result<Self, AllowanceFault> {
        let mut allowance = Self::default();
        for terms in terms {
            allowance.add(terms)?;
        }
        Ok(allowance)
    }

    /// The request rates.
    pub(super) fn rates(&self) -> &[Bound<Rate>] {
        &self.rates
    }

    /// Requests in windows that memory alone knows.
    pub(super) fn requests(&self) -> &[Share] {
        &self.requests
    }

    /// Requests at once.
    pub(super) fn concurrent(&self) -> &[Bound<u32>] {
        &self.concurrent
    }

    /// Every budget with its limit.
    /// Whether anything is counted durably.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.budgets().is_empty()
    }

    pub(super) fn budgets(&self) -> &[Share] {
        &self.budgets
    }

    /// The same with nothing left of the budgets over such periods.
    pub(super) fn used_up(&self, is_over: impl Fn(&Period) -> bool) -> Self {
        let mut tight = self.clone();
        for share in tight.budgets.iter_mut().filter(|share| is_over(&share.budget.period)) {
            share.limit = 0;
        }
        tight
    }

    fn add(&mut self, terms: &Terms) -> Result<(), AllowanceFault> {
        let Terms { holder, slice, rate, requests, concurrent, .. } = terms;
        if let Some(rate) = rate {
            check_rate(*rate)?;
        }
        let bound = |most| Bound { holder: holder.clone(), slice: slice.clone(), most };
        self.rates.extend(rate.map(|rate| Bound {
            holder: holder.clone(),
            slice: slice.clone(),
            most: rate,
        }));
        self.concurrent.extend(concurrent.map(bound));
        check_requests(requests)?;
        let (long, short): (Vec<Window>, Vec<Window>) =
            requests.iter().cloned().partition(|window| window.period.seconds() >= DURABLE_FROM_S);
        add_windows(&mut self.requests, terms, Unit::Requests, &short)?;
        add_windows(&mut self.budgets, terms, Unit::Requests, &long)?;
        for (unit, windows) in [
            (Unit::Records, &terms.records),
            (Unit::Subjects, &terms.subjects),
            (Unit::Bytes, &terms.bytes),
            (Unit::Unmasked, &terms.unmask),
            (Unit::Files, &terms.files),
            (Unit::ZeroHits, &terms.zero_hits),
        ] {
            add_windows(&mut self.budgets, terms, unit, windows)?;
        }
        Ok(())
    }
}

fn check_rate(rate: Rate) -> Result<(), AllowanceFault> {
    let kept = (1..=MAX_PER_WINDOW).contains(&rate.per_window)
        && (1..=MAX_RATE_WINDOW_S).contains(&rate.window_s)
        && (1..=MAX_BURST).contains(&rate.burst);
    if kept { Ok(()) } else { Err(AllowanceFault::Rate) }
}

fn check_requests(windows: &[Window]) -> Result<(), AllowanceFault> {
    let kept = |window: &Window| {
        (1..=u64::from(MAX_PER_WINDOW)).contains(&window.limit)
            && (1..=MAX_WINDOW_S).contains(&window.period.seconds())
    };
    if windows.iter().all(kept) { Ok(()) } else { Err(AllowanceFault::Rate) }
}

fn add_windows(
    shares: &mut Vec<Share>,
    terms: &Terms,
    unit: Unit,
    windows: &[Window],
) -> Result<(), AllowanceFault> {
    let Terms { holder, slice, when_lost, .. } = terms;
    let when_lost = *when_lost;
    for Window { limit, period } in windows {
        let limit = *limit;
        if let Period::Sliding(seconds) = period
            && !(1..=MAX_WINDOW_S).contains(seconds)
        {
            return Err(AllowanceFault::Window(*seconds));
        }
        if unit.is_distinct() && limit > MAX_SUBJECTS {
            return Err(AllowanceFault::Subjects(limit));
        }
        if limit > MAX_AMOUNT {
            return Err(AllowanceFault::Amount(limit));
        }
        let budget = Budget { unit, period: period.clone(), slice: slice.clone() };
        let mut known = shares.iter_mut();
        match known.find(|share| share.budget == budget && share.holder == *holder) {
            Some(share) => {
                share.limit = limit.min(share.limit);
                share.when_lost = when_lost.max(share.when_lost);
            }
            None => shares.push(Share { holder: holder.clone(), budget, limit, when_lost }),
        }
    }
    let alike = |share: &&Share| {
        share.holder == *holder && share.budget.unit == unit && share.budget.slice == *slice
    };
    let count = shares.iter().filter(alike).count();
    if count > MAX_WINDOWS { Err(AllowanceFault::TooManyWindows(count)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(terms: Terms) -> Result<Allowance, AllowanceFault> {
        Allowance::new(&[terms])
    }

    fn subjects(limit: u64, seconds: u32) -> Terms {
        Terms { subjects: vec![Window::sliding(limit, seconds)], ..Terms::default() }
    }

    #[test]
    fn more_subjects_than_can_be_counted_exactly_are_refused() {
        let fault = allowance(subjects(MAX_SUBJECTS + 1, 60)).unwrap_err();
        assert_eq!(fault, AllowanceFault::Subjects(MAX_SUBJECTS + 1));
        assert!(allowance(subjects(MAX_SUBJECTS, 60)).is_ok());
    }

    #[test]
    fn a_window_of_nothing_or_of_years_is_refused() {
        assert!(allowance(subjects(1, 0)).is_err());
        assert!(allowance(subjects(1, MAX_WINDOW_S + 1)).is_err());
    }

    #[test]
    fn of_two_equal_windows_the_tighter_holds() {
        let mut terms = subjects(40, 60);
        terms.subjects.push(Window::sliding(10, 60));
        let allowance = allowance(terms).unwrap();
        let limits: Vec<u64> = allowance.budgets().iter().map(|share| share.limit).collect();
        assert_eq!(limits, [10]);
    }

    #[test]
    fn windows_of_other_holders_and_slices_are_others() {
        let role = Terms { holder: Holder::Role("teller".into()), ..subjects(100, 60) };
        let sliced = Terms { slice: Slice::of(["care"], [], []), ..subjects(5, 60) };
        let allowance = Allowance::new(&[subjects(40, 60), role, sliced]).unwrap();
        let limits: Vec<u64> = allowance.budgets().iter().map(|share| share.limit).collect();
        assert_eq!(limits, [40, 100, 5]);
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let rate = Some(Rate { per_window: 0, window_s: 60, burst: 1 });
        let fault = allowance(Terms { rate, ..Terms::default() }).unwrap_err();
        assert_eq!(fault, AllowanceFault::Rate);
    }
}
