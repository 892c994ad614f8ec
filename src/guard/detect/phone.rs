//! Telephone numbers: mobile ones of China, Korea, Thailand and Indonesia as they are dialled at home, and any
//! with `+` and a calling code (E.164). Of numbers of eleven digits that are none, one in fourteen looks
//! like a Chinese one; the others begin with a zero, which few numbers do.

use std::ops::Range;

use super::reading::{Glue, Reading};

pub(super) fn find(reading: &Reading) -> Vec<Range<usize>> {
    let glues = [Glue::Space, Glue::Dash, Glue::Dot];
    let mut places = reading.windows((10, 13), &glues, |window| {
        let is_spaced = window.is_shaped(&[]) || is_printed(window.shape());
        let fits = window.stands_alone() && is_spaced && is_national(window.text());
        fits.then(|| window.end())
    });
    places.extend(international(reading));
    places
}

/// The runs of a number as people write them.
fn is_printed(shape: &[usize]) -> bool {
    matches!(
        shape,
        [3, 4, 4]
            | [3, 3, 4]
            | [3, 8]
            | [2, 4, 4]
            | [3, 7]
            | [4, 4, 2..=5]
            | [4, 3, 3..=4]
            | [4, 6..=9]
    )
}

/// Whether it is a mobile number as it is dialled at home.
fn is_national(number: &str) -> bool {
    let lengths = match number.as_bytes() {
        [b'1', b'3'..=b'9', ..] => 11..=11,
        [b'0', b'1', b'0' | b'1' | b'6'..=b'9', ..] => 10..=11,
        [b'0', b'8', b'1'..=b'9', ..] => 10..=13,
        [b'0', b'6' | b'8' | b'9', ..] => 10..=10,
        _ => return false,
    };
    lengths.contains(&number.len())
}

/// What stands behind a `+`, or behind `00` and the code of one of the four countries.
fn international(reading: &Reading) -> Vec<Range<usize>> {
    const HOME_CODES: [&str; 4] = ["86", "82", "66", "62"];
    let is_word = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(char) = reading.char(at) {
        let begins = match char {
            '+' => Some(at + 1),
            '0' if reading.char(at + 1) == Some('0') => Some(at + 2),
            _ => None,
        };
        let found = begins.filter(|_| !is_word(reading.before(at))).and_then(|from| {
            let (number, end) = dialled(reading, from)?;
            let is_home = HOME_CODES.iter().any(|code| number.starts_with(code));
            let fits = if char == '+' { number.len() >= 9 } else { is_home && number.len() >= 10 };
            (fits && !number.starts_with('0') && !is_word(reading.char(end))).then_some(end)
        });
        at = match found {
            Some(end) => {
                places.extend(reading.place(at, end));
                end
            }
            None => at + 1,
        };
    }
    places
}

/// Up to 15 digits from here on, whole runs with one or two of `-`, `.`, `(`, `)` and spaces between
/// them, and where they end.
fn dialled(reading: &Reading, from: usize) -> Option<(String, usize)> {
    const MOST: usize = 15;
    let mut number = String::new();
    let mut complete = None;
    let (mut at, mut gap) = (from, 0);
    while let Some(char) = reading.char(at) {
        if char.is_ascii_digit() {
            number.push(char);
            gap = 0;
        } else if matches!(char, ' ' | '-' | '.' | '(' | ')') && gap < 2 {
            gap += 1;
        } else {
            break;
        }
        at += 1;
        let ends = !reading.char(at).is_some_and(|next| next.is_ascii_digit());
        if char.is_ascii_digit() && ends && number.len() <= MOST {
            complete = Some((number.clone(), at));
        }
        if number.len() > MOST {
            break;
        }
    }
    complete
}
