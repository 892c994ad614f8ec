//! A row that was split into cells. What cells mean is not its matter.

use super::cell::{Cell, may_be_formula};

/// What stands between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// Commas; a cell may be quoted.
    Comma,
    /// Tabs; nothing is quoted, and a quote stands for itself, but not at the start of a cell, where some
    /// readers take it for one that quotes.
    Tab,
}

impl Separator {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Tab => b'\t',
        }
    }
}

/// A row, which may lie among others.
#[derive(Clone, Copy)]
pub(super) struct Row<'t> {
    /// What the row lies in; places are counted from its beginning.
    pub(super) text: &'t str,
    /// Where the row starts.
    pub(super) start: usize,
    /// The place behind its end of line.
    pub(super) end: usize,
    /// Where each cell ends: the place of a separator, and at last of the end of line. The next cell starts behind it.
    pub(super) ends: &'t [u32],
}

impl<'t> Row<'t> {
    /// How many cells it has.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Where the cell at this place among the others starts.
    #[inline]
    pub(super) fn cell_start(&self, place: usize) -> usize {
        let before = place.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(self.start, |end| *end as usize + 1)
    }

    /// Where the cell at this place among the others ends.
    #[inline]
    pub(super) fn cell_end(&self, place: usize) -> usize {
        self.ends.get(place).map_or(self.end, |end| *end as usize)
    }

    /// The cell at this place among the others; an empty one where there is none.
    #[inline]
    pub(super) fn cell(&self, place: usize) -> Cell<'t> {
        let raw = self.text.get(self.cell_start(place)..self.cell_end(place));
        Cell { raw: raw.unwrap_or_default() }
    }

    /// All cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell<'t>> + '_ {
        (0..self.count()).map(|place| self.cell(place))
    }

    /// Where the last cell ends.
    #[inline]
    pub(super) fn line_end_start(&self) -> usize {
        self.cell_end(self.count().saturating_sub(1))
    }

    /// How the row ends: LF, CR LF, or with the body.
    #[inline]
    pub(super) fn line_end(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.line_end_start()..self.end).unwrap_or_default()
    }

    /// Whether the first characters tell that none of the cells `from..to` is a formula.
    ///
    /// It asks all of them rather than stop at the first that could be one: there rarely is one.
    #[inline(never)]
    pub(super) fn are_plainly_no_formulas(&self, from: usize, to: usize) -> bool {
        let bytes = self.text.as_bytes();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let mut start = self.cell_start(from);
        let mut may_be = false;
        for end in self.ends.get(from..to).unwrap_or_default() {
            let end = *end as usize;
            let quote = usize::from(byte(start) == b'"');
            may_be |= may_be_formula(byte(start + quote)) & (start < end);
            start = end + 1;
        }
        !may_be
    }
}
