//! Which rules, fields and routes the tests touched.

use std::collections::BTreeSet;

use super::report::{Coverage, Part};
use crate::policy::{FieldForms, Program};
use crate::proxy::Rehearsed;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    routes: BTreeSet<String>,
    rules: BTreeSet<String>,
    /// Such as `customer.phone masked`.
    fields: BTreeSet<String>,
}

impl Seen {
    pub(super) fn note(&mut self, told: &Rehearsed) {
        self.routes.extend(told.route.clone());
        self.rules.extend(told.in_force.iter().cloned());
        for fate in told.fields.iter().flatten() {
            let forms = FieldForms {
                name: fate.name.clone(),
                clear: fate.clear,
                masked: fate.masked,
                pseudonym: fate.pseudonym,
            };
            self.fields.extend(written(&forms));
        }
    }

    pub(super) fn coverage(&self, program: &Program) -> Coverage {
        let rules = program.rule_names().map(str::to_owned);
        let fields = program.field_forms().into_iter().flat_map(|forms| written(&forms));
        let routes = program.routes().iter().map(|route| route.name().to_owned());
        Coverage {
            rules: Part::of(rules, |name| self.rules.contains(name)),
            fields: Part::of(fields, |form| self.fields.contains(form)),
            routes: Part::of(routes, |name| self.routes.contains(name)),
        }
    }
}

/// A field in each form it has, such as `customer.phone masked`.
fn written(forms: &FieldForms) -> Vec<String> {
    let words = [("clear", forms.clear), ("masked", forms.masked), ("pseudonym", forms.pseudonym)];
    let given = words.iter().filter(|(_, is_given)| *is_given);
    given.map(|(word, _)| format!("{} {word}", forms.name)).collect()
}
