//! Why the state could not be read or written, by cause.

use rusqlite::ErrorCode;

/// Why the state could not be read or written. Cloned to every writer of a commit that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The folder or file could not be made or opened.
    #[error("state folder `{path}`: {reason}")]
    Folder {
        /// The folder or file as the operator named it.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Another gate serves on the folder.
    #[error("another menshen serves on `{0}`; stop that one or choose another folder")]
    Claimed(String),
    /// The file was written by a newer program.
    #[error(
        "the state has schema {found}, this program knows up to {newest}; use the newer menshen"
    )]
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest version known here.
        newest: i64,
    },
    /// The folder was made under another master key.
    #[error("the state folder belongs to another master key; give the key it was made with")]
    OtherKey,
    /// No space is left.
    #[error("no space is left for the state; nothing was written")]
    Full,
    /// The disk failed.
    #[error("the disk failed while the state was read or written ({detail})")]
    Disk {
        /// What SQLite said.
        detail: String,
    },
    /// The file is damaged, or something else altered it.
    #[error("the state file is damaged ({detail}); restore it from a backup")]
    Damaged {
        /// What SQLite said.
        detail: String,
    },
    /// Another process held the file longer than the wait.
    #[error("another process holds the state file")]
    Busy,
    /// The work was not done in time; a write may still happen.
    #[error("the state did not answer in time")]
    TimedOut,
    /// The threads of the store have ended.
    #[error("the state is closed")]
    Closed,
    /// Whoever has left does not come back under the same name.
    #[error("`{0}` has left for good; make a new account under another name")]
    Left(String),
    /// A row with that key exists already.
    #[error("`{0}` exists already")]
    Exists(String),
    /// No row has that key.
    #[error("`{0}` does not exist")]
    Unknown(String),
    /// A value does not fit where it should stand.
    #[error("{0} does not fit its column")]
    Value(&'static str),
    /// The key library refused.
    #[error("the cryptographic library refused the operation")]
    Crypto,
    /// SQLite refused a statement: a fault in this program.
    #[error("the state refused a statement ({detail})")]
    Statement {
        /// What SQLite said.
        detail: String,
    },
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { detail },
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Disk { detail },
            Some(_) | None => Self::Statement { detail },
        }
    }
}

impl From<crate::secret::SecretError> for StateError {
    fn from(_: crate::secret::SecretError) -> Self {
        Self::Crypto
    }
}
