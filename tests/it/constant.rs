//! A route with a constant answer says nothing of what the backend knows.

use std::time::Duration;

use menshen::audit::Event;
use serde_json::json;

use crate::harness::{Ask, Reply, Setup, Step};

const POLICY: &str = "
grades: { 1: {} }
roles: { visitor: {} }
entities:
  message: { fields: { guest: 1, text: 1 } }
routes:
  message.leave:
    match: POST bank.example/messages
    to: core
    action: create
    accepts: { message: $ }
    answer: constant
rules:
  - { name: anybody may leave a message, allow: create, to: visitor, of: message, write: [guest, text] }
limits:
  - { to: visitor, concurrent: 1 }
";

const BACKENDS_DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

#[tokio::test]
async fn whether_the_guest_exists_cannot_be_told_from_the_answer() {
    let mut gate = Setup::policy(POLICY).start().await;
    gate.upstream.answers_by(|asked| {
        // Its clock and its software would tell as well.
        let of_backend = [("date", BACKENDS_DATE), ("server", "core-404")];
        if crate::harness::holds(&asked.body, "g1") {
            Reply::json(r#"{"room":"1203"}"#)
        } else {
            Reply::with(404, &of_backend, "no such guest")
        }
    });
    let visitor = gate.token(&json!({ "roles": ["visitor"] }));
    let leave = |guest: &str| {
        let body = json!({ "guest": guest, "text": "call me" }).to_string();
        Ask::post("/messages", &body).bearer(&visitor)
    };
    let seen = async |guest: &str| {
        let mut answer = gate.ask(leave(guest)).await;
        answer.expect(202);
        answer.headers.remove("menshen-request-id").expect("each has its own");
        // The gate's own clock, which may pass a second between the two.
        assert_ne!(answer.headers.remove("date").expect("a date"), BACKENDS_DATE);
        answer.bytes()
    };
    let there = seen("g1").await;
    assert_eq!(there, seen("g2").await);
    assert!(there.ends_with(b"\n"), "there is no body");
    // What the backend said stands in the log.
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    let mut told: Vec<_> = outcomes
        .map(|entry| {
            let result = entry.result.as_ref().unwrap();
            (result.status, result.upstream_status)
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [(Some(202), Some(200)), (Some(202), Some(404))]);
}

#[tokio::test]
async fn a_backend_that_never_answers_is_not_waited_for() {
    let gate = Setup::policy(POLICY).start().await;
    gate.upstream.answers(Reply(vec![Step::Stall]));
    let visitor = gate.token(&json!({ "roles": ["visitor"] }));
    let body = r#"{"guest":"g1","text":"call me"}"#;
    // Nor does it hold the caller's one place, by which somebody could tell how long it takes.
    for _ in 0..3 {
        let asked = gate.ask(Ask::post("/messages", body).bearer(&visitor));
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("at once").expect(202);
    }
}
