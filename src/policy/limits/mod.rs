//! How much may leave, as a policy says it. Counting is the limits module's.

mod off_hours;
mod scope;

use std::fmt;
use std::sync::Arc;

pub(super) use off_hours::Factor;
pub use off_hours::OffHours;
pub use scope::{Holder, LimitSet, Moment, Scope, Scoped, Slice};

use super::survey::duration;

/// Over which time something is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// Any span of so many seconds.
    Seconds(u32),
    /// Each day of the calendar, in the time zone of this name.
    Day(Arc<str>),
}

impl Per {
    /// Whether it is a day, sliding or of the calendar.
    pub(super) fn is_a_day(&self) -> bool {
        match self {
            Self::Seconds(seconds) => *seconds == 86_400,
            Self::Day(_) => true,
        }
    }

    /// Whether whatever keeps to so many in this time keeps to as many in the other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Seconds(mine), Self::Seconds(theirs)) => mine >= theirs,
            (Self::Day(mine), Self::Day(theirs)) => mine == theirs,
            // A day has at most 25 hours; any day is a span of so long.
            (Self::Seconds(mine), Self::Day(_)) => *mine >= 25 * 3_600,
            (Self::Day(_), Self::Seconds(_)) => false,
        }
    }
}

/// `in 1h`, `in a calendar day of Asia/Shanghai`.
impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "in {}", duration(*seconds)),
            Self::Day(zone) => write!(f, "in a calendar day of {zone}"),
        }
    }
}

/// So many over a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Over which time.
    pub per: Per,
    /// How many it holds.
    pub count: u32,
}

impl Window {
    /// So many in any span of so many seconds.
    #[must_use]
    pub fn sliding(count: u32, seconds: u32) -> Self {
        Self { per: Per::Seconds(seconds), count }
    }
}

/// A request rate that is spread evenly: one more every `per_s / count` seconds, and `burst` at once.
///
/// Any `per_s` seconds see at most `count + burst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many requests.
    pub count: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// Whether, and how, data may be taken out by the action export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// Not at all.
    None,
    /// Within these bounds.
    Bounded {
        /// Records in one answer.
        rows: Option<u32>,
        /// Whether each needs a grant.
        needs_grant: bool,
    },
}

impl Default for Export {
    fn default() -> Self {
        Self::Bounded { rows: None, needs_grant: false }
    }
}

/// What one scope is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests, spread evenly.
    pub rate: Option<Rate>,
    /// Requests, one entry for each length of window.
    pub requests: Vec<Window>,
    /// Requests under way at once.
    pub concurrent: Option<u32>,
    /// Records on one page.
    pub page: Option<u32>,
    /// Records returned, one entry for each length of window.
    pub records: Vec<Window>,
    /// Distinct data subjects returned, one entry for each length of window.
    pub subjects: Vec<Window>,
    /// Bytes returned, in KiB, one entry for each length of window.
    pub kibibytes: Vec<Window>,
    /// Distinct data subjects of whom a field of grade 3 or 4 was returned in clear, one entry for each
    /// length of window.
    pub unmask: Vec<Window>,
    /// Exports and other answers that are a file, one entry for each length of window.
    pub files: Vec<Window>,
    /// Searches that found nobody, one entry for each length of window.
    pub zero_hits: Vec<Window>,
    /// Exports.
    pub export: Export,
    /// Whether an answer that reaches a limit is refused whole.
    pub refuse_whole: bool,
    /// Nothing of it is given while the store that gates share is lost, not even what this gate was lent.
    pub denies_when_lost: bool,
}

impl Limits {
    /// Both, the stricter in each dimension.
    pub(super) fn tighten(&mut self, other: &Self) {
        self.rate = match (self.rate, other.rate) {
            (Some(mine), Some(theirs)) => Some(stricter(mine, theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        join(&mut self.requests, &other.requests);
        self.concurrent = least(self.concurrent, other.concurrent);
        self.page = least(self.page, other.page);
        join(&mut self.records, &other.records);
        join(&mut self.subjects, &other.subjects);
        join(&mut self.kibibytes, &other.kibibytes);
        join(&mut self.unmask, &other.unmask);
        join(&mut self.files, &other.files);
        join(&mut self.zero_hits, &other.zero_hits);
        self.export = self.export.tighten(other.export);
        self.refuse_whole |= other.refuse_whole;
        self.denies_when_lost |= other.denies_when_lost;
    }
}

impl Export {
    fn tighten(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, _) | (_, Self::None) => Self::None,
            (
                Self::Bounded { rows: mine, needs_grant },
                Self::Bounded { rows: theirs, needs_grant: also },
            ) => Self::Bounded { rows: least(mine, theirs), needs_grant: needs_grant || also },
        }
    }
}

fn least(mine: Option<u32>, theirs: Option<u32>) -> Option<u32> {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
        (mine, theirs) => mine.or(theirs),
    }
}

/// The lower rate, with the smaller burst of the two.
fn stricter(mine: Rate, theirs: Rate) -> Rate {
    let pace = |rate: Rate, other: Rate| u64::from(rate.count) * u64::from(other.per_s);
    let slower = if pace(mine, theirs) <= pace(theirs, mine) { mine } else { theirs };
    Rate { burst: mine.burst.min(theirs.burst), ..slower }
}

fn join(mine: &mut Vec<Window>, theirs: &[Window]) {
    for window in theirs {
        match mine.iter_mut().find(|other| other.per == window.per) {
            Some(other) => other.count = other.count.min(window.count),
            None => mine.push(window.clone()),
        }
    }
    mine.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_limit_never_loosens() {
        let window = Window::sliding;
        let mut limits = Limits {
            rate: Some(Rate { count: 120, per_s: 60, burst: 20 }),
            page: Some(20),
            records: vec![window(500, 3600)],
            requests: vec![window(100, 60)],
            export: Export::Bounded { rows: Some(500), needs_grant: false },
            ..Limits::default()
        };
        limits.tighten(&Limits {
            rate: Some(Rate { count: 1, per_s: 1, burst: 30 }),
            concurrent: Some(4),
            page: Some(50),
            records: vec![window(900, 3600), window(1000, 86_400)],
            requests: vec![window(90, 60)],
            files: vec![window(3, 86_400)],
            export: Export::Bounded { rows: Some(900), needs_grant: true },
            ..Limits::default()
        });
        assert_eq!(limits.rate, Some(Rate { count: 1, per_s: 1, burst: 20 }));
        assert_eq!((limits.page, limits.concurrent), (Some(20), Some(4)));
        assert_eq!(limits.records, [window(500, 3600), window(1000, 86_400)]);
        assert_eq!(
            (limits.requests, limits.files),
            (vec![window(90, 60)], vec![window(3, 86_400)])
        );
        assert_eq!(limits.export, Export::Bounded { rows: Some(500), needs_grant: true });
    }

    #[test]
    fn where_one_limit_closes_exports_no_other_opens_them() {
        let bounded = Export::Bounded { rows: Some(1), needs_grant: true };
        for (mine, theirs) in [(Export::None, bounded), (bounded, Export::None)] {
            let mut limits = Limits { export: mine, ..Limits::default() };
            limits.tighten(&Limits { export: theirs, ..Limits::default() });
            assert_eq!(limits.export, Export::None);
        }
    }
}
