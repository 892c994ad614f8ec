//! What one request may use: the terms that a policy states, checked once, and the names of limits.

use std::fmt;
use std::str::FromStr;

use super::window::MAX_WINDOW_S;

/// The highest limit on distinct subjects; they are counted exactly, so each costs memory.
pub const MAX_SUBJECTS: u64 = 1_000_000;
/// The highest limit on records or bytes in one window: what fits the store's signed numbers.
const MAX_AMOUNT: u64 = u64::MAX >> 1;
/// How many windows of one unit a person may be held to at once.
const MAX_WINDOWS: usize = 4;
/// The longest window of a rate.
const MAX_RATE_WINDOW_S: u32 = 86_400;
/// The highest number of requests in the window of a rate.
const MAX_PER_WINDOW: u32 = 1_000_000;
/// The highest number of requests a rate may allow at once.
const MAX_BURST: u32 = 10_000;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// Records of any entity, each time one is released.
    Records,
    /// Distinct data subjects.
    Subjects,
    /// Bytes of answers.
    Bytes,
    /// Distinct data subjects of whom a field of a high grade was released in clear.
    Unmasked,
    /// Answers that are a file.
    Files,
}

/// Every unit with its name.
const UNITS: [(Unit, &str); 5] = [
    (Unit::Records, "records"),
    (Unit::Subjects, "subjects"),
    (Unit::Bytes, "bytes"),
    (Unit::Unmasked, "unmask"),
    (Unit::Files, "files"),
];

impl Unit {
    /// Whether a used-up budget of it refuses every request. Others decide record by record, since a
    /// subject already seen costs nothing, or concern some requests only.
    pub(super) fn stops_requests(self) -> bool {
        match self {
            Self::Records | Self::Bytes => true,
            Self::Subjects | Self::Unmasked | Self::Files => false,
        }
    }
}

/// A budget's identity: what it counts and over how long. Its limit may change, its history stays.
///
/// Its text is its name everywhere: in headers, in the log and in the store, such as `subjects-1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// What is counted.
    pub unit: Unit,
    /// The length of the sliding window in seconds.
    pub seconds: u32,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(unit, _)| *unit == self.unit).map_or("", |(_, name)| name);
        write!(f, "{unit}-{}", Span(self.seconds))
    }
}

/// A number of seconds in its largest whole unit.
struct Span(u32);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s > 0 && s.is_multiple_of(86_400) => write!(f, "{}d", s / 86_400),
            s if s > 0 && s.is_multiple_of(3_600) => write!(f, "{}h", s / 3_600),
            s if s > 0 && s.is_multiple_of(60) => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

/// A name in the store is not that of a budget.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a budget's name; one looks like `subjects-1h`")]
pub struct NotABudget(String);

impl FromStr for Budget {
    type Err = NotABudget;

    fn from_str(name: &str) -> Result<Self, NotABudget> {
        let unknown = || NotABudget(name.chars().take(64).collect());
        let (unit, span) = name.split_once('-').ok_or_else(unknown)?;
        let (unit, _) = *UNITS.iter().find(|(_, name)| *name == unit).ok_or_else(unknown)?;
        let (digits, factor) = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)]
            .into_iter()
            .find_map(|(letter, factor)| Some((span.strip_suffix(letter)?, factor)))
            .ok_or_else(unknown)?;
        let count: u32 = digits.parse().ok().ok_or_else(unknown)?;
        let seconds = count.checked_mul(factor).ok_or_else(unknown)?;
        if !(1..=MAX_WINDOW_S).contains(&seconds) {
            return Err(unknown());
        }
        Ok(Self { unit, seconds })
    }
}

/// The limit that refused a request or held back a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Requests at a pace.
    Rate,
    /// Requests in a window of so many seconds.
    Requests(u32),
    /// Requests at once, of one person or from one address.
    Concurrent,
    /// Requests at once, of everybody.
    InFlight,
    /// A budget of a person.
    Budget(Budget),
    /// The memory set aside for counting is full: whom nobody can count, nobody serves.
    Memory,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("rate"),
            Self::Requests(seconds) => write!(f, "requests-{}", Span(*seconds)),
            Self::Concurrent => f.write_str("concurrent"),
            Self::InFlight => f.write_str("in-flight"),
            Self::Budget(budget) => budget.fmt(f),
            Self::Memory => f.write_str("memory"),
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

/// At most `limit` in any `seconds` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The highest amount.
    pub limit: u64,
    /// Length of the sliding window in seconds.
    pub seconds: u32,
}

/// Terms as a policy states them, not yet checked. What is absent or empty is not limited.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Request rate per person.
    pub rate: Option<Rate>,
    /// Requests per person.
    pub requests: Vec<Window>,
    /// Requests of a person at once.
    pub concurrent: Option<u32>,
    /// Records in one answer.
    pub page: Option<u32>,
    /// Records released per person.
    pub records: Vec<Window>,
    /// Distinct subjects released per person.
    pub subjects: Vec<Window>,
    /// Bytes released per person.
    pub bytes: Vec<Window>,
    /// Distinct subjects released unmasked per person.
    pub unmask: Vec<Window>,
    /// Files released per person.
    pub files: Vec<Window>,
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
        "a rate must be 1 to {MAX_PER_WINDOW} in 1 to {MAX_RATE_WINDOW_S} seconds with a burst of 1 to {MAX_BURST}"
    )]
    Rate,
}

/// Terms that can be kept.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    rate: Option<Rate>,
    requests: Vec<Window>,
    concurrent: Option<u32>,
    page: Option<u32>,
    budgets: Vec<(Budget, u64)>,
}

impl Allowance {
    /// Checks terms; of two windows with the same unit and length the tighter one holds.
    ///
    /// # Errors
    /// [`AllowanceFault`] for terms that could not be kept exactly.
    pub fn new(terms: &Terms) -> Result<Self, AllowanceFault> {
        if let Some(rate) = terms.rate {
            check_rate(rate)?;
        }
        check_requests(&terms.requests)?;
        let mut budgets = Vec::new();
        for (unit, windows) in [
            (Unit::Records, &terms.records),
            (Unit::Subjects, &terms.subjects),
            (Unit::Bytes, &terms.bytes),
            (Unit::Unmasked, &terms.unmask),
            (Unit::Files, &terms.files),
        ] {
            add_windows(&mut budgets, unit, windows)?;
        }
        Ok(Self {
            rate: terms.rate,
            requests: terms.requests.clone(),
            concurrent: terms.concurrent,
            page: terms.page,
            budgets,
        })
    }

    /// Records in one answer. Page parameters and the answer's list are held to it by the guard,
    /// which alone can tell a row from a record inside a row.
    #[must_use]
    pub fn page(&self) -> Option<u32> {
        self.page
    }

    /// The request rate.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Requests in windows.
    pub(super) fn requests(&self) -> &[Window] {
        &self.requests
    }

    /// Requests at once.
    pub(super) fn concurrent(&self) -> Option<u32> {
        self.concurrent
    }

    /// Every budget with its limit.
    pub(super) fn budgets(&self) -> &[(Budget, u64)] {
        &self.budgets
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
            && (1..=MAX_RATE_WINDOW_S).contains(&window.seconds)
    };
    if !windows.iter().all(kept) {
        return Err(AllowanceFault::Rate);
    }
    let count = windows.len();
    if count > MAX_WINDOWS { Err(AllowanceFault::TooManyWindows(count)) } else { Ok(()) }
}

fn add_windows(
    budgets: &mut Vec<(Budget, u64)>,
    unit: Unit,
    windows: &[Window],
) -> Result<(), AllowanceFault> {
    let before = budgets.len();
    for &Window { limit, seconds } in windows {
        if !(1..=MAX_WINDOW_S).contains(&seconds) {
            return Err(AllowanceFault::Window(seconds));
        }
        if matches!(unit, Unit::Subjects | Unit::Unmasked) && limit > MAX_SUBJECTS {
            return Err(AllowanceFault::Subjects(limit));
        }
        if limit > MAX_AMOUNT {
            return Err(AllowanceFault::Amount(limit));
        }
        let budget = Budget { unit, seconds };
        match budgets.iter_mut().find(|(known, _)| *known == budget) {
            Some((_, known)) => *known = limit.min(*known),
            None => budgets.push((budget, limit)),
        }
    }
    let windows = budgets.len() - before;
    if windows > MAX_WINDOWS { Err(AllowanceFault::TooManyWindows(windows)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(limit: u64, seconds: u32) -> Terms {
        Terms { subjects: vec![Window { limit, seconds }], ..Terms::default() }
    }

    #[test]
    fn a_budgets_name_reads_back() {
        for (unit, seconds, name) in [
            (Unit::Subjects, 3_600, "subjects-1h"),
            (Unit::Subjects, 172_800, "subjects-2d"),
            (Unit::Unmasked, 90, "unmask-90s"),
            (Unit::Files, 86_400, "files-1d"),
        ] {
            let budget = Budget { unit, seconds };
            assert_eq!(budget.to_string(), name);
            assert_eq!(name.parse(), Ok(budget));
        }
    }

    #[test]
    fn a_name_that_is_no_budget_is_refused() {
        for name in
            ["", "subjects", "subjects-", "requests-1h", "bytes-0s", "bytes-9999999d", "bytes--1h"]
        {
            assert!(name.parse::<Budget>().is_err(), "{name}");
        }
    }

    #[test]
    fn more_subjects_than_can_be_counted_exactly_are_refused() {
        let fault = Allowance::new(&subjects(MAX_SUBJECTS + 1, 60)).unwrap_err();
        assert_eq!(fault, AllowanceFault::Subjects(MAX_SUBJECTS + 1));
        assert!(Allowance::new(&subjects(MAX_SUBJECTS, 60)).is_ok());
    }

    #[test]
    fn a_window_of_nothing_or_of_years_is_refused() {
        assert!(Allowance::new(&subjects(1, 0)).is_err());
        assert!(Allowance::new(&subjects(1, MAX_WINDOW_S + 1)).is_err());
    }

    #[test]
    fn of_two_equal_windows_the_tighter_holds() {
        let mut terms = subjects(40, 60);
        terms.subjects.push(Window { limit: 10, seconds: 60 });
        let allowance = Allowance::new(&terms).unwrap();
        assert_eq!(allowance.budgets(), [(Budget { unit: Unit::Subjects, seconds: 60 }, 10)]);
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let rate = Some(Rate { per_window: 0, window_s: 60, burst: 1 });
        let fault = Allowance::new(&Terms { rate, ..Terms::default() }).unwrap_err();
        assert_eq!(fault, AllowanceFault::Rate);
    }
}
