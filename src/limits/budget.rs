//! One person's budgets: what counts in each window, and what answers under way hold of them.
//!
//! What an answer takes is held, and counts, until it is booked (about to be released) or given
//! back. Everything a person releases counts in all their windows, whichever policy named them.

use std::collections::HashSet;
use std::sync::Arc;

use super::allowance::{Allowance, Budget, Limit, MAX_SUBJECTS, Unit};
use super::distinct::Distinct;
use super::quota::seconds_until;
use super::requests::Requests;
use super::store::{AmountRow, SeenRow, UsageChange};
use super::window::{Amounts, Grid, Tally};

/// What an answer has taken and not yet released.
#[derive(Debug, Default)]
pub(super) struct Held {
    amounts: Sums,
    subjects: HashSet<u64>,
    unmasked: HashSet<u64>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.amounts == Sums::default() && self.subjects.is_empty() && self.unmasked.is_empty()
    }
}

/// Amounts of everything that is counted by amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    records: u64,
    bytes: u64,
    files: u64,
}

impl Sums {
    fn of(portion: Portion) -> Self {
        match portion {
            Portion::Record { .. } => Self { records: 1, ..Self::default() },
            Portion::Bytes(bytes) => Self { bytes, ..Self::default() },
            Portion::File => Self { files: 1, ..Self::default() },
        }
    }

    fn unit(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Records => self.records,
            Unit::Bytes => self.bytes,
            Unit::Files => self.files,
            Unit::Subjects | Unit::Unmasked => 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
    }

    fn subtract(&mut self, other: Self) {
        self.records = self.records.saturating_sub(other.records);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.files = self.files.saturating_sub(other.files);
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
}

/// A budget and its window.
#[derive(Debug)]
pub(super) struct Account<W> {
    pub(super) budget: Budget,
    pub(super) window: W,
    /// When an allowance last named the budget.
    pub(super) named_ms: i64,
}

/// All budgets of one person.
#[derive(Debug)]
pub(super) struct Ledger {
    person: Arc<str>,
    tally: Arc<Tally>,
    amounts: Vec<Account<Amounts>>,
    subjects: Distinct,
    unmasked: Distinct,
    held: Sums,
    requests: Requests,
    /// Booked, and not yet known to be in the store.
    owed: Vec<UsageChange>,
    /// How many changes are known to be in the store, ever.
    settled: u64,
}

impl Ledger {
    pub(super) fn new(person: Arc<str>, tally: Arc<Tally>) -> Self {
        Self {
            person,
            amounts: Vec::new(),
            subjects: Distinct::new(Arc::clone(&tally)),
            unmasked: Distinct::new(Arc::clone(&tally)),
            tally,
            held: Sums::default(),
            requests: Requests::default(),
            owed: Vec::new(),
            settled: 0,
        }
    }

    /// Takes over an amount that the store remembers.
    pub(super) fn restore_amount(&mut self, row: &AmountRow, now_ms: i64) {
        self.open_amounts(row.budget, now_ms);
        if let Some(account) = self.amounts.iter_mut().find(|a| a.budget == row.budget) {
            account.window.restore(row.bucket, row.amount);
        }
    }

    /// Takes over a subject that the store remembers.
    pub(super) fn restore_seen(&mut self, row: &SeenRow, now_ms: i64) {
        if let Some(distinct) = self.distinct_mut(row.budget.unit) {
            distinct.restore(row, now_ms);
        }
    }

    /// Makes sure that every budget of an allowance is counted.
    ///
    /// A window that is new starts with what the longest one of the same unit knows, so that a
    /// change of policy does not refill anybody. That one's buckets are coarser, which is stricter.
    pub(super) fn name(&mut self, allowance: &Allowance, now_ms: i64) {
        for (budget, _) in allowance.budgets() {
            let person = Arc::clone(&self.person);
            match self.distinct_mut(budget.unit) {
                Some(distinct) => {
                    if distinct.open(*budget, now_ms) {
                        let owed = distinct.adopt(&person, *budget, now_ms);
                        self.owed.extend(owed);
                    }
                }
                None => {
                    if self.open_amounts(*budget, now_ms) {
                        self.adopt_amounts(*budget, now_ms);
                    }
                }
            }
        }
    }

    /// The requests, in windows.
    pub(super) fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// What counts of a budget now, held included.
    pub(super) fn used(&mut self, budget: Budget, now_ms: i64) -> u64 {
        if let Some(distinct) = self.distinct_mut(budget.unit) {
            return distinct.used(budget, now_ms);
        }
        let held = self.held.unit(budget.unit);
        let account = self.amounts.iter_mut().find(|a| a.budget == budget);
        account.map_or(0, |a| a.window.used(now_ms)).saturating_add(held)
    }

    /// Of the used-up budgets among those asked about, the one that stays so for longest, and for how
    /// many seconds at least.
    pub(super) fn used_up(
        &mut self,
        allowance: &Allowance,
        is_asked: impl Fn(Unit) -> bool,
        now_ms: i64,
    ) -> Option<(Budget, u64)> {
        let mut worst: Option<(Budget, u64)> = None;
        for &(budget, limit) in allowance.budgets() {
            if !is_asked(budget.unit) || self.used(budget, now_ms) < limit {
                continue;
            }
            let falls = self.falls_to_at(budget, limit.saturating_sub(1), now_ms);
            let wait_s = match falls {
                _ if limit == 0 => u64::from(budget.seconds),
                Some(at) => seconds_until(now_ms, at),
                None => 1,
            };
            if worst.is_none_or(|(_, longest)| wait_s > longest) {
                worst = Some((budget, wait_s));
            }
        }
        worst
    }

    /// Holds a portion if every budget of the allowance has it left.
    pub(super) fn take(
        &mut self,
        allowance: &Allowance,
        portion: Portion,
        held: &mut Held,
        now_ms: i64,
    ) -> Result<(), Limit> {
        for (budget, limit) in allowance.budgets() {
            let more = self.cost(*budget, portion);
            if more > 0 && self.used(*budget, now_ms).saturating_add(more) > *limit {
                return Err(Limit::Budget(*budget));
            }
        }
        if let Portion::Record { subject, unmasked } = portion {
            if !self.has_room(subject, unmasked, held) {
                return Err(Limit::Memory);
            }
            if let Some(subject) = subject {
                self.subjects.hold(subject, &mut held.subjects);
            }
            if let Some(unmasked) = unmasked {
                self.unmasked.hold(unmasked, &mut held.unmasked);
            }
        }
        let taken = Sums::of(portion);
        held.amounts.add(taken);
        self.held.add(taken);
        Ok(())
    }

    /// Makes what was held free again.
    pub(super) fn give_back(&mut self, held: Held) {
        self.held.subtract(held.amounts);
        self.subjects.give_back(held.subjects);
        self.unmasked.give_back(held.unmasked);
    }

    /// Books what was held as released now.
    pub(super) fn book(&mut self, held: Held, now_ms: i64) {
        self.held.subtract(held.amounts);
        for account in &mut self.amounts {
            let amount = held.amounts.unit(account.budget.unit);
            if amount > 0 {
                let bucket = account.window.book(now_ms, amount);
                self.owed.push(add(&self.person, account.budget, bucket, amount));
            }
        }
        self.owed.extend(self.subjects.book(&self.person, held.subjects, now_ms));
        self.owed.extend(self.unmasked.book(&self.person, held.unmasked, now_ms));
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
        for change in self.owed.drain(..count.min(self.owed.len())) {
            let UsageChange::Saw(row) = change else { continue };
            match row.budget.unit {
                Unit::Subjects => self.subjects.settle(&row),
                Unit::Unmasked => self.unmasked.settle(&row),
                Unit::Records | Unit::Bytes | Unit::Files => {}
            }
        }
    }

    /// When a budget will have fallen so far that `target` or less counts; `None` while nothing of
    /// it is booked, since answers under way decide then.
    fn falls_to_at(&mut self, budget: Budget, target: u64, now_ms: i64) -> Option<i64> {
        if let Some(distinct) = self.distinct_mut(budget.unit) {
            return distinct.relaxes_at(budget);
        }
        let held = self.held.unit(budget.unit);
        let account = self.amounts.iter().find(|a| a.budget == budget)?;
        account.window.relaxes_at()?;
        Some(account.window.falls_to_at(target.saturating_sub(held), now_ms))
    }

    /// When the oldest release of a budget leaves its window.
    pub(super) fn relaxes_at(&mut self, budget: Budget) -> Option<i64> {
        if let Some(distinct) = self.distinct_mut(budget.unit) {
            return distinct.relaxes_at(budget);
        }
        self.amounts.iter().find(|a| a.budget == budget)?.window.relaxes_at()
    }

    /// Drops windows that no allowance has named for as long as the longest one reaches back; says
    /// whether anything still counts.
    ///
    /// An empty window stays while others count: opened anew it would start with what a coarser
    /// one knows, which is stricter than what it knew itself.
    pub(super) fn tidy(&mut self, now_ms: i64, steady_ms: i64) -> bool {
        let amounts = self.amounts.iter_mut().map(|a| (a.budget, a.window.used(now_ms) > 0));
        let distinct = self.subjects.standing(now_ms).chain(self.unmasked.standing(now_ms));
        let windows = Vec::from_iter(amounts.chain(distinct));
        let longest = windows.iter().map(|(budget, _)| budget.seconds).max().unwrap_or(0);
        let oldest = now_ms - i64::from(longest) * 1_000;
        self.amounts.retain(|a| a.named_ms >= oldest);
        self.subjects.forget(oldest);
        self.unmasked.forget(oldest);
        let asked = self.requests.tidy(steady_ms);
        asked
            || windows.iter().any(|(_, counts)| *counts)
            || self.subjects.is_held()
            || self.unmasked.is_held()
    }

    fn distinct_mut(&mut self, unit: Unit) -> Option<&mut Distinct> {
        match unit {
            Unit::Subjects => Some(&mut self.subjects),
            Unit::Unmasked => Some(&mut self.unmasked),
            Unit::Records | Unit::Bytes | Unit::Files => None,
        }
    }

    fn cost(&self, budget: Budget, portion: Portion) -> u64 {
        match (budget.unit, portion) {
            (Unit::Subjects, Portion::Record { subject: Some(subject), .. }) => {
                self.subjects.cost(budget, subject)
            }
            (Unit::Unmasked, Portion::Record { unmasked: Some(unmasked), .. }) => {
                self.unmasked.cost(budget, unmasked)
            }
            (unit, portion) => Sums::of(portion).unit(unit),
        }
    }

    /// Whether the memory set aside can count a record in every window.
    fn has_room(&self, subject: Option<u64>, unmasked: Option<u64>, held: &Held) -> bool {
        let mut fresh = 0;
        for (distinct, key, mine) in
            [(&self.subjects, subject, &held.subjects), (&self.unmasked, unmasked, &held.unmasked)]
        {
            let Some(key) = key.filter(|key| !mine.contains(key)) else { continue };
            if u64::try_from(mine.len()).unwrap_or(u64::MAX) >= MAX_SUBJECTS {
                return false;
            }
            fresh += distinct.fresh(key);
        }
        self.tally.has_room_for(fresh)
    }

    /// Opens a window of amounts; says whether it is new.
    fn open_amounts(&mut self, budget: Budget, now_ms: i64) -> bool {
        if let Some(account) = self.amounts.iter_mut().find(|a| a.budget == budget) {
            account.named_ms = now_ms;
            return false;
        }
        let window = Amounts::new(Grid::of(budget.seconds));
        self.amounts.push(Account { budget, window, named_ms: now_ms });
        true
    }

    fn adopt_amounts(&mut self, budget: Budget, now_ms: i64) {
        let grid = Grid::of(budget.seconds);
        let siblings = self.amounts.iter().filter(|a| a.budget.unit == budget.unit);
        let longest = siblings.filter(|a| a.budget != budget).max_by_key(|a| a.budget.seconds);
        let known = longest.map(|a| a.window.copied_to(grid)).unwrap_or_default();
        let Some(account) = self.amounts.iter_mut().find(|a| a.budget == budget) else { return };
        for (bucket, amount) in known {
            if bucket >= grid.oldest(now_ms) {
                account.window.restore(bucket, amount);
                self.owed.push(add(&self.person, budget, bucket, amount));
            }
        }
    }
}

fn add(person: &Arc<str>, budget: Budget, bucket: i64, amount: u64) -> UsageChange {
    UsageChange::Add(AmountRow { person: Arc::clone(person), budget, bucket, amount })
}
