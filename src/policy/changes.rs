//! What would change a decision: a step-up, a bound device, a grant, another purpose. Each is tried on
//! the program that decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::Permit;
use super::denial::{Denial, DenialKind, proof};
use super::grant::Grant;
use super::judge::{Principal, Query};
use super::program::Program;
use super::ticket::TicketForm;

type Decision = Result<Permit, Denial>;

impl Program {
    /// What would change this decision, in words.
    pub(super) fn changes(&self, query: &Query<'_>, decision: &Decision) -> Vec<String> {
        let mut changes = Vec::new();
        match decision {
            Ok(permit) => {
                if let Some(step_up) = permit.step_up() {
                    let fields = step_up.fields.join(", ");
                    changes.push(format!("with {}: {fields} in clear", proof(step_up)));
                }
                if let Some(step_up) = permit.factor_on_records() {
                    let fields = step_up.fields.join(", ");
                    let proof = proof(step_up);
                    changes.push(format!("with {proof}: {fields} also on records that ask for it"));
                }
            }
            Err(Denial { kind: DenialKind::StepUp(step_up), .. }) => {
                changes.push(format!("with {}: it would be looked at again", proof(step_up)));
            }
            Err(_) => {}
        }
        changes.extend(self.with_device_or_grant(query, decision));
        changes.extend(self.with_purposes(query, decision));
        changes
    }

    /// Each purpose that was not declared, with a ticket where it needs one.
    fn with_purposes(&self, query: &Query<'_>, decision: &Decision) -> Vec<String> {
        let mut changes = Vec::new();
        for purpose in &self.model.purposes {
            let fits = |ticket: &&str| purpose.ticket.as_ref().is_none_or(|f| f.matches(ticket));
            let form = purpose.ticket.as_ref().filter(|_| query.ticket.filter(fits).is_none());
            if Some(purpose.name.as_ref()) == query.purpose && form.is_none() {
                continue;
            }
            let example = form.map(TicketForm::example);
            let ticket = example.as_deref().or(query.ticket);
            let other = self.decide(&Query { purpose: Some(&purpose.name), ticket, ..*query });
            let change = match (decision, other) {
                (Err(_), Ok(_)) => "allowed",
                (Err(_), Err(Denial { kind: DenialKind::StepUp(_), .. })) => {
                    "allowed after a step-up"
                }
                (Ok(_), Err(_)) => "denied",
                (Ok(now), Ok(then)) if !Arc::ptr_eq(now.plan(), then.plan()) => "other rules apply",
                (Ok(_), Ok(_)) | (Err(_), Err(_)) => continue,
            };
            let ticket = form.map_or_else(String::new, |form| {
                format!(" and a ticket such as `{}`", form.as_str())
            });
            changes.push(format!("with the purpose `{}`{ticket}: {change}", purpose.name));
        }
        changes
    }

    /// What a bound device, a grant or both would change, each asked only where it is not there.
    fn with_device_or_grant(
        &self,
        query: &Query<'_>,
        decision: &Result<Permit, Denial>,
    ) -> Vec<String> {
        let device = Some("some device".to_owned());
        let bound = Arc::new(Principal { device, ..Principal::clone(query.principal) });
        let grant = Arc::new(Grant::of_everything("some grant", BTreeMap::new()));
        let by_device = Query { principal: &bound, ..*query };
        let by_grant = Query { grant: Some(&grant), ..*query };
        let by_both = Query { grant: Some(&grant), ..by_device };
        let tried = match (&query.principal.device, query.grant) {
            (None, None) => vec![
                ("a device bound to the person", by_device),
                ("a grant", by_grant),
                ("a device bound to the person and a grant", by_both),
            ],
            (None, Some(_)) => vec![("a device bound to the person", by_device)],
            (Some(_), None) => vec![("a grant", by_grant)],
            (Some(_), Some(_)) => Vec::new(),
        };
        let mut changes: Vec<(&str, String)> = Vec::new();
        for (what, query) in tried {
            if let Some(change) = self.difference(decision, &self.decide(&query))
                && !changes.iter().any(|(_, other)| *other == change)
            {
                changes.push((what, change));
            }
        }
        changes.into_iter().map(|(what, change)| format!("with {what}: {change}")).collect()
    }

    /// What another decision gives that this one does not.
    fn difference(
        &self,
        now: &Result<Permit, Denial>,
        then: &Result<Permit, Denial>,
    ) -> Option<String> {
        let (now, then) = match (now, then) {
            (Err(_), Ok(_)) => return Some("allowed".to_owned()),
            (Err(Denial { kind: DenialKind::StepUp(_), .. }), _) => return None,
            (Err(_), Err(Denial { kind: DenialKind::StepUp(_), .. })) => {
                return Some("allowed after a step-up".to_owned());
            }
            (Ok(_), Err(_)) => return Some("denied".to_owned()),
            (Err(_), Err(_)) => return None,
            (Ok(now), Ok(then)) => (self.field_reports(now), self.field_reports(then)),
        };
        let changed = now.iter().zip(&then).filter(|(now, then)| now.verdict != then.verdict);
        let changed = changed.map(|(_, then)| format!("{} {}", then.name, then.verdict));
        let changed: Vec<String> = changed.collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }
}
