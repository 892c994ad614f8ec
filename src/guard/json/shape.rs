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
    /// Names in the order in which they were first seen, and which member each is, if any.
    seen: Vec<(Box<[u8]>, Option<u16>)>,
    /// For members that decide on their record, the bit that tells that they were seen.
    deciders: Vec<(u16, u64)>,
    is_silent: bool,
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
        let shapes = plan.nodes.iter().zip(&speaks).map(|(node, speaks)| Shape {
            seen: Vec::new(),
            deciders: deciders(plan, node, &decides),
            is_silent: !speaks,
        });
        Self { shapes: shapes.collect() }
    }

    fn shape(&mut self, node: NodeId) -> Option<&mut Shape> {
        self.shapes.get_mut(usize::try_from(node.0).ok()?)
    }

    /// Whether nothing below this node can pass, whatever the body holds.
    pub(super) fn is_silent(&self, node: NodeId) -> bool {
        let index = usize::try_from(node.0).ok();
        index.and_then(|index| self.shapes.get(index)).is_none_or(|shape| shape.is_silent)
    }

    /// The bit of a member that decides on its record.
    pub(super) fn decider(&self, node: NodeId, member: u16) -> Option<u64> {
        let shape = self.shapes.get(usize::try_from(node.0).ok()?)?;
        if shape.deciders.is_empty() {
            return None;
        }
        shape.deciders.iter().find(|(index, _)| *index == member).map(|(_, bit)| *bit)
    }

    /// Compares the expected name with `rest`, which starts behind a quote; gives its length if it
    /// stands there with a closing quote, and which member it is.
    #[inline]
    pub(super) fn guess(
        &self,
        node: NodeId,
        cursor: u32,
        rest: &[u8],
    ) -> Option<(usize, Option<u16>)> {
        let shape = self.shapes.get(usize::try_from(node.0).ok()?)?;
        let (name, member) = shape.seen.get(usize::try_from(cursor).ok()?)?;
        let behind = rest.strip_prefix(name.as_ref())?;
        (behind.first() == Some(&b'"')).then_some((name.len(), *member))
    }

    /// Finds the member with this unescaped name and moves the cursor behind it.
    pub(super) fn find(
        &mut self,
        node: NodeId,
        object: &ObjectNode,
        cursor: &mut u32,
        name: &[u8],
    ) -> Option<u16> {
        let shape = self.shape(node)?;
        let start = usize::try_from(*cursor).ok()?.min(shape.seen.len());
        let (before, behind) = shape.seen.split_at_checked(start)?;
        let known = |seen: &[(Box<[u8]>, Option<u16>)]| seen.iter().position(|(n, _)| **n == *name);
        let place = known(behind).map(|at| at + start).or_else(|| known(before));
        if let Some(place) = place {
            *cursor = u32::try_from(place + 1).ok()?;
            return shape.seen.get(place)?.1;
        }
        let member = object.members.iter().position(|(n, _)| n.as_bytes() == name);
        let member = member.and_then(|index| u16::try_from(index).ok());
        if shape.seen.len() < object.members.len() + SPARE_NAMES && is_plain(name) {
            if start == shape.seen.len() {
                *cursor += 1;
            }
            shape.seen.push((name.into(), member));
        }
        member
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
