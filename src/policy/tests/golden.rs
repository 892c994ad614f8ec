//! Golden faults: each folder of `tests/policy_cases` holds a policy and what is said of it.
//!
//! A folder without `faults.txt` fails and prints what it should hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::super::compile;
use crate::document::{Code, Source};

fn cases() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policy_cases");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn said(case: &std::path::Path) -> (String, Vec<Code>) {
    let text = std::fs::read_to_string(case.join("policy.yaml")).unwrap();
    let sources = [Source { name: "policy.yaml".to_owned(), text }];
    match compile(&sources) {
        Err(faults) => {
            (format!("{faults}\n"), faults.as_slice().iter().map(|fault| fault.code).collect())
        }
        Ok(program) => {
            let mut said = String::new();
            for warning in program.warnings() {
                writeln!(said, "{warning}").unwrap();
            }
            (said, program.warnings().iter().map(|warning| warning.code).collect())
        }
    }
}

#[test]
fn every_case_is_told_as_written() {
    for case in cases() {
        let wanted = std::fs::read_to_string(case.join("faults.txt")).unwrap_or_default();
        let (said, _) = said(&case);
        assert_eq!(said, wanted, "{}:\n{said}", case.display());
    }
}

#[test]
fn every_code_has_a_case() {
    let seen: BTreeSet<&str> =
        cases().iter().flat_map(|case| said(case).1).map(Code::as_str).collect();
    let missing: Vec<String> =
        codes().into_iter().filter(|code| !seen.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// Every code, from the one place that names them.
pub(super) fn codes() -> BTreeSet<String> {
    let names = include_str!("../../document/fault.rs").split("=> \"").skip(1);
    let code =
        |rest: &str| rest.split('"').next().filter(|code| code.len() == 4).map(str::to_owned);
    let codes: BTreeSet<String> = names.filter_map(code).collect();
    assert!(codes.len() > 30, "{codes:?}");
    codes
}
