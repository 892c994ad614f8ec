//! National identity numbers. Digits of a date of birth are never shown.

use std::borrow::Cow;

use super::{between, joined};
use crate::policy::kind::Style;

const SEPARATORS: &[u8] = b" -";

fn digits(text: &str, count: usize) -> Option<Cow<'_, str>> {
    joined(text, SEPARATORS, |byte| byte.is_ascii_digit()).filter(|digits| digits.len() == count)
}

/// China, 18 characters (GB 11643): the first and the last; to verify, three and four.
pub(super) fn cn(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, b" ", |byte| byte.is_ascii_alphanumeric())?;
    let (body, check) = number.split_at_checked(17)?;
    let fits = body.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(check.as_bytes(), [b'0'..=b'9' | b'x' | b'X']);
    let (front, back) = if style == Style::Verify { (3, 4) } else { (1, 1) };
    if fits { between(&number, front, back, out) } else { None }
}

/// Korea, six digits and seven: none, since the first six are a date of birth. Other styles show that
/// date, or also the digit of the sex behind it.
pub(super) fn kr(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = digits(text, 13)?;
    let (birth, sex) = number.split_at_checked(6)?;
    if style == Style::First7 {
        out.extend([birth, "-", sex.get(..1)?, "******"]);
    } else {
        out.extend([if style == Style::First6 { birth } else { "******" }, "-*******"]);
    }
    Some(())
}

/// Thailand, 13 digits: the last, or the last three.
pub(super) fn th(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = digits(text, 13)?;
    let before = if style == Style::Last3 { number.get(10..12)? } else { "**" };
    out.extend(["*-****-*****-", before, "-", number.get(12..)?]);
    Some(())
}

/// Indonesia, 16 digits: the first four (a region) and the last two, or these alone.
pub(super) fn nik(style: Style, text: &str, out: &mut String) -> Option<()> {
    let front = if style == Style::Last2 { 0 } else { 4 };
    between(&digits(text, 16)?, front, 2, out)
}

/// Whichever the form tells. Thirteen bare digits could be Korean or Thai: nothing is shown.
pub(super) fn any(text: &str, out: &mut String) -> Option<()> {
    let has_parts = |lengths: &[usize]| text.split('-').map(str::len).eq(lengths.iter().copied());
    if has_parts(&[6, 7]) {
        kr(Style::All, text, out)
    } else if has_parts(&[1, 4, 5, 2, 1]) {
        th(Style::Last1, text, out)
    } else {
        cn(Style::Ends, text, out).or_else(|| nik(Style::Ends, text, out))
    }
}
