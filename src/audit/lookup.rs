//! Reads single entries of a log by their place, and entries in a row with the keys that opened them.

use std::path::Path;

use super::at_rest::{KeyFile, KeyName, Opener, State};
use super::folder::{Folder, Part};
use super::merkle::{Hash, leaf_hash};
use super::reader::{Frames, ReadError, Record};
use super::retention::Removals;
use super::tile::WIDTH;

/// What stands at a place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The place.
    pub index: u64,
    /// The entry, or why it cannot be read.
    pub record: Record,
    /// The files of the keys that opened it: once one is destroyed, it does not open so again.
    pub keys: Vec<String>,
    /// Its hash as a leaf of the tree.
    pub leaf: Hash,
}

/// The entries of a log one after another.
#[derive(Debug)]
pub struct StoredEntries {
    frames: Frames,
    opener: Opener,
}

impl StoredEntries {
    /// The entries of the log in `dir` from entry `first` on.
    #[must_use]
    pub fn new(dir: &Path, first: u64, opener: Opener) -> Self {
        Self { frames: Frames::new(dir, first), opener }
    }
}

impl Iterator for StoredEntries {
    type Item = Result<Stored, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, frame) = match self.frames.next()? {
            Ok(frame) => frame,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(open(index, frame, &mut self.opener)))
    }
}

fn open(index: u64, frame: Vec<u8>, opener: &mut Opener) -> Stored {
    let leaf = leaf_hash(&frame);
    let mut under = Vec::new();
    let record = Record::of(index, opener.open_under(index, frame, &mut under));
    Stored { index, record, keys: under.iter().map(KeyName::file).collect(), leaf }
}

/// Reads entries by their place.
///
/// Keeps the last bundle, so that places near each other cost one read of the disk.
#[derive(Debug)]
pub struct Lookup {
    opener: Opener,
    first: u64,
    frames: Vec<Vec<u8>>,
    removed: Removals,
}

impl Lookup {
    /// Of the log that `opener` opens.
    #[must_use]
    pub fn new(opener: Opener) -> Self {
        Self { opener, first: 0, frames: Vec::new(), removed: Removals::default() }
    }

    /// What stands at this place; `None` beyond the log's end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn at(&mut self, index: u64) -> Result<Option<Stored>, ReadError> {
        let frame = self.frame(index)?.map(<[u8]>::to_vec);
        Ok(frame.map(|frame| open(index, frame, &mut self.opener)))
    }

    /// The stored bytes at this place.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn frame(&mut self, index: u64) -> Result<Option<&[u8]>, ReadError> {
        let reached = self.first + self.frames.len() as u64;
        if index < self.first || index >= reached {
            self.first = index - index % WIDTH;
            self.frames.clear();
            let width = usize::try_from(WIDTH).unwrap_or(usize::MAX);
            let frames = Frames::new(self.opener.dir(), self.first);
            let mut frames = frames.knowing(std::mem::take(&mut self.removed));
            for frame in frames.by_ref().take(width) {
                self.frames.push(frame?.1);
            }
            self.removed = frames.into_removed();
        }
        let place = usize::try_from(index - self.first).unwrap_or(usize::MAX);
        Ok(self.frames.get(place).map(Vec::as_slice))
    }
}

/// Which of these keys of the log in `dir` are destroyed. A file that cannot be read is not.
#[must_use]
pub fn destroyed_keys(dir: &Path, names: &[String]) -> Vec<String> {
    let folder = Folder::new(dir);
    let is_destroyed = |file: &&String| {
        let name = KeyName::parse(file);
        let read =
            name.and_then(|name| KeyFile::read(name, &folder.read_of(Part::Keys, file).ok()?));
        read.is_some_and(|key| matches!(key.state, State::Destroyed { .. }))
    };
    names.iter().filter(is_destroyed).cloned().collect()
}
