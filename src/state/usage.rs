//! What each person has used of each budget. What a budget or a bucket means is `limits`' business.

use rusqlite::{Connection, ToSql, params};

use super::{StateError, Store};

/// Something that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageChange {
    /// `amount` more in that bucket.
    Add(UsageRow),
    /// `amount` less in that bucket: it was added and did not happen.
    Return(UsageRow),
    /// A data subject was seen in that bucket; only the latest of its buckets is kept.
    See(SeenRow),
    /// All use of a budget before a bucket is over.
    Forget {
        /// Which budget, for all persons.
        budget: String,
        /// The oldest bucket to keep.
        before: i64,
    },
}

/// How much one person used of one budget in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Whose use it is.
    pub person: String,
    /// Which budget.
    pub budget: String,
    /// Which span of time; larger is later.
    pub bucket: i64,
    /// How much.
    pub amount: u64,
}

/// That one person saw one data subject in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// Who saw.
    pub person: String,
    /// Which budget.
    pub budget: String,
    /// Which span of time; larger is later.
    pub bucket: i64,
    /// 64 bits of a keyed hash of the subject.
    pub subject: u64,
}

/// All that was used since some bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The amounts.
    pub amounts: Vec<UsageRow>,
    /// The subjects.
    pub seen: Vec<SeenRow>,
}

impl Store {
    /// All use in `since_bucket` and later, to start counting from.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; counting must then not start from nothing.
    pub async fn load_usage(&self, since_bucket: i64) -> Result<Usage, StateError> {
        self.read(move |connection| {
            let which = ("bucket >= ?1", &since_bucket as &dyn ToSql);
            Ok(Usage { amounts: amounts(connection, which)?, seen: seen(connection, which)? })
        })
        .await
    }

    /// All use of one person.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn usage_of(&self, person: &str) -> Result<Usage, StateError> {
        let person = person.to_owned();
        self.read(move |connection| {
            let which = ("person = ?1", &person as &dyn ToSql);
            Ok(Usage { amounts: amounts(connection, which)?, seen: seen(connection, which)? })
        })
        .await
    }

    /// Records use, all of it in one commit; durable when it resolves.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was recorded then, except after
    /// [`StateError::TimedOut`], when it may have been.
    pub async fn add_usage(&self, changes: Vec<UsageChange>) -> Result<(), StateError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(move |connection| changes.iter().try_for_each(|one| record(connection, one)))
            .await
    }
}

/// Counts for one what another has used, as well.
pub(super) fn copy_usage(connection: &Connection, from: &str, to: &str) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO usage (person, budget, bucket, amount)
         SELECT ?2, budget, bucket, amount FROM usage WHERE person = ?1
         ON CONFLICT (person, budget, bucket) DO UPDATE SET amount =
         iif(amount > 9223372036854775807 - excluded.amount, 9223372036854775807,
             amount + excluded.amount)",
        [from, to],
    )?;
    connection.execute(
        "INSERT INTO seen (person, budget, bucket, subject)
         SELECT ?2, budget, bucket, subject FROM seen WHERE person = ?1
         ON CONFLICT (person, budget, subject) DO UPDATE SET bucket = max(bucket, excluded.bucket)",
        [from, to],
    )?;
    Ok(())
}

fn record(connection: &Connection, change: &UsageChange) -> Result<(), StateError> {
    match change {
        UsageChange::Add(UsageRow { person, budget, bucket, amount }) => {
            let amount =
                i64::try_from(*amount).map_err(|_too_large| StateError::Value("an amount"))?;
            // Saturates: a sum beyond the column would turn into a float, which STRICT refuses.
            connection
                .prepare_cached(
                    "INSERT INTO usage (person, budget, bucket, amount) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (person, budget, bucket) DO UPDATE SET amount =
                     iif(amount > 9223372036854775807 - excluded.amount, 9223372036854775807,
                         amount + excluded.amount)",
                )?
                .execute(params![person, budget, bucket, amount])?;
        }
        UsageChange::Return(UsageRow { person, budget, bucket, amount }) => {
            let amount = i64::try_from(*amount).unwrap_or(i64::MAX);
            connection
                .prepare_cached(
                    "UPDATE usage SET amount = max(0, amount - ?4)
                     WHERE person = ?1 AND budget = ?2 AND bucket = ?3",
                )?
                .execute(params![person, budget, bucket, amount])?;
        }
        UsageChange::See(SeenRow { person, budget, bucket, subject }) => {
            connection
                .prepare_cached(
                    "INSERT INTO seen (person, budget, bucket, subject) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (person, budget, subject) DO UPDATE SET bucket =
                     max(bucket, excluded.bucket)",
                )?
                .execute(params![person, budget, bucket, subject.cast_signed()])?;
        }
        UsageChange::Forget { budget, before } => {
            for table in ["usage", "seen"] {
                let sql = format!("DELETE FROM {table} WHERE budget = ?1 AND bucket < ?2");
                connection.prepare_cached(&sql)?.execute(params![budget, before])?;
            }
        }
    }
    Ok(())
}

/// What one person used, by amount.
pub(super) fn amounts_of(
    connection: &Connection,
    person: &str,
) -> Result<Vec<UsageRow>, StateError> {
    amounts(connection, ("person = ?1", &person))
}

/// Whom one person saw.
pub(super) fn seen_of(connection: &Connection, person: &str) -> Result<Vec<SeenRow>, StateError> {
    seen(connection, ("person = ?1", &person))
}

/// Which rows: a condition and its one value.
type Which<'a> = (&'static str, &'a dyn ToSql);

fn amounts(connection: &Connection, which: Which<'_>) -> Result<Vec<UsageRow>, StateError> {
    let sql = format!("SELECT person, budget, bucket, amount FROM usage WHERE {}", which.0);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([which.1], |row| {
        let amount: i64 = row.get(3)?;
        Ok(UsageRow {
            person: row.get(0)?,
            budget: row.get(1)?,
            bucket: row.get(2)?,
            amount: amount.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn seen(connection: &Connection, which: Which<'_>) -> Result<Vec<SeenRow>, StateError> {
    let sql = format!("SELECT person, budget, bucket, subject FROM seen WHERE {}", which.0);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([which.1], |row| {
        let subject: i64 = row.get(3)?;
        Ok(SeenRow {
            person: row.get(0)?,
            budget: row.get(1)?,
            bucket: row.get(2)?,
            subject: subject.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
