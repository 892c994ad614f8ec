//! A proof that one entry stands in the log, for somebody who has neither the log nor any secret.
//!
//! Written as C2SP `tlog-proof`: the entry's stored bytes, its place, the hashes up to the root, and the signed
//! checkpoint with that root.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::{Broken, Fault, unreadable};
use super::folder::Folder;
use super::merkle::{Hash, inclusion_proof, leaf_hash, perfect_root, verify_inclusion};
use super::note::{Checkpoint, NoteError, Verifier};
use super::reader::Frames;
use super::recover::read_checkpoint;
use super::retention::Removals;
use super::tile::{Kind, Tile, WIDTH, decode_hashes};

const HEAD: &str = "c2sp.org/tlog-proof@v1";
/// More hashes than a tree of 2^63 entries asks for.
const MOST_HASHES: usize = 64;

/// Why there is no proof, or it does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The checkpoint does not cover the entry yet.
    #[error("entry {index} is not under the checkpoint yet, which covers {covered}; wait a second")]
    NotCovered {
        /// The entry.
        index: u64,
        /// What is covered.
        covered: u64,
    },
    /// The entry's time was over, and it was removed.
    #[error(
        "entry {index} was removed when its time was over, note `removed/{note:08}`: its hash is in the tree still, its bytes are not there to be proven"
    )]
    Removed {
        /// The entry.
        index: u64,
        /// The number of the note that says so.
        note: u32,
    },
    /// The log does not hold at a place that the proof needs.
    #[error("the log is broken: {0}")]
    Broken(#[from] Broken),
    /// The text is no proof.
    #[error("it is no proof of this form (c2sp.org/tlog-proof@v1)")]
    Form,
    /// Its checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The entry is not in the tree of the checkpoint.
    #[error("it does not hold: the entry is not in the log of this checkpoint")]
    Wrong,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The place of the entry.
    pub index: u64,
    /// The checkpoint that it stands under.
    pub checkpoint: Checkpoint,
    /// The entry as the log stores it, sealed.
    pub stored: Vec<u8>,
}

/// Proves that the entry at `index` stands in the log in `dir`.
///
/// # Errors
/// [`ProofError::NotCovered`], [`ProofError::Removed`] or [`ProofError::Broken`]; never a proof that does not hold.
pub fn prove(dir: &Path, verifier: &Verifier, index: u64) -> Result<String, ProofError> {
    let folder = Folder::new(dir);
    let checkpoint = read_checkpoint(&folder, verifier)?;
    let size = checkpoint.size;
    let mut node = |level: u32, n: u64| node(&folder, size, level, n);
    let hashes = inclusion_proof(index, size, &mut node)?;
    let hashes = hashes.ok_or(ProofError::NotCovered { index, covered: size })?;
    let broken = |fault| Broken::new("tile/entries", index, fault);
    let Some(Ok((_, stored))) = Frames::new(dir, index).next() else {
        return Err(broken(Fault::Missing).into());
    };
    if !verify_inclusion(&leaf_hash(&stored), index, size, &hashes, &checkpoint.root) {
        let bundle = index / WIDTH;
        let is_there = folder.tile(&Tile::full(Kind::Entries, bundle)).exists();
        if let Some(note) = Removals::verified(&folder, verifier)?.note_of(bundle)
            && !is_there
        {
            return Err(ProofError::Removed { index, note });
        }
        return Err(broken(Fault::Entry).into());
    }
    let note = folder.read_checkpoint();
    let note = note.map_err(|e| Broken::new("checkpoint", None, unreadable(&e)))?;
    // The one that was read again may be newer; it must be the one that the hashes lead to.
    if verifier.open(&note)? != checkpoint {
        return prove(dir, verifier, index);
    }
    let mut text = format!("{HEAD}\nextra {}\nindex {index}\n", STANDARD.encode(&stored));
    for hash in &hashes {
        // Writing to a text cannot fail.
        writeln!(text, "{}", STANDARD.encode(hash)).unwrap_or_default();
    }
    Ok(format!("{text}\n{}", String::from_utf8_lossy(&note)))
}

/// The root over the leaves `n << level ..` from the tiles.
pub(super) fn node(folder: &Folder, size: u64, level: u32, n: u64) -> Result<Hash, Broken> {
    let (tile_level, within) = (level / 8, level % 8);
    let first = n << within;
    let (index, skip) = (first / WIDTH, first % WIDTH);
    let nodes = size.checked_shr(tile_level * 8).unwrap_or(0);
    let width = nodes.saturating_sub(index * WIDTH).min(WIDTH);
    let kind = Kind::Hashes(u8::try_from(tile_level).unwrap_or(u8::MAX));
    let tile = Tile { kind, index, width };
    let broken = |fault| Broken::new(tile.path(), None, fault);
    let bytes = folder.read_tile(&tile).map_err(|e| broken(unreadable(&e)))?;
    let hashes = decode_hashes(&bytes).unwrap_or_default();
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let wanted = hashes.get(place(skip)..place(skip + (1 << within)));
    wanted.map(perfect_root).ok_or_else(|| broken(Fault::Missing))
}

/// Reads a proof and checks it: offline, with the public key only.
///
/// # Errors
/// [`ProofError`].
pub fn check_proof(text: &str, verifier: &Verifier) -> Result<Proven, ProofError> {
    let (proof, note) = text.split_once("\n\n").ok_or(ProofError::Form)?;
    let mut lines = proof.lines();
    if lines.next() != Some(HEAD) {
        return Err(ProofError::Form);
    }
    let read = |line: Option<&str>, word: &str| {
        line.and_then(|line| line.strip_prefix(word)).map(str::to_owned).ok_or(ProofError::Form)
    };
    let stored = STANDARD.decode(read(lines.next(), "extra ")?).ok().ok_or(ProofError::Form)?;
    let index = read(lines.next(), "index ")?.parse().ok().ok_or(ProofError::Form)?;
    let mut hashes = Vec::new();
    for line in lines.take(MOST_HASHES) {
        let hash = STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
        hashes.push(hash.ok_or(ProofError::Form)?);
    }
    let checkpoint = verifier.open(note.as_bytes())?;
    let leaf = leaf_hash(&stored);
    if verify_inclusion(&leaf, index, checkpoint.size, &hashes, &checkpoint.root) {
        Ok(Proven { index, checkpoint, stored })
    } else {
        Err(ProofError::Wrong)
    }
}
