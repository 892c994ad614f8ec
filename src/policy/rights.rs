//! What a role is good for, as reviews of accesses ask it.

use std::collections::BTreeSet;

use super::model::{Audience, Effect, Grade, Rule};
use super::program::Program;

impl Program {
    /// Whether a rule is for whoever holds a role; `None` if there is no such rule or role.
    #[must_use]
    pub fn rule_is_for(&self, rule: &str, role: &str) -> Option<bool> {
        let rule = self.model.rules.iter().find(|known| *known.name == *rule)?;
        let role = self.model.roles.iter().find(|known| *known.name == *role)?;
        Some(rule.to.includes(&role.held))
    }

    /// The roles to which a rule denies something, and not to everybody.
    #[must_use]
    pub fn roles_denied(&self) -> BTreeSet<&str> {
        let denies = |rule: &&Rule| rule.effect == Effect::Deny && rule.tenant.is_none();
        let denying = self.model.rules.iter().filter(denies);
        let named = denying.filter_map(|rule| match &rule.to {
            Audience::Roles(roles) => Some(roles),
            Audience::Any => None,
        });
        let roles = named.flatten().filter_map(|role| self.model.roles.get(*role));
        roles.map(|role| role.name.as_ref()).collect()
    }

    /// The roles to which a rule shows, in clear, or lets write a field of a grade or of a higher one.
    #[must_use]
    pub fn roles_reaching(&self, grade: u8) -> BTreeSet<&str> {
        let is_high = |entity: &super::model::Entity, at: u16| {
            let field = entity.fields.get(usize::from(at));
            field.is_some_and(|field| matches!(field.grade, Grade::Open(of) if of >= grade))
        };
        let allowing = self.model.rules.iter().filter(|rule| rule.effect == Effect::Allow);
        let reaching = allowing.filter(|rule| {
            let entity = rule.of.and_then(|entity| self.model.entities.get(entity));
            let fields = rule.clear.iter().chain(&rule.write);
            entity.is_some_and(|entity| fields.copied().any(|at| is_high(entity, at)))
        });
        let reaching: Vec<_> = reaching.collect();
        let roles = self.model.roles.iter();
        let roles = roles.filter(|role| reaching.iter().any(|rule| rule.to.includes(&role.held)));
        roles.map(|role| role.name.as_ref()).collect()
    }
}
