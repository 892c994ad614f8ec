//! What the gate knows of data subjects, as the policy asks it of each record: who is tied to whom by a case, and what
//! they said of purposes or is marked of them. Business systems say so; the gate knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::consent::Said;

/// Knows it at this moment.
pub trait Ties: Debug + Send + Sync {
    /// Whether the account and the subject of this entity are tied by a case of this kind.
    fn ties(&self, account: &str, kind: &str, entity: &str, subject: &str) -> bool;

    /// What the subject said last of a purpose, to this third party or to the own people; `None` where what was said is
    /// not known.
    fn said(&self, entity: &str, subject: &str, purpose: &str, to: Option<&str>) -> Option<Said>;

    /// Whether the subject has this mark; `None` where marks are not known.
    fn is_marked(&self, entity: &str, subject: &str, mark: &str) -> Option<bool>;
}

/// Cases that tie whoever asks, answers and marks, for explanations and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownCases {
    cases: BTreeSet<[String; 3]>,
    said: BTreeMap<[String; 4], Said>,
    marks: BTreeSet<[String; 3]>,
}

impl KnownCases {
    /// Adds a case of this kind, about the subject of an entity.
    pub fn add(&mut self, kind: &str, entity: &str, subject: &str) {
        self.cases.insert([kind, entity, subject].map(str::to_owned));
    }

    /// Adds what a subject said of a purpose, to a third party or, where `to` is empty, to the own people.
    pub fn say(&mut self, entity: &str, subject: &str, (purpose, to): (&str, &str), said: Said) {
        self.said.insert([entity, subject, purpose, to].map(str::to_owned), said);
    }

    /// Marks a subject.
    pub fn mark(&mut self, entity: &str, subject: &str, mark: &str) {
        self.marks.insert([entity, subject, mark].map(str::to_owned));
    }
}

impl Ties for KnownCases {
    fn ties(&self, _account: &str, kind: &str, entity: &str, subject: &str) -> bool {
        self.cases.contains(&[kind, entity, subject].map(str::to_owned))
    }

    fn said(&self, entity: &str, subject: &str, purpose: &str, to: Option<&str>) -> Option<Said> {
        let key = [entity, subject, purpose, to.unwrap_or_default()].map(str::to_owned);
        Some(self.said.get(&key).copied().unwrap_or(Said::Nothing))
    }

    fn is_marked(&self, entity: &str, subject: &str, mark: &str) -> Option<bool> {
        Some(self.marks.contains(&[entity, subject, mark].map(str::to_owned)))
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
