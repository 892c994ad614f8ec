//! The log's entries at rest: a key of its own, and its rotation, as an operator does it.

use menshen::clock::Clock;
use menshen::secret::MasterKey;

use crate::harness::process::menshen;
use crate::harness::{Ask, OPEN_BANK, Reply, Setup};

#[tokio::test]
async fn the_logs_own_key_is_rotated_and_the_log_goes_on() {
    let setup = Setup::policy(OPEN_BANK).yaml("log-key: log.key");
    let mut gate = setup.prepare(Clock::system()).await;
    MasterKey::generate().unwrap().write_new(&gate.path("log.key")).unwrap();
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, master, old, config) =
        (path("log"), path("master.key"), path("log.key"), path("menshen.yaml"));
    let show = |keys: &[&str]| {
        let shown = menshen(&[&["log", "show", &log], keys].concat());
        String::from_utf8(shown.stdout).unwrap()
    };
    let locked = show(&["--key", &master]);
    assert!(locked.contains("give it with `--key`, or `--log-key`"), "{locked}");
    assert!(show(&["--key", &master, "--log-key", &old]).contains("GET one.view"));

    let new = gate.path("new.key");
    MasterKey::generate().unwrap().write_new(&new).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("log-key: log.key", "log-key: new.key")).unwrap();
    let refused = menshen(&["key", "rotate", "--config", &config, "--from", &master]);
    assert_eq!(refused.status.code(), Some(64), "it is under another key");
    let done = menshen(&["key", "rotate", "--config", &config, "--from", &old]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.starts_with("10 keys of the log are under"), "{said}");
    std::fs::remove_file(&old).unwrap();
    let new = new.display().to_string();
    let shown = show(&["--key", &master, "--log-key", &new]);
    assert!(shown.contains("GET one.view") && shown.contains("log_keys_rewrapped"), "{shown}");
    let verified = menshen(&["log", "verify", &log]);
    assert!(verified.status.success());
}

#[tokio::test]
async fn what_reaches_its_end_is_announced_and_kept_by_a_hold_that_another_person_must_end() {
    let policy = format!("{OPEN_BANK}\nretention: {{ security: 12 }}\n");
    let mut gate = Setup::policy(&policy).start().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, policies, config) = (path("log"), path("policies"), path("menshen.yaml"));
    gate.ask(Ask::post("/.menshen/login", "{}")).await;
    let ran = |args: &[&str]| {
        let ran = menshen(&[&["log"], args].concat());
        let said = String::from_utf8(ran.stdout).unwrap();
        (ran.status.code(), said + &String::from_utf8(ran.stderr).unwrap())
    };
    let (_, schedule) = ran(&["retention", "--schedule", "--policies", &policies]);
    assert!(schedule.contains("| `security` | sign-ins, alerts, the custody of the log | 12 |"));
    let hold =
        ["hold", "add", "--document", "2027/114", "--approver", "Li Na", "--config", &config];
    let when = [
        "--review",
        "2020-01-01",
        "--class",
        "ledger",
        "--from",
        "2000-01-01",
        "--to",
        "2100-01-01",
    ];
    let (code, said) = ran(&[&hold[..], &when[..]].concat());
    assert_eq!((code, said.starts_with("hold 1 keeps")), (Some(0), true), "{said}");
    let (_, said) = ran(&["hold", "list", "--config", &config]);
    assert!(
        said.contains("document 2027/114, approved by Li Na") && said.contains("OVERDUE"),
        "{said}"
    );
    let (code, said) = ran(&["hold", "end", "1", "--reason", "over", "--config", &config]);
    assert!(code == Some(64) && said.contains("whoever entered a hold cannot end it"), "{said}");

    // A clock that leaps is believed so far that the end is announced, not so far that anything goes.
    for _ in 0..3 {
        gate.stop().await;
        gate.advance_s(366 * 24 * 3600);
        gate.start().await;
        let announced = |entries: &[menshen::audit::Entry]| {
            let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
            acts.filter(|act| act.name.as_str() == "destruction_announced").count()
        };
        while announced(&gate.entries_so_far()) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let names: Vec<_> = gate
        .entries()
        .await
        .into_iter()
        .filter_map(|e| e.act)
        .map(|act| act.name.to_string())
        .collect();
    assert!(names.contains(&"hold_added".to_owned()), "{names:?}");
    assert!(!names.contains(&"entries_destroyed".to_owned()));
    let (_, said) = ran(&["retention", &log, "--policies", &policies, "--config", &config]);
    // The command goes by the machine's clock, which knows nothing of these years.
    assert!(said.contains("the first day kept until 2028-01-16"), "{said}");
}

/// Somebody else's verifier over the folder; see `tests/outsider/verify.py`.
#[tokio::test]
async fn a_verifier_that_others_wrote_confirms_the_log_and_its_witness_is_understood() {
    let outsider = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outsider");
    let python = std::path::Path::new(outsider).join("venv/bin/python");
    assert!(python.exists(), "run `sh tests/setup.sh`");
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for _ in 0..150 {
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    drop(connection);
    gate.stop().await;
    let log = gate.path("log");
    let key = std::fs::read_to_string(log.join("verifier.key")).unwrap();
    let ask = |more: &[&str]| {
        let ran = std::process::Command::new(&python)
            .arg(format!("{outsider}/verify.py"))
            .args([log.to_str().unwrap(), key.trim()])
            .args(more)
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap())
    };
    let (holds, said) = ask(&["witness.example"]);
    assert!(holds && said.starts_with("ok 30"), "{said}");
    let mut lines = said.splitn(3, '\n').skip(1);
    let (witness, note) = (lines.next().unwrap(), lines.next().unwrap());
    let cosigned = gate.path("cosigned").display().to_string();
    let verify = |note: &str, witness: &str| {
        std::fs::write(&cosigned, note).unwrap();
        let log = log.display().to_string();
        let args = ["log", "verify", &log, "--from", &cosigned, "--witness", witness];
        menshen(&args).status.code()
    };
    assert_eq!(verify(note, witness), Some(0));
    assert_eq!(verify(&note.replace("— witness.example ", "— witness.other "), witness), Some(64));
    let unsigned = std::fs::read_to_string(log.join("checkpoint")).unwrap();
    assert_eq!(verify(&unsigned, witness), Some(64), "nobody cosigned it");
    assert_eq!(verify(note, key.trim()), Some(64), "the log is no witness of itself");
    let bundle = log.join("tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    assert!(!ask(&[]).0, "the outsider finds a flipped bit, too");
}

#[tokio::test]
async fn a_log_that_was_rolled_back_behind_a_copy_of_its_checkpoint_does_not_open() {
    let setup = Setup::policy(OPEN_BANK).yaml("checkpoint-copies: { folder: elsewhere }");
    let mut gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    gate.stop().await;
    gate.copy("log", "old");
    gate.start().await;
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    gate.stop().await;
    gate.start().await;
    gate.stop().await;
    assert!(std::fs::read_dir(gate.path("elsewhere")).unwrap().count() >= 2);
    std::fs::remove_dir_all(gate.path("log")).unwrap();
    std::fs::rename(gate.path("old"), gate.path("log")).unwrap();
    let started = menshen::server::Server::start(gate.config(), gate.clock.clone()).await;
    let refused = started.err().unwrap().to_string();
    assert!(refused.contains("its end was cut off"), "{refused}");
}
