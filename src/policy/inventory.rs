//! What a policy has: its rules, and the forms in which its fields may be seen. For tools that say what
//! was left out; no decision asks for it.

use std::collections::BTreeSet;

use super::model::{Effect, Rule};
use super::program::Program;

/// A field of an entity, and how some rule may show it to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldForms {
    /// Its full name, such as `customer.phone`.
    pub name: String,
    /// Whether a rule shows it in clear.
    pub clear: bool,
    /// Whether a rule shows it masked.
    pub masked: bool,
    /// Whether a rule shows it as a pseudonym.
    pub pseudonym: bool,
}

impl Program {
    /// The names of all rules, in the order of the files.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.model.rules.iter().map(|rule| rule.name.as_ref())
    }

    /// Whether the catalogue has this place, such as `customer.address.zip`, be it a field or what holds fields.
    #[must_use]
    pub fn declares(&self, place: &str) -> bool {
        let Some((name, path)) = place.split_once('.') else { return false };
        let is_at_or_below = |declared: &str| {
            let rest = declared.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.model.entities.iter().filter(|entity| *entity.name == *name).any(|entity| {
            entity.fields.iter().any(|field| is_at_or_below(&field.path))
                || entity.references.iter().any(|(path, _)| is_at_or_below(path))
        })
    }

    /// Every field of every entity, in the order of the files.
    #[must_use]
    pub fn field_forms(&self) -> Vec<FieldForms> {
        let answering = self.routes.iter().filter(|route| route.gives_a_body());
        let shown: BTreeSet<usize> = answering.flat_map(|route| &route.rules).copied().collect();
        let mut forms = Vec::new();
        for (index, entity) in self.model.entities.iter().enumerate() {
            let shows = |rule: &&Rule| rule.effect == Effect::Allow && rule.of == Some(index);
            let rules = shown.iter().filter_map(|at| self.model.rules.get(*at));
            let showing: Vec<&Rule> = rules.filter(shows).collect();
            for (at, field) in entity.fields.iter().enumerate() {
                let named = |list: fn(&Rule) -> &Vec<u16>| {
                    showing.iter().any(|rule| list(rule).iter().any(|f| usize::from(*f) == at))
                };
                forms.push(FieldForms {
                    name: format!("{}.{}", entity.name, field.path),
                    clear: named(|rule| &rule.clear),
                    masked: named(|rule| &rule.masked),
                    pseudonym: named(|rule| &rule.pseudonym),
                });
            }
        }
        forms
    }
}
