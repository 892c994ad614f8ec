//! Rows of grants. What they say is sealed; which step may follow which is `grant`'s business.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::act::{self, Deed};
use super::{StateError, Store};

/// The most grants that are kept, those that are over too.
const MOST: i64 = if cfg!(test) { 50 } else { 1_000_000 };
/// How long it is kept who agreed to whose, in milliseconds: longer than any ring is looked for.
const APPROVALS_KEPT_MS: i64 = 400 * 86_400_000;

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its name.
    pub id: String,
    /// Who holds it, whichever account they use.
    pub person: String,
    /// The word for where it is.
    pub state: String,
    /// When it was asked for, Unix milliseconds.
    pub asked_ms: i64,
    /// When what it is now ends by itself, Unix seconds.
    pub until_s: i64,
    /// When the review that it owes must be reminded of next, Unix seconds; none where it owes none.
    pub review_s: Option<i64>,
    /// What it says.
    pub sealed: Vec<u8>,
    /// Which change brought it here; 0 for a new one.
    pub change: i64,
}

/// A step of a grant, as the log names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantStep {
    /// The act, such as `grant_approved`.
    pub act: &'static str,
    /// What it is about, without anybody's key.
    pub detail: String,
    /// Why.
    pub reason: String,
    /// Who agreed, where somebody did.
    pub approved_by: String,
    /// That agreement: the holder and who agreed.
    pub approval: Option<(String, String)>,
}

impl Store {
    /// Writes a grant after a step, with the act of it in the same transaction. `most` is, for a new one, how many of
    /// the person's may wait to be decided, and how many to be reviewed.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if somebody took another step meanwhile, [`StateError::Full`] if there is no room.
    pub async fn put_grant(
        &self,
        row: GrantRow,
        step: GrantStep,
        most: (i64, i64),
    ) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            if row.change == 0 {
                check_room(connection, &row, most)?;
            }
            connection.execute("UPDATE grant_change SET change = change + 1", [])?;
            let next = "(SELECT change FROM grant_change)";
            let GrantRow { id, person, state, asked_ms, until_s, review_s, sealed, change } = &row;
            let changed = if *change == 0 {
                let sql = format!(
                    "INSERT INTO grants (id, person, state, asked_ms, until_s, sealed, review_s, change)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, {next})"
                );
                connection
                    .prepare_cached(&sql)?
                    .execute(params![id, person, state, asked_ms, until_s, sealed, review_s])?
            } else {
                let sql = format!(
                    "UPDATE grants SET state = ?2, until_s = ?3, sealed = ?4, review_s = ?6, change = {next}
                     WHERE id = ?1 AND change = ?5"
                );
                let values = params![id, state, until_s, sealed, change, review_s];
                connection.prepare_cached(&sql)?.execute(values)?
            };
            if changed != 1 {
                return Err(StateError::Unknown(id.clone()));
            }
            if let Some((holder, approver)) = &step.approval {
                let old = doer.at_ms.saturating_sub(APPROVALS_KEPT_MS);
                connection.execute("DELETE FROM grant_approvals WHERE at_ms < ?1", [old])?;
                let sql = "INSERT INTO grant_approvals (grant_id, holder, approver, at_ms)
                           VALUES (?1, ?2, ?3, ?4)";
                let values = params![id, holder, approver, doer.at_ms];
                connection.prepare_cached(sql)?.execute(values)?;
            }
            let object = format!("grant {id}");
            let GrantStep { act, detail, reason, approved_by, approval: _ } = &step;
            let (done_by, at_ms) = (&*doer.name, doer.at_ms);
            let deed =
                Deed { name: act, object: &object, detail, reason, done_by, approved_by, at_ms };
            act::note_deed(connection, &deed)
        })
        .await
    }

    /// One grant.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grant(&self, id: &str) -> Result<Option<GrantRow>, StateError> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id], row).optional()?)
        })
        .await
    }

    /// The grants that changed after a change, the oldest first, so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_after(&self, change: i64, most: u32) -> Result<Vec<GrantRow>, StateError> {
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE change > ?1 ORDER BY change LIMIT ?2");
            rows(connection, &sql, params![change, most])
        })
        .await
    }

    /// Grants in one of these states, the newest first: all, or a person's; so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants(
        &self,
        person: Option<&str>,
        states: &[&str],
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let states: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
        // The words are ours.
        let states = states.join(", ");
        let person = person.map(str::to_owned);
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE state IN ({states}) AND (?1 IS NULL OR person = ?1)
                 ORDER BY asked_ms DESC, id LIMIT ?2"
            );
            rows(connection, &sql, params![person, most])
        })
        .await
    }

    /// The grants in a state that ended by itself before a moment, by name behind this one, so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_over(
        &self,
        now_s: i64,
        after: &str,
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let after = after.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE state IN ('asked', 'approved') AND until_s <= ?1 AND id > ?2
                 ORDER BY id LIMIT ?3"
            );
            rows(connection, &sql, params![now_s, after, most])
        })
        .await
    }

    /// The grants that owe a review of which somebody must be reminded by a moment, by name behind this one, so many at
    /// most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_owing(
        &self,
        now_s: i64,
        after: &str,
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let after = after.to_owned();
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE review_s <= ?1 AND id > ?2 ORDER BY id LIMIT ?3");
            rows(connection, &sql, params![now_s, after, most])
        })
        .await
    }

    /// How many grants of a holder somebody agreed to since a moment.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn approvals_of(
        &self,
        holder: &str,
        approver: &str,
        since_ms: i64,
    ) -> Result<u32, StateError> {
        let (holder, approver) = (holder.to_owned(), approver.to_owned());
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM grant_approvals
                       WHERE holder = ?1 AND approver = ?2 AND at_ms >= ?3";
            let values = params![holder, approver, since_ms];
            Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
        })
        .await
    }
}

const SELECT: &str =
    "SELECT id, person, state, asked_ms, until_s, review_s, sealed, change FROM grants";

fn rows(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<GrantRow>, StateError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(values, row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        id: row.get(0)?,
        person: row.get(1)?,
        state: row.get(2)?,
        asked_ms: row.get(3)?,
        until_s: row.get(4)?,
        review_s: row.get(5)?,
        sealed: row.get(6)?,
        change: row.get(7)?,
    })
}

/// The oldest that are over make room; what waits, holds or must be reviewed does not.
fn check_room(
    connection: &Connection,
    row: &GrantRow,
    (most_waiting, most_owing): (i64, i64),
) -> Result<(), StateError> {
    let sql = "SELECT count(*) FROM grants WHERE person = ?1 AND state = 'asked' AND until_s > ?2";
    let values = params![row.person, row.asked_ms.div_euclid(1000)];
    let waiting: i64 = connection.query_row(sql, values, |row| row.get(0))?;
    let sql = "SELECT count(*) FROM grants WHERE person = ?1 AND review_s IS NOT NULL";
    let owing: i64 = connection.query_row(sql, [&row.person], |row| row.get(0))?;
    let all: i64 = connection.query_row("SELECT count(*) FROM grants", [], |row| row.get(0))?;
    let is_full =
        if row.review_s.is_some() { owing >= most_owing } else { waiting >= most_waiting };
    if is_full {
        return Err(StateError::Full);
    }
    if all < MOST {
        return Ok(());
    }
    let sql = "DELETE FROM grants WHERE id IN (SELECT id FROM grants
               WHERE state NOT IN ('asked', 'approved') AND review_s IS NULL ORDER BY asked_ms LIMIT 100)";
    if connection.execute(sql, [])? == 0 { Err(StateError::Full) } else { Ok(()) }
}
