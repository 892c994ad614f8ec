//! The bytes inside tokens: strings, numbers, white space (RFC 8259). Resumable at every byte.

use super::fault::Cause;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const TWOS: u64 = 0x0202_0202_0202_0202;
const EXCLAMATIONS: u64 = 0x2121_2121_2121_2121;

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

/// The first quote, control character or `OTHER` from `pos` on, eight bytes at a time.
#[inline]
pub(in crate::guard) fn stretch_end<const OTHER: u8>(input: &[u8], pos: usize) -> usize {
    let mut rest = input.get(pos..).unwrap_or_default();
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let hits = special::<OTHER>(u64::from_le_bytes(*word));
        if hits != 0 {
            return input.len() - rest.len() + (hits.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | ..0x20) || *byte == OTHER;
    let tail = rest.iter().position(is_special);
    input.len() - rest.len() + tail.unwrap_or(rest.len())
}

/// Has the high bit set in each special byte. Bytes above the lowest hit may be wrong: borrows run upwards.
///
/// Flipping the second bit brings the quote (0x22) down to 0x20, beside the control characters, and the
/// space out of their way: one comparison finds both.
#[inline]
fn special<const OTHER: u8>(word: u64) -> u64 {
    let quote_or_control = (word ^ TWOS).wrapping_sub(EXCLAMATIONS) & !word;
    let other = word ^ u64::from_le_bytes([OTHER; 8]);
    (quote_or_control | (other.wrapping_sub(ONES) & !other)) & HIGHS
}

/// The first byte from `pos` on that is not white space.
#[inline]
pub(super) fn gap_end(input: &[u8], pos: usize) -> usize {
    let rest = input.get(pos..).unwrap_or_default();
    let gap = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    pos + gap.unwrap_or(rest.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_at_every_place() {
        for special in (0_u8..0x20).chain([b'"', b'\\']) {
            for place in 0..40 {
                let mut text = vec![b'a'; 40];
                text[place] = special;
                assert_eq!(plain_end(&text, 0), place);
                assert_eq!(plain_end(&text, place / 2), place);
                text[place] = if special == b'\\' { b',' } else { special };
                assert_eq!(stretch_end::<b','>(&text, place / 2), place);
            }
        }
    }

    #[test]
    fn no_other_byte_ends_a_plain_stretch() {
        for byte in (0x20_u8..=0xff).filter(|b| !matches!(b, b'"' | b'\\')) {
            assert_eq!(plain_end(&[byte; 19], 0), 19, "{byte:#x}");
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
