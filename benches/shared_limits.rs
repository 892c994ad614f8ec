//! What admission costs where gates count together: beside a bare `EVALSHA`, which asking for each request would cost.
//!
//! `cargo bench --bench shared_limits` starts a `redis-server` of its own and prints, for 1 and 64 tasks, requests a second, the
//! middle and the 99th percentile, and how many calls the server heard for each request.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use menshen::clock::Clock;
use menshen::limits::shared::{Shared, SharedSettings};
use menshen::limits::{
    Allowance, Limits, Occasion, Settings, StoreError, StoreFuture, Take, Terms, Usage,
    UsageChange, UsageFuture, UsageStore, Window,
};
use menshen::secret::MasterKey;
use menshen::shared::{RedisSettings, RedisShared};

const PERSONS: u64 = 1_000;
const REQUESTS: u64 = 100_000;

/// Forgets at once: what a write costs, `log.rs` knows.
struct Nowhere;

impl UsageStore for Nowhere {
    fn load(&self) -> Result<Usage, StoreError> {
        Ok(Usage::default())
    }

    fn of<'a>(&'a self, _holder: &'a str) -> UsageFuture<'a> {
        Box::pin(async { Ok(Usage::default()) })
    }

    fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_> {
        drop(changes);
        Box::pin(async { Ok(()) })
    }

    fn is_failing(&self) -> bool {
        false
    }
}

/// A private server, ended with this value.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let mut server = Command::new("redis-server");
        server.arg("-").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = server.spawn().expect("a redis-server");
        let lines = format!("port {}\nbind 127.0.0.1\nsave \"\"\n", port.port());
        let mut input = child.stdin.take().expect("its input");
        input.write_all(lines.as_bytes()).expect("its configuration");
        drop(input);
        while TcpStream::connect(port).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child, port.port())
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.1)
    }

    /// How many scripts it has run.
    async fn calls(&self) -> u64 {
        let mut connection = self.connection().await;
        let about: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(&mut connection)
            .await
            .expect("info");
        let line = about.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a client");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

/// Runs requests on some tasks and prints what they took.
async fn measure<F, Fut>(server: &Server, what: &str, tasks: u64, request: F)
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (calls, began) = (server.calls().await, Instant::now());
    let tracker = tokio_util::task::TaskTracker::new();
    let running = Vec::from_iter((0..tasks).map(|task| {
        let request = request.clone();
        tracker.spawn(async move {
            let mut took = Vec::new();
            for n in 0..REQUESTS / tasks {
                let began = Instant::now();
                request(n * tasks + task).await;
                took.push(began.elapsed());
            }
            took
        })
    }));
    let mut took = Vec::new();
    for task in running {
        took.extend(task.await.expect("a task"));
    }
    let wall = began.elapsed();
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 1_000).copied().unwrap_or_default();
    let (done, calls) = (took.len(), server.calls().await - calls);
    let per_second = done as f64 / wall.as_secs_f64();
    let each = calls as f64 / done as f64;
    println!(
        "{what}, {tasks:>2} tasks: {per_second:>9.0}/s, p50 {:?}, p99 {:?}, calls a request {each:.4}",
        at(500),
        at(990)
    );
}

/// As large as five budgets of people are.
fn five() -> Arc<Allowance> {
    let terms = Terms {
        subjects: vec![Window::sliding(400_000, 3_600), Window::sliding(900_000, 86_400)],
        records: vec![Window::sliding(4_000_000, 3_600), Window::sliding(40_000_000, 86_400)],
        bytes: vec![Window::sliding(u64::MAX >> 20, 86_400)],
        ..Terms::default()
    };
    Arc::new(Allowance::new(&[terms]).expect("an allowance"))
}

fn limits(shared: Option<Arc<Shared>>) -> Arc<Limits> {
    let settings = Settings { in_flight: 100_000, ..Settings::default() };
    let limits = Limits::open(settings, &Clock::system(), Arc::new(Nowhere)).expect("limits");
    Arc::new(match shared {
        Some(shared) => limits.sharing(shared),
        None => limits,
    })
}

async fn admit(limits: Arc<Limits>, five: Arc<Allowance>, n: u64) {
    let person = format!("person-{:04}", n % PERSONS);
    let seat = limits.admit_shared(&*person, &Arc::<Occasion>::default(), &five).await;
    let seat = seat.expect("a seat");
    assert_eq!(seat.take_record(Some(n % 97), None), Take::Release);
    assert_eq!(seat.take_bytes(1_000), Take::Release);
    seat.persist().await.expect("it is kept");
}

async fn bare(server: &Server) {
    let script =
        "redis.call('INCRBY', KEYS[1], ARGV[1]); return redis.call('PEXPIRE', KEYS[1], 3600000)";
    let mut connection = server.connection().await;
    let hash: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(script)
        .query_async(&mut connection)
        .await
        .expect("load");
    for tasks in [1, 64] {
        let (hash, connection) = (hash.clone(), connection.clone());
        measure(server, "bare EVALSHA of one counter   ", tasks, move |n| {
            let (hash, mut connection) = (hash.clone(), connection.clone());
            async move {
                let mut call = redis::cmd("EVALSHA");
                call.arg(&hash).arg(1).arg(format!("bare:{}", n % PERSONS)).arg(1);
                call.query_async::<()>(&mut connection).await.expect("an answer");
            }
        })
        .await;
    }
}

async fn together(server: &Server) {
    let redis = RedisSettings {
        url: server.url(),
        ca: None,
        password_file: None,
        deadline: Duration::from_secs(2),
    };
    let redis = RedisShared::new(&redis, "key".to_owned()).expect("a store");
    let names = MasterKey::generate().and_then(|key| key.tagger("shared-account")).expect("a key");
    let settings = SharedSettings { gates: Some(1), ..SharedSettings::default() };
    let settings = SharedSettings { deadline: Duration::from_secs(2), ..settings };
    let shared = Shared::new(Arc::new(redis), &Clock::system(), settings, names, "bench");
    let (limits, five) = (limits(Some(Arc::clone(&shared))), five());
    let tracker = tokio_util::task::TaskTracker::new();
    let (keeper, counted) = (Arc::clone(&shared), Arc::clone(&limits));
    let keeper = tracker.spawn(async move {
        loop {
            keeper.round(|| counted.released()).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    while !shared.health().is_up {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (what, tasks) in [("first of 1,000 persons", 64), ("", 1), ("", 64)] {
        let (limits, five) = (Arc::clone(&limits), Arc::clone(&five));
        let what = format!("five budgets, lent by Redis {what:<3}");
        measure(server, &what, tasks, move |n| admit(Arc::clone(&limits), Arc::clone(&five), n))
            .await;
    }
    keeper.abort();
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let server = Server::start();
        bare(&server).await;
        let (alone, five) = (limits(None), five());
        for tasks in [1, 64] {
            let (limits, five) = (Arc::clone(&alone), Arc::clone(&five));
            let request = move |n| admit(Arc::clone(&limits), Arc::clone(&five), n);
            measure(&server, "five budgets, one gate alone  ", tasks, request).await;
        }
        together(&server).await;
    });
}
