//! International bank account numbers (ISO 13616): a country, two check digits and as many characters as
//! that country's numbers have, by the rest of 97. Chance hardly makes one.

use std::ops::Range;

use super::reading::Reading;

/// Countries of the register and the length of their numbers.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 \
    DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 \
    IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 \
    NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 \
    SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

pub(super) fn find(reading: &Reading) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < reading.length() {
        match number(reading, at) {
            Some(end) => {
                places.extend(reading.place(at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    places
}

/// Where a number that starts here ends.
fn number(reading: &Reading, start: usize) -> Option<usize> {
    let is_word = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let begins = reading.char(start).is_some_and(|char| char.is_ascii_alphabetic());
    if !begins || is_word(reading.before(start)) {
        return None;
    }
    let country = country(reading, start)?;
    let length = length(&country)?;
    let (number, end) = taken(reading, start, length)?;
    let has_check = number.get(2..4)?.bytes().all(|byte| byte.is_ascii_digit());
    (has_check && !is_word(reading.char(end)) && rest_of_97(&number) == 1).then_some(end)
}

/// The two letters that start here, if the digits of the check may follow.
fn country(reading: &Reading, start: usize) -> Option<[u8; 2]> {
    let letter = |at| u8::try_from(reading.char(at)?).ok().filter(u8::is_ascii_alphabetic);
    let country = [letter(start)?, letter(start + 1)?];
    let behind = match reading.char(start + 2)? {
        ' ' | '-' => reading.char(start + 3)?,
        char => char,
    };
    behind.is_ascii_digit().then(|| country.map(|letter| letter.to_ascii_uppercase()))
}

fn length(country: &[u8; 2]) -> Option<usize> {
    let entries = LENGTHS.split_ascii_whitespace();
    let mut lengths = entries.filter_map(|entry| entry.as_bytes().strip_prefix(country));
    std::str::from_utf8(lengths.next()?).ok()?.parse().ok()
}

/// So many letters and digits from here on, single spaces and dashes between them left out.
fn taken(reading: &Reading, start: usize, length: usize) -> Option<(String, usize)> {
    let mut number = String::with_capacity(length);
    let mut at = start;
    while number.len() < length {
        match reading.char(at)? {
            char if char.is_ascii_alphanumeric() => number.push(char.to_ascii_uppercase()),
            ' ' | '-' if !matches!(reading.before(at), Some(' ' | '-')) => {}
            _ => return None,
        }
        at += 1;
    }
    Some((number, at))
}

fn rest_of_97(number: &str) -> u32 {
    let (head, body) = number.split_at_checked(4).unwrap_or(("", number));
    let values = body.chars().chain(head.chars()).filter_map(|char| char.to_digit(36));
    values.fold(0, |rest, value| {
        let shift = if value > 9 { 100 } else { 10 };
        (rest * shift + value) % 97
    })
}
