//! What a caller was besides roles: the attributes that conditions read, as far as they are small.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::text::Text;

/// Attributes of one entry together, in bytes of JSON.
const LIMIT_BYTES: usize = 2048;
/// Values of one list.
const LIST_LIMIT: usize = 16;

/// The value of an attribute of a caller.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Trait {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(Text),
    /// Texts.
    List(Vec<Text>),
    /// The caller does not have it.
    Missing,
}

/// The attributes of a caller by name. What does not fit is left out whole, never cut: who reads the
/// entry then knows that it is not known.
///
/// Only for callers who are no customers: the attributes of a customer are a customer's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    known: BTreeMap<Text, Trait>,
    bytes: usize,
}

impl Attributes {
    /// Adds an attribute unless it is too large or not fit for a line of text.
    pub fn push(&mut self, name: &str, value: Trait) {
        let bytes = json_bytes(&name) + json_bytes(&value) + 2;
        let is_small = !matches!(&value, Trait::List(values) if values.len() > LIST_LIMIT);
        if Text::word(name).as_str() == name && is_small && self.bytes + bytes <= LIMIT_BYTES {
            self.bytes += bytes;
            self.known.insert(Text::word(name), value);
        }
    }

    /// Each attribute and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Trait)> {
        self.known.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

impl Trait {
    /// A text, if the log holds it as it is.
    #[must_use]
    pub fn text(text: &str) -> Option<Self> {
        as_it_is(text).map(Self::Text)
    }

    /// A list of texts, if the log holds each as it is.
    #[must_use]
    pub fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        texts.into_iter().map(as_it_is).collect::<Option<_>>().map(Self::List)
    }
}

fn as_it_is(text: &str) -> Option<Text> {
    let kept = Text::word(text);
    (kept.as_str() == text).then_some(kept)
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(LIMIT_BYTES, |text| text.len())
}

impl<'de> Deserialize<'de> for Trait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TraitVisitor)
    }
}

struct TraitVisitor;

impl<'de> Visitor<'de> for TraitVisitor {
    type Value = Trait;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a whole number, a text, a list of texts or null")
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Trait, E> {
        Ok(Trait::Bool(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Trait, E> {
        Ok(Trait::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Trait, E> {
        let whole = i64::try_from(number).ok();
        whole.map(Trait::Integer).ok_or_else(|| E::custom("a number of more than 64 bits"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Trait, E> {
        Ok(Trait::Text(Text::word(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Trait, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = sequence.next_element()? {
            texts.push(text);
        }
        Ok(Trait::List(texts))
    }

    fn visit_unit<E: Error>(self) -> Result<Trait, E> {
        Ok(Trait::Missing)
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.known.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut attributes = Self::default();
        for (name, value) in BTreeMap::<String, Trait>::deserialize(deserializer)? {
            attributes.push(&name, value);
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_and_not_cut() {
        let mut attributes = Attributes::default();
        attributes.push("branch", Trait::text("sh01").unwrap());
        attributes.push("manager", Trait::Missing);
        attributes.push("level", Trait::Integer(-3));
        attributes.push("kiosk", Trait::Bool(false));
        attributes.push("desks", Trait::list(["1", "2"]).unwrap());
        attributes.push(&"n".repeat(65), Trait::Bool(true));
        attributes.push("many", Trait::list(std::iter::repeat_n("x", 17)).unwrap());
        assert_eq!(Trait::text(&"t".repeat(65)), None);
        assert_eq!(Trait::text("two\nlines"), None);
        let json = serde_json::to_string(&attributes).unwrap();
        let expected =
            r#"{"branch":"sh01","desks":["1","2"],"kiosk":false,"level":-3,"manager":null}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
    }

    #[test]
    fn all_together_stay_within_their_share_of_an_entry() {
        let mut attributes = Attributes::default();
        for n in 0..500 {
            attributes
                .push(&format!("{n}\"\\"), Trait::list(["\\\"".repeat(30).as_str()]).unwrap());
        }
        assert!(serde_json::to_string(&attributes).unwrap().len() <= LIMIT_BYTES + 2);
        assert!(attributes.iter().count() > 5);
    }
}
