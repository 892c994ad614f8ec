//! Who opened one data subject: the part of the fold that is about no single person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Hit;
use super::distinct::hash;
use super::rules::Rules;
use super::seen::Seen;
use crate::policy::Detection;

/// Data subjects that are remembered, 250 bytes each at most; the one opened longest ago is forgotten for another.
pub(super) const MOST_SUBJECTS: usize = 50_000;
/// Groups that are kept together, so that a change of one writes little.
pub(super) const SHARDS: u64 = 64;

/// Who opened one, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Openers(Vec<(u64, i64)>);

/// All that are remembered.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    pub(super) known: HashMap<u64, Openers>,
    /// Shards that are not as they were kept.
    pub(super) dirty: BTreeSet<u64>,
}

impl Subjects {
    /// Looks at a record that somebody opened.
    pub(super) fn take(&mut self, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
        let Some(terms) = rules.on(Detection::ManyOpeners) else { return };
        if !seen.is_given() || !seen.is("view") || !seen.is_at_work() {
            return;
        }
        let Some(subject) = seen.only_subject() else { return };
        let subject = hash(subject.token());
        if self.known.len() >= MOST_SUBJECTS && !self.known.contains_key(&subject) {
            self.forget_some();
        }
        self.dirty.insert(subject % SHARDS);
        let openers = &mut self.known.entry(subject).or_default().0;
        let since = seen.at_ms.saturating_sub(i64::from(terms.within_s) * 1000);
        let person = hash(seen.holder());
        openers.retain(|(other, at)| *at >= since && *other != person);
        openers.push((person, seen.at_ms));
        if openers.len() >= usize::try_from(terms.count).unwrap_or(usize::MAX) {
            let count = openers.len() as u64;
            openers.clear();
            let hours = (terms.within_s / 3600).max(1);
            let said = format!("one data subject was opened by {count} persons within {hours} h");
            hits.push(Hit { detection: Detection::ManyOpeners, count, said });
        }
    }

    fn forget_some(&mut self) {
        let last = |openers: &Openers| openers.0.last().map_or(i64::MIN, |(_, at)| *at);
        let mut all: Vec<(i64, u64)> =
            self.known.iter().map(|(subject, openers)| (last(openers), *subject)).collect();
        all.sort_unstable();
        for (_, subject) in all.into_iter().take((MOST_SUBJECTS / 16).max(1)) {
            self.known.remove(&subject);
            self.dirty.insert(subject % SHARDS);
        }
    }

    /// The subjects of a shard.
    pub(super) fn shard(&self, shard: u64) -> BTreeMap<u64, &Openers> {
        let of_it = self
            .known
            .iter()
            .filter(|(subject, openers)| **subject % SHARDS == shard && !openers.0.is_empty());
        of_it.map(|(subject, openers)| (*subject, openers)).collect()
    }
}
