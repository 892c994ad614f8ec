//! Reads the entries of a log in order: bundles first, then what the journal has beyond them.
//!
//! It trusts the folder; whether the log holds is `verify.rs`' to say.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::at_rest::{Closed, Frame, Opener, head_of};
use super::batch::batches_from;
use super::entry::Entry;
use super::folder::Folder;
use super::retention::Removals;
use super::tile::{Kind, Tile, WIDTH, decode_bundle};

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system could not read a file.
    #[error("log `{path}`: {source}")]
    File {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What stands there is no entry, where it must be one.
    #[error("{0}")]
    Closed(Closed),
}

/// Gives the stored bytes of the entries of a log one after another, each with its index.
///
/// Memory: a bundle or a segment at a time. A log that is being written may be read; it ends where the
/// log ends when it gets there.
#[derive(Debug)]
pub(super) struct Frames {
    folder: Folder,
    next: u64,
    ready: VecDeque<Vec<u8>>,
    removed: Removals,
    has_failed: bool,
}

impl Frames {
    /// The entries of the log in `dir` from entry `first` on.
    pub(super) fn new(dir: &Path, first: u64) -> Self {
        let (folder, ready, removed) = (Folder::new(dir), VecDeque::new(), Removals::default());
        Self { folder, next: first, ready, removed, has_failed: false }
    }

    /// One that knows already which bundles were removed.
    pub(super) fn knowing(self, removed: Removals) -> Self {
        Self { removed, ..self }
    }

    /// Which bundles were removed, as far as it had to know.
    pub(super) fn into_removed(self) -> Removals {
        self.removed
    }

    fn fill(&mut self) -> io::Result<()> {
        // A bundle may be published, and its segment removed, between the two looks.
        for _ in 0..2 {
            self.fill_from_bundle()?;
            if self.ready.is_empty() {
                self.fill_from_journal()?;
            }
            if self.ready.is_empty() {
                self.fill_from_removed()?;
            }
            if !self.ready.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn fill_from_bundle(&mut self) -> io::Result<()> {
        let (index, skip) = (self.next / WIDTH, self.next % WIDTH);
        let full = Tile::full(Kind::Entries, index);
        let width = match self.folder.tile(&full).try_exists()? {
            true => Some(WIDTH),
            false => self.folder.partial_widths(&full)?.into_iter().next_back(),
        };
        let Some(width) = width.filter(|width| *width > skip) else { return Ok(()) };
        let bytes = self.folder.read_tile(&Tile { width, ..full })?;
        let (entries, _) = decode_bundle(&bytes);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.ready.extend(entries.into_iter().skip(skip).map(<[u8]>::to_vec));
        Ok(())
    }

    /// Of a bundle that was removed there are the heads, which say what the entries were under.
    fn fill_from_removed(&mut self) -> io::Result<()> {
        let index = self.next / WIDTH;
        // The hashes stay. Without them this is the log's end, where somebody may look twice a second.
        if !self.folder.tile(&Tile::full(Kind::Hashes(0), index)).try_exists()? {
            return Ok(());
        }
        if self.removed.bundle(index).is_none() {
            self.removed.refresh(&self.folder)?;
        }
        let skip = usize::try_from(self.next % WIDTH).unwrap_or(usize::MAX);
        let Some(keys) = self.removed.bundle(index) else { return Ok(()) };
        self.ready.extend(keys.each().skip(skip).map(|key| head_of(&key)));
        Ok(())
    }

    fn fill_from_journal(&mut self) -> io::Result<()> {
        let segments = self.folder.segments()?;
        let Some(segment) = segments.into_iter().rfind(|first| *first <= self.next) else {
            return Ok(());
        };
        let bytes = match self.folder.read_segment(segment) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        for batch in batches_from(&bytes, self.next) {
            let reached = self.next + self.ready.len() as u64;
            if batch.first <= reached && reached < batch.end() {
                let skip = usize::try_from(reached - batch.first).unwrap_or(usize::MAX);
                self.ready.extend(batch.entries.into_iter().skip(skip));
            }
        }
        Ok(())
    }
}

impl Iterator for Frames {
    type Item = Result<(u64, Vec<u8>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        if self.ready.is_empty()
            && let Err(source) = self.fill()
        {
            self.has_failed = true;
            let path = self.folder.root().display().to_string();
            return Some(Err(ReadError::File { path, source }));
        }
        let bytes = self.ready.pop_front()?;
        let index = self.next;
        self.next += 1;
        Some(Ok((index, bytes)))
    }
}

/// Gives the entries of a log as their JSON, one after another, each with its index.
///
/// Memory: a bundle or a segment at a time. A log that is being written may be read; it ends where the
/// log ends when it gets there.
#[derive(Debug)]
pub struct OpenedFrames {
    frames: Frames,
    opener: Opener,
}

impl OpenedFrames {
    /// The entries of the log in `dir` from entry `first` on.
    #[must_use]
    pub fn new(dir: &Path, first: u64, opener: Opener) -> Self {
        Self { frames: Frames::new(dir, first), opener }
    }
}

impl Iterator for OpenedFrames {
    type Item = Result<(u64, Frame), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, stored) = match self.frames.next()? {
            Ok(frame) => frame,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok((index, self.opener.open(index, stored))))
    }
}

/// What a reader finds at a place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry.
    Entry(Box<Entry>),
    /// An entry that cannot be read, and why: its key was destroyed, is missing, or was not given.
    Closed(Closed),
}

impl From<Entry> for Record {
    fn from(entry: Entry) -> Self {
        Self::Entry(Box::new(entry))
    }
}

impl Record {
    /// What the frame at this place holds.
    pub(super) fn of(index: u64, frame: Frame) -> Self {
        let entry = match frame {
            Frame::Json(json) => Entry::decode(&json),
            Frame::Closed(closed) => return Self::Closed(closed),
        };
        entry.map_or_else(|_other_form| Self::Closed(Closed::altered(index)), Self::from)
    }

    /// The entry, if it can be read.
    #[must_use]
    pub fn entry(self) -> Option<Entry> {
        match self {
            Self::Entry(entry) => Some(*entry),
            Self::Closed(_) => None,
        }
    }
}

/// Gives the entries of a log one after another, each with its index; otherwise as [`OpenedFrames`].
///
/// What cannot be read is told as such and is no error.
#[derive(Debug)]
pub struct Reader(OpenedFrames);

impl Reader {
    /// A reader of the log in `dir` from entry `first` on.
    #[must_use]
    pub fn new(dir: &Path, first: u64, opener: Opener) -> Self {
        Self(OpenedFrames::new(dir, first, opener))
    }
}

impl Iterator for Reader {
    type Item = Result<(u64, Record), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.0.next()?;
        Some(read.map(|(index, frame)| (index, Record::of(index, frame))))
    }
}
