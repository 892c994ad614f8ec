//! What the log costs the whole gate: requests a second at 32 concurrent, beside the same gate with a log that keeps nothing.
//!
//! Run with `cargo bench --features unrecorded --bench log_cost [-- DIR]`; DIR decides which disk is measured. Two gates, each a process of its own, are
//! asked in turns, so that what else the machine does weighs on both. `MENSHEN_BENCH_SECONDS` is how long a turn takes (5).

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

#[path = "../login_flood/client.rs"]
#[expect(dead_code, reason = "nobody signs in here")]
mod client;
#[path = "../shared/gate.rs"]
mod gate;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::{Client, Dialer};
use gate::{Gate, Setup, prepare};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::demo::backend::Backend;
use menshen::demo::certificates::Authority;
use menshen::server::Server;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

const CUSTOMERS: usize = 100;
const CONCURRENT: usize = 32;
/// Turns of each gate.
const TURNS: usize = 5;

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
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (first, second) = (args.next(), args.next());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match (first.as_deref(), second) {
        (Some("serve-unrecorded"), Some(folder)) => runtime.block_on(serve(Path::new(&folder))),
        (base, _) => {
            let base = base.map_or_else(std::env::temp_dir, PathBuf::from);
            runtime.block_on(measure(&base));
        }
    }
}

/// The gate whose log keeps nothing, until it is killed.
async fn serve(folder: &Path) {
    let config = Config::load(&folder.join("menshen.yaml")).expect("a configuration");
    let server = Server::start_unrecorded(config, Clock::system()).await.expect("a gate");
    std::future::pending::<()>().await;
    server.drain().await;
}

async fn measure(base: &Path) {
    let seconds = std::env::var("MENSHEN_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let turn = Duration::from_secs(seconds.unwrap_or(5));
    let clock = Clock::system();
    let authority = Authority::new("bench CA", &clock).expect("an authority");
    let inside = authority.issue(&["localhost"]).expect("a certificate");
    let tls = inside.server_config().expect("a TLS configuration");
    let backend = Backend::start(CUSTOMERS, &TaskTracker::new(), Some(tls)).await;
    let port = backend.as_ref().expect("a backend").address().port();
    let setup = Setup { policy: POLICY, lines: "in-flight-per-person: 64\n", ..Setup::default() };
    let mut sides = Vec::new();
    for is_recorded in [true, false] {
        let folder = tempfile::tempdir_in(base).expect("a folder");
        let token = prepare(folder.path(), &setup, &authority, port, &clock);
        let gate = match is_recorded {
            true => Gate::start(folder.path()),
            false => Gate::start_other(folder.path(), "serve-unrecorded"),
        };
        let mut side =
            Side { gate, token, clients: Vec::new(), turns: Vec::new(), _folder: folder };
        let dialer = Dialer::new(side.gate.port, &authority);
        for _ in 0..CONCURRENT {
            side.clients.push(dialer.connect(Ipv4Addr::LOCALHOST).await);
        }
        side.ask(Duration::from_secs(1)).await;
        sides.push(side);
    }
    for _ in 0..TURNS {
        for side in &mut sides {
            let turn = side.ask(turn).await;
            side.turns.push(turn);
        }
    }
    println!("requests of {CONCURRENT} connections, each over TLS, decided and filtered");
    println!("| log | requests/s, the median of {TURNS} turns | us of the gate's CPU a request |");
    println!("|---|---|---|");
    let told: Vec<f64> = sides.iter_mut().map(|side| side.median()).collect();
    for ((name, side), rate) in ["durable", "none"].iter().zip(&mut sides).zip(&told) {
        let cpu: f64 = side.turns.iter().map(|turn| turn.cpu_us).sum::<f64>() / TURNS as f64;
        println!("| {name} | {rate:.0} | {cpu:.0} |");
    }
    if let [durable, none] = told.as_slice() {
        println!("\nthe log costs {:.1} % of the requests", (1.0 - durable / none) * 100.0);
    }
}

/// One of the two gates and who asks it.
struct Side {
    gate: Gate,
    token: String,
    clients: Vec<Client>,
    turns: Vec<Turn>,
    _folder: tempfile::TempDir,
}

struct Turn {
    rate: f64,
    cpu_us: f64,
}

impl Side {
    /// All connections ask, each as soon as it has its answer.
    async fn ask(&mut self, time: Duration) -> Turn {
        let (start, cpu) = (Instant::now(), self.gate.cpu_seconds());
        let mut asking = JoinSet::new();
        for (n, mut client) in self.clients.drain(..).enumerate() {
            let token = self.token.clone();
            asking.spawn(async move {
                let (mut asked, path) = (0_u64, format!("/api/customers/{}", 1001 + n));
                while start.elapsed() < time {
                    assert_eq!(client.get(&path, &token).await, 200, "a request is refused");
                    asked += 1;
                }
                (client, asked)
            });
        }
        let mut answered = 0;
        for (client, asked) in asking.join_all().await {
            self.clients.push(client);
            answered += asked;
        }
        let (took, cpu) = (start.elapsed().as_secs_f64(), self.gate.cpu_seconds() - cpu);
        Turn { rate: answered as f64 / took, cpu_us: cpu * 1e6 / answered.max(1) as f64 }
    }

    fn median(&mut self) -> f64 {
        self.turns.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        self.turns.get(TURNS / 2).map_or(0.0, |turn| turn.rate)
    }
}
