//! A look is not a file. What is only looked at says so in its head; a file has a name and a mark of whoever
//! took it, which stands in the log before the first byte leaves, so that a copy leads back to them.

use http::header::{CONTENT_DISPOSITION, HeaderMap, HeaderName, HeaderValue};

use super::meter::Keys;
use crate::audit::{Data, Mode, Moment};
use crate::policy::{Opaque, Permit};

/// The mark of a file.
const WATERMARK: HeaderName = HeaderName::from_static("menshen-watermark");

/// Marks begin with it: a cell that holds one is a word to every spreadsheet, never a number or formula.
const FIRST: char = 'w';
/// RFC 4648 section 6, in lower case: nothing of it is lost in the name of a file.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters behind the first, of five bits each: 80 bits.
const CHARS: usize = 16;

/// Whether an answer is a look or a file, and what a file carries.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    mode: Option<Mode>,
    mark: Option<Box<str>>,
}

impl Carried {
    /// What the answer to this permit is; a file gets the mark of this request of this account.
    pub(super) fn of(permit: &Permit, keys: &Keys, request: &str, account: &str) -> Self {
        let parts = [request, account, permit.route().name()].map(str::as_bytes);
        Self::marked(permit, || spell(&keys.marks.tag(&parts)))
    }

    /// What it is in a rehearsal, where a file has the same mark each time.
    pub(super) fn rehearsed(permit: &Permit) -> Self {
        Self::marked(permit, || spell(&[0; 32]))
    }

    fn marked(permit: &Permit, mark: impl FnOnce() -> Box<str>) -> Self {
        let is_events = permit.opaque().is_some_and(Opaque::is_event_stream);
        if permit.is_file() && !is_events && permit.route().socket().is_none() {
            return Self { mode: Some(Mode::Download), mark: Some(mark()) };
        }
        if permit.route().socket().is_some() {
            // Neither a look nor a file.
            return Self::default();
        }
        let shows = permit.route().gives_a_body() || is_events;
        Self { mode: shows.then_some(Mode::View), mark: None }
    }

    pub(super) fn is_file(&self) -> bool {
        self.mark.is_some()
    }

    pub(super) fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// Adds it to what an entry says of the data.
    pub(super) fn describe(&self, data: &mut Data) {
        data.mode = self.mode;
        data.watermark = self.mark.as_deref().unwrap_or_default().into();
    }

    /// Says in the head of an answer how it is to be taken. A file is named after its route, its day and
    /// its mark, so that it leads back even if it was renamed nowhere but in a heading.
    pub(super) fn tell(&self, headers: &mut HeaderMap, route: &str, unix_s: i64, ending: &str) {
        let Some(mark) = &self.mark else {
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
            return;
        };
        let moment = Moment(unix_s.saturating_mul(1000)).to_string();
        let day = moment.split('T').next().unwrap_or_default();
        let name = format!("{}-{day}-{mark}.{ending}", plain(route));
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
            headers.insert(CONTENT_DISPOSITION, value);
        }
        if let Ok(value) = HeaderValue::try_from(&**mark) {
            headers.insert(WATERMARK, value);
        }
    }
}

fn spell(tag: &[u8; 32]) -> Box<str> {
    let bits = |at: usize| {
        // Five bits from bit 5 * at on, over at most two bytes.
        let (byte, shift) = (at * 5 / 8, at * 5 % 8);
        let two = |at| u16::from(tag.get(at).copied().unwrap_or_default());
        let pair = (two(byte) << 8) | two(byte + 1);
        usize::from((pair >> (11 - shift)) & 31)
    };
    let spelled = (0..CHARS).filter_map(|at| ALPHABET.get(bits(at)).copied().map(char::from));
    std::iter::once(FIRST).chain(spelled).collect::<String>().into()
}

/// A text as every system takes it for the name of a file.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.chars().map(|c| if is_plain(&c) { c } else { '_' }).take(100).collect()
}

/// How the name of a file of this media type ends; `bin` where it is none of the common ones.
pub(super) fn ending(media_type: &str) -> &'static str {
    const ENDINGS: [(&str, &str); 24] = [
        ("application/json", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/json-seq", "json-seq"),
        ("text/csv", "csv"),
        ("text/tab-separated-values", "tsv"),
        ("application/pdf", "pdf"),
        ("application/zip", "zip"),
        ("application/xml", "xml"),
        ("application/msword", "doc"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
        ("application/dicom", "dcm"),
        ("audio/mpeg", "mp3"),
        ("audio/wav", "wav"),
        ("image/gif", "gif"),
        ("image/jpeg", "jpg"),
        ("image/png", "png"),
        ("image/tiff", "tif"),
        ("image/webp", "webp"),
        ("text/html", "html"),
        ("text/plain", "txt"),
        ("text/xml", "xml"),
        ("video/mp4", "mp4"),
    ];
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    ENDINGS.iter().find(|(known, _)| *known == media_type).map_or("bin", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_word_of_eighty_bits() {
        assert_eq!(&*spell(&[0; 32]), "waaaaaaaaaaaaaaaa");
        assert_eq!(&*spell(&[255; 32]), "w7777777777777777");
        let mut tag = [0; 32];
        tag[0] = 0b0000_1000;
        tag[9] = 1;
        assert_eq!(&*spell(&tag), "wbaaaaaaaaaaaaaab");
    }

    #[test]
    fn the_name_of_a_file_holds_nothing_that_a_shell_or_header_reads() {
        let carried = Carried { mode: Some(Mode::Download), mark: Some("wabc".into()) };
        let mut headers = HeaderMap::new();
        carried.tell(
            &mut headers,
            "a/..\"; x=客 户",
            1_800_000_000,
            ending("text/csv; charset=utf-8"),
        );
        let told = headers.get(CONTENT_DISPOSITION).unwrap();
        assert_eq!(told, "attachment; filename=\"a_..___x____-2027-01-15-wabc.csv\"");
        assert_eq!(headers.get(WATERMARK).unwrap(), "wabc");
    }

    #[test]
    fn an_unknown_type_has_the_ending_of_no_program() {
        assert_eq!((ending("image/png"), ending("application/x-sh")), ("png", "bin"));
    }
}
