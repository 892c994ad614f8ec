//! What people try with grants who mean no good, or who do not answer for what they opened.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::Entry;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::grants::{
    HOTEL, admin, approve, asked, asks, granted, hotel_with, look, manager, scan_of,
};
use crate::harness::gate::session_of;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Gate, Reply, Step, soon};

fn lending(key: &str, role: &str) -> serde_json::Value {
    let about = format!("guest:{key}");
    json!({ "route": "guest.drop", "subjects": about, "role": role, "reason": "r" })
}

/// Roles that teller may be lent, of which two are kept apart.
const APART: &str = "\
    \x20 - { to: teller, lends: auditor, grade: 4 }\n\
    apart: [[manager, auditor]]\n";

#[tokio::test]
async fn two_grants_of_a_person_lend_no_roles_that_are_kept_apart() {
    let gate = hotel_with(APART).await;
    let fields =
        json!({ "route": "guest.view", "subjects": "guest:G7", "role": "auditor", "reason": "r" });
    let waits = asked(&gate, fields.clone()).await;
    granted(&gate, lending("G7", "manager")).await;
    let remove = || Ask::new("DELETE", "/guests/G7").by(&gate.teller());
    gate.ask(remove()).await.expect(204);
    // Neither what is asked from now on nor what waited is given.
    let told = asks(&gate, &gate.teller(), fields).await;
    assert!(told.expect(409).text().contains("apart"), "{}", told.text());
    let told = approve(&gate, &manager(&gate, "mei"), &waits).await;
    assert!(told.expect(409).text().contains("apart"), "{}", told.text());
    gate.ask(remove()).await.expect(204);
}

#[tokio::test]
async fn whose_an_account_is_counts_as_it_is_known_now() {
    let gate = hotel_with("").await;
    let id = asked(&gate, scan_of("G7")).await;
    // Only now it is said that the two accounts are one person's.
    gate.add_account("wang-admin", "lanterns-at-dusk", "manager").await;
    gate.identity().set_person("corp:wang", Some("wang")).await.unwrap();
    gate.identity().set_person("wang-admin", Some("wang")).await.unwrap();
    gate.advance_s(2);
    let secret = gate.enrol("wang-admin").await;
    let session = gate.sign_in("wang-admin", "lanterns-at-dusk").await;
    let code = json!({ "code": gate.code(&secret) }).to_string();
    let raised = gate.ask(Ask::post("/.menshen/code", &code).cookie(&session)).await;
    let session = session_of(raised.expect(200));
    let decide = |decision: &str| {
        let fields = json!({ "id": id, "decision": decision, "reason": "r" }).to_string();
        gate.ask(Ask::post("/.menshen/grants/decide", &fields).cookie(&session))
    };
    let told = decide("approve").await;
    assert!(told.expect(409).text().contains("another person must"), "{}", told.text());
    decide("refuse").await.expect(403);
    approve(&gate, &manager(&gate, "mei"), &id).await.expect(200);
    look(&gate, "/guests/G7/scan").await.expect(200);
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_rather_than_left_out() {
    let gate = hotel_with("").await;
    for field in ["purpose", "role"] {
        let mut fields = scan_of("G7");
        fields[field] = "x".repeat(257).into();
        let told = asks(&gate, &gate.teller(), fields).await;
        assert!(told.expect(422).text().contains("256 bytes"), "{}", told.text());
    }
}

#[tokio::test]
async fn a_policy_that_lets_nobody_grant_it_any_more_closes_what_was_granted() {
    let gate = hotel_with("").await;
    granted(&gate, json!({ "route": "guest.scan", "subjects": "guest:G7", "reason": "r" })).await;
    look(&gate, "/guests/G7/scan").await.expect(200);
    let tighter = HOTEL.replace("    grade: 4\n    longest: 1h", "    grade: 3\n    longest: 1h");
    std::fs::write(gate.path("policies/policy.yaml"), tighter).unwrap();
    gate.server().reload();
    let closed = async {
        while look(&gate, "/guests/G7/scan").await.status != 403 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the policy to close it", closed).await;
}

fn emergency(key: &str, drill: bool) -> serde_json::Value {
    let mut fields = scan_of(key);
    fields["emergency"] = "true".into();
    fields["drill"] = if drill { "true" } else { "false" }.into();
    fields
}

fn count(gate: &Gate, name: &str) -> usize {
    let entries = gate.entries_so_far();
    let named = |e: &&Entry| e.act.as_ref().is_some_and(|act| act.name.as_str() == name);
    entries.iter().filter(named).count()
}

/// Waits until so many entries of this name are in the log.
async fn told(gate: &Gate, name: &str, wanted: usize) {
    let told = async {
        while count(gate, name) < wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(name, told).await;
    assert_eq!(count(gate, name), wanted, "{name}");
}

#[tokio::test]
async fn of_an_emergency_that_nobody_reviews_somebody_is_reminded_and_then_it_blocks() {
    let mut gate = hotel_with("").await;
    let opened = asks(&gate, &gate.teller(), emergency("G7", false)).await.expect(201).json();
    let drill = asks(&gate, &gate.teller(), emergency("G8", true)).await.expect(201).json();
    assert_eq!((&opened["drill"], &drill["drill"]), (&json!(false), &json!(true)));
    // What waits for a review has no room for more of them.
    asks(&gate, &gate.teller(), emergency("G9", false)).await.expect(201);
    let more = asks(&gate, &gate.teller(), emergency("G10", false)).await;
    assert!(more.expect(409).text().contains("wait to be reviewed"), "{}", more.text());
    gate.advance_s(1_800);
    gate.restart().await;
    told(&gate, "grant_review_due", 2).await;
    told(&gate, "grant_review_due_drill", 1).await;
    assert_eq!(count(&gate, "grant_review_overdue"), 0);
    gate.advance_s(1_800);
    gate.restart().await;
    told(&gate, "grant_review_overdue", 2).await;
    told(&gate, "grant_review_overdue_drill", 1).await;
    told(&gate, "grant_review_due", 2).await;
    // Neither what was opened before nor anything new helps.
    let more = asks(&gate, &gate.teller(), emergency("G7", false)).await;
    assert!(more.expect(409).text().contains("must be reviewed first"), "{}", more.text());
    granted(&gate, scan_of("G9")).await;
    look(&gate, "/guests/G9/scan").await.expect(403);
}

#[tokio::test]
async fn an_answer_that_waits_for_the_backend_does_not_leave_after_its_grant_was_taken_back() {
    let gate = hotel_with("").await;
    let id =
        granted(&gate, json!({ "route": "guest.view", "subjects": "guest:G7", "reason": "r" }))
            .await;
    let revoke = format!("/v1/grants/{id}/revoke");
    let go_on = Arc::new(Semaphore::new(0));
    let body = json!({ "id": "G7", "name": "n", "passport": "E12345678" }).to_string();
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let first = head(200, &headers);
    let rest = [chunk(body.as_bytes()), b"0\r\n\r\n".to_vec()].concat();
    let reply = Reply::raw(first).then(Step::Wait(Arc::clone(&go_on))).then(Step::Send(rest));
    gate.upstream.answers(reply);
    let mut connection = gate.h2().await;
    let asked = connection.send(Ask::get("/guests/G7").by(&gate.teller()));
    let taken_back = async {
        soon("the backend to be asked", async {
            while gate.upstream.hits() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let why = json!({ "reason": "enough" });
        admin(&gate, &manager(&gate, "mei"), &revoke, why).await.expect(200);
        go_on.add_permits(1);
    };
    let (answer, ()) = tokio::join!(asked, taken_back);
    answer.expect(403);
}
