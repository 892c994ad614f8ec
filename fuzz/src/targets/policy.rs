//! Texts as policies and as conditions.

use std::sync::Arc;

use menshen::document::Source;
use menshen::policy::plan::RecordId;
use menshen::policy::{Principal, Query, Value, compile, format};
use menshen::route::Path;

/// Any text as a policy file: the compiler ends with a program or with faults, and its canonical form,
/// where it has one, is that of itself. Seeds: `tests/policy_cases/*/policy.yaml`, `policies/*/*.yaml`.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source { name: "policy.yaml".to_owned(), text: text.to_owned() };
    match compile(std::slice::from_ref(&source)) {
        Ok(program) => drop(program.warnings().len()),
        Err(faults) => drop(faults.to_string()),
    }
    if let Ok(text) = format(&source) {
        let again = Source { name: source.name, text: text.clone() };
        assert_eq!(format(&again).ok(), Some(text));
    }
}

/// Any text as a condition, on a record and on the request: compiled and, where it compiles, evaluated.
pub fn condition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    evaluate("where", text);
    evaluate("when", text);
}

fn evaluate(key: &str, text: &str) {
    let quoted = text.replace('\'', "''").replace(['\n', '\r'], " ");
    let policy = format!(
        "grades: {{ 1: {{}} }}\nroles: {{ clerk: {{}} }}\nentities:\n  customer:\n    subject: id\n    \
         fields: {{ id: 1, born: 1, minor: 1, branch: 1 }}\n    flags: {{ hidden: record.minor }}\n\
         routes:\n  view: {{ match: 'GET a.example/c/{{id}}', to: core, action: view, returns: {{ customer: $ }} }}\n\
         rules:\n  - {{ name: r, allow: view, to: clerk, of: customer, clear: id, {key}: '{quoted}' }}\n"
    );
    let source = Source { name: "policy.yaml".to_owned(), text: policy };
    let Ok(program) = compile(&[source]) else { return };
    let Ok(path) = Path::parse("/c/1") else { return };
    let Some(found) = program.find("business", "a.example", "GET", &path) else { return };
    let principal = Arc::new(Principal { roles: vec!["clerk".to_owned()], ..Principal::default() });
    let permit = program.decide(&Query {
        zone: "business",
        principal: &principal,
        route: &found.route,
        params: &found.params,
        search: None,
        method: "GET",
        host: "a.example",
        purpose: None,
        ticket: None,
        grant: None,
        ties: None,
        now_unix_s: 1_800_000_000,
    });
    let Ok(permit) = permit else { return };
    let captures = vec![Some(Value::from("2015-01-31")); 8];
    let case = permit.case(RecordId(0), &captures);
    assert!(case < 256, "a record has a case for each outcome of its conditions");
    drop(permit.row_errors(RecordId(0), &captures));
}
