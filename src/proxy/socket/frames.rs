//! Where the frames of a WebSocket begin and end (RFC 6455 section 5): what breaks their rules is another protocol, and
//! ends it. What they carry is not looked at.

/// The most that a control frame carries.
const CONTROL_BYTES: u64 = 125;
/// The longest head: two bytes, a length of eight, a mask of four.
const HEAD_BYTES: usize = 14;

/// Who sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Caller,
    Backend,
}

/// What is no frame, or not one that may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameFault {
    #[error("a caller masks its frames and a backend does not")]
    Mask,
    #[error("a frame has bits or an operation that were not agreed on")]
    Unknown,
    #[error("a length is not written in its shortest form")]
    Length,
    #[error("a control frame is in parts or too large")]
    Control,
    #[error("parts of a message come out of order")]
    Order,
    #[error("a message is too large")]
    TooLarge,
    #[error("something came behind the closing frame")]
    Behind,
}

/// Reads the heads of the frames of one side.
#[derive(Debug)]
pub(super) struct Frames {
    sender: Sender,
    may_pack: bool,
    message_bytes: u64,
    head: [u8; HEAD_BYTES],
    /// How much of a head is there.
    known: usize,
    /// How much of a frame's content is still to come.
    left: u64,
    /// The bytes of a message of which parts are still to come.
    message: Option<u64>,
    is_closing: bool,
    has_closed: bool,
}

impl Frames {
    /// No frame yet; a message has at most so many bytes, which may be packed.
    pub(super) fn new(sender: Sender, message_bytes: u64, may_pack: bool) -> Self {
        let (head, known, left, message) = ([0; HEAD_BYTES], 0, 0, None);
        let (is_closing, has_closed) = (false, false);
        Self { sender, may_pack, message_bytes, head, known, left, message, is_closing, has_closed }
    }

    /// Takes the next bytes, and says how many frames begin in them.
    ///
    /// # Errors
    /// [`FrameFault`]; nothing of these bytes may go on then.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<u32, FrameFault> {
        let mut begun: u32 = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = bytes.split_at_checked(length).map_or(&[][..], |(_, rest)| rest);
                self.left -= length as u64;
                self.end_if_whole();
                continue;
            }
            if self.has_closed {
                return Err(FrameFault::Behind);
            }
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *first;
            }
            self.known += 1;
            bytes = rest;
            if self.known >= 2 && self.known == self.head_bytes() {
                self.begin()?;
                begun = begun.saturating_add(1);
                self.known = 0;
                self.end_if_whole();
            }
        }
        Ok(begun)
    }

    /// Whether no frame is under way, so that one of the gate's own may come.
    pub(super) fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0
    }

    /// Whether the closing frame has come whole.
    pub(super) fn has_closed(&self) -> bool {
        self.has_closed
    }

    fn end_if_whole(&mut self) {
        self.has_closed |= self.is_closing && self.left == 0;
    }

    fn head_bytes(&self) -> usize {
        let [_, second, ..] = self.head;
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 == 0 { 0 } else { 4 }
    }

    fn length(&self) -> Result<u64, FrameFault> {
        let [_, second, a, b, c, d, e, f, g, h, ..] = self.head;
        let (length, least) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([a, b])), 126),
            127 => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 1 << 16),
            short => (u64::from(short), 0),
        };
        if length < least || length >> 63 == 1 { Err(FrameFault::Length) } else { Ok(length) }
    }

    /// Judges a whole head.
    fn begin(&mut self) -> Result<(), FrameFault> {
        let [first, second, ..] = self.head;
        if (second & 0x80 != 0) != (self.sender == Sender::Caller) {
            return Err(FrameFault::Mask);
        }
        let length = self.length()?;
        let (is_last, bits, operation) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
        // Only the first part of a message says that it is packed (RFC 7692 section 6).
        let is_packed = bits == 0x40 && self.may_pack && (operation == 1 || operation == 2);
        if bits != 0 && !is_packed {
            return Err(FrameFault::Unknown);
        }
        match operation {
            0..=2 => self.begin_data(operation, length, is_last)?,
            8..=10 => {
                // A code of closing has two bytes.
                let is_half = operation == 8 && length == 1;
                if !is_last || length > CONTROL_BYTES || is_half {
                    return Err(FrameFault::Control);
                }
                self.is_closing = operation == 8;
            }
            _ => return Err(FrameFault::Unknown),
        }
        self.left = length;
        Ok(())
    }

    fn begin_data(&mut self, operation: u8, length: u64, last: bool) -> Result<(), FrameFault> {
        if (operation == 0) != self.message.is_some() {
            return Err(FrameFault::Order);
        }
        let whole = self.message.unwrap_or_default().saturating_add(length);
        if whole > self.message_bytes {
            return Err(FrameFault::TooLarge);
        }
        self.message = (!last).then_some(whole);
        Ok(())
    }
}

/// A closing frame with this code, as the gate sends it in somebody's place.
pub(super) fn closing(sender: Sender, code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    match sender {
        Sender::Backend => vec![0x88, 2, high, low],
        // A mask protects from content that somebody else chose, and this is the gate's.
        Sender::Caller => vec![0x88, 0x82, 0, 0, 0, 0, high, low],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match content.len() {
            n @ 0..126 => bytes.push(u8::try_from(n).unwrap()),
            n @ 126..65_536 => {
                bytes.push(126);
                bytes.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                bytes.push(127);
                bytes.extend((n as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(content);
        bytes
    }

    fn masked(first: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = frame(first, content);
        let head = bytes.len() - content.len();
        bytes[1] |= 0x80;
        bytes.splice(head..head, [1, 2, 3, 4]);
        bytes
    }

    fn of_backend(bytes: &[u8]) -> Result<u32, FrameFault> {
        Frames::new(Sender::Backend, 1000, false).take(bytes)
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let large = vec![7; 700];
        let all = [
            frame(0x81, b"hello"),
            frame(0x01, &large),
            frame(0x89, b"ping"),
            frame(0x80, b"end"),
            frame(0x82, b""),
            frame(0x88, &[3, 232]),
        ]
        .concat();
        for size in [1, 2, 3, 7, 64, 700, all.len()] {
            let mut frames = Frames::new(Sender::Backend, 1000, false);
            let counts = all.chunks(size).map(|piece| frames.take(piece).unwrap());
            assert_eq!(counts.sum::<u32>(), 6, "{size}");
            assert!(frames.is_between() && frames.has_closed(), "{size}");
            assert_eq!(frames.take(b"x"), Err(FrameFault::Behind));
        }
        let mut frames = Frames::new(Sender::Caller, 1000, false);
        assert_eq!(frames.take(&masked(0x82, &large)), Ok(1));
        assert!(frames.is_between() && !frames.has_closed());
        assert_eq!(frames.take(&masked(0x82, &large)[..9]), Ok(1));
        assert!(!frames.is_between(), "a frame is under way");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let long_form = [&[0x81, 126, 0, 5][..], b"hello"].concat();
        let longer_form = [&[0x81, 127, 0, 0, 0, 0, 0, 0, 1, 0][..], &[0; 256]].concat();
        let negative = [0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255].to_vec();
        for (what, bytes, fault) in [
            ("a request", b"GET / HTTP/1.1\r\n\r\n".to_vec(), FrameFault::Unknown),
            ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n".to_vec(), FrameFault::Unknown),
            ("a mask", masked(0x81, b"a"), FrameFault::Mask),
            ("a bit", frame(0xc1, b"a"), FrameFault::Unknown),
            ("an operation", frame(0x83, b"a"), FrameFault::Unknown),
            ("a control operation", frame(0x8b, b"a"), FrameFault::Unknown),
            ("a part of nothing", frame(0x80, b"a"), FrameFault::Order),
            (
                "a message within one",
                [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
                FrameFault::Order,
            ),
            ("a ping in parts", frame(0x09, b"a"), FrameFault::Control),
            ("a large ping", frame(0x89, &[0; 126]), FrameFault::Control),
            ("half a code", frame(0x88, &[3]), FrameFault::Control),
            ("a long form", long_form, FrameFault::Length),
            ("a longer form", longer_form, FrameFault::Length),
            ("a negative length", negative, FrameFault::Length),
            ("a large message", frame(0x81, &[0; 1001]), FrameFault::TooLarge),
            (
                "one in parts",
                [frame(0x01, &[0; 600]), frame(0x80, &[0; 600])].concat(),
                FrameFault::TooLarge,
            ),
        ] {
            assert_eq!(of_backend(&bytes), Err(fault), "{what}");
        }
        let mut caller = Frames::new(Sender::Caller, 1000, false);
        assert_eq!(caller.take(&frame(0x81, b"a")), Err(FrameFault::Mask));
    }

    #[test]
    fn packed_messages_pass_where_that_was_agreed_on() {
        let mut frames = Frames::new(Sender::Backend, 1000, true);
        assert_eq!(frames.take(&frame(0x41, b"a")), Ok(1));
        assert_eq!(
            frames.take(&frame(0xc0, b"a")),
            Err(FrameFault::Unknown),
            "only the first part"
        );
        let mut frames = Frames::new(Sender::Backend, 1000, true);
        assert_eq!(frames.take(&frame(0xc9, b"a")), Err(FrameFault::Unknown), "no ping");
    }

    #[test]
    fn a_closing_frame_of_the_gate_is_a_good_one() {
        for sender in [Sender::Caller, Sender::Backend] {
            let mut frames = Frames::new(sender, 0, false);
            assert_eq!(frames.take(&closing(sender, 1001)), Ok(1));
            assert!(frames.has_closed() && frames.is_between());
        }
    }
}
