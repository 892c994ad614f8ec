//! What one policy watches and asks two persons for, beside another: whoever is watched less is told of.

use super::super::{Class, Comparison, may_wait, waits_for};
use super::program;

const DESK: &str = "
grades: { 1: {} }
purposes: [service]
entities: { customer: { subject: id, fields: { id: 1 } } }
routes:
  one: { match: 'GET bank.example/one/{id}', to: core, action: view, returns: { customer: $ } }
roles: { teller: {}, security: {}, boss: {} }
rules:
  - { name: work, allow: view, to: teller, of: customer, clear: id }
";

fn compare(old: &str, new: &str) -> Comparison {
    super::super::compare(&program(&format!("{DESK}{old}")), &program(&format!("{DESK}{new}")))
}

/// Each pair is wider one way and narrower the other.
const PAIRS: &[(&str, &str, &str)] = &[
    ("two-person: tenant", "", "one person alone may command `tenant-on`"),
    ("two-person: [tenant, limits]", "two-person: tenant", "may command `limits`"),
    ("two-person: exports", "two-person: exports-on", "may command `exports-off`"),
    ("two-person: log-export", "", "may command `log-export`"),
    ("two-person: [log-purge, grade-4]", "two-person: log-purge", "may command `grade-4`"),
    ("registered: [partner, tenant]", "registered: tenant", "a partner that is not registered may"),
    ("partner-level: 3", "partner-level: 2", "attested level 2, was 3"),
    (
        "apart: [[teller, security, boss]]",
        "apart: [[security, boss]]",
        "may hold `security` and `teller`",
    ),
    ("", "detections: { zero-hits: off }", "detection `zero-hits`: off, was alert"),
    ("detections: { zero-hits: { action: slow } }", "", "detection `zero-hits`: alert, was slow"),
    ("", "detections: { sequential-ids: { count: 30 } }", "`count` 30, was 20"),
    ("", "detections: { sequential-ids: { within: 1m } }", "`within` 60, was 300"),
    ("", "detections: { own-median: { times: 5 } }", "`times` 5, was 3"),
    ("", "detections: { own-median: { least: 99 } }", "`least` 99, was 30"),
    ("", "detections: { dormant: { days: 90 } }", "`days` 90, was 30"),
    ("", "detections: { export-then-leave: { days: 7 } }", "`days` 7, was 30"),
    ("", "detections: { steady-draw: { percent: 100 } }", "`percent` 100, was 90"),
    ("", "detections: { dormant: { except: boss } }", "holders of `boss` are no longer looked at"),
    (
        "detections: { canary: { subjects: { customer: [a, b] } } }",
        "detections: { canary: { subjects: { customer: a } } }",
        "1 data subjects are no longer canaries",
    ),
    ("detections: { release: security }", "", "by whoever has the right"),
    (
        "detections: { release: security }",
        "detections: { release: [security, boss] }",
        "`boss` releases findings",
    ),
];

#[test]
fn whoever_is_watched_less_or_needs_nobody_else_gets_more() {
    for (strict, lax, said) in PAIRS {
        let wider = compare(strict, lax);
        let told = wider.to_string();
        assert!(wider.widens() && told.contains(said), "`{strict}` to `{lax}`\n{told}");
        let narrower = compare(lax, strict);
        assert!(!narrower.widens(), "`{lax}` to `{strict}`\n{narrower}");
        assert!(narrower.changes.iter().all(|change| change.class == Class::Narrows));
        assert!(!narrower.changes.is_empty(), "`{lax}` to `{strict}`");
    }
}

#[test]
fn how_long_a_place_is_new_is_neither_more_nor_less() {
    let told = compare("", "detections: { new-place: { days: 3 } }");
    assert!(told.widens(), "where it cannot be told it is announced\n{told}");
}

const KEPT: &str = "two-person: [log-export]\nretention: { staff_access: 36 }\n";

#[test]
fn a_policy_waits_for_what_the_one_in_force_says_and_for_nothing_else() {
    let old = program(&format!("{DESK}{KEPT}"));
    let with = |more: &str| format!("{DESK}{KEPT}{more}");
    let off = with("detections: { dormant: off }");
    let milder = with("detections: { zero-hits: { count: 60 } }");
    let shorter = with("").replace("36", "24");
    let dropped = with("").replace("[log-export]", "[]");
    let wider = with("").replace("allow: view, to: teller", "allow: view, to: any");
    for (word, new, waits) in [
        ("detections", &off, true),
        ("detections", &milder, true),
        ("detections", &wider, false),
        ("detections", &shorter, false),
        ("log-purge", &shorter, true),
        ("log-purge", &off, false),
        ("log-export", &off, false),
        ("policy", &off, true),
        ("policy", &shorter, true),
        ("policy", &wider, true),
        // One that takes a word out.
        ("detections", &dropped, true),
        ("log-purge", &dropped, true),
        ("policy", &dropped, true),
        ("log-export", &dropped, false),
    ] {
        let waiting = waits_for(&[word.to_owned()], &old, &program(new));
        assert_eq!(!waiting.is_empty(), waits, "`{word}`: {waiting:?}\n{new}");
    }
    assert!(may_wait(&["detections".to_owned()]) && !may_wait(&["log-export".to_owned()]));
}
