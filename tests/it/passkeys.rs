//! Passkeys from their making to their removal, with an authenticator in software; and the ways to abuse them.

use menshen::audit::{Concern, Entry};
use menshen::identity::Standing;
use serde_json::{Value, json};

use crate::harness::authenticator::{Made, Passkey, Shown, USER_PRESENT, USER_VERIFIED};
use crate::harness::gate::session_of;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup};

pub(crate) const PASSWORD: &str = "a quiet lantern";
const HOST: &str = "bank.example";
const ORIGIN: &str = "https://bank.example";

pub(crate) async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        config.addresses.attempts.burst = 1000;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

pub(crate) async fn post(gate: &Gate, step: &str, body: &Value, session: Option<&str>) -> Answer {
    let ask = Ask::post(&format!("/.menshen/passkey/{step}"), &body.to_string());
    let ask = ask.header("origin", ORIGIN);
    gate.ask(if let Some(session) = session { ask.cookie(session) } else { ask }).await
}

pub(crate) async fn options(gate: &Gate, purpose: &str, session: Option<&str>) -> Value {
    let answer = post(gate, "options", &json!({ "for": purpose }), session).await;
    answer.expect(200).json()["publicKey"].clone()
}

pub(crate) fn challenge(options: &Value) -> &str {
    options["challenge"].as_str().unwrap()
}

/// A session of level 2, whose code has just been shown.
pub(crate) async fn with_code(gate: &Gate, account: &str) -> String {
    let secret = gate.enrol(account).await;
    let session = gate.sign_in(account, PASSWORD).await;
    let code = json!({ "code": gate.code(&secret) }).to_string();
    session_of(gate.ask(Ask::post("/.menshen/code", &code).cookie(&session)).await.expect(200))
}

/// Makes the passkey in that session.
pub(crate) async fn make(gate: &Gate, passkey: &mut Passkey, session: &str) {
    let options = options(gate, "register", Some(session)).await;
    let made = made_for(passkey, &options);
    let body = json!({ "name": "blue key", "credential": passkey.made_json(&made) });
    post(gate, "register", &body, Some(session)).await.expect(200);
}

fn made_for(passkey: &mut Passkey, options: &Value) -> Made {
    use base64::Engine as _;
    let handle = options["user"]["id"].as_str().unwrap();
    passkey.user_handle = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(handle).unwrap();
    passkey.make(challenge(options), ORIGIN)
}

/// A new passkey of the account, made in a session with a fresh code.
pub(crate) async fn owned(gate: &Gate, account: &str, flags: u8) -> (Passkey, String) {
    let session = with_code(gate, account).await;
    let mut passkey = Passkey::new(-7, HOST);
    passkey.flags = flags;
    make(gate, &mut passkey, &session).await;
    (passkey, session)
}

pub(crate) const KNOWS: u8 = USER_PRESENT | USER_VERIFIED;

async fn show(
    gate: &Gate,
    step: &str,
    passkey: &Passkey,
    shown: &Shown,
    session: Option<&str>,
) -> Answer {
    post(gate, step, &json!({ "credential": passkey.shown_json(shown) }), session).await
}

pub(crate) async fn enter(gate: &Gate, passkey: &mut Passkey) -> Answer {
    let options = options(gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&options), ORIGIN);
    show(gate, "sign-in", passkey, &shown, None).await
}

pub(crate) async fn raise(gate: &Gate, passkey: &mut Passkey, session: &str) -> Answer {
    let options = options(gate, "raise", Some(session)).await;
    let shown = passkey.sign(challenge(&options), ORIGIN);
    show(gate, "raise", passkey, &shown, Some(session)).await
}

async fn view(gate: &Gate, session: &str) -> u16 {
    gate.ask(Ask::get("/one/1").cookie(session)).await.status.as_u16()
}

/// Name, object, and cause of all session entries about passkeys.
fn steps(entries: &[Entry]) -> Vec<(String, String, String)> {
    let steps = entries.iter().filter_map(|entry| {
        let act = entry.act.as_ref()?;
        let cause = entry.result.as_ref().map(|result| result.cause.as_str().to_owned());
        act.name.as_str().starts_with("passkey").then(|| {
            (act.name.as_str().into(), act.object.as_str().into(), cause.unwrap_or_default())
        })
    });
    steps.collect()
}

#[tokio::test]
async fn a_passkey_is_made_raises_a_session_and_signs_in_alone() {
    let mut gate = started().await;
    let session = with_code(&gate, "wang").await;
    let asked = options(&gate, "register", Some(&session)).await;
    assert_eq!(asked["rp"], json!({ "id": HOST, "name": HOST }));
    assert_eq!((&asked["attestation"], &asked["user"]["name"]), (&json!("none"), &json!("wang")));
    let algorithms: Vec<_> = asked["pubKeyCredParams"].as_array().unwrap().iter().collect();
    assert_eq!(
        algorithms.iter().map(|a| a["alg"].as_i64().unwrap()).collect::<Vec<_>>(),
        [-7, -8, -35, -257]
    );
    let mut passkey = Passkey::new(-7, HOST);
    let made = made_for(&mut passkey, &asked);
    let body = json!({ "name": "blue key", "credential": passkey.made_json(&made) });
    let answer = post(&gate, "register", &body, Some(&session)).await;
    assert_eq!(
        (&answer.expect(200).json()["assurance"], &answer.json()["name"]),
        (&json!(3), &json!("blue key"))
    );
    let raised = raise(&gate, &mut passkey, &session).await;
    assert_eq!(
        raised.expect(200).json(),
        json!({ "account": "wang", "assurance": 3, "next": null })
    );
    assert_eq!(view(&gate, &session).await, 401, "the weaker cookie is dead");
    assert_eq!(view(&gate, &session_of(&raised)).await, 200);
    let alone = enter(&gate, &mut passkey).await;
    assert_eq!(alone.expect(200).json()["assurance"], 3);
    assert_eq!(view(&gate, &session_of(&alone)).await, 200);
    let entries = gate.entries().await;
    let step = |name: &str, object: &str| (name.to_owned(), object.to_owned(), String::new());
    assert_eq!(
        steps(&entries),
        [
            step("passkey_register_asked", "wang"),
            step("passkey_register", "wang"),
            step("passkey_added", "account wang"),
            step("passkey_raise_asked", "wang"),
            step("passkey_raise", "wang"),
            step("passkey_sign_in_asked", ""),
            step("passkey_sign_in", "wang"),
        ]
    );
    let added =
        entries.iter().find(|e| e.act.as_ref().is_some_and(|a| a.name.as_str() == "passkey_added"));
    let actor = added.unwrap().actor.as_ref().unwrap();
    assert_eq!((actor.account.as_str(), actor.kind), ("wang", None));
}

#[tokio::test]
async fn a_found_session_or_a_weaker_factor_begets_no_passkey() {
    let gate = started().await;
    let register = json!({ "for": "register" });
    let weak = gate.sign_in("wang", PASSWORD).await;
    let answer = post(&gate, "options", &register, Some(&weak)).await;
    assert!(answer.expect(403).text().contains("level 2"), "{}", answer.text());
    let stale = with_code(&gate, "wang").await;
    gate.advance_s(301);
    post(&gate, "options", &register, Some(&stale)).await.expect(403);
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    let answer = post(&gate, "options", &register, Some(&session)).await;
    assert!(answer.expect(403).text().contains("level 3"), "a code begets no second key");
    let raised = session_of(raise(&gate, &mut passkey, &session).await.expect(200));
    let again = options(&gate, "register", Some(&raised)).await;
    assert_eq!(again["excludeCredentials"].as_array().unwrap().len(), 1);
    post(&gate, "options", &register, None).await.expect(401);
    let token =
        Ask::post("/.menshen/passkey/options", &register.to_string()).bearer(&gate.teller());
    gate.ask(token).await.expect(401);
}

#[tokio::test]
async fn a_step_up_names_the_passkey_that_leads_through_and_no_weaker_one() {
    let needs_a_key = "    action: delete\n    require: { assurance: 3 }\n";
    let policy = OPEN_BANK.replace("    action: delete\n", needs_a_key);
    let gate = Setup::policy(&policy).start().await;
    gate.upstream.answers(Reply::json("{}"));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate.add_account("li", PASSWORD, "teller").await;
    let delete = |session: &str| {
        let ask = Ask::new("DELETE", "/one/1").header("sec-fetch-site", "same-origin");
        ask.cookie(session)
    };
    let (_, weak) = owned(&gate, "li", USER_PRESENT).await;
    let told = gate.ask(delete(&weak)).await.expect(401).json();
    assert_eq!(told["step_up"]["passkey"], json!(null));
    assert!(told["step_up"]["then"].as_str().unwrap().contains("enrolled"), "{told}");
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    let told = gate.ask(delete(&session)).await.expect(401).json();
    let (step, code) = (&told["step_up"]["passkey"], &told["step_up"]["post"]);
    assert_eq!(code, &json!(null), "no code would do");
    let path = step["options"]["post"].as_str().unwrap();
    let ask = Ask::post(path, &step["options"]["body"].to_string()).header("origin", ORIGIN);
    let options = gate.ask(ask.cookie(&session)).await.expect(200).json()["publicKey"].clone();
    assert_eq!(options["userVerification"], "required");
    let shown = passkey.sign(challenge(&options), ORIGIN);
    let credential = json!({ "credential": passkey.shown_json(&shown) }).to_string();
    let ask = Ask::post(step["post"].as_str().unwrap(), &credential).header("origin", ORIGIN);
    let raised = session_of(gate.ask(ask.cookie(&session)).await.expect(200));
    gate.ask(delete(&raised)).await.expect(204);
}

#[tokio::test]
async fn people_remove_a_passkey_after_showing_their_strongest_factor_and_not_before() {
    let mut gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    gate.add_account("li", PASSWORD, "teller").await;
    let id = crate::harness::authenticator::text(&passkey.id);
    let remove = |session: &str| {
        let ask = Ask::new("POST", "/.menshen/devices").form(&format!("remove={id}"));
        ask.cookie(session).header("sec-fetch-site", "same-origin")
    };
    let answer = gate.ask(remove(&session)).await;
    assert!(answer.expect(403).text().contains("level 3"), "a code is not enough");
    let foreign = with_code(&gate, "li").await;
    gate.ask(remove(&foreign)).await.expect(401);
    let raised = session_of(raise(&gate, &mut passkey, &session).await.expect(200));
    let out = gate.ask(remove(&raised)).await;
    assert!(out.expect(200).text().contains("The passkey was removed"), "{}", out.text());
    assert_eq!(view(&gate, &raised).await, 401, "its sessions have ended");
    enter(&gate, &mut passkey).await.expect(401);
    let entries = gate.entries().await;
    let removed = entries
        .iter()
        .find(|entry| entry.act.as_ref().is_some_and(|act| act.name.as_str() == "passkey_removed"));
    assert_eq!(removed.unwrap().actor.as_ref().unwrap().account.as_str(), "wang");
}

#[tokio::test]
async fn an_operators_ticket_lets_one_account_make_one_passkey() {
    let mut gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let ticket = gate.identity().allow_passkey("wang").await.unwrap();
    let with_ticket = json!({ "for": "register", "ticket": ticket.expose() });
    let other = gate.sign_in("li", PASSWORD).await;
    post(&gate, "options", &with_ticket, Some(&other)).await.expect(401);
    let wrong = json!({ "for": "register", "ticket": "AAAAAAAAAAAAAAAAAAAAAA" });
    let session = gate.sign_in("wang", PASSWORD).await;
    post(&gate, "options", &wrong, Some(&session)).await.expect(401);
    // Two registrations begin with it; only one ends.
    let second = gate.sign_in("wang", PASSWORD).await;
    let mut statuses = Vec::new();
    let mut begun = Vec::new();
    for session in [&session, &second] {
        let answer = post(&gate, "options", &with_ticket, Some(session)).await;
        begun.push((session, answer.expect(200).json()["publicKey"].clone()));
    }
    for (session, options) in begun {
        let mut passkey = Passkey::new(-8, HOST);
        let made = made_for(&mut passkey, &options);
        let body = json!({ "credential": passkey.made_json(&made) });
        statuses.push(post(&gate, "register", &body, Some(session)).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 401]);
    post(&gate, "options", &with_ticket, Some(&session)).await.expect(401);
    assert_eq!(gate.identity().passkeys("wang").await.unwrap().len(), 1);
    let late = gate.identity().allow_passkey("li").await.unwrap();
    gate.advance_s(24 * 3600);
    let other = gate.sign_in("li", PASSWORD).await;
    let late = json!({ "for": "register", "ticket": late.expose() });
    post(&gate, "options", &late, Some(&other)).await.expect(401);
    let told = format!("{:?}", gate.entries().await);
    assert!(told.contains("passkey_allowed") && !told.contains(ticket.expose().as_str()));
}

#[tokio::test]
async fn a_challenge_is_answered_once_in_time_in_its_session_and_ceremony() {
    let gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    let asked = options(&gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(200);
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(401);
    let asked = options(&gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    gate.advance_s(300);
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(401);
    let invented = passkey.sign("Y2hhbGxlbmdl", ORIGIN);
    show(&gate, "sign-in", &passkey, &invented, None).await.expect(401);
    // One for raising signs nobody in, and is gone then.
    let asked = options(&gate, "raise", Some(&session)).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(401);
    show(&gate, "raise", &passkey, &shown, Some(&session)).await.expect(401);
    // One for signing in raises nothing; one of another session neither.
    let asked = options(&gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    show(&gate, "raise", &passkey, &shown, Some(&session)).await.expect(401);
    let other = gate.sign_in("wang", PASSWORD).await;
    let asked = options(&gate, "raise", Some(&other)).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    show(&gate, "raise", &passkey, &shown, Some(&session)).await.expect(401);
    // A newer one of the session replaces the older.
    let first = options(&gate, "raise", Some(&session)).await;
    let second = options(&gate, "raise", Some(&session)).await;
    let shown = passkey.sign(challenge(&first), ORIGIN);
    show(&gate, "raise", &passkey, &shown, Some(&session)).await.expect(401);
    let shown = passkey.sign(challenge(&second), ORIGIN);
    show(&gate, "raise", &passkey, &shown, Some(&session)).await.expect(200);
}

#[tokio::test]
async fn two_answers_at_once_open_one_session() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    let asked = options(&gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    let answers = tokio::join!(
        show(&gate, "sign-in", &passkey, &shown, None),
        show(&gate, "sign-in", &passkey, &shown, None)
    );
    let mut statuses = [answers.0.status.as_u16(), answers.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_key_that_does_not_know_its_person_gives_level_2_beside_a_password_and_nothing_alone() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", USER_PRESENT).await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let raised = raise(&gate, &mut passkey, &session).await;
    assert_eq!(raised.expect(200).json()["assurance"], 2);
    enter(&gate, &mut passkey).await.expect(401);
    // A PIN that is set later is set by whoever has the key.
    passkey.flags = KNOWS;
    enter(&gate, &mut passkey).await.expect(401);
    let raised = raise(&gate, &mut passkey, &session_of(&raised)).await;
    assert_eq!(raised.expect(200).json()["assurance"], 2);
}

#[tokio::test]
async fn a_key_that_knew_its_person_and_does_not_now_gives_no_level_3() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    passkey.flags = USER_PRESENT;
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(raise(&gate, &mut passkey, &session).await.expect(200).json()["assurance"], 2);
    enter(&gate, &mut passkey).await.expect(401);
    passkey.flags = KNOWS;
    enter(&gate, &mut passkey).await.expect(200);
}

#[tokio::test]
async fn a_copied_passkey_is_refused_and_an_alert() {
    let mut gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    for _ in 0..2 {
        enter(&gate, &mut passkey).await.expect(200);
    }
    passkey.sign_count = 1;
    enter(&gate, &mut passkey).await.expect(401);
    passkey.sign_count = 1;
    raise(&gate, &mut passkey, &session).await.expect(401);
    let entries = gate.entries().await;
    let cloned = ("passkey_sign_in".into(), "wang".into(), "passkey_cloned".into());
    assert!(steps(&entries).contains(&cloned), "{:?}", steps(&entries));
    let alert = entries.iter().find(|entry| {
        entry.alert.as_ref().is_some_and(|alert| alert.concern == Concern::ClonedPasskey)
    });
    assert_eq!(alert.unwrap().actor.as_ref().unwrap().account.as_str(), "wang");
}

#[tokio::test]
async fn nobody_uses_the_passkey_of_somebody_else() {
    let gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let (mut theirs, _) = owned(&gate, "wang", KNOWS).await;
    let (mut mine, session) = owned(&gate, "li", KNOWS).await;
    let asked = options(&gate, "raise", Some(&session)).await;
    assert_eq!(asked["allowCredentials"].as_array().unwrap().len(), 1, "only one's own");
    let shown = theirs.sign(challenge(&asked), ORIGIN);
    show(&gate, "raise", &theirs, &shown, Some(&session)).await.expect(401);
    // Signed by one, said to be the other.
    let handle = std::mem::replace(&mut mine.user_handle, theirs.user_handle.clone());
    enter(&gate, &mut mine).await.expect(401);
    mine.user_handle = handle;
    let id = std::mem::replace(&mut mine.id, theirs.id.clone());
    enter(&gate, &mut mine).await.expect(401);
    mine.id = id;
    assert_eq!(enter(&gate, &mut mine).await.expect(200).json()["account"], "li");
    let asked = options(&gate, "sign-in", None).await;
    let shown = mine.sign(challenge(&asked), ORIGIN);
    let mut silent = mine.shown_json(&shown);
    silent["response"]["userHandle"] = Value::Null;
    post(&gate, "sign-in", &json!({ "credential": silent }), None).await.expect(401);
    let copied = with_code(&gate, "wang").await;
    post(&gate, "options", &json!({ "for": "register" }), Some(&copied)).await.expect(403);
}

#[tokio::test]
async fn another_page_host_or_content_type_gets_nowhere() {
    let gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    let body = json!({ "for": "sign-in" }).to_string();
    for step in ["options", "register", "sign-in", "raise"] {
        let path = format!("/.menshen/passkey/{step}");
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://bank.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let ask = Ask::post(&path, &body).cookie(&session).header(name, value);
            gate.ask(ask).await.expect(403);
        }
        let form = Ask::new("POST", &path).form("for=sign-in").header("origin", ORIGIN);
        gate.ask(form).await.expect(400);
        gate.ask(Ask::get(&path)).await.expect(404);
        post(&gate, step, &json!({ "for": "x" }), Some(&session)).await.expect(400);
    }
    post(&gate, "other", &json!({}), None).await.expect(404);
    let large = json!({ "for": "sign-in", "name": "a".repeat(17_000) });
    post(&gate, "options", &large, None).await.expect(413);
    let twice = r#"{"for":"sign-in","for":"raise"}"#;
    gate.ask(Ask::post("/.menshen/passkey/options", twice)).await.expect(400);
    for origin in ["https://evil.example", "https://bank.example:8443", "http://bank.example"] {
        let asked = options(&gate, "sign-in", None).await;
        let shown = passkey.sign(challenge(&asked), origin);
        show(&gate, "sign-in", &passkey, &shown, None).await.expect(401);
    }
    passkey.rp_id = "evil.example".to_owned();
    enter(&gate, &mut passkey).await.expect(401);
    passkey.rp_id = HOST.to_owned();
    enter(&gate, &mut passkey).await.expect(200);
}

#[tokio::test]
async fn a_port_that_the_browser_names_belongs_to_the_origin() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    for (origin, status) in [("https://bank.example", 401), ("https://bank.example:8443", 200)] {
        let asked = options(&gate, "sign-in", None).await;
        let shown = passkey.sign(challenge(&asked), origin);
        let body = json!({ "credential": passkey.shown_json(&shown) }).to_string();
        let ask = Ask::post("/.menshen/passkey/sign-in", &body);
        gate.ask(ask.header("host", "bank.example:8443")).await.expect(status);
    }
}

#[tokio::test]
async fn a_removed_passkey_and_a_disabled_account_open_nothing() {
    let mut gate = started().await;
    let (mut passkey, session) = owned(&gate, "wang", KNOWS).await;
    gate.identity().set_standing("wang", Standing::Disabled).await.unwrap();
    enter(&gate, &mut passkey).await.expect(401);
    gate.identity().set_standing("wang", Standing::Active).await.unwrap();
    let alone = session_of(enter(&gate, &mut passkey).await.expect(200));
    let id = gate.identity().passkeys("wang").await.unwrap()[0].id.clone();
    assert!(gate.identity().remove_passkey("li", &id).await.is_err());
    gate.identity().remove_passkey("wang", &id).await.unwrap();
    assert_eq!((view(&gate, &session).await, view(&gate, &alone).await), (401, 401));
    enter(&gate, &mut passkey).await.expect(401);
    let fresh = with_code(&gate, "wang").await;
    let none = post(&gate, "options", &json!({ "for": "raise" }), Some(&fresh)).await;
    assert!(none.expect(401).text().contains("no passkey on this host"));
    let entries = gate.entries().await;
    let removed = ("passkey_removed".into(), "account wang".into(), String::new());
    assert!(steps(&entries).contains(&removed), "{:?}", steps(&entries));
}

#[tokio::test]
async fn a_name_that_strangers_locked_signs_in_with_its_passkey() {
    let gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    let wrong = json!({ "account": "wang", "password": "wrong wrong wrong" }).to_string();
    for _ in 0..10 {
        gate.ask(Ask::post("/.menshen/login", &wrong)).await.expect(401);
    }
    gate.ask(Ask::post("/.menshen/login", &wrong)).await.expect(429);
    enter(&gate, &mut passkey).await.expect(200);
}

#[tokio::test]
async fn a_row_that_was_written_by_hand_is_refused() {
    let mut gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    let (mut weak, _) = owned(&gate, "li", USER_PRESENT).await;
    let connection = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    connection.execute("UPDATE passkeys SET verifies = 1 WHERE account = 'li'", []).unwrap();
    connection.execute("UPDATE passkeys SET name = 'x' WHERE account = 'wang'", []).unwrap();
    weak.flags = KNOWS;
    enter(&gate, &mut weak).await.expect(401);
    enter(&gate, &mut passkey).await.expect(401);
    let damaged = ("passkey_sign_in".into(), String::new(), "passkey_damaged".into());
    let entries = gate.entries().await;
    assert_eq!(steps(&entries).iter().filter(|step| **step == damaged).count(), 2);
}

#[tokio::test]
async fn passkeys_outlive_a_restart_and_a_challenge_does_too() {
    let mut gate = started().await;
    let (mut passkey, _) = owned(&gate, "wang", KNOWS).await;
    let asked = options(&gate, "sign-in", None).await;
    let shown = passkey.sign(challenge(&asked), ORIGIN);
    gate.restart().await;
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(200);
    show(&gate, "sign-in", &passkey, &shown, None).await.expect(401);
}
