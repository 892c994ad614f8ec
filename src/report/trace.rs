//! Who received these people: a leaked list held against every look of the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::is_disclosed;
use crate::audit::{Access, Mode};

/// Requests that are told apart; beyond, the numbers are "at least".
const MOST_REQUESTS: usize = 1_000_000;

/// What one account received of a list of people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Received {
    /// The account.
    pub account: String,
    /// Its roles then.
    pub roles: BTreeSet<String>,
    /// How many of the people it received, by whatever requests.
    pub people: u64,
    /// In how many requests.
    pub requests: u64,
    /// How many of these were files.
    pub files: u64,
    /// The first, in Unix milliseconds.
    pub first_ms: i64,
    /// The last.
    pub last_ms: i64,
    /// The request with the most of them.
    pub at_once: AtOnce,
}

/// A request with many of the people in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AtOnce {
    /// Its id in the log.
    pub request: String,
    /// How many of the people.
    pub people: u64,
    /// How many it was about altogether: the closer both are, the more it is this list.
    pub of: u64,
    /// Whether it was a file.
    pub is_file: bool,
}

/// Takes the looks at the people and gives who received how many of them.
#[derive(Debug, Default)]
pub struct Trace {
    accounts: BTreeMap<String, (Received, Marks)>,
    /// By the place of a request: whose, and how many of the people.
    requests: HashMap<u64, (String, AtOnce)>,
}

/// A bit for each of the people.
#[derive(Debug, Default)]
struct Marks(Vec<u64>);

impl Marks {
    /// Marks one; whether it was not marked before.
    fn mark(&mut self, number: u32) -> bool {
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(usize::MAX), 1 << (number % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

impl Trace {
    /// Takes a look at some of the people, by number, if anything was given or may have been. Each of them is told once
    /// for a request, in one go or in several.
    pub fn take(&mut self, access: &Access, people: impl IntoIterator<Item = u32>) {
        let entry = &access.entry;
        let Some(actor) = entry.actor.as_ref().filter(|_| is_disclosed(access)) else { return };
        let (account, at_ms) = (actor.account.to_string(), entry.time.0);
        let data = access.told().data.as_ref();
        let is_file = data.is_some_and(|data| data.mode == Some(Mode::Download));
        let (one, marks) = self.accounts.entry(account.clone()).or_insert_with(|| {
            let (first_ms, last_ms) = (at_ms, at_ms);
            let account = account.clone();
            (Received { account, first_ms, last_ms, ..Received::default() }, Marks::default())
        });
        one.roles.extend(actor.roles.iter().map(str::to_owned));
        (one.first_ms, one.last_ms) = (one.first_ms.min(at_ms), one.last_ms.max(at_ms));
        let mut number = 0;
        for person in people {
            one.people += u64::from(marks.mark(person));
            number += 1;
        }
        if self.requests.len() >= MOST_REQUESTS && !self.requests.contains_key(&access.index) {
            return;
        }
        let (_, at_once) = self.requests.entry(access.index).or_insert_with(|| {
            one.requests += 1;
            one.files += u64::from(is_file);
            let (request, of) = (entry.id.to_string(), access.subject_count);
            (account, AtOnce { request, people: 0, of, is_file })
        });
        at_once.people += number;
    }

    /// Who received any of them, the one with the most at once first.
    #[must_use]
    pub fn finish(mut self) -> Vec<Received> {
        let mut requests: Vec<_> = self.requests.into_values().collect();
        // Of those with as many, the one that was about fewest others.
        requests.sort_by(|(_, a), (_, b)| {
            (b.people, a.of, &a.request).cmp(&(a.people, b.of, &b.request))
        });
        for (account, at_once) in requests {
            if let Some((one, _)) = self.accounts.get_mut(&account)
                && one.at_once.request.is_empty()
            {
                one.at_once = at_once;
            }
        }
        let mut found: Vec<Received> = self.accounts.into_values().map(|(one, _)| one).collect();
        found.sort_by(|a, b| {
            (b.at_once.people, b.people, &a.account).cmp(&(a.at_once.people, a.people, &b.account))
        });
        found
    }
}
