//! What no rule reaches: actions, routes, fields and roles that nothing is said of, or nothing that gives.

use super::super::model::{Audience, Effect, Entity, Route};
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
    pub(super) fn reach(&mut self) {
        self.dead_actions();
        self.closed_routes();
        self.unseen_fields();
        self.idle_roles();
        self.powerless_roles();
    }

    fn dead_actions(&mut self) {
        for rule in &self.model.rules {
            for action in &rule.actions {
                let met = |route: &&Route| route.action == *action && rule.covers(route);
                if !self.model.routes.iter().any(|route| met(&route)) {
                    let message = format!("no route matches this rule's action `{action}`");
                    self.add(rule.span, Code::DeadAction, message, "");
                }
            }
        }
    }

    fn closed_routes(&mut self) {
        for route in &self.model.routes {
            if !self.is_opened(route) {
                let message = format!("no rule opens the route `{}`", route.name);
                let help = match route.opaque {
                    Some(_) => "only a rule that names it with `route` opens an opaque route",
                    None => "nobody may use it",
                };
                self.add(route.span, Code::ClosedRoute, message, help);
            }
        }
    }

    fn unseen_fields(&mut self) {
        for (index, entity) in self.model.entities.iter().enumerate() {
            let rules = self.model.rules.iter().filter(|rule| rule.of == Some(index));
            let seen: Vec<u16> = rules
                .filter(|rule| rule.effect == Effect::Allow)
                .flat_map(|rule| [&rule.clear, &rule.masked, &rule.pseudonym].into_iter().flatten())
                .copied()
                .collect();
            let used = self.used_fields(index, entity);
            for (at, field) in entity.fields.iter().enumerate() {
                let shown = seen.iter().chain(&used).any(|seen| usize::from(*seen) == at);
                if !shown && field.grade.is_open() {
                    let message = format!("nobody may see `{}.{}`", entity.name, field.path);
                    self.add(
                        field.span,
                        Code::UnseenField,
                        message,
                        "mark it `sealed` if that is meant",
                    );
                }
            }
        }
    }

    /// Fields that have their use without being shown, and cannot be sealed: keys, what conditions read, and
    /// what goes in without coming out.
    fn used_fields(&self, index: usize, entity: &Entity) -> Vec<u16> {
        let flags = entity.flags.iter().flat_map(|flag| &flag.condition.fields);
        let factors = entity.factors.iter().flat_map(|factor| &factor.condition.fields);
        let keys = entity.subject.iter().chain(&entity.tenant);
        let rules = self.model.rules.iter().filter(|rule| rule.of == Some(index));
        let ruled = rules.flat_map(|rule| {
            let on_records = rule.row.iter().chain(rule.factor.iter().map(|f| &f.condition));
            let read = on_records.flat_map(|row| &row.fields);
            let written = rule.write.iter().filter(|_| rule.effect == Effect::Allow);
            read.chain(written)
        });
        flags.chain(factors).chain(keys).chain(ruled).copied().collect()
    }

    fn idle_roles(&mut self) {
        let audiences = self.model.rules.iter().map(|rule| &rule.to);
        let audiences = audiences.chain(self.model.limits.iter().map(|rule| &rule.to));
        let mut named: Vec<usize> = Vec::new();
        for audience in audiences {
            if let Audience::Roles(roles) = audience {
                named.extend(roles);
            }
        }
        for role in &self.model.roles {
            if !role.held.iter().any(|held| named.contains(held)) {
                let message = format!("no rule or limit is about the role `{}`", role.name);
                self.add(role.span, Code::IdleRole, message, "");
            }
        }
    }

    /// A role that only takes away, or that others include for its limits, has its use.
    fn powerless_roles(&mut self) {
        for (index, role) in self.model.roles.iter().enumerate() {
            let names = |to: &Audience| match to {
                Audience::Any => false,
                Audience::Roles(roles) => roles.contains(&index),
            };
            let role_holds = |other: &usize| role.held.contains(other);
            let mut rules = self.model.rules.iter();
            let has_rule = rules.any(|rule| match rule.effect {
                Effect::Allow => rule.to.includes(&role.held),
                Effect::Deny => names(&rule.to),
            });
            let mut roles = self.model.roles.iter().enumerate();
            let is_included = roles.any(|(at, other)| at != index && other.held.contains(&index));
            let mut limits = self.model.limits.iter();
            let is_limited = limits.any(|limit| match &limit.to {
                Audience::Any => false,
                Audience::Roles(roles) => roles.iter().any(role_holds),
            });
            if !has_rule && !is_included && is_limited {
                let message = format!("`{}` has limits and may do nothing", role.name);
                let help = "write a rule that allows it something, or remove the role";
                self.add(role.span, Code::PowerlessRole, message, help);
            }
        }
    }
}
