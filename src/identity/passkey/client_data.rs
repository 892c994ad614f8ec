//! Client data (WebAuthn Level 3, section 5.8.1): what the browser says of the page that asked. JSON that no
//! two parsers may read differently: no name twice, nothing in front and nothing behind.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::{Ceremony, Expected, Fault};

/// The longest client data; browsers send some 150 bytes.
const LENGTH: usize = 4096;

pub(super) struct ClientData {
    kind: String,
    challenge: String,
    origin: String,
}

impl ClientData {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > LENGTH {
            return Err(Fault::ClientData);
        }
        let Members(mut members) =
            serde_json::from_slice(bytes).map_err(|_other_json| Fault::ClientData)?;
        // A page within another one: the person sees the outer one and would sign for the inner one.
        let is_framed = !matches!(members.get("crossOrigin"), None | Some(Value::Bool(false)));
        if is_framed || members.contains_key("topOrigin") {
            return Err(Fault::Framed);
        }
        let mut text = |name| match members.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) | None => Err(Fault::ClientData),
        };
        Ok(Self { kind: text("type")?, challenge: text("challenge")?, origin: text("origin")? })
    }

    /// The challenge, if it is of this ceremony; nothing else is checked yet.
    pub(super) fn challenge(self, ceremony: Ceremony) -> Result<String, Fault> {
        if self.kind == ceremony.kind() { Ok(self.challenge) } else { Err(Fault::Type) }
    }

    pub(super) fn check(&self, ceremony: Ceremony, expected: &Expected<'_>) -> Result<(), Fault> {
        if self.kind != ceremony.kind() {
            return Err(Fault::Type);
        }
        if self.challenge != expected.challenge {
            return Err(Fault::Challenge);
        }
        if self.origin != expected.origin {
            return Err(Fault::Origin);
        }
        Ok(())
    }
}

/// An object that names nothing twice.
struct Members(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("the same name twice"));
            }
        }
        Ok(Members(members))
    }
}
