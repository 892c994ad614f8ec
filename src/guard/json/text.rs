//! The text of a string: from its escaped form and back.

use std::borrow::Cow;

use super::scan::plain_end;

/// A string that holds half a surrogate pair: no text can stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoneSurrogate;

/// Unescapes the inside of a string whose escapes were checked before.
pub(super) fn unescape(raw: &[u8]) -> Result<Cow<'_, str>, LoneSurrogate> {
    let Ok(text) = simdutf8::basic::from_utf8(raw) else { return Err(LoneSurrogate) };
    if plain_end(raw, 0) == raw.len() {
        return Ok(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        plain.push(match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => unicode(&mut chars)?,
            Some(itself) => itself,
            None => return Err(LoneSurrogate),
        });
    }
    Ok(Cow::Owned(plain))
}

/// As [`unescape`], with U+FFFD in place of half a surrogate pair.
pub(super) fn unescape_lossy(raw: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = unescape(raw) {
        return text;
    }
    let text = String::from_utf8_lossy(raw);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        // A pair is twelve bytes, half of one six, other escapes two.
        let lengths = [12, 6, 2].into_iter().filter(|length| escape.is_char_boundary(*length));
        let read = lengths.filter_map(|length| {
            let (one, behind) = escape.split_at_checked(length)?;
            let char = unescape(one.as_bytes()).ok().filter(|char| char.chars().count() == 1)?;
            Some((char.into_owned(), behind))
        });
        let half = || (String::from('\u{fffd}'), escape.get(6..).unwrap_or_default());
        let (char, behind) = read.into_iter().next().unwrap_or_else(half);
        plain.push_str(&char);
        rest = behind;
    }
    plain.push_str(rest);
    plain.into()
}

/// Reads `XXXX`, or `XXXX\uXXXX` where the first is half a pair.
fn unicode(chars: &mut std::str::Chars<'_>) -> Result<char, LoneSurrogate> {
    let first = hex4(chars).ok_or(LoneSurrogate)?;
    if let Some(char) = char::from_u32(first) {
        return Ok(char);
    }
    if first >= 0xdc00 || chars.next() != Some('\\') || chars.next() != Some('u') {
        return Err(LoneSurrogate);
    }
    let second = hex4(chars).filter(|unit| (0xdc00..0xe000).contains(unit)).ok_or(LoneSurrogate)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(LoneSurrogate)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)?))
}

/// Appends `text` as a JSON string, quotes included.
pub(super) fn encode(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    if plain_end(text.as_bytes(), 0) == text.len() {
        into.extend_from_slice(text.as_bytes());
        into.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend([b'\\', byte]),
            ..0x20 => {
                let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                into.extend([b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone() {
        let raw = br#"\u0070h\u006Fne \ud83d\ude00 \"\\\/\b\f\n\r\t"#;
        assert_eq!(unescape(raw).unwrap(), "phone \u{1f600} \"\\/\u{8}\u{c}\n\r\t");
    }

    #[test]
    fn half_a_pair_is_no_text() {
        for raw in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\u0041", r"\ude00\ud83d"]
        {
            assert_eq!(unescape(raw.as_bytes()), Err(LoneSurrogate), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(text: String) {
            let mut json = Vec::new();
            encode(&text, &mut json);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }

        #[test]
        fn unescaping_agrees_with_serde_json(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            let inside = &json.as_bytes()[1..json.len() - 1];
            prop_assert_eq!(unescape(inside).unwrap(), text);
        }
    }
}
