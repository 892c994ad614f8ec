//! Promise 2 where an answer streams: one that turns bad is cut off, and never ended as if it were whole.

use std::io::Write as _;

use menshen::audit::Ending;

use crate::fails_closed::{JSON, assert_clean, gzip};
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, OPEN_BANK, Reply, Setup, Step};

/// Answers above 16 KiB stream, so that the tests need not move megabytes.
fn streaming() -> Setup {
    Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 16 }")
}

/// The start of an answer so large that it streams: hundreds of good records.
fn many_records() -> Vec<u8> {
    let mut body = b"[".to_vec();
    for id in 0..600 {
        write!(body, r#"{{"id":{id},"name":"n{id}","note":"{:050}","phone":"138CANARY","secret":"CANARY"}},"#, id).unwrap();
    }
    body
}

#[tokio::test]
async fn a_stream_that_turns_bad_is_cut_and_never_ended_as_if_it_were_whole() {
    let mut gate = streaming().start().await;
    let token = gate.teller();
    let good = many_records();
    let mut asked = 0;
    for (what, tail) in [
        ("cut in a record", r#"{"id":1,"name":"CANARY""#),
        ("cut between records", ""),
        ("rubbish behind", r#"{"id":1}]CANARY"#),
        ("a second root", r#"{"id":1}][{"name":"CANARY"}]"#),
        ("a bare word", r#"{"id":1,"name":CANARY}]"#),
        ("a comma too many", r#"{"id":1,"name":"x",}]CANARY"#),
        ("a wrong bracket", r#"{"id":1,"secret":"CANARY"}}"#),
        ("a lone surrogate in a key", r#"{"id":1,"\ud800":"CANARY"}]"#),
        ("a zero byte", "{\"id\":1,\"secret\":\"CANARY\0\"}]"),
    ] {
        let chunks: Vec<Vec<u8>> =
            good.chunks(9_000).chain([tail.as_bytes()]).map(<[u8]>::to_vec).collect();
        gate.upstream.answers(Reply::chunked(chunks));
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get("/all").by(&token)).await;
            assert_clean(what, answer.expect(200));
            assert!(answer.cut.is_some(), "{what} ended in good order");
            assert!(answer.body.len() > 15_000, "{what}: it streamed before");
            asked += 1;
        }
    }
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    let cut = ended.filter(|ended| *ended == Ending::AbortedByFilter).count();
    assert_eq!(cut, asked, "each says how it ended");
}

#[tokio::test]
async fn a_stream_whose_backend_dies_is_cut() {
    let mut gate = streaming().plain().start().await;
    let token = gate.teller();
    let good = many_records();
    let true_length = (good.len() + 100).to_string();
    let lying = [head(200, &[JSON, ("content-length", &true_length)]), good.clone()].concat();
    for (what, reply) in [
        ("closed within chunks", Reply::open(good.chunks(9_000)).then(Step::Close)),
        ("reset within chunks", Reply::open(good.chunks(9_000)).then(Step::Reset)),
        ("closed within its length", Reply::raw(lying).then(Step::Close)),
    ] {
        gate.upstream.answers(reply);
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get("/all").by(&token)).await;
            assert_clean(what, &answer);
            // A reset may overtake what came before it; then it is a clean refusal.
            assert!(answer.cut.is_some() || answer.status == 502, "{what} ended in good order");
        }
    }
    let entries = gate.entries().await;
    let whole = |ended| ended == Some(Ending::Complete);
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref());
    assert!(!ended.clone().any(|result| whole(result.ended)), "{:?}", ended.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_gzip_stream_that_is_damaged_late_is_cut() {
    let gate = streaming().start().await;
    let token = gate.teller();
    let mut body = many_records();
    body.extend_from_slice(br#"{"id":1}]"#);
    let mut packed = gzip(&body);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let headers = [JSON, ("content-encoding", "gzip"), ("transfer-encoding", "chunked")];
    let mut answer = head(200, &headers);
    packed.chunks(500).for_each(|piece| answer.extend(chunk(piece)));
    answer.extend_from_slice(b"0\r\n\r\n");
    gate.upstream.answers(Reply::raw(answer));
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/all").by(&token)).await;
        assert_clean("a wrong checksum", answer.expect(200));
        assert!(answer.cut.is_some());
    }
}
