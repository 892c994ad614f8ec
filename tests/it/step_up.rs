//! A factor that is too weak or too old is asked for as RFC 9470 says, also where a condition on the record asks for it
//! ("balance above zero"), which is known only when the backend's answer comes.

use menshen::audit::{Effect, Entry, Event};
use serde_json::{Value, json};

use crate::harness::gate::session_of;
use crate::harness::{Answer, Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup};

fn export() -> Ask {
    Ask::get("/api/customers/export").header("menshen-purpose", "complaint")
}

#[tokio::test]
async fn an_export_with_a_weak_or_stale_factor_is_asked_for_a_better_one() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json("[]"));
    let mut connection = gate.h1().await;
    for changes in [
        json!({ "acr": "1" }),
        json!({ "acr": null }),
        json!({ "acr": "gold" }),
        json!({ "auth_time": NOW_S - 901 }),
        json!({ "auth_time": null }),
    ] {
        let mut claims = changes.clone();
        claims["roles"] = json!(["supervisor"]);
        let answer = connection.send(export().bearer(&gate.token(&claims))).await;
        let asked = answer.expect(401).header("www-authenticate").unwrap();
        let scheme = "Bearer error=\"insufficient_user_authentication\", error_description=\"";
        assert!(asked.starts_with(scheme), "{changes}: {asked}");
        assert!(asked.ends_with("\", acr_values=\"2\", max_age=900"), "{changes}: {asked}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("one-time code"));
    }
    assert_eq!(gate.upstream.hits(), 0);
    let fresh = gate.token(&json!({ "roles": ["supervisor"] }));
    connection.send(export().bearer(&fresh)).await.expect(200);
    gate.advance_s(901);
    connection.send(export().bearer(&fresh)).await.expect(401);
}

#[tokio::test]
async fn a_one_time_code_lifts_a_session_for_as_long_as_it_is_fresh() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json("[]"));
    gate.add_account("chen", "a quiet lantern", "supervisor").await;
    let secret = gate.enrol("chen").await;
    let mut connection = gate.h2().await;
    let mut session = gate.sign_in("chen", "a quiet lantern").await;
    connection.send(export().cookie(&session)).await.expect(401);
    for _ in 0..2 {
        let code = json!({ "code": gate.code(&secret) }).to_string();
        let answer = connection.send(Ask::post("/.menshen/code", &code).cookie(&session)).await;
        assert_eq!(answer.expect(200).json()["assurance"], 2);
        session = session_of(&answer);
        connection.send(export().cookie(&session)).await.expect(200);
        gate.advance_s(901);
        let stale = connection.send(export().cookie(&session)).await;
        assert!(stale.expect(401).header("www-authenticate").unwrap().contains("max_age=900"));
    }
}

const PHONE: &str = "13800138000";
const KEY: &str = r#"acr_values="3", max_age=300"#;

/// Whoever has money shows a key before balance and telephone are seen in clear.
const FOR_FIELDS: &str =
    "{ where: record.balance > 0, fields: [balance, phone], assurance: 3, fresh: 5m }";
/// Or before anything is.
const FOR_ALL: &str = "{ where: record.balance > 0, assurance: 3, fresh: 5m }";

/// Tellers see balance and telephone in clear, in lists masked where they may not.
fn bank(factors: &str) -> String {
    OPEN_BANK
        .replace(
            "    subject: id\n    fields:\n",
            &format!("    subject: id\n    step-up: [{factors}]\n    fields:\n      balance: {{ grade: 2, kind: amount }}\n"),
        )
        .replace("note, address.city]", "note, phone, balance, address.city]")
        .replace("masked: [phone, ", "masked: [phone, balance, ")
        .replace("action: update\n", "action: update\n    reads: one.view\n")
        .replace("action: delete\n", "action: delete\n    reads: one.view\n")
}

fn customer(balance: &str) -> String {
    format!(r#"{{"id":1,"name":"n","phone":"{PHONE}","balance":{balance}}}"#)
}

fn view(token: &str) -> Ask {
    Ask::get("/one/1").by(token)
}

fn with_key(gate: &Gate, age_s: i64) -> String {
    gate.token(&json!({ "acr": "3", "auth_time": gate.clock.unix_s() - age_s }))
}

/// It asks for a key, and says nothing of the record.
#[track_caller]
fn asks_for_a_key(answer: &Answer) {
    let asked = answer.expect(401).header("www-authenticate").unwrap();
    assert!(asked.contains("insufficient_user_authentication") && asked.ends_with(KEY), "{asked}");
    assert!(!answer.text().contains(PHONE) && !answer.text().contains("balance"), "{answer:?}");
    assert_eq!(answer.json()["step_up"]["acr_values"], "3");
}

fn outcomes(entries: &[Entry]) -> Vec<&Entry> {
    entries.iter().filter(|entry| entry.event == Event::Outcome).collect()
}

#[tokio::test]
async fn a_record_on_which_the_condition_holds_asks_for_the_factor_before_anything_leaves() {
    for factors in [FOR_FIELDS, FOR_ALL] {
        let mut gate = Setup::policy(&bank(factors)).start().await;
        let token = gate.teller();
        // What cannot be evaluated asks as well.
        for balance in ["5", "0.01", "null", "\"much\"", "{}"] {
            gate.upstream.answers(Reply::json(customer(balance)));
            asks_for_a_key(&gate.ask(view(&token)).await);
        }
        gate.upstream.answers(Reply::json(format!(r#"{{"id":1,"phone":"{PHONE}"}}"#)));
        asks_for_a_key(&gate.ask(view(&token)).await);
        gate.upstream.answers(Reply::json(customer("5")));
        asks_for_a_key(&gate.ask(view(&with_key(&gate, 301))).await);
        let shown = gate.ask(view(&with_key(&gate, 0))).await.expect(200).json();
        assert_eq!((&shown["balance"], &shown["phone"]), (&json!(5), &json!(PHONE)));
        gate.upstream.answers(Reply::json(customer("0")));
        let plain = gate.ask(view(&token)).await;
        assert_eq!(plain.expect(200).json()["phone"], PHONE, "nothing is asked of it");
        assert_eq!(plain.header("menshen-step-up"), None);
        let entries = gate.entries().await;
        let asked = outcomes(&entries).into_iter().filter(|entry| entry.decision.is_some());
        let asked: Vec<&Entry> = asked.collect();
        assert_eq!(asked.len(), 7, "each is recorded");
        for entry in asked {
            let decision = entry.decision.as_ref().unwrap();
            let reasons: Vec<&str> = decision.unmet.iter().collect();
            assert_eq!(decision.effect, Effect::Deny);
            assert_eq!(reasons, ["the record asks for a factor of assurance 3 at most 5m old"]);
            let result = entry.result.as_ref().unwrap();
            assert_eq!((result.status, result.cause.as_str()), (Some(401), "step_up"));
            assert!(entry.subjects.is_none() && entry.data.is_none(), "nobody was disclosed");
        }
    }
}

#[tokio::test]
async fn of_a_list_only_what_the_factor_covers_is_kept_back_and_the_answer_says_so() {
    let mut gate = Setup::policy(&bank(FOR_FIELDS)).start().await;
    let token = gate.teller();
    let all = |balances: &[&str]| {
        let items: Vec<String> = balances.iter().map(|balance| customer(balance)).collect();
        Reply::json(format!("[{}]", items.join(",")))
    };
    gate.upstream.answers(all(&["0", "5", "null", "0"]));
    let answer = gate.ask(Ask::get("/all").by(&token)).await;
    let list = answer.expect(200).json();
    let clear = |list: &Value| -> Vec<bool> {
        list.as_array().unwrap().iter().map(|record| record["phone"] == PHONE).collect()
    };
    assert_eq!(clear(&list), [true, false, false, true], "{list}");
    assert_eq!(list[1]["name"], "n", "the rest of the record passes");
    assert_ne!(list[1]["balance"], 5);
    let told = answer.header("menshen-step-up").unwrap();
    assert!(told.starts_with(KEY) && told.contains("customer.balance"), "{told}");
    let answer = gate.ask(Ask::get("/all").by(&with_key(&gate, 0))).await;
    assert_eq!(clear(&answer.expect(200).json()), [true; 4]);
    assert_eq!(answer.header("menshen-step-up"), None);
    gate.upstream.answers(all(&["0", "0"]));
    let answer = gate.ask(Ask::get("/all").by(&token)).await;
    assert_eq!(clear(&answer.expect(200).json()), [true; 2]);
    assert_eq!(answer.header("menshen-step-up"), None, "no record asks for anything");
    let searched = gate.ask(Ask::get(&format!("/list?phone={PHONE}")).by(&token)).await;
    searched.expect(403);
    let entries = gate.entries().await;
    let told: Vec<Option<u64>> = outcomes(&entries)
        .iter()
        .filter_map(|entry| entry.data.as_ref())
        .map(|data| data.step_up)
        .collect();
    assert_eq!(told, [Some(2), None, None]);
}

#[tokio::test]
async fn a_list_that_is_too_long_to_be_held_says_beforehand_what_records_may_ask_for() {
    let gate = Setup::policy(&bank(FOR_ALL)).yaml("bodies: { held-kib: 4 }").start().await;
    let items: Vec<String> = (0..200).map(|n| customer(&(n % 2).to_string())).collect();
    gate.upstream.answers(Reply::json(format!("[{}]", items.join(","))));
    let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
    let list = answer.expect(200).json();
    assert_eq!(list.as_array().unwrap().len(), 100, "the others are not there");
    assert!(list.as_array().unwrap().iter().all(|record| record["balance"] == 0));
    assert!(answer.header("menshen-step-up").unwrap().starts_with(KEY));
}

#[tokio::test]
async fn a_factor_is_not_asked_for_where_showing_it_would_not_help() {
    let rules = concat!(
        "  - name: closed files are left alone\n    deny: [view, search]\n    to: any\n    of: customer\n",
        "    where: record.note == 'closed'\n",
        "  - name: keys are for the vault\n    deny: view\n    to: stranger\n    of: customer\n",
        "    when: caller.assurance > 2\n",
        "  - name: strangers look\n    allow: view\n    to: stranger\n    of: customer\n",
        "    clear: [id, phone, balance]\n    masked: phone\n",
        "  - name: strangers see names\n    allow: view\n    to: stranger\n    of: customer\n",
        "    clear: name\n    when: caller.assurance < 3\n",
    );
    let gate = Setup::policy(&format!("{}{rules}", bank(FOR_FIELDS))).start().await;
    let closed = r#"{"id":1,"name":"n","note":"closed","balance":5}"#;
    gate.upstream.answers(Reply::json(closed));
    gate.ask(view(&gate.teller())).await.expect(404);
    // Whoever has a key is denied: what is left is shown, without an offer.
    let open = format!(r#"{{"id":1,"name":"n","phone":"{PHONE}","note":"open","balance":5}}"#);
    gate.upstream.answers(Reply::json(open));
    let stranger = gate.token(&json!({ "roles": ["stranger"] }));
    let answer = gate.ask(view(&stranger)).await;
    let shown = answer.expect(200).json();
    assert_eq!((&shown["id"], shown.get("balance")), (&json!(1), None));
    assert!(shown["phone"] != PHONE && answer.header("menshen-step-up").is_none(), "{answer:?}");
}

#[tokio::test]
async fn a_rule_asks_for_a_factor_on_records_and_other_rules_do_not() {
    let rule = concat!(
        "  - name: strangers see telephones\n    allow: [view, search]\n    to: stranger\n    of: customer\n",
        "    clear: [id, phone]\n    step-up: { where: record.note == 'known', assurance: 3, fresh: 5m }\n",
        "  - name: strangers see keys\n    allow: [view, search]\n    to: stranger\n    of: customer\n",
        "    clear: id\n",
    );
    let gate = Setup::policy(&format!("{OPEN_BANK}{rule}")).start().await;
    let of = |note: &str| Reply::json(format!(r#"{{"id":1,"phone":"{PHONE}","note":"{note}"}}"#));
    let stranger = gate.token(&json!({ "roles": ["stranger"] }));
    gate.upstream.answers(of("known"));
    asks_for_a_key(&gate.ask(view(&stranger)).await);
    let teller = gate.ask(view(&gate.teller())).await;
    assert_eq!(teller.expect(200).json()["note"], "known", "not a teller's rule");
    gate.upstream.answers(of("unknown"));
    assert_eq!(gate.ask(view(&stranger)).await.expect(200).json()["phone"], PHONE);
    let raised = gate.token(&json!({ "roles": ["stranger"], "acr": "3" }));
    gate.upstream.answers(of("known"));
    assert_eq!(gate.ask(view(&raised)).await.expect(200).json()["phone"], PHONE);
}

#[tokio::test]
async fn a_change_of_a_record_on_which_the_condition_holds_waits_for_the_factor() {
    for factors in [FOR_FIELDS, FOR_ALL] {
        let mut gate = Setup::policy(&bank(factors)).start().await;
        let token = gate.teller();
        let change = |token: &str| Ask::patch("/one/1", r#"{"phone":"13900139000"}"#).by(token);
        gate.upstream.answers(Reply::json(customer("5")));
        asks_for_a_key(&gate.ask(change(&token)).await);
        let removes = factors == FOR_ALL;
        if removes {
            asks_for_a_key(&gate.ask(Ask::new("DELETE", "/one/1").by(&token)).await);
        }
        let asked = gate.upstream.asked();
        assert!(asked.iter().all(|asked| asked.method == "GET"), "nothing was changed: {asked:?}");
        gate.ask(change(&with_key(&gate, 0))).await.expect(200);
        assert_eq!(gate.upstream.asked().last().unwrap().method, "PATCH");
        gate.upstream.answers(Reply::json(customer("0")));
        gate.ask(change(&token)).await.expect(200);
        let entries = gate.entries().await;
        let denied = outcomes(&entries).into_iter().filter(|entry| entry.decision.is_some());
        assert_eq!(denied.count(), if removes { 2 } else { 1 });
    }
}

const PASSWORD: &str = "a quiet lantern";

/// As a browser goes somewhere from a page of the same host.
fn browse(ask: Ask, session: &str) -> Ask {
    ask.cookie(session)
        .header("accept", "text/html")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

/// A bank whose browsers show a code before they see or save a record with money; and what is theirs meanwhile.
async fn browsed() -> (Gate, String, menshen::secret::Secret<Vec<u8>>) {
    let save = "  one.save:\n    match: POST bank.example/one/{id}\n    to: core\n    action: update\n    reads: one.view\n    sent-as: form\n    accepts: { customer: $ }\n    returns: { customer: $ }\nroles:";
    let factors = "{ where: record.balance > 0, assurance: 2, fresh: 15m }, { where: record.note == 'vault', assurance: 3 }";
    let gate = Setup::policy(&bank(factors).replacen("roles:", save, 1)).start().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let secret = gate.enrol("wang").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"note":"n","balance":5}"#));
    (gate, session, secret)
}

#[tokio::test]
async fn a_browser_that_meets_such_a_record_is_led_to_the_factor_and_back() {
    let asks = [Ask::get("/one/1"), Ask::new("POST", "/one/1").form("name=li")];
    for (ask, method, changes) in
        asks.into_iter().zip(["GET", "POST"]).map(|(a, m)| (a, m, m == "POST"))
    {
        let (mut gate, session, secret) = browsed().await;
        let mut connection = gate.h2().await;
        let led = connection.send(browse(ask, &session)).await;
        let to = led.expect(303).header("location").unwrap().to_owned();
        assert!(to.starts_with("/.menshen/step-up?r="), "{to}");
        let before = gate.upstream.hits();
        assert_eq!(before, 1, "the record was read");
        let form = format!("code={}&next={to}", gate.code(&secret));
        let shown = Ask::new("POST", "/.menshen/code").form(&form);
        let session = session_of(connection.send(browse(shown, &session)).await.expect(303));
        let (path, r) = to.split_once('?').unwrap();
        let confirm = || browse(Ask::new("POST", path).form(r), &session);
        let sent = connection.send(confirm()).await;
        assert_eq!(sent.expect(200).json()["id"], 1);
        let asked = gate.upstream.asked();
        let last = asked.last().unwrap();
        assert_eq!((last.method.as_str(), asked.len()), (method, 2 + usize::from(changes)));
        assert_eq!(last.body, if changes { b"name=li".to_vec() } else { Vec::new() });
        connection.send(confirm()).await.expect(404);
        let entries = gate.entries().await;
        let kept = outcomes(&entries).into_iter().filter_map(|entry| entry.act.as_ref());
        let kept: Vec<&str> = kept.map(|act| act.name.as_str()).collect();
        assert_eq!(kept, ["request_kept"], "the outcome says that it waits");
    }
}

#[tokio::test]
async fn a_record_that_asks_for_more_after_the_factor_was_shown_leads_to_no_loop() {
    let (gate, session, secret) = browsed().await;
    let mut connection = gate.h2().await;
    let led = connection.send(browse(Ask::get("/one/1"), &session)).await;
    let to = led.expect(303).header("location").unwrap().to_owned();
    // A script is told what to do, and repeats its request itself.
    let script = connection.send(Ask::get("/one/1").cookie(&session)).await;
    assert_eq!(script.expect(401).json()["step_up"]["post"], "/.menshen/code");
    let form = format!("code={}&next={to}", gate.code(&secret));
    let shown = Ask::new("POST", "/.menshen/code").form(&form);
    let session = session_of(connection.send(browse(shown, &session)).await.expect(303));
    gate.upstream.answers(Reply::json(r#"{"id":1,"note":"vault","balance":5}"#));
    let (path, r) = to.split_once('?').unwrap();
    let again = connection.send(browse(Ask::new("POST", path).form(r), &session)).await;
    assert_eq!(again.expect(401).header("location"), None, "{}", again.text());
    assert!(!again.text().contains("vault"));
}
