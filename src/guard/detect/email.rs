//! E-mail addresses: a name, `@`, and a domain of at least two labels. Letters of every script count, so that
//! in text without spaces the words beside an address are taken with it.

use std::ops::Range;

use super::reading::Reading;

/// Ends of file names that stand behind an `@` too: `icon@2x.png`.
const FILES: [&str; 6] = ["png", "jpg", "jpeg", "gif", "svg", "webp"];

pub(super) fn find(reading: &Reading) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for at in 0..reading.length() {
        if reading.char(at) == Some('@') {
            places.extend(address(reading, at).and_then(|(start, end)| reading.place(start, end)));
        }
    }
    places
}

/// Where an address around this `@` starts and ends.
fn address(reading: &Reading, at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while reading.before(start).is_some_and(is_of_name) {
        start -= 1;
    }
    let mut end = at + 1;
    while reading.char(end).is_some_and(|char| is_of_label(char) || char == '.') {
        end += 1;
    }
    // The end of a sentence is not part of it.
    while end > at + 1 && matches!(reading.before(end), Some('.' | '-')) {
        end -= 1;
    }
    let domain: String = (at + 1..end).filter_map(|at| reading.char(at)).collect();
    let (rest, last) = domain.rsplit_once('.')?;
    let is_domain = !rest.is_empty() && !domain.contains("..") && !domain.starts_with(['.', '-']);
    let is_top = last.chars().count() >= 2 && !last.chars().all(|char| char.is_ascii_digit());
    let is_file = FILES.iter().any(|file| last.eq_ignore_ascii_case(file));
    (start < at && is_domain && is_top && !is_file).then_some((start, end))
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || "._%+-'!#$&/=?^`{|}~".contains(char)
}

fn is_of_label(char: char) -> bool {
    char.is_alphanumeric() || char == '-'
}
