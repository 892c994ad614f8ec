//! Several backends for one upstream: one of them dies, is slow or says nothing, and what then happens to requests,
//! their record and what they count.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use menshen::audit::{Entry, Event};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::demo::certificates::{Authority, Issued};
use menshen::document::Source;
use tokio_util::task::TaskTracker;

use crate::harness::gate;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, Upstream, soon};
use crate::monitoring::{ask_plain, metrics};

const METRICS: &str = "metrics: { address: \"127.0.0.1:0\" }";

fn two() -> Setup {
    Setup::policy(OPEN_BANK).yaml(METRICS).beside(1)
}

fn idempotent() -> Setup {
    two().core("retry: idempotent")
}

/// Reads the request and closes without a word.
fn silent() -> Reply {
    Reply(vec![Step::Close])
}

fn customer() -> Reply {
    Reply::json(r#"{"id":1,"name":"n"}"#)
}

fn all_answer(gate: &Gate, reply: &Reply) {
    let backends = std::iter::once(&gate.upstream).chain(&gate.beside);
    backends.for_each(|backend| backend.answers(reply.clone()));
}

/// The outcomes with what they say of retries.
fn retries(entries: &[Entry]) -> Vec<Option<u32>> {
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    outcomes.map(|entry| entry.result.as_ref().unwrap().retries).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_one_of_two_backends_is_killed_in_the_middle_of_load() {
    let setup = idempotent().tweak(|config| {
        config.addresses.concurrent = 100;
        config.upstreams[0].eject.time = Duration::from_secs(300);
    });
    let mut gate = setup.start().await;
    all_answer(&gate, &customer());
    let (victim, token, tasks) = (gate.beside.pop().unwrap(), gate.teller(), TaskTracker::new());
    let (done, is_killed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut running = Vec::new();
    for n in 0..8 {
        let mut connection = if n % 2 == 0 { gate.h1().await } else { gate.h2().await };
        let (token, done, is_killed) = (token.clone(), Arc::clone(&done), Arc::clone(&is_killed));
        running.push(tasks.spawn(async move {
            let mut after = 0;
            while after < 40 {
                after += usize::from(is_killed.load(Ordering::SeqCst));
                connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
                done.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    soon("load", async {
        while done.load(Ordering::SeqCst) < 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(victim.hits() > 20, "it has its part of the load: {}", victim.hits());
    drop(victim);
    is_killed.store(true, Ordering::SeqCst);
    for task in running {
        soon("every request", task).await.unwrap();
    }
    // What changes something is not sent where nobody listens, and is not lost either.
    let mut connection = gate.h1().await;
    for _ in 0..20 {
        connection.send(Ask::patch("/one/1", r#"{"name":"b"}"#).by(&token)).await.expect(200);
    }
    let text = metrics(&gate).await;
    assert!(text.contains("menshen_upstream_ejections_total{upstream=\"core\"} 1\n"), "{text}");
    let entries = gate.entries().await;
    let of = |event| entries.iter().filter(|entry| entry.event == event).count();
    let asked = done.load(Ordering::SeqCst) + 20;
    assert_eq!((of(Event::Decision), of(Event::Outcome)), (asked, asked), "one record each");
    assert!(retries(&entries).contains(&Some(1)));
}

#[tokio::test]
async fn a_retry_stands_in_the_log_and_counts_people_once() {
    let policy = format!("{OPEN_BANK}limits:\n  - to: teller\n    records: [40/h]\n");
    let setup = Setup::policy(&policy).yaml(METRICS).beside(1).core("retry: idempotent");
    let mut gate = setup.tweak(|config| config.upstreams[0].eject.after = 1000).start().await;
    gate.upstream.answers(silent());
    gate.beside[0].answers(customer());
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for _ in 0..40 {
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    connection.send(Ask::get("/one/1").by(&token)).await.expect(429);
    let (first, other) = (gate.upstream.hits(), gate.beside[0].hits());
    assert_eq!(other, 40, "each was answered there");
    assert!(first > 0, "of forty some go to the silent one first");
    let text = metrics(&gate).await;
    assert!(
        text.contains(&format!("menshen_upstream_retries_total{{upstream=\"core\"}} {first}\n"))
    );
    let entries = gate.entries().await;
    let noted = retries(&entries).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(noted, vec![1; first]);
    let decisions = entries.iter().filter(|entry| entry.event == Event::Decision).count();
    assert_eq!(decisions, 41, "a retry decides nothing");
}

#[tokio::test]
async fn a_change_is_durable_before_each_backend_hears_of_it_and_recorded_once() {
    let gate = idempotent().start().await;
    let found = Arc::new(Mutex::new(Vec::new()));
    for (backend, reply) in
        [(&gate.upstream, silent()), (&gate.beside[0], Reply::with(204, &[], ""))]
    {
        let (log, key, seen) = (gate.path("log"), gate.path("master.key"), Arc::clone(&found));
        backend.answers_by(move |_| {
            let entries = gate::entries(&log, &key);
            let decisions = entries.iter().filter(|entry| entry.event == Event::Decision);
            seen.lock().unwrap().push(decisions.count());
            reply.clone()
        });
    }
    let token = gate.teller();
    let mut asked = 0;
    while gate.upstream.hits() == 0 {
        asked += 1;
        let answer = gate.ask(Ask::new("DELETE", "/one/1").by(&token)).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    let mut expected: Vec<usize> = (1..=asked).collect();
    expected.push(asked);
    assert_eq!(*found.lock().unwrap(), expected, "the last was asked for twice and decided once");
}

#[tokio::test]
async fn what_was_written_and_is_not_idempotent_is_sent_to_nobody_else() {
    let mut gate = idempotent().start().await;
    all_answer(&gate, &silent());
    let token = gate.teller();
    gate.ask(Ask::patch("/one/1", r#"{"name":"b"}"#).by(&token)).await.expect(502);
    gate.ask(Ask::post("/one", r#"{"name":"b"}"#).by(&token)).await.expect(502);
    assert_eq!(gate.upstream.hits() + gate.beside[0].hits(), 2);
    assert_eq!(retries(&gate.entries().await), [None, None]);
}

/// The open bank, of which this route says how it is sent once more.
fn saying(route: &str, retry: &str) -> String {
    let start = OPEN_BANK.find(&format!("  {route}:\n")).unwrap();
    let at = start + OPEN_BANK[start..].find("    to: core\n").unwrap();
    format!("{}    retry: {retry}\n{}", &OPEN_BANK[..at], &OPEN_BANK[at..])
}

#[tokio::test]
async fn a_route_says_for_itself_whether_its_requests_are_sent_once_more() {
    let asks = [
        ("one.view", Ask::get("/one/1")),
        ("list.search", Ask::get("/list")),
        ("one.delete", Ask::new("DELETE", "/one/1")),
        ("one.update", Ask::patch("/one/1", r#"{"name":"b"}"#)),
    ];
    for (upstream, said, counts) in [
        ("retry: unsent", ("one.view", "idempotent"), [2, 1, 1, 1]),
        ("retry: unsent", ("one.delete", "idempotent"), [1, 1, 2, 1]),
        ("retry: idempotent", ("one.delete", "unsent"), [2, 2, 1, 1]),
        ("retry: idempotent", ("one.update", "unsent"), [2, 2, 2, 1]),
    ] {
        let setup = Setup::policy(&saying(said.0, said.1)).beside(1).core(upstream);
        let gate = setup.tweak(|config| config.upstreams[0].eject.after = 1000).start().await;
        all_answer(&gate, &silent());
        let token = gate.teller();
        for ((route, ask), count) in asks.iter().zip(counts) {
            let hits = || gate.upstream.hits() + gate.beside[0].hits();
            let before = hits();
            gate.ask(ask.clone().by(&token)).await.expect(502);
            assert_eq!(hits() - before, count, "{route} where {upstream} and {said:?}");
        }
    }
}

#[tokio::test]
async fn what_was_never_written_is_sent_to_the_other_whatever_a_route_says() {
    let mut gate = Setup::policy(&saying("one.update", "unsent")).beside(1).start().await;
    let there = gate.beside.pop().unwrap();
    gate.upstream = there;
    gate.upstream.answers(customer());
    let token = gate.teller();
    for _ in 0..6 {
        gate.ask(Ask::patch("/one/1", r#"{"name":"b"}"#).by(&token)).await.expect(200);
    }
    assert_eq!(gate.upstream.hits(), 6, "each came once");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_asked_for_again() {
    let gate = idempotent().start().await;
    let begun = crate::harness::upstream::head(200, &[("content-type", "application/json")]);
    all_answer(&gate, &Reply(vec![Step::Send(begun[..20].to_vec()), Step::Close]));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(502);
    all_answer(&gate, &Reply::open([r#"{"id":1,"#]).then(Step::Close));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(502);
    assert_eq!(gate.upstream.hits() + gate.beside[0].hits(), 2);
}

/// Says on its path of health whether it is well, and answers everything else.
fn with_health(backend: &Upstream, is_well: &Arc<AtomicBool>) {
    let is_well = Arc::clone(is_well);
    backend.answers_by(move |asked| match asked.target.as_str() {
        "/healthz" if is_well.load(Ordering::SeqCst) => Reply::with(204, &[], ""),
        "/healthz" => Reply::with(500, &[], "CANARY-OF-HEALTH"),
        _ => customer(),
    });
}

fn often(config: &mut Config) {
    let health = config.upstreams[0].health.as_mut().unwrap();
    health.every = Duration::from_millis(20);
}

#[tokio::test]
async fn with_all_backends_down_requests_end_at_once_and_everybody_is_told() {
    let setup = two().core("health: { path: /healthz, every: 5s, fails: 2 }").tweak(often);
    let mut gate = setup.start().await;
    let wells = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
    with_health(&gate.upstream, &wells[0]);
    with_health(&gate.beside[0], &wells[1]);
    let (token, address) = (gate.teller(), gate.server().metrics_address().unwrap());
    let health = async |expected: &str| {
        soon(expected, async {
            while ask_plain(address, "GET", "/healthz").await != (200, expected.to_owned()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    };
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    wells[0].store(false, Ordering::SeqCst);
    let first = gate.upstream.address();
    let line = format!("menshen_upstream_up{{upstream=\"core\",endpoint=\"{first}\"}} 0");
    soon("one down", async {
        while !metrics(&gate).await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    health("ok\n").await;
    for _ in 0..20 {
        gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    }
    wells[1].store(false, Ordering::SeqCst);
    let why = "it answered the health check with 500 Internal Server Error";
    let [one, two] = [gate.upstream.address(), gate.beside[0].address()];
    health(&format!("ok\nupstream core is down\n  {one}: {why}\n  {two}: {why}\n")).await;
    let refused = gate.ask(Ask::get("/one/1").by(&token)).await;
    assert_eq!(refused.expect(503).header("retry-after"), Some("5"));
    assert!(!refused.text().contains("CANARY"));
    let text = metrics(&gate).await;
    for line in [
        "menshen_upstream_refused_total{upstream=\"core\"} 1\n",
        "menshen_denials_total{cause=\"circuit_open\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    wells[0].store(true, Ordering::SeqCst);
    health("ok\n").await;
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    let entries = gate.entries().await;
    let causes = entries.iter().filter_map(|entry| entry.result.as_ref()).map(|r| r.cause.as_str());
    assert_eq!(causes.filter(|cause| *cause == "circuit_open").count(), 1);
}

#[tokio::test]
async fn health_checks_carry_nothing_of_anybody_and_need_the_same_certificate() {
    let setup = Setup::policy(OPEN_BANK).yaml(METRICS).core("health: { path: /healthz }");
    let gate = setup.tweak(often).start().await;
    soon("a check", async {
        while gate.upstream.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let head = gate.upstream.asked()[0].head.clone();
    let expected = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", gate.upstream.address());
    assert_eq!(String::from_utf8(head).unwrap(), expected);
    let setup = Setup::policy(OPEN_BANK).yaml(METRICS).core("health: { path: /healthz }");
    let mut stranger = setup.tweak(often).prepare(Clock::system()).await;
    let other = Authority::new("a stranger's CA", &Clock::system()).unwrap();
    std::fs::write(stranger.path("ca.pem"), other.certificate_pem()).unwrap();
    stranger.start().await;
    let address = stranger.server().metrics_address().unwrap();
    soon("the end", async {
        while !ask_plain(address, "GET", "/healthz").await.1.contains("core is down") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(stranger.upstream.hits(), 0, "whoever it is was asked nothing");
}

async fn loaded(gate: &Gate, act: &str, times: usize) {
    let found = || {
        let entries = gate.entries_so_far();
        let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
        acts.filter(|a| a.name.as_str() == act && a.object.as_str() == "upstream core").count()
    };
    soon(act, async {
        while found() < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It is recorded before it is in force.
        tokio::time::sleep(Duration::from_millis(100)).await;
    })
    .await;
}

#[tokio::test]
async fn new_certificates_for_a_backend_are_taken_up_and_bad_ones_leave_the_old_in_place() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(customer());
    let (token, good) = (gate.teller(), std::fs::read(gate.path("ca.pem")).unwrap());
    let ask = || Ask::get("/one/1").by(&token);
    gate.ask(ask()).await.expect(200);
    std::fs::write(gate.path("ca.pem"), "no certificate").unwrap();
    gate.server().reload();
    loaded(&gate, "certificates_refused", 1).await;
    gate.ask(ask()).await.expect(200);
    let stranger = Authority::new("a stranger's CA", &Clock::system()).unwrap();
    std::fs::write(gate.path("ca.pem"), stranger.certificate_pem()).unwrap();
    gate.server().reload();
    loaded(&gate, "certificates_loaded", 1).await;
    gate.ask(ask()).await.expect(502);
    std::fs::write(gate.path("ca.pem"), good).unwrap();
    gate.server().reload();
    loaded(&gate, "certificates_loaded", 2).await;
    gate.ask(ask()).await.expect(200);
}

#[tokio::test]
async fn a_name_with_one_address_that_answers_is_served_by_that() {
    let setup = Setup::policy(OPEN_BANK).plain().tweak(|config| {
        if let menshen::upstream::Address::Host { host, .. } = &mut config.upstreams[0].addresses[0]
        {
            *host = "localhost".to_owned();
        }
    });
    let gate = setup.start().await;
    gate.upstream.answers(customer());
    for _ in 0..20 {
        gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    }
}

/// A backend that speaks HTTP/2 and nothing else; what it was asked, and over how many connections.
struct Shared {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Shared {
    async fn start(issued: &Issued, tasks: &TaskTracker) -> Self {
        let mut config = rustls::ServerConfig::clone(&issued.server_config().unwrap());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, connections) = <(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>)>::default();
        let (noted, count, spawner) = (Arc::clone(&asked), Arc::clone(&connections), tasks.clone());
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let stream = acceptor.accept(stream).await.unwrap();
                let noted = Arc::clone(&noted);
                let service = hyper::service::service_fn(move |request| {
                    let noted = Arc::clone(&noted);
                    async move { Ok::<_, std::convert::Infallible>(answer(request, &noted).await) }
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                spawner.spawn(async move { serving.await.unwrap_or_default() });
            }
        });
        Self { address, asked, connections }
    }
}

async fn answer(
    request: http::Request<hyper::body::Incoming>,
    noted: &Mutex<Vec<String>>,
) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let (parts, mut body) = request.into_parts();
    let mut sent = Vec::new();
    while let Some(frame) = body.frame().await {
        sent.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    let sent = String::from_utf8(sent).unwrap();
    noted.lock().unwrap().push(format!("{} {} {sent}", parts.method, parts.uri));
    let row = r#"{"id":1,"name":"n","phone":"13812345678","secret":"CANARY-OF-HTTP2"}"#;
    let text = match parts.uri.path() {
        "/all" => format!("[{}]", vec![row; 20_000].join(",")),
        _ => row.to_owned(),
    };
    let answer = http::Response::builder().header("content-type", "application/json");
    answer.body(http_body_util::Full::new(bytes::Bytes::from(text))).unwrap()
}

#[tokio::test]
async fn over_http2_a_backend_is_asked_guarded_and_recorded_alike() {
    let tasks = TaskTracker::new();
    let setup = Setup::policy(OPEN_BANK).core("http: 2");
    let mut gate = setup.prepare(Clock::fixed(crate::harness::NOW_S * 1000)).await;
    let backend = Shared::start(&gate.backend, &tasks).await;
    let (path, old) = (gate.path("menshen.yaml"), gate.upstream.address().to_string());
    let yaml = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, yaml.replace(&old, &backend.address.to_string())).unwrap();
    gate.start().await;
    let (token, mut connection) = (gate.teller(), gate.h2().await);
    let viewed = connection.send(Ask::get("/one/1").by(&token)).await;
    assert_eq!(viewed.expect(200).json()["name"], "n");
    assert!(!viewed.text().contains("CANARY") && !viewed.text().contains("13812345678"));
    let changed = connection.send(Ask::patch("/one/1", r#"{"name":"b"}"#).by(&token)).await;
    changed.expect(200);
    let all = connection.send(Ask::get("/all").by(&token)).await;
    assert_eq!(all.expect(200).json().as_array().unwrap().len(), 20_000);
    assert!(!all.text().contains("CANARY"));
    let asked = backend.asked.lock().unwrap().clone();
    let expected = [
        "GET https://bank.example/one/1 ",
        r#"PATCH https://bank.example/one/1 {"name":"b"}"#,
        "GET https://bank.example/all ",
    ];
    assert_eq!(asked, expected);
    assert_eq!(backend.connections.load(Ordering::SeqCst), 1);
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    let records = outcomes.filter_map(|entry| entry.data.as_ref()?.records).collect::<Vec<_>>();
    assert_eq!(records, [1, 1, 20_000]);
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_reason() {
    let faults = |core: &str| {
        let text = format!(
            "node: a\nstate: s\nlog: l\nkey: k\npolicies: p\nlisteners: [{{ address: \"127.0.0.1:1\", \
             zone: z, certificate: c, key: k }}]\nupstreams: {{ core: {{ {core} }} }}\n"
        );
        let source = Source { name: "menshen.yaml".into(), text };
        let parsed = Config::parse(source, std::path::Path::new(""));
        parsed.err().map(|faults| faults.to_string()).unwrap_or_default()
    };
    for good in [
        "addresses: [\"a:1\", \"b:2\"], ca: c, retry: idempotent, slow-start: 10s, resolve: 5s",
        "address: \"unix:/run/core.sock\", plain: true",
        "address: \"unix:/run/core.sock\", ca: c, server-name: core.internal",
        "addresses: [\"127.0.0.1:1\", \"[::1]:1\", \"localhost:1\"], plain: true",
        "address: \"core.internal:1\", plain: anywhere",
        "address: \"core.internal:1\", ca: c, http: 2, streams: 50",
        "address: \"a:1\", ca: c, health: { path: /up, every: 1s }, eject: { after: 3, time: 5s, on-5xx: true }",
    ] {
        assert_eq!(faults(good), "", "{good}");
    }
    let in_clear = "customer data would cross the network in clear";
    for (bad, fault) in [
        ("address: \"core.internal:1\", plain: true", in_clear),
        ("address: \"10.0.0.5:1\", plain: loopback", in_clear),
        ("addresses: [\"127.0.0.1:1\", \"10.0.0.5:1\"], plain: true", "`10.0.0.5:1` is neither"),
        ("address: \"a:1\", plain: yes", "must be `true` or `anywhere`"),
        ("address: \"unix:core.sock\", plain: true", "must be a host and a port"),
        ("address: \"unix:/run/core.sock\", ca: c", "server-name"),
        ("address: \"a:1\", addresses: [\"b:1\"], ca: c", "`addresses` for several"),
        ("addresses: [\"a:1\", \"a:1\"], ca: c", "there twice"),
        ("addresses: [], ca: c", "1 to 32 entries"),
        ("address: \"a:1\", plain: anywhere, http: 2", "agreed on in TLS"),
        ("address: \"a:1\", ca: c, http: 3", "must be `1` or `2`"),
        ("address: \"a:1\", ca: c, streams: 5", "needs `http: 2`"),
        ("address: \"a:1\", ca: c, retry: always", "`unsent` or `idempotent`"),
        ("address: \"a:1\", ca: c, health: { path: /up, every: 2s, timeout: 3s }", "not be longer"),
        ("address: \"a:1\", ca: c, eject: { after: 0 }", "`after`"),
    ] {
        assert!(faults(bad).contains(fault), "{bad}: {}", faults(bad));
    }
}
