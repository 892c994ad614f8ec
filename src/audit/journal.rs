//! The journal: segments of batches, each batch durable before anyone is told so.
//!
//! A segment is filled with zeros before it is used, because syncing space that was written before
//! costs half of syncing a growing file. A segment named N takes the place of whatever an earlier
//! one says about entries from N on: that is how a batch that failed half-way is left behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Batch, HEADER_BYTES, Segment, body_length};
use super::disk::{Disk, Place};
use super::folder::{Folder, MAX_SEGMENT_BYTES, sync_folder};

/// Writes batches.
#[derive(Debug)]
pub(super) struct Journal {
    folder: Folder,
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    active: Option<Active>,
    /// A segment in which a write failed, to be looked at again before the next one is begun.
    suspect: Option<PathBuf>,
}

#[derive(Debug)]
struct Active {
    file: File,
    path: PathBuf,
    place: Place,
    position: u64,
    capacity: u64,
}

impl Journal {
    pub(super) fn new(folder: Folder, disk: Arc<dyn Disk>, segment_bytes: u64) -> Self {
        Self { folder, disk, segment_bytes, active: None, suspect: None }
    }

    /// Writes a batch and returns when it is durable.
    ///
    /// After an error nothing of the batch counts, and the next one goes to a new segment: what a
    /// failed sync left in the system's cache cannot be relied on.
    pub(super) fn append(&mut self, first: u64, batch: &[u8]) -> io::Result<()> {
        let mut active = self.segment_for(first, batch.len() as u64)?;
        let written = self.disk.write(&active.file, batch, active.position);
        let durable = written.and_then(|()| self.disk.sync(&active.file));
        match durable.and_then(|()| active.place.check(active.capacity)) {
            Ok(()) => {
                active.position += batch.len() as u64;
                self.active = Some(active);
                Ok(())
            }
            Err(error) => {
                self.abandon(active);
                Err(error)
            }
        }
    }

    fn segment_for(&mut self, first: u64, length: u64) -> io::Result<Active> {
        match self.active.take() {
            Some(active) if active.position + length <= active.capacity => Ok(active),
            _ => self.begin(first, self.segment_bytes.max(length)),
        }
    }

    fn begin(&mut self, first: u64, capacity: u64) -> io::Result<Active> {
        if let Some(path) = &self.suspect {
            recheck(path, first)?;
            self.suspect = None;
        }
        let (path, temporary) = (self.folder.segment(first), self.folder.journal().join("new.tmp"));
        let file = File::options().write(true).create(true).truncate(true).open(&temporary)?;
        self.fill(&file, capacity).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        fs::rename(&temporary, &path)?;
        sync_folder(&self.folder.journal())?;
        let place = Place::of(path.clone(), &file)?;
        Ok(Active { file, path, place, position: 0, capacity })
    }

    fn fill(&self, file: &File, capacity: u64) -> io::Result<()> {
        static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut position = 0;
        while position < capacity {
            let length = (capacity - position).min(BLOCK.len() as u64);
            let zeros = usize::try_from(length).ok().and_then(|n| BLOCK.get(..n));
            self.disk.write(file, zeros.unwrap_or(&BLOCK), position)?;
            position += length;
        }
        // All of it, not only the data: the length must be durable as well.
        file.sync_all().and_then(|()| self.disk.sync(file))
    }

    /// Cuts the failed batch away. If even that fails, the name of the next segment says the same.
    fn abandon(&mut self, active: Active) {
        let cut = active.file.set_len(active.position).and_then(|()| active.file.sync_all());
        if let Err(error) = cut {
            tracing::warn!(%error, path = %active.path.display(), "a failed batch stays in its segment");
        }
        self.suspect = (active.position > 0).then_some(active.path);
    }
}

/// Whether an abandoned segment still holds everything that was acknowledged, up to `next`.
fn recheck(path: &std::path::Path, next: u64) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let ends = Segment::scan(&bytes).batches.into_iter().map(|(_, batch)| batch.end());
    if ends.into_iter().any(|end| end == next) {
        return Ok(());
    }
    Err(io::Error::other("the journal lost entries that were durable; stop and verify the log"))
}

/// Reads batches one after another while the journal is being written.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    folder: Folder,
    next: u64,
    segment: u64,
    position: u64,
    file: Option<Arc<File>>,
}

impl Cursor {
    /// A cursor before entry `next`, which stands in the segment that begins with `segment`.
    pub(super) fn new(folder: Folder, next: u64, segment: u64) -> Self {
        Self { folder, next, segment, position: 0, file: None }
    }

    /// The batch with the entry that comes next, which must be durable.
    pub(super) fn next_batch(&mut self) -> io::Result<Batch> {
        loop {
            if self.segment != self.next && self.folder.segment(self.next).exists() {
                (self.segment, self.position, self.file) = (self.next, 0, None);
            }
            let (batch, length) = self.read()?;
            self.position += length;
            if batch.end() <= self.next {
                continue;
            }
            if batch.first != self.next {
                return Err(gone("the journal does not continue where the tiles end"));
            }
            self.next = batch.end();
            return Ok(batch);
        }
    }

    fn read(&mut self) -> io::Result<(Batch, u64)> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::new(File::open(self.folder.segment(self.segment))?),
        };
        self.file = Some(Arc::clone(&file));
        let mut bytes = vec![0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, self.position)?;
        let body = body_length(&bytes).filter(|length| *length as u64 <= MAX_SEGMENT_BYTES);
        let body = body.ok_or_else(|| gone("a durable batch of the journal is gone"))?;
        bytes.resize(HEADER_BYTES + body, 0);
        file.read_exact_at(&mut bytes, self.position)?;
        let (batch, length) = Batch::decode(&bytes)
            .ok_or_else(|| gone("a durable batch of the journal was altered"))?;
        Ok((batch, length as u64))
    }
}

fn gone(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
