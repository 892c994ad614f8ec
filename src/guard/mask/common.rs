//! The short way for the values that most records hold: a mobile number of China, a number of a country whose plan is
//! not known, an e-mail address and a resident id, in plain ASCII without separators. What it gives is what the long way gives, byte for byte;
//! what it does not know it leaves to that.

use crate::policy::kind::{Kind, Mask, Style};

use super::name::{LONGEST_DOMAIN, LONGEST_LOCAL};
use super::phone::has_known_plan;

/// Hands over the masked form of a value of a common form, in two pieces of ASCII; `None` for any other.
///
/// The pieces are put together to a fixed length each, since copying many short ones would cost more than masking.
#[inline]
pub(super) fn with_form<T>(
    mask: Mask,
    text: &[u8],
    hand_over: impl FnOnce(&[u8], &[u8]) -> T,
) -> Option<T> {
    match (mask.kind(), mask.style()) {
        (Kind::Phone, Style::Ends) if text.starts_with(b"+") => {
            foreign_number(text).map(|(stars, shown)| hand_over(stars, shown))
        }
        (Kind::Phone, Style::Ends) => Some(hand_over(&cn_mobile(text)?, b"")),
        (Kind::CnResidentId, Style::Ends) => Some(hand_over(&cn_resident_id(text)?, b"")),
        (Kind::Email, Style::First2) => {
            email(text).map(|(front, domain)| hand_over(&front, domain))
        }
        _others => None,
    }
}

/// Appends the masked form of a value of a common form; `None`, and nothing appended, for any other.
#[inline]
pub(super) fn form(mask: Mask, text: &str, out: &mut String) -> Option<()> {
    with_form(mask, text.as_bytes(), |front, back| {
        let (front, back) = (std::str::from_utf8(front).ok()?, std::str::from_utf8(back).ok()?);
        out.extend([front, back]);
        Some(())
    })?
}

fn cn_mobile(text: &[u8]) -> Option<[u8; 11]> {
    let mut form: [u8; 11] = text.try_into().ok()?;
    let [b'1', b'3'..=b'9', ..] = form else { return None };
    if !are_digits(&form) {
        return None;
    }
    let [_, _, _, stars @ .., _, _, _, _] = &mut form;
    *stars = [b'*'; 4];
    Some(form)
}

/// Stars, and the last digits of a number behind a calling code whose plan is not known.
fn foreign_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let [b'+', number @ ..] = text else { return None };
    let [first, second, ..] = number else { return None };
    let fits = (7..=15).contains(&number.len()) && are_digits(number);
    let shown = if number.len() < 10 { 2 } else { 4 };
    let (hidden, shown) = number.split_at_checked(number.len() - shown)?;
    let stars = b"***************".get(..hidden.len())?;
    (fits && !has_known_plan(*first, *second)).then_some((stars, shown))
}

fn cn_resident_id(text: &[u8]) -> Option<[u8; 18]> {
    let mut form: [u8; 18] = text.try_into().ok()?;
    let [body @ .., check] = &form;
    if !are_digits(body) || !matches!(check, b'0'..=b'9' | b'x' | b'X') {
        return None;
    }
    let [_, stars @ .., _] = &mut form;
    *stars = [b'*'; 16];
    Some(form)
}

/// Asks all bytes rather than stop at the first that is none: there rarely is one.
fn are_digits(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |are, byte| are & byte.is_ascii_digit())
}

/// `li***` and `@example.com`, of three characters or more before the `@`.
fn email(text: &[u8]) -> Option<([u8; 5], &[u8])> {
    let at = text.iter().take_while(|byte| is(ATOM, **byte)).count();
    let (local, domain) = text.split_at_checked(at)?;
    let fits = (3..=LONGEST_LOCAL).contains(&local.len())
        && domain.len() <= LONGEST_DOMAIN + 1
        && is_domain(domain);
    let [first, second, ..] = local else { return None };
    fits.then_some(([*first, *second, b'*', b'*', b'*'], domain))
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
