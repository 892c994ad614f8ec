//! Character encodings of tables: read as UTF-8, strictly, as they come.
//!
//! A body that is not what its label says is refused; nothing is replaced by a question mark. Encodings
//! that switch what bytes mean (ISO-2022, HZ, UTF-7) are not read: two readers could take them differently.

use std::fmt;

use bytes::{Bytes, BytesMut};
use encoding_rs::{
    BIG5_INIT, Decoder, DecoderResult, EUC_JP_INIT, EUC_KR_INIT, Encoding, GB18030_INIT, GBK_INIT,
    SHIFT_JIS_INIT, UTF_8, UTF_8_INIT, UTF_16BE_INIT, UTF_16LE, UTF_16LE_INIT, WINDOWS_874_INIT,
    WINDOWS_1250_INIT, WINDOWS_1251_INIT, WINDOWS_1252_INIT,
};

const ROOM_BYTES: usize = 64 * 1024;
const LEAST_ROOM_BYTES: usize = 4 * 1024;
/// A byte order mark as it leaves.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// What is a byte order mark in an encoding of Unicode, and can begin no table in another one.
static MARKS: [(&[u8], &Encoding); 3] =
    [(MARK, &UTF_8_INIT), (b"\xff\xfe", &UTF_16LE_INIT), (b"\xfe\xff", &UTF_16BE_INIT)];

/// A character encoding that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    /// The label by which it is known, in lower case.
    name: &'static str,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Utf8,
    /// UTF-16 of the byte order that its mark says.
    Marked,
    /// This encoding, without the bytes from the first to the second of these, if there are any.
    Of(&'static Encoding, Option<(u8, u8)>),
}

/// Every label that is read. Those that the web takes for wider encodings (WHATWG) are taken for these, but
/// for `us-ascii` and `iso-8859-1`, whose missing bytes differ in meaning from reader to reader.
static LABELS: &[(&str, Form)] = &[
    ("utf-8", Form::Utf8),
    ("utf8", Form::Utf8),
    ("us-ascii", Form::Of(&WINDOWS_1252_INIT, Some((0x80, 0xff)))),
    ("iso-8859-1", Form::Of(&WINDOWS_1252_INIT, Some((0x80, 0x9f)))),
    ("latin1", Form::Of(&WINDOWS_1252_INIT, Some((0x80, 0x9f)))),
    ("windows-1250", Form::Of(&WINDOWS_1250_INIT, None)),
    ("windows-1251", Form::Of(&WINDOWS_1251_INIT, None)),
    ("windows-1252", Form::Of(&WINDOWS_1252_INIT, None)),
    ("utf-16", Form::Marked),
    ("utf-16le", Form::Of(&UTF_16LE_INIT, None)),
    ("utf-16be", Form::Of(&UTF_16BE_INIT, None)),
    ("gb2312", Form::Of(&GBK_INIT, None)),
    ("gbk", Form::Of(&GBK_INIT, None)),
    ("gb18030", Form::Of(&GB18030_INIT, None)),
    ("big5", Form::Of(&BIG5_INIT, None)),
    ("euc-kr", Form::Of(&EUC_KR_INIT, None)),
    ("ks_c_5601-1987", Form::Of(&EUC_KR_INIT, None)),
    ("tis-620", Form::Of(&WINDOWS_874_INIT, None)),
    ("windows-874", Form::Of(&WINDOWS_874_INIT, None)),
    ("shift_jis", Form::Of(&SHIFT_JIS_INIT, None)),
    ("euc-jp", Form::Of(&EUC_JP_INIT, None)),
];

impl Charset {
    /// UTF-8, which all that is not a table must be in, be it ASCII alone.
    pub const UTF_8: Self = Self { name: "utf-8", form: Form::Utf8 };

    /// The encoding with this label.
    #[must_use]
    pub fn labelled(label: &str) -> Option<Self> {
        let known = LABELS.iter().find(|(name, _)| label.eq_ignore_ascii_case(name))?;
        Some(Self { name: known.0, form: known.1 })
    }

    /// Whether it is UTF-8.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        self.form == Form::Utf8
    }
}

impl Charset {
    /// Whether all of it is UTF-8, too.
    pub(super) fn is_ascii(self) -> bool {
        matches!(self.form, Form::Of(_, Some((0x80, 0xff))))
    }

    /// Lets text pass that is read as UTF-8, unless it has a byte that is not what its label says.
    ///
    /// # Errors
    /// [`CharsetFault::Malformed`] for a byte above 0x7f in ASCII.
    pub(super) fn check_read_as_utf8(self, text: &[u8]) -> Result<(), CharsetFault> {
        if self.is_ascii() && !text.is_ascii() {
            return Err(CharsetFault::Malformed(self));
        }
        Ok(())
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Why a body's text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetFault {
    /// Bytes that stand for no character, or for a control character that nobody means.
    #[error("the body is not valid `{0}`")]
    Malformed(Charset),
    /// It begins with the byte order mark of another encoding.
    #[error("the body is said to be `{0}` and begins with the byte order mark of another encoding")]
    Contradiction(Charset),
    /// UTF-16 that does not say which byte comes first.
    #[error(
        "a body in `utf-16` must begin with a byte order mark, or be said to be `utf-16le` or `utf-16be`"
    )]
    Unmarked,
}

/// Reads a body in one encoding, and gives it in UTF-8.
pub(super) struct Transcoder {
    charset: Charset,
    /// The body's first bytes, until it is settled whether they are a byte order mark.
    first: Vec<u8>,
    /// `None` until then, and for UTF-8, which passes as it is: whatever reads it checks it.
    decoder: Option<Decoder>,
    room: BytesMut,
}

impl fmt::Debug for Transcoder {
    /// Shows what it reads, never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcoder").field("charset", &self.charset).finish_non_exhaustive()
    }
}

impl Transcoder {
    pub(super) fn new(charset: Charset) -> Self {
        Self { charset, first: Vec::new(), decoder: None, room: BytesMut::new() }
    }

    /// Reads the next bytes and hands what they give to `sink`, in pieces of at most 64 KiB.
    pub(super) fn push<E: From<CharsetFault>>(
        &mut self,
        chunk: Bytes,
        sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.charset.is_utf8() {
            return sink(chunk);
        }
        if self.decoder.is_some() {
            return self.decode(&chunk, false, sink);
        }
        self.first.extend_from_slice(&chunk);
        if self.first.len() < MARK.len() { Ok(()) } else { self.begin(sink) }
    }

    /// Says that the body is complete.
    pub(super) fn finish<E: From<CharsetFault>>(
        &mut self,
        sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.charset.is_utf8() {
            return Ok(());
        }
        if self.decoder.is_none() {
            self.begin(sink)?;
        }
        self.decode(&[], true, sink)
    }

    /// Settles in what the body is by its first bytes. A mark passes, as that of UTF-8.
    fn begin<E: From<CharsetFault>>(
        &mut self,
        sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = std::mem::take(&mut self.first);
        let mark = MARKS.iter().find(|(mark, _)| first.starts_with(mark));
        let encoding = match (self.charset.form, mark) {
            (Form::Marked, Some((_, marked))) if *marked != UTF_8 => *marked,
            (Form::Marked, Some(_)) => return Err(CharsetFault::Contradiction(self.charset).into()),
            (Form::Marked, None) if first.is_empty() => UTF_16LE,
            (Form::Marked, None) => return Err(CharsetFault::Unmarked.into()),
            (Form::Of(encoding, _), Some((_, marked))) if encoding != *marked => {
                return Err(CharsetFault::Contradiction(self.charset).into());
            }
            (Form::Of(encoding, _), _) => encoding,
            (Form::Utf8, _) => UTF_8,
        };
        self.decoder = Some(encoding.new_decoder_without_bom_handling());
        let rest =
            mark.map_or(first.as_slice(), |(mark, _)| first.get(mark.len()..).unwrap_or_default());
        if mark.is_some() {
            sink(Bytes::from_static(MARK))?;
        }
        self.decode(rest, false, sink)
    }

    fn decode<E: From<CharsetFault>>(
        &mut self,
        mut input: &[u8],
        is_last: bool,
        sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let malformed = CharsetFault::Malformed(self.charset);
        if let Form::Of(_, Some((from, to))) = self.charset.form
            && input.iter().any(|byte| (from..=to).contains(byte))
        {
            return Err(malformed.into());
        }
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        loop {
            if self.room.len() < LEAST_ROOM_BYTES {
                self.room = BytesMut::zeroed(ROOM_BYTES);
            }
            let (result, read, wrote) =
                decoder.decode_to_utf8_without_replacement(input, &mut self.room, is_last);
            input = input.get(read..).unwrap_or_default();
            let text = self.room.split_to(wrote.min(self.room.len())).freeze();
            if matches!(result, DecoderResult::Malformed(..)) || holds_control(&text) {
                return Err(malformed.into());
            }
            if !text.is_empty() {
                sink(text)?;
            }
            if result == DecoderResult::InputEmpty {
                return Ok(());
            }
        }
    }
}

/// Whether a text in UTF-8 holds a control character from U+0080 to U+009F: what the decoders make of bytes
/// that stand for nothing, and an end of line for some readers.
fn holds_control(text: &[u8]) -> bool {
    let mut pairs = text.iter().zip(text.iter().skip(1));
    pairs.any(|(first, second)| *first == 0xc2 && *second < 0xa0)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{GB18030, GBK};
    use proptest::prelude::*;

    use super::*;

    fn charset(label: &str) -> Charset {
        Charset::labelled(label).unwrap()
    }

    fn decode(label: &str, body: &[u8], size: usize) -> Result<String, CharsetFault> {
        let mut transcoder = Transcoder::new(charset(label));
        let mut text = Vec::new();
        let mut sink = |piece: Bytes| {
            assert!(std::str::from_utf8(&piece).is_ok(), "a character was broken off");
            text.extend(piece);
            Ok::<(), CharsetFault>(())
        };
        for chunk in body.chunks(size) {
            transcoder.push(Bytes::copy_from_slice(chunk), &mut sink)?;
        }
        transcoder.finish(&mut sink)?;
        Ok(String::from_utf8(text).unwrap())
    }

    /// Decodes whole and in pieces; all must agree.
    fn every_way(label: &str, body: &[u8]) -> Result<String, CharsetFault> {
        let whole = decode(label, body, usize::MAX);
        for size in [1, 2, 3, 5] {
            assert_eq!(decode(label, body, size), whole, "{label} in {size}s");
        }
        whole
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn text_in_the_encodings_of_the_east_and_the_west_is_read() {
        for (label, body, wanted) in [
            ("gbk", &b"id,\xd0\xd5\xc3\xfb\n1,\xcd\xf5\n"[..], "id,姓名\n1,王\n"),
            ("GB2312", b"\xd0\xd5", "姓"),
            ("gb18030", b"\x95\x32\x82\x36,\xd0\xd5", "\u{20000},姓"),
            ("big5", b"\xa9m\xa6W", "姓名"),
            ("euc-kr", b"\xc0\xcc\xb8\xa7", "이름"),
            ("ks_c_5601-1987", b"\xc0\xcc", "이"),
            ("tis-620", b"\xaa\xd7\xe8\xcd", "ชื่อ"),
            ("Windows-874", b"\xaa\x80", "ช€"),
            ("shift_jis", b"\x96\xbc\x91O,\\", "名前,\\"),
            ("euc-jp", b"\xcc\xbe\xc1\xb0", "名前"),
            ("iso-8859-1", b"M\xfcller", "Müller"),
            ("windows-1252", b"M\xfcller \x80", "Müller €"),
            ("windows-1251", b"\xc8\xec\xff", "Имя"),
            ("windows-1250", b"\xa3\xf3d\x9f", "Łódź"),
            ("us-ascii", b"abc", "abc"),
        ] {
            assert_eq!(every_way(label, body).unwrap(), wanted, "{label}");
        }
    }

    #[test]
    fn what_stands_for_no_character_is_refused_and_never_replaced() {
        for (label, body) in [
            ("gbk", &b"a\xff"[..]),
            ("gbk", b"a\xd0"),
            ("gbk", b"a\x81,b"),
            ("gb18030", b"\x95\x32\x82"),
            ("gb18030", b"\x95\x32\x82,"),
            ("big5", b"\xa9,"),
            ("euc-kr", b"\xc0\n"),
            ("euc-kr", b"\xc0"),
            ("shift_jis", b"\x96\""),
            ("shift_jis", b"\xfd"),
            ("euc-jp", b"\xcc,"),
            ("tis-620", b"\xdb"),
            ("windows-1252", b"\x81"),
            ("iso-8859-1", b"\x80"),
            ("latin1", b"\x93"),
            ("us-ascii", b"M\xfcller"),
            ("utf-16le", b"a"),
            ("utf-16le", b"\x00\xd8a\x00"),
            ("utf-16be", b"\xdc\x00"),
            ("utf-16le", b"\x85\x00"),
            ("utf-16le", b"a\x00\x00\xd8"),
        ] {
            let wanted = Err(CharsetFault::Malformed(charset(label)));
            assert_eq!(every_way(label, body), wanted, "{label} {body:x?}");
        }
    }

    #[test]
    fn a_byte_order_mark_decides_for_utf16_and_contradicts_no_label() {
        let text = "id,name\n1,\u{738b}\u{20000}\n";
        let (little, big) = (utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes));
        let marked = |mark: &[u8], body: &[u8]| [mark, body].concat();
        let with_mark = format!("\u{feff}{text}");
        assert_eq!(every_way("utf-16le", &little).unwrap(), text);
        assert_eq!(every_way("utf-16be", &big).unwrap(), text);
        for (label, mark, body) in [
            ("utf-16", b"\xff\xfe", &little),
            ("utf-16", b"\xfe\xff", &big),
            ("utf-16le", b"\xff\xfe", &little),
            ("utf-16be", b"\xfe\xff", &big),
        ] {
            assert_eq!(every_way(label, &marked(mark, body)).unwrap(), with_mark, "{label}");
        }
        assert_eq!(every_way("utf-16", &little), Err(CharsetFault::Unmarked));
        assert_eq!(every_way("utf-16", b"\xff"), Err(CharsetFault::Unmarked));
        assert_eq!(every_way("utf-16", b"").unwrap(), "");
        for (label, mark) in [
            ("utf-16", &b"\xef\xbb\xbf"[..]),
            ("utf-16le", b"\xfe\xff"),
            ("utf-16be", b"\xff\xfe"),
            ("utf-16le", b"\xef\xbb\xbf"),
            ("gbk", b"\xef\xbb\xbf"),
            ("iso-8859-1", b"\xff\xfe"),
            ("iso-8859-1", b"\xfe\xff"),
            ("windows-1252", b"\xef\xbb\xbf"),
            ("us-ascii", b"\xef\xbb\xbf"),
        ] {
            let wanted = Err(CharsetFault::Contradiction(charset(label)));
            assert_eq!(every_way(label, &marked(mark, b"a,b,")), wanted, "{label} {mark:x?}");
        }
    }

    #[test]
    fn encodings_that_switch_what_bytes_mean_have_no_label() {
        for label in [
            "utf-7",
            "iso-2022-jp",
            "iso-2022-kr",
            "iso-2022-cn",
            "hz-gb-2312",
            "utf-32",
            "ucs-2",
            "ebcdic-us",
            "x-user-defined",
            "binary",
            "replacement",
            "",
            "utf-8 ",
            "none",
        ] {
            assert_eq!(Charset::labelled(label), None, "{label}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_for_every_split(
            text in "[a-z,\n\u{4e00}-\u{9fa5}]{0,80}",
            size in 1..40_usize,
        ) {
            for (label, encoding) in [("gbk", GBK), ("gb18030", GB18030)] {
                let (body, _, is_lossy) = encoding.encode(&text);
                prop_assert!(!is_lossy);
                prop_assert_eq!(&decode(label, &body, size).unwrap(), &text);
            }
            let body = utf16(&text, u16::to_le_bytes);
            prop_assert_eq!(&decode("utf-16le", &body, size).unwrap(), &text);
        }

        #[test]
        fn every_split_of_junk_has_one_outcome(
            body in prop::collection::vec(any::<u8>(), 0..60),
            label in 2..LABELS.len(),
        ) {
            let _whatever = every_way(LABELS[label].0, &body);
        }
    }
}
