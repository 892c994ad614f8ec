//! Who is tied to whom by a case, as the policy asks it of each record. Business systems say so; the gate knows it.

use std::collections::BTreeSet;
use std::fmt::Debug;

/// Knows who is tied to whom at this moment.
pub trait Ties: Debug + Send + Sync {
    /// Whether the account and the subject of this entity are tied by a case of this kind.
    fn ties(&self, account: &str, kind: &str, entity: &str, subject: &str) -> bool;
}

/// Cases that tie whoever asks, for explanations and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownCases(BTreeSet<(String, String, String)>);

impl KnownCases {
    /// Adds a case of this kind, about the subject of an entity.
    pub fn add(&mut self, kind: &str, entity: &str, subject: &str) {
        self.0.insert((kind.to_owned(), entity.to_owned(), subject.to_owned()));
    }
}

impl Ties for KnownCases {
    fn ties(&self, _account: &str, kind: &str, entity: &str, subject: &str) -> bool {
        self.0.contains(&(kind.to_owned(), entity.to_owned(), subject.to_owned()))
    }
}

/// What becomes of a record that no case ties to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Missing {
    /// It passes all the same, and the log says so.
    Flag,
    /// It does not pass, or not in clear.
    #[default]
    Deny,
}

/// The kinds of cases of which one must tie; none asks for no case.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CaseKinds {
    pub(super) kinds: BTreeSet<Box<str>>,
    pub(super) missing: Missing,
}

impl CaseKinds {
    /// Whether no case is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether nothing is there without a case.
    pub(super) fn is_must(&self) -> bool {
        !self.is_empty() && self.missing == Missing::Deny
    }

    /// Whether whoever meets the other meets this: of more kinds one is easier to have.
    pub(super) fn asks_no_more_than(&self, other: &Self) -> bool {
        self.is_empty()
            || (!other.is_empty()
                && self.missing <= other.missing
                && other.kinds.is_subset(&self.kinds))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(AsRef::as_ref)
    }

    /// In words: `a case (call or queue)`.
    pub(super) fn words(&self) -> String {
        let kinds = self.iter().collect::<Vec<_>>().join(" or ");
        match self.missing {
            Missing::Deny => format!("a case ({kinds})"),
            Missing::Flag => format!("a case ({kinds}), else it is flagged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(names: &[&str], missing: Missing) -> CaseKinds {
        CaseKinds { kinds: names.iter().map(|name| Box::from(*name)).collect(), missing }
    }

    #[test]
    fn more_kinds_ask_less_and_a_flag_asks_less_than_a_refusal() {
        let none = CaseKinds::default();
        let (one, two) =
            (kinds(&["call"], Missing::Deny), kinds(&["call", "order"], Missing::Deny));
        let flag = kinds(&["call", "order"], Missing::Flag);
        for (less, more) in
            [(&none, &two), (&two, &one), (&flag, &two), (&flag, &one), (&none, &flag)]
        {
            assert!(less.asks_no_more_than(more), "{less:?} {more:?}");
            assert!(!more.asks_no_more_than(less), "{more:?} {less:?}");
        }
        assert!(one.asks_no_more_than(&one));
    }
}
