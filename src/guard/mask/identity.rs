//! National identity numbers. Digits of a date of birth are never shown.

use super::{between, joined};

const SEPARATORS: &[char] = &[' ', '-'];

fn digits(text: &str, count: usize) -> Option<String> {
    joined(text, SEPARATORS, |byte| byte.is_ascii_digit()).filter(|digits| digits.len() == count)
}

/// China, 18 characters (GB 11643): the first and the last.
pub(super) fn cn(text: &str) -> Option<String> {
    let number = joined(text, &[' '], |byte| byte.is_ascii_alphanumeric())?;
    let (body, check) = number.split_at_checked(17)?;
    let fits = body.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(check.as_bytes(), [b'0'..=b'9' | b'x' | b'X']);
    if fits { between(&number, 1, 1) } else { None }
}

/// Korea, six digits and seven: none, since the first six are a date of birth.
pub(super) fn kr(text: &str) -> Option<String> {
    digits(text, 13).map(|_| "******-*******".to_owned())
}

/// Thailand, 13 digits: the last.
pub(super) fn th(text: &str) -> Option<String> {
    let number = digits(text, 13)?;
    Some(format!("*-****-*****-**-{}", number.get(12..)?))
}

/// Indonesia, 16 digits: the first four (a region) and the last two.
pub(super) fn nik(text: &str) -> Option<String> {
    between(&digits(text, 16)?, 4, 2)
}

/// Whichever the form tells. Thirteen bare digits could be Korean or Thai: nothing is shown.
pub(super) fn any(text: &str) -> Option<String> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    match lengths.as_slice() {
        [6, 7] => kr(text),
        [1, 4, 5, 2, 1] => th(text),
        _ => cn(text).or_else(|| nik(text)),
    }
}
