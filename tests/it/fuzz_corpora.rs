//! Every saved input of every fuzz target, run again with an ordinary compiler.

use std::path::{Path, PathBuf};

use crate::fuzz_targets::{TARGETS, run};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn every_saved_input_keeps_its_promise() {
    for (name, target) in TARGETS {
        let files = files(&corpus().join(name));
        assert!(files.len() > 3, "`{name}` has a corpus");
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "`{name}` fails on {}", file.display());
        }
    }
}

#[test]
fn every_target_has_a_program_and_every_corpus_a_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let program =
            std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\"")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    let names = |folder: &Path| -> Vec<String> {
        let stem = |file: PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
        files(folder).into_iter().map(stem).collect()
    };
    let mut known: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.sort();
    assert_eq!(names(&corpus()), known);
    assert_eq!(names(&fuzz.join("fuzz_targets")), known);
}

#[test]
fn a_name_that_is_no_target_is_refused() {
    assert!(std::panic::catch_unwind(|| run("nothing", b"")).is_err());
}

/// The texts of all sources in a folder.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for path in files(folder) {
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &std::fs::read_to_string(&path).unwrap();
        }
    }
    all
}

/// The fuzz package compiles the pure cores from their source, so it must name what they use.
#[test]
fn the_fuzz_package_depends_on_what_the_pure_cores_use() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cores =
        ["document", "guard", "policy", "route"].map(|name| sources(&root.join("src").join(name)));
    let cores = cores.concat();
    let manifest = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (ours, theirs) = (manifest("Cargo.toml"), manifest("fuzz/Cargo.toml"));
    let section = ours.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let used = names.filter(|name| cores.contains(&format!("{}::", name.replace('-', "_"))));
    let missing: Vec<&str> =
        used.filter(|name| !theirs.contains(&format!("\n{name} = "))).collect();
    assert!(missing.is_empty(), "fuzz/Cargo.toml lacks {missing:?}");
}
