//! Sliding windows: amounts and distinct subjects in fixed fine buckets.
//!
//! A bucket counts until everything in it is older than the window, so a limit is never exceeded in
//! any real span of the window's length; the price is up to one sixtieth of strictness. A day of the
//! calendar is one bucket.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buckets::Buckets;
use super::period::{Period, Zone};

/// Buckets per sliding window.
const BUCKETS: i64 = 60;

/// How a period's time is cut into buckets.
#[derive(Clone, Debug)]
pub(super) enum Grid {
    /// A window that slides.
    Sliding { window_ms: i64, width_ms: i64 },
    /// One bucket for each day of the calendar.
    Days(Zone),
}

impl Grid {
    /// The grid of a period.
    pub(super) fn of(period: &Period) -> Self {
        match period {
            Period::Sliding(seconds) => {
                let window_ms = i64::from((*seconds).max(1)) * 1_000;
                Self::Sliding { window_ms, width_ms: (window_ms + BUCKETS - 1) / BUCKETS }
            }
            Period::Day(zone) => Self::Days(zone.clone()),
        }
    }

    /// The bucket of a moment.
    pub(super) fn bucket(&self, unix_ms: i64) -> i64 {
        match self {
            Self::Sliding { width_ms, .. } => unix_ms.div_euclid(*width_ms),
            Self::Days(zone) => zone.day(unix_ms),
        }
    }

    /// The oldest bucket that still counts at `now_ms`.
    pub(super) fn oldest(&self, now_ms: i64) -> i64 {
        match self {
            Self::Sliding { window_ms, .. } => self.bucket(now_ms.saturating_sub(*window_ms)),
            Self::Days(zone) => zone.day(now_ms),
        }
    }

    /// Whether a bucket no longer counts: the same as being before [`oldest`](Self::oldest), without a division.
    pub(super) fn is_over(&self, bucket: i64, now_ms: i64) -> bool {
        match self {
            Self::Sliding { .. } => self.leaves_at(bucket) <= now_ms,
            Self::Days(zone) => bucket < zone.day(now_ms),
        }
    }

    /// The first moment at which a bucket no longer counts.
    pub(super) fn leaves_at(&self, bucket: i64) -> i64 {
        match self {
            Self::Sliding { window_ms, .. } => self.ends_at(bucket).saturating_add(*window_ms),
            Self::Days(_) => self.ends_at(bucket),
        }
    }

    /// The bucket here that holds the youngest moment of a bucket of another grid.
    pub(super) fn translate(&self, from: &Self, bucket: i64) -> i64 {
        self.bucket(from.ends_at(bucket).saturating_sub(1))
    }

    /// How many milliseconds ago a bucket ended.
    pub(super) fn age(&self, bucket: i64, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.ends_at(bucket)).max(0)
    }

    fn ends_at(&self, bucket: i64) -> i64 {
        let next = bucket.saturating_add(1);
        match self {
            Self::Sliding { width_ms, .. } => next.saturating_mul(*width_ms),
            Self::Days(zone) => zone.begins_ms(next),
        }
    }
}

/// How much of something was released within a window.
#[derive(Debug)]
pub(super) struct Amounts {
    grid: Grid,
    /// A bucket ahead of the clock (it was set back) counts like any other.
    buckets: Buckets,
    total: u64,
}

impl Amounts {
    pub(super) fn new(grid: Grid) -> Self {
        Self { grid, buckets: Buckets::default(), total: 0 }
    }

    /// The amount that counts now.
    pub(super) fn used(&mut self, now_ms: i64) -> u64 {
        if self.buckets.first().is_some_and(|first| self.grid.is_over(first, now_ms)) {
            let over = self.buckets.drop_before(self.grid.oldest(now_ms));
            self.total = self.total.saturating_sub(over);
        }
        self.total
    }

    /// Adds to the bucket of `now_ms` and gives that bucket.
    pub(super) fn book(&mut self, now_ms: i64, amount: u64) -> i64 {
        let bucket = self.grid.bucket(now_ms);
        self.restore(bucket, amount);
        bucket
    }

    /// Adds to a bucket that the store remembers.
    pub(super) fn restore(&mut self, bucket: i64, amount: u64) {
        let added = amount.min(u64::MAX - self.total);
        self.buckets.add(bucket, added);
        self.total += added;
    }

    /// The bucket of a moment.
    pub(super) fn bucket(&self, unix_ms: i64) -> i64 {
        self.grid.bucket(unix_ms)
    }

    /// Whether anything of a bucket counts.
    pub(super) fn has_bucket(&self, bucket: i64) -> bool {
        self.buckets.get(bucket).is_some()
    }

    /// Takes back from a bucket what was added and did not happen.
    pub(super) fn take_back(&mut self, bucket: i64, amount: u64) {
        self.total -= self.buckets.subtract(bucket, amount);
    }

    /// When the amount will have fallen to `target`, if buckets only leave.
    pub(super) fn falls_to_at(&self, target: u64, now_ms: i64) -> i64 {
        let mut left = self.total;
        for (bucket, amount) in self.buckets.iter() {
            if left <= target {
                break;
            }
            left = left.saturating_sub(amount);
            if left <= target {
                return self.grid.leaves_at(bucket);
            }
        }
        now_ms
    }

    /// When the oldest bucket leaves, if there is one.
    pub(super) fn relaxes_at(&self) -> Option<i64> {
        self.buckets.first().map(|bucket| self.grid.leaves_at(bucket))
    }

    /// What counts, and how many milliseconds ago at least it was released, to a second.
    pub(super) fn released(&mut self, now_ms: i64) -> Vec<(u64, i64)> {
        self.used(now_ms);
        let seconds = Grid::of(&Period::Sliding(60));
        let known = self.copied_to(&seconds).into_iter();
        known.map(|(at, amount)| (amount, seconds.age(at, now_ms))).collect()
    }

    /// What counts, on another grid.
    pub(super) fn copied_to(&self, grid: &Grid) -> Vec<(i64, u64)> {
        self.buckets.iter().map(|(k, amount)| (grid.translate(&self.grid, k), amount)).collect()
    }
}

/// Counts the subjects in memory over all persons, against one cap.
#[derive(Debug)]
pub(super) struct Tally {
    count: AtomicUsize,
    cap: usize,
}

impl Tally {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        Arc::new(Self { count: AtomicUsize::new(0), cap })
    }

    /// Whether `more` subjects fit.
    pub(super) fn has_room_for(&self, more: usize) -> bool {
        self.count.load(Ordering::Relaxed).saturating_add(more) <= self.cap
    }
}

/// Not released yet: an answer under way holds the subject.
const NEVER: i64 = i64::MIN;

#[derive(Debug)]
struct Seen {
    /// The bucket of the newest release, or [`NEVER`].
    last: i64,
    /// Whether the store knows of it.
    durable: bool,
}

/// Which subjects were released within a window, each with its newest bucket.
#[derive(Debug)]
pub(super) struct Subjects {
    grid: Grid,
    seen: HashMap<u64, Seen>,
    /// How many subjects have their newest release in each bucket.
    buckets: Buckets,
    tally: Arc<Tally>,
}

impl Subjects {
    pub(super) fn new(grid: Grid, tally: Arc<Tally>) -> Self {
        Self { grid, seen: HashMap::new(), buckets: Buckets::default(), tally }
    }

    /// How many subjects count now. What `held` names stays, however old.
    pub(super) fn used(&mut self, now_ms: i64, held: &HashMap<u64, u32>) -> usize {
        let Some(first) = self.buckets.first() else { return self.seen.len() };
        if self.grid.is_over(first, now_ms) {
            let oldest = self.grid.oldest(now_ms);
            let before = self.seen.len();
            self.seen.retain(|subject, seen| {
                if held.contains_key(subject) {
                    if seen.last < oldest {
                        seen.last = NEVER;
                    }
                    return true;
                }
                seen.last >= oldest
            });
            self.buckets.drop_before(oldest);
            self.tally.count.fetch_sub(before - self.seen.len(), Ordering::Relaxed);
        }
        self.seen.len()
    }

    pub(super) fn contains(&self, subject: u64) -> bool {
        self.seen.contains_key(&subject)
    }

    /// Counts a subject that an answer under way may release.
    pub(super) fn hold(&mut self, subject: u64) {
        self.entry(subject);
    }

    /// Forgets a subject that was only held.
    pub(super) fn let_go(&mut self, subject: u64) {
        if self.seen.get(&subject).is_some_and(|seen| seen.last == NEVER) {
            self.seen.remove(&subject);
            self.tally.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Books a release now; gives the bucket to write, or nothing if the store has it already.
    pub(super) fn book(&mut self, now_ms: i64, subject: u64) -> Option<i64> {
        let bucket = self.grid.bucket(now_ms);
        self.advance(subject, bucket, false);
        let seen = self.seen.get(&subject)?;
        (!seen.durable).then_some(seen.last)
    }

    /// Takes over what the store remembers.
    pub(super) fn restore(&mut self, subject: u64, bucket: i64) {
        self.advance(subject, bucket, true);
    }

    /// Takes over what another window knows; the store does not have it under this window yet.
    pub(super) fn adopt(&mut self, subject: u64, bucket: i64) {
        self.advance(subject, bucket, false);
    }

    /// Notes that the store has a release.
    pub(super) fn settle(&mut self, subject: u64, bucket: i64) {
        if let Some(seen) = self.seen.get_mut(&subject)
            && seen.last == bucket
        {
            seen.durable = true;
        }
    }

    /// When the oldest subject leaves, if one was released.
    pub(super) fn relaxes_at(&self) -> Option<i64> {
        self.buckets.first().map(|bucket| self.grid.leaves_at(bucket))
    }

    /// What counts, on another grid.
    pub(super) fn copied_to(&self, grid: &Grid) -> Vec<(u64, i64)> {
        let released = self.seen.iter().filter(|(_, seen)| seen.last != NEVER);
        released.map(|(s, seen)| (*s, grid.translate(&self.grid, seen.last))).collect()
    }

    fn entry(&mut self, subject: u64) -> &mut Seen {
        self.seen.entry(subject).or_insert_with(|| {
            self.tally.count.fetch_add(1, Ordering::Relaxed);
            Seen { last: NEVER, durable: false }
        })
    }

    fn advance(&mut self, subject: u64, bucket: i64, durable: bool) {
        let seen = self.entry(subject);
        if bucket <= seen.last {
            return;
        }
        let previous = std::mem::replace(seen, Seen { last: bucket, durable }).last;
        self.buckets.add(bucket, 1);
        self.buckets.subtract(previous, 1);
    }
}

impl Drop for Subjects {
    fn drop(&mut self) {
        self.tally.count.fetch_sub(self.seen.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_counts_for_the_whole_window_and_at_most_a_bucket_longer() {
        for seconds in [1, 7, 60, 3_600, 86_400] {
            let grid = Grid::of(&Period::Sliding(seconds));
            let Grid::Sliding { window_ms, width_ms } = grid else { panic!("it slides") };
            for released in [0, 1, 999, 1_234_567, -5] {
                let mut amounts = Amounts::new(grid.clone());
                amounts.book(released, 1);
                assert_eq!(amounts.used(released + window_ms), 1);
                assert_eq!(amounts.used(released + window_ms + width_ms), 0);
            }
        }
    }

    #[test]
    fn a_bucket_is_over_just_when_it_is_before_the_oldest_that_counts() {
        let zone = Zone::named("Asia/Shanghai").unwrap();
        let sliding = [1, 7, 60, 3_601, 86_400].map(|seconds| Grid::of(&Period::Sliding(seconds)));
        for grid in sliding.into_iter().chain([Grid::Days(zone)]) {
            for now in [0, 1, 999, -1, 1_800_000_000_123, 1_800_000_059_999] {
                let oldest = grid.oldest(now);
                for bucket in oldest - 3..oldest + 4 {
                    assert_eq!(grid.is_over(bucket, now), bucket < oldest, "{grid:?} {bucket}");
                }
                let leaves = grid.leaves_at(oldest);
                assert!(!grid.is_over(oldest, leaves - 1) && grid.is_over(oldest, leaves));
            }
        }
    }

    #[test]
    fn a_calendars_day_counts_until_midnight_and_a_clock_set_back_over_it_forgets_nothing() {
        let zone = Zone::named("Asia/Shanghai").unwrap();
        let midnight = zone.begins_ms(20_000);
        let mut amounts = Amounts::new(Grid::Days(zone));
        amounts.book(midnight - 1, 5);
        assert_eq!((amounts.relaxes_at(), amounts.used(midnight - 1)), (Some(midnight), 5));
        assert_eq!(amounts.used(midnight), 0);
        amounts.book(midnight, 3);
        assert_eq!(amounts.used(midnight - 1), 3);
    }

    #[test]
    fn a_clock_that_was_set_back_forgets_nothing() {
        let mut amounts = Amounts::new(Grid::of(&Period::Sliding(60)));
        amounts.book(10_000_000, 5);
        assert_eq!(amounts.used(1_000_000), 5);
        amounts.book(1_000_000, 1);
        assert_eq!(amounts.used(1_000_000), 6);
    }

    #[test]
    fn the_moment_when_amounts_have_fallen_is_when_they_have() {
        let mut amounts = Amounts::new(Grid::of(&Period::Sliding(60)));
        amounts.book(0, 3);
        amounts.book(20_000, 4);
        let at = amounts.falls_to_at(6, 30_000);
        assert_eq!(amounts.used(at - 1), 7);
        assert_eq!(amounts.used(at), 4);
    }

    #[test]
    fn a_subject_seen_again_counts_once_and_from_its_newest_release() {
        let none = HashMap::new();
        let mut subjects = Subjects::new(Grid::of(&Period::Sliding(60)), Tally::new(10));
        subjects.book(0, 7);
        subjects.book(30_000, 7);
        assert_eq!(subjects.used(30_000, &none), 1);
        assert_eq!(subjects.used(80_000, &none), 1);
        assert_eq!(subjects.used(92_000, &none), 0);
        assert_eq!(subjects.tally.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_release_that_the_store_has_is_not_written_again_in_its_bucket() {
        let mut subjects = Subjects::new(Grid::of(&Period::Sliding(60)), Tally::new(10));
        let bucket = subjects.book(0, 7).unwrap();
        assert_eq!(subjects.book(500, 7), Some(bucket));
        subjects.settle(7, bucket);
        assert_eq!(subjects.book(600, 7), None);
        assert_eq!(subjects.book(1_000, 7), Some(bucket + 1));
    }

    #[test]
    fn a_held_subject_outlives_the_window_and_goes_when_let_go() {
        let mut subjects = Subjects::new(Grid::of(&Period::Sliding(60)), Tally::new(10));
        subjects.book(0, 7);
        let held = HashMap::from([(7, 1)]);
        assert_eq!(subjects.used(200_000, &held), 1);
        subjects.let_go(7);
        assert_eq!(subjects.used(200_000, &HashMap::new()), 0);
    }
}
