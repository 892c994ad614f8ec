//! Passkeys as devices: what one that was enrolled is worth, and what another one is worth then.

use menshen::audit::Entry;
use serde_json::json;

use crate::harness::authenticator::{BACKUP_ELIGIBLE, Passkey, text};
use crate::harness::gate::session_of;
use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};
use crate::passkeys::{KNOWS, PASSWORD, enter, options, owned, raise};

/// Changes need a bound device, and lists a one-time code.
async fn started() -> Gate {
    let with = |text: String, action: &str, more: &str| {
        let line = format!("    action: {action}\n");
        text.replace(&line, &format!("{line}    require: {more}\n"))
    };
    let text = with(OPEN_BANK.to_owned(), "update", "{ device: bound }");
    let text = with(text, "search", "{ assurance: 2 }");
    let setup = Setup::policy(&text).tweak(|config| config.addresses.attempts.burst = 1000);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"items":[]}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

async fn change(gate: &Gate, session: &str) -> u16 {
    let ask = Ask::patch("/one/1", r#"{"name":"x"}"#).cookie(session);
    gate.ask(ask.header("sec-fetch-site", "same-origin")).await.status.as_u16()
}

async fn list(gate: &Gate, session: &str) -> u16 {
    gate.ask(Ask::get("/list").cookie(session)).await.status.as_u16()
}

async fn assurance(gate: &Gate, session: &str) -> u64 {
    let shown = gate.ask(Ask::get("/.menshen/session").cookie(session)).await;
    shown.expect(200).json()["assurance"].as_u64().unwrap()
}

async fn enrolled(gate: &Gate, passkey: &Passkey) {
    gate.identity().add_passkey_device("wang-key", "wang", &text(&passkey.id)).await.unwrap();
    // The gate looks for changes of devices each second.
    gate.advance_s(1);
}

#[tokio::test]
async fn a_passkey_that_is_a_device_binds_the_session_in_which_it_was_shown() {
    let mut gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    let before = session_of(enter(&gate, &mut passkey).await.expect(200));
    assert_eq!(change(&gate, &before).await, 403, "it is no device yet");
    enrolled(&gate, &passkey).await;
    assert_eq!(change(&gate, &before).await, 200, "the session is the passkey's");
    assert_eq!(change(&gate, &session).await, 403, "in this one it was never shown");
    let raised = session_of(raise(&gate, &mut passkey, &session).await.expect(200));
    assert_eq!(change(&gate, &raised).await, 200);
    let entries = gate.entries().await;
    let named =
        |entry: &&Entry| entry.auth.as_ref().is_some_and(|auth| auth.device.as_str() == "wang-key");
    assert!(entries.iter().filter(named).count() >= 2);
}

#[tokio::test]
async fn whoever_has_devices_and_shows_another_passkey_is_worth_less() {
    let gate = started().await;
    let (mut own, session) = owned(&gate, "wang", KNOWS).await;
    let raised = session_of(raise(&gate, &mut own, &session).await.expect(200));
    let asked = options(&gate, "register", Some(&raised)).await;
    let mut other = Passkey::new(-7, "bank.example");
    other.user_handle = own.user_handle.clone();
    let made = other.make(asked["challenge"].as_str().unwrap(), "https://bank.example");
    let body = json!({ "name": "another", "credential": other.made_json(&made) });
    let register = Ask::post("/.menshen/passkey/register", &body.to_string());
    let register = register.header("origin", "https://bank.example").cookie(&raised);
    gate.ask(register).await.expect(200);
    let strange = session_of(enter(&gate, &mut other).await.expect(200));
    assert_eq!((assurance(&gate, &strange).await, list(&gate, &strange).await), (3, 200));
    enrolled(&gate, &own).await;
    assert_eq!(assurance(&gate, &strange).await, 1, "an unknown device");
    let told = gate.ask(Ask::get("/list").cookie(&strange)).await;
    let told = told.expect(401).json();
    assert_eq!(told["step_up"]["fields"], json!(null), "a code would not help: {told}");
    assert!(told["step_up"]["passkey"].is_object(), "the device would: {told}");
    let asked = options(&gate, "raise", Some(&strange)).await;
    let allowed: Vec<_> = asked["allowCredentials"].as_array().unwrap().iter().collect();
    assert_eq!(allowed.len(), 1, "the one that is a device");
    assert_eq!(allowed[0]["id"], json!(text(&own.id)));
    let raised = session_of(raise(&gate, &mut own, &strange).await.expect(200));
    assert_eq!((assurance(&gate, &raised).await, list(&gate, &raised).await), (3, 200));
    let plain = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(list(&gate, &plain).await, 401, "led to the passkey that is a device");
}

#[tokio::test]
async fn a_passkey_device_that_is_revoked_or_whose_passkey_is_removed_opens_nothing() {
    let mut gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    enrolled(&gate, &passkey).await;
    let session = session_of(enter(&gate, &mut passkey).await.expect(200));
    assert_eq!(change(&gate, &session).await, 200);
    assert_eq!(gate.identity().revoke_device("wang-key").await.unwrap(), "wang");
    assert_eq!(change(&gate, &session).await, 401, "the session has ended");
    enter(&gate, &mut passkey).await.expect(401);
    gate.advance_s(60);
    let (mut second, _) = owned(&gate, "wang", KNOWS).await;
    let id = text(&second.id);
    gate.identity().add_passkey_device("wang-key-2", "wang", &id).await.unwrap();
    gate.identity().remove_passkey("wang", &id).await.unwrap();
    enter(&gate, &mut second).await.expect(401);
    let devices = gate.identity().devices().await.unwrap();
    assert!(devices.iter().all(|device| device.revoked_s.is_some() && device.is_passkey));
    gate.advance_s(60);
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(assurance(&gate, &session).await, 1);
    gate.restart().await;
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let revoked = acts.filter(|act| act.name.as_str() == "device_revoked").count();
    assert_eq!(revoked, 2);
}

#[tokio::test]
async fn a_synced_a_foreign_and_an_unknown_passkey_are_no_devices() {
    let gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let (synced, _) = owned(&gate, "wang", KNOWS | BACKUP_ELIGIBLE).await;
    let (theirs, _) = owned(&gate, "li", KNOWS).await;
    let path = |name: &str| gate.path(name).to_str().unwrap().to_owned();
    let (state, key) = (path("state"), path("master.key"));
    let add = |name: &str, account: &str, id: &str| {
        let words = ["device", "add", name, "--account", account, "--passkey", id];
        let output = menshen(&[&words[..], &["--state", &state, "--key", &key]].concat());
        let said = [output.stdout.clone(), output.stderr.clone()].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    for (id, hint) in [
        (text(&synced.id), "may be copied"),
        (text(&theirs.id), "has no passkey"),
        ("AAAA".to_owned(), "`menshen account passkeys wang`"),
        ("not an id".to_owned(), "has no passkey"),
    ] {
        let (code, said) = add("wang-key", "wang", &id);
        assert!(code == 64 && said.contains(hint), "{id}: {code} {said}");
    }
    let (code, said) = add("li-key", "li", &text(&theirs.id));
    assert!(code == 0 && said.contains("`li-key` of `li` was added"), "{said}");
    let (code, said) = add("li-key-again", "li", &text(&theirs.id));
    assert!(code == 64 && said.contains("neither is enrolled twice"), "{said}");
}

#[tokio::test]
async fn whoever_signs_in_by_passkey_is_not_locked_out_by_strangers() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    state.execute("DELETE FROM networks", []).unwrap();
    enter(&gate, &mut passkey).await.expect(200);
    let known = |sql: &str| state.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(known("SELECT count(*) FROM networks"), 1);
}
