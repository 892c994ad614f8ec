//! Opaque routes: what passes unread does so only where the policy says so, whole or not at all, counted
//! and recorded like everything else. And on no other route does anything pass unread.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use menshen::audit::Ending;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, holds, soon};

/// The bank, with files about its customers.
const FILES: &str = r#"
  statement:
    match: GET bank.example/one/{id}/statement
    to: core
    action: view
    opaque: { types: [application/pdf, image/*], grade: 3, size: 64KiB, subject: id, of: customer }
  contract:
    match: GET bank.example/one/{id}/contract
    to: core
    action: view
    opaque: { types: application/pdf, grade: 1, size: 64KiB, of: customer }
    reads: one.view
  events:
    match: GET bank.example/events
    to: core
    action: search
    opaque: { types: text/event-stream, grade: 1 }
roles: { supervisor: {}, "#;

const RULES: &str = r#"
  - name: tellers read files
    allow: [view, search]
    to: teller
    route: [statement, events]
  - name: tellers read contracts of customers whose note is open
    allow: view
    to: teller
    route: contract
    where: record.note == "open"
  - name: nobody reads of those who died
    deny: view
    to: any
    of: customer
    route: [contract, one.view]
    where: record.name == "late"
"#;

fn bank(limits: &str) -> Setup {
    let policy = OPEN_BANK
        .replace("\nroles: { ", FILES)
        .replace("2: {}", "2: {}, 3: { assurance: 2, fresh: 15m }");
    Setup::policy(&format!("{policy}{}{limits}", RULES.trim_start_matches('\n')))
}

const PDF: &str = "%PDF-1.7 of 13812345678";

fn pdf() -> Reply {
    let headers = [
        ("content-type", "application/pdf; name=\"13812345678.pdf\""),
        ("content-disposition", "inline; filename=13812345678.pdf"),
        ("x-phone", "13812345678"),
        ("etag", "13812345678"),
    ];
    Reply::with(200, &headers, PDF)
}

async fn statement(gate: &Gate, id: u32) -> crate::harness::Answer {
    gate.ask(Ask::get(&format!("/one/{id}/statement")).by(&gate.teller())).await
}

#[tokio::test]
async fn a_file_passes_byte_for_byte_and_nothing_else_of_the_backend_does() {
    let mut gate = bank("").start().await;
    gate.upstream.answers(pdf());
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let ask = Ask::get("/one/7/statement").by(&token);
        let ask = ask.header("range", "bytes=0-3").header("if-none-match", "13812345678");
        let answer = connection.send(ask).await;
        assert_eq!(answer.expect(200).text(), PDF);
        assert_eq!(answer.header("content-type"), Some("application/pdf"));
        let told = answer.header("content-disposition").unwrap();
        assert!(told.starts_with("attachment; filename=\"statement-2027-01-15-w"), "{told}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let heads = answer.bytes().len() - answer.body.len();
        assert!(!holds(&answer.bytes()[..heads], "12345678"), "{:?}", answer.headers);
    }
    let asked = gate.upstream.asked();
    assert_eq!(asked[0].header("accept"), Some("application/pdf, image/*"));
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
    assert_eq!((asked[0].header("range"), asked[0].header("if-none-match")), (None, None));
    let entries = gate.entries().await;
    let outcome = entries.last().unwrap();
    let data = outcome.data.as_ref().unwrap();
    assert_eq!((data.entity.as_str(), data.records), ("customer", Some(1)));
    assert_eq!(data.bytes, Some(PDF.len() as u64));
    assert!(outcome.subjects.is_some(), "the log can say whose file it was");
    assert_eq!(outcome.result.as_ref().unwrap().ended, Some(Ending::Complete));
    let decision =
        entries.iter().find_map(|entry| entry.decision.as_ref().and(entry.data.as_ref()));
    assert_eq!(decision.unwrap().highest_grade.as_str(), "3");
}

#[tokio::test]
async fn anything_that_is_not_on_the_list_is_refused() {
    let gate = bank("").start().await;
    let pdf = ("content-type", "application/pdf");
    let chunked = ("transfer-encoding", "chunked");
    let replies = [
        ("another type", Reply::with(200, &[("content-type", "text/html")], "CANARY")),
        ("json", Reply::with(200, &[("content-type", "application/json")], "{\"a\":\"CANARY\"}")),
        ("no type", Reply::with(200, &[], "CANARY")),
        ("two types", Reply::with(200, &[pdf, ("content-type", "text/html")], "CANARY")),
        (
            "two types in one",
            Reply::with(200, &[("content-type", "image/png, text/html")], "CANARY"),
        ),
        ("half a type", Reply::with(200, &[("content-type", "image/")], "CANARY")),
        (
            "a type that begins alike",
            Reply::with(200, &[("content-type", "application/pdfx")], "CANARY"),
        ),
        ("gzip", Reply::with(200, &[pdf, ("content-encoding", "gzip")], "CANARY")),
        ("a coding", Reply::with(200, &[pdf, ("content-encoding", "br")], "CANARY")),
        ("created", Reply::with(201, &[pdf], "CANARY")),
        ("a part", Reply::with(206, &[pdf, ("content-range", "bytes 0-5/9")], "CANARY")),
        ("too large, as it says", Reply::with(200, &[pdf], "CANARY".repeat(12_000))),
        ("too large, as it comes", {
            let all = "CANARY".repeat(12_000);
            let chunks = all.as_bytes().chunks(6_000).flat_map(chunk).collect::<Vec<u8>>();
            Reply(vec![Step::Send([head(200, &[pdf, chunked]), chunks].concat()), Step::Stall])
        }),
        ("cut within its length", {
            let head = head(200, &[pdf, ("content-length", "600")]);
            Reply::raw([head, b"CANARY".to_vec()].concat()).then(Step::Close)
        }),
    ];
    for (what, reply) in replies {
        gate.upstream.answers(reply);
        let answer = statement(&gate, 7).await;
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
        assert!(!holds(&answer.bytes(), "CANARY"), "{what}");
    }
    for (status, shown) in [(404, 404), (302, 502), (403, 403), (500, 500), (204, 502)] {
        let body = if status == 204 { "" } else { "CANARY" };
        gate.upstream.answers(Reply::with(status, &[pdf, ("location", "/CANARY")], body));
        let answer = statement(&gate, 7).await;
        assert!(!holds(&answer.expect(shown).bytes(), "CANARY"), "{status}");
    }
}

#[tokio::test]
async fn a_large_file_streams_and_is_cut_where_it_grows_too_large_or_breaks_off() {
    let mut gate = bank("").yaml("bodies: { held-kib: 16 }").start().await;
    let whole = "x".repeat(60 * 1024);
    let chunks = |text: &str| text.as_bytes().chunks(9_000).flat_map(chunk).collect::<Vec<u8>>();
    let pdf = [("content-type", "application/pdf"), ("transfer-encoding", "chunked")];
    let sent = |text: &str, last: Step| {
        Reply(vec![Step::Send([head(200, &pdf), chunks(text)].concat()), last])
    };
    gate.upstream.answers(sent(&whole, Step::Send(b"0\r\n\r\n".to_vec())));
    let answer = statement(&gate, 7).await;
    assert_eq!((answer.expect(200).text(), &answer.cut), (whole.as_str(), &None));
    for (what, reply) in [
        ("too large", sent(&"x".repeat(70 * 1024), Step::Send(b"0\r\n\r\n".to_vec()))),
        ("broken off", sent(&whole, Step::Close)),
    ] {
        gate.upstream.answers(reply);
        let answer = statement(&gate, 7).await;
        assert!(answer.cut.is_some() || answer.status == 502, "{what} ended in good order");
        assert!(answer.body.len() <= 64 * 1024, "{what}");
    }
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(ended.filter(|ended| *ended == Ending::Complete).count(), 1);
}

#[tokio::test]
async fn its_grade_must_be_met_in_full_before_the_backend_is_asked() {
    let gate = bank("").start().await;
    gate.upstream.answers(pdf());
    let old = gate.clock.unix_s() - 3600;
    for (claims, status) in [
        (json!({ "acr": "1" }), 401),
        (json!({ "auth_time": old }), 401),
        (json!({ "roles": ["stranger"] }), 403),
        (json!({ "roles": ["supervisor"] }), 403),
    ] {
        let ask = Ask::get("/one/7/statement").by(&gate.token(&claims));
        let answer = gate.ask(ask).await;
        assert_eq!(answer.status, status, "{claims}: {}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(challenge.contains("insufficient_user_authentication"), status == 401);
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn files_are_counted_in_people_and_bytes_together_with_records() {
    let limits = "limits:\n  - { to: teller, subjects: 2/h, bytes: 1KiB/h }\n";
    let gate = bank(limits).start().await;
    gate.upstream.answers_by(|asked| {
        if asked.target.ends_with("statement") {
            pdf()
        } else {
            Reply::json(r#"{"id":"7","name":"a"}"#)
        }
    });
    let token = gate.teller();
    gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
    statement(&gate, 7).await.expect(200);
    statement(&gate, 8).await.expect(200);
    let refused = statement(&gate, 9).await;
    assert!(!holds(&refused.expect(429).bytes(), "PDF"));
    let large = [("content-type", "image/png")];
    gate.upstream.answers(Reply::with(200, &large, "x".repeat(2_000)));
    statement(&gate, 7).await.expect(429);
    gate.upstream.answers(pdf());
    statement(&gate, 7).await.expect(200);
}

#[tokio::test]
async fn files_are_counted_as_files_and_a_high_grade_as_unmasking() {
    for limits in ["files: 2/day", "unmask: 2/day"] {
        let gate = bank(&format!("limits:\n  - {{ to: teller, {limits} }}\n")).start().await;
        gate.upstream.answers(pdf());
        for id in [7, 8] {
            statement(&gate, id).await.expect(200);
        }
        let hits = gate.upstream.hits();
        let refused = statement(&gate, 9).await;
        assert!(!holds(&refused.expect(429).bytes(), "PDF"), "{limits}");
        let asked = gate.upstream.hits() - hits;
        assert_eq!(asked, usize::from(limits.starts_with("unmask")), "{limits}");
    }
}

#[tokio::test]
async fn with_reads_the_record_decides_and_its_own_key_counts() {
    let mut gate = bank("limits:\n  - { to: teller, subjects: 1/h }\n").start().await;
    let record = Arc::new(std::sync::Mutex::new(String::new()));
    let shown = Arc::clone(&record);
    gate.upstream.answers_by(move |asked| {
        if asked.target.ends_with("contract") {
            return pdf();
        }
        match shown.lock().unwrap().as_str() {
            "" => Reply::with(404, &[], ""),
            record => Reply::json(record),
        }
    });
    let token = gate.teller();
    let ask = || Ask::get("/one/7/contract").by(&token);
    for (text, status) in [
        ("", 404),
        (r#"{"id":"7","name":"a","note":"closed"}"#, 404),
        (r#"{"id":"7","name":"a"}"#, 404),
        (r#"{"id":"7","name":"late","note":"open"}"#, 404),
        (r#"{"id":"7","note":"open"}"#, 404),
        (r#"{"name":"a","note":"open"}"#, 502),
        (r#"{"id":"7","name":"a","note":"open""#, 502),
    ] {
        text.clone_into(&mut record.lock().unwrap());
        let answer = gate.ask(ask()).await;
        assert_eq!(answer.status, status, "{text}: {}", answer.text());
    }
    let files = |gate: &Gate| {
        gate.upstream.asked().iter().filter(|asked| asked.target.ends_with("contract")).count()
    };
    assert_eq!(files(&gate), 0, "the file was not even asked for");
    for (id, status) in [("C1", 200), ("C1", 200), ("C2", 429)] {
        *record.lock().unwrap() = format!(r#"{{"id":"{id}","name":"a","note":"open"}}"#);
        gate.ask(ask()).await.expect(status);
    }
    let entries = gate.entries().await;
    let named = entries.iter().filter(|entry| entry.subjects.is_some()).count();
    assert_eq!(named, 2, "whoever was not shown is not named");
}

#[tokio::test]
async fn an_event_comes_at_once_and_a_used_up_budget_ends_the_stream() {
    let mut gate = bank("limits:\n  - { to: teller, bytes: 1KiB/h }\n").start().await;
    let go_on = Arc::new(Semaphore::new(0));
    let events =
        [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")];
    let mut steps = vec![Step::Send(head(200, &events))];
    for n in 0..3 {
        steps.push(Step::Wait(Arc::clone(&go_on)));
        steps.push(Step::Send(chunk(format!("data: {n}{}\n\n", "x".repeat(400)).as_bytes())));
    }
    gate.upstream.answers(Reply(steps).then(Step::Stall));
    let mut connection = gate.h1().await;
    let ask = Ask::get("/events").by(&gate.teller());
    let response = soon("the head", connection.begin(ask)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["content-disposition"], "inline");
    let mut body = response.into_body();
    for n in 0..2 {
        go_on.add_permits(1);
        let event = soon("an event", body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert!(event.starts_with(format!("data: {n}").as_bytes()), "{event:?}");
    }
    go_on.add_permits(1);
    let third = soon("the end", body.frame()).await;
    assert!(third.unwrap().is_err(), "more than the budget left");
    let entries = gate.entries().await;
    let outcome = entries.last().unwrap();
    assert_eq!(outcome.result.as_ref().unwrap().ended, Some(Ending::Limited));
    assert_eq!(outcome.data.as_ref().unwrap().bytes, Some(2 * 409));
}

#[tokio::test]
async fn no_type_passes_unread_on_a_route_that_is_judged() {
    let gate = bank("").start().await;
    let token = gate.teller();
    for media_type in
        ["application/pdf", "image/png", "text/event-stream", "text/csv", "application/x-ndjson"]
    {
        gate.upstream.answers(Reply::with(
            200,
            &[("content-type", media_type)],
            "{\"id\":\"CANARY\"}",
        ));
        for path in ["/one/7", "/list", "/all"] {
            let answer = gate.ask(Ask::get(path).by(&token)).await;
            assert!(!holds(&answer.expect(502).bytes(), "CANARY"), "{media_type} {path}");
        }
    }
}
