//! Requests that wait until their caller has shown a factor: sealed by the caller of this module, one a
//! session, for minutes. The row goes with its session: to the new id, and out of existence.

use rusqlite::{OptionalExtension as _, params};

use super::{SessionId, StateError, Store};

/// A request to be kept.
#[derive(Clone, Debug)]
pub struct ParkedRow {
    /// Keyed hash of what names it.
    pub id: [u8; 32],
    /// Whose session it waits for.
    pub session: SessionId,
    /// The request, sealed.
    pub sealed: Vec<u8>,
    /// When it is forgotten, Unix seconds.
    pub until_s: i64,
}

impl Store {
    /// Keeps a request in place of the session's last one; `false` if there is no room, with `most` kept
    /// for others, or no such session. Durable when it resolves.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing is kept then.
    pub async fn park(&self, row: ParkedRow, most: u32) -> Result<bool, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM parked WHERE until_s <= ?1")?.execute([now])?;
            let kept = connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO parked (id, session, sealed, until_s)
                     SELECT ?1, ?2, ?3, ?4
                     WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?2
                                   UNION ALL SELECT 1 FROM issuer_sessions WHERE id = ?2)
                     AND (SELECT count(*) FROM parked WHERE session <> ?2) < ?5",
                )?
                .execute(params![row.id, row.session, row.sealed, row.until_s, most])?;
            Ok(kept > 0)
        })
        .await
    }

    /// The request of that name that waits for that session, left where it is.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn parked(
        &self,
        id: [u8; 32],
        session: SessionId,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let now = self.clock.unix_s();
        self.read(move |connection| {
            let sql = "SELECT sealed FROM parked WHERE id = ?1 AND session = ?2 AND until_s > ?3";
            let mut look = connection.prepare_cached(sql)?;
            Ok(look.query_row(params![id, session, now], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Takes the request out, so that of all who ask one has it.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it may still be there then.
    pub async fn take_parked(
        &self,
        id: [u8; 32],
        session: SessionId,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            let mut take = connection.prepare_cached(
                "DELETE FROM parked WHERE id = ?1 AND session = ?2 AND until_s > ?3
                 RETURNING sealed",
            )?;
            Ok(take.query_row(params![id, session, now], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Forgets what nobody came back for.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_parked(&self) -> Result<(), StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM parked WHERE until_s <= ?1")?.execute([now])?;
            Ok(())
        })
        .await
    }
}
