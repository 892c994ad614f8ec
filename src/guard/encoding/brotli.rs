//! `br`. It has no checksum: of a damaged body only what cannot be decoded is noticed here.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::WINDOW_BITS;
use super::layer::{Damaged, Step, Unpack};

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// One stream; nothing may follow it.
pub(super) struct Brotli {
    state: Box<State>,
    has_begun: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let memory = StandardAlloc::default;
        // Windows beyond those of RFC 7932 are none of this coding.
        let state = Box::new(State::new_strict(memory(), memory(), memory()));
        Self { state, has_begun: false }
    }
}

impl Unpack for Brotli {
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<Step, Damaged> {
        if !self.has_begun {
            let Some(first) = input.first() else { return Ok(Step::default()) };
            if window_bits(*first).is_none_or(|bits| bits > WINDOW_BITS) {
                return Err(Damaged);
            }
            self.has_begun = true;
        }
        let mut step = Step::default();
        let (mut unread, mut free, mut total) = (input.len(), room.len(), 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut step.read,
            input,
            &mut free,
            &mut step.wrote,
            room,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultSuccess => Ok(Step { is_end: true, ..step }),
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(step),
            BrotliResult::ResultFailure => Err(Damaged),
        }
    }

    fn restart(&mut self) -> bool {
        false
    }
}

/// How large a window the stream asks for, as its first byte says (RFC 7932, 9.1); `None` for a form that
/// is reserved. The decoder would set aside all of it.
fn window_bits(first: u8) -> Option<u8> {
    let (low, high) = (first >> 1 & 7, first >> 4 & 7);
    match (first & 1, low, high) {
        (0, ..) => Some(16),
        (_, 1.., _) => Some(17 + low),
        (_, 0, 0) => Some(17),
        (_, 0, 1) => None,
        (_, 0, 2..) => Some(8 + high),
    }
}

#[cfg(test)]
mod tests {
    use super::window_bits;

    #[test]
    fn the_window_is_what_the_table_of_the_rfc_says() {
        for (bits, wanted) in [
            (0b0, Some(16)),
            (0b000_0001, Some(17)),
            (0b0011, Some(18)),
            (0b0101, Some(19)),
            (0b1011, Some(22)),
            (0b1101, Some(23)),
            (0b1111, Some(24)),
            (0b010_0001, Some(10)),
            (0b111_0001, Some(15)),
            (0b001_0001, None),
        ] {
            assert_eq!(window_bits(bits), wanted, "{bits:b}");
            assert_eq!(window_bits(bits | 0x80), wanted, "{bits:b}");
        }
    }
}
