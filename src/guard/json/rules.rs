//! Tests: what JSON is, and each rule of a plan by an example.

use std::sync::Arc;

use bytes::Bytes;

use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{
    DetectId, Detection, FieldId, Node, NodeId, ObjectNode, OnHit, Plan, RecordId, RecordPlan,
    Slot, Sought, Verdict,
};
use crate::policy::value::Value;

use super::{Caps, Cause, Fault, Filter, Hooks, Mode, Outgoing, Report, Take};

/// Hooks for tests: the case is 1 if the first capture is `"shut"`, and the first `room` subjects pass.
#[derive(Debug, Default)]
pub(in crate::guard) struct Desk {
    pub(in crate::guard) room: usize,
    pub(in crate::guard) taken: Vec<Outgoing>,
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

pub(in crate::guard) fn desk() -> Desk {
    Desk { room: usize::MAX, taken: Vec::new() }
}

pub(super) type Outcome = Result<(String, Report), Fault>;

/// Filters a body given in pieces.
pub(super) fn run<'a>(
    plan: &Arc<Plan>,
    caps: Caps,
    mode: Mode,
    room: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    drive(&mut Filter::new(plan.clone(), caps, mode, Desk { room, taken: Vec::new() }), pieces)
}

/// Gives a filter a body in pieces, and takes after each what may go out.
pub(super) fn drive<'a>(
    filter: &mut Filter<Desk>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut output = Vec::new();
    for piece in pieces {
        filter.push(Bytes::copy_from_slice(piece))?;
        output.extend(filter.take_output().concat());
    }
    filter.finish()?;
    output.extend(filter.take_output().concat());
    let report = filter.report().clone();
    Ok((String::from_utf8(output).unwrap(), report))
}

/// The records that were counted while a body was filtered.
pub(super) fn taken(plan: &Arc<Plan>, room: usize, body: &[u8]) -> Vec<Outgoing> {
    let mut filter = Filter::new(plan.clone(), Caps::default(), Mode::Drop, desk());
    filter.hooks_mut().room = room;
    filter.push(Bytes::copy_from_slice(body)).and_then(|()| filter.finish()).unwrap();
    filter.hooks().taken.clone()
}

/// Filters a body whole, byte by byte, and in sevens; all must agree.
pub(super) fn filter(plan: &Arc<Plan>, mode: Mode, room: usize, body: &[u8]) -> Outcome {
    let caps = Caps::default();
    let whole = run(plan, caps, mode, room, [body]);
    for size in [1, 2, 7] {
        assert_eq!(run(plan, caps, mode, room, body.chunks(size)), whole, "in pieces of {size}");
    }
    whole
}

pub(in crate::guard) fn slot(verdict: Verdict) -> Slot {
    Slot::of(verdict)
}

pub(in crate::guard) fn enter(node: u32) -> Slot {
    slot(Verdict::Enter(NodeId(node)))
}

pub(in crate::guard) fn object(members: &[(&str, Slot)]) -> Node {
    let members = members.iter().map(|(name, slot)| ((*name).into(), *slot)).collect();
    Node::Object(ObjectNode { members, ..ObjectNode::default() })
}

pub(in crate::guard) fn record(id: u16, members: &[(&str, Slot)]) -> Node {
    let members = members.iter().map(|(name, slot)| ((*name).into(), *slot)).collect();
    Node::Object(ObjectNode { members, record: Some(RecordId(id)), unmasks: false })
}

fn plan(root: Slot, nodes: Vec<Node>, records: Vec<RecordPlan>) -> Arc<Plan> {
    Arc::new(Plan {
        nodes,
        root,
        records,
        fields: vec!["customer.phone".into()],
        detections: vec![],
    })
}

fn phone(verdict: Verdict) -> Slot {
    Slot { field: Some(FieldId(0)), mask: Some(Mask::of(Kind::Phone)), ..slot(verdict) }
}

/// Anything with the members `a` and `phone`, at the root or in arrays.
fn simple() -> Arc<Plan> {
    let clear = slot(Verdict::Clear);
    plan(
        enter(0),
        vec![
            object(&[
                ("a", clear),
                ("phone", phone(Verdict::Mask)),
                ("ref", phone(Verdict::Pseudonym)),
                ("o", enter(0)),
                ("l", enter(1)),
            ]),
            Node::Array(clear),
        ],
        Vec::new(),
    )
}

fn out(plan: &Arc<Plan>, body: &str) -> String {
    filter(plan, Mode::Drop, usize::MAX, body.as_bytes()).unwrap().0
}

fn cause(plan: &Arc<Plan>, mode: Mode, body: &[u8]) -> Cause {
    filter(plan, mode, usize::MAX, body).unwrap_err().cause
}

#[test]
fn what_is_not_listed_vanishes_with_its_comma() {
    let plan = simple();
    let table = [
        (r#"{"a":1,"x":2}"#, r#"{"a":1}"#),
        (r#"{"x":2,"a":1}"#, r#"{"a":1}"#),
        (r#"{"x":2,"a":1,"y":[{"a":1}],"a":3}"#, r#"{"a":1,"a":3}"#),
        (r#"{"x":2}"#, "{}"),
        (r#"{ "x" : 2 , "a" : 1 , "y" : 3 }"#, r#"{ "a" : 1 }"#),
        (
            "{\n  \"a\": 1,\n  \"x\": 2,\n  \"l\": [1, 2]\n}\n",
            "{\n  \"a\": 1,\n  \"l\": [1, 2]\n}\n",
        ),
        ("{\n  \"x\": 1,\n  \"a\": 2\n}", "{\n  \"a\": 2\n}"),
        ("{ }", "{ }"),
        (r#"{"l":[ ]}"#, r#"{"l":[ ]}"#),
        (r#"{"l":[1,[2],{"a":3},"4"]}"#, r#"{"l":[1,"4"]}"#),
        (r#"{"l":[[2],3 , {}]}"#, r#"{"l":[3]}"#),
        ("{\n  \"a\": 1,\n  \"x\": 2\n}", "{\n  \"a\": 1\n}"),
        ("{\n  \"x\": 1\n}", "{}"),
        ("{\"l\":[1\n,{}\n,[]\n,2\n,{}\n,[]]}", "{\"l\":[1\n,2]}"),
        ("{\"l\":[\n  {},\n  1,\n  {},\n  2,\n  {}\n]}", "{\"l\":[\n  1,\n  2\n]}"),
        // A blank behind a comma does not tell that something stood before it.
        (r#"{"x": 2, "a": 1, "a": 3}"#, r#"{"a": 1, "a": 3}"#),
        (r#"{"l":[{}, [], 1, 2]}"#, r#"{"l":[1, 2]}"#),
        ("{ \"x\":[ 1,2],\"a\":1}", "{ \"a\":1}"),
        ("{\"l\":[\t{\"a\":[ 1 ]}\n, 1]}", "{\"l\":[\t1]}"),
    ];
    for (body, wanted) in table {
        assert_eq!(out(&plan, body), wanted, "{body}");
    }
}

#[test]
fn allowed_values_pass_byte_for_byte() {
    let body = r#"{"a":1.0e+5 , "a":"\u00e9\/\ud800é😀" ,"a":-0.0,"l":[1E2,true,null,123456789012345678901234567890]}"#;
    assert_eq!(out(&simple(), body), body);
}

/// Members `a` and `b`, the elements of `l` and what stands at the root, all looked through.
fn searched(on_hit: OnHit) -> Arc<Plan> {
    let sought = |kind| Sought { mask: Mask::of(kind), on_hit };
    let sought = vec![sought(Kind::BankCard), sought(Kind::Email)];
    let clear = Slot { detect: Some(DetectId(0)), ..slot(Verdict::Clear) };
    let named = Slot { field: Some(FieldId(0)), ..clear };
    Arc::new(Plan {
        nodes: vec![
            object(&[("a", named), ("b", slot(Verdict::Clear)), ("l", enter(1))]),
            Node::Array(clear),
        ],
        root: enter(0),
        records: vec![],
        fields: vec!["customer.note".into()],
        detections: vec![Detection { name: "customer.note".into(), sought }],
    })
}

#[test]
fn what_is_found_is_masked_or_left_out_with_its_name_at_any_split() {
    let masked = searched(OnHit::Mask);
    let withheld = searched(OnHit::Withhold);
    let alerted = searched(OnHit::Alert);
    let card = "4111111111111111";
    for (body, when_masked, when_withheld) in [
        (
            r#"{"a":"x 4111 1111 1111 1111","b":1}"#,
            r#"{"a":"x ************1111","b":1}"#,
            r#"{"b":1}"#,
        ),
        (
            r#"{"b":1,"a":4111111111111111,"b":2}"#,
            r#"{"b":1,"a":"************1111","b":2}"#,
            r#"{"b":1,"b":2}"#,
        ),
        (
            r#"{ "a" : "\u0061@b.cn" , "b" : 1 }"#,
            r#"{ "a" : "*@b.cn" , "b" : 1 }"#,
            r#"{ "b" : 1 }"#,
        ),
        (
            r#"{"l":["x","4111111111111111",4.111111111111111e15]}"#,
            r#"{"l":["x","************1111","************1111"]}"#,
            r#"{"l":["x"]}"#,
        ),
        (
            r#"{"l":["4111111111111111","x"]}"#,
            r#"{"l":["************1111","x"]}"#,
            r#"{"l":["x"]}"#,
        ),
        (r#"{"a":"\ud8004111111111111111"}"#, "{\"a\":\"\u{fffd}************1111\"}", "{}"),
        (
            r#"{"a":"4111111111111112","b":"\u0034"}"#,
            r#"{"a":"4111111111111112","b":"\u0034"}"#,
            r#"{"a":"4111111111111112","b":"\u0034"}"#,
        ),
        (
            r#"{"a":true,"a":null,"a":"\ud800"}"#,
            r#"{"a":true,"a":null,"a":"\ud800"}"#,
            r#"{"a":true,"a":null,"a":"\ud800"}"#,
        ),
    ] {
        assert_eq!(out(&masked, body), when_masked, "{body}");
        assert_eq!(out(&withheld, body), when_withheld, "{body}");
        assert_eq!(out(&alerted, body), body, "{body}");
    }
    let report = filter(&masked, Mode::Drop, 0, format!(r#"{{"a":"{card}","a":"x"}}"#).as_bytes())
        .unwrap()
        .1;
    assert_eq!(
        report.detected.into_iter().collect::<Vec<_>>(),
        [((DetectId(0), Kind::BankCard), 1)]
    );
    assert_eq!((report.fields[0].masked, report.fields[0].clear), (1, 1));
}

#[test]
fn a_body_with_a_value_where_none_of_its_kind_belongs_is_refused() {
    let plan = searched(OnHit::Refuse);
    for body in [
        r#"{"a":"4111111111111111"}"#,
        r#"{"a":4111111111111111}"#,
        r#"{"a":"\u0034111-1111-1111-1111"}"#,
    ] {
        let wanted = Cause::Detected { field: "customer.note".to_owned(), kind: "bank-card" };
        assert_eq!(cause(&plan, Mode::Refuse, body.as_bytes()), wanted, "{body}");
    }
    let harmless = r#"{"a":"4111111111111112","b":"4111111111111111"}"#;
    assert_eq!(filter(&plan, Mode::Refuse, 0, harmless.as_bytes()).unwrap().0, harmless);
}

#[test]
fn a_value_too_long_to_be_looked_through_refuses_the_body() {
    let plan = searched(OnHit::Alert);
    let long = format!(r#"{{"a":"x","a":"{}"}}"#, "x".repeat(Caps::default().value_bytes + 1));
    assert!(matches!(cause(&plan, Mode::Drop, long.as_bytes()), Cause::ValueTooLong { .. }));
}

#[test]
fn names_are_compared_unescaped() {
    let plan = simple();
    assert_eq!(out(&plan, r#"{"\u0070hone":"13812345678"}"#), r#"{"\u0070hone":"138****5678"}"#);
    assert_eq!(out(&plan, r#"{"\u0061":1,"a\u0000":2,"A":3}"#), r#"{"\u0061":1}"#);
}

#[test]
fn a_container_at_a_scalars_place_and_a_scalar_at_a_containers_place_are_withheld() {
    let plan = simple();
    assert_eq!(out(&plan, r#"{"a":{"a":1},"phone":["13812345678"],"ref":{}}"#), "{}");
    assert_eq!(out(&plan, r#"{"o":5,"l":"x","o":[1],"l":{"a":1}}"#), "{}");
    assert_eq!(out(&plan, r#"{"o":null,"l":null,"a":null}"#), r#"{"o":null,"l":null,"a":null}"#);
}

#[test]
fn masked_values_and_pseudonyms_are_valid_json_and_null_stays_null() {
    let plan = simple();
    assert_eq!(
        out(&plan, r#"{"phone":13812345678,"ref":true}"#),
        r#"{"phone":"138****5678","ref":"p~customer.phone~4"}"#
    );
    assert_eq!(out(&plan, r#"{"phone":null,"ref":null}"#), r#"{"phone":null,"ref":null}"#);
    assert_eq!(
        out(&plan, r#"{"phone":"\ud8001","ref":"\ud8001"}"#),
        r#"{"phone":"***","ref":"***"}"#
    );
    assert_eq!(out(&plan, r#"{"phone":"\u00313812345678"}"#), r#"{"phone":"138****5678"}"#);
}

#[test]
fn the_report_counts_fates_and_unlisted_names_without_values() {
    let body =
        r#"{"phone":"1","phone":{},"ref":"2","balance":3,"13812345678":4,"o":{"phone":[1]}}"#;
    let (_, report) = filter(&simple(), Mode::Drop, 0, body.as_bytes()).unwrap();
    let count = report.fields[0];
    assert_eq!((count.clear, count.masked, count.pseudonym, count.withheld), (0, 1, 1, 2));
    assert_eq!(report.unlisted_members, 2);
    assert_eq!(report.unlisted_names.into_iter().collect::<Vec<_>>(), ["balance"]);
    assert_eq!(report.bytes_in, body.len() as u64);
}

const VALID: &[&str] = &[
    "{}",
    " { } ",
    "[]",
    "null",
    "0",
    "-0",
    "-0.5e-7",
    "1E+2",
    "\"\"",
    "true",
    "false",
    r#"["\"\\\/\b\f\n\r\t\u12aF"]"#,
    "[[[[]]]]",
    "\"\u{7f}\u{2028}\"",
    r#"{"":0}"#,
    r#"{"a":{"b":[1,2,{"c":null}]}}"#,
    "[1 , 2]",
    "\t[\r\n]\n",
];

const INVALID: &[&[u8]] = &[
    b"",
    b" ",
    b"{",
    b"[",
    b"}",
    b"]",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1}",
    b"{]",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":1,}",
    b"{,\"a\":1}",
    b"{a:1}",
    b"{\"a\":1 \"b\":2}",
    b"{1:2}",
    b"{'a':1}",
    b"01",
    b"-",
    b"+1",
    b".5",
    b"1.",
    b"1e",
    b"1e+",
    b"--1",
    b"0x1",
    b"1a",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"tru",
    b"truE",
    b"nul",
    b"nulll",
    b"True",
    b"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\x\"",
    b"\"\\u12g4\"",
    b"\"\\u123\"",
    b"\"\n\"",
    b"\"\x00\"",
    b"\"\x1f\"",
    b"'a'",
    b"{} {}",
    b"{}x",
    b"1 2",
    b"[]]",
    b"{\"a\":1}}",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe[\x00]\x00",
    b"[\"\xff\"]",
    b"[\"\xc0\xaf\"]",
    b"[\"\xed\xa0\x80\"]",
    b"[\"\xe4\xbd\"]",
    b"\xe4\xbd",
    b"[\x0b]",
    b"[\xc2\xa0]",
    b"// no\n{}",
    b"{}/**/",
    b"[1,,2]",
    b"{\"a\"::1}",
    b"{\"a\":1:2}",
    b"[:]",
    b"{\"a\" 1}",
    b"\x00",
    b"[-]",
    b"[1.e1]",
    b"[1e1.5]",
    b"[00]",
    b"{\"\\ud800\":1}",
    b"{\"\\udc00a\":1}",
];

#[test]
fn every_valid_document_passes_and_every_invalid_one_is_refused() {
    let plan = simple();
    for body in VALID {
        assert!(filter(&plan, Mode::Drop, 0, body.as_bytes()).is_ok(), "{body}");
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    }
    for body in INVALID {
        assert!(filter(&plan, Mode::Drop, 0, body).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn faults_name_their_cause_and_place() {
    let plan = simple();
    let at = |body: &[u8]| filter(&plan, Mode::Drop, 0, body).unwrap_err();
    assert_eq!(at(b""), Cause::Empty.at(0));
    assert_eq!(at(b"{\"a\":"), Cause::Truncated.at(5));
    assert_eq!(at(b"\xef\xbb\xbf{}"), Cause::ByteOrderMark.at(0));
    assert_eq!(at(b"[1,]"), Cause::TrailingComma.at(3));
    assert_eq!(at(b"{} {}"), Cause::TrailingBytes.at(3));
    assert_eq!(at(b"[\"a\xe4\xbd\"]"), Cause::InvalidUtf8.at(3));
    assert_eq!(at(b"[\"\\q\xff\"]"), Cause::BadEscape.at(3));
    assert_eq!(at(b"{\"\\ud800\":1}"), Cause::LoneSurrogateInKey.at(8));
    assert_eq!(at(b"[trux]"), Cause::BadLiteral.at(4));
    assert_eq!(at(b"[-]"), Cause::BadNumber.at(2));
}

#[test]
fn a_filter_that_met_a_fault_stays_refused_and_gives_nothing_more() {
    let mut filter = Filter::new(simple(), Caps::default(), Mode::Drop, desk());
    let fault = filter.push(Bytes::from_static(b"{\"a\":1,]")).unwrap_err();
    assert_eq!(filter.take_output().concat(), b"");
    assert_eq!(filter.push(Bytes::from_static(b"}")).unwrap_err(), fault);
    assert_eq!(filter.finish().unwrap_err(), fault);
}

#[test]
fn no_value_is_told_by_debug() {
    let mut filter = Filter::new(customers(), Caps::default(), Mode::Drop, desk());
    filter.push(Bytes::from_static(br#"[{"id":"Alice","phone":"1381234"#)).unwrap();
    let told = format!("{filter:?}");
    assert!(!told.contains("Alice") && !told.contains("138"), "{told}");
}

#[test]
fn every_cap_holds_to_the_byte() {
    let nothing = Arc::new(Plan::nothing());
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(filter(&nothing, Mode::Drop, 0, deep(64).as_bytes()).is_ok());
    assert_eq!(cause(&nothing, Mode::Drop, deep(65).as_bytes()), Cause::TooDeep { cap: 64 });
    let key = |bytes: usize| format!("{{\"{}\":1}}", "k".repeat(bytes));
    assert!(filter(&nothing, Mode::Drop, 0, key(1024).as_bytes()).is_ok());
    assert_eq!(
        filter(&nothing, Mode::Drop, 0, key(1025).as_bytes()).unwrap_err(),
        Cause::KeyTooLong { cap: 1024 }.at(1026)
    );
    let number = |bytes: usize| format!("[{}]", "1".repeat(bytes));
    assert!(filter(&nothing, Mode::Drop, 0, number(256).as_bytes()).is_ok());
    assert_eq!(
        filter(&nothing, Mode::Drop, 0, number(257).as_bytes()).unwrap_err(),
        Cause::NumberTooLong { cap: 256 }.at(257)
    );
    let value = |bytes: usize| format!("{{\"phone\":\"{}\"}}", "1".repeat(bytes));
    assert_eq!(out(&simple(), &value(65536)), "{\"phone\":\"***\"}");
    assert_eq!(
        filter(&simple(), Mode::Drop, 0, value(65537).as_bytes()).unwrap_err(),
        Cause::ValueTooLong { cap: 65536 }.at(10 + 65536)
    );
    let clear = format!("{{\"a\":\"{}\"}}", "1".repeat(100_000));
    assert_eq!(out(&simple(), &clear), clear);
}

#[test]
fn long_white_space_is_left_out() {
    let plan = simple();
    let space = |count: usize| " ".repeat(count);
    let body = |count: usize| format!("{{{0}\"a\"{0}:{0}1{0},{0}\"l\":[{0}]{0}}}{0}", space(count));
    assert_eq!(out(&plan, &body(4096)), body(4096));
    assert_eq!(out(&plan, &body(4097)), body(0));
}

#[test]
fn white_space_is_counted_alike_in_members_that_come_as_expected() {
    let plan = simple();
    let place = |at: usize, gap: usize| {
        let mut gaps = [""; 5].map(str::to_owned);
        gaps[at] = " ".repeat(gap);
        let [name, colon, value, behind, comma] = gaps;
        let one = |number: usize| format!("{name}\"a\"{colon}:{value}{number}{behind}");
        format!("{{{},{comma}{},{comma}\"l\":{value}[1]}}", one(1), one(2))
    };
    for at in 0..5 {
        // The first time teaches the order of the names.
        for _ in 0..2 {
            assert_eq!(out(&plan, &place(at, 4096)), place(at, 4096), "{at}");
            assert_eq!(out(&plan, &place(at, 4097)), place(at, 0), "{at}");
        }
    }
}

#[test]
fn a_root_that_does_not_pass_gives_nothing() {
    let nothing = Arc::new(Plan::nothing());
    for body in ["{\"a\":1}", "[1,2]", "1", "\"x\"", "null"] {
        let (output, report) = filter(&nothing, Mode::Drop, 0, body.as_bytes()).unwrap();
        assert_eq!(output, "");
        assert!(report.root_withheld);
    }
    let (output, report) = filter(&simple(), Mode::Drop, 0, b" {} ").unwrap();
    assert_eq!((output.as_str(), report.root_withheld), (" {} ", false));
    assert_eq!(out(&plan(slot(Verdict::Clear), vec![], vec![]), " 12.5e1 "), " 12.5e1 ");
    assert_eq!(out(&plan(phone(Verdict::Mask), vec![], vec![]), "13812345678"), "\"138****5678\"");
}

/// An array of customers: captured `state` and `id`; shut ones are withheld, half ones show less.
pub(in crate::guard) fn customers() -> Arc<Plan> {
    let clear = slot(Verdict::Clear);
    let state = Slot { capture: Some(0), ..clear };
    let id = Slot { capture: Some(1), ..clear };
    let full =
        [("state", state), ("id", id), ("phone", phone(Verdict::Clear)), ("orders", enter(3))];
    let half =
        [("state", state), ("id", id), ("phone", phone(Verdict::Mask)), ("orders", enter(3))];
    let order = [("state", state), ("sum", clear)];
    let order_half = [("state", state), ("sum", slot(Verdict::Absent))];
    plan(
        enter(0),
        vec![
            Node::Array(enter(1)),
            record(0, &full),
            record(0, &half),
            Node::Array(enter(4)),
            record(1, &order),
            record(1, &order_half),
        ],
        vec![
            RecordPlan {
                entity: "customer".into(),
                subject: Some(1),
                captures: 2,
                cases: vec![Some(NodeId(1)), None, Some(NodeId(2)), None],
                assumed: 0,
                taking: 0,
            },
            RecordPlan {
                entity: "order".into(),
                subject: None,
                captures: 1,
                cases: vec![Some(NodeId(4)), None, Some(NodeId(5)), None],
                assumed: 0,
                taking: 0,
            },
        ],
    )
}

#[test]
fn a_row_that_its_conditions_withhold_vanishes_with_its_comma() {
    let body = r#"[ {"id":1,"state":"shut","phone":"13812345678"} , {"id":2,"state":"open"}, {"state":"shut"}, {"id":3,"state":"open"},{"id":4}]"#;
    let (output, report) = filter(&customers(), Mode::Drop, 9, body.as_bytes()).unwrap();
    assert_eq!(output, r#"[ {"id":2,"state":"open"}, {"id":3,"state":"open"}]"#);
    assert_eq!((report.records_released, report.records_withheld), (2, 3));
    assert_eq!(report.fields[0].clear, 0);
}

#[test]
fn a_row_whose_conditions_call_for_other_rules_is_read_again_with_them() {
    let body = r#"[{"phone":"13812345678","id":1,"state":"half"},{"phone":"13812345678","id":2,"state":"open"}]"#;
    let (output, report) = filter(&customers(), Mode::Drop, 9, body.as_bytes()).unwrap();
    assert_eq!(
        output,
        r#"[{"phone":"138****5678","id":1,"state":"half"},{"phone":"13812345678","id":2,"state":"open"}]"#
    );
    assert_eq!((report.fields[0].clear, report.fields[0].masked), (1, 1));
}

#[test]
fn records_inside_records_are_judged_likewise() {
    let body = r#"[{"orders":[{"sum":1,"state":"half"},{"sum":2,"state":"shut"},{"sum":3,"state":"open"}],"phone":"13812345678","id":1,"state":"half"}]"#;
    let (output, report) = filter(&customers(), Mode::Drop, 9, body.as_bytes()).unwrap();
    assert_eq!(
        output,
        r#"[{"orders":[{"state":"half"},{"sum":3,"state":"open"}],"phone":"138****5678","id":1,"state":"half"}]"#
    );
    assert_eq!((report.records_released, report.records_withheld), (3, 1));
}

#[test]
fn a_record_without_its_subject_is_withheld() {
    for id in ["", r#","id":null"#, r#","id":[1]"#, r#","id":"""#, r#","id":1.5"#, r#","id":true"#]
    {
        let body = format!(r#"[{{"state":"open"{id}}},{{"id":"x","state":"open"}}]"#);
        let (output, report) = filter(&customers(), Mode::Drop, 9, body.as_bytes()).unwrap();
        assert_eq!(output, r#"[{"id":"x","state":"open"}]"#);
        assert_eq!((report.records_released, report.records_without_subject), (1, 1));
    }
}

#[test]
fn behind_a_limit_nothing_more_goes_out_and_the_array_ends_well() {
    let body = r#"[{"id":1,"state":"open"}, {"id":2,"state":"open"}, {"id":3,"state":"open"},{"id":4,"state":"shut"}]"#;
    let (output, report) = filter(&customers(), Mode::Drop, 1, body.as_bytes()).unwrap();
    assert_eq!(output, r#"[{"id":1,"state":"open"}]"#);
    assert!(report.limited);
    assert_eq!(
        (report.records_released, report.records_held_back, report.records_withheld),
        (1, 2, 1)
    );
    let (output, _) = filter(&customers(), Mode::Drop, 0, body.as_bytes()).unwrap();
    assert_eq!(output, "[]");
}

#[test]
fn a_member_that_decides_on_its_row_may_not_stand_there_twice() {
    for body in [
        r#"[{"state":"open","state":"shut"}]"#,
        r#"[{"state":"open","\u0073tate":"shut"}]"#,
        r#"[{"id":1,"id":[]}]"#,
        r#"[{"state":{},"state":"open"}]"#,
    ] {
        assert_eq!(
            cause(&customers(), Mode::Drop, body.as_bytes()),
            Cause::DuplicateCondition,
            "{body}"
        );
    }
    let twice = r#"[{"id":1,"state":"open","phone":"1","phone":"2"}]"#;
    assert_eq!(out(&customers(), twice), twice);
}

#[test]
fn a_way_to_a_deciding_member_may_not_stand_there_twice_either() {
    let captured = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    let plan = plan(
        enter(0),
        vec![record(0, &[("branch", enter(1))]), object(&[("id", captured)])],
        vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 1,
            cases: vec![Some(NodeId(0)), None, None, None],
            assumed: 0,
            taking: 0,
        }],
    );
    let once = r#"{"branch":{"id":"open"}}"#;
    assert_eq!(out(&plan, once), once);
    let twice = r#"{"branch":{"id":"open"},"branch":{}}"#;
    assert_eq!(cause(&plan, Mode::Drop, twice.as_bytes()), Cause::DuplicateCondition);
}

#[test]
fn nothing_of_a_record_leaves_before_it_is_complete() {
    let mut filter = Filter::new(customers(), Caps::default(), Mode::Drop, desk());
    filter.push(Bytes::from_static(br#"[{"id":1,"phone":"13812345678""#)).unwrap();
    assert_eq!(filter.take_output().concat(), b"[");
    filter.push(Bytes::from_static(br#","state":"open"},{"id"#)).unwrap();
    assert_eq!(filter.take_output().concat(), br#"{"id":1,"phone":"13812345678","state":"open"}"#);
}

#[test]
fn a_record_larger_than_its_cap_is_refused() {
    let caps = Caps { record_bytes: 40, ..Caps::default() };
    let body = |pad: usize| format!(r#"[{{"id":1,"state":"open","x":"{}"}}]"#, "x".repeat(pad));
    let exact = 40 - (body(0).len() - 2);
    for size in [1, 3, 1000] {
        let good = body(exact);
        assert!(run(&customers(), caps, Mode::Drop, 9, good.as_bytes().chunks(size)).is_ok());
        let bad = body(exact + 1);
        let fault =
            run(&customers(), caps, Mode::Drop, 9, bad.as_bytes().chunks(size)).unwrap_err();
        assert_eq!(fault, Cause::RecordTooLarge { cap: 40 }.at(41));
    }
}

#[test]
fn a_record_of_which_nothing_is_left_is_withheld() {
    let plan = plan(
        enter(0),
        vec![Node::Array(enter(1)), record(0, &[("a", slot(Verdict::Clear))])],
        vec![RecordPlan {
            entity: "thing".into(),
            subject: None,
            captures: 0,
            cases: vec![Some(NodeId(1))],
            assumed: 0,
            taking: 0,
        }],
    );
    let (output, report) = filter(&plan, Mode::Drop, 9, br#"[{"b":1},{"a":1},{}]"#).unwrap();
    assert_eq!(output, r#"[{"a":1}]"#);
    assert_eq!((report.records_released, report.records_withheld), (1, 2));
}

#[test]
fn a_body_to_write_passes_whole_or_not_at_all() {
    let clear = phone(Verdict::Clear);
    let plan = plan(
        enter(0),
        vec![object(&[("a", clear), ("o", enter(0)), ("m", phone(Verdict::Mask))])],
        vec![],
    );
    let good = r#"{ "a": "1", "o": {"a":2}, "a":"\u0031"}"#;
    assert_eq!(filter(&plan, Mode::Refuse, 0, good.as_bytes()).unwrap().0, good);
    let not_writable = |field: &str| Cause::NotWritable { field: field.into() };
    let table = [
        (r#"{"a":1,"role":"admin"}"#, not_writable("role")),
        (r#"{"o":{"x":1}}"#, not_writable("x")),
        (r#"{"o":1}"#, not_writable("o")),
        (r#"{"o":null}"#, not_writable("o")),
        (r#"{"o":[1]}"#, not_writable("o")),
        (r#"{"a":{}}"#, not_writable("customer.phone")),
        (r#"{"m":null}"#, not_writable("customer.phone")),
        (r#"{"a":"138****5678"}"#, Cause::MaskedValue { field: "customer.phone".into() }),
        (r#"{"a":"138\u002a"}"#, Cause::MaskedValue { field: "customer.phone".into() }),
        (r#"{"a":"p~abc"}"#, Cause::MaskedValue { field: "customer.phone".into() }),
    ];
    for (body, wanted) in table {
        assert_eq!(cause(&plan, Mode::Refuse, body.as_bytes()), wanted, "{body}");
    }
}

#[test]
fn null_in_place_of_an_object_writes_all_that_is_below_it() {
    let clear = slot(Verdict::Clear);
    let lists = |inner: Slot| {
        let nodes = vec![
            object(&[("o", enter(1)), ("l", enter(2))]),
            object(&[("a", clear), ("inner", enter(3))]),
            Node::Array(enter(3)),
            object(&[("b", clear), ("c", inner)]),
        ];
        plan(enter(0), nodes, Vec::new())
    };
    let not_writable = |name: &str| Some(Cause::NotWritable { field: name.into() });
    for (inner, wanted) in [(clear, None), (slot(Verdict::Absent), Some(()))] {
        let plan = lists(inner);
        for (body, name) in [(r#"{"o":null}"#, "o"), (r#"{"l":null}"#, "l")] {
            let outcome = filter(&plan, Mode::Refuse, 0, body.as_bytes());
            let cause = outcome.err().map(|fault| fault.cause);
            assert_eq!(cause, wanted.and_then(|()| not_writable(name)), "{body}");
        }
        let body = r#"{"o":{"inner":null}}"#;
        let outcome = filter(&plan, Mode::Refuse, 0, body.as_bytes());
        assert_eq!(outcome.is_err(), wanted.is_some());
        assert!(filter(&plan, Mode::Refuse, 0, b"null").is_err() == wanted.is_some());
        assert_eq!(out(&plan, r#"{"o":null}"#), r#"{"o":null}"#);
    }
}

#[test]
fn an_empty_object_or_list_writes_all_that_is_below_it_and_none_is_left_behind_empty() {
    let (clear, absent) = (slot(Verdict::Clear), slot(Verdict::Absent));
    let nodes = vec![
        object(&[("o", enter(1)), ("l", enter(2)), ("s", enter(4)), ("n", enter(5)), ("a", clear)]),
        object(&[("a", clear), ("b", absent)]),
        Node::Array(enter(3)),
        object(&[("b", absent)]),
        Node::Array(clear),
        Node::Array(absent),
    ];
    let plan = plan(enter(0), nodes, Vec::new());
    // What becomes of it where the first member that may not be written refuses it, and where it is left out.
    let table = [
        (r#"{"a":1}"#, Ok(r#"{"a":1}"#), Some(r#"{"a":1}"#)),
        (r#"{"a":1,"s":[]}"#, Ok(r#"{"a":1,"s":[]}"#), Some(r#"{"a":1,"s":[]}"#)),
        (r#"{"a":1, "l":[]}"#, Err("l"), Some(r#"{"a":1}"#)),
        (r#"{"o":{}, "a":1}"#, Err("o"), Some(r#"{"a":1}"#)),
        (r#"{"n":[],"a":1}"#, Err("n"), Some(r#"{"a":1}"#)),
        (r#"{"o":{"a":2}}"#, Ok(r#"{"o":{"a":2}}"#), Some(r#"{"o":{"a":2}}"#)),
        (r#"{"o":{"a":2,"b":3}}"#, Err("b"), Some(r#"{"o":{"a":2}}"#)),
        (r#"{"o":{"b":3},"a":1}"#, Err("b"), Some(r#"{"a":1}"#)),
        (r#"{"a":1,"l":[{"b":1},{"b":2}]}"#, Err("b"), Some(r#"{"a":1}"#)),
        (r#"{"a":1,"l":[{}]}"#, Err("l"), Some(r#"{"a":1}"#)),
        (r#"{"a":1,"n":[3]}"#, Err("n"), Some(r#"{"a":1}"#)),
    ];
    for (body, wanted, left) in table {
        let given = |mode| filter(&plan, mode, 0, body.as_bytes()).map(|(text, _)| text);
        let refused = given(Mode::Refuse).map_err(|fault| fault.cause);
        let wanted = wanted.map(str::to_owned);
        let wanted = wanted.map_err(|name: &str| Cause::NotWritable { field: name.into() });
        assert_eq!(refused, wanted, "{body}");
        assert_eq!(given(Mode::Trim).ok().as_deref(), left, "{body}");
    }
}

#[test]
fn a_row_may_be_written_only_if_its_conditions_hold_and_by_their_rules() {
    let entity = |name: &str| Cause::RowNotWritable { entity: name.into() };
    let table = [
        (r#"[{"phone":"1","state":"open"}]"#, None),
        (r#"[{"phone":"1","state":"shut"}]"#, Some(entity("customer"))),
        (r#"[{"phone":"1"}]"#, Some(entity("customer"))),
        (
            r#"[{"phone":"1","state":"half"}]"#,
            Some(Cause::NotWritable { field: "customer.phone".into() }),
        ),
        (
            r#"[{"orders":[{"sum":1,"state":"half"}],"state":"open"}]"#,
            Some(Cause::NotWritable { field: "sum".into() }),
        ),
        (r#"[{"orders":[{"sum":1,"state":"shut"}],"state":"open"}]"#, Some(entity("order"))),
    ];
    for (body, wanted) in table {
        let outcome = filter(&customers(), Mode::Refuse, 0, body.as_bytes());
        assert_eq!(outcome.err().map(|fault| fault.cause), wanted, "{body}");
    }
}

#[test]
fn rules_assumed_at_first_do_not_refuse_what_the_true_ones_allow() {
    let state = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    let plan = plan(
        enter(0),
        vec![
            record(0, &[("state", state)]),
            record(0, &[("state", state), ("note", slot(Verdict::Clear))]),
        ],
        vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 1,
            cases: vec![Some(NodeId(0)), None, Some(NodeId(1)), None],
            assumed: 0,
            taking: 0,
        }],
    );
    let half = r#"{"note":"x","state":"half"}"#;
    assert_eq!(filter(&plan, Mode::Refuse, 0, half.as_bytes()).unwrap().0, half);
    let open = r#"{"note":"x","state":"open"}"#;
    assert_eq!(
        cause(&plan, Mode::Refuse, open.as_bytes()),
        Cause::NotWritable { field: "note".into() }
    );
}
