//! The sessions of an account, for whoever holds one of them: to look at and to end.

use rusqlite::params;

use super::{SessionId, StateError, Store};

/// A session in a list.
#[derive(Clone, Debug)]
pub struct OwnSessionRow {
    /// Its number, which it keeps when it is raised.
    pub number: i64,
    /// Keyed hash of the cookie value and its place.
    pub id: SessionId,
    /// The host that gave it; empty if it is older than that column.
    pub host: String,
    /// JSON list of the factors presented.
    pub factors: String,
    /// When it began, Unix seconds.
    pub began_s: i64,
    /// The address that it began from.
    pub began_from: String,
    /// When it was last used, Unix seconds; coarse.
    pub last_seen_s: i64,
    /// When it ends whatever happens, Unix seconds.
    pub expires_s: i64,
}

impl Store {
    /// The sessions of a local account, the newest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn own_sessions(&self, account: &str) -> Result<Vec<OwnSessionRow>, StateError> {
        self.sessions_in("sessions", account).await
    }

    /// The sessions of an issuer's account, the newest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn own_issuer_sessions(
        &self,
        account: &str,
    ) -> Result<Vec<OwnSessionRow>, StateError> {
        self.sessions_in("issuer_sessions", account).await
    }

    async fn sessions_in(
        &self,
        table: &'static str,
        account: &str,
    ) -> Result<Vec<OwnSessionRow>, StateError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "SELECT seq, id, host, factors, began_s, began_from, last_seen_s, expires_s
                 FROM {table} WHERE account = ?1 ORDER BY seq DESC"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([account], |row| {
                Ok(OwnSessionRow {
                    number: row.get(0)?,
                    id: row.get(1)?,
                    host: row.get(2)?,
                    factors: row.get(3)?,
                    began_s: row.get(4)?,
                    began_from: row.get(5)?,
                    last_seen_s: row.get(6)?,
                    expires_s: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Ends the session of that number if it is one of this account.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it then goes on.
    pub async fn end_own_session(&self, account: &str, number: i64) -> Result<bool, StateError> {
        self.end_in("sessions", account, number).await
    }

    /// The same of an issuer's account.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it then goes on.
    pub async fn end_own_issuer_session(
        &self,
        account: &str,
        number: i64,
    ) -> Result<bool, StateError> {
        self.end_in("issuer_sessions", account, number).await
    }

    async fn end_in(
        &self,
        table: &'static str,
        account: &str,
        number: i64,
    ) -> Result<bool, StateError> {
        let account = account.to_owned();
        self.write(move |connection| {
            let sql = format!("DELETE FROM {table} WHERE seq = ?1 AND account = ?2");
            let ended = connection.prepare_cached(&sql)?.execute(params![number, account])?;
            Ok(ended > 0)
        })
        .await
    }

    /// Ends all sessions of the account and says how many there were.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; they then go on.
    pub async fn end_own_sessions(&self, account: &str) -> Result<usize, StateError> {
        let account = account.to_owned();
        self.write(move |connection| {
            let mut end = connection.prepare_cached("DELETE FROM sessions WHERE account = ?1")?;
            Ok(end.execute([account])?)
        })
        .await
    }
}
