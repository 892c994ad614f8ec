//! The body of an export: every customer as one JSON array, streamed in memory that does not grow.
//!
//! Its chunks are cut where it hurts whoever filters them: small and odd at first, and whenever one
//! is near, between the bytes of a single character.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

use super::store::Store;

/// The most passes over the customers that one export makes.
pub(super) const MOST_PASSES: u32 = 1_000_000;

/// Sizes of the first chunks, over and over.
const SMALL: [usize; 7] = [1, 3, 7, 61, 509, 2, 4_093];
/// Sizes after [`SMALL_UNTIL`] bytes, as a server under load sends them.
const LARGE: [usize; 3] = [16_381, 32_749, 8_191];
const SMALL_UNTIL: u64 = 256 * 1024;
/// How far past its size a chunk may reach to end inside a character.
const REACH: usize = 48;

/// Streams the customers `passes` times over.
pub(super) struct Export {
    store: Arc<Store>,
    passes_left: u32,
    /// The record to write next, or none when the array is closed.
    next: Option<usize>,
    pending: BytesMut,
    chunks: usize,
    sent: u64,
}

impl Export {
    pub(super) fn new(store: Arc<Store>, passes: u32) -> Self {
        let passes_left = passes.clamp(1, MOST_PASSES);
        let pending = BytesMut::from("[");
        Self { store, passes_left, next: Some(0), pending, chunks: 0, sent: 0 }
    }

    fn next_chunk(&mut self) -> Option<Bytes> {
        let size = self.next_size();
        while self.pending.len() < size + REACH && self.write_record() {}
        if self.pending.is_empty() {
            return None;
        }
        let chunk = self.pending.split_to(cut(&self.pending, size)).freeze();
        self.chunks = self.chunks.wrapping_add(1);
        self.sent = self.sent.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        Some(chunk)
    }

    fn next_size(&self) -> usize {
        let sizes: &[usize] = if self.sent < SMALL_UNTIL { &SMALL } else { &LARGE };
        sizes.iter().cycle().nth(self.chunks % sizes.len()).copied().unwrap_or(1)
    }

    /// Appends the next record, or the end; false once there is nothing left to append.
    fn write_record(&mut self) -> bool {
        let Some(index) = self.next else { return false };
        if let Some(record) = self.store.compact(index) {
            let separator: &[u8] =
                if self.sent == 0 && self.pending.len() == 1 { b"\n" } else { b",\n" };
            self.pending.extend_from_slice(separator);
            self.pending.extend_from_slice(&record);
            self.next = Some(index.saturating_add(1));
        } else if self.passes_left > 1 {
            self.passes_left -= 1;
            self.next = Some(0);
        } else {
            self.pending.extend_from_slice(b"\n]\n");
            self.next = None;
        }
        true
    }
}

/// Where to cut `pending`: inside a character if one begins soon after `size` bytes, else there.
fn cut(pending: &[u8], size: usize) -> usize {
    let is_continuation = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let ahead = pending.iter().skip(size).take(REACH).position(is_continuation);
    (size + ahead.unwrap_or(0)).min(pending.len())
}

impl Body for Export {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_chunk().map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::people::{self, Customer};

    fn export(customers: usize, passes: u32) -> Export {
        Export::new(Arc::new(Store::of(customers).unwrap()), passes)
    }

    fn chunks(mut export: Export) -> Vec<Bytes> {
        std::iter::from_fn(|| export.next_chunk()).collect()
    }

    #[test]
    fn the_chunks_together_are_one_array_of_all_customers() {
        for count in [1, 2, 700] {
            let body = chunks(export(count, 1)).concat();
            let read: Vec<Customer> = serde_json::from_slice(&body).unwrap();
            assert!(read.into_iter().eq(people::customers().take(count)));
        }
    }

    #[test]
    fn a_repeated_export_passes_over_the_customers_again() {
        let body = chunks(export(3, 4)).concat();
        let read: Vec<Customer> = serde_json::from_slice(&body).unwrap();
        let ids: Vec<u64> = read.iter().map(|c| c.id).collect();
        assert_eq!(ids, [1001, 1002, 1003].repeat(4));
    }

    #[test]
    fn many_chunks_end_inside_a_character_and_some_are_a_single_byte() {
        let chunks = chunks(export(600, 1));
        let inside = chunks.iter().filter(|c| std::str::from_utf8(c).is_err()).count();
        assert!(inside > 100, "{inside}");
        assert!(chunks.iter().any(|c| c.len() == 1));
        assert!(chunks.iter().any(|c| c.len() > 16_000));
    }

    #[test]
    fn a_large_export_is_streamed_in_memory_that_does_not_grow() {
        let mut export = export(50, 4_000);
        let mut bytes = 0;
        while let Some(chunk) = export.next_chunk() {
            bytes += chunk.len();
            assert!(export.pending.capacity() <= 256 * 1024);
        }
        assert!(bytes > 100_000_000, "{bytes}");
    }
}
