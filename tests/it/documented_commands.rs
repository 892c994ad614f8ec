//! The guides name commands; one that was renamed or lost must not stay in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Those that have commands of their own below them.
const GROUPS: [&str; 12] = [
    "account",
    "catalog",
    "detection",
    "device",
    "jwks",
    "key",
    "limits",
    "log",
    "notify",
    "report",
    "review",
    "switch",
];

#[test]
fn every_command_that_a_guide_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    let guides = std::fs::read_dir(root.join("docs/guide")).unwrap();
    pages.extend(guides.map(|entry| entry.unwrap().path()));
    let mut named = BTreeSet::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for after in text.split("menshen ").skip(1) {
            let word = |text: &str| -> String {
                text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect()
            };
            let group = word(after);
            let Some(rest) = after.get(group.len()..).and_then(|rest| rest.strip_prefix(' '))
            else {
                continue;
            };
            let below = word(rest);
            if GROUPS.contains(&group.as_str()) && !below.is_empty() && !below.starts_with('-') {
                named.insert((group, below));
            }
        }
    }
    assert!(named.len() >= 30, "{named:?}");
    for (group, below) in named {
        let mut menshen = Command::new(env!("CARGO_BIN_EXE_menshen"));
        let told = menshen.args([&*group, &*below, "--help"]).output().unwrap();
        assert!(
            told.status.success(),
            "a guide names `menshen {group} {below}`, which is not there"
        );
    }
}
