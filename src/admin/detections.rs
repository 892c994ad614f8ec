//! `/v1/detections`: the findings that hold somebody, and letting them go on.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::command::FindingRow;
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "detections",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/detections",
            name: "findings_listed",
            answers: &[200],
            acts: false,
            about: |_| "findings".to_owned(),
            run: list,
        },
        Operation {
            method: "POST",
            path: "/v1/detections/release",
            name: "findings_released",
            answers: &[200],
            acts: true,
            about: |call| format!("findings of {}", call.text("holder").unwrap_or_default()),
            run: release,
        },
    ],
};

fn list<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let findings: Vec<_> = admin.desk.findings().await?.iter().map(finding).collect();
        Ok(Told::json(200, json!({ "findings": findings })))
    })
}

fn release<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["holder", "reason"])?;
        if !admin.gate.may_release(&call.roles) {
            return Err(Refused::Forbidden);
        }
        let (holder, reason) = (call.required("holder")?, call.required("reason")?);
        let released = admin.desk.release(&call.doer, holder, reason).await?;
        Ok(Told::json(200, json!({ "released": released })))
    })
}

fn finding(row: &FindingRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "detection": row.detection,
        "consequence": row.consequence,
        "holder": row.holder,
        "account": row.account,
        "at_ms": row.at_ms,
        "count": row.count,
    })
}
