//! What a running gate recorded, made again by `menshen replay`.

use menshen::audit::Effect;
use serde_json::{Value, json};

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, Reply, Setup};

/// A bank whose conditions read attributes, the time and how fresh a factor is.
const BANK: &str = "
grades: { 1: {}, 2: { assurance: 2, fresh: 15m } }
purposes: [service]
entities:
  customer:
    subject: id
    fields: { id: 1, name: 1, phone: { grade: 2, kind: phone }, branch: 1 }
routes:
  customer.view:
    match: GET bank.example/customers/{id}
    to: core
    action: view
    returns: { customer: $ }
  customer.search:
    match: GET bank.example/customers
    to: core
    action: search
    query: { phone: customer.phone }
    returns: { customer: '$[]' }
roles: { teller: {} }
rules:
  - name: tellers serve
    allow: [view, search]
    to: teller
    of: customer
    clear: [id, name, phone, branch]
    masked: [phone]
    where: record.branch == caller.branch
    when: caller.branch != 'closed' && time.hour('Asia/Shanghai') in 0..24
";

fn replay(gate: &Gate, policy: &str, more: &[&str]) -> (Option<i32>, Value) {
    let file = gate.path("next.yaml");
    std::fs::write(&file, policy).unwrap();
    let path = |name: &str| gate.path(name).display().to_string();
    let (file, log, key) = (file.display().to_string(), path("log"), path("master.key"));
    let arguments =
        [&["replay", &file, "--log", &log, "--key", &key, "--format", "json"], more].concat();
    let output = menshen(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{said}")))
}

/// A gate that was asked by several callers, and stopped.
async fn used_gate() -> Gate {
    let mut gate = Setup::policy(BANK).start().await;
    let record = r#"{"id":"7","name":"n","phone":"13812345678","branch":"sh01"}"#;
    gate.upstream.answers_by(move |asked| {
        let is_list = !asked.target.contains("/customers/");
        Reply::json(if is_list { format!("[{record}]") } else { record.to_owned() })
    });
    let (teller, weak) = (gate.teller(), gate.token(&json!({ "acr": "1" })));
    let closed = gate.token(&json!({ "branch": "closed" }));
    gate.ask(Ask::get("/customers/7").by(&teller)).await.expect(200);
    gate.ask(Ask::get("/customers?phone=13812345678").by(&teller)).await.expect(200);
    gate.ask(Ask::get("/customers/7").by(&weak)).await.expect(200);
    gate.ask(Ask::get("/customers/7").by(&closed)).await.expect(403);
    gate.ask(Ask::get("/nowhere").by(&teller)).await.expect(404);
    gate.stop().await;
    gate
}

#[tokio::test]
async fn the_policy_that_decided_would_decide_the_same_again() {
    let gate = used_gate().await;
    let (code, report) = replay(&gate, BANK, &[]);
    assert_eq!(report["decisions"], 4, "{report}");
    assert_eq!((&report["same"], &report["undetermined"]), (&json!(4), &json!(0)), "{report}");
    assert_eq!(report["left_out"]["not_by_policy"], 1);
    assert_eq!(code, Some(0));
    let old = gate.path("policies").display().to_string();
    let (_, report) = replay(&gate, BANK, &["--old", &old]);
    assert_eq!(report["same"], 4, "{report}");
}

#[tokio::test]
async fn a_candidate_is_shown_with_whom_it_changes_what_for() {
    let gate = used_gate().await;
    let next = BANK.replace("clear: [id, name, phone, branch]", "clear: [id, name, branch]");
    let next = next.replace("caller.branch != 'closed' && ", "");
    let (code, report) = replay(&gate, &next, &["--days", "36500"]);
    assert_eq!(code, Some(1), "something is different");
    let kinds: Vec<_> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["kind"].as_str().unwrap(), c["count"].as_u64().unwrap()))
        .collect();
    // One look masked instead of clear, the search refused, the closed branch let in.
    assert_eq!(kinds.len(), 3, "{report}");
    for kind in ["field", "denied", "allowed"] {
        assert!(kinds.contains(&(kind, 1)), "{kind} in {kinds:?}");
    }
    assert_eq!(report["accounts"][0]["name"], "corp:wang", "{report}");
    assert_eq!(report["rules"][0]["name"], "tellers serve");
}

#[tokio::test]
async fn no_value_of_a_path_is_needed_or_recorded() {
    let gate = used_gate().await;
    let next = BANK.replace("when: caller", "when: request.id != '7' && caller");
    // The search has no such parameter, so that the rule is for the other route only.
    let next = next.replace("allow: [view, search]", "allow: view");
    let (_, report) = replay(&gate, &next, &[]);
    assert_eq!(report["undetermined"], 3, "{report}");
    assert_eq!(report["open"][0]["name"], "tellers serve");
    let entries = gate.entries_so_far();
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("13812345678"));
    let branch = entries.iter().filter_map(|entry| {
        let actor = entry.actor.as_ref()?;
        actor.attributes.iter().find(|(name, _)| *name == "branch")
    });
    assert_eq!(branch.count(), 4, "once for each decision");
}

#[tokio::test]
async fn a_folder_without_a_log_is_the_callers_mistake() {
    let gate = Setup::policy(BANK).start().await;
    let policies = gate.path("policies").display().to_string();
    let nowhere = gate.path("nowhere").display().to_string();
    assert_eq!(menshen(&["replay", &policies, "--log", &nowhere]).status.code(), Some(64));
}

#[tokio::test]
async fn a_recorded_decision_is_explained_from_its_entry() {
    let gate = used_gate().await;
    let entries = gate.entries_so_far();
    let denied = entries.iter().find(|entry| {
        entry.decision.as_ref().is_some_and(|d| d.effect == Effect::Deny && !d.policy.is_empty())
    });
    let id = denied.unwrap().id.to_string();
    let path = |name: &str| gate.path(name).display().to_string();
    let (policies, log, key) = (path("policies"), path("log"), path("master.key"));
    let explain = |id: &str, policies: &str| {
        let output = menshen(&[
            "explain",
            "--entry",
            id,
            "--log",
            &log,
            "--key",
            &key,
            "--policies",
            policies,
        ]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = explain(&id, &policies);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("corp:wang (teller), assurance 2"), "{text}");
    assert!(text.contains("denied: the rule `tellers serve` applies only when"), "{text}");
    assert!(text.contains("not in the entry, so read as missing: request.id"), "{text}");
    assert!(!text.contains("explained with"), "the policy that decided");
    let next = gate.path("next.yaml").display().to_string();
    std::fs::write(&next, BANK.replace("caller.branch != 'closed' && ", "")).unwrap();
    let (_, text) = explain(&id, &next);
    assert!(text.contains("allowed") && text.contains("explained with"), "{text}");
    let outcome = entries.iter().find(|entry| entry.decided_by.is_some()).unwrap();
    for id in [outcome.id.to_string(), "nothing".to_owned()] {
        assert_eq!(explain(&id, &policies).0, Some(64), "{id}");
    }
}
