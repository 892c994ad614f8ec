//! One holder's budgets: what counts in each window, and what answers under way hold of them.
//!
//! What an answer takes is held, and counts, until it is booked (about to be released) or given
//! back. Everything that is released for a holder counts in all windows whose slice includes the
//! request, whichever policy named them.

use std::collections::HashSet;
use std::sync::Arc;

use super::budget::{Budget, Unit};
use super::group::{Group, Windows};
use super::quota::seconds_until;
use super::requests::Requests;
use super::slice::Occasion;
use super::store::{AmountRow, SeenRow, UsageChange};
use super::window::Tally;

/// What an answer has taken and not yet released.
#[derive(Debug, Default)]
struct Held {
    amounts: Sums,
    subjects: HashSet<u64>,
    unmasked: HashSet<u64>,
    /// Whether nobody was found: only then is a search booked.
    found_nobody: bool,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.amounts == Sums::default() && self.subjects.is_empty() && self.unmasked.is_empty()
    }
}

/// Amounts of everything that is counted by amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    records: u64,
    bytes: u64,
    files: u64,
    zero_hits: u64,
}

impl Sums {
    fn of(portion: Portion) -> Self {
        match portion {
            Portion::Record { .. } => Self { records: 1, ..Self::default() },
            Portion::Bytes(bytes) => Self { bytes, ..Self::default() },
            Portion::File => Self { files: 1, ..Self::default() },
            Portion::Search => Self { zero_hits: 1, ..Self::default() },
        }
    }

    fn unit(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Records => self.records,
            Unit::Bytes => self.bytes,
            Unit::Files => self.files,
            Unit::ZeroHits => self.zero_hits,
            Unit::Subjects | Unit::Unmasked | Unit::Requests => 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.zero_hits = self.zero_hits.saturating_add(other.zero_hits);
    }
}

/// What is asked of the budgets at once: all of it, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Portion {
    /// One record.
    Record {
        /// Whose data it is.
        subject: Option<u64>,
        /// As whose it counts as unmasked, if a field of a high grade is in clear.
        unmasked: Option<u64>,
    },
    /// Bytes of an answer.
    Bytes(u64),
    /// An answer that is a file.
    File,
    /// A search that may find nobody.
    Search,
}

impl Portion {
    /// The subject that it costs a unit that counts subjects.
    fn subject(self, unit: Unit) -> Option<u64> {
        match (unit, self) {
            (Unit::Subjects, Self::Record { subject, .. }) => subject,
            (Unit::Unmasked, Self::Record { unmasked, .. }) => unmasked,
            (_, Self::Record { .. } | Self::Bytes(_) | Self::File | Self::Search) => None,
        }
    }
}

/// Where a budget is in its ledger. It holds as long as a seat of the ledger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    group: usize,
    window: usize,
}

/// An answer under way.
#[derive(Debug)]
struct Sitting {
    occasion: Arc<Occasion>,
    /// The groups that count it.
    groups: Vec<usize>,
    held: Held,
}

/// All budgets of one holder.
#[derive(Debug)]
pub(super) struct Ledger {
    holder: Arc<str>,
    tally: Arc<Tally>,
    groups: Vec<Group>,
    sittings: Vec<Option<Sitting>>,
    requests: Requests,
    /// Booked, and not yet known to be in the store.
    owed: Vec<UsageChange>,
    /// How many changes are known to be in the store, ever.
    settled: u64,
}

impl Ledger {
    pub(super) fn new(holder: Arc<str>, tally: Arc<Tally>) -> Self {
        let (groups, sittings, requests, owed, settled) = Default::default();
        Self { holder, tally, groups, sittings, requests, owed, settled }
    }

    /// Takes over an amount that the store remembers.
    pub(super) fn restore_amount(&mut self, row: &AmountRow, now_ms: i64) {
        let (group, ..) = self.open(&row.budget, now_ms);
        match self.groups.get_mut(group).map(|group| &mut group.windows) {
            Some(Windows::Amounts(totals)) => totals.restore(row),
            Some(Windows::Requests(leases)) => leases.restore(row),
            Some(Windows::Subjects(_)) | None => {}
        }
    }

    /// Takes over a subject that the store remembers.
    pub(super) fn restore_seen(&mut self, row: &SeenRow, now_ms: i64) {
        let (group, ..) = self.open(&row.budget, now_ms);
        if let Some(Group { windows: Windows::Subjects(distinct), .. }) = self.groups.get_mut(group)
        {
            distinct.restore(row);
        }
    }

    /// Makes sure that a budget is counted; says where it is, and whether it was not before.
    ///
    /// A window that is new starts with what the longest one of the same unit and slice knows.
    pub(super) fn name(&mut self, budget: &Budget, now_ms: i64) -> (Place, bool) {
        let (group, window, is_new) = self.open(budget, now_ms);
        if is_new && let Some(counts) = self.groups.get_mut(group) {
            let owed = counts.adopt(&self.holder, window, now_ms);
            self.owed.extend(owed);
        }
        (Place { group, window }, is_new)
    }

    /// Begins an answer; gives its number, to be given to [`Ledger::leave`].
    pub(super) fn sit(&mut self, occasion: &Arc<Occasion>) -> usize {
        let counted = self.groups.iter().enumerate();
        let groups = counted.filter(|(_, group)| group.slice.includes(occasion));
        let groups = groups.map(|(at, _)| at).collect();
        let sitting =
            Some(Sitting { occasion: Arc::clone(occasion), groups, held: Held::default() });
        if let Some(free) = self.sittings.iter().position(Option::is_none) {
            if let Some(slot) = self.sittings.get_mut(free) {
                *slot = sitting;
            }
            return free;
        }
        if self.sittings.is_empty() {
            self.sittings.reserve_exact(1);
        }
        self.sittings.push(sitting);
        self.sittings.len() - 1
    }

    /// Ends an answer; what it holds is free again.
    pub(super) fn leave(&mut self, sitting: usize) {
        self.found(sitting, true);
        self.give_back(sitting);
        if let Some(slot) = self.sittings.get_mut(sitting) {
            *slot = None;
        }
        while self.sittings.last().is_some_and(Option::is_none) {
            self.sittings.pop();
        }
        if self.sittings.is_empty() {
            // Whoever asks nothing keeps no room for it: there may be a million of them.
            self.sittings = Vec::new();
        }
    }

    /// The requests, in windows that memory alone knows.
    pub(super) fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// Counts a request in a durable window, in which there must be room.
    pub(super) fn count_request(&mut self, (place, limit): (Place, u64), now_ms: i64) {
        let Self { groups, holder, owed, .. } = self;
        let windows = groups.get_mut(place.group).map(|group| &mut group.windows);
        if let Some(Windows::Requests(leases)) = windows {
            leases.count(holder, (place.window, limit), now_ms, owed);
        }
    }

    /// What counts of a budget now, held included.
    pub(super) fn used(&mut self, place: Place, now_ms: i64) -> u64 {
        self.groups.get_mut(place.group).map_or(0, |group| group.used(place.window, now_ms))
    }

    /// For how many seconds at least a budget stays used up; `None` if it is not.
    pub(super) fn used_up_for(
        &mut self,
        (place, limit): (Place, u64),
        seconds: u32,
        now_ms: i64,
    ) -> Option<u64> {
        if self.used(place, now_ms) < limit {
            return None;
        }
        let group = self.groups.get(place.group)?;
        Some(match group.falls_to_at(place.window, limit.saturating_sub(1), now_ms) {
            _ if limit == 0 => u64::from(seconds),
            Some(at) => seconds_until(now_ms, at),
            None => 1,
        })
    }

    /// Whether a budget has a portion left.
    pub(super) fn has_left(
        &mut self,
        (place, limit): (Place, u64),
        portion: Portion,
        now_ms: i64,
    ) -> bool {
        let Some(group) = self.groups.get_mut(place.group) else { return false };
        let more = match &group.windows {
            Windows::Amounts(_) | Windows::Requests(_) => Sums::of(portion).unit(group.unit),
            Windows::Subjects(distinct) => portion
                .subject(group.unit)
                .map_or(0, |subject| distinct.cost(place.window, subject)),
        };
        more == 0 || group.used(place.window, now_ms).saturating_add(more) <= limit
    }

    /// How many subjects more must be remembered to hold a portion; `None` if one answer holds too many.
    pub(super) fn fresh(&self, sitting: usize, portion: Portion, most: usize) -> Option<usize> {
        let Some(Some(Sitting { groups, held, .. })) = self.sittings.get(sitting) else {
            return Some(0);
        };
        let mut fresh = 0;
        for (unit, mine) in [(Unit::Subjects, &held.subjects), (Unit::Unmasked, &held.unmasked)] {
            let key = portion.subject(unit).filter(|key| !mine.contains(key));
            let Some(key) = key else { continue };
            if mine.len() >= most {
                return None;
            }
            let counting = groups.iter().filter_map(|at| self.groups.get(*at));
            for group in counting.filter(|group| group.unit == unit) {
                if let Windows::Subjects(distinct) = &group.windows {
                    fresh += distinct.fresh(key);
                }
            }
        }
        Some(fresh)
    }

    /// Holds a portion for an answer; it must be left, and there must be room for it.
    pub(super) fn hold(&mut self, sitting: usize, portion: Portion) {
        let Some(Some(Sitting { groups, held, .. })) = self.sittings.get_mut(sitting) else {
            return;
        };
        let taken = Sums::of(portion);
        held.amounts.add(taken);
        let is_new = |unit, mine: &mut HashSet<u64>| {
            portion.subject(unit).filter(|subject| mine.insert(*subject))
        };
        let subject = is_new(Unit::Subjects, &mut held.subjects);
        let unmasked = is_new(Unit::Unmasked, &mut held.unmasked);
        for at in groups.iter() {
            let Some(group) = self.groups.get_mut(*at) else { continue };
            let new = if group.unit == Unit::Subjects { subject } else { unmasked };
            match (&mut group.windows, new) {
                (Windows::Amounts(totals), _) => totals.hold(taken.unit(group.unit)),
                (Windows::Subjects(distinct), Some(subject)) => distinct.hold(subject),
                (Windows::Subjects(_), None) | (Windows::Requests(_), _) => {}
            }
        }
    }

    /// Makes free again what an answer holds, but the search that it is: whether that found somebody is not known yet.
    pub(super) fn give_back(&mut self, sitting: usize) {
        let Some(Some(Sitting { groups, held, .. })) = self.sittings.get_mut(sitting) else {
            return;
        };
        let held = held.take_released();
        if held.is_empty() {
            return;
        }
        for at in groups.iter() {
            let Some(group) = self.groups.get_mut(*at) else { continue };
            match &mut group.windows {
                Windows::Amounts(totals) => totals.give_back(held.amounts.unit(group.unit)),
                Windows::Subjects(distinct) => {
                    held.of(group.unit).iter().for_each(|subject| distinct.give_back(*subject));
                }
                Windows::Requests(_) => {}
            }
        }
    }

    /// Says whether the search that an answer is found anybody. If it did it is free again; if not it is
    /// booked with what else the answer holds.
    pub(super) fn found(&mut self, sitting: usize, anybody: bool) {
        let Some(Some(Sitting { groups, held, .. })) = self.sittings.get_mut(sitting) else {
            return;
        };
        if !anybody {
            held.found_nobody = held.amounts.zero_hits > 0;
            return;
        }
        let searches = std::mem::take(&mut held.amounts.zero_hits);
        held.found_nobody = false;
        for at in groups.iter().filter(|_| searches > 0) {
            let Some(group) = self.groups.get_mut(*at) else { continue };
            if let (Unit::ZeroHits, Windows::Amounts(totals)) = (group.unit, &mut group.windows) {
                totals.give_back(searches);
            }
        }
    }

    /// Books as released now what an answer holds.
    pub(super) fn book(&mut self, sitting: usize, now_ms: i64) {
        let Some(Some(Sitting { groups, held, .. })) = self.sittings.get_mut(sitting) else {
            return;
        };
        let held = held.take_released();
        if held.is_empty() {
            return;
        }
        let (holder, owed) = (&self.holder, &mut self.owed);
        for at in groups.iter() {
            let Some(group) = self.groups.get_mut(*at) else { continue };
            let amount = held.amounts.unit(group.unit);
            match &mut group.windows {
                Windows::Amounts(totals) if amount > 0 => totals.book(holder, amount, now_ms, owed),
                Windows::Amounts(_) | Windows::Requests(_) => {}
                Windows::Subjects(distinct) => {
                    for subject in held.of(group.unit) {
                        distinct.book(holder, *subject, now_ms, owed);
                    }
                }
            }
        }
    }

    /// What is booked and not known to be in the store.
    pub(super) fn owed(&self) -> &[UsageChange] {
        &self.owed
    }

    /// How many changes were booked, ever.
    pub(super) fn booked(&self) -> u64 {
        self.settled.saturating_add(self.owed.len() as u64)
    }

    /// How many changes are known to be in the store, ever.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// Notes that the first `count` changes owed are in the store.
    pub(super) fn settle(&mut self, count: usize) {
        let known = count.min(self.owed.len());
        self.settled = self.settled.saturating_add(known as u64);
        for change in self.owed.drain(..known) {
            let UsageChange::Saw(row) = change else { continue };
            let (unit, slice) = (row.budget.unit, &row.budget.slice);
            let mut groups = self.groups.iter_mut();
            let group = groups.find(|group| group.unit == unit && group.slice == *slice);
            if let Some(Group { windows: Windows::Subjects(distinct), .. }) = group {
                distinct.settle(&row);
            }
        }
        if self.owed.is_empty() {
            self.owed = Vec::new();
        }
    }

    /// What was released of each budget and still counts: amounts or subjects, and how many milliseconds ago at
    /// least.
    pub(super) fn released(
        &mut self,
        now_ms: i64,
        steady_ms: i64,
    ) -> Vec<(Budget, Vec<(u64, i64)>)> {
        let counted = self.groups.iter_mut().flat_map(|group| group.released(now_ms));
        let mut released = Vec::from_iter(counted);
        released.extend(self.requests.released(steady_ms));
        released
    }

    /// When the oldest release of a budget leaves its window.
    pub(super) fn relaxes_at(&self, place: Place) -> Option<i64> {
        self.groups.get(place.group)?.relaxes_at(place.window)
    }

    /// Every budget of which something counts, with how much, when the oldest of that leaves, and the time by which that
    /// is told.
    pub(super) fn standings(
        &mut self,
        now_ms: i64,
        steady_ms: i64,
    ) -> Vec<(Budget, u64, (Option<i64>, i64))> {
        let counted = self.groups.iter_mut().flat_map(|group| group.standings(now_ms));
        let counted = counted.map(|(budget, used, eases)| (budget, used, (eases, now_ms)));
        let mut all = Vec::from_iter(counted);
        let asked = self.requests.standings(steady_ms).into_iter();
        all.extend(asked.map(|(budget, used, eases)| (budget, used, (eases, steady_ms))));
        all.retain(|(_, used, _)| *used > 0);
        all
    }

    /// Forgets what was released of a budget. What is owed to the store is written all the same, which is the strict side
    /// after a restart.
    pub(super) fn reset(&mut self, budget: &Budget) {
        self.requests.reset(budget);
        let mut groups = self.groups.iter_mut();
        let group = groups.find(|g| g.unit == budget.unit && g.slice == budget.slice);
        if let Some(group) = group {
            group.reset(budget);
        }
    }

    /// Drops windows that no allowance has named for as long as the longest one reaches back; says
    /// whether anything still counts. No answer may be under way.
    ///
    /// An empty window stays while others count: opened anew it would start with what a coarser
    /// one knows, which is stricter than what it knew itself.
    pub(super) fn tidy(&mut self, now_ms: i64, steady_ms: i64) -> bool {
        let windows = self.groups.iter_mut().flat_map(|group| group.standing(now_ms));
        let windows = Vec::from_iter(windows);
        let longest = windows.iter().map(|(seconds, _)| *seconds).max().unwrap_or(0);
        let oldest = now_ms - i64::from(longest) * 1_000;
        let is_held = self.groups.iter().any(Group::holds_subjects);
        self.groups.retain_mut(|group| group.forget(oldest));
        let asked = self.requests.tidy(steady_ms);
        asked || is_held || windows.iter().any(|(_, counts)| *counts)
    }

    /// Opens a window; says where it is and whether it is new. A group that is new counts what answers
    /// under way hold already.
    fn open(&mut self, budget: &Budget, now_ms: i64) -> (usize, usize, bool) {
        let Budget { unit, period: _, slice } = budget;
        let found = self.groups.iter().position(|g| g.unit == *unit && g.slice == *slice);
        let at = found.unwrap_or(self.groups.len());
        if found.is_none() {
            let mut group = Group::new(*unit, slice.clone(), &self.tally);
            let sittings = self.sittings.iter_mut().flatten();
            for sitting in sittings.filter(|sitting| slice.includes(&sitting.occasion)) {
                sitting.groups.push(at);
                match &mut group.windows {
                    Windows::Amounts(totals) => totals.hold(sitting.held.amounts.unit(*unit)),
                    Windows::Subjects(distinct) => {
                        sitting.held.of(*unit).iter().for_each(|subject| distinct.hold(*subject));
                    }
                    Windows::Requests(_) => {}
                }
            }
            self.groups.reserve_exact(1);
            self.groups.push(group);
        }
        let opened = self.groups.get_mut(at).map(|group| group.open(budget, now_ms));
        let (window, is_new) = opened.unwrap_or_default();
        (at, window, is_new)
    }
}

impl Held {
    /// All but a search that may still find somebody, which stays.
    fn take_released(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        if !taken.found_nobody {
            self.amounts.zero_hits = std::mem::take(&mut taken.amounts.zero_hits);
        }
        taken
    }

    /// The subjects that are held of a unit.
    fn of(&self, unit: Unit) -> &HashSet<u64> {
        if unit == Unit::Unmasked { &self.unmasked } else { &self.subjects }
    }
}
