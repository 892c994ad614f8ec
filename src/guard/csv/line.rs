//! Rows on their way out: stretches of the input that lie side by side are copied together.

use std::ops::Range;

/// What goes out of a text.
pub(super) struct Line<'o, 't> {
    text: &'t [u8],
    /// The stretch of the text that goes out next; grows while what passes is contiguous.
    run: Range<usize>,
    out: &'o mut Vec<u8>,
}

impl<'o, 't> Line<'o, 't> {
    pub(super) fn of(text: &'t str, out: &'o mut Vec<u8>) -> Self {
        Self { text: text.as_bytes(), run: 0..0, out }
    }

    /// Lets a stretch of the text out.
    #[inline]
    pub(super) fn keep(&mut self, from: usize, to: usize) {
        if from != self.run.end {
            self.flush();
            self.run.start = from;
        }
        self.run.end = to;
    }

    /// Lets bytes out that do not stand in the text.
    #[inline]
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        self.out().extend_from_slice(bytes);
    }

    /// Where bytes that do not stand in the text are written.
    #[inline]
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.flush();
        self.out
    }

    /// The length of the output.
    pub(super) fn length(&self) -> usize {
        self.out.len() + self.run.len()
    }

    #[inline]
    pub(super) fn flush(&mut self) {
        if self.run.start < self.run.end {
            self.out.extend_from_slice(self.text.get(self.run.clone()).unwrap_or_default());
            self.run.start = self.run.end;
        }
    }
}
