//! Rows of API keys. The secret is never stored, only its keyed hash. A revoked key stays, so that the log's
//! names of keys keep their meaning.

use rusqlite::{OptionalExtension as _, Row, params};

use super::account::{self, AccountRow};
use super::{StateError, Store, act};

/// The most keys of one account, and of all, revoked and expired ones among them.
const MOST_EACH: i64 = 100;
const MOST_ROWS: i64 = 100_000;

/// An API key as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its public part.
    pub id: String,
    /// For whom it acts.
    pub account: String,
    /// JSON list of the roles that it has of its account's.
    pub roles: String,
    /// JSON list of the zones in which it is good.
    pub zones: String,
    /// When it ends, Unix seconds.
    pub expires_s: i64,
    /// Keyed hash of the secret and of all above.
    pub tag: [u8; 32],
    /// When it was issued, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds; coarse.
    pub used_s: Option<i64>,
    /// When it was revoked, Unix seconds.
    pub revoked_s: Option<i64>,
}

const COLUMNS: &str = "id, account, roles, zones, expires_s, tag, created_s, used_s, revoked_s";

impl Store {
    /// Keeps a new key and notes the act.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account, [`StateError::Full`] if it has too many keys.
    pub async fn insert_api_key(&self, row: ApiKeyRow) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let known: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM accounts WHERE name = ?1)",
                [&row.account],
                |found| found.get(0),
            )?;
            if !known {
                return Err(StateError::Unknown(row.account));
            }
            let (theirs, all): (i64, i64) = connection.query_row(
                "SELECT count(*) FILTER (WHERE account = ?1), count(*) FROM api_keys",
                [&row.account],
                |found| Ok((found.get(0)?, found.get(1)?)),
            )?;
            if theirs >= MOST_EACH || all >= MOST_ROWS {
                return Err(StateError::Full);
            }
            connection.execute(
                "INSERT INTO api_keys (id, account, roles, zones, expires_s, tag, created_s)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    row.id,
                    row.account,
                    row.roles,
                    row.zones,
                    row.expires_s,
                    row.tag,
                    row.created_s
                ],
            )?;
            act::note_of(connection, "key_issued", &row.account, &format!("key {}", row.id), &doer)
        })
        .await
    }

    /// The key of that id and its account as it is now, whatever their state.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn api_key(&self, id: String) -> Result<Option<(ApiKeyRow, AccountRow)>, StateError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1");
            let key = connection.prepare_cached(&sql)?.query_row([id], from_row).optional()?;
            let Some(key) = key else { return Ok(None) };
            let sql = format!("SELECT {} FROM accounts WHERE name = ?1", account::COLUMNS);
            let mut look = connection.prepare_cached(&sql)?;
            let account = look.query_row([&key.account], account::from_row).optional()?;
            Ok(account.map(|account| (key, account)))
        })
        .await
    }

    /// All keys, by account and then the oldest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StateError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM api_keys ORDER BY account, created_s, id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Notes that the key is in use, some time soon.
    pub fn touch_api_key(&self, id: String) {
        let now = self.clock.unix_s();
        self.writer.write_sometime(move |connection| {
            connection
                .prepare_cached("UPDATE api_keys SET used_s = ?2 WHERE id = ?1")?
                .execute(params![id, now])?;
            Ok(())
        });
    }

    /// Revokes a key for ever and notes the act. Gives its account.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such key, or it is revoked already.
    pub async fn revoke_api_key(&self, id: &str) -> Result<String, StateError> {
        let (id, doer, now) = (id.to_owned(), self.doer(), self.clock.unix_s());
        self.write(move |connection| {
            let account: Option<String> = connection
                .query_row(
                    "UPDATE api_keys SET revoked_s = ?2 WHERE id = ?1 AND revoked_s IS NULL
                     RETURNING account",
                    params![id, now],
                    |row| row.get(0),
                )
                .optional()?;
            let account = account.ok_or_else(|| StateError::Unknown(id.clone()))?;
            act::note_of(connection, "key_revoked", &account, &format!("key {id}"), &doer)?;
            Ok(account)
        })
        .await
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ApiKeyRow> {
    Ok(ApiKeyRow {
        id: row.get("id")?,
        account: row.get("account")?,
        roles: row.get("roles")?,
        zones: row.get("zones")?,
        expires_s: row.get("expires_s")?,
        tag: row.get("tag")?,
        created_s: row.get("created_s")?,
        used_s: row.get("used_s")?,
        revoked_s: row.get("revoked_s")?,
    })
}
