//! What detections know, in cells, and how far they have read. What is in a cell is `review`'s business.

use rusqlite::params;

use super::{StateError, Store};

/// The cell of the cursor.
pub(super) const CURSOR: &str = "cursor";

/// A cell and its bytes; nothing, if it is to be removed.
pub type ReviewRow = (String, Option<Vec<u8>>);

impl Store {
    /// How far was read, and every cell; nothing if nothing ever was.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn load_review(&self) -> Result<(Option<u64>, Vec<(String, Vec<u8>)>), StateError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT cell, bytes FROM review")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut cells: Vec<(String, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
            let cursor = cells.iter().position(|(name, _)| name == CURSOR);
            let cursor = cursor.map(|place| cells.swap_remove(place).1);
            let cursor = cursor.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
            Ok((cursor, cells))
        })
        .await
    }

    /// Keeps cells and how far was read, all in one commit.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was kept then.
    pub async fn keep_review(&self, cursor: u64, cells: Vec<ReviewRow>) -> Result<(), StateError> {
        self.write(move |connection| {
            let keep = "INSERT INTO review (cell, bytes) VALUES (?1, ?2)
                        ON CONFLICT (cell) DO UPDATE SET bytes = excluded.bytes";
            for (name, bytes) in &cells {
                match bytes {
                    Some(bytes) => {
                        connection.prepare_cached(keep)?.execute(params![name, bytes])?
                    }
                    None => connection
                        .prepare_cached("DELETE FROM review WHERE cell = ?1")?
                        .execute([name])?,
                };
            }
            let cursor = cursor.to_be_bytes().to_vec();
            connection.prepare_cached(keep)?.execute(params![CURSOR, cursor])?;
            Ok(())
        })
        .await
    }
}
