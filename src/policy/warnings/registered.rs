//! Partners that a policy tells apart, and of which none has to be registered.

use super::super::expression::Condition;
use super::super::model::Whose;
use super::Warnings;
use crate::document::Code;

/// How conditions name the partner in whose name it is asked.
const PARTNER: &str = "caller.partner";

impl Warnings<'_> {
    pub(super) fn registered(&mut self) {
        if self.model.registered.iter().any(|word| &**word == "partner") {
            return;
        }
        let shared = self.model.limits.iter().find(|limit| limit.per == Whose::Partner);
        let reads = |condition: &Condition| condition.text.contains(PARTNER);
        let rule = self.model.rules.iter().find(|rule| {
            rule.row.as_deref().is_some_and(reads) || rule.when.as_deref().is_some_and(reads)
        });
        let span = rule.map(|rule| rule.span).or(shared.map(|limit| limit.span));
        if let Some(span) = span {
            let message = "partners are told apart, and none of them has to be registered";
            let help =
                "add `registered: partner`: who two persons admitted asks, until the contract ends";
            self.add(span, Code::UnregisteredPartners, message.to_owned(), help);
        }
    }
}
