//! What the policy asks of cases: a grade, a rule or a route may want the caller tied to whom a record is about. Each
//! record is judged by its own subject, at the moment at which it comes.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use menshen::audit::Event;
use menshen::document::Source;
use menshen::link::{Link, Links};
use menshen::policy::compile;
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::upstream::chunk;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, Step, holds};

const PHONE: &str = "13800138000";

/// Grade 2 wants a case; tellers see the phone in clear, as far as its grade lets them.
fn graded() -> String {
    let bank = OPEN_BANK.replace("2: {}, sealed", "2: { link: [call, order] }, sealed");
    format!(
        "{bank}  - name: tied tellers see more\n    allow: [view, search, export]\n    to: teller\n    \
         of: customer\n    clear: [phone, address.street]\n"
    )
}

fn links(gate: &Gate) -> Links {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Links::new(store, &master, gate.clock.clone()).unwrap()
}

fn link(account: &str, kind: &str, subject: &str) -> Link {
    Link {
        account: account.into(),
        kind: kind.into(),
        entity: "customer".into(),
        subject: subject.into(),
        reference: String::new(),
        until_s: NOW_S + 600,
    }
}

fn customer(id: u32) -> String {
    format!(r#"{{"id":{id},"name":"n{id}","phone":"{PHONE}"}}"#)
}

/// Asks until the answer is so: what is put beside the gate is there soon.
async fn until(gate: &Gate, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let asking = async {
        loop {
            let answer = connection.send(Ask::get(path).by(&token)).await;
            if answer.status == 200 && is_so(&answer.json()) {
                return answer.json();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    crate::harness::soon(path, asking).await
}

#[tokio::test]
async fn a_grade_is_met_on_the_records_of_those_to_whom_a_case_ties_and_on_no_others() {
    let gate = Setup::policy(&graded()).start().await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => Reply::json(format!("[{},{},{}]", customer(1), customer(2), customer(3))),
        // Whoever is asked for, it gives somebody else.
        "/one/9" => Reply::json(customer(1)),
        path => Reply::json(customer(path.rsplit('/').next().unwrap().parse().unwrap())),
    });
    let token = gate.teller();
    let masked = gate.ask(Ask::get("/one/1").by(&token)).await.expect(200).json();
    assert_ne!(masked["phone"], PHONE, "{masked}");
    let links = links(&gate);
    let put = [
        link("corp:wang", "call", "1"),
        link("corp:wang", "parcel", "2"),
        link("corp:li", "call", "3"),
        link("corp:wang", "order", "9"),
    ];
    links.put("crm", &put).await.unwrap();
    until(&gate, "/one/1", |record| record["phone"] == PHONE).await;
    let all = gate.ask(Ask::get("/all").by(&token)).await.expect(200).json();
    let clear: Vec<bool> =
        all.as_array().unwrap().iter().map(|record| record["phone"] == PHONE).collect();
    assert_eq!(clear, [true, false, false], "another kind, another account: {all}");
    assert_eq!(all[1]["name"], "n2", "the rest of the record passes as before");
    // Tied to 9, who does not come: the record is judged by whose it is, not by what was asked for.
    links.end("crm", &put[..1]).await.unwrap();
    until(&gate, "/one/1", |record| record["phone"] != PHONE).await;
    let lied = gate.ask(Ask::get("/one/9").by(&token)).await.expect(200).json();
    assert_ne!(lied["phone"], PHONE, "{lied}");
    gate.advance_s(700);
    let over = gate.ask(Ask::get("/one/9").by(&gate.teller())).await.expect(200).json();
    assert_ne!(over["phone"], PHONE);
}

#[tokio::test]
async fn a_field_that_is_clear_by_a_case_only_is_searched_by_nobody() {
    let gate = Setup::policy(&graded()).start().await;
    links(&gate).put("crm", &[link("corp:wang", "call", "1")]).await.unwrap();
    let token = gate.teller();
    gate.ask(Ask::get(&format!("/list?phone={PHONE}")).by(&token)).await.expect(403);
}

#[tokio::test]
async fn a_route_and_a_rule_that_want_a_case_give_nothing_of_others() {
    let bank = OPEN_BANK
        .replace("    action: view\n", "    action: view\n    require: { link: [call] }\n");
    let gate = Setup::policy(&bank).start().await;
    gate.upstream.answers_by(|asked| {
        Reply::json(customer(asked.target.rsplit('/').next().unwrap().parse().unwrap_or(1)))
    });
    let token = gate.teller();
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(404);
    links(&gate).put("crm", &[link("corp:wang", "call", "1")]).await.unwrap();
    until(&gate, "/one/1", |record| record["id"] == 1).await;
    gate.ask(Ask::get("/one/2").by(&token)).await.expect(404);

    let rule = format!(
        "{}  - name: couriers\n    allow: view\n    to: stranger\n    of: customer\n    clear: [id, name]\n    \
         require: {{ link: [parcel] }}\n",
        OPEN_BANK
    );
    let gate = Setup::policy(&rule).start().await;
    gate.upstream.answers(Reply::json(customer(1)));
    let courier = gate.token(&json!({ "sub": "co", "roles": ["stranger"] }));
    gate.ask(Ask::get("/one/1").by(&courier)).await.expect(404);
    links(&gate).put("crm", &[link("corp:co", "parcel", "1")]).await.unwrap();
    let shown = gate.until(200, &Ask::get("/one/1").by(&courier)).await;
    assert_eq!(shown.json(), json!({ "id": 1, "name": "n1" }));
}

#[tokio::test]
async fn a_case_that_ends_ends_on_open_streams_with_the_next_record() {
    let gate = Setup::policy(&graded()).yaml("bodies: { held-kib: 16 }").start().await;
    let (links, go) = (links(&gate), Arc::new(Semaphore::new(0)));
    let tied = [link("corp:wang", "call", "1")];
    links.put("crm", &tied).await.unwrap();
    let many = format!("[{}", format!("{},", customer(1)).repeat(600));
    let wait = Arc::clone(&go);
    gate.upstream.answers_by(move |asked| match asked.target.as_str() {
        "/all" => Reply::open(many.as_bytes().chunks(9_000))
            .then(Step::Wait(Arc::clone(&wait)))
            .then(Step::Send(chunk(format!("{}]", customer(1)).as_bytes())))
            .then(Step::Send(b"0\r\n\r\n".to_vec())),
        _ => Reply::json(customer(1)),
    });
    until(&gate, "/one/1", |record| record["phone"] == PHONE).await;
    let (token, mut connection) = (gate.teller(), gate.h1().await);
    let stream = connection.begin(Ask::get("/all").by(&token)).await.unwrap();
    assert_eq!(stream.status(), 200);
    let mut stream = stream.into_body();
    let first = crate::harness::soon("the first records", stream.frame()).await.unwrap().unwrap();
    let mut body = first.into_data().unwrap().to_vec();
    assert!(holds(&body, PHONE), "the first records are on their way, and in clear");
    links.end("crm", &tied).await.unwrap();
    until(&gate, "/one/1", |record| record["phone"] != PHONE).await;
    go.add_permits(1);
    while let Some(frame) = crate::harness::soon("the rest", stream.frame()).await {
        body.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    let all: Value = serde_json::from_slice(&body).unwrap();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 601);
    assert_eq!(all[0]["phone"], PHONE);
    assert_ne!(all[600]["phone"], PHONE, "the last record came after the end");
}

#[tokio::test]
async fn where_the_state_cannot_be_read_nobody_is_tied_after_five_seconds() {
    let gate = Setup::policy(&graded()).start().await;
    gate.upstream.answers(Reply::json(customer(1)));
    links(&gate).put("crm", &[link("corp:wang", "call", "1")]).await.unwrap();
    until(&gate, "/one/1", |record| record["phone"] == PHONE).await;
    let file = gate.path("state").join("menshen.db");
    let rename = |from: &str, to: &str| {
        let state = rusqlite::Connection::open(&file).unwrap();
        state.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        state.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    };
    rename("links", "lost");
    until(&gate, "/one/1", |record| record["phone"] != PHONE).await;
    rename("lost", "links");
    until(&gate, "/one/1", |record| record["phone"] == PHONE).await;
}

#[tokio::test]
async fn a_look_without_a_case_that_the_policy_only_flags_passes_and_is_flagged() {
    let flag = "    require: { link: { kinds: [call], missing: flag } }\n";
    let flagged = ["    action: view\n", "    action: export\n"]
        .iter()
        .fold(graded(), |policy, action| policy.replace(action, &format!("{action}{flag}")));
    let told_of = format!("{flagged}detections: {{ unlinked: {{ count: 1 }} }}\n");
    let mut gate = Setup::policy(&told_of).start().await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => Reply::json(format!("[{},{},{}]", customer(1), customer(2), customer(3))),
        _ => Reply::json(customer(2)),
    });
    links(&gate).put("crm", &[link("corp:wang", "call", "2")]).await.unwrap();
    let token = gate.teller();
    until(&gate, "/one/2", |record| record["phone"] == PHONE).await;
    gate.ask(Ask::get("/all").by(&token)).await.expect(200);
    gate.ask(Ask::get("/one/2").by(&token)).await.expect(200);
    crate::shipping::until("the finding", || {
        let entries = gate.entries_so_far();
        let mut found = entries.iter().filter_map(|entry| entry.alert.as_ref()?.found.as_ref());
        found.any(|found| found.detection.as_str() == "unlinked")
    })
    .await;
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    let told: Vec<_> = outcomes
        .map(|entry| {
            let route = entry.request.as_ref().unwrap().route.as_str();
            (route, entry.data.as_ref().unwrap().unlinked)
        })
        .collect();
    assert!(told.contains(&("all.export", Some(2))), "of three one is tied: {told:?}");
    assert!(told.contains(&("one.view", None)), "{told:?}");
    let text = String::from_utf8(gate.log_text()).unwrap();
    assert!(!text.contains(PHONE), "no value");
}

#[tokio::test]
async fn a_change_to_whom_no_case_ties_is_as_to_a_record_that_is_not_there() {
    let bank = OPEN_BANK.replace(
        "    action: update\n",
        "    action: update\n    reads: one.view\n    require: { link: [order] }\n",
    );
    let gate = Setup::policy(&bank).start().await;
    gate.upstream.answers(Reply::json(customer(1)));
    let token = gate.teller();
    let change = || Ask::patch("/one/1", r#"{"note":"n"}"#).by(&token);
    gate.ask(change()).await.expect(404);
    let asked = gate.upstream.asked();
    assert!(asked.iter().all(|asked| asked.method == "GET"), "{asked:?}");
    let links = links(&gate);
    links.put("crm", &[link("corp:wang", "order", "1")]).await.unwrap();
    gate.until(200, &change()).await;
    assert_eq!(links.end_all("crm", "corp:wang").await.unwrap(), 1);
    gate.until(404, &change()).await;
}

#[test]
fn a_link_that_could_not_be_tested_is_a_fault() {
    let fault = |text: String| {
        let source = Source { name: "policy.yaml".into(), text };
        compile(&[source]).unwrap_err().to_string()
    };
    let rule = |keys: &str| format!("{OPEN_BANK}  - {{ name: more, to: teller, {keys} }}\n");
    for (text, said) in [
        (
            rule("allow: update, of: customer, write: [note], require: { link: [call] }"),
            "is not read before",
        ),
        (
            rule("allow: create, of: customer, write: [note], require: { link: [call] }"),
            "no record that exists already",
        ),
        (rule("allow: delete, route: one.delete, require: { link: [call] }"), "about no entity"),
        (
            OPEN_BANK
                .replace("    subject: id\n", "")
                .replace("2: {}, sealed", "2: { link: [call] }, sealed")
                .replace("    action: view\n", "    action: view\n    require: { link: [call] }\n"),
            "has no `subject`",
        ),
        (OPEN_BANK.replace("2: {}, sealed", "2: { link: [] }, sealed"), "names no kind"),
        (OPEN_BANK.replace("2: {}, sealed", "2: { link: [Call] }, sealed"), "lower-case letters"),
        (
            OPEN_BANK.replace("1: {}, 2: {}", "1: { link: [call] }, 2: { link: [call, order] }"),
            "asks less",
        ),
    ] {
        let told = fault(text);
        assert!(told.contains(said), "{said}: {told}");
    }
}
