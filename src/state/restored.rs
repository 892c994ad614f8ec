//! That this state was restored from a backup or put back from a copy, and what follows until somebody has answered for
//! what is missing.

use std::path::Path;

use rusqlite::{Connection, params};

use super::act::{Deed, note_deed};
use super::feed::renew_birth;
use super::memory::see_no_more_than;
use super::{RevocationTag, StateError, Store, connection};

/// A backup that the state was restored from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRow {
    /// Its name.
    pub backup: String,
    /// When it was made, in Unix milliseconds.
    pub made_ms: i64,
    /// How many entries its log has.
    pub entries: u64,
    /// When somebody answered for what was done since.
    pub settled_ms: Option<i64>,
    /// When the first gate started on it.
    pub until_ms: Option<i64>,
    /// When somebody let budgets go on as they were in the backup.
    pub released_ms: Option<i64>,
}

/// What of before counts no more once a gate starts on a restored state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Steps of one-time codes up to this one are used.
    pub totp_step: i64,
    /// The tag of every token.
    pub tag: RevocationTag,
    /// Tokens issued up to then are revoked, Unix seconds.
    pub upto_s: i64,
    /// And longer than that no token lives.
    pub until_s: i64,
}

/// Ends in a restored state what somebody may hold that has since been used or ended, and notes which backup it
/// comes from. Blocks.
///
/// # Errors
/// Any [`StateError`] of a write.
pub fn end_after_restore(
    dir: &Path,
    backup: &str,
    made_ms: i64,
    entries: u64,
) -> Result<(), StateError> {
    let mut connection = connection::open_writer(&dir.join(connection::FILE))?;
    let transaction = connection.transaction()?;
    end(&transaction, backup, made_ms, entries)?;
    Ok(transaction.commit()?)
}

fn end(
    transaction: &Connection,
    backup: &str,
    made_ms: i64,
    entries: u64,
) -> Result<(), StateError> {
    // Recovery codes are good once, as is what two persons agreed to, and nobody knows which have been used since.
    for table in [
        "sessions",
        "issuer_sessions",
        "challenges",
        "parked",
        "recovery",
        "asked",
        "agreed",
        "policies_agreed",
    ] {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    // Nobody knows which cases were ended since. Those that were are told to other gates as long as before.
    let sql = "UPDATE links SET until_s = ?1 WHERE is_put = 1 AND until_s > ?1";
    transaction.execute(sql, [made_ms.div_euclid(1000)])?;
    // Nor which consents were taken back. Objections and marks stand.
    let sql =
        "UPDATE subject_words SET until_s = ?1, over_s = ?1 WHERE act = 'consent' AND over_s > ?1";
    transaction.execute(sql, [made_ms.div_euclid(1000)])?;
    // Its numbers begin anew where the backup's end, so the other gates must not take them for those that they know.
    renew_birth(transaction)?;
    see_no_more_than(transaction, entries)?;
    let entries = i64::try_from(entries).unwrap_or(i64::MAX);
    let sql = "INSERT INTO restores (backup, made_ms, entries) VALUES (?1, ?2, ?3)";
    transaction.execute(sql, params![backup, made_ms, entries])?;
    Ok(())
}

impl Store {
    /// The backups that this state was restored from, the oldest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn restores(&self) -> Result<Vec<RestoreRow>, StateError> {
        self.read(|connection| {
            let sql = "SELECT backup, made_ms, entries, settled_ms, until_ms, released_ms
                       FROM restores ORDER BY seq";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let entries: i64 = row.get(2)?;
                Ok(RestoreRow {
                    backup: row.get(0)?,
                    made_ms: row.get(1)?,
                    entries: entries.unsigned_abs(),
                    settled_ms: row.get(3)?,
                    until_ms: row.get(4)?,
                    released_ms: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Notes that somebody answered for what was done since the backup: a gate may start. Until one did, somebody may
    /// do so again.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if nothing waits for that.
    pub async fn settle_restores(&self, detail: &str, reason: &str) -> Result<(), StateError> {
        self.answer(("settled_ms", "until_ms"), "restore_settled", detail, reason).await
    }

    /// Ends what [`end_after_restore`] does, on a state that was found older than its log: it was put back from a copy.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn end_after_copy(
        &self,
        copy: &str,
        made_ms: i64,
        entries: u64,
    ) -> Result<(), StateError> {
        let copy = copy.to_owned();
        self.write(move |connection| end(connection, &copy, made_ms, entries)).await
    }

    /// Lets budgets go on as they were in the backup.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if none are taken as used up.
    pub async fn release_restored_budgets(&self, reason: &str) -> Result<(), StateError> {
        let columns = ("released_ms", "released_ms");
        self.answer(columns, "restored_budgets_released", "", reason).await
    }

    async fn answer(
        &self,
        (column, open): (&'static str, &'static str),
        name: &'static str,
        detail: &str,
        reason: &str,
    ) -> Result<(), StateError> {
        let (doer, detail, reason) = (self.doer(), detail.to_owned(), reason.to_owned());
        self.write(move |connection| {
            let newest = newest(connection)?;
            let sql = format!("UPDATE restores SET {column} = ?1 WHERE {open} IS NULL");
            let changed = connection.execute(&sql, [doer.at_ms])?;
            let object = newest.filter(|_| changed > 0);
            let object = object.ok_or_else(|| StateError::Unknown("restore".to_owned()))?;
            let deed = Deed {
                name,
                object: &object,
                detail: &detail,
                reason: &reason,
                done_by: &doer.name,
                approved_by: "",
                at_ms: doer.at_ms,
            };
            note_deed(connection, &deed)
        })
        .await
    }

    /// Notes that a gate starts on what was restored: from here on it knows what happens. Codes and tokens of before
    /// count no more. Does nothing where an earlier start did.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn begin_after_restore(&self, before: Before) -> Result<(), StateError> {
        let now = self.clock.unix_ms();
        self.write(move |connection| {
            // Of a clock that was set back the later moment is taken, which is the strict side.
            let sql = "UPDATE restores SET until_ms = max(?1, made_ms) WHERE until_ms IS NULL";
            if connection.execute(sql, [now])? == 0 {
                return Ok(());
            }
            let sql = "UPDATE accounts SET totp_last_step = max(totp_last_step, ?1)";
            connection.execute(sql, [before.totp_step])?;
            let sql =
                "INSERT OR REPLACE INTO revocations (tag, upto_s, until_s) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![before.tag, before.upto_s, before.until_s])?;
            Ok(())
        })
        .await
    }
}

fn newest(connection: &Connection) -> Result<Option<String>, StateError> {
    let sql = "SELECT backup FROM restores ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.next().transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::secret::MasterKey;
    use crate::state::{Lane, NewLink, Taken, TicketRow};

    const NOW_MS: i64 = 1_800_000_000_000;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn count(dir: &Path, sql: &str) -> i64 {
        let connection = connection::open_reader(&dir.join(connection::FILE)).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn link(is_put: bool) -> NewLink {
        let (account, kind) = ("corp:wang".to_owned(), "call".to_owned());
        let (subject, reference) = ("s".to_owned(), String::new());
        let until_s = NOW_MS / 1000 + 600;
        NewLink { is_put, tag: 7, account, kind, subject, reference, until_s }
    }

    #[test]
    fn links_of_before_have_ended_on_a_restored_state_and_their_tickets_put_none() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW_MS);
        let open =
            || Store::open(dir.path(), &MasterKey::from_bytes([5; 32]), clock.clone()).unwrap();
        let link = link(true);
        let ticket =
            |name: u8, issued_ms| TicketRow { tag: [name; 32], issued_ms, until_s: link.until_s };
        let before = Before { totp_step: 0, tag: [7; 32], upto_s: 0, until_s: i64::MAX };
        block_on(open().add_links(vec![link.clone()])).unwrap();
        end_after_restore(dir.path(), "gate-1-x", NOW_MS, 12).unwrap();
        let standing = format!("SELECT count(*) FROM links WHERE until_s > {}", NOW_MS / 1000);
        assert_eq!(count(dir.path(), &standing), 0);
        block_on(async {
            let store = open();
            store.settle_restores("", "why").await.unwrap();
            store.begin_after_restore(before).await.unwrap();
            let old = store.add_link_of_ticket(link.clone(), ticket(1, NOW_MS)).await.unwrap();
            assert_eq!(old, Taken::Ended);
            let new = store.add_link_of_ticket(link.clone(), ticket(2, NOW_MS + 1000)).await;
            assert_eq!(new.unwrap(), Taken::Now);
        });
        assert_eq!(count(dir.path(), &standing), 1);
    }

    #[test]
    fn what_was_ended_before_is_told_on_by_a_restored_state_and_no_policy_that_was_agreed_to_is_kept()
     {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW_MS);
        let open =
            || Store::open(dir.path(), &MasterKey::from_bytes([5; 32]), clock.clone()).unwrap();
        block_on(open().end_links(vec![link(false)], NOW_MS / 1000)).unwrap();
        let connection = connection::open_writer(&dir.path().join(connection::FILE)).unwrap();
        connection.execute("INSERT INTO policies_agreed VALUES ('v2', 'a', 'b', 1)", []).unwrap();
        drop(connection);
        end_after_restore(dir.path(), "gate-1-x", NOW_MS, 12).unwrap();
        let told = block_on(open().feed_after(Lane::Ends, 0, 10)).unwrap();
        assert_eq!(told.items.len(), 1, "a gate that was away has the case open");
        assert_eq!(count(dir.path(), "SELECT count(*) FROM policies_agreed"), 0);
    }

    #[test]
    fn codes_and_tokens_of_before_count_no_more_on_a_restored_state() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW_MS);
        let open =
            || Store::open(dir.path(), &MasterKey::from_bytes([5; 32]), clock.clone()).unwrap();
        drop(open());
        let connection = connection::open_writer(&dir.path().join(connection::FILE)).unwrap();
        connection
            .execute_batch(
                "INSERT INTO accounts VALUES ('wang', 'wang', 'staff', '[]', '{}', '', NULL, 7, 0, 0, 0, 0, NULL, NULL);
                 INSERT INTO recovery VALUES ('wang', x'01');",
            )
            .unwrap();
        drop(connection);
        let before = Before {
            totp_step: 60_000_001,
            tag: [7; 32],
            upto_s: 1_800_000_000,
            until_s: i64::MAX,
        };
        block_on(async {
            let store = open();
            store.begin_after_restore(before).await.unwrap();
            assert_eq!(
                count(dir.path(), "SELECT count(*) FROM revocations"),
                0,
                "nothing was restored"
            );
            assert!(store.settle_restores("", "").await.is_err());
            assert!(store.release_restored_budgets("").await.is_err());
        });
        end_after_restore(dir.path(), "gate-1-x", NOW_MS + 9, 12).unwrap();
        assert_eq!(count(dir.path(), "SELECT count(*) FROM recovery"), 0);
        block_on(async {
            let store = open();
            store.settle_restores("2 acts", "why").await.unwrap();
            store.begin_after_restore(before).await.unwrap();
            store.begin_after_restore(Before { totp_step: 60_000_009, ..before }).await.unwrap();
            let row = store.restores().await.unwrap().pop().unwrap();
            let clock_was_behind = Some(NOW_MS + 9);
            assert_eq!((row.entries, row.until_ms, row.released_ms), (12, clock_was_behind, None));
        });
        assert_eq!(count(dir.path(), "SELECT totp_last_step FROM accounts"), 60_000_001, "once");
        assert_eq!(count(dir.path(), "SELECT upto_s FROM revocations"), 1_800_000_000);
        assert_eq!(count(dir.path(), "SELECT count(*) FROM acts WHERE reason = 'why'"), 1);
    }
}
