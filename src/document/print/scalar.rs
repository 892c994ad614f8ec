//! One scalar: plain where that is read back as the same text, quoted otherwise.

/// Where a scalar stands, which decides what it must not contain unquoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a line of its own or behind a key.
    Block,
    /// Inside `[ ]` or `{ }`.
    Flow,
}

/// `text` as it must be written to be read as text by any reader of YAML.
pub(crate) fn written(text: &str, place: Place) -> String {
    if is_plain(text, place) && !is_typed(text) { text.to_owned() } else { quoted(text) }
}

/// Whether the text may stand without quotes, whatever type readers give it then.
pub(super) fn is_plain(text: &str, place: Place) -> bool {
    const INDICATORS: &str = "-?:,[]{}#&*!|>'\"%@`";
    let begins_well = text.chars().next().is_some_and(|first| {
        !INDICATORS.contains(first) || (first == '-' && text.chars().nth(1).is_some_and(is_word))
    });
    let blank_ends = text.trim().len() != text.len();
    let breaks = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let flow = place == Place::Flow && text.contains([',', '[', ']', '{', '}']);
    let marker = text.starts_with("---") || text.starts_with("...");
    begins_well && !blank_ends && !breaks && !flow && !marker && text.chars().all(is_printable)
}

/// Whether readers of YAML (1.2, and 1.1 with its `yes` and `no`) take the plain text for a number, a
/// boolean or nothing, or the reader of tests for the name of a record (`$wang`).
pub(crate) fn is_typed(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let lower = text.to_lowercase();
    let begins_like_a_number =
        text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
    let names_a_record =
        text.strip_prefix('$').is_some_and(|name| name.starts_with(char::is_alphabetic));
    WORDS.contains(&lower.as_str())
        || names_a_record
        || matches!(lower.trim_start_matches(['-', '+']), ".inf" | ".nan")
        || (begins_like_a_number && is_number(&lower))
}

/// Decimal, hexadecimal, octal, with exponent; and the sexagesimals and dates of YAML 1.1.
fn is_number(lower: &str) -> bool {
    let body = lower.trim_start_matches(['-', '+']);
    let is_hex = body
        .strip_prefix("0x")
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit() || c == '_'));
    is_hex || body.chars().all(|c| c.is_ascii_digit() || "._:+-eo".contains(c))
}

fn quoted(text: &str) -> String {
    let simple = text.chars().all(|c| is_printable(c) && c != '\'');
    if simple && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if is_printable(c) => quoted.push(c),
            c if u32::from(c) <= 0xffff => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// A text of several lines as a block scalar: its mark and its lines. `None` where quotes do better.
pub(super) fn literal(text: &str) -> Option<(&'static str, Vec<&str>)> {
    let (mark, body) = text.strip_suffix('\n').map_or(("|-", text), |body| ("|", body));
    let lines: Vec<&str> = body.split('\n').collect();
    let fits = |line: &&str| {
        line.chars().all(is_printable) && (line.is_empty() || !line.trim().is_empty())
    };
    let first = lines.first().is_some_and(|line| !line.is_empty() && !line.starts_with(' '));
    let last = lines.last().is_some_and(|line| !line.is_empty());
    (text.contains('\n') && first && last && lines.iter().all(fits)).then_some((mark, lines))
}

/// The text as it may stand in a comment or a message: one line, nothing that steers a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().filter(|c| is_printable(*c)).collect()
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !",[]{}".contains(c)
}

/// No control characters, no line breaks of Unicode, nothing that turns the direction of a line.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !invisible && (c == ' ' || !c.is_whitespace() || c == '\u{3000}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::{Content, Source, parse};
    use super::*;

    fn read_back(written: &str, place: Place) -> String {
        let text = match place {
            Place::Block => format!("{written}: x\nb: {written}\n"),
            Place::Flow => format!("{{ {written}: x, b: [{written}] }}\n"),
        };
        let tree = parse(&[Source { name: "t".to_owned(), text: text.clone() }], 0);
        let Content::Map(pairs) = tree.unwrap_or_else(|f| panic!("{f:?} {text}")).unwrap().content
        else {
            panic!("{text}")
        };
        let value = match &pairs[1].value.content {
            Content::List(items) => items[0].content.clone(),
            Content::Null | Content::Text(_) | Content::Map(_) => pairs[1].value.content.clone(),
        };
        let Content::Text(value) = value else { panic!("{text}: {value:?}") };
        assert_eq!(pairs[0].key, value, "{text}");
        value
    }

    #[test]
    fn quotes_stand_only_where_they_are_needed() {
        for plain in ["teller", "$.items", "GET a.b/{id}", "record.id == 1", "-x", "a:b", "王小明"]
        {
            assert_eq!(written(plain, Place::Block), plain);
        }
        assert_eq!(written("$[]", Place::Block), "$[]");
        assert_eq!(written("$[]", Place::Flow), "\"$[]\"");
        assert_eq!(written("13812345678", Place::Block), "\"13812345678\"");
        assert_eq!(written("no", Place::Block), "\"no\"");
        assert_eq!(written("2026-01-01", Place::Block), "\"2026-01-01\"");
        assert_eq!(written("a == \"b\": ", Place::Block), "'a == \"b\": '");
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in "\\PC{0,12}|[ -~\n\t]{0,12}|[-:#,{}\\[\\]'\"!&*?|>%@ a1]{0,8}") {
            for place in [Place::Block, Place::Flow] {
                prop_assert_eq!(read_back(&written(&text, place), place), text.clone());
            }
        }
    }
}
