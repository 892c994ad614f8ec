//! What a body is packed with, both ways: it is unpacked, judged and goes on unpacked, or it is refused.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};

use crate::fails_closed::{JSON, assert_clean, gzip};
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, OPEN_BANK, Reply, Setup};

/// Packs with codings one after the other, named as in `Content-Encoding`; `raw` is deflate without frame.
pub(crate) fn pack(codings: &str, data: &[u8]) -> Vec<u8> {
    codings.split(", ").fold(data.to_vec(), |data, coding| match coding {
        "gzip" => gzip(&data),
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&data).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&data).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut packed = Vec::new();
            brotli::CompressorWriter::new(&mut packed, 4096, 5, 18).write_all(&data).unwrap();
            packed
        }
        "zstd" => zstd::encode_all(data.as_slice(), 3).unwrap(),
        other => panic!("nothing packs with {other}"),
    })
}

/// A header as it is sent, and what it is packed with in truth.
const PACKED: [(&str, &str); 9] = [
    ("gzip", "gzip"),
    ("deflate", "deflate"),
    ("deflate", "raw"),
    ("br", "br"),
    ("zstd", "zstd"),
    ("gzip, br", "gzip, br"),
    ("zstd,gzip", "zstd, gzip"),
    ("deflate, zstd", "raw, zstd"),
    ("br, br", "br, br"),
];

#[tokio::test]
async fn an_answer_is_unpacked_and_judged_in_every_coding_and_split() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let body = r#"{"id":1,"secret":"CANARY","name":"é","phone":"13812345678","new":["CANARY"]}"#;
    let wanted = r#"{"id":1,"name":"é","phone":"138****5678"}"#;
    for (said, truth) in PACKED {
        let packed = pack(truth, body.as_bytes());
        let in_chunks = |size: usize| {
            let headers = [JSON, ("content-encoding", said), ("transfer-encoding", "chunked")];
            let mut answer = head(200, &headers);
            packed.chunks(size).for_each(|piece| answer.extend(chunk(piece)));
            Reply::raw([answer, b"0\r\n\r\n".to_vec()].concat())
        };
        for reply in [
            Reply::with(200, &[JSON, ("content-encoding", said)], &packed),
            in_chunks(1),
            in_chunks(7),
        ] {
            gate.upstream.answers(reply);
            for mut connection in [gate.h1().await, gate.h2().await] {
                let answer = connection.send(Ask::get("/one/1").by(&token)).await;
                assert_eq!(answer.expect(200).text(), wanted, "{said}");
                assert_eq!((answer.header("content-encoding"), &answer.cut), (None, &None));
                let length = wanted.len().to_string();
                assert!(answer.header("content-length").is_none_or(|said| said == length));
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_its_coding_makes_is_a_502() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let body = r#"{"id":1,"name":"CANARY"}"#.as_bytes();
    let bomb = [b"{\"id\":1,\"name\":\"".as_slice(), &vec![b' '; 3_000_000], b"CANARY\"}"].concat();
    for (said, truth) in PACKED {
        let packed = pack(truth, body);
        let mut cases = vec![
            ("plain", body.to_vec()),
            ("nothing", Vec::new()),
            ("cut short", packed[..packed.len() - 1].to_vec()),
            ("a zero behind", [packed.as_slice(), b"\0"].concat()),
            ("plain text behind", [packed.as_slice(), body].concat()),
            ("twice", packed.repeat(2)),
            ("a bomb", pack(truth, &bomb)),
            ("one coding more than said", pack("gzip", &packed)),
        ];
        for other in ["gzip", "deflate", "br", "zstd"].into_iter().filter(|other| *other != said) {
            cases.push((other, pack(other, body)));
        }
        for (what, body) in cases {
            let headers = [JSON, ("content-encoding", said)];
            // A view in which there is nothing is told as missing, like one that may not be seen.
            let status = if body.is_empty() { 404 } else { 502 };
            gate.upstream.answers(Reply::with(200, &headers, body));
            let answer = connection.send(Ask::get("/one/1").by(&token)).await;
            assert_clean(&format!("{said}: {what}"), answer.expect(status));
            let list = connection.send(Ask::get("/list").by(&token)).await;
            assert_clean(&format!("{said}: {what}, as a list"), list.expect(502));
        }
        gate.upstream.answers(Reply::with(200, &[JSON], packed));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert_clean(&format!("{said}, unsaid"), answer.expect(502));
    }
}

#[tokio::test]
async fn a_request_body_is_unpacked_and_judged_before_the_backend_gets_it() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let ask = |codings: &str, body: &[u8]| {
        let ask = Ask::new("PATCH", "/one/1").by(&token).header("content-encoding", codings);
        ask.header("content-type", "application/json").body(body)
    };
    for (said, truth) in PACKED {
        let packed = pack(truth, br#"{"name":"b"}"#);
        gate.ask(ask(said, &packed)).await.expect(200);
        let asked = gate.upstream.asked().pop().unwrap();
        assert_eq!(
            (asked.body.as_slice(), asked.header("content-encoding")),
            (&br#"{"name":"b"}"#[..], None)
        );
        let hits = gate.upstream.hits();
        let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1_100_000));
        for (what, body) in [
            ("forbidden", pack(truth, br#"{"secret":"x"}"#)),
            ("cut short", packed[..packed.len() - 1].to_vec()),
            ("longer", [packed.as_slice(), b"x"].concat()),
            ("too large", pack(truth, large.as_bytes())),
            ("plain", br#"{"name":"b"}"#.to_vec()),
        ] {
            let answer = gate.ask(ask(said, &body)).await;
            assert!(answer.status.is_client_error(), "{said} {what}: {}", answer.status);
        }
        assert_eq!(gate.upstream.hits(), hits, "{said}");
    }
    for unknown in ["compress", "gzip, br, zstd", "gzip, identity", ""] {
        let answer = gate.ask(ask(unknown, br#"{"name":"b"}"#)).await;
        let known = answer.expect(415).header("accept-encoding");
        assert_eq!(known, Some("gzip, deflate, br, zstd"), "{unknown}");
    }
}
