//! What people try with grants who mean no good, or who do not answer for what they opened.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::Entry;
use menshen::tls::{Ask as AskFor, ClientSettings};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::grants::{
    HOTEL, admin, answering, approve, asked, asks, granted, hotel_setup, hotel_with, look, manager,
    scan_of,
};
use crate::harness::client::finish;
use crate::harness::clients::Authority;
use crate::harness::gate::session_of;
use crate::harness::process::menshen;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Connection, Gate, Reply, Step, soon};

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

/// A stream under a grant for one use, which is used up while it goes on.
async fn last_use(gate: &Gate) -> (String, Connection, http::Response<hyper::body::Incoming>) {
    let fields =
        json!({ "route": "guest.list", "subjects": "guest:G7", "uses": "1", "reason": "r" });
    let id = granted(gate, fields).await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":"G7","name":"{}","passport":"E1"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let never = Arc::new(Semaphore::new(0));
    gate.upstream.answers(Reply::raw(first).then(Step::Wait(never)));
    let mut connection = gate.h2().await;
    let stream = connection.begin(Ask::get("/guests").by(&gate.teller())).await.unwrap();
    told(gate, "grant_used_up", 1).await;
    (id, connection, stream)
}

#[tokio::test]
async fn the_stream_that_is_the_last_use_of_a_grant_ends_when_that_is_taken_back() {
    let gate = hotel_with("").await;
    let (id, _connection, stream) = last_use(&gate).await;
    let why = json!({ "reason": "enough" });
    let revoke = format!("/v1/grants/{id}/revoke");
    admin(&gate, &manager(&gate, "mei"), &revoke, why).await.expect(200);
    let cut = soon("the cut", finish(stream)).await;
    assert!(cut.cut.is_some(), "it goes on");
}

#[tokio::test]
async fn the_stream_that_is_the_last_use_of_a_grant_ends_with_its_time() {
    let gate = hotel_with("").await;
    let (_id, _connection, stream) = last_use(&gate).await;
    gate.advance_s(3_600);
    let cut = soon("the cut", finish(stream)).await;
    assert!(cut.cut.is_some(), "it goes on");
}

#[tokio::test]
async fn the_uses_of_a_grant_do_not_begin_anew_by_the_interface_nor_by_a_command() {
    let gate = hotel_with("").await;
    let id = granted(&gate, scan_of("G7")).await;
    look(&gate, "/guests/G7/scan").await.expect(200);
    let sec = gate.token(&json!({ "sub": "sec", "roles": ["security"] }));
    let anew = json!({ "budget": "files-2h", "reason": "once more" });
    let told = admin(&gate, &sec, &format!("/v1/limits/%25grant%3A{id}/reset"), anew).await;
    assert!(told.expect(409).text().contains("do not begin anew"), "{}", told.text());
    let (state, key) = (gate.path("state"), gate.path("master.key"));
    let holder = format!("%grant:{id}");
    let place = ["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let words = ["limits", "reset", &holder, "--budget", "files-2h", "--reason", "once more"];
    let ran = menshen(&[&words[..], &place].concat());
    let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    assert!(!ran.status.success() && said.contains("do not begin anew"), "{said}");
    look(&gate, "/guests/G7/scan").await.expect(403);
}

#[tokio::test]
async fn whom_a_detection_blocks_asks_for_nothing_and_decides_on_nothing() {
    let gate = hotel_with("detections:\n  sequential-ids: { action: block }\n").await;
    let tan = manager(&gate, "tan");
    let id = asked(&gate, scan_of("G7")).await;
    let looks = |n: u32| gate.ask(Ask::get(&format!("/guests/C-{n:04}")).by(&tan));
    for n in 0..19 {
        looks(n).await.expect(200);
    }
    looks(19).await;
    gate.until(403, &Ask::get("/guests/C-0077").by(&tan)).await;
    let listed = gate.ask(Ask::get("/.menshen/grants").bearer(&tan)).await;
    assert!(listed.expect(403).text().contains("stopped"), "{}", listed.text());
    let agree = json!({ "id": id, "decision": "approve" });
    let agree = Ask::post("/.menshen/grants/decide", &agree.to_string()).bearer(&tan);
    gate.ask(agree).await.expect(403);
    approve(&gate, &tan, &id).await.expect(403);
    approve(&gate, &manager(&gate, "mei"), &id).await.expect(200);
}

#[tokio::test]
async fn whoever_holds_roles_that_are_kept_apart_neither_asks_nor_decides() {
    let gate = hotel_with(APART).await;
    let id = asked(&gate, scan_of("G7")).await;
    let both = gate.token(&json!({ "sub": "tan", "roles": ["manager", "auditor"] }));
    let agree = json!({ "id": id, "decision": "approve" });
    let agree = Ask::post("/.menshen/grants/decide", &agree.to_string());
    gate.ask(agree.clone().bearer(&both)).await.expect(403);
    gate.ask(Ask::get("/.menshen/grants").bearer(&both)).await.expect(403);
    gate.ask(agree.bearer(&manager(&gate, "tan"))).await.expect(200);
}

#[tokio::test]
async fn a_certificate_is_no_factor_that_somebody_showed_lately() {
    const MACHINES: &str = "machines:\n  - { name: boss, certificate: \
        \"uri:spiffe://bank.example/boss\", zones: [business], roles: [manager] }";
    let authority = Authority::new("clients");
    let setup = hotel_setup("").yaml(MACHINES).tweak(|config| {
        let listener = config.listeners.first_mut().unwrap();
        let ca = listener.tls.certificate.parent().unwrap().join("clients.pem");
        listener.tls.clients = Some(ClientSettings { ca, crl: None, ask: AskFor::Optional });
    });
    let clock = menshen::clock::Clock::fixed(crate::harness::NOW_S * 1000);
    let mut gate = setup.prepare(clock).await;
    std::fs::write(gate.path("clients.pem"), &authority.pem).unwrap();
    gate.start().await;
    answering(&gate);
    let id = asked(&gate, scan_of("G7")).await;
    let shown = authority.issue("spiffe://bank.example/boss", 7);
    let mut boss = gate.client().showing(&gate.ca_pem, &shown).h2().await;
    let listed = boss.send(Ask::get("/.menshen/grants")).await;
    assert!(listed.expect(200).text().contains(&id), "it is a manager: {}", listed.text());
    let agree = json!({ "id": id, "decision": "approve" });
    let told = boss.send(Ask::post("/.menshen/grants/decide", &agree.to_string())).await;
    assert_eq!(told.expect(401).json()["step_up"]["max_age"], 300);
    look(&gate, "/guests/G7/scan").await.expect(403);
}

#[tokio::test]
async fn a_grant_whose_row_is_damaged_closes_alone_and_the_gate_goes_on() {
    let mut gate = hotel_with("").await;
    let fields = |key: &str| json!({ "route": "guest.scan", "subjects": format!("guest:{key}"), "reason": "r" });
    let bad = granted(&gate, fields("G7")).await;
    granted(&gate, fields("G8")).await;
    look(&gate, "/guests/G7/scan").await.expect(200);
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    state.busy_timeout(Duration::from_secs(30)).unwrap();
    state
        .execute_batch(&format!(
            "BEGIN IMMEDIATE; UPDATE grant_change SET change = change + 1;
             UPDATE grants SET sealed = x'00', change = (SELECT change FROM grant_change)
             WHERE id = '{bad}'; COMMIT;"
        ))
        .unwrap();
    gate.until(403, &Ask::get("/guests/G7/scan").by(&gate.teller())).await;
    look(&gate, "/guests/G8/scan").await.expect(200);
    gate.restart().await;
    look(&gate, "/guests/G7/scan").await.expect(403);
    look(&gate, "/guests/G8/scan").await.expect(200);
    let listed = gate.ask(Ask::get("/.menshen/grants").bearer(&gate.teller())).await;
    let listed = listed.expect(200).json();
    assert_eq!(listed["unreadable"], json!([bad]));
    assert_eq!(listed["grants"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_has_other_roles_by_now_uses_nothing_that_these_are_not_granted() {
    let gate = hotel_with("").await;
    let fields = json!({ "route": "guest.view", "subjects": "guest:G7", "fields": "guest.passport", "reason": "r" });
    granted(&gate, fields).await;
    let seen = async |token: &str| {
        let answer = gate.ask(Ask::get("/guests/G7").by(token)).await;
        answer.expect(200).json()["passport"].as_str().unwrap().to_owned()
    };
    assert_eq!(seen(&gate.teller()).await, "E12345678");
    // The policy grants managers nothing, also if they were tellers when they asked.
    let risen = gate.token(&json!({ "roles": ["manager"] }));
    assert_ne!(seen(&risen).await, "E12345678");
    assert_eq!(seen(&gate.teller()).await, "E12345678");
}

#[tokio::test]
async fn whoever_did_not_answer_for_one_emergency_opens_no_other_of_whatever_grade() {
    let mut gate = hotel_with("  - { to: teller, route: guest.list, grade: 2, subjects: any, break-glass: { longest: 10m, review: 1h, subjects: 9 } }\n").await;
    asks(&gate, &gate.teller(), emergency("G7", false)).await.expect(201);
    let other = json!({ "route": "guest.view", "fields": "guest.name", "subjects": "guest:G7",
                        "reason": "r", "emergency": "true" });
    asks(&gate, &gate.teller(), other.clone()).await.expect(201);
    gate.advance_s(3_600);
    let more = asks(&gate, &gate.teller(), other).await;
    assert!(more.expect(409).text().contains("must be reviewed first"), "{}", more.text());
    gate.stop().await;
}

#[tokio::test]
async fn an_emergency_that_does_not_read_any_more_owes_its_review_also_after_a_restart() {
    let mut gate = hotel_with("").await;
    let opened = asks(&gate, &gate.teller(), emergency("G7", false)).await.expect(201).json();
    look(&gate, "/guests/G8").await.expect(200);
    gate.stop().await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let id = opened["id"].as_str().unwrap();
    state.execute("UPDATE grants SET sealed = x'00' WHERE id = ?1", [id]).unwrap();
    drop(state);
    gate.start().await;
    let blocked = look(&gate, "/guests/G8").await;
    assert!(blocked.expect(403).text().contains("must be reviewed"), "{}", blocked.text());
    let other = gate.token(&json!({ "sub": "li" }));
    gate.ask(Ask::get("/guests/G8").by(&other)).await.expect(200);
}

#[tokio::test]
async fn a_session_by_an_old_password_neither_asks_nor_decides() {
    let setup = hotel_setup("").tweak(|config| {
        config.identity.password.must_change = true;
        config.identity.password.old_after_s = 86_400;
    });
    let gate = setup.start().await;
    answering(&gate);
    gate.add_account("tan", "lanterns-at-dusk", "manager").await;
    let grants = |session: &str| gate.ask(Ask::get("/.menshen/grants").cookie(session));
    let session = gate.sign_in("tan", "lanterns-at-dusk").await;
    grants(&session).await.expect(200);
    gate.advance_s(86_400);
    let session = gate.sign_in("tan", "lanterns-at-dusk").await;
    let told = grants(&session).await;
    assert!(told.expect(403).text().contains("password must be changed"), "{}", told.text());
}
