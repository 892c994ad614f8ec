//! How much may leave, as a policy says it. Counting is the limits module's.

/// So many in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The length of the window.
    pub per_s: u32,
    /// How many it holds.
    pub count: u32,
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

/// The limits of one caller: of every limit that applies to any role held or included, the strictest
/// in each dimension. Holding one more role never loosens a limit.
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
    /// Exports.
    pub export: Export,
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
        self.export = self.export.tighten(other.export);
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
        match mine.iter_mut().find(|other| other.per_s == window.per_s) {
            Some(other) => other.count = other.count.min(window.count),
            None => mine.push(*window),
        }
    }
    mine.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_limit_never_loosens() {
        let window = |count, per_s| Window { count, per_s };
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
