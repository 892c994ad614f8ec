//! Removes bundles of which no entry can be opened any more: their keys are destroyed. Their hashes stay.
//!
//! The signed note is durable first, then the entry of the log, then the files go; a crash in between is made good by
//! the next round. No file goes because a note says so: its own heads must name destroyed keys only, and each
//! destruction must be certified.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};

use super::removal::{Removal, Removals, Runs};
use super::survey::certified;
use crate::audit::at_rest::{Day, HEAD_BYTES, KeyFile, KeyName, State, key_of};
use crate::audit::folder::{Folder, Part, Replacer, sync_folder};
use crate::audit::groups::{Act, Event};
use crate::audit::log::{Keeper, LogError};
use crate::audit::merkle::sha256;
use crate::audit::tile::{Kind, Tile, WIDTH};

/// What one note may name, so that it stays as short as a note must be: 32 KiB.
const MOST_KEYS: usize = 300;
const MOST_RUNS: usize = 600;

/// What earlier rounds of this process have been through, so that not every one reads the whole log. A round that
/// failed leaves it as it was, and the first one goes through all there is.
#[derive(Debug, Default)]
pub(in crate::audit) struct Swept {
    gone: HashSet<KeyName>,
    /// Bundles before this one were looked at.
    end: u64,
}

/// Removes the bundles all of whose keys are destroyed; gives how many entries they had.
pub(super) fn remove(keeper: &Keeper<'_>) -> Result<u64, LogError> {
    let folder = keeper.folder;
    let failed = |source| failed(folder, source);
    let broken = |broken| LogError::Broken { path: folder.root().display().to_string(), broken };
    let verifier = keeper.signer.verifier();
    let removals = Removals::verified(folder, verifier).map_err(broken)?;
    let named = certified(folder, verifier).map_err(broken)?;
    let mut gone = destroyed(folder).map_err(failed)?;
    gone.retain(|key| named.contains_key(&key.file()));
    finish(folder, &removals, &gone).map_err(failed)?;
    // What the journal has still is left alone.
    let journal = folder.segments().map_err(failed)?.first().copied();
    let end = journal.map_or(0, |first| first / WIDTH);
    let mut swept = keeper.swept();
    let (mut removed, mut together) = (0, Together::after(removals.last()));
    for index in candidates(folder, &gone, &swept, end).map_err(failed)? {
        let Some(keys) = keys_of(folder, index, &gone).map_err(failed)? else { continue };
        if !together.has_room_for(&keys) {
            let next = Together::after(together.number);
            removed += remove_together(keeper, std::mem::replace(&mut together, next))?;
        }
        together.add(index, keys);
    }
    removed += remove_together(keeper, together)?;
    *swept = Swept { gone, end };
    Ok(removed)
}

/// Bundles that one note names.
struct Together {
    number: u32,
    bundles: BTreeMap<u64, Runs>,
    keys: HashSet<KeyName>,
    runs: usize,
}

impl Together {
    fn after(last: u32) -> Self {
        let number = last.saturating_add(1);
        Self { number, bundles: BTreeMap::new(), keys: HashSet::new(), runs: 0 }
    }

    fn has_room_for(&self, keys: &Runs) -> bool {
        let new: HashSet<_> = keys.keys().filter(|key| !self.keys.contains(key)).collect();
        let runs = self.runs + keys.len();
        self.bundles.is_empty() || self.keys.len() + new.len() <= MOST_KEYS && runs <= MOST_RUNS
    }

    fn add(&mut self, index: u64, keys: Runs) {
        self.runs += keys.len();
        self.keys.extend(keys.keys());
        self.bundles.insert(index, keys);
    }
}

fn failed(folder: &Folder, source: io::Error) -> LogError {
    LogError::Folder { path: folder.root().display().to_string(), source }
}

/// Removes what the notes name, where a crash left some.
fn finish(folder: &Folder, removals: &Removals, gone: &HashSet<KeyName>) -> io::Result<()> {
    for (index, _) in removals.bundles() {
        if keys_of(folder, index, gone)?.is_some() {
            remove_file(folder, index)?;
        }
    }
    Ok(())
}

fn destroyed(folder: &Folder) -> io::Result<HashSet<KeyName>> {
    let keys = KeyFile::all(folder)?.into_iter();
    let gone = keys.filter(|(_, file)| matches!(file.state, State::Destroyed { .. }));
    Ok(gone.map(|(name, _)| name).collect())
}

/// The full bundles before `end` that may have entries of keys that were destroyed since they were looked at, by the
/// first entry of each and of the one behind it.
fn candidates(
    folder: &Folder,
    gone: &HashSet<KeyName>,
    swept: &Swept,
    end: u64,
) -> io::Result<Vec<u64>> {
    let new = days(gone.difference(&swept.gone));
    let all = days(gone.iter());
    let may_have = |bundle: u64, begins: Day, ends: Option<Day>| {
        let days = if bundle < swept.end { new } else { all };
        days.is_some_and(|(first, last)| begins <= last && ends.is_none_or(|ends| ends >= first))
    };
    let from = if new.is_some() { 0 } else { swept.end };
    let (mut before, mut found) = (None, Vec::new());
    for index in from..end {
        let Some(day) = first_day(folder, index)? else { continue };
        if let Some((bundle, begins)) = before.replace((index, day))
            && may_have(bundle, begins, Some(day))
        {
            found.push(bundle);
        }
    }
    let last = before.filter(|(bundle, begins)| may_have(*bundle, *begins, None));
    found.extend(last.map(|(bundle, _)| bundle));
    Ok(found)
}

/// The first day and the last.
fn days<'k>(keys: impl Iterator<Item = &'k KeyName> + Clone) -> Option<(Day, Day)> {
    let days = keys.map(|key| key.day);
    days.clone().min().zip(days.max())
}

/// The day of a bundle's first entry; none of one that is removed, damaged, or from before entries were sealed.
fn first_day(folder: &Folder, index: u64) -> io::Result<Option<Day>> {
    let Some(mut bundle) = open(folder, index)? else { return Ok(None) };
    Ok(next_head(&mut bundle)?.and_then(|(key, _)| key).map(|key| key.day))
}

/// The key of each entry of a full bundle, if all of them are destroyed: reads no further than to the first that is
/// not.
fn keys_of(folder: &Folder, index: u64, gone: &HashSet<KeyName>) -> io::Result<Option<Runs>> {
    let Some(mut bundle) = open(folder, index)? else { return Ok(None) };
    let mut keys = Runs::default();
    for _ in 0..WIDTH {
        let Some((Some(key), behind)) = next_head(&mut bundle)? else { return Ok(None) };
        if !gone.contains(&key) {
            return Ok(None);
        }
        bundle.seek_relative(behind)?;
        keys.push(key, 1);
    }
    Ok(bundle.fill_buf()?.is_empty().then_some(keys))
}

fn open(folder: &Folder, index: u64) -> io::Result<Option<BufReader<File>>> {
    match File::open(folder.tile(&Tile::full(Kind::Entries, index))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => Ok(Some(BufReader::new(opened?))),
    }
}

/// The key of the entry that comes next, none of a legible one, and how many bytes are behind its head. Nothing where
/// the bundle ends.
fn next_head(bundle: &mut BufReader<File>) -> io::Result<Option<(Option<KeyName>, i64)>> {
    let mut head = [0; 2 + HEAD_BYTES];
    match bundle.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let Some((length, head)) = head.split_first_chunk::<2>() else { return Ok(None) };
    let behind = usize::from(u16::from_be_bytes(*length)).checked_sub(HEAD_BYTES);
    let behind = behind.and_then(|behind| i64::try_from(behind).ok());
    Ok(behind.map(|behind| (key_of(head), behind)))
}

fn remove_together(
    keeper: &Keeper<'_>,
    Together { number, bundles, .. }: Together,
) -> Result<u64, LogError> {
    let folder = keeper.folder;
    let failed = |source| failed(folder, source);
    let removal = Removal { number, time: keeper.now(), bundles };
    let Some((first, last)) = removal.range() else { return Ok(0) };
    let entries = removal.bundles.len() as u64 * WIDTH;
    let note = removal.sign(keeper.signer);
    let mut files = Replacer::beside(folder, keeper.disk, "removal");
    let path = folder.part(Part::Removed).join(removal.name());
    if path.try_exists().map_err(failed)? {
        // Never over another: what that names would be missing without a word.
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let put = files.put(&path, note.as_bytes());
    put.and_then(|()| files.settle()).map_err(failed)?;
    let mut entry = keeper.entry(Event::Custody)?;
    let hash = sha256(&[note.as_bytes()]);
    let hash = hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    entry.act = Some(Act {
        name: "bundles_removed".into(),
        object: format!("entries {first} to {last}").as_str().into(),
        detail: format!("removal {}", removal.name()).as_str().into(),
        after: hash.as_str().into(),
        count: Some(entries),
        ..Act::default()
    });
    keeper.record(entry)?;
    for index in removal.bundles.keys() {
        remove_file(folder, *index).map_err(failed)?;
    }
    Ok(entries)
}

fn remove_file(folder: &Folder, index: u64) -> io::Result<()> {
    let path = folder.tile(&Tile::full(Kind::Entries, index));
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
    }
}
