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

/// A few thousand neighbours of what strangers bring to prove who they are: bytes flipped, cut, repeated, moved.
#[test]
fn what_proves_who_somebody_is_keeps_its_promise_when_bytes_change() {
    let chosen = ["passkey", "attestation", "certificate", "jws"];
    for (name, target) in TARGETS.iter().filter(|(name, _)| chosen.contains(name)) {
        for file in files(&corpus().join(name)) {
            let seed = std::fs::read(&file).unwrap();
            let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
            for _ in 0..100 {
                let data = chance.changed(&seed);
                let outcome = std::panic::catch_unwind(|| target(&data));
                assert!(outcome.is_ok(), "`{name}` fails on {}", data.escape_ascii());
            }
        }
    }
}

/// Marsaglia's xorshift: the same changes in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end.max(1)
    }

    fn changed(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut data = seed.to_vec();
        for _ in 0..=self.below(3) {
            let (at, to) = (self.below(data.len()), self.below(data.len()));
            match self.below(5) {
                0 => data.truncate(at),
                1 => data.insert(at, u8::try_from(self.below(256)).unwrap()),
                2 => data.extend_from_within(at.min(to)..at.max(to)),
                3 if !data.is_empty() => data.swap(at, to),
                _ if !data.is_empty() => data[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        data
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
