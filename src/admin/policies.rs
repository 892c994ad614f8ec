//! `/v1/policy`: the policy in force, the one that waits for two persons, and asking that it may decide.

use serde_json::{Value, json};

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use super::switches::told;
use crate::proxy::Refused;

/// So much of what becomes wider is asked with.
const DETAIL: usize = 200;

pub(super) const RESOURCE: Resource = Resource {
    right: "policies",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/policy",
            name: "policy_shown",
            answers: &[200],
            acts: false,
            about: |_| "policy".to_owned(),
            run: show,
        },
        Operation {
            method: "POST",
            path: "/v1/policy",
            name: "policy_asked",
            answers: &[200, 202, 409],
            acts: true,
            about: |call| format!("policy {}", call.text("version").unwrap_or_default()),
            run: activate,
        },
    ],
};

fn show<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let waiting = admin.gate.policies.waiting();
        let waits = waiting.map(|w| json!({ "version": w.version, "wider": w.wider }));
        let version = admin.gate.policies.live().version().to_owned();
        Ok(Told::json(200, json!({ "in_force": version, "waits": waits.unwrap_or(Value::Null) })))
    })
}

/// Of the one that waits only: whoever agrees has seen which that is.
fn activate<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["version", "reason"])?;
        let (version, reason) = (call.required("version")?, call.required("reason")?);
        let waiting = admin.gate.policies.waiting().filter(|waiting| waiting.version == version);
        let Some(waiting) = waiting else {
            return Err(Refused::Conflict(format!("no policy `{version}` waits")));
        };
        let detail: String = waiting.in_short().chars().take(DETAIL).collect();
        Ok(told(admin.desk.activate(&call.doer, version, &detail, reason).await?))
    })
}
