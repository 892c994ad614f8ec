//! What is seen of a value before it is read: most hold nothing that is looked for, and cost little for that.
//!
//! Each answer is safe on one side only: what is passed at a glance holds no hit, and that is tested.

/// Fewer digits hold nothing that is looked for.
pub(super) const FEWEST_DIGITS: usize = 8;
/// Digits of one number stand together, or with this many characters between two of them at most.
const WIDEST_GLUE: usize = 3;
/// The shortest number that is told by its digits alone, a telephone number with `+`, has so many.
const SHORTEST_NUMBER: usize = 9;

/// Whether a value as sent, escapes and all, could hold a hit: has digits enough, an `@`, or something
/// that must be read before anybody can tell.
#[must_use]
#[inline]
pub fn may_hold(raw: &[u8]) -> bool {
    counts_enough(raw) && (!is_simple(raw) || has_number(raw) || may_hold_account(raw))
}

/// The same of a JSON number. One with an exponent may have more digits than are written.
#[must_use]
#[inline]
pub fn number_may_hold(raw: &[u8]) -> bool {
    may_hold(raw) || raw.iter().any(|byte| matches!(byte, b'e' | b'E'))
}

/// One pass without branches: whether there are digits enough, or something that may stand for them.
#[inline]
fn counts_enough(raw: &[u8]) -> bool {
    let (mut digits, mut others) = (0_usize, 0_usize);
    for byte in raw {
        digits += usize::from(byte.is_ascii_digit());
        // `@`, an escape, or the first byte of a digit or `@` in another script or width.
        others += usize::from(matches!(byte, b'@' | b'\\' | 0xd9 | 0xdb | 0xef | 0xf0));
    }
    digits >= FEWEST_DIGITS || others > 0 || has_other_digits(raw)
}

/// Thai and Indic digits, which share their first byte with the letters beside them.
#[inline]
fn has_other_digits(raw: &[u8]) -> bool {
    if raw.is_ascii() {
        return false;
    }
    let is_digit = |three: &[u8]| matches!(three, [0xe0, 0xa5 | 0xb9 | 0xbb, 0x90..=0xaf]);
    raw.windows(3).any(is_digit)
}

/// Whether each byte is a character that stands for itself, and none is an `@`.
fn is_simple(raw: &[u8]) -> bool {
    raw.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'@' | b'\\' | 0x7f))
}

/// Whether digits enough stand near to one another. A date has eight, a time behind it stands apart.
fn has_number(simple: &[u8]) -> bool {
    let (mut digits, mut glue) = (0, 0);
    for byte in simple {
        match byte {
            b'0'..=b'9' => (digits, glue) = (digits + 1, 0),
            b' ' | b'-' | b'.' | b'(' | b')' if glue < WIDEST_GLUE => glue += 1,
            _ => digits = 0,
        }
        if digits >= SHORTEST_NUMBER {
            return true;
        }
    }
    false
}

/// Whether an account may begin somewhere: a word of two letters and, behind a space or dash or none, a digit.
fn may_hold_account(simple: &[u8]) -> bool {
    let begins = |at: &[u8]| match at {
        [a, b, b' ' | b'-', digit] | [a, b, digit, _] => {
            a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && digit.is_ascii_digit()
        }
        _ => false,
    };
    simple.windows(4).any(begins)
}
