//! Which content types and encodings can be judged, and the decoding of gzip, piece by piece.
//!
//! What cannot be decoded is refused; nothing encoded is ever passed on unread.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderValue;

/// Output of one call of the decoder.
const PIECE_BYTES: usize = 64 * 1024;
/// Up to here a body may grow as it likes; beyond, by at most [`RATIO`].
const RATIO_FREE_BYTES: u64 = 1024 * 1024;
/// How many times larger than its encoded form a body may be. Real JSON stays below 50.
const RATIO: u64 = 200;

/// Why a body cannot be judged at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not JSON in UTF-8, or does not say what it is.
    #[error("the content type must be `application/json` in UTF-8")]
    ContentType,
    /// It is encoded in a way that is not decoded here.
    #[error("the content encoding must be `identity` or `gzip`")]
    Encoding,
    /// A request body is encoded at all.
    #[error("a request body must not be encoded")]
    RequestEncoding,
}

/// Why an encoded body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// It is not gzip, or its checksum is wrong.
    #[error("the body is not valid gzip")]
    Invalid,
    /// It ends in the middle.
    #[error("the gzip body ends before its end")]
    Truncated,
    /// Something else follows the last gzip member.
    #[error("the gzip body goes on after its end")]
    Trailing,
    /// It unpacks to far more than it is.
    #[error("the gzip body unpacks to more than {RATIO} times its size")]
    Bomb,
}

/// Whether a body of this type is JSON in UTF-8.
///
/// # Errors
/// [`Refusal::ContentType`].
pub(super) fn check_type(content_type: Option<&HeaderValue>) -> Result<(), Refusal> {
    let text = content_type.and_then(|value| value.to_str().ok()).ok_or(Refusal::ContentType)?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").ok_or(Refusal::ContentType)?;
    let is_json = subtype == "json" || (subtype.len() > 5 && subtype.ends_with("+json"));
    // A line-delimited or sequence form is another format, whatever its suffix says.
    let is_one_value = subtype != "json-seq+json";
    let charset_is_utf8 = parts.filter(|part| !part.is_empty()).all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if is_json && is_one_value && charset_is_utf8 { Ok(()) } else { Err(Refusal::ContentType) }
}

/// Decodes the content coding of a body.
#[derive(Debug)]
pub(super) enum Decoder {
    /// Nothing to decode.
    Identity,
    /// One or more gzip members.
    Gzip(Box<Gzip>),
}

impl Decoder {
    /// The decoder for a `Content-Encoding`.
    ///
    /// # Errors
    /// [`Refusal::Encoding`] for any other coding, and for two of them.
    pub(super) fn of(encoding: Option<&HeaderValue>) -> Result<Self, Refusal> {
        let text = encoding.map_or(Ok("identity"), |value| value.to_str());
        match text.unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip(Box::new(Gzip::new()))),
            _ => Err(Refusal::Encoding),
        }
    }

    /// Decodes a chunk, handing each piece to `take` until that fails.
    pub(super) fn push<E: From<EncodingFault>>(
        &mut self,
        chunk: Bytes,
        mut take: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Identity => take(chunk),
            Self::Gzip(gzip) => gzip.push(&chunk, take),
        }
    }

    pub(super) fn finish(&self) -> Result<(), EncodingFault> {
        match self {
            Self::Gzip(gzip) if !gzip.between_members => Err(EncodingFault::Truncated),
            Self::Identity | Self::Gzip(_) => Ok(()),
        }
    }
}

/// Unpacks gzip members one after the other.
#[derive(Debug)]
pub(super) struct Gzip {
    member: Decompress,
    /// The last member ended and no other began.
    between_members: bool,
    bytes_in: u64,
    bytes_out: u64,
}

impl Gzip {
    fn new() -> Self {
        Self { member: Decompress::new_gzip(15), between_members: false, bytes_in: 0, bytes_out: 0 }
    }

    fn push<E: From<EncodingFault>>(
        &mut self,
        chunk: &[u8],
        mut take: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.between_members {
                self.begin_member(rest)?;
            }
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let before = self.member.total_in();
            let status = self
                .member
                .decompress_vec(rest, &mut piece, FlushDecompress::None)
                .map_err(|_invalid| EncodingFault::Invalid)?;
            let read = usize::try_from(self.member.total_in() - before).unwrap_or(usize::MAX);
            let stuck = read == 0 && piece.is_empty();
            rest = rest.get(read..).unwrap_or_default();
            self.count(read, piece.len())?;
            if !piece.is_empty() {
                take(Bytes::from(piece))?;
            }
            match status {
                Status::StreamEnd => self.between_members = true,
                Status::Ok | Status::BufError if stuck => return Err(EncodingFault::Invalid.into()),
                Status::Ok | Status::BufError => {}
            }
        }
        self.drain(take)
    }

    /// Takes out what the decoder still holds back for want of room.
    fn drain<E: From<EncodingFault>>(
        &mut self,
        mut take: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        while !self.between_members {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let status = self
                .member
                .decompress_vec(&[], &mut piece, FlushDecompress::None)
                .map_err(|_invalid| EncodingFault::Invalid)?;
            let is_empty = piece.is_empty();
            self.count(0, piece.len())?;
            if !is_empty {
                take(Bytes::from(piece))?;
            }
            self.between_members = status == Status::StreamEnd;
            if is_empty {
                break;
            }
        }
        Ok(())
    }

    fn begin_member(&mut self, rest: &[u8]) -> Result<(), EncodingFault> {
        if rest.first() != Some(&0x1f) {
            return Err(EncodingFault::Trailing);
        }
        self.member = Decompress::new_gzip(15);
        self.between_members = false;
        Ok(())
    }

    fn count(&mut self, read: usize, written: usize) -> Result<(), EncodingFault> {
        self.bytes_in = self.bytes_in.saturating_add(read as u64);
        self.bytes_out = self.bytes_out.saturating_add(written as u64);
        let allowed = self.bytes_in.saturating_mul(RATIO).max(RATIO_FREE_BYTES);
        if self.bytes_out > allowed { Err(EncodingFault::Bomb) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(encoded: &[u8], step: usize) -> Result<Vec<u8>, EncodingFault> {
        let gzip = HeaderValue::from_static("gzip");
        let mut decoder = Decoder::of(Some(&gzip)).unwrap();
        let mut out = Vec::new();
        for chunk in encoded.chunks(step) {
            decoder.push(Bytes::copy_from_slice(chunk), |piece| {
                out.extend_from_slice(&piece);
                Ok::<(), EncodingFault>(())
            })?;
        }
        decoder.finish()?;
        Ok(out)
    }

    #[test]
    fn gzip_decodes_the_same_for_every_chunking_and_in_several_members() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let mut encoded = gzip(&text[..500_000]);
        encoded.extend(gzip(&text[500_000..]));
        for step in [1, 7, 4096, usize::MAX] {
            assert!(decode(&encoded, step.min(encoded.len())).unwrap() == text, "step {step}");
        }
    }

    #[test]
    fn truncated_altered_or_continued_gzip_is_refused() {
        let encoded = gzip(b"{\"id\":1}");
        assert_eq!(decode(&encoded[..encoded.len() - 1], 4).unwrap_err(), EncodingFault::Truncated);
        assert_eq!(decode(&[], 1).unwrap_err(), EncodingFault::Truncated);
        let mut altered = encoded.clone();
        let crc = altered.len() - 6;
        altered[crc] ^= 1;
        assert_eq!(decode(&altered, 64).unwrap_err(), EncodingFault::Invalid);
        let mut continued = encoded.clone();
        continued.extend_from_slice(b"{}");
        assert_eq!(decode(&continued, 64).unwrap_err(), EncodingFault::Trailing);
        assert_eq!(decode(b"{\"id\":1}", 64).unwrap_err(), EncodingFault::Invalid);
    }

    #[test]
    fn a_bomb_is_refused_before_it_fills_the_memory() {
        let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
        assert_eq!(decode(&bomb, 16 * 1024).unwrap_err(), EncodingFault::Bomb);
    }

    #[test]
    fn only_json_in_utf8_can_be_judged() {
        let check = |text: &'static str| check_type(Some(&HeaderValue::from_static(text)));
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/hal+json"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "text/html",
            "text/json",
            "application/json; charset=utf-16",
            "application/x-ndjson",
            "application/octet-stream",
            "application/+json",
            "",
        ] {
            assert_eq!(check(bad), Err(Refusal::ContentType), "{bad}");
        }
        assert_eq!(check_type(None), Err(Refusal::ContentType));
    }

    #[test]
    fn codings_that_are_not_decoded_are_refused() {
        for bad in ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "snappy"] {
            assert!(Decoder::of(Some(&HeaderValue::from_str(bad).unwrap())).is_err(), "{bad}");
        }
        assert!(matches!(Decoder::of(None), Ok(Decoder::Identity)));
    }
}
