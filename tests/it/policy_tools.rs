//! `menshen matrix` and `menshen diff` as a reviewer and a pipeline meet them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::harness::process::menshen;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo")
}

/// What a run printed, and its exit code.
fn run(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = menshen(arguments);
    let said = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// The shipped policy as one file, after an edit of its text.
fn edited(folder: &Path, name: &str, edits: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for file in ["catalogue.yaml", "routes.yaml", "rules.yaml"] {
        text.push_str(&std::fs::read_to_string(shipped().join(file)).unwrap());
    }
    for (from, to) in edits {
        assert!(text.contains(from), "`{from}` is not in the policy");
        text = text.replacen(from, to, 1);
    }
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Each golden file holds what is printed; a test that fails shows what it should hold.
fn is_golden(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(said.replace("\r\n", "\n") == wanted, "{} should hold:\n{said}", path.display());
}

#[test]
fn the_matrix_of_the_demo_is_as_written() {
    let demo = shipped().display().to_string();
    for (format, file) in [("human", "demo_matrix.txt"), ("csv", "demo_matrix.csv")] {
        let (code, said) = run(&["matrix", &demo, "--format", format]);
        assert_eq!(code, 0);
        is_golden(file, &said);
    }
}

#[test]
fn a_matrix_can_be_narrowed_and_an_unknown_name_is_told() {
    let demo = shipped().display().to_string();
    let (code, said) = run(&[
        "matrix", &demo, "--role", "teller", "--entity", "order", "--action", "search", "--format",
        "json",
    ]);
    let matrix: serde_json::Value = serde_json::from_str(&said).unwrap();
    let rows = matrix["rows"].as_array().unwrap();
    assert!(code == 0 && !rows.is_empty());
    for row in rows {
        assert_eq!((&row["role"], &row["entity"]), (&"teller".into(), &"order".into()));
        assert_eq!(row["cells"].as_array().unwrap().len(), 1);
    }
    let (code, said) = run(&["matrix", &demo, "--role", "tellr"]);
    assert!(code == 64 && said.contains("unknown role `tellr`"), "{said}");
    let (code, said) = run(&["matrix", &demo, "--entity", "order2"]);
    assert!(code == 64 && said.contains("unknown entity `order2`"), "{said}");
    assert_eq!(run(&["matrix", &demo, "--action", "look"]).0, 64);
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    let (code, page) = run(&["matrix", &shipped().display().to_string(), "--format", "html"]);
    assert_eq!(code, 0);
    well_formed(&page);
    for foreign in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("<span class=\"form masked\">masked</span>"));
}

#[test]
fn names_and_conditions_from_files_stay_text_in_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let text = r#"
grades: { 1: {} }
roles: { clerk: {} }
entities: { thing: { fields: { id: 1, "</code><script>alert(1)</script>": 1, "a'b\"c&d": 1 } } }
routes: { thing.list: { match: GET bank.example/things, to: u, action: search, returns: { thing: "$[]" } } }
rules:
  - name: "<script>alert('rule')</script>"
    deny: search
    to: any
    of: thing
    where: "record.id == '\"><img onerror=alert(2)>'"
  - name: all
    allow: search
    to: clerk
    of: thing
    clear: ["</code><script>alert(1)</script>", "a'b\"c&d"]
"#;
    std::fs::write(&path, text).unwrap();
    let (code, page) = run(&["matrix", &path.display().to_string(), "--format", "html"]);
    assert_eq!(code, 0, "{page}");
    well_formed(&page);
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(!page.contains("<img") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    let (code, human) = run(&["matrix", &path.display().to_string()]);
    assert!(code == 0 && !human.contains('\u{1b}'));
}

/// Tags nest and close, attributes stand in quotes, every link leads somewhere, ids are unique.
fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut links = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "a `>` in text: {text}");
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of turn");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        let attributes = tag[name.len()..].trim_end_matches('/').trim();
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        for pair in attributes.split("\" ").filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
            let value = value.trim_end_matches('"');
            assert!(!value.contains(['<', '"']), "{tag}");
            match key {
                "id" => assert!(ids.insert(value.to_owned()), "two ids `{value}`"),
                "href" => links.push(value.strip_prefix('#').unwrap().to_owned()),
                _ => {}
            }
        }
        if tag.ends_with('/') {
            continue;
        }
        if name == "script" || name == "style" {
            let close = format!("</{name}>");
            rest = &rest[rest.find(&close).unwrap() + close.len()..];
            continue;
        }
        open.push(name);
    }
    assert_eq!(open, Vec::<&str>::new(), "not closed");
    for link in links {
        assert!(ids.contains(&link), "`#{link}` leads nowhere");
    }
}

const GAIN: (&str, &str) = (
    "accounts.currency]\n    masked: [phone, email,",
    "accounts.currency, phone]\n    masked: [email,",
);
const LOSS: (&str, &str) = ("masked: [cards.pan, birth_date]", "masked: [birth_date]");

#[test]
fn a_pipeline_stops_at_what_widens_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let old = edited(folder.path(), "old.yaml", &[]);
    let narrow = edited(folder.path(), "narrow.yaml", &[LOSS]);
    let wide = edited(folder.path(), "wide.yaml", &[GAIN]);
    assert_eq!(run(&["diff", &old, &old, "--no-widening"]).0, 0);
    assert_eq!(run(&["diff", &shipped().display().to_string(), &old, "--no-widening"]).0, 0);
    assert_eq!(run(&["diff", &old, &narrow, "--no-widening"]).0, 0);
    assert_eq!(run(&["diff", &narrow, &old, "--no-widening"]).0, 1);
    assert_eq!(run(&["diff", &old, &wide]).0, 0);
    assert_eq!(run(&["diff", &old, &wide, "--no-widening"]).0, 1);
    let (code, said) = run(&["diff", &old, "nowhere"]);
    assert!(code == 64 && said.contains("nowhere"), "{said}");
    let (_, said) = run(&["diff", &old, &wide, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["widens"], true);
    let change = &report["changes"][0];
    assert_eq!(change["class"], "widens");
    assert!(change["sentence"].as_str().unwrap().contains("customer.phone"), "{said}");
}

#[test]
fn a_comparison_is_told_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let old = edited(folder.path(), "old.yaml", &[]);
    let new = edited(
        folder.path(),
        "new.yaml",
        &[
            GAIN,
            LOSS,
            ("subjects: [40/h, 200/day]", "subjects: [80/h, 200/day]"),
            (
                "purpose: [complaint, risk]\n    require: { assurance: 2, fresh: 15m }",
                "purpose: complaint\n    require: { assurance: 3, fresh: 15m }",
            ),
            (
                "where: record.segment == \"staff\"",
                "where: record.segment == 'staff' || record.segment == 'vip'",
            ),
            ("analyst: {}", "analyst: { includes: partner }"),
            (
                "  order.list:",
                "  order.view:\n    match: GET bank.example/api/orders/{id}\n    to: core\n    action: view\n    returns: { order: $ }\n\n  order.list:",
            ),
            ("allow: [search]\n    to: partner", "allow: [search, view]\n    to: partner"),
        ],
    );
    is_golden("demo_diff.txt", &run(&["diff", &old, &new]).1);
}

#[test]
fn a_decision_is_explained_to_programs_too() {
    let demo = shipped().display().to_string();
    let asked = |purpose: &str| {
        let (code, said) = run(&[
            "explain",
            "--policies",
            &demo,
            "--role",
            "teller",
            "--attr",
            "branch=sh01",
            "--purpose",
            purpose,
            "--format",
            "json",
            "GET bank.example/api/customers/1001",
        ]);
        assert_eq!(code, 0, "{said}");
        serde_json::from_str::<serde_json::Value>(&said).unwrap()
    };
    let (service, risk) = (asked("service"), asked("risk"));
    assert_eq!((&service["allowed"], &risk["allowed"]), (&true.into(), &false.into()));
    let fields = service["fields"].as_array().unwrap();
    let phone = fields.iter().find(|field| field["name"] == "customer.phone").unwrap();
    assert_eq!(phone["verdict"], "masked");
    assert_eq!(risk["fields"].as_array().map(Vec::len), Some(0));
}
