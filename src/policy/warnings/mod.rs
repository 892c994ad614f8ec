//! What is suspicious in a policy but no fault. Whoever wrote what they meant should see none: what could be
//! meant is not warned of.

mod conditions;
mod exposure;
mod grants;
mod reach;
mod records;
mod registered;
mod shadow;

use super::model::Model;
use crate::document::{Code, Fault};
use crate::document::{Source, Span};

/// All warnings, in the order of files and lines.
pub(super) fn find(model: &Model, sources: &[Source]) -> Vec<Fault> {
    let mut warnings = Warnings { model, sources, found: Vec::new() };
    warnings.reach();
    warnings.records();
    warnings.shadows();
    warnings.conditions();
    warnings.exposure();
    warnings.registered();
    warnings.grants();
    warnings.two_person();
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
}
