//! Addresses: postal ones, postcodes, and those of the internet.

use std::net::IpAddr;

use super::{between, joined, stars};

const LONGEST_PLACE: usize = 10;

/// The city where it is beyond doubt: `北京市***`, `广东省深圳市***`, `서울특별시 ***`, `경기도 성남시 ***`.
pub(super) fn address(text: &str, out: &mut String) -> Option<()> {
    match chinese_city(text) {
        Some(city) => out.push_str(city),
        None => korean_city(text, out)?,
    }
    stars(3, out);
    Some(())
}

/// Everything up to the first `市`, if it can only be a city behind at most a province.
fn chinese_city(text: &str) -> Option<&str> {
    let (front, rest) = text.split_once('市')?;
    let city = front.split_once(['省']).or_else(|| front.split_once("自治区"));
    let (province, city) = city.unwrap_or(("", front));
    let is_name = |name: &str, fewest: usize| {
        (fewest..=LONGEST_PLACE).contains(&name.chars().count())
            && name.chars().all(|char| matches!(char, '\u{4e00}'..='\u{9fff}'))
            && !name.contains([
                '省', '区', '县', '路', '街', '号', '镇', '村', '乡', '道', '弄', '巷', '里', '楼',
            ])
    };
    let fits =
        (province.is_empty() || is_name(province, 2)) && is_name(city, 2) && !rest.is_empty();
    if fits { text.get(..front.len() + '市'.len_utf8()) } else { None }
}

/// The first words that are a province or a city, if more follows.
fn korean_city(text: &str, out: &mut String) -> Option<()> {
    let mut words = text.split_whitespace();
    let (first, second) = (words.next()?, words.next()?);
    let is_place = |word: &str, ends: &[char]| {
        (3..=LONGEST_PLACE).contains(&word.chars().count())
            && word.ends_with(ends)
            && word.chars().all(|char| matches!(char, '\u{ac00}'..='\u{d7a3}'))
    };
    if is_place(first, &['도']) && is_place(second, &['시', '군']) && words.next().is_some() {
        out.extend([first, " ", second, " "]);
    } else if is_place(first, &['시']) {
        out.extend([first, " "]);
    } else {
        return None;
    }
    Some(())
}

/// The first three of 5 to 10 digits and letters.
pub(super) fn postcode(text: &str, out: &mut String) -> Option<()> {
    let code = joined(text, b" -", |byte| byte.is_ascii_alphanumeric())?;
    if (5..=10).contains(&code.len()) { between(&code, 3, 0, out) } else { None }
}

/// `203.0.***.7`; of IPv6 all but the last 16 bits.
pub(super) fn ip(text: &str, out: &mut String) -> Option<()> {
    match text.parse().ok()? {
        IpAddr::V4(address) => {
            let [first, second, _, last] = address.octets();
            out.push_str(&format!("{first}.{second}.***.{last}"));
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => return None,
        IpAddr::V6(address) => {
            for part in address.segments().into_iter().take(7) {
                out.push_str(&format!("{part:x}:"));
            }
            stars(4, out);
        }
    }
    Some(())
}
