//! Puts together what one request left in the log: its decision, its outcome, their continuations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::at_rest::Closed;
use super::entry::{Entry, EntryId};
use super::filter::Filter;
use super::groups::{Data, Effect};
use super::reader::Record;
use super::subject::SubjectRef;

/// Requests without an outcome that are kept waiting for one; older ones are given as they stand.
const MAX_WAITING: usize = 100_000;

/// References that an access keeps to be shown; further ones are only counted.
const MAX_SHOWN: usize = 100;

/// One request, or one event of another kind, as the log tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// The place of `entry` in the log.
    pub index: u64,
    /// The decision, or the entry of another kind. An outcome only if its decision was not read.
    pub entry: Entry,
    /// What was disclosed.
    pub outcome: Option<Entry>,
    /// The first hundred data subjects of all these entries.
    pub subjects: BTreeSet<SubjectRef>,
    /// The data subjects as they were counted when the answer was given.
    pub subject_count: u64,
    /// Whether the subject asked for is among all of them.
    #[serde(skip)]
    pub(super) has_wanted_subject: bool,
    /// Which of the people who are looked for it is about, by number.
    #[serde(skip)]
    found: BTreeSet<u32>,
    #[serde(skip)]
    parts_missing: i64,
}

impl Access {
    /// One entry by itself, whatever it belongs to.
    #[must_use]
    pub fn alone(index: u64, entry: Entry) -> Self {
        let named = entry.subjects.iter().flat_map(|subjects| &subjects.refs);
        let subjects: BTreeSet<_> = named.take(MAX_SHOWN).cloned().collect();
        let counted = entry.subjects.as_ref().map_or(0, |subjects| subjects.count);
        Self {
            index,
            outcome: None,
            subject_count: counted.max(subjects.len() as u64),
            subjects,
            has_wanted_subject: false,
            found: BTreeSet::new(),
            parts_missing: 0,
            entry,
        }
    }

    /// Which of the people of [`Accesses::about`] it is about, by number.
    #[must_use]
    pub fn found(&self) -> &BTreeSet<u32> {
        &self.found
    }

    /// Whether it was allowed and no outcome says what was given: possibly all that was permitted.
    #[must_use]
    pub fn is_without_outcome(&self) -> bool {
        self.outcome.is_none()
            && self.entry.decision.as_ref().is_some_and(|d| d.effect == Effect::Allow)
    }

    /// What is said of the data, first of all by the outcome.
    pub(super) fn data(&self) -> impl Iterator<Item = &Data> {
        self.outcome.iter().chain([&self.entry]).filter_map(|entry| entry.data.as_ref())
    }

    /// The entry that says what was given: the outcome, or where there is none the entry itself.
    #[must_use]
    pub fn told(&self) -> &Entry {
        self.outcome.as_ref().unwrap_or(&self.entry)
    }

    /// Whether a file with this mark was given, or may have been.
    #[must_use]
    pub fn is_marked(&self, mark: &str) -> bool {
        !mark.is_empty() && self.data().any(|data| data.watermark.as_str() == mark)
    }

    /// Whether bytes with this hash left.
    #[must_use]
    pub fn has_hash(&self, hash: &str) -> bool {
        !hash.is_empty() && self.data().any(|data| data.sha256.as_str() == hash)
    }

    fn is_complete(&self) -> bool {
        !self.is_without_outcome() && self.parts_missing <= 0
    }
}

/// Takes entries in their order and keeps the last accesses that a filter wants.
#[derive(Debug)]
pub struct Accesses {
    filter: Filter,
    keep: usize,
    /// By the place of the first entry; an access may wait long for its outcome.
    waiting: BTreeMap<u64, Access>,
    places: HashMap<EntryId, u64>,
    wanted: BTreeMap<u64, Access>,
    closed: HashMap<Closed, u64>,
    /// By the token of a reference, the number of somebody who is looked for; all if it is empty.
    about: HashMap<String, u32>,
}

impl Accesses {
    /// Keeps the last `keep` accesses that `filter` wants.
    #[must_use]
    pub fn new(filter: Filter, keep: usize) -> Self {
        let (waiting, places, wanted, closed, about) = Default::default();
        Self { filter, keep, waiting, places, wanted, closed, about }
    }

    /// Keeps those that `filter` wants and that are about any of these people, each a reference's token and a number.
    #[must_use]
    pub fn about(people: HashMap<String, u32>, filter: Filter) -> Self {
        Self { about: people, ..Self::new(filter, usize::MAX) }
    }

    /// Takes out what is wanted so far and whole.
    pub fn take_settled(&mut self) -> impl Iterator<Item = Access> {
        std::mem::take(&mut self.wanted).into_values()
    }

    /// Takes the next entry. One that cannot be read is counted: it may be one that is wanted.
    pub fn add(&mut self, index: u64, record: impl Into<Record>) {
        match record.into() {
            Record::Entry(entry) => self.add_entry(index, *entry),
            Record::Closed(closed) => *self.closed.entry(closed).or_default() += 1,
        }
    }

    /// What could not be read, and how many entries each, by class and day.
    #[must_use]
    pub fn closed(&self) -> Vec<(Closed, u64)> {
        let mut closed: Vec<_> =
            self.closed.iter().map(|(closed, count)| (closed.clone(), *count)).collect();
        closed.sort_by_key(|(closed, _)| closed.order());
        closed
    }

    fn add_entry(&mut self, index: u64, entry: Entry) {
        let belongs_to = entry.decided_by.or(entry.continues.map(|part| part.id));
        let place = belongs_to.and_then(|id| self.places.get(&id).copied()).unwrap_or(index);
        let mut access = match self.waiting.remove(&place) {
            Some(access) => access,
            None => self.begin(index, &entry),
        };
        self.note_subjects(&mut access, &entry);
        if place != index && entry.continues.is_none() {
            access.outcome = Some(entry);
        }
        if access.is_complete() {
            self.settle(access);
        } else {
            self.waiting.insert(access.index, access);
        }
        if self.waiting.len() > MAX_WAITING
            && let Some((_, oldest)) = self.waiting.pop_first()
        {
            self.settle(oldest);
        }
    }

    fn begin(&mut self, index: u64, entry: &Entry) -> Access {
        // Also under its own id and the decision's, so that parts find an outcome read alone.
        self.places.insert(entry.decided_by.unwrap_or(entry.id), index);
        Access {
            index,
            entry: entry.clone(),
            outcome: None,
            subjects: BTreeSet::new(),
            subject_count: 0,
            has_wanted_subject: false,
            found: BTreeSet::new(),
            parts_missing: 0,
        }
    }

    fn note_subjects(&self, access: &mut Access, entry: &Entry) {
        let Some(subjects) = &entry.subjects else { return };
        if entry.continues.is_some() {
            access.parts_missing -= 1;
        } else {
            access.parts_missing += i64::from(subjects.parts);
            access.subject_count = access.subject_count.max(subjects.count);
        }
        for subject in &subjects.refs {
            access.has_wanted_subject |= self.filter.subject.as_deref() == Some(subject.token());
            access.found.extend(self.about.get(subject.token()));
            if access.subjects.len() < MAX_SHOWN {
                access.subjects.insert(subject.clone());
            }
        }
        access.subject_count = access.subject_count.max(access.subjects.len() as u64);
    }

    fn settle(&mut self, access: Access) {
        let entry = &access.entry;
        self.places.remove(&entry.decided_by.unwrap_or(entry.id));
        let is_about = self.about.is_empty() || !access.found.is_empty();
        if is_about && self.filter.wants(&access) {
            self.wanted.insert(access.index, access);
        }
        if self.wanted.len() > self.keep {
            self.wanted.pop_first();
        }
    }

    /// What is wanted, oldest first, with those that never got an outcome.
    #[must_use]
    pub fn finish(mut self) -> Vec<Access> {
        while let Some((_, access)) = self.waiting.pop_first() {
            self.settle(access);
        }
        self.wanted.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::groups::Event;
    use crate::audit::subject::SubjectSealer;
    use crate::audit::{Actor, Decision, Moment, Stamp};
    use crate::secret::MasterKey;

    fn stamp(n: u8) -> Stamp {
        Stamp { id: EntryId::new(1_000, [n; 10]), time: Moment(1_000), node: "n1".into() }
    }

    fn decision(n: u8, effect: Effect) -> Entry {
        let mut entry = Entry::new(Event::Decision, stamp(n));
        entry.decision = Some(Decision::new(effect));
        entry.actor = Some(Actor { account: "wang.li".into(), ..Actor::default() });
        entry
    }

    fn outcome(n: u8, of: &Entry) -> Entry {
        let mut entry = Entry::new(Event::Outcome, stamp(n));
        entry.decided_by = Some(of.id);
        entry
    }

    fn collect(filter: Filter, keep: usize, entries: Vec<Entry>) -> Vec<Access> {
        let mut accesses = Accesses::new(filter, keep);
        for (index, entry) in (0..).zip(entries) {
            accesses.add(index, entry);
        }
        accesses.finish()
    }

    #[test]
    fn an_outcome_joins_its_decision_whatever_came_between() {
        let (a, b) = (decision(1, Effect::Allow), decision(2, Effect::Allow));
        let entries = vec![a.clone(), b.clone(), outcome(3, &b), outcome(4, &a)];
        let found = collect(Filter::default(), 10, entries);
        assert_eq!(found.iter().map(|f| f.index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(found[0].outcome.as_ref().unwrap().id, stamp(4).id);
        assert_eq!(found[1].outcome.as_ref().unwrap().id, stamp(3).id);
    }

    #[test]
    fn an_allowed_request_without_outcome_says_so_and_a_denied_one_needs_none() {
        let entries = vec![decision(1, Effect::Allow), decision(2, Effect::Deny)];
        let found = collect(Filter::default(), 10, entries);
        assert_eq!(found.iter().map(Access::is_without_outcome).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_subject_is_found_in_parts_written_before_and_after_the_outcome() {
        let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
        let asked = decision(1, Effect::Allow);
        let mut answer = outcome(2, &asked);
        answer.add_subject(sealer.seal("customer", "first").unwrap()).unwrap();
        let early = answer.take_part(stamp(3));
        answer.add_subject(sealer.seal("customer", "second").unwrap()).unwrap();
        let late = answer.clone().take_part(stamp(4));
        answer.subjects.as_mut().unwrap().parts = 2;
        answer.subjects.as_mut().unwrap().refs.clear();
        let entries = vec![asked, early, decision(9, Effect::Allow), answer, late];
        for (key, hits) in [("first", 1), ("second", 1), ("third", 0)] {
            let filter =
                Filter { subject: Some(sealer.token("customer", key)), ..Filter::default() };
            let found = collect(filter, 10, entries.clone());
            assert_eq!(found.len(), hits, "{key}");
            assert!(found.iter().all(|f| f.subject_count == 2 && f.outcome.is_some()));
        }
    }

    #[test]
    fn the_last_ones_that_the_filter_wants_are_kept() {
        let entries = (0..50).map(|n| decision(n, Effect::Deny)).collect::<Vec<_>>();
        let wang = Filter { actor: Some("wang.li".into()), ..Filter::default() };
        let found = collect(wang, 3, entries.clone());
        assert_eq!(found.iter().map(|f| f.index).collect::<Vec<_>>(), [47, 48, 49]);
        let nobody = Filter { actor: Some("wang".into()), ..Filter::default() };
        assert!(collect(nobody, 3, entries).is_empty());
    }
}
