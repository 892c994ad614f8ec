//! What a row means: the first one names the columns; of each other it is judged whether it goes out.

use std::sync::Arc;

use super::cell::Cell;
use super::columns::{Columns, Subject, has_duplicate};
use super::fault::Cause;
use super::line::Line;
use super::row::{Row, Separator};
use super::treatment::Treatment;
use super::{Header, MARK};
use crate::guard::json::report::Event;
use crate::guard::json::{Caps, Hooks, Outgoing, Report, Span, Take, Watermark};
use crate::policy::plan::{Plan, RecordId};
use crate::policy::value::Value;

const CRLF: &[u8] = b"\r\n";

/// Judges records, and writes of them what may go out.
pub(super) struct Judge<H> {
    pub(super) plan: Arc<Plan>,
    pub(super) caps: Caps,
    pub(super) hooks: H,
    pub(super) report: Report,
    pub(super) separator: Separator,
    /// How rows end: as the header does. Whether the last one was left out must not show at the end before it.
    pub(super) row_end: &'static [u8],
    /// What the conditions read; texts keep their memory from row to row.
    captures: Vec<Option<Value>>,
    /// The record that is judged; so does its subject.
    outgoing: Outgoing,
    /// The last column, which the backend did not send.
    pub(super) watermark: Option<Watermark>,
    /// Whether a row that goes out has only one cell.
    pub(super) has_one_column: bool,
    /// Records that have a rank, since they were last taken.
    pub(super) spans: Vec<Span>,
    /// A masked form or a pseudonym.
    pub(super) replacement: String,
}

impl<H: Hooks> Judge<H> {
    pub(super) fn new(separator: Separator, plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        Self {
            caps,
            report: Report::of(plan.fields.len()),
            separator,
            row_end: b"\n",
            captures: Vec::new(),
            outgoing: Outgoing {
                record: RecordId(0),
                subject: Value::Null,
                is_outermost: true,
                unmasks: false,
            },
            watermark: hooks.watermark(),
            has_one_column: false,
            spans: Vec::new(),
            hooks,
            replacement: String::new(),
            plan,
        }
    }

    /// Reads the first row, and lets out of it the columns of which anything may pass.
    pub(super) fn read_header(
        &mut self,
        row: &Row<'_>,
        has_mark: bool,
        output: &mut Vec<u8>,
    ) -> Result<Header, Cause> {
        let cap = self.caps.key_bytes;
        if row.cells().any(|cell| cell.inside().len() > cap) {
            return Err(Cause::NameTooLong { cap });
        }
        let names: Vec<String> = row.cells().map(|cell| cell.text().into_owned()).collect();
        if has_duplicate(&names) {
            return Err(Cause::DuplicateColumn);
        }
        let columns = Columns::of(&self.plan, &names, &mut self.report);
        if names.iter().all(String::is_empty)
            || columns.as_ref().is_some_and(|columns| columns.listed.is_empty())
        {
            return Err(Cause::NoHeader);
        }
        if row.line_end() == CRLF {
            self.row_end = CRLF;
        }
        if let Some(columns) = &columns {
            let captures = self.plan.record(columns.record).map_or(0, |record| record.captures);
            self.captures.resize(usize::from(captures), None);
            self.has_one_column = columns.shown() + usize::from(self.watermark.is_some()) == 1;
            if columns.shown() > 0 {
                output.extend_from_slice(if has_mark { MARK } else { b"" });
                self.write_header(row, columns, output);
            }
        }
        Ok(Header { cells: row.count(), columns })
    }

    /// Judges a row after the first one, as the JSON filter judges an outermost record.
    pub(super) fn judge(
        &mut self,
        row: &Row<'_>,
        columns: &mut Columns,
        line: &mut Line<'_, '_>,
    ) -> Result<(), Cause> {
        self.check_captures(row, columns)?;
        let case = if columns.cases() > 1 {
            self.capture(row, columns);
            self.hooks.case(columns.record, &self.captures)
        } else {
            0
        };
        let (record, subject) = (columns.record, columns.subject);
        let Some(treatment) = columns.treatment(case) else {
            let plan = self.plan.record(record);
            let is_suppressed = plan.is_some_and(|plan| plan.is_suppressed(case));
            self.report.count(if is_suppressed { Event::Suppressed } else { Event::Withheld });
            return Ok(());
        };
        if !self.name_subject(row, subject) {
            self.report.count(Event::WithoutSubject);
            return Ok(());
        }
        self.outgoing.record = record;
        self.outgoing.unmasks = treatment.unmasks;
        self.release(row, treatment, line)
    }

    /// Notes whom the record is about; `false` if it must say so and does not.
    fn name_subject(&mut self, row: &Row<'_>, subject: Subject) -> bool {
        match subject {
            Subject::None => {
                self.outgoing.subject = Value::Null;
                true
            }
            Subject::Missing => false,
            Subject::At(place) => {
                let cell = row.cell(place);
                refill(&mut self.outgoing.subject, cell);
                !cell.is_empty()
            }
        }
    }

    /// Lets a record out, unless a limit holds it back.
    fn release(
        &mut self,
        row: &Row<'_>,
        treatment: &mut Treatment,
        line: &mut Line<'_, '_>,
    ) -> Result<(), Cause> {
        if self.report.limited || self.hooks.take(&self.outgoing) == Take::HoldBack {
            self.report.limited = true;
            self.report.records_held_back += 1;
            return Ok(());
        }
        self.report.records_released += 1;
        let rank = self.hooks.rank(&self.outgoing);
        let start = self.report.bytes_out + line.length() as u64;
        self.write(row, &treatment.steps, line)?;
        treatment.rows += 1;
        if let Some(rank) = rank {
            let end = self.report.bytes_out + (line.length() - self.row_end.len()) as u64;
            self.spans.push(Span { start, end, rank, list: 0 });
        }
        Ok(())
    }

    /// Drops what it holds of the body.
    pub(super) fn forget(&mut self) {
        self.captures = Vec::new();
        self.outgoing.subject = Value::Null;
        self.replacement = String::new();
    }

    fn check_captures(&self, row: &Row<'_>, columns: &Columns) -> Result<(), Cause> {
        let mut cells = columns.captures.iter().map(|(place, _)| row.cell(*place));
        cells.try_for_each(|cell| check_cap(cell, self.caps.value_bytes))
    }

    /// Notes what the conditions read. A cell has no type: it is a text, and an empty one is missing.
    fn capture(&mut self, row: &Row<'_>, columns: &Columns) {
        for (place, slot) in &columns.captures {
            let cell = row.cell(*place);
            let Some(captured) = self.captures.get_mut(usize::from(*slot)) else { continue };
            if cell.is_empty() {
                *captured = None;
            } else {
                refill(captured.get_or_insert(Value::Null), cell);
            }
        }
    }
}

/// Notes the text of a cell where that of an earlier row stood, whose memory it takes.
fn refill(value: &mut Value, cell: Cell<'_>) {
    if let Value::Text(text) = value {
        text.clear();
        text.push_str(&cell.text());
    } else {
        *value = Value::Text(cell.text().into_owned());
    }
}

/// Refuses a cell that is too long to be looked at.
pub(super) fn check_cap(cell: Cell<'_>, cap: usize) -> Result<(), Cause> {
    if cell.inside().len() > cap { Err(Cause::ValueTooLong { cap }) } else { Ok(()) }
}
