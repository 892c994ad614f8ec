//! What one person alone may not do where the policy says so: take entries out of the log, have them go, turn a
//! detection off.

use std::time::Duration;

use menshen::audit::{Day, Entry, Hold};
use menshen::clock::Clock;
use menshen::command::{Desk, Doer};
use menshen::secret::MasterKey;
use menshen::server::holds;
use menshen::state::Store;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

const ONE: &str = r#"{"id":1,"name":"n"}"#;

/// As shipped; the harness would turn all detections off.
const WATCHED: &str = "detections: { dormant: { days: 30 } }\n";

/// By the machine's clock, as commands go by it.
async fn gate(words: &str) -> Gate {
    let policy = format!("{OPEN_BANK}two-person: [{words}]\n{WATCHED}");
    let mut gate = Setup::policy(&policy).prepare(Clock::system()).await;
    gate.start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    gate
}

fn store(gate: &Gate) -> Store {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap()
}

/// Another user of the machine.
fn other() -> Doer {
    Doer::user("operator uid 54321", 54321)
}

fn run(gate: &Gate, args: &[&str]) -> (Option<i32>, String, String) {
    let config = gate.path("menshen.yaml");
    let ran = menshen(&[args, &["--config", config.to_str().unwrap()]].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

async fn acted(gate: &Gate, name: &str) -> Entry {
    let is_it = |entry: &Entry| entry.act.as_ref().is_some_and(|act| act.name.as_str() == name);
    let found = async {
        loop {
            if let Some(entry) = gate.entries_so_far().into_iter().rev().find(is_it) {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(name, found).await
}

#[tokio::test]
async fn an_export_of_the_log_takes_another_person_and_both_stand_in_the_log() {
    let gate = gate("log-export").await;
    let export = ["log", "export", "--route", "one.view"];
    for args in [&export[..], &["log", "tail"]] {
        let (code, shown, errors) = run(&gate, args);
        assert_eq!((code, shown.as_str()), (Some(64), ""), "{errors}");
        assert!(errors.contains("wants two persons"), "{errors}");
    }
    let asking = [&export[..], &["--ask", "--reason", "case 7"]].concat();
    let (code, said, errors) = run(&gate, &asking);
    assert!(code == Some(0) && said.contains("menshen switch confirm"), "{said}{errors}");
    let desk = Desk::new(store(&gate), gate.clock.clone());
    let asked = desk.asked().await.unwrap().remove(0);
    assert!(asked.object.ends_with("route one.view"), "{asked:?}");
    // Whoever asked cannot agree, by the command either.
    let [state, key] = ["state", "master.key"].map(|name| gate.path(name).display().to_string());
    let id = asked.id.to_string();
    let own = menshen(&["switch", "confirm", &id, "--state", &state, "--key", &key]);
    let errors = String::from_utf8(own.stderr).unwrap();
    assert!(own.status.code() == Some(64) && errors.contains("another person must"), "{errors}");
    desk.agree(&other(), asked.id).await.unwrap();
    // To another one nobody has agreed.
    assert_eq!(run(&gate, &["log", "export", "--route", "one.list"]).0, Some(64));
    assert_eq!(run(&gate, &[&export[..], &["--view", "cef"]].concat()).0, Some(64));
    let (code, shown, errors) = run(&gate, &export);
    assert!(code == Some(0) && shown.lines().count() == 1, "{errors}");
    assert_eq!(run(&gate, &export).0, Some(64), "it was good once");
    let agreed = acted(&gate, "log_export_agreed").await.act.unwrap();
    assert_eq!(agreed.approved_by.as_str(), "operator uid 54321");
    let begun = acted(&gate, "log_export_begun").await.act.unwrap();
    assert_eq!(begun.approved_by.as_str(), "operator uid 54321");
    acted(&gate, "log_export_asked").await;
    // Nor by the folder alone, while a gate writes it.
    let (log, key) = (gate.path("log"), gate.path("master.key"));
    let beside = ["log", "export", log.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let ran = menshen(&beside);
    let errors = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.code() == Some(64) && errors.contains("`--config`"), "{errors}");
}

#[tokio::test]
async fn entries_wait_until_two_persons_agreed_up_to_a_day() {
    let gate = gate("log-purge").await;
    let state = store(&gate);
    let of = |takes_two| holds(&state, takes_two);
    assert_eq!(of(false).await.unwrap(), Some(Vec::new()));
    assert_eq!(of(true).await.unwrap(), Some(vec![Hold::until_agreed(None)]));
    let tomorrow = Day::of_ms(gate.clock.unix_ms()).plus(1).to_string();
    let purge = |day: &str| run(&gate, &["log", "purge", "--until", day, "--reason", "July"]);
    assert_eq!(purge(&tomorrow).0, Some(64), "nobody agrees to what is not written yet");
    let (code, said, errors) = purge("2024-06-30");
    assert!(code == Some(0) && said.contains("another person must agree"), "{said}{errors}");
    assert_eq!(of(true).await.unwrap(), Some(vec![Hold::until_agreed(None)]));
    let desk = Desk::new(store(&gate), gate.clock.clone());
    let id = desk.asked().await.unwrap()[0].id;
    desk.agree(&other(), id).await.unwrap();
    let until = Hold::until_agreed("2024-06-30".parse().ok());
    assert_eq!(of(true).await.unwrap(), Some(vec![until]));
    let agreed = acted(&gate, "log_purge_agreed").await.act.unwrap();
    assert_eq!(agreed.object.as_str(), "log-purge 2024-06-30");
}

#[tokio::test]
async fn a_policy_that_turns_a_detection_off_waits_where_that_takes_two_and_a_wider_one_does_not() {
    let gate = gate("detections").await;
    let write = |from: &str, to: &str| {
        let policy = format!("{OPEN_BANK}two-person: [detections]\n{WATCHED}").replace(from, to);
        std::fs::write(gate.path("policies/policy.yaml"), policy).unwrap();
    };
    let before = gate.server().policy_version();
    write("{ days: 30 }", "off");
    let waits = async {
        while gate.server().waiting_policy().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a policy that waits", waits).await;
    let (code, said, errors) = run(&gate, &["policy", "show"]);
    assert!(code == Some(1) && said.contains("detection `dormant`: off"), "{said}{errors}");
    assert_eq!(gate.server().policy_version(), before);
    write("clear: [id, name, note,", "clear: [id, name, note, phone,");
    let changes = async {
        while gate.server().policy_version() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a wider policy", changes).await;
    // Nor does anybody take the word out alone.
    let wider = gate.server().policy_version();
    write("two-person: [detections]\n", "\n");
    let waits = async {
        while gate.server().waiting_policy().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a policy that waits", waits).await;
    assert_eq!(gate.server().policy_version(), wider);
}
