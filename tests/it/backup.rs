//! Backups: made while the gate runs, brought back onto an empty machine, and refused when anything of them is not as it was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use menshen::audit::{Concern, Entry};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::server::Server;

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, soon};
use crate::shipping::servers;
use crate::shipping::{Elsewhere, until};

const PASSWORD: &str = "correct horse battery staple 9";

/// A gate that has made its first backup.
async fn gate(places: &str, keep: &str) -> Gate {
    let limits = "limits:\n  - { to: teller, subjects: 3/h }\n";
    let setup = Setup::policy(&format!("{OPEN_BANK}{limits}"));
    let setup = setup.yaml("metrics: { address: \"127.0.0.1:0\" }");
    let gate = setup.yaml(&format!("backup: {{ keep: {keep}, to: {{ {places} }} }}")).start().await;
    gate.upstream.answers_by(|asked| {
        let id = asked.target.trim_start_matches("/one/");
        Reply::json(format!(r#"{{"id":"{id}"}}"#))
    });
    until("the first backup, by the gate itself", || {
        acts(&gate.entries_so_far(), "backup_made") == 1
    })
    .await;
    gate
}

async fn folders() -> Gate {
    gate("near: { folder: near }, far: { folder: far }", "400d").await
}

/// Runs it and gives its exit code and what it said.
fn ran(arguments: &[&str]) -> (Option<i32>, String) {
    let ran = menshen(arguments);
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(said).unwrap())
}

async fn ask_with(server: &Server, gate: &Gate, ask: Ask) -> Answer {
    Client::new(server.addresses()[0], &gate.ca_pem).h1().await.send(ask).await
}

/// Makes one by hand; gives its name.
fn backup(gate: &Gate) -> String {
    let config = gate.path("menshen.yaml").display().to_string();
    let (code, said) = ran(&["backup", "--config", &config]);
    assert_eq!(code, Some(0), "{said}");
    said.split_whitespace().next().unwrap().to_owned()
}

fn acts(entries: &[Entry], name: &str) -> usize {
    entries.iter().filter_map(|e| e.act.as_ref()).filter(|act| act.name.as_str() == name).count()
}

#[tokio::test]
async fn an_empty_machine_gets_accounts_used_budgets_policy_and_a_log_that_verifies() {
    let mut gate = folders().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let token = gate.teller();
    for id in 1..=3 {
        gate.ask(Ask::get(&format!("/one/{id}")).by(&token)).await.expect(200);
    }
    gate.ask(Ask::get("/one/4").by(&token)).await.expect(429);
    let name = backup(&gate);
    // The evidence of one by hand comes into the log of the gate that runs.
    until("the evidence", || acts(&gate.entries_so_far(), "backup_made") == 2).await;
    gate.stop().await;

    let machine = tempfile::tempdir().unwrap();
    let new = machine.path().join("new");
    let path = |name: &str| gate.path(name).display().to_string();
    let into = new.display().to_string();
    let (code, said) = ran(&[
        "restore",
        &name,
        "--from",
        &path("far"),
        "--key",
        &path("master.key"),
        "--into",
        &into,
    ]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("entries verify, the state is whole and has 1 accounts"), "{said}");
    for file in ["master.key", "gate.pem", "gate.key", "ca.pem", "jwks.json"] {
        std::fs::copy(gate.path(file), new.join(file)).unwrap();
    }
    assert!(!new.join("private").exists(), "no private key unless asked for");
    let (code, said) = ran(&[
        "restored",
        "--without-acts",
        "--reason",
        "the machine burnt",
        "--config",
        &new.join("menshen.yaml").display().to_string(),
    ]);
    assert_eq!(code, Some(0), "{said}");
    let config = Config::load(&new.join("menshen.yaml")).unwrap();
    let server = Server::start(config, gate.clock.clone()).await.unwrap();
    ask_with(&server, &gate, Ask::get("/one/1").by(&token)).await.expect(401);
    gate.advance_s(60);
    let token = gate.teller();
    let ask = |ask: Ask| ask_with(&server, &gate, ask);
    ask(Ask::get("/one/1").by(&token)).await.expect(200);
    ask(Ask::get("/one/4").by(&token)).await.expect(429);
    let old = Ask::get("/one/1").header("cookie", &format!("__Host-menshen={session}"));
    ask(old).await.expect(401);
    let body = serde_json::json!({ "account": "wang", "password": PASSWORD }).to_string();
    ask(Ask::post("/.menshen/login", &body)).await.expect(200);
    soon("the drain", server.drain()).await;
    let entries = crate::harness::gate::entries(&new.join("log"), &new.join("master.key"));
    assert_eq!(acts(&entries, "restored"), 1);
    let (code, said) = ran(&["log", "verify", &new.join("log").display().to_string()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = ran(&[
        "restore",
        &name,
        "--from",
        &path("far"),
        "--key",
        &path("master.key"),
        "--into",
        &into,
    ]);
    assert!(code == Some(64) && said.contains("is not empty"), "{said}");
}

/// It would know of nobody who was suspended, and its backup of nothing would be the newest.
#[tokio::test]
async fn a_gate_whose_disk_is_lost_does_not_begin_anew_beside_its_backups() {
    let mut gate = folders().await;
    gate.stop().await;
    for folder in ["state", "log", "log-index"] {
        std::fs::remove_dir_all(gate.path(folder)).unwrap();
    }
    let file = gate.path("menshen.yaml").display().to_string();
    let (code, said) = ran(&["run", "--config", &file]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("`near` has the backup `gate-1-"), "{said}");
    assert!(said.contains("`menshen restore`"), "{said}");
    // Somebody else's, whose name begins alike, and one under another name.
    let text = std::fs::read_to_string(&file).unwrap();
    for (node, starts) in [("gate", true), ("gate-1", false), ("gate-1b", true)] {
        std::fs::write(&file, text.replace("node: gate-1\n", &format!("node: {node}\n"))).unwrap();
        let started =
            Server::start(Config::load(Path::new(&file)).unwrap(), gate.clock.clone()).await;
        assert_eq!(started.is_ok(), starts, "{node}");
        if let Ok(server) = started {
            soon("the drain", server.drain()).await;
            for folder in ["state", "log", "log-index"] {
                std::fs::remove_dir_all(gate.path(folder)).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_test_of_a_backup_leaves_evidence_and_nothing_else() {
    let mut gate = folders().await;
    let name = backup(&gate);
    let path = |name: &str| gate.path(name).display().to_string();
    let scratch = tempfile::tempdir().unwrap();
    let room = scratch.path().display().to_string();
    let config = path("menshen.yaml");
    let arguments =
        ["restore", &name, "--test", "--config", &config, "--place", "near", "--scratch", &room];
    let (code, said) = ran(&arguments);
    assert!(code == Some(0) && said.starts_with("ok  gate-1-"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    until("the evidence", || acts(&gate.entries_so_far(), "restore_tested") == 1).await;
    let part = gate.path("near").join(&name).join("000000");
    flip(&part, 1000);
    let (code, said) = ran(&arguments);
    assert!(code == Some(70) && said.contains("/000000` does not open"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    until("the evidence", || acts(&gate.entries_so_far(), "restore_test_failed") == 1).await;
    let (code, said) = ran(&["backup", "--config", &config, "--list"]);
    assert!(code == Some(0) && said.matches(&name).count() == 2, "{said}");
    gate.stop().await;
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_byte_a_missing_part_or_manifest_and_a_wrong_key_are_told() {
    let mut gate = folders().await;
    let name = backup(&gate);
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (key, near) = (path("master.key"), path("near"));
    let room = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut restore = |key: &str| {
        number += 1;
        let into = room.path().join(number.to_string()).display().to_string();
        ran(&["restore", &name, "--from", &near, "--key", key, "--into", &into])
    };
    let dir = gate.path("near").join(&name);
    let (part, manifest) = (dir.join("000000"), dir.join("manifest"));
    for (file, at, said) in [
        (&part, 0, "/000000` does not open"),
        (&part, 5000, "/000000` does not open"),
        (&manifest, 20, "/manifest` does not open"),
    ] {
        flip(file, at);
        let (code, told) = restore(&key);
        assert!(code == Some(70) && told.contains(said), "{told}");
        flip(file, at);
    }
    let other = gate.path("other.key");
    menshen::secret::MasterKey::generate().unwrap().write_new(&other).unwrap();
    let (code, told) = restore(&other.display().to_string());
    assert!(code == Some(70) && told.contains("or the master key is another one"), "{told}");
    let held = std::fs::read(&part).unwrap();
    std::fs::remove_file(&part).unwrap();
    let (code, told) = restore(&key);
    assert!(code == Some(70) && told.contains("/000000` is missing"), "{told}");
    std::fs::write(&part, &held).unwrap();
    let (code, told) = restore(&key);
    assert_eq!(code, Some(0), "{told}");
    std::fs::remove_file(&manifest).unwrap();
    let (code, told) = restore(&key);
    assert!(code == Some(64) && told.contains("there is no backup"), "{told}");
}

#[tokio::test]
async fn a_full_disk_in_the_midst_leaves_no_backup_and_one_bad_place_does_not_spoil_the_other() {
    let mut gate = gate("near: { folder: near }, far: { folder: in-the-way/far }", "400d").await;
    let config = gate.path("menshen.yaml").display().to_string();
    gate.stop().await;
    std::fs::remove_dir_all(gate.path("in-the-way")).unwrap();
    std::fs::write(gate.path("in-the-way"), "a file").unwrap();
    let (code, said) = ran(&["backup", "--config", &config]);
    assert!(code == Some(1) && said.contains("in near\nNOT in far: "), "{said}");
    let finished = || {
        let dirs = std::fs::read_dir(gate.path("near")).unwrap();
        dirs.filter(|dir| dir.as_ref().unwrap().path().join("manifest").exists()).count()
    };
    let before = finished();
    // The next second, so that it has another name; no file may grow beyond 64 KiB, as on a full disk.
    std::thread::sleep(Duration::from_millis(1100));
    let limited = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" backup --config \"$1\""])
        .args([env!("CARGO_BIN_EXE_menshen"), &config])
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(70), "{}", String::from_utf8_lossy(&limited.stderr));
    assert_eq!(finished(), before);
    assert!(!gate.path("state").join("backup.tmp").exists());
    std::thread::sleep(Duration::from_millis(1100));
    let (code, said) = ran(&["backup", "--config", &config]);
    assert_eq!(code, Some(1), "it goes on once there is room: {said}");
}

#[tokio::test]
async fn a_place_without_a_new_backup_is_told_in_metrics_and_by_an_alert() {
    let setup = Setup::policy(OPEN_BANK).yaml("metrics: { address: \"127.0.0.1:0\" }");
    let setup =
        setup.yaml("backup: { to: { near: { folder: near }, far: { folder: in-the-way/far } } }");
    let mut gate = setup.prepare(Clock::fixed(crate::harness::NOW_S * 1000)).await;
    std::fs::write(gate.path("in-the-way"), "a file").unwrap();
    gate.start().await;
    let raised = || {
        let alerts = gate.entries_so_far().into_iter().filter_map(|entry| entry.alert);
        alerts.into_iter().find(|alert| alert.concern == Concern::Backup)
    };
    until("the alert", || raised().is_some()).await;
    assert!(raised().unwrap().kinds.iter().eq(["far"]));
    let text = crate::shipping::metrics(&gate).await;
    for line in [
        "menshen_backup_age_seconds{place=\"far\"} -1",
        "menshen_backup_overdue{place=\"far\"} 1",
        "menshen_backup_overdue{place=\"near\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn old_backups_go_when_their_time_is_over_and_never_the_newest() {
    let mut gate = gate("near: { folder: near }, far: { folder: far }", "30d").await;
    let made = |gate: &Gate| -> Vec<PathBuf> {
        let dirs = std::fs::read_dir(gate.path("near")).map(Iterator::collect::<Vec<_>>);
        dirs.unwrap_or_default().into_iter().map(|dir| dir.unwrap().path()).collect()
    };
    let first = made(&gate);
    gate.stop().await;
    gate.advance_s(31 * 24 * 3600);
    gate.start().await;
    until("the second", || acts(&gate.entries_so_far(), "backup_made") == 2).await;
    let left = made(&gate);
    assert!(left.len() == 1 && left != first, "{left:?}");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_a_store_of_s3_and_comes_back() {
    let elsewhere = Elsewhere::new();
    let keys = elsewhere.secret("keys", "gate\nsecret\n");
    let server = servers::Server::s3(&elsewhere).await;
    server.look("create", "backups", "");
    let (port, ca) = (server.port, elsewhere.path("ca.pem"));
    let mut gate = gate(&format!(
        "near: {{ folder: near }}, cloud: {{ url: \"https://localhost:{port}\", ca: {ca}, bucket: backups, prefix: m, credentials: {keys} }}"
    ), "400d")
    .await;
    let name = backup(&gate);
    let objects = server.look("names", "backups", "");
    assert!(objects.contains(&format!("m/{name}/000000\nm/{name}/manifest\n")), "{objects}");
    let config = gate.path("menshen.yaml").display().to_string();
    let (code, said) = ran(&["restore", &name, "--test", "--config", &config, "--place", "cloud"]);
    assert!(code == Some(0) && said.starts_with("ok  "), "{said}");
    gate.stop().await;
}
