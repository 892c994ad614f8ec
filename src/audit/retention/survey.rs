//! What goes when, and whether what is gone is certified: for a reader, without any secret key.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use super::certificate::Certificate;
use super::judge::judge;
use super::removal::Removals;
use super::{Fate, Hold, Periods};
use crate::audit::at_rest::{Day, KeyFile, KeyName, Lock, State};
use crate::audit::entry::Moment;
use crate::audit::fault::{Broken, Fault, unreadable};
use crate::audit::folder::{Folder, Part};
use crate::audit::note::Verifier;

/// Days of a class that have the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The class, or `customer_identity`.
    pub class: &'static str,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// How many keys.
    pub keys: u64,
    /// What becomes of them; of those that are kept, of the first day.
    pub fate: Fate,
}

/// What goes when, of the log in `dir`: a line for each class and fate, in the order of days.
///
/// # Errors
/// What the system says of a file.
pub fn survey(dir: &Path, periods: &Periods, holds: &[Hold], now: Moment) -> io::Result<Vec<Line>> {
    let keys = KeyFile::all(&Folder::new(dir))?;
    let fates = judge(&keys, periods, holds, now);
    let mut lines = Vec::new();
    for lock in Lock::ALL {
        let mut by_fate: BTreeMap<String, Line> = BTreeMap::new();
        for ((name, _), fate) in keys.iter().zip(fates.iter().copied()) {
            if name.lock != lock {
                continue;
            }
            let day = name.day;
            let is_kept = matches!(fate, Fate::Kept(_));
            let kind = if is_kept { "kept".to_owned() } else { fate.to_string() };
            let new = Line { class: lock.word(), from: day, to: day, keys: 0, fate };
            let line = by_fate.entry(kind).or_insert(new);
            (line.from, line.to) = (line.from.min(day), line.to.max(day));
            line.keys += 1;
        }
        let mut of_lock: Vec<_> = by_fate.into_values().collect();
        of_lock.sort_by_key(|line| line.from);
        lines.append(&mut of_lock);
    }
    Ok(lines)
}

/// Checks what was destroyed of the log in `dir`: every key that is gone is named by a certificate that the log
/// signed, and none is gone otherwise. Gives how many keys are destroyed; none where the folder came without keys.
///
/// # Errors
/// The first key or certificate that does not hold.
pub fn check_keys(dir: &Path, verifier: &Verifier) -> Result<u64, Broken> {
    let folder = Folder::new(dir);
    let broken = |name: &str, fault| Err(Broken::new(format!("keys/{name}"), None, fault));
    let certified = certified(&folder, verifier)?;
    let names =
        folder.names_of(Part::Keys).map_err(|e| Broken::new("keys", None, unreadable(&e)))?;
    let (mut destroyed, mut next, mut kept) = (0, None, HashSet::new());
    for name in names {
        let Some(key) = KeyName::parse(&name) else {
            return broken(&name, Fault::Unexpected);
        };
        let read = folder.read_of(Part::Keys, &name);
        let read = read.map_err(|e| Broken::new(format!("keys/{name}"), None, unreadable(&e)))?;
        let Some(file) = KeyFile::read(key, &read) else { return broken(&name, Fault::Key) };
        if next.is_some_and(|next| next != key.number) {
            return broken(&name, Fault::KeysMissing);
        }
        next = Some(key.number.saturating_add(1));
        if let State::Destroyed { certificate, .. } = &file.state {
            // A running gate may have destroyed it since the certificates were read.
            let is_certified = certified.get(&name) == Some(certificate)
                || certificate.parse().is_ok_and(|number| {
                    Certificate::of(&folder, number, verifier)
                        .is_ok_and(|certificate| certificate.keys.contains(&key))
                });
            if !is_certified {
                return broken(&name, Fault::Uncertified);
            }
            destroyed += 1;
        } else {
            kept.insert(key);
        }
    }
    let removals = Removals::verified(&folder, verifier)?;
    for (_, keys) in removals.bundles() {
        if let Some(early) = keys.keys().find(|key| kept.contains(key)) {
            return Err(Broken::new("removed", None, Fault::RemovedEarly(early.file())));
        }
    }
    Ok(destroyed)
}

/// The certificate of each key that is named by one.
pub(super) fn certified(
    folder: &Folder,
    verifier: &Verifier,
) -> Result<BTreeMap<String, String>, Broken> {
    let numbers = Certificate::numbers(folder);
    let numbers = numbers.map_err(|e| Broken::new("certificates", None, unreadable(&e)))?;
    let mut certified = BTreeMap::new();
    for number in numbers {
        let certificate = Certificate::of(folder, number, verifier)?;
        for key in &certificate.keys {
            certified.entry(key.file()).or_insert_with(|| certificate.name());
        }
    }
    Ok(certified)
}
