//! Rows of what somebody has to answer, each answered once at most. The challenge itself is not stored,
//! only its keyed hash.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::session::SessionId;
use super::{StateError, Store, act};

/// The most challenges kept that anybody may answer; beyond it the oldest are forgotten.
const MOST_ROWS: i64 = 100_000;

/// Keyed hash of a challenge or a ticket.
pub type ChallengeId = [u8; 32];

/// What is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRow {
    /// Keyed hash of the challenge.
    pub id: ChallengeId,
    /// For what.
    pub kind: String,
    /// For which account; none where anybody may answer.
    pub account: Option<String>,
    /// In which session.
    pub session: Option<SessionId>,
    /// The ticket that the answer uses up.
    pub ticket: Option<ChallengeId>,
    /// Until when, Unix seconds.
    pub until_s: i64,
}

impl Store {
    /// Keeps a challenge. One session has one of a kind: an older one is forgotten.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn insert_challenge(&self, row: ChallengeRow) -> Result<(), StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            forget_old(connection, now)?;
            connection
                .prepare_cached("DELETE FROM challenges WHERE session = ?1 AND kind = ?2")?
                .execute(params![row.session, row.kind])?;
            insert(connection, &row)?;
            let first = connection.last_insert_rowid().saturating_sub(MOST_ROWS);
            connection
                .prepare_cached(
                    "DELETE FROM challenges WHERE seq <= ?1 AND account IS NULL AND session IS NULL",
                )?
                .execute([first])?;
            Ok(())
        })
        .await
    }

    /// Keeps a ticket for an account, in place of an older one, and notes the act.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn insert_ticket(
        &self,
        account: &str,
        row: ChallengeRow,
        (act, detail): (&'static str, String),
    ) -> Result<(), StateError> {
        let (now, doer, account) = (self.clock.unix_s(), self.doer(), account.to_owned());
        self.write(move |connection| {
            forget_old(connection, now)?;
            let known: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM accounts WHERE name = ?1)",
                [&account],
                |row| row.get(0),
            )?;
            if !known {
                return Err(StateError::Unknown(account));
            }
            connection.execute(
                "DELETE FROM challenges WHERE account = ?1 AND kind = ?2 AND session IS NULL",
                params![account, row.kind],
            )?;
            insert(connection, &row)?;
            act::note_with(connection, act, &account, &detail, &doer)
        })
        .await
    }

    /// The challenge, which stays. Whether it is still good is for the caller to judge.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn challenge(&self, id: ChallengeId) -> Result<Option<ChallengeRow>, StateError> {
        self.read(move |connection| {
            let sql =
                "SELECT id, kind, account, session, ticket, until_s FROM challenges WHERE id = ?1";
            Ok(connection.prepare_cached(sql)?.query_row([id], from_row).optional()?)
        })
        .await
    }

    /// Takes the challenge, whatever becomes of the answer: of two answers only one finds it.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the answer must then not be judged.
    pub async fn take_challenge(
        &self,
        id: ChallengeId,
    ) -> Result<Option<ChallengeRow>, StateError> {
        self.write(move |connection| {
            let sql = "DELETE FROM challenges WHERE id = ?1
                       RETURNING id, kind, account, session, ticket, until_s";
            Ok(connection.prepare_cached(sql)?.query_row([id], from_row).optional()?)
        })
        .await
    }
}

/// Uses up a ticket of that account; part of the transaction that it opens.
pub(super) fn use_up_ticket(
    connection: &Connection,
    ticket: &ChallengeId,
    account: &str,
    now: i64,
) -> Result<bool, StateError> {
    let used = connection
        .prepare_cached("DELETE FROM challenges WHERE id = ?1 AND account = ?2 AND until_s > ?3")?
        .execute(params![ticket, account, now])?;
    Ok(used == 1)
}

fn forget_old(connection: &Connection, now: i64) -> Result<(), StateError> {
    connection.prepare_cached("DELETE FROM challenges WHERE until_s <= ?1")?.execute([now])?;
    Ok(())
}

pub(super) fn insert(connection: &Connection, row: &ChallengeRow) -> Result<(), StateError> {
    connection
        .prepare_cached(
            "INSERT INTO challenges (id, kind, account, session, ticket, until_s)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![row.id, row.kind, row.account, row.session, row.ticket, row.until_s])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ChallengeRow> {
    Ok(ChallengeRow {
        id: row.get("id")?,
        kind: row.get("kind")?,
        account: row.get("account")?,
        session: row.get("session")?,
        ticket: row.get("ticket")?,
        until_s: row.get("until_s")?,
    })
}
