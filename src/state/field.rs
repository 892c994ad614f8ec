//! Fields that backends gave and the catalogue does not know: by route and name, never a value.

use rusqlite::{Connection, params};

use super::{StateError, Store};

/// One such field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRow {
    /// The route.
    pub route: String,
    /// Where it stands, such as `customer.address.zip`.
    pub field: String,
    /// The first day, in days since 1970.
    pub first_day: i64,
    /// The last day.
    pub last_day: i64,
    /// Answers that had it.
    pub answers: u64,
}

impl Store {
    /// All fields, by route and name.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn unknown_fields(&self) -> Result<Vec<FieldRow>, StateError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT route, field, first_day, last_day, answers FROM unknown_fields
                 ORDER BY route, field",
            )?;
            let rows = statement.query_map([], |row| {
                let answers: i64 = row.get(4)?;
                Ok(FieldRow {
                    route: row.get(0)?,
                    field: row.get(1)?,
                    first_day: row.get(2)?,
                    last_day: row.get(3)?,
                    answers: answers.unsigned_abs(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Keeps these as they are, all in one commit; durable when it resolves.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn keep_unknown_fields(&self, fields: Vec<FieldRow>) -> Result<(), StateError> {
        self.write(move |connection| fields.iter().try_for_each(|field| keep(connection, field)))
            .await
    }
}

fn keep(connection: &Connection, row: &FieldRow) -> Result<(), StateError> {
    let FieldRow { route, field, first_day, last_day, answers } = row;
    let answers = i64::try_from(*answers).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO unknown_fields (route, field, first_day, last_day, answers)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (route, field) DO UPDATE SET first_day = min(first_day, excluded.first_day),
                 last_day = max(last_day, excluded.last_day), answers = max(answers, excluded.answers)",
        )?
        .execute(params![route, field, first_day, last_day, answers])?;
    Ok(())
}
