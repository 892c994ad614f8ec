//! Which bodies can be judged at all: content codings that are decoded, content types that are read.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

/// Gzip data may grow this much before the ratio counts.
const FREE_OUTPUT_BYTES: u64 = 1024 * 1024;
/// Beyond that, so many bytes out for each byte in; deflate itself can reach 1,032.
const LARGEST_RATIO: u64 = 200;
const PIECE_BYTES: usize = 32 * 1024;
const WINDOW_BITS: u8 = 15;

/// A content coding that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// None.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
}

/// Why a body's content coding is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// A coding that is not decoded, or more than one.
    #[error("content encoding `{0}` is not supported, only `gzip` or none")]
    Unsupported(String),
    /// Not gzip, or damaged.
    #[error("the body is not valid gzip")]
    Corrupt,
    /// The gzip data end too early.
    #[error("the gzip body ends too early")]
    Truncated,
    /// It unpacks to far more than was sent.
    #[error("the gzip body unpacks to more than {LARGEST_RATIO} times its size")]
    Bomb,
    /// It is larger than allowed once decoded.
    #[error("the body is larger than {cap} bytes once decoded")]
    TooLarge {
        /// The largest that passes.
        cap: u64,
    },
}

impl Coding {
    /// Reads the values of all `Content-Encoding` fields of a message.
    ///
    /// # Errors
    /// [`EncodingFault::Unsupported`] for any other coding, and for two of them.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, EncodingFault> {
        let mut fields = fields.into_iter();
        let coding = match fields.next() {
            None => Ok(Self::Identity),
            Some(field) if field.trim_ascii().eq_ignore_ascii_case(b"identity") => {
                Ok(Self::Identity)
            }
            Some(field) if is_gzip(field.trim_ascii()) => Ok(Self::Gzip),
            Some(field) => Err(field),
        };
        match (coding, fields.next()) {
            (Ok(coding), None) => Ok(coding),
            (Err(field), _) | (Ok(_), Some(field)) => {
                let name = String::from_utf8_lossy(field);
                Err(EncodingFault::Unsupported(name.chars().take(32).collect()))
            }
        }
    }
}

fn is_gzip(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip")
}

/// Decodes a body as it comes.
#[derive(Debug)]
pub struct Decoder {
    /// The gzip member being read; `None` without coding.
    member: Option<Decompress>,
    /// Whether a member is complete and none has begun since.
    is_between: bool,
    bytes_in: u64,
    bytes_out: u64,
    output_cap: Option<u64>,
}

impl Decoder {
    /// A decoder for one body, whose decoded form may have `output_cap` bytes.
    #[must_use]
    pub fn new(coding: Coding, output_cap: Option<u64>) -> Self {
        let member = match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Decompress::new_gzip(WINDOW_BITS)),
        };
        Self { member, is_between: false, bytes_in: 0, bytes_out: 0, output_cap }
    }

    /// Decodes the next bytes and hands what they give to `sink`, in pieces of at most 32 KiB.
    ///
    /// # Errors
    /// An [`EncodingFault`] if the body does not pass, or what `sink` says.
    pub fn push<E: From<EncodingFault>>(
        &mut self,
        chunk: Bytes,
        mut sink: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes_in += chunk.len() as u64;
        if self.member.is_none() {
            self.count(chunk.len())?;
            return sink(chunk);
        }
        let mut rest: &[u8] = &chunk;
        while let Some(piece) = self.piece(&mut rest)? {
            if !piece.is_empty() {
                self.count(piece.len())?;
                sink(piece)?;
            }
        }
        Ok(())
    }

    /// Decodes up to one piece; `None` if more input is needed.
    fn piece(&mut self, rest: &mut &[u8]) -> Result<Option<Bytes>, EncodingFault> {
        let Some(member) = &mut self.member else { return Ok(None) };
        if self.is_between {
            if rest.is_empty() {
                return Ok(None);
            }
            // Whatever follows a member must be another one; anything else fails at its header.
            *member = Decompress::new_gzip(WINDOW_BITS);
            self.is_between = false;
        }
        let (read, wrote) = (member.total_in(), member.total_out());
        let mut piece = vec![0; PIECE_BYTES];
        let Ok(status) = member.decompress(rest, &mut piece, FlushDecompress::None) else {
            return Err(EncodingFault::Corrupt);
        };
        let read = usize::try_from(member.total_in() - read).unwrap_or(usize::MAX);
        let wrote = usize::try_from(member.total_out() - wrote).unwrap_or(usize::MAX);
        *rest = rest.get(read..).unwrap_or_default();
        piece.truncate(wrote);
        self.is_between = status == Status::StreamEnd;
        let is_stuck = read == 0 && wrote == 0 && !self.is_between;
        match (is_stuck, rest.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(EncodingFault::Corrupt),
            (false, _) => Ok(Some(piece.into())),
        }
    }

    fn count(&mut self, decoded: usize) -> Result<(), EncodingFault> {
        self.bytes_out += decoded as u64;
        if let Some(cap) = self.output_cap.filter(|cap| self.bytes_out > *cap) {
            return Err(EncodingFault::TooLarge { cap });
        }
        let allowed = FREE_OUTPUT_BYTES.max(self.bytes_in.saturating_mul(LARGEST_RATIO));
        if self.member.is_some() && self.bytes_out > allowed {
            return Err(EncodingFault::Bomb);
        }
        Ok(())
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// [`EncodingFault::Truncated`] if it is not.
    pub fn finish(&self) -> Result<(), EncodingFault> {
        if self.member.is_none() || self.is_between {
            Ok(())
        } else {
            Err(EncodingFault::Truncated)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(
        coding: Coding,
        cap: Option<u64>,
        body: &[u8],
        size: usize,
    ) -> Result<Vec<u8>, EncodingFault> {
        let mut decoder = Decoder::new(coding, cap);
        let mut text = Vec::new();
        for chunk in body.chunks(size) {
            decoder.push(Bytes::copy_from_slice(chunk), |piece| {
                text.extend(piece);
                Ok::<(), EncodingFault>(())
            })?;
        }
        decoder.finish()?;
        Ok(text)
    }

    #[test]
    fn two_members_are_one_body_and_anything_else_behind_one_is_refused() {
        let two = [gzip(b"ab"), gzip(b"cd")].concat();
        let garbage = [gzip(b"ab"), b"garbage garbage garbage".to_vec()].concat();
        let zeros = [gzip(b"ab"), vec![0; 20]].concat();
        for size in [1, 7, 1000] {
            assert_eq!(decode(Coding::Gzip, None, &two, size).unwrap(), b"abcd");
            assert_eq!(decode(Coding::Gzip, None, &garbage, size), Err(EncodingFault::Corrupt));
            assert!(decode(Coding::Gzip, None, &zeros, size).is_err());
        }
    }

    #[test]
    fn a_truncated_or_damaged_body_is_refused() {
        let body = gzip(b"hello, hello, hello");
        for cut in 0..body.len() {
            assert_eq!(
                decode(Coding::Gzip, None, &body[..cut], 3),
                Err(EncodingFault::Truncated),
                "{cut}"
            );
        }
        for checked in [body.len() - 1, body.len() - 5, 12] {
            let mut damaged = body.clone();
            damaged[checked] ^= 1;
            assert!(decode(Coding::Gzip, None, &damaged, 3).is_err());
        }
        assert_eq!(decode(Coding::Gzip, None, b"{\"a\":1}", 3), Err(EncodingFault::Corrupt));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let bomb = gzip(&vec![b' '; 20_000_000]);
        assert_eq!(decode(Coding::Gzip, None, &bomb, 4096), Err(EncodingFault::Bomb));
        let small = gzip(&vec![b' '; 1_000_000]);
        assert_eq!(decode(Coding::Gzip, None, &small, 4096).unwrap().len(), 1_000_000);
        let cap = EncodingFault::TooLarge { cap: 999_999 };
        assert_eq!(decode(Coding::Gzip, Some(999_999), &small, 4096), Err(cap.clone()));
        assert_eq!(decode(Coding::Identity, Some(999_999), &[0; 1_000_000], 4096), Err(cap));
    }

    #[test]
    fn only_gzip_or_nothing_is_decoded() {
        let coding =
            |fields: &[&'static str]| Coding::of(fields.iter().map(|field| field.as_bytes()));
        assert_eq!(coding(&[]), Ok(Coding::Identity));
        assert_eq!(coding(&["Identity"]), Ok(Coding::Identity));
        assert_eq!(coding(&[" GZip "]), Ok(Coding::Gzip));
        for fields in [
            &["br"][..],
            &["zstd"],
            &["deflate"],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &[""],
            &["gzip", "identity"],
        ] {
            assert!(matches!(coding(fields), Err(EncodingFault::Unsupported(_))), "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_for_every_split(
            text in prop::collection::vec(any::<u8>(), 0..3000),
            size in 1..500_usize,
        ) {
            prop_assert_eq!(decode(Coding::Gzip, None, &gzip(&text), size).unwrap(), text);
        }
    }
}
