//! Promise 4 against SIGKILL and a full disk: whatever a client received, wholly or in part, is in the log, the log
//! verifies, and nothing that was used up is given again.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use menshen::audit::{self, Effect, Event, Reader};
use menshen::clock::Clock;
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::grants::{answering, hotel_setup, scan_of};
use crate::harness::client::finish;
use crate::harness::gate::opener;
use crate::harness::process::menshen;
use crate::harness::{Ask, Connection, Gate, Process, soon};

/// Rounds in the suite; `MENSHEN_KILL_ROUNDS` has more.
const ROUNDS: u32 = 12;
/// Rounds on one folder, so that reading and verifying it stays short.
const ON_ONE_FOLDER: u32 = 30;
/// Rounds in which the same person spends the same budget, of so many guests.
const OF_ONE_PERSON: u32 = 4;
const BUDGET: usize = 40;
/// So many answers at most before it is killed.
const ANSWERS: u64 = 150;
/// Connections, and clients on each at once.
const CONNECTIONS: u32 = 4;
const CLIENTS: u32 = 6;

#[expect(clippy::disallowed_methods, reason = "how long to go on is the caller's to say")]
fn rounds() -> u32 {
    std::env::var("MENSHEN_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS)
}

/// Numbers that differ from run to run.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(u64::from_be_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap()) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What clients received.
#[derive(Default)]
struct Told {
    /// The id of each request of which a head came back, its path and its status.
    requests: Mutex<Vec<(String, String, u16)>>,
    /// How many guests, or files under a grant, were given to whom.
    given: Mutex<BTreeMap<String, usize>>,
    /// How many requests found a budget spent.
    spent: AtomicU32,
}

/// One client: asks for one thing after the other until the connection ends.
struct Asker {
    connection: Connection,
    told: Arc<Told>,
    /// Under what its successes are counted, if they are.
    counted: Option<String>,
    next: Arc<dyn Fn() -> Ask + Send + Sync>,
}

impl Asker {
    async fn run(mut self) {
        loop {
            let ask = (self.next)();
            let path = ask.path.clone();
            let Ok(response) = self.connection.begin(ask).await else { return };
            let (id, status) = (response.headers().get("menshen-request-id"), response.status());
            let id = id.unwrap_or_else(|| panic!("{status} of {path} has no id"));
            let request = (id.to_str().unwrap().to_owned(), path, status.as_u16());
            self.told.requests.lock().unwrap().push(request);
            if let Some(counted) = self.counted.as_ref().filter(|_| status == 200) {
                *self.told.given.lock().unwrap().entry(counted.clone()).or_default() += 1;
            }
            self.told.spent.fetch_add(u32::from(status == 429), Ordering::Relaxed);
            if finish(response).await.cut.is_some() {
                return;
            }
        }
    }
}

/// A gate that is killed and started again, and how far its log was read.
struct Victim {
    gate: Gate,
    told: Arc<Told>,
    read: u64,
    known: HashSet<String>,
    guests: Arc<AtomicU32>,
}

impl Victim {
    async fn new() -> Self {
        let limits = format!("limits:\n  - {{ to: teller, subjects: {BUDGET}/h }}\n");
        let setup = hotel_setup(&limits).plain().yaml("connections: { new-per-minute: 100000 }");
        let gate = setup.prepare(Clock::system()).await;
        answering(&gate);
        let (told, known, guests) = (Arc::default(), HashSet::new(), Arc::default());
        Self { gate, told, read: 0, known, guests }
    }

    /// All clients of a round, by what they do.
    async fn askers(&self, process: &Process, round: u32) -> Vec<Asker> {
        let person = format!("p{}", round / OF_ONE_PERSON);
        let teller = self.gate.token(&json!({ "sub": person }));
        let broke = self.gate.token(&json!({ "sub": format!("g{round}") }));
        let boss = self.gate.token(&json!({ "sub": "mei", "roles": ["manager"] }));
        let scan = format!("/guests/S{round}/scan");
        let mut askers = Vec::new();
        for connection in 0..CONNECTIONS {
            let client = process.client();
            let first = client.h2().await;
            for number in 0..CLIENTS {
                let (guests, teller) = (Arc::clone(&self.guests), teller.clone());
                let (broke, boss, scan) = (broke.clone(), boss.clone(), scan.clone());
                let new = move || format!("/guests/N{}", guests.fetch_add(1, Ordering::Relaxed));
                let (counted, next): (_, Arc<dyn Fn() -> Ask + Send + Sync>) = match number {
                    0 | 1 => (Some(person.clone()), Arc::new(move || Ask::get(&new()).by(&teller))),
                    2 => (None, Arc::new(move || Ask::new("DELETE", &new()).by(&boss))),
                    3 => (None, Arc::new(move || Ask::new("DELETE", &new()).by(&teller))),
                    4 => (None, Arc::new(move || Ask::get(&format!("{}?x=1", new())).by(&boss))),
                    _ => (Some(scan.clone()), Arc::new(move || Ask::get(&scan).by(&broke))),
                };
                let is_h1 = connection == 0 && number == 0;
                let connection = if is_h1 { client.h1().await } else { first.twin() };
                let told = Arc::clone(&self.told);
                askers.push(Asker { connection, told, counted, next });
            }
        }
        askers
    }

    /// One look at one file, opened by breaking glass. It may come too late.
    async fn break_glass(&self, process: &Process, round: u32) {
        let token = self.gate.token(&json!({ "sub": format!("g{round}") }));
        let mut fields = scan_of(&format!("S{round}"));
        fields["emergency"] = "true".into();
        let ask = Ask::post("/.menshen/grants", &fields.to_string()).bearer(&token);
        process.client().h1().await.send(ask).await.expect(201);
    }

    /// Starts it, looks at what the last round left, loads it, and kills it.
    async fn round(&mut self, round: u32, random: &mut Random) {
        let process = Process::run(&self.gate, "info").await;
        self.check();
        self.break_glass(&process, round).await;
        let clients = TaskTracker::new();
        let askers = self.askers(&process, round).await;
        let tasks: Vec<_> = askers.into_iter().map(|asker| clients.spawn(asker.run())).collect();
        // The moment is the point: anywhere between the first requests and many.
        let (told, wanted) = (Arc::clone(&self.told), random.below(ANSWERS));
        let answered = async {
            while (told.requests.lock().unwrap().len() as u64) < wanted {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        soon("answers", answered).await;
        tokio::time::sleep(Duration::from_micros(random.below(5_000))).await;
        drop(process);
        for task in tasks {
            soon("a client to notice", task).await.unwrap();
        }
    }

    /// The log verifies, everything that was told is in it, and nobody got more than they may.
    fn check(&mut self) {
        let log = self.gate.path("log");
        let key = std::fs::read_to_string(log.join("verifier.key")).unwrap();
        let verified = audit::verify(&log, &key.trim_end().parse().unwrap(), None);
        verified.unwrap_or_else(|broken| panic!("{broken}"));
        for read in Reader::new(&log, self.read, opener(&log, &self.gate.path("master.key"))) {
            let (index, record) = read.unwrap();
            let entry = record.entry().unwrap();
            self.read = index + 1;
            if entry.event == Event::Decision {
                self.known.insert(entry.id.to_string());
            }
        }
        let told = std::mem::take(&mut *self.told.requests.lock().unwrap());
        for (id, path, status) in told {
            assert!(self.known.contains(&id), "{status} of {path} was told and not recorded: {id}");
        }
        for (to, number) in self.told.given.lock().unwrap().iter() {
            let most = if to.ends_with("/scan") { 1 } else { BUDGET };
            assert!(*number <= most, "{to} was given {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_has_recorded_whatever_a_client_received_and_refills_nothing() {
    let (mut random, rounds) = (Random::new(), rounds());
    let (mut round, mut requests, mut spent) = (0, 0, 0);
    while round < rounds {
        let mut victim = Victim::new().await;
        for _ in 0..ON_ONE_FOLDER.min(rounds - round) {
            victim.round(round, &mut random).await;
            requests += victim.told.requests.lock().unwrap().len();
            round += 1;
        }
        let process = Process::run(&victim.gate, "info").await;
        victim.check();
        spent += victim.told.spent.load(Ordering::Relaxed);
        let (status, said) = process.stop().await;
        assert!(status.success(), "{said}");
        let log = victim.gate.path("log").display().to_string();
        assert!(menshen(&["log", "verify", &log]).status.success());
    }
    assert!(requests > rounds as usize, "{requests} answers in {rounds} rounds");
    assert!(spent > 0 || rounds < ROUNDS, "nobody spent a budget over several lives of the gate");
    println!("{rounds} rounds, {requests} answers received, {spent} of them for a spent budget");
}

/// How long it may take on a machine that has other things to do.
const FILLING: Duration = Duration::from_secs(600);

/// A disk of its own, gone when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing, where this process may not mount one.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m,mode=700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|ran| ran.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

/// Somebody who looks at one guest after the other.
struct Looker {
    connection: Connection,
    token: String,
    told: Arc<Told>,
    guests: Arc<AtomicU32>,
    allowed: Arc<AtomicU32>,
}

impl Looker {
    fn twin(&self) -> Self {
        Self {
            connection: self.connection.twin(),
            token: self.token.clone(),
            told: Arc::clone(&self.told),
            guests: Arc::clone(&self.guests),
            allowed: Arc::clone(&self.allowed),
        }
    }

    /// Gives the status.
    async fn ask(&mut self) -> u16 {
        let path = format!("/guests/N{}", self.guests.fetch_add(1, Ordering::Relaxed));
        // A long word for the log, so that its space is soon used up.
        let ask = Ask::get(&path).by(&self.token).header("menshen-reason", &"r".repeat(490));
        let answer = self.connection.send(ask).await;
        let status = answer.status.as_u16();
        self.allowed.fetch_add(u32::from(status == 200), Ordering::Relaxed);
        if status != 503 {
            let id = answer.header("menshen-request-id").unwrap().to_owned();
            self.told.requests.lock().unwrap().push((id, path, status));
        }
        status
    }

    async fn times(&mut self, number: u32, status: u16) {
        for _ in 0..number {
            assert_eq!(self.ask().await, status);
        }
    }

    async fn until(mut self, status: u16) {
        while self.ask().await != status {}
    }
}

/// Where no disk can be mounted, `a_full_disk_stops_everything_with_503_until_it_has_room_again` has the limit on files.
#[tokio::test]
async fn a_disk_that_fills_up_under_the_log_refuses_loses_nothing_and_goes_on_with_room() {
    let mut victim = Victim::new().await;
    let Some(disk) = SmallDisk::mount(&victim.gate.path("log"), 24) else { return };
    let process = Process::run(&victim.gate, "info").await;
    let mut looker = Looker {
        connection: process.client().h2().await,
        token: victim.gate.token(&json!({ "sub": "mei", "roles": ["manager"] })),
        told: Arc::clone(&victim.told),
        guests: Arc::clone(&victim.guests),
        allowed: Arc::default(),
    };
    looker.times(20, 200).await;
    // All the room goes to somebody else's file, but for space that the log has taken already.
    let filler = disk.0.join("filler");
    let of = format!("of={}", filler.display());
    let full = Command::new("dd").args(["if=/dev/zero", "bs=64k", &of]).output().unwrap();
    assert!(!full.status.success(), "it ends where the disk does");
    let tasks = TaskTracker::new();
    let together: Vec<_> = (0..8).map(|_| tasks.spawn(looker.twin().until(503))).collect();
    for one in together {
        // Some MiB that are there already are written first.
        tokio::time::timeout(FILLING, one).await.expect("the disk is never full").unwrap();
    }
    looker.times(20, 503).await;
    std::fs::remove_file(&filler).unwrap();
    soon("it to heal", looker.twin().until(200)).await;
    looker.times(20, 200).await;
    victim.check();
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
    let log = victim.gate.path("log");
    let entries = Reader::new(&log, 0, opener(&log, &victim.gate.path("master.key")));
    let decisions = entries.filter_map(|read| read.unwrap().1.entry()?.decision);
    let recorded = decisions.filter(|decision| decision.effect == Effect::Allow).count();
    let allowed = looker.allowed.load(Ordering::Relaxed);
    assert_eq!(recorded, allowed as usize, "nothing is lost, and nothing is there twice");
}
