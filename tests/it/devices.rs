//! Devices: keys that were enrolled for somebody, what they open, and what coming without one costs.

use menshen::tls::{Ask as AskFor, ClientSettings};
use serde_json::json;

use crate::client_certificates::{showing, status};
use crate::harness::clients::{Authority, Shown};
use crate::harness::gate::session_of;
use crate::harness::process::menshen;
use crate::harness::{Ask, Connection, Gate, NOW_S, OPEN_BANK, Reply, Setup};

const PASSWORD: &str = "a quiet lantern";

/// Changes need a bound device, lists a one-time code, and one device alone may see a file of all.
fn policy() -> String {
    let with = |text: String, action: &str, more: &str| {
        let line = format!("    action: {action}\n");
        text.replace(&line, &format!("{line}    require: {more}\n"))
    };
    let text = with(OPEN_BANK.to_owned(), "update", "{ device: bound }");
    with(text, "search", "{ assurance: 2 }")
}

async fn started(yaml: &str) -> (Gate, Authority) {
    let authority = Authority::new("clients");
    let setup = Setup::policy(&policy()).yaml(yaml).tweak(|config| {
        config.addresses.attempts.burst = 1000;
        let tls = &mut config.listeners[0].tls;
        let ca = tls.certificate.parent().unwrap().join("clients.pem");
        tls.clients = Some(ClientSettings { ca, crl: None, ask: AskFor::Optional });
    });
    let mut gate = setup.prepare(menshen::clock::Clock::fixed(NOW_S * 1000)).await;
    std::fs::write(gate.path("clients.pem"), &authority.pem).unwrap();
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"items":[]}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate.add_account("li", PASSWORD, "teller").await;
    (gate, authority)
}

async fn sign_in(connection: &mut Connection, name: &str) -> String {
    let login = json!({ "account": name, "password": PASSWORD }).to_string();
    let answer = connection.send(Ask::post("/.menshen/login", &login)).await;
    session_of(answer.expect(200))
}

fn change() -> Ask {
    Ask::patch("/one/1", r#"{"name":"x"}"#)
}

async fn enrol(gate: &Gate, name: &str, account: &str, shown: &Shown) {
    gate.identity().add_device(name, account, &shown.der).await.unwrap();
    // As `menshen device` does it beside the gate, which looks for changes each second.
    gate.advance_s(1);
}

#[tokio::test]
async fn what_asks_for_a_bound_device_opens_for_a_key_enrolled_for_the_caller_alone() {
    let (mut gate, authority) = started("").await;
    let (own, other) = (authority.issue("", 1), authority.issue("", 2));
    let mut desk = showing(&gate, &own).h1().await;
    let session = sign_in(&mut desk, "wang").await;
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 403, "signed, not enrolled");
    enrol(&gate, "wang-laptop", "wang", &own).await;
    enrol(&gate, "li-laptop", "li", &other).await;
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 200);
    let mut colleague = showing(&gate, &other).h1().await;
    let borrowed = sign_in(&mut colleague, "wang").await;
    assert_eq!(status(&mut colleague, change().cookie(&borrowed)).await, 403, "li's device");
    let token = gate.teller();
    assert_eq!(status(&mut desk, change().by(&token)).await, 403, "`corp:wang` is not `wang`");
    let office = authority.issue("", 3);
    enrol(&gate, "office-pc", "corp:wang", &office).await;
    let mut pc = showing(&gate, &office).h2().await;
    assert_eq!(status(&mut pc, change().by(&token)).await, 200);
    assert_eq!(status(&mut gate.h1().await, change().by(&token)).await, 403, "no certificate");
    let entries = gate.entries().await;
    let devices: Vec<_> = entries
        .iter()
        .filter(|e| e.data.is_some() && e.decision.is_some())
        .map(|e| e.auth.as_ref().unwrap().device.to_string())
        .collect();
    assert_eq!(devices, ["wang-laptop", "office-pc"]);
}

#[tokio::test]
async fn a_revoked_device_is_one_no_more_and_its_sessions_end() {
    let (gate, authority) = started("").await;
    let own = authority.issue("", 1);
    enrol(&gate, "wang-laptop", "wang", &own).await;
    let mut desk = showing(&gate, &own).h1().await;
    let session = sign_in(&mut desk, "wang").await;
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 200);
    assert_eq!(gate.identity().revoke_device("wang-laptop").await.unwrap(), "wang");
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 401, "the session has ended");
    gate.advance_s(1);
    let session = sign_in(&mut desk, "wang").await;
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 403);
    for (name, shown) in [("wang-laptop", &authority.issue("", 2)), ("another", &own)] {
        let again = gate.identity().add_device(name, "wang", &shown.der).await;
        assert!(again.unwrap_err().to_string().contains("`wang-laptop`"), "{name}");
    }
}

#[tokio::test]
async fn a_token_shown_beside_a_device_that_was_revoked_a_second_ago_is_worth_less() {
    let (gate, authority) = started("").await;
    let (own, other) = (authority.issue("", 1), authority.issue("", 2));
    enrol(&gate, "office-pc", "corp:wang", &own).await;
    enrol(&gate, "office-pc-2", "corp:wang", &other).await;
    let token = gate.teller();
    let mut pc = showing(&gate, &own).h2().await;
    for _ in 0..3 {
        assert_eq!(status(&mut pc, change().by(&token)).await, 200, "remembered or not");
    }
    gate.identity().revoke_device("office-pc").await.unwrap();
    gate.advance_s(1);
    assert_eq!(status(&mut pc, change().by(&token)).await, 403, "on the open connection");
    assert_eq!(status(&mut pc, Ask::get("/list").by(&token)).await, 403, "worth a password");
    let mut second = showing(&gate, &other).h2().await;
    assert_eq!(
        status(&mut second, change().by(&token)).await,
        200,
        "the other one is theirs still"
    );
}

#[tokio::test]
async fn whoever_has_devices_and_comes_without_is_worth_less_and_is_not_led_in_circles() {
    let (mut gate, authority) = started("").await;
    let secret = gate.enrol("wang").await;
    let own = authority.issue("", 1);
    enrol(&gate, "wang-laptop", "wang", &own).await;
    enrol(&gate, "office-pc", "corp:wang", &authority.issue("", 2)).await;
    gate.advance_s(30);
    let strange = showing(&gate, &authority.issue("", 3));
    for (client, level, listed) in
        [(gate.client(), 1, 403), (strange, 1, 403), (showing(&gate, &own), 2, 200)]
    {
        let mut connection = client.h1().await;
        let session = sign_in(&mut connection, "wang").await;
        gate.advance_s(60);
        let code = json!({ "code": gate.code(&secret) }).to_string();
        let answer = connection.send(Ask::post("/.menshen/code", &code).cookie(&session)).await;
        let session = session_of(answer.expect(200));
        let shown = connection.send(Ask::get("/.menshen/session").cookie(&session)).await;
        assert_eq!(shown.expect(200).json()["assurance"], level);
        let list = connection.send(Ask::get("/list").cookie(&session)).await;
        list.expect(listed);
        if listed == 403 {
            assert!(list.header("www-authenticate").is_none(), "no factor would help");
            assert!(list.json()["title"].as_str().unwrap().contains("device"), "{}", list.text());
            let page = Ask::get("/list").cookie(&session).header("accept", "text/html");
            connection.send(page).await.expect(403);
        }
    }
    let mut connection = gate.h1().await;
    let token = gate.teller();
    connection.send(Ask::get("/list").by(&token)).await.expect(403);
    connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    let other = gate.token(&json!({ "sub": "li" }));
    connection.send(Ask::get("/list").by(&other)).await.expect(200);
    let entries = gate.entries().await;
    let causes = entries.iter().filter_map(|e| e.result.as_ref().map(|r| r.cause.to_string()));
    assert!(causes.filter(|cause| cause == "unknown_device").count() >= 5);
}

#[tokio::test]
async fn how_much_is_left_without_a_device_is_for_the_operator_to_say() {
    let (gate, authority) = started("devices: { unknown-assurance: 2 }").await;
    enrol(&gate, "office-pc", "corp:wang", &authority.issue("", 2)).await;
    gate.ask(Ask::get("/list").by(&gate.teller())).await.expect(200);
}

#[tokio::test]
async fn a_device_that_was_altered_in_the_state_is_none() {
    let (gate, authority) = started("").await;
    let own = authority.issue("", 1);
    enrol(&gate, "wang-laptop", "wang", &own).await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let changed = state.execute("UPDATE devices SET account = 'li'", []).unwrap();
    assert_eq!(changed, 1);
    gate.advance_s(1);
    let mut desk = showing(&gate, &own).h1().await;
    let session = sign_in(&mut desk, "li").await;
    assert_eq!(status(&mut desk, change().cookie(&session)).await, 403);
}

#[tokio::test]
async fn device_commands_enrol_list_and_revoke_and_the_log_has_them() {
    let (mut gate, authority) = started("").await;
    let shown = authority.issue("", 1);
    std::fs::write(gate.path("wang.pem"), &shown.pem).unwrap();
    let text = |name: &str| gate.path(name).to_str().unwrap().to_owned();
    let (pem, state, key) = (text("wang.pem"), text("state"), text("master.key"));
    let place = ["--state", &state, "--key", &key];
    let run = |words: &[&str]| {
        let output = menshen(&[words, &place].concat());
        let said = [output.stdout.clone(), output.stderr.clone()].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    let add = |name: &str, account: &str, file: &str| {
        run(&["device", "add", name, "--account", account, "--certificate", file])
    };
    let (code, said) = add("wang-laptop", "wang", &pem);
    assert!(code == 0 && said.contains("`wang-laptop` of `wang` was added"), "{said}");
    for (name, account, file, hint) in [
        ("wang-laptop", "wang", &pem, "neither is enrolled twice"),
        ("Laptop 7", "wang", &pem, "1 to 64 of a-z"),
        ("laptop-8", "zhao", &pem, "`menshen account list` shows"),
        ("laptop-8", "za ng", &pem, "`issuer:subject`"),
        ("laptop-8", "wang", &key, "no certificate in PEM"),
    ] {
        let (code, said) = add(name, account, file);
        assert!(code == 64 && said.contains(hint), "{name} {account}: {code} {said}");
    }
    let (_, list) = run(&["device", "list"]);
    assert!(list.contains("wang-laptop") && list.contains("never") && list.contains("good"));
    let (code, said) = run(&["device", "revoke", "wang-laptop"]);
    assert!(code == 0 && said.contains("sessions have ended"), "{said}");
    assert_eq!(run(&["device", "revoke", "wang-laptop"]).0, 64);
    let (_, list) = run(&["device", "list", "--format", "json"]);
    let device: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    assert!(device["revoked"].is_string() && device["account"] == "wang", "{list}");
    let entries = gate.entries().await;
    let acts: Vec<_> = entries
        .iter()
        .filter_map(|e| e.act.as_ref())
        .filter(|act| act.name.as_str().starts_with("device_"))
        .map(|act| (act.name.to_string(), act.object.to_string()))
        .collect();
    let object = "device wang-laptop of account wang".to_owned();
    let acts_wanted =
        ["device_added", "device_revoked"].map(|act| (act.to_owned(), object.clone()));
    // A gate that stops hands over what it has; what came after is recorded when one starts.
    let missing = acts_wanted.iter().filter(|act| !acts.contains(act)).count();
    if missing > 0 {
        gate.start().await;
        let entries = gate.entries_so_far();
        for (name, object) in &acts_wanted {
            let is_there = |e: &&menshen::audit::Entry| {
                e.act
                    .as_ref()
                    .is_some_and(|act| act.name.as_str() == name && act.object.as_str() == object)
            };
            assert!(entries.iter().any(|e| is_there(&e)), "{name}");
        }
    }
}
