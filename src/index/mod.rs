//! The index of the log: an SQLite file beside it that finds entries by whom, who, what, when and why.
//!
//! It is built from the log and never the other way round: whatever it names is read from the log and judged there,
//! so an index that lies shows nothing that is not so. It holds keyed hashes only; to ask it takes the master key. An
//! index that is lost, damaged, of another log or of another key is made anew.

mod build;
mod file;
mod follow;
mod gathered;
mod mend;
mod purge;
mod search;
mod terms;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use build::Progress;
pub use follow::Reach;
pub use search::Page;

use crate::audit::{Lookup, Opener, ReadError};
use crate::secret::{MasterKey, SecretError};
use crate::turn::Turns;
use build::Waiting;
use gathered::Gathered;
use terms::Terms;

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The system refused the folder or the file.
    #[error("index `{path}`: {source}; name another place with `--index`")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("index: {0}; `menshen log index --rebuild` makes it anew")]
    Sqlite(#[from] rusqlite::Error),
    /// It is not what this log and key give.
    #[error("index `{path}` is {why}; `menshen log index --rebuild` makes it anew")]
    Foreign {
        /// The file.
        path: String,
        /// What is not as it should be.
        why: &'static str,
    },
    /// The words to search for are too few.
    #[error("words of a reason need three letters, or two of a script beyond Latin, got `{0}`")]
    FewLetters(String),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No key could be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl IndexError {
    /// Whether making it anew helps.
    #[must_use]
    pub fn calls_for_rebuild(&self) -> bool {
        use rusqlite::ErrorCode;
        match self {
            Self::Foreign { .. } => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::File { .. } | Self::FewLetters(_) | Self::Read(_) | Self::Secret(_) => false,
        }
    }
}

/// The open index of one log. One process may build it while others ask it, or build it, too.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    path: PathBuf,
    inode: u64,
    log: PathBuf,
    opener: Opener,
    lookup: Lookup,
    terms: Terms,
    waiting: Waiting,
    gathered: Option<Gathered>,
    turns: Turns,
    /// When what was gathered was last written down.
    written: Duration,
}

impl Index {
    /// Where the index of the log in `log` stands, if nobody says otherwise: beside it.
    #[must_use]
    pub fn place_of(log: &Path) -> PathBuf {
        let mut name = log.as_os_str().to_owned();
        name.push("-index");
        name.into()
    }

    /// Opens the index in the folder `dir`, or begins one.
    ///
    /// # Errors
    /// [`IndexError`]; [`IndexError::calls_for_rebuild`] says whether [`Index::rebuild`] helps.
    pub fn open(
        dir: &Path,
        log: &Path,
        opener: Opener,
        master: &MasterKey,
    ) -> Result<Self, IndexError> {
        let path = file::prepare(dir)?;
        let terms = Terms::new(master)?;
        let connection = file::open(&path)?;
        file::begin(&connection, &path, log, &terms)?;
        let inode = file::inode(&path).unwrap_or_default();
        let mut index = Self {
            connection,
            path,
            inode,
            log: log.to_owned(),
            lookup: Lookup::new(opener.clone()),
            opener,
            terms,
            waiting: Waiting::default(),
            gathered: None,
            turns: Turns::default(),
            written: Duration::ZERO,
        };
        index.check_place()?;
        Ok(index)
    }

    /// Throws away what is there and begins anew.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn rebuild(
        dir: &Path,
        log: &Path,
        opener: Opener,
        master: &MasterKey,
    ) -> Result<Self, IndexError> {
        file::remove(dir)?;
        Self::open(dir, log, opener, master)
    }

    /// Opens the index, anew where what is there cannot be used; whether it was.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_or_rebuild(
        dir: &Path,
        log: &Path,
        opener: &Opener,
        master: &MasterKey,
    ) -> Result<(Self, bool), IndexError> {
        match Self::open(dir, log, opener.clone(), master) {
            Err(error) if error.calls_for_rebuild() => {
                Ok((Self::rebuild(dir, log, opener.clone(), master)?, true))
            }
            opened => Ok((opened?, false)),
        }
    }

    /// Whether its file is still the one that was opened; else somebody began it anew.
    #[must_use]
    pub fn is_current(&self) -> bool {
        file::inode(&self.path) == Some(self.inode)
    }

    /// How many entries of the log it has read.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn position(&self) -> Result<u64, IndexError> {
        Ok(file::cursor(&self.connection)?.0)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last entry it read must stand in the log as it was.
    fn check_place(&mut self) -> Result<(), IndexError> {
        let (cursor, leaf) = file::cursor(&self.connection)?;
        let Some(last) = cursor.checked_sub(1) else { return Ok(()) };
        let found = self.lookup.frame(last)?.map(crate::audit::merkle::leaf_hash);
        if found.is_some_and(|found| found.as_slice() == leaf) {
            return Ok(());
        }
        Err(IndexError::Foreign {
            path: self.path.display().to_string(),
            why: "of another log, or of one that was rolled back",
        })
    }
}

#[cfg(test)]
mod tests;
