//! Any text as a condition, on a record and on the request: compiled and, where it compiles, evaluated.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use menshen::document::Source;
use menshen::policy::plan::RecordId;
use menshen::policy::{Principal, Query, Value, compile};
use menshen::route::Path;

fuzz_target!(|text: &str| {
    evaluate("where", text);
    evaluate("when", text);
});

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
        method: "GET",
        host: "a.example",
        purpose: None,
        ticket: None,
        grant: None,
        now_unix_s: 1_800_000_000,
    });
    let Ok(permit) = permit else { return };
    let captures = vec![Some(Value::from("2015-01-31")); 8];
    let case = permit.case(RecordId(0), &captures);
    assert!(case < 256, "a record has a case for each outcome of its conditions");
    drop(permit.row_errors(RecordId(0), &captures));
}
