//! What `docs/guide/backend.md` shows to backends, run as it stands there: on an assertion that a gate signed, and on
//! those that a backend must refuse.

use std::path::{Path, PathBuf};
use std::process::Command;

use menshen::clock::Clock;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Upstream};

/// Where the examples fetch the keys.
const SET: &str = "https://bank.example/.menshen/jwks.json";

/// The first example of that language.
fn example(language: &str) -> String {
    let guide = include_str!("../../docs/guide/backend.md");
    let (_, rest) = guide.split_once(&format!("```{language}\n")).unwrap();
    let (text, _) = rest.split_once("```\n").unwrap();
    text.to_owned()
}

/// A set of keys where a backend fetches it, and gates of one house that sign.
struct Given {
    folder: tempfile::TempDir,
    set: Upstream,
    gate: Gate,
    other: Gate,
    expired: String,
}

impl Given {
    async fn new() -> Self {
        let hour_ago = (Clock::system().unix_s() - 3600) * 1000;
        let prepare = async |audience: &str| {
            let setup = Setup::policy(OPEN_BANK).plain();
            let setup = setup.core(&format!("assertion: {{ audience: {audience} }}"));
            let setup = setup.yaml("assertions: { issuer: \"https://bank.example\" }");
            setup.prepare(Clock::fixed(hour_ago)).await
        };
        let (mut gate, mut other) = (prepare("core-banking").await, prepare("crm").await);
        std::fs::copy(gate.path("master.key"), other.path("master.key")).unwrap();
        gate.start().await;
        other.start().await;
        let expired = signed(&gate).await;
        let set = Upstream::start(None).await;
        let keys = gate.ask(Ask::get("/.menshen/jwks.json")).await;
        set.answers(Reply::json(keys.expect(200).text()));
        Self { folder: tempfile::tempdir().unwrap(), set, gate, other, expired }
    }

    /// A token that is good for the minute to come.
    async fn good(&self) -> String {
        let now_s = Clock::system().unix_s();
        for gate in [&self.gate, &self.other] {
            gate.advance_s(now_s - gate.clock.unix_s());
        }
        signed(&self.gate).await
    }

    /// Tokens that look like this one and are not good.
    async fn bad(&self, good: &str) -> Vec<(&'static str, String)> {
        let mut parts = good.split('.');
        let (head, claims) = (parts.next().unwrap(), parts.next().unwrap());
        let (_, strange) = self.expired.rsplit_once('.').unwrap();
        let none = "eyJhbGciOiJub25lIn0";
        vec![
            ("for another backend", signed(&self.other).await),
            ("with another signature", format!("{head}.{claims}.{strange}")),
            ("without a signature", format!("{head}.{claims}.")),
            ("with no algorithm", format!("{none}.{claims}.")),
            ("cut", good[..good.len() - 8].to_owned()),
            ("an hour old", self.expired.clone()),
            ("none", String::new()),
        ]
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let here = format!("http://{}/jwks.json", self.set.address());
        std::fs::write(&path, text.replace(SET, &here)).unwrap();
        path
    }

    /// Runs the program on each token; it prints who asks, or fails and names nobody.
    async fn check(&self, program: impl Fn() -> Command) {
        let good = self.good().await;
        assert_eq!(run(program(), &good).await, (true, "corp:wang".to_owned()));
        for (what, token) in self.bad(&good).await {
            let (is_good, said) = run(program(), &token).await;
            assert!(!is_good && !said.contains("wang"), "a token {what}: {said}");
        }
    }
}

async fn signed(gate: &Gate) -> String {
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let asked = gate.upstream.asked().pop().unwrap();
    asked.header("menshen-assertion").unwrap().to_owned()
}

async fn run(mut command: Command, token: &str) -> (bool, String) {
    command.arg(token);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("run tests/setup.sh first: {error}"));
    (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

#[tokio::test]
async fn what_the_guide_shows_in_python_believes_the_gate_and_nobody_else() {
    let given = Given::new().await;
    let text = example("python") + "\nimport sys\nprint(caller(sys.argv[1])[\"sub\"])\n";
    let file = given.write("caller.py", &text);
    given
        .check(|| {
            let mut command = Command::new(tests("outsider/venv/bin/python"));
            command.arg(&file);
            command
        })
        .await;
}

#[tokio::test]
async fn what_the_guide_shows_in_javascript_believes_the_gate_and_nobody_else() {
    let given = Given::new().await;
    let text = example("js") + "\nconsole.log((await caller(process.argv[2])).sub);\n";
    let file = given.write("caller.mjs", &text);
    let modules = given.folder.path().join("node_modules");
    std::os::unix::fs::symlink(tests("oidc/node_modules"), modules).unwrap();
    given
        .check(|| {
            let mut command = Command::new("node");
            command.arg(&file);
            command
        })
        .await;
}

#[tokio::test]
async fn what_the_guide_shows_in_go_believes_the_gate_and_nobody_else() {
    let given = Given::new().await;
    given.write("caller.go", &example("go"));
    let main = r#"package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	keys, err := Keys()
	if err != nil {
		panic(err)
	}
	caller, err := Who(os.Args[1], keys, time.Now())
	if err != nil {
		panic(err)
	}
	fmt.Println(caller.Account)
}
"#;
    given.write("main.go", main);
    let program = given.folder.path().join("caller");
    let mut build = Command::new("go");
    build.current_dir(given.folder.path()).args(["build", "-o"]).arg(&program);
    build.args(["caller.go"]).env("GO111MODULE", "off").env("CGO_ENABLED", "0");
    build.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"));
    let (is_built, said) = run(build, "main.go").await;
    assert!(is_built, "{said}");
    given.check(|| Command::new(&program)).await;
}

#[tokio::test]
async fn what_the_guide_shows_in_java_believes_the_gate_and_nobody_else() {
    let given = Given::new().await;
    given.write("Caller.java", &example("java"));
    let main = r#"import java.time.Instant;

final class Main {
    public static void main(String[] arguments) throws Exception {
        System.out.println(Caller.who(arguments[0], Caller.keys(), Instant.now()).get("sub"));
    }
}
"#;
    given.write("Main.java", main);
    let mut build = Command::new("javac");
    build.current_dir(given.folder.path()).args(["-Xlint:all", "-Werror", "Main.java"]);
    let (is_built, said) = run(build, "Caller.java").await;
    assert!(is_built, "{said}");
    given
        .check(|| {
            let mut command = Command::new("java");
            // Small and quick, and no traces in files where it breaks off.
            command.args(["-XX:TieredStopAtLevel=1", "-Xmx64m"]).arg("-classpath");
            command.arg(given.folder.path()).arg("Main");
            command
        })
        .await;
}
