//! An entry of the log: its envelope, its groups, and its canonical JSON.
//!
//! One JSON object with sorted keys of at most [`MAX_JSON_BYTES`]. Data subjects that do not fit
//! go into continuation entries; they are never cut. The fields of an entry and of its groups stand
//! in the order of their names, so that they are written in it without being sorted.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::at_rest::{MAX_JSON_BYTES, Tenants};
use super::groups::{
    Act, Actor, Alert, Answer, Auth, Class, Data, Decision, Difference, Event, Origin, Request, Why,
};
use super::subject::SubjectRef;
use super::text::Text;

/// Subjects that one [`Entry`] can hold at a time; a longer list leaves by [`Entry::take_part`].
pub const MAX_SUBJECTS: usize = 4096;

/// A list of subjects this long is worth an entry of its own.
const PART_SUBJECTS: usize = 400;

/// What the JSON of a decision or an outcome takes.
const USUAL_JSON_BYTES: usize = 1024;

/// Why an entry cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Parts must be taken out while subjects are added.
    #[error("an entry holds at most {MAX_SUBJECTS} data subjects at a time")]
    TooManySubjects,
    /// The groups alone exceed what an entry can hold.
    #[error("the entry has {0} bytes without its data subjects, the limit is {MAX_JSON_BYTES}")]
    TooLarge(usize),
    /// The entry has no JSON form.
    #[error("the entry cannot be written as json")]
    Json,
    /// The text is no entry.
    #[error("it is not an entry of this log's format")]
    Form,
    /// Its key does not open it.
    #[error("it was altered, or sealed under another key than the one of its name")]
    Sealed,
}

/// The id of an entry: a UUIDv7, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(uuid::Uuid);

impl EntryId {
    /// The id for a time and 10 random bytes.
    #[must_use]
    pub fn new(unix_ms: i64, random: [u8; 10]) -> Self {
        let ms = u64::try_from(unix_ms).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
    }

    /// The id that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The time in it, in Unix milliseconds.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        let bytes = self.0.as_bytes();
        bytes.iter().take(6).fold(0_i64, |ms, byte| (ms << 8) | i64::from(*byte))
    }

    /// An id that tells only the hour, and of the one that its caller was told only what joins a decision and
    /// its outcome.
    pub(super) fn within_the_hour(self) -> Self {
        let [a, b, c, ..] = super::merkle::sha256(&[self.0.as_bytes()]);
        Self::new(super::anonymous::hour(Moment(self.unix_ms())).0, [a, b, c, 0, 0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A moment in Unix milliseconds; in JSON RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(moment.as_millisecond()))
    }
}

/// The id, the time and the node of an entry; [`super::Log::stamp`] makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The id.
    pub id: EntryId,
    /// The time.
    pub time: Moment,
    /// The node that writes.
    pub node: Text,
}

/// Says that an entry holds further data subjects of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continues {
    /// The entry that is continued. It may follow, if its answer was a long one.
    pub id: EntryId,
    /// The part's number, from 1.
    pub part: u32,
}

/// The data subjects of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subjects {
    /// Subjects in all parts together, as the caller counted them.
    pub count: u64,
    /// Whether the caller is one of them, as far as the policy says whose record is whose.
    #[serde(skip_serializing_if = "is_no")]
    pub own: bool,
    /// How many continuation entries there are.
    #[serde(skip_serializing_if = "is_none_left")]
    pub parts: u32,
    /// The references that stand in this entry.
    pub refs: BTreeSet<SubjectRef>,
}

fn is_no(yes: &bool) -> bool {
    !*yes
}

fn is_none_left(parts: &u32) -> bool {
    *parts == 0
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the groups carry the names and the meaning of their types")]
pub struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    pub class: Class,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The decision that an outcome belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<EntryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    pub event: Event,
    pub id: EntryId,
    pub node: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// The caller's tenants whose entries are kept for times of their own: by them it is sealed, and it does not say so.
    #[serde(skip)]
    pub tenants: Tenants,
    pub time: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl Entry {
    /// An entry with nothing but its envelope.
    #[must_use]
    pub fn new(event: Event, stamp: Stamp) -> Self {
        let class = match event {
            Event::Decision | Event::Outcome => Class::StaffAccess,
            Event::Session | Event::Custody | Event::Shadow | Event::Alert | Event::Admin => {
                Class::Security
            }
            Event::Change | Event::Grant => Class::Ledger,
        };
        let Stamp { id, time, node } = stamp;
        let (decided_by, continues, actor, auth, origin, request) = Default::default();
        let (why, subjects, data, decision, result, act, difference, alert) = Default::default();
        let tenants = Tenants::default();
        Self {
            id,
            time,
            node,
            event,
            class,
            decided_by,
            continues,
            actor,
            auth,
            origin,
            request,
            why,
            subjects,
            tenants,
            data,
            decision,
            result,
            act,
            difference,
            alert,
        }
    }

    /// Is kept as long as another of the same request: in its class, and by the tenants of its caller.
    pub fn is_kept_like(&mut self, other: &Self) {
        self.class = other.class;
        self.tenants = other.tenants.clone();
    }

    /// Adds a data subject; one that the entry holds already is counted once.
    ///
    /// # Errors
    /// [`EntryError::TooManySubjects`]: the record must not pass, or its reader would be unrecorded.
    pub fn add_subject(&mut self, subject: SubjectRef) -> Result<(), EntryError> {
        let subjects = self.subjects.get_or_insert_default();
        if subjects.refs.len() >= MAX_SUBJECTS && !subjects.refs.contains(&subject) {
            return Err(EntryError::TooManySubjects);
        }
        if subjects.refs.insert(subject) {
            subjects.count += 1;
        }
        Ok(())
    }

    /// Whether enough subjects were added to make [`Entry::take_part`] worth while.
    #[must_use]
    pub fn part_is_due(&self) -> bool {
        self.subjects.as_ref().is_some_and(|s| s.refs.len() >= PART_SUBJECTS)
    }

    /// Moves the subjects so far into a continuation entry, so that a long answer needs little memory.
    ///
    /// The part may be appended before the entry itself. The count stays with the entry; a subject
    /// that comes again after its part was taken is counted again.
    pub fn take_part(&mut self, stamp: Stamp) -> Entry {
        let subjects = self.subjects.get_or_insert_default();
        let refs = std::mem::take(&mut subjects.refs);
        subjects.parts += 1;
        let part = subjects.parts;
        self.part(stamp, part, refs)
    }

    fn part(&self, stamp: Stamp, part: u32, refs: BTreeSet<SubjectRef>) -> Entry {
        let mut entry = Self::new(self.event, stamp);
        entry.is_kept_like(self);
        entry.decided_by = self.decided_by;
        entry.continues = Some(Continues { id: self.id, part });
        // Whoever reads the log as it grows may meet the part first.
        entry.actor = self.actor.as_ref().map(|actor| Actor {
            account: actor.account.clone(),
            person: actor.person.clone(),
            kind: actor.kind,
            roles: actor.roles.clone(),
            ..Actor::default()
        });
        entry.subjects = Some(Subjects { count: refs.len() as u64, refs, ..Subjects::default() });
        entry
    }

    /// The entry as it is written, and the continuation entries that it needs, each with its canonical JSON.
    ///
    /// `stamp` is asked for each of those.
    ///
    /// # Errors
    /// [`EntryError::TooLarge`], [`EntryError::Json`], or what `stamp` returns.
    pub fn encode<E: From<EntryError>>(
        self,
        stamp: impl FnMut() -> Result<Stamp, E>,
    ) -> Result<Vec<(Self, Vec<u8>)>, E> {
        let json = self.to_json()?;
        if json.len() <= MAX_JSON_BYTES { Ok(vec![(self, json)]) } else { self.in_parts(stamp) }
    }

    fn in_parts<E: From<EntryError>>(
        mut self,
        mut stamp: impl FnMut() -> Result<Stamp, E>,
    ) -> Result<Vec<(Self, Vec<u8>)>, E> {
        let waiting = self.subjects.as_mut().map(|s| std::mem::take(&mut s.refs));
        let mut waiting = waiting.unwrap_or_default().into_iter().peekable();
        let mut parts = Vec::new();
        let own = fill(&mut waiting, self.room()?);
        while waiting.peek().is_some() {
            let number = self.subjects.as_ref().map_or(0, |s| s.parts).saturating_add(1);
            let mut part = self.part(stamp()?, number, BTreeSet::new());
            let refs = fill(&mut waiting, part.room()?);
            part.subjects =
                Some(Subjects { count: refs.len() as u64, refs, ..Subjects::default() });
            let json = part.to_json()?;
            parts.push((part, json));
            self.subjects.get_or_insert_default().parts = number;
        }
        if let Some(subjects) = &mut self.subjects {
            subjects.refs = own;
        }
        let json = self.to_json()?;
        parts.insert(0, (self, json));
        Ok(parts)
    }

    /// Bytes left for references in an entry that holds none yet.
    fn room(&self) -> Result<usize, EntryError> {
        /// The digits by which `count` and `parts` may still grow.
        const SLACK: usize = 64;
        let taken = self.to_json()?.len() + SLACK;
        MAX_JSON_BYTES.checked_sub(taken).ok_or(EntryError::TooLarge(taken))
    }

    /// The canonical JSON of this entry as it stands.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, EntryError> {
        let mut json = Vec::with_capacity(USUAL_JSON_BYTES);
        serde_json::to_writer(&mut json, self).ok().ok_or(EntryError::Json)?;
        debug_assert!(is_sorted(&json), "{}", String::from_utf8_lossy(&json));
        Ok(json)
    }

    /// The entry in this JSON.
    ///
    /// # Errors
    /// [`EntryError::Form`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        serde_json::from_slice(bytes).ok().ok_or(EntryError::Form)
    }
}

/// Whether the keys of all objects in this JSON stand in their order.
fn is_sorted(json: &[u8]) -> bool {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(json) else { return false };
    value.sort_all_objects();
    serde_json::to_vec(&value).is_ok_and(|sorted| sorted == json)
}

/// Takes references until `room` bytes are full.
fn fill(
    waiting: &mut std::iter::Peekable<impl Iterator<Item = SubjectRef>>,
    room: usize,
) -> BTreeSet<SubjectRef> {
    let mut left = room;
    let mut refs = BTreeSet::new();
    while let Some(subject) = waiting.next_if(|s| s.json_bytes() <= left) {
        left -= subject.json_bytes();
        refs.insert(subject);
    }
    refs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::groups::{Effect, Ending};
    use crate::audit::subject::SubjectSealer;
    use crate::audit::{Attributes, Trait};
    use crate::secret::MasterKey;

    fn stamp(n: u8) -> Stamp {
        Stamp {
            id: EntryId::new(1_790_000_000_123, [n; 10]),
            time: Moment(1_790_000_000_123),
            node: "n1".into(),
        }
    }

    fn encode(entry: Entry) -> Vec<Vec<u8>> {
        let mut n = 100;
        let stamps = || {
            n += 1;
            Ok::<_, EntryError>(stamp(n))
        };
        entry.encode(stamps).unwrap().into_iter().map(|(_, json)| json).collect()
    }

    #[test]
    fn an_entry_is_one_json_object_with_sorted_keys_and_reads_back() {
        let mut entry = Entry::new(Event::Decision, stamp(1));
        entry.actor = Some(Actor {
            account: "wang.li".into(),
            roles: ["teller"].into_iter().collect(),
            ..Actor::default()
        });
        entry.decision = Some(Decision::new(Effect::Allow));
        entry.result = Some(Answer {
            status: Some(200),
            ended: Some(Ending::AbortedByClient),
            ..Answer::default()
        });
        let frames = encode(entry.clone());
        let expected = r#"{"actor":{"account":"wang.li","roles":["teller"]},"class":"staff_access","decision":{"effect":"allow"},"event":"decision","id":"01a0c450-6c7b-7101-8101-010101010101","node":"n1","result":{"ended":"aborted_by_client","status":200},"time":"2026-09-21T14:13:20.123Z"}"#;
        assert_eq!(frames.len(), 1);
        let text = String::from_utf8(frames[0].clone()).unwrap();
        assert_eq!(text, expected);
        assert_eq!(Entry::decode(&frames[0]).unwrap(), entry);
    }

    #[test]
    fn subjects_that_do_not_fit_are_continued_and_none_is_lost() {
        let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
        let mut entry = Entry::new(Event::Outcome, stamp(1));
        for n in 0..MAX_SUBJECTS {
            entry.add_subject(sealer.seal("customer", &format!("{n:0>60}")).unwrap()).unwrap();
        }
        let all = entry.subjects.clone().unwrap().refs;
        let one_more = sealer.seal("customer", "one more").unwrap();
        assert_eq!(entry.add_subject(one_more), Err(EntryError::TooManySubjects));
        let (id, frames) = (entry.id, encode(entry));
        assert!(frames.iter().all(|f| f.len() <= MAX_JSON_BYTES));
        let entries: Vec<_> = frames.iter().map(|f| Entry::decode(f).unwrap()).collect();
        let first = entries[0].subjects.as_ref().unwrap();
        assert_eq!((first.count, first.parts as usize), (MAX_SUBJECTS as u64, entries.len() - 1));
        for (part, entry) in (1..).zip(&entries[1..]) {
            assert_eq!(entry.continues, Some(Continues { id, part }));
        }
        let found: BTreeSet<_> =
            entries.into_iter().flat_map(|e| e.subjects.unwrap().refs).collect();
        assert_eq!(found, all);
    }

    #[test]
    fn parts_taken_early_are_numbered_before_those_made_at_the_end() {
        let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
        let mut outcome = Entry::new(Event::Outcome, stamp(1));
        while !outcome.part_is_due() {
            let n = outcome.subjects.as_ref().map_or(0, |s| s.count);
            outcome.add_subject(sealer.seal("customer", &n.to_string()).unwrap()).unwrap();
        }
        let part = outcome.take_part(stamp(2));
        assert_eq!(part.continues, Some(Continues { id: outcome.id, part: 1 }));
        assert!(!outcome.part_is_due());
        let rest = outcome.subjects.unwrap();
        assert_eq!((rest.count, rest.parts, rest.refs.len()), (PART_SUBJECTS as u64, 1, 0));
    }

    fn longest_reference() -> SubjectRef {
        let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
        sealer.seal("customer", &"4".repeat(240)).unwrap()
    }

    fn worst_actor(bad: &str) -> Actor {
        let text = || Text::new(bad);
        Actor {
            own: Some(longest_reference()),
            account: text(),
            kind: None,
            roles: (0..900).map(|n| format!("{n}{bad}")).collect(),
            tenant: text(),
            partner: text(),
            contract: text(),
            on_behalf_of: text(),
            person: text(),
            attributes: large_attributes(),
        }
    }

    fn large_attributes() -> Attributes {
        let mut all = Attributes::default();
        (0..900).for_each(|n| all.push(&format!("{n}\""), Trait::list(["\\\"\\\""; 9]).unwrap()));
        all
    }

    #[test]
    fn the_worst_that_a_caller_and_a_backend_can_send_fits_an_entry() {
        let bad = "\\\"".repeat(3000);
        let text = || Text::new(&bad);
        let names = || (0..9000).map(|n| format!("{n}{bad}")).collect();
        let mut entry = Entry::new(Event::Decision, stamp(1));
        entry.node = text();
        entry.actor = Some(worst_actor(&bad));
        entry.auth = Some(Auth {
            factors: (0..900).map(|n| format!("{n}{bad}")).collect(),
            credential: text(),
            session: text(),
            token: text(),
            device: text(),
            ..Auth::default()
        });
        entry.origin = Some(Origin {
            zone: text(),
            listener: text(),
            tls: text(),
            client_certificate: text(),
            user_agent: text(),
            ..Origin::default()
        });
        let mut request = Request {
            method: text(),
            host: text(),
            route: text(),
            template: text(),
            action: text(),
            trace: text(),
            ..Request::default()
        };
        for n in 0..500 {
            request.query.push(&format!("{n}{bad}"), Some(&bad), &bad);
        }
        entry.request = Some(request);
        entry.why = Some(Why {
            purpose: text(),
            ticket: text(),
            reason: Text::reason(&bad),
            grant: text(),
        });
        entry.data = Some(Data {
            entity: text(),
            clear: names(),
            masked: names(),
            pseudonym: names(),
            withheld: names(),
            highest_grade: text(),
            ..Data::default()
        });
        let mut decision = Decision::new(Effect::Error);
        (decision.rules, decision.policy, decision.unmet) = (
            (0..900).map(|n| format!("{n}{bad}")).collect(),
            text(),
            (0..900).map(|n| format!("{n}{bad}")).collect(),
        );
        entry.decision = Some(decision);
        entry.result = Some(Answer { upstream: text(), cause: text(), ..Answer::default() });
        entry.act = Some(Act {
            name: text(),
            object: text(),
            before: text(),
            after: text(),
            approved_by: text(),
            ..Act::default()
        });
        let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
        entry.add_subject(sealer.seal("customer", "1").unwrap()).unwrap();
        let frames = encode(entry);
        assert_eq!(frames.len(), 1);
        assert!(frames[0].len() <= MAX_JSON_BYTES);
        assert_eq!(Entry::decode(&frames[0]).unwrap().subjects.unwrap().refs.len(), 1);
    }
}
