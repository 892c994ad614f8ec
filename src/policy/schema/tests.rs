//! The schema says what the reader accepts: the same keys, the same words, the same forms of values.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::compile;
use super::schema;
use crate::document::{Code, Source};

/// A file in which `%` stands where keys of the table of that name are expected.
const PROBES: &[(&str, &str)] = &[
    ("", "%: 1"),
    ("grades", "grades: { %: 1 }"),
    ("requirement", "grades: { 1: { %: 1 } }"),
    ("entity", "entities: { e: { %: 1 } }"),
    ("field", "grades: { 1: {} }\nentities: { e: { fields: { a: { grade: 1, %: 1 } } } }"),
    ("route", "routes: { r: { %: 1 } }"),
    ("link", "grades: { 1: { link: { %: 1 } } }"),
    ("step-up", "entities: { e: { step-up: [{ %: 1 }], fields: { a: 1 } } }"),
    (
        "rule-step-up",
        "grades: { 1: {} }\nentities: { e: { fields: { a: 1 } } }\nrules: [{ name: n, allow: view, to: any, of: e, step-up: { %: 1 } }]",
    ),
    ("detect", "detect: { %: 1 }"),
    ("hits-in-answers", "detect: { answers: { %: mask } }"),
    ("hits-in-requests", "detect: { requests: { %: refuse } }"),
    ("opaque", "routes: { r: { match: GET a.b/c, to: u, action: view, opaque: { %: 1 } } }"),
    ("headers", "routes: { r: { match: GET a.b/c, to: u, action: view, headers: { %: 1 } } }"),
    (
        "parameter",
        "routes: { r: { match: GET a.b/c, to: u, action: view, query: { q: { %: 1, means: page } } } }",
    ),
    (
        "watermark",
        "routes: { r: { match: GET a.b/c, to: u, action: export, watermark: { %: 1 } } }",
    ),
    ("uploads", "routes: { r: { match: POST a.b/c, to: u, action: create, uploads: { %: 1 } } }"),
    (
        "upload",
        "routes: { r: { match: POST a.b/c, to: u, action: create, uploads: { files: { f: { %: 1 } } } } }",
    ),
    (
        "websocket",
        "routes: { r: { match: GET a.b/c, to: u, action: call, opaque: { websocket: { %: 1 } } } }",
    ),
    ("purpose", "purposes: { p: { %: 1 } }"),
    ("consent", "purposes: { p: { consent: { %: 1 } } }"),
    ("pseudonyms", "pseudonyms: { %: 1 }"),
    ("retention", "retention: { %: 1 }"),
    ("export", "limits: [{ to: any, export: { %: 1 } }]"),
    ("role", "roles: { r: { %: 1 } }"),
    ("rule", "rules: [{ %: 1 }]"),
    ("grant", "grants: [{ %: 1 }]"),
    ("break-glass", "grants: [{ to: any, break-glass: { %: 1 } }]"),
    ("detections", "detections: { %: 1 }"),
    ("detection", "detections: { zero-hits: { %: 1 } }"),
    ("limit", "limits: [{ %: 1 }]"),
    ("off-hours", "limits: [{ to: any, off-hours: { %: 1 } }]"),
    ("on", "limits: [{ to: any, on: { %: 1 } }]"),
];

#[test]
fn the_reader_and_the_schema_know_the_same_keys() {
    let schema = schema();
    for (name, probe) in PROBES {
        let table = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let known: BTreeSet<&str> =
            table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let accepted = accepted(&probe.replace('%', "zzzzzzzz"));
        let accepted: BTreeSet<&str> = accepted.iter().map(String::as_str).collect();
        assert_eq!(known, accepted, "left: the schema's `{name}`, right: the reader's");
    }
}

#[test]
fn every_map_of_known_keys_is_compared_with_the_reader() {
    let probed: BTreeSet<&str> = PROBES.iter().map(|(name, _)| *name).collect();
    for (name, table) in schema()["$defs"].as_object().unwrap() {
        let is_table = table.get("properties").is_some();
        assert_eq!(is_table, probed.contains(name.as_str()), "no probe for `{name}`");
    }
}

#[test]
fn every_key_says_what_it_means_in_a_sentence() {
    let schema = schema();
    let tables = schema["$defs"].as_object().unwrap().iter();
    for (name, table) in tables.chain([(&String::new(), &schema)]) {
        for (key, value) in table["properties"].as_object().into_iter().flatten() {
            let doc = value["description"].as_str().unwrap_or_default();
            assert!(doc.ends_with('.') && doc.len() > 10, "{name}.{key}: `{doc}`");
        }
    }
}

#[test]
fn the_closed_lists_of_words_are_those_of_the_reader() {
    let words = |pointer: &str| -> BTreeSet<String> {
        let schema = schema();
        let found = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {schema:#}"));
        found.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let uses = "routes: { r: { match: GET a.b/c, to: u, action: view, query: { q: zzzzzzzz } } }";
    let cases = [
        ("/$defs/route/properties/action/enum", "routes: { r: { action: zzzzzzzz } }"),
        ("/$defs/route/properties/query/additionalProperties/anyOf/0/enum", uses),
    ];
    for (pointer, probe) in cases {
        assert_eq!(words(pointer), accepted(probe), "{pointer}");
    }
    let methods = accepted("routes: { r: { match: zzzzzzzz a.b/c } }");
    let pattern = schema()["$defs"]["route"]["properties"]["match"]["pattern"].clone();
    for method in methods {
        assert!(pattern.as_str().unwrap().contains(&method), "{method}");
    }
}

#[test]
fn the_schema_is_a_schema_of_its_own_draft() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_policy_that_is_shipped_validates() {
    let schema = validator();
    let files = shipped();
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let said: Vec<String> = schema
            .iter_errors(&json(&text))
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(said.is_empty(), "{}: {said:#?}", file.display());
    }
}

/// What both accept.
const RIGHT: &[&str] = &[
    "limits: [{ to: any, rate: 120/min burst 20, bytes: [1KiB/s, 2GiB / week], subjects: 4/15m }]",
    "limits: [{ to: any, unmask: 40/day, files: [3/day], export: none }, { to: any, export: { rows: 500/file, grant: required } }]",
    "purposes: { service: {}, complaint: { ticket: \"CMP-*\", pseudonyms: { rotate: month } } }\npseudonyms: { rotate: never, zone: UTC }\nmasks: { phone: last4, bank-card: bin-last4 }",
    "grades: { 1: { device: bound, grant: required } }\nentities: { e: { flags: { old: record.a }, fields: { a: 1 } } }",
    "grades: { 1: { link: { kinds: [call, order], missing: flag } }, 2: { link: call } }",
    "grades: { 1: {} }\nentities: { e: { step-up: [{ where: record.a > 0, assurance: 3, fresh: 5m, fields: a }, { where: record.a > 9, fresh: 1m, grade: 1 }], fields: { a: 1 } } }",
    "detect: { answers: { bank-card: mask, phone: alert, email: withhold }, requests: { id-nik: refuse } }",
    "grades: { 1: {} }\nentities: { e: { fields: { a: 1 } } }\ndetect: { except: { e.a: [phone, email] } }",
    "purposes: { a: { consent: required }, b: { consent: objection }, c: { consent: { kinds: [explicit, deemed], notice: 3 } } }",
    "purposes: [care]\nlimits: [{ to: any, per: tenant, on: { purpose: care, action: [view, search] }, zone: Asia/Shanghai, subjects: 9/calendar-day }]",
    "limits: [{ to: any, zero-hits: 15/10m, off-hours: { hours: Mon-Fri 08:00-20:00, factor: 0.25 } }]",
    "limits: [{ to: any, concurrent: 1, page: 50, records: [500/h, 9/day] }]",
    "grades: { 1: {}, 2: { assurance: 3, fresh: 90s, zone: [a, b] }, sealed: {} }",
    "grades:\n  1: {}\nentities: { e: { fields: { a: 1, \"b[]\": { c: sealed, d: { grade: 1 } } } } }",
    "roles: { a: , b: { includes: a, rank: 7, external: true } }",
    "registered: [partner, tenant]\npartner-level: 2",
    "registered: tenant",
    "purposes:\nroles: { 店员: {} }",
];

/// What both refuse.
const WRONG: &[&str] = &[
    "limits: [{ to: any, rate: fast }]",
    "limits: [{ to: any, per: branch, records: 1/h }]",
    "limits: [{ to: any, on: { action: look }, records: 1/h }]",
    "limits: [{ to: any, rate: 120/min burst }]",
    "limits: [{ to: any, bytes: 100/day }]",
    "limits: [{ to: any, bytes: 2 GiB/week }]",
    "limits: [{ to: any, subjects: 40 }]",
    "limits: [{ to: any, page: 0 }]",
    "limits: [{ to: any, page: many }]",
    "limits: [{ to: any, page: 201 }]",
    "limits: [{ to: any, records: 1/h, off-hours: { hours: Mon-Fri 08:00-20:00, factor: 1.5 } }]",
    "limits: [{ to: any, records: 1/h, off-hours: { factor: 0.5 } }]",
    "limits: [{ page: 3 }]",
    "grades: { 5: {} }",
    "registered: merchant",
    "partner-level: 0",
    "partner-level: high",
    "grades: { 1: { fresh: 15 } }",
    "grades: { 1: { assurance: 4 } }",
    "grades: { 1: }",
    "grades: { sealed: { assurance: 1 } }",
    "purposes: { a: 1 }",
    "roles: [teller]",
    "roles: { a: { external: maybe } }",
    "entities: { e: { subject: id } }",
    "grades: { 1: {} }\nentities: { e: { fields: { a: { grade: 9 } } } }",
    "grades: { 1: {} }\nentities: { e: { fields: { a: { grade: 1, kind: telephone } } } }",
    "entities: { e: { fields: { a: [1] } } }",
    "entities: { e: { fields: { a.b: 1 } } }",
    "routes: { r: { match: HEAD a.b/c, to: u, action: view } }",
    "routes: { r: { match: GET a.b:80/c, to: u, action: view } }",
    "routes: { r: { match: GET a.b/c, to: u, action: look } }",
    "routes: { r: { match: GET a.b/c, action: view } }",
    "routes: { r: { match: GET a.b/c, to: u, action: view, returns: { pass: total } } }",
    "rules: [{ name: n, to: any }]",
    "rules: [{ name: n, to: any, allow: view, deny: view, of: e }]",
    "rules: [{ name: n, to: any, deny: [watch] }]",
    "rules: [{ name: n, to: any, deny: view, clear: [] }]",
    "limits: [{ to: any, export: all }]",
    "limits: [{ to: any, export: { rows: 500 } }]",
    "purposes: { complaint: { ticket: \"\" } }",
    "purposes: { a: { consent: asked } }",
    "purposes: { a: { consent: { kinds: [loud] } } }",
    "purposes: { a: { consent: { notice: 0 } } }",
    "masks: { phone: domain }",
    "pseudonyms: { rotate: week }",
    "pseudonyms: { zone: UTC }",
    "masks: { telephone: last4 }",
    "detect: { bank-card: mask }",
    "detect: { answers: { person-name: mask } }",
    "detect: { answers: { phone: refuse } }",
    "detect: { requests: { phone: mask } }",
    "detect: { except: { e.a: some } }",
    "grades: { 1: { device: mine } }",
    "grades: { 1: { link: Call } }",
    "grades: { 1: {} }\nentities: { e: { step-up: [{ assurance: 3 }], fields: { a: 1 } } }",
    "grades: { 1: {} }\nentities: { e: { step-up: [{ where: record.a > 0, assurance: 4 }], fields: { a: 1 } } }",
    "grades: { 1: {} }\nentities: { e: { step-up: { where: record.a > 0, assurance: 2 }, fields: { a: 1 } } }",
    "grades: { 1: { link: { missing: flag } } }",
    "grades: { 1: { link: { kinds: call, missing: pass } } }",
    "colour: red",
];

#[test]
fn values_are_judged_as_the_reader_judges_them() {
    let schema = validator();
    for text in RIGHT {
        assert_eq!(codes(text), [], "{text}");
        assert!(schema.is_valid(&json(text)), "{text}: {:?}", schema.validate(&json(text)));
    }
    for text in WRONG {
        assert_ne!(codes(text), [], "{text}");
        assert!(!schema.is_valid(&json(text)), "{text}");
    }
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap_or_else(|error| panic!("{error}"))
}

/// YAML as a YAML library's JSON: keys are text (`1:` becomes `"1"`), plain scalars have types.
fn json(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn codes(text: &str) -> Vec<Code> {
    let sources = [Source { name: "policy.yaml".to_owned(), text: text.to_owned() }];
    let faults = compile(&sources).map(|_| ()).err();
    faults.into_iter().flat_map(|f| f.as_slice().to_vec()).map(|fault| fault.code).collect()
}

/// The words that the reader would take instead of `zzzzzzzz`.
fn accepted(text: &str) -> BTreeSet<String> {
    let sources = [Source { name: "policy.yaml".to_owned(), text: text.to_owned() }];
    let faults = compile(&sources).unwrap_err();
    let mut faults = faults.as_slice().iter();
    let fault = faults.find(|fault| fault.message.contains("`zzzzzzzz`"));
    let help = fault.and_then(|fault| fault.help.clone()).unwrap_or_else(|| panic!("{text}"));
    let (_, list) = help.split_once("accepted: ").unwrap();
    assert!(!list.contains(" more"), "the help does not show all words: {help}");
    list.split(", ").map(|word| word.trim_matches('`').to_owned()).collect()
}

fn shipped() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path);
            }
        }
    }
    files
}
