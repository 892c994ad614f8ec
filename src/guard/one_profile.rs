//! A value is masked alike wherever it stands, so that no two answers together tell more than one: each
//! vector as a JSON text, as a JSON number, in a line, and in a cell.

use std::sync::Arc;

use bytes::Bytes;

use crate::policy::Format;
use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{
    FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot, Verdict,
};
use crate::policy::value::Value;

use super::mask::mask;
use super::{BodyGuard, Caps, Charset, Codings, Hooks, Outgoing, Take, Wire};

struct Anybody;

impl Hooks for Anybody {
    fn case(&mut self, _: RecordId, _: &[Option<Value>]) -> usize {
        0
    }

    fn take(&mut self, _: &Outgoing) -> Take {
        Take::Release
    }

    fn pseudonym(&mut self, _: &str, _: &str) -> String {
        String::new()
    }
}

/// A record with one masked member, `a`; in an array for tables.
fn plan(mask: Mask, format: Format) -> Arc<Plan> {
    let slot = Slot { mask: Some(mask), field: Some(FieldId(0)), ..Slot::of(Verdict::Mask) };
    let object = ObjectNode {
        members: vec![("a".into(), slot)],
        record: Some(RecordId(0)),
        ..ObjectNode::default()
    };
    let nodes = vec![Node::Object(object), Node::Array(Slot::of(Verdict::Enter(NodeId(0))))];
    let root = Slot::of(Verdict::Enter(NodeId(if format == Format::Json { 0 } else { 1 })));
    let record = RecordPlan {
        entity: "e".into(),
        subject: None,
        captures: 0,
        cases: vec![Some(NodeId(0))],
        assumed: 0,
        taking: 0,
    };
    Arc::new(Plan {
        nodes,
        root,
        records: vec![record],
        fields: vec!["e.a".into()],
        ..Plan::nothing()
    })
}

fn pass(mask: Mask, format: Format, body: &str) -> String {
    let plan = plan(mask, format);
    let wire = Wire { format, charset: Charset::UTF_8, codings: Codings::NONE };
    let mut guard = BodyGuard::response(wire, plan, Caps::default(), Anybody);
    guard.push(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    guard.finish().unwrap();
    String::from_utf8(guard.take_output().concat()).unwrap()
}

/// The value of `a` in what came out.
fn value(json: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(json.trim_end()).unwrap();
    record.get("a").unwrap().as_str().unwrap().to_owned()
}

fn inputs() -> Vec<(Mask, String)> {
    let file = include_str!("../../tests/vectors/masks.tsv");
    let read = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [kind, style, _, input, ..] = cells[..] else { panic!("six cells: {line}") };
        let kind = Kind::named(kind).unwrap();
        (Mask::styled(kind, style).unwrap(), input.to_owned())
    };
    // Escapes stay as they are written: what they mean is tested beside the masks.
    file.lines().skip(1).map(read).collect()
}

#[test]
fn each_vector_is_masked_alike_in_texts_numbers_lines_and_cells() {
    for (form, input) in inputs() {
        let wanted = mask(form, &input);
        let text = serde_json::to_string(&input).unwrap();
        let body = format!("{{\"a\":{text}}}");
        assert_eq!(value(&pass(form, Format::Json, &body)), wanted, "{input}");
        for format in [Format::NdJson, Format::JsonSeq, Format::EventStream] {
            let framed = match format {
                Format::JsonSeq => format!("\u{1e}{body}\n"),
                Format::EventStream => format!("data: {body}\n\n"),
                Format::Json | Format::NdJson | Format::Csv | Format::Tsv => format!("{body}\n"),
            };
            let record = pass(form, format, &framed);
            let record = record.trim_start_matches(['\u{1e}', 'd', 'a', 't', ':', ' ']);
            assert_eq!(value(record), wanted, "{input}");
        }
        if serde_json::from_str::<serde_json::Number>(&input).is_ok() {
            let number = format!("{{\"a\":{input}}}");
            assert_eq!(value(&pass(form, Format::Json, &number)), wanted, "{input}");
        }
        let table = format!("a\n\"{}\"\n", input.replace('"', "\"\""));
        let cell = pass(form, Format::Csv, &table);
        let cell =
            cell.trim_start_matches("a\n").trim_end().trim_matches('"').trim_start_matches('\'');
        assert_eq!(cell.replace("\"\"", "\""), wanted, "{input}");
    }
}
