//! One coding being undone: the loop around its decoder, and the bounds within which it may give.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::brotli::Brotli;
use super::deflate::{Deflate, Gzip};
use super::zstandard::Zstandard;
use super::{Coding, EncodingFault};

/// A body may grow to this much before the ratio counts.
const FREE_OUTPUT_BYTES: u64 = 1024 * 1024;
/// Beyond that, so many bytes out for each byte that was sent, whatever it is packed with.
pub(super) const LARGEST_RATIO: u64 = 200;
/// Room for output. It is cleared once and handed out in pieces until little of it is left.
const ROOM_BYTES: usize = 64 * 1024;
const LEAST_ROOM_BYTES: usize = 4 * 1024;

/// The input is not what the coding makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damaged;

/// How far a decoder came in one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) wrote: usize,
    /// Whether the packed data are complete, and all that they hold was written.
    pub(super) is_end: bool,
}

/// The decoder of one coding.
pub(super) trait Unpack: Send + Sync {
    /// Reads from the front of the input and fills the room from its front.
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged>;

    /// Begins on what follows complete data; false if nothing may follow them.
    fn restart(&mut self) -> bool;
}

/// What bounds the output, whichever way it is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many bytes of the body came so far.
    pub(super) bytes_in: u64,
    /// The largest output.
    pub(super) cap: Option<u64>,
}

impl Bounds {
    pub(super) fn check_cap(self, bytes_out: u64) -> Result<(), EncodingFault> {
        match self.cap {
            Some(cap) if bytes_out > cap => Err(EncodingFault::TooLarge { cap }),
            Some(_) | None => Ok(()),
        }
    }

    /// Codings over one another do not multiply: each is held against what was sent.
    fn check(self, bytes_out: u64) -> Result<(), EncodingFault> {
        self.check_cap(bytes_out)?;
        let allowed = FREE_OUTPUT_BYTES.max(self.bytes_in.saturating_mul(LARGEST_RATIO));
        if bytes_out > allowed { Err(EncodingFault::Bomb) } else { Ok(()) }
    }
}

/// A coding that is being undone.
pub(super) struct Layer {
    coding: Coding,
    decoder: Box<dyn Unpack>,
    /// Whether the packed data are complete and nothing has begun since.
    is_complete: bool,
    room: BytesMut,
    bytes_out: u64,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("coding", &self.coding)
            .field("is_complete", &self.is_complete)
            .field("bytes_out", &self.bytes_out)
            .finish_non_exhaustive()
    }
}

impl Layer {
    pub(super) fn new(coding: Coding) -> Self {
        let decoder: Box<dyn Unpack> = match coding {
            Coding::Gzip => Box::new(Gzip::new()),
            Coding::Deflate => Box::new(Deflate::default()),
            Coding::Brotli => Box::new(Brotli::new()),
            Coding::Zstd => Box::new(Zstandard::default()),
        };
        Self { coding, decoder, is_complete: false, room: BytesMut::new(), bytes_out: 0 }
    }

    /// Hands all that the input gives to `sink`.
    pub(super) fn push<E: From<EncodingFault>>(
        &mut self,
        mut input: &[u8],
        bounds: Bounds,
        sink: &mut impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            if self.is_complete {
                if input.is_empty() {
                    return Ok(());
                }
                self.restart()?;
            }
            if self.room.len() < LEAST_ROOM_BYTES {
                self.room = BytesMut::zeroed(ROOM_BYTES);
            }
            let room = self.room.len();
            let step = self.decoder.step(input, &mut self.room);
            let step = step.map_err(|Damaged| EncodingFault::Corrupt(self.coding))?;
            input = input.get(step.read..).unwrap_or_default();
            self.is_complete = step.is_end;
            if step.wrote > 0 {
                self.bytes_out += step.wrote as u64;
                bounds.check(self.bytes_out)?;
                sink(self.room.split_to(step.wrote.min(room)).freeze())?;
            }
            if input.is_empty() && step.wrote < room {
                return Ok(());
            }
            if step.read == 0 && step.wrote == 0 && !step.is_end {
                return Err(EncodingFault::Corrupt(self.coding).into());
            }
        }
    }

    fn restart(&mut self) -> Result<(), EncodingFault> {
        if !self.decoder.restart() {
            return Err(EncodingFault::Trailing(self.coding));
        }
        self.is_complete = false;
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<(), EncodingFault> {
        if self.is_complete { Ok(()) } else { Err(EncodingFault::Truncated(self.coding)) }
    }
}
