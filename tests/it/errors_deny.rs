//! Promise 3: a condition that cannot be evaluated denies, wherever it stands, and is reported.

use menshen::audit::Effect;
use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

const CUSTOMER: &str = r#"{"id":1,"name":"a","note":"n","address":{"city":"x"}}"#;

/// The open bank with one more rule.
fn with_rule(rule: &str) -> String {
    format!("{OPEN_BANK}{rule}")
}

async fn view(gate: &Gate, claims: &serde_json::Value) -> u16 {
    gate.upstream.answers(Reply::json(CUSTOMER));
    gate.ask(Ask::get("/one/1").by(&gate.token(claims))).await.status.as_u16()
}

/// What the log's last decision says was unmet.
async fn unmet(gate: &mut Gate) -> String {
    let entries = gate.entries().await;
    let decisions = entries.iter().filter_map(|entry| entry.decision.as_ref());
    let denial = decisions.filter(|decision| decision.effect == Effect::Deny).last().unwrap();
    denial.unmet.iter().collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn an_allow_rule_whose_condition_fails_allows_nothing_and_the_log_says_why() {
    let condition = "to: teller\n    when: caller.branch == \"sh01\"\n";
    let policy = OPEN_BANK.replace("to: teller\n", condition);
    let mut gate = Setup::policy(&policy).start().await;
    assert_eq!(view(&gate, &json!({})).await, 200);
    assert_eq!(view(&gate, &json!({ "branch": "bj07" })).await, 403);
    let hits = gate.upstream.hits();
    assert_eq!(view(&gate, &json!({ "branch": null })).await, 403);
    assert_eq!(view(&gate, &json!({ "branch": ["sh01"] })).await, 403);
    assert_eq!(view(&gate, &json!({ "branch": 1 })).await, 403);
    assert_eq!(gate.upstream.hits(), hits);
    let said = unmet(&mut gate).await;
    assert!(said.contains("cannot be evaluated"), "{said}");
}

#[tokio::test]
async fn a_deny_rule_whose_condition_fails_denies_and_the_log_says_why() {
    let rule = "  - name: nobody of another house\n    deny: [view]\n    to: any\n    \
                when: caller.branch == \"other\"\n";
    let mut gate = Setup::policy(&with_rule(rule)).start().await;
    assert_eq!(view(&gate, &json!({})).await, 200);
    assert_eq!(view(&gate, &json!({ "branch": "other" })).await, 403);
    let hits = gate.upstream.hits();
    assert_eq!(view(&gate, &json!({ "branch": null })).await, 403);
    assert_eq!(gate.upstream.hits(), hits);
    let said = unmet(&mut gate).await;
    assert!(said.contains("nobody of another house") && said.contains("evaluat"), "{said}");
}

#[tokio::test]
async fn a_record_on_which_a_condition_cannot_be_evaluated_does_not_exist() {
    let policy = OPEN_BANK
        .replace("allow: [view, search, export, update, create]", "allow: view")
        .replace("    write: [name, note, phone]\n", "")
        .replace(
            "to: teller\n    of: customer\n",
            "to: teller\n    of: customer\n    where: record.note == caller.branch\n",
        );
    let gate = Setup::policy(&policy).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (body, status) in [
        (r#"{"id":1,"note":"sh01","name":"a"}"#, 200),
        (r#"{"id":1,"name":"a","note":"sh01"}"#, 200),
        (r#"{"id":1,"note":"bj07","name":"a"}"#, 404),
        (r#"{"id":1,"name":"a"}"#, 404),
        (r#"{"id":1,"note":null,"name":"a"}"#, 404),
        (r#"{"id":1,"note":1,"name":"a"}"#, 404),
        (r#"{"id":1,"note":["sh01"],"name":"a"}"#, 404),
        (r#"{"id":1,"note":{"x":"sh01"},"name":"a"}"#, 404),
        // Two readers could disagree on it.
        (r#"{"id":1,"note":"sh01","note":"bj07","name":"a"}"#, 502),
        (r#"{"id":1,"note":"bj07","n\u006fte":"sh01","name":"a"}"#, 502),
    ] {
        gate.upstream.answers(Reply::json(body));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_record_that_a_deny_rule_cannot_judge_is_withheld() {
    let rule = "  - name: colleagues are not looked up\n    deny: [view, search]\n    to: any\n    \
                of: customer\n    where: record.note == \"staff\"\n";
    let gate = Setup::policy(&with_rule(rule)).start().await;
    let token = gate.teller();
    let items =
        r#"{"items":[{"id":1,"note":"staff"},{"id":2,"note":"x"},{"id":3},{"id":4,"note":null}]}"#;
    gate.upstream.answers(Reply::json(items));
    let answer = gate.ask(Ask::get("/list").by(&token)).await;
    let seen: Vec<_> = answer.expect(200).json()["items"].as_array().unwrap().clone();
    let ids: Vec<_> = seen.iter().map(|item| item["id"].as_i64().unwrap()).collect();
    assert!(!ids.contains(&1) && !ids.contains(&3), "{ids:?}");
    assert!(ids.contains(&2), "{ids:?}");
}

#[tokio::test]
async fn a_record_without_its_data_subject_cannot_be_counted_and_does_not_pass() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for body in [
        r#"{"name":"a"}"#,
        r#"{"id":null,"name":"a"}"#,
        r#"{"id":"","name":"a"}"#,
        r#"{"id":[1],"name":"a"}"#,
        r#"{"id":1.5,"name":"a"}"#,
        r#"{"id":true,"name":"a"}"#,
        r#"{"ID":1,"name":"a"}"#,
    ] {
        gate.upstream.answers(Reply::json(body));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert!(matches!(answer.status.as_u16(), 404 | 502), "{body}: {}", answer.text());
    }
    gate.upstream.answers(Reply::json(r#"{"items":[{"name":"x"},{"id":2,"name":"b"}]}"#));
    let answer = connection.send(Ask::get("/list").by(&token)).await;
    assert_eq!(answer.expect(200).json()["items"], json!([{"id": 2, "name": "b"}]));
}
