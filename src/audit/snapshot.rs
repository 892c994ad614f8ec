//! The files of a log as of one checkpoint, while it goes on being written: what a backup takes.
//!
//! The right edge, which a writer replaces, is held in memory; everything else is never written again. The journal
//! is left out: what it has beyond the checkpoint belongs to the next backup.

use std::io;
use std::iter;
use std::path::Path;

use super::folder::{Folder, LAST_KEY, Part};
use super::note::Verifier;
use super::retention::Removals;
use super::tile::{Kind, Tile, WIDTH, decode_bundle, encode_bundle, partial_widths};
use super::witness::cosigned_checkpoints;

/// How often the right edge is read anew because it moved.
const TRIES: u32 = 20;
const HASH_BYTES: u64 = 32;

/// A path below the log's folder, and what stands there.
type NamedFile = (String, Vec<u8>);

/// A log as of one checkpoint.
#[derive(Debug)]
pub struct LogSnapshot {
    folder: Folder,
    verifier: Verifier,
    entries: u64,
    /// What a writer replaces: the checkpoint and the partial tiles.
    held: Vec<NamedFile>,
}

impl LogSnapshot {
    /// The log in `dir` as it is now. Blocks.
    ///
    /// # Errors
    /// What the system says, or that the checkpoint is not signed with this key.
    pub fn take(dir: &Path, verifier: &Verifier) -> io::Result<Self> {
        let folder = Folder::new(dir);
        for _ in 0..TRIES {
            match Self::edge(&folder, verifier) {
                // The edge moved on between two looks.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok((entries, held)) => {
                    let verifier = verifier.clone();
                    return Ok(Self { folder, verifier, entries, held });
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the log has no tiles for its checkpoint"))
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    fn edge(folder: &Folder, verifier: &Verifier) -> io::Result<(u64, Vec<NamedFile>)> {
        // Before the checkpoint, which covers them then.
        let cosigned = cosigned_checkpoints(folder.root(), verifier).map_err(io::Error::other)?;
        let note = folder.read_checkpoint()?;
        let checkpoint = verifier.open(&note).map_err(io::Error::other)?;
        let mut held = vec![
            (String::from("checkpoint"), note),
            (String::from("verifier.key"), folder.read_verifier_key()?),
        ];
        // Before the keys, of which more may be there then, and not fewer.
        if let Some(last) = folder.read_last_key()? {
            held.push((LAST_KEY.to_owned(), format!("{last}\n").into_bytes()));
        }
        held.extend(cosigned.into_iter().map(|(path, _, note)| (path, note)));
        for (level, (index, width)) in (0_u8..).zip(partial_widths(checkpoint.size)) {
            if width == 0 {
                continue;
            }
            let tile = Tile { kind: Kind::Hashes(level), index, width };
            let mut hashes = folder.read_tile(&tile)?;
            hashes.truncate(usize::try_from(width * HASH_BYTES).unwrap_or_default());
            held.push((tile.path(), hashes));
            if level == 0 {
                let bundle = Tile { kind: Kind::Entries, index, width };
                let bytes = folder.read_tile(&bundle)?;
                let (entries, _) = decode_bundle(&bytes);
                let entries: Vec<_> =
                    entries.into_iter().take(usize::try_from(width).unwrap_or_default()).collect();
                held.push((bundle.path(), encode_bundle(&entries).unwrap_or_default()));
            }
        }
        Ok((checkpoint.size, held))
    }

    /// Every file below the log's folder with its path from there, one at a time; none is larger than some 16 MiB.
    ///
    /// The end of entries may come meanwhile. Certificate, key, note, bundle is the order in which that goes, so they
    /// are looked up in the other: whatever a file says was done before, those after it show.
    pub fn files(self) -> impl Iterator<Item = io::Result<(String, Vec<u8>)>> {
        let Self { folder, verifier, entries, held } = self;
        let (of_tiles, mut removals) = (folder.clone(), Removals::default());
        let tiles = full_tiles(entries).filter_map(move |tile| {
            let read = match of_tiles.read_tile(&tile) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match is_removed(&mut removals, &of_tiles, &verifier, &tile) {
                        Ok(true) => return None,
                        Ok(false) => Err(error),
                        Err(broken) => Err(broken),
                    }
                }
                read => read,
            };
            Some(read.map(|bytes| (tile.path(), bytes)))
        });
        let [notes, keys, certificates] =
            [Part::Removed, Part::Keys, Part::Certificates].map(|part| named(&folder, part));
        held.into_iter().map(Ok).chain(tiles).chain(notes).chain(keys).chain(certificates)
    }
}

/// Whether a bundle that is missing was removed, as the log's key has signed.
fn is_removed(
    known: &mut Removals,
    folder: &Folder,
    verifier: &Verifier,
    tile: &Tile,
) -> io::Result<bool> {
    if tile.kind != Kind::Entries {
        return Ok(false);
    }
    if known.bundle(tile.index).is_none() {
        *known = Removals::verified(folder, verifier).map_err(io::Error::other)?;
    }
    Ok(known.bundle(tile.index).is_some())
}

/// The tiles and bundles that `entries` fill.
fn full_tiles(entries: u64) -> impl Iterator<Item = Tile> {
    let bundles = (0..entries / WIDTH).map(|index| Tile::full(Kind::Entries, index));
    let levels = partial_widths(entries);
    let hashes = (0_u8..).zip(levels).flat_map(|(level, (full, _))| {
        (0..full).map(move |index| Tile::full(Kind::Hashes(level), index))
    });
    bundles.chain(hashes)
}

/// The files of one folder, which are listed when the first of them is wanted.
fn named(folder: &Folder, part: Part) -> impl Iterator<Item = io::Result<NamedFile>> + use<> {
    let folder = folder.clone();
    iter::once(()).flat_map(move |()| {
        let (folder, listed) = (folder.clone(), folder.names_of(part));
        let (names, failed) = match listed {
            Ok(names) => (names, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        let one = move |name: String| {
            let read = folder.read_of(part, &name);
            read.map(|bytes| (format!("{}/{name}", part.word()), bytes))
        };
        failed.into_iter().chain(names.into_iter().map(one))
    })
}
