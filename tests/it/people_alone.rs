//! What people do without an operator, or with no more than a link of theirs: recovery codes, a new password, the
//! first password by an invitation; and who cannot.

use menshen::audit::Entry;
use menshen::identity::{NewAccount, totp_code_at};
use menshen::secret::Secret;
use serde_json::{Value, json};

use crate::harness::gate::session_of;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, holds};

const PASSWORD: &str = "a quiet lantern";
const NEW: &str = "seven ferries at dawn";
const CODE: &str = "/.menshen/code";
const RECOVERY: &str = "/.menshen/recovery";
const CHANGE: &str = "/.menshen/password";
const INVITATION: &str = "/.menshen/invitation";

async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.addresses.attempts.burst = 1000);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

async fn post(gate: &Gate, path: &str, body: Value, session: &str) -> Answer {
    gate.ask(Ask::post(path, &body.to_string()).cookie(session)).await
}

/// As a page of the gate sends a form.
async fn send(gate: &Gate, path: &str, form: &str, session: Option<&str>) -> Answer {
    let ask = Ask::new("POST", path).form(form).header("sec-fetch-site", "same-origin");
    let ask = ask.header("accept", "text/html");
    gate.ask(session.map_or(ask.clone(), |session| ask.cookie(session))).await
}

async fn look(gate: &Gate, path: &str) -> Answer {
    gate.ask(Ask::get(path).header("accept", "text/html")).await
}

async fn view(gate: &Gate, session: &str) -> u16 {
    gate.ask(Ask::get("/one/1").cookie(session)).await.status.as_u16()
}

/// A session that has just shown its code.
async fn proved(gate: &Gate, secret: &Secret<Vec<u8>>) -> String {
    gate.advance_s(30);
    let session = gate.sign_in("wang", PASSWORD).await;
    let code = totp_code_at(secret, gate.clock.unix_s()).unwrap();
    session_of(post(gate, CODE, json!({ "code": code }), &session).await.expect(200))
}

async fn recovery_codes(gate: &Gate, account: &str) -> Vec<String> {
    let codes = gate.identity().make_recovery_codes(account).await.unwrap();
    codes.shown().map(str::to_owned).collect()
}

/// Name, object, cause of the acts in the log.
fn acts(entries: &[Entry]) -> Vec<(&str, &str, &str)> {
    let acts = entries.iter().filter_map(|entry| {
        let cause = entry.result.as_ref().map_or("", |result| result.cause.as_str());
        entry.act.as_ref().map(|act| (act.name.as_str(), act.object.as_str(), cause))
    });
    acts.collect()
}

#[tokio::test]
async fn a_recovery_code_is_a_second_factor_once_and_recorded_as_what_it_is() {
    let mut gate = started().await;
    gate.enrol("wang").await;
    let codes = recovery_codes(&gate, "wang").await;
    assert_eq!(codes.len(), 10);
    let session = gate.sign_in("wang", PASSWORD).await;
    let page = gate.ask(Ask::get(CODE).header("accept", "text/html").cookie(&session)).await;
    assert!(page.expect(200).text().contains("<details>"), "{}", page.text());
    let typed = codes[3].to_uppercase().replace('-', " ");
    let answer = post(&gate, CODE, json!({ "code": typed }), &session).await;
    assert_eq!(answer.expect(200).json()["assurance"], 2);
    assert_eq!((view(&gate, &session).await, view(&gate, &session_of(&answer)).await), (401, 200));
    let second = gate.sign_in("wang", PASSWORD).await;
    post(&gate, CODE, json!({ "code": codes[3] }), &second).await.expect(401);
    let form = format!("code={}&next=/one/1", codes[4]);
    let sent = send(&gate, CODE, &form, Some(&second)).await;
    assert_eq!(sent.expect(303).header("location"), Some("/one/1"));
    let entries = gate.entries().await;
    let shown = entries.iter().filter_map(|entry| entry.auth.as_ref());
    assert!(shown.into_iter().any(|auth| format!("{:?}", auth.factors).contains("recovery")));
    let acts = acts(&entries);
    assert!(acts.contains(&("recovery_code", "wang", "")), "{acts:?}");
    assert!(acts.contains(&("recovery_code", "wang", "refused")), "{acts:?}");
    assert!(acts.contains(&("recovery_codes_made", "account wang", "")), "{acts:?}");
}

#[tokio::test]
async fn guessed_recovery_codes_lock_the_name_like_one_time_codes() {
    let gate = started().await;
    let codes = recovery_codes(&gate, "wang").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    for guess in 0..10 {
        let guess = json!({ "code": format!("00000-0000{guess}") });
        post(&gate, CODE, guess, &session).await.expect(401);
    }
    let right = json!({ "code": codes[0] });
    post(&gate, CODE, right.clone(), &session).await.expect(429);
    let login = json!({ "account": "wang", "password": PASSWORD }).to_string();
    gate.ask(Ask::post("/.menshen/login", &login)).await.expect(429);
    gate.identity().unlock("wang").await.unwrap();
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let client = gate.client();
        let ask = Ask::post(CODE, &right.to_string()).cookie(&session);
        tries.spawn(async move { client.h1().await.send(ask).await.status.as_u16() });
    }
    let told = tries.join_all().await;
    assert_eq!(told.iter().filter(|status| **status == 200).count(), 1, "{told:?}");
}

#[tokio::test]
async fn recovery_codes_are_of_one_account_and_new_ones_end_the_old() {
    let gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let old = recovery_codes(&gate, "wang").await;
    let new = recovery_codes(&gate, "wang").await;
    let li = gate.sign_in("li", PASSWORD).await;
    post(&gate, CODE, json!({ "code": new[0] }), &li).await.expect(401);
    let wang = gate.sign_in("wang", PASSWORD).await;
    post(&gate, CODE, json!({ "code": old[0] }), &wang).await.expect(401);
    post(&gate, CODE, json!({ "code": new[0] }), &wang).await.expect(200);
    let state = std::fs::read(gate.path("state").join("menshen.db")).unwrap_or_default();
    for code in new.iter().chain(&old) {
        assert!(!holds(&state, code) && !holds(&state, &code.replace('-', "")));
    }
}

#[tokio::test]
async fn people_make_their_own_recovery_codes_only_with_a_fresh_second_factor() {
    let mut gate = started().await;
    let secret = gate.enrol("wang").await;
    let weak = gate.sign_in("wang", PASSWORD).await;
    post(&gate, RECOVERY, json!({}), &weak).await.expect(403);
    send(&gate, RECOVERY, "", Some(&weak)).await.expect(403);
    let strong = proved(&gate, &secret).await;
    let left = gate.ask(Ask::get(RECOVERY).cookie(&strong)).await;
    assert_eq!(left.expect(200).json(), json!({ "left": 0 }));
    let made = post(&gate, RECOVERY, json!({}), &strong).await;
    let codes = made.expect(200).json()["codes"].clone();
    assert_eq!(codes.as_array().unwrap().len(), 10);
    let page = send(&gate, RECOVERY, "", Some(&strong)).await;
    assert!(page.expect(200).text().contains("shown only once"), "{}", page.text());
    let other = gate.sign_in("wang", PASSWORD).await;
    post(&gate, CODE, json!({ "code": codes[0] }), &other).await.expect(401);
    let page = gate.ask(Ask::get(RECOVERY).header("accept", "text/html").cookie(&strong)).await;
    assert!(page.expect(200).text().contains("Codes left: 10."), "{}", page.text());
    gate.advance_s(301);
    post(&gate, RECOVERY, json!({}), &strong).await.expect(403);
    let entries = gate.entries().await;
    let by_wang = entries.iter().any(|entry| {
        entry.act.as_ref().is_some_and(|act| act.name.as_str() == "recovery_codes_made")
            && entry.actor.as_ref().is_some_and(|actor| actor.account.as_str() == "wang")
    });
    assert!(by_wang, "the person did it");
}

#[tokio::test]
async fn people_change_their_password_and_all_other_sessions_end() {
    let mut gate = started().await;
    let other = gate.sign_in("wang", PASSWORD).await;
    let mine = gate.sign_in("wang", PASSWORD).await;
    let change = |old: &str, new: &str| json!({ "old": old, "new": new });
    for (old, new, status) in [
        ("not it at all", NEW, 401),
        (PASSWORD, "Wang-2026-Wang", 422),
        (PASSWORD, "woxihuanni520", 422),
        (PASSWORD, PASSWORD, 422),
        (PASSWORD, "short", 422),
    ] {
        let told = post(&gate, CHANGE, change(old, new), &mine).await;
        assert_eq!(told.status, status, "{old} {new}");
        assert_eq!(told.header("set-cookie"), None);
    }
    assert_eq!((view(&gate, &other).await, view(&gate, &mine).await), (200, 200));
    let changed = post(&gate, CHANGE, change(PASSWORD, NEW), &mine).await;
    let kept = session_of(changed.expect(200));
    assert_eq!(
        (view(&gate, &other).await, view(&gate, &mine).await, view(&gate, &kept).await),
        (401, 401, 200),
        "the session that changed it goes on under a new cookie"
    );
    let login = |password: &str| {
        let body = json!({ "account": "wang", "password": password }).to_string();
        gate.ask(Ask::post("/.menshen/login", &body))
    };
    login(PASSWORD).await.expect(401);
    login(NEW).await.expect(200);
    let entries = gate.entries().await;
    let acts = acts(&entries);
    for act in [
        ("password_change", "wang", "refused"),
        ("password_change", "wang", "weak_password"),
        ("password_change", "wang", ""),
        ("password_changed", "account wang", ""),
    ] {
        assert!(acts.contains(&act), "{act:?}: {acts:?}");
    }
}

#[tokio::test]
async fn nobody_changes_a_password_without_the_second_factor_that_the_account_has() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let change = json!({ "old": PASSWORD, "new": NEW });
    let weak = gate.sign_in("wang", PASSWORD).await;
    post(&gate, CHANGE, change.clone(), &weak).await.expect(403);
    let page = gate.ask(Ask::get(CHANGE).header("accept", "text/html").cookie(&weak)).await;
    assert!(page.expect(200).text().contains("level 2 first"), "{}", page.text());
    let strong = proved(&gate, &secret).await;
    let form = format!("old={}&new={}", PASSWORD.replace(' ', "+"), NEW.replace(' ', "+"));
    let foreign = Ask::new("POST", CHANGE).form(&form).cookie(&strong);
    gate.ask(foreign.header("sec-fetch-site", "cross-site")).await.expect(403);
    gate.advance_s(301);
    post(&gate, CHANGE, change, &strong).await.expect(403);
    let strong = proved(&gate, &secret).await;
    let page = gate.ask(Ask::get(CHANGE).header("accept", "text/html").cookie(&strong)).await;
    assert!(page.expect(200).text().contains("autocomplete=\"new-password\""));
    let sent = send(&gate, CHANGE, &form, Some(&strong)).await;
    assert_eq!(sent.expect(303).header("location"), Some("/.menshen/session?done=password"));
    assert_eq!(view(&gate, &session_of(&sent)).await, 200);
}

#[tokio::test]
async fn wrong_old_passwords_lock_the_name_and_weak_new_ones_do_not() {
    let gate = started().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    for _ in 0..15 {
        let weak = json!({ "old": PASSWORD, "new": "wangwangwang1" });
        post(&gate, CHANGE, weak, &session).await.expect(422);
    }
    let change = json!({ "old": "not it at all", "new": NEW });
    for _ in 0..10 {
        post(&gate, CHANGE, change.clone(), &session).await.expect(401);
    }
    let right = json!({ "old": PASSWORD, "new": NEW });
    post(&gate, CHANGE, right, &session).await.expect(429);
}

/// Invites an account that is new to this host; the token of its link.
async fn invited(gate: &Gate, account: &str, host: &str) -> String {
    let identity = gate.identity();
    if !identity.has_account(account).await.unwrap() {
        let new = NewAccount {
            name: account.to_owned(),
            display_name: account.to_owned(),
            kind: menshen::identity::CallerKind::Staff,
            roles: vec!["teller".to_owned()],
            attributes: [].into(),
            password: Secret::new(String::new()),
        };
        identity.add_invited_account(new).await.unwrap();
    }
    let link = identity.invite(account, host).await.unwrap().link().expose().clone();
    let (before, token) = link.split_once("?t=").unwrap();
    assert_eq!(before, format!("https://{host}{INVITATION}"));
    token.to_owned()
}

#[tokio::test]
async fn an_invitation_sets_the_first_password_and_leads_to_one_time_codes() {
    let mut gate = started().await;
    let token = invited(&gate, "lin", "bank.example").await;
    let link = format!("{INVITATION}?t={token}");
    for _ in 0..2 {
        let page = look(&gate, &link).await;
        assert!(page.expect(200).text().contains("You are invited as"), "{}", page.text());
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    let weak = send(&gate, INVITATION, &format!("t={token}&password=woxihuanni520"), None).await;
    assert!(weak.expect(422).text().contains("easy to guess"), "{}", weak.text());
    let form = format!("t={token}&password={}", NEW.replace(' ', "+"));
    let cross = Ask::new("POST", INVITATION).form(&form).header("sec-fetch-site", "cross-site");
    gate.ask(cross).await.expect(403);
    let page = send(&gate, INVITATION, &form, None).await;
    let session = session_of(page.expect(200));
    let (_, ticket) = page.text().split_once("name=\"ticket\" value=\"").unwrap();
    let ticket = ticket.split('"').next().unwrap();
    let begun = post(&gate, "/.menshen/enrol", json!({ "ticket": ticket }), &session).await;
    let begun = begun.expect(200).json();
    let uri = begun["otpauth"].as_str().unwrap();
    assert!(uri.contains(":lin?"), "{uri}");
    gate.sign_in("lin", NEW).await;
    let entries = gate.entries().await;
    let acts = acts(&entries);
    for act in [
        ("account_added", "account lin", ""),
        ("account_invited", "account lin", ""),
        ("invitation_shown", "lin", ""),
        ("invitation_accept", "lin", "weak_password"),
        ("invitation_accept", "lin", ""),
        ("invitation_accepted", "account lin", ""),
    ] {
        assert!(acts.contains(&act), "{act:?}: {acts:?}");
    }
    let log = gate.log_text();
    assert!(!holds(&log, &token) && !holds(&log, ticket));
}

#[tokio::test]
async fn an_invitation_used_twice_late_elsewhere_or_never_made_is_told_alike() {
    let gate = started().await;
    let used = invited(&gate, "lin", "bank.example").await;
    let answer = json!({ "t": used, "password": NEW });
    gate.ask(Ask::post(INVITATION, &answer.to_string())).await.expect(200);
    let elsewhere = invited(&gate, "mei", "other.example").await;
    let late = invited(&gate, "hao", "bank.example").await;
    let replaced = invited(&gate, "yun", "bank.example").await;
    invited(&gate, "yun", "bank.example").await;
    let disabled = invited(&gate, "bo", "bank.example").await;
    gate.identity().set_standing("bo", menshen::identity::Standing::Suspended).await.unwrap();
    gate.advance_s(24 * 3600);
    let invented = "A".repeat(32);
    let mut told = Vec::new();
    for token in [&used, &elsewhere, &late, &replaced, &disabled, &invented, &String::new()] {
        let body = json!({ "t": token, "password": NEW }).to_string();
        let refused = gate.ask(Ask::post(INVITATION, &body)).await;
        assert_eq!((refused.status.as_u16(), refused.header("set-cookie")), (401, None));
        let page = look(&gate, &format!("{INVITATION}?t={token}")).await;
        page.expect(404);
        told.push((refused.told().2, page.text().to_owned()));
    }
    let first = &told[0];
    assert!(first.1.contains("This invitation is not good"), "{}", first.1);
    for other in &told {
        assert_eq!(other.1, first.1);
        assert_eq!(other.0["detail"], first.0["detail"]);
    }
}

#[tokio::test]
async fn of_many_who_follow_one_invitation_at_once_one_sets_the_password() {
    let gate = started().await;
    let token = invited(&gate, "lin", "bank.example").await;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..6 {
        let password = format!("seven ferries at dawn {number}");
        let body = json!({ "t": token, "password": password }).to_string();
        let client = gate.client();
        tries.spawn(async move {
            let told = client.h1().await.send(Ask::post(INVITATION, &body)).await;
            (told.status.as_u16(), password)
        });
    }
    let told = tries.join_all().await;
    let won: Vec<_> = told.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{told:?}");
    gate.sign_in("lin", &won[0].1).await;
}

#[tokio::test]
async fn an_account_that_was_invited_has_no_password_until_its_person_sets_one() {
    let gate = started().await;
    invited(&gate, "lin", "bank.example").await;
    for guess in ["", "lin", PASSWORD] {
        let body = json!({ "account": "lin", "password": guess }).to_string();
        gate.ask(Ask::post("/.menshen/login", &body)).await.expect(401);
    }
}

#[tokio::test]
async fn an_invitation_of_who_has_a_second_factor_does_not_replace_it() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let before = proved(&gate, &secret).await;
    let token = invited(&gate, "wang", "bank.example").await;
    assert_eq!(view(&gate, &before).await, 200, "an invitation ends nothing before it is used");
    let body = json!({ "t": token, "password": NEW }).to_string();
    let told = gate.ask(Ask::post(INVITATION, &body)).await;
    let said = told.expect(200).json();
    assert_eq!((&said["ticket"], &said["next"]), (&Value::Null, &json!(CODE)));
    assert_eq!(view(&gate, &before).await, 401);
    let session = session_of(&told);
    post(&gate, "/.menshen/enrol", json!({}), &session).await.expect(403);
}

const DAY_S: i64 = 24 * 3600;

#[tokio::test]
async fn an_old_password_is_told_and_nothing_more() {
    let gate = started().await;
    let shown = async |session: &str| {
        let shown = gate.ask(Ask::get("/.menshen/session").cookie(session)).await;
        shown.expect(200).json()["password"].clone()
    };
    gate.advance_s(89 * DAY_S);
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(shown(&session).await, json!({ "days": 89, "is_old": false }));
    gate.advance_s(DAY_S);
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(shown(&session).await, json!({ "days": 90, "is_old": true }));
    let page = Ask::get("/.menshen/session").header("accept", "text/html").cookie(&session);
    let page = gate.ask(page).await;
    assert!(page.expect(200).text().contains("Your password is old."), "{}", page.text());
    assert_eq!(view(&gate, &session).await, 200);
    let change = json!({ "old": PASSWORD, "new": NEW });
    let changed = post(&gate, CHANGE, change, &session).await;
    let session = session_of(changed.expect(200));
    assert_eq!(shown(&session).await, json!({ "days": 0, "is_old": false }));
}

#[tokio::test]
async fn where_the_operator_asks_for_it_an_old_password_is_good_for_its_change_alone() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        config.identity.password.old_after_s = 3600;
        config.identity.password.must_change = true;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(view(&gate, &session).await, 200);
    gate.advance_s(3600);
    let session = gate.sign_in("wang", PASSWORD).await;
    let told = gate.ask(Ask::get("/one/1").cookie(&session)).await;
    assert!(told.expect(403).text().contains("/.menshen/password"), "{}", told.text());
    let led = gate.ask(Ask::get("/one/1").header("accept", "text/html").cookie(&session)).await;
    assert_eq!(led.expect(303).header("location"), Some(CHANGE));
    gate.ask(Ask::get("/one/1").bearer(&gate.teller())).await.expect(200);
    let change = json!({ "old": PASSWORD, "new": NEW });
    let changed = post(&gate, CHANGE, change, &session).await;
    assert_eq!(view(&gate, &session_of(changed.expect(200))).await, 200);
}

#[tokio::test]
async fn an_operator_sees_and_ends_all_sessions_of_an_account() {
    let mut gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    let foreign = gate.sign_in("li", PASSWORD).await;
    let first = gate.sign_in("wang", PASSWORD).await;
    gate.advance_s(60);
    let second = gate.sign_in("wang", PASSWORD).await;
    let identity = gate.identity();
    let sessions = identity.sessions_of("wang").await.unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|one| one.host == "bank.example" && !one.is_this));
    let list = identity.summaries().await.unwrap();
    let wang = list.iter().find(|one| one.account.name == "wang").unwrap();
    assert_eq!((wang.sessions, wang.standing.as_str(), wang.has_password), (2, "active", true));
    let at = wang.signed_in.as_ref().unwrap();
    assert_eq!((at.at_s, at.from.as_str()), (gate.clock.unix_s(), "127.0.0.1"));
    assert_eq!(identity.end_sessions_of("wang").await.unwrap(), 2);
    assert!(identity.end_sessions_of("nobody").await.is_err());
    for session in [&first, &second] {
        assert_eq!(view(&gate, session).await, 401);
    }
    assert_eq!(view(&gate, &foreign).await, 200);
    gate.sign_in("wang", PASSWORD).await;
    let entries = gate.entries().await;
    assert!(acts(&entries).contains(&("sessions_ended", "account wang", "")));
}
