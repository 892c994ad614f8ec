//! Brings records that have ranks in the order of these, a few of one list at a time: what stands between two
//! records stays where it is. Which record had which rank is then legible in their order alone.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::json::Span;

/// So many records are brought in order at a time.
const WINDOW: usize = 16;
/// So many bytes are held for that; fewer records are brought in order where they are so large.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// Output on its way out. Without ranks it passes as it comes.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: VecDeque<Bytes>,
    held_bytes: u64,
    /// The offset of the first byte held.
    base: u64,
    spans: VecDeque<Span>,
}

impl Order {
    /// Takes the next output with the records in it that have a rank, and gives what may go on. What is
    /// held goes on at the latest when the output is complete.
    pub(super) fn pass(
        &mut self,
        pieces: Vec<Bytes>,
        spans: Vec<Span>,
        is_complete: bool,
    ) -> Vec<Bytes> {
        if self.spans.is_empty() && spans.is_empty() && self.held.is_empty() {
            self.base += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            return pieces;
        }
        self.held_bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.held.extend(pieces);
        self.spans.extend(spans);
        let mut out = Vec::new();
        loop {
            self.release(&mut out);
            let beside = self.beside();
            let is_full =
                beside == WINDOW || beside < self.spans.len() || self.held_bytes > WINDOW_BYTES;
            if self.spans.is_empty() || !(is_full || is_complete) {
                return out;
            }
            self.reorder(&mut out);
        }
    }

    /// How many of the records that wait first stand in one list, up to a window.
    fn beside(&self) -> usize {
        let first = self.spans.front().map(|span| span.list);
        self.spans.iter().take(WINDOW).take_while(|span| Some(span.list) == first).count()
    }

    /// Gives what stands before the first record that waits.
    fn release(&mut self, out: &mut Vec<Bytes>) {
        let upto = self.spans.front().map_or(self.base + self.held_bytes, |span| span.start);
        let mut room = upto.saturating_sub(self.base);
        while room > 0 {
            let Some(piece) = self.take(room) else { return };
            room -= piece.len() as u64;
            out.push(piece);
        }
    }

    /// Takes at most `most` bytes from the front.
    fn take(&mut self, most: u64) -> Option<Bytes> {
        let mut piece = self.held.pop_front()?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if piece.len() > most {
            self.held.push_front(piece.split_off(most));
        }
        self.base += piece.len() as u64;
        self.held_bytes -= piece.len() as u64;
        Some(piece)
    }

    /// Gives a window of records in the order of their ranks.
    fn reorder(&mut self, out: &mut Vec<Bytes>) {
        let window: Vec<Span> = self.spans.drain(..self.beside()).collect();
        let (mut records, mut between) = (Vec::new(), Vec::new());
        for span in &window {
            between.push(self.stretch(span.start));
            records.push((span.rank, self.stretch(span.end)));
        }
        records.sort_by_key(|(rank, _)| *rank);
        let mut ordered = BytesMut::new();
        for (before, (_, record)) in between.iter().zip(&records) {
            ordered.extend_from_slice(before);
            ordered.extend_from_slice(record);
        }
        out.push(ordered.freeze());
    }

    /// What is held up to this offset, in one piece.
    fn stretch(&mut self, upto: u64) -> Bytes {
        let mut room = upto.saturating_sub(self.base);
        let mut stretch = BytesMut::new();
        while room > 0 {
            let Some(piece) = self.take(room) else { break };
            room -= piece.len() as u64;
            stretch.extend_from_slice(&piece);
        }
        stretch.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes a body of one-letter records in pieces of this size; the rank of a letter is its distance to `z`, and
    /// each `;` begins another list.
    fn pass(body: &str, size: usize) -> String {
        let mut order = Order::default();
        let mut out = Vec::new();
        let mut at = 0;
        for piece in body.as_bytes().chunks(size) {
            let span = |(place, byte): (usize, &u8)| {
                let start = (at + place) as u64;
                let rank = u64::from(b'z'.saturating_sub(*byte));
                let before = body.as_bytes().iter().take(at + place);
                let list = before.filter(|byte| **byte == b';').count() as u64;
                byte.is_ascii_lowercase().then_some(Span { start, end: start + 1, rank, list })
            };
            let spans = piece.iter().enumerate().filter_map(span).collect();
            out.extend(order.pass(vec![Bytes::copy_from_slice(piece)], spans, false));
            at += piece.len();
        }
        out.extend(order.pass(Vec::new(), Vec::new(), true));
        String::from_utf8(out.concat()).unwrap()
    }

    #[test]
    fn records_change_places_and_what_stands_between_them_does_not() {
        for size in [1, 2, 3, 100] {
            assert_eq!(pass("[a,b , c]\n", size), "[c,b , a]\n");
            assert_eq!(pass("[]", size), "[]");
            assert_eq!(pass("", size), "");
        }
    }

    #[test]
    fn records_of_two_lists_do_not_change_places() {
        for size in [1, 2, 3, 100] {
            assert_eq!(pass("[a,b;c,d,e;f]", size), "[b,a;e,d,c;f]");
        }
    }

    #[test]
    fn sixteen_are_brought_in_order_at_a_time() {
        let letters: String = ('a'..='z').collect();
        let first: String = ('a'..='p').rev().collect();
        let rest: String = ('q'..='z').rev().collect();
        for size in [1, 5, 26] {
            assert_eq!(pass(&letters, size), format!("{first}{rest}"));
        }
    }

    #[test]
    fn no_more_is_held_than_a_window_and_what_is_not_ranked_passes_at_once() {
        let mut order = Order::default();
        let plain = vec![Bytes::from(vec![b'x'; 3 * 1024 * 1024])];
        assert_eq!(order.pass(plain.clone(), Vec::new(), false), plain);
        let start = plain[0].len() as u64;
        for n in 0..40_u64 {
            let size = 100 * 1024;
            let from = start + n * size;
            let span = Span { start: from, end: from + size, rank: 40 - n, list: 0 };
            order.pass(vec![Bytes::from(vec![b'y'; 100 * 1024])], vec![span], false);
            assert!(order.held_bytes <= WINDOW_BYTES, "{}", order.held_bytes);
        }
    }
}
