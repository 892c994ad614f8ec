//! Tests beside a policy say what the gate does: the shipped ones pass, and the gate, asked the same, answers the same.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use menshen::document::Source;
use menshen::policy::{Program, compile};
use menshen::server::read_policies;
use menshen::suite::{self, Report};
use serde_json::{Value, json};

use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, NOW_S, Reply};

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn compiled(folder: &Path) -> (Vec<Source>, Program) {
    let sources = read_policies(folder).unwrap();
    let program = compile(&sources).unwrap();
    (sources, program)
}

fn failures(report: &Report) -> String {
    report.failures().map(|test| format!("{test:#?}\n")).collect()
}

#[test]
fn the_tests_of_every_shipped_policy_pass_and_touch_all_of_it() {
    let folders = shipped();
    assert!(!folders.is_empty());
    for folder in folders {
        let (sources, program) = compiled(&folder);
        let report = suite::run(&sources, &program, None).unwrap();
        assert!(report.tests.len() >= 20, "{}", folder.display());
        assert!(report.passed(), "{}: {}", folder.display(), failures(&report));
        assert_eq!(report.coverage.percent(), 100, "{:?}", report.coverage);
    }
}

#[test]
fn the_tests_in_the_guide_are_tests_that_pass() {
    let text = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide");
        std::fs::read_to_string(folder.join(name)).unwrap()
    };
    let (guide, policy) = (text("policy-tests.md"), text("policy.md"));
    let blocks: Vec<&str> = guide.split("```yaml\n").skip(1).map(block).collect();
    let [tests, table, fixtures] = blocks[..] else { panic!("{blocks:?}") };
    let short = policy.split("```yaml\n").map(block).find(|b| b.starts_with("tests:")).unwrap();
    let written = format!("{tests}\n{table}\n{fixtures}");
    for (written, count) in [(written.as_str(), 3), (short, 1)] {
        let folder = with_tests(written);
        let (sources, program) = compiled(folder.path());
        let report = suite::run(&sources, &program, None).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(report.tests.len(), count);
        assert!(report.passed(), "{}", failures(&report));
    }
}

/// A block of code up to its end.
fn block(text: &str) -> &str {
    text.split_once("```").map_or("", |(block, _)| block)
}

/// One request, as the gate gets it and as a test of the suite writes it.
struct Sample {
    /// What differs from a teller of branch `sh01`: claims of the token, keys of the caller.
    claims: Value,
    caller: Value,
    request: (&'static str, &'static str),
    body: Option<Value>,
    backend: (u16, Value),
}

fn sample(method: &'static str, path: &'static str, backend: Value) -> Sample {
    Sample {
        claims: json!({}),
        caller: json!({}),
        request: (method, path),
        body: None,
        backend: (200, backend),
    }
}

impl Sample {
    fn by(mut self, claims: Value, caller: Value) -> Self {
        (self.claims, self.caller) = (claims, caller);
        self
    }

    fn role(self, role: &str) -> Self {
        self.by(json!({ "roles": [role] }), json!({ "roles": [role] }))
    }

    fn sends(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.backend.0 = status;
        self
    }

    fn purpose(&self) -> Option<&str> {
        self.caller.get("purpose").map_or(Some("service"), Value::as_str)
    }

    async fn ask(&self, gate: &Gate) -> Answer {
        let (status, body) = &self.backend;
        let json = [("content-type", "application/json")];
        gate.upstream.answers(Reply::with(*status, &json, body.to_string()));
        let mut ask = Ask::new(self.request.0, self.request.1).bearer(&gate.token(&self.claims));
        if let Some(purpose) = self.purpose() {
            ask = ask.header("menshen-purpose", purpose);
        }
        if let Some(body) = &self.body {
            ask = ask.json(&body.to_string());
        }
        gate.ask(ask).await
    }

    /// A test that expects what the gate said.
    fn expecting(&self, number: usize, told: &Answer) -> Value {
        let mut caller = json!({
            "account": "wang", "roles": ["teller"], "branch": "sh01", "assurance": 2,
            "address": "127.0.0.1", "purpose": "service",
        });
        for (key, value) in self.caller.as_object().unwrap() {
            caller[key] = value.clone();
        }
        let reply = json!({ "status": self.backend.0, "body": self.backend.1 });
        let mut test = json!({
            "name": format!("sample {number}"),
            "caller": caller,
            "request": { "method": self.request.0, "path": format!("bank.example{}", self.request.1) },
            "reply": reply,
            "record": self.backend.1,
            "expect": { "status": told.status.as_u16(), "headers": headers(told) },
        });
        if let Some(body) = &self.body {
            test["request"]["body"] = body.clone();
        }
        if told.status.is_success() {
            test["expect"]["body"] = told.json();
        } else {
            // The id differs from request to request.
            let mut problem = told.json();
            problem.as_object_mut().unwrap().remove("request");
            test["expect"]["contains"] = problem;
        }
        test
    }
}

/// The headers that depend on the decision; where the gate sends none, none is expected.
fn headers(told: &Answer) -> Value {
    let names = [
        "content-type",
        "menshen-step-up",
        "menshen-held-back",
        "www-authenticate",
        "cache-control",
    ];
    names.iter().map(|name| ((*name).to_owned(), json!(told.header(name)))).collect()
}

fn customer(id: &str, branch: &str, segment: &str) -> Value {
    json!({
        "id": id, "name": "王小明", "phone": "13812345678", "branch": branch, "segment": segment,
        "address": { "city": "上海", "street": "上海市世纪大道1号", "zip": "200120" },
        "accounts": [{ "number": "6222020200112233", "balance": 1234.5 }], "passport_no": "E1",
    })
}

fn samples() -> Vec<Sample> {
    let ours = || customer("C1", "sh01", "retail");
    let (view, list) = ("/api/customers/C1", "/api/customers");
    let orders: Vec<Value> =
        (0..25).map(|n| json!({ "id": n, "customer_id": "C1", "branch": "sh01" })).collect();
    let supervisor = json!({ "roles": ["supervisor"] });
    let stale = json!({ "roles": ["supervisor"], "auth_time": NOW_S - 3600 });
    let stale_caller =
        json!({ "roles": ["supervisor"], "factor_age": "1h", "purpose": "complaint" });
    let complaint = json!({ "roles": ["supervisor"], "purpose": "complaint" });
    let change = || json!({ "phone": "13800000000" });
    vec![
        sample("GET", view, ours()),
        sample("GET", view, customer("C1", "bj07", "retail")),
        sample("GET", view, customer("C1", "sh01", "staff")),
        sample("GET", view, json!({ "name": "nobody", "branch": "sh01", "segment": "retail" })),
        sample("GET", view, ours()).by(json!({}), json!({ "purpose": null })),
        sample("GET", view, ours()).by(json!({}), json!({ "purpose": "gossip" })),
        sample("GET", view, ours()).by(supervisor, complaint.clone()),
        sample("GET", view, ours()).by(stale.clone(), stale_caller.clone()),
        sample("GET", view, ours()).role("auditor"),
        sample("GET", view, ours()).status(404),
        sample("GET", view, ours()).status(500),
        sample("GET", view, ours()).status(302),
        sample("GET", "/api/nothing", ours()),
        sample(
            "GET",
            list,
            json!({ "total": 2, "page": 1, "items": [ours(), customer("C2", "bj07", "x")] }),
        ),
        sample("GET", "/api/customers?phone=1", json!({ "items": [] })),
        sample("GET", "/api/customers?nosuch=1", json!({ "items": [] })),
        sample("GET", "/api/customers?per_page=21", json!({ "items": [] })),
        sample("GET", "/api/customers/C1/orders", json!(orders)),
        sample("GET", "/api/customers/export", json!([ours()])).by(stale, stale_caller),
        sample("GET", "/api/customers/export", json!([ours()]))
            .by(json!({ "roles": ["supervisor"] }), complaint),
        sample("PATCH", view, ours()).sends(change()),
        sample("PATCH", view, customer("C1", "bj07", "retail")).sends(change()),
        sample("PATCH", view, ours()).sends(json!({ "branch": "bj07" })),
        sample("PATCH", view, ours()).sends(json!({ "phone": "138****5678" })),
        sample("POST", view, ours()).sends(change()),
    ]
}

#[tokio::test]
async fn the_suite_and_the_gate_answer_the_same() {
    let gate = Gate::demo().await;
    let mut tests = Vec::new();
    let mut statuses = std::collections::BTreeSet::new();
    for (number, sample) in samples().iter().enumerate() {
        if number % 15 == 14 {
            // The tellers' rate, which tests beside the policy do not count.
            gate.advance_s(60);
        }
        let told = sample.ask(&gate).await;
        statuses.insert(told.status.as_u16());
        tests.push(sample.expecting(number, &told));
    }
    let wanted = [200, 400, 401, 403, 404, 500, 502];
    assert!(wanted.iter().all(|status| statuses.contains(status)), "{statuses:?}");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    let mut sources = read_policies(&demo).unwrap();
    sources.retain(|source| !source.name.ends_with("tests.yaml"));
    sources.push(Source { name: "said".to_owned(), text: json!({ "tests": tests }).to_string() });
    let program = compile(&sources).unwrap();
    let report = suite::run(&sources, &program, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.tests.len(), samples().len());
    assert!(report.passed(), "{}", failures(&report));
}

/// A folder with the demo's policy and these tests instead of its own.
fn with_tests(tests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    for name in ["catalogue.yaml", "routes.yaml", "rules.yaml"] {
        std::fs::copy(demo.join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("tests.yaml"), tests).unwrap();
    folder
}

fn menshen_test(folder: &Path, options: &[&str]) -> (Option<i32>, String, String) {
    let arguments = [&["test", folder.to_str().unwrap()], options].concat();
    let Output { status, stdout, stderr } = menshen(&arguments);
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const ONE: &str = r#"
tests:
  - name: a phone in clear
    caller: { roles: [teller], branch: sh01, assurance: 2, purpose: service }
    request: GET bank.example/api/customers/C1
    backend: { id: C1, name: 王小明, phone: "13812345678", branch: sh01, segment: retail }
    expect:
      status: 200
      body: { id: C1, name: 王小明, phone: "13812345678", branch: sh01, segment: retail }
"#;

#[test]
fn a_test_that_fails_is_shown_side_by_side_with_its_place() {
    let folder = with_tests(ONE);
    let (code, said, _) = menshen_test(folder.path(), &[]);
    assert_eq!(code, Some(1));
    let place = format!("{}:3", folder.path().join("tests.yaml").display());
    assert!(said.contains("FAILED a phone in clear") && said.contains(&place), "{said}");
    let row = r#"-   "phone": "13812345678",   +   "phone": "138****5678","#;
    assert!(said.contains(row), "{said}");
    assert!(said.contains("1 of 1 test failed") && said.contains("coverage"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where nobody looks: {said}");
}

#[test]
fn programs_get_one_document_and_the_same_exit_code() {
    let folder = with_tests(ONE);
    let (code, said, _) = menshen_test(folder.path(), &["--format", "json"]);
    assert_eq!(code, Some(1));
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["passed"], &told["failed"]), (&json!(0), &json!(1)));
    assert_eq!(told["tests"][0]["line"], json!(3));
    assert_eq!(told["tests"][0]["differences"][0]["part"], json!("body"));
    assert!(told["coverage"]["rules"]["untouched"].as_array().unwrap().len() > 5);
    std::fs::write(folder.path().join("tests.yaml"), "tests: [{ nam: x }]").unwrap();
    let (code, said, _) = menshen_test(folder.path(), &["--format", "json"]);
    assert_eq!(code, Some(64));
    let told: Value = serde_json::from_str(&said).unwrap();
    let codes: Vec<_> = told["faults"].as_array().unwrap().iter().map(|f| &f["code"]).collect();
    assert!(codes.contains(&&json!("P005")), "{said}");
}

#[test]
fn too_little_coverage_fails_and_enough_does_not() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    assert_eq!(menshen_test(&demo, &["--min-coverage", "100"]).0, Some(0));
    let (passing, _) = ONE.split_once("      body:").unwrap();
    let folder = with_tests(passing);
    assert_eq!(menshen_test(folder.path(), &[]).0, Some(0));
    let (code, said, _) = menshen_test(folder.path(), &["--min-coverage", "90"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("at least 90 % is asked"), "{said}");
    assert!(said.contains("    nobody exports over a mobile network"), "{said}");
}

#[test]
fn a_filter_runs_the_tests_that_it_names_and_one_that_names_none_is_a_fault() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    let (code, said, _) = menshen_test(&demo, &["--filter", "auditor"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("2 tests passed") && !said.contains("coverage"), "{said}");
    let (code, _, error) = menshen_test(&demo, &["--filter", "audittor"]);
    assert_eq!(code, Some(64));
    assert!(error.contains("audittor"), "{error}");
}

#[test]
fn a_change_of_the_folder_runs_the_tests_again() {
    let folder = with_tests(ONE);
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["test", "--watch"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            sender.send(line).unwrap_or_default();
        }
    });
    let until = |text: &str| loop {
        let line = lines.recv_timeout(Duration::from_secs(20)).unwrap();
        if line.contains(text) {
            break;
        }
    };
    until("1 of 1 test failed");
    until("waiting for a change");
    // As an editor saves: a new file that takes the place of the old one.
    let new = folder.path().join("tests.yaml.new");
    std::fs::write(&new, ONE.split_once("      body:").unwrap().0).unwrap();
    std::fs::rename(&new, folder.path().join("tests.yaml")).unwrap();
    until("1 test passed");
    std::fs::write(folder.path().join("tests.yaml"), "tests: [").unwrap();
    until("P001");
    child.kill().unwrap();
    child.wait().unwrap();
}
