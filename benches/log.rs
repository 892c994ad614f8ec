//! How fast entries become durable: entries per second, and the wait of one writer among many.
//!
//! Run with `cargo bench --bench log [-- DIR]`; DIR decides which disk is measured.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use menshen::audit::{Actor, Decision, Effect, Entry, Event, Log, LogError, Request, Settings};
use menshen::clock::Clock;
use menshen::secret::MasterKey;
use tokio::task::JoinSet;

const TIME_EACH: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let base = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let base = base.map_or_else(std::env::temp_dir, PathBuf::from);
    let mut out = std::io::stdout().lock();
    writeln!(out, "| writers | entries/s | p50 us | p99 us | bytes an entry |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for writers in [1, 32, 256] {
        let dir = tempfile::tempdir_in(&base)?;
        let mut waits = measure(dir.path(), writers)?;
        waits.sort_unstable();
        let rate = waits.len() as u64 / TIME_EACH.as_secs();
        let (p50, p99) = (at(&waits, 50), at(&waits, 99));
        let bytes = size(&dir.path().join("tile/entries"))? / waits.len().max(1) as u64;
        writeln!(out, "| {writers} | {rate} | {p50} | {p99} | {bytes} |")?;
    }
    Ok(())
}

fn at(sorted: &[Duration], percent: usize) -> u128 {
    sorted.get(sorted.len() * percent / 100).map_or(0, Duration::as_micros)
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        total += if entry.path().is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(dir: &Path, writers: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let keys = MasterKey::from_bytes([1; 32]);
    let (log, _) = Log::open(dir, Settings::default(), Clock::system(), &keys)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_time().worker_threads(2).build()?;
    let until = Instant::now() + TIME_EACH;
    let waits = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(write(log.clone(), until));
        }
        tasks.join_all().await
    });
    log.close();
    let mut all = Vec::new();
    for waits in waits {
        all.extend(waits?);
    }
    Ok(all)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn write(log: Log, until: Instant) -> Result<Vec<Duration>, LogError> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        log.append(decision(&log)?).await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

/// A decision with what a gate usually knows.
fn decision(log: &Log) -> Result<Entry, LogError> {
    let mut entry = log.entry(Event::Decision)?;
    let roles = ["teller", "branch-staff"].into_iter().collect();
    entry.actor = Some(Actor { account: "wang.li".into(), roles, ..Actor::default() });
    entry.request = Some(Request {
        method: "GET".into(),
        host: "bank.example".into(),
        route: "customer.view".into(),
        template: "/customers/{id}".into(),
        ..Request::default()
    });
    let mut decision = Decision::new(Effect::Allow);
    decision.rules = ["tellers-see-their-branch"].into_iter().collect();
    entry.decision = Some(decision);
    Ok(entry)
}
