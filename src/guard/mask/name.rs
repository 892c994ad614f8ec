//! Names: of persons in the scripts we know, of users, and e-mail addresses.

use super::{clusters, shown, split_first, stars};
use crate::policy::kind::Style;

/// Chinese surnames of two characters, simplified and traditional.
const COMPOUND_SURNAMES: &[&str] = &[
    "欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "司徒", "东方", "東方", "独孤", "獨孤",
    "南宫", "南宮", "夏侯", "皇甫", "尉迟", "尉遲", "公孙", "公孫", "慕容", "令狐", "长孙", "長孫",
    "宇文", "轩辕", "軒轅", "端木", "百里", "东郭", "東郭", "呼延", "闻人", "聞人", "公冶", "淳于",
    "单于", "單于", "太史", "申屠", "钟离", "鍾離", "濮阳", "濮陽", "赫连", "赫連", "澹台", "澹臺",
    "公羊", "拓跋", "西门", "西門", "第五", "张简", "張簡", "范姜", "万俟", "萬俟",
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
        (Script::Han | Script::Hangul, Style::Last) => eastern(text, 0, 1, out),
        (Script::Han | Script::Hangul, Style::Initials) => eastern(text, 1, 0, out),
        (Script::Han, _) => chinese(text, out),
        (Script::Hangul, _) => korean(text, out),
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

/// The surname.
fn chinese(text: &str, out: &mut String) -> Option<()> {
    let is_compound = COMPOUND_SURNAMES.iter().any(|surname| {
        let mut chars = text.chars().filter(|char| *char != ' ');
        surname.chars().all(|char| chars.next() == Some(char)) && chars.next().is_some()
    });
    eastern(text, if is_compound { 2 } else { 1 }, 0, out)
}

/// All but the middle; of two characters the first.
fn korean(text: &str, out: &mut String) -> Option<()> {
    let back = if clusters(&text.replace(' ', "")).len() < 3 { 0 } else { 1 };
    eastern(text, 1, back, out)
}

/// The first and the last characters of a name without spaces, stars between; of one character none.
fn eastern(text: &str, front: usize, back: usize, out: &mut String) -> Option<()> {
    let joined = text.replace(' ', "");
    let chars = clusters(&joined);
    if chars.len() > MOST_EASTERN {
        return None;
    }
    let Some(hidden) = chars.len().checked_sub(front + back).filter(|hidden| *hidden > 0) else {
        stars(chars.len(), out);
        return Some(());
    };
    out.extend(chars.iter().take(front).copied().map(shown));
    stars(hidden, out);
    out.extend(chars.iter().skip(front + hidden).copied().map(shown));
    Some(())
}

/// The first four characters, spaces too, of seven or more.
fn first_four(text: &str, out: &mut String) -> Option<()> {
    let chars = clusters(text);
    if chars.len() < 7 {
        return None;
    }
    out.extend(chars.iter().take(4).copied().map(shown));
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
        let Some((next, after)) = split_first(rest) else { break };
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
