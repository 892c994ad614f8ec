//! The log, read while it grows: what one request does not show and many do.
//!
//! A detection is a fold over entries in their order: what is known and an entry give what is known now, and
//! findings. Pure: the time is that of the entries, so a log read twice gives the same findings. What follows from
//! one is not done here.

mod approvals;
mod detect;
mod distinct;
mod drill;
mod person;
mod recent;
mod rules;
mod seen;
mod snapshot;
mod staff;
mod subjects;

use std::collections::{BTreeSet, HashMap};

pub use drill::{Drill, drill};
pub use rules::{Names, Rules};
pub use snapshot::Cell;

use crate::audit::{Entry, EntryId};
use crate::policy::{Consequence, Detection};
use approvals::Approvals;
use person::Person;
use seen::Seen;
use staff::Staff;
use subjects::Subjects;

/// People of whom something is known; who was not seen for longest is forgotten for another. Each takes 6 KiB at
/// most: 2 of them for the people seen today, 3 for what was done lately, 1 for days, places and names.
pub const MOST_PEOPLE: usize = 10_000;

/// A pattern that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub detection: Detection,
    /// What follows.
    pub consequence: Consequence,
    /// Whose doing it is: an account, or `person/…`, as people are counted.
    pub holder: String,
    /// The account that was used.
    pub account: String,
    /// When, in Unix milliseconds: the time of the entry.
    pub at_ms: i64,
    /// The decision that the entry belongs to.
    pub trigger: EntryId,
    /// What was counted.
    pub count: u64,
    /// What was seen, in words and numbers; never a value.
    pub said: String,
}

impl Finding {
    /// Whether something follows for the person.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.consequence != Consequence::Alert
    }
}

/// What one detection says of one entry.
struct Hit {
    detection: Detection,
    count: u64,
    said: String,
}

/// What is known.
#[derive(Debug, Default)]
pub struct Review {
    people: HashMap<String, Person>,
    subjects: Subjects,
    staff: Staff,
    approvals: Approvals,
    /// People whose cell is not as it was kept.
    dirty: BTreeSet<String>,
}

impl Review {
    /// Takes the next entry.
    pub fn take(&mut self, entry: &Entry, rules: &Rules) -> Vec<Finding> {
        let Some(seen) = Seen::of(entry) else { return Vec::new() };
        let mut hits = Vec::new();
        if let Some(account) = seen.account_that_goes() {
            return self.account_goes(&account, &seen, rules);
        }
        let person = self.person(&seen);
        for detect in detect::OF_A_PERSON {
            detect(person, &seen, rules, &mut hits);
        }
        person.note(&seen);
        self.subjects.take(&seen, rules, &mut hits);
        self.staff.take(&seen, rules, &mut hits);
        self.approvals.take(&seen, rules, &mut hits);
        hits.into_iter().filter_map(|hit| finding(hit, &seen, seen.holder(), rules)).collect()
    }

    /// What is known of the person, who becomes known now.
    fn person(&mut self, seen: &Seen<'_>) -> &mut Person {
        if self.people.len() >= MOST_PEOPLE && !self.people.contains_key(seen.holder()) {
            self.forget_some();
        }
        self.dirty.insert(seen.holder().to_owned());
        self.people.entry(seen.holder().to_owned()).or_insert_with(|| Person::new(seen.at_ms))
    }

    /// Forgets the sixteenth part of the people who were not seen for longest.
    fn forget_some(&mut self) {
        let mut last: Vec<(i64, String)> =
            self.people.iter().map(|(name, person)| (person.last_ms, name.clone())).collect();
        last.sort_unstable();
        last.truncate((MOST_PEOPLE / 16).max(1));
        for (_, name) in last {
            if let Some(person) = self.people.remove(&name) {
                self.staff.forget(&person);
            }
            self.dirty.insert(name);
        }
    }

    /// An account is switched off or let go: whoever used it may have taken a file before.
    fn account_goes(&mut self, account: &str, seen: &Seen<'_>, rules: &Rules) -> Vec<Finding> {
        let mut findings = Vec::new();
        let holder = self.people.iter().find(|(_, person)| person.uses(account));
        if let Some((holder, person)) = holder
            && let Some(hit) = detect::took_a_file_before(person, seen, rules)
        {
            let found = finding(hit, seen, holder, rules);
            findings.extend(found.map(|found| Finding { account: account.to_owned(), ..found }));
        }
        let off = detect::switched_off(seen);
        findings.extend(off.and_then(|hit| finding(hit, seen, seen.holder(), rules)));
        findings
    }
}

/// A hit as a finding, unless the detection is off or does not look at this caller.
fn finding(hit: Hit, seen: &Seen<'_>, holder: &str, rules: &Rules) -> Option<Finding> {
    let (terms, consequence) = rules.terms(hit.detection)?;
    if seen.holds_one_of(&terms.except) {
        return None;
    }
    Some(Finding {
        detection: hit.detection,
        consequence,
        holder: holder.to_owned(),
        account: seen.account().to_owned(),
        at_ms: seen.at_ms,
        trigger: seen.trigger(),
        count: hit.count,
        said: hit.said,
    })
}

#[cfg(test)]
mod tests;
