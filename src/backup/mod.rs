//! Backups: a sealed copy of state, policy, configuration and log in several places, and the way back.
//!
//! A backup is a folder of objects: parts of some MiB, each sealed and bound to its place, and a manifest, which is
//! written last. Without a manifest there is no backup, so one that was interrupted is never taken for whole.

mod fresh;
mod make;
mod part;
mod place;
mod porter;
mod restore;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use fresh::Fresh;
pub use make::{Made, Maker, make};
pub use place::{Found, Place, PlaceSettings};
pub use porter::Hanging;
pub use restore::{Restored, Wanted, restore};

use crate::secret::SecretError;
use crate::ship::ShipError;
use crate::state::StateError;

/// When backups are made, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How old the newest may become before another is made.
    pub every: Duration,
    /// How old one may become before it is removed.
    pub keep: Duration,
    /// Where they go.
    pub places: Vec<PlaceSettings>,
}

/// Why there is no backup, or no way back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A store could not be reached, or refused.
    #[error(transparent)]
    Store(#[from] ShipError),
    /// The state.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// A key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The log.
    #[error("log: {0}")]
    Log(String),
    /// No place took it.
    #[error("no place took the backup; {0}")]
    Nowhere(String),
    /// Another backup is under way.
    #[error("another backup of this gate is under way")]
    Busy,
    /// There is one of this name.
    #[error("there is a backup `{0}` already")]
    Exists(String),
    /// There is none of this name, or none at all.
    #[error("there is no backup `{0}` that was finished")]
    Missing(String),
    /// What was sealed does not open.
    #[error("`{0}` does not open: it was altered or damaged, or the master key is another one")]
    Sealed(String),
    /// The contents are not those of a backup.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// Nothing is restored over what is there.
    #[error("`{path}` is not empty; a backup is restored into a new folder", path = .0.display())]
    NotEmpty(PathBuf),
}

impl BackupError {
    fn file(path: &std::path::Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}
