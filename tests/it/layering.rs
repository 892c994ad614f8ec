//! Which module may know which: the import rule of ARCHITECTURE.md, kept by a machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module and the modules of ours that it may import.
const RULE: &[(&str, &[&str])] = &[
    // foundations
    ("clock", &[]),
    ("secret", &[]),
    ("document", &[]),
    ("telemetry", &[]),
    ("turn", &[]),
    ("unseen", &[]),
    // pure: values in, values out
    ("route", &[]),
    ("policy", &["document", "route"]),
    ("guard", &["policy"]),
    // parts
    ("state", &["clock", "secret"]),
    ("tls", &[]),
    ("scan", &[]),
    ("acme", &["clock", "secret", "tls", "unseen"]),
    ("limits", &["clock", "secret"]),
    ("command", &["clock", "state"]),
    ("campaign", &["clock", "command", "state"]),
    ("link", &["clock", "recall", "secret", "state"]),
    ("recall", &["clock"]),
    ("consent", &["clock", "policy", "recall", "secret", "state"]),
    ("grant", &["clock", "secret", "state", "unseen"]),
    ("registry", &["clock", "command", "secret", "state"]),
    ("audit", &["clock", "secret", "turn", "unseen"]),
    ("bulletin", &["clock", "secret", "state"]),
    ("shared", &["bulletin", "identity", "limits"]),
    ("index", &["audit", "secret", "turn"]),
    ("identity", &["clock", "secret", "state", "unseen"]),
    ("upstream", &["clock", "policy", "tls"]),
    ("listen", &["clock", "limits", "tls"]),
    ("replay", &["audit", "policy", "route"]),
    ("report", &["audit"]),
    ("review", &["audit", "policy", "secret"]),
    ("notify", &["audit", "ship"]),
    ("ship", &["audit", "clock", "report", "secret", "tls"]),
    ("backup", &["audit", "clock", "secret", "ship", "state"]),
    // shells
    (
        "proxy",
        &[
            "audit",
            "clock",
            "command",
            "consent",
            "grant",
            "guard",
            "identity",
            "limits",
            "link",
            "listen",
            "policy",
            "registry",
            "route",
            "scan",
            "secret",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "admin",
        &[
            "campaign", "clock", "command", "consent", "grant", "identity", "limits", "link",
            "listen", "proxy", "registry",
        ],
    ),
    // tools that judge with the shells' own stages
    ("suite", &["document", "policy", "proxy"]),
    // composition
    (
        "config",
        &[
            "acme",
            "admin",
            "backup",
            "document",
            "guard",
            "identity",
            "limits",
            "link",
            "listen",
            "notify",
            "proxy",
            "scan",
            "shared",
            "ship",
            "telemetry",
            "tls",
            "upstream",
        ],
    ),
    (
        "server",
        &[
            "acme",
            "admin",
            "audit",
            "backup",
            "bulletin",
            "campaign",
            "clock",
            "command",
            "config",
            "consent",
            "document",
            "guard",
            "grant",
            "identity",
            "index",
            "limits",
            "link",
            "listen",
            "notify",
            "policy",
            "proxy",
            "registry",
            "review",
            "route",
            "scan",
            "secret",
            "shared",
            "ship",
            "state",
            "suite",
            "telemetry",
            "tls",
            "turn",
            "upstream",
        ],
    ),
    (
        "demo",
        &[
            "audit", "clock", "command", "config", "consent", "identity", "policy", "secret",
            "server", "state", "tls",
        ],
    ),
    (
        "cli",
        &[
            "audit", "backup", "campaign", "clock", "command", "config", "consent", "demo",
            "document", "grant", "identity", "index", "limits", "link", "notify", "policy",
            "registry", "replay", "report", "review", "route", "secret", "server", "ship", "state",
            "suite",
        ],
    ),
];

/// What a pure module must not touch, whatever it imports of ours.
const IMPURE: &[&str] =
    &["tokio", "hyper", "std::fs", "std::net::Tcp", "rusqlite", "aws_lc_rs::rand"];
const PURE: &[&str] = &["document", "route", "policy", "guard", "report", "review", "suite"];

#[test]
fn every_module_imports_only_what_the_rule_allows() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else { continue };
        let Some((_, allowed)) = RULE.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{}: module `{module}` is not in the rule", path.display()));
            continue;
        };
        for import in imports(&text) {
            if import != module && !allowed.contains(&import.as_str()) {
                broken.push(format!("{}: `{module}` imports `{import}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn pure_modules_touch_no_file_socket_or_runtime() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        if !module_of(&path).is_some_and(|module| PURE.contains(&module.as_str())) {
            continue;
        }
        for word in IMPURE {
            if code(&text).any(|line| line.contains(word)) {
                broken.push(format!("{}: `{word}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_verifier_of_passkeys_touches_no_clock_store_or_runtime() {
    let verifier = |path: &Path| path.to_str().unwrap().contains("identity/passkey/");
    let files: Vec<_> = sources().into_iter().filter(|(path, _)| verifier(path)).collect();
    assert!(files.len() > 4, "it is where it was");
    for (path, text) in files {
        for word in IMPURE.iter().chain(&["crate::"]) {
            assert!(!code(&text).any(|line| line.contains(word)), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn what_judges_proofs_and_certificates_touches_no_clock_store_or_runtime() {
    for name in ["binding.rs", "client_cert.rs", "dpop.rs", "jws.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/identity").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        for word in IMPURE.iter().chain(&["crate::"]) {
            assert!(!code(&text).any(|line| line.contains(word)), "{name}: `{word}`");
        }
    }
}

#[test]
fn only_the_proxy_forwards_and_only_the_policy_makes_permits() {
    for (path, text) in sources() {
        let module = module_of(&path).unwrap_or_default();
        let forwards = code(&text).any(|line| line.contains(".forward("));
        assert!(!forwards || module == "proxy" || module == "upstream", "{}", path.display());
        let makes = code(&text).any(|line| line.contains("Permit {") && !line.contains("impl"));
        assert!(!makes || module == "policy", "{}", path.display());
    }
}

#[test]
fn only_an_opaque_permit_lets_an_answer_pass_unread() {
    let places = |word: &str| {
        let holds = |(path, text): &(PathBuf, String)| {
            code(text)
                .any(|line| line.contains(word) && !line.contains("impl") && !line.contains("let "))
                .then(|| path.file_stem().unwrap().to_str().unwrap().to_owned())
        };
        sources().iter().filter_map(holds).collect::<BTreeSet<String>>()
    };
    // To take one apart with `let` makes none.
    let only = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(places("Opaque {"), only(&["opaque"]), "only the policy's reader makes the leave");
    assert_eq!(places(".pass_unread("), only(&["pipeline"]), "there is one way to it");
    assert_eq!(places("Fed::Frame("), only(&["body", "passage", "unread"]));
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !is_test(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 20, "the source was not found");
    files
}

/// The module below `src` that a file belongs to; the crate's root files belong to none.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "main" && module != "lib").then(|| module.to_owned())
}

/// Files of tests may do what they like; they are not in the program.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The code of a file: no comments, and nothing of its unit tests, which may use what they like.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.trim_start().starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

fn imports(text: &str) -> BTreeSet<String> {
    code(text)
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .filter(|word: &String| !word.is_empty())
        .collect()
}

#[test]
fn no_program_is_built_that_can_run_without_its_record() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, features) = manifest.split_once("[features]\n").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    assert!(features.contains("unrecorded = []") && !features.contains("default"), "{features}");
    // Whatever builds a program names no features; only what measures or looks at the source does.
    let makefile = std::fs::read_to_string(root.join("Makefile")).unwrap();
    let with: Vec<_> = makefile.lines().filter(|line| line.contains("features")).collect();
    let measures = |line: &&str| ["clippy", " doc ", " bench "].iter().any(|w| line.contains(w));
    assert!(with.len() == 3 && with.iter().all(measures), "{with:?}");
    let server = std::fs::read_to_string(root.join("src/server/mod.rs")).unwrap();
    let (before, _) = server.split_once("    pub async fn start_unrecorded").unwrap();
    assert!(before.trim_end().ends_with("#[cfg(feature = \"unrecorded\")]"));
}
