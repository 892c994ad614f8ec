//! Property tests: for any body, plan and split, the filter gives what a naive one over a tree gives.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use crate::guard::mask::mask;
use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{
    FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot, Verdict,
};
use crate::policy::value::Value;

use super::rules::{Desk, drive, run, taken};
use super::{Caps, Filter, Hooks as _, Mode, Outgoing, Take};

const NAMES: &[&str] = &["a", "b", "c", "état", "phone", "id", "list", "inner"];

/// The filter as one would write it without caring for speed, memory or duplicates.
struct Naive<'a> {
    plan: &'a Plan,
    desk: Desk,
    is_limited: bool,
    held_back: u64,
}

/// What became of a value: `None` if it does not pass.
type Passed = Option<Json>;

impl Naive<'_> {
    /// `captures` are those of the innermost open record, `takes` those that wait for the outermost.
    fn value(
        &mut self,
        slot: &Slot,
        value: &Json,
        takes: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Passed {
        let text = || match value {
            Json::String(text) => text.clone(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                value.to_string()
            }
        };
        let is_container = value.is_object() || value.is_array();
        match slot.verdict {
            Verdict::Absent => None,
            Verdict::Clear => (!is_container).then(|| value.clone()),
            Verdict::Mask | Verdict::Pseudonym | Verdict::Enter(_) if value.is_null() => {
                Some(Json::Null)
            }
            Verdict::Mask | Verdict::Pseudonym if is_container => None,
            Verdict::Mask => {
                Some(slot.mask.map_or_else(|| "***".to_owned(), |form| mask(form, &text())).into())
            }
            Verdict::Pseudonym => {
                let field = slot.field.and_then(|field| self.plan.field(field)).unwrap_or_default();
                Some(self.desk.pseudonym(field, &text()).into())
            }
            Verdict::Enter(id) => match (self.plan.node(id)?, value) {
                (Node::Array(element), Json::Array(values)) => {
                    let passed: Vec<Json> = values
                        .iter()
                        .filter_map(|value| self.value(element, value, takes, in_record))
                        .collect();
                    (!in_record || speaks(self.plan, id)).then_some(passed.into())
                }
                (Node::Object(object), Json::Object(members)) => match object.record {
                    Some(record) => self.record(record, members, takes, in_record),
                    None => {
                        let passed = self.members(object, members, takes, in_record);
                        (!in_record || speaks(self.plan, id)).then_some(passed.into())
                    }
                },
                _ => None,
            },
        }
    }

    fn members(
        &mut self,
        object: &ObjectNode,
        members: &Map<String, Json>,
        takes: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Map<String, Json> {
        let slot = |name: &str| object.members.iter().find(|(n, _)| **n == *name).map(|(_, s)| *s);
        let passed = members.iter().filter_map(|(name, value)| {
            Some((name.clone(), self.value(&slot(name)?, value, takes, in_record)?))
        });
        passed.collect()
    }

    fn record(
        &mut self,
        id: RecordId,
        members: &Map<String, Json>,
        outer: &mut Vec<Outgoing>,
        in_record: bool,
    ) -> Passed {
        let record = self.plan.record(id)?;
        let Some(Node::Object(assumed)) = self.plan.node(record.cases[record.assumed]?) else {
            return None;
        };
        let mut captures = vec![None; usize::from(record.captures)];
        capture(self.plan, assumed, members, &mut captures);
        let case = if record.cases.len() == 1 { 0 } else { self.desk.case(id, &captures) };
        let Some(Node::Object(object)) = self.plan.node(record.cases[case]?) else { return None };
        let mut takes = Vec::new();
        let passed = self.members(object, members, &mut takes, true);
        let subject = match record.subject {
            None => Value::Null,
            Some(slot) => match captures[usize::from(slot)].clone()? {
                Value::Text(text) if text.is_empty() => return None,
                subject @ (Value::Text(_) | Value::Integer(_)) => subject,
                subject @ Value::Decimal(_) if subject.whole_number().is_some() => subject,
                Value::Null | Value::Bool(_) | Value::Decimal(_) | Value::List(_) => return None,
            },
        };
        if passed.is_empty() {
            return None;
        }
        let (is_outermost, unmasks) = (!in_record, object.unmasks);
        takes.push(Outgoing { record: id, subject, is_outermost, unmasks });
        if in_record {
            outer.extend(takes);
            return Some(passed.into());
        }
        takes.rotate_right(1);
        let passes =
            !self.is_limited && takes.iter().all(|record| self.desk.take(record) == Take::Release);
        if !passes {
            self.is_limited = true;
            self.held_back += 1;
            return None;
        }
        Some(passed.into())
    }
}

/// Whether anything below a node can pass.
fn speaks(plan: &Plan, id: NodeId) -> bool {
    let slots: Vec<&Slot> = match plan.node(id) {
        Some(Node::Array(slot)) => vec![slot],
        Some(Node::Object(object)) => object.members.iter().map(|(_, slot)| slot).collect(),
        None => vec![],
    };
    slots.iter().any(|slot| match slot.verdict {
        Verdict::Absent => false,
        Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => true,
        Verdict::Enter(inner) => speaks(plan, inner),
    })
}

fn capture(
    plan: &Plan,
    object: &ObjectNode,
    members: &Map<String, Json>,
    into: &mut [Option<Value>],
) {
    for (name, slot) in &object.members {
        let Some(value) = members.get(&**name) else { continue };
        if let Some(place) = slot.capture {
            into[usize::from(place)] = match value {
                Json::Null => Some(Value::Null),
                Json::Bool(bool) => Some(Value::Bool(*bool)),
                Json::Number(number) => Value::from_json_number(&number.to_string()),
                Json::String(text) => Some(Value::Text(text.clone())),
                Json::Array(_) | Json::Object(_) => None,
            };
        }
        let Verdict::Enter(id) = slot.verdict else { continue };
        if let (Some(Node::Object(inner)), Json::Object(members)) = (plan.node(id), value)
            && inner.record.is_none()
        {
            capture(plan, inner, members, into);
        }
    }
}

fn any_scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        Just(Json::from(0.5)),
        prop::sample::select(vec!["", "open", "shut", "half", "13812345678", "张三", "x*\"\\\n"])
            .prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
        1 => ".{0,4}",
    ]
}

fn any_body() -> impl Strategy<Value = Json> {
    any_scalar().prop_recursive(5, 80, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::hash_map(any_name(), inner, 0..8)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// A body whose arrays hold scalars only.
fn any_flat_body() -> impl Strategy<Value = Json> {
    let list = prop::collection::vec(any_scalar(), 0..8).prop_map(Json::from);
    prop_oneof![any_scalar(), list].prop_recursive(5, 80, 8, |inner| {
        prop::collection::hash_map(any_name(), inner, 0..8)
            .prop_map(|members| Json::Object(members.into_iter().collect()))
    })
}

/// A slot whose nodes, if any, come later in the plan, so that the plan is a tree without end.
fn any_slot(node: u32, nodes: u32) -> impl Strategy<Value = Slot> {
    let verdict = prop_oneof![
        1 => Just(Verdict::Absent),
        3 => Just(Verdict::Clear),
        1 => Just(Verdict::Mask),
        1 => Just(Verdict::Pseudonym),
        6 => (node + 1..nodes.max(node + 2)).prop_map(move |id| if id < nodes { Verdict::Enter(NodeId(id)) } else { Verdict::Clear }),
    ];
    let kinds = vec![Kind::Phone, Kind::PersonName, Kind::Amount, Kind::Opaque];
    let mask = prop::option::of(prop::sample::select(kinds).prop_map(Mask::of));
    (verdict, mask, prop::option::of(0..2_u16)).prop_map(|(verdict, mask, field)| Slot {
        mask,
        field: field.map(FieldId),
        ..Slot::of(verdict)
    })
}

fn any_leaf() -> impl Strategy<Value = Slot> {
    any_slot(0, 0).prop_map(|slot| match slot.verdict {
        Verdict::Enter(_) => Slot { verdict: Verdict::Mask, ..slot },
        Verdict::Absent | Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => slot,
    })
}

fn any_node(id: u32, nodes: u32) -> impl Strategy<Value = Node> {
    let members = prop::collection::vec(any_slot(id, nodes), NAMES.len())
        .prop_flat_map(|slots| {
            let keep = prop::collection::vec(prop::bool::weighted(0.8), slots.len());
            (Just(slots), keep)
        })
        .prop_map(|(slots, keep)| {
            let members = NAMES.iter().zip(slots).zip(keep).filter(|(_, keep)| *keep);
            let members = members.map(|((name, slot), _)| ((*name).into(), slot)).collect();
            Node::Object(ObjectNode { members, ..ObjectNode::default() })
        });
    prop_oneof![2 => members, 1 => any_slot(id, nodes).prop_map(Node::Array)]
}

/// Any plan; some of its objects are made records with other cases, conditions and subjects.
fn any_plan() -> impl Strategy<Value = Plan> {
    const NODES: u32 = 7;
    let nodes: Vec<_> = (0..NODES).map(|id| any_node(id, NODES).boxed()).collect();
    let records = prop::collection::vec(
        prop::option::of((any::<u8>(), prop::bool::ANY, prop::collection::vec(any_leaf(), 3))),
        NODES as usize,
    );
    (nodes, records).prop_map(|(mut nodes, wanted)| {
        let mut records = Vec::new();
        for (index, wanted) in (0..NODES).zip(wanted) {
            let Some((shape, has_subject, other)) = wanted else { continue };
            let id = RecordId(u16::try_from(records.len()).unwrap());
            let extra = NodeId(u32::try_from(nodes.len()).unwrap());
            let Some(Node::Object(object)) = nodes.get_mut(index as usize) else { continue };
            object.record = Some(id);
            object.unmasks = has_subject ^ (shape & 4 == 0);
            let mut place = 0;
            for (name, slot) in &mut object.members {
                if matches!(&**name, "a" | "id") && !matches!(slot.verdict, Verdict::Enter(_)) {
                    slot.capture = Some(place);
                    place += 1;
                }
            }
            // The other case shows the same captured members, and differs in three others.
            let mut variant = object.clone();
            variant.unmasks = !object.unmasks;
            let others = variant.members.iter_mut().filter(|(_, slot)| slot.capture.is_none());
            for ((_, slot), new) in others.zip(other) {
                *slot = Slot { capture: None, ..new };
            }
            nodes.push(Node::Object(variant));
            let main = Some(NodeId(index));
            let cases = match shape % 4 {
                0 => vec![main],
                1 => vec![main, None, main, main],
                2 => vec![main, None, Some(extra), Some(extra)],
                _ => vec![None, Some(extra), main, None],
            };
            let assumed = cases.iter().position(|case| *case == main).unwrap();
            let subject = (has_subject && place > 0).then_some(place.saturating_sub(1));
            records.push(RecordPlan {
                entity: "thing".into(),
                subject,
                captures: place,
                cases,
                assumed,
                taking: 0,
            });
        }
        let root = Slot::of(Verdict::Enter(NodeId(0)));
        Plan {
            nodes,
            root,
            records,
            fields: vec!["thing.x".into(), "thing.y".into()],
            detections: vec![],
        }
    })
}

/// Writes a body with white space and escapes that a decoder does not see.
fn dressed(body: &Json, seed: u64, into: &mut String) {
    let mut noise = seed | 1;
    dress(body, &mut noise, into);
}

fn dress(body: &Json, noise: &mut u64, into: &mut String) {
    let gap = |noise: &mut u64, into: &mut String| {
        *noise =
            noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        into.push_str(["", "", "", "", " ", "\n  ", "\t", "\r\n"][(*noise >> 60) as usize & 7]);
    };
    let text = |text: &str, noise: &mut u64, into: &mut String| {
        *noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if *noise >> 61 != 0 {
            into.push_str(&serde_json::to_string(text).unwrap());
            return;
        }
        into.push('"');
        for unit in text.encode_utf16() {
            into.push_str(&format!("\\u{unit:04x}"));
        }
        into.push('"');
    };
    gap(noise, into);
    match body {
        Json::Array(values) => {
            into.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                dress(value, noise, into);
            }
            if values.is_empty() {
                gap(noise, into);
            }
            into.push(']');
        }
        Json::Object(members) => {
            into.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                gap(noise, into);
                text(name, noise, into);
                gap(noise, into);
                into.push(':');
                dress(value, noise, into);
            }
            into.push('}');
        }
        Json::String(value) => text(value, noise, into),
        Json::Null | Json::Bool(_) | Json::Number(_) => into.push_str(&body.to_string()),
    }
    gap(noise, into);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_filter_gives_what_a_naive_one_gives_for_every_split(
        plan in any_plan(),
        bodies in prop::collection::vec(any_body(), 1..6),
        as_array: bool,
        seed: u64,
        room in prop_oneof![3 => Just(usize::MAX), 1 => 0..4_usize],
        size in 1..40_usize,
    ) {
        let body = if as_array { Json::from(bodies) } else { bodies[0].clone() };
        let mut text = String::new();
        dressed(&body, seed, &mut text);
        let mut naive = Naive { plan: &plan, desk: Desk { room, taken: vec![] }, is_limited: false, held_back: 0 };
        let wanted = naive.value(&plan.root, &body, &mut Vec::new(), false);
        let (is_limited, held_back) = (naive.is_limited, naive.held_back);
        let counted = naive.desk.taken;

        let plan = Arc::new(plan);
        let caps = Caps::default();
        let whole = run(&plan, caps, Mode::Drop, room, [text.as_bytes()]).unwrap();
        let got = (!whole.0.is_empty()).then(|| serde_json::from_str::<Json>(&whole.0).unwrap());
        prop_assert_eq!(&got, &wanted, "{} gives {}", text, whole.0);
        prop_assert_eq!((whole.1.limited, whole.1.records_held_back), (is_limited, held_back));
        prop_assert_eq!(whole.1.root_withheld, wanted.is_none());
        prop_assert_eq!(taken(&plan, room, text.as_bytes()), counted);
        for size in [1, size] {
            let split = run(&plan, caps, Mode::Drop, room, text.as_bytes().chunks(size)).unwrap();
            prop_assert_eq!(&split, &whole);
        }
    }

    #[test]
    fn lines_give_what_a_naive_filter_gives_for_each_of_them(
        plan in any_plan(),
        values in prop::collection::vec(any_body(), 0..8),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\n\n", "\n \t\r\n"]), 8),
        seed: u64,
        ends_open: bool,
        room in prop_oneof![3 => Just(usize::MAX), 1 => 0..4_usize],
        size in 1..40_usize,
    ) {
        let (plan, element) = with_array_at_root(plan);
        let mut text = String::new();
        for (value, end) in values.iter().zip(ends) {
            let mut line = String::new();
            dressed(value, seed, &mut line);
            text.push_str(&line.replace('\n', " "));
            text.push_str(end);
        }
        let text = if ends_open { text.trim_end_matches(['\r', '\n']) } else { &text };
        let mut naive = Naive { plan: &plan, desk: Desk { room, taken: vec![] }, is_limited: false, held_back: 0 };
        let wanted: Vec<Json> = values
            .iter()
            .filter_map(|value| naive.value(&element, value, &mut Vec::new(), false))
            .collect();

        let (output, report, taken) = lines(&plan, room, [text.as_bytes()]).unwrap();
        let got: Vec<Json> =
            output.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&got, &wanted, "{} gives {}", text, output);
        prop_assert_eq!((report.limited, report.records_held_back), (naive.is_limited, naive.held_back));
        prop_assert_eq!(&taken, &naive.desk.taken);
        for size in [1, size] {
            let split = lines(&plan, room, text.as_bytes().chunks(size)).unwrap();
            prop_assert_eq!(&split, &(output.clone(), report.clone(), taken.clone()));
        }
    }

    #[test]
    fn what_passes_whole_passes_byte_for_byte(body in any_flat_body(), seed: u64, size in 1..40_usize) {
        let mut text = String::new();
        dressed(&body, seed, &mut text);
        let mut plan = Plan::nothing();
        plan.root = everything(&body, &mut plan.nodes);
        let plan = Arc::new(plan);
        for mode in [Mode::Drop, Mode::Refuse] {
            let (output, _) = run(&plan, Caps::default(), mode, 0, text.as_bytes().chunks(size)).unwrap();
            prop_assert_eq!(&output, &text);
        }
    }
}

/// The plan for an array of what it is a plan for, and what judges the elements.
fn with_array_at_root(mut plan: Plan) -> (Plan, Slot) {
    let element = plan.root;
    plan.root = Slot::of(Verdict::Enter(NodeId(u32::try_from(plan.nodes.len()).unwrap())));
    plan.nodes.push(Node::Array(element));
    (plan, element)
}

/// Filters a body of lines; gives what was counted as well.
fn lines<'a>(
    plan: &Plan,
    room: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(String, super::Report, Vec<Outgoing>), super::Fault> {
    let desk = Desk { room, taken: vec![] };
    let mut filter = Filter::lines(Arc::new(plan.clone()), Caps::default(), desk);
    let (output, report) = drive(&mut filter, pieces)?;
    Ok((output, report, filter.hooks().taken.clone()))
}

/// Rules under which this body, whose arrays hold scalars only, passes whole.
fn everything(body: &Json, nodes: &mut Vec<Node>) -> Slot {
    let node = match body {
        Json::Array(_) => Node::Array(Slot::of(Verdict::Clear)),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.as_str().into(), everything(value, nodes)));
            Node::Object(ObjectNode { members: members.collect(), ..ObjectNode::default() })
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            return Slot::of(Verdict::Clear);
        }
    };
    nodes.push(node);
    Slot::of(Verdict::Enter(NodeId(u32::try_from(nodes.len() - 1).unwrap())))
}
