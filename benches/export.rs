//! A 1 GB export through the whole gate: TLS on both sides, every record judged and counted, the
//! record of it durable. Prints the time, the rate and the gate's largest memory.
//!
//! `cargo bench --bench export` runs the gate as a process of its own, so that its memory is its own;
//! the backend and the client live in this one. Ends with a failure above 64 MiB.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use menshen::clock::Clock;
use menshen::demo::backend::Backend;
use menshen::demo::certificates::{Authority, write_public};
use menshen::secret::MasterKey;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

const HOST: &str = "bank.example";
const CUSTOMERS: usize = 2_000;
/// Passes over all customers; some 1.3 MB each.
const PASSES: usize = 824;
const MOST_MEMORY_KIB: u64 = 64 * 1024;

const POLICY: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: {}, sealed: {} }
entities:
  customer:
    subject: id
    fields:
      id: 1
      name: { grade: 2, kind: person-name }
      phone: { grade: 3, kind: phone }
      email: { grade: 3, kind: email }
      birth_date: { grade: 3, kind: birth-date }
      branch: 1
      segment: 1
      address: { city: 1, street: { grade: 3, kind: address } }
      accounts[]: { number: { grade: 3, kind: bank-account }, currency: 1, balance: 2 }
routes:
  customer.export:
    match: GET bank.example/api/customers/export
    to: core
    action: export
    query: { repeat: free }
    returns: { customer: "$[]" }
roles: { exporter: {} }
rules:
  - name: exports
    allow: [export]
    to: exporter
    of: customer
    clear: [id, branch, segment, address.city, accounts.currency, accounts.balance]
    masked: [name, phone, email, birth_date, accounts.number]
limits:
  - to: exporter
    records: 1000000000/day
"#;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let authority = Authority::new("bench CA", &clock).expect("an authority");
    let inside = authority.issue(&["localhost"]).expect("a certificate");
    let tracker = TaskTracker::new();
    let tls = inside.server_config().expect("a TLS configuration");
    let backend = Backend::start(CUSTOMERS, &tracker, Some(tls)).await.expect("a backend");
    let token = prepare(folder.path(), &authority, backend.address().port(), &clock);
    let gate = Gate::start(folder.path());
    let before = gate.memory_kib("VmRSS");

    let started = Instant::now();
    let bytes = export(folder.path(), gate.port, &token, &authority).await;
    let seconds = started.elapsed().as_secs_f64();

    let (cpu_s, most) = (gate.cpu_seconds(), gate.memory_kib("VmHWM"));
    let read = PASSES as f64 * 1.303e6;
    println!("export of {} passes over {CUSTOMERS} customers through the gate", PASSES);
    println!("  released       {:.2} GB of some {:.2} GB", bytes as f64 / 1e9, read / 1e9);
    println!("  time           {seconds:.2} s, {:.0} MB/s released", bytes as f64 / 1e6 / seconds);
    println!("  gate CPU       {cpu_s:.2} s, {:.2} s per GB released", cpu_s * 1e9 / bytes as f64);
    println!("  gate memory    {before} KiB at rest, {most} KiB at most (limit {MOST_MEMORY_KIB})");
    assert!(bytes > 500_000_000, "the export was cut short");
    assert!(most < MOST_MEMORY_KIB, "the gate took too much memory");
}

/// Writes everything the gate needs and gives a token.
fn prepare(folder: &Path, authority: &Authority, backend: u16, clock: &Clock) -> String {
    MasterKey::generate()
        .and_then(|key| key.write_new(&folder.join("master.key")))
        .expect("a master key");
    let files = authority
        .issue(&[HOST])
        .and_then(|issued| issued.write(folder, "gate"))
        .expect("the gate's certificate");
    write_public(&folder.join("ca.pem"), authority.certificate_pem()).expect("the CA's file");
    std::fs::create_dir(folder.join("policies")).expect("a policy folder");
    std::fs::write(folder.join("policies/bench.yaml"), POLICY).expect("a policy");
    let config = format!(
        "node: bench\nstate: state\nlog: log\nkey: master.key\npolicies: policies\n\
         listeners:\n  - {{ address: \"127.0.0.1:{port}\", zone: bench, certificate: {chain:?}, key: {key:?} }}\n\
         upstreams:\n  core: {{ address: \"localhost:{backend}\", ca: ca.pem }}\n\
         issuers:\n  - {{ name: bench, issuer: bench, audience: menshen, keys: jwks.json }}\n",
        port = free_port(),
        chain = files.chain,
        key = files.key,
    );
    std::fs::write(folder.join("menshen.yaml"), config).expect("a configuration");
    token(folder, clock)
}

/// A token of the one issuer, whose public key goes to `jwks.json`.
fn token(folder: &Path, clock: &Clock) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let pair = rcgen::KeyPair::generate().expect("a key");
    // An uncompressed point: 0x04, then both coordinates.
    let (x, y) = pair.public_key_raw().get(1..).expect("a point").split_at(32);
    let jwks = serde_json::json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]});
    std::fs::write(folder.join("jwks.json"), jwks.to_string()).expect("a key file");
    let now = clock.unix_s();
    let claims = serde_json::json!({
        "iss": "bench", "aud": "menshen", "sub": "exporter", "roles": ["exporter"],
        "iat": now, "nbf": now, "exp": now + 3600,
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("bench".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key.expect("a signing key")).expect("a token")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// Fetches the export and gives how many bytes came.
async fn export(folder: &Path, port: u16, token: &str, authority: &Authority) -> u64 {
    let trust = authority.certificate_pem().as_bytes();
    let config = menshen::tls::client::client_config(trust, None).expect("a client configuration");
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let name = HOST.try_into().expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, tcp).await.expect("a handshake");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let driver = async { connection.await.expect("a connection that holds") };
    let fetch = async {
        let request = http::Request::get(format!("/api/customers/export?repeat={PASSES}"))
            .header("host", HOST)
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<bytes::Bytes>::new())
            .expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), 200, "see {}", folder.display());
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            bytes += frame.expect("a whole body").data_ref().map_or(0, |data| data.len() as u64);
        }
        drop(sender);
        bytes
    };
    tokio::join!(driver, fetch).1
}

/// The gate in a process of its own, ended with this value.
struct Gate {
    child: Child,
    port: u16,
}

impl Gate {
    fn start(folder: &Path) -> Self {
        let config = folder.join("menshen.yaml");
        let child = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .spawn()
            .expect("the gate");
        let text = std::fs::read_to_string(config).expect("the configuration");
        let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the gate did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port }
    }

    fn memory_kib(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the gate's status");
        let line = status.lines().find(|line| line.starts_with(what)).expect("its memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }

    /// User and system time of the gate, from hundredths of a second.
    fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("the gate's times");
        let after_name = stat.rsplit(')').next().expect("its fields");
        let times = after_name.split_whitespace().skip(11).take(2);
        times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
