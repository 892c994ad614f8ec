//! What a demo plays: the host, the policy, the people and the backend of one kind of business.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DemoError;
use super::backend::Desk;
use super::cast::{CAST, CUSTOMERS, HOST};
use super::store::Store;
use crate::consent::Statement;
use crate::identity::{Attribute, CallerKind, NewAccount};
use crate::secret::Secret;

const BANK: [(&str, &str); 4] = [
    ("catalogue.yaml", include_str!("../../policies/demo/catalogue.yaml")),
    ("routes.yaml", include_str!("../../policies/demo/routes.yaml")),
    ("rules.yaml", include_str!("../../policies/demo/rules.yaml")),
    ("tests.yaml", include_str!("../../policies/demo/tests.yaml")),
];

/// What a demo plays.
pub struct Script {
    /// The host that is published.
    pub(super) host: String,
    /// The policy's files: name and text.
    pub(super) policies: Vec<(&'static str, &'static str)>,
    /// Who can sign in.
    pub(super) people: Vec<Part>,
    /// What customers said before, for the gate's own registry.
    pub(super) said: Vec<Statement>,
    /// The zones in which the gate listens; the first is the usual one.
    pub(super) zones: Vec<String>,
    /// What answers behind the gate.
    pub(super) desk: Desk,
}

/// Somebody who can sign in. The password is no secret: a demo listens on loopback only.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) password: String,
    #[serde(default = "staff", deserialize_with = "kind")]
    pub(super) kind: CallerKind,
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, Attribute>,
    /// What this person is here to show.
    pub(super) about: String,
}

fn staff() -> CallerKind {
    CallerKind::Staff
}

fn kind<'de, D: serde::Deserializer<'de>>(word: D) -> Result<CallerKind, D::Error> {
    let word = <String as serde::Deserialize>::deserialize(word)?;
    word.parse().map_err(serde::de::Error::custom)
}

impl Script {
    /// The bank of the tour.
    pub(super) fn bank() -> Result<Self, DemoError> {
        let part = |person: &super::cast::Person| Part {
            name: person.name.to_owned(),
            password: person.password.to_owned(),
            kind: staff(),
            roles: vec![person.role.to_owned()],
            attributes: [("branch".to_owned(), Attribute::Text(person.branch.to_owned()))].into(),
            about: person.about.to_owned(),
        };
        Ok(Self {
            host: HOST.to_owned(),
            policies: BANK.to_vec(),
            people: CAST.iter().map(part).collect(),
            said: Vec::new(),
            zones: vec!["business".to_owned()],
            desk: Desk::Bank(Arc::new(Store::of(CUSTOMERS)?)),
        })
    }
}

impl Part {
    /// The account to open for this person.
    pub(super) fn account(&self) -> NewAccount {
        NewAccount {
            name: self.name.clone(),
            display_name: self.name.clone(),
            kind: self.kind,
            roles: self.roles.clone(),
            attributes: self.attributes.clone(),
            password: Secret::new(self.password.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_policy_file_of_the_demo_is_carried_in_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, BANK.map(|(name, _)| name));
    }
}
