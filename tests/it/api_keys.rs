//! API keys: what they open, what they do not, and how they end.

use menshen::identity::{NewApiKey, Standing};
use serde_json::json;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, holds};

const PASSWORD: &str = "a quiet lantern";
const DAY_S: u32 = 24 * 3600;

async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.addresses.attempts.burst = 1000);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("reports", PASSWORD, "teller").await;
    gate
}

async fn issue(gate: &Gate, life_s: u32) -> (String, String) {
    let new = NewApiKey {
        account: "reports".to_owned(),
        roles: vec!["teller".to_owned()],
        zones: vec!["business".to_owned()],
        life_s,
    };
    let (info, key) = gate.identity().issue_api_key(new).await.unwrap();
    (info.id, key.expose().clone())
}

fn view(key: &str) -> Ask {
    Ask::get("/one/1").header("authorization", &format!("ApiKey {key}"))
}

#[tokio::test]
async fn an_api_key_acts_for_its_account_in_its_roles_and_zones_until_it_ends() {
    let mut gate = started().await;
    let (id, key) = issue(&gate, DAY_S).await;
    for mut connection in [gate.h1().await, gate.h2().await] {
        connection.send(view(&key)).await.expect(200);
    }
    let lower = Ask::get("/one/1").header("authorization", &format!("apikey {key}"));
    gate.ask(lower).await.expect(200);
    gate.public_client().h1().await.send(view(&key)).await.expect(401);
    gate.advance_s(i64::from(DAY_S) - 1);
    gate.ask(view(&key)).await.expect(200);
    let used = gate.identity().api_keys().await.unwrap().remove(0);
    assert!(used.used_s.is_some());
    gate.advance_s(1);
    gate.ask(view(&key)).await.expect(401);
    let entries = gate.entries().await;
    let entry = entries.iter().find(|e| e.decision.is_some() && e.data.is_some()).unwrap();
    let auth = entry.auth.as_ref().unwrap();
    assert_eq!(entry.actor.as_ref().unwrap().account.as_str(), "reports");
    assert_eq!((auth.credential.as_str(), auth.token.as_str()), ("api_key", id.as_str()));
    assert_eq!(auth.assurance, 1);
}

#[tokio::test]
async fn a_key_that_was_revoked_or_whose_account_was_switched_off_opens_nothing() {
    let gate = started().await;
    let (first, second) = (issue(&gate, DAY_S).await, issue(&gate, DAY_S).await);
    gate.identity().revoke_api_key(&first.0).await.unwrap();
    gate.ask(view(&first.1)).await.expect(401);
    gate.ask(view(&second.1)).await.expect(200);
    assert!(gate.identity().revoke_api_key(&first.0).await.is_err(), "once");
    gate.identity().set_standing("reports", Standing::Disabled).await.unwrap();
    gate.ask(view(&second.1)).await.expect(401);
}

#[tokio::test]
async fn a_key_has_no_role_that_it_was_not_given() {
    let gate = started().await;
    let ask = |roles: &[&str], zones: &[&str], life_s| NewApiKey {
        account: "reports".to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        zones: zones.iter().map(|zone| (*zone).to_owned()).collect(),
        life_s,
    };
    let identity = gate.identity();
    for new in [
        ask(&["stranger"], &["business"], DAY_S),
        ask(&[], &["business"], DAY_S),
        ask(&["teller"], &[], DAY_S),
        ask(&["teller"], &["business"], 0),
        ask(&["teller"], &["business"], 401 * DAY_S),
        NewApiKey { account: "nobody".to_owned(), ..ask(&["teller"], &["business"], DAY_S) },
        NewApiKey { account: "corp:wang".to_owned(), ..ask(&["teller"], &["business"], DAY_S) },
    ] {
        let told = format!("{new:?}");
        assert!(identity.issue_api_key(new).await.is_err(), "{told}");
    }
    let (_, key) = issue(&gate, DAY_S).await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let widen = "UPDATE api_keys SET zones = '[\"business\",\"public\"]'";
    assert_eq!(state.execute(widen, []).unwrap(), 1);
    gate.ask(view(&key)).await.expect(401);
}

#[tokio::test]
async fn a_guessed_broken_or_misplaced_key_opens_nothing_and_unknown_and_wrong_are_told_alike() {
    let gate = started().await;
    let (id, key) = issue(&gate, DAY_S).await;
    let (_, other) = issue(&gate, DAY_S).await;
    let mut connection = gate.h1().await;
    let spliced = format!("mshn_{id}{}", other.chars().skip(13).collect::<String>());
    let short: String = key.chars().take(key.len() - 1).collect();
    for wrong in [&spliced, &short, &format!("{key}0"), &key.to_uppercase(), "mshn_", "x"] {
        connection.send(view(wrong)).await.expect(401);
    }
    connection.send(Ask::get("/one/1").header("authorization", "ApiKey ")).await.expect(401);
    connection.send(Ask::get("/one/1").bearer(&key)).await.expect(401);
    connection.send(Ask::get("/one/1").header("cookie", &format!("key={key}"))).await.expect(401);
    connection.send(Ask::get("/one/1").header("x-api-key", &key)).await.expect(401);
    connection.send(Ask::get(&format!("/one/1?api_key={key}"))).await.expect(401);
    let both = view(&key).header("authorization", &format!("Bearer {}", gate.teller()));
    connection.send(both).await.expect(401);
    connection.send(view(&key).cookie(&"x".repeat(43))).await.expect(401);
    // A real key of which the row is gone, beside one whose secret is another's.
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let taken = state.execute("DELETE FROM api_keys WHERE id <> ?1", [&id]).unwrap();
    assert_eq!(taken, 1);
    let unknown = connection.send(view(&other)).await.told();
    let changed = state.execute("UPDATE api_keys SET tag = zeroblob(32)", []).unwrap();
    assert_eq!(changed, 1);
    assert_eq!(connection.send(view(&key)).await.told(), unknown);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_key_opens_no_page_and_begins_no_session() {
    let gate = started().await;
    let (_, key) = issue(&gate, DAY_S).await;
    let keyed = |ask: Ask| ask.header("authorization", &format!("ApiKey {key}"));
    let mut connection = gate.h1().await;
    connection.send(keyed(Ask::get("/.menshen/session"))).await.expect(401);
    let page = Ask::get("/.menshen/session").header("accept", "text/html");
    assert!(matches!(connection.send(keyed(page)).await.status.as_u16(), 401 | 303));
    let code = Ask::post("/.menshen/code", &json!({ "code": "123456" }).to_string());
    connection.send(keyed(code)).await.expect(401);
    connection.send(keyed(Ask::post("/.menshen/logout", "{}"))).await.expect(401);
}

#[tokio::test]
async fn key_commands_issue_list_and_revoke_and_show_the_secret_once() {
    let mut gate = started().await;
    let text = |name: &str| gate.path(name).to_str().unwrap().to_owned();
    let (state, master) = (text("state"), text("master.key"));
    let place = ["--state", &state, "--key", &master];
    let run = |words: &[&str]| {
        let output = menshen(&[words, &place].concat());
        let said = [output.stdout.clone(), output.stderr.clone()].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    let issue = |role: &str, days: &str| {
        run(&[
            "key",
            "issue",
            "--account",
            "reports",
            "--role",
            role,
            "--zone",
            "business",
            "--days",
            days,
        ])
    };
    // The command has the real time, the gate that of the test.
    let (code, said) = issue("teller", "400");
    assert_eq!(code, 0, "{said}");
    let key = said.lines().find(|line| line.starts_with("mshn_")).unwrap().to_owned();
    gate.ask(view(&key)).await.expect(200);
    assert_eq!(issue("stranger", "30").0, 64);
    assert_ne!(issue("teller", "401").0, 0);
    let (_, list) = run(&["key", "list"]);
    let id: String = key.chars().skip(5).take(8).collect();
    assert!(list.contains(&id) && list.contains("teller; business"), "{list}");
    let secret: String = key.chars().skip(13).collect();
    assert!(!list.contains(&secret));
    assert_eq!(run(&["key", "revoke", &id]).0, 0);
    assert_eq!(run(&["key", "revoke", &id]).0, 64);
    gate.ask(view(&key)).await.expect(401);
    let (_, list) = run(&["key", "list", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    assert!(info["revoked"].is_string() && info["account"] == "reports", "{list}");
    gate.restart().await;
    let entries = gate.entries().await;
    for act in ["key_issued", "key_revoked"] {
        let object = format!("key {id} of account reports");
        let is_there = |e: &&menshen::audit::Entry| {
            e.act.as_ref().is_some_and(|a| a.name.as_str() == act && a.object.as_str() == object)
        };
        assert!(entries.iter().any(|e| is_there(&e)), "{act}");
    }
    for folder in ["state", "log"] {
        for file in files(&gate.path(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            let half: String = secret.chars().take(24).collect();
            assert!(!holds(&bytes, &half), "the secret stands in {}", file.display());
        }
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
