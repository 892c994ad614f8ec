//! Tests of the whole guard: decoder and filter together.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::policy::Format;
use crate::policy::plan::{Node, NodeId, ObjectNode, Plan, RecordId, Slot, Verdict};
use crate::policy::value::Value;

use super::encoding::{Coding, Codings, EncodingFault};
use super::json::rules::{Desk, customers, desk};
use super::json::{Caps, Cause, Hooks, Outgoing, Take};
use super::{BodyFault, BodyGuard, Charset, CharsetFault, FramingFault, Wire};

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
    Arc::new(Plan { nodes: vec![node], root, records: vec![], fields: vec![], detections: vec![] })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn pass<H: Hooks>(mut guard: BodyGuard<H>, body: &[u8], size: usize) -> Result<Vec<u8>, BodyFault> {
    let mut output = Vec::new();
    for chunk in body.chunks(size) {
        guard.push(Bytes::copy_from_slice(chunk))?;
        output.extend(guard.take_output().concat());
    }
    guard.finish()?;
    output.extend(guard.take_output().concat());
    Ok(output)
}

fn response(codings: impl Into<Codings>) -> BodyGuard<Nobody> {
    let wire = Wire { format: Format::Json, charset: Charset::UTF_8, codings: codings.into() };
    BodyGuard::response(wire, plan(), Caps::default(), Nobody)
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
    assert_eq!(cut, BodyFault::Encoding(EncodingFault::Truncated(Coding::Gzip)));
    assert!(matches!(pass(response(Codings::NONE), &body, 5), Err(BodyFault::Json(_))));
    assert!(matches!(pass(response(Coding::Gzip), b"{}", 5), Err(BodyFault::Encoding(_))));
}

#[test]
fn a_request_with_an_unknown_member_or_too_many_bytes_is_refused() {
    let request = |cap| {
        let (codings, refuse) = (Coding::Gzip.into(), super::json::Mode::Refuse);
        BodyGuard::request(codings, plan(), Caps::default(), cap, refuse, Nobody)
    };
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
fn json_in_ascii_is_read_as_utf8_and_one_byte_beyond_refuses_it() {
    for format in [Format::Json, Format::NdJson] {
        let plain = every_way(format, "utf-8", br#"{"id":1,"state":"op\u0065n"}"#).unwrap();
        assert_eq!(every_way(format, "us-ascii", br#"{"id":1,"state":"op\u0065n"}"#), Ok(plain));
        for body in
            ["{\"id\":1,\"state\":\"\u{e9}\"}", "\u{feff}{\"id\":1}", "{\"id\":1,\"\u{e9}\":1}"]
        {
            let fault = CharsetFault::Malformed(Charset::labelled("us-ascii").unwrap());
            let refused = every_way(format, "us-ascii", body.as_bytes());
            assert_eq!(refused, Err(BodyFault::Charset(fault)), "{body}");
        }
    }
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

fn customers_in(format: Format, charset: &str, codings: Codings) -> BodyGuard<Desk> {
    let wire = Wire { format, charset: Charset::labelled(charset).unwrap(), codings };
    BodyGuard::response(wire, customers(), Caps::default(), desk())
}

/// Passes a body whole and in pieces; all must agree.
fn every_way(format: Format, charset: &str, body: &[u8]) -> Result<String, BodyFault> {
    let guard = || customers_in(format, charset, Codings::NONE);
    let whole = pass(guard(), body, usize::MAX);
    for size in [1, 2, 3, 7] {
        assert_eq!(pass(guard(), body, size), whole, "{format:?} in {size}s");
    }
    let packed = gzip(body);
    let unpacked = pass(customers_in(format, charset, Coding::Gzip.into()), &packed, 5);
    assert_eq!(unpacked.is_ok(), whole.is_ok());
    Ok(String::from_utf8(whole?).unwrap())
}

#[test]
fn a_sequence_is_judged_text_by_text_at_every_split() {
    let body = concat!(
        "\u{1e}{\"id\":1,\n \"state\":\"open\",\"secret\":\"x\"}\n",
        "\u{1e}{\"id\":2,\"state\":\"shut\"}\n",
        "\u{1e}\u{1e} {\"phone\":\"13812345678\",\"id\":3,\"state\":\"half\"}\r\n",
        "\u{1e}[1]\n\u{1e}null\n\u{1e}17\n",
    );
    let wanted = concat!(
        "\u{1e}{\"id\":1,\n \"state\":\"open\"}\n",
        "\u{1e} {\"phone\":\"138****5678\",\"id\":3,\"state\":\"half\"}\n",
        "\u{1e}null\n",
    );
    assert_eq!(every_way(Format::JsonSeq, "utf-8", body.as_bytes()).unwrap(), wanted);
    assert_eq!(every_way(Format::JsonSeq, "utf-8", b"").unwrap(), "");
    let last = "\u{1e}{\"id\":2,\"state\":\"shut\"}\n\u{1e}null\n";
    assert_eq!(every_way(Format::JsonSeq, "utf-8", last.as_bytes()).unwrap(), "\u{1e}null\n");
    for (bad, fault) in [
        ("{}\n", FramingFault::NoSeparator),
        ("\u{1e}{\"id\":1,\"state\":\"open\"}", FramingFault::TextNotEnded),
        ("\u{1e}{\"id\":1,\u{1e}{}\n", FramingFault::TextNotEnded),
    ] {
        let refused = every_way(Format::JsonSeq, "utf-8", bad.as_bytes());
        assert_eq!(refused, Err(BodyFault::Framing(fault)), "{bad}");
    }
    for bad in
        ["\u{1e}{}{}\n", "\u{1e}{\n", "\u{1e}\"a\nb\"\n", "\u{1e}{}\n{}\n", "\u{1e}\u{feff}{}\n"]
    {
        let refused = every_way(Format::JsonSeq, "utf-8", bad.as_bytes());
        assert!(matches!(refused, Err(BodyFault::Json(_))), "{bad}");
    }
}

#[test]
fn a_stream_of_events_is_judged_event_by_event_at_every_split() {
    let body = concat!(
        "\u{feff}: secret\n\n",
        "event: secret\nid: secret\ndata: {\"id\":1,\ndata:\"state\":\"open\",\"secret\":\"x\"}\n\n",
        "data: {\"id\":2,\"state\":\"shut\"}\n\n",
        "event: secret\nretry: 1\n\n",
        "data: {\"phone\":\"13812345678\",\"id\":3,\"state\":\"half\"}\r\n\r\ndata\n\n",
    );
    let wanted = concat!(
        "data: {\"id\":1, \"state\":\"open\"}\n\n",
        "data: {\"phone\":\"138****5678\",\"id\":3,\"state\":\"half\"}\n\n",
    );
    for size in [1, 2, 3, 7, 1000] {
        let guard = customers_in(Format::EventStream, "utf-8", Codings::NONE);
        let output = String::from_utf8(pass(guard, body.as_bytes(), size).unwrap()).unwrap();
        assert_eq!(output.replace(":\n\n", ""), wanted);
    }
    let not_ended = every_way(Format::EventStream, "utf-8", b"data: {\"id\":1}\n");
    assert_eq!(not_ended, Err(BodyFault::Framing(FramingFault::EventNotEnded)));
    for bad in [
        "data: {}{}\n\n",
        "data: {\n\n",
        "data: \"a\ndata: b\"\n\n",
        "data: [DONE]\n\n",
        "data: {\"a\":1}\ndata: {\"a\":1}\n\n",
        "data: \u{feff}{}\n\n",
        "data: {\"a\": 1\u{0}}\n\n",
    ] {
        let refused = every_way(Format::EventStream, "utf-8", bad.as_bytes());
        assert!(matches!(refused, Err(BodyFault::Json(_))), "{bad}");
    }
    let refused = every_way(Format::EventStream, "utf-8", b"data: {}\n\n: \xff\n\n");
    assert_eq!(refused, Ok(":\n\n".to_owned()), "what is dropped is not read");
}

#[test]
fn an_event_leaves_with_the_line_that_ends_it() {
    let mut guard = customers_in(Format::EventStream, "utf-8", Codings::NONE);
    let mut push = |text: &'static str| {
        guard.push(Bytes::from_static(text.as_bytes())).unwrap();
        String::from_utf8(guard.take_output().concat()).unwrap()
    };
    assert_eq!(push("data: {\"id\":1,\"state\":\"op"), "");
    let record = "data: {\"id\":1,\"state\":\"open\"}";
    assert_eq!(push("en\"}\n") + &push("\n"), format!("{record}\n\n"));
    assert_eq!(push(": still there\n\n"), ":\n\n");
    assert_eq!(push("data: {\"id\":2,\"state\":\"shut\"}\n\n"), "");
}

#[test]
fn a_table_is_read_in_the_encoding_that_its_label_says() {
    let body = "id,state,name,secret\n1,open,\u{738b},\u{738b}\n2,shut,\u{738b},x\n";
    let wanted = "id,state\n1,open\n";
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (charset, body) in
        [("utf-8", body.as_bytes().to_vec()), ("gbk", gbk(body)), ("utf-16le", utf16(body))]
    {
        let output = every_way(Format::Csv, charset, &body).unwrap();
        assert_eq!(output, wanted, "{charset}");
        let tabs = every_way(
            Format::Tsv,
            charset,
            &match charset {
                "gbk" => gbk("id\tstate\n1\topen\n"),
                "utf-16le" => utf16("id\tstate\n1\topen\n"),
                _ => b"id\tstate\n1\topen\n".to_vec(),
            },
        );
        assert_eq!(tabs.unwrap(), "id\tstate\n1\topen\n");
    }
    for (charset, body) in [
        ("utf-8", gbk(body)),
        ("utf-8", utf16(body)),
        ("utf-16le", body.as_bytes().to_vec()),
        ("utf-16be", utf16(body)),
        ("gbk", utf16(body)),
    ] {
        assert!(every_way(Format::Csv, charset, &body).is_err(), "{charset}");
    }
    let unmarked = every_way(Format::Csv, "utf-16", &utf16(body));
    assert_eq!(unmarked, Err(BodyFault::Charset(CharsetFault::Unmarked)));
}
