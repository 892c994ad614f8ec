//! Tests of the whole guard: decoder and filter together.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::policy::Format;
use crate::policy::plan::{Node, NodeId, ObjectNode, Plan, RecordId, Slot, Verdict};
use crate::policy::value::Value;

use super::encoding::{Coding, EncodingFault};
use super::json::{Caps, Cause, Hooks, Outgoing, Take};
use super::{BodyFault, BodyGuard};

struct Nobody;

impl Hooks for Nobody {
    fn case(&mut self, _: RecordId, _: &[Option<Value>]) -> usize {
        0
    }

    fn take(&mut self, _: &Outgoing) -> Take {
        Take::HoldBack
    }

    fn pseudonym(&mut self, _: &str, _: &str) -> String {
        String::new()
    }
}

fn plan() -> Arc<Plan> {
    let members = vec![("a".into(), Slot::of(Verdict::Clear))];
    let node = Node::Object(ObjectNode { members, ..ObjectNode::default() });
    let root = Slot::of(Verdict::Enter(NodeId(0)));
    Arc::new(Plan { nodes: vec![node], root, records: vec![], fields: vec![] })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn pass(mut guard: BodyGuard<Nobody>, body: &[u8], size: usize) -> Result<Vec<u8>, BodyFault> {
    let mut output = Vec::new();
    for chunk in body.chunks(size) {
        guard.push(Bytes::copy_from_slice(chunk))?;
        output.extend(guard.take_output().concat());
    }
    guard.finish()?;
    output.extend(guard.take_output().concat());
    Ok(output)
}

fn response(coding: Coding) -> BodyGuard<Nobody> {
    BodyGuard::response(Format::Json, coding, plan(), Caps::default(), Nobody)
}

#[test]
fn a_gzip_answer_is_decoded_and_filtered_for_every_split() {
    let body = gzip(br#"{"secret":"x","a":"y"}"#);
    for size in 1..body.len() {
        assert_eq!(pass(response(Coding::Gzip), &body, size).unwrap(), br#"{"a":"y"}"#);
    }
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    let body = gzip(b"{}");
    let cut = pass(response(Coding::Gzip), &body[..body.len() - 1], 5).unwrap_err();
    assert_eq!(cut, BodyFault::Encoding(EncodingFault::Truncated));
    assert!(matches!(pass(response(Coding::Identity), &body, 5), Err(BodyFault::Json(_))));
    assert!(matches!(pass(response(Coding::Gzip), b"{}", 5), Err(BodyFault::Encoding(_))));
}

#[test]
fn a_request_with_an_unknown_member_or_too_many_bytes_is_refused() {
    let request = |cap| BodyGuard::request(Coding::Gzip, plan(), Caps::default(), cap, Nobody);
    assert_eq!(pass(request(100), &gzip(br#"{"a":1}"#), 5).unwrap(), br#"{"a":1}"#);
    let large = gzip(format!(r#"{{"a":"{}"}}"#, "x".repeat(100)).as_bytes());
    let fault = pass(request(100), &large, 5).unwrap_err();
    assert_eq!(fault, BodyFault::Encoding(EncodingFault::TooLarge { cap: 100 }));
    let BodyFault::Json(fault) = pass(request(100), &gzip(br#"{"b":1}"#), 5).unwrap_err() else {
        panic!("expected a fault of the JSON");
    };
    assert_eq!(fault.cause, Cause::NotWritable { field: "b".into() });
}

#[test]
fn a_fault_of_the_coding_takes_back_what_was_filtered_but_not_taken() {
    let mut guard = response(Coding::Gzip);
    let mut body = gzip(br#"{"a":1}"#);
    *body.last_mut().unwrap() ^= 1;
    let fault = guard.push(body.into()).unwrap_err();
    assert_eq!(guard.take_output().concat(), b"");
    assert_eq!(guard.finish().unwrap_err(), fault);
}
