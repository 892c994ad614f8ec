//! Telephone numbers: `138****5678`, `010-****-5678`, `08*-***-1234`, `0812*****789`.

use super::{between, joined, stars};

const SEPARATORS: &[char] = &[' ', '-', '.', '(', ')', '/', '\u{a0}'];
const CALLING_CODES: &[&str] = &["86", "82", "66", "62"];

/// Masks by the country of the number, which its calling code or its own form tells.
pub(super) fn phone(text: &str) -> Option<String> {
    let international = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    let number = joined(international.unwrap_or(text), SEPARATORS, |byte| byte.is_ascii_digit())?;
    if international.is_none() {
        return national(&number).or_else(|| other(&number));
    }
    let known = CALLING_CODES.iter().find_map(|code| Some((*code, number.strip_prefix(code)?)));
    let Some((code, rest)) = known else { return other(&number) };
    let trunk = rest.strip_prefix('0').unwrap_or(rest);
    let masked = match code {
        "86" => cn(trunk),
        "82" => kr(&format!("0{trunk}")),
        "66" => th(&format!("0{trunk}")),
        _ => id(&format!("0{trunk}")),
    };
    match masked {
        Some(masked) if code == "86" => Some(format!("+{code} {masked}")),
        Some(masked) => Some(format!("+{code} {}", masked.strip_prefix('0').unwrap_or(&masked))),
        None => other(&number),
    }
}

fn national(number: &str) -> Option<String> {
    cn(number).or_else(|| kr(number)).or_else(|| th(number)).or_else(|| id(number))
}

fn cn(number: &str) -> Option<String> {
    let is_mobile = number.len() == 11 && matches!(number.as_bytes(), [b'1', b'3'..=b'9', ..]);
    if is_mobile { between(number, 3, 4) } else { None }
}

fn kr(number: &str) -> Option<String> {
    let is_mobile = matches!(number.as_bytes(), [b'0', b'1', b'0' | b'1' | b'6'..=b'9', ..]);
    if !is_mobile || !matches!(number.len(), 10 | 11) {
        return None;
    }
    let (prefix, last) = (number.get(..3)?, number.get(number.len() - 4..)?);
    Some(format!("{prefix}-{}-{last}", stars(number.len() - 7)))
}

fn th(number: &str) -> Option<String> {
    let is_mobile = matches!(number.as_bytes(), [b'0', b'6' | b'8' | b'9', ..]);
    if !is_mobile || number.len() != 10 {
        return None;
    }
    Some(format!("{}*-***-{}", number.get(..2)?, number.get(6..)?))
}

fn id(number: &str) -> Option<String> {
    let is_mobile = number.starts_with("08") && matches!(number.len(), 11..=13);
    if is_mobile { between(number, 4, 3) } else { None }
}

/// A number whose plan we do not know: its last four digits, or two if it is short.
fn other(number: &str) -> Option<String> {
    match number.len() {
        7..=9 => between(number, 0, 2),
        10..=15 => between(number, 0, 4),
        _ => None,
    }
}
