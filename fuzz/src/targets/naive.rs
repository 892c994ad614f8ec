//! The filter as one would write it over a tree, without caring for speed or memory. It shares no line
//! with the real one but the masks.

use menshen::guard::json::{Hooks as _, Outgoing, Take};
use menshen::guard::mask::{is_masked_form, mask};
use menshen::policy::plan::{Node, NodeId, ObjectNode, Plan, RecordId, Slot, Verdict};
use menshen::policy::value::Value;

use super::plans::Desk;
use super::tree::Tree;

/// A member that decides on its record stands there twice: the body is refused.
#[derive(Debug, PartialEq)]
pub struct Twice;

/// What became of a value: `None` if it does not pass.
type Passed = Result<Option<Tree>, Twice>;

/// The naive filter.
pub struct Naive<'a> {
    pub plan: &'a Plan,
    pub desk: Desk,
    pub is_limited: bool,
    pub held_back: u64,
}

impl Naive<'_> {
    /// Filters a whole body.
    pub fn body(&mut self, value: &Tree) -> Passed {
        let root = self.plan.root;
        self.value(&root, value, &mut Vec::new(), false)
    }

    /// Filters lines, each an element of the array at the root.
    pub fn lines(&mut self, lines: &[Tree]) -> Result<Vec<Tree>, Twice> {
        let mut passed = Vec::new();
        for line in lines {
            let element = self.element();
            passed.extend(self.value(&element, line, &mut Vec::new(), false)?);
        }
        Ok(passed)
    }

    fn element(&self) -> Slot {
        match self.plan.root.verdict {
            Verdict::Enter(root) => match self.plan.node(root) {
                Some(Node::Array(element)) => *element,
                _ => Slot::of(Verdict::Absent),
            },
            _ => Slot::of(Verdict::Absent),
        }
    }

    /// `takes` are the records that wait for the outermost one.
    fn value(
        &mut self,
        slot: &Slot,
        value: &Tree,
        takes: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Passed {
        Ok(match slot.verdict {
            Verdict::Absent => None,
            Verdict::Clear => (!value.is_container()).then(|| value.clone()),
            Verdict::Mask | Verdict::Pseudonym | Verdict::Enter(_) if *value == Tree::Null => {
                Some(Tree::Null)
            }
            Verdict::Mask | Verdict::Pseudonym if value.is_container() => None,
            Verdict::Mask => {
                let masked = slot.mask.map(|form| mask(form, &value.text()));
                Some(Tree::Text(masked.unwrap_or_else(|| "***".to_owned())))
            }
            Verdict::Pseudonym => {
                let field = slot.field.and_then(|field| self.plan.field(field)).unwrap_or_default();
                Some(Tree::Text(self.desk.pseudonym(field, &value.text())))
            }
            Verdict::Enter(id) => return self.container(id, value, takes, in_record),
        })
    }

    fn container(
        &mut self,
        id: NodeId,
        value: &Tree,
        takes: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Passed {
        let plan = self.plan;
        let passed = match (plan.node(id), value) {
            (Some(Node::Array(element)), Tree::List(items)) => {
                let mut passed = Vec::new();
                for item in items {
                    passed.extend(self.value(element, item, takes, in_record)?);
                }
                Tree::List(passed)
            }
            (Some(Node::Object(object)), Tree::Members(members)) => match object.record {
                Some(record) => return self.record(record, object, members, takes, in_record),
                None => Tree::Members(self.members(object, members, takes, in_record)?),
            },
            _ => return Ok(None),
        };
        Ok((!in_record || reaches(plan, id, &speaks)).then_some(passed))
    }

    fn members(
        &mut self,
        object: &ObjectNode,
        members: &[(String, Tree)],
        takes: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Result<Vec<(String, Tree)>, Twice> {
        let mut passed = Vec::new();
        for (name, value) in members {
            let Some(slot) = lookup(object, name) else { continue };
            if let Some(value) = self.value(slot, value, takes, in_record)? {
                passed.push((name.clone(), value));
            }
        }
        Ok(passed)
    }

    fn record(
        &mut self,
        id: RecordId,
        assumed: &ObjectNode,
        members: &[(String, Tree)],
        outer: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Passed {
        let plan = self.plan;
        let record = plan.record(id).expect("a record of the plan");
        let mut captures = vec![None; usize::from(record.captures)];
        capture(plan, assumed, members, &mut captures)?;
        // Whatever comes of it, the first reading may meet a fault in a record inside.
        let mut takes = Vec::new();
        let first = self.members(assumed, members, &mut takes, true)?;
        let case = if record.cases.len() == 1 { 0 } else { self.desk.case(id, &captures) };
        let Some(node) = record.cases[case] else { return Ok(None) };
        let Some(Node::Object(object)) = plan.node(node) else { return Ok(None) };
        let mut passed = first;
        if !std::ptr::eq(object, assumed) {
            takes.clear();
            passed = self.members(object, members, &mut takes, true)?;
        }
        let subject = match record.subject {
            None => Value::Null,
            Some(slot) => match captures[usize::from(slot)].clone() {
                Some(Value::Text(text)) if !text.is_empty() => Value::Text(text),
                Some(Value::Integer(number)) => Value::Integer(number),
                _ => return Ok(None),
            },
        };
        if passed.is_empty() {
            return Ok(None);
        }
        let outgoing =
            Outgoing { record: id, subject, is_outermost: !in_record, unmasks: object.unmasks };
        takes.push(outgoing);
        if in_record {
            outer.extend(takes);
            return Ok(Some(Tree::Members(passed)));
        }
        takes.rotate_right(1);
        let passes =
            !self.is_limited && takes.iter().all(|record| self.desk.take(record) == Take::Release);
        if !passes {
            self.is_limited = true;
            self.held_back += 1;
            return Ok(None);
        }
        Ok(Some(Tree::Members(passed)))
    }
}

/// Whether a body may be written as it stands.
pub fn writes(plan: &Plan, body: &Tree) -> Result<bool, Twice> {
    may_write(plan, &plan.root, body, true)
}

fn may_write(plan: &Plan, slot: &Slot, value: &Tree, is_root: bool) -> Result<bool, Twice> {
    let Verdict::Enter(id) = slot.verdict else {
        let is_masked = |text: &str| slot.mask.is_some_and(|mask| is_masked_form(mask, text));
        let is_free = !matches!(value, Tree::Text(text) if is_masked(text));
        return Ok(slot.verdict == Verdict::Clear && !value.is_container() && is_free);
    };
    match (plan.node(id), value) {
        (_, Tree::Null) => Ok(!reaches(plan, id, &hides)),
        (Some(Node::Array(element)), Tree::List(items)) => {
            let mut may = is_root || !items.is_empty() || !reaches(plan, id, &hides);
            for item in items {
                may &= may_write(plan, element, item, false)?;
            }
            Ok(may)
        }
        (Some(Node::Object(object)), Tree::Members(members)) => match object.record {
            None if members.is_empty() && !is_root => Ok(!reaches(plan, id, &hides)),
            None => may_write_members(plan, object, members),
            Some(id) => {
                let record = plan.record(id).expect("a record of the plan");
                let mut captures = vec![None; usize::from(record.captures)];
                capture(plan, object, members, &mut captures)?;
                let first = may_write_members(plan, object, members)?;
                let mut desk = Desk::default();
                let case = if record.cases.len() == 1 { 0 } else { desk.case(id, &captures) };
                let settled = record.cases[case];
                if let (Some(node), false, true) = (settled, is_root, members.is_empty()) {
                    return Ok(!reaches(plan, node, &hides));
                }
                match settled.and_then(|node| plan.node(node)) {
                    Some(Node::Object(other)) if !std::ptr::eq(other, object) => {
                        may_write_members(plan, other, members)
                    }
                    Some(Node::Object(_)) => Ok(first),
                    Some(Node::Array(_)) | None => Ok(false),
                }
            }
        },
        _ => Ok(false),
    }
}

fn may_write_members(
    plan: &Plan,
    object: &ObjectNode,
    members: &[(String, Tree)],
) -> Result<bool, Twice> {
    let mut may = true;
    for (name, value) in members {
        may &= match lookup(object, name) {
            Some(slot) => may_write(plan, slot, value, false)?,
            None => false,
        };
    }
    Ok(may)
}

/// Why a body that is to be trimmed is refused as a whole.
#[derive(Debug, PartialEq)]
pub enum Refused {
    /// A value that is left out where it is a member.
    Value,
    /// Anything else.
    Body,
}

impl From<Twice> for Refused {
    fn from(_: Twice) -> Self {
        Self::Body
    }
}

/// A body without the members that may not be written.
pub fn trim(plan: &Plan, body: &Tree) -> Result<Tree, Refused> {
    trimmed(plan, &plan.root, body, Outer::Nothing)
}

/// What stands around an object or array.
#[derive(Clone, Copy, PartialEq)]
enum Outer {
    Nothing,
    /// An object or array of which nothing may be written: it goes as a whole.
    Silent,
    Open,
}

impl Outer {
    fn of(plan: &Plan, id: NodeId) -> Self {
        if reaches(plan, id, &speaks) { Self::Open } else { Self::Silent }
    }
}

/// An object or array in which nothing is written stays only where all below it may be.
fn emptied(
    plan: &Plan,
    id: NodeId,
    outer: Outer,
    before: usize,
    (left, tree): (usize, Tree),
) -> Result<Tree, Refused> {
    let stays = match before {
        0 => !reaches(plan, id, &hides),
        _ => left > 0 && Outer::of(plan, id) == Outer::Open,
    };
    if stays || outer != Outer::Open { Ok(tree) } else { Err(Refused::Value) }
}

fn trimmed(plan: &Plan, slot: &Slot, value: &Tree, outer: Outer) -> Result<Tree, Refused> {
    let Verdict::Enter(id) = slot.verdict else {
        if slot.verdict != Verdict::Clear || value.is_container() {
            return Err(Refused::Value);
        }
        let is_masked = |text: &str| slot.mask.is_some_and(|mask| is_masked_form(mask, text));
        let is_held = matches!(value, Tree::Text(text) if is_masked(text));
        return if is_held { Err(Refused::Body) } else { Ok(value.clone()) };
    };
    match (plan.node(id), value) {
        (_, Tree::Null) if !reaches(plan, id, &hides) => Ok(Tree::Null),
        (Some(Node::Array(element)), Tree::List(items)) => {
            let (inner, mut kept) = (Outer::of(plan, id), Vec::new());
            for item in items {
                match trimmed(plan, element, item, inner) {
                    Ok(item) => kept.push(item),
                    Err(Refused::Value) if inner == Outer::Silent => {}
                    Err(Refused::Value | Refused::Body) => return Err(Refused::Body),
                }
            }
            emptied(plan, id, outer, items.len(), (kept.len(), Tree::List(kept)))
        }
        (Some(Node::Object(object)), Tree::Members(members)) => match object.record {
            None => trimmed_members(plan, (id, object), members, outer),
            Some(id) => {
                let record = plan.record(id).expect("a record of the plan");
                let mut captures = vec![None; usize::from(record.captures)];
                capture(plan, object, members, &mut captures)?;
                let mut desk = Desk::default();
                let case = if record.cases.len() == 1 { 0 } else { desk.case(id, &captures) };
                let Some(node) = record.cases[case] else { return Err(Refused::Body) };
                match plan.node(node) {
                    Some(Node::Object(object)) => {
                        trimmed_members(plan, (node, object), members, outer)
                    }
                    Some(Node::Array(_)) | None => Err(Refused::Body),
                }
            }
        },
        _ => Err(Refused::Value),
    }
}

fn trimmed_members(
    plan: &Plan,
    (id, object): (NodeId, &ObjectNode),
    members: &[(String, Tree)],
    outer: Outer,
) -> Result<Tree, Refused> {
    let (inner, mut kept) = (Outer::of(plan, id), Vec::new());
    for (name, value) in members {
        let Some(slot) = lookup(object, name) else { continue };
        match trimmed(plan, slot, value, inner) {
            Ok(value) => kept.push((name.clone(), value)),
            Err(Refused::Value) => {}
            Err(Refused::Body) => return Err(Refused::Body),
        }
    }
    emptied(plan, id, outer, members.len(), (kept.len(), Tree::Members(kept)))
}

fn lookup<'p>(object: &'p ObjectNode, name: &str) -> Option<&'p Slot> {
    object.members.iter().find(|(listed, _)| **listed == *name).map(|(_, slot)| slot)
}

fn speaks(slot: &Slot) -> bool {
    matches!(slot.verdict, Verdict::Clear | Verdict::Mask | Verdict::Pseudonym)
}

fn hides(slot: &Slot) -> bool {
    matches!(slot.verdict, Verdict::Absent | Verdict::Mask | Verdict::Pseudonym)
}

/// Whether such a slot stands anywhere below a node.
fn reaches(plan: &Plan, id: NodeId, wanted: &dyn Fn(&Slot) -> bool) -> bool {
    let (mut seen, mut ahead) = (Vec::new(), vec![id]);
    while let Some(id) = ahead.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let slots: Vec<&Slot> = match plan.node(id) {
            Some(Node::Array(slot)) => vec![slot],
            Some(Node::Object(object)) => object.members.iter().map(|(_, slot)| slot).collect(),
            None => vec![],
        };
        for slot in slots {
            match slot.verdict {
                Verdict::Enter(inner) => ahead.push(inner),
                _ if wanted(slot) => return true,
                _ => {}
            }
        }
    }
    false
}

/// Reads what decides on a record, also in objects inside of it that are no records.
fn capture(
    plan: &Plan,
    object: &ObjectNode,
    members: &[(String, Tree)],
    into: &mut [Option<Value>],
) -> Result<(), Twice> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in members {
        let Some(slot) = lookup(object, name) else { continue };
        if !decides(plan, slot) {
            continue;
        }
        if seen.contains(&name.as_str()) {
            return Err(Twice);
        }
        seen.push(name);
        if let Some(place) = slot.capture {
            into[usize::from(place)] = match value {
                Tree::Null => Some(Value::Null),
                Tree::Bool(bool) => Some(Value::Bool(*bool)),
                Tree::Number(number) => Value::from_json_number(number),
                Tree::Text(text) => Some(Value::Text(text.clone())),
                Tree::List(_) | Tree::Members(_) => None,
            };
        }
        let Verdict::Enter(id) = slot.verdict else { continue };
        if let (Some(Node::Object(inner)), Tree::Members(members)) = (plan.node(id), value)
            && inner.record.is_none()
        {
            capture(plan, inner, members, into)?;
        }
    }
    Ok(())
}

/// Whether conditions of the record around it read here, or further inside.
fn decides(plan: &Plan, slot: &Slot) -> bool {
    let below = |id: NodeId| match plan.node(id) {
        Some(Node::Object(inner)) if inner.record.is_none() => {
            inner.members.iter().any(|(_, slot)| slot.capture.is_some())
        }
        _ => false,
    };
    slot.capture.is_some() || matches!(slot.verdict, Verdict::Enter(id) if below(id))
}
