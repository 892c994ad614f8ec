//! The files of a log as of one checkpoint, while it goes on being written: what a backup takes.
//!
//! The right edge, which a writer replaces, is held in memory; everything else is never written again. The journal
//! is left out: what it has beyond the checkpoint belongs to the next backup.

use std::io;
use std::path::Path;

use super::folder::Folder;
use super::note::Verifier;
use super::retention::Removals;
use super::tile::{Kind, Tile, WIDTH, decode_bundle, encode_bundle, partial_widths};

/// How often the right edge is read anew because it moved.
const TRIES: u32 = 20;
const HASH_BYTES: u64 = 32;

/// A path below the log's folder, and what stands there.
type NamedFile = (String, Vec<u8>);

/// A log as of one checkpoint.
#[derive(Debug)]
pub struct LogSnapshot {
    folder: Folder,
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
                Ok((entries, held)) => return Ok(Self { folder, entries, held }),
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
        let note = folder.read_checkpoint()?;
        let checkpoint = verifier.open(&note).map_err(io::Error::other)?;
        let mut held = vec![
            (String::from("checkpoint"), note),
            (String::from("verifier.key"), folder.read_verifier_key()?),
        ];
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
    pub fn files(self) -> impl Iterator<Item = io::Result<(String, Vec<u8>)>> {
        let Self { folder, entries, held } = self;
        let tiles = full_tiles(entries);
        let of_tiles = folder.clone();
        let tiles = tiles.filter_map(move |tile| match of_tiles.read_tile(&tile) {
            Err(error) if is_removed(&of_tiles, &tile, &error) => None,
            read => Some(read.map(|bytes| (tile.path(), bytes))),
        });
        // After the checkpoint: a key is durable before the first entry that needs it.
        let keys = named(folder.key_names(), "keys", {
            let folder = folder.clone();
            move |name| folder.read_key(name)
        });
        let certificates =
            named(folder.certificate_names(), "certificates", |name| folder.read_certificate(name));
        let files = held.into_iter().map(Ok).chain(keys).chain(certificates).chain(tiles);
        // After the bundles, some of which may go meanwhile.
        files.chain(std::iter::once(()).flat_map(move |()| {
            named(folder.removal_names(), "removed", |name| folder.read_removal(name))
        }))
    }
}

/// Whether a bundle is missing because it was removed.
fn is_removed(folder: &Folder, tile: &Tile, error: &io::Error) -> bool {
    let mut removals = Removals::default();
    error.kind() == io::ErrorKind::NotFound
        && tile.kind == Kind::Entries
        && removals.refresh(folder).is_ok()
        && removals.bundle(tile.index).is_some()
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

type Named = Vec<io::Result<NamedFile>>;

fn named(
    names: io::Result<Vec<String>>,
    folder: &str,
    read: impl Fn(&str) -> io::Result<Vec<u8>>,
) -> Named {
    match names {
        Err(error) => vec![Err(error)],
        Ok(names) => {
            let one = |name: String| read(&name).map(|bytes| (format!("{folder}/{name}"), bytes));
            names.into_iter().map(one).collect()
        }
    }
}
