//! What can be switched off, and how it is written: `person corp:wang`, `right teller@corp:wang`, `exports`.

use std::fmt;

use super::CommandError;

/// The longest name, in characters.
const NAME_LIMIT: usize = 255;

/// What kind of thing is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A person, by the person's name or by any of their accounts: all of the person's requests.
    Person,
    /// A role: requests of whoever holds it.
    Role,
    /// One person's right to a role, `teller@corp:wang`: they act without it.
    Right,
    /// A tenant: requests of whoever is of it.
    Tenant,
    /// A partner: requests in its name.
    Partner,
    /// A route: requests for it, whoever's.
    Route,
    /// All exports and other answers that are files.
    Exports,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Person,
        Self::Role,
        Self::Right,
        Self::Tenant,
        Self::Partner,
        Self::Route,
        Self::Exports,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Role => "role",
            Self::Right => "right",
            Self::Tenant => "tenant",
            Self::Partner => "partner",
            Self::Route => "route",
            Self::Exports => "exports",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = CommandError;

    fn from_str(word: &str) -> Result<Self, CommandError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| CommandError::Kind(word.chars().take(64).collect()))
    }
}

/// What is switched off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    kind: Kind,
    name: String,
}

impl Target {
    /// One of a kind; exports have no name.
    ///
    /// # Errors
    /// [`CommandError::Name`], [`CommandError::NoName`] or [`CommandError::Right`].
    pub fn new(kind: Kind, name: &str) -> Result<Self, CommandError> {
        let is_name = !name.is_empty()
            && name.chars().count() <= NAME_LIMIT
            && !name.chars().any(char::is_control);
        match kind {
            Kind::Exports if name.is_empty() => {}
            Kind::Exports => return Err(CommandError::NoName),
            Kind::Right if is_name && !is_right(name) => return Err(CommandError::Right),
            Kind::Person
            | Kind::Role
            | Kind::Right
            | Kind::Tenant
            | Kind::Partner
            | Kind::Route
                if is_name => {}
            Kind::Person
            | Kind::Role
            | Kind::Right
            | Kind::Tenant
            | Kind::Partner
            | Kind::Route => {
                return Err(CommandError::Name { kind: kind.as_str() });
            }
        }
        Ok(Self { kind, name: name.to_owned() })
    }

    /// The right of somebody, under one of their accounts or as a person, to a role.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub fn right(role: &str, whose: &str) -> Result<Self, CommandError> {
        Self::new(Kind::Right, &format!("{role}@{whose}"))
    }

    /// Of what kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which one; empty for exports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `ROLE@WHOSE`; no role has an `@`, accounts may.
fn is_right(name: &str) -> bool {
    name.split_once('@').is_some_and(|(role, whose)| !role.is_empty() && !whose.is_empty())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(self.kind.as_str()),
            name => write!(f, "{} {name}", self.kind.as_str()),
        }
    }
}
