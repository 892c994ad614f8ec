//! The short way through rows that end in the chunk in which they start. Knows no fault: where anything may be
//! wrong it stops, and the splitter says what.

use super::fault::Fault;
use super::line::Line;
use super::row::Row;
use super::{Filter, Header};
use crate::guard::json::Hooks;

/// So much is looked at together: about a chunk, and little enough that it stays in the processor's nearest memory.
/// Little in tests, so that the edges of windows fall everywhere.
const WINDOW_BYTES: usize = if cfg!(any(test, fuzzing)) { 192 } else { 16 * 1024 };

impl<H: Hooks> Filter<H> {
    /// Reads rows from the beginning of the input on, as long as they are whole; gives what stands behind them.
    pub(super) fn quick_rows<'c>(&mut self, mut input: &'c [u8]) -> Result<&'c [u8], Fault> {
        while self.row.is_empty() && self.header.is_some() {
            let window = input.get(..WINDOW_BYTES).unwrap_or(input);
            let read = self.read_window(window)?;
            let is_seen = window.len() == input.len() && !self.index.is_full();
            input = input.get(read..).unwrap_or_default();
            if read == 0 || is_seen {
                break;
            }
        }
        Ok(input)
    }

    /// Reads the rows that end in the window; gives their length.
    fn read_window(&mut self, window: &[u8]) -> Result<usize, Fault> {
        let Self { judge, header, index, output, .. } = self;
        let Some(Header { cells, columns }) = header else { return Ok(0) };
        index.read(window, judge.separator);
        let end = index.rows().last().map_or(0, |row| row.end);
        let text = text(window.get(..end).unwrap_or_default());
        let mut line = Line::of(text, output);
        let (mut start, mut ends) = (0, index.ends());
        let mut seen = 0;
        let mut outcome = Ok(());
        for row in index.rows() {
            let Some((own, others)) = ends.split_at_checked(row.cells - seen) else { break };
            if own.len() != *cells || row.end - start > self.row_cap || row.end > text.len() {
                break;
            }
            if let Some(columns) = columns {
                let row = Row { text, start, end: row.end, ends: own };
                outcome = judge.judge(&row, columns, &mut line);
                if outcome.is_err() {
                    break;
                }
            }
            (start, ends, seen) = (row.end, others, row.cells);
        }
        line.flush();
        outcome.map_err(|cause| cause.at(self.base + start as u64))?;
        self.base += start as u64;
        Ok(start)
    }
}

/// What of the bytes is text, from their beginning on.
fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes)
        .unwrap_or_else(|_| bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()))
}
