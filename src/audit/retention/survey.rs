//! What goes when, and whether what is gone is certified: for a reader, without any secret key.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use super::certificate::Certificate;
use super::judge::judge;
use super::removal::Removals;
use super::{Fate, Hold, Periods};
use crate::audit::at_rest::{Day, KeyFile, KeyName, Lock, Needed, RestKey, State, Whose};
use crate::audit::entry::Moment;
use crate::audit::fault::{Broken, Fault, unreadable};
use crate::audit::folder::{Folder, LAST_KEY, Part};
use crate::audit::note::Verifier;

/// Days of a class that have the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The class, or `customer_identity`.
    pub class: &'static str,
    /// Of which tenants' callers, such as `of shop`; empty for those of everybody else.
    pub whose: String,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// How many keys.
    pub keys: u64,
    /// What becomes of them; of those that are kept, of the first day.
    pub fate: Fate,
}

/// What goes when, of the log in `dir`: a line for each class, whose entries and fate, in the order of days.
///
/// Whose entries tenants' keys open, the keys in `given` tell. What they do not tell is shown as `of tenants`, with the
/// latest time at which it can go.
///
/// # Errors
/// What the system says of a file.
pub fn survey(
    dir: &Path,
    given: &[RestKey],
    periods: &Periods,
    holds: &[Hold],
    now: Moment,
) -> io::Result<Vec<Line>> {
    let keys = KeyFile::all(&Folder::new(dir))?;
    let fates = judge(&keys, given, periods, holds, now);
    let place = |lock| Lock::ALL.iter().position(|one| *one == lock);
    let mut by_kind: BTreeMap<(Option<usize>, Whose), BTreeMap<String, Line>> = BTreeMap::new();
    for ((name, file), fate) in keys.iter().zip(fates) {
        let (lock, day, whose) = (name.lock, name.day, file.whose(*name, given));
        let is_kept = matches!(fate, Fate::Kept(_));
        let kind = if is_kept { "kept".to_owned() } else { fate.to_string() };
        let (class, told) = (lock.word(), whose.to_string());
        let new = Line { class, whose: told, from: day, to: day, keys: 0, fate };
        let of_kind = by_kind.entry((place(lock), whose)).or_default();
        let line = of_kind.entry(kind).or_insert(new);
        (line.from, line.to) = (line.from.min(day), line.to.max(day));
        line.keys += 1;
    }
    let in_order = |by_fate: BTreeMap<String, Line>| {
        let mut lines: Vec<_> = by_fate.into_values().collect();
        lines.sort_by_key(|line| line.from);
        lines
    };
    Ok(by_kind.into_values().flat_map(in_order).collect())
}

/// Checks what was destroyed of the log in `dir`: every key that is gone is named by a certificate that the log
/// signed, and none is gone otherwise, also of those that its entries need. Gives how many keys are destroyed; none where the
/// folder came without keys.
///
/// # Errors
/// The first key or certificate that does not hold.
pub fn check_keys(dir: &Path, verifier: &Verifier, needed: &Needed) -> Result<u64, Broken> {
    let folder = Folder::new(dir);
    let broken = |name: &str, fault| Err(Broken::new(format!("keys/{name}"), None, fault));
    let certified = certified(&folder, verifier)?;
    let names =
        folder.names_of(Part::Keys).map_err(|e| Broken::new("keys", None, unreadable(&e)))?;
    let last = folder.read_last_key();
    let last = last.map_err(|e| Broken::new(LAST_KEY, None, unreadable(&e)))?;
    let (mut destroyed, mut next) = (0, 1);
    let (mut there, mut kept) = (HashSet::new(), HashSet::new());
    for name in names {
        let Some(key) = KeyName::parse(&name) else {
            return broken(&name, Fault::Unexpected);
        };
        let read = folder.read_of(Part::Keys, &name);
        let read = read.map_err(|e| Broken::new(format!("keys/{name}"), None, unreadable(&e)))?;
        let Some(file) = KeyFile::read(key, &read) else { return broken(&name, Fault::Key) };
        if next != key.number {
            return broken(&name, Fault::KeysMissing);
        }
        next = key.number.saturating_add(1);
        there.insert(key);
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
    if !there.is_empty() {
        check_none_is_lost(next - 1, last, needed.first_without(&there))?;
    }
    let removals = Removals::verified(&folder, verifier)?;
    for (_, keys) in removals.bundles() {
        if let Some(early) = keys.keys().find(|key| kept.contains(key)) {
            return Err(Broken::new("removed", None, Fault::RemovedEarly(early.file())));
        }
    }
    Ok(destroyed)
}

/// Whether keys are missing after the last one that is there, or before the first.
fn check_none_is_lost(
    there: u32,
    last: Option<u32>,
    without: Option<String>,
) -> Result<(), Broken> {
    let Some(last) = last else { return Err(Broken::new(LAST_KEY, None, Fault::Missing)) };
    if let Some(name) = without {
        return Err(Broken::new(format!("keys/{name}"), None, Fault::KeyMissing));
    }
    match last > there {
        true => Err(Broken::new(LAST_KEY, None, Fault::LastKeysMissing { last, there })),
        false => Ok(()),
    }
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
