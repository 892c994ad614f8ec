//! Whether a chunk is UTF-8: looked at a window at a time, just ahead of the filter. A pass of its own over
//! the whole chunk would wait for memory that the filter could fetch while it works.

use simdutf8::{basic, compat};

/// So much is looked at together. Little in tests, so that the edges of windows fall everywhere.
const WINDOW_BYTES: usize = if cfg!(any(test, fuzzing)) { 64 } else { 8192 };
/// So far ahead of the filter it is looked at, so that few records end outside of what was.
const AHEAD_BYTES: usize = if cfg!(any(test, fuzzing)) { 32 } else { 2048 };

/// How far the current chunk is known to be UTF-8.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    checked: usize,
    stop: Option<Stop>,
}

/// Why a chunk is no text to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It ends inside a character.
    Broken,
    /// Something stands there that is none.
    Invalid,
}

impl Utf8 {
    /// Starts on a chunk.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Where what is known to be text ends, with the next window looked at if that is near to `pos`.
    #[inline]
    pub(super) fn end(&mut self, chunk: &[u8], pos: usize) -> usize {
        while self.stop.is_none()
            && self.checked < chunk.len()
            && self.checked < pos.saturating_add(AHEAD_BYTES)
        {
            self.look(chunk);
        }
        self.checked
    }

    /// Why the text ended before the chunk.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.stop
    }

    fn look(&mut self, chunk: &[u8]) {
        let rest = chunk.get(self.checked..).unwrap_or_default();
        let window = rest.get(..window_bytes(rest)).unwrap_or(rest);
        if basic::from_utf8(window).is_ok() {
            self.checked += window.len();
        } else if let Err(error) = compat::from_utf8(window) {
            self.checked += error.valid_up_to();
            let is_broken = error.error_len().is_none() && window.len() == rest.len();
            self.stop = Some(if is_broken { Stop::Broken } else { Stop::Invalid });
        }
    }
}

/// The length of the next window, which does not end inside a character.
fn window_bytes(rest: &[u8]) -> usize {
    let is_inside = |end: &usize| rest.get(*end).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut ends = (WINDOW_BYTES - 3..=WINDOW_BYTES).rev();
    ends.find(|end| !is_inside(end)).unwrap_or(WINDOW_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The end of the text and why it ends, looked at from `pos`, `pos + step`, and so on.
    fn looked_at(chunk: &[u8], step: usize) -> (usize, Option<Stop>) {
        let mut utf8 = Utf8::default();
        let mut pos = 0;
        while pos < chunk.len() && utf8.end(chunk, pos) > pos {
            pos = utf8.end(chunk, pos).min(pos + step);
        }
        (utf8.end(chunk, pos), utf8.stop())
    }

    fn wanted(chunk: &[u8]) -> (usize, Option<Stop>) {
        match std::str::from_utf8(chunk) {
            Ok(text) => (text.len(), None),
            Err(error) if error.error_len().is_none() => (error.valid_up_to(), Some(Stop::Broken)),
            Err(error) => (error.valid_up_to(), Some(Stop::Invalid)),
        }
    }

    #[test]
    fn a_character_on_the_edge_of_a_window_is_whole() {
        for char in ["é", "客", "😀"] {
            for before in WINDOW_BYTES - 5..=WINDOW_BYTES + 1 {
                let text = "x".repeat(before) + char + "y";
                assert_eq!(looked_at(text.as_bytes(), 7), (text.len(), None));
                let cut = &text.as_bytes()[..before + char.len() - 1];
                assert_eq!(looked_at(cut, 7), (before, Some(Stop::Broken)));
            }
        }
        let stray = [vec![b'x'; WINDOW_BYTES - 2], vec![0x80; 9]].concat();
        assert_eq!(looked_at(&stray, 7), (WINDOW_BYTES - 2, Some(Stop::Invalid)));
    }

    proptest! {
        #[test]
        fn it_finds_what_the_standard_library_finds(
            pieces in prop::collection::vec((0..5_usize, 0..100_usize), 0..8),
            step in 1..100_usize,
            flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let chars = ["a", "é", "客", "😀", "\u{7ff}"];
            let mut chunk: Vec<u8> =
                pieces.iter().flat_map(|(char, times)| chars[*char].repeat(*times).into_bytes()).collect();
            if let (Some((at, byte)), false) = (flip, chunk.is_empty()) {
                let at = at.index(chunk.len());
                chunk[at] = byte;
            }
            prop_assert_eq!(looked_at(&chunk, step), wanted(&chunk));
        }
    }
}
