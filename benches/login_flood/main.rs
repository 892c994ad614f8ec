//! Plain requests while 500 sign-ins a second are attempted: how long the requests take, what the attempts are told,
//! and how far the log grows.
//!
//! `cargo bench --bench login_flood` runs the gate as a process of its own. Clients, backend and gate share the machine, so the
//! comparison is with the same requests before the flood.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

mod client;
#[path = "../shared/gate.rs"]
mod gate;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::{Client, Dialer};
use gate::{Gate, Setup, prepare};
use menshen::audit::{Opener, Reader};
use menshen::clock::Clock;
use menshen::demo::backend::Backend;
use menshen::demo::certificates::Authority;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CUSTOMERS: usize = 100;
/// Plain requests a second.
const REQUESTS: u64 = 100;
/// Sign-ins a second, over so many addresses and connections.
const ATTEMPTS: u64 = 500;
const ADDRESSES: u8 = 50;
const PHASE: Duration = Duration::from_secs(10);

const POLICY: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, sealed: {} }
entities:
  customer:
    subject: id
    fields:
      id: 1
      name: { grade: 2, kind: person-name }
      phone: { grade: 3, kind: phone }
      branch: 1
routes:
  customer.view:
    match: GET bank.example/api/customers/{id}
    to: core
    action: view
    returns: { customer: $ }
roles: { caller: {} }
rules:
  - { name: looks, allow: view, to: caller, of: customer, clear: [id, name, branch], masked: [phone] }
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
    let tasks = TaskTracker::new();
    let tls = inside.server_config().expect("a TLS configuration");
    let backend = Backend::start(CUSTOMERS, &tasks, Some(tls)).await.expect("a backend");
    let setup = Setup { policy: POLICY, ..Setup::default() };
    let token = prepare(folder.path(), &setup, &authority, backend.address().port(), &clock);
    let gate = Gate::start(folder.path());
    let dialer = Dialer::new(gate.port, &authority);

    let mut client = dialer.connect(Ipv4Addr::LOCALHOST).await;
    plain(&mut client, &token, Duration::from_secs(2)).await;
    let quiet = plain(&mut client, &token, PHASE).await;
    let before = entries(folder.path());

    let (stop, told) = (CancellationToken::new(), Arc::new(Mutex::new(BTreeMap::new())));
    for n in 1..=ADDRESSES {
        let attacker = dialer.connect(Ipv4Addr::new(127, 0, 1, n)).await;
        tasks.spawn(attack(attacker, stop.clone(), Arc::clone(&told)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let flooded = plain(&mut client, &token, PHASE).await;
    stop.cancel();
    let requests = flooded.len();
    let grown = entries(folder.path()).saturating_sub(before).saturating_sub(2 * requests);

    println!("{REQUESTS} plain requests a second, each over TLS, decided, recorded and filtered");
    println!("  quiet          {}", percentiles(quiet));
    println!("  {ATTEMPTS} sign-ins/s {}", percentiles(flooded));
    let told = told.lock().expect("what was told").clone();
    println!("  told           {told:?} (status: how often)");
    println!("  log            {grown} entries besides those of the requests");
}

/// Asks at a steady rate and gives how long each answer took from when its request was due, in microseconds.
async fn plain(client: &mut Client, token: &str, time: Duration) -> Vec<u64> {
    let mut due = interval(Duration::from_micros(1_000_000 / REQUESTS));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (until, mut took) = (Instant::now() + time, Vec::new());
    while Instant::now() < until {
        let began = due.tick().await;
        let path = "/api/customers/1001";
        assert_eq!(client.get(path, token).await, 200, "a plain request is refused");
        took.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    took
}

/// Signs in again and again, under a name that may or may not be there.
async fn attack(mut client: Client, stop: CancellationToken, told: Arc<Mutex<BTreeMap<u16, u64>>>) {
    let mut due = interval(Duration::from_micros(1_000_000 * u64::from(ADDRESSES) / ATTEMPTS));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0_u64.. {
        let name = format!("name{}", n % 1_000);
        let status = tokio::select! {
            () = stop.cancelled() => return,
            status = async {
                due.tick().await;
                client.sign_in(&name).await
            } => status,
        };
        *told.lock().expect("what was told").entry(status).or_default() += 1;
    }
}

fn percentiles(mut took: Vec<u64>) -> String {
    took.sort_unstable();
    let at =
        |share: usize| took.get((took.len() * share / 1_000).min(took.len().saturating_sub(1)));
    let ms = |share| at(share).map_or(0.0, |us| *us as f64 / 1_000.0);
    format!("p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", ms(500), ms(990), ms(1_000))
}

fn entries(folder: &Path) -> usize {
    let log = folder.join("log");
    Reader::new(&log, 0, Opener::new(&log, Vec::new())).filter(Result::is_ok).count()
}
