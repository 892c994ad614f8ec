//! The log searched beside a running gate: who saw whom, and that every reading is an entry itself.

use std::path::Path;

use menshen::audit::{Entry, Event, Readings};
use menshen::secret::MasterKey;
use serde_json::Value;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, has_word};

async fn gate_with_looks() -> Gate {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    for key in [10017, 10018, 10017] {
        gate.upstream.answers(Reply::json(format!(r#"{{"id":{key}}}"#)));
        gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    gate
}

fn said(args: &[&str]) -> (Option<i32>, String) {
    let ran = menshen(args);
    let text = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    (ran.status.code(), text)
}

/// Waits until the gate has brought a reading of this name into its log.
async fn reading(gate: &Gate, name: &str) -> Entry {
    let is_it = |entry: &Entry| {
        let act = entry.act.as_ref();
        entry.event == Event::Custody && act.is_some_and(|act| act.name.as_str() == name)
    };
    for _ in 0..3_000 {
        if let Some(entry) = gate.entries_so_far().into_iter().rev().find(is_it) {
            return entry;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no entry {name}");
}

#[tokio::test]
async fn who_saw_a_customer_is_found_beside_a_running_gate_and_the_search_is_an_entry() {
    let gate = gate_with_looks().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let search = |args: &[&str]| said(&[&["log", "search", "--config", &config], args].concat());
    let (code, text) = search(&["--subject", "customer:10017", "--format", "json"]);
    assert_eq!(code, Some(0), "{text}");
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), 2, "{text}");
    assert_eq!(found[0]["subjects"], serde_json::json!(["customer:10017"]));
    let entry = reading(&gate, "log_searched").await;
    let act = entry.act.unwrap();
    assert_eq!(act.count, Some(2));
    assert!(act.detail.as_str().starts_with("subject #"), "{}", act.detail);
    assert!(entry.actor.unwrap().account.as_str().starts_with("operator uid "));
    assert_eq!(entry.subjects.unwrap().count, 1, "whom it was about stands there by reference");

    // Others are masked, and to see them takes a reason, which the log has.
    let (_, text) = search(&["--route", "one.view"]);
    assert!(text.contains("customer:\u{2026}18") && !has_word(&text, "10018"), "{text}");
    assert!(text.contains("3 shown, and there are no others"), "{text}");
    assert_eq!(search(&["--unmask"]).0, Some(64));
    let (_, text) = search(&["--unmask", "--reason", "complaint 7/2027", "--act", "nothing"]);
    assert!(text.contains("0 shown"), "{text}");
    let (_, text) = search(&["--route", "one.view", "--unmask", "--reason", "complaint 8/2027"]);
    assert!(text.contains("customer:10018"), "{text}");
    let is_told = |entry: &Entry| {
        entry.why.as_ref().is_some_and(|why| why.reason.as_str() == "complaint 8/2027")
    };
    for _ in 0..3_000 {
        if gate.entries_so_far().iter().any(is_told) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(gate.entries_so_far().iter().any(is_told));
}

#[tokio::test]
async fn without_a_gate_a_reading_waits_sealed_and_comes_into_the_log_at_the_next_start() {
    let mut gate = gate_with_looks().await;
    gate.stop().await;
    let (log, key) =
        (gate.path("log").display().to_string(), gate.path("master.key").display().to_string());
    let by_index = said(&["log", "search", &log, "--key", &key, "--subject", "customer:10017"]);
    let by_scan =
        said(&["log", "search", &log, "--key", &key, "--subject", "customer:10017", "--scan"]);
    assert_eq!(by_index, by_scan, "the index tells what the log tells");
    let rebuilt = said(&["log", "index", &log, "--key", &key, "--rebuild"]);
    assert_eq!(rebuilt.0, Some(0), "{}", rebuilt.1);
    assert_eq!(
        said(&["log", "search", &log, "--key", &key, "--subject", "customer:10017"]),
        by_index
    );
    let waiting = |dir: &Path| std::fs::read_dir(dir.join("readings")).unwrap().count();
    assert_eq!(waiting(&gate.path("log")), 3);
    let verified = said(&["log", "verify", &log]);
    assert_eq!(verified.0, Some(0), "{}", verified.1);
    gate.start().await;
    reading(&gate, "log_searched").await;
    for _ in 0..3_000 {
        if waiting(&gate.path("log")) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("readings are left");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_shown() {
    let mut gate = gate_with_looks().await;
    gate.stop().await;
    let (log, key) =
        (gate.path("log").display().to_string(), gate.path("master.key").display().to_string());
    // A file where the folder of readings should be: it refuses root, too.
    let readings = gate.path("log/readings");
    std::fs::remove_dir_all(&readings).unwrap_or_default();
    std::fs::write(&readings, "").unwrap();
    let policies = gate.path("policies").display().to_string();
    let found = gate.path("menshen.yaml").display().to_string();
    let id = gate.entries_so_far()[1].id.to_string();
    let with = ["--log", &log, "--key", &key];
    // The key that opens entries is not the one that seals what was read: it alone reads nothing.
    for command in [
        vec!["log", "show", &log, "--log-key", &key],
        vec!["log", "trace", &log, "--log-key", &key, "--file", &found],
        vec!["replay", &policies, "--log", &log, "--log-key", &key],
        vec!["detection", "replay", &policies, "--log", &log, "--log-key", &key],
        vec!["explain", "--entry", &id, "--policies", &policies, "--log", &log, "--log-key", &key],
    ] {
        let (code, text) = said(&command);
        assert!(code == Some(64) && text.contains("--key <FILE>"), "{command:?}: {text}");
    }
    let nobody = "01a0c450-6c7b-7101-8101-010101010101";
    for command in [
        vec!["log", "search", &log, "--key", &key],
        [&["explain", "--entry", nobody, "--policies", &policies][..], &with].concat(),
        vec!["log", "show", &log, "--key", &key],
        vec!["log", "trace", &log, "--key", &key, "--file", &found],
        [&["replay", &policies][..], &with].concat(),
        [&["detection", "replay", &policies][..], &with].concat(),
        [&["explain", "--entry", &id, "--policies", &policies][..], &with].concat(),
    ] {
        let (code, text) = said(&command);
        assert_eq!(code, Some(64), "{command:?}: {text}");
        assert!(text.contains("every reading is recorded there first"), "{text}");
        assert!(!text.contains("one.view"), "{text}");
    }
}

#[tokio::test]
async fn every_command_that_reads_the_log_leaves_what_it_read_and_how_much() {
    let mut gate = gate_with_looks().await;
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, key, policies) = (path("log"), path("master.key"), path("policies"));
    let entries = gate.entries_so_far();
    let is_look = |entry: &&Entry| entry.decision.is_some();
    let id = entries.iter().find(is_look).unwrap().id.to_string();
    let with = ["--log", &log, "--key", &key];
    let (code, text) = said(&[&["replay", &policies][..], &with].concat());
    assert_eq!(code, Some(0), "{text}");
    let (_, text) = said(&[&["detection", "replay", &policies][..], &with].concat());
    assert!(text.contains("findings"), "{text}");
    let (code, text) =
        said(&[&["explain", "--entry", &id, "--policies", &policies][..], &with].concat());
    assert_eq!(code, Some(0), "{text}");
    std::fs::write(gate.path("found"), "nothing of ours").unwrap();
    let (code, text) = said(&["log", "trace", &log, "--key", &key, "--file", &path("found")]);
    assert_eq!(code, Some(1), "{text}");
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let waiting = Readings::new(&gate.path("log"), &master).unwrap().waiting().unwrap();
    let mut left: Vec<_> = waiting
        .into_iter()
        .map(|one| one.reading.unwrap())
        .map(|one| (one.name, one.seen.unwrap(), one.asked))
        .collect();
    left.sort();
    let names: Vec<_> = left.iter().map(|(name, seen, _)| (name.as_str(), *seen)).collect();
    let all = entries.len() as u64;
    let expected =
        [("log_explained", 1), ("log_replayed", 3), ("log_reviewed", all), ("log_traced", 0)];
    assert_eq!(names, expected, "{left:?}");
    assert_eq!(left[0].2, format!("entry {id}"));
    gate.start().await;
    for name in ["log_explained", "log_replayed", "log_reviewed", "log_traced"] {
        reading(&gate, name).await;
    }
}

#[tokio::test]
async fn an_export_by_name_that_breaks_off_has_said_before_that_it_is_unmasked() {
    let mut gate = gate_with_looks().await;
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["log", "export", &path("log"), "--key", &path("master.key")])
        .args(["--unmask", "--reason", "complaint 9/2027"])
        .stdout(full)
        .output()
        .unwrap();
    assert!(!ran.status.success());
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let waiting = Readings::new(&gate.path("log"), &master).unwrap().waiting().unwrap();
    let left: Vec<_> = waiting.into_iter().map(|one| one.reading.unwrap()).collect();
    let of = |name: &str| left.iter().find(|one| one.name == name).unwrap();
    assert_eq!(of("log_export_begun").asked, "unmasked; everything");
    let ended = of("log_exported");
    assert_eq!(ended.asked, "unmasked; everything");
    assert!(ended.seen.is_some_and(|seen| seen > 0));
    assert_eq!(ended.reason, "complaint 9/2027");
}
