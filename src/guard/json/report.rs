//! What happened to a body, in numbers and names; never in values.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::kind::Kind;
use crate::policy::plan::{DetectId, FieldId, NodeId};

const UNLISTED_NAMES: usize = 32;
const UNLISTED_NAME_BYTES: usize = 48;

/// What happened to the values of one field in what went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCount {
    /// Passed byte for byte.
    pub clear: u64,
    /// Passed in masked form.
    pub masked: u64,
    /// Passed as a pseudonym.
    pub pseudonym: u64,
    /// Left out.
    pub withheld: u64,
}

/// What happened to a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Counts by field, in the order of the plan's fields. Withheld and held back records do not count.
    pub fields: Vec<FieldCount>,
    /// Records that went out, records inside records included.
    pub records_released: u64,
    /// Records that the conditions withheld, or of which nothing was left.
    pub records_withheld: u64,
    /// Of those, the ones that rules show and a flag or a rule that denies took away.
    pub records_suppressed: u64,
    /// Records withheld because the data subject's key was missing.
    pub records_without_subject: u64,
    /// Outermost records held back because a limit was reached.
    pub records_held_back: u64,
    /// Whether a limit was reached.
    pub limited: bool,
    /// Whether the body's value itself was withheld: there is no output then.
    pub root_withheld: bool,
    /// Members that the plan does not list.
    pub unlisted_members: u64,
    /// Names of such members, up to 32. Names that could be values (long ones, or with digits in a row) are left out.
    pub unlisted_names: BTreeSet<String>,
    /// Members left out of a request.
    pub trimmed: u64,
    /// The same with the object in which each stands. In a table the name holds the objects inside it.
    pub unlisted_at: BTreeSet<(NodeId, String)>,
    /// Values that went out, or would have, in which something was found: by place and kind. As many as
    /// there are places and kinds in the plan, however often it is found.
    pub detected: BTreeMap<(DetectId, Kind), u64>,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes released.
    pub bytes_out: u64,
}

/// What happened to one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guard) enum Fate {
    Clear,
    Masked,
    Pseudonym,
    Withheld,
}

/// Something to count once it is certain that the record around it goes out.
#[derive(Clone, Copy, Debug)]
pub(in crate::guard) enum Event {
    Field(FieldId, Fate),
    Detected(DetectId, Kind),
    Withheld,
    Suppressed,
    WithoutSubject,
}

/// Members that the quick way took one after the other, as places among the names of their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) node: NodeId,
    pub(super) from: u16,
    pub(super) to: u16,
}

/// What is counted once the outermost record goes out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note {
    Event(Event),
    Members(Stretch),
    /// So many values of a field.
    Values(FieldId, Fate, u64),
}

/// How often each stretch of members went out. Records are alike, so that there are few; counting each
/// member by itself would cost as much as reading it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(Stretch, u64)>,
    /// The one that probably comes next.
    next: usize,
}

/// So many stretches are told apart before their members are counted.
const MOST_STRETCHES: usize = 64;

impl Tally {
    /// Counts a stretch; `false` if there is no room to tell it apart.
    #[inline]
    pub(super) fn add(&mut self, stretch: Stretch) -> bool {
        let is_next = self.counts.get(self.next).is_some_and(|(known, _)| *known == stretch);
        let place = if is_next { Some(self.next) } else { self.place(stretch) };
        let Some(place) = place else { return false };
        match self.counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((stretch, 1)),
        }
        self.next = place + 1;
        true
    }

    fn place(&self, stretch: Stretch) -> Option<usize> {
        let known = self.counts.iter().position(|(known, _)| *known == stretch);
        known.or_else(|| (self.counts.len() < MOST_STRETCHES).then_some(self.counts.len()))
    }

    /// What was counted, to be counted by members. Stretches stay known, since more of the same will come.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Stretch, u64)> {
        let counts = self.counts.iter_mut();
        counts.map(|(stretch, count)| (*stretch, std::mem::take(count))).filter(|(_, n)| *n > 0)
    }

    /// Starts on another body.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// Forgets all stretches.
    pub(super) fn clear(&mut self) {
        self.counts.clear();
    }
}

impl Report {
    pub(in crate::guard) fn of(fields: usize) -> Self {
        Self { fields: vec![FieldCount::default(); fields], ..Self::default() }
    }

    #[inline]
    pub(in crate::guard) fn count(&mut self, event: Event) {
        match event {
            Event::Withheld => self.records_withheld += 1,
            Event::Suppressed => {
                self.records_withheld += 1;
                self.records_suppressed += 1;
            }
            Event::WithoutSubject => self.records_without_subject += 1,
            Event::Detected(place, kind) => *self.detected.entry((place, kind)).or_default() += 1,
            Event::Field(field, fate) => self.count_field(field, fate, 1),
        }
    }

    /// Counts `times` values of a field.
    pub(in crate::guard) fn count_field(&mut self, field: FieldId, fate: Fate, times: u64) {
        let Some(count) = self.fields.get_mut(usize::from(field.0)) else { return };
        match fate {
            Fate::Clear => count.clear += times,
            Fate::Masked => count.masked += times,
            Fate::Pseudonym => count.pseudonym += times,
            Fate::Withheld => count.withheld += times,
        }
    }

    /// Notes the name of a member that the plan does not list.
    pub(in crate::guard) fn note_unlisted(&mut self, node: NodeId, name: &str) {
        if !name.split('.').all(is_name) {
            return;
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        if self.unlisted_names.len() < UNLISTED_NAMES && !self.unlisted_names.contains(last) {
            self.unlisted_names.insert(last.to_owned());
        }
        if self.unlisted_at.len() < UNLISTED_NAMES {
            self.unlisted_at.insert((node, name.to_owned()));
        }
    }
}

/// Whether this is surely a name, not a customer's value used as one (as in a map by phone number).
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=UNLISTED_NAME_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'))
        && !bytes.windows(3).any(|three| three.iter().all(u8::is_ascii_digit))
}
