//! Records that do not exist for a caller: flagged ones, and those of other tenants.

use serde_json::{Value, json};

use crate::harness::{Ask, Gate, Reply, Setup, holds};

const HOTEL: &str = r#"
grades: { 1: {} }
purposes: { service: {}, complaint: { ticket: "CMP-*" } }
entities:
  guest:
    subject: id
    tenant: house
    fields: { id: 1, name: 1, house: 1, note: 1, undisclosed: 1 }
    flags: { undisclosed: record.undisclosed }
routes:
  guest.view: { match: "GET bank.example/guests/{id}", to: core, action: view, returns: { guest: $ } }
  guest.search: { match: GET bank.example/guests, to: core, action: search, returns: { guest: "$.items[]", pass: "$.total" } }
  guest.update:
    match: PATCH bank.example/guests/{id}
    to: core
    action: update
    accepts: { guest: $ }
    reads: guest.view
  guest.erase: { match: "DELETE bank.example/guests/{id}/stay", to: core, action: delete, returns: { guest: $ } }
roles: { teller: {}, manager: {}, agent: {} }
rules:
  - { name: desk, allow: [view, search, update], to: [teller, manager], of: guest, clear: [id, name], write: [note, house] }
  - { name: manager, allow: [view, search], to: manager, of: guest, clear: name, flags: undisclosed }
  - { name: erase, allow: delete, to: teller, of: guest, clear: id, flags: undisclosed }
  - { name: agent, allow: view, to: agent, of: guest, clear: id, purpose: complaint, require: { grant: required } }
"#;

/// A backend with one guest of each sort; whoever else is asked for does not exist.
async fn hotel() -> Gate {
    let gate = Setup::policy(HOTEL).start().await;
    gate.upstream.answers_by(|asked| {
        let found = guests()
            .into_iter()
            .find(|guest| asked.target == format!("/guests/{}", guest["id"].as_str().unwrap()));
        match found {
            _ if asked.target == "/guests" => {
                Reply::json(json!({ "items": guests(), "total": 4 }).to_string())
            }
            Some(guest) => Reply::json(guest.to_string()),
            None => {
                Reply::with(404, &[("content-type", "application/json")], r#"{"error":"none"}"#)
            }
        }
    });
    gate
}

fn guests() -> Vec<Value> {
    let guest = |id: &str, house: &str, undisclosed: Value| json!({ "id": id, "name": format!("name of {id}"), "house": house, "undisclosed": undisclosed });
    vec![
        guest("open", "sh01", json!(false)),
        guest("shy", "sh01", json!(true)),
        guest("odd", "sh01", json!("no")),
        guest("away", "bj07", json!(false)),
    ]
}

fn names(answer: &crate::harness::Answer) -> Vec<String> {
    let body = answer.json();
    let items = body["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_guest_who_is_not_disclosed_answers_like_one_who_does_not_exist() {
    let gate = hotel().await;
    let (teller, manager) = (gate.teller(), gate.token(&json!({ "roles": ["manager"] })));
    let mut connection = gate.h2().await;
    let missing = connection.send(Ask::get("/guests/nobody").by(&teller)).await;
    for id in ["shy", "odd"] {
        let hidden = connection.send(Ask::get(&format!("/guests/{id}")).by(&teller)).await;
        assert_eq!(hidden.expect(404).told(), missing.told(), "{id}");
        assert_eq!(hidden.body.len(), missing.body.len(), "{id}");
        let change = Ask::patch(&format!("/guests/{id}"), r#"{"note":"n"}"#).by(&teller);
        connection.send(change).await.expect(404);
        let seen = connection.send(Ask::get(&format!("/guests/{id}")).by(&manager)).await;
        assert_eq!(seen.expect(200).json(), json!({ "name": format!("name of {id}") }));
    }
    assert!(gate.upstream.asked().iter().all(|asked| asked.method == "GET"));
    let list = connection.send(Ask::get("/guests").by(&teller)).await;
    assert_eq!(names(list.expect(200)), ["open", "away"]);
    assert!(!holds(&list.bytes(), "shy") && list.json().get("total").is_none());
}

#[tokio::test]
async fn a_confined_caller_meets_only_the_own_tenant() {
    let gate = hotel().await;
    let confined = |tenant: Value| gate.token(&json!({ "tenant": tenant }));
    let mut connection = gate.h2().await;
    for (tenant, seen) in [
        (json!("sh01"), vec!["open"]),
        (json!("bj07"), vec!["away"]),
        (json!(["bj07", "sh01"]), vec!["open", "away"]),
        (json!("sz03"), vec![]),
        (json!(1), vec![]),
        (json!(true), vec![]),
        (json!([]), vec![]),
    ] {
        let list = connection.send(Ask::get("/guests").by(&confined(tenant.clone()))).await;
        assert_eq!(names(list.expect(200)), seen, "{tenant}");
    }
    let emptied = gate.token_with_null("tenant");
    let list = connection.send(Ask::get("/guests").by(&emptied)).await;
    assert_eq!(names(list.expect(200)), [""; 0], "null is no absence");
    let mine = confined(json!("sh01"));
    let missing = connection.send(Ask::get("/guests/nobody").by(&mine)).await;
    let away = connection.send(Ask::get("/guests/away").by(&mine)).await;
    assert_eq!(away.expect(404).told(), missing.told());
    let change = |id: &str, body: &str| Ask::patch(&format!("/guests/{id}"), body).by(&mine);
    connection.send(change("away", r#"{"note":"n"}"#)).await.expect(404);
    connection.send(change("open", r#"{"house":"bj07"}"#)).await.expect(400);
    let erase = Ask::new("DELETE", "/guests/open/stay").by(&mine);
    connection.send(erase).await.expect(403);
    assert!(gate.upstream.asked().iter().all(|asked| asked.method == "GET"));
    let allowed = connection.send(change("open", r#"{"note":"n"}"#)).await;
    assert!(allowed.status.is_success(), "{}", allowed.text());
}

#[tokio::test]
async fn a_ticket_is_asked_for_and_then_a_grant_that_nobody_can_give_yet() {
    let gate = hotel().await;
    let agent = gate.token(&json!({ "roles": ["agent"] }));
    let mut connection = gate.h2().await;
    let ask = |ticket: Option<&str>| {
        let ask = Ask::get("/guests/open").bearer(&agent).header("menshen-purpose", "complaint");
        ticket.map_or(ask.clone(), |ticket| ask.header("menshen-ticket", ticket))
    };
    for ticket in [None, Some("CMP"), Some("TCK-1")] {
        let answer = connection.send(ask(ticket)).await;
        assert_eq!(answer.expect(403).json()["title"], "The purpose needs a ticket");
        assert_eq!(answer.json()["detail"], "send `Menshen-Ticket` with one such as `CMP-*`");
    }
    let answer = connection.send(ask(Some("CMP-7"))).await;
    assert_eq!(answer.expect(403).json()["title"], "A grant is needed");
    assert_eq!(gate.upstream.hits(), 0);
}
