//! What is asked beside a role: devices, grants and tickets, and how an explanation tells of them.

use std::sync::Arc;

use serde_json::json;

use super::super::{DenialKind, Grant, Principal, Query, Reason, StepUp, Value};
use super::{Asked, NOW, ask, ask_with, caller, filter, program};
use crate::route::Path;

const VAULT: &str = r#"
grades: { 1: {}, 2: { device: bound }, 3: { device: bound, grant: required }, 4: { assurance: 3, device: bound, grant: required } }
purposes: { service: {}, complaint: { ticket: "CMP-##*" } }
roles: { clerk: {}, boss: {}, agent: {} }
entities:
  person:
    subject: id
    tenant: branch
    fields: { id: 1, phone: 2, pan: 3, pin: 4, branch: 1 }
    flags: { hidden: record.id == 9 }
routes:
  person.view: { match: "GET bank.example/people/{id}", to: core, action: view, returns: { person: $ } }
  person.list: { match: GET bank.example/people, to: core, action: search, require: { device: bound, grant: required }, returns: { person: "$[]" } }
rules:
  - { name: all, allow: [view, search], to: clerk, of: person, clear: [id, phone, pan, pin], masked: [phone, pan] }
  - { name: granted, allow: view, to: boss, of: person, clear: id, require: { assurance: 3, grant: required }, where: record.id in grant.people }
  - { name: bound, allow: view, to: agent, of: person, clear: id, require: { device: bound }, purpose: complaint }
"#;

fn grant(people: &[i64]) -> Grant {
    let people = Value::List(people.iter().map(|id| Value::Integer(*id)).collect());
    Grant::of_everything("G1", [("people".to_owned(), people)].into())
}

fn under(grant: Grant) -> Asked<'static> {
    Asked { grant: Some(grant), ..Asked::default() }
}

fn with_device(principal: Principal) -> Principal {
    Principal { device: Some("d1".to_owned()), ..principal }
}

fn person() -> serde_json::Value {
    json!({ "id": 1, "phone": "1", "pan": "2", "pin": "3", "branch": "sh01" })
}

#[test]
fn a_grade_that_asks_for_a_device_or_a_grant_falls_back_without() {
    let vault = program(VAULT);
    let seen = |principal, asked| {
        let permit = ask_with(&vault, principal, "GET /people/1", asked).unwrap();
        (filter(&permit, &person()).unwrap(), permit.step_up().cloned())
    };
    let masked = json!({ "id": 1, "phone": "masked", "pan": "masked" });
    assert_eq!(seen(caller(&["clerk"]), Asked::default()), (masked.clone(), None));
    assert_eq!(seen(caller(&["clerk"]), under(grant(&[]))), (masked, None));
    let bound = json!({ "id": 1, "phone": "1", "pan": "masked" });
    assert_eq!(seen(with_device(caller(&["clerk"])), Asked::default()), (bound, None));
    let (all, step_up) = seen(with_device(caller(&["clerk"])), under(grant(&[])));
    assert_eq!(all, json!({ "id": 1, "phone": "1", "pan": "2" }));
    assert_eq!(step_up.unwrap().fields, ["person.pin"]);
}

#[test]
fn a_rule_that_asks_for_a_grant_and_a_factor_names_the_grant_and_offers_no_factor() {
    let vault = program(VAULT);
    let denied = |assurance| {
        let principal = Principal { assurance, ..caller(&["boss"]) };
        ask(&vault, principal, "GET /people/1", None).unwrap_err()
    };
    assert_eq!(denied(2).kind, DenialKind::Grant);
    let denied_with_grant = |assurance| {
        let principal = Principal { assurance, ..caller(&["boss"]) };
        ask_with(&vault, principal, "GET /people/1", under(grant(&[1]))).unwrap_err()
    };
    let step_up = StepUp { assurance: 3, max_age_s: None, fields: vec![] };
    assert_eq!(denied_with_grant(2).kind, DenialKind::StepUp(step_up));
    let denial = denied(3);
    assert_eq!(denial.kind, DenialKind::Grant);
    assert_eq!(denial.reasons, [Reason::NeedsGrant { rule: Some("granted".to_owned()) }]);
    let ask = |grant| {
        let principal = Principal { assurance: 3, ..caller(&["boss"]) };
        ask_with(&vault, principal, "GET /people/1", under(grant)).unwrap()
    };
    let permit = ask(grant(&[1, 2]));
    assert_eq!(permit.grant().map(|grant| grant.id.as_str()), Some("G1"));
    assert_eq!(filter(&permit, &person()), Some(json!({ "id": 1 })));
    assert_eq!(filter(&ask(grant(&[2])), &person()), None);
    assert_eq!(filter(&ask(Grant::of_everything("", [].into())), &person()), None);
}

/// Routes that ask for more than one thing, and rules that do.
const TILL: &str = "
grades: { 1: {}, 4: { assurance: 3 } }
purposes: [audit]
roles: { clerk: {}, boss: {}, guest: {} }
entities: { bill: { subject: id, fields: { id: 1 } } }
routes:
  bill.view: { match: 'GET bank.example/bills/{id}', to: core, action: view, require: { assurance: 2, grant: required }, returns: { bill: $ } }
  bill.list: { match: GET bank.example/bills, to: core, action: search, require: { assurance: 2, fresh: 15m }, returns: { bill: '$[]' } }
rules:
  - { name: all, allow: [view, search], to: clerk, of: bill, clear: id, when: caller.assurance >= 2 }
  - { name: far, allow: search, to: boss, of: bill, clear: id, require: { assurance: 2, grant: required } }
  - { name: near, allow: search, to: boss, of: bill, clear: id, require: { assurance: 3, fresh: 5m } }
";

#[test]
fn no_factor_is_asked_for_where_it_alone_does_not_lead_through() {
    let till = program(TILL);
    let weak = |role: &str| Principal { assurance: 1, factors: vec![], ..caller(&[role]) };
    let kind = |role, request, asked| ask_with(&till, weak(role), request, asked).unwrap_err().kind;
    let step_up =
        |assurance, max_age_s| DenialKind::StepUp(StepUp { assurance, max_age_s, fields: vec![] });
    assert_eq!(kind("clerk", "GET /bills/1", Asked::default()), DenialKind::Grant);
    assert_eq!(kind("clerk", "GET /bills/1", under(grant(&[]))), step_up(2, None));
    // No rule is about a guest, whatever a guest shows.
    assert_eq!(kind("guest", "GET /bills", Asked::default()), DenialKind::Forbidden);
    // A condition on the assurance is met by what is shown.
    assert_eq!(kind("clerk", "GET /bills", Asked::default()), step_up(2, Some(900)));
}

#[test]
fn all_that_is_asked_for_is_asked_for_at_once() {
    let till = program(TILL);
    let weak = Principal { assurance: 1, factors: vec![], ..caller(&["boss"]) };
    let denial = ask(&till, weak, "GET /bills", None).unwrap_err();
    let step_up = StepUp { assurance: 3, max_age_s: Some(300), fields: vec![] };
    assert_eq!(denial.kind, DenialKind::StepUp(step_up.clone()));
    let asks = |reason: &Reason| matches!(reason, Reason::StepUp { rule, .. } if rule == "near");
    assert!(denial.reasons.iter().any(asks), "{denial:?}");
    let strong = caller(&["boss"]).having_shown(&step_up, super::NOW);
    assert!(ask(&till, strong, "GET /bills", None).is_ok());
}

#[test]
fn a_device_is_no_matter_of_a_step_up() {
    let vault = program(VAULT);
    let list = |principal, asked| ask_with(&vault, principal, "GET /people", asked);
    let weak = Principal { assurance: 0, factors: vec![], ..caller(&["clerk"]) };
    let denial = list(weak, Asked::default()).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Forbidden);
    let needs = [Reason::NeedsDevice { rule: None }, Reason::NeedsGrant { rule: None }];
    assert_eq!(denial.reasons, needs);
    let denial = list(with_device(caller(&["clerk"])), Asked::default()).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Grant);
    assert!(list(with_device(caller(&["clerk"])), under(grant(&[]))).is_ok());
    let asked = Asked { purpose: Some("complaint"), ticket: Some("CMP-42"), grant: None };
    let denial = ask_with(&vault, caller(&["agent"]), "GET /people/1", asked).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Forbidden);
    assert_eq!(denial.reasons, [Reason::NeedsDevice { rule: Some("bound".to_owned()) }]);
}

#[test]
fn a_purpose_with_a_ticket_counts_only_with_a_ticket_of_its_form() {
    let vault = program(VAULT);
    let asked = |purpose, ticket| {
        let asked = Asked { purpose: Some(purpose), ticket, grant: None };
        ask_with(&vault, with_device(caller(&["agent", "clerk"])), "GET /people/1", asked)
    };
    let permit = asked("complaint", Some("CMP-42")).unwrap();
    assert_eq!((permit.purpose(), permit.rules().count()), (Some("complaint"), 2));
    assert!(asked("service", None).is_ok());
    for ticket in [None, Some(""), Some("CMP-4"), Some("cmp-42"), Some("x CMP-42")] {
        let denial = asked("complaint", ticket).unwrap_err();
        let form = "CMP-##*".to_owned();
        let accepted = vec!["complaint".to_owned()];
        assert_eq!(denial.kind, DenialKind::Purpose { accepted, ticket: Some(form.clone()) });
        assert_eq!(denial.reasons, [Reason::Ticket { purpose: "complaint".to_owned(), form }]);
    }
}

#[test]
fn an_explanation_tells_of_flags_tenants_devices_grants_and_tickets() {
    let vault = program(VAULT);
    let path = Path::parse("/people/1").unwrap();
    let met = vault.find("business", "bank.example", "GET", &path).unwrap();
    let explain = |principal: Principal| {
        let principal = Arc::new(principal);
        let query = Query {
            zone: "business",
            principal: &principal,
            route: &met.route,
            params: &met.params,
            search: None,
            method: "GET",
            host: "bank.example",
            purpose: None,
            ticket: None,
            grant: None,
            ties: None,
            now_unix_s: NOW,
        };
        vault.explain(&query).to_string()
    };
    let tenant = Value::List(vec!["sh01".into(), "sh02".into()]);
    let attributes = [("tenant".to_owned(), tenant)].into();
    let clerk = explain(Principal { attributes, ..caller(&["clerk"]) });
    for part in [
        "not on records flagged `hidden`",
        "only records of tenant `sh01`, `sh02`",
        "(a rule shows it in clear, but grade 2 asks for a device bound to the person)",
        "with a device bound to the person: person.phone clear",
        "with a device bound to the person and a grant: person.phone clear, person.pan clear",
    ] {
        assert!(clerk.contains(part), "`{part}` is not in\n{clerk}");
    }
    assert!(!clerk.contains("with a grant:"), "{clerk}");
    let boss = explain(Principal { assurance: 3, ..caller(&["boss"]) });
    assert!(boss.contains("the rule `granted` asks for a grant"), "{boss}");
    assert!(boss.contains("with a grant: allowed"), "{boss}");
    let agent = explain(with_device(caller(&["agent"])));
    let ticket = "with the purpose `complaint` and a ticket such as `CMP-##*`: allowed";
    assert!(agent.contains(ticket), "{agent}");
}
