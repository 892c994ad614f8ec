//! Content codings: what a body was packed with on its way, unpacked within bounds as it comes.
//!
//! Four codings and two of them one over the other. What comes out has none: it is not packed anew,
//! see `docs/adr`. Whatever is cut short, damaged, followed by something else or grows too much is refused.

mod brotli;
mod coding;
mod deflate;
mod layer;
mod zstandard;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use coding::{Coding, Codings};
use layer::{Bounds, LARGEST_RATIO, Layer};

/// No window of a coding is larger, see [`WINDOW_BYTES`].
const WINDOW_BITS: u8 = 23;
/// So much of the unpacked body is kept for each coding at most; RFC 9659 sets it for zstd.
const WINDOW_BYTES: u32 = 1 << WINDOW_BITS;

/// Why a body's content coding is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// A coding that is not unpacked.
    #[error(
        "content encoding `{0}` is not supported, only `gzip`, `deflate`, `br`, `zstd` or none"
    )]
    Unsupported(String),
    /// More codings, one over the other, than are unpacked.
    #[error("the body has more than two content encodings")]
    TooMany,
    /// A body that passes unread says nothing by its size of how much it unpacks to.
    #[error("a body that passes unread cannot have the content encoding `{0}`")]
    Unread(Codings),
    /// A form is not packed: who does not know that it may be one reads something else in it.
    #[error("a form cannot have the content encoding `{0}`")]
    Form(Codings),
    /// Not what its coding makes, or damaged.
    #[error("the body is not valid `{0}`, or needs a window of more than {WINDOW_BYTES} bytes")]
    Corrupt(Coding),
    /// Something follows the packed body that is not part of it.
    #[error("something follows the end of the `{0}` body")]
    Trailing(Coding),
    /// The packed body ends too early.
    #[error("the `{0}` body ends too early")]
    Truncated(Coding),
    /// It unpacks to far more than was sent.
    #[error("the body unpacks to more than {LARGEST_RATIO} times its size")]
    Bomb,
    /// It is larger than allowed once decoded.
    #[error("the body is larger than {cap} bytes once decoded")]
    TooLarge {
        /// The largest that passes.
        cap: u64,
    },
}

/// Unpacks a body as it comes.
#[derive(Debug)]
pub struct Decoder {
    /// What was packed last, and so is unpacked first.
    outer: Option<Layer>,
    inner: Option<Layer>,
    bytes_in: u64,
    output_cap: Option<u64>,
}

impl Decoder {
    /// A decoder for one body, whose decoded form may have `output_cap` bytes.
    #[must_use]
    pub fn new(codings: Codings, output_cap: Option<u64>) -> Self {
        let mut layers = codings.last_first().map(Layer::new);
        Self { outer: layers.next(), inner: layers.next(), bytes_in: 0, output_cap }
    }

    /// Unpacks the next bytes and hands what they give to `sink`, in pieces of at most 64 KiB.
    ///
    /// # Errors
    /// An [`EncodingFault`] if the body does not pass, or what `sink` says.
    pub fn push<E: From<EncodingFault>>(
        &mut self,
        chunk: Bytes,
        mut sink: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes_in += chunk.len() as u64;
        let bounds = Bounds { bytes_in: self.bytes_in, cap: self.output_cap };
        match (&mut self.outer, &mut self.inner) {
            (None, _) => {
                bounds.check_cap(self.bytes_in)?;
                sink(chunk)
            }
            (Some(only), None) => only.push(&chunk, bounds, &mut sink),
            (Some(outer), Some(inner)) => {
                outer.push(&chunk, bounds, &mut |piece| inner.push(&piece, bounds, &mut sink))
            }
        }
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// [`EncodingFault::Truncated`] if it is not.
    pub fn finish(&self) -> Result<(), EncodingFault> {
        [&self.outer, &self.inner].into_iter().flatten().try_for_each(Layer::finish)
    }
}
