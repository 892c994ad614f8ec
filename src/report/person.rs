//! One employee: what they did in a time, and what others with their roles did.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Hours, is_allowed};
use crate::audit::{Access, Mode, SubjectRef};

/// People of an account that are told apart; beyond, the number is "at least".
const MOST_PEOPLE: usize = 1_000_000;

/// What one account did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Habits {
    /// Requests.
    pub requests: u64,
    /// Requests that were denied.
    pub denied: u64,
    /// Different people who were seen, of each answer the first hundred.
    pub people: u64,
    /// Records that were given.
    pub records: u64,
    /// Files that were taken.
    pub files: u64,
    /// Files without a reason.
    pub files_without_reason: u64,
    /// Answers with a field in clear.
    pub in_clear: u64,
    /// Requests outside working hours.
    pub off_hours: u64,
    /// Days on which something was asked.
    pub days: u64,
    /// Requests by route.
    pub routes: BTreeMap<String, u64>,
    /// Requests by purpose.
    pub purposes: BTreeMap<String, u64>,
    #[serde(skip)]
    seen: BTreeSet<SubjectRef>,
    #[serde(skip)]
    on_days: BTreeSet<String>,
}

impl Habits {
    /// Takes a request.
    pub fn take(&mut self, access: &Access, hours: &dyn Hours) {
        let entry = &access.entry;
        let Some(request) = &entry.request else { return };
        self.requests += 1;
        self.denied += u64::from(!is_allowed(access));
        self.off_hours += u64::from(hours.is_off(entry.time.0));
        *self.routes.entry(request.route.to_string()).or_default() += 1;
        let why = entry.why.clone().unwrap_or_default();
        *self.purposes.entry(why.purpose.to_string()).or_default() += 1;
        if let Some(data) = &access.told().data {
            self.records += data.records.unwrap_or_default();
            self.in_clear += u64::from(is_allowed(access) && !data.clear.is_empty());
            let is_file = is_allowed(access) && data.mode == Some(Mode::Download);
            self.files += u64::from(is_file);
            self.files_without_reason += u64::from(is_file && why.reason.is_empty());
        }
        if self.seen.len() < MOST_PEOPLE {
            self.seen.extend(access.subjects.iter().cloned());
        }
        self.people = self.seen.len() as u64;
        self.on_days.insert(hours.shown(entry.time.0).chars().take(10).collect());
        self.days = self.on_days.len() as u64;
    }

    fn numbers(&self) -> [(&'static str, u64); 8] {
        [
            ("requests", self.requests),
            ("denied", self.denied),
            ("people", self.people),
            ("records", self.records),
            ("files", self.files),
            ("in clear", self.in_clear),
            ("off hours", self.off_hours),
            ("days", self.days),
        ]
    }
}

/// A person beside others with their roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Whose report it is.
    pub person: String,
    /// What they did.
    pub own: Habits,
    /// Others with one of their roles.
    pub peers: u64,
    /// For each number: its name, theirs, the middle one of the others.
    pub beside: Vec<(&'static str, u64, u64)>,
}

impl Person {
    /// Sets a person beside the others.
    #[must_use]
    pub fn new(person: &str, own: Habits, peers: &BTreeMap<String, Habits>) -> Self {
        let others: Vec<_> = peers.values().map(Habits::numbers).collect();
        let middle = |at: usize| {
            let mut all: Vec<u64> =
                others.iter().filter_map(|one| one.get(at)).map(|(_, number)| *number).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        let numbers = own.numbers().into_iter().enumerate();
        let beside = numbers.map(|(at, (name, number))| (name, number, middle(at))).collect();
        Self { person: person.to_owned(), own, peers: others.len() as u64, beside }
    }
}
