//! One person's budgets: what counts in each window, and what answers under way hold of them.
//!
//! What an answer takes is held, and counts, until it is booked (about to be released) or given
//! back. Everything a person releases counts in all their windows, whichever policy named them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::allowance::{Allowance, Budget, Limit, MAX_SUBJECTS, Unit};
use super::store::{AmountRow, SeenRow, UsageChange};
use super::window::{Amounts, Grid, Subjects, Tally};

/// What an answer has taken and not yet released.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) subjects: HashSet<u64>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0 && self.bytes == 0 && self.subjects.is_empty()
    }
}

/// What is asked of the budgets at once: all of it, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Portion {
    /// One record, and whose data it is.
    Record(Option<u64>),
    /// Bytes of an answer.
    Bytes(u64),
}

#[derive(Debug)]
struct Account<W> {
    budget: Budget,
    window: W,
    /// When an allowance last named the budget.
    named_ms: i64,
}

/// All budgets of one person.
#[derive(Debug)]
pub(super) struct Ledger {
    person: Arc<str>,
    tally: Arc<Tally>,
    amounts: Vec<Account<Amounts>>,
    subjects: Vec<Account<Subjects>>,
    held_records: u64,
    held_bytes: u64,
    /// How many answers under way hold a subject.
    held_subjects: HashMap<u64, u32>,
    /// Booked, and not yet known to be in the store.
    owed: Vec<UsageChange>,
    /// How many changes are known to be in the store, ever.
    settled: u64,
}

impl Ledger {
    pub(super) fn new(person: Arc<str>, tally: Arc<Tally>) -> Self {
        Self {
            person,
            tally,
            amounts: Vec::new(),
            subjects: Vec::new(),
            held_records: 0,
            held_bytes: 0,
            held_subjects: HashMap::new(),
            owed: Vec::new(),
            settled: 0,
        }
    }

    /// Takes over an amount that the store remembers.
    pub(super) fn restore_amount(&mut self, row: &AmountRow, now_ms: i64) {
        self.open(row.budget, now_ms);
        if let Some(account) = self.amounts.iter_mut().find(|a| a.budget == row.budget) {
            account.window.restore(row.bucket, row.amount);
        }
    }

    /// Takes over a subject that the store remembers.
    pub(super) fn restore_seen(&mut self, row: &SeenRow, now_ms: i64) {
        self.open(row.budget, now_ms);
        if let Some(account) = self.subjects.iter_mut().find(|a| a.budget == row.budget) {
            account.window.restore(row.subject, row.bucket);
        }
    }

    /// Makes sure that every budget of an allowance is counted.
    ///
    /// A window that is new starts with what the longest one of the same unit knows, so that a
    /// change of policy does not refill anybody. That one's buckets are coarser, which is stricter.
    pub(super) fn name(&mut self, allowance: &Allowance, now_ms: i64) {
        for (budget, _) in allowance.budgets() {
            if !self.open(*budget, now_ms) {
                continue;
            }
            match budget.unit {
                Unit::Subjects => self.adopt_subjects(*budget, now_ms),
                Unit::Records | Unit::Bytes => self.adopt_amounts(*budget, now_ms),
            }
        }
    }

    /// What counts of a budget now, held included.
    pub(super) fn used(&mut self, budget: Budget, now_ms: i64) -> u64 {
        let held = self.held_of(budget.unit);
        if budget.unit == Unit::Subjects {
            let account = self.subjects.iter_mut().find(|a| a.budget == budget);
            let used = account.map_or(0, |a| a.window.used(now_ms, &self.held_subjects));
            return u64::try_from(used).unwrap_or(u64::MAX);
        }
        let account = self.amounts.iter_mut().find(|a| a.budget == budget);
        account.map_or(0, |a| a.window.used(now_ms)).saturating_add(held)
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
        match portion {
            Portion::Bytes(bytes) => {
                held.bytes = held.bytes.saturating_add(bytes);
                self.held_bytes = self.held_bytes.saturating_add(bytes);
            }
            Portion::Record(subject) => {
                if let Some(subject) = subject {
                    self.hold(subject, held)?;
                }
                held.records += 1;
                self.held_records += 1;
            }
        }
        Ok(())
    }

    /// Makes what was held free again.
    pub(super) fn give_back(&mut self, held: Held) {
        self.held_records = self.held_records.saturating_sub(held.records);
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        for subject in held.subjects {
            if self.unhold(subject) {
                for account in &mut self.subjects {
                    account.window.let_go(subject);
                }
            }
        }
    }

    /// Books what was held as released now.
    pub(super) fn book(&mut self, held: Held, now_ms: i64) {
        self.held_records = self.held_records.saturating_sub(held.records);
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes);
        for account in &mut self.amounts {
            let amount = match account.budget.unit {
                Unit::Records => held.records,
                Unit::Bytes => held.bytes,
                Unit::Subjects => 0,
            };
            if amount > 0 {
                let bucket = account.window.book(now_ms, amount);
                self.owed.push(add(&self.person, account.budget, bucket, amount));
            }
        }
        for subject in held.subjects {
            self.unhold(subject);
            for account in &mut self.subjects {
                if let Some(bucket) = account.window.book(now_ms, subject) {
                    self.owed.push(saw(&self.person, account.budget, subject, bucket));
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
        for change in self.owed.drain(..count.min(self.owed.len())) {
            if let UsageChange::Saw(row) = change
                && let Some(account) = self.subjects.iter_mut().find(|a| a.budget == row.budget)
            {
                account.window.settle(row.subject, row.bucket);
            }
        }
    }

    /// When a budget will have fallen so far that `target` or less counts; `None` while nothing of
    /// it is booked, since answers under way decide then.
    pub(super) fn falls_to_at(&mut self, budget: Budget, target: u64, now_ms: i64) -> Option<i64> {
        if budget.unit == Unit::Subjects {
            let account = self.subjects.iter().find(|a| a.budget == budget)?;
            return account.window.relaxes_at();
        }
        let held = self.held_of(budget.unit);
        let account = self.amounts.iter().find(|a| a.budget == budget)?;
        account.window.relaxes_at()?;
        Some(account.window.falls_to_at(target.saturating_sub(held), now_ms))
    }

    /// When the oldest release of a budget leaves its window.
    pub(super) fn relaxes_at(&self, budget: Budget) -> Option<i64> {
        if budget.unit == Unit::Subjects {
            return self.subjects.iter().find(|a| a.budget == budget)?.window.relaxes_at();
        }
        self.amounts.iter().find(|a| a.budget == budget)?.window.relaxes_at()
    }

    /// Drops windows that no allowance has named for as long as the longest one reaches back; says
    /// whether anything still counts.
    ///
    /// An empty window stays while others count: opened anew it would start with what a coarser
    /// one knows, which is stricter than what it knew itself.
    pub(super) fn tidy(&mut self, now_ms: i64) -> bool {
        let held = &self.held_subjects;
        let amounts = self.amounts.iter_mut().map(|a| (a.budget, a.window.used(now_ms) > 0));
        let subjects = self.subjects.iter_mut();
        let subjects = subjects.map(|a| (a.budget, a.window.used(now_ms, held) > 0));
        let windows = Vec::from_iter(amounts.chain(subjects));
        let longest = windows.iter().map(|(budget, _)| budget.seconds).max().unwrap_or(0);
        let oldest = now_ms - i64::from(longest) * 1_000;
        self.amounts.retain(|a| a.named_ms >= oldest);
        self.subjects.retain(|a| a.named_ms >= oldest);
        windows.iter().any(|(_, counts)| *counts) || !self.held_subjects.is_empty()
    }

    fn held_of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Records => self.held_records,
            Unit::Bytes => self.held_bytes,
            Unit::Subjects => u64::try_from(self.held_subjects.len()).unwrap_or(u64::MAX),
        }
    }

    fn cost(&self, budget: Budget, portion: Portion) -> u64 {
        match (budget.unit, portion) {
            (Unit::Records, Portion::Record(_)) => 1,
            (Unit::Bytes, Portion::Bytes(bytes)) => bytes,
            (Unit::Subjects, Portion::Record(Some(subject))) => {
                let account = self.subjects.iter().find(|a| a.budget == budget);
                u64::from(!account.is_some_and(|a| a.window.contains(subject)))
            }
            (Unit::Subjects, Portion::Record(None))
            | (Unit::Records | Unit::Subjects, Portion::Bytes(_))
            | (Unit::Bytes, Portion::Record(_)) => 0,
        }
    }

    fn hold(&mut self, subject: u64, held: &mut Held) -> Result<(), Limit> {
        if held.subjects.contains(&subject) {
            return Ok(());
        }
        let count = u64::try_from(held.subjects.len()).unwrap_or(u64::MAX);
        let fresh = self.subjects.iter().filter(|a| !a.window.contains(subject)).count();
        if count >= MAX_SUBJECTS || !self.tally.has_room_for(fresh) {
            return Err(Limit::Memory);
        }
        held.subjects.insert(subject);
        *self.held_subjects.entry(subject).or_default() += 1;
        for account in &mut self.subjects {
            account.window.hold(subject);
        }
        Ok(())
    }

    /// Says whether nobody holds the subject any more.
    fn unhold(&mut self, subject: u64) -> bool {
        match self.held_subjects.get_mut(&subject) {
            Some(holders) if *holders > 1 => {
                *holders -= 1;
                false
            }
            Some(_) => self.held_subjects.remove(&subject).is_some(),
            None => true,
        }
    }

    /// Opens a budget's window; says whether it is new.
    fn open(&mut self, budget: Budget, now_ms: i64) -> bool {
        let grid = Grid::of(budget.seconds);
        if budget.unit == Unit::Subjects {
            if let Some(account) = self.subjects.iter_mut().find(|a| a.budget == budget) {
                account.named_ms = now_ms;
                return false;
            }
            let window = Subjects::new(grid, Arc::clone(&self.tally));
            self.subjects.push(Account { budget, window, named_ms: now_ms });
            return true;
        }
        if let Some(account) = self.amounts.iter_mut().find(|a| a.budget == budget) {
            account.named_ms = now_ms;
            return false;
        }
        self.amounts.push(Account { budget, window: Amounts::new(grid), named_ms: now_ms });
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

    fn adopt_subjects(&mut self, budget: Budget, now_ms: i64) {
        let grid = Grid::of(budget.seconds);
        let siblings = self.subjects.iter().filter(|a| a.budget != budget);
        let longest = siblings.max_by_key(|a| a.budget.seconds);
        let known = longest.map(|a| a.window.copied_to(grid)).unwrap_or_default();
        let Some(account) = self.subjects.iter_mut().find(|a| a.budget == budget) else { return };
        for (subject, bucket) in known {
            if bucket >= grid.oldest(now_ms) {
                account.window.adopt(subject, bucket);
                self.owed.push(saw(&self.person, budget, subject, bucket));
            }
        }
        for subject in self.held_subjects.keys() {
            account.window.hold(*subject);
        }
    }
}

fn add(person: &Arc<str>, budget: Budget, bucket: i64, amount: u64) -> UsageChange {
    UsageChange::Add(AmountRow { person: Arc::clone(person), budget, bucket, amount })
}

fn saw(person: &Arc<str>, budget: Budget, subject: u64, bucket: i64) -> UsageChange {
    UsageChange::Saw(SeenRow { person: Arc::clone(person), budget, subject, bucket })
}
