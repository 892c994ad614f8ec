//! Which rights there are, when each was used last, and which of them should go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Right;

/// A right that was not used for so many days should go, where nobody says another number.
pub const MAX_QUIET_DAYS: u32 = 90;
const DAY_MS: i64 = 86_400_000;

/// Why a right should stay or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// It was used lately.
    Keep,
    /// It was not used lately, or never.
    Unused,
    /// Nothing at all was asked lately under any account of whoever has it.
    Dormant,
}

impl Proposal {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Unused => "unused",
            Self::Dormant => "dormant",
        }
    }
}

/// Who uses which role, gathered from what was decided.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// By whose it is and the role: when it was used last, if it was.
    rights: BTreeMap<(String, String), Option<i64>>,
    /// When anything was asked last.
    asked: BTreeMap<String, i64>,
}

/// What an account held when it asked.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The person, or the account where it is nobody else's.
    pub whose: &'a str,
    /// The roles that it had.
    pub roles: &'a [&'a str],
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

impl Used {
    /// Takes a request. `used` says whether one of its roles had a part in what was allowed.
    pub fn asked(&mut self, held: Held<'_>, used: impl Fn(&str) -> bool) {
        let Held { whose, roles, at_ms } = held;
        let last = self.asked.entry(whose.to_owned()).or_insert(at_ms);
        *last = (*last).max(at_ms);
        for role in roles {
            let right = self.rights.entry((whose.to_owned(), (*role).to_owned())).or_default();
            if used(role) {
                *right = (*right).max(Some(at_ms));
            }
        }
    }

    /// Takes the roles that an account has, whether or not it ever asked.
    pub fn has(&mut self, whose: &str, roles: &[String]) {
        for role in roles {
            self.rights.entry((whose.to_owned(), role.clone())).or_default();
        }
    }
}

/// The rights to these roles, or to all, with what should become of each. `since_ms` is when an unused one begins to be
/// too old.
#[must_use]
pub fn proposed(used: Used, roles: &BTreeSet<String>, now_ms: i64, quiet_days: u32) -> Vec<Right> {
    let since_ms = now_ms.saturating_sub(i64::from(quiet_days) * DAY_MS);
    let Used { rights, asked } = used;
    let is_asked = |role: &String| roles.is_empty() || roles.contains(role);
    let rights = rights.into_iter().filter(|((_, role), _)| is_asked(role));
    let right = |((whose, role), used_ms): ((String, String), Option<i64>)| {
        let is_there = asked.get(&whose).is_some_and(|last| *last >= since_ms);
        let proposal = match used_ms {
            Some(used) if used >= since_ms => Proposal::Keep,
            Some(_) | None if is_there => Proposal::Unused,
            Some(_) | None => Proposal::Dormant,
        };
        Right { whose, role, used_ms, proposal: proposal.as_str().to_owned(), ..Right::default() }
    };
    rights.map(right).collect()
}
