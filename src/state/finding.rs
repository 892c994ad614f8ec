//! What detections found, until a person of security releases it. What follows from a finding is `proxy`'s business.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::bulletin::{self, News};
use super::shared_act::FindingNotice;
use super::{StateError, Store, act};

/// Findings that are kept; the oldest that hold nobody are forgotten first.
const MOST: i64 = if cfg!(test) { 20 } else { 100_000 };
const COLUMNS: &str = "id, detection, consequence, holder, account, cause, at_ms, count, said, drill, \
                       released_ms, released_by, reason";
/// Findings from which something follows for somebody.
const HOLDS: &str = "released_ms IS NULL AND consequence <> 'alert' AND drill = 0";

/// A finding that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFinding {
    /// The detection.
    pub detection: &'static str,
    /// `alert`, `step-up`, `slow` or `block`.
    pub consequence: &'static str,
    /// Whose doing it is, as people are counted.
    pub holder: String,
    /// The account that was used.
    pub account: String,
    /// The decision that set it off.
    pub cause: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// What was counted.
    pub count: u64,
    /// What was seen.
    pub said: String,
    /// Whether nobody did it.
    pub is_drill: bool,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FindingRow {
    /// Its number.
    pub id: i64,
    /// The detection.
    pub detection: String,
    /// What followed: `alert`, `step-up`, `slow` or `block`.
    pub consequence: String,
    /// Whose doing it was, as people are counted.
    pub holder: String,
    /// The account that was used.
    pub account: String,
    /// The decision that set it off.
    pub cause: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// What was counted.
    pub count: u64,
    /// What was seen.
    pub said: String,
    /// Whether nobody did it.
    pub is_drill: bool,
    /// When it was released, in Unix milliseconds.
    pub released_ms: Option<i64>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl FindingRow {
    /// Whether something still follows from it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.released_ms.is_none() && self.consequence != "alert" && !self.is_drill
    }
}

/// What follows for somebody from a finding that is not released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurbRow {
    /// For whom.
    pub holder: String,
    /// `step-up`, `slow` or `block`.
    pub consequence: String,
    /// Since when, in Unix milliseconds.
    pub since_ms: i64,
}

impl Store {
    /// Keeps findings, all in one commit; one that is known already changes nothing, nor one that would only hold
    /// again whom it holds already.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn add_findings(&self, findings: Vec<NewFinding>) -> Result<(), StateError> {
        self.write(move |connection| {
            findings.iter().try_for_each(|finding| add(connection, finding))?;
            let sql = format!(
                "DELETE FROM findings WHERE NOT ({HOLDS}) AND told = 1 AND id <=
                 (SELECT max(id) FROM findings) - {MOST}"
            );
            connection.prepare_cached(&sql)?.execute([])?;
            Ok(())
        })
        .await
    }

    /// The oldest findings that the log does not have yet.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn untold_findings(&self) -> Result<Vec<FindingRow>, StateError> {
        self.find("told = 0 ORDER BY id LIMIT 256").await
    }

    /// Says that the entry of a finding is in the log.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it would then be told once more.
    pub async fn finding_told(&self, id: i64) -> Result<(), StateError> {
        self.write(move |connection| {
            let sql = "UPDATE findings SET told = 1 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute([id])?;
            Ok(())
        })
        .await
    }

    /// The last findings, the newest first; those only from which something still follows, if so wished.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn findings(&self, only_holding: bool) -> Result<Vec<FindingRow>, StateError> {
        let which = if only_holding { HOLDS } else { "1" };
        self.find(&format!("{which} ORDER BY id DESC LIMIT 10000")).await
    }

    /// One finding.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn finding(&self, id: i64) -> Result<Option<FindingRow>, StateError> {
        Ok(self.find(&format!("id = {id}")).await?.pop())
    }

    async fn find(&self, which: &str) -> Result<Vec<FindingRow>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM findings WHERE {which}");
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A number that changes with every change of any finding.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn findings_change(&self) -> Result<i64, StateError> {
        self.read(newest_change).await
    }

    /// What follows for whom from findings that are not released.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn curbs(&self) -> Result<Vec<CurbRow>, StateError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT holder, consequence, max(at_ms) FROM findings WHERE {HOLDS}
                 GROUP BY holder, consequence"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| {
                let (holder, consequence, since_ms) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(CurbRow { holder, consequence, since_ms })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Releases whoever is held: all findings of theirs from which something follows. The act is noted for the log
    /// with the change itself.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if nothing holds them; any [`StateError`] of a write.
    pub async fn release_findings(
        &self,
        holder: &str,
        reason: &str,
    ) -> Result<Vec<i64>, StateError> {
        let (doer, holder, reason) = (self.doer(), holder.to_owned(), reason.to_owned());
        self.write(move |connection| {
            let sql = format!(
                "UPDATE findings SET released_ms = ?2, released_by = ?3, reason = ?4, change = ?5
                 WHERE holder = ?1 AND {HOLDS} RETURNING {COLUMNS}"
            );
            let change = newest_change(connection)?.saturating_add(1);
            let mut statement = connection.prepare_cached(&sql)?;
            let values = params![holder, doer.at_ms, doer.name.as_ref(), reason, change];
            let rows: Vec<FindingRow> =
                statement.query_map(values, from_row)?.collect::<Result<_, _>>()?;
            if rows.is_empty() {
                return Err(StateError::Unknown(holder));
            }
            rows.iter().try_for_each(|row| tell_others(connection, row, doer.at_ms))?;
            let released: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let numbers: Vec<String> = released.iter().map(ToString::to_string).collect();
            let object = format!("findings {} of {holder}", numbers.join(", "));
            let deed = act::Deed {
                name: "findings_released",
                object: &object,
                detail: "",
                reason: &reason,
                done_by: doer.name.as_ref(),
                approved_by: "",
                at_ms: doer.at_ms,
            };
            act::note_deed(connection, &deed)?;
            Ok(released)
        })
        .await
    }
}

/// Notes for the other gates whom a finding holds, or holds no more.
fn tell_others(connection: &Connection, row: &FindingRow, at_ms: i64) -> Result<(), StateError> {
    let finding = FindingNotice::of(row);
    let (kind, topic, lasts) = (bulletin::FINDING, finding.topic(), finding.lasts());
    bulletin::post(connection, &News { kind, topic: &topic, lasts, payload: &finding, at_ms })
}

pub(super) fn newest_change(connection: &Connection) -> Result<i64, StateError> {
    let sql = "SELECT ifnull(max(change), 0) FROM findings";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn add(connection: &Connection, new: &NewFinding) -> Result<(), StateError> {
    // Whoever is blocked or slowed already is so no more for the same again; a factor may be asked for anew.
    let sql = format!(
        "SELECT 1 FROM findings WHERE holder = ?1 AND detection = ?2 AND consequence = ?3
         AND consequence <> 'step-up' AND {HOLDS}"
    );
    let same = params![new.holder, new.detection, new.consequence];
    let held = connection.prepare_cached(&sql)?.query_row(same, |_| Ok(())).optional()?;
    if held.is_some() && !new.is_drill {
        return Ok(());
    }
    let change = newest_change(connection)?.saturating_add(1);
    let count = i64::try_from(new.count).unwrap_or(i64::MAX);
    let added = connection
        .prepare_cached(&format!(
            "INSERT INTO findings (detection, consequence, holder, account, cause, at_ms, count,
                                   said, drill, change)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (detection, holder, cause) DO NOTHING
             RETURNING {COLUMNS}"
        ))?
        .query_row(
            params![
                new.detection,
                new.consequence,
                new.holder,
                new.account,
                new.cause,
                new.at_ms,
                count,
                new.said,
                new.is_drill,
                change
            ],
            from_row,
        )
        .optional()?;
    match added.filter(FindingRow::holds) {
        Some(row) => tell_others(connection, &row, row.at_ms),
        None => Ok(()),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<FindingRow> {
    let count: i64 = row.get(7)?;
    Ok(FindingRow {
        id: row.get(0)?,
        detection: row.get(1)?,
        consequence: row.get(2)?,
        holder: row.get(3)?,
        account: row.get(4)?,
        cause: row.get(5)?,
        at_ms: row.get(6)?,
        count: count.unsigned_abs(),
        said: row.get(8)?,
        is_drill: row.get(9)?,
        released_ms: row.get(10)?,
        released_by: row.get(11)?,
        reason: row.get(12)?,
    })
}
