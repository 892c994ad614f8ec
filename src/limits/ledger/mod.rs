//! One holder's budgets: what counts in each window, and what answers under way hold of them.
//!
//! What an answer takes is held, and counts, until it is booked (about to be released) or given
//! back. Everything that is released for a holder counts in all windows whose slice includes the
//! request, whichever policy named them.

mod held;
mod portion;

use std::sync::Arc;

use self::held::Sitting;
pub(super) use self::portion::Portion;
use self::portion::Sums;
use super::budget::Budget;
use super::group::{Group, Windows};
use super::quota::seconds_until;
use super::requests::Requests;
use super::store::{AmountRow, SeenRow, UsageChange};
use super::window::Tally;

/// Where a budget is in its ledger. It holds as long as a seat of the ledger does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    group: usize,
    window: usize,
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
