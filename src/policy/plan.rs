//! A plan: what to do with each field of one body. Compiled by the policy, obeyed by the guard.
//!
//! A plan is a small tree over the body's shape. Whatever it does not name is absent.

use std::collections::HashMap;

use super::kind::Mask;

/// Index of a [`Node`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Index of a [`RecordPlan`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(pub u16);

/// Index of a field's name in [`Plan::fields`]; outcomes count what happened to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

/// Index of a [`Detection`] in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DetectId(pub u16);

/// What happens to one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does not pass, whatever it is.
    Absent,
    /// A scalar passes byte for byte. An object or array standing here was never declared: it does not pass.
    Clear,
    /// A scalar passes in the masked form of its kind, `null` as `null`; a container does not pass.
    Mask,
    /// A scalar passes as a keyed pseudonym, `null` as `null`; a container does not pass.
    Pseudonym,
    /// An object or array with rules of its own; anything else (but `null`) does not pass.
    Enter(NodeId),
}

/// One place in the body's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// What happens to the value.
    pub verdict: Verdict,
    /// Where conditions of the innermost open record read the scalar that stands here, if they do.
    pub capture: Option<u16>,
    /// The field's name, where it is a field of an entity.
    pub field: Option<FieldId>,
    /// How the field's values are masked; on the way in, refuses a masked form written back.
    pub mask: Option<Mask>,
    /// What is looked for in a value that passes in clear, if anything is.
    pub detect: Option<DetectId>,
}

impl Slot {
    /// The node that it leads to.
    #[must_use]
    pub fn entered(&self) -> Option<NodeId> {
        match self.verdict {
            Verdict::Enter(node) => Some(node),
            Verdict::Absent | Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => None,
        }
    }

    /// A slot of which only the verdict matters.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, capture: None, field: None, mask: None, detect: None }
    }
}

/// What is looked for in the values of one place, which is not graded for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The place: a field such as `customer.note`, or `$.next` where it is no field.
    pub name: Box<str>,
    /// The kinds, each once.
    pub sought: Vec<Sought>,
}

/// One kind of value that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The kind, and how what is found is masked.
    pub mask: Mask,
    /// What becomes of a value in which it is found.
    pub on_hit: OnHit,
}

/// What becomes of a value that holds what it should not. Each is counted and told, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnHit {
    /// It passes.
    Alert,
    /// What was found in it is masked.
    Mask,
    /// It does not pass.
    Withhold,
    /// The body does not pass; for what goes to the backend.
    Refuse,
}

/// An object or an array with rules of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An object.
    Object(ObjectNode),
    /// An array; every element is judged by the slot.
    Array(Slot),
}

/// An object: its declared members, and the record that it is, if it is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectNode {
    /// Member names (unescaped) and their slots, in the catalogue's order. Unlisted members do not pass.
    pub members: Vec<(Box<str>, Slot)>,
    /// Set where an entity's record starts here.
    pub record: Option<RecordId>,
    /// Whether a field of grade 3 or 4 stays in clear in this record, records inside it aside. Limits
    /// count such records.
    pub unmasks: bool,
}

/// A record of an entity inside a body.
///
/// The conditions of a record are known only when it was read to its end. `cases[n]` is the object
/// node to filter it with when the conditions' outcomes, as bits, spell `n`; `None` withholds the record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordPlan {
    /// The entity's name.
    pub entity: Box<str>,
    /// Slot number of the data subject's key; a record without it is withheld, since nobody could count it.
    pub subject: Option<u16>,
    /// How many capture slots the record has.
    pub captures: u16,
    /// The node for each outcome of the conditions; always a power of two long.
    pub cases: Vec<Option<NodeId>>,
    /// The case whose node stands in the tree, with which the record is read first.
    pub assumed: usize,
    /// The bits that take a record away which rules show: its flags, and conditions of rules that deny.
    pub taking: usize,
}

impl RecordPlan {
    /// Whether a record of this case is withheld though rules show it: by a flag, or by a rule that denies.
    #[must_use]
    pub fn is_suppressed(&self, case: usize) -> bool {
        let node = |case: usize| self.cases.get(case).copied().flatten();
        node(case).is_none() && node(case & !self.taking).is_some()
    }
}

/// What to do with each field of one body.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The body itself.
    pub root: Slot,
    /// All records.
    pub records: Vec<RecordPlan>,
    /// Field names, such as `customer.address.city`.
    pub fields: Vec<Box<str>>,
    /// What is looked for where.
    pub detections: Vec<Detection>,
}

impl Plan {
    /// A plan under which nothing passes.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            nodes: Vec::new(),
            root: Slot::of(Verdict::Absent),
            records: Vec::new(),
            fields: Vec::new(),
            detections: Vec::new(),
        }
    }

    /// The node with this index.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }

    /// The record with this index.
    #[must_use]
    pub fn record(&self, id: RecordId) -> Option<&RecordPlan> {
        self.records.get(usize::from(id.0))
    }

    /// Where the objects of a body stand: `customer.address` inside a record, `$.page` outside of records. A
    /// record is named by its entity, wherever it stands.
    #[must_use]
    pub fn places(&self) -> HashMap<NodeId, String> {
        let mut places = HashMap::new();
        let cases = self.records.iter().flat_map(|record| record.cases.iter().flatten().copied());
        let mut ahead: Vec<(NodeId, String)> = cases.map(|node| (node, String::new())).collect();
        ahead.extend(self.root.entered().map(|node| (node, String::from("$"))));
        while let Some((id, mut place)) = ahead.pop() {
            if places.contains_key(&id) {
                continue;
            }
            match self.node(id) {
                Some(Node::Object(object)) => {
                    if let Some(record) = object.record.and_then(|record| self.record(record)) {
                        place = record.entity.to_string();
                    }
                    ahead.extend(object.members.iter().filter_map(|(name, slot)| {
                        Some((slot.entered()?, format!("{place}.{name}")))
                    }));
                }
                Some(Node::Array(slot)) => {
                    ahead.extend(slot.entered().map(|node| (node, format!("{place}[]"))));
                }
                None => {}
            }
            places.insert(id, place);
        }
        places
    }

    /// Every slot, in no order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        let below = self.nodes.iter().flat_map(|node| {
            let (members, item) = match node {
                Node::Object(object) => (object.members.as_slice(), None),
                Node::Array(slot) => (&[][..], Some(slot)),
            };
            members.iter().map(|(_, slot)| slot).chain(item)
        });
        std::iter::once(&self.root).chain(below)
    }

    /// Whether any value passes as a pseudonym.
    #[must_use]
    pub fn has_pseudonyms(&self) -> bool {
        self.slots().any(|slot| slot.verdict == Verdict::Pseudonym)
    }

    /// What is looked for.
    #[must_use]
    pub fn detection(&self, id: DetectId) -> Option<&Detection> {
        self.detections.get(usize::from(id.0))
    }

    /// The name of a field.
    #[must_use]
    pub fn field(&self, id: FieldId) -> Option<&str> {
        self.fields.get(usize::from(id.0)).map(AsRef::as_ref)
    }
}
