//! Whose entries a key opens, beside their class and day: everybody's, or those of callers of certain tenants, whose
//! entries are kept for times of their own. On the disk it is sealed, and padded: no tenant is legible there.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Stands for all tenants of a caller that have no time of their own.
const OTHERS: &str = "";
/// The most tenants of one caller that are told apart; beyond, the entry is one of tenants, whichever.
const MOST: usize = 8;
/// What is sealed has a multiple of this length, so that the length of a name is not told.
const PADDED_TO: usize = 256;

/// The tenants of a caller whose entries are kept for times of their own; of most callers none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenants(Option<Arc<BTreeSet<Box<str>>>>);

impl Tenants {
    /// Those with these names. `others` says that the caller is of tenants without a time of their own, too.
    #[must_use]
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, others: bool) -> Self {
        let mut all: BTreeSet<Box<str>> = names.into_iter().map(Box::from).collect();
        if all.is_empty() {
            return Self(None);
        }
        if others {
            all.insert(OTHERS.into());
        }
        Self(Some(Arc::new(all)))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn are_told_apart(&self) -> bool {
        self.names().count() <= MOST
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|names| names.iter().map(AsRef::as_ref))
    }
}

impl fmt::Display for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.names().filter(|name| *name != OTHERS).enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        let has_others = self.names().any(|name| name == OTHERS);
        f.write_str(if has_others { " and others" } else { "" })
    }
}

/// Whose entries a key opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::audit) enum Whose {
    /// Everybody's for whom no other key is.
    Everybody,
    /// Of callers of exactly these tenants.
    Of(Tenants),
    /// Of callers of tenants, whichever: where the key for just those is not there. Also what is said of a key where
    /// nobody can tell.
    Tenants,
}

impl Whose {
    /// Something of each tenant that it names; of none where it names none.
    pub(in crate::audit) fn each<T>(&self, of: impl Fn(&str) -> T) -> Vec<T> {
        match self {
            Self::Everybody | Self::Tenants => Vec::new(),
            Self::Of(tenants) => tenants.names().map(of).collect(),
        }
    }

    /// As it is sealed; nothing for everybody.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let names: Vec<&str> = match self {
            Self::Everybody => return None,
            Self::Of(tenants) => tenants.names().collect(),
            Self::Tenants => Vec::new(),
        };
        let mut json = serde_json::to_vec(&names).unwrap_or_default();
        json.resize(json.len().next_multiple_of(PADDED_TO), b' ');
        Some(json)
    }

    /// What [`Whose::to_bytes`] says.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let names: BTreeSet<Box<str>> = serde_json::from_slice(bytes).ok()?;
        Some(if names.is_empty() {
            Self::Tenants
        } else {
            Self::Of(Tenants(Some(Arc::new(names))))
        })
    }
}

/// As a line tells it behind the class; empty for everybody.
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => Ok(()),
            Self::Of(tenants) => write!(f, "of {tenants}"),
            Self::Tenants => f.write_str("of tenants"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_reads_back_and_tells_nothing_by_its_length() {
        let of = |names: &[&str], others| Whose::Of(Tenants::new(names.iter().copied(), others));
        let some = [of(&["shop"], false), of(&["shop", "mall"], true), Whose::Tenants];
        for whose in some {
            let bytes = whose.to_bytes().unwrap();
            assert_eq!((bytes.len(), Whose::from_bytes(&bytes)), (PADDED_TO, Some(whose)));
        }
        assert_eq!(Whose::Everybody.to_bytes(), None);
        assert_eq!(of(&["shop", "mall", "shop"], false), of(&["mall", "shop"], false));
        assert!(Tenants::new([], true).is_empty(), "others alone are kept as everybody is");
        assert_eq!(of(&["shop", "mall"], true).to_string(), "of mall, shop and others");
    }
}
