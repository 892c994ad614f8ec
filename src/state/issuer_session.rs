//! Rows of sessions of people who signed in at an issuer, and of what an issuer sent that counts once.

use rusqlite::{OptionalExtension as _, params};

use super::session::SessionId;
use super::{StateError, Store};

/// The most used answers kept. Beyond it none is taken: a replay could not be told.
const MOST_USED: i64 = 100_000;

/// Keyed hash of an issuer's name of a session, or of what counts once.
pub type IssuerTag = [u8; 32];

/// A session of somebody who signed in at an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSessionRow {
    /// Keyed hash of the cookie value.
    pub id: SessionId,
    /// `issuer:subject`.
    pub account: String,
    /// Keyed hash of the issuer's name of the session.
    pub sid: Option<IssuerTag>,
    /// JSON: kind, roles, attributes.
    pub caller: String,
    /// JSON list of factors.
    pub factors: String,
    /// When it began, Unix seconds.
    pub began_s: i64,
    /// When it was last used; coarse.
    pub last_seen_s: i64,
    /// When it ends whatever happens.
    pub expires_s: i64,
    /// The host that gave it.
    pub host: String,
    /// The address that signed in.
    pub from: String,
}

impl Store {
    /// Begins a session, ends the one that it replaces and the account's oldest beyond `most`.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn begin_issuer_session(
        &self,
        row: IssuerSessionRow,
        old: Option<SessionId>,
        most: u32,
    ) -> Result<(), StateError> {
        self.write(move |connection| {
            connection
                .execute("DELETE FROM issuer_sessions WHERE expires_s <= ?1", [row.began_s])?;
            connection.execute(
                "INSERT INTO issuer_sessions (id, account, sid, caller, factors, began_s, last_seen_s, expires_s,
                 host, began_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    row.id,
                    row.account,
                    row.sid,
                    row.caller,
                    row.factors,
                    row.began_s,
                    row.last_seen_s,
                    row.expires_s,
                    row.host,
                    row.from
                ],
            )?;
            // What waits for the factor goes along; only the same person takes it over.
            connection.execute(
                "UPDATE parked SET session = ?1 WHERE session = ?2
                 AND EXISTS (SELECT 1 FROM issuer_sessions WHERE id = ?2 AND account = ?3)",
                params![row.id, old, row.account],
            )?;
            connection.execute(
                "DELETE FROM issuer_sessions WHERE id = ?1 AND account = ?2",
                params![old, row.account],
            )?;
            connection.execute(
                "DELETE FROM issuer_sessions WHERE account = ?1 AND seq NOT IN
                 (SELECT seq FROM issuer_sessions WHERE account = ?1 ORDER BY seq DESC LIMIT ?2)",
                params![row.account, most],
            )?;
            Ok(())
        })
        .await
    }

    /// The session of that id, whatever its state.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn issuer_session(
        &self,
        id: SessionId,
    ) -> Result<Option<IssuerSessionRow>, StateError> {
        self.read(move |connection| {
            let sql = "SELECT account, sid, caller, factors, began_s, last_seen_s, expires_s, host, began_from
                       FROM issuer_sessions WHERE id = ?1";
            let row = connection.prepare_cached(sql)?.query_row([id], |row| {
                Ok(IssuerSessionRow {
                    id,
                    account: row.get(0)?,
                    sid: row.get(1)?,
                    caller: row.get(2)?,
                    factors: row.get(3)?,
                    began_s: row.get(4)?,
                    last_seen_s: row.get(5)?,
                    expires_s: row.get(6)?,
                    host: row.get(7)?,
                    from: row.get(8)?,
                })
            });
            Ok(row.optional()?)
        })
        .await
    }

    /// Notes that the session is in use, some time soon. If that fails it merely ends earlier.
    pub fn touch_issuer_session(&self, id: SessionId) {
        let now = self.clock.unix_s();
        self.writer.write_sometime(move |connection| {
            let sql =
                "UPDATE issuer_sessions SET last_seen_s = ?2 WHERE id = ?1 AND last_seen_s < ?2";
            connection.prepare_cached(sql)?.execute(params![id, now])?;
            Ok(())
        });
    }

    /// Ends a session at once and gives the account, if there was one.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the session then goes on.
    pub async fn end_issuer_session(&self, id: SessionId) -> Result<Option<String>, StateError> {
        self.write(move |connection| {
            let sql = "DELETE FROM issuer_sessions WHERE id = ?1 RETURNING account";
            Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Ends the sessions that an issuer names: of one of its own, or all of an account. Gives how many.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the sessions then go on.
    pub async fn end_issuer_sessions(
        &self,
        account: Option<String>,
        sid: Option<IssuerTag>,
    ) -> Result<usize, StateError> {
        self.write(move |connection| {
            // With both, both must fit: an issuer ends its own person's session only.
            let sql = "DELETE FROM issuer_sessions WHERE (?1 IS NOT NULL OR ?2 IS NOT NULL)
                       AND (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR sid = ?2)";
            Ok(connection.execute(sql, params![account, sid])?)
        })
        .await
    }

    /// Notes that something was used; `false` if it was before.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many are kept; it must not be taken then.
    pub async fn use_once(&self, id: IssuerTag, until_s: i64) -> Result<bool, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            connection.execute("DELETE FROM issuer_used WHERE until_s <= ?1", [now])?;
            let count: i64 =
                connection.query_row("SELECT count(*) FROM issuer_used", [], |row| row.get(0))?;
            if count >= MOST_USED {
                return Err(StateError::Full);
            }
            let added = connection.execute(
                "INSERT INTO issuer_used (id, until_s) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
                params![id, until_s],
            )?;
            Ok(added == 1)
        })
        .await
    }
}
