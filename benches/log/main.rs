//! What the log can do, each figure beside something to compare it with:
//!
//! - `appends`: entries made durable a second beside what the disk allows in batches of the same sizes;
//! - `growth`: how fast a log is verified, read and indexed, how large it is, how long a search takes, for logs each ten times
//!   as long as the one before;
//! - `lag`: how far the index is behind a log that takes so many entries a second.
//!
//! Run with `cargo bench --bench log [-- DIR [PART …]]`; DIR decides which disk is measured. In the environment:
//! `MENSHEN_BENCH_ENTRIES` is the largest log of `growth` (one million; ten million takes some half an hour),
//! `MENSHEN_BENCH_RATE` the entries a second of `lag` (5,000), `MENSHEN_BENCH_SECONDS` how long a measurement takes (3).

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod appends;
mod content;
mod growth;
mod lag;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let parts: Vec<String> = args.collect();
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    let time = Duration::from_secs(setting("MENSHEN_BENCH_SECONDS", 3));
    let mut out = std::io::stdout().lock();
    if is_asked("appends") {
        appends::tell(&base, time, &mut out)?;
    }
    if is_asked("growth") {
        growth::tell(&base, setting("MENSHEN_BENCH_ENTRIES", 1_000_000), &mut out)?;
    }
    if is_asked("lag") {
        lag::tell(&base, setting("MENSHEN_BENCH_RATE", 5_000), time * 5, &mut out)?;
    }
    writeln!(out)?;
    Ok(())
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The value below which so many percent lie.
fn at<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied()
}

/// The bytes of all files below a folder.
fn size(dir: &std::path::Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        total += if entry.path().is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(total)
}
