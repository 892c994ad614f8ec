//! How fast the filters are, beside decoding, editing and encoding a tree in the same run.
//!
//! `cargo bench --bench filter` prints GB/s of input on one core: the best of several runs over
//! about 10 MB, customers of 20 fields of which three are left out and three masked, as a JSON array,
//! one a line, and as CSV. With `--profile` it only runs the JSON filter, for a profiler to watch.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use menshen::guard::csv;
use menshen::guard::json::{Caps, Filter, Hooks, Mode, Outgoing, Take};
use menshen::guard::mask::mask;
use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{
    DetectId, Detection, FieldId, Node, NodeId, ObjectNode, OnHit, Plan, RecordId, RecordPlan,
    Slot, Sought, Verdict,
};
use menshen::policy::value::Value;

const BODY_BYTES: usize = 10_000_000;
const RUNS: usize = 15;
const CHUNK_BYTES: usize = 16 * 1024;

const MASKED: &[(&str, Kind)] =
    &[("phone", Kind::Phone), ("email", Kind::Email), ("resident_id", Kind::CnResidentId)];
const DROPPED: &[&str] = &["password_hash", "internal_note", "risk_score"];
const CLEAR: &[&str] = &[
    "name",
    "branch",
    "city",
    "street",
    "postcode",
    "country",
    "segment",
    "language",
    "opened_at",
    "updated_at",
    "balance",
    "currency",
    "active",
    "remark",
];

struct Teller;

impl Hooks for Teller {
    fn case(&mut self, _: RecordId, _: &[Option<Value>]) -> usize {
        0
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        black_box(record);
        Take::Release
    }

    fn pseudonym(&mut self, _: &str, text: &str) -> String {
        text.to_owned()
    }
}

fn main() {
    let body = customers();
    let megabytes = body.len() as f64 / 1e6;
    println!("{megabytes:.1} MB, 20 fields a record, 3 left out, 3 masked; best of {RUNS} runs");
    let plan = Arc::new(plan());
    if std::env::args().any(|argument| argument == "--profile") {
        for _ in 0..40 {
            rate(body.len(), || filter_through(&plan, &body, CHUNK_BYTES));
        }
        return;
    }
    let wanted = tree(&body);
    for (label, size) in [("whole", body.len()), ("16 KiB chunks", CHUNK_BYTES)] {
        let got: serde_json::Value =
            serde_json::from_slice(&filter(&plan, &body, size)).expect("the output is JSON");
        assert!(got == serde_json::from_slice::<serde_json::Value>(&wanted).expect("JSON"));
        let kept = rate(body.len(), || drop(black_box(filter_pieces(&plan, &body, size))));
        println!("{:<28}{kept:>7.2} GB/s, its output kept", format!("filter, {label}"));
        let sent = rate(body.len(), || filter_through(&plan, &body, size));
        println!("{:<28}{sent:>7.2} GB/s", format!("filter, {label}"));
    }
    let lines = lines(&body);
    let rate_of_lines = rate(lines.len(), || drop(black_box(filter_lines(&plan, &lines))));
    println!("{:<28}{rate_of_lines:>7.2} GB/s", "NDJSON, 16 KiB chunks");
    let table = table();
    let rate_of_table = rate(table.len(), || drop(black_box(filter_table(&plan, &table))));
    println!("{:<28}{rate_of_table:>7.2} GB/s", "CSV, 16 KiB chunks");
    let clear = Arc::new(all_clear());
    let rate_of_clear = rate(table.len(), || drop(black_box(filter_table(&clear, &table))));
    println!("{:<28}{rate_of_clear:>7.2} GB/s", "CSV, all in clear");
    let passing = rate(body.len(), || drop(black_box(filter_pieces(&clear, &body, CHUNK_BYTES))));
    println!("{:<28}{passing:>7.2} GB/s", "filter, all in clear");
    let searched = Arc::new(searched());
    let looking =
        rate(body.len(), || drop(black_box(filter_pieces(&searched, &body, CHUNK_BYTES))));
    println!("{:<28}{looking:>7.2} GB/s", "all in clear, detector on");
    let ours = rate(body.len(), || drop(black_box(filter_pieces(&plan, &body, body.len()))));
    let theirs = rate(body.len(), || drop(black_box(tree(&body))));
    println!("{:<28}{theirs:>7.2} GB/s", "serde_json::Value");
    println!("{:<28}{:>7.1} times", "filter over serde_json", ours / theirs);
}

/// Input bytes per nanosecond in the fastest run.
fn rate(bytes: usize, run: impl Fn()) -> f64 {
    let fastest = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    bytes as f64 / fastest.min().expect("at least one run").as_secs_f64() / 1e9
}

fn filter(plan: &Arc<Plan>, body: &Bytes, size: usize) -> Vec<u8> {
    filter_pieces(plan, body, size).concat()
}

fn filter_pieces(plan: &Arc<Plan>, body: &Bytes, size: usize) -> Vec<Bytes> {
    drive(Filter::new(plan.clone(), Caps::default(), Mode::Drop, Teller), body, size)
}

fn filter_lines(plan: &Arc<Plan>, body: &Bytes) -> Vec<Bytes> {
    drive(Filter::lines(plan.clone(), Caps::default(), Teller), body, CHUNK_BYTES)
}

fn filter_table(plan: &Arc<Plan>, body: &Bytes) -> Vec<Bytes> {
    let mut filter = csv::Filter::new(plan.clone(), Caps::default(), Teller);
    let mut output = Vec::new();
    for chunk in body.chunks(CHUNK_BYTES) {
        filter.push(chunk).expect("the body is valid");
        output.extend(filter.take_output());
    }
    filter.finish().expect("the body is complete");
    output.extend(filter.take_output());
    output
}

fn drive(mut filter: Filter<Teller>, body: &Bytes, size: usize) -> Vec<Bytes> {
    let mut output = Vec::new();
    for start in (0..body.len()).step_by(size) {
        let chunk = body.slice(start..body.len().min(start + size));
        filter.push(chunk).expect("the body is valid");
        output.extend(filter.take_output());
    }
    filter.finish().expect("the body is complete");
    output.extend(filter.take_output());
    output
}

/// Like the gate, which lets go of what was sent.
fn filter_through(plan: &Arc<Plan>, body: &Bytes, size: usize) {
    let mut filter = Filter::new(plan.clone(), Caps::default(), Mode::Drop, Teller);
    for start in (0..body.len()).step_by(size) {
        filter.push(body.slice(start..body.len().min(start + size))).expect("the body is valid");
        drop(black_box(filter.take_output()));
    }
    filter.finish().expect("the body is complete");
    drop(black_box(filter.take_output()));
}

/// The same with a tree: what one writes without a filter.
fn tree(body: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    for record in value.as_array_mut().expect("an array") {
        let record = record.as_object_mut().expect("an object");
        for name in DROPPED {
            record.remove(*name);
        }
        for (name, kind) in MASKED {
            if let Some(value) = record.get_mut(*name) {
                *value = mask(Mask::of(*kind), value.as_str().unwrap_or_default()).into();
            }
        }
    }
    serde_json::to_vec(&value).expect("JSON")
}

fn plan() -> Plan {
    let field = |index: usize, verdict| Slot {
        field: u16::try_from(index).ok().map(FieldId),
        ..Slot::of(verdict)
    };
    let mut fields: Vec<Box<str>> = vec!["customer.id".into()];
    let mut members: Vec<(Box<str>, Slot)> =
        vec![("id".into(), Slot { capture: Some(0), ..field(0, Verdict::Clear) })];
    for name in CLEAR {
        members.push(((*name).into(), field(fields.len(), Verdict::Clear)));
        fields.push(format!("customer.{name}").into());
    }
    for (name, kind) in MASKED {
        let slot = Slot { mask: Some(Mask::of(*kind)), ..field(fields.len(), Verdict::Mask) };
        members.push(((*name).into(), slot));
        fields.push(format!("customer.{name}").into());
    }
    for name in DROPPED {
        members.push(((*name).into(), field(fields.len(), Verdict::Absent)));
        fields.push(format!("customer.{name}").into());
    }
    let nodes = vec![
        Node::Array(Slot::of(Verdict::Enter(NodeId(1)))),
        Node::Object(ObjectNode { members, record: Some(RecordId(0)), unmasks: false }),
    ];
    let record = RecordPlan {
        entity: "customer".into(),
        subject: Some(0),
        captures: 1,
        cases: vec![Some(NodeId(1))],
        assumed: 0,
        taking: 0,
    };
    Plan {
        nodes,
        root: Slot::of(Verdict::Enter(NodeId(0))),
        records: vec![record],
        fields,
        detections: vec![],
    }
}

/// The same with every field in clear.
fn all_clear() -> Plan {
    let mut plan = plan();
    if let Some(Node::Object(object)) = plan.nodes.get_mut(1) {
        for (_, slot) in &mut object.members {
            slot.verdict = Verdict::Clear;
        }
    }
    plan
}

/// The same, with everything looked for in every field; what is found is only told.
fn searched() -> Plan {
    const KINDS: [Kind; 8] = [
        Kind::BankCard,
        Kind::BankAccount,
        Kind::CnResidentId,
        Kind::KrResidentNumber,
        Kind::ThNationalId,
        Kind::IdNik,
        Kind::Phone,
        Kind::Email,
    ];
    let mut plan = all_clear();
    let sought = |kind: &Kind| Sought { mask: Mask::of(*kind), on_hit: OnHit::Alert };
    let sought = KINDS.iter().map(sought).collect();
    plan.detections.push(Detection { name: "customer.any".into(), sought });
    if let Some(Node::Object(object)) = plan.nodes.get_mut(1) {
        for (_, slot) in &mut object.members {
            slot.detect = Some(DetectId(0));
        }
    }
    plan
}

/// The customers of a compact array, one a line.
fn lines(array: &Bytes) -> Bytes {
    let text = std::str::from_utf8(array).expect("UTF-8");
    let text = text.trim_start_matches('[').trim_end_matches(']');
    Bytes::from(text.replace("},{", "}\n{") + "\n")
}

/// The same customers as CSV.
fn table() -> Bytes {
    let names = ["张三丰", "Budi Santoso", "สมชาย ใจดี", "김민용", "Alice Smith"];
    let mut body = String::from(concat!(
        "id,name,phone,email,resident_id,password_hash,branch,city,street,postcode,country,segment,language,",
        "opened_at,updated_at,balance,currency,active,internal_note,risk_score,remark\r\n"
    ));
    let mut number = 0;
    while body.len() < BODY_BYTES {
        let name = names.get(number % names.len()).expect("a name");
        body.push_str(&format!(
            concat!(
                "C{n:07},{name},138{n:08},user{n}@example.com,1101011990{n:08},",
                "$argon2id$v=19$m=65536$c29tZXNhbHQ$RdescudvJCsgt3ub+b27Ce{n:08},",
                "BJ-{b:03},Beijing,Jianguo Road {n},100020,CN,retail,zh-CN,",
                "2019-04-0{d}T08:15:00Z,2026-01-1{d}T12:30:45Z,{n}.25,CNY,true,",
                "\"called twice, wants \"\"gold\"\" status\",0.{n}1,prefers to be called in the morning\r\n"
            ),
            n = number,
            name = name,
            b = number % 500,
            d = number % 9 + 1,
        ));
        number += 1;
    }
    Bytes::from(body)
}

fn customers() -> Bytes {
    let mut body = String::from("[");
    let names = ["张三丰", "Budi Santoso", "สมชาย ใจดี", "김민용", "Alice Smith"];
    let mut number = 0;
    while body.len() < BODY_BYTES {
        let name = names.get(number % names.len()).expect("a name");
        if number > 0 {
            body.push(',');
        }
        body.push_str(&format!(
            concat!(
                r#"{{"id":"C{n:07}","name":"{name}","phone":"138{n:08}","email":"user{n}@example.com","#,
                r#""resident_id":"1101011990{n:08}","password_hash":"$argon2id$v=19$m=65536$c29tZXNhbHQ$RdescudvJCsgt3ub+b27Ce{n:08}","#,
                r#""branch":"BJ-{b:03}","city":"Beijing","street":"Jianguo Road {n}","postcode":"100020","country":"CN","#,
                r#""segment":"retail","language":"zh-CN","opened_at":"2019-04-0{d}T08:15:00Z","updated_at":"2026-01-1{d}T12:30:45Z","#,
                r#""balance":{n}.25,"currency":"CNY","active":true,"#,
                r#""internal_note":"called twice, wants \"gold\" status","risk_score":0.{n}1,"#,
                r#""remark":"prefers to be called in the morning"}}"#
            ),
            n = number,
            name = name,
            b = number % 500,
            d = number % 9 + 1,
        ));
        number += 1;
    }
    body.push(']');
    Bytes::from(body)
}
