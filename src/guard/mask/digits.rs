//! Card numbers, account numbers and dates.

use super::{between, joined};

const SEPARATORS: &[u8] = b" -";

/// The last four of 12 to 19 digits (PCI DSS 3.4.1 allows more, we do not).
pub(super) fn card(text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, SEPARATORS, |byte| byte.is_ascii_digit())?;
    if (12..=19).contains(&number.len()) { between(&number, 0, 4, out) } else { None }
}

/// The last four of 8 to 34 digits and letters.
pub(super) fn account(text: &str, out: &mut String) -> Option<()> {
    let number = joined(text, b" -./", |byte| byte.is_ascii_alphanumeric())?;
    if (8..=34).contains(&number.len()) { between(&number, 0, 4, out) } else { None }
}

/// The year: `1990-**-**`. Understands `1990-05-17`, with `/`, `.` or `年` and `년` too, day first, bare digits, and a time behind.
pub(super) fn birth_date(text: &str, out: &mut String) -> Option<()> {
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
    let [first, second, third] = parts.as_slice() else { return None };
    let (year, rest) =
        if first.len() == 4 { (first, [second, third]) } else { (third, [first, second]) };
    let fits = is_year(year) && rest.iter().all(|part| is_day_or_month(part));
    if !fits {
        return None;
    }
    out.extend([year, "-**-**"]);
    Some(())
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
