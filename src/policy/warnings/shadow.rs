//! Rules that another rule makes superfluous: whatever they give or take, it gives or takes as well, to the
//! same callers, on the same routes and records, under conditions that are met whenever theirs are.
//!
//! Several rules that cover one only together are not looked for.

use std::sync::Arc;

use super::super::expression::Condition;
use super::super::model::{Effect, Grade, Model, Requirement, Rule};
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
    pub(super) fn shadows(&mut self) {
        for (index, rule) in self.model.rules.iter().enumerate() {
            let Some(other) = self.coverer(index, rule) else { continue };
            let (message, help) = match rule.effect {
                Effect::Allow => (
                    format!("`{}` gives nothing that `{}` does not give", rule.name, other.name),
                    "remove it, or narrow the other",
                ),
                Effect::Deny => (
                    format!("`{}` takes nothing that `{}` does not take", rule.name, other.name),
                    "remove it",
                ),
            };
            self.add(rule.span, Code::ShadowedRule, message, help);
        }
    }

    /// A rule that covers this one. Of two that say the same, the first stands.
    fn coverer(&self, index: usize, rule: &Rule) -> Option<&Rule> {
        if !self.model.routes.iter().any(|route| rule.covers(route)) {
            return None;
        }
        let mut others = self.model.rules.iter().enumerate();
        let found = others.find(|(at, other)| {
            *at != index
                && covers(self.model, other, rule)
                && (*at < index || !covers(self.model, rule, other))
        });
        found.map(|(_, other)| other)
    }
}

/// Whether `other` does all that `rule` does.
fn covers(model: &Model, other: &Rule, rule: &Rule) -> bool {
    let same_records = match rule.effect {
        Effect::Allow => other.of == rule.of,
        Effect::Deny => other.of.is_none() || other.of == rule.of,
    };
    other.effect == rule.effect
        && (other.tenant.is_none() || other.tenant == rule.tenant)
        && same_records
        && rule.actions.iter().all(|action| other.actions.contains(action))
        && other.to.covers(&rule.to, &model.roles)
        && covers_routes(model, other, rule)
        && match rule.effect {
            Effect::Allow => gives_as_much(model, other, rule),
            Effect::Deny => takes_as_much(other, rule),
        }
}

fn covers_routes(model: &Model, other: &Rule, rule: &Rule) -> bool {
    match (&other.routes, &rule.routes) {
        (None, None) => true,
        (Some(_), None) => false,
        (Some(theirs), Some(routes)) => routes.iter().all(|route| theirs.contains(route)),
        // Only a rule that names an opaque route opens it.
        (None, Some(routes)) => {
            let is_opaque =
                |at: &usize| model.routes.get(*at).is_some_and(|route| route.opaque.is_some());
            rule.effect == Effect::Deny || !routes.iter().any(is_opaque)
        }
    }
}

fn gives_as_much(model: &Model, other: &Rule, rule: &Rule) -> bool {
    let free = |field: &u16| is_clear_for_everybody(model, rule, *field);
    let masks =
        |field: &u16| other.masked.contains(field) || (other.clear.contains(field) && free(field));
    rule.clear.iter().all(|field| other.clear.contains(field))
        && rule.masked.iter().all(masks)
        && rule.pseudonym.iter().all(|field| other.pseudonym.contains(field) || masks(field))
        && rule.write.iter().all(|field| other.write.contains(field))
        && rule.flags.iter().all(|flag| other.flags.contains(flag))
        && is_implied(other.row.as_ref(), rule.row.as_ref())
        && is_implied(other.when.as_ref(), rule.when.as_ref())
        && (other.purposes.is_empty() || names_purposes_of(other, rule))
        && other.require.asks_no_more_than(&rule.require)
        && (other.factor.is_none() || other.factor == rule.factor)
}

/// Whether a field's grade asks nothing, so that clear is clear.
fn is_clear_for_everybody(model: &Model, rule: &Rule, field: u16) -> bool {
    let entity = rule.of.and_then(|at| model.entities.get(at));
    let grade = entity.and_then(|entity| entity.fields.get(usize::from(field))).map(|f| f.grade);
    let Some(Grade::Open(grade)) = grade else { return false };
    let slot = usize::from(grade).checked_sub(1).and_then(|slot| model.grades.get(slot));
    slot.is_some_and(|asks| asks.as_ref() == Some(&Requirement::default()))
}

/// Whether the one condition holds wherever the other does. Each part is evaluated, so that one which holds
/// was evaluated.
fn is_implied(one: Option<&Arc<Condition>>, other: Option<&Arc<Condition>>) -> bool {
    let Some(one) = one else { return true };
    let Some(other) = other else { return false };
    let parts = other.expression.conjuncts();
    one.expression.conjuncts().iter().all(|part| parts.contains(part))
}

fn names_purposes_of(other: &Rule, rule: &Rule) -> bool {
    !rule.purposes.is_empty()
        && rule.purposes.iter().all(|purpose| other.purposes.contains(purpose))
}

fn takes_as_much(other: &Rule, rule: &Rule) -> bool {
    // An error makes it apply, so that a condition must be the same: a part of it may fail alone.
    let applies = |theirs: Option<&Arc<Condition>>, mine: Option<&Arc<Condition>>| {
        theirs.is_none_or(|theirs| mine.is_some_and(|mine| mine.expression == theirs.expression))
    };
    let taken = |list: &[u16]| {
        let named = [&other.clear, &other.masked, &other.pseudonym];
        list.iter().all(|field| named.iter().any(|list| list.contains(field)))
    };
    let fields = !other.names_fields()
        || (rule.names_fields()
            && [&rule.clear, &rule.masked, &rule.pseudonym].iter().all(|list| taken(list))
            && rule.write.iter().all(|field| other.write.contains(field)));
    fields
        && applies(other.row.as_ref(), rule.row.as_ref())
        && applies(other.when.as_ref(), rule.when.as_ref())
        && (other.purposes.is_empty() || names_purposes_of(other, rule))
}
