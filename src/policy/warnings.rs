//! What is suspicious in a policy but no fault.

use super::model::{Audience, BodyShape, Effect, Grade, Model, Route};
use super::rows::ROW_TEST_LIMIT;
use crate::document::{Code, Fault};
use crate::document::{Source, Span};

/// All warnings, in the order of files and lines.
pub(super) fn find(model: &Model, sources: &[Source]) -> Vec<Fault> {
    let mut warnings = Warnings { model, sources, found: Vec::new() };
    warnings.dead_actions();
    warnings.closed_routes();
    warnings.unseen_fields();
    warnings.betraying_counts();
    warnings.many_conditions();
    warnings.idle_roles();
    warnings.found.sort();
    warnings.found
}

struct Warnings<'a> {
    model: &'a Model,
    sources: &'a [Source],
    found: Vec<Fault>,
}

impl Warnings<'_> {
    fn add(&mut self, span: Span, code: Code, message: String, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.found.push(Fault::at(self.sources, span, code, message).with_help(help));
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
            let rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
            let opens = |of: Option<usize>| of.is_none_or(|entity| route.main.contains(&entity));
            if !rules.into_iter().any(|rule| rule.effect == Effect::Allow && opens(rule.of)) {
                let message = format!("no rule opens the route `{}`", route.name);
                self.add(route.span, Code::ClosedRoute, message, "nobody may use it");
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
            // What a flag or the tenant is read from has its use without being shown, and cannot be sealed.
            let flags = entity.flags.iter().flat_map(|flag| &flag.condition.fields);
            let used: Vec<u16> = flags.chain(&entity.tenant).copied().collect();
            for (at, field) in entity.fields.iter().enumerate() {
                let shown = seen.iter().chain(&used).any(|seen| usize::from(*seen) == at);
                if !shown && field.grade != Grade::Sealed {
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

    fn betraying_counts(&mut self) {
        for route in &self.model.routes {
            let mut rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
            let mut entities = route.entities.iter().filter_map(|at| self.model.entities.get(*at));
            let counts = route.returns.as_ref().is_some_and(|body| has_count(&body.shape));
            let filtered = rules.any(|rule| rule.row.is_some())
                || entities.any(|entity| !entity.flags.is_empty());
            if counts && filtered {
                let message =
                    format!("`{}` passes a count that tells of withheld records", route.name);
                let help = "it is withheld wherever a row condition or a flag is tested";
                self.add(route.span, Code::BetrayingCount, message, help);
            }
        }
    }

    fn many_conditions(&mut self) {
        for route in &self.model.routes {
            for entity in &route.entities {
                let rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
                let of = rules.filter(|rule| rule.of == Some(*entity));
                let mut texts: Vec<(&str, bool)> = of
                    .filter_map(|rule| {
                        Some((rule.row.as_ref()?.text.as_ref(), rule.effect == Effect::Deny))
                    })
                    .collect();
                texts.sort_unstable();
                texts.dedup();
                let marks =
                    self.model.entities.get(*entity).map_or(0, |entity| {
                        entity.flags.len() + usize::from(entity.tenant.is_some())
                    });
                let tests = texts.len() + marks;
                if tests > ROW_TEST_LIMIT {
                    let message = format!(
                        "{tests} row conditions, flags and tenants on `{}`: a caller to whom more than \
                         {ROW_TEST_LIMIT} apply is denied",
                        route.name
                    );
                    self.add(route.span, Code::ManyConditions, message, "");
                }
            }
        }
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
}

fn has_count(shape: &BodyShape) -> bool {
    match shape {
        BodyShape::Entity(_) => false,
        BodyShape::Pass(count) => *count,
        BodyShape::Array(inner) => has_count(inner),
        BodyShape::Object(members) => members.iter().any(|(_, shape)| has_count(shape)),
    }
}
