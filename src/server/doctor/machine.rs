//! The machine: disks, descriptors, entropy, swap, and whether the clock went back.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;

/// Less free space than that on a disk which the gate writes is no good.
const LEAST_BYTES: u64 = 1 << 30;
/// A file of the log from so far ahead was written by another clock.
const AHEAD_S: i64 = 60;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = [("state", &config.state), ("log", &config.log)]
        .into_iter()
        .map(|(name, folder)| space(name, folder))
        .collect();
    findings.extend([descriptors(config), entropy(), swap(), clock(&config.log)]);
    findings
}

/// A folder that is not there yet is on the disk of the next one that is.
fn standing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.exists());
    there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn space(name: &str, folder: &Path) -> Finding {
    let about = format!("disk of {name}");
    let disk = match rustix::fs::statvfs(standing(folder)) {
        Ok(disk) => disk,
        Err(error) => return Finding::bad(about, format!("`{}`: {error}", folder.display())),
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let percent = |part: u64, all: u64| part.saturating_mul(100) / all.max(1);
    let (bytes, nodes) =
        (percent(disk.f_bavail, disk.f_blocks), percent(disk.f_favail, disk.f_files));
    let said = format!("{} MiB free, {bytes} %", free >> 20);
    if free < LEAST_BYTES || (disk.f_files > 0 && nodes < 2) {
        return Finding::bad(about, format!("{said}: a full disk stops the gate; make room"));
    }
    if bytes < 10 {
        return Finding::warning(about, format!("{said}: a full disk stops the gate"));
    }
    Finding::good(about, said)
}

/// Two for each client (its own, and a backend's), and those of files.
fn descriptors(config: &Config) -> Finding {
    let backends: usize = config.upstreams.iter().map(|upstream| upstream.connections).sum();
    let clients = u64::from(config.addresses.concurrent_total);
    let wanted = clients.saturating_add(backends as u64).saturating_add(512);
    let most = getrlimit(Resource::Nofile).current;
    let said = |most: u64| format!("{most} may be open where this runs, {wanted} may be wanted");
    match most {
        Some(most) if most < wanted => Finding::warning(
            "descriptors",
            format!(
                "{}: the unit has a `LimitNOFILE` of its own; started otherwise, raise the limit or lower `connections: total`",
                said(most)
            ),
        ),
        Some(most) => Finding::good("descriptors", said(most)),
        None => Finding::good("descriptors", "no limit"),
    }
}

fn entropy() -> Finding {
    let mut bytes = [0_u8; 16];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(_) => Finding::good("entropy", "the system gives random bytes"),
        Err(error) => Finding::bad(
            "entropy",
            format!(
                "the system gives no random bytes yet ({error}): no key can be made; wait, or give the machine a source"
            ),
        ),
    }
}

fn swap() -> Finding {
    let list = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    let places: Vec<_> = list.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    match places.iter().all(|place| place.starts_with("/dev/zram")) {
        true => Finding::good("swap", "memory stays in memory"),
        false => Finding::warning(
            "swap",
            format!(
                "keys and customers' data in memory may get to {}: encrypt it, or switch it off",
                places.join(", ")
            ),
        ),
    }
}

/// What the log has on the disk cannot be from the future.
fn clock(log: &Path) -> Finding {
    let Ok(file) = std::fs::metadata(log.join("checkpoint")) else {
        return Finding::good("clock", "there is no log yet to compare it with");
    };
    let ahead_s = file.mtime().saturating_sub(Clock::system().unix_s());
    if ahead_s > AHEAD_S {
        let said = format!(
            "the log was written {ahead_s} s in the future: the clock went back; set it right before the gate starts"
        );
        return Finding::bad("clock", said);
    }
    Finding::good("clock", "not before the log's newest checkpoint")
}
