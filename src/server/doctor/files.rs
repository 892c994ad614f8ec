//! Files: who may read keys, who may write what decides, when certificates end, and what somebody else keeps.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Finding, Standing};
use crate::clock::Clock;
use crate::config::Config;
use crate::ship::{Peer, Security, To};
use crate::tls;
use crate::upstream::Transport;

const DAY_S: i64 = 24 * 3600;
/// A certificate that ends sooner should be renewed.
const NEAR_DAYS: i64 = 14;
const READ_BY_OTHERS: u32 = 0o004;
const WRITE_BY_OTHERS: u32 = 0o022;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (certificates, keys) = pairs(config);
    findings.extend(keys.iter().filter_map(|(about, path)| private(about, path)));
    findings.extend(certificates.iter().map(|(about, path)| end(about, path)));
    findings.extend([&config.state, &config.log].into_iter().filter_map(|folder| owned(folder)));
    let file = config.file.as_deref();
    let decides = file.into_iter().chain([config.policies.as_path()]);
    findings.extend(decides.filter_map(unwritable));
    let inside = std::fs::read_dir(&config.policies).into_iter().flatten().flatten();
    findings.extend(inside.filter_map(|file| unwritable(&file.path())));
    findings.push(kept(config));
    findings.push(match config.backup {
        Some(_) => {
            Finding::good("backup", "configured; `menshen backup --list` says how old they are")
        }
        None => Finding::warning("backup", "no backups are made: say where to with `backup`"),
    });
    findings
}

/// Named files: what they are, and where.
type Named<'a> = Vec<(String, &'a Path)>;

/// Certificates, and private keys.
fn pairs(config: &Config) -> (Named<'_>, Named<'_>) {
    let (mut certificates, mut keys) = (Named::new(), Named::new());
    let all = super::super::bound::all_listeners(config);
    // What was ordered by ACME and is not there yet is no file of the operator's.
    for listener in all.filter(|listener| !listener.tls.is_awaited()) {
        let about = format!("listener {}", listener.socket.address);
        certificates.push((format!("certificate of {about}"), &listener.tls.certificate));
        keys.push((format!("key of {about}"), &listener.tls.key));
    }
    for upstream in &config.upstreams {
        let Transport::Tls(tls) = &upstream.transport else { continue };
        certificates.push((format!("authority of {}", upstream.name), &tls.ca));
        if let Some(own) = &tls.identity {
            certificates.push((format!("certificate to {}", upstream.name), &own.chain));
            keys.push((format!("key to {}", upstream.name), &own.key));
        }
    }
    for (name, peer) in peers(config) {
        let Security::Tls { ca, identity, .. } = &peer.security else { continue };
        certificates.push((format!("authority of {name}"), ca));
        if let Some(own) = identity {
            certificates.push((format!("certificate to {name}"), &own.chain));
            keys.push((format!("key to {name}"), &own.key));
        }
    }
    (certificates, keys)
}

/// Those to whom the log is carried or shown, and who is sent spans.
fn peers(config: &Config) -> Vec<(&str, &Peer)> {
    let ship = config.ship.iter().filter_map(|settings| match &settings.to {
        To::File(_) => None,
        To::Syslog(syslog) => Some((settings.name.as_str(), &syslog.peer)),
        To::Webhook(hook) => Some((settings.name.as_str(), &hook.endpoint.peer)),
        To::Nats(nats) => Some((settings.name.as_str(), &nats.peer)),
        To::S3(store) => Some((settings.name.as_str(), &store.endpoint.peer)),
    });
    let witnesses = config.witnesses.iter().map(|one| (one.name.as_str(), &one.endpoint.peer));
    let collector = config.traces.as_ref().and_then(|traces| traces.collector.as_ref());
    let collector = collector.map(|hook| ("the collector of traces", &hook.endpoint.peer));
    ship.chain(witnesses).chain(collector).collect()
}

/// That a key is missing, `check` says.
fn private(about: &str, path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.mode();
    (mode & (READ_BY_OTHERS | WRITE_BY_OTHERS) != 0).then(|| {
        let said = format!(
            "`{}` can be read by everybody or written by others (mode {:o}): `chmod 600`",
            path.display(),
            mode & 0o777
        );
        Finding::bad(about, said)
    })
}

fn end(about: &str, path: &Path) -> Finding {
    let ends_s = match tls::ends_at_s(path) {
        Ok(ends_s) => ends_s,
        Err(error) => return Finding::bad(about, error.to_string()),
    };
    let days = ends_s.saturating_sub(Clock::system().unix_s()).div_euclid(DAY_S);
    let (standing, said) = match days {
        ..0 => (Standing::Bad, format!("it ended {} days ago: renew it", days.abs())),
        0..NEAR_DAYS => (Standing::Warning, format!("it ends in {days} days: renew it")),
        _ => (Standing::Good, format!("it ends in {days} days")),
    };
    Finding::new(standing, about, said)
}

/// A folder of the gate's: nobody else's, and of whoever runs this.
fn owned(folder: &Path) -> Option<Finding> {
    let file = std::fs::metadata(folder).ok()?;
    let about = format!("folder {}", folder.display());
    if file.mode() & 0o007 != 0 {
        let said =
            format!("everybody may look into it (mode {:o}): `chmod 700`", file.mode() & 0o777);
        return Some(Finding::bad(about, said));
    }
    let own = rustix::process::geteuid().as_raw();
    Some(match file.uid() == own {
        true => Finding::good(about, "of this user alone"),
        false => Finding::warning(
            about,
            format!(
                "it is of user {}, and this is user {own}: run this as the gate's user",
                file.uid()
            ),
        ),
    })
}

/// Whoever may write it decides what the gate does.
fn unwritable(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.mode();
    let about = format!("file {}", path.display());
    (mode & WRITE_BY_OTHERS != 0).then(|| {
        let said = format!(
            "more than its owner may write it (mode {:o}), and so decide: `chmod go-w`",
            mode & 0o777
        );
        Finding::bad(about, said)
    })
}

/// Whether anything of the log is where its writer cannot take it back.
fn kept(config: &Config) -> Finding {
    let copies = config.checkpoint_copies.is_some();
    let kept = [
        (copies, "copies of checkpoints"),
        (!config.witnesses.is_empty(), "witnesses"),
        (!config.ship.is_empty(), "other places"),
    ];
    let there: Vec<_> = kept.iter().filter(|(is_so, _)| *is_so).map(|(_, what)| *what).collect();
    match there.is_empty() {
        false => Finding::good("log elsewhere", there.join(", ")),
        true => Finding::warning(
            "log elsewhere",
            "nobody else keeps anything of it, so nobody finds a cut end: `witnesses`, `checkpoint-copies` or `ship`",
        ),
    }
}
