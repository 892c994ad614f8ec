//! Bytes on their way out: long stretches by reference, short ones side by side in a buffer; the
//! end can be taken back.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Shorter stretches are copied; measured, copying 2 KiB costs about as much as one more piece to send.
const SLICE_BYTES: usize = 2048;
/// The first buffer is as large as most small answers, each further one twice as large as the one before.
const FIRST_BUFFER_BYTES: usize = 1024;
const LARGEST_BUFFER_BYTES: usize = 32 * 1024;

/// A queue of bytes whose end can be cut off again.
#[derive(Debug, Default)]
pub(super) struct Rope {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// How large the last buffer was.
    buffer_bytes: usize,
    /// How many bytes were appended and not cut off again, without those in `tail`.
    sealed: u64,
    /// How many bytes were taken from the front.
    taken: u64,
}

impl Rope {
    /// How many bytes were appended since the beginning and not cut off.
    #[inline]
    pub(super) fn length(&self) -> u64 {
        self.sealed + self.tail.len() as u64
    }

    /// Appends a stretch of `chunk`.
    pub(super) fn append(&mut self, chunk: &Bytes, from: usize, to: usize) {
        let Some(stretch) = chunk.get(from..to) else { return };
        if stretch.len() < SLICE_BYTES {
            self.copy(stretch);
            return;
        }
        self.seal();
        self.pieces.push_back(chunk.slice(from..to));
        self.sealed += stretch.len() as u64;
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.end(bytes.len()).extend_from_slice(bytes);
    }

    /// The end, with room for `bytes` more, to append to.
    #[inline]
    pub(super) fn end(&mut self, bytes: usize) -> &mut BytesMut {
        if self.tail.capacity() - self.tail.len() < bytes {
            self.make_room(bytes);
        }
        &mut self.tail
    }

    #[cold]
    fn make_room(&mut self, length: usize) {
        self.seal();
        let larger = (2 * self.buffer_bytes).clamp(FIRST_BUFFER_BYTES, LARGEST_BUFFER_BYTES);
        self.buffer_bytes = larger;
        // Takes the old memory again if all that was cut from it is gone by now.
        self.tail.reserve(larger.max(length));
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.sealed += self.tail.len() as u64;
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Cuts off everything behind the first `length` bytes. What was taken cannot be cut off.
    pub(super) fn truncate(&mut self, length: u64) {
        let mut excess = self.length().saturating_sub(length.max(self.taken));
        let kept = (self.tail.len() as u64).saturating_sub(excess);
        excess -= self.tail.len() as u64 - kept;
        self.tail.truncate(size(kept));
        while excess > 0 {
            let Some(mut last) = self.pieces.pop_back() else { return };
            let kept = (last.len() as u64).saturating_sub(excess);
            excess -= last.len() as u64 - kept;
            self.sealed -= last.len() as u64 - kept;
            last.truncate(size(kept));
            if !last.is_empty() {
                self.pieces.push_back(last);
            }
        }
    }

    /// Takes what lies before the offset `upto`, counted from the beginning.
    pub(super) fn take(&mut self, upto: u64) -> Vec<Bytes> {
        let mut room = upto.min(self.length()).saturating_sub(self.taken);
        self.taken += room;
        let mut taken = Vec::with_capacity(self.pieces.len() + 1);
        while room > 0 {
            let Some(mut piece) = self.pieces.pop_front() else { break };
            if piece.len() as u64 > room {
                self.pieces.push_front(piece.split_off(size(room)));
            }
            room -= piece.len() as u64;
            taken.push(piece);
        }
        if room > 0 {
            let piece = self.tail.split_to(size(room).min(self.tail.len()));
            self.sealed += piece.len() as u64;
            taken.push(piece.freeze());
        }
        taken
    }

    /// Drops everything that was not taken.
    pub(super) fn clear(&mut self) {
        self.truncate(self.taken);
    }
}

/// A length that is known to fit into memory.
fn size(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(pieces: Vec<Bytes>) -> Vec<u8> {
        pieces.concat()
    }

    #[test]
    fn what_was_taken_cannot_be_cut_off() {
        let mut rope = Rope::default();
        rope.copy(b"abcdef");
        assert_eq!(text(rope.take(4)), b"abcd");
        rope.truncate(1);
        assert_eq!(text(rope.take(u64::MAX)), b"");
        assert_eq!(rope.length(), 4);
    }

    proptest! {
        #[test]
        fn a_rope_behaves_like_a_vector(steps in prop::collection::vec((0..4_u8, 0..5000_usize), 0..60)) {
            let source = Bytes::from((0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
            let (mut rope, mut model, mut taken, mut got) = (Rope::default(), Vec::<u8>::new(), 0, Vec::<u8>::new());
            for (step, size) in steps {
                match step {
                    0 => { rope.append(&source, size, size * 2); model.extend(&source[size..size * 2]); }
                    1 => { rope.copy(&source[..size / 50]); model.extend(&source[..size / 50]); }
                    2 => {
                        let keep = model.len().saturating_sub(size).max(taken);
                        rope.truncate(keep as u64);
                        model.truncate(keep);
                    }
                    _ => { taken = (taken + size).min(model.len()); got.extend(text(rope.take(taken as u64))); }
                }
                prop_assert_eq!(rope.length(), model.len() as u64);
            }
            got.extend(text(rope.take(u64::MAX)));
            prop_assert!(got == model);
        }
    }
}
