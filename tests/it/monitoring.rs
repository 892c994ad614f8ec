//! What monitoring may read: numbers and health, on a port of its own, and nothing about anybody.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, soon};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::document::Source;

const METRICS: &str = "metrics: { address: \"127.0.0.1:0\" }";

/// Asks over plain HTTP and gives the status and the body.
pub(crate) async fn ask_plain(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

pub(crate) async fn metrics(gate: &Gate) -> String {
    let address = gate.server().metrics_address().unwrap();
    let (status, text) = ask_plain(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    text
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "{line}\n{text}");
}

#[tokio::test]
async fn answers_and_denials_are_counted_by_words_of_closed_lists() {
    let gate = Setup::policy(OPEN_BANK).yaml(METRICS).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":"CANARY-1","name":"CANARY-2"}"#));
    let token = gate.teller();
    gate.ask(Ask::get("/one/CANARY-3").by(&token)).await.expect(200);
    gate.ask(Ask::get("/one/CANARY-3")).await.expect(401);
    gate.ask(Ask::get("/CANARY-4").by(&token)).await.expect(404);
    gate.ask(Ask::get("/list?phone=CANARY-5").by(&token)).await.expect(403);
    gate.ask(Ask::get("/.menshen/login")).await.expect(200);
    let text = metrics(&gate).await;
    for line in [
        "menshen_requests_total{action=\"view\",status=\"2xx\"} 1",
        "menshen_requests_total{action=\"view\",status=\"4xx\"} 1",
        "menshen_requests_total{action=\"none\",status=\"4xx\"} 1",
        "menshen_requests_total{action=\"search\",status=\"4xx\"} 1",
        "menshen_requests_total{action=\"sign_in\",status=\"2xx\"} 1",
        "menshen_denials_total{cause=\"no_credential\"} 1",
        "menshen_denials_total{cause=\"not_found\"} 1",
        "menshen_denials_total{cause=\"query\"} 1",
        "menshen_log_writable 1",
        "menshen_log_missed_entries 0",
    ] {
        assert_line(&text, line);
    }
    let version = gate.server().policy_version();
    assert!(text.contains(&format!("version=\"{}\"", &version[..12])));
    assert!(!text.contains("CANARY") && !text.contains("sh01") && !text.contains("corp:"));
}

#[tokio::test]
async fn reloads_are_counted_by_what_became_of_them() {
    let gate = Setup::policy(OPEN_BANK).yaml(METRICS).start().await;
    let old = gate.server().policy_version();
    let policy = gate.path("policies/policy.yaml");
    std::fs::write(&policy, "rules: 1").unwrap();
    let until = async |line: &str| {
        let waiting = async {
            while !metrics(&gate).await.lines().any(|l| l == line) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        soon(line, waiting).await;
    };
    until("menshen_policy_reloads_total{role=\"live\",outcome=\"refused\"} 1").await;
    std::fs::write(&policy, OPEN_BANK.replace("tellers work", "tellers do work")).unwrap();
    until("menshen_policy_reloads_total{role=\"live\",outcome=\"loaded\"} 1").await;
    let text = metrics(&gate).await;
    assert!(!text.contains(&old[..12]), "only the policy in force is told");
}

#[tokio::test]
async fn only_two_paths_are_answered_and_only_to_get() {
    let gate = Setup::policy(OPEN_BANK).yaml(METRICS).start().await;
    let address = gate.server().metrics_address().unwrap();
    assert_eq!(ask_plain(address, "GET", "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(ask_plain(address, "GET", "/one/1").await.0, 404);
    assert_eq!(ask_plain(address, "GET", "/").await.0, 404);
    assert_eq!(ask_plain(address, "POST", "/metrics").await.0, 405);
    assert_eq!(ask_plain(address, "DELETE", "/healthz").await.0, 405);
}

#[tokio::test]
async fn monitoring_is_off_unless_it_is_asked_for() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    assert_eq!(gate.server().metrics_address(), None);
    gate.upstream.answers(Reply::json("{}"));
    gate.ask(Ask::get("/metrics").by(&gate.teller())).await.expect(404);
    gate.ask(Ask::get("/healthz").by(&gate.teller())).await.expect(404);
}

#[tokio::test]
async fn a_gate_that_cannot_record_or_is_about_to_stop_is_not_healthy() {
    let setup = Setup::policy(OPEN_BANK).plain().yaml(METRICS).yaml("drain: 3s");
    let gate = setup.prepare(Clock::system()).await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let process = Process::run(&gate, "info").await;
    process.says("metrics address=").await;
    let said = process.said();
    let (_, after) = said.split_once("metrics address=").unwrap();
    let address = after.lines().next().unwrap().parse().unwrap();
    assert_eq!(ask_plain(address, "GET", "/healthz").await.0, 200);
    process.limit_files(Some(0));
    let ask = Ask::get("/one/1").by(&gate.teller());
    process.client().h1().await.send(ask).await.expect(503);
    let (status, why) = ask_plain(address, "GET", "/healthz").await;
    assert_eq!((status, &*why), (503, "the log cannot be written\n"));
    let (_, text) = ask_plain(address, "GET", "/metrics").await;
    assert_line(&text, "menshen_log_writable 0");
    assert_line(&text, "menshen_unrecorded_total 1");
    process.limit_files(None);
    let healed = async {
        while ask_plain(address, "GET", "/healthz").await.0 != 200 {
            let ask = Ask::get("/one/1").by(&gate.teller());
            process.client().h1().await.send(ask).await;
        }
    };
    soon("the log to heal", healed).await;
    // A request that does not end keeps the gate in its drain.
    let hits = gate.upstream.hits();
    gate.upstream.answers(Reply(vec![crate::harness::Step::Stall]));
    let mut held = process.client().h1().await;
    let waiting = held.begin(Ask::get("/one/1").by(&gate.teller()));
    let stopping = async {
        while gate.upstream.hits() == hits {
            tokio::task::yield_now().await;
        }
        let stopped = process.stop();
        let draining = async {
            loop {
                let answer = ask_plain(address, "GET", "/healthz").await;
                if answer == (503, "draining\n".to_owned()) {
                    return;
                }
            }
        };
        tokio::join!(stopped, soon("the drain", draining)).0
    };
    let (_, (status, _)) = tokio::join!(waiting, stopping);
    assert!(status.success());
}

#[test]
fn metrics_beyond_loopback_must_be_asked_for_expressly() {
    let parse = |metrics: &str| {
        let text = format!(
            "node: n\nstate: s\nlog: l\nkey: k\npolicies: p\nlisteners: [{{ zone: z, address: \
             \"127.0.0.1:1\", certificate: c, key: k }}]\nupstreams: {{}}\n{metrics}"
        );
        let source = Source { name: "menshen.yaml".to_owned(), text };
        Config::parse(source, std::path::Path::new("")).map_err(|faults| faults.to_string())
    };
    let address = |metrics| parse(metrics).unwrap().metrics.map(|m| m.address.to_string());
    assert_eq!(address(""), None);
    let loopback = "metrics: { address: \"127.0.0.1:9464\" }";
    assert_eq!(address(loopback).as_deref(), Some("127.0.0.1:9464"));
    let anywhere = "metrics: { address: \"10.0.0.5:9464\", plain: anywhere }";
    assert_eq!(address(anywhere).as_deref(), Some("10.0.0.5:9464"));
    for (metrics, said) in [
        ("metrics: { address: \"0.0.0.0:9464\" }", "`address` must be on loopback"),
        ("metrics: { address: \"10.0.0.5:9464\", plain: loopback }", "must be on loopback"),
        ("metrics: { address: \"10.0.0.5:9464\", plain: yes }", "`loopback` or `anywhere`"),
        ("metrics: { address: here }", "must be an IP address and a port"),
        ("metrics: {}", "`address`"),
        ("policies-watch: yes", "must be `true` or `false`"),
    ] {
        let faults = parse(metrics).unwrap_err();
        assert!(faults.contains(said), "{metrics}\n{faults}");
    }
}
