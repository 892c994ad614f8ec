//! Which records a decision reaches: flags, and callers who are confined to a tenant.

use serde_json::{Value as Json, json};

use super::super::{Action, DenialKind, Permit, Principal, Reason, Value};
use super::{Node, Program, RecordId, Verdict, ask, caller, filter, program};

const CLINIC: &str = r#"
grades: { 1: {} }
roles: { desk: {}, ward: {}, keeper: {} }
entities:
  patient:
    subject: id
    tenant: house
    fields: { id: 1, name: 1, born: 1, shy: 1, house: 1 }
    flags: { minor: age(record.born) < 14, hidden: record.shy }
  bill: { subject: id, tenant: house, fields: { id: 1, house: 1, patient: patient } }
routes:
  patient.view: { match: "GET bank.example/patients/{id}", to: core, action: view, returns: { patient: $ } }
  patient.list:
    match: GET bank.example/patients
    to: core
    action: search
    query: { name: patient.name }
    returns: { patient: "$.items[]", pass: "$.total" }
  patient.update:
    match: PATCH bank.example/patients/{id}
    to: core
    action: update
    accepts: { patient: $ }
    reads: patient.view
  patient.create: { match: POST bank.example/patients, to: core, action: create, accepts: { patient: $ } }
  bill.delete: { match: "DELETE bank.example/bills/{id}", to: core, action: delete, returns: { bill: $ } }
rules:
  - { name: desk, allow: [view, search, update, create], to: [desk, ward, keeper], of: patient, clear: [id, name], write: [name, shy, house] }
  - { name: ward, allow: [view, search], to: ward, of: patient, clear: [id, born], flags: minor }
  - { name: children, allow: view, to: ward, of: patient, masked: name, flags: minor, where: flag.minor }
  - { name: keeper, allow: [view, search, update], to: keeper, of: patient, clear: [shy], write: [shy], flags: [hidden, minor] }
  - { name: bills, allow: delete, to: desk, of: bill, clear: id }
"#;

fn clinic() -> Program {
    program(CLINIC)
}

fn patient(born: &str, shy: bool) -> Json {
    json!({ "id": 1, "name": "n", "born": born, "shy": shy, "house": "sh01" })
}

fn of_tenant(roles: &[&str], tenant: Value) -> Principal {
    Principal { attributes: [("tenant".to_owned(), tenant)].into(), ..caller(roles) }
}

/// The members that a body may carry.
fn writable(permit: &Permit) -> Vec<String> {
    let plan = permit.write_plan().unwrap();
    let Verdict::Enter(root) = plan.root.verdict else { return Vec::new() };
    let Some(Node::Object(object)) = plan.node(root) else { return Vec::new() };
    let open = object.members.iter().filter(|(_, slot)| slot.verdict == Verdict::Clear);
    open.map(|(name, _)| name.to_string()).collect()
}

#[test]
fn a_flagged_record_is_seen_through_rules_that_name_all_its_flags_only() {
    let clinic = clinic();
    let seen = |role: &str, record: &Json| {
        let permit = ask(&clinic, caller(&[role]), "GET /patients/1", None).unwrap();
        assert!(permit.row_conditions());
        filter(&permit, record)
    };
    let adult = patient("1990-01-01", false);
    let child = patient("2020-01-01", false);
    let hidden = patient("1990-01-01", true);
    let both = patient("2020-01-01", true);
    assert_eq!(seen("desk", &adult), Some(json!({ "id": 1, "name": "n" })));
    for record in [&child, &hidden, &both] {
        assert_eq!(seen("desk", record), None, "{record}");
    }
    assert_eq!(seen("ward", &adult), Some(json!({ "id": 1, "name": "n", "born": "1990-01-01" })));
    let masked = json!({ "id": 1, "name": "masked", "born": "2020-01-01" });
    assert_eq!(seen("ward", &child), Some(masked));
    assert_eq!((seen("ward", &hidden), seen("ward", &both)), (None, None));
    assert_eq!(seen("keeper", &both), Some(json!({ "shy": true })));
}

#[test]
fn a_flag_that_cannot_be_evaluated_is_raised() {
    let clinic = clinic();
    let permit = ask(&clinic, caller(&["desk"]), "GET /patients/1", None).unwrap();
    for (member, value) in [
        ("shy", Json::Null),
        ("shy", json!("false")),
        ("shy", json!(0)),
        ("shy", json!([false])),
        ("born", json!("unknown")),
        ("born", json!("2999-01-01")),
        ("born", json!(1990)),
    ] {
        let mut record = patient("1990-01-01", false);
        assert!(filter(&permit, &record).is_some());
        record[member] = value;
        assert_eq!(filter(&permit, &record), None, "{record}");
        record.as_object_mut().unwrap().remove(member);
        assert_eq!(filter(&permit, &record), None, "{record}");
    }
    let captures = [Some(Value::Integer(1)), Some("1990-01-01".into()), None];
    let errors = permit.row_errors(RecordId(0), &captures);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "record.shy");
}

#[test]
fn a_list_loses_flagged_records_and_the_count_that_would_betray_them() {
    let clinic = clinic();
    let permit = ask(&clinic, caller(&["desk"]), "GET /patients", None).unwrap();
    let items = [patient("1990-01-01", false), patient("1990-01-01", true)];
    let seen = filter(&permit, &json!({ "items": items, "total": 2 }));
    assert_eq!(seen, Some(json!({ "items": [{ "id": 1, "name": "n" }] })));
}

#[test]
fn a_change_waits_until_the_flags_of_its_record_are_known() {
    let clinic = clinic();
    let update = |role: &str, record: &Json| {
        let permit = ask(&clinic, caller(&[role]), "PATCH /patients/1", None).unwrap();
        let reading = permit.pre_read().unwrap();
        let shy = record["shy"].as_bool().map(Value::Bool);
        let captures = [Some(Value::Integer(1)), record["born"].as_str().map(Value::from), shy];
        permit.settle(reading.case(RecordId(0), &captures))
    };
    let adult = update("desk", &patient("1990-01-01", false)).unwrap();
    assert_eq!(writable(&adult), ["name", "shy", "house"]);
    let hidden = patient("1990-01-01", true);
    let denial = update("desk", &hidden).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Withheld);
    assert_eq!(denial.reasons, [Reason::RecordWithheld { action: Action::Update }]);
    assert_eq!(writable(&update("keeper", &hidden).unwrap()), ["shy"]);
}

#[test]
fn a_new_record_has_no_flags_yet() {
    let clinic = clinic();
    let permit = ask(&clinic, caller(&["desk"]), "POST /patients", None).unwrap();
    assert!(permit.is_settled());
    assert_eq!(writable(&permit), ["name", "shy", "house"]);
}

#[test]
fn a_confined_caller_gets_the_records_of_the_own_tenant_only() {
    let clinic = clinic();
    let seen = |tenant: Value, house: Json| {
        let caller = of_tenant(&["desk"], tenant);
        let permit = ask(&clinic, caller, "GET /patients/1", None).unwrap();
        let mut record = patient("1990-01-01", false);
        record["house"] = house;
        filter(&permit, &record).is_some()
    };
    let list = |names: &[&str]| Value::List(names.iter().map(|name| (*name).into()).collect());
    assert!(seen("sh01".into(), json!("sh01")) && !seen("sh01".into(), json!("bj07")));
    assert!(seen(list(&["bj07", "sh01"]), json!("sh01")) && !seen(list(&[]), json!("sh01")));
    assert!(seen("7".into(), json!(7)) && !seen("07".into(), json!(7)));
    for unreadable in [Json::Null, json!(true), json!(7.5), json!(["sh01"]), json!("")] {
        assert!(!seen("sh01".into(), unreadable.clone()), "{unreadable}");
        assert!(!seen("".into(), unreadable.clone()), "{unreadable}");
    }
    for odd in [Value::Integer(7), Value::Null, Value::Bool(true), Value::List(vec![Value::Null])] {
        assert!(!seen(odd.clone(), json!(7)) && !seen(odd, json!("sh01")));
    }
    let permit = ask(&clinic, caller(&["desk"]), "GET /patients/1", None).unwrap();
    assert!(filter(&permit, &json!({ "id": 1, "born": "1990-01-01", "shy": false })).is_some());
}

#[test]
fn a_confined_caller_writes_no_tenant() {
    let clinic = clinic();
    let confined = || of_tenant(&["desk"], "sh01".into());
    let permit = ask(&clinic, confined(), "POST /patients", None).unwrap();
    assert_eq!(writable(&permit), ["name", "shy"]);
    let update = ask(&clinic, confined(), "PATCH /patients/1", None).unwrap();
    let reading = update.pre_read().unwrap();
    let captures = |house: &str| {
        let born = Some("1990-01-01".into());
        [Some(Value::Integer(1)), Some(house.into()), born, Some(Value::Bool(false))]
    };
    let case = |house| reading.case(RecordId(0), &captures(house));
    let (mine, theirs) = (case("sh01"), case("bj07"));
    assert_eq!(writable(&update.settle(mine).unwrap()), ["name", "shy"]);
    let update = ask(&clinic, confined(), "PATCH /patients/1", None).unwrap();
    assert_eq!(update.settle(theirs).unwrap_err().kind, DenialKind::Withheld);
}

#[test]
fn a_confined_caller_changes_nothing_whose_tenant_is_not_read_before() {
    let clinic = clinic();
    assert!(ask(&clinic, caller(&["desk"]), "DELETE /bills/1", None).unwrap().is_settled());
    let confined = of_tenant(&["desk"], "sh01".into());
    let denial = ask(&clinic, confined, "DELETE /bills/1", None).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Forbidden);
    assert_eq!(denial.reasons, [Reason::TenantUntested { entity: "bill".to_owned() }]);
}

#[test]
fn a_flag_that_every_rule_names_is_not_tested() {
    let text = CLINIC.replace(
        "of: patient, clear: [id, name]",
        "of: patient, flags: [hidden, minor], clear: [id, name]",
    );
    let clinic = program(&text);
    let permit = ask(&clinic, caller(&["desk"]), "GET /patients/1", None).unwrap();
    assert!(!permit.row_conditions());
    assert!(filter(&permit, &patient("2020-01-01", true)).is_some());
}
