//! Finds members by name. Backends write the same names in the same order again and again, so each
//! node remembers the order it saw and mostly needs one comparison per name.

use crate::policy::plan::{Node, NodeId, ObjectNode, Plan, Slot, Verdict};

/// Names remembered beyond those that the node declares.
const SPARE_NAMES: usize = 32;
const NAME_BYTES: usize = 64;

/// What is known of each node beyond the plan.
#[derive(Debug)]
pub(super) struct Shapes {
    shapes: Vec<Shape>,
}

#[derive(Debug, Default)]
struct Shape {
    /// Names in the order in which they were first seen.
    seen: Vec<Name>,
    /// For members that decide on their record, the bit that tells that they were seen.
    deciders: Vec<(u16, u64)>,
    is_silent: bool,
    is_whole: bool,
}

/// A name that was seen, and what it means.
#[derive(Debug)]
pub(super) struct Name {
    /// The name with the quote and the colon behind it, as compact bodies hold it.
    needle: Box<[u8]>,
    pub(super) rules: Rules,
}

/// What a member's name means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What judges the value.
    pub(super) slot: Slot,
    /// The bit of a member that decides on its record; 0 for others.
    pub(super) decider: u64,
    /// Whether the plan lists the member.
    pub(super) is_listed: bool,
}

impl Name {
    fn bytes(&self) -> &[u8] {
        self.needle.get(..self.needle.len().saturating_sub(2)).unwrap_or_default()
    }

    /// What stands behind the colon, if `rest`, which starts behind a quote, starts with this name.
    #[inline]
    pub(super) fn behind<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (needle, length) = (self.needle.as_ref(), self.needle.len());
        if let (8..=16, Some(head)) = (length, rest.get(..length)) {
            // Two overlapping words, far faster than a call for so few bytes.
            let same = head.first_chunk::<8>() == needle.first_chunk::<8>()
                && head.last_chunk::<8>() == needle.last_chunk::<8>();
            return if same { rest.get(length..) } else { None };
        }
        rest.strip_prefix(needle)
    }
}

impl Shapes {
    /// Looks through the plan once.
    pub(super) fn of(plan: &Plan) -> Self {
        let decides = fixpoint(plan, |plan, slot, known| {
            slot.capture.is_some() || entered(plan, slot, known, false)
        });
        let speaks = fixpoint(plan, |plan, slot, known| match slot.verdict {
            Verdict::Absent => false,
            Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => true,
            Verdict::Enter(_) => entered(plan, slot, known, true),
        });
        let lacks = fixpoint(plan, |plan, slot, known| match slot.verdict {
            Verdict::Clear => false,
            Verdict::Absent | Verdict::Mask | Verdict::Pseudonym => true,
            Verdict::Enter(_) => entered(plan, slot, known, true),
        });
        let known = plan.nodes.iter().zip(speaks.iter().zip(&lacks));
        let shapes = known.map(|(node, (speaks, lacks))| Shape {
            seen: Vec::new(),
            deciders: deciders(plan, node, &decides),
            is_silent: !speaks,
            is_whole: !lacks,
        });
        Self { shapes: shapes.collect() }
    }

    fn shape(&self, node: NodeId) -> Option<&Shape> {
        self.shapes.get(usize::try_from(node.0).ok()?)
    }

    /// Whether nothing below this node can pass, whatever the body holds.
    pub(super) fn is_silent(&self, node: NodeId) -> bool {
        self.shape(node).is_none_or(|shape| shape.is_silent)
    }

    /// Whether all that is declared below this node passes in clear.
    pub(super) fn is_whole(&self, node: NodeId) -> bool {
        self.shape(node).is_some_and(|shape| shape.is_whole)
    }

    /// The names in the order in which they probably come.
    #[inline]
    pub(super) fn names(&self, node: NodeId) -> &[Name] {
        self.shape(node).map(|shape| shape.seen.as_slice()).unwrap_or_default()
    }

    /// Finds the rules of the member with this unescaped name and moves the cursor behind it.
    pub(super) fn find(
        &mut self,
        node: NodeId,
        object: &ObjectNode,
        cursor: &mut usize,
        name: &[u8],
    ) -> Option<Rules> {
        let shape = self.shapes.get_mut(usize::try_from(node.0).ok()?)?;
        let start = (*cursor).min(shape.seen.len());
        let (before, behind) = shape.seen.split_at_checked(start)?;
        let known = |seen: &[Name]| seen.iter().position(|seen| seen.bytes() == name);
        let place = known(behind).map(|at| at + start).or_else(|| known(before));
        if let Some(place) = place {
            *cursor = place + 1;
            return shape.seen.get(place).map(|name| name.rules);
        }
        let rules = shape.rules(object, name);
        if shape.seen.len() < object.members.len() + SPARE_NAMES && is_plain(name) {
            if start == shape.seen.len() {
                *cursor += 1;
            }
            shape.seen.push(Name { needle: [name, b"\":"].concat().into(), rules });
        }
        Some(rules)
    }
}

impl Shape {
    fn rules(&self, object: &ObjectNode, name: &[u8]) -> Rules {
        let mut members = object.members.iter().zip(0_u16..);
        let Some(((_, slot), index)) = members.find(|((n, _), _)| n.as_bytes() == name) else {
            return Rules { slot: Slot::of(Verdict::Absent), decider: 0, is_listed: false };
        };
        let decider = self.deciders.iter().find(|(member, _)| *member == index);
        Rules { slot: *slot, decider: decider.map_or(0, |(_, bit)| *bit), is_listed: true }
    }
}

/// Whether a name stands in a body as it is, so that its bytes can be compared without reading them.
fn is_plain(name: &[u8]) -> bool {
    name.len() <= NAME_BYTES && !name.iter().any(|byte| matches!(byte, b'"' | b'\\' | ..0x20))
}

/// For each node, whether `holds` is true of any slot in it, where `holds` may ask for nodes below.
fn fixpoint(plan: &Plan, holds: impl Fn(&Plan, &Slot, &[bool]) -> bool) -> Vec<bool> {
    let mut known = vec![false; plan.nodes.len()];
    loop {
        let next: Vec<bool> = plan
            .nodes
            .iter()
            .map(|node| match node {
                Node::Array(slot) => holds(plan, slot, &known),
                Node::Object(object) => object.members.iter().any(|(_, s)| holds(plan, s, &known)),
            })
            .collect();
        if next == known {
            return known;
        }
        known = next;
    }
}

/// What is known of the node that a slot enters. A record of its own has its own deciders.
fn entered(plan: &Plan, slot: &Slot, known: &[bool], through_records: bool) -> bool {
    let Verdict::Enter(id) = slot.verdict else { return false };
    let is_record = matches!(plan.node(id), Some(Node::Object(object)) if object.record.is_some());
    if is_record && !through_records {
        return false;
    }
    usize::try_from(id.0).ok().and_then(|index| known.get(index)).copied().unwrap_or(false)
}

/// The members that are captured or lead to one. Above 64, the last bit is shared: a false alarm, no gap.
fn deciders(plan: &Plan, node: &Node, decides: &[bool]) -> Vec<(u16, u64)> {
    let Node::Object(object) = node else { return Vec::new() };
    let deciding = object
        .members
        .iter()
        .enumerate()
        .filter(|(_, (_, slot))| slot.capture.is_some() || entered(plan, slot, decides, false));
    deciding
        .zip(0_u32..)
        .filter_map(|((index, _), bit)| Some((u16::try_from(index).ok()?, 1_u64 << bit.min(63))))
        .collect()
}
