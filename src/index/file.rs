//! The file of the index: where it stands, what is in it, and for which log and key it was made.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

use super::IndexError;
use super::terms::Terms;

const FILE: &str = "index.db";
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// The form of the file; another one is made anew.
const VERSION: i64 = 1;

/// `terms`: the words of each entry, keyed hashes, without positions and without the text. `links`: which request an
/// outcome or a part belongs to. `spans`: the times of each thousand entries. `keys`: the keys of the log that opened
/// what is here.
const SCHEMA: &str = "
    CREATE TABLE place (version INTEGER NOT NULL, log TEXT NOT NULL, key_check TEXT NOT NULL,
                        cursor INTEGER NOT NULL, leaf BLOB NOT NULL) STRICT;
    CREATE VIRTUAL TABLE terms USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');
    INSERT INTO terms(terms, rank) VALUES('hashsize', 16777216);
    INSERT INTO terms(terms, rank) VALUES('automerge', 16);
    CREATE TABLE links (entry INTEGER PRIMARY KEY, request INTEGER NOT NULL) STRICT;
    CREATE INDEX links_of ON links (request);
    CREATE TABLE spans (first INTEGER PRIMARY KEY, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE keys (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

fn failed(path: &Path, source: io::Error) -> IndexError {
    IndexError::File { path: path.display().to_string(), source }
}

/// Makes folder (0700) and file (0600) if they are missing.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, IndexError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed(dir, e))?;
    let path = dir.join(FILE);
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    made.map_err(|e| failed(&path, e))?;
    Ok(path)
}

/// Removes the file and what SQLite put beside it.
pub(super) fn remove(dir: &Path) -> Result<(), IndexError> {
    for suffix in ["-wal", "-shm", ""] {
        let path = dir.join(format!("{FILE}{suffix}"));
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&path, e)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

pub(super) fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

pub(super) fn open(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a crash loses of it is read again: place and words are of one transaction.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // What is deleted is overwritten: a destroyed entry leaves no trace in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes the tables of a new file; an old one must be of this log, key and form.
pub(super) fn begin(
    connection: &Connection,
    path: &Path,
    log: &Path,
    terms: &Terms,
) -> Result<(), IndexError> {
    let name = fs::read_to_string(log.join("verifier.key"));
    let name = name.map_err(|e| failed(&log.join("verifier.key"), e))?;
    let tx = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let is_new = tx
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'place'", [], |_| Ok(()))
        .optional()?
        .is_none();
    if is_new {
        tx.execute_batch(SCHEMA)?;
        let sql = "INSERT INTO place VALUES (?1, ?2, ?3, 0, x'')";
        tx.execute(sql, (VERSION, name.trim(), terms.check()))?;
    }
    let sql = "SELECT version, log, key_check FROM place";
    let found = tx.query_row(sql, [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    tx.commit()?;
    let why = match found {
        (version, _, _) if version != VERSION => "of another version",
        (_, log, _) if log != name.trim() => "of another log",
        (_, _, check) if check != terms.check() => "of another master key",
        _ => return Ok(()),
    };
    Err(IndexError::Foreign { path: path.display().to_string(), why })
}

/// How many entries were read, and the hash of the last.
pub(super) fn cursor(connection: &Connection) -> rusqlite::Result<(u64, Vec<u8>)> {
    connection.prepare_cached("SELECT cursor, leaf FROM place")?.query_row([], |row| {
        Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(), row.get(1)?))
    })
}

pub(super) fn set_cursor(
    connection: &Connection,
    cursor: u64,
    leaf: &[u8],
) -> rusqlite::Result<()> {
    let sql = "UPDATE place SET cursor = ?1, leaf = ?2";
    connection.prepare_cached(sql)?.execute((signed(cursor), leaf))?;
    Ok(())
}

/// As SQLite holds a place of the log.
pub(super) fn signed(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// The place again.
pub(super) fn place(row: i64) -> u64 {
    u64::try_from(row).unwrap_or_default()
}
