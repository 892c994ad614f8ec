//! The tables of threats name their tests; a test that was renamed or removed must not stay in them.

use std::path::{Path, PathBuf};

#[test]
fn every_row_of_the_tables_of_threats_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = rust_below(vec![root.join("src"), root.join("tests/it")]);
    let pages = [
        "edge-threats.md",
        "identity-threats.md",
        "limits-threats.md",
        "log-threats.md",
        "links-threats.md",
        "notify-threats.md",
        "separation-threats.md",
        "registry-subjects-threats.md",
        "upstreams-threats.md",
    ];
    for page in pages.map(|page| format!("docs/guide/{page}")) {
        check(&std::fs::read_to_string(root.join(page)).unwrap(), &sources);
    }
    for page in ["grants.md", "registry.md"] {
        let text = std::fs::read_to_string(root.join("docs/guide").join(page)).unwrap();
        let (_, threats) = text.split_once("\n## Threats\n").unwrap();
        check(threats, &sources);
    }
}

fn check(page: &str, sources: &[(PathBuf, String)]) {
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, done, tests] = cells[..] else { panic!("three cells: {row}") };
        assert!(!threat.is_empty() && !done.is_empty(), "{row}");
        let names = tests.split('`').skip(1).step_by(2);
        let names: Vec<_> = names.filter(|name| !name.ends_with(".rs")).collect();
        assert!(!names.is_empty(), "a row without a test: {row}");
        for name in names {
            assert!(test_exists(name, sources), "no test `{name}`: {row}");
        }
        rows += 1;
    }
    assert!(rows > 0, "the page is where it was");
}

/// Whether a function of this name stands in one of these files.
pub(crate) fn test_exists(name: &str, sources: &[(PathBuf, String)]) -> bool {
    let made = format!("fn {name}(");
    sources.iter().any(|(_, text)| text.contains(&made))
}

/// Every Rust file below these folders, and its text.
pub(crate) fn rust_below(mut folders: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                texts.push((path, text));
            }
        }
    }
    texts
}
