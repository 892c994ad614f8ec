//! Start-up: check what stands at the right edge, replay the journal, cut off a torn tail.

use std::fs::File;
use std::io;

use super::batch::{Batch, Segment, Tail};
use super::disk::Disk;
use super::fault::{Broken, Fault, unreadable};
use super::folder::{Folder, Replacer, sync_folder};
use super::journal::Cursor;
use super::log::LogError;
use super::merkle::{Frontier, Hash, leaf_hash};
use super::note::{Checkpoint, Signer, Verifier};
use super::publish::Published;
use super::tile::{Edge, Kind, Tile, WIDTH, decode_bundle, decode_hashes, partial_widths};

/// What was found on opening a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries in the log.
    pub entries: u64,
    /// Those that stood in the journal only and are published now.
    pub replayed: u64,
    /// Bytes cut off the journal's end: a batch that was being written when the gate stopped hard,
    /// and that nobody was told about. An entry of the log says the same.
    pub torn_bytes: u64,
    /// Keys that were made and whose files are not there: what they open cannot be read. An entry of the log says the same.
    pub keys_missing: u32,
}

/// What the writer and the publisher start from.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) published: Published,
    pub(super) frontier: Frontier,
    pub(super) report: Recovery,
}

/// Recovers the log in the folder, or begins one in an empty folder.
pub(super) fn recover(
    folder: &Folder,
    disk: &dyn Disk,
    signer: &Signer,
) -> Result<Recovered, LogError> {
    let shown = || folder.root().display().to_string();
    let failed = |source| LogError::Folder { path: shown(), source };
    begin_if_empty(folder, disk, signer).map_err(failed)?;
    let broken = |broken| LogError::Broken { path: shown(), broken };
    check_verifier_key(folder, signer.verifier()).map_err(broken)?;
    let checkpoint = read_checkpoint(folder, signer.verifier()).map_err(broken)?;
    let (edge, bundle) = right_edge(folder, &checkpoint).map_err(broken)?;
    let mut frontier = edge.frontier().clone();
    let (torn, reached) = replay(folder, signer.verifier(), &mut frontier).map_err(broken)?;
    let torn_bytes = torn.as_ref().map_or(0, |torn| torn.bytes);
    if let Some(torn) = torn {
        cut(folder, &torn).map_err(failed)?;
    }
    if reached < frontier.size() {
        forget(folder).map_err(failed)?;
    }
    let segments = folder.segments().map_err(failed)?;
    let segment = segments.into_iter().rfind(|first| *first <= checkpoint.size);
    let cursor = Cursor::new(folder.clone(), checkpoint.size, segment.unwrap_or(checkpoint.size));
    let entries = frontier.size();
    let report =
        Recovery { entries, replayed: entries - checkpoint.size, torn_bytes, keys_missing: 0 };
    Ok(Recovered { published: Published { edge, bundle, cursor }, frontier, report })
}

/// Writes key and first checkpoint, unless anything of a log is there already.
fn begin_if_empty(folder: &Folder, disk: &dyn Disk, signer: &Signer) -> io::Result<()> {
    let is_empty = !folder.checkpoint().try_exists()?
        && folder.files("journal")?.is_empty()
        && folder.files("tile")?.is_empty();
    if !is_empty {
        return Ok(());
    }
    let verifier = signer.verifier();
    let nothing = signer.checkpoint(0, Frontier::default().root());
    let note = verifier.note(&nothing, &signer.sign(&nothing));
    let mut files = Replacer::new(folder, disk);
    files.put(&folder.verifier_key(), format!("{verifier}\n").as_bytes())?;
    files.put(&folder.checkpoint(), note.as_bytes())?;
    files.settle()?;
    // The folder's own name stands in the one above.
    sync_folder(&folder.root().canonicalize()?.join(".."))
}

/// Checks that the key in the folder is the one expected.
pub(super) fn check_verifier_key(folder: &Folder, verifier: &Verifier) -> Result<(), Broken> {
    const FILE: &str = "verifier.key";
    let read = folder.read_verifier_key();
    let found = read.map_err(|e| Broken::new(FILE, None, unreadable(&e)))?;
    let found = String::from_utf8_lossy(&found).into_owned();
    let wanted = verifier.to_string();
    if found.strip_suffix('\n') == Some(&wanted) {
        return Ok(());
    }
    Err(Broken::new(FILE, None, Fault::VerifierKey { wanted, found: found.trim_end().to_owned() }))
}

/// The checkpoint, its signature checked.
pub(super) fn read_checkpoint(folder: &Folder, verifier: &Verifier) -> Result<Checkpoint, Broken> {
    let broken = |fault| Broken::new("checkpoint", None, fault);
    let note = folder.read_checkpoint().map_err(|e| broken(unreadable(&e)))?;
    verifier.open(&note).map_err(|e| broken(Fault::Checkpoint(e)))
}

/// The right edge of the tree as its tiles hold it, and the entries of the last bundle.
fn right_edge(folder: &Folder, checkpoint: &Checkpoint) -> Result<(Edge, Vec<Vec<u8>>), Broken> {
    let mut levels = Vec::new();
    for (level, (index, width)) in (0_u8..).zip(partial_widths(checkpoint.size)) {
        levels.push(hashes(folder, &Tile { kind: Kind::Hashes(level), index, width })?);
    }
    let leaves = levels.first().cloned().unwrap_or_default();
    let edge = Edge::from_levels(checkpoint.size, levels);
    let edge = edge.filter(|edge| edge.root() == checkpoint.root);
    let edge = edge.ok_or_else(|| Broken::new("checkpoint", None, Fault::Root))?;
    let index = checkpoint.size / WIDTH;
    let bundle = Tile { kind: Kind::Entries, index, width: checkpoint.size % WIDTH };
    Ok((edge, entries(folder, &bundle, &leaves)?))
}

fn hashes(folder: &Folder, tile: &Tile) -> Result<Vec<Hash>, Broken> {
    if tile.width == 0 {
        return Ok(Vec::new());
    }
    let read = folder.read_tile(tile);
    let bytes = read.map_err(|e| Broken::new(tile.path(), None, unreadable(&e)))?;
    let mut hashes = decode_hashes(&bytes).unwrap_or_default();
    hashes.truncate(usize::try_from(tile.width).unwrap_or_default());
    Ok(hashes)
}

fn entries(folder: &Folder, bundle: &Tile, leaves: &[Hash]) -> Result<Vec<Vec<u8>>, Broken> {
    if bundle.width == 0 {
        return Ok(Vec::new());
    }
    let read = folder.read_tile(bundle);
    let bytes = read.map_err(|e| Broken::new(bundle.path(), None, unreadable(&e)))?;
    let (found, _) = decode_bundle(&bytes);
    let first = bundle.index * WIDTH;
    let mut entries = Vec::new();
    for (index, leaf) in (first..).zip(leaves) {
        match found.get(entries.len()).filter(|entry| leaf_hash(entry) == *leaf) {
            Some(entry) => entries.push(entry.to_vec()),
            None => return Err(Broken::new(bundle.path(), index, Fault::Entry)),
        }
    }
    Ok(entries)
}

/// Bytes at the end of the journal that are no batch.
#[derive(Debug)]
pub(super) struct Torn {
    pub(super) segment: u64,
    pub(super) position: u64,
    pub(super) bytes: u64,
}

/// The name of a segment below the log's folder.
pub(super) fn segment_name(first: u64) -> String {
    format!("journal/{first:020}")
}

/// Gives every batch that counts to `visit`, in order, with its segment's name.
///
/// # Errors
/// What is damaged in a way that no crash explains, and what `visit` returns.
pub(super) fn walk(
    folder: &Folder,
    mut visit: impl FnMut(&str, Batch) -> Result<(), Broken>,
) -> Result<Option<Torn>, Broken> {
    let listed = folder.segments().map_err(|e| Broken::new("journal", None, unreadable(&e)))?;
    let mut following = listed.iter().skip(1);
    let mut torn = None;
    for segment in &listed {
        let (name, until) = (segment_name(*segment), following.next());
        let bytes = folder.read_segment(*segment);
        let bytes = bytes.map_err(|e| Broken::new(&name, *segment, unreadable(&e)))?;
        let scan = Segment::scan(&bytes);
        let mut end = *segment;
        // From the name of the following segment on, that one counts.
        for (_, batch) in
            scan.batches.into_iter().filter(|(_, b)| until.is_none_or(|until| b.first < *until))
        {
            end = batch.end();
            visit(&name, batch)?;
        }
        let position = scan.end as u64;
        let left = bytes.get(scan.end..).unwrap_or_default();
        match (scan.tail, until) {
            (Tail::Clean, _) => {}
            // A batch failed here, and was left behind for the following segment.
            (Tail::Torn, Some(until)) if *until == end => {}
            (Tail::Torn, None) => {
                let bytes = left.iter().rposition(|b| *b != 0).map_or(0, |at| at as u64 + 1);
                torn = Some(Torn { segment: *segment, position, bytes });
            }
            (Tail::Torn | Tail::Altered, _) => {
                return Err(Broken::new(name, end, Fault::Journal));
            }
        }
    }
    Ok(torn)
}

/// Adds what the journal has beyond the frontier, checking roots and signatures. Gives where the journal ends, too.
fn replay(
    folder: &Folder,
    verifier: &Verifier,
    frontier: &mut Frontier,
) -> Result<(Option<Torn>, u64), Broken> {
    let mut reached = 0;
    let torn = walk(folder, |name, batch| {
        reached = batch.end();
        if batch.end() <= frontier.size() {
            return Ok(());
        }
        add_batch(name, &batch, verifier, frontier)
    })?;
    Ok((torn, reached))
}

/// Removes a journal that ends before the tiles do, which have all of it: what is written next would leave a gap in it.
fn forget(folder: &Folder) -> io::Result<()> {
    for segment in folder.segments()? {
        std::fs::remove_file(folder.segment(segment))?;
    }
    sync_folder(&folder.journal())
}

/// Adds a batch to the tree if it comes next, gives the root it says, and the log signed that.
pub(super) fn add_batch(
    name: &str,
    batch: &Batch,
    verifier: &Verifier,
    frontier: &mut Frontier,
) -> Result<(), Broken> {
    let next = frontier.size();
    let broken = |fault| Err(Broken::new(name, next, fault));
    if batch.first != next {
        return broken(Fault::Gap { found: batch.first });
    }
    for entry in &batch.entries {
        frontier.push(leaf_hash(entry));
    }
    if frontier.root() != batch.root {
        return broken(Fault::Root);
    }
    if !verifier.accepts(frontier.size(), &batch.root, &batch.signature) {
        return broken(Fault::Signature);
    }
    Ok(())
}

fn cut(folder: &Folder, torn: &Torn) -> io::Result<()> {
    let file = File::options().write(true).open(folder.segment(torn.segment))?;
    file.set_len(torn.position)?;
    file.sync_all()
}
