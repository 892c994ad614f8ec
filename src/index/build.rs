//! Reads the log on and adds its entries, some thousand in one transaction with the place that was reached.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::file::{self, place, signed};
use super::terms::{Terms, Words};
use super::{Index, IndexError};
use crate::audit::{Entry, EntryId, Lookup, Record, Stored, StoredEntries};

/// Entries whose times are kept together.
pub(super) const SPAN: u64 = 1024;
/// Decisions that are kept at hand for their outcomes; what is older is looked up.
const MOST_WAITING: usize = 20_000;
/// Words that are held before they are written.
const MOST_HELD: usize = 200_000;

/// How far a round came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were added.
    pub added: u64,
    /// Entries of the log that were read altogether.
    pub position: u64,
}

/// Between two rounds that found little; and after one that found much, since few long rounds cost half of many short ones.
const PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(2);
const MUCH: u64 = 500;

impl Progress {
    /// How long whoever keeps the index waits after a round that was to add `most`; not at all if it did, since more is
    /// there.
    #[must_use]
    pub fn pause(self, most: usize) -> Duration {
        match self.added {
            added if added >= most as u64 => Duration::ZERO,
            MUCH.. => LONG_PAUSE,
            _ => PAUSE,
        }
    }
}

/// The last decisions, for what follows them: their place and their words. More than one entry may follow, so none leaves with the first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    known: HashMap<EntryId, (u64, Words)>,
    order: VecDeque<EntryId>,
}

impl Waiting {
    fn put(&mut self, id: EntryId, first: (u64, Words)) {
        if self.known.insert(id, first).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > MOST_WAITING {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl Index {
    /// Reads on, at most `most` entries, and gives how far it came; nothing was added at the log's end.
    ///
    /// Blocks. Another process may do the same at the same time.
    ///
    /// # Errors
    /// [`IndexError`]; nothing of the round is kept then.
    pub fn read_on(&mut self, most: usize) -> Result<Progress, IndexError> {
        // A connection of its own so that the parts of `self` can be used beside it.
        let tx =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let (start, _) = file::cursor(&tx)?;
        let opener = self.opener.afresh();
        let mut lookup = Lookup::new(opener.clone());
        let mut last = None;
        let mut adder = Adder {
            connection: &tx,
            lookup: &mut lookup,
            terms: &mut self.terms,
            waiting: &mut self.waiting,
            held: Held::default(),
        };
        for stored in StoredEntries::new(&self.log, start, opener).take(most) {
            let stored = stored?;
            last = Some((stored.index + 1, stored.leaf));
            adder.add(stored)?;
        }
        adder.write_held()?;
        let Some((position, leaf)) = last else {
            return Ok(Progress { added: 0, position: start });
        };
        file::set_cursor(&tx, position, &leaf)?;
        tx.commit()?;
        Ok(Progress { added: position - start, position })
    }
}

/// Words by the places of their entries, not written yet: the words of an outcome have those of its decision in them,
/// so that whoever comes before both are written needs no row for the decision.
#[derive(Debug, Default)]
pub(super) struct Held {
    rows: BTreeMap<u64, Words>,
    words: usize,
}

impl Held {
    fn put(&mut self, index: u64, words: Words) {
        self.words += words.len();
        self.rows.insert(index, words);
    }

    fn drop_row(&mut self, index: u64) {
        self.words -= self.rows.remove(&index).map_or(0, |words| words.len());
    }
}

/// Adds entries within a transaction.
pub(super) struct Adder<'a> {
    pub(super) connection: &'a Connection,
    pub(super) lookup: &'a mut Lookup,
    pub(super) terms: &'a mut Terms,
    pub(super) waiting: &'a mut Waiting,
    pub(super) held: Held,
}

impl Adder<'_> {
    fn add(&mut self, stored: Stored) -> Result<(), IndexError> {
        let Stored { index, record, keys, .. } = stored;
        let Record::Entry(entry) = record else { return Ok(()) };
        self.note_time(index, entry.time.0)?;
        for key in &keys {
            let sql = "INSERT OR IGNORE INTO keys (name) VALUES (?1)";
            self.connection.prepare_cached(sql)?.execute([key])?;
        }
        let mut words = self.terms.of_entry(&entry, &keys);
        let belongs_to = entry.decided_by.or(entry.continues.map(|part| part.id));
        match belongs_to {
            Some(id) => {
                if let Some((first, of_first)) = self.first(id)? {
                    words.extend(of_first);
                    self.held.drop_row(first);
                    self.link(index, first)?;
                }
            }
            None if entry.decision.is_some() => {
                self.waiting.put(entry.id, (index, words.clone()));
            }
            None => {}
        }
        self.held.put(index, words);
        if self.held.words >= MOST_HELD { self.write_held() } else { Ok(()) }
    }

    /// Writes down what was held, in the order of the places, as the words are kept by them.
    pub(super) fn write_held(&mut self) -> Result<(), IndexError> {
        for (index, words) in std::mem::take(&mut self.held).rows {
            self.put(index, &words)?;
        }
        Ok(())
    }

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
        self.put(index, &words)
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
        self.put(place(request), &words)
    }

    fn put(&self, index: u64, words: &Words) -> Result<(), IndexError> {
        let mut text = String::with_capacity(words.len() * 13);
        for word in words {
            // A string takes whatever is written.
            write!(text, "{word} ").unwrap_or_default();
        }
        let sql = "INSERT INTO terms (rowid, words) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute((signed(index), text))?;
        Ok(())
    }

    fn link(&self, entry: u64, request: u64) -> Result<(), IndexError> {
        let sql = "INSERT OR REPLACE INTO links (entry, request) VALUES (?1, ?2)";
        self.connection.prepare_cached(sql)?.execute((signed(entry), signed(request)))?;
        Ok(())
    }

    fn note_time(&self, index: u64, time: i64) -> Result<(), IndexError> {
        let sql =
            "INSERT INTO spans (first, from_ms, to_ms) VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE
                   SET from_ms = min(from_ms, ?2), to_ms = max(to_ms, ?2)";
        self.connection.prepare_cached(sql)?.execute((signed(index - index % SPAN), time))?;
        Ok(())
    }

    /// The place and the words of the first entry of a request. It may be of an earlier run.
    fn first(&mut self, id: EntryId) -> Result<Option<(u64, Words)>, IndexError> {
        if let Some(known) = self.waiting.known.get(&id) {
            return Ok(Some(known.clone()));
        }
        let Some((index, entry, keys)) = find(self.connection, self.lookup, id)? else {
            return Ok(None);
        };
        let first = (index, self.terms.of_entry(&entry, &keys));
        self.waiting.put(id, first.clone());
        Ok(Some(first))
    }
}

/// The entry with this id, by the time in it.
pub(super) fn find(
    connection: &Connection,
    lookup: &mut Lookup,
    id: EntryId,
) -> Result<Option<(u64, Entry, Vec<String>)>, IndexError> {
    let sql = "SELECT first FROM spans WHERE from_ms <= ?1 AND to_ms >= ?1 ORDER BY first DESC";
    let mut spans = connection.prepare_cached(sql)?;
    let firsts: Vec<i64> =
        spans.query_map([id.unix_ms()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for first in firsts.into_iter().map(place) {
        for index in first..first + SPAN {
            match lookup.at(index)? {
                None => break,
                Some(Stored { record: Record::Entry(entry), keys, .. }) if entry.id == id => {
                    return Ok(Some((index, *entry, keys)));
                }
                Some(_) => {}
            }
        }
    }
    Ok(None)
}
