//! What is known of a chunk before the filter comes to it: that it is text, and where its special bytes stand.

use std::cell::Cell;

use super::index::Index;
use super::utf8::{Stop, Utf8};

thread_local! {
    static KEPT: Cell<Index> = const { Cell::new(Index::new()) };
}

/// A look at what comes next in a chunk.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    utf8: Utf8,
    pub(super) index: Index,
}

impl Ahead {
    /// Takes the memory of this thread. What is known of a chunk is of no use behind it, so that a filter
    /// that waits for its next chunk needs none.
    pub(super) fn lent() -> Self {
        Self { utf8: Utf8::default(), index: KEPT.take() }
    }

    /// Gives the memory back.
    pub(super) fn give_back(&mut self) {
        KEPT.set(std::mem::take(&mut self.index));
    }

    /// Starts on a chunk.
    pub(super) fn begin(&mut self) {
        self.utf8.begin();
        self.index.begin();
    }

    /// Where what is known ends, with the next window looked at if that is near to `pos`.
    #[inline]
    pub(super) fn end(&mut self, chunk: &[u8], pos: usize) -> usize {
        let end = self.utf8.end(chunk, pos);
        self.index.look(chunk, pos, end);
        end
    }

    /// Why the text ended before the chunk.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.utf8.stop()
    }
}
