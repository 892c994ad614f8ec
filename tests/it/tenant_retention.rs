//! Tenants whose own files say how long entries of their callers are kept: through the gate, to the end of their time.

use std::path::Path;

use menshen::audit::{Event, Opener, Periods, Reader, Record, RestKey, StoredEntries};
use menshen::clock::Clock;
use menshen::secret::MasterKey;
use menshen::server::{load_policies, periods};
use serde_json::{Value, json};

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, soon};
use crate::retention::weeks;

const PLATFORM: &str = "\nretention: { staff_access: 24 }\n";

fn write_file(gate: &Gate, tenant: &str, months: u32) {
    let text = format!("tenant: {tenant}\nretention: {{ staff_access: {months} }}\n");
    std::fs::write(gate.path(&format!("policies/tenant-{tenant}.yaml")), text).unwrap();
}

/// A gate with a file of each of two tenants, which keep entries for 26 and for 30 months.
async fn two_tenants() -> Gate {
    let setup = Setup::policy(&format!("{OPEN_BANK}{PLATFORM}"));
    let mut gate = setup.prepare(Clock::fixed(NOW_S * 1000)).await;
    write_file(&gate, "canary-shop", 26);
    write_file(&gate, "canary-mall", 30);
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":10017}"#));
    gate
}

async fn view(gate: &Gate, tenant: &Value) {
    let token = gate.token(&json!({ "roles": ["teller"], "tenant": tenant }));
    gate.ask(Ask::get("/one/10017").by(&token)).await.expect(200);
}

/// What the policy in force says now.
fn in_force(gate: &Gate) -> Periods {
    periods(&load_policies(&gate.path("policies")).unwrap()).unwrap()
}

/// The tenants of the decisions that can still be read, and the number of outcomes.
fn left(gate: &Gate) -> (Vec<String>, usize) {
    let (log, master) = (gate.path("log"), MasterKey::read(&gate.path("master.key")).unwrap());
    let opener = Opener::new(&log, vec![RestKey::new(&master).unwrap()]);
    let (mut decisions, mut outcomes) = (Vec::new(), 0);
    for read in Reader::new(&log, 0, opener) {
        match read.unwrap().1 {
            Record::Entry(entry) if entry.event == Event::Decision => {
                let entry = serde_json::to_value(&entry).unwrap();
                decisions.push(entry["actor"]["attributes"]["tenant"].to_string());
            }
            Record::Entry(entry) => outcomes += usize::from(entry.event == Event::Outcome),
            Record::Closed(_) => {}
        }
    }
    (decisions, outcomes)
}

/// The files below that name a tenant, in what they hold or by their own name.
fn naming(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(naming(&path));
            continue;
        }
        let names = path.display().to_string().contains("canary");
        if names || std::fs::read(&path).unwrap().windows(6).any(|bytes| bytes == b"canary") {
            found.push(path.display().to_string());
        }
    }
    found
}

fn key_files(gate: &Gate) -> usize {
    std::fs::read_dir(gate.path("log/keys")).unwrap().count()
}

fn said(args: &[&str]) -> (bool, String) {
    let ran = menshen(args);
    let both = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(both).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_tenant_keeps_no_longer_is_gone_and_what_another_keeps_is_there() {
    let mut gate = two_tenants().await;
    for tenant in [json!(null), json!("canary-shop"), json!("canary-mall")] {
        view(&gate, &tenant).await;
    }
    let both = json!(["canary-shop", "canary-mall"]);
    let before = key_files(&gate);
    view(&gate, &both).await;
    let made = async {
        while key_files(&gate) < before + 6 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    soon("keys for callers of both", made).await;
    view(&gate, &both).await;
    gate.stop().await;
    let (shop, mall) = ("\"canary-shop\"".to_owned(), "\"canary-mall\"".to_owned());
    let (all, outcomes) = left(&gate);
    assert_eq!((&all[1..3], all.len(), outcomes), (&[shop.clone(), mall][..], 5, 5));
    assert_eq!(naming(&gate.path("log")), Vec::<String>::new());
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, policies, config) = (path("log"), path("policies"), path("menshen.yaml"));
    let retention = ["log", "retention", &log, "--policies", &policies];
    let (_, told) = said(&[&retention[..], &["--config", &config]].concat());
    for line in ["staff_access of canary-shop ", "staff_access of canary-mall, canary-shop "] {
        assert!(told.contains(line), "{told}");
    }
    let (_, blind) = said(&retention);
    assert!(blind.contains("staff_access of tenants ") && !blind.contains("canary"), "{blind}");

    let clock = Clock::fixed(NOW_S * 1000);
    weeks(&gate, 109, &clock, &in_force(&gate)).await;
    assert_eq!(left(&gate), (all[1..].to_vec(), 4), "the class's 24 months are over");
    weeks(&gate, 9, &clock, &in_force(&gate)).await;
    assert_eq!(left(&gate), (all[2..].to_vec(), 3), "and the 26 months of the one");
    let (holds, verified) = said(&["log", "verify", &log]);
    assert!(holds && verified.contains("destroyed what"), "{verified}");

    // Whose file goes away is kept as the class says, and whoever is of both as the one that is left.
    std::fs::remove_file(gate.path("policies/tenant-canary-mall.yaml")).unwrap();
    weeks(&gate, 1, &clock, &in_force(&gate)).await;
    assert_eq!(left(&gate).0.len(), 3, "announced first");
    weeks(&gate, 2, &clock, &in_force(&gate)).await;
    assert_eq!(left(&gate), (Vec::new(), 0));
    gate.advance_s((clock.unix_ms() / 1000) - gate.clock.unix_s());
    gate.start().await;
    view(&gate, &json!("canary-shop")).await;
    gate.stop().await;
    assert_eq!(left(&gate), (vec![shop], 1), "the old folder goes on");
    assert_eq!(naming(&gate.path("log")), Vec::<String>::new());
    assert!(said(&["log", "verify", &log]).0);
}

#[tokio::test]
async fn a_refusal_of_a_known_caller_goes_with_its_tenant_and_a_sign_in_does_not() {
    let mut gate = two_tenants().await;
    let token = gate.token(&json!({ "roles": ["nobody"], "tenant": "canary-shop" }));
    gate.ask(Ask::get("/one/10017").by(&token)).await.expect(403);
    gate.ask(Ask::get("/one/10017").by("no.token.atall")).await.expect(401);
    gate.ask(Ask::post("/.menshen/login", "{}")).await;
    gate.stop().await;
    let own = in_force(&gate).tenants.into_keys().collect::<Vec<_>>();
    assert_eq!(own, ["canary-mall", "canary-shop"]);
    let (log, master) = (gate.path("log"), MasterKey::read(&gate.path("master.key")).unwrap());
    let opener = Opener::new(&log, vec![RestKey::new(&master).unwrap()]);
    let mut of_tenants = Vec::new();
    for stored in StoredEntries::new(&log, 0, opener) {
        let stored = stored.unwrap();
        let key = std::fs::read_to_string(log.join("keys").join(&stored.keys[0])).unwrap();
        let entry = stored.record.entry().unwrap();
        if matches!(entry.event, Event::Decision | Event::Session) {
            let status = entry.result.and_then(|result| result.status);
            of_tenants.push((entry.event, status, key.contains("\"of\":")));
        }
    }
    let with_key = |wanted: bool| of_tenants.iter().filter(move |(_, _, own)| *own == wanted);
    let known: Vec<_> = with_key(true).collect();
    assert!(matches!(known[..], [(Event::Decision, Some(403), _)]), "{of_tenants:?}");
    assert!(with_key(false).count() >= 2, "{of_tenants:?}");
}

#[tokio::test]
async fn a_tenants_time_that_comes_while_the_gate_runs_has_its_keys_first() {
    let gate = Setup::policy(&format!("{OPEN_BANK}{PLATFORM}")).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":10017}"#));
    assert_eq!(key_files(&gate), 10);
    let before = gate.server().policy_version();
    write_file(&gate, "canary-shop", 26);
    let changes = async {
        while gate.server().policy_version() == before {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    soon("another policy", changes).await;
    assert_eq!(key_files(&gate), 10 + 2 * 3 * 2, "for it, and for tenants together");
    let strict = gate.server().policy_version();
    // Shorter than the platform says, and what a tenant does not say at all.
    for wrong in ["staff_access: 23", "staff_access: 37", "security: 36"] {
        let text = format!("tenant: canary-shop\nretention: {{ {wrong} }}\n");
        std::fs::write(gate.path("policies/tenant-canary-shop.yaml"), text).unwrap();
        let policies = gate.path("policies").display().to_string();
        let (is_right, told) = said(&["check", &policies]);
        assert!(!is_right && told.contains("canary-shop.yaml"), "{told}");
        assert_eq!(gate.server().policy_version(), strict);
    }
    let policies = gate.path("policies").display().to_string();
    write_file(&gate, "canary-shop", 36);
    let schedule = ["log", "retention", "--schedule", "--policies", &policies];
    let (_, platform) = said(&schedule);
    assert!(platform.contains("saw whose data | 24 |") && !platform.contains("canary"));
    let (_, own) = said(&[&schedule[..], &["--tenant", "canary-shop"]].concat());
    assert!(own.contains("saw whose data | 36 |"), "{own}");
    let (is_known, none) = said(&[&schedule[..], &["--tenant", "other"]].concat());
    assert!(!is_known && none.contains("has no file"), "{none}");
}
