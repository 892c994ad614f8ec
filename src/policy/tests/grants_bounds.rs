//! What a grant about certain people must not open by the way: what stands beside records, whose a record is, what a lent
//! role takes away, and what it would show after a factor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::super::{Coverage, Grant, Permit, Query, Subjects};
use super::{Asked, NOW, Principal, Program, Value, ask_with, caller, filter, program};
use crate::route::Path;

const CLINIC: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: { grant: required, assurance: 2 } }
roles: { nurse: {}, doctor: { rank: 5 } }
entities:
  patient: { subject: id, fields: { id: 1, name: 2, ward: 1, illness: 4 } }
routes:
  ward.list:
    match: GET bank.example/ward
    to: core
    action: search
    returns: { patient: "$.patients[]", pass: [$.ward, $.note] }
  ward.desk:
    match: GET bank.example/desk
    to: core
    action: search
    returns: { patient: "$.patients[]", pass: $.note }
  patient.view: { match: "GET bank.example/patients/{id}", to: core, action: view, returns: { patient: $ } }
  patient.move:
    match: "PATCH bank.example/patients/{id}"
    to: core
    action: update
    reads: patient.view
    accepts: { patient: $ }
rules:
  - { name: doctors, allow: [view, search, update], to: doctor, of: patient, clear: [id, name, ward], write: [id, name, ward] }
  - { name: nurses, allow: search, to: nurse, route: ward.desk, of: patient, clear: [id, ward] }
"#;

fn about(key: &str) -> Coverage {
    let pair = ("patient".to_owned(), key.to_owned());
    Coverage { subjects: Some(Subjects::from_iter([pair])), ..Coverage::everything() }
}

fn grant(coverage: Coverage) -> Grant {
    Grant { id: "G1".to_owned(), attributes: BTreeMap::new(), coverage }
}

/// As a doctor, for one patient.
fn lent() -> Grant {
    grant(Coverage { role: Some("doctor".to_owned()), ..about("P7") })
}

fn under(clinic: &Program, grant: Grant, request: &str) -> Permit {
    let asked = Asked { grant: Some(grant), ..Asked::default() };
    ask_with(clinic, caller(&["nurse"]), request, asked).unwrap()
}

#[test]
fn what_stands_beside_the_records_does_not_pass_where_only_a_bound_grant_opens_the_answer() {
    let clinic = program(CLINIC);
    let ward = json!({
        "ward": "3", "note": "P8 has fever",
        "patients": [{ "id": "P7", "name": "n" }, { "id": "P8", "name": "m" }],
    });
    let permit = under(&clinic, lent(), "GET /ward");
    assert!(permit.grant().is_some());
    let seen = json!({ "patients": [{ "id": "P7", "name": "n" }] });
    assert_eq!(filter(&permit, &ward), Some(seen));
    // Where own rules open the answer, what passes beside its records passes without the grant as well.
    let desk = under(&clinic, lent(), "GET /desk");
    let seen = filter(&desk, &ward).unwrap();
    assert_eq!((&seen["note"], &seen["patients"][0]["name"]), (&ward["note"], &json!("n")));
    // A grant about everybody opens what the rules open.
    let all = Coverage { role: Some("doctor".to_owned()), ..Coverage::everything() };
    assert_eq!(filter(&under(&clinic, grant(all), "GET /ward"), &ward), Some(ward));
}

#[test]
fn nobody_makes_a_record_somebody_elses_under_a_grant_about_certain_people() {
    let clinic = program(CLINIC);
    let written = |permit: Permit, key: &str| {
        let reading = permit.pre_read().unwrap();
        let case = reading.case(super::RecordId(0), &[Some(Value::from(key))]);
        let settled = permit.settle(case).unwrap();
        let plan = Arc::clone(settled.write_plan().unwrap());
        super::slot(&settled, &plan, plan.root, &json!({ "id": "P9", "name": "n", "ward": "4" }))
    };
    let bound = under(&clinic, lent(), "PATCH /patients/P7");
    assert_eq!(written(bound, "P7"), Some(json!({ "name": "n", "ward": "4" })));
    assert!(ask_with(&clinic, caller(&["nurse"]), "PATCH /patients/P7", Asked::default()).is_err());
}

#[test]
fn a_condition_on_records_that_denies_a_lent_role_denies_under_the_grant() {
    for role in ["doctor", "nurse"] {
        let deny = format!(
            "  - {{ name: away, deny: [view, search], to: any, of: patient, where: '\"{role}\" in caller.roles && record.ward == \"9\"' }}\n"
        );
        let clinic = program(&format!("{CLINIC}{deny}"));
        let permit = under(&clinic, lent(), "GET /patients/P7");
        let here = json!({ "id": "P7", "name": "n", "ward": "3" });
        assert_eq!(filter(&permit, &here), Some(here), "{role}");
        let away = json!({ "id": "P7", "name": "n", "ward": "9" });
        assert_eq!(filter(&permit, &away), None, "{role}");
    }
}

#[test]
fn what_a_grant_would_show_after_a_factor_is_said() {
    let shows = CLINIC.replace("clear: [id, ward] }", "clear: [id, ward, illness] }");
    let clinic = program(&shows);
    let principal = Arc::new(Principal { assurance: 1, factors: Vec::new(), ..caller(&["nurse"]) });
    let met = clinic.find("business", "bank.example", "GET", &Path::parse("/desk").unwrap());
    let met = met.unwrap();
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
    assert_eq!(clinic.decide(&query).unwrap().step_up(), None, "a factor alone shows nothing");
    let permit = clinic.decide_under(&query, &[Arc::new(grant(about("P7")))]).unwrap();
    assert!(permit.grant().is_none(), "no use is taken before");
    assert_eq!(permit.step_up().unwrap().fields, ["patient.illness"]);
    let record = json!({ "patients": [{ "id": "P7", "illness": "flu" }] });
    assert_eq!(filter(&permit, &record), Some(json!({ "patients": [{ "id": "P7" }] })));
}
