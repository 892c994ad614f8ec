//! Mends the words of entries of which less can be read than before, within a transaction.

use rusqlite::{Connection, OptionalExtension as _};

use super::IndexError;
use super::file::{place, signed};
use super::gathered::put;
use super::terms::Terms;
use crate::audit::{Lookup, Record, Stored};

/// Writes within this transaction what it looks up.
pub(super) struct Mender<'a> {
    pub(super) connection: &'a Connection,
    pub(super) lookup: &'a mut Lookup,
    pub(super) terms: &'a mut Terms,
}

impl Mender<'_> {
    /// Adds an entry again, of which less can be read than before.
    pub(super) fn add_again(&mut self, stored: Stored) -> Result<(), IndexError> {
        let Stored { index, record, keys, .. } = stored;
        let sql = "SELECT request FROM links WHERE entry = ?1";
        let mut linked = self.connection.prepare_cached(sql)?;
        let request: Option<i64> =
            linked.query_row([signed(index)], |row| row.get(0)).optional()?;
        let Record::Entry(entry) = record else { return Ok(()) };
        let mut words = self.terms.of_entry(&entry, &keys);
        if let Some(request) = request
            && let Some(Stored { record: Record::Entry(first), keys, .. }) =
                self.lookup.at(place(request))?
        {
            words.extend(self.terms.of_entry(&first, &keys));
        }
        put(self.connection, index, &words)
    }

    /// Forgets to which request an entry belonged of which nothing can be read. Where more is left of the decision that
    /// it stood for, that is found by words of its own again.
    pub(super) fn leave(&mut self, index: u64) -> Result<(), IndexError> {
        let sql = "DELETE FROM links WHERE entry = ?1 RETURNING request";
        let request: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row([signed(index)], |row| row.get(0))
            .optional()?;
        let Some(request) = request else { return Ok(()) };
        let Some(Stored { record: Record::Entry(first), keys, .. }) =
            self.lookup.at(place(request))?
        else {
            return Ok(());
        };
        self.connection.prepare_cached("DELETE FROM terms WHERE rowid = ?1")?.execute([request])?;
        let words = self.terms.of_entry(&first, &keys);
        put(self.connection, place(request), &words)
    }
}
