//! How much may leave, as a policy says it. Counting is the limits module's.

/// So many in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The length of the window.
    pub per_s: u32,
    /// How many it holds.
    pub count: u32,
}

/// A request rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many requests.
    pub count: u32,
    /// In how many seconds.
    pub per_s: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// The limits of one caller: of every limit that applies to any role held or included, the strictest
/// in each dimension. Holding one more role never loosens a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub rate: Option<Rate>,
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
}

impl Limits {
    /// Both, the stricter in each dimension.
    pub(super) fn tighten(&mut self, other: &Self) {
        self.rate = match (self.rate, other.rate) {
            (Some(mine), Some(theirs)) => Some(stricter(mine, theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.concurrent = least(self.concurrent, other.concurrent);
        self.page = least(self.page, other.page);
        join(&mut self.records, &other.records);
        join(&mut self.subjects, &other.subjects);
        join(&mut self.kibibytes, &other.kibibytes);
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
            ..Limits::default()
        };
        limits.tighten(&Limits {
            rate: Some(Rate { count: 1, per_s: 1, burst: 30 }),
            concurrent: Some(4),
            page: Some(50),
            records: vec![window(900, 3600), window(1000, 86_400)],
            ..Limits::default()
        });
        assert_eq!(limits.rate, Some(Rate { count: 1, per_s: 1, burst: 20 }));
        assert_eq!((limits.page, limits.concurrent), (Some(20), Some(4)));
        assert_eq!(limits.records, [window(500, 3600), window(1000, 86_400)]);
    }
}
