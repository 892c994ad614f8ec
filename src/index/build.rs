//! Gathers the words of entries, read in the log or handed over by who wrote it, and writes them down, some thousand entries in one
//! transaction with the place that was reached.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, TransactionBehavior};

use super::file::{self, place};
use super::gathered::Gathered;
use super::terms::Words;
use super::{Index, IndexError};
use crate::audit::merkle::Hash;
use crate::audit::{Entry, EntryId, Lookup, Record, Stored, StoredEntries};

/// Entries whose times are kept together.
pub(super) const SPAN: u64 = 1024;
/// Decisions that are kept at hand for their outcomes; what is older is looked up.
const MOST_WAITING: usize = 20_000;
/// Words that are held before they are written.
const MOST_HELD: usize = 200_000;
/// Entries that are gathered in one turn on the processor: a third of a millisecond.
const TURN: u32 = 8;

/// How far a round came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries that were added.
    pub added: u64,
    /// Entries of the log that were read altogether.
    pub position: u64,
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
    /// Reads on in the log's folder, at most `most` entries, writes down what was gathered, and gives how far it came; nothing was
    /// added at the log's end.
    ///
    /// Blocks. Another process may do the same at the same time.
    ///
    /// # Errors
    /// [`IndexError`]; nothing of the round is kept then.
    pub fn read_on(&mut self, most: usize) -> Result<Progress, IndexError> {
        let next = self.next()?;
        for stored in StoredEntries::new(&self.log, next, self.opener.afresh()).take(most) {
            let Stored { index, record, keys, leaf } = stored?;
            self.gather(index, record.entry().as_ref(), &keys, leaf)?;
            if self.is_full() {
                break;
            }
        }
        self.write_down()
    }

    /// The place of the entry that it takes next.
    pub(super) fn next(&self) -> Result<u64, IndexError> {
        self.gathered.as_ref().map_or_else(|| self.position(), |gathered| Ok(gathered.next))
    }

    /// How many entries were gathered and not written down.
    pub(super) fn gathered(&self) -> u64 {
        self.gathered.as_ref().map_or(0, |gathered| gathered.next - gathered.start)
    }

    /// Whether so much was gathered that it has to be written down.
    pub(super) fn is_full(&self) -> bool {
        self.gathered.as_ref().is_some_and(|gathered| gathered.words >= MOST_HELD)
    }

    /// Takes the next entry, which these keys opened; `None` where it cannot be read.
    pub(super) fn gather(
        &mut self,
        index: u64,
        entry: Option<&Entry>,
        keys: &[String],
        leaf: Hash,
    ) -> Result<(), IndexError> {
        self.turns.done(TURN);
        let mut gathered = match self.gathered.take() {
            Some(gathered) => gathered,
            None => Gathered::from(index, self.opener.afresh()),
        };
        if let Some(entry) = entry {
            self.gather_entry(&mut gathered, index, entry, keys)?;
        }
        (gathered.next, gathered.leaf) = (index + 1, leaf);
        self.gathered = Some(gathered);
        Ok(())
    }

    fn gather_entry(
        &mut self,
        gathered: &mut Gathered,
        index: u64,
        entry: &Entry,
        keys: &[String],
    ) -> Result<(), IndexError> {
        gathered.note_time(index, entry.time.0);
        gathered.keys.extend(keys.iter().cloned());
        let mut words = self.terms.of_entry(entry, keys);
        let belongs_to = entry.decided_by.or(entry.continues.map(|part| part.id));
        match belongs_to {
            Some(id) => {
                if let Some((first, of_first)) = self.first(gathered, id)? {
                    words.extend(of_first);
                    gathered.drop_row(first);
                    gathered.links.push((index, first));
                }
            }
            None if entry.decision.is_some() => {
                self.waiting.put(entry.id, (index, words.clone()));
            }
            None => {}
        }
        gathered.put(index, words);
        Ok(())
    }

    /// The place and the words of the first entry of a request. It may be of an earlier run.
    fn first(
        &mut self,
        gathered: &mut Gathered,
        id: EntryId,
    ) -> Result<Option<(u64, Words)>, IndexError> {
        if let Some(known) = self.waiting.known.get(&id) {
            return Ok(Some(known.clone()));
        }
        let found = find(&self.connection, &mut gathered.lookup, id)?;
        let Some((index, entry, keys)) = found else { return Ok(None) };
        let first = (index, self.terms.of_entry(&entry, &keys));
        self.waiting.put(id, first.clone());
        Ok(Some(first))
    }

    /// Writes down what was gathered, in one transaction with the place that was reached, and gives how far it came.
    ///
    /// Where another process came first, what was gathered is forgotten and read anew from there; after an error, too.
    pub(super) fn write_down(&mut self) -> Result<Progress, IndexError> {
        let Some(gathered) = self.gathered.take() else {
            return Ok(Progress { added: 0, position: self.position()? });
        };
        // A connection of its own so that the parts of `self` can be used beside it.
        let tx =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let (position, _) = file::cursor(&tx)?;
        if position != gathered.start {
            return Ok(Progress { added: position.saturating_sub(gathered.start), position });
        }
        gathered.write(&tx, &mut self.turns)?;
        file::set_cursor(&tx, gathered.next, &gathered.leaf)?;
        tx.commit()?;
        Ok(Progress { added: gathered.next - gathered.start, position: gathered.next })
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
