//! `zstd`: frames, one behind the other, are one body. Frames to be skipped (RFC 8878, 3.1.2) are skipped
//! wherever they stand: nothing of them goes on, and they ask for no memory.

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::WINDOW_BITS;
use super::layer::{Damaged, Step, Unpack};

/// Frames; the decoder is made with the first byte. It knows no dictionaries and none of the formats
/// before version 1, and checks a frame's checksum if there is one.
#[derive(Default)]
pub(super) struct Zstandard {
    decoder: Option<Decoder<'static>>,
}

impl Unpack for Zstandard {
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None if input.is_empty() => return Ok(Step::default()),
            none => none.insert(new_decoder().ok_or(Damaged)?),
        };
        let Ok(status) = decoder.run_on_buffers(input, room) else { return Err(Damaged) };
        let is_end = status.remaining == 0;
        Ok(Step { read: status.bytes_read, wrote: status.bytes_written, is_end })
    }

    /// Whatever follows a frame must be another one; anything else fails at its first bytes.
    fn restart(&mut self) -> bool {
        self.decoder.as_mut().is_some_and(|decoder| decoder.reinit().is_ok())
    }
}

/// A decoder with a capped window; none if there is no memory for it.
fn new_decoder() -> Option<Decoder<'static>> {
    let mut decoder = Decoder::new().ok()?;
    decoder.set_parameter(DParameter::WindowLogMax(u32::from(WINDOW_BITS))).ok()?;
    Some(decoder)
}
