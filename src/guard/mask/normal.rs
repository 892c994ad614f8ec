//! A value as its reader sees it: one form for what looks the same, without what is not seen. Else what
//! is invisible would count as a character that is hidden, and a visible one would be shown in its place.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::decompose_compatible;

/// The text in NFKC, with plain dashes and spaces and without marks of direction and width; `None`
/// if it holds control characters, joiners or variation selectors, which no kind has.
///
/// Thai is left as it is: NFKC takes its letter AM apart.
pub(super) fn normalised(text: &str) -> Option<Cow<'_, str>> {
    if is_plain(text) {
        return Some(text.into());
    }
    if text.chars().any(is_odd) { None } else { Some(folded(text).into()) }
}

/// The same of any text: what no kind has is left out.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if is_plain(text) { text.into() } else { folded(text).into() }
}

/// Whether there is nothing to do: printable ASCII, Latin-1 letters, Thai, Chinese and Korean characters.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |is, byte| is & (b' '..=b'~').contains(&byte))
        || text.chars().all(|char| {
            matches!(
                char,
                ' '..='~'
                    | '\u{c0}'..='\u{ff}'
                    | '\u{e01}'..='\u{e5b}'
                    | '\u{4e00}'..='\u{9fff}'
                    | '\u{ac00}'..='\u{d7a3}'
            )
        })
}

fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{e33}' | '\u{eb3}' => folded.push(char),
            _ if is_unseen(char) || is_odd(char) => {}
            _ => decompose_compatible(char, |part| folded.push(plain(part))),
        }
    }
    folded.nfc().collect()
}

/// One dash for all dashes, one space for all white space.
fn plain(char: char) -> char {
    match char {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        _ if char.is_whitespace() => ' ',
        _ => char,
    }
}

/// Whether nobody sees the character.
pub(in crate::guard) fn is_invisible(char: char) -> bool {
    // Most are none, and are told apart by one comparison.
    char > '~' && (is_unseen(char) || is_odd(char))
}

/// Marks of direction and of width that copying from a screen leaves behind.
fn is_unseen(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Control characters, and what else is not seen by itself (Default_Ignorable_Code_Point, Braille blank,
/// annotations).
fn is_odd(char: char) -> bool {
    (char.is_control() && !char.is_whitespace())
        || matches!(
            char,
            '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200c}'
                | '\u{200d}'
                | '\u{2061}'..='\u{2065}'
                | '\u{206a}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
