//! Turns the journal into the public form: bundles, tiles, checkpoint; then forgets old segments.
//!
//! Works from what is durable in the journal, so a crash at any point costs nothing but time.

use std::fs;
use std::io;
use std::sync::Arc;

use super::copies::Copies;
use super::disk::Disk;
use super::folder::{Folder, Replacer};
use super::journal::Cursor;
use super::log::Claim;
use super::merkle::leaf_hash;
use super::note::{Signature, Verifier};
use super::shared::Shared;
use super::tile::{Edge, Kind, Tile, WIDTH, encode_bundle, encode_hashes};
use crate::turn::{Turns, stand_back};

/// Entries that are hashed into tiles in one turn on the processor.
const TURN: u32 = 32;

/// The publisher's state, which lives on its own thread.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: Folder,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) verifier: Verifier,
    pub(super) published: Published,
    /// Held as long as anything of this log is written.
    pub(super) lock: Claim,
    /// Where copies of the checkpoint go.
    pub(super) copies: Option<Copies>,
}

/// What the tiles and the checkpoint hold so far.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) edge: Edge,
    /// The entries of the last, not yet full bundle.
    pub(super) bundle: Vec<Vec<u8>>,
    pub(super) cursor: Cursor,
}

impl Publisher {
    /// Works until the writer has stopped and everything is published.
    pub(super) fn run(mut self) {
        stand_back();
        loop {
            let durable = self.shared.wait_to_publish(self.published.edge.size());
            let keys = self.shared.tend_keys().map_err(io::Error::other);
            let keys = keys.and_then(|()| self.shared.keep_keys());
            let result = self.publish(durable).and(keys);
            let result = result.and(self.copy());
            if self.shared.publish_done(self.published.edge.size(), result) {
                break;
            }
        }
        if let Err(error) = self.lock.release() {
            tracing::warn!(%error, "the log's lock could not be released");
        }
    }

    /// Copies the checkpoint to its second place, if that is due.
    fn copy(&mut self) -> io::Result<()> {
        let Some(copies) = &mut self.copies else { return Ok(()) };
        let note = self.folder.read_checkpoint()?;
        let checkpoint = self.verifier.open(&note).map_err(io::Error::other)?;
        copies.copy(&checkpoint, &note, self.shared.steady(), self.shared.is_stopped())
    }

    /// Brings tiles and checkpoint up to `durable` entries. After an error the old state stands.
    fn publish(&mut self, durable: u64) -> io::Result<()> {
        let before = self.published.edge.size();
        if before < durable {
            let mut next = self.published.clone();
            let mut files = Replacer::new(&self.folder, self.disk.as_ref());
            let signature = next.write_full(durable, &self.folder, &mut files)?;
            next.write_partial(&self.folder, &mut files)?;
            files.settle()?;
            let checkpoint = super::note::Checkpoint {
                origin: self.verifier.name().to_owned(),
                size: next.edge.size(),
                root: next.edge.root(),
            };
            let note = self.verifier.note(&checkpoint, &signature);
            files.put(&self.folder.checkpoint(), note.as_bytes())?;
            files.settle()?;
            self.published = next;
            self.remove_partial_of(before)?;
        }
        self.remove_covered_segments()
    }

    /// Removes the partial tiles of an earlier size that wider ones replace now.
    fn remove_partial_of(&self, before: u64) -> io::Result<()> {
        let now = super::tile::partial_widths(self.published.edge.size());
        let was = super::tile::partial_widths(before);
        for (level, (old, new)) in was.iter().zip(&now).enumerate() {
            let Ok(level) = u8::try_from(level) else { continue };
            let kinds = [Some(Kind::Hashes(level)), (level == 0).then_some(Kind::Entries)];
            for kind in kinds.into_iter().flatten() {
                let tile = Tile { kind, index: old.0, width: old.1 };
                if new.0 > old.0 {
                    remove(fs::remove_dir_all(self.folder.partial_folder(&tile)))?;
                } else if new.1 > old.1 && old.1 > 0 {
                    remove(fs::remove_file(self.folder.tile(&tile)))?;
                }
            }
        }
        Ok(())
    }

    /// Removes the segments whose every entry stands in a full bundle.
    fn remove_covered_segments(&self) -> io::Result<()> {
        let covered = self.published.edge.size() / WIDTH * WIDTH;
        let segments = self.folder.segments()?;
        for pair in segments.windows(2) {
            if let [segment, following] = pair
                && *following <= covered
            {
                remove(fs::remove_file(self.folder.segment(*segment)))?;
            }
        }
        Ok(())
    }
}

/// What is gone already needs no removing.
fn remove(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Published {
    /// Adds the journal's entries up to `durable`, writes every tile and bundle that becomes full,
    /// and gives the signature of the last batch.
    fn write_full(
        &mut self,
        durable: u64,
        folder: &Folder,
        files: &mut Replacer<'_>,
    ) -> io::Result<Signature> {
        let mut turns = Turns::default();
        loop {
            let batch = self.cursor.next_batch()?;
            for entry in batch.entries {
                self.add(entry, folder, files)?;
                turns.done(TURN);
            }
            if self.edge.root() != batch.root {
                let what = "the journal's entries do not give the root that was signed";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if self.edge.size() >= durable {
                return Ok(batch.signature);
            }
        }
    }

    fn add(&mut self, entry: Vec<u8>, folder: &Folder, files: &mut Replacer<'_>) -> io::Result<()> {
        let mut full = Vec::new();
        self.edge.push(leaf_hash(&entry), |tile, hashes| full.push((tile, encode_hashes(hashes))));
        self.bundle.push(entry);
        if self.bundle.len() as u64 == WIDTH {
            let bundle = Tile::full(Kind::Entries, self.edge.size() / WIDTH - 1);
            full.push((bundle, bundle_bytes(&self.bundle)?));
            self.bundle.clear();
        }
        for (tile, bytes) in full {
            files.put(&folder.tile(&tile), &bytes)?;
        }
        Ok(())
    }

    fn write_partial(&self, folder: &Folder, files: &mut Replacer<'_>) -> io::Result<()> {
        for (tile, hashes) in self.edge.partial_tiles() {
            let path = folder.tile(&tile);
            // A higher level grows only when the one below fills a tile; its file is there already.
            if tile.kind == Kind::Hashes(0) || !path.exists() {
                files.put(&path, &encode_hashes(hashes))?;
            }
        }
        let width = self.bundle.len() as u64;
        if width > 0 {
            let tile = Tile { kind: Kind::Entries, index: self.edge.size() / WIDTH, width };
            files.put(&folder.tile(&tile), &bundle_bytes(&self.bundle)?)?;
        }
        Ok(())
    }
}

fn bundle_bytes(entries: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    encode_bundle(entries).ok_or_else(|| io::Error::other("an entry exceeds the format"))
}
