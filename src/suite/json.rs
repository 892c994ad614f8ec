//! JSON values for comparison: numbers keep every digit, members their order.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Stands in an expected body for any pseudonym.
pub(super) const ANY_PSEUDONYM: &str = "p~*";
const PSEUDONYM_PREFIX: &str = "p~";

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text that the guard has let through; `None` if it is not JSON.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::Text(serde_json::from_str(text).ok()?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                Self::List(items.iter().map(|item| Self::parse(item.get())).collect::<Option<_>>()?)
            }
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                let parse =
                    |(name, value): (String, &RawValue)| Some((name, Self::parse(value.get())?));
                Self::Map(members.into_iter().map(parse).collect::<Option<_>>()?)
            }
            _ => Self::Number(text.to_owned()),
        })
    }

    /// This value in the order of members that `model` has, with its wildcards where they fit: what is
    /// left to differ differs.
    pub(super) fn arranged_like(&self, model: &Self) -> Self {
        match (self, model) {
            (Self::Map(members), Self::Map(wanted)) => {
                let known = wanted.iter().filter_map(|(name, model)| {
                    Some((name.clone(), self.member(name)?.arranged_like(model)))
                });
                let is_new = |(name, _): &&(String, Self)| !wanted.iter().any(|(w, _)| w == name);
                let new = members.iter().filter(is_new).cloned();
                Self::Map(known.chain(new).collect())
            }
            (Self::List(items), Self::List(wanted)) => {
                let arranged = items.iter().enumerate().map(|(at, item)| {
                    wanted.get(at).map_or_else(|| item.clone(), |model| item.arranged_like(model))
                });
                Self::List(arranged.collect())
            }
            (Self::Text(text), Self::Text(wanted))
                if wanted == ANY_PSEUDONYM && text.starts_with(PSEUDONYM_PREFIX) =>
            {
                model.clone()
            }
            _ => self.clone(),
        }
    }

    /// This value without the members that `model` does not name, at any depth.
    pub(super) fn named_in(&self, model: &Self) -> Self {
        match (self, model) {
            (Self::Map(_), Self::Map(wanted)) => {
                let named = wanted.iter().filter_map(|(name, model)| {
                    Some((name.clone(), self.member(name)?.named_in(model)))
                });
                Self::Map(named.collect())
            }
            (Self::List(items), Self::List(wanted)) => {
                let named = items.iter().enumerate().map(|(at, item)| {
                    wanted.get(at).map_or_else(|| item.clone(), |model| item.named_in(model))
                });
                Self::List(named.collect())
            }
            _ => self.clone(),
        }
    }

    /// Every value at a path such as `items.phone`; arrays on the way are entered.
    pub(super) fn at<'j>(&'j self, path: &[&str]) -> Vec<&'j Self> {
        match (self, path) {
            (Self::List(items), _) => items.iter().flat_map(|item| item.at(path)).collect(),
            (_, []) => vec![self],
            (_, [name, rest @ ..]) => self.member(name).map_or(Vec::new(), |value| value.at(rest)),
        }
    }

    /// Whether a value stands at a path from anywhere on.
    pub(super) fn holds(&self, path: &[&str]) -> bool {
        let below = |value: &Self| value.holds(path);
        !self.at(path).is_empty()
            || match self {
                Self::List(items) => items.iter().any(below),
                Self::Map(members) => members.iter().any(|(_, value)| below(value)),
                Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
            }
    }

    fn member(&self, name: &str) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(yes) => write!(f, "{yes}"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) if items.is_empty() => f.write_str("[]"),
            Self::Map(members) if members.is_empty() => f.write_str("{}"),
            Self::List(items) => {
                f.write_str("[\n")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{:indent$}", "", indent = indent + 2)?;
                    item.write(f, indent + 2)?;
                    f.write_str(if at + 1 < items.len() { ",\n" } else { "\n" })?;
                }
                write!(f, "{:indent$}]", "")
            }
            Self::Map(members) => {
                f.write_str("{\n")?;
                for (at, (name, value)) in members.iter().enumerate() {
                    write!(f, "{:indent$}{}: ", "", quoted(name), indent = indent + 2)?;
                    value.write(f, indent + 2)?;
                    f.write_str(if at + 1 < members.len() { ",\n" } else { "\n" })?;
                }
                write!(f, "{:indent$}}}", "")
            }
        }
    }
}

impl fmt::Display for Json {
    /// On several lines, two spaces a level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether the text is a number as JSON writes numbers.
pub(super) fn is_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    begins && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// The members of an object in their order.
struct Members<'j>(Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn numbers_keep_every_digit_and_members_their_order() {
        let read = json(r#"{"b":1.50,"a":[12345678901234567890123,-0,"\u738b"]}"#);
        let written = "{\n  \"b\": 1.50,\n  \"a\": [\n    12345678901234567890123,\n    -0,\n    \"王\"\n  ]\n}";
        assert_eq!(read.to_string(), written);
        assert_ne!(json("1.0"), json("1"));
        assert_eq!(Json::parse("{"), None);
    }

    #[test]
    fn order_means_nothing_and_a_wildcard_stands_for_a_pseudonym_only() {
        let wanted = json(r#"{"a":1,"id":"p~*"}"#);
        let fits = |text: &str| json(text).arranged_like(&wanted) == wanted;
        assert!(fits(r#"{"id":"p~abc","a":1}"#));
        assert!(!fits(r#"{"id":"C1","a":1}"#));
        assert!(!fits(r#"{"id":"p~abc","a":1,"new":null}"#));
        assert!(!fits(r#"{"id":"p~abc"}"#));
    }

    #[test]
    fn a_path_enters_arrays() {
        let body = json(r#"{"items":[{"a":{"b":1}},{"a":[{"b":2}]}]}"#);
        assert_eq!(body.at(&["items", "a", "b"]), [&json("1"), &json("2")]);
        assert!(body.at(&["items", "c"]).is_empty());
        assert!(body.holds(&["a", "b"]) && !body.holds(&["b", "a"]));
    }

    #[test]
    fn only_what_json_calls_a_number_is_one() {
        for text in ["0", "-1", "1.50", "1e9"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "01", "+1", "1.", ".5", "0x1", "1 ", "NaN", "true", "-", "13812345678a"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
