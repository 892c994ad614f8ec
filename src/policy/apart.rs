//! Roles that nobody holds together: who writes the policy, who operates and who reviews are three persons.

use std::collections::BTreeSet;

use super::denial::{Denial, DenialKind, Reason};
use super::judge::Principal;
use super::model::Model;
use super::program::Program;

impl Program {
    /// Refuses a person who holds roles that the policy keeps apart, by one account or by several.
    ///
    /// # Errors
    /// [`Denial`], which names two of them.
    pub fn check_apart(&self, principal: &Principal) -> Result<(), Denial> {
        let together = self.held_together(&principal.roles, &principal.roles_elsewhere);
        together.map_or(Ok(()), |(one, other)| {
            let reason = Reason::HeldTogether { one: one.to_owned(), other: other.to_owned() };
            Err(Denial::new(DenialKind::Forbidden, vec![reason]))
        })
    }

    /// Whether the policy keeps any of these roles apart from another: then what else the person holds decides, too.
    #[must_use]
    pub fn keeps_apart(&self, roles: &[String]) -> bool {
        if self.model.apart.is_empty() {
            return false;
        }
        let held = self.holding(roles);
        self.model.apart.iter().flatten().any(|role| held.roles.contains(role))
    }

    /// Two roles that the policy keeps apart, where a person holds both; `elsewhere` are those of the person's other
    /// accounts.
    #[must_use]
    pub fn held_together(&self, roles: &[String], elsewhere: &[String]) -> Option<(&str, &str)> {
        if self.model.apart.is_empty() {
            return None;
        }
        let mut held = self.holding(roles).roles.clone();
        if !elsewhere.is_empty() {
            held.extend(&self.holding(elsewhere).roles);
        }
        self.model.apart.iter().find_map(|set| {
            let mut mine = set.iter().filter(|role| held.contains(role));
            let (one, other) = (*mine.next()?, *mine.next()?);
            Some((self.model.role_name(one), self.model.role_name(other)))
        })
    }
}

impl Model {
    fn role_name(&self, role: usize) -> &str {
        self.roles.get(role).map_or("", |role| &role.name)
    }

    /// The roles that are kept apart, two by two.
    pub(super) fn apart_pairs(&self) -> BTreeSet<(Box<str>, Box<str>)> {
        let mut pairs = BTreeSet::new();
        for set in &self.apart {
            let mut names: Vec<Box<str>> =
                set.iter().map(|role| self.role_name(*role).into()).collect();
            names.sort_unstable();
            while let Some(last) = names.pop() {
                pairs.extend(names.iter().map(|name| (name.clone(), last.clone())));
            }
        }
        pairs
    }
}
