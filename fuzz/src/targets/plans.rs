//! Rules to filter by: a few that are written out, and one for each other number.

use std::sync::Arc;

use menshen::guard::json::{Hooks, Outgoing, Take};
use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{
    FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot, Verdict,
};
use menshen::policy::value::Value;

/// Names that plans list; inputs should hold them.
pub const NAMES: &[&str] = &["a", "b", "id", "phone", "état", "list", "inner", "state"];

/// Who judges and counts: the first capture says the case, the first `room` records pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desk {
    pub room: usize,
    pub taken: Vec<Outgoing>,
}

impl Hooks for Desk {
    fn case(&mut self, _: RecordId, captures: &[Option<Value>]) -> usize {
        match captures.first() {
            Some(Some(Value::Text(text))) if text == "shut" => 1,
            Some(Some(Value::Text(text))) if text == "half" => 2,
            Some(Some(Value::Text(_))) => 0,
            _ => 3,
        }
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        if self.taken.len() >= self.room {
            return Take::HoldBack;
        }
        self.taken.push(record.clone());
        Take::Release
    }

    fn pseudonym(&mut self, field: &str, text: &str) -> String {
        format!("p~{field}~{}", text.len())
    }
}

/// The plan with this number.
pub fn plan(number: u8) -> Arc<Plan> {
    let plan = match number {
        0 => Plan::nothing(),
        1 => Plan { root: slot(Verdict::Clear), ..Plan::nothing() },
        2 => simple(),
        3 => branches(),
        4..=15 => customers(),
        number => any(number),
    };
    Arc::new(plan)
}

fn slot(verdict: Verdict) -> Slot {
    Slot::of(verdict)
}

fn enter(node: u32) -> Slot {
    slot(Verdict::Enter(NodeId(node)))
}

fn phone(verdict: Verdict) -> Slot {
    Slot { field: Some(FieldId(0)), mask: Some(Mask::of(Kind::Phone)), ..slot(verdict) }
}

fn object(record: Option<u16>, members: &[(&str, Slot)]) -> Node {
    let members = members.iter().map(|(name, slot)| ((*name).into(), *slot)).collect();
    Node::Object(ObjectNode { members, record: record.map(RecordId), unmasks: false })
}

/// Anything with the members `a` and `phone`, at the root or in arrays.
fn simple() -> Plan {
    let clear = slot(Verdict::Clear);
    let members = [
        ("a", clear),
        ("phone", phone(Verdict::Mask)),
        ("id", phone(Verdict::Pseudonym)),
        ("inner", enter(0)),
        ("list", enter(1)),
    ];
    let nodes = vec![object(None, &members), Node::Array(enter(0))];
    Plan {
        nodes,
        root: enter(0),
        records: vec![],
        fields: vec!["customer.phone".into()],
        ..Plan::nothing()
    }
}

/// Records whose condition stands in an object inside of them.
fn branches() -> Plan {
    let state = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    let full = [("a", slot(Verdict::Clear)), ("inner", enter(2)), ("phone", phone(Verdict::Clear))];
    let half = [("inner", enter(2)), ("phone", phone(Verdict::Mask))];
    Plan {
        nodes: vec![
            Node::Array(enter(1)),
            object(Some(0), &full),
            object(None, &[("state", state), ("b", slot(Verdict::Clear))]),
            object(Some(0), &half),
        ],
        root: enter(0),
        records: vec![record("customer", None, 1, [Some(1), None, Some(3), None])],
        fields: vec!["customer.phone".into()],
        ..Plan::nothing()
    }
}

/// Customers with orders: shut ones are withheld, half ones show less.
fn customers() -> Plan {
    let clear = slot(Verdict::Clear);
    let state = Slot { capture: Some(0), ..clear };
    let id = Slot { capture: Some(1), ..clear };
    let form = |phone| [("state", state), ("id", id), ("phone", phone), ("list", enter(3))];
    Plan {
        nodes: vec![
            Node::Array(enter(1)),
            object(Some(0), &form(phone(Verdict::Clear))),
            object(Some(0), &form(phone(Verdict::Mask))),
            Node::Array(enter(4)),
            object(Some(1), &[("state", state), ("a", clear)]),
            object(Some(1), &[("state", state), ("a", slot(Verdict::Absent))]),
        ],
        root: enter(0),
        records: vec![
            record("customer", Some(1), 2, [Some(1), None, Some(2), None]),
            record("order", None, 1, [Some(4), None, Some(5), None]),
        ],
        fields: vec!["customer.phone".into()],
        ..Plan::nothing()
    }
}

fn record(
    entity: &str,
    subject: Option<u16>,
    captures: u16,
    cases: [Option<u32>; 4],
) -> RecordPlan {
    let cases = cases.into_iter().map(|node| node.map(NodeId)).collect();
    RecordPlan { entity: entity.into(), subject, captures, cases, assumed: 0, taking: 0 }
}

/// A plan that chance writes, the same for the same number.
fn any(number: u8) -> Plan {
    const NODES: u32 = 6;
    let mut chance = Chance(u64::from(number));
    let mut nodes: Vec<Node> = (0..NODES).map(|id| any_node(&mut chance, id, NODES)).collect();
    let mut records = Vec::new();
    for index in 0..NODES {
        let shape = chance.below(8);
        let extra = u32::try_from(nodes.len()).expect("a few nodes");
        let Some(Node::Object(object)) = nodes.get_mut(index as usize) else { continue };
        if shape >= 4 {
            continue;
        }
        object.record = Some(RecordId(u16::try_from(records.len()).expect("a few records")));
        object.unmasks = chance.below(2) == 0;
        let mut captures = 0;
        for (name, slot) in &mut object.members {
            if matches!(&**name, "state" | "id") && !matches!(slot.verdict, Verdict::Enter(_)) {
                slot.capture = Some(captures);
                captures += 1;
            }
        }
        let mut variant = object.clone();
        for (_, slot) in variant.members.iter_mut().filter(|(_, slot)| slot.capture.is_none()) {
            *slot = any_slot(&mut chance, None);
        }
        nodes.push(Node::Object(variant));
        let (main, extra) = (Some(index), Some(extra));
        let cases = match shape {
            0 => [main, None, main, main],
            1 => [main, None, extra, extra],
            2 => [main, extra, None, None],
            _ => [main; 4],
        };
        let subject = captures.checked_sub(1).filter(|_| chance.below(2) == 0);
        records.push(record("thing", subject, captures, cases));
    }
    Plan {
        nodes,
        root: enter(0),
        records,
        fields: vec!["thing.x".into(), "thing.y".into()],
        ..Plan::nothing()
    }
}

fn any_node(chance: &mut Chance, id: u32, nodes: u32) -> Node {
    if chance.below(3) == 0 {
        return Node::Array(any_slot(chance, Some((id, nodes))));
    }
    let mut members: Vec<(Box<str>, Slot)> = Vec::new();
    for name in NAMES {
        if chance.below(5) > 0 {
            members.push(((*name).into(), any_slot(chance, Some((id, nodes)))));
        }
    }
    Node::Object(ObjectNode { members, ..ObjectNode::default() })
}

/// Any slot; one that enters goes on to a later node, so that the plan is a tree without end.
fn any_slot(chance: &mut Chance, ahead: Option<(u32, u32)>) -> Slot {
    let kinds = [Kind::Phone, Kind::PersonName, Kind::Amount, Kind::Opaque];
    let mask = (chance.below(2) == 0).then(|| Mask::of(kinds[chance.below(4) as usize]));
    let verdict = match (chance.below(12), ahead) {
        (0, _) => Verdict::Absent,
        (1, _) => Verdict::Mask,
        (2, _) => Verdict::Pseudonym,
        (6.., Some((id, nodes))) if id + 1 < nodes => {
            Verdict::Enter(NodeId(id + 1 + chance.below(nodes - id - 1)))
        }
        _ => Verdict::Clear,
    };
    let field = FieldId(u16::try_from(chance.below(2)).expect("two fields"));
    Slot { mask, field: (chance.below(2) == 0).then_some(field), ..slot(verdict) }
}

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x1234_5678_9abc_def1);
        ((self.0 >> 33) as u32) % end
    }
}
