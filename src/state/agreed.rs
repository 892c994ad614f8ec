//! Rows of what two persons agreed to and somebody then does. What the words mean is `command`'s business.

use rusqlite::{OptionalExtension as _, params};

use super::command::{self, CommandRow};
use super::{StateError, Store};

/// Agreements that are kept.
const MOST: u32 = 1_000;

/// To what, as it was asked for, and since when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedTo {
    /// What is done.
    pub verb: String,
    /// To which one.
    pub name: String,
    /// Who asked, whichever account they used.
    pub person: String,
    /// It counts if it was agreed to later, Unix milliseconds.
    pub after_ms: i64,
}

impl Store {
    /// Notes that a second person agrees to what was asked for under this number.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if it is gone.
    pub async fn agree(&self, row: CommandRow, id: i64) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let asked = command::take_asked(connection, id)?;
            connection.execute(
                "INSERT OR REPLACE INTO agreed (verb, name, person, asked_by, approved_by, agreed_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![row.verb, row.name, asked.person, asked.asked_by, doer.name, doer.at_ms],
            )?;
            connection.execute(
                "DELETE FROM agreed WHERE (verb, name, person) IN (SELECT verb, name, person
                 FROM agreed ORDER BY agreed_ms DESC LIMIT -1 OFFSET ?1)",
                [MOST],
            )?;
            let verb = format!("{}_agreed", row.verb);
            command::note(connection, &row, &verb, [&asked.asked_by, &doer.name], doer.at_ms)
        })
        .await
    }

    /// Takes an agreement, which is good for one time, and gives who agreed; none if there is none.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn take_agreed(&self, to: AgreedTo) -> Result<Option<String>, StateError> {
        self.write(move |connection| {
            let AgreedTo { verb, name, person, after_ms } = to;
            let sql = "DELETE FROM agreed WHERE verb = ?1 AND name = ?2 AND person = ?3
                       AND agreed_ms > ?4 RETURNING approved_by";
            let values = params![verb, name, person, after_ms];
            Ok(connection.query_row(sql, values, |row| row.get(0)).optional()?)
        })
        .await
    }

    /// The last name, in order, to which two persons agreed under a verb.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn last_agreed(&self, verb: &str) -> Result<Option<String>, StateError> {
        let verb = verb.to_owned();
        self.read(move |connection| {
            let sql = "SELECT max(name) FROM agreed WHERE verb = ?1";
            Ok(connection.query_row(sql, [verb], |row| row.get(0))?)
        })
        .await
    }
}
