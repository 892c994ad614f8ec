//! The log's checkpoints are cosigned by a witness that others' tools made, over TLS; what it saw nobody takes back.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use menshen::audit::{Alert, Concern};

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};
use crate::shipping::{Elsewhere, metrics, until};

/// The witness; ended when dropped.
struct Witness {
    folder: Elsewhere,
    child: Child,
    port: u16,
    key: String,
}

impl Witness {
    fn new() -> Self {
        let folder = Elsewhere::new();
        let outsider = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outsider");
        let python = Path::new(outsider).join("venv/bin/python");
        assert!(python.exists(), "run `sh tests/setup.sh`");
        let mut child = Command::new(python)
            .arg(format!("{outsider}/witness.py"))
            .args(["", "server.pem", "server.key"].map(|name| folder.path(name)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (port, key) = line.trim().split_once(' ').unwrap();
        let (port, key) = (port.parse().unwrap(), key.to_owned());
        Self { folder, child, port, key }
    }

    fn says(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path(name), text).unwrap();
    }

    fn knows(&self, gate: &Gate) {
        let key = std::fs::read_to_string(gate.path("log").join("verifier.key")).unwrap();
        self.says("logs", &key);
    }

    fn setup(&self) -> Setup {
        let (port, ca, key) = (self.port, self.folder.path("ca.pem"), &self.key);
        let yaml = format!(
            "witnesses:\n  auditor: {{ url: \"https://127.0.0.1:{port}/witness/\", ca: \"{ca}\", key: \"{key}\" }}\n\
             metrics: {{ address: \"127.0.0.1:0\" }}"
        );
        Setup::policy(OPEN_BANK).yaml(&yaml).tweak(|config| {
            config.witnesses.iter_mut().for_each(|one| one.every = Duration::from_millis(100));
        })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn requests(gate: &Gate, number: usize) {
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for _ in 0..number {
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
}

/// How many entries the witness cosigned, as the log's folder has it.
fn cosigned(gate: &Gate) -> u64 {
    let note = std::fs::read_to_string(gate.path("log").join("witnessed/auditor"));
    note.map_or(0, |note| note.lines().nth(1).unwrap().parse().unwrap())
}

fn alerts(gate: &Gate, concern: Concern) -> Vec<(Alert, String)> {
    let entries = gate.entries_so_far().into_iter();
    let told = entries.filter_map(|entry| Some((entry.alert?, entry.act?.detail.to_string())));
    told.filter(|(alert, _)| alert.concern == concern).collect()
}

fn verified(gate: &Gate, more: &[&str]) -> (Option<i32>, String) {
    let log = gate.path("log").display().to_string();
    let ran = menshen(&[&["log", "verify", log.as_str()], more].concat());
    (ran.status.code(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
}

#[tokio::test]
async fn a_witness_that_others_wrote_cosigns_what_the_log_continues() {
    let witness = Witness::new();
    let mut gate = witness.setup().start().await;
    until("a witness that knows nothing of the log", || {
        std::fs::read_to_string(witness.folder.path("saw")).is_err()
    })
    .await;
    witness.knows(&gate);
    let mut seen = 0;
    for number in [1, 3, 130, 260] {
        requests(&gate, number).await;
        until("a newer cosignature", || cosigned(&gate) > seen).await;
        seen = cosigned(&gate);
    }
    let all = gate.entries_so_far().len() as u64;
    until("all of the log", || cosigned(&gate) >= all).await;
    assert!(
        metrics(&gate).await.contains("menshen_witness_cosigned_entries{witness=\"auditor\"} ")
    );
    // A gate that begins anew goes on where the witness is, also where it forgot how far that was.
    gate.stop().await;
    std::fs::remove_file(gate.path("log").join("witnessed/auditor")).unwrap();
    gate.start().await;
    until("a cosignature after a start", || cosigned(&gate) > all).await;
    gate.stop().await;
    let (code, said) = verified(&gate, &["--witness", &witness.key]);
    assert!(code == Some(0) && said.contains("as `witnessed/auditor` has it"), "{said}");
    assert!(alerts(&gate, Concern::WitnessDisagrees).is_empty());
    // Nobody but the witness gives its word.
    let other = Witness::new();
    let (code, said) = verified(&gate, &["--witness", &other.key]);
    assert!(code == Some(64) && said.contains("is not signed by"), "{said}");
    let note = gate.path("log").join("witnessed/auditor");
    std::fs::copy(gate.path("log").join("checkpoint"), &note).unwrap();
    assert_eq!(verified(&gate, &["--witness", &witness.key]).0, Some(64));
    std::fs::write(&note, "so many entries\n").unwrap();
    let (code, said) = verified(&gate, &[]);
    assert!(code == Some(1) && said.contains("witnessed/auditor"), "{said}");
}

#[tokio::test]
async fn a_log_that_went_back_with_its_state_is_told_by_the_witness() {
    let witness = Witness::new();
    let mut gate = witness.setup().start().await;
    witness.knows(&gate);
    requests(&gate, 2).await;
    gate.stop().await;
    ["log", "state"].iter().for_each(|name| gate.copy(name, &format!("{name}-then")));
    gate.start().await;
    requests(&gate, 40).await;
    let all = gate.entries_so_far().len() as u64;
    until("all of the log", || cosigned(&gate) >= all).await;
    gate.stop().await;
    // Both together: nothing here remembers what came after.
    ["log", "state"].iter().for_each(|name| gate.copy(&format!("{name}-then"), name));
    gate.start().await;
    until("the end is missed", || !alerts(&gate, Concern::WitnessDisagrees).is_empty()).await;
    let told = alerts(&gate, Concern::WitnessDisagrees);
    assert!(
        told[0].1.contains("the end was cut off")
            && told[0].0.kinds.iter().any(|kind| kind == "auditor")
    );
    // As long as before again, by other entries.
    requests(&gate, 60).await;
    until("other entries are noticed", || {
        alerts(&gate, Concern::WitnessDisagrees).iter().any(|(_, said)| said.contains("rewritten"))
    })
    .await;
    let before = cosigned(&gate);
    assert!(before < all, "nothing of the other log was cosigned");
    gate.stop().await;
    assert_eq!(verified(&gate, &[]).0, Some(0), "by itself it holds");
}

#[tokio::test]
async fn a_witness_that_is_down_or_answers_nonsense_is_told_when_it_lasts_and_stops_nobody() {
    let witness = Witness::new();
    witness.says("mood", "down");
    let mut gate = witness.setup().start().await;
    witness.knows(&gate);
    for mood in ["down", "babble", "stranger"] {
        witness.says("mood", mood);
        requests(&gate, 1).await;
        let before = alerts(&gate, Concern::WitnessSilent).len();
        gate.advance_s(25 * 3600);
        until("an alert", || alerts(&gate, Concern::WitnessSilent).len() > before).await;
        assert_eq!(cosigned(&gate), 0, "{mood}");
    }
    witness.says("mood", "");
    until("a cosignature", || cosigned(&gate) > 0).await;
    assert!(alerts(&gate, Concern::WitnessDisagrees).is_empty());
    gate.stop().await;
}

#[test]
fn a_witness_without_tls_or_with_the_key_of_a_log_is_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    let check = |witness: &str| {
        let file = dir.path().join("menshen.yaml");
        std::fs::write(&file, format!("witnesses: {{ auditor: {{ {witness} }} }}\n")).unwrap();
        let ran = menshen(&["check", "--config", file.to_str().unwrap()]);
        String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap()
    };
    let of_a_log = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let said = check(&format!("url: \"https://a.example/\", ca: ca.pem, key: \"{of_a_log}\""));
    assert!(said.contains("must be the witness's verifier key"), "{said}");
    let said = check("url: \"http://a.example/\", ca: ca.pem, key: \"a+b+c\"");
    assert!(said.contains("`url` must begin with `https://`"), "{said}");
    assert!(
        check("url: \"https://a.example/\", key: \"a+b+c\", every: 1s").contains("between 60s")
    );
}
