//! The guard alone: every stream has passed some records in chunks of its own size, and holds the part of
//! another.

use std::sync::Arc;

use bytes::Bytes;
use menshen::guard::{BodyGuard, Caps, Charset, Codings, Hooks, Outgoing, Take, Wire};
use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{
    FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot, Verdict,
};
use menshen::policy::{Format, Value};

const RECORDS: usize = 12;

struct Teller;

impl Hooks for Teller {
    fn case(&mut self, _: RecordId, captures: &[Option<Value>]) -> usize {
        usize::from(captures.first().is_some_and(Option::is_some))
    }

    fn take(&mut self, _: &Outgoing) -> Take {
        Take::Release
    }

    fn pseudonym(&mut self, _: &str, text: &str) -> String {
        text.to_owned()
    }
}

/// Opens so many streams and gives what each took, in KiB.
pub(crate) fn kib_per_stream(count: usize) -> f64 {
    let plan = Arc::new(plan());
    let before = super::resident_kib("self");
    let streams: Vec<BodyGuard<Teller>> = (0..count).map(|number| stream(&plan, number)).collect();
    let after = super::resident_kib("self");
    assert!(streams.iter().all(|stream| stream.report().records_released > 0));
    (after - before) / count as f64
}

/// A stream that has given out what it could, in chunks of 1 to 1,460 bytes.
fn stream(plan: &Arc<Plan>, number: usize) -> BodyGuard<Teller> {
    let wire = Wire { format: Format::Json, charset: Charset::UTF_8, codings: Codings::NONE };
    let mut guard = BodyGuard::response(wire, plan.clone(), Caps::default(), Teller);
    let body = customers(number);
    let upto = body.len() - 1 - number * 31 % 400;
    let size = 1 + number * 37 % 1460;
    for chunk in body.as_bytes().get(..upto).expect("a beginning").chunks(size) {
        guard.push(Bytes::copy_from_slice(chunk)).expect("the body is valid");
        drop(guard.take_output());
    }
    guard
}

fn customers(number: usize) -> String {
    let record = |record: usize| {
        format!(
            concat!(
                r#"{{"id":"C{n:07}","name":"张三丰","phone":"138{n:08}","email":"user{n}@example.com","#,
                r#""branch":"BJ-{b:03}","password_hash":"$argon2id$v=19$m=65536$c29tZXNhbHQ$RdescudvJCsgt3ub+b27Ce{n:08}","#,
                r#""street":"Jianguo Road {n}","remark":"prefers to be called in the morning, or by mail at any time"}}"#
            ),
            n = number * RECORDS + record,
            b = number % 500,
        )
    };
    let records: Vec<String> = (0..RECORDS).map(record).collect();
    format!("[{}]", records.join(","))
}

/// Customers whose branch decides whether their telephone number is masked: the bytes of a record are kept
/// until it is judged.
fn plan() -> Plan {
    let mask = |kind| Slot { mask: Some(Mask::of(kind)), ..Slot::of(Verdict::Mask) };
    let clear = Slot::of(Verdict::Clear);
    let names = ["id", "branch", "street", "remark", "name", "email", "phone"];
    let members = |phone: Slot| {
        let id = Slot { capture: Some(0), ..clear };
        let branch = Slot { capture: Some(1), ..clear };
        let slots = [id, branch, clear, clear, mask(Kind::PersonName), mask(Kind::Email), phone];
        let named = names.iter().zip(slots).enumerate().map(|(index, (name, slot))| {
            let field = u16::try_from(index).ok().map(FieldId);
            ((*name).into(), Slot { field, ..slot })
        });
        named.collect()
    };
    let object = |phone| {
        Node::Object(ObjectNode {
            members: members(phone),
            record: Some(RecordId(0)),
            unmasks: false,
        })
    };
    let nodes = vec![
        Node::Array(Slot::of(Verdict::Enter(NodeId(1)))),
        object(mask(Kind::Phone)),
        object(clear),
    ];
    let record = RecordPlan {
        entity: "customer".into(),
        subject: Some(0),
        captures: 2,
        cases: vec![Some(NodeId(1)), Some(NodeId(2))],
        assumed: 0,
        taking: 0,
    };
    let fields = names.iter().map(|name| format!("customer.{name}").into()).collect();
    Plan {
        nodes,
        root: Slot::of(Verdict::Enter(NodeId(0))),
        records: vec![record],
        fields,
        ..Plan::nothing()
    }
}
