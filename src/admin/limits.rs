//! `/v1/limits`: how budgets stand, and that one begins anew.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use super::switches::told;
use crate::limits::{Budget, Standing};
use crate::proxy::Refused;

/// So many are told at once.
const MOST: usize = 1000;

pub(super) const RESOURCE: Resource = Resource {
    right: "limits",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/limits",
            name: "limits_listed",
            answers: &[200],
            acts: false,
            about: |_| "limits".to_owned(),
            run: all,
        },
        Operation {
            method: "GET",
            path: "/v1/limits/{holder}",
            name: "limits_shown",
            answers: &[200],
            acts: false,
            about: |call| format!("limits {}", call.param(0)),
            run: show,
        },
        Operation {
            method: "POST",
            path: "/v1/limits/{holder}/reset",
            name: "limits_reset",
            answers: &[200, 202, 409],
            acts: true,
            about: |call| {
                format!("limits {} {}", call.param(0), call.text("budget").unwrap_or_default())
            },
            run: reset,
        },
    ],
};

fn all<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move { Ok(shown(&admin.gate.standings(None))) })
}

fn show<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move { Ok(shown(&admin.gate.standings(Some(call.param(0))))) })
}

fn reset<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["budget", "reason"])?;
        let budget: Budget = call.required("budget")?.parse().map_err(not_one)?;
        let (holder, reason) = (call.param(0), call.required("reason")?);
        Ok(told(admin.desk.reset(&call.doer, holder, &budget.to_string(), reason).await?))
    })
}

fn not_one(error: crate::limits::NotABudget) -> Refused {
    Refused::Body(error.to_string())
}

fn shown(standings: &[Standing]) -> Told {
    let shown: Vec<_> = standings.iter().take(MOST).map(standing).collect();
    Told::json(200, json!({ "budgets": shown, "more": standings.len() > MOST }))
}

fn standing(standing: &Standing) -> serde_json::Value {
    json!({
        "holder": &*standing.holder,
        "budget": standing.budget.to_string(),
        "used": standing.used,
        "eases_in_s": standing.eases_in_s,
    })
}
