//! Distinct subjects of one person: who counts in each window, and whom answers under way hold.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::allowance::Budget;
use super::budget::Account;
use super::store::{SeenRow, UsageChange};
use super::window::{Grid, Subjects, Tally};

/// All windows of one unit that counts subjects.
#[derive(Debug)]
pub(super) struct Distinct {
    tally: Arc<Tally>,
    accounts: Vec<Account<Subjects>>,
    /// How many answers under way hold a subject.
    held: HashMap<u64, u32>,
}

impl Distinct {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { tally, accounts: Vec::new(), held: HashMap::new() }
    }

    /// Takes over a subject that the store remembers.
    pub(super) fn restore(&mut self, row: &SeenRow, now_ms: i64) {
        self.open(row.budget, now_ms);
        if let Some(account) = self.account_mut(row.budget) {
            account.window.restore(row.subject, row.bucket);
        }
    }

    /// Opens a budget's window; says whether it is new.
    pub(super) fn open(&mut self, budget: Budget, now_ms: i64) -> bool {
        if let Some(account) = self.account_mut(budget) {
            account.named_ms = now_ms;
            return false;
        }
        let window = Subjects::new(Grid::of(budget.seconds), Arc::clone(&self.tally));
        self.accounts.push(Account { budget, window, named_ms: now_ms });
        true
    }

    /// Gives a new window what the longest other one knows.
    pub(super) fn adopt(
        &mut self,
        person: &Arc<str>,
        budget: Budget,
        now_ms: i64,
    ) -> Vec<UsageChange> {
        let grid = Grid::of(budget.seconds);
        let siblings = self.accounts.iter().filter(|a| a.budget != budget);
        let longest = siblings.max_by_key(|a| a.budget.seconds);
        let known = longest.map(|a| a.window.copied_to(grid)).unwrap_or_default();
        let account = self.accounts.iter_mut().find(|a| a.budget == budget);
        let Some(account) = account else { return Vec::new() };
        let mut owed = Vec::new();
        for (subject, bucket) in known {
            if bucket >= grid.oldest(now_ms) {
                account.window.adopt(subject, bucket);
                owed.push(saw(person, budget, subject, bucket));
            }
        }
        for subject in self.held.keys() {
            account.window.hold(*subject);
        }
        owed
    }

    /// How many subjects count of a budget now, held included.
    pub(super) fn used(&mut self, budget: Budget, now_ms: i64) -> u64 {
        let account = self.accounts.iter_mut().find(|a| a.budget == budget);
        let used = account.map_or(0, |a| a.window.used(now_ms, &self.held));
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// What a subject costs of a budget: nothing if it counts already.
    pub(super) fn cost(&self, budget: Budget, subject: u64) -> u64 {
        let account = self.accounts.iter().find(|a| a.budget == budget);
        u64::from(!account.is_some_and(|a| a.window.contains(subject)))
    }

    /// In how many windows a subject does not count yet.
    pub(super) fn fresh(&self, subject: u64) -> usize {
        self.accounts.iter().filter(|a| !a.window.contains(subject)).count()
    }

    /// Holds a subject for an answer that holds `mine`; there must be room for it.
    pub(super) fn hold(&mut self, subject: u64, mine: &mut HashSet<u64>) {
        if !mine.insert(subject) {
            return;
        }
        *self.held.entry(subject).or_default() += 1;
        for account in &mut self.accounts {
            account.window.hold(subject);
        }
    }

    /// Makes what an answer held free again.
    pub(super) fn give_back(&mut self, subjects: HashSet<u64>) {
        for subject in subjects {
            if self.unhold(subject) {
                for account in &mut self.accounts {
                    account.window.let_go(subject);
                }
            }
        }
    }

    /// Books what an answer held as released now; gives what to write.
    pub(super) fn book(
        &mut self,
        person: &Arc<str>,
        subjects: HashSet<u64>,
        now_ms: i64,
    ) -> Vec<UsageChange> {
        let mut owed = Vec::new();
        for subject in subjects {
            self.unhold(subject);
            for account in &mut self.accounts {
                if let Some(bucket) = account.window.book(now_ms, subject) {
                    owed.push(saw(person, account.budget, subject, bucket));
                }
            }
        }
        owed
    }

    /// Notes that the store has a release.
    pub(super) fn settle(&mut self, row: &SeenRow) {
        if let Some(account) = self.account_mut(row.budget) {
            account.window.settle(row.subject, row.bucket);
        }
    }

    /// When the oldest release of a budget leaves its window.
    pub(super) fn relaxes_at(&self, budget: Budget) -> Option<i64> {
        self.accounts.iter().find(|a| a.budget == budget)?.window.relaxes_at()
    }

    /// Each budget, and whether anything of it counts.
    pub(super) fn standing(&mut self, now_ms: i64) -> impl Iterator<Item = (Budget, bool)> {
        let Self { accounts, held, .. } = self;
        accounts.iter_mut().map(move |a| (a.budget, a.window.used(now_ms, held) > 0))
    }

    /// Drops the windows that were not named since a moment.
    pub(super) fn forget(&mut self, oldest_ms: i64) {
        self.accounts.retain(|a| a.named_ms >= oldest_ms);
    }

    /// Whether an answer under way holds anybody.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    fn account_mut(&mut self, budget: Budget) -> Option<&mut Account<Subjects>> {
        self.accounts.iter_mut().find(|a| a.budget == budget)
    }

    /// Says whether nobody holds the subject any more.
    fn unhold(&mut self, subject: u64) -> bool {
        match self.held.get_mut(&subject) {
            Some(holders) if *holders > 1 => {
                *holders -= 1;
                false
            }
            Some(_) => self.held.remove(&subject).is_some(),
            None => true,
        }
    }
}

fn saw(person: &Arc<str>, budget: Budget, subject: u64, bucket: i64) -> UsageChange {
    UsageChange::Saw(SeenRow { person: Arc::clone(person), budget, subject, bucket })
}
