//! Rows of legal holds. What they cover is the log's business.

use rusqlite::{Connection, Row, params};

use super::act::{self, Deed};
use super::{StateError, Store};

/// The most holds.
const MOST: i64 = if cfg!(test) { 3 } else { 10_000 };

/// A legal hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldRow {
    /// Its number; 0 for a new one.
    pub id: i64,
    /// The number of the document that orders it.
    pub document: String,
    /// A class of the log; empty for all of them.
    pub class: String,
    /// The first day, `2026-11-29`.
    pub from_day: String,
    /// The last day.
    pub to_day: String,
    /// Who approved it, as the document says.
    pub approver: String,
    /// The day on which somebody looks at it again.
    pub review: String,
    /// Who entered it, as the log names them.
    pub done_by: String,
    /// Who that is, whichever account they used.
    pub person: String,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

impl Store {
    /// All holds, the oldest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, StateError> {
        self.read(|connection| {
            let sql =
                "SELECT id, document, class, from_day, to_day, approver, review, done_by, person,
                              since_ms FROM holds ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Enters a hold and gives its number; the log gets an act.
    ///
    /// # Errors
    /// [`StateError::Full`], or any [`StateError`] of a write.
    pub async fn add_hold(&self, hold: HoldRow) -> Result<i64, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let sql = "SELECT count(*) FROM holds";
            let rows: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            if rows >= MOST {
                return Err(StateError::Full);
            }
            let HoldRow { document, class, from_day, to_day, approver, review, person, .. } = &hold;
            let values = params![
                document, class, from_day, to_day, approver, review, doer.name, person, doer.at_ms
            ];
            connection.execute(
                "INSERT INTO holds (document, class, from_day, to_day, approver, review, done_by, person,
                                    since_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                values,
            )?;
            let id = connection.last_insert_rowid();
            note(connection, "hold_added", &HoldRow { id, ..hold.clone() }, "", &doer)?;
            Ok(id)
        })
        .await
    }

    /// Ends a hold that another person entered; the log gets an act.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is none of this number that another person entered.
    pub async fn end_hold(&self, id: i64, person: &str, reason: &str) -> Result<(), StateError> {
        let (doer, person, reason) = (self.doer(), person.to_owned(), reason.to_owned());
        self.write(move |connection| {
            let sql = "DELETE FROM holds WHERE id = ?1 AND person <> ?2
                       RETURNING id, document, class, from_day, to_day, approver, review, done_by, person,
                                 since_ms";
            let mut statement = connection.prepare_cached(sql)?;
            let ended = statement.query_map(params![id, person], row)?.next().transpose()?;
            let ended = ended.ok_or_else(|| StateError::Unknown(id.to_string()))?;
            note(connection, "hold_ended", &ended, &reason, &doer)
        })
        .await
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<HoldRow> {
    Ok(HoldRow {
        id: row.get("id")?,
        document: row.get("document")?,
        class: row.get("class")?,
        from_day: row.get("from_day")?,
        to_day: row.get("to_day")?,
        approver: row.get("approver")?,
        review: row.get("review")?,
        done_by: row.get("done_by")?,
        person: row.get("person")?,
        since_ms: row.get("since_ms")?,
    })
}

fn note(
    connection: &Connection,
    verb: &str,
    hold: &HoldRow,
    reason: &str,
    doer: &act::Doer,
) -> Result<(), StateError> {
    let HoldRow { id, document, class, from_day, to_day, approver, review, .. } = hold;
    let class = if class.is_empty() { "all classes" } else { class };
    let object = format!("hold {id} by document {document}");
    let detail = format!("{class} from {from_day} to {to_day}, review on {review}");
    let deed = Deed {
        name: verb,
        object: &object,
        detail: &detail,
        reason,
        done_by: doer.name.as_ref(),
        approved_by: approver,
        at_ms: doer.at_ms,
    };
    act::note_deed(connection, &deed)
}
