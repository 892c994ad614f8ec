//! What the doctor sees before a gate is opened to the world.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use menshen::clock::Clock;

use crate::harness::clients::Authority;
use crate::harness::process::menshen;
use crate::harness::{Gate, OPEN_BANK, Reply, Setup};

/// What it says, and how it ends; asked beside the test's own backend.
async fn doctor(gate: &Gate, more: &[&str]) -> (Option<i32>, String) {
    let file = gate.path("menshen.yaml").display().to_string();
    let arguments = [&["doctor", "--config", file.as_str()], more].concat();
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        menshen(&arguments)
    });
    let ran = ran.await.unwrap();
    (ran.status.code(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn prepared(setup: Setup) -> Gate {
    let gate = setup.prepare(Clock::system()).await;
    chmod(&gate.path("gate.key"), 0o600);
    gate.upstream.answers(Reply::with(200, &[("date", "Mon, 30 Nov 2020 00:00:00 GMT")], ""));
    gate
}

#[track_caller]
fn has(said: &str, line: &str, more: &str) {
    let found = said.lines().find(|one| one.starts_with(line));
    assert!(found.is_some_and(|found| found.contains(more)), "{line} {more}\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_well_is_told_so_and_what_could_be_better() {
    let traces = "traces: { url: \"https://otel.internal:4318\", ca: ca.pem }";
    let gate = prepared(Setup::policy(OPEN_BANK).yaml(traces)).await;
    let (code, said) = doctor(&gate, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    has(&said, "ok    authority of the collector of traces", "it ends in");
    has(&said, "ok    configuration", "good, with the policy");
    has(&said, "ok    entropy", "");
    has(&said, "ok    certificate of listener 127.0.0.1:0", "it ends in");
    has(&said, "ok    port 127.0.0.1:0", "free");
    has(&said, "ok    backend core: ", "is who it should be");
    has(&said, "warn  backend core, clock: ", "behind here");
    has(&said, "warn  backend core, only us: ", "nothing tells it that the gate asks");
    has(&said, "warn  log elsewhere: ", "witnesses");
    has(&said, "warn  backup: ", "no backups are made");
    let (code, quiet) = doctor(&gate, &["--quiet", "--format", "json"]).await;
    let told: serde_json::Value = serde_json::from_str(&quiet).unwrap();
    assert!(
        code == Some(0) && told.as_array().unwrap().iter().all(|one| one["standing"] == "warning")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stop_or_weaken_the_gate_is_named_with_what_to_do() {
    let gate = prepared(Setup::policy(OPEN_BANK)).await;
    chmod(&gate.path("gate.key"), 0o644);
    chmod(&gate.path("policies"), 0o777);
    chmod(&gate.path("policies/policy.yaml"), 0o666);
    std::fs::create_dir(gate.path("log")).unwrap();
    chmod(&gate.path("log"), 0o755);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = gate.path("menshen.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let yaml = yaml.replacen("127.0.0.1:0", &taken.local_addr().unwrap().to_string(), 1);
    let yaml = yaml.replacen("127.0.0.1:0", "192.0.2.1:4443", 1);
    std::fs::write(&file, yaml.replace(&gate.upstream.address().to_string(), &gone.to_string()))
        .unwrap();
    let (code, said) = doctor(&gate, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    has(&said, "BAD   key of listener", "chmod 600");
    has(&said, &format!("BAD   file {}", gate.path("policies").display()), "chmod go-w");
    has(
        &said,
        &format!("BAD   file {}", gate.path("policies/policy.yaml").display()),
        "chmod go-w",
    );
    has(&said, &format!("BAD   folder {}", gate.path("log").display()), "chmod 700");
    has(&said, &format!("warn  port {}", taken.local_addr().unwrap()), "in use, and no gate runs");
    has(&said, "BAD   port 192.0.2.1:4443", "no interface");
    has(&said, "BAD   backend core: ", "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_lets_anybody_in_is_found_out() {
    let ours = Authority::new("who signs gates");
    let keys = "certificate: us.pem, certificate-key: us.key";
    for (setup, said_of_it) in [
        (Setup::policy(OPEN_BANK).core(keys), "BAD   backend core, only us: it answered somebody"),
        (
            Setup::policy(OPEN_BANK).core(keys).asking(&ours.pem),
            "ok    backend core, only us: it refuses",
        ),
    ] {
        let gate = prepared(setup).await;
        let shown = ours.issue("spiffe://bank.example/gate", 1);
        std::fs::write(gate.path("us.pem"), shown.pem).unwrap();
        std::fs::write(gate.path("us.key"), shown.key_pem).unwrap();
        chmod(&gate.path("us.key"), 0o600);
        let (_, said) = doctor(&gate, &[]).await;
        has(&said, said_of_it, "");
        has(&said, "ok    certificate to core", "it ends in");
    }
}
