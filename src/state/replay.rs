//! Proofs that were taken once and must not be taken again, for as long as they would be good.

use rusqlite::params;

use super::{StateError, Store};

/// The most proofs remembered. Beyond it none is taken: forgetting one would let it be used twice.
const MOST_ROWS: i64 = if cfg!(test) { 20 } else { 200_000 };

impl Store {
    /// Takes a proof; `false` if it was taken before. Durable when it resolves, so that a restart forgets none.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many are remembered, else any [`StateError`] of a write; the proof then must
    /// not be believed.
    pub async fn take_proof(&self, proof: [u8; 32], until_s: i64) -> Result<bool, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            connection.prepare_cached("DELETE FROM replays WHERE until_s <= ?1")?.execute([now])?;
            let taken = connection
                .prepare_cached(
                    "INSERT INTO replays (proof, until_s) VALUES (?1, ?2)
                     ON CONFLICT (proof) DO NOTHING",
                )?
                .execute(params![proof, until_s])?;
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM replays")?
                .query_row([], |row| row.get(0))?;
            if count > MOST_ROWS {
                return Err(StateError::Full);
            }
            Ok(taken == 1)
        })
        .await
    }
}
