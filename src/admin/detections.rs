//! `/v1/findings`: what detections found, and letting somebody go on.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::command::{CommandError, FindingRow};
use crate::proxy::Refused;

/// So many are told at once.
const MOST: usize = 1000;

pub(super) const RESOURCE: Resource = Resource {
    right: "detections",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/findings",
            name: "findings_listed",
            answers: &[200],
            acts: false,
            about: |_| "findings".to_owned(),
            run: list,
        },
        Operation {
            method: "POST",
            path: "/v1/findings/{number}/release",
            name: "findings_released",
            answers: &[200, 409],
            acts: true,
            about: |call| format!("finding {}", call.param(0)),
            run: release,
        },
    ],
};

fn list<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let rows = admin.desk.findings(false).await?;
        let shown: Vec<_> = rows.iter().take(MOST).map(finding).collect();
        Ok(Told::json(200, json!({ "findings": shown, "more": rows.len() > MOST })))
    })
}

/// The policy may name fewer roles than the configuration.
fn release<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["reason"])?;
        let program = admin.gate.policies.live();
        let mut named = program.detections().release().peekable();
        if named.peek().is_some() && !named.any(|role| call.roles.iter().any(|held| held == role)) {
            return Err(Refused::Forbidden);
        }
        let reason = call.required("reason")?;
        let number = call.param(0).parse().ok().ok_or(Refused::NotFound)?;
        let found = admin.desk.finding(number).await?.ok_or(Refused::NotFound)?;
        if is_own(admin, call, &found).await? {
            return Err(CommandError::Oneself.into());
        }
        let released = admin.desk.release(&call.doer, &found.holder, reason).await?;
        Ok(Told::json(200, json!({ "released": released })))
    })
}

/// Whether what holds is of the caller, under whichever name: a finding keeps the name of when it was made, and
/// accounts are linked and taken apart since then.
async fn is_own(admin: &Admin, call: &Call, found: &FindingRow) -> Result<bool, CommandError> {
    let held = admin.desk.findings(true).await?;
    let of_holder = held.iter().filter(|row| row.holder == found.holder).chain([found]);
    let mut names = of_holder.flat_map(|row| [row.holder.as_str(), row.account.as_str()]);
    Ok(names.any(|name| *admin.gate.identity.counted_as(name) == *call.doer.person))
}

fn finding(row: &FindingRow) -> serde_json::Value {
    json!({
        "number": row.id,
        "detection": row.detection,
        "action": row.consequence,
        "holder": row.holder,
        "account": row.account,
        "decision": row.cause,
        "at_ms": row.at_ms,
        "said": row.said,
        "drill": row.is_drill,
        "holds": row.holds(),
        "released_ms": row.released_ms,
        "released_by": row.released_by,
        "reason": row.reason,
    })
}
