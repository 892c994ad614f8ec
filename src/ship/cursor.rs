//! How far entries were carried to a place: a small file, replaced in one step and durable before more are sent.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ShipError;

/// Where a place stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The place of the entry that is sent next.
    pub(super) next: u64,
    /// The id of the one before: in a log that was restored from a backup another one stands there.
    pub(super) last: String,
}

/// The cursor of one place; held by one process at a time.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    pub(super) mark: Mark,
    _lock: Option<File>,
}

impl Cursor {
    /// The cursor of the place `name` in the folder; a new one stands at the log's first entry.
    ///
    /// # Errors
    /// [`ShipError::Busy`] if another process has it, else [`ShipError::File`].
    pub fn open(dir: &Path, name: &str) -> Result<Self, ShipError> {
        let path = dir.join(name);
        let shown = path.display().to_string();
        let fault = |source| ShipError::File { path: shown.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fault)?;
        let lock = private().create(true).truncate(false).open(dir.join(format!("{name}.lock")));
        let lock = lock.map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ShipError::Busy(shown)),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        let mark = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_damaged| {
                tracing::error!(cursor = shown, "is damaged; the whole log is sent again");
                Mark::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Mark::default(),
            Err(source) => return Err(fault(source)),
        };
        Ok(Self { path, mark, _lock: Some(lock) })
    }

    /// A cursor that is not kept, for one round from this place on.
    #[must_use]
    pub fn passing(next: u64) -> Self {
        let mark = Mark { next, last: String::new() };
        Self { path: PathBuf::new(), mark, _lock: None }
    }

    /// The place of the entry that is sent next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.mark.next
    }

    /// Moves on; durable when it returns. Blocks.
    pub(super) fn keep(&mut self, mark: Mark) -> Result<(), ShipError> {
        if self._lock.is_some() {
            self.write(&mark).map_err(|source| ShipError::File {
                path: self.path.display().to_string(),
                source,
            })?;
        }
        self.mark = mark;
        Ok(())
    }

    fn write(&self, mark: &Mark) -> io::Result<()> {
        let temporary = self.path.with_extension("tmp");
        let mut file = private().create(true).truncate(true).open(&temporary)?;
        file.write_all(&serde_json::to_vec(mark)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}
