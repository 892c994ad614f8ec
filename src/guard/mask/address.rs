//! Postal addresses: what of them names a city or a district beyond doubt, and never a digit.

use super::stars;
use crate::policy::kind::Style;

const LONGEST_PLACE: usize = 10;

/// `北京市***`, `广东省深圳市***`, `경기도 성남시 ***`; with the district `北京市海淀区***`,
/// `서울시 서초구 서초동 ***`, `*** เขตบางรัก กรุงเทพฯ`, `*** Kec. Menteng, Jakarta Pusat`; `*** กรุงเทพฯ`.
pub(super) fn address(style: Style, text: &str, out: &mut String) -> Option<()> {
    let with_district = style == Style::District;
    if let Some((city, rest)) = chinese_city(text) {
        out.push_str(city);
        out.extend(if with_district { chinese_district(rest) } else { None });
        stars(3, out);
        return Some(());
    }
    if korean(text, with_district, out).is_some() {
        stars(3, out);
        return Some(());
    }
    let places = thai_places(text, with_district);
    let places = places.or_else(|| indonesian_places(text, with_district))?;
    stars(3, out);
    out.extend([" ", &places]);
    Some(())
}

/// Everything up to the first `市`, if it can only be a city behind at most a province; and the rest.
fn chinese_city(text: &str) -> Option<(&str, &str)> {
    let (front, rest) = text.split_once('市')?;
    let city = front.split_once(['省']).or_else(|| front.split_once("自治区"));
    let (province, city) = city.unwrap_or(("", front));
    let fits = (province.is_empty() || is_chinese_name(province, 2, LONGEST_PLACE))
        && is_chinese_name(city, 2, LONGEST_PLACE)
        && !rest.is_empty();
    text.split_at_checked(front.len() + '市'.len_utf8()).filter(|_| fits)
}

/// Whether a text has so many characters, all Chinese, and none that ends the name of a place.
fn is_chinese_name(name: &str, fewest: usize, most: usize) -> bool {
    (fewest..=most).contains(&name.chars().count())
        && name.chars().all(|char| matches!(char, '\u{4e00}'..='\u{9fff}'))
        && !name.contains([
            '省', '区', '县', '路', '街', '号', '镇', '村', '乡', '道', '弄', '巷', '里', '楼',
        ])
}

/// Everything up to the first `区`, `县` or `市`, if it can only be a district, and more follows.
fn chinese_district(text: &str) -> Option<&str> {
    let (end, ending) = text.char_indices().find(|(_, char)| matches!(char, '区' | '县' | '市'))?;
    let (name, rest) = text.split_at_checked(end)?;
    // Quarters, compounds, campuses and the like are called `区` too.
    let is_smaller = name.ends_with([
        '小', '社', '园', '校', '厂', '景', '库', '街', '片', '地', '发', '城', '东', '西', '南',
        '北', '中', '住', '宅', '山', '院',
    ]);
    let fits = is_chinese_name(name, if ending == '区' { 2 } else { 1 }, 4)
        && !(ending == '区' && is_smaller)
        && rest.len() > ending.len_utf8();
    if fits { text.get(..end + ending.len_utf8()) } else { None }
}

/// The first words that are a province or a city, if more follows; then those of a district.
fn korean(text: &str, with_district: bool, out: &mut String) -> Option<()> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut shown = match words.as_slice() {
        [first, second, _, ..]
            if is_korean(first, 3, &['도']) && is_korean(second, 3, &['시', '군']) =>
        {
            2
        }
        [first, _, ..] if is_korean(first, 3, &['시']) => 1,
        _ => return None,
    };
    if with_district {
        for ends in [&['구', '군'][..], &['읍', '면', '동', '가', '로', '길']] {
            let word = words.get(shown).filter(|_| shown + 1 < words.len());
            if word.is_some_and(|word| is_korean(word, 2, ends)) {
                shown += 1;
            }
        }
    }
    for word in words.iter().take(shown) {
        out.extend([word, " "]);
    }
    Some(())
}

fn is_korean(word: &str, fewest: usize, ends: &[char]) -> bool {
    (fewest..=LONGEST_PLACE).contains(&word.chars().count())
        && word.ends_with(ends)
        && word.chars().all(|char| matches!(char, '\u{ac00}'..='\u{d7a3}'))
}

/// Thai province, and district before it, which say that they are ones.
fn thai_places(text: &str, with_district: bool) -> Option<String> {
    let is_thai = |word: &&str| {
        word.chars().count() <= 3 * LONGEST_PLACE
            && word.chars().all(|char| matches!(char, '\u{e01}'..='\u{e4e}' | '.'))
    };
    let named = |prefixes: &[&str]| {
        let is_named = |word: &&str| prefixes.iter().any(|prefix| word.starts_with(prefix));
        text.split_whitespace().filter(is_thai).find(is_named)
    };
    let province = named(&["จังหวัด", "จ.", "กรุงเทพ", "กทม"])?;
    Some(match named(&["เขต", "อำเภอ", "อ."]).filter(|_| with_district) {
        Some(district) => format!("{district} {province}"),
        None => province.to_owned(),
    })
}

/// Indonesian city, and district before it, between commas, which say that they are ones. A postcode
/// may stand behind the city.
fn indonesian_places(text: &str, with_district: bool) -> Option<String> {
    let is_name = |part: &&str| {
        part.len() <= 3 * LONGEST_PLACE
            && part.split(' ').count() <= 4
            && part.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'.'))
    };
    let named = |prefixes: &[&str]| {
        let is_named = |part: &&str| prefixes.iter().any(|prefix| part.starts_with(prefix));
        text.split(',').map(without_code).filter(is_name).find(is_named)
    };
    let city = named(&["Kota ", "Kab. ", "Kabupaten ", "Jakarta "])?;
    Some(match named(&["Kec. ", "Kecamatan "]).filter(|_| with_district) {
        Some(district) => format!("{district}, {city}"),
        None => city.to_owned(),
    })
}

fn without_code(part: &str) -> &str {
    let part = part.trim();
    match part.rsplit_once(' ') {
        Some((place, code)) if code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit()) => place,
        Some(_) | None => part,
    }
}
