//! Removes bundles of which no entry can be opened any more: their keys are destroyed. Their hashes stay.
//!
//! The signed note is durable first, then the entry of the log, then the files go; a crash in between is made good by
//! the next round.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};

use super::removal::{Removal, Removals};
use crate::audit::at_rest::{Day, HEAD_BYTES, KeyFile, KeyName, State, key_of};
use crate::audit::folder::{Folder, Replacer, sync_folder};
use crate::audit::groups::{Act, Event};
use crate::audit::log::{Keeper, LogError};
use crate::audit::merkle::sha256;
use crate::audit::tile::{Kind, Tile, WIDTH, decode_bundle};

/// What one note may name, so that it stays as short as a note must be: 32 KiB.
const MOST_KEYS: usize = 300;
const MOST_RUNS: usize = 600;

/// Removes the bundles that became empty of meaning when these keys were dropped; gives how many entries they had.
pub(super) fn remove(keeper: &Keeper<'_>, dropped: &[KeyName]) -> Result<u64, LogError> {
    let failed = |source| failed(keeper.folder, source);
    finish(keeper.folder).map_err(failed)?;
    let days = dropped.iter().map(|key| key.day);
    let (Some(first), Some(last)) = (days.clone().min(), days.max()) else { return Ok(0) };
    let gone = destroyed(keeper.folder).map_err(failed)?;
    let (mut removed, mut together) = (0, Together::default());
    for index in candidates(keeper.folder, (first, last)).map_err(failed)? {
        let Some(keys) = keys_of(keeper.folder, index).map_err(failed)? else { continue };
        if !keys.iter().all(|key| gone.contains(key)) {
            continue;
        }
        if !together.has_room_for(&keys) {
            removed += remove_together(keeper, std::mem::take(&mut together))?;
        }
        together.add(index, keys);
    }
    Ok(removed + remove_together(keeper, together)?)
}

/// Bundles that one note names.
#[derive(Default)]
struct Together {
    bundles: BTreeMap<u64, Vec<KeyName>>,
    keys: HashSet<KeyName>,
    runs: usize,
}

impl Together {
    fn has_room_for(&self, keys: &[KeyName]) -> bool {
        let new: HashSet<_> = keys.iter().filter(|key| !self.keys.contains(key)).collect();
        let runs = self.runs + keys.chunk_by(|a, b| a == b).count();
        self.bundles.is_empty() || self.keys.len() + new.len() <= MOST_KEYS && runs <= MOST_RUNS
    }

    fn add(&mut self, index: u64, keys: Vec<KeyName>) {
        self.runs += keys.chunk_by(|a, b| a == b).count();
        self.keys.extend(keys.iter().copied());
        self.bundles.insert(index, keys);
    }
}

fn failed(folder: &Folder, source: io::Error) -> LogError {
    LogError::Folder { path: folder.root().display().to_string(), source }
}

/// Removes what the last note names, where a crash left some.
fn finish(folder: &Folder) -> io::Result<()> {
    let mut removals = Removals::default();
    removals.refresh(folder)?;
    for (index, _) in removals.bundles() {
        remove_file(folder, index)?;
    }
    Ok(())
}

fn destroyed(folder: &Folder) -> io::Result<HashSet<KeyName>> {
    let keys = KeyFile::all(folder)?.into_iter();
    let gone = keys.filter(|(_, file)| matches!(file.state, State::Destroyed { .. }));
    Ok(gone.map(|(name, _)| name).collect())
}

/// The full bundles that may have entries of these days, by the first entry of each and of the one behind it.
/// What the journal has still is left alone.
fn candidates(folder: &Folder, (first, last): (Day, Day)) -> io::Result<Vec<u64>> {
    let Some(journal) = folder.segments()?.first().copied() else { return Ok(Vec::new()) };
    let (mut before, mut found) = (None, Vec::new());
    for index in 0..journal / WIDTH {
        let Some(day) = first_day(folder, index)? else { continue };
        if let Some((bundle, begins)) = before.replace((index, day))
            && begins <= last
            && day >= first
        {
            found.push(bundle);
        }
    }
    found.extend(before.filter(|(_, begins)| *begins <= last).map(|(bundle, _)| bundle));
    Ok(found)
}

/// The day of a bundle's first entry; none of one that is removed, or from before entries were sealed.
fn first_day(folder: &Folder, index: u64) -> io::Result<Option<Day>> {
    let mut file = match File::open(folder.tile(&Tile::full(Kind::Entries, index))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut head = [0; 2 + HEAD_BYTES];
    file.read_exact(&mut head)?;
    Ok(head.split_first_chunk::<2>().and_then(|(_, head)| key_of(head)).map(|key| key.day))
}

/// The key of each entry of a full bundle; none if one is legible.
fn keys_of(folder: &Folder, index: u64) -> io::Result<Option<Vec<KeyName>>> {
    let bytes = folder.read_tile(&Tile::full(Kind::Entries, index))?;
    let keys: Option<Vec<_>> = decode_bundle(&bytes).0.into_iter().map(key_of).collect();
    Ok(keys.filter(|keys| keys.len() as u64 == WIDTH))
}

fn remove_together(
    keeper: &Keeper<'_>,
    Together { bundles, .. }: Together,
) -> Result<u64, LogError> {
    let folder = keeper.folder;
    let failed = |source| failed(folder, source);
    let names = folder.removal_names().map_err(failed)?;
    let last = names.last().and_then(|name| name.parse::<u32>().ok());
    let number = last.map_or(1, |last| last.saturating_add(1));
    let removal = Removal { number, time: keeper.now(), bundles };
    let Some((first, last)) = removal.range() else { return Ok(0) };
    let entries = removal.bundles.len() as u64 * WIDTH;
    let note = removal.sign(keeper.signer);
    let mut files = Replacer::beside(folder, keeper.disk, "removal");
    let put = files.put(&folder.removed().join(removal.name()), note.as_bytes());
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
