//! A recorded decision as replay reads it: only what it needs, borrowed from the log's bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::audit::Trait;

/// The bytes that only the entry of a decision has: inside a text, the quotes would be escaped.
const DECISION: &str = "\"event\":\"decision\"";

/// The parts of an entry that say what was decided, and on what.
#[derive(Debug, Deserialize)]
pub(super) struct Recorded<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    #[serde(borrow, default)]
    pub(super) actor: Actor<'a>,
    #[serde(borrow, default)]
    pub(super) auth: Auth<'a>,
    #[serde(borrow, default)]
    pub(super) origin: Origin<'a>,
    #[serde(borrow, default)]
    pub(super) request: Request<'a>,
    #[serde(borrow, default)]
    pub(super) why: Why<'a>,
    #[serde(borrow, default)]
    pub(super) data: Data<'a>,
    #[serde(borrow, default)]
    pub(super) decision: Decision<'a>,
    #[serde(borrow, default)]
    pub(super) result: Answer<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Actor<'a> {
    #[serde(borrow)]
    pub(super) account: Text<'a>,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) roles: Names<'a>,
    pub(super) attributes: BTreeMap<String, Trait>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth<'a> {
    pub(super) assurance: u8,
    pub(super) levels: Vec<(u8, i64)>,
    #[serde(borrow)]
    pub(super) device: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Origin<'a> {
    pub(super) address: Option<IpAddr>,
    #[serde(borrow)]
    pub(super) zone: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) method: Text<'a>,
    #[serde(borrow)]
    pub(super) host: Text<'a>,
    #[serde(borrow)]
    pub(super) route: Text<'a>,
    #[serde(borrow)]
    pub(super) template: Text<'a>,
    #[serde(borrow)]
    pub(super) query: Query<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query<'a> {
    #[serde(borrow)]
    pub(super) parameters: Vec<Parameter<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameter<'a> {
    #[serde(borrow)]
    pub(super) parameter: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Why<'a> {
    #[serde(borrow)]
    pub(super) purpose: Text<'a>,
    #[serde(borrow)]
    pub(super) ticket: Text<'a>,
    #[serde(borrow)]
    pub(super) grant: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Data<'a> {
    #[serde(borrow)]
    pub(super) clear: Names<'a>,
    #[serde(borrow)]
    pub(super) masked: Names<'a>,
    #[serde(borrow)]
    pub(super) pseudonym: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision<'a> {
    #[serde(borrow)]
    pub(super) effect: Text<'a>,
    #[serde(borrow)]
    pub(super) rules: Names<'a>,
    #[serde(borrow)]
    pub(super) policy: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) cause: Text<'a>,
}

/// A text, borrowed unless it has escapes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, unless it is empty.
    pub(super) fn some(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }
}

/// A list of names, and whether there were more than the entry could hold.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) names: Vec<Cow<'a, str>>,
    pub(super) is_cut: bool,
}

impl Names<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }
}

impl<'a> Recorded<'a> {
    /// Reads an entry; `None` if it is of another kind.
    ///
    /// # Errors
    /// What is wrong with its JSON.
    pub(super) fn read(frame: &'a [u8]) -> Result<Option<Self>, serde_json::Error> {
        let text = simdutf8::basic::from_utf8(frame).map_err(serde_json::Error::custom)?;
        if !text.contains(DECISION) {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some)
    }

    /// When it was decided: whole seconds, rounded down as the gate does.
    pub(super) fn unix_s(&self) -> Option<i64> {
        let time: jiff::Timestamp = self.time.as_str().parse().ok()?;
        Some(time.as_millisecond().div_euclid(1000))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names, with the number of further ones at the end")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut list = Names::default();
        while let Some(element) = sequence.next_element::<Element<'de>>()? {
            match element {
                Element::Name(name) => list.names.push(name),
                Element::Beyond => list.is_cut = true,
            }
        }
        Ok(list)
    }
}

enum Element<'a> {
    Name(Cow<'a, str>),
    Beyond,
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a number")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Element::Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Element::Name(Cow::Owned(name.to_owned())))
    }

    fn visit_u64<E: Error>(self, _beyond: u64) -> Result<Self::Value, E> {
        Ok(Element::Beyond)
    }
}
