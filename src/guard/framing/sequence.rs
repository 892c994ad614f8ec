//! JSON text sequences (RFC 7464): a record separator, a JSON text, LF.

use bytes::Bytes;

use super::{FramingFault, extend_replaced};

/// What begins a text. JSON has no place for it.
const SEPARATOR: u8 = 0x1e;

/// A sequence on its way through the lines of the filter.
#[derive(Debug, Default)]
pub(in crate::guard) struct Sequence {
    /// The last byte that came.
    last: Option<u8>,
    is_over: bool,
    out: Out,
    /// The last byte of a text that went out.
    last_out: u8,
    /// White space that goes out if the text goes on behind it.
    blank: Vec<u8>,
}

/// Where the output stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Out {
    /// Between two texts.
    #[default]
    Between,
    /// In a text.
    Text,
    /// Behind a text that was ended before its line was.
    Ended,
}

impl Sequence {
    /// The separator becomes the end of the line before, LF becomes CR: as many bytes, at the same places.
    pub(super) fn unframe(&mut self, piece: &[u8]) -> Result<Vec<u8>, FramingFault> {
        let mut lines = Vec::with_capacity(piece.len());
        for (index, text) in piece.split(|byte| *byte == SEPARATOR).enumerate() {
            if index > 0 {
                self.check_end()?;
                self.last = Some(SEPARATOR);
                lines.push(b'\n');
            }
            if let Some(last) = text.last() {
                if self.last.is_none() {
                    return Err(FramingFault::NoSeparator);
                }
                self.last = Some(*last);
                extend_replaced(&mut lines, text, b'\n', b'\r');
            }
        }
        Ok(lines)
    }

    /// Says that the body is complete; what is let out from now on is its end.
    pub(super) fn finish(&mut self) -> Result<(), FramingFault> {
        self.is_over = true;
        self.check_end()
    }

    /// A text that lacks its LF may lack more than that. A separator behind another is none (RFC 7464, 2.1).
    fn check_end(&self) -> Result<(), FramingFault> {
        match self.last {
            None | Some(b'\n' | SEPARATOR) => Ok(()),
            Some(_) => Err(FramingFault::TextNotEnded),
        }
    }

    /// Writes each line as a text. An object is ended as soon as it is whole: who waits for its LF should not
    /// wait for the next text.
    pub(super) fn frame(&mut self, pieces: &[Bytes]) -> Vec<u8> {
        let mut framed = Vec::new();
        for piece in pieces {
            for (index, stretch) in piece.split(|byte| *byte == b'\n').enumerate() {
                if index > 0 {
                    self.end(&mut framed);
                    self.out = Out::Between;
                }
                self.text(stretch, &mut framed);
            }
        }
        // Records are let out whole, so a brace is the end of one.
        if self.last_out == b'}' || self.is_over {
            self.end(&mut framed);
        }
        framed
    }

    fn text(&mut self, stretch: &[u8], framed: &mut Vec<u8>) {
        let text = stretch.trim_ascii_end();
        if let Some(last) = text.last() {
            if self.out == Out::Between {
                framed.push(SEPARATOR);
            }
            (self.out, self.last_out) = (Out::Text, *last);
            framed.append(&mut self.blank);
            extend_replaced(framed, text, b'\r', b'\n');
        }
        if self.out != Out::Ended {
            let blank = stretch.get(text.len()..).unwrap_or_default();
            extend_replaced(&mut self.blank, blank, b'\r', b'\n');
        }
    }

    fn end(&mut self, framed: &mut Vec<u8>) {
        self.blank.clear();
        if self.out == Out::Text {
            framed.push(b'\n');
            (self.out, self.last_out) = (Out::Ended, b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(body: &[u8], size: usize) -> Result<String, FramingFault> {
        let mut sequence = Sequence::default();
        let mut lines = Vec::new();
        for piece in body.chunks(size) {
            lines.extend(sequence.unframe(piece)?);
        }
        sequence.finish()?;
        Ok(String::from_utf8(lines).unwrap())
    }

    fn framed(lines: &str, size: usize) -> String {
        let mut sequence = Sequence::default();
        let pieces: Vec<Bytes> =
            lines.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        sequence.finish().unwrap();
        String::from_utf8(sequence.frame(&pieces)).unwrap()
    }

    #[test]
    fn each_text_becomes_a_line_of_the_same_length() {
        for size in [1, 2, 3, 100] {
            let body = b"\x1e{\n \"a\":1}\n\x1e\x1enull\n\x1e{}\r\n";
            let wanted = "\n{\r \"a\":1}\r\n\nnull\r\n{}\r\r";
            assert_eq!(lines(body, size).unwrap(), wanted);
            assert_eq!(lines(b"", size).unwrap(), "");
        }
    }

    #[test]
    fn a_text_without_separator_or_end_is_refused() {
        for size in [1, 2, 3, 100] {
            for body in ["{}\n", " \x1e{}\n", "\n\x1e{}\n"] {
                assert_eq!(lines(body.as_bytes(), size), Err(FramingFault::NoSeparator), "{body}");
            }
            for body in ["\x1e{}", "\x1e{}\x1e{}\n", "\x1e1 \x1e2\n", "\x1e{}\n ", "\x1e{}\r"] {
                assert_eq!(lines(body.as_bytes(), size), Err(FramingFault::TextNotEnded), "{body}");
            }
        }
    }

    #[test]
    fn each_line_becomes_a_text() {
        for size in [1, 2, 3, 100] {
            let wanted = "\x1e {\n\"a\":\"} \"}\n\x1enull\n\x1e{}\n";
            assert_eq!(framed(" {\r\"a\":\"} \"}\r\nnull\n{}", size), wanted);
        }
    }

    #[test]
    fn an_object_is_ended_before_its_line_is() {
        let mut sequence = Sequence::default();
        let mut frame = |text: &'static str| {
            String::from_utf8(sequence.frame(&[Bytes::from_static(text.as_bytes())])).unwrap()
        };
        assert_eq!(frame("{}"), "\x1e{}\n");
        assert_eq!(frame("\r"), "");
        assert_eq!(frame("\n{}"), "\x1e{}\n");
        assert_eq!(frame("\nnu"), "\x1enu");
        assert_eq!(frame("ll"), "ll");
        assert_eq!(frame("\r\n"), "\n");
    }

    proptest! {
        #[test]
        fn a_sequence_that_is_let_out_whole_stays_as_it_is(
            texts in prop::collection::vec("[ {}a\"\n]{0,6}[}1]\n", 0..6),
            size in 1..20_usize,
        ) {
            let body: String = texts.iter().map(|text| format!("\x1e{text}")).collect();
            let lines = lines(body.as_bytes(), size).unwrap();
            // The filter drops blank lines; nothing else of these lines is its matter.
            let lines = lines.strip_prefix('\n').unwrap_or_default();
            prop_assert_eq!(framed(lines, 1000), body);
        }
    }
}
