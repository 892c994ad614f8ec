//! Tokens of issuers that were revoked before they expire, by keyed hash of what names them.

use rusqlite::params;

use super::{StateError, Store, act};

/// The most revocations kept. Beyond it a new one is refused: an old one may not be forgotten for it.
const MOST_ROWS: i64 = if cfg!(test) { 20 } else { 100_000 };

/// Keyed hash of an account, or of an issuer and a token's id.
pub type RevocationTag = [u8; 32];

/// One revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationRow {
    /// Its number; later ones have larger ones.
    pub seq: i64,
    /// Of what.
    pub tag: RevocationTag,
    /// Tokens issued up to then are revoked, Unix seconds.
    pub upto_s: i64,
    /// When it may be forgotten, Unix seconds.
    pub until_s: i64,
}

impl Store {
    /// Keeps a revocation, in place of an older one of the same, and notes the act.
    ///
    /// # Errors
    /// [`StateError::Full`] if there are too many, else any [`StateError`] of a write.
    pub async fn revoke(
        &self,
        row: RevocationRow,
        account: &str,
        act: &'static str,
    ) -> Result<(), StateError> {
        let (now, doer, account) = (self.clock.unix_s(), self.doer(), account.to_owned());
        self.write(move |connection| {
            connection.execute("DELETE FROM revocations WHERE until_s <= ?1", [now])?;
            connection.execute(
                "INSERT OR REPLACE INTO revocations (tag, upto_s, until_s) VALUES (?1, ?2, ?3)",
                params![row.tag, row.upto_s, row.until_s],
            )?;
            let count: i64 =
                connection.query_row("SELECT count(*) FROM revocations", [], |row| row.get(0))?;
            if count > MOST_ROWS {
                return Err(StateError::Full);
            }
            act::note(connection, act, &account, &doer)
        })
        .await
    }

    /// The revocations with larger numbers than `seq`, in order.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn revocations_after(&self, seq: i64) -> Result<Vec<RevocationRow>, StateError> {
        self.read(move |connection| {
            let sql =
                "SELECT seq, tag, upto_s, until_s FROM revocations WHERE seq > ?1 ORDER BY seq";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([seq], |row| {
                Ok(RevocationRow {
                    seq: row.get(0)?,
                    tag: row.get(1)?,
                    upto_s: row.get(2)?,
                    until_s: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
