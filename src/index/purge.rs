//! What the log destroyed leaves the index, too.

use rusqlite::{Connection, TransactionBehavior};

use super::file::place;
use super::mend::Mender;
use super::terms::Kind;
use super::{Index, IndexError};
use crate::audit::{Lookup, destroyed_keys};

/// Entries that leave in one transaction.
const BATCH: i64 = 2_000;
/// Pages of the words that are written anew in one transaction.
const MERGE_PAGES: i64 = 500;

impl Index {
    /// Takes out what destroyed keys opened; of how many entries words were taken out. What is left of an entry whose person was
    /// destroyed stays.
    ///
    /// Blocks; reads the file of every key. The words are then written anew, so that none is left in the file.
    ///
    /// # Errors
    /// [`IndexError`]; the next round goes on.
    pub fn purge(&mut self) -> Result<u64, IndexError> {
        let names: Vec<String> = self
            .connection
            .prepare_cached("SELECT name FROM keys")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut purged = 0;
        let mut is_changed = false;
        for key in destroyed_keys(&self.log, &names) {
            loop {
                let gone = self.purge_some(&key)?;
                purged += gone;
                if gone == 0 {
                    break;
                }
            }
            self.connection.prepare_cached("DELETE FROM keys WHERE name = ?1")?.execute([&key])?;
            is_changed = true;
        }
        if is_changed {
            // What is at hand may be among them.
            self.waiting = Default::default();
            self.gathered = None;
            self.lookup = Lookup::new(self.opener.afresh());
            write_anew(&self.connection)?;
        }
        Ok(purged)
    }

    fn purge_some(&mut self, key: &str) -> Result<u64, IndexError> {
        let word = self.terms.of(Kind::Key, key);
        let tx =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let sql = "SELECT rowid FROM terms WHERE terms MATCH ?1 LIMIT ?2";
        let found: Vec<i64> = tx
            .prepare_cached(sql)?
            .query_map((format!("\"{word}\""), BATCH), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut lookup = Lookup::new(self.opener.afresh());
        for row in &found {
            tx.prepare_cached("DELETE FROM terms WHERE rowid = ?1")?.execute([row])?;
            let left = lookup.at(place(*row))?.filter(|left| !left.keys.iter().any(|k| k == key));
            let mut reader = Lookup::new(self.opener.afresh());
            let mut mender =
                Mender { connection: &tx, lookup: &mut reader, terms: &mut self.terms };
            match left {
                Some(left) if left.record.clone().entry().is_some() => mender.add_again(left)?,
                Some(_) | None => mender.leave(place(*row))?,
            }
        }
        tx.commit()?;
        Ok(found.len() as u64)
    }
}

/// Merges the words until no deleted one is left, then empties the journal of the file.
fn write_anew(connection: &Connection) -> Result<(), IndexError> {
    let merge = "INSERT INTO terms (terms, rank) VALUES ('merge', ?1)";
    let mut pages = -MERGE_PAGES;
    loop {
        let before = connection.total_changes();
        connection.prepare_cached(merge)?.execute([pages])?;
        pages = MERGE_PAGES;
        // As SQLite's documentation says: fewer than two changes, and there was nothing to do.
        if connection.total_changes().saturating_sub(before) < 2 {
            break;
        }
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
