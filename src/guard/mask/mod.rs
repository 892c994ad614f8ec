//! Masked forms of values, by kind and style. One profile for all routes, so that no two answers together
//! tell more than one. A value that does not fit its kind is masked wholly.

mod address;
mod common;
mod digits;
mod identity;
mod name;
mod normal;
mod papers;
mod phone;
mod place;
mod quantity;
mod quoted;

use std::borrow::Cow;

use bytes::BufMut;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::policy::kind::{Kind, Mask, Style};
pub(in crate::guard) use normal::is_invisible;
use normal::{normalised, visible};
pub(in crate::guard) use quoted::quoted_form_into;

/// What stands for a value of which nothing is shown.
pub const WHOLLY_MASKED: &str = "***";

/// What every pseudonym starts with.
pub const PSEUDONYM_PREFIX: &str = "p~";

/// No value longer than this fits any kind, in bytes.
const LONGEST: usize = 512;

/// No masked form is longer than this, in bytes: that of an e-mail address, whose domain may have 253.
const LONGEST_FORM: usize = 288;

/// No masked form but `***` is longer than its value by more, in bytes: that of the address `::`.
const MOST_ADDED: usize = 16;

/// The masked form of a value.
///
/// What looks the same counts as the same (NFKC), and what is not seen does not count. Characters are
/// what a reader takes for one (extended grapheme clusters, UAX 29). Stars are as many as what they hide for numbers and for
/// Chinese and Korean names, and three otherwise.
///
/// A masked form masked again is wholly masked, or the same where it has no stars (a band, a network).
#[must_use]
pub fn mask(mask: Mask, text: &str) -> String {
    let mut masked = String::with_capacity(32);
    mask_into(mask, text, &mut masked);
    masked
}

/// Appends the masked form of a value, as [`mask`] gives it.
///
/// For the commonest values about 10 ns (`benches/masks.rs`), and no memory where `out` has some.
pub fn mask_into(mask: Mask, text: &str, out: &mut String) {
    if common::form(mask, text, out).is_none() {
        any_form(mask, text, out);
    }
}

/// Appends the masked form of a value of a common form, which needs no escapes in any format; `false`, and
/// nothing appended, for any other.
#[inline]
pub(in crate::guard) fn common_form_into(mask: Mask, text: &[u8], out: &mut impl BufMut) -> bool {
    let put = |front: &[u8], back: &[u8]| {
        out.put_slice(front);
        out.put_slice(back);
    };
    common::with_form(mask, text, put).is_some()
}

/// The form of any value, common or not.
fn any_form(mask: Mask, text: &str, out: &mut String) {
    let start = out.len();
    let fits = fitting_form(mask, text.trim(), out).is_some();
    if !fits || out.len() - start > LONGEST_FORM.min(text.len() + MOST_ADDED) {
        out.truncate(start);
        out.push_str(WHOLLY_MASKED);
    }
}

fn fitting_form(mask: Mask, text: &str, out: &mut String) -> Option<()> {
    if text.is_empty() || text.len() > LONGEST || shows_nothing(mask) {
        return None;
    }
    let text = normalised(text)?;
    let text = text.trim();
    if text.is_empty() || text.contains('*') { None } else { form(mask, text, out) }
}

/// Whether every value becomes `***`.
fn shows_nothing(mask: Mask) -> bool {
    // Of Korean numbers the stars show which they are.
    mask.style() == Style::All && mask.kind() != Kind::KrResidentNumber
}

/// Appends the form of the kind; `None` if the value does not fit it.
fn form(mask: Mask, text: &str, out: &mut String) -> Option<()> {
    let style = mask.style();
    match mask.kind() {
        Kind::KrResidentNumber => identity::kr(style, text, out),
        Kind::PersonName => name::person(style, text, out),
        Kind::Phone => phone::phone(style, text, out),
        Kind::CnResidentId => identity::cn(style, text, out),
        Kind::ThNationalId => identity::th(style, text, out),
        Kind::IdNik => identity::nik(style, text, out),
        Kind::NationalId => identity::any(text, out),
        Kind::Passport | Kind::ResidencePermit => papers::passport(style, text, out),
        Kind::DriverLicence => papers::driver(style, text, out),
        Kind::ProfessionalLicence => papers::professional(text, out),
        Kind::Email => name::email(style, text, out),
        Kind::BankCard => digits::card(style, text, out),
        Kind::BankAccount => digits::account(text, out),
        Kind::Amount => quantity::amount(text, out),
        Kind::BirthDate => digits::birth_date(style, text, out),
        Kind::Address => address::address(style, text, out),
        Kind::Postcode => place::postcode(text, out),
        Kind::Location => quantity::location(style, text, out),
        Kind::Plate => papers::plate(text, out),
        Kind::UserName => name::user(text, out),
        Kind::IpAddress => place::ip(style, text, out),
        Kind::DeviceId => papers::device(text, out),
        Kind::Room | Kind::HealthText | Kind::FreeText | Kind::Opaque => None,
    }
}

/// Whether a value is, or could be, a masked form or a pseudonym that is written back.
#[must_use]
pub fn is_masked_form(mask: Mask, text: &str) -> bool {
    let text = visible(text);
    text.contains('*')
        || text.trim_start().starts_with(PSEUDONYM_PREFIX)
        || (has_no_stars(mask) && text.len() <= LONGEST && stays(mask, &text))
}

/// Whether forms of this mask may have no stars, so that only masking tells that they are masked.
fn has_no_stars(mask: Mask) -> bool {
    matches!(mask.style(), Style::Band | Style::TwoDecimals | Style::OneDecimal | Style::Network)
}

/// Whether masking leaves the value as it is, but for spaces.
fn stays(form: Mask, text: &str) -> bool {
    let plain: String = text.chars().filter(|char| !char.is_whitespace()).collect();
    mask(form, &plain) == plain
}

fn stars(mut count: usize, out: &mut String) {
    const STARS: &str = "********************************";
    while count > 0 {
        let some = STARS.get(..count).unwrap_or(STARS);
        out.push_str(some);
        count -= some.len();
    }
}

/// The first `front` and the last `back` characters of a plain ASCII text, stars between.
fn between(text: &str, front: usize, back: usize, out: &mut String) -> Option<()> {
    let hidden = text.len().checked_sub(front + back).filter(|hidden| *hidden > 0)?;
    out.push_str(text.get(..front)?);
    stars(hidden, out);
    out.push_str(text.get(text.len() - back..)?);
    Some(())
}

/// The ASCII text without `separators`; `None` if a byte does not fit or nothing is left.
fn joined<'a>(text: &'a str, separators: &[u8], fits: impl Fn(u8) -> bool) -> Option<Cow<'a, str>> {
    if !text.is_empty() && text.is_ascii() && text.bytes().all(&fits) {
        return Some(text.into());
    }
    let mut joined = String::with_capacity(text.len());
    for byte in text.bytes() {
        if fits(byte) && byte.is_ascii() {
            joined.push(char::from(byte));
        } else if !separators.contains(&byte) {
            return None;
        }
    }
    (!joined.is_empty()).then_some(joined.into())
}

/// A character to be shown; of a monster of many letters only the first.
fn shown(cluster: &str) -> &str {
    let mut ends = cluster.char_indices().map(|(start, char)| start + char.len_utf8());
    let first = ends.next().unwrap_or_default();
    if ends.count() < 3 { cluster } else { cluster.get(..first).unwrap_or_default() }
}

/// The first character as a reader sees it, and the rest.
fn split_first(text: &str) -> Option<(&str, &str)> {
    let first = match text.as_bytes() {
        // Two printable ASCII characters never melt into one.
        [b' '..=b'~'] | [b' '..=b'~', b' '..=b'~', ..] => 1,
        _ => text.graphemes(true).next()?.len(),
    };
    text.split_at_checked(first)
}

#[cfg(test)]
mod tests;
