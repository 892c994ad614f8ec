//! Rows of what people are still to be told. What is in a notice is `notify`'s business.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{StateError, Store};

/// Notices that wait for one target; the oldest beyond it become a number in the one for the rest.
const MOST: i64 = if cfg!(test) { 5 } else { 1_000 };
/// So many are handed over at once.
const BATCH: u32 = 64;

/// A notice that begins to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// For whom.
    pub target: String,
    /// One with the same key that waits already takes this one up.
    pub merge_key: String,
    /// The notice.
    pub notice: String,
    /// How many it stands for.
    pub count: u64,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

/// A notice that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its number.
    pub id: i64,
    /// The last notice of those that wait as one.
    pub notice: String,
    /// How many they are.
    pub count: u64,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

impl Store {
    /// How far the log was read, and the id of the entry before.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn notice_cursor(&self) -> Result<Option<(u64, String)>, StateError> {
        self.read(|connection| {
            let sql = "SELECT next, last FROM notice_cursor";
            let row = connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
            let row = row.optional()?;
            Ok(row.map(|(next, last)| (u64::try_from(next).unwrap_or(0), last)))
        })
        .await
    }

    /// Keeps notices and how far the log was read, all in one commit. `rest` is the notice for what there is no
    /// room for, of the newest of these.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was kept then.
    pub async fn queue_notices(
        &self,
        notices: Vec<NewNotice>,
        rest: Option<NewNotice>,
        (next, last): (u64, String),
    ) -> Result<(), StateError> {
        let next = i64::try_from(next).map_err(|_large| StateError::Value("a cursor"))?;
        self.write(move |connection| {
            for notice in &notices {
                add(connection, notice)?;
                if let Some(rest) = &rest {
                    make_room(
                        connection,
                        &NewNotice { target: notice.target.clone(), ..rest.clone() },
                    )?;
                }
            }
            connection.execute(
                "INSERT INTO notice_cursor (only_one, next, last) VALUES (1, ?1, ?2)
                 ON CONFLICT (only_one) DO UPDATE SET next = excluded.next, last = excluded.last",
                params![next, last],
            )?;
            Ok(())
        })
        .await
    }

    /// The oldest that wait for a target.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn notices_for(&self, target: &str) -> Result<Vec<NoticeRow>, StateError> {
        let target = target.to_owned();
        self.read(move |connection| {
            let sql = "SELECT id, notice, count, since_ms FROM notices WHERE target = ?1
                       ORDER BY id LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![target, BATCH], |row| {
                Ok(NoticeRow {
                    id: row.get(0)?,
                    notice: row.get(1)?,
                    count: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(1),
                    since_ms: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes a notice out that was told, or given up. What was taken up by it meanwhile goes on waiting.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it would then be told once more.
    pub async fn notice_done(&self, row: NoticeRow) -> Result<(), StateError> {
        self.write(move |connection| {
            let sql = "DELETE FROM notices WHERE id = ?1
                       RETURNING target, merge_key, notice, count, since_ms";
            let gone = connection.query_row(sql, [row.id], |gone| {
                Ok(NewNotice {
                    target: gone.get(0)?,
                    merge_key: gone.get(1)?,
                    notice: gone.get(2)?,
                    count: u64::try_from(gone.get::<_, i64>(3)?).unwrap_or(0),
                    since_ms: gone.get(4)?,
                })
            });
            let Some(gone) = gone.optional()? else { return Ok(()) };
            let count = gone.count.saturating_sub(row.count);
            if count > 0 {
                add(connection, &NewNotice { count, ..gone })?;
            }
            Ok(())
        })
        .await
    }

    /// How many wait, for each target that has some, and since when.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn notices_waiting(&self) -> Result<Vec<(String, u64, i64)>, StateError> {
        self.read(|connection| {
            let sql = "SELECT target, count(*), min(since_ms) FROM notices GROUP BY target";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                Ok((row.get(0)?, count, row.get(2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets what waits for targets that are not there any more; gives how many that were.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn keep_notices_of(&self, targets: Vec<String>) -> Result<usize, StateError> {
        self.write(move |connection| {
            let targets = serde_json::json!(targets).to_string();
            let sql = "DELETE FROM notices
                       WHERE target NOT IN (SELECT value FROM json_each(?1))";
            Ok(connection.execute(sql, [targets])?)
        })
        .await
    }
}

fn add(connection: &Connection, new: &NewNotice) -> Result<(), StateError> {
    let NewNotice { target, merge_key, notice, count, since_ms } = new;
    let count = i64::try_from(*count).unwrap_or(i64::MAX);
    let sql = "INSERT INTO notices (target, merge_key, notice, count, since_ms)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (target, merge_key) DO UPDATE SET
               notice = excluded.notice, count = min(count + excluded.count, 1000000000000)";
    connection.prepare_cached(sql)?.execute(params![target, merge_key, notice, count, since_ms])?;
    Ok(())
}

/// Lets the oldest go that are too many, and counts them in the notice for the rest.
fn make_room(connection: &Connection, rest: &NewNotice) -> Result<(), StateError> {
    let sql = "SELECT count(*) FROM notices WHERE target = ?1";
    let waiting: i64 =
        connection.prepare_cached(sql)?.query_row([&rest.target], |row| row.get(0))?;
    if waiting <= MOST {
        return Ok(());
    }
    let sql = "DELETE FROM notices WHERE id IN (SELECT id FROM notices
               WHERE target = ?1 AND merge_key <> ?2 ORDER BY id LIMIT ?3) RETURNING count";
    let mut statement = connection.prepare_cached(sql)?;
    let too_many = params![rest.target, rest.merge_key, waiting - MOST + 1];
    let gone = statement.query_map(too_many, |row| row.get::<_, i64>(0))?;
    let mut count = 0_u64;
    for one in gone {
        count = count.saturating_add(u64::try_from(one?).unwrap_or(0));
    }
    drop(statement);
    add(connection, &NewNotice { count, ..rest.clone() })
}
