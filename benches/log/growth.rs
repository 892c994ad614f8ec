//! How a log grows: for logs each ten times as long as the one before, how fast they are verified, read and indexed,
//! how large they are, and how long a search takes.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use menshen::audit::note::Verifier;
use menshen::audit::{Filter, Opener, Reader, Record, RestKey, SubjectSealer, verify};
use menshen::index::Index;
use menshen::secret::MasterKey;

use crate::content::{generate, people};
use crate::{at, size};

/// Searches of each kind.
const SEARCHES: u64 = 200;
/// The shortest log that says something.
const LEAST: u64 = 1_000;

/// What was measured of one log.
struct Grown {
    entries: u64,
    verified: f64,
    read: f64,
    indexed: f64,
    bytes: f64,
    index_bytes: f64,
    searches: Vec<Searched>,
}

pub(crate) fn tell(base: &Path, most: u64, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let mut grown: Vec<Grown> = Vec::new();
    for part in [100, 10, 1] {
        let entries = (most / part).max(LEAST) / 2 * 2;
        if grown.last().is_none_or(|last| last.entries < entries) {
            let one = grow(base, entries)?;
            writeln!(out, "a log of {entries} entries was measured")?;
            out.flush()?;
            grown.push(one);
        }
    }
    writeln!(
        out,
        "\n| entries | verified/s | read/s | indexed/s | bytes an entry | of index | search | p50 ms | p99 ms |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for Grown { entries, verified, read, indexed, bytes, index_bytes, searches } in &grown {
        for (name, p50, p99) in searches {
            writeln!(
                out,
                "| {entries} | {verified:.0} | {read:.0} | {indexed:.0} | {bytes:.0} | {index_bytes:.0} | {name} | {p50:.2} | {p99:.2} |"
            )?;
        }
    }
    if let [.., before, last] = grown.as_slice() {
        law(before, last, out)?;
    }
    writeln!(out)?;
    Ok(())
}

/// How a search's time grows with the log: as its size to the power that is told.
fn law(before: &Grown, last: &Grown, out: &mut impl Write) -> std::io::Result<()> {
    let times = last.entries as f64 / before.entries as f64;
    writeln!(
        out,
        "\n| search | its time grows as entries to the power of | at 100 million, ms |\n|---|---|---|"
    )?;
    for ((name, was, _), (_, is, _)) in before.searches.iter().zip(&last.searches) {
        let power = (is / was).ln() / times.ln();
        let far = is * (1e8 / last.entries as f64).powf(power.max(0.0));
        writeln!(out, "| {name} | {power:.2} | {far:.1} |")?;
    }
    Ok(())
}

fn grow(base: &Path, entries: u64) -> Result<Grown, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(base)?;
    let (log, place) = (dir.path().join("log"), dir.path().join("log-index"));
    let keys = MasterKey::from_bytes([1; 32]);
    let requests = entries / 2;
    generate(&log, &keys, requests)?;
    let verifier: Verifier = std::fs::read_to_string(log.join("verifier.key"))?.trim().parse()?;
    let rate = |start: Instant, count: u64| count as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let held = verify(&log, &verifier, None).map_err(|broken| broken.to_string())?;
    let verified = rate(start, held.entries);
    let opener = Opener::new(&log, vec![RestKey::new(&keys)?]);
    let start = Instant::now();
    let legible = Reader::new(&log, 0, opener.clone())
        .filter(|read| matches!(read, Ok((_, Record::Entry(_)))))
        .count();
    let read = rate(start, u64::try_from(legible)?);
    if u64::try_from(legible)? != entries {
        return Err(format!("{legible} of {entries} entries could be read").into());
    }
    let mut index = Index::open(&place, &log, opener, &keys)?;
    let start = Instant::now();
    while index.read_on(5_000)?.added > 0 {}
    let indexed = rate(start, entries);
    Ok(Grown {
        entries,
        verified,
        read,
        indexed,
        bytes: size(&log.join("tile"))? as f64 / entries as f64,
        index_bytes: std::fs::metadata(index.path())?.len() as f64 / entries as f64,
        searches: searches(&mut index, &keys, requests)?,
    })
}

/// What was searched for, and the two times of it in milliseconds.
type Searched = (&'static str, f64, f64);

fn searches(
    index: &mut Index,
    keys: &MasterKey,
    requests: u64,
) -> Result<Vec<Searched>, Box<dyn Error>> {
    let sealer = SubjectSealer::new(keys)?;
    let people = people(requests);
    let subject = |n: u64| Some(sealer.token("customer", &(n * 7919 % people).to_string()));
    let with = |n: u64| Filter { subject: subject(n), ..Filter::default() };
    let route = |n: u64| Filter { route: Some(format!("route.{}", n % 40)), ..with(n) };
    let nobody = |n: u64| {
        let subject = Some(sealer.token("customer", &format!("nobody-{n}")));
        Filter { subject, ..Filter::default() }
    };
    let words = |n: u64| Filter {
        reason: Some(format!("case {}", n * 31 % requests)),
        ..Filter::default()
    };
    let account =
        |n: u64| Filter { actor: Some(format!("staff-{}", n % 500)), ..Filter::default() };
    Ok(vec![
        searched("a subject", index, with)?,
        searched("a subject on a route", index, route)?,
        searched("a subject whom nobody saw", index, nobody)?,
        searched("words of a reason", index, words)?,
        searched("the last 50 of an account", index, account)?,
    ])
}

fn searched(
    name: &'static str,
    index: &mut Index,
    filter: impl Fn(u64) -> Filter,
) -> Result<(&'static str, f64, f64), Box<dyn Error>> {
    let mut took = Vec::new();
    for n in 0..SEARCHES {
        let start = Instant::now();
        index.search(&filter(n), None, 50)?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    let ms = |percent| at(&took, percent).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Ok((name, ms(50), ms(99)))
}
