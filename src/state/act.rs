//! What was done to accounts, kept until the log has it. The row belongs to the change's own
//! transaction: no change without it, whoever makes the change and whether or not a gate runs.

use rusqlite::{Connection, params};

use super::{StateError, Store};

/// So many are handed over at once.
const BATCH: u32 = 256;
/// Names that are told of a call.
const NAMED: usize = 8;

/// Something that was done to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActRow {
    /// Its number; later acts have larger ones.
    pub seq: i64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// What, such as `password_replaced`.
    pub name: String,
    /// To whose account.
    pub account: String,
    /// To what of it, such as `device laptop-7`; empty for the account itself.
    pub thing: String,
    /// Who did it.
    pub done_by: String,
    /// To what it was changed, where that is no secret; else empty.
    pub detail: String,
    /// To what it was done, where that is no account; else empty.
    pub object: String,
    /// Why, where somebody had to say.
    pub reason: String,
    /// Who agreed, where somebody had to.
    pub approved_by: String,
}

/// Something that was done to what is no account.
#[derive(Debug)]
pub(super) struct Deed<'a> {
    pub(super) name: &'a str,
    pub(super) object: &'a str,
    pub(super) detail: &'a str,
    pub(super) reason: &'a str,
    pub(super) done_by: &'a str,
    pub(super) approved_by: &'a str,
    pub(super) at_ms: i64,
}

impl Store {
    /// The oldest acts that the log does not have yet.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn pending_acts(&self) -> Result<Vec<ActRow>, StateError> {
        self.read(|connection| {
            let sql = "SELECT seq, at_ms, name, account, thing, done_by, detail, object, reason,
                              approved_by FROM acts ORDER BY seq LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([BATCH], |row| {
                Ok(ActRow {
                    seq: row.get(0)?,
                    at_ms: row.get(1)?,
                    name: row.get(2)?,
                    account: row.get(3)?,
                    thing: row.get(4)?,
                    done_by: row.get(5)?,
                    detail: row.get(6)?,
                    object: row.get(7)?,
                    reason: row.get(8)?,
                    approved_by: row.get(9)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets the act with this number: its entry is durable in the log.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the act would then be recorded once more.
    pub async fn act_recorded(&self, seq: i64) -> Result<(), StateError> {
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM acts WHERE seq = ?1")?.execute([seq])?;
            Ok(())
        })
        .await
    }
}

/// Notes an act in the transaction that does it.
pub(super) fn note(
    connection: &Connection,
    name: &str,
    account: &str,
    doer: &Doer,
) -> Result<(), StateError> {
    insert(connection, name, account, ["", ""], doer)
}

/// Notes an act on something of an account.
pub(super) fn note_of(
    connection: &Connection,
    name: &str,
    account: &str,
    thing: &str,
    doer: &Doer,
) -> Result<(), StateError> {
    insert(connection, name, account, [thing, ""], doer)
}

/// Notes an act with what the account was changed to.
pub(super) fn note_with(
    connection: &Connection,
    name: &str,
    account: &str,
    detail: &str,
    doer: &Doer,
) -> Result<(), StateError> {
    insert(connection, name, account, ["", detail], doer)
}

fn insert(
    connection: &Connection,
    name: &str,
    account: &str,
    [thing, detail]: [&str; 2],
    doer: &Doer,
) -> Result<(), StateError> {
    let sql = "INSERT INTO acts (at_ms, name, account, thing, done_by, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![doer.at_ms, name, account, thing, doer.name.as_ref(), detail];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Notes a deed in the transaction that does it.
pub(super) fn note_deed(connection: &Connection, deed: &Deed<'_>) -> Result<(), StateError> {
    let Deed { name, object, detail, reason, done_by, approved_by, at_ms } = deed;
    let sql = "INSERT INTO acts (at_ms, name, account, thing, done_by, detail, object, reason, approved_by)
               VALUES (?1, ?2, '', '', ?3, ?4, ?5, ?6, ?7)";
    let values = params![at_ms, name, done_by, detail, object, reason, approved_by];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The first of these names, and how many more there are.
pub(super) fn joined<N: AsRef<str>>(
    names: impl IntoIterator<Item = N, IntoIter: ExactSizeIterator>,
) -> String {
    let names = names.into_iter();
    let more = names.len().saturating_sub(NAMED);
    let mut first = String::new();
    for name in names.take(NAMED) {
        first.push_str(if first.is_empty() { "" } else { ", " });
        first.push_str(name.as_ref());
    }
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// Who acts, and when.
#[derive(Clone, Debug)]
pub(super) struct Doer {
    pub(super) name: std::sync::Arc<str>,
    pub(super) at_ms: i64,
}
