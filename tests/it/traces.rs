//! Traces: who may begin one, what backends are told, what reaches a collector, and that nobody waits for it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use menshen::listen::{Forwarders, Told};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, holds};
use crate::monitoring::metrics;
use crate::shipping::{Elsewhere, until};

const METRICS: &str = "metrics: { address: \"127.0.0.1:0\" }";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Its head and its body.
type Message = (String, Vec<u8>);

/// A collector of spans within the test.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Collector {
    /// One that takes everything, over TLS if it is given how.
    pub(crate) async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let message = match &tls {
                    None => taken(stream).await,
                    Some(acceptor) => {
                        let Ok(stream) = acceptor.accept(stream).await else { continue };
                        taken(stream).await
                    }
                };
                all.lock().unwrap().extend(message);
            }
        });
        Self { address, seen }
    }

    /// Every byte that came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let seen = self.seen.lock().unwrap();
        seen.iter().flat_map(|(head, body)| [head.as_bytes(), body].concat()).collect()
    }

    fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for (_, body) in &*self.seen.lock().unwrap() {
            let message: Value = serde_json::from_slice(body).unwrap();
            let all = &message["resourceSpans"][0]["scopeSpans"][0]["spans"];
            spans.extend(all.as_array().unwrap().iter().cloned());
        }
        spans
    }
}

async fn taken(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Message> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(read).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.unwrap_or_default();
    Some((head, body))
}

/// As `menshen.yaml` names such a collector.
pub(crate) fn all_to(collector: &Collector) -> String {
    let address = collector.address;
    format!("traces: {{ url: \"http://{address}\", plain: loopback, one-in: 1, gather: 1s }}")
}

/// The spans of the request that this one is about.
fn below<'s>(spans: &'s [Value], whole: &Value) -> Vec<&'s str> {
    let below = spans.iter().filter(|span| span["parentSpanId"] == whole["spanId"]);
    below.map(|span| span["name"].as_str().unwrap()).collect()
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s str> {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|pair| pair["key"] == key)?;
    found["value"]["stringValue"].as_str().or(found["value"]["intValue"].as_str())
}

#[tokio::test]
async fn spans_of_each_stage_reach_the_collector_and_nothing_of_anybody_does() {
    let files = Elsewhere::new();
    let token_file = files.secret("token", "a-token-of-ours\n");
    let collector = Collector::start(Some(files.acceptor())).await;
    let (port, ca) = (collector.address.port(), files.path("ca.pem"));
    let setup = Setup::policy(OPEN_BANK).yaml(METRICS).yaml(&format!(
        "traces: {{ url: \"https://localhost:{port}\", ca: {ca}, token: {token_file}, one-in: 1, gather: 1s }}"
    ));
    let mut gate = setup.start().await;
    gate.upstream.answers(Reply::json(
        r#"{"id":"CANARY-1","name":"CANARY-2","phone":"13587654321","CANARY-3":1}"#,
    ));
    let token = gate.teller();
    let answer = gate.ask(Ask::get("/one/CANARY-4").by(&token)).await;
    let request = answer.expect(200).header("menshen-request-id").unwrap().to_owned();
    let change = Ask::patch("/one/CANARY-5", r#"{"name":"CANARY-6"}"#).by(&token);
    gate.ask(change.header("menshen-reason", "CANARY-7")).await.expect(200);
    gate.ask(Ask::get("/CANARY-8?x=CANARY-9").by(&token)).await.expect(404);
    gate.ask(Ask::new("CANARY", "/one/1").by(&token)).await.expect(404);
    gate.ask(Ask::get("/list?phone=CANARY-10").by(&token)).await.expect(403);
    gate.ask(Ask::get("/one/1").bearer("CANARY.CANARY.CANARY")).await.expect(401);
    gate.ask(Ask::get("/.menshen/login?next=/CANARY")).await.expect(200);
    gate.upstream.answers(Reply::raw("HTTP/1.1 CANARY\r\n\r\n"));
    gate.ask(Ask::get("/one/1").by(&token).header("traceparent", SAMPLED)).await.expect(502);
    let whole = |span: &Value| span["kind"] == 2;
    until("all spans", || collector.spans().iter().filter(|s| whole(s)).count() == 8).await;
    let spans = collector.spans();
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| whole(span) && span["name"] == name);
        found.next().unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let view = named("GET /one/{id}");
    assert_eq!(view["traceId"], request.replace('-', ""), "the request's id is the trace's");
    assert_eq!(
        below(&spans, view),
        [
            "head",
            "route",
            "authenticate",
            "decide",
            "admit",
            "record",
            "guard request",
            "forward",
            "recorded",
            "guard response"
        ]
    );
    assert_eq!(attribute(view, "menshen.route"), Some("one.view"));
    assert_eq!(attribute(view, "http.response.status_code"), Some("200"));
    assert_eq!(attribute(view, "menshen.ended"), Some("complete"));
    assert_eq!(attribute(named("PATCH /one/{id}"), "menshen.action"), Some("update"));
    let refused = spans.iter().filter(|span| span["name"] == "request");
    let mut causes: Vec<_> = refused.filter_map(|span| attribute(span, "menshen.cause")).collect();
    causes.sort_unstable();
    assert_eq!(causes, ["not_found", "not_found"]);
    let failed = spans.iter().find(|span| whole(span) && span["status"]["code"] == 2).unwrap();
    assert_ne!(failed["traceId"], SAMPLED[3..35], "a stranger begins no trace of ours");
    // Each backend hears of the span that asks it.
    for asked in gate.upstream.asked() {
        let parent = asked.header("traceparent").unwrap();
        let asks =
            |span: &&Value| parent[36..52] == span["spanId"] && parent[3..35] == span["traceId"];
        let asking = spans.iter().find(asks).unwrap();
        assert_eq!((asking["name"].as_str(), asking["kind"].as_u64()), (Some("forward"), Some(3)));
        assert!(parent.ends_with("-01"));
    }
    let bytes = collector.bytes();
    for secret in ["CANARY", "canary", "13587654321", "135****4321", "corp", "u1", &token] {
        let found = holds(&bytes, secret);
        assert!(!found, "`{secret}` left: {}", String::from_utf8_lossy(&bytes));
    }
    let head = &collector.heads()[0];
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: bearer a-token-of-ours\r\n"), "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let text = metrics(&gate).await;
    let line = "menshen_traced_requests_total{outcome=\"exported\"} 8";
    assert!(text.lines().any(|l| l == line), "{text}");
    let entries = gate.entries().await;
    let traces = entries.iter().filter_map(|entry| entry.request.as_ref());
    assert!(traces.map(|request| request.trace.as_str()).all(str::is_empty));
}

async fn behind(network: &'static str, told: Told, collector: &Collector) -> Gate {
    let setup = Setup::policy(OPEN_BANK).yaml(&all_to(collector)).tweak(move |config| {
        let networks = vec![network.parse().unwrap()];
        let forwarders = Arc::new(Forwarders { networks, told });
        for one in &mut config.listeners {
            one.tls.http1_alone = !forwarders.introduce();
            one.socket.forwarders = Some(Arc::clone(&forwarders));
        }
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

#[tokio::test]
async fn a_trace_goes_on_where_a_forwarder_brings_it_and_nobody_else_begins_one() {
    let collector = Collector::start(None).await;
    let (state, trace) = ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", &SAMPLED[3..35]);
    for (network, is_believed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let mut gate = behind(network, Told::ByXForwardedFor, &collector).await;
        let ask = Ask::get("/one/1").by(&gate.teller());
        let ask = ask.header("traceparent", SAMPLED).header("tracestate", state);
        gate.h1().await.send(ask).await.expect(200);
        let asked = gate.upstream.asked();
        let (told, more) = (asked[0].header("traceparent").unwrap(), asked[0].header("tracestate"));
        assert_eq!(&told[3..35] == trace, is_believed, "{told}");
        assert_ne!(&told[36..52], &SAMPLED[36..52], "the next parent is the gate");
        assert_eq!(more, is_believed.then_some(state));
        let entries = gate.entries_ended().await;
        let recorded =
            entries.iter().filter_map(|entry| Some(entry.request.as_ref()?.trace.as_str()));
        let recorded: Vec<_> = recorded.collect();
        let wanted = if is_believed { trace } else { "" };
        assert_eq!(recorded, [wanted, wanted], "decision and outcome name it");
        gate.stop().await;
    }
    let spans = collector.spans();
    let continued: Vec<_> = spans.iter().filter(|span| span["traceId"] == *trace).collect();
    let [whole] = continued.iter().filter(|s| s["kind"] == 2).collect::<Vec<_>>()[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(whole["parentSpanId"], SAMPLED[36..52]);
}

#[tokio::test]
async fn a_forwarder_that_introduces_somebody_brings_no_trace_whoever_it_is() {
    let collector = Collector::start(None).await;
    let gate = behind("127.0.0.0/8", Told::ByProxyProtocol, &collector).await;
    let unknown = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    let heads = [
        unknown,
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.9 4 443\r\n".to_vec(),
    ];
    for head in heads {
        let mut client = gate.client();
        client.head = head;
        let ask = Ask::get("/one/1").by(&gate.teller()).header("traceparent", SAMPLED);
        client.h1().await.send(ask).await.expect(200);
    }
    let asked = gate.upstream.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|asked| asked.header("traceparent").unwrap()[3..35] != SAMPLED[3..35])
    );
}

/// The header lines of a parent that cannot be read, and how a trace of one's own comes of them.
#[tokio::test]
async fn a_parent_that_cannot_be_read_is_no_parent_and_harms_nobody() {
    let collector = Collector::start(None).await;
    let gate = behind("127.0.0.0/8", Told::ByXForwardedFor, &collector).await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let long = format!("cc{}-{}", &SAMPLED[2..], "a".repeat(2000));
    let hostile = [
        "",
        "00",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-' or 1=1 --",
        "%30%30",
        &long,
    ];
    for line in hostile {
        let ask = Ask::get("/one/1").by(&token).header("traceparent", line);
        connection.send(ask.header("tracestate", "a=1")).await.expect(200);
    }
    let twice = Ask::get("/one/1").by(&token).header("traceparent", SAMPLED);
    connection.send(twice.header("traceparent", SAMPLED)).await.expect(200);
    // A good parent with a state that cannot be read keeps its trace and loses the state.
    let lost = Ask::get("/one/1").by(&token).header("traceparent", SAMPLED);
    connection.send(lost.header("tracestate", "Not,A=State;;=")).await.expect(200);
    let asked = gate.upstream.asked();
    assert_eq!(asked.len(), hostile.len() + 2);
    let (last, own) = asked.split_last().unwrap();
    for asked in own {
        let told = asked.header("traceparent").unwrap();
        assert!(told.len() == 55 && told.starts_with("00-") && told.ends_with("-01"), "{told}");
        assert_ne!(&told[3..35], &SAMPLED[3..35]);
        assert_eq!(asked.header("tracestate"), None);
    }
    assert_eq!(&last.header("traceparent").unwrap()[3..35], &SAMPLED[3..35]);
    assert_eq!(last.header("tracestate"), None);
}

#[tokio::test]
async fn a_collector_that_is_down_or_silent_loses_spans_and_keeps_nobody_waiting() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let traces = format!("url: \"http://{address}/v1/traces\", plain: loopback, one-in: 1");
    let setup = Setup::policy(OPEN_BANK).yaml(METRICS);
    let mut gate =
        setup.yaml(&format!("traces: {{ {traces}, queue: 4, gather: 1s }}")).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let (token, mut connection) = (gate.teller(), gate.h2().await);
    let lost = |text: &str| {
        let line = "menshen_traced_requests_total{outcome=\"dropped\"} ";
        let number = text.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        number.parse::<u64>().unwrap()
    };
    for _ in 0..600 {
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    assert!(lost(&metrics(&gate).await) > 100, "the queue is short and nobody empties it");
    // One that is gone is told once, and the gate ends no later for it.
    drop(silent);
    drop(connection);
    let began = tokio::time::Instant::now();
    gate.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_traces_nothing_is_told_and_events_name_the_request() {
    let gate = Setup::policy(OPEN_BANK).prepare(menshen::clock::Clock::system()).await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let process = Process::run(&gate, "info").await;
    let mut connection = process.client().h2().await;
    let ask = || Ask::get("/one/1").by(&gate.teller()).header("traceparent", SAMPLED);
    connection.send(ask()).await.expect(200);
    assert_eq!(gate.upstream.asked()[0].header("traceparent"), None);
    gate.upstream.answers(Reply::raw("HTTP/1.1 nonsense\r\n\r\n"));
    let answer = connection.send(ask()).await;
    let request = answer.expect(502).header("menshen-request-id").unwrap().replace('-', "");
    process.says("a request failed").await;
    assert!(process.said().contains(&request), "{request}: {}", process.said());
    process.stop().await;
}

#[tokio::test]
async fn faults_in_traces_are_told_with_their_place() {
    for (traces, said) in [
        ("{ one-in: 0 }", "must be a whole number from 1"),
        ("{ url: \"https://otel:4318\", ca: ca.pem, queue: 100001 }", "from 1 to 100000"),
        ("{ url: \"https://otel:4318\", ca: ca.pem, gather: 2m }", "`gather`"),
        ("{ url: \"http://otel:4318\", ca: ca.pem }", "must begin with `https://`"),
        ("{ url: \"http://127.0.0.1:4318\", plain: anywhere }", "can only be `loopback`"),
        ("{ url: \"https://otel:4318\" }", "`ca`"),
        ("{ token: x }", "says nothing without `url`"),
        ("{ address: x }", "address"),
    ] {
        let setup = Setup::policy(OPEN_BANK).yaml(&format!("traces: {traces}"));
        let gate = setup.prepare(menshen::clock::Clock::system()).await;
        let file = gate.path("menshen.yaml").display().to_string();
        let output = menshen(&["check", "--config", &file]);
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(64), "{traces}: {told}");
        assert!(told.contains(said), "{traces}: {told}");
    }
}
