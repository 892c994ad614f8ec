//! National identity numbers. Digits of a date of birth are never shown.

use std::borrow::Cow;

use super::{between, joined};

const SEPARATORS: &[u8] = b" -";

fn digits(text: &str, count: usize) -> Option<Cow<'_, str>> {
    joined(text, SEPARATORS, |byte| byte.is_ascii_digit()).filter(|digits| digits.len() == count)
}

/// China, 18 characters (GB 11643): the first and the last.
pub(super) fn cn(text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, b" ", |byte| byte.is_ascii_alphanumeric())?;
    let (body, check) = number.split_at_checked(17)?;
    let fits = body.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(check.as_bytes(), [b'0'..=b'9' | b'x' | b'X']);
    if fits { between(&number, 1, 1, out) } else { None }
}

/// Korea, six digits and seven: none, since the first six are a date of birth.
pub(super) fn kr(text: &str, out: &mut String) -> Option<()> {
    digits(text, 13)?;
    out.push_str("******-*******");
    Some(())
}

/// Thailand, 13 digits: the last.
pub(super) fn th(text: &str, out: &mut String) -> Option<()> {
    let number = digits(text, 13)?;
    out.extend(["*-****-*****-**-", number.get(12..)?]);
    Some(())
}

/// Indonesia, 16 digits: the first four (a region) and the last two.
pub(super) fn nik(text: &str, out: &mut String) -> Option<()> {
    between(&digits(text, 16)?, 4, 2, out)
}

/// Whichever the form tells. Thirteen bare digits could be Korean or Thai: nothing is shown.
pub(super) fn any(text: &str, out: &mut String) -> Option<()> {
    let has_parts = |lengths: &[usize]| text.split('-').map(str::len).eq(lengths.iter().copied());
    if has_parts(&[6, 7]) {
        kr(text, out)
    } else if has_parts(&[1, 4, 5, 2, 1]) {
        th(text, out)
    } else {
        cn(text, out).or_else(|| nik(text, out))
    }
}
