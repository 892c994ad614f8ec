//! What a row means: the first one names the columns; of each other it is judged whether it goes out,
//! and written what may.

use std::sync::Arc;

use super::columns::{Columns, has_duplicate, passes};
use super::fault::Cause;
use super::row::{Cell, Separator, Splitter};
use super::{Filter, Header, MARK};
use crate::guard::detect::{self, Fate as Found, examine};
use crate::guard::json::report::{Event, Fate};
use crate::guard::json::{Hooks, Outgoing, Report, Span, Take};
use crate::guard::mask::{WHOLLY_MASKED, mask_into};
use crate::policy::plan::{Node, NodeId, Plan, RecordPlan, Slot, Verdict};
use crate::policy::value::Value;

const CRLF: &[u8] = b"\r\n";

impl<H: Hooks> Filter<H> {
    /// Reads the first row, and lets out of it the columns of which anything may pass.
    pub(super) fn read_header(&mut self, row: &str) -> Result<Header, Cause> {
        let cells = self.splitter.cells();
        let cap = self.caps.key_bytes;
        if cells.iter().any(|cell| cell.inside(row).len() > cap) {
            return Err(Cause::NameTooLong { cap });
        }
        let names: Vec<String> = cells.iter().map(|cell| cell.text(row).into_owned()).collect();
        if has_duplicate(&names) {
            return Err(Cause::DuplicateColumn);
        }
        let columns = Columns::of(&self.plan, &names, &mut self.report);
        if names.iter().all(String::is_empty)
            || columns.as_ref().is_some_and(|columns| columns.listed.is_empty())
        {
            return Err(Cause::NoHeader);
        }
        let count = cells.len();
        if let Some(columns) = columns.as_ref().filter(|columns| columns.shown() > 0) {
            if self.has_mark {
                self.output.extend_from_slice(MARK);
            }
            let separator = self.separator;
            let shown = columns.shown() + usize::from(self.watermark.is_some());
            let mut line = Line::of(&mut self.output, separator, shown);
            for column in columns.listed.iter().filter(|column| column.is_shown) {
                let Some(cell) = cells.get(column.place) else { continue };
                line.cell(|out| cell.write(row, separator, out));
            }
            if let Some(mark) = &self.watermark {
                line.cell(|out| out.extend_from_slice(mark.name.as_bytes()));
            }
            self.output.extend_from_slice(row_end(row, cells));
        }
        if row_end(row, cells) == CRLF {
            self.row_end = CRLF;
        }
        let most = Cause::CellCount { columns: count };
        self.splitter = Splitter::new(self.separator, count, most);
        Ok(Header::Read { cells: count, columns })
    }

    /// Judges a row after the first one, as the JSON filter judges an outermost record.
    pub(super) fn judge_record(
        &mut self,
        row: &str,
        columns: usize,
        known: Option<&Columns>,
    ) -> Result<(), Cause> {
        if self.splitter.cells().len() != columns {
            return Err(Cause::CellCount { columns });
        }
        let Some(known) = known else { return Ok(()) };
        let plan = Arc::clone(&self.plan);
        let Some(record) = plan.record(known.record) else { return Ok(()) };
        self.capture(row, known, record)?;
        let case = match record.cases.len() {
            0 | 1 => 0,
            _ => self.hooks.case(known.record, &self.captures),
        };
        let node = record.cases.get(case).copied().flatten();
        let treatment = node.and_then(|node| Some((node, known.treatment(node)?)));
        let shown = treatment.filter(|(_, slots)| slots.iter().any(passes));
        let Some((node, slots)) = shown else {
            let is_suppressed = record.is_suppressed(case);
            self.report.count(if is_suppressed { Event::Suppressed } else { Event::Withheld });
            return Ok(());
        };
        let Some(outgoing) = self.outgoing(node, known, record) else {
            self.report.count(Event::WithoutSubject);
            return Ok(());
        };
        if self.report.limited || self.hooks.take(&outgoing) == Take::HoldBack {
            self.report.limited = true;
            self.report.records_held_back += 1;
            return Ok(());
        }
        self.report.records_released += 1;
        let rank = self.hooks.rank(&outgoing);
        let before = self.length();
        self.write(row, known, slots)?;
        let end = self.length().saturating_sub(self.row_end.len() as u64);
        self.spans.extend(rank.map(|rank| Span { start: before, end, rank, list: 0 }));
        Ok(())
    }

    /// How many bytes were let out so far.
    fn length(&self) -> u64 {
        self.report.bytes_out + self.output.len() as u64
    }

    /// Notes what the conditions read. A cell has no type: it is a text, and an empty one is missing.
    fn capture(&mut self, row: &str, known: &Columns, record: &RecordPlan) -> Result<(), Cause> {
        self.captures.clear();
        self.captures.resize(usize::from(record.captures), None);
        for (place, capture) in &known.captures {
            let Some(cell) = self.splitter.cells().get(*place) else { continue };
            let Some(captured) = self.captures.get_mut(usize::from(*capture)) else { continue };
            check_cap(cell, row, self.caps.value_bytes)?;
            *captured = (!cell.is_empty()).then(|| Value::Text(cell.text(row).into_owned()));
        }
        Ok(())
    }

    /// The record as it is counted; `None` if it lacks its subject.
    fn outgoing(&mut self, node: NodeId, known: &Columns, record: &RecordPlan) -> Option<Outgoing> {
        let subject = match record.subject {
            None => Value::Null,
            Some(slot) => self.captures.get_mut(usize::from(slot))?.take()?,
        };
        let unmasks = matches!(self.plan.node(node), Some(Node::Object(object)) if object.unmasks);
        Some(Outgoing { record: known.record, subject, is_outermost: true, unmasks })
    }

    /// Writes a row that goes out.
    fn write(&mut self, row: &str, known: &Columns, slots: &[Slot]) -> Result<(), Cause> {
        let separator = self.separator;
        let row_end = self.row_end;
        let Self { plan, caps, hooks, report, splitter, watermark, replacement, output, .. } = self;
        let cells = splitter.cells();
        let shown = known.shown() + usize::from(watermark.is_some());
        let mut line = Line::of(output, separator, shown);
        for (column, slot) in known.listed.iter().zip(slots) {
            let Some(cell) = cells.get(column.place) else { continue };
            let found = searched(plan, slot, cell, row, caps.value_bytes)?;
            note(report, slot, found.as_ref());
            if !column.is_shown {
                continue;
            }
            match slot.verdict {
                Verdict::Absent | Verdict::Enter(_) => line.cell(|_| {}),
                Verdict::Clear => match found.map(|found| found.fate) {
                    None | Some(Found::Passes) => {
                        line.cell(|out| cell.write(row, separator, out));
                    }
                    Some(Found::Masked(masked)) => {
                        line.cell(|out| cell.write_instead(&masked, separator, out));
                    }
                    Some(Found::Withheld | Found::Refused(_)) => line.cell(|_| {}),
                },
                // As `null` stays `null`: that there is no value is told.
                Verdict::Mask | Verdict::Pseudonym if cell.is_empty() => {
                    line.cell(|out| cell.write(row, separator, out));
                }
                Verdict::Mask | Verdict::Pseudonym => {
                    check_cap(cell, row, caps.value_bytes)?;
                    let text = cell.text(row);
                    replacement.clear();
                    match (slot.verdict, slot.mask) {
                        (Verdict::Pseudonym, _) => {
                            let field = slot.field.and_then(|field| plan.field(field));
                            *replacement = hooks.pseudonym(field.unwrap_or_default(), &text);
                        }
                        (_, Some(mask)) => mask_into(mask, &text, replacement),
                        (_, None) => replacement.push_str(WHOLLY_MASKED),
                    }
                    line.cell(|out| cell.write_instead(replacement, separator, out));
                }
            }
        }
        if let Some(mark) = watermark {
            line.cell(|out| out.extend_from_slice(mark.value.as_bytes()));
        }
        output.extend_from_slice(row_end);
        Ok(())
    }
}

/// A row on its way out.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    separator: Separator,
    is_first: bool,
    is_only: bool,
}

impl<'o> Line<'o> {
    fn of(out: &'o mut Vec<u8>, separator: Separator, columns: usize) -> Self {
        Self { out, separator, is_first: true, is_only: columns == 1 }
    }

    fn cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(self.separator.byte());
        }
        let before = self.out.len();
        write(self.out);
        // Readers skip a row that is an empty line. Between tabs nothing can be written instead.
        let is_empty = self.is_only && self.out.len() == before;
        if is_empty && self.separator == Separator::Comma {
            self.out.extend_from_slice(b"\"\"");
        }
    }
}

/// How the row ends: LF, CR LF, or with the body.
fn row_end<'r>(row: &'r str, cells: &[Cell]) -> &'r [u8] {
    let end = cells.last().map_or(0, |cell| cell.end);
    row.as_bytes().get(end..).unwrap_or_default()
}

fn check_cap(cell: &Cell, row: &str, cap: usize) -> Result<(), Cause> {
    if cell.inside(row).len() > cap { Err(Cause::ValueTooLong { cap }) } else { Ok(()) }
}

/// What was found in a cell that passes in clear and is looked through.
fn searched(
    plan: &Plan,
    slot: &Slot,
    cell: &Cell,
    row: &str,
    cap: usize,
) -> Result<Option<detect::Found>, Cause> {
    let sought = slot.detect.filter(|_| slot.verdict == Verdict::Clear);
    let Some(detection) = sought.and_then(|id| plan.detection(id)) else { return Ok(None) };
    check_cap(cell, row, cap)?;
    Ok(examine(detection, &cell.text(row)))
}

/// Counts what happens to a cell, and what was found in it.
fn note(report: &mut Report, slot: &Slot, found: Option<&detect::Found>) {
    if let Some(field) = slot.field {
        report.count(Event::Field(field, fate(slot, found)));
    }
    if let (Some(found), Some(place)) = (found, slot.detect) {
        found.kinds.iter().for_each(|kind| report.count(Event::Detected(place, *kind)));
    }
}

fn fate(slot: &Slot, found: Option<&detect::Found>) -> Fate {
    match slot.verdict {
        Verdict::Clear => match found.map(|found| &found.fate) {
            None | Some(Found::Passes) => Fate::Clear,
            Some(Found::Masked(_)) => Fate::Masked,
            Some(Found::Withheld | Found::Refused(_)) => Fate::Withheld,
        },
        Verdict::Mask => Fate::Masked,
        Verdict::Pseudonym => Fate::Pseudonym,
        Verdict::Absent | Verdict::Enter(_) => Fate::Withheld,
    }
}
