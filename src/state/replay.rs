//! Proofs that were taken once and must not be taken again, for as long as they would be good.

use rusqlite::{Connection, params};

use super::{StateError, Store};

/// The most proofs remembered. Beyond it none is taken: forgetting one would let it be used twice.
const MOST_ROWS: i64 = if cfg!(test) { 20 } else { 200_000 };
/// The most of one key, so that whoever has one cannot keep all others out.
const MOST_OF_ONE: i64 = MOST_ROWS / 5;

/// What became of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofTaken {
    /// It was new.
    Once,
    /// It was taken before.
    Replayed,
    /// Too many of its key are remembered.
    TooMany,
}

impl Store {
    /// Takes a proof by that key. Durable when it resolves, so that a restart forgets none.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many are remembered, else any [`StateError`] of a write; the proof then must
    /// not be believed.
    pub async fn take_proof(
        &self,
        proof: [u8; 32],
        holder: [u8; 32],
        until_s: i64,
    ) -> Result<ProofTaken, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM replays WHERE until_s <= ?1")?.execute([now])?;
            let taken = connection
                .prepare_cached(
                    "INSERT INTO replays (proof, holder, until_s) VALUES (?1, ?2, ?3)
                     ON CONFLICT (proof) DO NOTHING",
                )?
                .execute(params![proof, holder, until_s])?;
            if taken == 0 {
                return Ok(ProofTaken::Replayed);
            }
            if live(connection, &[])? > MOST_ROWS {
                return Err(StateError::Full);
            }
            if live(connection, &holder)? > MOST_OF_ONE {
                connection
                    .prepare_cached("DELETE FROM replays WHERE proof = ?1")?
                    .execute([proof])?;
                return Ok(ProofTaken::TooMany);
            }
            Ok(ProofTaken::Once)
        })
        .await
    }
}

/// How many are remembered of a key, or in all.
fn live(connection: &Connection, holder: &[u8]) -> Result<i64, StateError> {
    let sql = "SELECT coalesce(max(live), 0) FROM replay_counts WHERE holder = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([holder], |row| row.get(0))?)
}
