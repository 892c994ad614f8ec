//! What was gathered of the log and is not written down yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rusqlite::Connection;

use super::IndexError;
use super::build::SPAN;
use super::file::signed;
use super::terms::Words;
use crate::audit::merkle::Hash;
use crate::audit::{Lookup, Opener};
use crate::turn::Turns;

/// Rows that are written in one turn on the processor: words, and what takes less.
const TURN: u32 = 8;
const LINKS_TURN: u32 = 100;

/// Entries that were read and are not written down: the words of an outcome have those of its decision in them, so that
/// whoever comes before both are written needs no row for the decision.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The place of the first of them.
    pub(super) start: u64,
    /// The place after the last.
    pub(super) next: u64,
    /// The hash of the last.
    pub(super) leaf: Hash,
    rows: BTreeMap<u64, Words>,
    /// How many they are together.
    pub(super) words: usize,
    /// Entries, each with the first of its request.
    pub(super) links: Vec<(u64, u64)>,
    /// The first and the last time in a span, by the place where it begins.
    times: BTreeMap<u64, (i64, i64)>,
    pub(super) keys: BTreeSet<String>,
    /// For decisions that are not at hand.
    pub(super) lookup: Lookup,
}

impl Gathered {
    pub(super) fn from(start: u64, opener: Opener) -> Self {
        let (rows, times, keys) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (leaf, lookup, links) = ([0; 32], Lookup::new(opener), Vec::new());
        Self { start, next: start, leaf, rows, words: 0, links, times, keys, lookup }
    }

    pub(super) fn put(&mut self, index: u64, words: Words) {
        self.words += words.len();
        self.rows.insert(index, words);
    }

    pub(super) fn drop_row(&mut self, index: u64) {
        self.words -= self.rows.remove(&index).map_or(0, |words| words.len());
    }

    pub(super) fn note_time(&mut self, index: u64, time: i64) {
        let (from, to) = self.times.entry(index - index % SPAN).or_insert((time, time));
        (*from, *to) = (time.min(*from), time.max(*to));
    }

    /// The words in the order of their places, as they are kept by them.
    pub(super) fn write(&self, to: &Connection, turns: &mut Turns) -> Result<(), IndexError> {
        let sql =
            "INSERT INTO spans (first, from_ms, to_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
                   SET from_ms = min(from_ms, ?2), to_ms = max(to_ms, ?3)";
        for (first, (from, until)) in &self.times {
            to.prepare_cached(sql)?.execute((signed(*first), from, until))?;
        }
        for key in &self.keys {
            let sql = "INSERT OR IGNORE INTO keys (name) VALUES (?1)";
            to.prepare_cached(sql)?.execute([key])?;
        }
        for (entry, request) in &self.links {
            let sql = "INSERT OR REPLACE INTO links (entry, request) VALUES (?1, ?2)";
            to.prepare_cached(sql)?.execute((signed(*entry), signed(*request)))?;
            turns.done(LINKS_TURN);
        }
        for (index, words) in &self.rows {
            put(to, *index, words)?;
            turns.done(TURN);
        }
        Ok(())
    }
}

pub(super) fn put(to: &Connection, index: u64, words: &Words) -> Result<(), IndexError> {
    let mut text = String::with_capacity(words.len() * 13);
    for word in words {
        // A string takes whatever is written.
        write!(text, "{word} ").unwrap_or_default();
    }
    let sql = "INSERT INTO terms (rowid, words) VALUES (?1, ?2)";
    to.prepare_cached(sql)?.execute((signed(index), text))?;
    Ok(())
}
