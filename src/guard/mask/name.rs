//! Names: of persons in the scripts we know, of users, and e-mail addresses.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;

use super::{shown, split_first, stars};
use crate::policy::kind::Style;

/// Chinese surnames of two characters, simplified and traditional, in the order of their code points.
pub(super) const COMPOUND_SURNAMES: &[&str] = &[
    "万俟", "上官", "东方", "东郭", "东门", "亓官", "令狐", "仲孙", "仲孫", "公冶", "公孙", "公孫",
    "公羊", "公良", "公西", "单于", "南宫", "南宮", "南門", "南门", "叱干", "司寇", "司徒", "司空",
    "司馬", "司马", "呼延", "哥舒", "單于", "壤駟", "壤驷", "夏侯", "太叔", "太史", "夹谷", "夾谷",
    "宇文", "完顏", "完颜", "宗政", "宰父", "尉迟", "尉遲", "左丘", "巫馬", "巫马", "张简", "張簡",
    "微生", "慕容", "拓拔", "拓跋", "東方", "東郭", "東門", "梁丘", "欧阳", "歐陽", "淳于", "漆雕",
    "澹台", "澹臺", "濮阳", "濮陽", "独孤", "獨孤", "申屠", "百里", "皇甫", "穀梁", "端木", "第五",
    "納蘭", "纳兰", "羊舌", "聞人", "范姜", "萬俟", "西門", "西门", "諸葛", "诸葛", "谷梁", "赫连",
    "赫連", "軒轅", "轩辕", "鍾离", "鍾離", "钟离", "長孫", "长孙", "閭丘", "闻人", "闾丘", "顓孫",
    "颛孙", "鮮于", "鲜于",
];

/// No name of more characters or parts than this fits.
const MOST_EASTERN: usize = 8;
const MOST_PARTS: usize = 6;

/// RFC 5321, 4.5.3.1.
pub(super) const LONGEST_LOCAL: usize = 64;
pub(super) const LONGEST_DOMAIN: usize = 253;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Hangul,
    Thai,
    Latin,
}

/// `张**`, `欧阳**`, `김*용`, `ส*** จ***`, `B*** S***`; `**丰`, `*** S***`; `欧***`, `김**`; `KIM ***`.
pub(super) fn person(style: Style, text: &str, out: &mut String) -> Option<()> {
    match (script(text)?, style) {
        (Script::Han | Script::Hangul, Style::Last) => eastern(text, |_, _| (0, 1), out),
        (Script::Han | Script::Hangul, Style::Initials) => eastern(text, |_, _| (1, 0), out),
        (Script::Han, _) => eastern(text, |name, _| (surname(name), 0), out),
        // All but the middle; of two characters the first.
        (Script::Hangul, _) => eastern(text, |_, length| (1, usize::from(length > 2)), out),
        (Script::Latin, Style::First4) => first_four(text, out),
        (Script::Latin, _) => each_part(style, text, out, |part| part),
        (Script::Thai, _) => {
            each_part(style, text, out, |part| part.trim_start_matches(is_leading_vowel))
        }
    }
}

/// The one script that a name is written in; spaces and, in Latin names, `'’.-,` may stand between.
fn script(text: &str) -> Option<Script> {
    let mut scripts = text.chars().filter(|char| !is_between(*char)).map(script_of);
    let first = scripts.next()??;
    let is_marked = text.chars().any(|char| is_between(char) && !char.is_whitespace());
    (scripts.all(|script| script == Some(first)) && (first == Script::Latin || !is_marked))
        .then_some(first)
}

fn is_between(char: char) -> bool {
    char == ' ' || matches!(char, '\'' | '’' | '.' | '-' | ',')
}

fn script_of(char: char) -> Option<Script> {
    match char {
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' => Some(Script::Han),
        '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' => {
            Some(Script::Hangul)
        }
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' => Some(Script::Thai),
        'a'..='z'
        | 'A'..='Z'
        | '\u{c0}'..='\u{d6}'
        | '\u{d8}'..='\u{f6}'
        | '\u{f8}'..='\u{24f}'
        | '\u{1e00}'..='\u{1eff}'
        | '\u{300}'..='\u{36f}' => Some(Script::Latin),
        _ => None,
    }
}

/// The length of the surname of a Chinese name.
fn surname(name: &str) -> usize {
    let two = name.char_indices().nth(2).and_then(|(end, _)| name.get(..end));
    if two.is_some_and(|two| COMPOUND_SURNAMES.binary_search(&two).is_ok()) { 2 } else { 1 }
}

/// The first and the last characters of a name without spaces, stars between; how many is said by `ends`
/// of the name and its length. Of one character none.
fn eastern(text: &str, ends: fn(&str, usize) -> (usize, usize), out: &mut String) -> Option<()> {
    let name: Cow<'_, str> =
        if text.contains(' ') { text.replace(' ', "").into() } else { text.into() };
    let ends = |length| ends(&name, length);
    if name.chars().all(stands_alone) {
        let chars = name.char_indices().map(|(at, char)| name.get(at..at + char.len_utf8()));
        starred(chars.flatten(), ends, out)
    } else {
        starred(name.graphemes(true), ends, out)
    }
}

fn starred<'a>(
    chars: impl Iterator<Item = &'a str> + Clone,
    ends: impl Fn(usize) -> (usize, usize),
    out: &mut String,
) -> Option<()> {
    let length = chars.clone().take(MOST_EASTERN + 1).count();
    if length > MOST_EASTERN {
        return None;
    }
    let (front, back) = ends(length);
    let Some(hidden) = length.checked_sub(front + back).filter(|hidden| *hidden > 0) else {
        stars(length, out);
        return Some(());
    };
    out.extend(chars.clone().take(front).map(shown));
    stars(hidden, out);
    out.extend(chars.skip(front + hidden).map(shown));
    Some(())
}

/// Chinese characters and Korean syllables melt into no other, and need not be looked up.
fn stands_alone(char: char) -> bool {
    matches!(char, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// The first four characters, spaces too, of seven or more.
fn first_four(text: &str, out: &mut String) -> Option<()> {
    let chars = text.graphemes(true);
    if chars.clone().count() < 7 {
        return None;
    }
    out.extend(chars.take(4).map(shown));
    stars(3, out);
    Some(())
}

/// The first letter of each part, or of the last, and three stars; a part of one character is one star.
fn each_part(
    style: Style,
    text: &str,
    out: &mut String,
    core: impl Fn(&str) -> &str,
) -> Option<()> {
    let mut parts = text.split_whitespace().enumerate().peekable();
    while let Some((index, part)) = parts.next() {
        if index >= MOST_PARTS {
            return None;
        }
        if index > 0 {
            out.push(' ');
        }
        if style == Style::Last && parts.peek().is_some() {
            stars(3, out);
            continue;
        }
        let letters = core(part).trim_matches(is_between);
        match split_first(letters) {
            // Of a Thai cluster only the consonant is shown.
            Some((first, rest)) if !rest.is_empty() => {
                out.extend(first.chars().take(1));
                stars(3, out);
            }
            Some(_) | None => stars(1, out),
        }
    }
    Some(())
}

/// Thai vowels that are written before the consonant they follow.
fn is_leading_vowel(char: char) -> bool {
    matches!(char, '\u{e40}'..='\u{e44}')
}

/// `li***@example.com`; a local part of one character is one star, and one character always is hidden.
pub(super) fn email(style: Style, text: &str, out: &mut String) -> Option<()> {
    let (local, domain) = text.rsplit_once('@')?;
    let fits = local.len() <= LONGEST_LOCAL
        && domain.len() <= LONGEST_DOMAIN
        && all(local, is_atom)
        && all(domain, |char| is_label(char) || char == '.')
        && has_labels(domain.as_bytes());
    if !fits {
        return None;
    }
    let most = if style == Style::First3 { 3 } else { 2 };
    let most = if style == Style::Domain { 0 } else { most };
    let (mut first, mut rest) = split_first(local)?;
    let is_single = rest.is_empty();
    for _ in 0..most {
        let Some((next, after)) = split_first(rest) else {
            break;
        };
        out.push_str(shown(first));
        (first, rest) = (next, after);
    }
    stars(if is_single && most > 0 { 1 } else { 3 }, out);
    out.extend(["@", domain]);
    Some(())
}

/// Whether these are two labels or more with single dots between.
fn has_labels(domain: &[u8]) -> bool {
    let mut dots = 0;
    let mut last = b'.';
    for &byte in domain {
        if byte == b'.' {
            if last == b'.' {
                return false;
            }
            dots += 1;
        }
        last = byte;
    }
    dots > 0 && last != b'.'
}

/// The same as asking every character, but faster for ASCII.
fn all(text: &str, fits: impl Fn(char) -> bool) -> bool {
    if text.is_ascii() {
        text.bytes().all(|byte| fits(char::from(byte)))
    } else {
        text.chars().all(fits)
    }
}

fn is_atom(char: char) -> bool {
    is_label(char)
        || matches!(char, '!' | '#'..='\'' | '+' | '/' | '=' | '?' | '^'..='`' | '{'..='~' | '.')
}

fn is_label(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || (!char.is_ascii() && char.is_alphanumeric())
}

/// `ab***`; three characters show one, fewer show none.
pub(super) fn user(text: &str, out: &mut String) -> Option<()> {
    let (first, rest) = split_first(text)?;
    let (second, rest) = split_first(rest)?;
    let (_, rest) = split_first(rest)?;
    out.push_str(shown(first));
    if !rest.is_empty() {
        out.push_str(shown(second));
    }
    stars(3, out);
    Some(())
}
