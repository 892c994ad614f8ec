//! Numbers of papers and things: passports, licences, plates, devices.

use super::{between, joined, stars};
use crate::policy::kind::Style;

/// What stands before the letter of a place on Chinese plates.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";

/// Of 6 to 14 letters and digits the first and the last two, or these alone.
pub(super) fn passport(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = number(text, 6, 14)?;
    between(&number, if style == Style::Last2 { 0 } else { 1 }, 2, out)
}

/// Of 6 to 20 letters and digits the first and the last two, or these alone; of a Korean licence, twelve
/// digits, all but the last six.
pub(super) fn driver(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = number(text, 6, 20)?;
    if style != Style::First6 {
        return between(&number, if style == Style::Last2 { 0 } else { 1 }, 2, out);
    }
    if number.len() != 12 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (region, year, serial) = (number.get(..2)?, number.get(2..4)?, number.get(4..6)?);
    out.extend([region, "-", year, "-", serial, "****-**"]);
    Some(())
}

/// The last two of 5 to 27 letters and digits.
pub(super) fn professional(text: &str, out: &mut String) -> Option<()> {
    between(&number(text, 5, 27)?, 0, 2, out)
}

/// Letters and digits without what stands between, if four are digits: a word is no number.
fn number(text: &str, least: usize, most: usize) -> Option<std::borrow::Cow<'_, str>> {
    let number = joined(text, b" -./", |byte| byte.is_ascii_alphanumeric())?;
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    ((least..=most).contains(&number.len()) && digits >= 4).then_some(number)
}

/// The last character; of Chinese plates also the province and the letter, `京A****8`.
pub(super) fn plate(text: &str, out: &mut String) -> Option<()> {
    let is_between = |char: char| matches!(char, ' ' | '-' | '.' | '·' | '•' | '・');
    let chars: Vec<char> = text.chars().filter(|char| !is_between(*char)).collect();
    if !(5..=9).contains(&chars.len()) || !chars.iter().copied().all(stands_on_plates) {
        return None;
    }
    let [first, second, .., last] = chars.as_slice() else {
        return None;
    };
    let is_chinese = PROVINCES.contains(*first) && second.is_ascii_alphabetic();
    if is_chinese {
        out.extend([*first, *second]);
    }
    stars(chars.len() - if is_chinese { 3 } else { 1 }, out);
    out.push(*last);
    Some(())
}

fn stands_on_plates(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || matches!(char, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{e01}'..='\u{e2e}')
}

/// Of a MAC address the maker, `00:1A:2B:**:**:**`; of 8 to 64 other letters and digits the last four.
pub(super) fn device(text: &str, out: &mut String) -> Option<()> {
    let name = joined(text, b":-._{}", |byte| byte.is_ascii_alphanumeric())?;
    if name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        out.extend([name.get(..2)?, ":", name.get(2..4)?, ":", name.get(4..6)?, ":**:**:**"]);
        return Some(());
    }
    if (8..=64).contains(&name.len()) { between(&name, 0, 4, out) } else { None }
}
