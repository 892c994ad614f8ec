//! Opens the database file: private to its owner, durable, and deaf to a tampered schema.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::StateError;

/// The name of the database file.
pub(super) const FILE: &str = "menshen.db";
/// How long to wait for another process, such as `menshen account`, to finish its transaction.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Makes the folder (0700) and the file (0600) if they are missing and gives the file's path.
///
/// # Errors
/// [`StateError::Folder`].
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, StateError> {
    let fault = |path: &Path, error: std::io::Error| StateError::Folder {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| fault(dir, error))?;
    let path = dir.join(FILE);
    // SQLite gives its journal files the mode of the database file, so this one line covers them.
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    made.map_err(|error| fault(&path, error))?;
    Ok(path)
}

/// Opens the file for writing.
///
/// # Errors
/// Any [`StateError`] of SQLite.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StateError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit that was acknowledged survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Opens the file for reading only.
///
/// # Errors
/// Any [`StateError`] of SQLite.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StateError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A WAL reader must be able to make the shared-memory file, so it is read-only by pragma instead.
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn open(path: &Path, mode: OpenFlags) -> Result<Connection, StateError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    // Not in files of the system's folder for them: the gate writes there as little as anywhere else.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
