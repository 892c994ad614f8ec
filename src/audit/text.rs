//! Text that came from outside, made fit for the log: short, of one line, without control characters.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use smol_str::SmolStr;

use crate::unseen::is_unseen;

/// One line of text of bounded length.
///
/// Control characters, line separators and marks that change the writing direction become U+FFFD,
/// so that no entry can imitate another on a reviewer's terminal. What is too long ends in `…`.
/// A clone costs nothing, and short words have no memory of their own: an entry has some fifty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

const WORD_BYTES: usize = 64;
const LINE_BYTES: usize = 200;
const REASON_BYTES: usize = 2000;

impl Text {
    /// A name or a value of up to 200 bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::capped(text, LINE_BYTES)
    }

    /// A word of up to 64 bytes.
    #[must_use]
    pub fn word(text: &str) -> Self {
        Self::capped(text, WORD_BYTES)
    }

    /// A reason that somebody typed: up to 2000 bytes, 500 characters of any script.
    #[must_use]
    pub fn reason(text: &str) -> Self {
        Self::capped(text, REASON_BYTES)
    }

    fn capped(text: &str, cap: usize) -> Self {
        const MARK: char = '\u{2026}';
        // Nearly all of it is: words of policies, names, hashes.
        if text.len() <= cap && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Self(text.into());
        }
        let mut clean = String::with_capacity(text.len().min(cap));
        for c in text.chars() {
            let c = if is_unseen(c) { '\u{fffd}' } else { c };
            if clean.len() + c.len_utf8() > cap {
                while clean.len() + MARK.len_utf8() > cap && clean.pop().is_some() {}
                clean.push(MARK);
                break;
            }
            clean.push(c);
        }
        Self(clean.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::reason(text))
    }
}

/// A list of different names of at most `BYTES` bytes as JSON; what does not fit is counted.
///
/// In JSON an array of strings, with the number of further names at its end if there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names<const BYTES: usize> {
    names: Vec<Text>,
    bytes: usize,
    beyond: u64,
}

/// Names of fields; a backend may invent any number of them.
pub type FieldNames = Names<4096>;

/// Names of roles, rules, factors and requirements.
pub type Labels = Names<2048>;

impl<const BYTES: usize> Names<BYTES> {
    /// Adds a name unless the list has it.
    pub fn push(&mut self, name: &str) {
        self.add(Text::new(name));
    }

    fn add(&mut self, name: Text) {
        if self.names.contains(&name) {
            return;
        }
        let escapes = name.0.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
        let bytes = name.0.len() + escapes + 3;
        if self.bytes + bytes > BYTES {
            self.beyond += 1;
            return;
        }
        self.bytes += bytes;
        self.names.push(name);
    }

    /// The names that fitted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(Text::as_str)
    }

    /// How many names did not fit.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.beyond == 0
    }
}

impl<const BYTES: usize, S: AsRef<str>> FromIterator<S> for Names<BYTES> {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut list = Self::default();
        for name in names {
            list.push(name.as_ref());
        }
        list
    }
}

impl<const BYTES: usize> Serialize for Names<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for name in &self.names {
            list.serialize_element(name)?;
        }
        if self.beyond > 0 {
            list.serialize_element(&self.beyond)?;
        }
        list.end()
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for Names<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(NamesVisitor)
    }
}

struct NamesVisitor<const BYTES: usize>;

impl<'de, const BYTES: usize> Visitor<'de> for NamesVisitor<BYTES> {
    type Value = Names<BYTES>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of names, with the number of further names at its end")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut list = Names::default();
        while let Some(element) = sequence.next_element()? {
            match element {
                Element::Name(name) => list.add(name),
                Element::Beyond(count) => list.beyond = list.beyond.saturating_add(count),
            }
        }
        Ok(list)
    }
}

/// What stands in a list of names.
enum Element {
    Name(Text),
    Beyond(u64),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl Visitor<'_> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or the number of further names")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Element, E> {
        Ok(Element::Name(Text::new(name)))
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Element, E> {
        Ok(Element::Beyond(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_and_direction_marks_are_replaced() {
        assert_eq!(
            Text::new("a\nb\u{1b}[2J\u{202e}c\u{feff}").as_str(),
            "a\u{fffd}b\u{fffd}[2J\u{fffd}c\u{fffd}"
        );
    }

    proptest! {
        #[test]
        fn text_is_never_longer_than_its_cap(text in "\\PC{0,300}") {
            let cut = Text::new(&text);
            prop_assert!(cut.as_str().len() <= LINE_BYTES);
            prop_assert_eq!(cut.as_str() == text, text.len() <= LINE_BYTES && !text.chars().any(is_unseen));
        }
    }

    #[test]
    fn names_beyond_the_budget_are_counted_not_kept() {
        let names: FieldNames = (0..1000).map(|n| format!("{n:0>100}\"")).collect();
        let json = serde_json::to_string(&names).unwrap();
        assert!(json.len() < 4096 + 30, "{}", json.len());
        assert_eq!(names.iter().count() as u64 + names.beyond(), 1000);
        assert_eq!(serde_json::from_str::<FieldNames>(&json).unwrap(), names);
    }

    #[test]
    fn a_name_is_listed_once() {
        let names: Labels = ["teller", "teller", "auditor"].into_iter().collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["teller", "auditor"]);
    }
}
