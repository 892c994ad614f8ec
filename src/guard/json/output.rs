//! What of the input goes out. Knows bytes and places, not what they mean.
//!
//! The bytes between two values (comma, name, colon, white space) are undecided until the next value
//! is judged: they lie in the chunk from `mark` on, and in `held` if they began in an earlier chunk.

use bytes::{Bytes, BytesMut};

use super::rope::Rope;
use super::scan::gap_end;

/// The white space behind a bracket: it stands before whatever leaves first, or a blank behind a comma would tell
/// that something else stood there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lead {
    /// Where it stands among those of all brackets that are open.
    start: u32,
    end: u32,
    /// How long it is; more than may go out is left out.
    length: u32,
}

impl Lead {
    /// That of a bracket inside of this one.
    pub(super) fn inside(self) -> Self {
        Self { start: self.end, end: self.end, length: 0 }
    }

    fn place(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The output of a filter.
#[derive(Debug)]
pub(super) struct Output {
    rope: Rope,
    chunk: Bytes,
    /// The stretch of the chunk that goes out next; grows while what passes is contiguous.
    run_start: usize,
    run_end: usize,
    held: Vec<u8>,
    mark: usize,
    /// The length of the white space that is being read, if it began in an earlier chunk.
    gap: u64,
    /// Where in `held` that white space began.
    gap_held: usize,
    gap_cap: u64,
    /// What [`Lead`]s point to.
    leads: Vec<u8>,
}

impl Output {
    /// An empty output that drops white space longer than `gap_cap` bytes.
    pub(super) fn new(gap_cap: usize) -> Self {
        Self {
            rope: Rope::default(),
            chunk: Bytes::new(),
            run_start: 0,
            run_end: 0,
            held: Vec::new(),
            mark: 0,
            gap: 0,
            gap_held: 0,
            gap_cap: gap_cap as u64,
            leads: Vec::new(),
        }
    }

    /// Starts on a chunk at `pos`.
    pub(super) fn begin(&mut self, chunk: Bytes, pos: usize) {
        self.flush();
        self.chunk = chunk;
        (self.run_start, self.run_end, self.mark) = (pos, pos, pos);
    }

    /// Ends the chunk at `end`, where it stops being text. What is undecided there is held if it may still
    /// go out.
    pub(super) fn end_at(&mut self, end: usize, is_undecided: bool) {
        self.pause(end, is_undecided);
        self.chunk = Bytes::new();
        (self.run_start, self.run_end, self.mark) = (0, 0, 0);
    }

    /// Does as if the chunk ended at `end` and another one began.
    pub(super) fn pause(&mut self, end: usize, is_undecided: bool) {
        self.flush();
        if is_undecided {
            self.held.extend_from_slice(self.chunk.get(self.mark..end).unwrap_or_default());
        } else {
            self.held.clear();
        }
        (self.run_start, self.run_end, self.mark) = (end, end, end);
    }

    /// Lets a stretch of the chunk out.
    #[inline]
    pub(super) fn keep(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        if from != self.run_end {
            self.flush();
            self.run_start = from;
        }
        self.run_end = to;
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        if self.run_start < self.run_end {
            self.rope.append(&self.chunk, self.run_start, self.run_end);
        }
        self.run_start = self.run_end;
    }

    /// Lets bytes out that do not stand in the input.
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        self.flush();
        self.rope.copy(bytes);
    }

    /// Where bytes are let out that do not stand in the input, with room for so many.
    #[inline]
    pub(super) fn insertion(&mut self, bytes: usize) -> &mut BytesMut {
        self.flush();
        self.rope.end(bytes)
    }

    /// Lets the undecided bytes up to `to` out.
    #[inline]
    pub(super) fn release_undecided(&mut self, to: usize) {
        if !self.held.is_empty() {
            self.flush();
            self.rope.copy(&self.held);
            self.held.clear();
        }
        self.keep(self.mark, to);
        self.mark = to;
    }

    /// The same for what leaves first though it stands behind a comma: without that, and with the white space that
    /// leads instead of that behind the comma.
    pub(super) fn release_first(&mut self, to: usize, lead: Lead) {
        let lead = self.leads.get(lead.place()).unwrap_or_default();
        let undecided = self.chunk.get(self.mark..to).unwrap_or_default();
        let first = self.held.first().or(undecided.first());
        if first != Some(&b',') {
            // The record is read again: its comma is gone already.
            return self.release_undecided(to);
        }
        if self.held.is_empty() {
            let behind = gap_end(undecided, 1);
            if undecided.get(1..behind) == Some(lead) {
                self.mark += 1;
            } else {
                self.mark += behind;
                let lead = lead.to_vec();
                self.insert(&lead);
            }
        } else {
            let behind = gap_end(&self.held, 1);
            if behind == self.held.len() {
                self.mark += gap_end(undecided, 0);
            }
            self.held.splice(..behind, lead.iter().copied());
        }
        self.release_undecided(to);
    }

    /// More of the white space behind a bracket.
    #[cold]
    pub(super) fn lead(&mut self, lead: &mut Lead, space: &[u8]) {
        self.leads.truncate(lead.end as usize);
        lead.length = lead.length.saturating_add(u32::try_from(space.len()).unwrap_or(u32::MAX));
        if u64::from(lead.length) > self.gap_cap {
            self.leads.truncate(lead.start as usize);
        } else {
            self.leads.extend_from_slice(space);
        }
        lead.end = u32::try_from(self.leads.len()).unwrap_or(u32::MAX);
    }

    /// Forgets the undecided bytes; new ones start at `pos`.
    #[inline]
    pub(super) fn restart(&mut self, pos: usize) {
        self.held.clear();
        self.mark = pos;
    }

    /// Like [`restart`](Self::restart), behind the end of a line: no white space goes on over it.
    pub(super) fn restart_line(&mut self, pos: usize) {
        self.gap = 0;
        self.restart(pos);
    }

    /// Like [`restart`](Self::restart), if there is a place.
    #[inline]
    pub(super) fn restart_at(&mut self, pos: Option<usize>) {
        if let Some(pos) = pos {
            self.restart(pos);
        }
    }

    /// Whether a token starts at `pos`, with no white space before it that is still to be looked at.
    #[inline]
    pub(super) fn is_token(&self, input: &[u8], pos: usize) -> bool {
        self.gap == 0 && input.get(pos).is_some_and(|byte| *byte > b' ')
    }

    /// Skips white space from `pos` on; what is longer than the cap is taken out of the undecided bytes.
    pub(super) fn gap(&mut self, input: &[u8], pos: usize) -> usize {
        let end = gap_end(input, pos);
        let length = (end - pos) as u64;
        if self.gap == 0 {
            if length <= self.gap_cap && end < input.len() {
                return end;
            }
            self.gap_held = self.held.len() + pos.saturating_sub(self.mark);
            if length > self.gap_cap {
                self.held.extend_from_slice(input.get(self.mark..pos).unwrap_or_default());
                self.mark = end;
            }
        } else if self.gap + length > self.gap_cap {
            self.held.truncate(self.gap_held);
            self.mark = end;
        }
        self.gap = if end < input.len() { 0 } else { self.gap.saturating_add(length) };
        end
    }

    /// How many bytes were let out so far.
    #[inline]
    pub(super) fn length(&self) -> u64 {
        self.rope.length() + (self.run_end - self.run_start) as u64
    }

    /// Takes back everything behind the first `length` bytes.
    pub(super) fn truncate(&mut self, length: u64) {
        if length >= self.rope.length() {
            let run = usize::try_from(length - self.rope.length()).unwrap_or(usize::MAX);
            self.run_end = self.run_end.min(self.run_start.saturating_add(run));
        } else {
            self.run_end = self.run_start;
            self.rope.truncate(length);
        }
    }

    /// Takes what lies before the offset `upto` of the output.
    pub(super) fn take(&mut self, upto: u64) -> Vec<Bytes> {
        self.rope.take(upto)
    }

    /// Drops everything that was not taken.
    pub(super) fn clear(&mut self) {
        self.chunk = Bytes::new();
        (self.run_start, self.run_end, self.mark) = (0, 0, 0);
        self.held.clear();
        self.leads.clear();
        self.rope.clear();
    }
}
