//! Masked forms of values, by kind. One profile for all routes, so that no two answers together tell
//! more than one. A value that does not fit its kind is masked wholly.

mod digits;
mod identity;
mod name;
mod phone;
mod place;

use unicode_segmentation::UnicodeSegmentation as _;

use crate::policy::kind::Kind;

/// What stands for a value of which nothing is shown.
pub const WHOLLY_MASKED: &str = "***";

/// What every pseudonym starts with.
pub const PSEUDONYM_PREFIX: &str = "p~";

/// No value longer than this fits any kind but `opaque`, in bytes.
const LONGEST: usize = 512;

/// The masked form of a value.
///
/// Full-width digits and letters count as plain ones. Characters are what a reader takes for one
/// (extended grapheme clusters, UAX 29). Stars are as many as what they hide for numbers and for
/// Chinese and Korean names, and three otherwise.
#[must_use]
pub fn mask(kind: Kind, text: &str) -> String {
    let text = normalised(text);
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST || text.contains('*') {
        return WHOLLY_MASKED.to_owned();
    }
    let masked = match kind {
        Kind::PersonName => name::person(text),
        Kind::Phone => phone::phone(text),
        Kind::CnResidentId => identity::cn(text),
        Kind::KrResidentNumber => identity::kr(text),
        Kind::ThNationalId => identity::th(text),
        Kind::IdNik => identity::nik(text),
        Kind::NationalId => identity::any(text),
        Kind::Email => name::email(text),
        Kind::BankCard => digits::card(text),
        Kind::BankAccount => digits::account(text),
        Kind::BirthDate => digits::birth_date(text),
        Kind::Address => place::address(text),
        Kind::Postcode => place::postcode(text),
        Kind::UserName => name::user(text),
        Kind::IpAddress => place::ip(text),
        Kind::Opaque => None,
    };
    masked.unwrap_or_else(|| WHOLLY_MASKED.to_owned())
}

/// Whether a value is, or could be, a masked form or a pseudonym that is written back.
#[must_use]
pub fn is_masked_form(text: &str) -> bool {
    text.contains(['*', '＊']) || text.trim_start().starts_with(PSEUDONYM_PREFIX)
}

/// Full-width forms (U+FF01 to U+FF5E) as ASCII, the ideographic space as a space.
fn normalised(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(|char| matches!(char, '\u{ff01}'..='\u{ff5e}' | '\u{3000}')) {
        return text.into();
    }
    let plain = |char: char| match char {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        other => other,
    };
    text.chars().map(plain).collect::<String>().into()
}

fn stars(count: usize) -> String {
    "*".repeat(count)
}

/// The first `front` and the last `back` characters of a plain ASCII text, stars between.
fn between(text: &str, front: usize, back: usize) -> Option<String> {
    let hidden = text.len().checked_sub(front + back).filter(|hidden| *hidden > 0)?;
    let (head, tail) = (text.get(..front)?, text.get(text.len() - back..)?);
    Some(format!("{head}{}{tail}", stars(hidden)))
}

/// The text without spaces, hyphens and other `separators`; `None` if not only of `digits` then.
fn joined(text: &str, separators: &[char], fits: impl Fn(u8) -> bool) -> Option<String> {
    let joined: String = text.chars().filter(|char| !separators.contains(char)).collect();
    (!joined.is_empty() && joined.bytes().all(fits)).then_some(joined)
}

/// The characters as a reader sees them.
fn clusters(text: &str) -> Vec<&str> {
    text.graphemes(true).collect()
}

#[cfg(test)]
mod tests;
