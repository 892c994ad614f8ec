//! Card numbers, account numbers and dates.

use super::{between, joined};
use crate::policy::kind::Style;

const SEPARATORS: &[u8] = b" -";

/// The last four of 12 to 19 digits; with `bin-last4` the first six too, if four are hidden between
/// (PCI DSS 3.4.1 allows as much).
pub(super) fn card(style: Style, text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, SEPARATORS, |byte| byte.is_ascii_digit())?;
    match number.len() {
        14..=19 if style == Style::BinLast4 => between(&number, 6, 4, out),
        12..=19 => between(&number, 0, 4, out),
        _ => None,
    }
}

/// The last four of 8 to 34 digits and letters.
pub(super) fn account(text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, b" -./", |byte| byte.is_ascii_alphanumeric())?;
    if (8..=34).contains(&number.len()) { between(&number, 0, 4, out) } else { None }
}

/// The year, `1990-**-**`, or the ten years that it lies in, `1990-1999`.
pub(super) fn birth_date(style: Style, text: &str, out: &mut String) -> Option<()> {
    if style != Style::Band {
        out.extend([year_of(text)?, "-**-**"]);
        return Some(());
    }
    let year = match text.split_once('-') {
        Some((first, last)) if is_year(first) && last.len() == 4 => first,
        Some(_) | None => year_of(text)?,
    };
    let decade = year.get(..3)?;
    let band = [decade, "0-", decade, "9"];
    let is_band = band.concat() == text;
    if year.len() == text.len() || (text.len() == 9 && !is_band) {
        return None;
    }
    out.extend(band);
    Some(())
}

/// Understands `1990-05-17`, with `/`, `.` or `年` and `년` too, day first, bare digits, and a time behind.
fn year_of(text: &str) -> Option<&str> {
    let date = match text.split_once('T').or_else(|| text.split_once(' ')) {
        Some((date, time))
            if time.starts_with(|c: char| c.is_ascii_digit()) && time.contains(':') =>
        {
            date
        }
        Some(_) | None => text,
    };
    let is_bare = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = if is_bare {
        vec![date.get(..4)?, date.get(4..6)?, date.get(6..)?]
    } else {
        let is_between =
            |c: char| matches!(c, '-' | '/' | '.' | ' ' | '年' | '月' | '日' | '년' | '월' | '일');
        date.split(is_between).filter(|part| !part.is_empty()).collect()
    };
    let [first, second, third] = parts.as_slice() else {
        return None;
    };
    let (year, rest) =
        if first.len() == 4 { (first, [second, third]) } else { (third, [first, second]) };
    let fits = is_year(year) && rest.iter().all(|part| is_day_or_month(part));
    fits.then_some(*year)
}

/// A year of a living person, in the Gregorian or the Buddhist era.
fn is_year(text: &str) -> bool {
    text.len() == 4
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse().is_ok_and(|year: u16| matches!(year, 1800..=2199 | 2343..=2699))
}

fn is_day_or_month(text: &str) -> bool {
    matches!(text.len(), 1 | 2)
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse().is_ok_and(|number: u8| (1..=31).contains(&number))
}
