//! Entries made durable a second by one, 32 and 256 writers, beside what the disk allows: batches of the same sizes,
//! written one after another into space that was written before, each followed by `fdatasync`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use menshen::audit::{Log, LogError, Settings};
use menshen::clock::Clock;
use menshen::secret::MasterKey;
use tokio::task::JoinSet;

use crate::content::decision;
use crate::{at, size};

/// The largest segment of the journal, so that its batches can be read when the log is closed.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Log and disk take turns, since a shared machine is not equally busy all the time.
const ROUNDS: usize = 3;
/// What a batch of the journal begins with, and how long that is.
const MAGIC: &[u8] = b"mslogb1\n";
const HEADER_BYTES: usize = 152;

/// A batch: its bytes and its entries.
#[derive(Clone, Copy)]
struct Batch {
    bytes: usize,
    entries: u32,
}

pub(crate) fn tell(
    base: &Path,
    time: Duration,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    writeln!(out, "durable appends, the median of {ROUNDS} rounds of {} s\n", time.as_secs())?;
    writeln!(
        out,
        "| writers | entries/s | entries a batch | the disk allows | share | p50 us | p99 us | bytes an entry |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for writers in [1, 32, 256] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(base, writers, time)?);
        }
        rounds.sort_by(|a, b| a.share().total_cmp(&b.share()));
        let Some(Round { rate, allowed, batch, waits, bytes }) = rounds.get(ROUNDS / 2) else {
            continue;
        };
        let wait = |percent| at(waits, percent).map_or(0, |wait| wait.as_micros());
        let (p50, p99, share) = (wait(50), wait(99), rate / allowed * 100.0);
        writeln!(
            out,
            "| {writers} | {rate:.0} | {batch:.1} | {allowed:.0} | {share:.0} % | {p50} | {p99} | {bytes} |"
        )?;
    }
    writeln!(out)?;
    Ok(())
}

struct Round {
    rate: f64,
    allowed: f64,
    batch: f64,
    waits: Vec<Duration>,
    bytes: u64,
}

impl Round {
    fn share(&self) -> f64 {
        self.rate / self.allowed
    }
}

fn round(base: &Path, writers: usize, time: Duration) -> Result<Round, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(base)?;
    let mut waits = measure(dir.path(), writers, time)?;
    waits.sort_unstable();
    let batches = batches(&dir.path().join("journal"))?;
    let entries: u64 = batches.iter().map(|batch| u64::from(batch.entries)).sum();
    Ok(Round {
        rate: waits.len() as f64 / time.as_secs_f64(),
        allowed: allowed(dir.path(), &batches, time)?,
        batch: entries as f64 / batches.len().max(1) as f64,
        bytes: size(&dir.path().join("tile/entries"))? / waits.len().max(1) as u64,
        waits,
    })
}

/// The batches that the journal still has, by their heads.
fn batches(journal: &Path) -> Result<Vec<Batch>, Box<dyn Error>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(journal)? {
        let bytes = std::fs::read(file?.path())?;
        let mut rest = bytes.as_slice();
        while let Some(head) = rest.strip_prefix(MAGIC) {
            let number = |at: usize| head.get(at..).and_then(|rest| rest.first_chunk::<4>());
            let (Some(body), Some(entries)) = (number(0), number(4)) else { break };
            let bytes = HEADER_BYTES + usize::try_from(u32::from_be_bytes(*body))?;
            found.push(Batch { bytes, entries: u32::from_be_bytes(*entries) });
            rest = rest.get(bytes..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// Entries a second that the disk takes in such batches.
fn allowed(dir: &Path, batches: &[Batch], time: Duration) -> Result<f64, Box<dyn Error>> {
    let longest = batches.iter().map(|batch| batch.bytes).max().ok_or("no batch is left")?;
    let file = File::options().write(true).create_new(true).open(dir.join("plain"))?;
    let noise: Vec<u8> = (0..longest).map(|n| n.wrapping_mul(31).to_le_bytes()[0]).collect();
    let zeros = vec![0; 64 * 1024];
    for position in (0..SEGMENT_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, position)?;
    }
    file.sync_all()?;
    let (start, mut entries, mut position) = (Instant::now(), 0, 0);
    for batch in batches.iter().cycle() {
        if start.elapsed() >= time {
            break;
        }
        if position + batch.bytes as u64 > SEGMENT_BYTES {
            position = 0;
        }
        file.write_all_at(noise.get(..batch.bytes).unwrap_or(&noise), position)?;
        rustix::fs::fdatasync(&file)?;
        position += batch.bytes as u64;
        entries += u64::from(batch.entries);
    }
    Ok(entries as f64 / start.elapsed().as_secs_f64())
}

fn measure(dir: &Path, writers: usize, time: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let keys = MasterKey::from_bytes([1; 32]);
    let settings = Settings { segment_bytes: SEGMENT_BYTES, ..Settings::default() };
    let (log, _) = Log::open(dir, settings, Clock::system(), &keys)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_time().worker_threads(2).build()?;
    // The first entry waits for a whole segment of zeros.
    runtime.block_on(log.append(decision(&log, 0)?))?;
    let until = Instant::now() + time;
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

async fn write(log: Log, until: Instant) -> Result<Vec<Duration>, LogError> {
    let mut waits = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        log.append(decision(&log, waits.len() as u64)?).await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}
