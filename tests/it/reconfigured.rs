//! Another `menshen.yaml` under a running gate, through the program itself: taken up whole, recorded first, or not at all, and
//! nobody is refused meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use menshen::audit::{Act, Entry};
use menshen::clock::Clock;
use menshen::config::effect_of;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

use crate::harness::client::{Client, finish};
use crate::harness::process::menshen;
use crate::harness::tokens::Signer;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Process, Reply, Setup, Step, soon};
use crate::monitoring::ask_plain;

const IN_FORCE: &str = "a new configuration is in force";
const REFUSED: &str = "the new configuration is refused, so the old one stays";

fn one(name: &str) -> Reply {
    Reply::json(format!(r#"{{"id":1,"name":"{name}"}}"#))
}

/// A gate that reads its file again when it is told to.
async fn prepared(setup: Setup) -> Gate {
    let gate = setup.yaml("config-watch: false").prepare(Clock::system()).await;
    gate.upstream.answers(one("first"));
    gate.beside.iter().for_each(|beside| beside.answers(one("second")));
    gate
}

fn open_bank() -> Setup {
    Setup::policy(OPEN_BANK).plain()
}

/// Writes something else where `from` stands in the file.
#[track_caller]
pub(crate) fn edit(gate: &Gate, from: &str, to: &str) {
    let path = gate.path("menshen.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn add(gate: &Gate, lines: &str) {
    let path = gate.path("menshen.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{lines}\n")).unwrap();
}

/// The address of the one backend in place of all.
fn lead_to(gate: &Gate, before: &str, to: SocketAddr) -> String {
    let after = format!("address: \"{to}\"");
    edit(gate, before, &after);
    after
}

fn all_of(gate: &Gate) -> String {
    format!("addresses: [\"{}\", \"{}\"]", gate.upstream.address(), gate.beside[0].address())
}

/// Sends SIGHUP and waits until it has been said once more than before.
pub(crate) async fn hang_up(process: &Process, says: &str) {
    let before = process.said().matches(says).count();
    process.hang_up();
    let said = async {
        while process.said().matches(says).count() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), said).await;
    assert!(waited.is_ok(), "not said again: {says}\n{}", process.said());
}

fn acts(gate: &Gate, name: &str) -> Vec<Act> {
    let entries: Vec<Entry> = gate.entries_so_far();
    let acts = entries.into_iter().filter_map(|entry| entry.act);
    acts.filter(|act| act.name.as_str() == name).collect()
}

async fn ask(gate: &Gate, process: &Process) -> Answer {
    process.client().h1().await.send(Ask::get("/one/1").by(&gate.teller())).await
}

async fn name(gate: &Gate, process: &Process) -> String {
    let answer = ask(gate, process).await;
    answer.expect(200).json()["name"].as_str().unwrap().to_owned()
}

/// Asks over one connection, until told to stop; all of it is answered.
async fn visitor(
    client: Client,
    is_h2: bool,
    token: String,
    counts: Arc<(AtomicBool, AtomicUsize)>,
) {
    let mut connection = if is_h2 { client.h2().await } else { client.h1().await };
    let mut number = 0_u32;
    while !counts.0.load(Ordering::Relaxed) {
        number += 1;
        let ask = match number % 3 {
            0 => Ask::patch("/one/1", r#"{"name":"n"}"#),
            _ => Ask::get("/one/1"),
        };
        connection.send(ask.by(&token)).await.expect(200);
        counts.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_and_caps_are_replaced_under_load_and_every_request_is_answered() {
    let gate = prepared(open_bank().beside(1)).await;
    let (first, second) = (gate.upstream.address(), gate.beside[0].address());
    let mut now = lead_to(&gate, &all_of(&gate), first);
    let process = Process::run(&gate, "info").await;
    let counts = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
    let mut visitors = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (client, token) =
            (process.client(), gate.token(&json!({ "sub": format!("t{number}") })));
        visitors.spawn(visitor(client, number % 2 == 0, token, Arc::clone(&counts)));
    }
    for round in 0..8 {
        let before = counts.1.load(Ordering::Relaxed);
        let some = async {
            while counts.1.load(Ordering::Relaxed) < before + 40 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon("answers", some).await;
        now = lead_to(&gate, &now, if round % 2 == 0 { second } else { first });
        add(&gate, &format!("# {round}"));
        hang_up(&process, IN_FORCE).await;
    }
    counts.0.store(true, Ordering::Relaxed);
    while let Some(visited) = visitors.join_next().await {
        visited.unwrap();
    }
    assert!(gate.upstream.hits() > 100 && gate.beside[0].hits() > 100);
    // What is gone is asked no more.
    let before = gate.beside[0].hits();
    for _ in 0..5 {
        assert_eq!(name(&gate, &process).await, "first");
    }
    assert_eq!(gate.beside[0].hits(), before);
    let loaded = acts(&gate, "configuration_loaded");
    assert_eq!(loaded.len(), 8);
    for (act, next) in loaded.iter().zip(loaded.iter().skip(1)) {
        assert_eq!(act.after, next.before);
    }
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn a_request_under_way_ends_where_it_began() {
    let gate = prepared(open_bank().beside(1).yaml("bodies: { held-kib: 4 }")).await;
    let now = lead_to(&gate, &all_of(&gate), gate.upstream.address());
    let go_on = Arc::new(Semaphore::new(0));
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(format!("[{record},").as_bytes())].concat();
    let rest = [chunk(format!("{record}]").as_bytes()), b"0\r\n\r\n".to_vec()].concat();
    let wait = Step::Wait(Arc::clone(&go_on));
    gate.upstream.answers(Reply::raw(first).then(wait).then(Step::Send(rest)));
    let process = Process::run(&gate, "info").await;
    let mut connection = process.client().h2().await;
    let stream = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    lead_to(&gate, &now, gate.beside[0].address());
    hang_up(&process, IN_FORCE).await;
    assert_eq!(name(&gate, &process).await, "second");
    go_on.add_permits(1);
    let answer = finish(stream).await;
    assert_eq!((answer.cut.clone(), answer.json().as_array().unwrap().len()), (None, 2));
    process.stop().await;
}

#[tokio::test]
async fn a_fault_anywhere_leaves_all_of_the_old_configuration_and_is_told_once() {
    let gate = prepared(open_bank().yaml("bodies: { request-kib: 64 }")).await;
    gate.upstream.answers(one("first"));
    let process = Process::run(&gate, "info").await;
    let whole = std::fs::read_to_string(gate.path("menshen.yaml")).unwrap();
    let long = format!(r#"{{"note":"{}"}}"#, "n".repeat(4000));
    let change = async || {
        let mut connection = process.client().h1().await;
        connection.send(Ask::patch("/one/1", &long).by(&gate.teller())).await.status.as_u16()
    };
    assert_eq!(change().await, 200);
    let core = format!("core: {{ address: \"{}\"", gate.upstream.address());
    let faulty = [
        ("unknown key", "node: gate-1", "node: gate-1\nnood: x"),
        ("no yaml", "node: gate-1", "node: ["),
        ("a missing certificate", "zone: public, ", "zone: public, clients: { ca: gone.pem }, "),
        ("a missing authority", "core: {", "crm: { address: \"x:1\", ca: gone.pem }\n  core: {"),
        ("missing keys of an issuer", "keys: jwks.json", "keys: gone.json"),
        ("a backend that a route needs", core.as_str(), "other: { address: \"127.0.0.1:9\""),
        ("a file that only a restart would need", "key: master.key", "key: gone.key"),
        (
            "a witness's key",
            "node: gate-1",
            "node: gate-1\nwitnesses: { a: { url: \"https://a/\", ca: ca.pem, key: x } }",
        ),
    ];
    for (number, (what, from, to)) in faulty.iter().enumerate() {
        // What is good in the same file does not hold either.
        std::fs::write(
            gate.path("menshen.yaml"),
            whole.replace("request-kib: 64", "request-kib: 2"),
        )
        .unwrap();
        edit(&gate, from, to);
        hang_up(&process, REFUSED).await;
        assert_eq!(change().await, 200, "{what}");
        let waiting = async {
            while acts(&gate, "configuration_refused").len() <= number {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(what, waiting).await;
    }
    // The same fault again is said, and not recorded.
    hang_up(&process, REFUSED).await;
    std::fs::write(gate.path("menshen.yaml"), &whole).unwrap();
    hang_up(&process, "the configuration is unchanged").await;
    std::fs::write(gate.path("menshen.yaml"), whole.replace("request-kib: 64", "request-kib: 2"))
        .unwrap();
    hang_up(&process, IN_FORCE).await;
    assert_eq!(change().await, 413);
    let refused = acts(&gate, "configuration_refused");
    assert_eq!(refused.len(), faulty.len());
    assert!(refused.iter().all(|act| act.succeeded == Some(false) && act.before != act.after));
    let loaded = acts(&gate, "configuration_loaded");
    assert_eq!(loaded.len(), 1);
    let loaded = &loaded[0];
    assert_eq!((loaded.detail.as_str(), loaded.count), ("asked: bodies", Some(1)));
    assert_eq!((loaded.before.as_str().len(), loaded.after.as_str().len()), (64, 64));
    assert_eq!(loaded.before, refused[0].before);
    process.stop().await;
}

#[tokio::test]
async fn what_takes_a_restart_is_named_and_the_rest_of_the_file_holds() {
    let gate = prepared(open_bank().beside(1)).await;
    let now = lead_to(&gate, &all_of(&gate), gate.upstream.address());
    let process = Process::run(&gate, "info").await;
    let check = || {
        let file = gate.path("menshen.yaml").display().to_string();
        String::from_utf8(menshen(&["check", "--config", &file]).stdout).unwrap()
    };
    assert!(!check().contains("after a restart"), "{}", check());
    edit(&gate, "zone: public", "address: \"127.0.0.1:1\", zone: public");
    edit(
        &gate,
        "address: \"127.0.0.1:1\", zone: public, address: \"127.0.0.1:0\"",
        "zone: public, address: \"127.0.0.1:1\"",
    );
    add(&gate, "metrics: { address: \"127.0.0.1:9464\" }\nsign-in: { hashes: 3, failures: 7 }");
    lead_to(&gate, &now, gate.beside[0].address());
    hang_up(&process, IN_FORCE).await;
    assert_eq!(name(&gate, &process).await, "second");
    let keys = [
        "metrics.address",
        "sign-in.hashes",
        "listeners[127.0.0.1:1]",
        "listeners[127.0.0.1:0 (2)]",
    ];
    for key in keys {
        let told = format!("`{key}` changed: takes effect after a restart");
        process.says(&told).await;
        assert!(check().contains(&told), "{key}: {}", check());
    }
    assert!(!process.said().contains("`upstreams.core.address` changed"));
    process.stop().await;
}

#[test]
fn the_guide_says_of_each_key_when_another_value_takes_effect() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/operator.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, table) = guide.split_once("| key | change |").unwrap();
    let rows = table.lines().take_while(|line| !line.is_empty()).skip(2);
    let mut keys = Vec::new();
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (key, change) = (cells.next().unwrap().trim_matches('`'), cells.next().unwrap());
        assert_eq!(change, effect_of(key).word(), "{key}");
        keys.push(key.to_owned());
    }
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/menshen.yaml");
    let example = std::fs::read_to_string(example).unwrap();
    for line in example.lines() {
        let Some((key, _)) = line.strip_prefix("# ").unwrap_or(line).split_once(':') else {
            continue;
        };
        let is_key = |c: char| c.is_ascii_lowercase() || c == '-';
        if !key.is_empty() && key.chars().all(is_key) {
            assert!(keys.iter().any(|known| known == key), "{key} is not in the guide's table");
        }
    }
}

#[tokio::test]
async fn who_may_stand_in_front_changes_at_once_and_nobody_is_believed_any_longer() {
    let gate = prepared(open_bank()).await;
    let process = Process::run(&gate, "info").await;
    let told = |ask: Ask| ask.header("x-forwarded-for", "192.0.2.7");
    let mut asked = 0;
    let mut origin = async |connection: &mut crate::harness::Connection| {
        connection.send(told(Ask::get("/one/1").by(&gate.teller()))).await.expect(200);
        asked += 1;
        let decided = async {
            loop {
                let entries = gate.entries_so_far();
                let decided: Vec<_> = entries.iter().filter(|one| one.decision.is_some()).collect();
                if decided.len() == asked {
                    let origin = decided[asked - 1].origin.clone().unwrap();
                    return origin.address.map(|address| address.to_string()).unwrap_or_default();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the decision", decided).await
    };
    assert_eq!(origin(&mut process.client().h1().await).await, "127.0.0.1");
    let trusted = "forwarders: { from: [127.0.0.0/8], by: x-forwarded-for }, ";
    edit(&gate, "zone: business, ", &format!("zone: business, {trusted}"));
    hang_up(&process, IN_FORCE).await;
    let mut open = process.client().h1().await;
    assert_eq!(origin(&mut open).await, "192.0.2.7");
    let introduced = trusted.replace("x-forwarded-for", "proxy-protocol");
    edit(&gate, trusted, &introduced);
    hang_up(&process, IN_FORCE).await;
    assert_eq!(
        origin(&mut open).await,
        "0.0.0.0",
        "whose it is nobody says, and not the forwarder's"
    );
    edit(&gate, &introduced, "");
    hang_up(&process, IN_FORCE).await;
    assert_eq!(origin(&mut open).await, "127.0.0.1", "over a connection that was believed before");
    process.stop().await;
}

#[tokio::test]
async fn issuers_come_and_go_and_their_tokens_with_them() {
    let gate = prepared(open_bank()).await;
    let other = Signer::new();
    std::fs::write(gate.path("other.json"), other.jwks()).unwrap();
    let process = Process::run(&gate, "info").await;
    let token = other.token(gate.clock.unix_s(), &json!({ "iss": "https://other.example" }));
    let mut connection = process.client().h2().await;
    let mut status =
        async |token: &str| connection.send(Ask::get("/one/1").by(token)).await.status.as_u16();
    assert_eq!((status(&token).await, status(&gate.teller()).await), (401, 200));
    let more = "  - { name: other, issuer: \"https://other.example\", audience: menshen, keys: other.json }\n";
    edit(&gate, "issuers:\n", &format!("issuers:\n{more}"));
    hang_up(&process, IN_FORCE).await;
    assert_eq!((status(&token).await, status(&gate.teller()).await), (200, 200));
    edit(&gate, more, "");
    hang_up(&process, IN_FORCE).await;
    assert_eq!(
        (status(&token).await, status(&gate.teller()).await),
        (401, 200),
        "remembered or not"
    );
    process.stop().await;
}

#[tokio::test]
async fn caps_of_addresses_hold_for_the_next_connection() {
    let gate = prepared(open_bank().yaml("connections: { per-address: 100 }")).await;
    let process = Process::run(&gate, "info").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(process.client().h1().await);
    }
    edit(&gate, "per-address: 100", "per-address: 2");
    hang_up(&process, IN_FORCE).await;
    assert!(process.client().shake(&["http/1.1"]).await.is_err());
    let mut kept = open.pop().unwrap();
    kept.send(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    edit(&gate, "per-address: 2", "per-address: 5");
    hang_up(&process, IN_FORCE).await;
    ask(&gate, &process).await.expect(200);
    process.stop().await;
}

#[tokio::test]
async fn the_log_is_carried_to_where_the_new_file_says() {
    let gate = prepared(open_bank()).await;
    let process = Process::run(&gate, "info").await;
    ask(&gate, &process).await.expect(200);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let place =
        format!("ship: {{ siem: {{ to: syslog, address: \"{address}\", plain: loopback }} }}");
    add(&gate, &place);
    hang_up(&process, IN_FORCE).await;
    let (mut stream, _) = soon("a connection", listener.accept()).await.unwrap();
    let mut heard = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&heard).contains("configuration_loaded") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
    };
    soon("the entry", reading).await;
    edit(&gate, &place, "");
    hang_up(&process, IN_FORCE).await;
    let ended = async { while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {} };
    soon("the end of it", ended).await;
    let (status, _) = process.stop().await;
    assert!(status.success());
}

#[tokio::test]
async fn a_file_that_the_log_is_carried_to_goes_and_comes_back_with_its_line() {
    let place = "ship: { archive: { to: file, path: archive.ndjson } }\n";
    let setup = open_bank().yaml(place.trim_end()).yaml("metrics: { address: \"127.0.0.1:0\" }");
    let gate = prepared(setup).await;
    let process = Process::run(&gate, "info").await;
    process.says("metrics address=").await;
    let said = process.said();
    let (_, after) = said.split_once("metrics address=").unwrap();
    let address = after.lines().next().unwrap().parse().unwrap();
    let is_told = async || {
        let (_, text) = ask_plain(address, "GET", "/metrics").await;
        let gauges = ["lag_entries", "lag_seconds", "behind"]
            .map(|name| text.contains(&format!("menshen_ship_{name}{{target=\"archive\"}}")));
        assert!(gauges.iter().all(|told| *told == gauges[0]), "{text}");
        gauges[0]
    };
    let carried = || std::fs::read_to_string(gate.path("archive.ndjson")).unwrap_or_default();
    let loaded = |times: usize| carried().matches("configuration_loaded").count() >= times;
    soon("the gauges", async { while !is_told().await {} }).await;
    edit(&gate, place, "");
    hang_up(&process, IN_FORCE).await;
    soon("the end of the gauges", async { while is_told().await {} }).await;
    assert!(!loaded(2));
    add(&gate, place);
    hang_up(&process, IN_FORCE).await;
    let there = async {
        while !loaded(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the entries that came meanwhile", there).await;
    assert!(is_told().await);
    let (status, said) = process.stop().await;
    assert!(status.success() && !said.contains("takes effect after a restart"), "{said}");
    assert!(said.contains("keys=\"ship.archive\""), "{said}");
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_hold() {
    let gate = prepared(open_bank().beside(1)).await;
    let now = lead_to(&gate, &all_of(&gate), gate.upstream.address());
    let process = Process::run(&gate, "info").await;
    assert_eq!(name(&gate, &process).await, "first");
    process.limit_files(Some(0));
    lead_to(&gate, &now, gate.beside[0].address());
    hang_up(&process, "a new configuration could not be recorded, so the old one stays").await;
    process.limit_files(None);
    soon("the log to heal", async {
        while acts(&gate, "configuration_loaded").is_empty() {
            process.hang_up();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    assert_eq!(name(&gate, &process).await, "second");
    process.stop().await;
}

#[tokio::test]
async fn a_file_that_changes_is_noticed_and_one_with_a_fault_told_once() {
    let gate = Setup::policy(OPEN_BANK).plain().beside(1).prepare(Clock::system()).await;
    gate.upstream.answers(one("first"));
    gate.beside[0].answers(one("second"));
    let now = lead_to(&gate, &all_of(&gate), gate.upstream.address());
    let process = Process::run(&gate, "info").await;
    let whole = std::fs::read_to_string(gate.path("menshen.yaml")).unwrap();
    add(&gate, "nood: x");
    process.says(REFUSED).await;
    std::fs::write(gate.path("menshen.yaml"), whole).unwrap();
    let after = lead_to(&gate, &now, gate.beside[0].address());
    process.says(IN_FORCE).await;
    assert_eq!(name(&gate, &process).await, "second", "{after}");
    assert_eq!(process.said().matches(REFUSED).count(), 1);
    assert!(acts(&gate, "configuration_loaded")[0].detail.as_str().starts_with("changed: "));
    process.stop().await;
}

#[tokio::test]
async fn an_upstream_and_the_policy_that_names_it_come_with_one_signal() {
    let gate = prepared(open_bank().beside(1).yaml("policies-watch: false")).await;
    lead_to(&gate, &all_of(&gate), gate.upstream.address());
    let process = Process::run(&gate, "info").await;
    let more = format!(
        "upstreams:\n  crm: {{ address: \"{}\", plain: loopback }}\n",
        gate.beside[0].address()
    );
    edit(&gate, "upstreams:\n", &more);
    let policy = std::fs::read_to_string(gate.path("policies/policy.yaml")).unwrap();
    std::fs::write(gate.path("policies/policy.yaml"), policy.replacen("to: core", "to: crm", 1))
        .unwrap();
    hang_up(&process, "a new policy is in force").await;
    assert_eq!(name(&gate, &process).await, "second");
    // It is needed now.
    edit(&gate, &more, "upstreams:\n");
    hang_up(&process, REFUSED).await;
    assert!(process.said().contains("goes to `crm`"), "{}", process.said());
    assert_eq!(name(&gate, &process).await, "second");
    process.stop().await;
}
