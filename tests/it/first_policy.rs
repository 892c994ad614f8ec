//! The first policy of the guide, step by step: files and edits are made as the document shows them, its
//! commands are run, and what they print is what the document says they print.

use std::path::Path;
use std::process::Command;

/// A fenced block that does something.
enum Step {
    /// A whole file.
    File(String, String),
    /// Lines of a file, as a diff shows them.
    Edit(String, String),
    /// Commands, each with what it prints.
    Console(String),
}

/// What stands for any text in a line, and alone for any number of lines.
const ANYTHING: &str = "…";

#[test]
fn the_first_policy_of_the_guide_is_as_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/policy/first-policy.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let description = root.join("tests/fixtures/petstore.yaml");
    std::fs::copy(description, folder.path().join("petstore.yaml")).unwrap();

    let mut commands = 0;
    for step in steps(&document) {
        match step {
            Step::File(name, text) => std::fs::write(folder.path().join(name), text).unwrap(),
            Step::Edit(name, hunk) => edit(&folder.path().join(name), &hunk),
            Step::Console(text) => commands += play(folder.path(), &text),
        }
    }
    assert!(commands > 10, "only {commands} commands were found");
}

/// Blocks in order: ```` ```yaml FILE ````, ```` ```diff FILE ````, ```` ```console ````; others are prose.
fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n") + "\n";
        match info.split_once(' ') {
            Some(("yaml", name)) => steps.push(Step::File(name.to_owned(), body)),
            Some(("diff", name)) => steps.push(Step::Edit(name.to_owned(), body)),
            Some(_) => panic!("a block of `{info}`"),
            None if info == "console" => steps.push(Step::Console(body)),
            None => {}
        }
    }
    steps
}

/// Replaces the lines with ` ` and `-` in front by those with ` ` and `+`; `@@` begins another place.
fn edit(path: &Path, hunks: &str) {
    let mut text = std::fs::read_to_string(path).unwrap();
    for hunk in hunks.split("@@\n") {
        let side = |mark: char| -> String {
            let kept = hunk.lines().filter(|line| line.starts_with([' ', mark]));
            kept.map(|line| format!("{}\n", &line[1..])).collect()
        };
        let (old, new) = (side('-'), side('+'));
        assert_eq!(text.matches(&old).count(), 1, "{}:\n{old}not once in:\n{text}", path.display());
        text = text.replace(&old, &new);
    }
    std::fs::write(path, text).unwrap();
}

/// Runs each `$ ` line and compares what is printed with the lines below it; tells how many there were.
fn play(folder: &Path, console: &str) -> usize {
    let commands: Vec<&str> = console.split("$ ").collect();
    assert_eq!(commands[0], "", "a block begins with a command: {console}");
    for command in &commands[1..] {
        let (command, wanted) = command.split_once('\n').unwrap();
        let said = run(folder, command);
        let said: Vec<&str> = said.trim_end().lines().map(str::trim_end).collect();
        let wanted: Vec<&str> = wanted.trim_end().lines().collect();
        assert!(
            are_alike(&wanted, &said),
            "`{command}` should print\n{}\n--- and prints\n{}",
            wanted.join("\n"),
            said.join("\n")
        );
    }
    commands.len() - 1
}

/// What a command prints, and its exit code where it is not 0.
fn run(folder: &Path, command: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_menshen")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; PATH=\"$0:$PATH\"; {command}")])
        .arg(binary)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    match output.status.code().unwrap() {
        0 => said,
        code => format!("{}\n[exit {code}]", said.trim_end()),
    }
}

fn are_alike(wanted: &[&str], said: &[&str]) -> bool {
    match wanted.split_first() {
        None => said.is_empty(),
        Some((line, rest)) if *line == ANYTHING => {
            (0..=said.len()).any(|skipped| are_alike(rest, &said[skipped..]))
        }
        Some((line, rest)) => {
            let fits = said.first().is_some_and(|first| is_like(line, first));
            fits && are_alike(rest, &said[1..])
        }
    }
}

fn is_like(wanted: &str, said: &str) -> bool {
    let Some((start, rest)) = wanted.split_once(ANYTHING) else { return wanted == said };
    let Some(after) = said.strip_prefix(start) else { return false };
    let mut ends = after.char_indices().map(|(at, _)| at).chain([after.len()]);
    ends.any(|at| is_like(rest, &after[at..]))
}

#[test]
fn a_transcript_that_differs_is_noticed() {
    let said = ["one", "two", "", "three of 4"];
    for wanted in [&["one", "two", "", "three of 4"][..], &["…", "t…e …4"], &["one", "…"]] {
        assert!(are_alike(wanted, &said), "{wanted:?}");
    }
    for wanted in
        [&["one"][..], &["…", "two"], &["one", "two", "three of 4"], &["…", "t…e …5"], &[]]
    {
        assert!(!are_alike(wanted, &said), "{wanted:?}");
    }
}
