//! What ends in a block of 64 bytes, and what may be wrong there: a bit for each byte, worked out with no branch
//! per byte. It counts quotes to tell which separators stand outside of them.

use wide::u8x16;

use super::row::Separator;

pub(super) const BLOCK_BYTES: usize = 64;
/// So many bytes are compared at once.
const PART_BYTES: usize = 16;

/// Bytes that are looked at together.
pub(super) struct Block([u8x16; 4]);

/// A bit for each byte of a block that is of a class, the first byte's lowest.
struct Classes {
    quotes: u64,
    separators: u64,
    returns: u64,
    feeds: u64,
    /// Control characters that stand nowhere in a table.
    forbidden: u64,
}

/// What the bytes before a block say about its first one, each as 0 or 1, but for `inside`.
pub(super) struct Carry {
    /// All bits set if it stands inside quotes.
    inside: u64,
    starts_cell: u64,
    follows_close: u64,
    follows_return: u64,
}

/// What the bits of a block come to.
pub(super) struct Verdict {
    /// Where cells end: separators, and of an end of line the first byte.
    pub(super) ends: u64,
    /// Line feeds that end a row.
    pub(super) feeds: u64,
    /// Where something is wrong, or just behind it.
    pub(super) faults: u64,
}

impl Block {
    #[inline]
    pub(super) fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
        let mut parts = bytes.as_chunks::<PART_BYTES>().0.iter();
        Self([(); 4].map(|()| parts.next().map_or(u8x16::ZERO, |part| u8x16::new(*part))))
    }

    /// Sets the bit of each byte for which a comparison holds.
    #[inline]
    fn bits(&self, holds: impl Fn(u8x16) -> u8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|part| u64::from(holds(part).to_bitmask()));
        a | (b << 16) | (c << 32) | (d << 48)
    }

    /// Whether it has no quotes and no control characters, the separator aside.
    #[inline]
    fn is_plain(&self, separator: Separator) -> bool {
        let [a, b, c, d] = self.0.map(|part| {
            let control = control(part) & !is(part, separator.byte());
            control | is(part, b'"')
        });
        ((a | b) | (c | d)).to_bitmask() == 0
    }

    #[inline]
    fn classes(&self, separator: Separator) -> Classes {
        Classes {
            quotes: self.bits(|part| is(part, b'"')),
            separators: self.bits(|part| is(part, separator.byte())),
            returns: self.bits(|part| is(part, b'\r')),
            feeds: self.bits(|part| is(part, b'\n')),
            forbidden: self.bits(|part| {
                let allowed = is(part, b'\n') | is(part, b'\r') | is(part, b'\t');
                control(part) & !allowed
            }),
        }
    }
}

#[inline]
fn is(part: u8x16, byte: u8) -> u8x16 {
    part.simd_eq(u8x16::splat(byte))
}

#[inline]
fn control(part: u8x16) -> u8x16 {
    part.min(u8x16::splat(0x1f)).simd_eq(part)
}

impl Carry {
    /// What is known where a row starts.
    pub(super) fn at_row_start() -> Self {
        Self { inside: 0, starts_cell: 1, follows_close: 0, follows_return: 0 }
    }

    /// Judges the next block.
    #[inline]
    pub(super) fn judge(&mut self, block: &Block, separator: Separator) -> Verdict {
        let is_undecided = self.inside | self.follows_close | self.follows_return != 0;
        if is_undecided || !block.is_plain(separator) {
            return self.judge_classes(&block.classes(separator), separator);
        }
        let ends = block.bits(|part| is(part, separator.byte()));
        self.starts_cell = ends >> 63;
        Verdict { ends, feeds: 0, faults: 0 }
    }

    /// Judges the next block, whatever stands in it.
    #[inline]
    fn judge_classes(&mut self, classes: &Classes, separator: Separator) -> Verdict {
        let Classes { quotes, separators, returns, feeds, forbidden } = *classes;
        let quoting = if separator == Separator::Comma { quotes } else { 0 };
        // From each opening quote on, up to before the closing one. Of two quotes that stand for one, the first
        // closes and the second opens again.
        let inside = parity(quoting) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        let (opening, closing) = (quoting & inside, quoting & !inside);
        let (separators, returns, feeds) =
            (separators & !inside, returns & !inside, feeds & !inside);
        let starts_cell = behind(separators | feeds, &mut self.starts_cell);
        let follows_close = behind(closing, &mut self.follows_close);
        let follows_return = behind(returns, &mut self.follows_return);
        let misplaced = match separator {
            Separator::Comma => opening & !(starts_cell | follows_close),
            Separator::Tab => quotes & starts_cell,
        };
        let faults = forbidden
            | misplaced
            | (follows_close & !(separators | returns | feeds | opening))
            | (follows_return & !feeds);
        Verdict { ends: separators | returns | (feeds & !follows_return), feeds, faults }
    }
}

/// The bits behind these ones; what stands behind the last goes over to the next block.
#[inline]
fn behind(bits: u64, carry: &mut u64) -> u64 {
    let behind = (bits << 1) | *carry;
    *carry = bits >> 63;
    behind
}

/// Sets each bit that has an odd number of bits set up to it.
#[inline]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
