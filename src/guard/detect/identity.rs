//! National identity numbers. China's (GB 11643) has a place, a date and a check digit, and chance hardly
//! makes one; Thailand's has a check digit; Korea's has a date, and a check digit only if it was issued before
//! October 2020; Indonesia's has a place and a date, so that one in forty-five numbers of sixteen digits
//! looks like one.

use std::ops::Range;

use super::reading::{Glue, Reading, Window};

const GLUES: &[Glue] = &[Glue::Space, Glue::Dash];

/// China: 17 digits and a check character, together or as 6, 8 and 4.
pub(super) fn cn(reading: &Reading) -> Vec<Range<usize>> {
    reading.windows((17, 18), GLUES, |window| {
        let number = window.text();
        let is_spaced = window.is_shaped(&[&[6, 8, 4], &[6, 8, 3]]) || window.is_even();
        let (check, end) = match number.as_bytes().get(17) {
            Some(check) => (char::from(*check), window.end()),
            None => ('X', cn_end(window)?),
        };
        let body = number.get(..17)?;
        let fits = is_spaced && window.is_no_fraction() && is_cn(body) && cn_check(body) == check;
        fits.then_some(end)
    })
}

/// The end of a number whose check character is the letter behind these digits.
fn cn_end(window: &Window<'_>) -> Option<usize> {
    let reading = window.reading();
    let behind = reading.char(window.end() + 1);
    let is_last = !behind.is_some_and(|char| char.is_ascii_alphanumeric());
    let is_check = matches!(reading.char(window.end())?, 'x' | 'X');
    (is_check && is_last).then_some(window.end() + 1)
}

fn is_cn(body: &str) -> bool {
    let place = body.get(..2).and_then(|place| place.parse::<u8>().ok()).unwrap_or_default();
    let is_place = matches!(place, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91);
    let year = body.get(6..10).and_then(|year| year.parse().ok()).unwrap_or_default();
    is_place && (1900..=2099).contains(&year) && is_date(year, body.get(10..14))
}

fn cn_check(body: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let digits = body.bytes().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits.zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let check = usize::try_from(sum % 11).unwrap_or_default();
    "10X98765432".chars().nth(check).unwrap_or('?')
}

/// A later date of birth is none. There is no clock here.
const LAST_YEAR: u16 = 2039;

/// Korea: a date and seven digits, of which the first tells the century. Written together it needs the
/// check digit too, unless the date is so late that the number never had one.
pub(super) fn kr(reading: &Reading) -> Vec<Range<usize>> {
    reading.windows((13, 13), GLUES, |window| {
        if !window.stands_alone() || !window.is_shaped(&[&[6, 7]]) {
            return None;
        }
        let number = window.text();
        let century = match number.as_bytes().get(6)? {
            b'1' | b'2' | b'5' | b'6' => 1900,
            b'3' | b'4' | b'7' | b'8' => 2000,
            _ => return None,
        };
        let year: u16 = century + number.get(..2)?.parse::<u16>().ok()?;
        if year > LAST_YEAR || !is_date(year, number.get(2..6)) {
            return None;
        }
        let is_written_apart = window.shape().len() == 2;
        let is_late = (year, number.get(2..4)?) >= (2020, "10");
        (is_written_apart || is_late || kr_check(number)).then(|| window.end())
    })
}

/// The check digit; of a foreigner's number it is two more.
fn kr_check(number: &str) -> bool {
    const WEIGHTS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let digits: Vec<u32> = number.bytes().map(|byte| u32::from(byte - b'0')).collect();
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let check = (11 - sum % 11) % 10;
    digits.last().is_some_and(|last| *last == check || *last == (check + 2) % 10)
}

/// Thailand: thirteen digits, together or as 1, 4, 5, 2 and 1.
pub(super) fn th(reading: &Reading) -> Vec<Range<usize>> {
    reading.windows((13, 13), GLUES, |window| {
        if !window.stands_alone() || !window.is_shaped(&[&[1, 4, 5, 2, 1]]) {
            return None;
        }
        let number = window.text();
        let is_group = matches!(number.as_bytes(), [b'1'..=b'8', ..]);
        let is_place = number.get(1..3).is_some_and(|place| ("10"..="96").contains(&place));
        (is_group && is_place && th_check(number)).then(|| window.end())
    })
}

fn th_check(number: &str) -> bool {
    let digits = || number.bytes().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = digits().zip((2_u32..=13).rev()).map(|(digit, weight)| digit * weight).sum();
    digits().next_back() == Some((11 - sum % 11) % 10)
}

/// Indonesia: the place, the date of birth (for women the day and forty) and a number, sixteen digits.
pub(super) fn nik(reading: &Reading) -> Vec<Range<usize>> {
    const GLUES: &[Glue] = &[Glue::Space, Glue::Dash, Glue::Dot];
    reading.windows((16, 16), GLUES, |window| {
        const SHAPES: &[&[usize]] = &[&[6, 6, 4], &[2, 2, 2, 6, 4], &[4, 4, 4, 4]];
        if !window.stands_alone() || !window.is_shaped(SHAPES) {
            return None;
        }
        let number = window.text();
        let part = |from: usize| number.get(from..from + 2)?.parse::<u16>().ok();
        let is_province = matches!(part(0)?, 11..=19 | 21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97);
        let is_place = is_province && (1..=79).contains(&part(2)?) && part(4)? > 0;
        let day = match part(6)? {
            day @ 1..=31 => day,
            day @ 41..=71 => day - 40,
            _ => return None,
        };
        // Of 1900 and 2000 the later one had a 29th of February.
        let is_born = is_date(2000, Some(&format!("{:02}{day:02}", part(8)?)));
        (is_place && is_born && number.get(12..)? != "0000").then(|| window.end())
    })
}

/// Whether there is such a month and day in the year.
fn is_date(year: u16, month_and_day: Option<&str>) -> bool {
    let Some((month, day)) = month_and_day.and_then(|text| text.split_at_checked(2)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        "01" | "03" | "05" | "07" | "08" | "10" | "12" => 31,
        "04" | "06" | "09" | "11" => 30,
        "02" if is_leap => 29,
        "02" => 28,
        _ => return false,
    };
    day.len() == 2 && day.parse::<u8>().is_ok_and(|day| (1..=days).contains(&day))
}
