//! Limits on exports and on unmasking, as the policy says them.

use std::sync::Arc;

use super::super::limits::Export;
use super::super::{DenialKind, Query, Window};
use super::*;

/// A policy in which clerks see, search and export what `limits` leave.
fn bank(limits: &str) -> Program {
    program(&format!(
        "grades: {{ 1: {{}}, 3: {{ assurance: 2 }} }}
entities:
  customer:
    subject: id
    fields: {{ id: 1, name: 1, phone: 3, 'accounts[]': account }}
  account: {{ subject: owner, fields: {{ owner: 1, number: 3 }} }}
routes:
  view: {{ match: 'GET bank.example/one/{{id}}', to: u, action: view, returns: {{ customer: $ }} }}
  list:
    match: GET bank.example/list
    to: u
    action: search
    returns: {{ customer: '$[]' }}
  export: {{ match: GET bank.example/all, to: u, action: export, returns: {{ customer: '$[]' }} }}
roles: {{ clerk: {{}}, chief: {{ includes: clerk }} }}
rules:
  - {{ name: all, allow: [view, search, export], to: clerk, of: customer, clear: [id, name] }}
  - name: phone
    allow: [view, search, export]
    to: clerk
    of: customer
    clear: [phone]
    where: record.name == 'open'
  - {{ name: owners, allow: [view, search, export], to: clerk, of: account, clear: [owner] }}
  - {{ name: numbers, allow: view, to: clerk, of: account, clear: [number] }}
{limits}"
    ))
}

fn reasons(denial: &Denial) -> Vec<String> {
    denial.reasons.iter().map(ToString::to_string).collect()
}

#[test]
fn where_one_limit_allows_no_export_nobody_it_is_about_exports() {
    let program = bank(
        "limits:\n  - { to: clerk, export: none }\n  - { to: chief, export: { rows: 9/file } }\n",
    );
    for role in ["clerk", "chief"] {
        let denial = ask(&program, caller(&[role]), "GET /all", None).unwrap_err();
        assert_eq!(denial.kind, DenialKind::Forbidden);
        assert_eq!(reasons(&denial), ["the limit for `clerk` allows no export"]);
        assert!(ask(&program, caller(&[role]), "GET /list", None).is_ok());
    }
}

#[test]
fn a_limit_for_another_role_closes_nothing() {
    let program = bank("limits:\n  - { to: chief, export: none }\n");
    assert!(ask(&program, caller(&["clerk"]), "GET /all", None).is_ok());
    assert!(ask(&program, caller(&["chief"]), "GET /all", None).is_err());
}

#[test]
fn a_limit_and_a_rule_that_both_deny_are_both_named() {
    let program = bank(
        "  - { name: never, deny: export, to: any, of: customer }\nlimits:\n  - { to: any, export: none }\n",
    );
    let denial = ask(&program, caller(&["clerk"]), "GET /all", None).unwrap_err();
    let wanted = ["the limit for `any` allows no export", "the rule `never` denies it"];
    assert_eq!(reasons(&denial), wanted);
}

#[test]
fn an_export_that_needs_a_grant_is_denied_without_one() {
    let program = bank("limits:\n  - { to: [clerk, chief], export: { grant: required } }\n");
    let denial = ask(&program, caller(&["clerk"]), "GET /all", None).unwrap_err();
    let wanted = ["the limit for `clerk`, `chief` allows an export only with a grant"];
    assert_eq!(
        (denial.kind.clone(), reasons(&denial)),
        (DenialKind::Grant, wanted.map(str::to_owned).into())
    );
    assert!(ask(&program, caller(&["clerk"]), "GET /list", None).is_ok());
    let granted = Asked { grant: Some(Grant::of_everything("", [].into())), ..Asked::default() };
    assert!(ask_with(&program, caller(&["clerk"]), "GET /all", granted).is_ok());
    let stranger = ask(&program, caller(&[]), "GET /all", None).unwrap_err();
    assert_eq!(reasons(&stranger), ["no rule lets any of the caller's roles export over `export`"]);
}

#[test]
fn only_exports_are_files_and_have_rows() {
    let program = bank(
        "limits:\n  - { to: clerk, page: 20, export: { rows: 500/file, files: 3/day }, files: [9/day, 4/h] }\n",
    );
    let permit = |request| ask(&program, caller(&["clerk"]), request, None).unwrap();
    let export = permit("GET /all");
    assert_eq!((export.row_limit(), export.is_file()), (Some(500), true));
    let files = [Window::sliding(4, 3_600), Window::sliding(3, 86_400)];
    assert_eq!(own(&export).files, files);
    let (list, view) = (permit("GET /list"), permit("GET /one/1"));
    assert_eq!((list.row_limit(), list.is_file()), (Some(20), false));
    assert_eq!((view.row_limit(), view.is_file()), (None, false));
}

#[test]
fn a_rate_without_a_burst_is_a_window_and_with_one_a_pace() {
    let limits =
        "limits:\n  - { to: clerk, rate: 60/min }\n  - { to: chief, rate: 30/min burst 5 }\n";
    let program = bank(limits);
    let permit = ask(&program, caller(&["chief"]), "GET /list", None).unwrap();
    assert_eq!(own(&permit).requests, [Window::sliding(60, 60)]);
    assert_eq!(own(&permit).rate.map(|rate| (rate.count, rate.burst)), Some((30, 5)));
    assert_eq!(own(&permit).export, Export::default());
}

/// Whether each form of the customer's and of the account's record unmasks, in the order of cases.
fn unmasking(permit: &Permit, entity: &str) -> Vec<bool> {
    let record = permit.plan().records.iter().find(|record| *record.entity == *entity).unwrap();
    let unmasks = |node: &NodeId| match permit.plan().node(*node) {
        Some(Node::Object(object)) => object.unmasks,
        _ => panic!("a record that is no object"),
    };
    record.cases.iter().flatten().map(unmasks).collect()
}

#[test]
fn a_record_unmasks_where_a_field_of_grade_3_is_in_clear_and_nowhere_else() {
    let program = bank("");
    let clerk = caller(&["clerk"]);
    let permit = ask(&program, clerk.clone(), "GET /list", None).unwrap();
    assert_eq!(unmasking(&permit, "customer"), [false, true]);
    assert_eq!(unmasking(&permit, "account"), [false]);
    let permit = ask(&program, clerk.clone(), "GET /one/1", None).unwrap();
    assert_eq!(unmasking(&permit, "account"), [true]);
    let weak = Principal { assurance: 1, ..clerk };
    let permit = ask(&program, weak, "GET /one/1", None).unwrap();
    assert!(!unmasking(&permit, "customer").contains(&true));
    assert!(!unmasking(&permit, "account").contains(&true));
}

#[test]
fn an_explanation_tells_the_limits_on_exports() {
    let program = bank(
        "limits:\n  - { to: clerk, rate: 60/min, unmask: 40/day, export: { rows: 500/file, files: 3/day } }\n",
    );
    let principal = Arc::new(caller(&["clerk"]));
    let path = Path::parse("/all").unwrap();
    let met = program.find("business", "bank.example", "GET", &path).unwrap();
    let explained = program.explain(&Query {
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
    });
    let limits = explained.stages.iter().find(|stage| stage.name == "limits").unwrap();
    let wanted = "60 requests in 60 s, 40 people unmasked in 86400 s, 3 files in 86400 s, 500 rows in a file";
    assert_eq!(limits.finding, wanted);
}
