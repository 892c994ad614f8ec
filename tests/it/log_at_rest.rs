//! The log's entries at rest: a key of its own, and its rotation, as an operator does it.

use menshen::clock::Clock;
use menshen::secret::MasterKey;

use crate::harness::process::menshen;
use crate::harness::{Ask, OPEN_BANK, Reply, Setup};

#[tokio::test]
async fn the_logs_own_key_is_rotated_and_the_log_goes_on() {
    let setup = Setup::policy(OPEN_BANK).yaml("log-key: log.key");
    let mut gate = setup.prepare(Clock::system()).await;
    MasterKey::generate().unwrap().write_new(&gate.path("log.key")).unwrap();
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    gate.stop().await;
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, master, old, config) =
        (path("log"), path("master.key"), path("log.key"), path("menshen.yaml"));
    let show = |keys: &[&str]| {
        let shown = menshen(&[&["log", "show", &log], keys].concat());
        String::from_utf8(shown.stdout).unwrap()
    };
    let locked = show(&["--key", &master]);
    assert!(locked.contains("give it with `--key`, or `--log-key`"), "{locked}");
    assert!(show(&["--key", &master, "--log-key", &old]).contains("GET one.view"));

    let new = gate.path("new.key");
    MasterKey::generate().unwrap().write_new(&new).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("log-key: log.key", "log-key: new.key")).unwrap();
    let refused = menshen(&["key", "rotate", "--config", &config, "--from", &master]);
    assert_eq!(refused.status.code(), Some(64), "it is under another key");
    let done = menshen(&["key", "rotate", "--config", &config, "--from", &old]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.starts_with("8 keys of the log are under"), "{said}");
    std::fs::remove_file(&old).unwrap();
    let new = new.display().to_string();
    let shown = show(&["--key", &master, "--log-key", &new]);
    assert!(shown.contains("GET one.view") && shown.contains("log_keys_rewrapped"), "{shown}");
    let verified = menshen(&["log", "verify", &log]);
    assert!(verified.status.success());
}
