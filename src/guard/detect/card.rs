//! Payment card numbers: 13 to 19 digits with the prefix and length of an issuer, and the check digit of
//! Luhn (ISO/IEC 7812). Of numbers of sixteen digits that are none, about one in thirty looks like one.

use std::ops::Range;

use super::reading::{Glue, Reading, Window};

/// First and last prefix, and the fewest and most digits that go with it.
const ISSUERS: &[(&str, &str, usize, usize)] = &[
    ("2200", "2204", 16, 19),
    ("2221", "2720", 16, 16),
    ("300", "305", 14, 14),
    ("3095", "3095", 14, 14),
    ("34", "34", 15, 15),
    ("3528", "3589", 16, 19),
    ("36", "36", 14, 19),
    ("37", "37", 15, 15),
    ("38", "39", 14, 19),
    ("4", "4", 13, 13),
    ("4", "4", 16, 16),
    ("4", "4", 19, 19),
    ("5018", "5020", 13, 19),
    ("5038", "5038", 13, 19),
    ("508", "508", 16, 16),
    ("51", "55", 16, 16),
    ("5893", "5893", 13, 19),
    ("60", "60", 16, 19),
    ("62", "62", 16, 19),
    ("6304", "6304", 13, 19),
    ("636", "639", 16, 19),
    ("644", "649", 16, 19),
    ("65", "65", 16, 19),
    ("6759", "6763", 13, 19),
    ("81", "82", 16, 19),
    ("9792", "9792", 16, 16),
];

pub(super) fn find(reading: &Reading) -> Vec<Range<usize>> {
    let judge = |window: &Window<'_>| {
        let fits = is_spaced(window) && window.is_no_fraction() && is_card(window.text());
        fits.then(|| window.end())
    };
    reading.windows((13, 19), &[Glue::Space, Glue::Dash, Glue::Dot], judge)
}

/// Whether the runs stand as those of a card do: evenly, as Amex and Diners print them, or as nothing else
/// stands beside them. One point between two runs makes a decimal number.
fn is_spaced(window: &Window<'_>) -> bool {
    let runs = window.shape().len();
    let is_printed = window.is_shaped(&[&[4, 6, 5], &[4, 6, 4]]) || window.is_even();
    (is_printed || window.is_whole) && (runs > 2 || !window.has_point)
}

fn is_card(number: &str) -> bool {
    let is_issued = ISSUERS.iter().any(|(first, last, least, most)| {
        let prefix = number.get(..first.len()).unwrap_or_default();
        (*least..=*most).contains(&number.len()) && (*first..=*last).contains(&prefix)
    });
    is_issued && passes_luhn(number)
}

fn passes_luhn(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
