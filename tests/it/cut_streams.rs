//! Promise 2 where an answer streams: one that turns bad is cut off, and never ended as if it were whole.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use menshen::audit::Ending;
use menshen::identity::NewApiKey;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::fails_closed::{JSON, assert_clean, gzip};
use crate::harness::client::finish;
use crate::harness::gate::session_of;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Connection, Gate, OPEN_BANK, Reply, Setup, Step, soon};

const PASSWORD: &str = "a quiet lantern";

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

/// An export of which the first records have come, over a connection of its own.
struct Export {
    /// Open for as long as it is read.
    _connection: Connection,
    answer: Response<Incoming>,
}

impl Export {
    async fn begin(gate: &Gate, ask: Ask) -> Self {
        let mut connection = gate.h2().await;
        let begun = connection.begin(ask).await.unwrap();
        assert_eq!(begun.status(), 200);
        Self { _connection: connection, answer: begun }
    }

    /// Waits for its end, soon.
    async fn ended(self) -> Answer {
        soon("the end of an export", finish(self.answer)).await
    }

    async fn expect_cut(self) {
        let answer = self.ended().await;
        assert!(
            answer.cut.is_some() && !answer.body.ends_with(b"]"),
            "it ended as if it were whole"
        );
    }
}

/// A gate whose exports go on for as long as the test likes.
async fn exporting() -> (Gate, Arc<Semaphore>) {
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let headers = [JSON, ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let rest = [chunk(br#"{"id":2}]"#), b"0\r\n\r\n".to_vec()].concat();
    let go_on = Arc::new(Semaphore::new(0));
    let wait = Step::Wait(Arc::clone(&go_on));
    gate.upstream.answers(Reply::raw(first).then(wait).then(Step::Send(rest)));
    (gate, go_on)
}

#[tokio::test]
async fn an_export_under_way_is_cut_when_its_token_or_key_is_revoked_and_goes_on_when_a_token_ends()
{
    let (mut gate, go_on) = exporting().await;
    let token = |changes| Ask::get("/all").by(&gate.token(&changes));
    let stolen = Export::begin(&gate, token(json!({ "jti": "stolen" }))).await;
    let other = Export::begin(&gate, token(json!({ "jti": "other" }))).await;
    let now_s = gate.clock.unix_s();
    let short = json!({ "sub": "li", "jti": "short", "exp": now_s + 5 });
    let short = Export::begin(&gate, token(short)).await;
    gate.add_account("reports", PASSWORD, "teller").await;
    let (roles, zones) = (vec!["teller".to_owned()], vec!["business".to_owned()]);
    let new = NewApiKey { account: "reports".to_owned(), roles, zones, life_s: 86_400 };
    let (info, key) = gate.identity().issue_api_key(new).await.unwrap();
    let keyed = Ask::get("/all").header("authorization", &format!("ApiKey {}", key.expose()));
    let keyed = Export::begin(&gate, keyed).await;

    gate.identity().revoke_tokens("corp:wang", Some("stolen")).await.unwrap();
    gate.advance_s(2);
    stolen.expect_cut().await;
    gate.identity().revoke_api_key(&info.id).await.unwrap();
    keyed.expect_cut().await;
    gate.advance_s(40);
    gate.ask(Ask::get("/one/1").by(&gate.token(&json!({ "sub": "li", "exp": now_s + 5 }))))
        .await
        .expect(401);
    gate.identity().revoke_tokens("corp:wang", None).await.unwrap();
    gate.advance_s(2);
    other.expect_cut().await;
    // It was looked at as often as the others.
    go_on.add_permits(10);
    let whole = short.ended().await;
    assert_eq!((whole.cut, whole.body.ends_with(b"]")), (None, true));

    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref());
    let ended: Vec<_> = ended.filter_map(|r| Some((r.ended?, r.cause.as_str()))).collect();
    let revoked = (Ending::AbortedByPolicy, "credential_revoked");
    assert_eq!(ended.iter().filter(|one| **one == revoked).count(), 3, "{ended:?}");
}

#[tokio::test]
async fn an_export_of_a_session_outlives_a_new_cookie_and_not_the_session() {
    let (gate, _go_on) = exporting().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let secret = gate.enrol("wang").await;
    let cookie = gate.sign_in("wang", PASSWORD).await;
    let mut export = Export::begin(&gate, Ask::get("/all").cookie(&cookie)).await;
    // Long enough that it was looked at under the first cookie, and then under the second.
    let going_on = async |export: &mut Export| {
        let more = async {
            use http_body_util::BodyExt as _;
            while let Some(frame) = export.answer.frame().await {
                frame.expect("it goes on");
            }
        };
        tokio::time::timeout(Duration::from_millis(2500), more).await.expect_err("it goes on");
    };
    going_on(&mut export).await;
    let code = format!(r#"{{"code":"{}"}}"#, gate.code(&secret));
    let answer = gate.ask(Ask::post("/.menshen/code", &code).cookie(&cookie)).await;
    let raised = session_of(answer.expect(200));
    going_on(&mut export).await;
    gate.ask(Ask::post("/.menshen/logout", "{}").cookie(&raised)).await.expect(204);
    export.expect_cut().await;
}
