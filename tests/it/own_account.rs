//! What people do about their own accounts: set up one-time codes, look at their sessions and passkeys, end them;
//! and who cannot.

use menshen::audit::Entry;
use menshen::identity::totp_code_at;
use menshen::secret::Secret;
use serde_json::{Value, json};

use crate::harness::gate::session_of;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup};

const PASSWORD: &str = "a quiet lantern";
const ENROL: &str = "/.menshen/enrol";
const DEVICES: &str = "/.menshen/devices";

async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.addresses.attempts.burst = 1000);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

/// As a page of the gate sends a form.
async fn send(gate: &Gate, path: &str, form: &str, session: &str) -> Answer {
    let ask = Ask::new("POST", path).form(form).cookie(session);
    gate.ask(ask.header("sec-fetch-site", "same-origin").header("accept", "text/html")).await
}

async fn look(gate: &Gate, path: &str, session: &str) -> Answer {
    gate.ask(Ask::get(path).header("accept", "text/html").cookie(session)).await
}

async fn listed(gate: &Gate, session: &str) -> Value {
    gate.ask(Ask::get(DEVICES).cookie(session)).await.expect(200).json()
}

/// What an authenticator app takes from the page, and what the page sends back with the first code.
fn scanned(answer: &Answer) -> (Secret<Vec<u8>>, String) {
    let html = answer.text();
    assert!(html.contains("<svg aria-label=\"QR code") && !html.contains("<script"), "{html}");
    let between = |before: &str, after: &str| {
        let (_, rest) = html.split_once(before).unwrap();
        rest.split_once(after).unwrap().0.to_owned()
    };
    let key = between("<span class=\"host\">", "</span>");
    (Secret::new(base32(&key)), between("name=\"pending\" value=\"", "\""))
}

fn base32(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = text.chars().map(|c| format!("{:05b}", alphabet.find(c).unwrap())).collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

fn now_code(gate: &Gate, secret: &Secret<Vec<u8>>) -> String {
    totp_code_at(secret, gate.clock.unix_s()).unwrap()
}

/// A session that has just shown its code.
async fn proved(gate: &Gate, secret: &Secret<Vec<u8>>) -> String {
    gate.advance_s(30);
    let session = gate.sign_in("wang", PASSWORD).await;
    let code = json!({ "code": now_code(gate, secret) }).to_string();
    session_of(gate.ask(Ask::post("/.menshen/code", &code).cookie(&session)).await.expect(200))
}

/// Name and cause of the acts in the log.
fn acts(entries: &[Entry]) -> Vec<(&str, &str)> {
    let acts = entries.iter().filter_map(|entry| {
        let cause = entry.result.as_ref().map_or("", |result| result.cause.as_str());
        entry.act.as_ref().map(|act| (act.name.as_str(), cause))
    });
    acts.collect()
}

#[tokio::test]
async fn a_person_sets_codes_up_with_a_ticket_and_shows_one_of_them_first() {
    let mut gate = started().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let answer = send(&gate, ENROL, "ticket=", &session).await;
    assert!(answer.expect(403).text().contains("level 2"), "{}", answer.text());
    let ticket = gate.identity().allow_passkey("wang").await.unwrap();
    let wrong = send(&gate, ENROL, "ticket=AAAAAAAAAAAAAAAAAAAAAA", &session).await;
    assert!(wrong.expect(403).text().contains("The ticket is not good"), "{}", wrong.text());
    let begun = send(&gate, ENROL, &format!("ticket={}", ticket.expose()), &session).await;
    let (secret, pending) = scanned(begun.expect(200));
    let wrong = send(&gate, ENROL, &format!("pending={pending}&code=000000"), &session).await;
    assert_eq!(scanned(wrong.expect(401)).1, pending, "another try with the same secret");
    let code = now_code(&gate, &secret);
    let right = format!("pending={pending}&code={code}");
    let answer = send(&gate, ENROL, &right, &session).await;
    assert!(answer.expect(200).text().contains("One-time codes are set up"), "{}", answer.text());
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    gate.ask(Ask::get("/one/1").cookie(&session)).await.expect(401);
    let session = gate.sign_in("wang", PASSWORD).await;
    let code = json!({ "code": code }).to_string();
    let again = gate.ask(Ask::post("/.menshen/code", &code).cookie(&session)).await;
    again.expect(401);
    proved(&gate, &secret).await;
    let second = format!("ticket={}", ticket.expose());
    let session = gate.sign_in("wang", PASSWORD).await;
    send(&gate, ENROL, &second, &session).await.expect(403);
    let entries = gate.entries().await;
    let acts = acts(&entries);
    for act in [
        ("codes_enrol_asked", "unproved"),
        ("codes_enrol_asked", "passkey_ticket"),
        ("codes_enrol_asked", ""),
        ("codes_enrol", "refused"),
        ("codes_enrol", ""),
        ("codes_enrolled", ""),
    ] {
        assert!(acts.contains(&act), "{act:?}: {acts:?}");
    }
    let enrolled = entries.iter().find(|entry| {
        entry.act.as_ref().is_some_and(|act| act.name.as_str() == "codes_enrolled")
            && entry.actor.as_ref().is_some_and(|actor| actor.account.as_str() == "wang")
    });
    assert!(enrolled.is_some(), "the person did it");
}

#[tokio::test]
async fn neither_a_password_nor_a_session_left_open_replaces_a_factor() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let weak = gate.sign_in("wang", PASSWORD).await;
    send(&gate, ENROL, "", &weak).await.expect(403);
    let stale = proved(&gate, &secret).await;
    gate.advance_s(301);
    send(&gate, ENROL, "", &stale).await.expect(403);
    let fresh = proved(&gate, &secret).await;
    let (new, pending) = scanned(send(&gate, ENROL, "", &fresh).await.expect(200));
    // Until a code of it was shown the old one is good.
    proved(&gate, &secret).await;
    let code = format!("pending={pending}&code={}", now_code(&gate, &new));
    send(&gate, ENROL, &code, &fresh).await.expect(200);
    proved(&gate, &new).await;
    let other_site = Ask::new("POST", ENROL).form("").cookie(&fresh);
    gate.ask(other_site.header("sec-fetch-site", "cross-site")).await.expect(403);
}

#[tokio::test]
async fn an_enrolment_is_good_in_its_own_session_once_and_for_minutes() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let mine = proved(&gate, &secret).await;
    let other = proved(&gate, &secret).await;
    let (new, pending) = scanned(send(&gate, ENROL, "", &mine).await.expect(200));
    let code = format!("pending={pending}&code={}", now_code(&gate, &new));
    let ended = "The setting up has ended.";
    let answer = send(&gate, ENROL, &code, &other).await;
    assert!(answer.expect(403).text().contains(ended), "{}", answer.text());
    // A secret that was sealed for one enrolment does not open in another.
    let second = scanned(send(&gate, ENROL, "", &other).await.expect(200)).1;
    let (challenge, _) = second.split_once('.').unwrap();
    let (_, sealed) = pending.split_once('.').unwrap();
    for bent in [format!("{challenge}.{sealed}"), "x".into(), ".".into(), format!("{pending}A")] {
        let form = format!("pending={bent}&code={}", now_code(&gate, &new));
        let answer = send(&gate, ENROL, &form, &other).await;
        assert!(answer.expect(403).text().contains(ended), "{bent}: {}", answer.text());
    }
    gate.advance_s(300);
    let late = format!("pending={pending}&code={}", now_code(&gate, &new));
    let answer = send(&gate, ENROL, &late, &mine).await;
    assert!(answer.expect(403).text().contains(ended), "{}", answer.text());
    proved(&gate, &secret).await;
}

#[tokio::test]
async fn people_see_their_sessions_and_end_them_and_nobody_elses() {
    let mut gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let foreign = gate.sign_in("li", PASSWORD).await;
    let foreign_number = listed(&gate, &foreign).await["sessions"][0]["session"].clone();
    let first = gate.sign_in("wang", PASSWORD).await;
    gate.advance_s(60);
    let second = gate.sign_in("wang", PASSWORD).await;
    let list = listed(&gate, &second).await;
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["this"], &sessions[1]["this"]), (&json!(true), &json!(false)));
    assert_eq!(sessions[1]["from"], "127.0.0.1");
    assert_eq!(
        (&sessions[0]["host"], &sessions[0]["assurance"]),
        (&json!("bank.example"), &json!(1))
    );
    let page = look(&gate, DEVICES, &second).await;
    assert!(page.expect(200).text().contains("since 2027-01-15 08:01 UTC"), "{}", page.text());
    let end = |number: &Value| format!("end={}", number.as_str().unwrap());
    send(&gate, DEVICES, &end(&foreign_number), &second).await.expect(303);
    gate.ask(Ask::get("/one/1").cookie(&foreign)).await.expect(200);
    let ended = send(&gate, DEVICES, &end(&sessions[1]["session"]), &second).await;
    assert_eq!(ended.expect(303).header("location"), Some("/.menshen/devices?done=session"));
    gate.ask(Ask::get("/one/1").cookie(&first)).await.expect(401);
    gate.ask(Ask::get("/one/1").cookie(&second)).await.expect(200);
    for strange in ["", "end=x", "end=1&everywhere=1", "end=1&remove=AA"] {
        send(&gate, DEVICES, strange, &second).await.expect(400);
    }
    let third = gate.sign_in("wang", PASSWORD).await;
    let out = send(&gate, DEVICES, "everywhere=1", &second).await;
    assert!(out.expect(200).text().contains("All sessions of your account have ended."));
    for session in [&second, &third] {
        gate.ask(Ask::get("/one/1").cookie(session)).await.expect(401);
    }
    gate.ask(Ask::get("/one/1").cookie(&foreign)).await.expect(200);
    let own = listed(&gate, &foreign).await["sessions"][0]["session"].clone();
    let out = send(&gate, DEVICES, &end(&own), &foreign).await;
    assert!(out.expect(200).text().contains("The session has ended."), "{}", out.text());
    let entries = gate.entries().await;
    let everywhere = entries.iter().filter_map(|entry| entry.act.as_ref());
    let everywhere: Vec<_> =
        everywhere.filter(|act| act.name.as_str() == "sign_out_everywhere").collect();
    assert_eq!((everywhere.len(), everywhere[0].count), (1, Some(2)));
    assert_eq!(acts(&entries).iter().filter(|(name, _)| *name == "session_end").count(), 3);
}

#[tokio::test]
async fn the_page_tells_of_the_last_sign_in_and_the_passwords_age() {
    let gate = started().await;
    let first = gate.sign_in("wang", PASSWORD).await;
    let page = look(&gate, "/.menshen/session", &first).await;
    assert!(page.expect(200).text().contains("<dd id=\"before\">not yet</dd>"), "{}", page.text());
    assert!(page.text().contains("<dd id=\"password-age\">today</dd>"), "{}", page.text());
    gate.advance_s(3 * 24 * 3600);
    let second = gate.sign_in("wang", PASSWORD).await;
    let page = look(&gate, "/.menshen/session", &second).await;
    let before =
        "<dd id=\"before\">2027-01-15 08:00 UTC from <span class=\"host\">127.0.0.1</span></dd>";
    assert!(page.expect(200).text().contains(before), "{}", page.text());
    assert!(page.text().contains("<dd id=\"password-age\">3 days ago</dd>"), "{}", page.text());
    let new = Secret::new("another quiet lantern".to_owned());
    gate.identity().set_password("wang", new).await.unwrap();
    let third = gate.sign_in("wang", "another quiet lantern").await;
    let page = look(&gate, "/.menshen/session", &third).await;
    assert!(page.expect(200).text().contains("<dd id=\"password-age\">today</dd>"));
}
