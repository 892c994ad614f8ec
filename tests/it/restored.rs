//! A state that came out of a backup knows nothing of what was used, revoked or switched off since: it opens nothing for
//! that.

use std::path::{Path, PathBuf};

use menshen::audit::Entry;
use menshen::config::Config;
use menshen::identity::{NewApiKey, Standing};
use menshen::server::Server;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, soon};
use crate::shipping::until;

const PASSWORD: &str = "correct horse battery staple 9";

/// A gate that has made its first backup, of which nothing is used up.
async fn gate(more: &str) -> Gate {
    let limits = "limits:\n  - { to: teller, subjects: 3/h, files: 2/d }\n";
    let setup = Setup::policy(&format!("{OPEN_BANK}{limits}")).yaml(more);
    setup
        .yaml("backup: { keep: 400d, to: { near: { folder: near }, far: { folder: far } } }")
        .start()
        .await
}

async fn is_backed_up(gate: &Gate) {
    gate.upstream.answers_by(|asked| {
        let id = asked.target.trim_start_matches("/one/");
        Reply::json(format!(r#"{{"id":"{id}"}}"#))
    });
    until("the backup", || acts(&gate.entries_so_far(), "backup_made") == 1).await;
}

fn acts(entries: &[Entry], name: &str) -> usize {
    entries.iter().filter_map(|e| e.act.as_ref()).filter(|act| act.name.as_str() == name).count()
}

/// What came out of the backup, in a folder of its own.
struct Back {
    _dir: TempDir,
    new: PathBuf,
    config: String,
}

impl Back {
    fn of(gate: &Gate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("new");
        let path = |path: &Path| path.display().to_string();
        let (from, key) = (path(&gate.path("near")), path(&gate.path("master.key")));
        told(&["restore", "--from", &from, "--key", &key, "--into", &path(&new)], 0);
        for file in ["master.key", "gate.pem", "gate.key", "ca.pem", "jwks.json"] {
            std::fs::copy(gate.path(file), new.join(file)).unwrap();
        }
        let config = path(&new.join("menshen.yaml"));
        Self { _dir: dir, new, config }
    }

    fn restored(&self, arguments: &[&str], code: i32) -> String {
        told(&[&["restored"], arguments, &["--config", &self.config]].concat(), code)
    }

    async fn start(&self, gate: &Gate) -> Server {
        let config = Config::load(Path::new(&self.config)).unwrap();
        Server::start(config, gate.clock.clone()).await.unwrap()
    }
}

fn told(arguments: &[&str], code: i32) -> String {
    let ran = menshen(arguments);
    let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    assert_eq!(ran.status.code(), Some(code), "{said}");
    said
}

async fn ask(server: &Server, gate: &Gate, ask: Ask) -> Answer {
    Client::new(server.addresses()[0], &gate.ca_pem).h1().await.send(ask).await
}

#[tokio::test]
async fn what_was_used_after_the_backup_is_not_given_again_to_anybody_until_its_window_has_passed()
{
    let mut gate = gate("").await;
    is_backed_up(&gate).await;
    let token = gate.teller();
    for id in 1..=3 {
        gate.ask(Ask::get(&format!("/one/{id}")).by(&token)).await.expect(200);
    }
    gate.ask(Ask::get("/one/4").by(&token)).await.expect(429);
    gate.stop().await;
    let back = Back::of(&gate);
    let config = || Config::load(Path::new(&back.config)).unwrap();
    let refused = Server::start(config(), gate.clock.clone()).await.unwrap_err();
    assert!(refused.is_fault() && refused.to_string().contains("`menshen restored`"), "{refused}");
    back.restored(&["--without-acts"], 64);
    assert!(back.restored(&[], 0).contains("NOT YET: no gate starts"));
    back.restored(&["--without-acts", "--reason", "the disk is gone"], 0);
    back.restored(&["--without-acts", "--reason", "once more"], 64);

    let server = back.start(&gate).await;
    ask(&server, &gate, Ask::get("/one/5").by(&token)).await.expect(401);
    gate.advance_s(60);
    let others = [json!({}), json!({ "sub": "never seen before" })];
    for claims in &others {
        let token = gate.token(claims);
        ask(&server, &gate, Ask::get("/one/5").by(&token)).await.expect(429);
    }
    soon("the drain", server.drain()).await;
    // A restart gives nothing back either.
    let server = back.start(&gate).await;
    let token = gate.teller();
    ask(&server, &gate, Ask::get("/one/5").by(&token)).await.expect(429);
    gate.advance_s(3600 + 60);
    let token = gate.teller();
    for id in 5..=7 {
        ask(&server, &gate, Ask::get(&format!("/one/{id}")).by(&token)).await.expect(200);
    }
    ask(&server, &gate, Ask::get("/one/8").by(&token)).await.expect(429);
    // Files count by the day.
    ask(&server, &gate, Ask::get("/all").by(&token)).await.expect(429);
    back.restored(&["--release-budgets", "--reason", "the old gate stood still"], 0);
    until("budgets are let go", || {
        let entries =
            crate::harness::gate::entries(&back.new.join("log"), &back.new.join("master.key"));
        acts(&entries, "restored_budgets_released") == 1
    })
    .await;
    gate.upstream.answers(Reply::json(r#"[{"id":"5"}]"#));
    let asking = async {
        while ask(&server, &gate, Ask::get("/all").by(&token)).await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    soon("a file", asking).await;
    soon("the drain", server.drain()).await;
    let entries =
        crate::harness::gate::entries(&back.new.join("log"), &back.new.join("master.key"));
    for name in ["restored", "restore_settled", "restored_budgets_released"] {
        assert_eq!(acts(&entries, name), 1, "{name}");
    }
    let why: Vec<_> = entries.iter().filter_map(|entry| entry.why.as_ref()).collect();
    assert!(why.iter().any(|why| why.reason.as_str() == "the disk is gone"), "{why:?}");
}

/// An account that signs in, a key, a device and a route that is switched off: all of it ended after the backup.
async fn ended(gate: &Gate) -> (String, String) {
    let identity = gate.identity();
    let new = |account: &str| NewApiKey {
        account: account.to_owned(),
        roles: vec!["teller".to_owned()],
        zones: vec!["business".to_owned()],
        life_s: 30 * 24 * 3600,
    };
    for name in ["wang", "li", "ops"] {
        gate.add_account(name, PASSWORD, "teller").await;
    }
    let (info, key) = identity.issue_api_key(new("ops")).await.unwrap();
    (info.id, key.expose().clone())
}

async fn end(gate: &Gate, key: &str) {
    let identity = gate.identity();
    identity.set_standing("wang", Standing::Suspended).await.unwrap();
    identity
        .set_password(
            "li",
            menshen::secret::Secret::new("quiet lantern over the old bridge 7".to_owned()),
        )
        .await
        .unwrap();
    identity.revoke_api_key(key).await.unwrap();
    let place = gate.path("menshen.yaml").display().to_string();
    told(&["switch", "on", "route", "one.delete", "--reason", "incident", "--config", &place], 0);
    until("all of it in the log", || {
        let entries = gate.entries_so_far();
        ["account_suspended", "password_replaced", "key_revoked", "switch_on"]
            .iter()
            .all(|name| acts(&entries, name) == 1)
    })
    .await;
}

#[tokio::test]
async fn what_was_suspended_revoked_or_switched_off_since_is_so_again_from_the_log_or_its_copy() {
    let mut gate = gate("ship:\n  copy: { to: file, path: copy.ndjson }").await;
    is_backed_up(&gate).await;
    let (id, key) = Box::pin(ended(&gate)).await;
    std::fs::remove_dir_all(gate.path("near")).unwrap();
    gate.stop().await;
    // The next backup has the accounts.
    gate.advance_s(24 * 3600);
    gate.start().await;
    until("the second backup", || acts(&gate.entries_so_far(), "backup_made") >= 2).await;
    end(&gate, &id).await;
    until("the copy", || {
        let copy = std::fs::read_to_string(gate.path("copy.ndjson")).unwrap_or_default();
        copy.contains("switch_on")
    })
    .await;
    gate.stop().await;
    for source in ["log", "copy.ndjson"] {
        let back = Back::of(&gate);
        let source = gate.path(source).display().to_string();
        let said = back.restored(&["--acts", &source, "--reason", "disk lost"], 0);
        for line in [
            "account_suspended account wang: suspended",
            "password_replaced account li: suspended",
            "of account ops: revoked again",
            "switch_on route one.delete: switched off again",
        ] {
            assert!(said.contains(line), "{line} in {said}");
        }
        let server = back.start(&gate).await;
        for (account, password) in [("wang", PASSWORD), ("li", PASSWORD)] {
            let body = json!({ "account": account, "password": password }).to_string();
            ask(&server, &gate, Ask::post("/.menshen/login", &body)).await.expect(401);
        }
        let by_key = Ask::get("/one/1").header("authorization", &format!("ApiKey {key}"));
        ask(&server, &gate, by_key).await.expect(401);
        gate.advance_s(60);
        let removal = Ask::new("DELETE", "/one/1").by(&gate.teller());
        let refused = ask(&server, &gate, removal).await;
        assert_eq!(refused.expect(403).json()["title"], "This access is suspended");
        soon("the drain", server.drain()).await;
    }
}
