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
    WithoutSubject,
}

impl Report {
    pub(in crate::guard) fn of(fields: usize) -> Self {
        Self { fields: vec![FieldCount::default(); fields], ..Self::default() }
    }

    #[inline]
    pub(in crate::guard) fn count(&mut self, event: Event) {
        match event {
            Event::Withheld => self.records_withheld += 1,
            Event::WithoutSubject => self.records_without_subject += 1,
            Event::Detected(place, kind) => *self.detected.entry((place, kind)).or_default() += 1,
            Event::Field(field, fate) => {
                let Some(count) = self.fields.get_mut(usize::from(field.0)) else { return };
                match fate {
                    Fate::Clear => count.clear += 1,
                    Fate::Masked => count.masked += 1,
                    Fate::Pseudonym => count.pseudonym += 1,
                    Fate::Withheld => count.withheld += 1,
                }
            }
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
