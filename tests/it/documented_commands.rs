//! The guides name commands; one that was renamed or lost must not stay in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Those that have commands of their own below them.
const GROUPS: [&str; 15] = [
    "account",
    "catalog",
    "detection",
    "device",
    "grant",
    "jwks",
    "key",
    "limits",
    "link",
    "log",
    "notify",
    "policy",
    "report",
    "review",
    "switch",
];

#[test]
fn every_command_that_a_guide_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages =
        vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("docs/operate.md")];
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

/// Each line of `systemd/*.service` that starts the product is taken as it stands: what it names must be there.
#[test]
fn every_unit_of_systemd_starts_a_command_that_is_there_and_every_timer_has_its_service() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("docs/guide/operator.md")).unwrap();
    let (mut started, mut timers) = (0, 0);
    for unit in std::fs::read_dir(root.join("systemd")).unwrap() {
        let path = unit.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(guide.contains(name), "the guide does not name systemd/{name}");
        if let Some(stem) = name.strip_suffix(".timer") {
            assert!(text.contains("OnCalendar=") && text.contains("Persistent=true"), "{name}");
            assert!(path.with_file_name(format!("{stem}.service")).exists(), "{name}");
            timers += 1;
        }
        for line in text.lines().filter(|line| line.starts_with("ExecStart")) {
            let Some((_, command)) = line.split_once("/usr/local/bin/menshen ") else { continue };
            // A shell's own words are no options of ours.
            let command = command.replace("$$(date -u -d \"last month\" +%%Y-%%m)", "2026-10");
            let words = command.trim_end_matches('\'').split_whitespace();
            let told = Command::new(env!("CARGO_BIN_EXE_menshen"))
                .args(words.map(|word| word.trim_matches('"')))
                .arg("--help")
                .output()
                .unwrap();
            assert!(told.status.success(), "{name}: {}", String::from_utf8_lossy(&told.stderr));
            started += 1;
        }
    }
    assert!(started >= 4 && timers >= 3);
    let service = std::fs::read_to_string(root.join("systemd/menshen.service")).unwrap();
    assert!(guide.contains(&service), "the guide shows another unit than systemd/menshen.service");
}
