//! The page of each code: its example is told so, its mended example is not, and the index knows it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::compile;
use super::golden::codes;
use super::source;

/// Code and text of each page.
fn pages() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/policy/faults");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let page = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (
            name.strip_suffix(".md").unwrap().to_owned(),
            std::fs::read_to_string(entry.path()).unwrap(),
        )
    };
    let mut pages: Vec<(String, String)> = entries.map(page).collect();
    pages.sort();
    pages
}

/// What is told of a policy: faults, or else warnings.
fn told(policy: &str) -> BTreeSet<String> {
    let (told, program) = match compile(&[source(policy)]) {
        Ok(program) => (program.warnings().to_vec(), Some(program)),
        Err(faults) => (faults.as_slice().to_vec(), None),
    };
    let codes = told.iter().map(|fault| fault.code.as_str().to_owned()).collect();
    assert_eq!(program.is_some(), told.iter().all(|fault| fault.code.as_str().starts_with('W')));
    codes
}

#[test]
fn each_code_has_a_page_and_each_page_a_code() {
    let written: BTreeSet<String> = pages().into_iter().map(|(code, _)| code).collect();
    let mut wanted = codes();
    wanted.insert("README".to_owned());
    assert_eq!(written, wanted);
}

#[test]
fn each_example_is_told_its_code_and_no_other_and_is_mended_by_the_second() {
    for (code, text) in pages().into_iter().filter(|(code, _)| code != "README") {
        let blocks: Vec<&str> =
            text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        let [example, mended] = blocks[..] else { panic!("{code} has {} examples", blocks.len()) };
        assert_eq!(told(example), BTreeSet::from([code.clone()]), "{code}");
        let left = told(mended);
        // The parts of a policy that show a fault may lack what a warning is about.
        let is_mended = left.iter().all(|left| code.starts_with('P') && left.starts_with('W'));
        assert!(is_mended, "{code}, mended, is told {left:?}");
    }
}

#[test]
fn the_index_has_the_title_of_each_page() {
    let pages = pages();
    let rows: String = pages
        .iter()
        .filter_map(|(code, text)| {
            let title = text.lines().next()?.strip_prefix(&format!("# {code}: "))?;
            Some(format!("| [{code}]({code}.md) | {title} |\n"))
        })
        .collect();
    let (_, index) = pages.iter().find(|(code, _)| code == "README").unwrap();
    assert!(index.ends_with(&format!("|---|---|\n{rows}")), "the index must hold\n{rows}");
}
