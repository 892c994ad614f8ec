//! A 1 GB export through the whole gate: TLS on both sides, every record judged and counted, the
//! record of it durable. Prints the time, the rate and the gate's largest memory.
//!
//! `cargo bench --bench export` runs the gate as a process of its own, so that its memory is its own;
//! the backend and the client live in this one. Ends with a failure above 64 MiB.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

#[path = "../shared/gate.rs"]
mod gate;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gate::{Gate, HOST, Setup, prepare};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use menshen::clock::Clock;
use menshen::demo::backend::Backend;
use menshen::demo::certificates::Authority;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

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
roles: { caller: {} }
rules:
  - name: exports
    allow: [export]
    to: caller
    of: customer
    clear: [id, branch, segment, address.city, accounts.currency, accounts.balance]
    masked: [name, phone, email, birth_date, accounts.number]
limits:
  - to: caller
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
    let setup = Setup { policy: POLICY, ..Setup::default() };
    let token = prepare(folder.path(), &setup, &authority, backend.address().port(), &clock);
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
