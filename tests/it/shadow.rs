//! A candidate policy that decides beside the live one: recorded and counted, and without any effect.

use menshen::audit::{Entry, Event};
use menshen::clock::Clock;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, soon};

const ONE: &str = r#"{"id":1,"name":"n","note":"x","phone":"13812345678"}"#;

/// A gate with the open bank as its policy and this candidate, once both are loaded.
async fn beside(candidate: &str) -> Gate {
    let setup =
        Setup::policy(OPEN_BANK).yaml("shadow: next").yaml("metrics: { address: \"127.0.0.1:0\" }");
    let mut gate = setup.prepare(Clock::fixed(NOW_S * 1000)).await;
    std::fs::create_dir(gate.path("next")).unwrap();
    std::fs::write(gate.path("next/policy.yaml"), candidate).unwrap();
    gate.start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate
}

/// Waits until the log has `count` acts of this name.
async fn acted(gate: &Gate, name: &str, count: usize) {
    let waiting = async {
        loop {
            let entries = gate.entries_so_far();
            let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
            if acts.filter(|act| act.name.as_str() == name).count() == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    soon(name, waiting).await;
}

fn differences(entries: &[Entry]) -> Vec<(String, Vec<String>, u64)> {
    let shadow = entries.iter().filter(|entry| entry.event == Event::Shadow);
    let told = shadow.map(|entry| {
        let difference = entry.difference.as_ref().unwrap();
        let changes = difference.changes.iter().map(str::to_owned).collect();
        (entry.request.as_ref().unwrap().route.to_string(), changes, difference.count)
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

fn strict() -> String {
    OPEN_BANK
        .replace("clear: [id, name, note, address.city]", "clear: [id, name, phone, address.city]")
        .replace(
            "allow: [view, search, export, update, create]",
            "allow: [view, export, update, create]",
        )
}

#[tokio::test]
async fn what_a_candidate_would_decide_otherwise_is_recorded_once_with_its_number() {
    let mut gate = beside(&strict()).await;
    acted(&gate, "shadow_loaded", 1).await;
    let token = gate.teller();
    for _ in 0..3 {
        let answer = gate.ask(Ask::get("/one/1").by(&token)).await;
        let body = answer.expect(200).json();
        assert_eq!((&body["phone"], &body["note"]), (&"138****5678".into(), &"x".into()));
    }
    gate.upstream.answers(Reply::json(r#"{"items":[],"next":null}"#));
    gate.ask(Ask::get("/list").by(&token)).await.expect(200);
    gate.upstream.answers(Reply::json("[]"));
    let gone = gate.token(&serde_json::json!({ "roles": ["stranger"] }));
    gate.ask(Ask::get("/one/1").by(&gone)).await.expect(403);
    let text = crate::monitoring::metrics(&gate).await;
    for line in [
        "menshen_shadow_differences_total{rule=\"tellers work\",kind=\"clear\"} 3",
        "menshen_shadow_differences_total{rule=\"tellers work\",kind=\"absent\"} 3",
        "menshen_shadow_differences_total{rule=\"tellers work\",kind=\"denied\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.contains("menshen_policy_info{role=\"shadow\""), "{text}");
    let entries = gate.entries().await;
    let fields = vec![
        "customer.note: clear → absent".to_owned(),
        "customer.phone: masked → clear".to_owned(),
    ];
    assert_eq!(
        differences(&entries),
        [
            ("list.search".to_owned(), vec!["would be denied".to_owned()], 1),
            ("one.view".to_owned(), fields, 3),
        ]
    );
    let shadow = entries.iter().find(|e| e.difference.as_ref().is_some_and(|d| d.count == 3));
    let shadow = shadow.unwrap();
    let example = shadow.difference.as_ref().unwrap().example.unwrap();
    let decision = entries.iter().find(|entry| entry.id == example).unwrap();
    assert_eq!(decision.event, Event::Decision);
    let roles: Vec<_> = shadow.actor.as_ref().unwrap().roles.iter().collect();
    assert_eq!(roles, ["teller"]);
    let policy = decision.decision.as_ref().unwrap().policy.to_string();
    assert_eq!(shadow.difference.as_ref().unwrap().policy.to_string(), policy);
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, key) = (path("log"), path("master.key"));
    let shown = menshen(&["log", "show", &log, "--key", &key, "--event", "shadow"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("shadow (teller) one.view"), "{shown}");
    assert!(shown.contains("candidate: customer.note: clear → absent, customer.phone: masked → clear; by: tellers work; × 3; such as "), "{shown}");
}

#[tokio::test]
async fn a_candidate_that_says_the_same_leaves_no_trace() {
    let mut gate = beside(&OPEN_BANK.replace("stranger: {}", "stranger: {}, guest: {}")).await;
    acted(&gate, "shadow_loaded", 1).await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    assert_eq!(differences(&gate.entries().await), []);
}

#[tokio::test]
async fn a_faulty_candidate_harms_nobody_and_a_corrected_one_is_taken_up() {
    let mut gate = beside("rules: 7").await;
    acted(&gate, "shadow_refused", 1).await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    // A candidate may go to backends that are not there yet.
    std::fs::write(gate.path("next/policy.yaml"), strict().replace("to: core", "to: cellar"))
        .unwrap();
    acted(&gate, "shadow_loaded", 1).await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    assert_eq!(differences(&gate.entries().await).len(), 1);
}

#[tokio::test]
async fn a_route_that_the_candidate_no_longer_publishes_would_be_denied() {
    let mut gate =
        beside(&OPEN_BANK.replace("bank.example/one/{id}", "bank.example/two/{id}")).await;
    acted(&gate, "shadow_loaded", 1).await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let told = differences(&gate.entries().await);
    assert_eq!(told, [("one.view".to_owned(), vec!["would be denied".to_owned()], 1)]);
}
