//! What the differences come to: how many, by route, rule, role and account.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::policy::DecisionChange;

/// Entries that stand for the others.
const EXAMPLES: usize = 5;
/// Names told apart in one list; further ones are counted together.
const NAMES: usize = 10_000;
/// The name under which those are counted.
const OTHERS: &str = "(others)";

/// How often, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Recorded decisions.
    pub count: u64,
    /// The first few of them, by id.
    pub examples: Vec<String>,
}

/// One route, rule, role or account, and what would be different there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Decisions with any difference.
    pub all: Tally,
    /// Each difference.
    pub changes: Vec<Changed>,
}

/// One difference, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// What would be different.
    #[serde(flatten)]
    pub change: DecisionChange,
    /// How often, and for example where.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Recorded decisions with one question and one answer.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) changes: Vec<DecisionChange>,
    pub(super) rules: Vec<String>,
    pub(super) open: Vec<String>,
    pub(super) route: String,
    pub(super) roles: Vec<String>,
    pub(super) count: u64,
    pub(super) examples: Vec<String>,
    pub(super) accounts: BTreeMap<String, Tally>,
}

impl Case {
    /// Counts a decision; who made it is kept only where something would be different.
    pub(super) fn add(&mut self, account: &str, id: &str) {
        self.count += 1;
        if self.changes.is_empty() && self.open.is_empty() {
            return;
        }
        if self.examples.len() < EXAMPLES {
            self.examples.push(id.to_owned());
        }
        let is_told_apart = self.accounts.len() < NAMES || self.accounts.contains_key(account);
        let account = if is_told_apart { account } else { OTHERS };
        if let Some(tally) = self.accounts.get_mut(account) {
            tally.count += 1;
            if tally.examples.len() < EXAMPLES {
                tally.examples.push(id.to_owned());
            }
            return;
        }
        let tally = Tally { count: 1, examples: vec![id.to_owned()] };
        self.accounts.insert(account.to_owned(), tally);
    }
}

/// Groups of one kind by name.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Counted>);

#[derive(Debug, Default)]
struct Counted {
    all: Tally,
    changes: Changes,
}

/// Differences, each counted.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<DecisionChange, Tally>);

impl Changes {
    pub(super) fn add(&mut self, changes: &[DecisionChange], count: u64, examples: &[String]) {
        for change in changes {
            self.0.entry(change.clone()).or_default().add(count, examples);
        }
    }

    /// The differences, the most frequent first.
    pub(super) fn finish(self) -> Vec<Changed> {
        let changed = |(change, tally)| Changed { change, tally };
        let mut changes: Vec<Changed> = self.0.into_iter().map(changed).collect();
        changes.sort_by_key(|changed| std::cmp::Reverse(changed.tally.count));
        changes
    }
}

impl Groups {
    pub(super) fn add(
        &mut self,
        name: &str,
        count: u64,
        examples: &[String],
        changes: &[DecisionChange],
    ) {
        let is_told_apart = self.0.len() < NAMES || self.0.contains_key(name);
        let name = if is_told_apart { name } else { OTHERS };
        let counted = self.0.entry(name.to_owned()).or_default();
        counted.all.add(count, examples);
        counted.changes.add(changes, count, examples);
    }

    /// The groups, those with most differences first.
    pub(super) fn finish(self) -> Vec<Group> {
        let group = |(name, counted): (String, Counted)| Group {
            name,
            all: counted.all,
            changes: counted.changes.finish(),
        };
        let mut groups: Vec<Group> = self.0.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.all.count));
        groups
    }
}

impl Tally {
    fn add(&mut self, count: u64, examples: &[String]) {
        self.count += count;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(examples.iter().take(room).cloned());
    }
}
