//! Rows of browser sessions. The cookie value is never stored, only its keyed hash.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::account::{self, AccountRow};
use super::failure::{Settled, settle};
use super::passkey::{PasskeyUse, count_use};
use super::recovery::{RecoveryTag, use_up};
use super::{StateError, Store};

/// Keyed hash of a cookie value.
pub type SessionId = [u8; 32];

/// A session that shall begin.
#[derive(Clone, Debug)]
pub struct NewSessionRow {
    /// Keyed hash of the cookie value.
    pub id: SessionId,
    /// The account's name.
    pub account: String,
    /// JSON list of the factors presented.
    pub factors: String,
    /// When it ends whatever happens, Unix seconds.
    pub expires_s: i64,
    /// The host that gives it.
    pub host: String,
    /// The address that signs in.
    pub from: String,
}

/// A session and the account it belongs to, as both are now.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The account.
    pub account: AccountRow,
    /// JSON list of the factors presented.
    pub factors: String,
    /// When it was last used, Unix seconds; coarse.
    pub last_seen_s: i64,
    /// When it ends whatever happens, Unix seconds.
    pub expires_s: i64,
    /// When and from where its account had signed in before.
    pub before: Option<(i64, String)>,
    /// The id of the passkey that was shown in it last.
    pub passkey: Option<Vec<u8>>,
}

/// A session that gains a factor and with it a new id.
#[derive(Clone, Debug)]
pub struct Elevation {
    /// The id that dies.
    pub old: SessionId,
    /// The id that replaces it.
    pub new: SessionId,
    /// The account's name.
    pub account: String,
    /// JSON list of all factors presented so far.
    pub factors: String,
    /// What proves the factor, which is hereby used up.
    pub proof: Proof,
}

/// What proves a factor, and must prove it once only.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The RFC 6238 step of a one-time code.
    Totp(i64),
    /// A recovery code, which is hereby deleted.
    Recovery(RecoveryTag),
    /// A signature of a passkey.
    Passkey(PasskeyUse),
}

/// How an elevation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elevated {
    /// The new id stands.
    Done,
    /// The code's step, or a later one, was used before; the recovery code is none, or none any more; or the passkey has signed again meanwhile.
    Replayed,
    /// The session ended meanwhile.
    Ended,
}

impl Store {
    /// Begins a session, ends the account's oldest beyond `most`, and settles the attempt.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if the account is gone or was disabled meanwhile.
    pub async fn begin_session(
        &self,
        session: NewSessionRow,
        most: u32,
        settled: Settled,
    ) -> Result<(), StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            begin(connection, &session, now)?;
            end_surplus(connection, &session.account, most, now)?;
            settle(connection, &settled)
        })
        .await
    }

    /// The session of that id with its account, whatever their state.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionRow>, StateError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT factors, last_seen_s, expires_s, before_s, before_from, passkey, {} FROM sessions
                 JOIN accounts ON name = account WHERE id = ?1",
                account::COLUMNS
            );
            Ok(connection.prepare_cached(&sql)?.query_row([id], from_row).optional()?)
        })
        .await
    }

    /// The number of the session of that id, which it keeps when it gets another id, and when it ends whatever happens.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn session_number(&self, id: SessionId) -> Result<Option<(i64, i64)>, StateError> {
        self.read(move |connection| {
            let sql = "SELECT seq, expires_s FROM sessions WHERE id = ?1";
            let mut look = connection.prepare_cached(sql)?;
            Ok(look.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })
        .await
    }

    /// Whether the session of that number has not ended; no other one ever has its number.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn has_session(&self, number: i64) -> Result<bool, StateError> {
        self.read(move |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM sessions WHERE seq = ?1)";
            Ok(connection.prepare_cached(sql)?.query_row([number], |row| row.get(0))?)
        })
        .await
    }

    /// Notes that the session is in use, some time soon. If that fails it merely ends earlier.
    pub fn touch_session(&self, id: SessionId) {
        let now = self.clock.unix_s();
        self.writer.write_sometime(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE sessions SET last_seen_s = ?2 WHERE id = ?1 AND last_seen_s < ?2",
                )?
                .execute(params![id, now])?;
            Ok(())
        });
    }

    /// Uses up the proof and gives the session its new id and factors, both or neither.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing has changed then.
    pub async fn elevate_session(
        &self,
        elevation: Elevation,
        settled: Settled,
    ) -> Result<Elevated, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            let is_new = match &elevation.proof {
                Proof::Totp(step) => use_up_step(connection, &elevation.account, *step)? > 0,
                Proof::Recovery(code) => use_up(connection, &elevation.account, code)?,
                Proof::Passkey(used) => count_use(connection, used, now)?,
            };
            if !is_new {
                return Ok(Elevated::Replayed);
            }
            let passkey = match &elevation.proof {
                Proof::Passkey(used) => Some(&used.id),
                Proof::Totp(_) | Proof::Recovery(_) => None,
            };
            let changed = connection
                .prepare_cached(
                    "UPDATE sessions SET id = ?2, factors = ?3, last_seen_s = ?4,
                     passkey = coalesce(?5, passkey) WHERE id = ?1",
                )?
                .execute(params![elevation.old, elevation.new, elevation.factors, now, passkey])?;
            if changed == 0 {
                // The proof stays used up: somebody has seen it.
                return Ok(Elevated::Ended);
            }
            settle(connection, &settled)?;
            Ok(Elevated::Done)
        })
        .await
    }

    /// Ends a session at once and gives the name of its account, if there was one.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the session then goes on.
    pub async fn end_session(&self, id: SessionId) -> Result<Option<String>, StateError> {
        self.write(move |connection| {
            let mut end = connection
                .prepare_cached("DELETE FROM sessions WHERE id = ?1 RETURNING account")?;
            Ok(end.query_row([id], |row| row.get(0)).optional()?)
        })
        .await
    }
}

pub(super) fn begin(
    connection: &Connection,
    session: &NewSessionRow,
    now: i64,
) -> Result<(), StateError> {
    let begun = connection
        .prepare_cached(
            "INSERT INTO sessions (id, account, factors, last_seen_s, expires_s, host, began_s,
                 began_from, before_s, before_from)
             SELECT ?1, name, ?3, ?4, ?5, ?6, ?4, ?7, signed_in_s, signed_in_from
             FROM accounts WHERE name = ?2 AND disabled = 0",
        )?
        .execute(params![
            session.id,
            session.account,
            session.factors,
            now,
            session.expires_s,
            session.host,
            session.from
        ])?;
    if begun == 0 {
        return Err(StateError::Unknown(session.account.clone()));
    }
    connection
        .prepare_cached(
            "UPDATE accounts SET signed_in_s = ?2, signed_in_from = ?3 WHERE name = ?1",
        )?
        .execute(params![session.account, now, session.from])?;
    Ok(())
}

pub(super) fn end_surplus(
    connection: &Connection,
    account: &str,
    most: u32,
    now: i64,
) -> Result<(), StateError> {
    connection.prepare_cached("DELETE FROM sessions WHERE expires_s <= ?1")?.execute([now])?;
    connection
        .prepare_cached(
            "DELETE FROM sessions WHERE account = ?1 AND seq NOT IN
             (SELECT seq FROM sessions WHERE account = ?1 ORDER BY seq DESC LIMIT ?2)",
        )?
        .execute(params![account, most])?;
    Ok(())
}

/// One statement, so that of two requests with the same code only one finds the step unused.
fn use_up_step(connection: &Connection, account: &str, step: i64) -> Result<usize, StateError> {
    Ok(connection
        .prepare_cached(
            "UPDATE accounts SET totp_last_step = ?2
             WHERE name = ?1 AND disabled = 0 AND totp_last_step < ?2",
        )?
        .execute(params![account, step])?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        account: account::from_row(row)?,
        factors: row.get("factors")?,
        last_seen_s: row.get("last_seen_s")?,
        expires_s: row.get("expires_s")?,
        before: row
            .get::<_, Option<i64>>("before_s")?
            .zip(row.get::<_, Option<String>>("before_from")?),
        passkey: row.get("passkey")?,
    })
}
