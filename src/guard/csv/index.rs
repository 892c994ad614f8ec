//! Where rows and cells end in a window of the input, noted block by block. It stops before whatever may be
//! wrong, which the splitter then judges.

use super::block::{BLOCK_BYTES, Block, Carry, Verdict};
use super::row::Separator;

/// So many ends are written together, wanted or not: a branch for each would be guessed wrong too often.
const STEP: usize = 4;

/// So many ends are held, and those of one block more: a window can have far more of them than it has in any table
/// of people. Few in tests, so that it is full everywhere.
const MOST_ENDS: usize = if cfg!(any(test, fuzzing)) { 24 } else { 4096 };

/// The places of all ends in a window that starts where a row does.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Where cells end, up to `count`; behind it lies what an earlier window left.
    ends: Vec<u32>,
    count: usize,
    rows: Vec<RowEnd>,
}

/// The end of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowEnd {
    /// How many cells ended up to here.
    pub(super) cells: usize,
    /// The place behind the row's end of line.
    pub(super) end: usize,
}

impl Index {
    /// Finds the rows that end in the window, up to the first one in which anything is wrong, or as many as there
    /// is room for.
    pub(super) fn read(&mut self, window: &[u8], separator: Separator) {
        self.count = 0;
        self.rows.clear();
        let mut carry = Carry::at_row_start();
        for (block, base) in window.chunks(BLOCK_BYTES).zip((0_u32..).step_by(BLOCK_BYTES)) {
            let mut padded = [b' '; BLOCK_BYTES];
            let block = block.try_into().unwrap_or_else(|_| {
                padded.iter_mut().zip(block).for_each(|(to, from)| *to = *from);
                &padded
            });
            let verdict = carry.judge(&Block::of(block), separator);
            self.note(&verdict, base);
            // A fault behind the window comes after all its rows, so that it does no harm.
            if verdict.faults != 0 || self.is_full() {
                return;
            }
        }
    }

    /// The ends of all cells of the rows.
    pub(super) fn ends(&self) -> &[u32] {
        self.ends.get(..self.count).unwrap_or_default()
    }

    /// Whether there was no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.count >= MOST_ENDS
    }

    /// The rows, in order.
    pub(super) fn rows(&self) -> &[RowEnd] {
        &self.rows
    }

    /// Notes what ends in the block that starts at `base`, up to the first fault.
    #[inline]
    fn note(&mut self, verdict: &Verdict, base: u32) {
        let before_fault = verdict.faults.wrapping_sub(1) & !verdict.faults;
        let mut feeds = verdict.feeds & before_fault;
        while feeds != 0 {
            let up_to = feeds ^ feeds.wrapping_sub(1);
            self.rows.push(RowEnd {
                cells: self.count + (verdict.ends & up_to).count_ones() as usize,
                end: (base | feeds.trailing_zeros()) as usize + 1,
            });
            feeds &= feeds.wrapping_sub(1);
        }
        if self.ends.len() < self.count + BLOCK_BYTES {
            self.grow();
        }
        let room = self.ends.get_mut(self.count..).unwrap_or_default();
        let mut ends = verdict.ends;
        self.count += ends.count_ones() as usize;
        for step in room.as_chunks_mut::<STEP>().0 {
            for end in step {
                *end = base | ends.trailing_zeros();
                ends &= ends.wrapping_sub(1);
            }
            if ends == 0 {
                break;
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.ends.resize(2 * self.ends.len() + 4 * BLOCK_BYTES, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fault::Cause;
    use super::super::split::Splitter;
    use super::*;

    type Rows = Vec<(Vec<u32>, usize)>;

    /// The ends of the cells of each row, and the row's own, as the splitter finds them.
    fn split(window: &[u8], separator: Separator) -> Rows {
        let mut splitter = Splitter::new(separator, usize::MAX, Cause::NoHeader);
        let (mut rows, mut start) = (Rows::new(), 0);
        while let Ok(Some(length)) = splitter.read(&window[start..], 0) {
            let before = u32::try_from(start).unwrap();
            start += length;
            rows.push((splitter.ends().iter().map(|end| end + before).collect(), start));
            splitter.restart();
        }
        rows
    }

    /// The same as the index finds them, which is read again where it was full.
    fn indexed(window: &[u8], separator: Separator) -> Rows {
        let mut index = Index::default();
        let (mut rows, mut start) = (Rows::new(), 0);
        loop {
            index.read(&window[start..], separator);
            let before = u32::try_from(start).unwrap();
            let mut cells = 0;
            for row in index.rows() {
                let ends = &index.ends()[cells..row.cells];
                rows.push((ends.iter().map(|end| end + before).collect(), start + row.end));
                cells = row.cells;
            }
            let read = index.rows().last().map_or(0, |row| row.end);
            start += read;
            if read == 0 || !index.is_full() {
                return rows;
            }
        }
    }

    fn is_same(window: &[u8]) -> usize {
        for separator in [Separator::Comma, Separator::Tab] {
            let text = String::from_utf8_lossy(window);
            assert_eq!(indexed(window, separator), split(window, separator), "{text:?}");
        }
        indexed(window, Separator::Comma).len()
    }

    /// Puts a piece behind others of so many bytes that it meets the edge of each block in each way: behind a row,
    /// a cell, a quoted cell with separators, and with more or less of its cell behind it.
    fn everywhere(piece: &str, check: impl Fn(&str, usize)) {
        for before in 0..=2 * BLOCK_BYTES {
            let (plain, odd) = ("x".repeat(before), "x,\r\n".repeat(before));
            for after in [String::new(), "x".repeat(2 * BLOCK_BYTES)] {
                check(&format!("{plain}\n{piece}{after}\n"), 1);
                check(&format!("{plain},{piece}{after}\n"), 0);
                check(&format!("\"{}\",{piece}{after}\n", plain.replace("xx", "x,")), 0);
                check(&format!("\"{odd}\",{piece}{after}\n"), 0);
            }
        }
    }

    #[test]
    fn rows_end_alike_wherever_the_edges_of_blocks_fall() {
        let good = [
            "a,b\r\nc",
            "\"a\"\"b\",\"\"\r\n",
            "\"\"\"\",\n",
            "\"a\r\n,b\",\"\tc\"\n",
            "\"\",\n\n",
            "a\tb",
        ];
        for (piece, rows) in good.into_iter().zip([1, 1, 1, 1, 2, 0]) {
            everywhere(piece, |text, before| {
                assert_eq!(is_same(text.as_bytes()), before + rows + 1, "{text:?}");
            });
        }
    }

    #[test]
    fn it_stops_before_a_row_with_a_fault_wherever_the_edges_of_blocks_fall() {
        for piece in [
            "a\"b",
            "a\"",
            "\"a\"b",
            "\"a\" ",
            "a\rb",
            "a\r\r\n",
            "a\0",
            "\"\u{1f}\"",
            "\"a\"\"",
            "\"a\"\tb",
            "\"a\"b\"",
        ] {
            everywhere(piece, |text, before| {
                assert_eq!(is_same(text.as_bytes()), before, "{text:?}")
            });
        }
    }

    #[test]
    fn a_window_of_ends_alone_takes_no_more_room_than_another() {
        let mut index = Index::default();
        for byte in [b"\n", b",", b"\""] {
            index.read(&byte.repeat(100 * BLOCK_BYTES), Separator::Comma);
            assert!(index.ends().len() < MOST_ENDS + BLOCK_BYTES);
            assert!(index.rows().len() <= index.ends().len());
            assert_eq!(index.is_full(), byte != b"\"");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn it_finds_the_rows_that_the_splitter_finds(pieces in prop::collection::vec(
            prop_oneof![
                4 => prop::sample::select(vec!["a", ",", "\n", "\r\n", "\"", ",\"", "\",", "\"\n", "\t"]),
                2 => prop::sample::select(vec!["0123456789abcdef", "\"a,\n\"\"b\",", "\"0123456789\"\r\n", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]),
                1 => prop::sample::select(vec!["\r", "\0", "é", "\"\"", "\x1f", " "]),
            ],
            0..80,
        )) {
            is_same(pieces.concat().as_bytes());
        }

        #[test]
        fn of_many_quoted_rows_it_finds_all(cells in prop::collection::vec("[a-z\",\r\n]{0,90}", 1..30)) {
            let rows = cells.iter().map(|cell| format!("\"{}\",x\r\n", cell.replace('"', "\"\"")));
            let text: String = rows.collect();
            prop_assert_eq!(is_same(text.as_bytes()), cells.len());
        }
    }
}
