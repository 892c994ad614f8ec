//! A policy that makes something wider waits for two persons where the one in force says so: under a running gate, over a
//! restart, and over the interface.

use std::time::Duration;

use menshen::clock::Clock;
use menshen::command::{CommandError, Desk, Doer, Done};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, soon};

const ONE: &str = r#"{"id":1,"name":"n","note":"x","phone":"13812345678"}"#;
const MASKED: &str = "138****5678";
const CLEAR: &str = "13812345678";

/// A bank whose tellers see a masked phone, and whose wider policies take two persons.
fn bank() -> String {
    format!("{OPEN_BANK}two-person: [policy]\n")
}

fn wider(policy: &str) -> String {
    policy.replace("clear: [id, name, note,", "clear: [id, name, note, phone,")
}

fn write(gate: &Gate, text: &str) {
    std::fs::write(gate.path("policies/policy.yaml"), text).unwrap();
}

async fn gate(yaml: &str) -> Gate {
    let gate = Setup::policy(&bank()).yaml(yaml).start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate
}

fn desk(gate: &Gate) -> Desk {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Desk::new(store, gate.clock.clone())
}

fn person(name: &str) -> Doer {
    Doer { name: name.to_owned(), person: name.to_owned() }
}

async fn phone(gate: &Gate) -> String {
    let answer = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
    answer.expect(200).json()["phone"].as_str().unwrap_or("absent").to_owned()
}

async fn until_phone(gate: &Gate, expected: &str) {
    let changes = async {
        while phone(gate).await != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("another policy", changes).await;
}

/// What waits, as `menshen policy show` says, once the gate has seen it.
async fn waiting(gate: &Gate) -> String {
    let waits = async {
        loop {
            if let Some(waiting) = gate.server().waiting_policy() {
                return waiting;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a policy that waits", waits).await
}

fn show(gate: &Gate) -> (Option<i32>, String) {
    let config = gate.path("menshen.yaml");
    let output = menshen(&["policy", "show", "--config", config.to_str().unwrap()]);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_wider_policy_waits_until_two_persons_agreed_to_this_very_one() {
    let mut gate = gate("").await;
    write(&gate, &wider(&bank()));
    let version = waiting(&gate).await;
    assert_eq!(phone(&gate).await, MASKED);
    let (code, shown) = show(&gate);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("phone") && shown.contains("it waits for two persons"), "{shown}");
    let desk = desk(&gate);
    let asked = desk.activate(&person("lin"), &version, "the phone", "CHG-118").await.unwrap();
    let Done::Waits(id) = asked else { panic!("{asked:?}") };
    let again = desk.activate(&person("mei"), &version, "", "CHG-118").await.unwrap();
    assert_eq!(again, Done::Waits(id), "asked for once, whoever asks");
    let own = desk.agree(&person("lin"), id).await;
    assert!(matches!(own, Err(CommandError::SamePerson)));
    assert_eq!(phone(&gate).await, MASKED);
    desk.agree(&person("mei"), id).await.unwrap();
    until_phone(&gate, CLEAR).await;
    assert_eq!(
        (gate.server().policy_version(), gate.server().waiting_policy()),
        (version.clone(), None)
    );
    assert_eq!(show(&gate).0, Some(0));
    // Another one that is wider than this is another one.
    write(&gate, &wider(&bank()).replace("address.city]", "address.city, address.street]"));
    assert_ne!(waiting(&gate).await, version);
    let entries = gate.entries().await;
    let activated: Vec<_> = entries
        .iter()
        .filter(|entry| {
            entry.act.as_ref().is_some_and(|act| act.name.as_str() == "policy_activated")
        })
        .collect();
    let [entry] = activated.as_slice() else { panic!("{activated:?}") };
    let act = entry.act.as_ref().unwrap();
    assert_eq!(act.object.as_str(), format!("policy {version}"));
    assert_eq!(entry.actor.as_ref().unwrap().account.as_str(), "lin");
    assert_eq!(act.approved_by.as_str(), "mei");
}

#[tokio::test]
async fn a_policy_that_is_nowhere_wider_needs_nobody_and_one_that_drops_the_rule_does() {
    let gate = gate("").await;
    let narrower = bank().replace("masked: [phone, address.street]", "masked: [address.street]");
    write(&gate, &narrower);
    until_phone(&gate, "absent").await;
    let before = gate.server().policy_version();
    write(&gate, &narrower.replace("two-person: [policy]\n", ""));
    waiting(&gate).await;
    assert_eq!(gate.server().policy_version(), before);
    // Put back, nothing waits any more.
    write(&gate, &narrower);
    let settled = async {
        while gate.server().waiting_policy().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("nothing to wait", settled).await;
}

#[tokio::test]
async fn a_restart_puts_no_wider_policy_in_force_and_what_was_agreed_to_meanwhile_is() {
    let mut gate = gate("").await;
    let before = gate.server().policy_version();
    gate.stop().await;
    write(&gate, &wider(&bank()));
    gate.start().await;
    assert_eq!(gate.server().policy_version(), before);
    let version = waiting(&gate).await;
    assert_eq!(phone(&gate).await, MASKED);
    let desk = desk(&gate);
    let asked = desk.activate(&person("lin"), &version, "", "CHG-118").await.unwrap();
    let Done::Waits(id) = asked else { panic!("{asked:?}") };
    gate.stop().await;
    desk.agree(&person("mei"), id).await.unwrap();
    gate.start().await;
    assert_eq!((gate.server().policy_version(), phone(&gate).await), (version, CLEAR.to_owned()));
}

#[tokio::test]
async fn what_was_agreed_to_once_is_agreed_to_anew_to_come_back() {
    let gate = gate("").await;
    write(&gate, &wider(&bank()));
    let version = waiting(&gate).await;
    let desk = desk(&gate);
    let asked = desk.activate(&person("lin"), &version, "", "CHG-118").await.unwrap();
    let Done::Waits(id) = asked else { panic!("{asked:?}") };
    desk.agree(&person("mei"), id).await.unwrap();
    until_phone(&gate, CLEAR).await;
    write(&gate, &bank());
    until_phone(&gate, MASKED).await;
    write(&gate, &wider(&bank()));
    assert_eq!(waiting(&gate).await, version);
    // Nor is what nobody used for a day.
    let asked = desk.activate(&person("lin"), &version, "", "CHG-119").await.unwrap();
    let Done::Waits(id) = asked else { panic!("{asked:?}") };
    write(&gate, &bank());
    desk.agree(&person("mei"), id).await.unwrap();
    gate.advance_s(86_401);
    write(&gate, &wider(&bank()));
    assert_eq!(waiting(&gate).await, version);
    assert_eq!(phone(&gate).await, MASKED);
}

#[tokio::test]
async fn where_the_former_policy_is_lost_the_gate_does_not_start_with_another() {
    // Commands go by the machine's clock.
    let mut gate = Setup::policy(&bank()).prepare(Clock::system()).await;
    gate.start().await;
    gate.stop().await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    state.execute("UPDATE policy_in_force SET version = 'x', sources = '[]'", []).unwrap();
    drop(state);
    let config = gate.path("menshen.yaml");
    let refused = menshen(&["run", "--config", config.to_str().unwrap()]);
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(complaint.contains("takes two persons for anything wider"), "{complaint}");
    let version = {
        let output = menshen(&[
            "policy",
            "activate",
            "--reason",
            "disk",
            "--config",
            config.to_str().unwrap(),
        ]);
        String::from_utf8(output.stdout).unwrap()
    };
    let version = version.strip_prefix("policy ").unwrap().split(':').next().unwrap().to_owned();
    let desk = desk(&gate);
    let id = desk.asked().await.unwrap()[0].id;
    // A user of the machine asked, so another one agrees.
    desk.agree(&Doer::user("operator uid 54321", 54321), id).await.unwrap();
    gate.start().await;
    assert_eq!(gate.server().policy_version(), version);
}

#[tokio::test]
async fn the_interface_shows_what_waits_and_takes_both_persons() {
    let admin = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                 rights: { policies: [security] }";
    let gate = gate(admin).await;
    write(&gate, &wider(&bank()));
    let version = waiting(&gate).await;
    let token = |name: &str| gate.token(&json!({ "sub": name, "roles": ["security"] }));
    let (lin, mei) = (token("lin"), token("mei"));
    let shown = interface(&gate, Ask::get("/v1/policy").bearer(&lin)).await;
    let shown = shown.expect(200).json();
    assert_eq!(shown["waits"]["version"], json!(version));
    assert!(shown["waits"]["wider"][0].as_str().unwrap().contains("phone"), "{shown}");
    let ask = |version: &str| {
        let body = json!({ "version": version, "reason": "CHG-118" }).to_string();
        Ask::post("/v1/policy", &body).bearer(&lin)
    };
    interface(&gate, ask("another")).await.expect(409);
    let asked = interface(&gate, ask(&version)).await;
    let id = asked.expect(202).json()["waits"].as_i64().unwrap();
    let confirm =
        |token: &str| Ask::post(&format!("/v1/requests/{id}/confirm"), "{}").bearer(token);
    interface(&gate, confirm(&lin)).await.expect(409);
    interface(&gate, confirm(&mei)).await.expect(200);
    until_phone(&gate, CLEAR).await;
}

async fn interface(gate: &Gate, ask: Ask) -> Answer {
    let address = gate.server().admin_address().unwrap();
    Client::new(address, &gate.ca_pem).h2().await.send(ask).await
}
