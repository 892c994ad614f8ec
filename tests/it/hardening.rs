//! `docs/hardening.md` says what is true: its caps are those of the program, and its tests exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use menshen::config::Config;
use menshen::document::Source;
use serde_json::{Value, json};

use crate::threat_tables::{rust_below, test_exists};

/// Numbers and times of `menshen.yaml` that hold nothing up, by the file that reads them.
const NO_CAPS: [(&str, &str, &str); 9] = [
    ("admin.rs", "assurance", "what callers must have shown"),
    ("callers.rs", "password-age", "when people are reminded"),
    ("clients.rs", "unknown-assurance", "what callers count for"),
    ("edge.rs", "port", "a port"),
    ("scanners.rs", "clean", "an exit code"),
    ("scanners.rs", "found", "an exit code"),
    ("shared.rs", "gates", "how many there are"),
    ("ship.rs", "facility", "a word of syslog"),
    ("read.rs", "every", "of `checkpoint-copies`, which has a row"),
];
/// Defaults that cannot be written into the file as they are; what the settings then hold.
const BY_HAND: [(&str, &str); 1] = [(
    "connections.new-per-minute",
    "connections: Rate { per_window: 600, window_s: 60, burst: 100 }",
)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/hardening.md")).unwrap()
}

/// The rows of the table below a heading, cell by cell, without its head.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split(" | ").map(|c| c.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = lines.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "{heading}");
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A configuration in which there is one of everything.
fn whole() -> Value {
    let peer = json!({ "url": "https://siem.internal/", "ca": "ca.pem" });
    let witness = "witness.example+82bca4dd+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    json!({
        "node": "gate-1", "state": "state", "log": "log", "key": "master.key", "policies": "policies",
        "listeners": [{ "address": "127.0.0.1:8443", "zone": "business", "certificate": "c", "key": "k" }],
        "upstreams": { "core": { "address": "core.internal:8443", "ca": "ca.pem", "http": 2,
            "eject": {}, "health": { "path": "/healthz" } } },
        "issuers": [{ "name": "staff", "issuer": "https://login.example", "audience": "menshen",
            "keys": "https://login.example/jwks.json", "ca": "ca.pem",
            "posture": { "compliant": { "claim": "c", "at": "a", "age": "8h" } } }],
        "scanners": { "av": { "icap": "av.internal:1344/avscan" } },
        "checkpoint-copies": { "folder": "copies" },
        "witnesses": { "auditor": { "url": peer["url"], "ca": "ca.pem", "key": witness } },
        "ship": { "far": { "to": "file", "path": "there/log.jsonl" } },
        "notify": { "duty": { "to": "slack", "url-file": "url", "ca": "ca.pem" } },
        "backup": { "to": { "one": { "folder": "one" }, "two": { "folder": "two" } } },
        "shared": { "redis": "rediss://store.internal:6379", "ca": "ca.pem" },
        "traces": { "url": peer["url"], "ca": "ca.pem" },
        "connections": {}, "bodies": {}, "tokens": {}, "sessions": {}, "sign-in": {}, "assertions": {},
    })
}

/// The settings of such a file, as they are shown; or its faults.
fn settings(file: &Value) -> Result<String, String> {
    let source = Source { name: "menshen.yaml".to_owned(), text: file.to_string() };
    let config = Config::parse(source, Path::new("/etc/menshen"));
    config.map(|config| format!("{config:?}")).map_err(|faults| faults.to_string())
}

/// The place of a key of the table in the file: `NAME` is whatever is there, `[]` the first of a list.
fn place<'v>(file: &'v mut Value, key: &str) -> (&'v mut Value, String) {
    let mut steps: Vec<&str> = key.split('.').collect();
    let last = steps.pop().unwrap().to_owned();
    let mut at = file;
    for step in steps {
        let name = step.trim_end_matches("[]");
        at = match name {
            "NAME" => at.as_object_mut().unwrap().values_mut().next().unwrap(),
            name => at.get_mut(name).unwrap_or_else(|| panic!("{key}: there is no `{name}`")),
        };
        if step.ends_with("[]") {
            at = at.get_mut(0).unwrap();
        }
    }
    (at, last)
}

fn with(key: &str, value: &Value) -> Result<String, String> {
    let mut file = whole();
    let (block, last) = place(&mut file, key);
    block[last.as_str()] = value.clone();
    settings(&file)
}

/// Values near this one.
fn others(value: &str) -> Vec<String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &value[digits.len()..];
    let number: u32 = digits.parse().unwrap();
    [number + 1, number * 2, number - 1, number / 2].map(|n| format!("{n}{unit}")).into()
}

#[test]
fn every_cap_that_is_set_has_its_default_and_takes_effect() {
    let usual = settings(&whole()).unwrap();
    for row in rows(&page(), "Caps that are set") {
        let [key, default, at_the_cap, _tests] = &row[..] else { panic!("four cells: {row:?}") };
        let [key] = quoted(key)[..] else { panic!("one key: {row:?}") };
        assert!(!at_the_cap.is_empty(), "{row:?}");
        let value = match (quoted(default).first(), default.as_str()) {
            (Some(value), _) => (*value).to_owned(),
            (None, "cores") => std::thread::available_parallelism().unwrap().to_string(),
            (None, "required") => {
                let mut file = whole();
                let (block, last) = place(&mut file, key);
                block.as_object_mut().unwrap().remove(&last).unwrap();
                let faults = settings(&file).unwrap_err();
                assert!(faults.contains(&last), "{key}: {faults}");
                continue;
            }
            (None, other) => panic!("{key}: `{other}` is no default"),
        };
        let set = with(key, &json!(value)).unwrap_or_else(|faults| panic!("{key}: {faults}"));
        match BY_HAND.iter().find(|(by_hand, _)| *by_hand == key) {
            Some((_, shown)) => assert!(usual.contains(shown), "{key}: {usual}"),
            None => assert!(set == usual, "{key}: `{value}` is not the default"),
        }
        let differs = |other: &String| with(key, &json!(other)).is_ok_and(|set| set != usual);
        assert!(others(&value).iter().any(differs), "{key} changes nothing");
    }
}

#[test]
fn every_number_and_time_of_the_configuration_stands_in_the_table() {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(&page(), "Caps that are set") {
        let key = quoted(&row[0])[0].rsplit('.').next().unwrap().to_owned();
        *known.entry(key).or_default() += 1;
    }
    let mut read: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in rust_below(vec![root().join("src/config")]) {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        for key in numbers(&text) {
            if !NO_CAPS.iter().any(|(of, name, _)| *of == file && *name == key) {
                *read.entry(key).or_default() += 1;
            }
        }
    }
    assert!(read.len() > 40, "the reader is read: {read:?}");
    for (key, times) in read {
        let rows = known.get(&key).copied().unwrap_or_default();
        assert!(
            rows >= times,
            "`{key}` is read {times} times and has {rows} rows in docs/hardening.md"
        );
    }
}

/// The keys that a file of the reader takes as numbers or times.
fn numbers(text: &str) -> Vec<String> {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let calls = [".number(", ".time(", ".seconds(", ".span(", ".duration(", ".milliseconds("];
    let mut keys = Vec::new();
    for call in calls {
        for (at, _) in text.match_indices(call) {
            let arguments = &text[at..(at + 60).min(text.len())];
            let key = arguments.split('"').nth(1).unwrap_or_default().trim_matches('`');
            if !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                keys.push(key.to_owned());
            }
        }
    }
    keys
}

#[test]
fn every_fixed_cap_is_what_the_source_says() {
    for row in rows(&page(), "Caps that are fixed") {
        let [what, caps, at_the_cap, _tests] = &row[..] else { panic!("four cells: {row:?}") };
        assert!(!what.is_empty() && !at_the_cap.is_empty(), "{row:?}");
        let mut source = None;
        for part in quoted(caps) {
            if part.ends_with(".rs") {
                source = Some(std::fs::read_to_string(root().join(part)).unwrap());
                continue;
            }
            let source = source.as_ref().unwrap_or_else(|| panic!("a file first: {row:?}"));
            let ends = |at: usize| {
                !source[at + part.len()..].starts_with(|c: char| c.is_ascii_digit() || c == '_')
            };
            let is_there = source.match_indices(part).any(|(at, _)| ends(at));
            assert!(is_there, "`{part}` does not stand there: {row:?}");
        }
        assert!(source.is_some(), "{row:?}");
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let sources = rust_below(vec![root().join("src"), root().join("tests/it")]);
    for heading in ["Caps that are set", "Caps that are fixed", "Measures"] {
        for row in rows(&page(), heading) {
            let tests = quoted(row.last().unwrap());
            assert!(!tests.is_empty(), "a row without a test: {row:?}");
            for name in tests {
                assert!(test_exists(name, &sources), "no test `{name}`: {row:?}");
            }
        }
    }
}

#[test]
fn nothing_of_it_is_unsafe() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
    let sources: Vec<(PathBuf, String)> = rust_below(vec![root().join("src")]);
    for (path, text) in sources {
        assert!(!text.contains("(unsafe_code"), "{} lets itself off", path.display());
    }
}
