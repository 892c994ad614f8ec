//! How fast the index reads a log on, how large it is, and how long a search takes.
//!
//! Run with `cargo bench --bench index [-- REQUESTS [DIR]]`; each request is two entries. DIR decides which disk is
//! measured.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use menshen::audit::{
    Actor, ActorKind, Data, Decision, Effect, Event, Filter, Log, Opener, Request, RestKey,
    Settings, SubjectSealer, Text, Why,
};
use menshen::clock::Clock;
use menshen::index::Index;
use menshen::secret::MasterKey;

/// Searches of each kind.
const SEARCHES: u64 = 200;
/// Requests that wait for the disk together.
const TOGETHER: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let requests = args.next().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(base)?;
    let (log, place) = (dir.path().join("log"), dir.path().join("log-index"));
    let keys = MasterKey::from_bytes([1; 32]);
    generate(&log, &keys, requests)?;
    let opener = Opener::new(&log, vec![RestKey::new(&keys)?]);
    let mut index = Index::open(&place, &log, opener, &keys)?;
    let start = Instant::now();
    while index.read_on(5_000)?.added > 0 {}
    let took = start.elapsed().as_secs_f64();
    let (entries, bytes) = (index.position()?, std::fs::metadata(index.path())?.len());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{entries} entries, read on at {:.0} entries/s, {} bytes of index an entry\n",
        entries as f64 / took,
        bytes / entries.max(1)
    )?;
    writeln!(out, "| search | p50 ms | p99 ms |\n|---|---|---|")?;
    let sealer = SubjectSealer::new(&keys)?;
    let people = people(requests);
    let subject = |n: u64| Some(sealer.token("customer", &(n * 7919 % people).to_string()));
    let with = |n: u64| Filter { subject: subject(n), ..Filter::default() };
    let route = |n: u64| Filter { route: Some(format!("route.{}", n % 40)), ..with(n) };
    let words = |n: u64| Filter { reason: Some(format!("case {}", n * 31)), ..Filter::default() };
    let account =
        |n: u64| Filter { actor: Some(format!("staff-{}", n % 500)), ..Filter::default() };
    searched(&mut out, "a subject", &mut index, with)?;
    searched(&mut out, "a subject on a route", &mut index, route)?;
    searched(&mut out, "words of a reason", &mut index, words)?;
    searched(&mut out, "the last 50 of an account", &mut index, account)?;
    Ok(())
}

/// Each customer is seen some twenty times.
fn people(requests: u64) -> u64 {
    (requests / 20).max(1)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn searched(
    out: &mut impl std::io::Write,
    name: &str,
    index: &mut Index,
    filter: impl Fn(u64) -> Filter,
) -> Result<(), Box<dyn Error>> {
    let mut took = Vec::new();
    for n in 0..SEARCHES {
        let start = Instant::now();
        index.search(&filter(n), None, 50)?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    let at = |percent: usize| {
        took.get(took.len() * percent / 100).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1e3)
    };
    writeln!(out, "| {name} | {:.1} | {:.1} |", at(50), at(99))?;
    Ok(())
}

/// A log of looks, each at one of the customers.
fn generate(dir: &Path, keys: &MasterKey, requests: u64) -> Result<(), Box<dyn Error>> {
    let (log, _) = Log::open(dir, Settings::default(), Clock::system(), keys)?;
    let sealer = SubjectSealer::new(keys)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let people = people(requests);
    for first in (0..requests).step_by(usize::try_from(TOGETHER)?) {
        let mut waiting = Vec::new();
        for n in first..(first + TOGETHER).min(requests) {
            let mut decision = log.entry(Event::Decision)?;
            let roles = ["teller", "branch-staff"].into_iter().collect();
            let account = format!("staff-{}", n * 31 % 500);
            let (account, kind) = (account.as_str().into(), Some(ActorKind::Staff));
            decision.actor = Some(Actor { account, kind, roles, ..Actor::default() });
            let route = format!("route.{}", n % 40);
            decision.request = Some(Request {
                method: "GET".into(),
                route: route.as_str().into(),
                ..Request::default()
            });
            let reason = Text::reason(&format!("the customer called about case {n}"));
            decision.why = Some(Why { purpose: "service".into(), reason, ..Why::default() });
            decision.decision = Some(Decision::new(Effect::Allow));
            let mut outcome = log.entry(Event::Outcome)?;
            outcome.decided_by = Some(decision.id);
            outcome.add_subject(sealer.seal("customer", &(n * 7907 % people).to_string())?)?;
            outcome.data = Some(Data {
                clear: ["customer.name", "customer.branch"].into_iter().collect(),
                masked: ["customer.phone"].into_iter().collect(),
                records: Some(1),
                ..Data::default()
            });
            waiting.push(log.append(decision));
            waiting.push(log.append(outcome));
        }
        runtime.block_on(async {
            for one in waiting {
                one.await?;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
    }
    log.close();
    Ok(())
}
