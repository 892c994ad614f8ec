//! A budget's identity: what it counts, over which time, of which requests. Its text is its name everywhere.

use std::fmt;
use std::str::FromStr;

use super::period::Period;
use super::slice::Slice;

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
    /// Requests.
    Requests,
    /// Searches that found nobody.
    ZeroHits,
}

/// Every unit with its name.
const UNITS: [(Unit, &str); 7] = [
    (Unit::Records, "records"),
    (Unit::Subjects, "subjects"),
    (Unit::Bytes, "bytes"),
    (Unit::Unmasked, "unmask"),
    (Unit::Files, "files"),
    (Unit::Requests, "requests"),
    (Unit::ZeroHits, "zero-hits"),
];

impl Unit {
    /// The name, as policies write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        UNITS.iter().find(|(unit, _)| *unit == self).map_or("", |(_, name)| name)
    }

    /// Whether it counts each data subject once, which costs memory for each.
    #[must_use]
    pub fn is_distinct(self) -> bool {
        match self {
            Self::Subjects | Self::Unmasked => true,
            Self::Records | Self::Bytes | Self::Files | Self::Requests | Self::ZeroHits => false,
        }
    }

    /// Whether a used-up budget of it refuses every request. Others decide record by record, since a
    /// subject already seen costs nothing, or concern some requests only.
    pub(super) fn stops_requests(self) -> bool {
        match self {
            Self::Records | Self::Bytes | Self::Requests => true,
            Self::Subjects | Self::Unmasked | Self::Files | Self::ZeroHits => false,
        }
    }
}

/// A budget's identity. Its limit may change, its history stays.
///
/// Its text is its name everywhere: in headers, in the log and in every store, such as `subjects-1h` or
/// `records-1d;purpose=marketing`. It is printable ASCII and reads back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// What is counted.
    pub unit: Unit,
    /// Over which time.
    pub period: Period,
    /// Of which requests.
    pub slice: Slice,
}

impl Budget {
    /// A budget of all requests over a sliding window.
    #[must_use]
    pub fn sliding(unit: Unit, seconds: u32) -> Self {
        Self { unit, period: Period::Sliding(seconds), slice: Slice::default() }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{}", self.unit.name(), self.period, self.slice)
    }
}

/// A name in the store is not that of a budget.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a budget's name; one looks like `subjects-1h`")]
pub struct NotABudget(String);

impl FromStr for Budget {
    type Err = NotABudget;

    fn from_str(name: &str) -> Result<Self, NotABudget> {
        parse(name).ok_or_else(|| NotABudget(name.chars().take(64).collect()))
    }
}

fn parse(name: &str) -> Option<Budget> {
    let mut parts = name.split(';').peekable();
    let first = parts.next()?;
    // A unit's name, and the period's, may have a hyphen too.
    let (unit, period) = UNITS
        .iter()
        .find_map(|(unit, name)| Some((*unit, first.strip_prefix(name)?.strip_prefix('-')?)))?;
    let zone = parts.next_if(|part| part.starts_with("zone="));
    let period = Period::parse(period, zone.and_then(|zone| zone.strip_prefix("zone=")))?;
    let slice = Slice::parse(parts)?;
    Some(Budget { unit, period, slice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budgets_name_reads_back() {
        for name in [
            "subjects-1h",
            "subjects-2d",
            "unmask-90s",
            "files-1d",
            "requests-1h",
            "zero-hits-10m;action=search",
            "zero-hits-calendar-day",
            "subjects-1h;purpose=marketing",
            "records-1d;purpose=a,b;action=search;route=guests.list",
            "subjects-calendar-day",
            "bytes-calendar-day;zone=Asia/Shanghai;action=export",
            "records-1d;route=%E0%B8%A3",
        ] {
            let budget: Budget = name.parse().unwrap();
            assert_eq!(budget.to_string(), name);
        }
        assert_eq!("subjects-1h".parse(), Ok(Budget::sliding(Unit::Subjects, 3_600)));
    }

    #[test]
    fn a_name_that_is_no_budget_is_refused() {
        for name in [
            "",
            "subjects",
            "subjects-",
            "people-1h",
            "bytes-0s",
            "bytes-9999999d",
            "bytes--1h",
            "bytes-60m",
            "bytes-1h;",
            "bytes-1h;zone=Asia/Shanghai",
            "bytes-calendar-day;zone=UTC",
            "bytes-calendar-day;zone=Nowhere/Land",
            "bytes-1h;purpose=",
        ] {
            assert!(name.parse::<Budget>().is_err(), "{name}");
        }
    }
}
