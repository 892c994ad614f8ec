//! The log in the forms of other tools, exported and carried elsewhere, held against what OCSF publishes and read by a
//! parser of CEF that others wrote.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use menshen::audit::{
    Act, Actor, ActorKind, Alert, Answer, Concern, Data, Decision, Difference, Effect, Ending,
    Entry, Event, Found, Log, Origin, Request, Settings, SubjectSealer, Why,
};
use menshen::clock::Clock;
use menshen::secret::MasterKey;
use serde_json::Value;

use crate::harness::process::menshen;
use crate::harness::{Ask, OPEN_BANK, Reply, Setup, has_word};
use crate::shipping::until;

fn views() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views")
}

fn python(script: &str) -> Command {
    let python = views().join("venv/bin/python");
    assert!(python.exists(), "run `sh tests/setup.sh`");
    let mut command = Command::new(python);
    command.arg(views().join(script));
    command
}

/// The published schemas, by class and profiles.
#[derive(Default)]
struct Published(HashMap<Vec<String>, jsonschema::Validator>);

impl Published {
    /// Holds an event against the schema of its class, in its version and with the profiles that it names.
    fn check(&mut self, event: &Value) {
        let mut key = vec![event["metadata"]["version"].as_str().unwrap().to_owned()];
        key.push(event["class_uid"].to_string());
        let profiles = event["metadata"]["profiles"].as_array().into_iter().flatten();
        key.extend(profiles.map(|profile| profile.as_str().unwrap().to_owned()));
        let schema = self.0.entry(key.clone()).or_insert_with(|| {
            let ran = python("ocsf.py").args(&key).output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            let schema = serde_json::from_slice(&ran.stdout).unwrap();
            jsonschema::validator_for(&schema).unwrap()
        });
        let faults: Vec<String> = schema
            .iter_errors(event)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}\n{event:#}");
    }
}

/// Lines of CEF as others read them.
fn read_cef(lines: &str) -> Vec<Value> {
    let mut parser = python("cef.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = parser.stdin.take().unwrap();
    let own = lines.to_owned();
    let writer = std::thread::spawn(move || input.write_all(own.as_bytes()));
    let ran = parser.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(ran.status.success());
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An entry of each kind, with much in it and with little.
fn entries(log: &Log, keys: &MasterKey) -> Vec<Entry> {
    let sealer = SubjectSealer::new(keys).unwrap();
    let entry = |event| log.entry(event).unwrap();
    let account = |name: &str| {
        let roles = ["teller"].into_iter().collect();
        Some(Actor {
            account: name.into(),
            kind: Some(ActorKind::Staff),
            roles,
            ..Actor::default()
        })
    };
    let from = |address: &str| {
        let (address, zone) = (address.parse().ok(), "business".into());
        let user_agent = "a browser | with = signs \\ of all kinds".into();
        Some(Origin { address, zone, port: Some(50_123), user_agent, ..Origin::default() })
    };
    let act = |name: &str, object: &str, succeeded| {
        let (name, object) = (name.into(), object.into());
        Some(Act { name, object, succeeded, ..Act::default() })
    };
    let mut look = entry(Event::Decision);
    (look.actor, look.origin) = (account("wang.li"), from("10.0.0.5"));
    let (method, route) = ("GET".into(), "customer.view".into());
    look.request = Some(Request { method, route, ..Request::default() });
    let reason = menshen::audit::Text::reason("asked = twice | on \\ paper");
    look.why = Some(Why { purpose: "loan".into(), reason, ..Why::default() });
    look.decision = Some(Decision::new(Effect::Allow));
    let mut shown = entry(Event::Outcome);
    shown.decided_by = Some(look.id);
    shown.add_subject(sealer.seal("customer", "10017").unwrap()).unwrap();
    let clear = ["customer.name"].into_iter().collect();
    shown.data = Some(Data { clear, records: Some(1), ..Data::default() });
    let ended = Some(Ending::Complete);
    shown.result = Some(Answer { status: Some(200), ended, ..Answer::default() });
    let mut refused = entry(Event::Decision);
    refused.origin = from("2001:db8::7");
    refused.request = Some(Request { method: "PATCH".into(), ..Request::default() });
    refused.decision = Some(Decision::new(Effect::Deny));
    let mut unknown = entry(Event::Decision);
    unknown.decision = Some(Decision::new(Effect::Error));
    let mut sign_in = entry(Event::Session);
    (sign_in.actor, sign_in.origin) = (account("wang.li"), from("10.0.0.5"));
    sign_in.act = act("sign_in", "wang.li", Some(true));
    let mut wrong = entry(Event::Session);
    wrong.act = act("one_time_code", "unknown:Ab3", Some(false));
    let bare = entry(Event::Session);
    let mut started = entry(Event::Change);
    started.act = act("started", "policy 0123", Some(true));
    let mut added = entry(Event::Change);
    (added.actor, added.act) = (account("operator"), act("account_added", "corp:li", Some(true)));
    let mut searched = entry(Event::Custody);
    (searched.actor, searched.act) = (account("officer"), act("log_searched", "", Some(true)));
    let mut shadow = entry(Event::Shadow);
    let (policy, candidate) = ("0123".into(), "4567".into());
    shadow.difference = Some(Difference { policy, candidate, count: 3, ..Difference::default() });
    let mut admin = entry(Event::Admin);
    (admin.actor, admin.origin) = (account("li.na"), from("10.0.0.6"));
    admin.act = act("switch_on", "person corp:wang", Some(false));
    let mut strange = entry(Event::Alert);
    strange.alert = Some(Alert::new(Concern::NewField, 7));
    let mut found = entry(Event::Alert);
    found.actor = account("wang.li");
    let (detection, said) = ("sequential-ids".into(), "20 keys in a row".into());
    found.alert = Some(Alert {
        found: Some(Found { finding: 4, detection, said, action: "block".into(), drill: false }),
        ..Alert::new(Concern::Finding, 20)
    });
    let mut all = vec![
        look, shown, refused, unknown, sign_in, wrong, bare, started, added, searched, shadow,
        admin, strange, found,
    ];
    all.extend(AFTER.iter().flat_map(|after| allowed(log, *after)));
    all
}

/// A request that was allowed, and what became of it.
fn allowed(log: &Log, (route, status, ended): (&str, u16, Ending)) -> [Entry; 2] {
    let mut allowed = log.entry(Event::Decision).unwrap();
    let (method, route) = ("GET".into(), route.into());
    allowed.request = Some(Request { method, route, ..Request::default() });
    allowed.decision = Some(Decision::new(Effect::Allow));
    let mut outcome = log.entry(Event::Outcome).unwrap();
    outcome.decided_by = Some(allowed.id);
    let (status, ended) = (Some(status), Some(ended));
    outcome.result = Some(Answer { status, ended, ..Answer::default() });
    [allowed, outcome]
}

/// What can become of a request that was allowed, but to end well.
const AFTER: [(&str, u16, Ending); 5] = [
    ("after.refused", 403, Ending::Refused),
    ("after.failed", 502, Ending::Complete),
    ("after.broken", 200, Ending::AbortedByUpstream),
    ("after.cut", 200, Ending::AbortedByPolicy),
    ("after.limited", 200, Ending::Limited),
];

/// A log of one entry of each kind, with its key beside it.
fn every_kind(dir: &Path) -> usize {
    let keys = MasterKey::from_bytes([8; 32]);
    keys.write_new(&dir.join("master.key")).unwrap();
    let clock = Clock::fixed(1_790_000_000_000);
    let (log, _) = Log::open(&dir.join("log"), Settings::default(), clock, &keys).unwrap();
    let entries = entries(&log, &keys);
    let number = entries.len();
    entries.into_iter().for_each(|entry| log.append_detached(entry));
    log.close();
    number
}

fn exported(dir: &Path, view: &str) -> String {
    let place = |name: &str| dir.join(name).display().to_string();
    let (log, key) = (place("log"), place("master.key"));
    let ran = menshen(&["log", "export", &log, "--key", &key, "--view", view]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn every_kind_of_entry_is_an_event_of_ocsf_as_its_schema_says() {
    let dir = tempfile::tempdir().unwrap();
    let number = every_kind(dir.path());
    let (text, mut published) = (exported(dir.path(), "ocsf"), Published::default());
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes = 1 + AFTER.len();
    assert_eq!(events.len(), number - outcomes, "the outcome goes with its decision");
    events.iter().for_each(|event| published.check(event));
    let classes: BTreeSet<u64> =
        events.iter().map(|event| event["class_uid"].as_u64().unwrap()).collect();
    assert_eq!(classes, BTreeSet::from([2004, 3002, 3004, 6003]));
    let with = |key: &str, value: &str| {
        events.iter().find(|event| event["activity_name"] == value && !event[key].is_null())
    };
    let look = with("api", "customer.view").unwrap();
    assert_eq!((&look["status_code"], &look["count"]), (&"200".into(), &1.into()));
    assert_eq!((&look["status_id"], &look["status_detail"]), (&1.into(), &Value::Null));
    for (route, _, _) in AFTER {
        let after = with("api", route).unwrap();
        assert_eq!(after["status_id"], 2, "allowed, and yet it failed: {after:#}");
        assert!(after["status_detail"].is_string(), "{after:#}");
    }
    assert_eq!(look["actor"]["user"]["name"], "wang.li");
    assert!(look["resources"][0]["uid"].as_str().unwrap().len() > 16);
    assert!(!has_word(&text, "10017"), "people by reference only");
    assert_eq!(with("entity", "account_added").unwrap()["activity_id"], 1);
    assert_eq!(with("entity", "log_searched").unwrap()["activity_id"], 2);
    let patch = events.iter().find(|event| event["unmapped"]["http_method"] == "PATCH").unwrap();
    assert_eq!(patch["activity_id"], 3, "OCSF knows no such method, but what it does");
    let finding = events.iter().find(|event| event["finding_info"]["uid"] == "4").unwrap();
    assert_eq!((&finding["severity_id"], &finding["activity_id"]), (&4.into(), &1.into()));
    // The schema would have said so.
    let mut wrong = look.clone();
    wrong["made_up"] = 1.into();
    assert!(std::panic::catch_unwind(move || Published::default().check(&wrong)).is_err());
}

#[test]
fn every_kind_of_entry_is_a_line_of_cef_that_others_read() {
    let dir = tempfile::tempdir().unwrap();
    let number = every_kind(dir.path());
    let events = read_cef(&exported(dir.path(), "cef"));
    assert_eq!(events.len(), number - 1 - AFTER.len());
    let outcomes = AFTER.map(|(route, _, _)| {
        let after = events.iter().find(|event| event["DeviceName"] == route).unwrap();
        after["outcome"].as_str().unwrap().to_owned()
    });
    assert_eq!(outcomes, ["403", "502", "failure", "failure", "failure"]);
    for event in &events {
        assert_eq!(
            (&event["DeviceVendor"], &event["CEFVersion"]),
            (&"menshen".into(), &"0".into())
        );
        let severity: u8 = event["DeviceSeverity"].as_str().unwrap().parse().unwrap();
        assert!(severity <= 10);
        assert_eq!(event["externalId"].as_str().unwrap().len(), 36);
    }
    let look = events.iter().find(|event| event["DeviceName"] == "customer.view").unwrap();
    assert_eq!((&look["suser"], &look["src"]), (&"wang.li".into(), &"10.0.0.5".into()));
    assert_eq!(look["people"].as_str().unwrap(), "1");
    assert_eq!(look["reason"], r"asked \= twice | on \\ paper", "as CEF escapes it");
    let refused = events.iter().find(|event| event["act"] == "deny").unwrap();
    assert_eq!(refused["Source IPv6 Address"], "2001:db8::7");
}

#[tokio::test]
async fn the_log_is_carried_in_the_forms_of_other_tools_and_no_entry_is_missed() {
    let ship = "ship:\n  one: { to: file, path: log.ocsf, form: ocsf }\n  two: { to: file, path: log.cef, form: cef }\n  three: { to: file, path: log.json }";
    let mut gate = Setup::policy(OPEN_BANK).yaml(ship).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":10017,"phone":"13900001234"}"#));
    let token = gate.teller();
    for _ in 0..5 {
        gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    gate.ask(Ask::get("/nowhere").by(&token)).await.expect(404);
    let lines = |name: &str| {
        let text = std::fs::read_to_string(gate.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let there = || {
        let wanted = gate.entries_so_far().len();
        wanted >= 12 && ["log.ocsf", "log.cef", "log.json"].iter().all(|f| lines(f).len() >= wanted)
    };
    until("all of the log in each form", there).await;
    let (ocsf, cef) = (lines("log.ocsf"), lines("log.cef"));
    let mut published = Published::default();
    let mut numbers = Vec::new();
    for line in &ocsf {
        let event = serde_json::from_str(line).unwrap();
        published.check(&event);
        numbers.push(event["metadata"]["sequence"].as_u64().unwrap());
    }
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
    let outcome = ocsf.iter().find(|line| line.contains("correlation_uid")).unwrap();
    assert!(outcome.contains("customer.phone"), "an outcome names its decision: {outcome}");
    let read = read_cef(&(cef.join("\n") + "\n"));
    assert!(read.len() >= numbers.len().min(cef.len()));
    for text in [ocsf.concat(), cef.concat()] {
        assert!(!has_word(&text, "10017") && !text.contains("13900001234"));
    }
    gate.stop().await;
    let config = std::fs::read_to_string(gate.path("menshen.yaml")).unwrap();
    std::fs::write(gate.path("wrong.yaml"), config.replace("form: cef", "form: leef")).unwrap();
    let wrong = gate.path("wrong.yaml").display().to_string();
    let refused = menshen(&["check", "--config", &wrong]);
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert!(said.contains("unknown form `leef`") && said.contains("ocsf"), "{said}");
}
