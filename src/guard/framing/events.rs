//! Streams of events (`text/event-stream`, HTML Standard, 9.2.6) whose data are JSON.
//!
//! Only data pass. `event`, `id`, `retry` and fields that nobody knows carry text of which no rule says what it
//! is: they are dropped. A comment, with which backends keep a connection alive, loses its text.

use bytes::Bytes;

use super::{FramingFault, extend_replaced};

const DATA: &[u8] = b"data";
const MARK: &[u8] = b"\xef\xbb\xbf";
const PREFIX: &[u8] = b"data: ";
/// A comment without text.
const SIGN_OF_LIFE: &[u8] = b":\n\n";

/// A stream of events on its way through the lines of the filter.
#[derive(Debug)]
pub(in crate::guard) struct Events {
    line: Line,
    /// Whether the last byte was CR, which LF may follow.
    follows_return: bool,
    /// Whether the event has data so far.
    has_data: bool,
    /// Whether a comment came between events since the last output.
    is_alive: bool,
    /// Whether a line of the output has begun.
    is_open: bool,
}

/// What was read of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So much of the byte order mark that may begin the stream.
    Mark(usize),
    /// So many characters of `data`.
    Name(usize),
    /// The colon behind `data`; one space may follow that is not part of the value.
    Colon,
    Data,
    Comment,
    /// Of another field.
    Ignored,
}

impl Default for Events {
    fn default() -> Self {
        let (follows_return, has_data, is_alive, is_open) = Default::default();
        Self { line: Line::Mark(0), follows_return, has_data, is_alive, is_open }
    }
}

impl Events {
    /// Each event with data becomes a line; data over several lines are joined with CR.
    pub(super) fn unframe(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(piece.len());
        let mut rest = piece;
        while let Some(first) = rest.first() {
            if std::mem::take(&mut self.follows_return) && *first == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (stretch, behind) = rest.split_at(end.unwrap_or(rest.len()));
            self.read(stretch, &mut lines);
            let Some((end, behind)) = behind.split_first() else { break };
            self.end_line(&mut lines);
            self.follows_return = *end == b'\r';
            rest = behind;
        }
        lines
    }

    /// Reads on in a line.
    fn read(&mut self, mut stretch: &[u8], lines: &mut Vec<u8>) {
        while let Some((byte, behind)) = stretch.split_first() {
            self.line = match (self.line, *byte) {
                (Line::Mark(2), byte) if MARK.get(2) == Some(&byte) => Line::Name(0),
                (Line::Mark(n), byte) if MARK.get(n) == Some(&byte) => Line::Mark(n + 1),
                (Line::Mark(0), _) => {
                    self.line = Line::Name(0);
                    continue;
                }
                (Line::Mark(_), _) => Line::Ignored,
                (Line::Name(0), b':') => Line::Comment,
                (Line::Name(4), b':') => Line::Colon,
                (Line::Name(n), byte) if DATA.get(n) == Some(&byte) => Line::Name(n + 1),
                (Line::Name(_), _) => Line::Ignored,
                (Line::Colon, b' ') => {
                    self.begin_data(lines);
                    Line::Data
                }
                (Line::Colon, _) => {
                    self.begin_data(lines);
                    self.line = Line::Data;
                    continue;
                }
                (Line::Data, _) => return lines.extend_from_slice(stretch),
                (Line::Comment | Line::Ignored, _) => return,
            };
            stretch = behind;
        }
    }

    fn begin_data(&mut self, lines: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_data, true) {
            lines.push(b'\r');
        }
    }

    fn end_line(&mut self, lines: &mut Vec<u8>) {
        match std::mem::replace(&mut self.line, Line::Name(0)) {
            // An empty line ends an event.
            Line::Name(0) | Line::Mark(0) => {
                if std::mem::take(&mut self.has_data) {
                    lines.push(b'\n');
                }
            }
            Line::Name(4) | Line::Colon => self.begin_data(lines),
            Line::Comment => self.is_alive |= !self.has_data,
            Line::Name(_) | Line::Mark(_) | Line::Data | Line::Ignored => {}
        }
    }

    /// A reader would forget an event that is not ended; that it was broken off is to be seen.
    pub(super) fn finish(&self) -> Result<(), FramingFault> {
        match self.line {
            Line::Name(0) | Line::Mark(0) | Line::Comment | Line::Ignored if !self.has_data => {
                Ok(())
            }
            Line::Name(_)
            | Line::Mark(_)
            | Line::Comment
            | Line::Ignored
            | Line::Colon
            | Line::Data => Err(FramingFault::EventNotEnded),
        }
    }

    /// Writes each line as an event with one line of data.
    pub(super) fn frame(&mut self, pieces: &[Bytes]) -> Vec<u8> {
        let mut framed = Vec::new();
        for piece in pieces {
            for (index, stretch) in piece.split(|byte| *byte == b'\n').enumerate() {
                if index > 0 && std::mem::take(&mut self.is_open) {
                    framed.extend_from_slice(b"\n\n");
                }
                if stretch.is_empty() {
                    continue;
                }
                if !std::mem::replace(&mut self.is_open, true) {
                    framed.extend_from_slice(PREFIX);
                }
                extend_replaced(&mut framed, stretch, b'\r', b' ');
            }
        }
        if !self.is_open && std::mem::take(&mut self.is_alive) {
            framed.extend_from_slice(SIGN_OF_LIFE);
        }
        framed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(body: &[u8], size: usize) -> Result<String, FramingFault> {
        let mut events = Events::default();
        let mut lines = Vec::new();
        for piece in body.chunks(size) {
            lines.extend(events.unframe(piece));
        }
        events.finish()?;
        Ok(String::from_utf8(lines).unwrap())
    }

    /// Whole and in pieces; all must agree.
    fn every_way(body: &str) -> Result<String, FramingFault> {
        let whole = lines(body.as_bytes(), usize::MAX);
        for size in [1, 2, 3] {
            assert_eq!(lines(body.as_bytes(), size), whole, "{body:?} in {size}s");
        }
        whole
    }

    #[test]
    fn of_an_event_only_the_data_are_read_whatever_ends_its_lines() {
        for (body, wanted) in [
            ("", ""),
            ("data: 1\n\n", "1\n"),
            ("data:1\r\rdata:2\r\n\r\ndata:3\n\r", "1\n2\n3\n"),
            ("data:  1\n\n", " 1\n"),
            ("\u{feff}data: 1\n\n", "1\n"),
            ("data: {\ndata: \"a\":1}\n\n", "{\r\"a\":1}\n"),
            ("event: secret\nid: secret\nretry: 1\nother\ndata: 1\n\n", "1\n"),
            ("event: secret\n\nid: secret\n\n", ""),
            (": secret\n\n:\n\n", ""),
            ("data: 1\n:secret\ndata: 2\n\n", "1\r2\n"),
            ("data\n\ndata:\n\n", "\n\n"),
            ("dat: x\ndatum: x\nDATA: x\n data: x\ndata : x\ndata: 1\n\n", "1\n"),
            ("\u{feff}\u{feff}data: x\n\n", ""),
            ("\n\n\ndata: 1\n\n\n\n", "1\n"),
            ("data: data: 1\n\n", "data: 1\n"),
        ] {
            assert_eq!(every_way(body).unwrap(), wanted, "{body:?}");
        }
    }

    #[test]
    fn an_event_that_is_not_ended_is_refused() {
        for body in ["data", "d", "data:", "data: 1", "data: 1\n", "data: 1\n:x", "data: 1\r\n"] {
            assert_eq!(every_way(body), Err(FramingFault::EventNotEnded), "{body:?}");
        }
        for body in ["data: 1\n\n:x", "data: 1\n\nid: 1"] {
            assert_eq!(every_way(body).unwrap(), "1\n", "{body:?}");
        }
    }

    #[test]
    fn each_line_leaves_as_an_event_and_a_comment_as_a_sign_of_life() {
        let mut events = Events::default();
        let mut frame = |read: &str, pieces: &[&'static str]| {
            events.unframe(read.as_bytes());
            let pieces: Vec<Bytes> =
                pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
            String::from_utf8(events.frame(&pieces)).unwrap()
        };
        assert_eq!(
            frame("", &["{\r\"a\":", "1}", "\n", "2\n3"]),
            "data: { \"a\":1}\n\ndata: 2\n\ndata: 3"
        );
        assert_eq!(frame(":secret\n\n", &[]), "");
        assert_eq!(frame("", &["\n"]), "\n\n:\n\n");
        assert_eq!(frame("", &[]), "");
        assert_eq!(frame(":a\n:b\n\n", &[]), ":\n\n");
        assert_eq!(frame("data: 1\n:secret\n", &[]), "");
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_lines(body in "[dat: 1\r\n\u{feff}]{0,60}") {
            let _whatever = every_way(&body);
        }
    }
}
