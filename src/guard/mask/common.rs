//! The short way for the values that most records hold: a mobile number of China, an e-mail address and a
//! resident id, in plain ASCII without separators. What it gives is what the long way gives, byte for byte;
//! what it does not know it leaves to that.

use crate::policy::kind::{Kind, Mask, Style};

use super::name::{LONGEST_DOMAIN, LONGEST_LOCAL};

/// The masked form of a value of a common form, in three pieces of ASCII; `None` for any other.
pub(super) fn pieces(mask: Mask, text: &[u8]) -> Option<[&[u8]; 3]> {
    match (mask.kind(), mask.style()) {
        (Kind::Phone, Style::Ends) => cn_mobile(text),
        (Kind::Email, Style::First2) => email(text),
        (Kind::CnResidentId, Style::Ends) => cn_resident_id(text),
        _others => None,
    }
}

/// Appends the masked form of a value of a common form; `None`, and nothing appended, for any other.
#[inline]
pub(super) fn form(mask: Mask, text: &str, out: &mut String) -> Option<()> {
    let [front, stars, back] = pieces(mask, text.as_bytes())?.map(std::str::from_utf8);
    let (front, stars, back) = (front.ok()?, stars.ok()?, back.ok()?);
    out.reserve(front.len() + stars.len() + back.len());
    out.extend([front, stars, back]);
    Some(())
}

fn cn_mobile(text: &[u8]) -> Option<[&[u8]; 3]> {
    let digits: &[u8; 11] = text.try_into().ok()?;
    let [b'1', b'3'..=b'9', ..] = digits else { return None };
    are_digits(digits).then_some([text.get(..3)?, b"****", text.get(7..)?])
}

fn cn_resident_id(text: &[u8]) -> Option<[&[u8]; 3]> {
    let number: &[u8; 18] = text.try_into().ok()?;
    let (check, body) = number.split_last()?;
    if !are_digits(body) || !matches!(check, b'0'..=b'9' | b'x' | b'X') {
        return None;
    }
    Some([text.get(..1)?, b"****************", text.get(17..)?])
}

/// Asks all bytes rather than stop at the first that is none: there rarely is one.
fn are_digits(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |are, byte| are & byte.is_ascii_digit())
}

/// `li***@example.com` of three characters or more before the `@`.
fn email(text: &[u8]) -> Option<[&[u8]; 3]> {
    let at = text.iter().take_while(|byte| is(ATOM, **byte)).count();
    let (local, domain) = text.split_at_checked(at)?;
    let fits = (3..=LONGEST_LOCAL).contains(&local.len())
        && domain.len() <= LONGEST_DOMAIN + 1
        && is_domain(domain);
    fits.then_some([local.get(..2)?, b"***", domain])
}

/// Whether this is an `@` and two labels or more with single dots between.
fn is_domain(bytes: &[u8]) -> bool {
    let Some((b'@', labels)) = bytes.split_first() else { return false };
    let (mut fits, mut has_dot, mut was_dot) = (true, false, true);
    for &byte in labels {
        let is_dot = byte == b'.';
        fits &= is(LABEL | DOT, byte) & !(is_dot & was_dot);
        has_dot |= is_dot;
        was_dot = is_dot;
    }
    fits && has_dot && !was_dot
}

const ATOM: u8 = 1;
const LABEL: u8 = 2;
const DOT: u8 = 4;

/// What each byte may be part of.
static CLASSES: [u8; 256] = classes();

fn is(class: u8, byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|of| of & class != 0)
}

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut rest: &mut [u8] = &mut classes;
    let mut byte: u8 = 0;
    while let Some((class, others)) = rest.split_first_mut() {
        *class = match byte {
            b'.' => ATOM | DOT,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' => ATOM | LABEL,
            b'!' | b'#'..=b'\'' | b'+' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~' => ATOM,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = others;
    }
    classes
}
