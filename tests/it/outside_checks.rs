//! The page about others' suites names what the runner runs, with its reasons for what does not pass. What they find is found by
//! `make outside`; that the page and the runner do not part is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The suites of `suites.toml`, each with its reasons: the right sides of `otherwise`.
fn suites() -> BTreeMap<String, Vec<String>> {
    let text = read("tests/outside/suites.toml");
    let (mut suites, mut current) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix('[').and_then(|head| head.strip_suffix(']')) {
            current = head.trim_end_matches(".otherwise").trim_matches('"').to_owned();
            suites.entry(current.clone()).or_insert_with(Vec::new);
        } else if let Some((_, reason)) = line.split_once("' = \"") {
            suites.get_mut(&current).unwrap().push(reason.trim_end_matches('"').to_owned());
        }
    }
    suites
}

/// The rows of a table of the page, by their cells.
fn rows<'p>(page: &'p str, head: &str) -> Vec<Vec<&'p str>> {
    let table = page.lines().skip_while(|line| *line != head).skip(2);
    let rows = table.take_while(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_page_has_a_row_for_every_suite_and_for_no_other() {
    let page = read("docs/outside-checks.md");
    let rows = rows(&page, "| suite | version | what it asks | passed |");
    let told: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
    let suites = suites();
    assert_eq!(told, suites.keys().map(String::as_str).collect());
    for row in rows {
        assert!(!row[1].is_empty() && row[3].contains(" of "), "{row:?}");
    }
}

#[test]
fn whatever_did_not_pass_has_a_reason_of_the_runner() {
    let page = read("docs/outside-checks.md");
    let (suites, explained) = (suites(), rows(&page, "| suite | case | why |"));
    for row in rows(&page, "| suite | version | what it asks | passed |") {
        let (passed, all) = row[3].split_once(" of ").unwrap();
        let is_told = explained.iter().any(|told| told[0] == row[0]);
        assert_eq!(passed != all, is_told, "{row:?}");
    }
    for row in explained {
        let known = &suites[row[0]];
        assert!(known.iter().any(|reason| reason == row[2]), "{row:?}");
    }
}

#[test]
fn every_suite_is_a_function_of_the_runner() {
    let text = read("tests/outside/suites.toml");
    let runs: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("runs = ")).collect();
    assert_eq!(runs.len(), suites().len());
    for place in runs {
        let (module, function) = place.trim_matches('"').split_once('.').unwrap();
        let source = read(&format!("tests/outside/suites/{module}.py"));
        assert!(source.contains(&format!("\ndef {function}(")), "{place}");
    }
}
