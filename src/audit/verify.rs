//! Verification: is every entry there, in order, unaltered? Offline, with the public key only.
//!
//! Every entry is hashed again, every tile compared, every file accounted for. Of bundles that were removed there
//! are only hashes, which must give the root all the same. Memory stays small:
//! one bundle, one segment and the tiles of the right edge at a time.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::at_rest::Needed;
use super::fault::{Broken, Fault, unreadable};
use super::folder::{Folder, segment_index};
use super::merkle::{Frontier, Hash, leaf_hash};
use super::note::{Checkpoint, Verifier};
use super::recover::{Torn, add_batch, check_verifier_key, read_checkpoint, segment_name, walk};
use super::retention::Removals;
use super::tile::{
    Edge, Kind, Tile, WIDTH, decode_bundle, decode_hashes, encode_bundle, encode_hashes,
};
use super::witness::cosigned_checkpoints;

/// How often a log that is being written is read again when it changed meanwhile.
const ATTEMPTS: u32 = 5;

/// A log that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries, those of the journal included.
    pub entries: u64,
    /// Entries that the checkpoint covers.
    pub checkpoint_size: u64,
    /// The root that the checkpoint signs.
    pub checkpoint_root: Hash,
    /// Entries that stand in the journal only; each batch of them is signed as well.
    pub journal_entries: u64,
    /// Entries whose bundles were removed when nobody could open them any more; their hashes are in the tree.
    pub removed: u64,
    /// The key that all signatures were checked with.
    pub verifier: String,
    /// The keys that its entries need.
    pub needed: Needed,
}

/// Checks the log in `dir` against the key, against an `earlier` checkpoint of it, and against those in it that witnesses
/// cosigned.
///
/// A log that is being written may be verified too. Cost: reads and hashes every byte of it.
///
/// # Errors
/// The first place at which it does not hold.
pub fn verify(
    dir: &Path,
    verifier: &Verifier,
    earlier: Option<&Checkpoint>,
) -> Result<Verified, Broken> {
    let folder = Folder::new(dir);
    let mut attempt = 1;
    loop {
        let is_live = is_being_written(&folder);
        let before = moving_parts(&folder);
        match verify_once(&folder, verifier, earlier, is_live) {
            // The writer may have moved files under our eyes: look again.
            Err(broken)
                if is_live
                    && attempt < ATTEMPTS
                    && (broken.file.starts_with("journal") || moving_parts(&folder) != before) =>
            {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// What a writer changes while it works: the checkpoint, and which segments there are.
fn moving_parts(folder: &Folder) -> (Option<Vec<u8>>, Option<Vec<u64>>) {
    (folder.read_checkpoint().ok(), folder.segments().ok())
}

/// Whether a gate writes the log in `dir` at this moment.
#[must_use]
pub fn is_written(dir: &Path) -> bool {
    is_being_written(&Folder::new(dir))
}

fn is_being_written(folder: &Folder) -> bool {
    File::open(folder.lock())
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn verify_once(
    folder: &Folder,
    verifier: &Verifier,
    earlier: Option<&Checkpoint>,
    is_live: bool,
) -> Result<Verified, Broken> {
    check_verifier_key(folder, verifier)?;
    // Before the newest checkpoint, which covers them then.
    let cosigned = cosigned_checkpoints(folder.root(), verifier)?;
    let checkpoint = read_checkpoint(folder, verifier)?;
    let listed = folder.segments().map_err(|e| Broken::new("journal", None, unreadable(&e)))?;
    let journal_start = listed.first().copied().unwrap_or(checkpoint.size);
    let removals = Removals::verified(folder, verifier)?;
    let given = earlier.map(|earlier| Earlier::new("checkpoint".to_owned(), earlier.clone()));
    let cosigned = cosigned.into_iter().map(|(file, checkpoint, _)| Earlier::new(file, checkpoint));
    let earlier = given.into_iter().chain(cosigned).collect();
    let mut check = Check::new(folder, earlier, journal_start, removals);
    check.bundles(checkpoint.size)?;
    if check.edge.root() != checkpoint.root {
        return Err(Broken::new("checkpoint", None, Fault::Root));
    }
    check.partial_tiles()?;
    let torn = check.journal(&checkpoint, verifier)?;
    check.earlier.iter().try_for_each(|earlier| earlier.check(check.edge.size()))?;
    if let Some(torn) = torn.filter(|_| !is_live) {
        let file = segment_name(torn.segment);
        return Err(Broken::new(file, check.edge.size(), Fault::Tail(torn.bytes)));
    }
    if !is_live {
        check.files(checkpoint.size)?;
    }
    let entries = check.edge.size();
    Ok(Verified {
        entries,
        checkpoint_size: checkpoint.size,
        checkpoint_root: checkpoint.root,
        journal_entries: entries - checkpoint.size,
        removed: check.removed,
        verifier: verifier.to_string(),
        needed: check.needed,
    })
}

/// A checkpoint that the log must continue.
struct Earlier {
    /// The file that is named where it does not.
    file: String,
    checkpoint: Checkpoint,
    /// The root of the log at that size.
    root: Option<Hash>,
}

impl Earlier {
    fn new(file: String, checkpoint: Checkpoint) -> Self {
        Self { file, checkpoint, root: None }
    }

    fn check(&self, entries: u64) -> Result<(), Broken> {
        let size = self.checkpoint.size;
        match self.root {
            Some(root) if root == self.checkpoint.root => Ok(()),
            Some(_) => Err(Broken::new(&self.file, None, Fault::Rewritten(size))),
            None => Err(Broken::new(&self.file, entries, Fault::Shorter { entries, size })),
        }
    }
}

/// A verification on its way from the first entry to the last.
struct Check<'a> {
    folder: &'a Folder,
    earlier: Vec<Earlier>,
    /// The tree of all entries so far.
    edge: Edge,
    journal_start: u64,
    /// The tree where the journal begins, which may be before the tiles end.
    at_journal: Option<Frontier>,
    /// What the tiles and bundles that the checkpoint does not fill may hold, and no more.
    growing: BTreeMap<(Kind, u64), Vec<u8>>,
    /// The bundles that need not be there.
    removals: Removals,
    removed: u64,
    needed: Needed,
}

impl<'a> Check<'a> {
    fn new(
        folder: &'a Folder,
        earlier: Vec<Earlier>,
        journal_start: u64,
        removals: Removals,
    ) -> Self {
        Self {
            folder,
            earlier,
            edge: Edge::default(),
            journal_start,
            at_journal: None,
            growing: BTreeMap::new(),
            removals,
            removed: 0,
            needed: Needed::default(),
        }
    }

    /// Adds an entry; gives the tiles that it completes.
    fn add(&mut self, leaf: Hash) -> Vec<(Tile, Vec<u8>)> {
        self.mark();
        let mut full = Vec::new();
        self.edge.push(leaf, |tile, hashes| full.push((tile, encode_hashes(hashes))));
        full
    }

    /// Keeps what is asked about the tree of this size.
    fn mark(&mut self) {
        if self.edge.size() == self.journal_start {
            self.at_journal = Some(self.edge.frontier().clone());
        }
        let size = self.edge.size();
        for earlier in self.earlier.iter_mut().filter(|earlier| earlier.checkpoint.size == size) {
            earlier.root = Some(self.edge.root());
        }
    }

    /// Reads the bundles of the first `size` entries and compares every full tile.
    fn bundles(&mut self, size: u64) -> Result<(), Broken> {
        while self.edge.size() < size {
            let index = self.edge.size() / WIDTH;
            let width = WIDTH.min(size - self.edge.size());
            let bundle = Tile { kind: Kind::Entries, index, width };
            let hashes = self.read(&Tile { kind: Kind::Hashes(0), ..bundle })?;
            let hashes = decode_hashes(&hashes).unwrap_or_default();
            if width == WIDTH && self.is_removed(&bundle) {
                self.without_entries(&bundle, &hashes)?;
                continue;
            }
            let bytes = self.read(&bundle)?;
            let (entries, rest) = decode_bundle(&bytes);
            for at in 0..usize::try_from(width).unwrap_or_default() {
                let next = self.edge.size();
                let entry = entries.get(at);
                let leaf = entry.map(|entry| leaf_hash(entry));
                let Some(leaf) = leaf.filter(|leaf| hashes.get(at) == Some(leaf)) else {
                    return Err(Broken::new(bundle.path(), next, Fault::Entry));
                };
                self.full_tiles(leaf)?;
                entry.into_iter().for_each(|entry| self.needed.see(entry));
            }
            let exact = entries.len() as u64 == width && rest.is_empty();
            if width == WIDTH && !exact {
                return Err(Broken::new(bundle.path(), index * WIDTH, Fault::Bundle));
            }
            if width < WIDTH {
                let own = entries.iter().take(usize::try_from(width).unwrap_or_default());
                let own = encode_bundle(&own.collect::<Vec<_>>()).unwrap_or_default();
                self.growing.insert((Kind::Entries, index), own);
            }
        }
        self.mark();
        Ok(())
    }

    /// Whether a bundle is not there and need not be.
    fn is_removed(&self, bundle: &Tile) -> bool {
        self.removals.bundle(bundle.index).is_some()
            && self.folder.tile(bundle).try_exists().is_ok_and(|there| !there)
    }

    /// Goes on by the hashes of a bundle that was removed: they must give the root like those of entries.
    fn without_entries(&mut self, bundle: &Tile, hashes: &[Hash]) -> Result<(), Broken> {
        if hashes.len() as u64 != WIDTH {
            let tile = Tile { kind: Kind::Hashes(0), ..*bundle };
            return Err(Broken::new(tile.path(), bundle.index * WIDTH, Fault::Hashes));
        }
        for hash in hashes {
            self.full_tiles(*hash)?;
        }
        self.removed += WIDTH;
        Ok(())
    }

    fn full_tiles(&mut self, leaf: Hash) -> Result<(), Broken> {
        for (tile, expected) in self.add(leaf) {
            if self.read(&tile)? != expected {
                let first = tile.index.checked_mul(span(&tile));
                return Err(Broken::new(tile.path(), first, Fault::Hashes));
            }
        }
        Ok(())
    }

    /// Compares the partial tiles that the checkpoint calls for.
    fn partial_tiles(&self) -> Result<(), Broken> {
        for (tile, hashes) in self.edge.partial_tiles() {
            if !self.read(&tile)?.starts_with(&encode_hashes(hashes)) {
                let first = tile.index.checked_mul(span(&tile));
                return Err(Broken::new(tile.path(), first, Fault::Hashes));
            }
        }
        Ok(())
    }

    fn read(&self, tile: &Tile) -> Result<Vec<u8>, Broken> {
        let first = tile.index.checked_mul(span(tile));
        let read = self.folder.read_tile(tile);
        read.map_err(|e| Broken::new(tile.path(), first, unreadable(&e)))
    }

    /// Checks every batch of the journal from its beginning and adds what the tiles do not have.
    fn journal(
        &mut self,
        checkpoint: &Checkpoint,
        verifier: &Verifier,
    ) -> Result<Option<Torn>, Broken> {
        let Some(mut frontier) = self.at_journal.clone() else {
            let (found, name) = (self.journal_start, segment_name(self.journal_start));
            return Err(Broken::new(name, self.edge.size(), Fault::Gap { found }));
        };
        self.grow_partial();
        let torn = walk(self.folder, |name, batch| {
            add_batch(name, &batch, verifier, &mut frontier)?;
            if frontier.size() == checkpoint.size && frontier.root() != checkpoint.root {
                return Err(Broken::new(name, batch.first, Fault::Root));
            }
            let known = self.edge.size().saturating_sub(batch.first);
            for entry in batch.entries.iter().skip(usize::try_from(known).unwrap_or(usize::MAX)) {
                self.grow(entry);
            }
            Ok(())
        })?;
        self.mark();
        self.grow_partial();
        Ok(torn)
    }

    /// Adds an entry of the journal to what tiles and bundles may hold already.
    fn grow(&mut self, entry: &[u8]) {
        self.needed.see(entry);
        let index = self.edge.size() / WIDTH;
        for (tile, bytes) in self.add(leaf_hash(entry)) {
            self.growing.insert((tile.kind, tile.index), bytes);
        }
        let bundle = self.growing.entry((Kind::Entries, index)).or_default();
        bundle.extend(encode_bundle(&[entry]).unwrap_or_default());
    }

    fn grow_partial(&mut self) {
        for (tile, hashes) in self.edge.partial_tiles() {
            self.growing.insert((tile.kind, tile.index), encode_hashes(hashes));
        }
    }

    /// Accounts for every file: each must be one of the log's and hold what the log has there.
    fn files(&self, checkpoint_size: u64) -> Result<(), Broken> {
        for path in self.list("journal")? {
            let name = path.rsplit('/').next().unwrap_or_default();
            if segment_index(name).is_none() || path.matches('/').count() != 1 {
                return Err(Broken::new(path, None, Fault::Unexpected));
            }
        }
        for path in self.list("tile")? {
            let Some(tile) = Tile::parse(&path) else {
                return Err(Broken::new(path, None, Fault::Unexpected));
            };
            self.file(&tile, checkpoint_size)?;
        }
        Ok(())
    }

    fn list(&self, below: &str) -> Result<Vec<String>, Broken> {
        self.folder.files(below).map_err(|e| Broken::new(below, None, unreadable(&e)))
    }

    fn file(&self, tile: &Tile, checkpoint_size: u64) -> Result<(), Broken> {
        let first = tile.index.checked_mul(span(tile));
        let broken = |fault| Broken::new(tile.path(), first, fault);
        let full = Tile { width: WIDTH, ..*tile };
        let grown = self.growing.get(&(tile.kind, tile.index));
        let whole = match grown {
            Some(bytes) => bytes.clone(),
            // Compared with the entries already.
            None if is_covered(&full, checkpoint_size) && tile.width == WIDTH => return Ok(()),
            None if is_covered(&full, checkpoint_size) => self.read(&full)?,
            None => return Err(broken(Fault::Unexpected)),
        };
        let found = self.folder.read_tile(tile).map_err(|e| broken(unreadable(&e)))?;
        let width = match tile.kind {
            Kind::Hashes(_) => found.len() as u64 / 32,
            Kind::Entries => decode_bundle(&found).0.len() as u64,
        };
        if width != tile.width || !whole.starts_with(&found) {
            let altered = if tile.kind == Kind::Entries { Fault::Entry } else { Fault::Hashes };
            return Err(broken(altered));
        }
        Ok(())
    }
}

/// How many entries a full tile of this level stands for; `u64::MAX` for what no log can fill.
fn span(tile: &Tile) -> u64 {
    match tile.kind {
        Kind::Entries => WIDTH,
        Kind::Hashes(level) => WIDTH.checked_pow(u32::from(level) + 1).unwrap_or(u64::MAX),
    }
}

/// Whether a full tile lies wholly below the checkpoint.
fn is_covered(full: &Tile, size: u64) -> bool {
    let end = full.index.checked_add(1).and_then(|n| n.checked_mul(span(full)));
    end.is_some_and(|end| end <= size)
}
