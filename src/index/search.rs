//! Asks the index for places, and the log for what stands there.

use std::collections::{BTreeSet, HashMap};

use rusqlite::OptionalExtension as _;

use super::build::{SPAN, find};
use super::file::{place, signed};
use super::{Index, IndexError};
use crate::audit::{Access, Accesses, Closed, EntryId, Filter, Stored};

/// Places that are asked for at a time.
const CANDIDATES: i64 = 256;
/// Entries of one request that are put together; an export of millions has parts beyond, which were searched, too.
const MOST_PARTS: i64 = 20_000;

/// Some of what was found, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The requests and events. One stands where its last entry that fits stands.
    pub accesses: Vec<Access>,
    /// From where to go on; none if there is nothing further.
    pub next: Option<u64>,
    /// What the index names and cannot be read, and how many each.
    pub closed: HashMap<Closed, u64>,
}

impl Index {
    /// What a filter wants, the newest first, at most `most`, of the entries before the place `before`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn search(
        &mut self,
        filter: &Filter,
        before: Option<u64>,
        most: usize,
    ) -> Result<Page, IndexError> {
        let question = self.terms.question(filter)?;
        let (low, high) = self.bounds(filter)?;
        let start = before.unwrap_or(u64::MAX).min(high);
        let mut page = Page::default();
        let mut taken = BTreeSet::new();
        let mut next = start;
        while page.accesses.len() < most {
            let places = self.candidates(question.as_deref(), low, next)?;
            let Some(last) = places.last().copied() else { return Ok(page) };
            for entry in places {
                next = entry;
                let request = self.request_of(entry)?;
                let is_told = !taken.insert(request)
                    || self.was_told(question.as_deref(), request, before)?;
                if is_told {
                    continue;
                }
                if let Some(access) = self.put_together(request, filter, &mut page.closed)? {
                    page.accesses.push(access);
                    if page.accesses.len() >= most {
                        break;
                    }
                }
            }
            next = if page.accesses.len() < most { last } else { next };
        }
        let further = self.candidates(question.as_deref(), low, next)?;
        page.next = (!further.is_empty()).then_some(next);
        Ok(page)
    }

    /// The time of the first entry that is in the index, in Unix milliseconds.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn first_ms(&self) -> Result<Option<i64>, IndexError> {
        let sql = "SELECT min(from_ms) FROM spans";
        Ok(self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// The place of the entry with this id, as far as the index has read.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn place_of_entry(&mut self, id: EntryId) -> Result<Option<u64>, IndexError> {
        Ok(find(&self.connection, &mut self.lookup, id)?.map(|(place, ..)| place))
    }

    /// The places between which the time asked for lies. A request's outcome may come much later than its decision.
    fn bounds(&self, filter: &Filter) -> Result<(u64, u64), IndexError> {
        let cursor = self.position()?;
        let first = |sql: &str, ms: i64| -> Result<Option<u64>, IndexError> {
            let row: Option<i64> =
                self.connection.prepare_cached(sql)?.query_row([ms], |row| row.get(0))?;
            Ok(row.map(place))
        };
        let low = match filter.from_ms {
            Some(ms) => first("SELECT min(first) FROM spans WHERE to_ms >= ?1", ms)?,
            None => Some(0),
        };
        let high = match filter.until_ms {
            // Long answers end within hours.
            Some(ms) => {
                let late = ms.saturating_add(24 * 3600 * 1000);
                first("SELECT max(first) FROM spans WHERE from_ms <= ?1", late)?
                    .map_or(0, |first| first + SPAN)
            }
            None => cursor,
        };
        Ok((low.unwrap_or(cursor), high.min(cursor)))
    }

    /// Places that fit, from the newest before `before` down to `low`.
    fn candidates(
        &self,
        question: Option<&str>,
        low: u64,
        before: u64,
    ) -> Result<Vec<u64>, IndexError> {
        let Some(question) = question else {
            let from = low.max(before.saturating_sub(CANDIDATES.unsigned_abs()));
            return Ok((from..before).rev().collect());
        };
        let sql = "SELECT rowid FROM terms WHERE terms MATCH ?1 AND rowid >= ?2 AND rowid < ?3
                   ORDER BY rowid DESC LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement
            .query_map((question, signed(low), signed(before), CANDIDATES), |row| row.get(0))?;
        Ok(rows.map(|row| row.map(place)).collect::<Result<_, _>>()?)
    }

    /// The first entry of the request that an entry belongs to.
    fn request_of(&self, entry: u64) -> Result<u64, IndexError> {
        let sql = "SELECT request FROM links WHERE entry = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let linked: Option<i64> =
            statement.query_row([signed(entry)], |row| row.get(0)).optional()?;
        Ok(linked.map_or(entry, place))
    }

    /// Whether an earlier page told of this request: an entry of it beyond `before` fits, too.
    fn was_told(
        &self,
        question: Option<&str>,
        request: u64,
        before: Option<u64>,
    ) -> Result<bool, IndexError> {
        let Some(before) = before else { return Ok(false) };
        let (request, before) = (signed(request), signed(before));
        let later = "SELECT entry FROM links WHERE request = ?1 AND entry >= ?2";
        let Some(question) = question else {
            let sql = format!("SELECT EXISTS ({later})");
            let mut statement = self.connection.prepare_cached(&sql)?;
            return Ok(statement.query_row((request, before), |row| row.get(0))?);
        };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM terms WHERE terms MATCH ?3 AND rowid IN ({later}))"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row((request, before, question), |row| row.get(0))?)
    }

    /// Reads the entries of a request and gives it if the filter wants it.
    fn put_together(
        &mut self,
        request: u64,
        filter: &Filter,
        closed: &mut HashMap<Closed, u64>,
    ) -> Result<Option<Access>, IndexError> {
        let sql = "SELECT entry FROM links WHERE request = ?1 ORDER BY entry LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map((signed(request), MOST_PARTS), |row| row.get(0))?;
        let parts: Vec<i64> = rows.collect::<Result<_, _>>()?;
        drop(statement);
        let mut accesses = Accesses::new(filter.clone(), 1);
        for entry in std::iter::once(request).chain(parts.into_iter().map(place)) {
            if let Some(Stored { index, record, .. }) = self.lookup.at(entry)? {
                accesses.add(index, record);
            }
        }
        for (one, count) in accesses.closed() {
            *closed.entry(one).or_default() += count;
        }
        Ok(accesses.finish().pop())
    }
}
