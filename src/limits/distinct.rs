//! Distinct subjects of one holder and slice: who counts in each window, and whom answers under way hold.

use std::collections::HashMap;
use std::sync::Arc;

use super::budget::Budget;
use super::group::Account;
use super::period::Period;
use super::store::{SeenRow, UsageChange};
use super::window::{Grid, Subjects, Tally};

/// All windows of one unit and slice that count subjects.
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

    /// Takes over a subject that the store remembers, in a window that is open.
    pub(super) fn restore(&mut self, row: &SeenRow) {
        if let Some(account) = self.account_mut(&row.budget) {
            account.window.restore(row.subject, row.bucket);
        }
    }

    /// Opens a budget's window; says where it is and whether it is new.
    pub(super) fn open(&mut self, budget: &Budget, now_ms: i64) -> (usize, bool) {
        if let Some(at) = self.accounts.iter().position(|a| a.budget == *budget) {
            if let Some(account) = self.accounts.get_mut(at) {
                account.named_ms = now_ms;
            }
            return (at, false);
        }
        let window = Subjects::new(Grid::of(&budget.period), Arc::clone(&self.tally));
        self.accounts.reserve_exact(1);
        self.accounts.push(Account { budget: budget.clone(), window, named_ms: now_ms });
        (self.accounts.len() - 1, true)
    }

    /// Gives a new window what the longest other one knows.
    pub(super) fn adopt(&mut self, holder: &Arc<str>, at: usize, now_ms: i64) -> Vec<UsageChange> {
        let Some(budget) = self.accounts.get(at).map(|a| a.budget.clone()) else {
            return Vec::new();
        };
        let grid = Grid::of(&budget.period);
        let siblings = self.accounts.iter().filter(|a| a.budget != budget);
        let longest = siblings.max_by_key(|a| a.budget.period.seconds());
        let known = longest.map(|a| a.window.copied_to(&grid)).unwrap_or_default();
        let Self { accounts, held, .. } = self;
        let Some(account) = accounts.get_mut(at) else { return Vec::new() };
        let mut owed = Vec::new();
        for (subject, bucket) in known {
            if bucket >= grid.oldest(now_ms) {
                account.window.adopt(subject, bucket);
                owed.push(saw(holder, &budget, subject, bucket));
            }
        }
        for subject in held.keys() {
            account.window.hold(*subject);
        }
        owed
    }

    /// How many subjects count in a window now, held included.
    pub(super) fn used(&mut self, at: usize, now_ms: i64) -> u64 {
        let Self { accounts, held, .. } = self;
        let used = accounts.get_mut(at).map_or(0, |a| a.window.used(now_ms, held));
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// What a subject costs in a window: nothing if it counts already.
    pub(super) fn cost(&self, at: usize, subject: u64) -> u64 {
        u64::from(!self.accounts.get(at).is_some_and(|a| a.window.contains(subject)))
    }

    /// In how many windows a subject does not count yet.
    pub(super) fn fresh(&self, subject: u64) -> usize {
        self.accounts.iter().filter(|a| !a.window.contains(subject)).count()
    }

    /// Holds a subject for one more answer; there must be room for it.
    pub(super) fn hold(&mut self, subject: u64) {
        *self.held.entry(subject).or_default() += 1;
        for account in &mut self.accounts {
            account.window.hold(subject);
        }
    }

    /// Makes free again what an answer held.
    pub(super) fn give_back(&mut self, subject: u64) {
        if self.unhold(subject) {
            for account in &mut self.accounts {
                account.window.let_go(subject);
            }
        }
    }

    /// Books as released now what an answer held; gives what to write.
    pub(super) fn book(
        &mut self,
        holder: &Arc<str>,
        subject: u64,
        now_ms: i64,
        owed: &mut Vec<UsageChange>,
    ) {
        self.unhold(subject);
        for account in &mut self.accounts {
            if let Some(bucket) = account.window.book(now_ms, subject) {
                owed.push(saw(holder, &account.budget, subject, bucket));
            }
        }
    }

    /// Notes that the store has a release.
    pub(super) fn settle(&mut self, row: &SeenRow) {
        if let Some(account) = self.account_mut(&row.budget) {
            account.window.settle(row.subject, row.bucket);
        }
    }

    /// What counts in each window, and how long ago it was released.
    pub(super) fn released(&mut self, now_ms: i64) -> Vec<(Budget, Vec<(u64, i64)>)> {
        let Self { accounts, held, .. } = self;
        let seconds = Grid::of(&Period::Sliding(60));
        let released = accounts.iter_mut().map(|account| {
            account.window.used(now_ms, held);
            let known = account.window.copied_to(&seconds).into_iter();
            let known = known.map(|(subject, at)| (subject, seconds.age(at, now_ms)));
            (account.budget.clone(), known.collect())
        });
        released.collect()
    }

    /// When the oldest release of a window leaves it.
    pub(super) fn relaxes_at(&self, at: usize) -> Option<i64> {
        self.accounts.get(at)?.window.relaxes_at()
    }

    /// Each budget's length, and whether anything of it counts.
    pub(super) fn standing(&mut self, now_ms: i64) -> impl Iterator<Item = (u32, bool)> {
        let Self { accounts, held, .. } = self;
        accounts
            .iter_mut()
            .map(move |a| (a.budget.period.seconds(), a.window.used(now_ms, held) > 0))
    }

    /// Drops the windows that were not named since a moment; says whether any is left.
    pub(super) fn forget(&mut self, oldest_ms: i64) -> bool {
        self.accounts.retain(|a| a.named_ms >= oldest_ms);
        !self.accounts.is_empty()
    }

    /// Whether an answer under way holds anybody.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    pub(super) fn budgets(&self) -> Vec<Budget> {
        self.accounts.iter().map(|a| a.budget.clone()).collect()
    }

    /// Begins a budget's window anew; whom answers under way hold counts.
    pub(super) fn reset(&mut self, budget: &Budget) {
        let mut window = Subjects::new(Grid::of(&budget.period), Arc::clone(&self.tally));
        self.held.keys().for_each(|subject| window.hold(*subject));
        if let Some(account) = self.account_mut(budget) {
            account.window = window;
        }
    }

    fn account_mut(&mut self, budget: &Budget) -> Option<&mut Account<Subjects>> {
        self.accounts.iter_mut().find(|a| a.budget == *budget)
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

fn saw(holder: &Arc<str>, budget: &Budget, subject: u64, bucket: i64) -> UsageChange {
    let (holder, budget) = (Arc::clone(holder), budget.clone());
    UsageChange::Saw(SeenRow { holder, budget, subject, bucket })
}
