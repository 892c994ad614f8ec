//! The streaming filter for tables (CSV after RFC 4180, TSV): a header row names the columns, each row after it is one record.
//!
//! Bytes in, bytes out, at any split. A row is held until it is judged; cells in clear pass byte for
//! byte, columns of which nothing may pass leave no trace. Text is UTF-8.

mod block;
mod cell;
mod columns;
mod fault;
mod index;
mod line;
mod quick;
mod record;
mod row;
mod split;
mod treatment;
mod write;

#[cfg(test)]
mod edges;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use fault::{Cause, Fault};

use crate::guard::json::{Caps, Hooks, Report, Span};
use crate::policy::plan::Plan;
use columns::Columns;
use index::Index;
use line::Line;
use record::Judge;
use row::{Row, Separator};
use split::Splitter;

/// A byte order mark in UTF-8. One may stand before the header and passes with it: spreadsheets tell by
/// it that the text is UTF-8, and it can be taken for nothing else there.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// No larger row is held, whatever its cap: places in a row have 32 bits.
const LARGEST_ROW_BYTES: usize = u32::MAX as usize;

/// The streaming filter for tables, for what goes to the caller.
///
/// After a fault it stays refused, and what was not yet taken is gone.
pub struct Filter<H> {
    judge: Judge<H>,
    fault: Option<Fault>,
    /// The largest row that is held.
    row_cap: usize,
    splitter: Splitter,
    index: Index,
    /// How much of the body's first bytes are a byte order mark; `None` once that is settled.
    mark: Option<usize>,
    has_mark: bool,
    /// The row that is being read, if it began in an earlier chunk.
    row: Vec<u8>,
    /// Offset of the row's first byte.
    base: u64,
    /// `None` until it was read.
    header: Option<Header>,
    output: Vec<u8>,
}

/// What the first row says.
#[derive(Debug)]
struct Header {
    /// How many cells each row has.
    cells: usize,
    /// `None` where the plan lets no records pass.
    columns: Option<Columns>,
}

impl<H> fmt::Debug for Filter<H> {
    /// Shows where it stands, never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("offset", &self.base)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<H: Hooks> Filter<H> {
    /// A filter for one body whose cells are separated by commas.
    pub fn new(plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        Self::separated(Separator::Comma, plan, caps, hooks)
    }

    /// A filter for one body whose cells are separated by tabs (`text/tab-separated-values`): nothing is
    /// quoted, so that no cell holds a tab or an end of line.
    pub fn tabs(plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        Self::separated(Separator::Tab, plan, caps, hooks)
    }

    fn separated(separator: Separator, plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        let too_many = Cause::TooManyColumns { cap: caps.columns };
        Self {
            judge: Judge::new(separator, plan, caps, hooks),
            fault: None,
            row_cap: caps.record_bytes.min(LARGEST_ROW_BYTES),
            splitter: Splitter::new(separator, caps.columns, too_many),
            index: Index::default(),
            mark: Some(0),
            has_mark: false,
            row: Vec::new(),
            base: 0,
            header: None,
            output: Vec::new(),
        }
    }

    /// Reads the next bytes of the body.
    ///
    /// # Errors
    /// The fault, if the body does not pass; the same one again on every later call.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        self.go_on()?;
        self.judge.report.bytes_in += chunk.len() as u64;
        let outcome = self.read(chunk);
        self.settle(outcome)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// The fault, if the body does not pass as it stands, such as [`Cause::Truncated`].
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.go_on()?;
        let outcome = self.read_end();
        self.settle(outcome)
    }

    /// Takes what may go out so far: whole rows.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        if self.output.is_empty() {
            return Vec::new();
        }
        self.judge.report.bytes_out += self.output.len() as u64;
        // The next piece is probably about as large; to let it grow would cost as much as to copy it.
        let room = Vec::with_capacity(self.output.len() + self.output.len() / 8);
        vec![Bytes::from(std::mem::replace(&mut self.output, room))]
    }

    /// Takes where the records that have a rank stand in the output, up to what was let out so far.
    pub fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.judge.spans)
    }

    /// What happened so far.
    pub fn report(&self) -> &Report {
        &self.judge.report
    }

    /// The owner's hooks.
    pub fn hooks(&self) -> &H {
        &self.judge.hooks
    }

    /// The owner's hooks, to change their state between two calls.
    pub fn hooks_mut(&mut self) -> &mut H {
        &mut self.judge.hooks
    }

    fn go_on(&self) -> Result<(), Fault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn settle(&mut self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        if let Some(Header { columns: Some(columns), .. }) = &mut self.header {
            columns.settle(&mut self.judge.report);
        }
        if let Err(fault) = &outcome {
            self.output = Vec::new();
            self.row = Vec::new();
            self.judge.forget();
            self.fault = Some(fault.clone());
        }
        outcome
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        let mut rest = self.skip_mark(chunk)?;
        while !rest.is_empty() {
            rest = self.quick_rows(rest)?;
            rest = self.read_row(rest)?;
        }
        Ok(())
    }

    /// Goes over a byte order mark at the beginning of the body.
    fn skip_mark<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], Fault> {
        let Some(before) = self.mark else { return Ok(chunk) };
        let wanted = MARK.iter().skip(before);
        let same = wanted.zip(chunk).take_while(|(wanted, byte)| wanted == byte).count();
        let (matched, rest) = (before + same, chunk.get(same..).unwrap_or_default());
        if matched == MARK.len() {
            (self.mark, self.has_mark) = (None, true);
            self.base = MARK.len() as u64;
            return Ok(rest);
        }
        self.mark = Some(matched);
        if !rest.is_empty() {
            self.settle_mark()?;
        }
        Ok(rest)
    }

    /// The body began like a byte order mark and goes on otherwise: those bytes belong to the first row.
    fn settle_mark(&mut self) -> Result<(), Fault> {
        let begun = self.mark.take().unwrap_or_default();
        self.read_row(MARK.get(..begun).unwrap_or_default())?;
        Ok(())
    }

    /// Reads to the end of a row; gives what stands behind it.
    fn read_row<'c>(&mut self, input: &'c [u8]) -> Result<&'c [u8], Fault> {
        let held = self.row.len();
        let cap = self.row_cap;
        let within = input.get(..input.len().min(cap.saturating_sub(held))).unwrap_or_default();
        let end = self.splitter.read(within, held);
        let end = end.map_err(|(cause, at)| cause.at(self.base + (held + at) as u64))?;
        let Some(end) = end else {
            if within.len() < input.len() {
                return Err(Cause::RowTooLarge { cap }.at(self.base + cap as u64));
            }
            self.row.extend_from_slice(within);
            return Ok(&[]);
        };
        let (piece, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
        if held == 0 {
            self.judge(piece)?;
        } else {
            let mut row = std::mem::take(&mut self.row);
            row.extend_from_slice(piece);
            self.judge(&row)?;
            row.clear();
            self.row = row;
        }
        self.base += (held + end) as u64;
        self.splitter.restart();
        Ok(rest)
    }

    fn read_end(&mut self) -> Result<(), Fault> {
        self.settle_mark()?;
        if !self.row.is_empty() {
            let row = std::mem::take(&mut self.row);
            let end = self.base + row.len() as u64;
            self.splitter.end(row.len()).map_err(|cause| cause.at(end))?;
            self.judge(&row)?;
            self.base = end;
        }
        match &self.header {
            None => Err(Cause::NoHeader.at(self.base)),
            Some(Header { columns, .. }) => {
                self.judge.report.root_withheld = columns.is_none();
                Ok(())
            }
        }
    }

    /// Judges a row that was split.
    fn judge(&mut self, row: &[u8]) -> Result<(), Fault> {
        let text = simdutf8::compat::from_utf8(row)
            .map_err(|error| Cause::InvalidUtf8.at(self.base + error.valid_up_to() as u64))?;
        let Self { judge, header, splitter, output, .. } = self;
        let row = Row { text, start: 0, end: text.len(), ends: splitter.ends() };
        let outcome = match header {
            None => judge.read_header(&row, self.has_mark, output).map(|read| {
                let excess = Cause::CellCount { columns: read.cells };
                *splitter = Splitter::new(judge.separator, read.cells, excess);
                *header = Some(read);
            }),
            Some(Header { cells, .. }) if row.count() != *cells => {
                Err(Cause::CellCount { columns: *cells })
            }
            Some(Header { columns: None, .. }) => Ok(()),
            Some(Header { columns: Some(columns), .. }) => {
                let mut line = Line::of(text, output);
                let outcome = judge.judge(&row, columns, &mut line);
                line.flush();
                outcome
            }
        };
        outcome.map_err(|cause| cause.at(self.base))
    }
}
