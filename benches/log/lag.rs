//! How far the index is behind a log that takes so many entries a second, read on as a gate does.

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use menshen::audit::{Log, Opener, RestKey, Settings, SubjectSealer};
use menshen::clock::Clock;
use menshen::index::{Index, IndexError};
use menshen::secret::MasterKey;

use crate::at;
use crate::content::{decision, outcome};

/// A second is written in so many parts.
const PARTS: u64 = 50;
const CUSTOMERS: u64 = 100_000;

pub(crate) fn tell(
    base: &Path,
    rate: u64,
    time: Duration,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(base)?;
    let (place, at_log) = (dir.path().join("log-index"), dir.path().join("log"));
    let keys = MasterKey::from_bytes([1; 32]);
    let (log, _) = Log::open(&at_log, Settings::default(), Clock::system(), &keys)?;
    let opener = Opener::new(&at_log, vec![RestKey::new(&keys)?]);
    let index = Index::open(&place, &at_log, opener, &keys)?;
    let sealer = SubjectSealer::new(&keys)?;
    let is_over = AtomicBool::new(false);
    let (written, lags) = std::thread::scope(|threads| {
        let follower = threads.spawn(|| follow(index, &log, &is_over));
        let written = write(&log, &sealer, rate, time).map_err(|error| error.to_string());
        is_over.store(true, Ordering::Relaxed);
        (written, follower.join())
    });
    let written = written?;
    let mut lags = lags.map_err(|_panic| "the index's thread ended by a panic")??;
    log.close();
    lags.sort_unstable();
    let ms = |percent| at(&lags, percent).map_or(0, |lag| lag.as_millis());
    writeln!(
        out,
        "the index behind {:.0} entries/s (asked for {rate}) for {} s: p50 {} ms, p99 {} ms, at most {} ms",
        written as f64 / time.as_secs_f64(),
        time.as_secs(),
        ms(50),
        ms(99),
        ms(100)
    )?;
    Ok(())
}

/// Writes at an even pace, as far as the disk follows; gives how many entries.
fn write(
    log: &Log,
    sealer: &SubjectSealer,
    rate: u64,
    time: Duration,
) -> Result<u64, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (start, mut requests) = (Instant::now(), 0);
    while start.elapsed() < time {
        let part = requests + (rate / 2 / PARTS).max(1);
        let mut waiting = Vec::new();
        while requests < part {
            let decision = decision(log, requests)?;
            let outcome = outcome(log, sealer, &decision, requests.wrapping_mul(7907) % CUSTOMERS)?;
            waiting.extend([log.append(decision), log.append(outcome)]);
            requests += 1;
        }
        runtime.block_on(async {
            for one in waiting {
                one.await?;
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
        let due = Duration::from_secs_f64(requests as f64 * 2.0 / rate as f64);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Ok(requests * 2)
}

/// Keeps the index as a gate does; gives how old the first entry is that it had not read, piece by piece.
fn follow(mut index: Index, log: &Log, is_over: &AtomicBool) -> Result<Vec<Duration>, IndexError> {
    // How many entries there were, and when that was seen.
    let (mut seen, mut lags) = (VecDeque::new(), Vec::new());
    let (feed, start) = (log.feed(), Instant::now());
    loop {
        seen.push_back((log.health().durable, Instant::now()));
        let reach = index.follow(log, &feed, start.elapsed())?;
        while seen.front().is_some_and(|(entries, _)| *entries <= reach.position) {
            seen.pop_front();
        }
        lags.push(seen.front().map_or(Duration::ZERO, |(_, at)| at.elapsed()));
        let durable = log.health().durable;
        if reach.position >= durable && is_over.load(Ordering::Relaxed) {
            return Ok(lags);
        }
        // What comes meanwhile is as old at the next look.
        std::thread::sleep(reach.pause);
    }
}
