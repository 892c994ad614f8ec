//! The state as a backup takes it, and whether one that came back is whole.

use std::path::Path;

use super::act::{Deed, note_deed};
use super::{StateError, Store, check_key, connection, migration};
use crate::secret::MasterKey;

impl Store {
    /// Writes all of the state, as of one moment, to a new file. The gate goes on meanwhile. Blocks.
    ///
    /// # Errors
    /// Any [`StateError`]; whatever was written of the file is of no use then.
    pub fn snapshot_to(&self, file: &Path) -> Result<(), StateError> {
        snapshot(&self.path, file)
    }

    /// The name of the state's file within its folder.
    #[must_use]
    pub fn file_name() -> &'static str {
        connection::FILE
    }

    /// Notes something that was done to the gate as a whole; the log has it as soon as a gate runs.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn note_act(&self, name: &str, object: &str, detail: &str) -> Result<(), StateError> {
        let [name, object, detail] = [name, object, detail].map(str::to_owned);
        let doer = self.doer();
        self.write(move |connection| {
            let deed = Deed {
                name: &name,
                object: &object,
                detail: &detail,
                reason: "",
                done_by: &doer.name,
                approved_by: "",
                at_ms: doer.at_ms,
            };
            note_deed(connection, &deed)
        })
        .await
    }
}

fn snapshot(path: &Path, file: &Path) -> Result<(), StateError> {
    let connection = connection::open_writer(path)?;
    let shown = file.display().to_string();
    connection.execute("VACUUM INTO ?1", [shown])?;
    Ok(())
}

/// Whether a restored state is whole and was made under this master key. Gives the number of accounts. Blocks.
///
/// # Errors
/// Any [`StateError`]; [`StateError::Damaged`] if SQLite finds its file damaged.
pub fn check_restored(dir: &Path, master: &MasterKey) -> Result<u64, StateError> {
    let mut connection = connection::open_writer(&dir.join(connection::FILE))?;
    let said: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(StateError::Damaged { detail: said.chars().take(200).collect() });
    }
    migration::migrate(&mut connection)?;
    check_key(&connection, master)?;
    let accounts: i64 =
        connection.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0))?;
    Ok(accounts.unsigned_abs())
}
