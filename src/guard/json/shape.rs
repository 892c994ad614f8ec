//! Finds members by name. Backends write the same names in the same order again and again, so each
//! node remembers the order it saw and mostly needs one comparison per name.

use crate::policy::kind::Mask;
use crate::policy::plan::{FieldId, Node, NodeId, ObjectNode, Plan, Slot, Verdict};

use super::report::Fate;

/// Names remembered beyond those that the node declares.
const SPARE_NAMES: usize = 32;
/// More names of one node are not remembered.
const MOST_NAMES: usize = 1024;
const NAME_BYTES: usize = 64;
/// An order in which each name was missed more often than this is forgotten before the next body.
const MOST_MISSES: usize = 4;

/// What is known of each node beyond the plan.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    shapes: Vec<Shape>,
}

#[derive(Debug, Default)]
struct Shape {
    /// Names in the order in which they were first seen.
    seen: Vec<Name>,
    /// How often a name did not come where it was expected.
    misses: usize,
    /// For members that decide on their record, the bit that tells that they were seen.
    deciders: Vec<(u16, u64)>,
    is_silent: bool,
    is_whole: bool,
    /// It is an object within a record, and none itself.
    is_inside: bool,
}

/// A name that was seen, and what it means.
#[derive(Debug)]
pub(super) struct Name {
    name: Box<[u8]>,
    /// The name between its quotes and the colon behind it, as compact bodies hold it.
    needle: Needle,
    /// Whether this body held it too. One that the plan does not list is told of once a body.
    pub(super) is_met: bool,
    /// What the quick way does with a scalar, in short.
    pub(super) way: Way,
    /// What is counted where the quick way took the value.
    pub(super) event: Option<(FieldId, Fate)>,
    pub(super) rules: Rules,
}

/// What the quick way does with most scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They pass.
    Pass,
    /// They are left out, and nobody looks at them.
    Drop,
    /// Anything else.
    Look,
}

impl Way {
    fn of(quick: Quick) -> Self {
        match quick {
            Quick::Pass => Self::Pass,
            Quick::Drop => Self::Drop,
            Quick::Unlisted
            | Quick::Read(_)
            | Quick::Glance
            | Quick::Mask(_)
            | Quick::Whole(_)
            | Quick::Nothing => Self::Look,
        }
    }
}

/// What a member's name means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What judges the value.
    pub(super) slot: Slot,
    /// What the quick way does with a scalar.
    pub(super) quick: Quick,
    /// The bit of a member that decides on its record; 0 for others.
    pub(super) decider: u64,
    /// Whether the plan lists the member.
    pub(super) is_listed: bool,
}

/// What the quick way does with a scalar that stands where a member's name led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// It passes.
    Pass,
    /// It is left out, and nobody looks at it.
    Drop,
    /// It is left out, and its name is counted.
    Unlisted,
    /// It passes, and a condition reads it as well, in this slot.
    Read(u16),
    /// It passes if a glance tells that there is nothing to find in it.
    Glance,
    /// A string is replaced by its masked form.
    Mask(Mask),
    /// An object of this node passes as a whole, if all in it simply passes.
    Whole(NodeId),
    /// Left to the state machine.
    Nothing,
}

impl Quick {
    pub(super) fn of(slot: &Slot, is_listed: bool) -> Self {
        match (slot.verdict, slot.capture, slot.mask) {
            (Verdict::Clear, None, _) if slot.detect.is_some() => Self::Glance,
            (Verdict::Clear, Some(_), _) if slot.detect.is_some() => Self::Nothing,
            (Verdict::Clear, Some(capture), _) => Self::Read(capture),
            (Verdict::Clear, None, _) => Self::Pass,
            (Verdict::Absent, None, _) if !is_listed => Self::Unlisted,
            (Verdict::Absent, None, _) => Self::Drop,
            (Verdict::Mask, None, Some(mask)) => Self::Mask(mask),
            (Verdict::Enter(node), None, _) => Self::Whole(node),
            (Verdict::Absent | Verdict::Mask | Verdict::Pseudonym | Verdict::Enter(_), ..) => {
                Self::Nothing
            }
        }
    }
}

impl Rules {
    fn of(slot: Slot, decider: u64, is_listed: bool) -> Self {
        Self { slot, quick: Quick::of(&slot, is_listed), decider, is_listed }
    }

    /// What is counted where the quick way took the value.
    fn event(&self) -> Option<(FieldId, Fate)> {
        let fate = match self.quick {
            Quick::Pass | Quick::Read(_) | Quick::Glance => Fate::Clear,
            Quick::Drop | Quick::Unlisted => Fate::Withheld,
            Quick::Mask(_) => Fate::Masked,
            Quick::Whole(_) | Quick::Nothing => return None,
        };
        Some((self.slot.field?, fate))
    }
}

impl Name {
    fn new(name: &[u8], rules: Rules) -> Self {
        let needle = Needle::new(&[b"\"", name, b"\":"].concat());
        let (way, event) = (Way::of(rules.quick), rules.event());
        Self { name: name.into(), needle, is_met: true, way, event, rules }
    }

    /// The place of the value, if this name stands at `at`, which is the quote before it. Too near to the end
    /// of the input it is not looked for.
    #[inline]
    pub(super) fn value(&self, input: &[u8], at: usize) -> Option<usize> {
        let value = self.needle.behind(input, at)?;
        Some(if *input.get(value)? == b' ' { behind_space(value) } else { value })
    }
}

/// Bytes that are looked for at one place, compared by words: far faster than a call for so few.
#[derive(Debug)]
struct Needle {
    length: usize,
    head: u128,
    head_mask: u128,
    /// The last bytes, of a needle that is longer than a word.
    tail: u128,
    bytes: Box<[u8]>,
}

const WORD_BYTES: usize = 16;

impl Needle {
    fn new(bytes: &[u8]) -> Self {
        let (mut head, mut counts) = ([0; WORD_BYTES], [0; WORD_BYTES]);
        for ((head, counts), byte) in head.iter_mut().zip(&mut counts).zip(bytes) {
            (*head, *counts) = (*byte, 0xff);
        }
        Self {
            length: bytes.len(),
            head: u128::from_le_bytes(head),
            head_mask: u128::from_le_bytes(counts),
            tail: bytes.last_chunk().map_or(0, |tail| u128::from_le_bytes(*tail)),
            bytes: bytes.into(),
        }
    }

    /// The place behind the needle, if it stands at `at`.
    #[inline]
    fn behind(&self, input: &[u8], at: usize) -> Option<usize> {
        let rest = input.get(at..)?;
        let head = u128::from_le_bytes(*rest.first_chunk()?);
        let is_same = (head ^ self.head) & self.head_mask == 0
            && (self.length <= WORD_BYTES || self.ends_like(rest));
        is_same.then_some(at + self.length)
    }

    /// Compares what lies behind the first word.
    #[inline(never)]
    #[cold]
    fn ends_like(&self, rest: &[u8]) -> bool {
        if self.length > 2 * WORD_BYTES {
            return rest.starts_with(&self.bytes);
        }
        let tail = rest.get(..self.length).and_then(|rest| rest.last_chunk());
        tail.is_some_and(|tail| u128::from_le_bytes(*tail) == self.tail)
    }
}

/// Not inlined, so that a processor can guess whether there is a space and need not wait for it.
#[cold]
fn behind_space(value: usize) -> usize {
    value + 1
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
            misses: 0,
            deciders: deciders(plan, node, &decides),
            is_silent: !speaks,
            is_whole: !lacks,
            is_inside: matches!(node, Node::Object(object) if object.record.is_none()),
        });
        Self { shapes: shapes.collect() }
    }

    /// Starts on another body. An order that was not met is learned anew: else one odd body would slow down all
    /// that come after it.
    pub(super) fn begin(&mut self) {
        for shape in &mut self.shapes {
            if shape.misses > MOST_MISSES.saturating_mul(shape.seen.len()) {
                shape.seen.clear();
            }
            shape.misses = 0;
            for name in &mut shape.seen {
                name.is_met = name.rules.is_listed;
            }
        }
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

    /// The same of an object that is no record.
    pub(super) fn names_inside(&self, node: NodeId) -> Option<&[Name]> {
        self.shape(node).filter(|shape| shape.is_inside).map(|shape| shape.seen.as_slice())
    }

    /// Finds the rules of the member with this unescaped name and moves the cursor behind it.
    pub(super) fn find(
        &mut self,
        node: NodeId,
        object: &ObjectNode,
        cursor: &mut u16,
        name: &[u8],
    ) -> Option<Rules> {
        let shape = self.shapes.get_mut(usize::try_from(node.0).ok()?)?;
        let start = usize::from(*cursor).min(shape.seen.len());
        let (before, behind) = shape.seen.split_at_checked(start)?;
        let known = |seen: &[Name]| seen.iter().position(|seen| *seen.name == *name);
        let place = known(behind).map(|at| at + start).or_else(|| known(before));
        shape.misses = shape.misses.saturating_add(usize::from(place != Some(start)));
        if let Some(place) = place {
            *cursor = next_place(place);
            let name = shape.seen.get_mut(place)?;
            name.is_met = true;
            return Some(name.rules);
        }
        let rules = shape.rules(object, name);
        let most = object.members.len().saturating_add(SPARE_NAMES).min(MOST_NAMES);
        if shape.seen.len() < most && is_plain(name) {
            if start == shape.seen.len() {
                *cursor = next_place(start);
            }
            shape.seen.push(Name::new(name, rules));
        }
        Some(rules)
    }
}

impl Shape {
    fn rules(&self, object: &ObjectNode, name: &[u8]) -> Rules {
        let mut members = object.members.iter().zip(0_u16..);
        let Some(((_, slot), index)) = members.find(|((n, _), _)| n.as_bytes() == name) else {
            return Rules::of(Slot::of(Verdict::Absent), 0, false);
        };
        let decider = self.deciders.iter().find(|(member, _)| *member == index);
        Rules::of(*slot, decider.map_or(0, |(_, bit)| *bit), true)
    }
}

/// The place behind another; there are at most [`MOST_NAMES`].
fn next_place(place: usize) -> u16 {
    u16::try_from(place + 1).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads records whose members come in this order.
    fn read(shapes: &mut Shapes, plan: &Plan, records: usize, names: &str) {
        let Some(Node::Object(object)) = plan.node(NodeId(0)) else { panic!("an object") };
        for _ in 0..records {
            let mut cursor = 0;
            for name in names.split_inclusive(|_: char| true) {
                shapes.find(NodeId(0), object, &mut cursor, name.as_bytes());
            }
        }
    }

    fn order(shapes: &Shapes) -> String {
        let names = shapes.names(NodeId(0)).iter();
        names.map(|name| std::str::from_utf8(&name.name).unwrap()).collect()
    }

    #[test]
    fn an_order_that_was_not_met_is_learned_anew_with_the_next_body() {
        let members = ["a", "b", "c", "d"].map(|name| (name.into(), Slot::of(Verdict::Clear)));
        let object = ObjectNode { members: members.into(), ..ObjectNode::default() };
        let plan = Plan { nodes: vec![Node::Object(object)], ..Plan::nothing() };
        let mut shapes = Shapes::of(&plan);
        read(&mut shapes, &plan, 1, "dcbazyxw");
        shapes.begin();
        assert_eq!(order(&shapes), "dcbazyxw", "one body taught it");
        read(&mut shapes, &plan, 5, "ab");
        shapes.begin();
        assert_eq!(order(&shapes), "dcbazyxw", "a few that are otherwise do not matter");
        read(&mut shapes, &plan, 50, "abcd");
        shapes.begin();
        assert_eq!(order(&shapes), "");
        read(&mut shapes, &plan, 50, "abcd");
        shapes.begin();
        assert_eq!(order(&shapes), "abcd");
    }
}
