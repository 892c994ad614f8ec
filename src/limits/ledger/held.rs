//! What answers under way hold of a holder's budgets: it counts, until it is booked or given back.

use std::collections::HashSet;
use std::sync::Arc;

use super::portion::{Portion, Sums};
use super::{Ledger, Windows};
use crate::limits::budget::Unit;
use crate::limits::slice::Occasion;

/// What an answer has taken and not yet released.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) amounts: Sums,
    pub(super) subjects: HashSet<u64>,
    pub(super) unmasked: HashSet<u64>,
    /// Whether nobody was found: only then is a search booked.
    pub(super) found_nobody: bool,
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Sitting {
    pub(super) occasion: Arc<Occasion>,
    /// The groups that count it.
    pub(super) groups: Vec<usize>,
    pub(super) held: Held,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.amounts == Sums::default() && self.subjects.is_empty() && self.unmasked.is_empty()
    }

    /// All but a search that may still find somebody, which stays.
    pub(super) fn take_released(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        if !taken.found_nobody {
            self.amounts.zero_hits = std::mem::take(&mut taken.amounts.zero_hits);
        }
        taken
    }

    /// The subjects that are held of a unit.
    pub(super) fn of(&self, unit: Unit) -> &HashSet<u64> {
        if unit == Unit::Unmasked { &self.unmasked } else { &self.subjects }
    }
}

impl Ledger {
    /// Begins an answer; gives its number, to be given to [`Ledger::leave`].
    pub(in crate::limits) fn sit(&mut self, occasion: &Arc<Occasion>) -> usize {
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
    pub(in crate::limits) fn leave(&mut self, sitting: usize) {
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

    /// How many subjects more must be remembered to hold a portion; `None` if one answer holds too many.
    pub(in crate::limits) fn fresh(
        &self,
        sitting: usize,
        portion: Portion,
        most: usize,
    ) -> Option<usize> {
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
    pub(in crate::limits) fn hold(&mut self, sitting: usize, portion: Portion) {
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
    pub(in crate::limits) fn give_back(&mut self, sitting: usize) {
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
    pub(in crate::limits) fn found(&mut self, sitting: usize, anybody: bool) {
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
    pub(in crate::limits) fn book(&mut self, sitting: usize, now_ms: i64) {
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
}
