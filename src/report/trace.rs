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

/// Takes the looks at each of the people and gives who received how many of them.
#[derive(Debug, Default)]
pub struct Trace {
    accounts: BTreeMap<String, Received>,
    /// By the place of a request: whose, and how many of the people.
    requests: HashMap<u64, (String, AtOnce)>,
    /// The accounts that received the one of whom looks are taken now.
    of_this: BTreeSet<String>,
}

impl Trace {
    /// From here on, looks are those at another of the people.
    pub fn next(&mut self) {
        self.of_this.clear();
    }

    /// Takes a look at one of the people, if anything was given or may have been.
    pub fn take(&mut self, access: &Access) {
        let entry = &access.entry;
        let Some(actor) = entry.actor.as_ref().filter(|_| is_disclosed(access)) else { return };
        let (account, at_ms) = (actor.account.to_string(), entry.time.0);
        let data = access.told().data.as_ref();
        let is_file = data.is_some_and(|data| data.mode == Some(Mode::Download));
        let one = self.accounts.entry(account.clone()).or_insert_with(|| Received {
            account: account.clone(),
            first_ms: at_ms,
            last_ms: at_ms,
            ..Received::default()
        });
        one.roles.extend(actor.roles.iter().map(str::to_owned));
        (one.first_ms, one.last_ms) = (one.first_ms.min(at_ms), one.last_ms.max(at_ms));
        one.people += u64::from(self.of_this.insert(account.clone()));
        if self.requests.len() >= MOST_REQUESTS && !self.requests.contains_key(&access.index) {
            return;
        }
        let (_, at_once) = self.requests.entry(access.index).or_insert_with(|| {
            one.requests += 1;
            one.files += u64::from(is_file);
            let (request, of) = (entry.id.to_string(), access.subject_count);
            (account, AtOnce { request, people: 0, of, is_file })
        });
        at_once.people += 1;
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
            if let Some(one) = self.accounts.get_mut(&account)
                && one.at_once.request.is_empty()
            {
                one.at_once = at_once;
            }
        }
        let mut found: Vec<Received> = self.accounts.into_values().collect();
        found.sort_by(|a, b| {
            (b.at_once.people, b.people, &a.account).cmp(&(a.at_once.people, a.people, &b.account))
        });
        found
    }
}
