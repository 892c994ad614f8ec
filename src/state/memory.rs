//! What the state remembers of the log, so that a state and a log that do not belong together are known as such.
//!
//! Each act gets its number in the transaction that does it, before the log has it; numbers are not used again. So the
//! log never knows a later one than the state, unless the state is an older copy.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::act::{Deed, note_deed};
use super::review::CURSOR;
use super::{StateError, Store};

impl Store {
    /// A new number, durable before anybody writes it into the log.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn mark(&self) -> Result<u64, StateError> {
        self.write(|connection| {
            let number = newest(connection)?.saturating_add(1);
            set(connection, number)?;
            Ok(number.unsigned_abs())
        })
        .await
    }

    /// The newest number.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn newest_number(&self) -> Result<u64, StateError> {
        self.read(|connection| Ok(newest(connection)?.unsigned_abs())).await
    }

    /// Goes on after a number that the log knows, once somebody has answered for what this state does not.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn go_on_after(&self, number: u64) -> Result<(), StateError> {
        let number = i64::try_from(number).map_err(|_large| StateError::Value("a number"))?;
        self.write(
            move |connection| {
                if number > newest(connection)? { set(connection, number) } else { Ok(()) }
            },
        )
        .await
    }

    /// How many entries of the log this state has seen; nothing if it never looked.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn seen_of_log(&self) -> Result<Option<u64>, StateError> {
        self.read(seen).await
    }

    /// Forgets how many: somebody answers for a log that has fewer. The act is noted with it.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if it never looked, or any [`StateError`] of a write.
    pub async fn forget_log(&self, reason: &str) -> Result<(), StateError> {
        let (doer, reason) = (self.doer(), reason.to_owned());
        self.write(move |connection| {
            let sql = "DELETE FROM review WHERE cell = ?1";
            if connection.execute(sql, [CURSOR])? == 0 {
                return Err(StateError::Unknown("log".to_owned()));
            }
            let deed = Deed {
                name: "shorter_log_taken",
                object: "log",
                detail: "",
                reason: &reason,
                done_by: &doer.name,
                approved_by: "",
                at_ms: doer.at_ms,
            };
            note_deed(connection, &deed)
        })
        .await
    }
}

/// A log that came back together with the state ends at a checkpoint, a little before what the state has seen of it.
pub(super) fn see_no_more_than(connection: &Connection, entries: u64) -> Result<(), StateError> {
    if seen(connection)?.is_some_and(|seen| seen > entries) {
        let sql = "UPDATE review SET bytes = ?1 WHERE cell = ?2";
        connection.execute(sql, params![entries.to_be_bytes().to_vec(), CURSOR])?;
    }
    Ok(())
}

fn seen(connection: &Connection) -> Result<Option<u64>, StateError> {
    let sql = "SELECT bytes FROM review WHERE cell = ?1";
    let bytes: Option<Vec<u8>> =
        connection.query_row(sql, [CURSOR], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
}

fn newest(connection: &Connection) -> Result<i64, StateError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'acts'";
    let newest = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(newest.unwrap_or(0))
}

/// SQLite keeps the largest number that a row ever had.
fn set(connection: &Connection, number: i64) -> Result<(), StateError> {
    let sql = "INSERT INTO acts (seq, at_ms, name, account, done_by) VALUES (?1, 0, '', '', '')";
    connection.execute(sql, [number])?;
    connection.execute("DELETE FROM acts WHERE seq = ?1", [number])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::secret::MasterKey;

    #[tokio::test]
    async fn numbers_grow_with_every_act_and_mark_and_a_copy_keeps_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = |name: &str| {
            let clock = Clock::fixed(1_800_000_000_000);
            Store::open(&dir.path().join(name), &MasterKey::from_bytes([5; 32]), clock).unwrap()
        };
        let here = store("here");
        assert_eq!(here.newest_number().await.unwrap(), 0);
        here.note_act("one", "thing", "").await.unwrap();
        assert_eq!(here.mark().await.unwrap(), 2);
        let copy = dir.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        here.snapshot_to(&copy.join(Store::file_name())).unwrap();
        for act in here.pending_acts().await.unwrap() {
            here.act_recorded(act.seq).await.unwrap();
        }
        here.note_act("two", "thing", "").await.unwrap();
        assert_eq!(here.newest_number().await.unwrap(), 3);
        let copy = store("copy");
        assert_eq!(copy.newest_number().await.unwrap(), 2);
        copy.go_on_after(9).await.unwrap();
        copy.go_on_after(4).await.unwrap();
        assert_eq!(copy.mark().await.unwrap(), 10);
        assert_eq!(copy.pending_acts().await.unwrap().len(), 1, "a mark is nothing to record");
    }

    #[tokio::test]
    async fn a_restored_state_has_seen_no_more_of_the_log_than_came_back_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(1_800_000_000_000);
        let open =
            || Store::open(dir.path(), &MasterKey::from_bytes([5; 32]), clock.clone()).unwrap();
        assert_eq!(open().seen_of_log().await.unwrap(), None);
        open().keep_review(100, Vec::new()).await.unwrap();
        assert_eq!(open().seen_of_log().await.unwrap(), Some(100));
        for (entries, seen) in [(95, 95), (97, 95)] {
            super::super::end_after_restore(dir.path(), "gate-1-x", 7, entries).unwrap();
            assert_eq!(open().seen_of_log().await.unwrap(), Some(seen));
        }
        open().forget_log("why").await.unwrap();
        assert_eq!(open().seen_of_log().await.unwrap(), None);
    }
}
