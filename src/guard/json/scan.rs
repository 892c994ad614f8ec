//! The bytes inside tokens: strings, numbers, white space (RFC 8259). Resumable at every byte.

use wide::u8x16;

use super::fault::Cause;

/// So many bytes are compared at once.
const BLOCK_BYTES: usize = 16;

/// How far an escape sequence inside a string has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Not inside one.
    Outside,
    /// Behind the backslash.
    Backslash,
    /// Behind `\u`, with so many hexadecimal digits to come.
    Hex(u8),
}

/// Finds the closing quote of a string from `pos` on; `None` if the input ends before it.
///
/// On an error, the offset of the offending byte is given with it.
#[inline]
pub(super) fn string_end(
    input: &[u8],
    pos: usize,
    escape: &mut Escape,
) -> Result<Option<usize>, (Cause, usize)> {
    if *escape == Escape::Outside {
        let at = plain_end(input, pos);
        match input.get(at) {
            Some(b'"') => return Ok(Some(at)),
            None => return Ok(None),
            Some(_) => return escaped_string_end(input, at, escape),
        }
    }
    escaped_string_end(input, pos, escape)
}

fn escaped_string_end(
    input: &[u8],
    mut at: usize,
    escape: &mut Escape,
) -> Result<Option<usize>, (Cause, usize)> {
    loop {
        if *escape == Escape::Outside {
            at = plain_end(input, at);
        }
        let Some(&byte) = input.get(at) else { return Ok(None) };
        *escape = match (*escape, byte) {
            (Escape::Outside, b'"') => return Ok(Some(at)),
            (Escape::Outside, b'\\') => Escape::Backslash,
            (Escape::Outside, _) => return Err((Cause::ControlCharacter, at)),
            (Escape::Backslash, b'u') => Escape::Hex(4),
            (Escape::Backslash, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Escape::Outside
            }
            (Escape::Hex(left), digit) if digit.is_ascii_hexdigit() => {
                if left > 1 {
                    Escape::Hex(left - 1)
                } else {
                    Escape::Outside
                }
            }
            (Escape::Backslash | Escape::Hex(_), _) => return Err((Cause::BadEscape, at)),
        };
        at += 1;
    }
}

/// The first quote, backslash or control character from `pos` on.
#[inline]
pub(super) fn plain_end(input: &[u8], pos: usize) -> usize {
    stretch_end::<b'\\'>(input, pos)
}

/// The first quote, control character or `OTHER` from `pos` on.
#[inline]
pub(in crate::guard) fn stretch_end<const OTHER: u8>(input: &[u8], pos: usize) -> usize {
    let mut rest = input.get(pos..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK_BYTES>() {
        let hits = special::<OTHER>(*block);
        if hits != 0 {
            return input.len() - rest.len() + hits.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | ..0x20) || *byte == OTHER;
    let tail = rest.iter().position(is_special);
    input.len() - rest.len() + tail.unwrap_or(rest.len())
}

/// Has a bit set for each special byte of a block, the first byte's lowest.
#[inline]
fn special<const OTHER: u8>(block: [u8; BLOCK_BYTES]) -> u32 {
    let block = u8x16::new(block);
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    (quote | control | block.simd_eq(u8x16::splat(OTHER))).to_bitmask()
}

/// The first byte from `pos` on that is not white space.
#[inline]
pub(super) fn gap_end(input: &[u8], pos: usize) -> usize {
    let mut rest = input.get(pos..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK_BYTES>() {
        let other = !spaces(*block) & ALL;
        if other != 0 {
            return input.len() - rest.len() + other.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let gap = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    input.len() - rest.len() + gap.unwrap_or(rest.len())
}

/// A bit for each byte of a block.
const ALL: u32 = (1 << BLOCK_BYTES) - 1;

/// Has a bit set for each byte of a block that is white space, the first byte's lowest.
#[inline]
fn spaces(block: [u8; BLOCK_BYTES]) -> u32 {
    let block = u8x16::new(block);
    let is = |byte| block.simd_eq(u8x16::splat(byte));
    (is(b' ') | is(b'\n') | is(b'\r') | is(b'\t')).to_bitmask()
}

/// How far a number has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// The state behind a number's first byte.
    pub(super) fn start(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Whole),
            _ => None,
        }
    }

    #[inline]
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Some(Self::Power),
            _ => None,
        }
    }

    /// Goes on to the first byte that is not part of the number.
    #[inline]
    pub(super) fn scan(&mut self, input: &[u8], pos: usize) -> usize {
        let rest = input.get(pos..).unwrap_or_default();
        let length = rest.iter().position(|byte| match self.next(*byte) {
            Some(next) => {
                *self = next;
                false
            }
            None => true,
        });
        pos + length.unwrap_or(rest.len())
    }

    /// Whether a number may end here.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}

/// The end of a number without exponent that starts at `pos` and ends within a block; others are for
/// [`Number`] to judge.
///
/// No loop over digits: how many there are differs from value to value, and no processor guesses that.
#[inline]
pub(super) fn short_number_end(input: &[u8], pos: usize) -> Option<usize> {
    let start = pos + usize::from(input.get(pos) == Some(&b'-'));
    let block = input.get(start..)?.first_chunk::<BLOCK_BYTES>()?;
    let digits = digits(*block);
    let whole = digits.trailing_ones() as usize;
    if whole == 0 || (whole > 1 && block.first() == Some(&b'0')) {
        return None;
    }
    let mut length = whole;
    if block.get(whole) == Some(&b'.') {
        let fraction = (digits >> (whole + 1)).trailing_ones() as usize;
        if fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    }
    let ends = block.get(length).is_some_and(|byte| !matches!(byte, b'.' | b'e' | b'E'));
    ends.then_some(start + length)
}

/// Has a bit set for each digit of a block, the first byte's lowest.
#[inline]
fn digits(block: [u8; BLOCK_BYTES]) -> u32 {
    let block = u8x16::new(block);
    let clamped = block.max(u8x16::splat(b'0')).min(u8x16::splat(b'9'));
    clamped.simd_eq(block).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_ends_where_the_state_machine_says() {
        let filler = ",\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        let numbers = [
            "0",
            "-0",
            "7",
            "12",
            "-12.50",
            "0.5",
            "123456789012345",
            "-123456789012.34",
            "1e5",
            "01",
            "-",
            ".5",
            "1.",
            "1.e5",
            "00",
            "1.2.3",
            "1234567890123456",
            "12345678901234567",
            "1E1",
            "-01",
            "1-",
            "1+2",
            "0x1",
            "1.5e3",
            "",
        ];
        for number in numbers {
            let text = format!("{number}{filler}");
            let Some(end) = short_number_end(text.as_bytes(), 0) else { continue };
            let mut state = Number::start(text.as_bytes()[0]).unwrap();
            assert_eq!(state.scan(text.as_bytes(), 1), end, "{number}");
            assert!(state.is_complete(), "{number}");
        }
        let ends = |text: &str| short_number_end(format!("{text}{filler}").as_bytes(), 0);
        assert_eq!(ends("-12.50"), Some(6));
        for other in ["01", "1.", "-", ".5", "1e5", "1.5E3", "1.2.3", "", "x"] {
            assert_eq!(ends(other), None, "{other}");
        }
        assert_eq!(short_number_end(b"12,", 0), None, "too near to the end of the chunk");
    }

    #[test]
    fn every_special_byte_is_found_at_every_place() {
        for special in (0_u8..0x20).chain([b'"', b'\\']) {
            for place in 0..70 {
                let mut text = vec![b'a'; 70];
                text[place] = special;
                assert_eq!(plain_end(&text, 0), place);
                assert_eq!(plain_end(&text, place / 2), place);
                text[place] = if special == b'\\' { b',' } else { special };
                assert_eq!(stretch_end::<b','>(&text, place / 2), place);
            }
        }
    }

    #[test]
    fn white_space_ends_at_every_other_byte_and_place() {
        for byte in 0..=u8::MAX {
            for place in 0..40 {
                let mut text = b" \n\r\t".repeat(10);
                text[place] = byte;
                let is_space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
                assert_eq!(gap_end(&text, place / 2), if is_space { 40 } else { place });
            }
        }
    }

    #[test]
    fn no_other_byte_ends_a_plain_stretch() {
        for byte in (0x20_u8..=0xff).filter(|b| !matches!(b, b'"' | b'\\')) {
            assert_eq!(plain_end(&[byte; 37], 0), 37, "{byte:#x}");
        }
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string_wherever_it_is_split() {
        let text = br#"ab\"c\\\u0022d" "#;
        for split in 0..=14 {
            let mut escape = Escape::Outside;
            let first = string_end(&text[..split], 0, &mut escape).unwrap();
            assert_eq!(first, None);
            assert_eq!(string_end(text, split, &mut escape).unwrap(), Some(14), "{split}");
        }
    }
}
