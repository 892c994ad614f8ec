//! Promise 2: whatever the backend sends, nothing leaves that was not parsed and allowed.
//!
//! Every bad answer carries a canary. It must not stand in any byte that the client sees.

use std::io::Write as _;

use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Connection, Gate, OPEN_BANK, Reply, Setup, Step, holds};
use flate2::Compression;
use flate2::write::GzEncoder;

const CANARY: &str = "CANARY";
const RECORD: &str =
    r#"{"id":1,"name":"a","secret":"CANARY","phone":"CANARY8675309","new":["CANARY"]}"#;
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
pub(crate) fn assert_clean(what: &str, answer: &Answer) {
    let bytes = answer.bytes();
    assert!(!holds(&bytes, CANARY), "{what}: {}", String::from_utf8_lossy(&bytes));
}

/// Asks over a connection and opens another if the gate has closed it.
async fn view(gate: &Gate, connection: &mut Connection, token: &str) -> Answer {
    if !connection.is_open().await {
        *connection = gate.h1().await;
    }
    connection.send(Ask::get("/one/1").by(token)).await
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

/// Bodies that no reader may take for the JSON object that the route declares.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let mut bodies: Vec<(&str, Vec<u8>)> = [
        ("nothing", ""),
        ("white space", "  \n\t "),
        ("plain text", "CANARY"),
        ("html", "<html>CANARY</html>"),
        ("xml", "<?xml version='1.0'?><id>CANARY</id>"),
        ("csv", "id,name\n1,CANARY\n"),
        ("two roots", r#"{"id":1}{"name":"CANARY"}"#),
        ("lines", "{\"id\":1}\n{\"name\":\"CANARY\"}\n"),
        ("rubbish behind", r#"{"id":1} CANARY"#),
        ("a zero byte behind", "{\"id\":1}\0CANARY"),
        ("a comma too many", r#"{"id":1,"name":"CANARY",}"#),
        ("a comma at the start", r#"{,"id":1,"name":"CANARY"}"#),
        ("no comma", r#"{"id":1 "name":"CANARY"}"#),
        ("no colon", r#"{"id":1,"name" "CANARY"}"#),
        ("a wrong bracket", r#"{"id":1,"name":"CANARY"]"#),
        ("a bare key", r#"{"id":1,name:"CANARY"}"#),
        ("single quotes", r"{'id':1,'name':'CANARY'}"),
        ("a comment", r#"{"id":1,/*CANARY*/"name":"CANARY"}"#),
        ("a number as key", r#"{1:"CANARY"}"#),
        ("a leading zero", r#"{"id":01,"name":"CANARY"}"#),
        ("a plus", r#"{"id":+1,"name":"CANARY"}"#),
        ("a bare point", r#"{"id":1.,"name":"CANARY"}"#),
        ("not a number", r#"{"id":1,"note":NaN,"name":"CANARY"}"#),
        ("hexadecimal", r#"{"id":0x1,"name":"CANARY"}"#),
        ("True", r#"{"id":1,"note":True,"name":"CANARY"}"#),
        ("a bare newline", "{\"id\":1,\"name\":\"\nCANARY\"}"),
        ("an unknown escape", r#"{"id":1,"name":"\x41CANARY"}"#),
        ("half an escape", r#"{"id":1,"name":"\u00"#),
        ("a lone surrogate in a key", r#"{"id":1,"\ud800":"CANARY"}"#),
        ("a prefix against hijacking", ")]}',\n{\"id\":1,\"name\":\"CANARY\"}"),
        ("a callback", r#"f({"id":1,"name":"CANARY"})"#),
        ("a byte order mark", "\u{feff}{\"id\":1,\"name\":\"CANARY\"}"),
        ("an event stream", "data: {\"id\":1,\"name\":\"CANARY\"}\n\n"),
        ("a record separator", "\u{1e}{\"id\":1,\"name\":\"CANARY\"}\n"),
    ]
    .into_iter()
    .map(|(what, text)| (what, text.as_bytes().to_vec()))
    .collect();
    bodies.push(("UTF-16, little end first", utf16(RECORD, u16::to_le_bytes)));
    bodies.push(("UTF-16, big end first", utf16(RECORD, u16::to_be_bytes)));
    bodies.push(("Latin-1", b"{\"id\":1,\"name\":\"M\xfcller CANARY\"}".to_vec()));
    bodies.push(("an overlong slash", b"{\"id\":1,\"name\":\"\xc0\xafCANARY\"}".to_vec()));
    bodies.push(("a surrogate in UTF-8", b"{\"id\":1,\"name\":\"\xed\xa0\x80CANARY\"}".to_vec()));
    bodies.push(("zero bytes in front", b"\0\0{\"id\":1,\"name\":\"CANARY\"}".to_vec()));
    bodies.push(("MessagePack", b"\x82\xa2id\x01\xa4name\xa6CANARY".to_vec()));
    bodies.push(("brackets without end", "[".repeat(100_000).into_bytes()));
    let deep = format!("{{\"id\":1,\"new\":{}\"CANARY\"{}}}", "[".repeat(500), "]".repeat(500));
    bodies.push(("deep arrays", deep.into_bytes()));
    let long = format!("{{\"id\":1,\"{}CANARY\":1}}", "k".repeat(5000));
    bodies.push(("a long key", long.into_bytes()));
    let digits = format!("{{\"id\":{}}}", "8675309".repeat(100));
    bodies.push(("a long number", digits.into_bytes()));
    bodies
}

#[tokio::test]
async fn what_is_no_json_object_is_a_502_without_a_byte_of_it() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (what, body) in no_json() {
        gate.upstream.answers(Reply::json(&body));
        let whole = view(&gate, &mut connection, &token).await;
        gate.upstream.answers(Reply::chunked(body.chunks(body.len().div_ceil(40).max(1))));
        let chunked = view(&gate, &mut connection, &token).await;
        for answer in [whole, chunked] {
            assert_clean(what, &answer);
            // A view in which there is nothing is told as missing, like one that may not be seen.
            let status = if body.trim_ascii().is_empty() { 404 } else { 502 };
            assert_eq!(answer.status, status, "{what}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn good_json_of_another_shape_than_declared_shows_nothing() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for body in [r#""CANARY""#, "8675309", "true", r#"[{"id":1,"name":"CANARY"}]"#, "[]"] {
        gate.upstream.answers(Reply::json(body));
        let answer = view(&gate, &mut connection, &token).await;
        assert_clean(body, answer.expect(404));
        assert!(!holds(&answer.body, "8675309"));
    }
    for body in
        [r#"{"id":1,"name":"CANARY"}"#, r#""CANARY""#, r#"{"items":[{"id":1,"name":"CANARY"}]}"#]
    {
        gate.upstream.answers(Reply::json(body));
        let answer = connection.send(Ask::get("/all").by(&token)).await;
        assert_clean(body, answer.expect(404));
    }
}

#[tokio::test]
async fn every_prefix_of_a_good_answer_is_refused() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h2().await;
    for end in 0..RECORD.len() {
        gate.upstream.answers(Reply::json(&RECORD[..end]));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert_clean(&RECORD[..end], answer.expect(if end == 0 { 404 } else { 502 }));
        let list = connection.send(Ask::get("/list").by(&token)).await;
        assert_clean(&RECORD[..end], list.expect(502));
    }
    gate.upstream.answers(Reply::json(RECORD));
    let answer = connection.send(Ask::get("/one/1").by(&token)).await;
    assert_clean("the whole", answer.expect(200));
}

#[tokio::test]
async fn tricks_inside_good_json_show_nothing_either() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for inside in [
        r#""secret":"x","secret":"CANARY""#,
        r#""phone":"13812345678","phone":"CANARY""#,
        r#""\u0073ecret":"CANARY""#,
        r#""s\u0065cret":"CANARY","\u0070hone":"CANARY""#,
        r#""secret\u0000":"CANARY""#,
        r#""SECRET":"CANARY","Name":"CANARY""#,
        r#""phone":{"number":"CANARY"}"#,
        r#""phone":["CANARY"]"#,
        r#""phone":[["CANARY"],{"x":"CANARY"}]"#,
        r#""name":{"secret":"CANARY"}"#,
        r#""name":["CANARY"]"#,
        r#""address":"CANARY""#,
        r#""address":["CANARY"]"#,
        r#""address":{"street":{"line":"CANARY"}}"#,
        r#""address":{"city":{"name":"CANARY"}}"#,
        r#""customer":{"id":1,"name":"CANARY"}"#,
        r#""name":"a","new":"\"name\":\"CANARY\"""#,
        r#""new":"\\\"},\"name\":\"CANARY\"""#,
        r#""new":{"name":"CANARY","note":"CANARY"}"#,
    ] {
        let body = format!("{{\"id\":1,\"note\":\"n\",{inside}}}");
        for step in [body.len(), 1, 3] {
            gate.upstream.answers(Reply::chunked(body.as_bytes().chunks(step)));
            let answer = view(&gate, &mut connection, &token).await;
            assert_clean(inside, &answer);
            assert_eq!(answer.expect(200).json()["note"], "n", "{inside}");
        }
    }
}

#[tokio::test]
async fn a_content_type_that_cannot_be_judged_is_a_502() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let body = r#"{"id":1,"name":"CANARY"}"#;
    for types in [
        &["text/html"][..],
        &["text/plain; charset=utf-8"],
        &["text/json"],
        &["application/octet-stream"],
        &["application/x-ndjson"],
        &["application/json-seq"],
        &["text/event-stream"],
        &["text/csv"],
        &["multipart/mixed; boundary=x"],
        &["application/grpc"],
        &["application/json; charset=gbk"],
        &["application/json; charset=utf-16"],
        &["application/json; charset=iso-2022-jp"],
        &["text/tab-separated-values"],
        &["application/graphql"],
        &["text/x-json"],
        &["application/json, text/html"],
        &["application/json", "text/html"],
        &["json"],
        &[""],
        &[],
    ] {
        let headers: Vec<_> = types.iter().map(|t| ("content-type", *t)).collect();
        gate.upstream.answers(Reply::with(200, &headers, body));
        let answer = view(&gate, &mut connection, &token).await;
        assert_clean(&format!("{types:?}"), answer.expect(502));
    }
}

#[tokio::test]
async fn an_encoding_that_cannot_be_judged_is_a_502() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let body = r#"{"id":1,"name":"CANARY"}"#.as_bytes();
    let packed = gzip(body);
    let bomb =
        gzip(&[b"{\"id\":1,\"name\":\"".as_slice(), &vec![b' '; 3_000_000], b"CANARY\"}"].concat());
    let mut damaged = packed.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let cases: Vec<(&str, &[&str], Vec<u8>)> = vec![
        ("brotli", &["br"], body.to_vec()),
        ("zstd", &["zstd"], body.to_vec()),
        ("deflate", &["deflate"], body.to_vec()),
        ("compress", &["compress"], body.to_vec()),
        ("unknown", &["rot13"], body.to_vec()),
        ("three codings", &["gzip, gzip, gzip"], gzip(&gzip(&packed))),
        ("three codings by two lines", &["gzip", "gzip, gzip"], gzip(&gzip(&packed))),
        ("gzip twice, packed once", &["gzip, gzip"], packed.clone()),
        ("gzip, then none", &["gzip", "identity"], packed.clone()),
        ("gzip twice, said once", &["gzip"], gzip(&packed)),
        ("gzip that is none", &["gzip"], body.to_vec()),
        ("gzip that nobody said", &[], packed.clone()),
        ("gzip cut short", &["gzip"], packed[..packed.len() - 1].to_vec()),
        ("gzip damaged", &["gzip"], damaged),
        ("rubbish behind gzip", &["gzip"], [packed.as_slice(), body].concat()),
        ("two roots in two members", &["gzip"], [packed.as_slice(), packed.as_slice()].concat()),
        ("a bomb", &["gzip"], bomb),
        ("an empty body", &["gzip"], Vec::new()),
    ];
    for (what, encodings, body) in cases {
        let mut headers = vec![JSON];
        headers.extend(encodings.iter().map(|e| ("content-encoding", *e)));
        let status = if body.is_empty() { 404 } else { 502 };
        gate.upstream.answers(Reply::with(200, &headers, body));
        let answer = view(&gate, &mut connection, &token).await;
        assert_clean(what, answer.expect(status));
        let list = connection.send(Ask::get("/list").by(&token)).await;
        assert_clean(what, list.expect(502));
    }
}

#[tokio::test]
async fn broken_framing_of_the_backend_is_a_502_and_poisons_no_later_answer() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let good = r#"{"id":1,"name":"good"}"#;
    let evil = r#"{"id":1,"name":"CANARY"}"#;
    let whole = |headers: &[(&str, &str)], rest: &[u8]| {
        Reply::raw([head(200, &[&[JSON], headers].concat()), rest.to_vec()].concat())
    };
    let length = evil.len().to_string();
    let smuggled = Reply::with(200, &[JSON], evil);
    let Some(Step::Send(smuggled)) = smuggled.0.into_iter().next() else { panic!("no bytes") };
    let cases = [
        ("a length too long, then closed", whole(&[("content-length", "999")], evil.as_bytes()).then(Step::Close)),
        ("a length too long, then reset", whole(&[("content-length", "999")], evil.as_bytes()).then(Step::Reset)),
        ("a length too short", whole(&[("content-length", "9")], evil.as_bytes())),
        ("two lengths", whole(&[("content-length", &length), ("content-length", "7")], evil.as_bytes())),
        ("no length", whole(&[("content-length", "abc")], evil.as_bytes()).then(Step::Close)),
        ("a negative length", whole(&[("content-length", "-1")], evil.as_bytes()).then(Step::Close)),
        ("a length and chunks", whole(
            &[("content-length", &length), ("transfer-encoding", "chunked")],
            evil.as_bytes(),
        ).then(Step::Close)),
        ("a chunk size that is none", whole(&[("transfer-encoding", "chunked")], b"zz\r\nCANARY").then(Step::Close)),
        ("a chunk size beyond all", whole(&[("transfer-encoding", "chunked")], b"fffffffffffffffff\r\nCANARY").then(Step::Close)),
        ("chunks without an end", Reply::open([evil]).then(Step::Close)),
        ("chunks, then a reset", Reply::open([&evil[..10]]).then(Step::Reset)),
        ("a coding besides chunked", whole(&[("transfer-encoding", "gzip, chunked")], &chunk(evil.as_bytes())).then(Step::Close)),
        ("rubbish for a status", Reply::raw("HTTP/1.1 abc CANARY\r\n\r\n").then(Step::Close)),
        ("no HTTP", Reply::raw("SSH-2.0-CANARY\r\n").then(Step::Close)),
        ("HTTP/0.9", Reply::raw(evil).then(Step::Close)),
        ("HTTP/2 unasked", Reply::raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").then(Step::Close)),
        ("a header without a name", Reply::raw("HTTP/1.1 200 OK\r\n: CANARY\r\n\r\n").then(Step::Close)),
        ("a folded header", Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n ;x=CANARY\r\ncontent-length: {length}\r\n\r\n{evil}")).then(Step::Close)),
        ("a switch of protocols", Reply::raw("HTTP/1.1 101 CANARY\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nCANARY").then(Step::Close)),
        ("a head without end", Reply::raw(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "CANARY".repeat(20_000))).then(Step::Close)),
        ("headers without end", Reply::raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: CANARY\r\n".repeat(300))).then(Step::Close)),
        ("nothing at all", Reply::raw("").then(Step::Close)),
        ("a reset", Reply::raw("").then(Step::Reset)),
    ];
    for (what, reply) in cases {
        gate.upstream.answers(reply);
        let answer = view(&gate, &mut connection, &token).await;
        assert_clean(what, &answer);
        assert_eq!(answer.status, 502, "{what}: {}", answer.text());
        gate.upstream.answers(Reply::json(good));
        let next = view(&gate, &mut connection, &token).await;
        assert_eq!(next.expect(200).json()["name"], "good", "after {what}");
    }
    // A second answer behind the first must not be taken for that of the next request.
    let first = whole(&[("content-length", &good.len().to_string())], good.as_bytes());
    gate.upstream.answers(first.then(Step::Send(smuggled)));
    view(&gate, &mut connection, &token).await.expect(200);
    gate.upstream.answers(Reply::json(good));
    let next = view(&gate, &mut connection, &token).await;
    assert_eq!(next.expect(200).json()["name"], "good");
}

#[tokio::test]
async fn a_change_of_which_the_backend_says_nothing_is_told_as_made() {
    let route = "  one.create:\n    match: POST bank.example/one\n";
    let passes = format!("{route}    headers: {{ pass: [location] }}\n");
    let gate = Setup::policy(&OPEN_BANK.replacen(route, &passes, 1)).start().await;
    let token = gate.teller();
    let raw = |head: &str, body: &str| Reply::raw(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
    let chunks = "transfer-encoding: chunked";
    for (reply, status) in [
        (Reply::with(201, &[], ""), 204),
        (Reply::with(201, &[("location", "/one/9")], ""), 201),
        (Reply::with(201, &[("content-type", "application/json")], ""), 204),
        (Reply::with(202, &[], ""), 204),
        (Reply::with(200, &[], ""), 204),
        (raw(&format!("201 x\r\n{chunks}"), "0\r\n\r\n"), 204),
        (raw(&format!("201 x\r\n{chunks}\r\ncontent-type: application/json"), "0\r\n\r\n"), 204),
        (raw(&format!("201 x\r\n{chunks}"), "1\r\nx\r\n0\r\n\r\n"), 502),
    ] {
        gate.upstream.answers(reply);
        let told = gate.ask(Ask::post("/one", r#"{"name":"a"}"#).by(&token)).await;
        assert_eq!(told.expect(status).header("location"), (status == 201).then_some("/one/9"));
    }
    gate.upstream.answers(Reply::with(200, &[], ""));
    let change = Ask::patch("/one/1", r#"{"name":"a"}"#).by(&token);
    gate.ask(change).await.expect(204);
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(404);
}
