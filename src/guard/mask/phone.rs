//! Telephone numbers: `138****5678`, `010-****-5678`, `08*-***-1234`, `0812*****789`, `91****23`.

use super::{between, joined, stars};
use crate::policy::kind::Style;

const SEPARATORS: &[u8] = b" -.()/";

/// Masks by the country of the number, which its calling code or its own form tells; or all but the
/// last four digits.
pub(super) fn phone(style: Style, text: &str, out: &mut String) -> Option<()> {
    let international = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    let number = joined(international.unwrap_or(text), SEPARATORS, |byte| byte.is_ascii_digit())?;
    if style == Style::Last4 {
        return other(&number, out);
    }
    let start = out.len();
    let known = match international {
        None => national(&number, out),
        Some(_) => foreign(&number, out),
    };
    known.or_else(|| {
        out.truncate(start);
        other(&number, out)
    })
}

/// A number as it is dialled at home.
fn national(number: &str, out: &mut String) -> Option<()> {
    match number.as_bytes() {
        [b'1', ..] => cn(number, out),
        [b'0', b'1', ..] => kr(number, out),
        [b'0', ..] if number.len() == 10 => th(number, out),
        _ if number.len() == 8 => hk(number, out),
        _ => id(number, out),
    }
}

/// A number behind a calling code: the code, and the rest without the zero it has at home.
fn foreign(number: &str, out: &mut String) -> Option<()> {
    let long = ["852", "853", "886"].iter().any(|code| number.starts_with(code));
    let (code, rest) = number.split_at_checked(if long { 3 } else { 2 })?;
    let rest = rest.strip_prefix('0').unwrap_or(rest);
    let mut masked = String::new();
    match code {
        "86" => cn(rest, &mut masked)?,
        "82" => kr(&format!("0{rest}"), &mut masked)?,
        "66" => th(&format!("0{rest}"), &mut masked)?,
        "852" | "853" => hk(rest, &mut masked)?,
        "886" => tw(&format!("0{rest}"), &mut masked)?,
        "62" => id(&format!("0{rest}"), &mut masked)?,
        _ => return None,
    }
    out.extend(["+", code, " ", masked.strip_prefix('0').unwrap_or(&masked)]);
    Some(())
}

/// Whether a calling code that begins with these digits may be one of those above.
#[inline]
pub(super) fn has_known_plan(first: u8, second: u8) -> bool {
    matches!((first, second), (b'8', b'2' | b'5' | b'6' | b'8') | (b'6', b'2' | b'6'))
}

fn cn(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = number.len() == 11 && matches!(number.as_bytes(), [b'1', b'3'..=b'9', ..]);
    if is_mobile { between(number, 3, 4, out) } else { None }
}

fn kr(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = matches!(number.as_bytes(), [b'0', b'1', b'0' | b'1' | b'6'..=b'9', ..]);
    if !is_mobile || !matches!(number.len(), 10 | 11) {
        return None;
    }
    out.extend([number.get(..3)?, "-"]);
    stars(number.len() - 7, out);
    out.extend(["-", number.get(number.len() - 4..)?]);
    Some(())
}

fn th(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = matches!(number.as_bytes(), [b'0', b'6' | b'8' | b'9', ..]);
    if !is_mobile || number.len() != 10 {
        return None;
    }
    out.extend([number.get(..2)?, "*-***-", number.get(6..)?]);
    Some(())
}

fn id(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = number.starts_with("08") && matches!(number.len(), 11..=13);
    if is_mobile { between(number, 4, 3, out) } else { None }
}

/// Hong Kong and Macau.
fn hk(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = number.len() == 8 && number.starts_with(['5', '6', '9']);
    if is_mobile { between(number, 2, 2, out) } else { None }
}

/// Taiwan. At home such a number cannot be told from a Thai one, and is masked like that.
fn tw(number: &str, out: &mut String) -> Option<()> {
    let is_mobile = number.len() == 10 && number.starts_with("09");
    if is_mobile { between(number, 2, 3, out) } else { None }
}

/// A number whose plan we do not know: its last four digits, or two if it is short.
fn other(number: &str, out: &mut String) -> Option<()> {
    match number.len() {
        7..=9 => between(number, 0, 2, out),
        10..=15 => between(number, 0, 4, out),
        _ => None,
    }
}
