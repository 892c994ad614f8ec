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

async fn refused(gate: &Gate) -> String {
    let started = Server::start(gate.config(), gate.clock.clone()).await;
    let refused = started.unwrap_err();
    assert!(refused.is_fault(), "{refused}");
    refused.to_string()
}

fn restored(gate: &Gate, arguments: &[&str], code: i32) -> String {
    let config = gate.path("menshen.yaml").display().to_string();
    told(&[&["restored"], arguments, &["--config", &config]].concat(), code)
}

/// A gate of which `old` is the state before wang was suspended, and `state` that old one.
async fn put_back(yaml: &str) -> Gate {
    let clock = menshen::clock::Clock::fixed(crate::harness::NOW_S * 1000);
    let mut gate = Setup::policy(OPEN_BANK).yaml(yaml).prepare(clock).await;
    menshen::secret::MasterKey::generate().unwrap().write_new(&gate.path("log.key")).unwrap();
    gate.start().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    gate.sign_in("wang", PASSWORD).await;
    gate.stop().await;
    gate.copy("state", "old");
    gate.start().await;
    gate.identity().set_standing("wang", Standing::Suspended).await.unwrap();
    until("the suspension", || acts(&opened(&gate), "account_suspended") == 1).await;
    gate.stop().await;
    gate.copy("old", "state");
    gate
}

/// The entries of its log, whichever of its keys opens them.
fn opened(gate: &Gate) -> Vec<Entry> {
    let keys = ["master.key", "log.key"].map(|name| {
        let key = menshen::secret::MasterKey::read(&gate.path(name)).unwrap();
        menshen::audit::RestKey::new(&key).unwrap()
    });
    let log = gate.path("log");
    let opener = menshen::audit::Opener::new(&log, keys.to_vec());
    menshen::audit::Reader::new(&log, 0, opener)
        .filter_map(|read| read.unwrap().1.entry())
        .collect()
}

#[tokio::test]
async fn a_state_that_was_copied_back_by_hand_is_known_by_the_log_and_opens_nothing_before_an_answer()
 {
    let mut gate = put_back("").await;
    for _ in 0..2 {
        let said = refused(&gate).await;
        assert!(
            said.contains("a copy of gate-1 of ") && said.contains("`menshen restored`"),
            "{said}"
        );
    }
    assert!(restored(&gate, &[], 0).contains("NOT YET: no gate starts"));
    let log = gate.path("log").display().to_string();
    let settled = ["--acts", &log, "--reason", "a snapshot was put back"];
    // Until a gate has started on it, as often as somebody has more to bring up.
    for done in ["suspended, until", "suspended, until"] {
        let said = restored(&gate, &settled, 0);
        assert!(said.contains(&format!("account_suspended account wang: {done}")), "{said}");
    }
    gate.start().await;
    let body = json!({ "account": "wang", "password": PASSWORD }).to_string();
    gate.ask(Ask::post("/.menshen/login", &body)).await.expect(401);
    // From here on state and log belong together again.
    gate.restart().await;
    gate.stop().await;
    let said = restored(&gate, &settled, 64);
    assert!(said.contains("nothing waits for an answer"), "{said}");
}

#[tokio::test]
async fn a_copy_from_before_the_last_start_is_known_though_nobody_did_anything_since() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.stop().await;
    gate.copy("state", "old");
    gate.restart().await;
    gate.stop().await;
    gate.copy("old", "state");
    assert!(refused(&gate).await.contains("a copy of gate-1 of "));
    restored(&gate, &["--without-acts", "--reason", "nothing was done"], 0);
    gate.start().await;
    gate.restart().await;
}

#[tokio::test]
async fn a_log_with_less_than_the_state_has_seen_is_taken_only_when_somebody_answers_for_it() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.stop().await;
    gate.copy("log", "old");
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":"1"}"#));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    gate.stop().await;
    gate.copy("old", "log");
    assert!(refused(&gate).await.contains("--shorter-log"));
    restored(&gate, &["--shorter-log", "--reason", "the log's disk is gone"], 0);
    gate.start().await;
    until("the answer in the log", || acts(&gate.entries_so_far(), "shorter_log_taken") == 1).await;
    gate.restart().await;
    gate.stop().await;
}

#[tokio::test]
async fn a_source_of_acts_that_is_damaged_or_cut_off_settles_nothing_unless_somebody_answers_for_it()
 {
    let gate = put_back("").await;
    refused(&gate).await;
    let log = gate.path("log");
    let whole = log.display().to_string();
    gate.copy("log", "cut");
    let mut bundle = gate.path("cut/tile/entries");
    while bundle.is_dir() {
        bundle = std::fs::read_dir(&bundle).unwrap().last().unwrap().unwrap().path();
    }
    let mut bytes = std::fs::read(&bundle).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let cut = gate.path("cut").display().to_string();
    let said = restored(&gate, &["--acts", &cut, "--reason", "why"], 64);
    assert!(said.contains("nothing is done") && said.contains(&cut), "{said}");
    let half = gate.path("half.ndjson");
    std::fs::write(&half, "{\"id\":\"01").unwrap();
    let half = half.display().to_string();
    let said = restored(&gate, &["--acts", &whole, "--acts", &half, "--reason", "why"], 64);
    assert!(said.contains("half.ndjson`: line 1: it is not an entry"), "{said}");
    assert!(restored(&gate, &[], 0).contains("NOT YET: no gate starts"));
    let standing = gate.identity().roster().await.unwrap();
    assert!(standing.iter().all(|row| row.standing != "suspended"), "{standing:?}");
    let despite = ["--acts", &whole, "--acts", &half, "--despite-gaps", "--reason", "why"];
    let said = restored(&gate, &despite, 0);
    assert!(said.contains("account wang: suspended") && said.contains("gaps: 1"), "{said}");
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_no_state_or_one_that_says_that_it_was_restored() {
    let mut gate = gate("").await;
    is_backed_up(&gate).await;
    gate.stop().await;
    let room = tempfile::tempdir().unwrap();
    let (from, key) = (gate.path("near"), gate.path("master.key"));
    let (mut killed, mut ended) = (0, 0);
    for round in 0..24 {
        let into = room.path().join("new");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"))
            .arg("restore")
            .args([Path::new("--from"), &from, Path::new("--key"), &key])
            .args([Path::new("--into"), &into])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(round * 8));
        child.kill().unwrap();
        let is_whole = child.wait().unwrap().success();
        ended += u32::from(is_whole);
        killed += u32::from(!is_whole);
        if into.join("state/menshen.db").exists() {
            let master = menshen::secret::MasterKey::read(&key).unwrap();
            let open = menshen::state::Store::open;
            let store = open(&into.join("state"), &master, gate.clock.clone()).unwrap();
            assert_eq!(store.restores().await.unwrap().len(), 1, "round {round}");
            std::fs::remove_dir_all(&into).unwrap();
        }
        // What an interrupted one left is in nobody's way: the next round restores into the same folder.
    }
    assert!(killed > 0, "{killed} killed, {ended} ended");
}

#[tokio::test]
async fn a_source_of_acts_that_cannot_be_opened_settles_nothing_before_its_key_is_given() {
    let gate = put_back("log-key: log.key").await;
    refused(&gate).await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, key) = (path("log"), path("log.key"));
    let settled = ["--acts", &log, "--reason", "why"];
    let said = restored(&gate, &settled, 64);
    assert!(said.contains("cannot be read with the keys that there are"), "{said}");
    assert!(restored(&gate, &[], 0).contains("NOT YET: no gate starts"));
    let said = restored(&gate, &[&settled[..], &["--log-key", &key]].concat(), 0);
    assert!(said.contains("account wang: suspended"), "{said}");
}

#[tokio::test]
async fn a_restore_without_the_logs_own_key_puts_nothing_in_its_place() {
    let yaml = "log-key: log.key\nbackup: { to: { near: { folder: near }, far: { folder: far } } }";
    let clock = menshen::clock::Clock::fixed(crate::harness::NOW_S * 1000);
    let mut gate = Setup::policy(OPEN_BANK).yaml(yaml).prepare(clock).await;
    menshen::secret::MasterKey::generate().unwrap().write_new(&gate.path("log.key")).unwrap();
    gate.start().await;
    until("the backup", || {
        ["near", "far"].iter().all(|place| {
            std::fs::read_dir(gate.path(place)).is_ok_and(|listed| {
                listed.into_iter().any(|one| one.unwrap().path().join("manifest").exists())
            })
        })
    })
    .await;
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (near, key, own, into) = (path("near"), path("master.key"), path("log.key"), path("new"));
    let restore = ["restore", "--from", &near, "--key", &key, "--into", &into];
    let said = told(&restore, 64);
    assert!(said.contains("nothing is restored: the log has a key of its own"), "{said}");
    let names = |path: &str| {
        let listed = std::fs::read_dir(path).unwrap();
        listed.map(|one| one.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(&into), ["unfinished-restore"]);
    told(&[&restore[..], &["--log-key", &own]].concat(), 0);
    assert!(names(&into).contains(&"state".to_owned()), "the same folder, begun anew");
}
