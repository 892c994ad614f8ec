//! How rows are written: what the header and each record that goes out become.

use std::iter::{once, repeat};

use super::cell::{Cell, may_be_formula};
use super::columns::Columns;
use super::fault::Cause;
use super::line::Line;
use super::record::{Judge, check_cap};
use super::row::{Row, Separator};
use super::treatment::{How, Step};
use crate::guard::detect::{Fate as Found, examine};
use crate::guard::json::Hooks;
use crate::guard::json::report::{Event, Fate};
use crate::guard::mask::{WHOLLY_MASKED, common_form_into, mask_into};
use crate::policy::kind::Mask;
use crate::policy::plan::{DetectId, FieldId};

impl<H: Hooks> Judge<H> {
    /// Writes the header of the columns that are shown.
    pub(super) fn write_header(&self, row: &Row<'_>, columns: &Columns, output: &mut Vec<u8>) {
        let mut line = Line::of(row.text, output);
        let shown = columns.listed.iter().filter(|column| column.is_shown);
        for (column, is_first) in shown.zip(once(true).chain(repeat(false))) {
            separate(row, column.place, is_first, &mut line);
            self.pass(row, column.place, &mut line);
        }
        self.end_line(self.watermark.as_ref().map(|mark| &*mark.name), 0, &mut line);
        line.insert(row.line_end());
        line.flush();
    }

    /// Writes a row that goes out.
    pub(super) fn write(
        &mut self,
        row: &Row<'_>,
        steps: &[Step],
        line: &mut Line<'_, '_>,
    ) -> Result<(), Cause> {
        let before = line.length();
        let mut is_first = true;
        for Step { place, how } in steps {
            separate(row, *place, is_first, line);
            is_first = false;
            match *how {
                How::Pass(to) if row.are_plainly_no_formulas(*place, to) => {
                    line.keep(row.cell_start(*place), row.cell_end(to - 1));
                }
                How::Pass(to) => {
                    self.pass(row, *place, line);
                    for place in *place + 1..to {
                        separate(row, place, false, line);
                        self.pass(row, place, line);
                    }
                }
                How::Search(detection, field) => {
                    self.search(row, *place, (detection, field), line)?;
                }
                How::Mask(_) | How::Pseudonym(_) => self.replace(row.cell(*place), *how, line)?,
                How::Blank => {}
            }
        }
        self.end_line(self.watermark.as_ref().map(|mark| &*mark.value), before, line);
        if row.line_end() == self.row_end {
            line.keep(row.line_end_start(), row.end);
        } else {
            line.insert(self.row_end);
        }
        Ok(())
    }

    /// Lets a cell out as it came, unless a spreadsheet would take it for a formula.
    fn pass(&self, row: &Row<'_>, place: usize, line: &mut Line<'_, '_>) {
        let cell = row.cell(place);
        if cell.is_formula() {
            cell.write_marked(self.separator, line.out());
        } else {
            line.keep(row.cell_start(place), row.cell_end(place));
        }
    }

    /// Lets a cell out if nothing is found in it.
    fn search(
        &mut self,
        row: &Row<'_>,
        place: usize,
        (detection, field): (DetectId, Option<FieldId>),
        line: &mut Line<'_, '_>,
    ) -> Result<(), Cause> {
        let cell = row.cell(place);
        check_cap(cell, self.caps.value_bytes)?;
        let sought = self.plan.detection(detection);
        let found = sought.and_then(|sought| examine(sought, &cell.text()));
        for kind in found.iter().flat_map(|found| &found.kinds) {
            self.report.count(Event::Detected(detection, *kind));
        }
        let fate = match found.map_or(Found::Passes, |found| found.fate) {
            Found::Passes => {
                self.pass(row, place, line);
                Fate::Clear
            }
            Found::Masked(masked) => {
                cell.write_instead(&masked, self.separator, line.out());
                Fate::Masked
            }
            Found::Withheld | Found::Refused(_) => Fate::Withheld,
        };
        if let Some(field) = field {
            self.report.count(Event::Field(field, fate));
        }
        Ok(())
    }

    /// Writes a masked form or a pseudonym in place of a cell.
    fn replace(&mut self, cell: Cell<'_>, how: How, line: &mut Line<'_, '_>) -> Result<(), Cause> {
        if cell.is_empty() {
            // As `null` stays `null`: that there is no value is told.
            line.insert(cell.raw.as_bytes());
            return Ok(());
        }
        check_cap(cell, self.caps.value_bytes)?;
        self.replacement.clear();
        match how {
            How::Mask(Some(mask)) if write_common_form(mask, cell, line.out()) => return Ok(()),
            How::Mask(Some(mask)) => mask_into(mask, &cell.text(), &mut self.replacement),
            How::Pseudonym(field) => {
                let field = field.and_then(|field| self.plan.field(field));
                self.replacement = self.hooks.pseudonym(field.unwrap_or_default(), &cell.text());
            }
            How::Mask(None) | How::Pass(_) | How::Search(..) | How::Blank => {
                self.replacement.push_str(WHOLLY_MASKED);
            }
        }
        cell.write_instead(&self.replacement, self.separator, line.out());
        Ok(())
    }

    /// Ends the cells of a row that began when the output was `before` bytes long.
    fn end_line(&self, mark: Option<&str>, before: usize, line: &mut Line<'_, '_>) {
        if let Some(mark) = mark {
            line.insert(&[self.separator.byte()]);
            line.insert(mark.as_bytes());
        }
        // Readers skip a row that is an empty line. Between tabs nothing can be written instead.
        if self.has_one_column && self.separator == Separator::Comma && line.length() == before {
            line.insert(b"\"\"");
        }
    }
}

/// Writes the separator that stands before a cell in the row, unless the cell is the first that goes out.
#[inline]
fn separate(row: &Row<'_>, place: usize, is_first: bool, line: &mut Line<'_, '_>) {
    if !is_first {
        let start = row.cell_start(place);
        line.keep(start.saturating_sub(1), start);
    }
}

/// Writes a masked form that needs no more quotes than the cell has; `false`, and nothing written, if there is none.
fn write_common_form(mask: Mask, cell: Cell<'_>, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let quote: &[u8] = if cell.is_quoted() { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    let start = out.len();
    let is_common = common_form_into(mask, cell.inside().as_bytes(), out);
    if !is_common || out.get(start).is_none_or(|first| may_be_formula(*first)) {
        out.truncate(before);
        return false;
    }
    out.extend_from_slice(quote);
    true
}
