//! What should not be is noticed, stopped and told: values in fields that are not graded for them, fields that
//! nobody declared, records of foreign tenants.

use menshen::audit::{Class, Concern, Entry, Event};
use menshen::clock::Clock;
use serde_json::json;

use crate::harness::process::menshen;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, NOW_S, OPEN_BANK, Reply, Setup, holds};
use crate::monitoring::metrics;

const METRICS: &str = "metrics: { address: \"127.0.0.1:0\" }";
const CARD: &str = "4111111111111111";

/// The open bank with a detector.
fn bank(detect: &str) -> Setup {
    let policy = OPEN_BANK.replace(
        "action: export\n    returns: { customer: \"$[]\" }\n",
        "action: export\n    returns: { customer: \"$[]\" }\n    as: [json, ndjson, csv]\n",
    );
    assert_ne!(policy, OPEN_BANK);
    Setup::policy(&format!("{policy}detect: {detect}\n")).yaml(METRICS)
}

/// Concern, route, what it is about, kinds and count of each alert.
fn alerts(entries: &[Entry]) -> Vec<(Concern, String, String, Vec<String>, u64)> {
    let alerts = entries.iter().filter(|entry| entry.event == Event::Alert).map(|entry| {
        assert_eq!(entry.class, Class::Security);
        let alert = entry.alert.as_ref().unwrap();
        let route = entry.request.as_ref().map_or(String::new(), |r| r.route.to_string());
        let fields: Vec<&str> = alert.fields.iter().collect();
        let about = format!("{}{}", alert.entity, fields.join(","));
        let kinds = alert.kinds.iter().map(str::to_owned).collect();
        (alert.concern, route, about, kinds, alert.count)
    });
    let mut alerts: Vec<_> = alerts.collect();
    alerts.sort_by_key(|alert| format!("{alert:?}"));
    alerts
}

fn detected(
    route: &str,
    field: &str,
    kind: &str,
    count: u64,
) -> (Concern, String, String, Vec<String>, u64) {
    (Concern::Detected, route.into(), field.into(), vec![kind.into()], count)
}

#[tokio::test]
async fn what_is_found_in_an_answer_is_masked_wherever_it_is_cut() {
    let mut gate =
        bank("{ answers: { bank-card: mask, email: alert, phone: withhold } }").start().await;
    let token = gate.teller();
    let body = concat!(
        r#"{"id":1,"name":"paid with 4111 1111 1111 1111 (a@b.example)","note":4111111111111111,"#,
        r#""phone":"13812345678","address":{"city":"call 13812345678"}}"#,
    );
    let escaped = concat!(
        r#"{"id":1,"note":"\u0034111\u002d1111-1111-1111","name":"\ud8004111111111111111","#,
        r#""address":{"city":"４１１１１１１１１１１１１１１１"}}"#,
    );
    for (body, wanted) in [
        (
            body,
            concat!(
                r#"{"id":1,"name":"paid with ************1111 (a@b.example)","note":"************1111","#,
                r#""phone":"138****5678","address":{}}"#,
            ),
        ),
        (
            escaped,
            concat!(
                r#"{"id":1,"note":"************1111","name":"�************1111","#,
                r#""address":{"city":"************1111"}}"#,
            ),
        ),
        (
            r#"{"id":1,"name":"4111111111111112","note":1.50}"#,
            r#"{"id":1,"name":"4111111111111112","note":1.50}"#,
        ),
    ] {
        for size in [1, 3, 16, body.len()] {
            let mut answer = head(
                200,
                &[("content-type", "application/json"), ("transfer-encoding", "chunked")],
            );
            body.as_bytes().chunks(size).for_each(|piece| answer.extend(chunk(piece)));
            answer.extend_from_slice(b"0\r\n\r\n");
            gate.upstream.answers(Reply::raw(answer));
            let answer = gate.ask(Ask::get("/one/1").by(&token)).await;
            assert_eq!(answer.expect(200).text(), wanted, "in pieces of {size}");
        }
    }
    let text = metrics(&gate).await;
    assert!(
        text.contains("menshen_detections_total{kind=\"bank-card\",in=\"answer\"} 20"),
        "{text}"
    );
    let entries = gate.entries().await;
    for digits in ["11111111", "1111 1111", "1111-1111"] {
        assert!(!entries.iter().any(|entry| holds(format!("{entry:?}").as_bytes(), digits)));
    }
    // The first of each at once, the others of the minute together.
    let told = alerts(&entries);
    for told_once in [
        detected("one.view", "customer.name", "bank-card", 1),
        detected("one.view", "customer.name", "email", 1),
        detected("one.view", "customer.address.city", "phone", 1),
        detected("one.view", "customer.name", "bank-card", 7),
        detected("one.view", "customer.note", "bank-card", 7),
        detected("one.view", "customer.address.city", "phone", 3),
    ] {
        assert!(told.contains(&told_once), "{told_once:?} in {told:#?}");
    }
    let outcome = entries.iter().rfind(|entry| entry.event == Event::Outcome).unwrap();
    assert!(outcome.data.as_ref().unwrap().clear.iter().any(|name| name == "customer.name"));
}

#[tokio::test]
async fn lines_and_tables_are_looked_through_as_well() {
    let gate = bank("{ answers: { bank-card: mask, phone: withhold } }").start().await;
    let token = gate.teller();
    let lines = "{\"id\":1,\"note\":\"4111111111111111\"}\n{\"id\":2,\"name\":\"13812345678\"}\n";
    let table = "id,name,note,phone\r\n1,\"card \"\"4111 1111 1111 1111\"\"\",4111111111111111,13812345678\r\n2,13812345678,x,\r\n";
    for (media_type, body, wanted) in [
        ("application/x-ndjson", lines, "{\"id\":1,\"note\":\"************1111\"}\n{\"id\":2}\n"),
        (
            "text/csv",
            table,
            "id,name,note,phone\r\n1,\"card \"\"************1111\"\"\",************1111,138****5678\r\n2,,x,\r\n",
        ),
    ] {
        gate.upstream.answers(Reply::with(200, &[("content-type", media_type)], body));
        let ask = Ask::get("/all").by(&token).header("accept", media_type);
        assert_eq!(gate.ask(ask).await.expect(200).text(), wanted);
    }
}

#[tokio::test]
async fn scalars_beside_the_records_are_looked_through() {
    let gate = bank("{ answers: { bank-card: withhold } }").start().await;
    gate.upstream.answers(Reply::json(r#"{"items":[{"id":1}],"next":"c-4111111111111111"}"#));
    let answer = gate.ask(Ask::get("/list").by(&gate.teller())).await;
    assert_eq!(answer.expect(200).text(), r#"{"items":[{"id":1}]}"#);
}

#[tokio::test]
async fn a_card_number_in_a_note_does_not_reach_the_backend() {
    let mut gate = bank("{ requests: { bank-card: refuse, email: alert } }").start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"note":"x"}"#));
    let token = gate.teller();
    for note in [json!(CARD), json!("card 4111 1111 1111 1111"), json!(4_111_111_111_111_111_u64)] {
        let body = json!({ "note": note }).to_string();
        let answer = gate.ask(Ask::patch("/one/1", &body).by(&token)).await;
        let detail = answer.expect(422).json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.starts_with(
                "`customer.note` holds what looks like a value of the kind `bank-card`"
            ),
            "{detail}"
        );
        assert!(!detail.contains("4111"));
    }
    assert_eq!(gate.upstream.hits(), 0);
    let mail = json!({ "note": "write to a@b.example" }).to_string();
    gate.ask(Ask::patch("/one/1", &mail).by(&token)).await.expect(200);
    assert_eq!(gate.upstream.hits(), 1);
    let told = alerts(&gate.entries().await);
    assert_eq!(
        told,
        [
            detected("one.update", "customer.note", "bank-card", 1),
            detected("one.update", "customer.note", "bank-card", 2),
            detected("one.update", "customer.note", "email", 1),
        ]
    );
}

#[tokio::test]
async fn without_detector_or_in_an_exception_nothing_is_looked_for() {
    let body = r#"{"id":1,"name":"4111111111111111","note":"4111111111111111"}"#;
    for (detect, wanted) in [
        ("{}", body),
        ("{ answers: { bank-card: mask }, except-routes: { one.view: all } }", body),
        (
            "{ answers: { bank-card: mask }, except: { customer.note: [bank-card] } }",
            r#"{"id":1,"name":"************1111","note":"4111111111111111"}"#,
        ),
    ] {
        let gate = bank(detect).start().await;
        gate.upstream.answers(Reply::json(body));
        let answer = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
        assert_eq!(answer.expect(200).text(), wanted, "{detect}");
    }
}

#[tokio::test]
async fn a_flood_of_hits_is_masked_to_the_last_and_told_in_a_few_entries() {
    let mut gate = bank("{ answers: { bank-card: mask } }").start().await;
    let token = gate.teller();
    let one =
        |id| format!("{{\"id\":{id},\"note\":\"4111111111111111\",\"name\":\"4111111111111111\"}}");
    let rows: Vec<String> = (1..=5000).map(one).collect();
    gate.upstream.answers(Reply::json(format!("[{}]", rows.join(","))));
    let answer = gate.ask(Ask::get("/all").by(&token)).await;
    assert!(!holds(&answer.expect(200).bytes(), "41111"));
    let told = alerts(&gate.entries().await);
    assert_eq!(
        told,
        [
            detected("all.export", "customer.name", "bank-card", 5000),
            detected("all.export", "customer.note", "bank-card", 5000),
        ]
    );
}

#[tokio::test]
async fn a_field_that_nobody_declared_is_told_once_and_shown_by_the_drift() {
    let mut gate = bank("{}").prepare(Clock::fixed(NOW_S * 1000)).await;
    gate.start().await;
    let body = r#"{"id":1,"zip":"x","address":{"city":"c","zip4":"x"},"13812345678":"a value as a name","4111-1111":1}"#;
    gate.upstream.answers(Reply::json(body));
    let token = gate.teller();
    for _ in 0..3 {
        let answer = gate.ask(Ask::get("/one/1").by(&token)).await;
        assert_eq!(answer.expect(200).text(), r#"{"id":1,"address":{"city":"c"}}"#);
    }
    assert!(metrics(&gate).await.contains("menshen_new_fields_total{route=\"one.view\"} 2"));
    gate.restart().await;
    gate.advance_s(86_400);
    let token = gate.teller();
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    let told = alerts(&gate.entries().await);
    let new = |field: &str| (Concern::NewField, "one.view".to_owned(), field.to_owned(), vec![], 1);
    assert_eq!(told, [new("customer.address.zip4"), new("customer.zip")]);
    let (state, key) = (gate.path("state"), gate.path("master.key"));
    let drift = |more: &[&str]| {
        let base = [
            "catalog",
            "drift",
            "--state",
            state.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ];
        let done = menshen(&[&base[..], more].concat());
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, listed) = drift(&["--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let field = |name: &str| json!({ "route": "one.view", "field": name, "first_seen": "2027-01-15", "last_seen": "2027-01-16", "answers": 4 });
    assert_eq!(
        (code, listed),
        (Some(1), json!([field("customer.address.zip4"), field("customer.zip")]))
    );
    let (_, stub) = drift(&["--format", "yaml"]);
    assert!(
        stub.contains("      zip: ungraded\n") && stub.contains("        zip4: ungraded\n"),
        "{stub}"
    );
    let declared = OPEN_BANK
        .replace("note: 1", "note: 1\n      zip: ungraded")
        .replace("city: 1,", "city: 1, zip4: 1,");
    std::fs::write(gate.path("declared.yaml"), declared).unwrap();
    let (code, said) = drift(&["--policies", gate.path("declared.yaml").to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(0), "no field that the catalogue does not know\n"));
}

#[tokio::test]
async fn a_record_of_a_foreign_tenant_is_an_incident() {
    let policy = OPEN_BANK.replace("    subject: id\n", "    subject: id\n    tenant: note\n");
    let mut gate = Setup::policy(&policy).yaml(METRICS).start().await;
    let rows = r#"{"items":[{"id":1,"note":"sh01"},{"id":2,"note":"bj07"},{"id":3},{"id":4,"note":"bj07"}]}"#;
    gate.upstream.answers(Reply::json(rows));
    let confined = gate.token(&json!({ "tenant": "sh01" }));
    for _ in 0..2 {
        let answer = gate.ask(Ask::get("/list").by(&confined)).await;
        assert_eq!(answer.expect(200).text(), r#"{"items":[{"id":1,"note":"sh01"}]}"#);
    }
    // Who is confined to no tenant meets no foreign one.
    gate.ask(Ask::get("/list").by(&gate.teller())).await.expect(200);
    let text = metrics(&gate).await;
    assert!(
        text.contains("menshen_foreign_tenant_records_total{route=\"list.search\"} 6"),
        "{text}"
    );
    let entries = gate.entries().await;
    let foreign = |count| {
        (Concern::ForeignTenant, "list.search".to_owned(), "customer".to_owned(), vec![], count)
    };
    assert_eq!(alerts(&entries), [foreign(3), foreign(3)]);
    let named = entries.iter().filter(|entry| entry.event == Event::Alert);
    assert!(named.clone().all(|entry| entry.subjects.as_ref().unwrap().count == 3));
    assert!(
        named.clone().all(|entry| entry.actor.as_ref().unwrap().account.as_str().ends_with("wang")),
        "{entries:#?}"
    );
}
