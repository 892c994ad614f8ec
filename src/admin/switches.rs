//! `/v1/switches`: what is switched off, and switching it.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::command::{Done, SwitchRow, Target, Way};
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "switches",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/switches",
            name: "switches_listed",
            answers: &[200],
            acts: false,
            about: |_| "switches".to_owned(),
            run: list,
        },
        Operation {
            method: "POST",
            path: "/v1/switches",
            name: "switch_turned",
            answers: &[200, 202, 409],
            acts: true,
            about: |call| {
                let words =
                    ["kind", "name", "turn"].map(|name| call.text(name).unwrap_or_default());
                words.join(" ").replace("  ", " ")
            },
            run: turn,
        },
    ],
};

fn list<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let rows = admin.desk.switches().await?;
        let switches: Vec<_> = rows.iter().map(switch).collect();
        let two_person = admin.desk.two_person().await?;
        Ok(Told::json(200, json!({ "switches": switches, "two_person": two_person })))
    })
}

fn turn<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["kind", "name", "turn", "reason"])?;
        let kind = call.required("kind")?.parse()?;
        let target = Target::new(kind, call.given("name")?.unwrap_or_default())?;
        let way = match call.required("turn")? {
            "on" => Way::On,
            "off" => Way::Off,
            _ => return Err(Refused::Body("`turn` must be `on` or `off`".to_owned())),
        };
        let known = admin.gate.knows(target.kind(), target.name());
        if way == Way::On && !known {
            return Err(Refused::Conflict(format!("the policy has no {target}")));
        }
        let done = admin.desk.turn(&call.doer, way, &target, call.required("reason")?).await?;
        Ok(told(done))
    })
}

/// What became of a command.
pub(super) fn told(done: Done) -> Told {
    match done {
        Done::Changed => Told::json(200, json!({ "changed": true })),
        Done::Already => Told::json(200, json!({ "changed": false })),
        Done::Waits(id) => Told::json(202, json!({ "waits": id })),
    }
}

fn switch(row: &SwitchRow) -> serde_json::Value {
    let mut shown = json!({
        "kind": row.kind,
        "name": row.name,
        "reason": row.reason,
        "by": row.done_by,
        "since_ms": row.since_ms,
    });
    if let (false, Some(object)) = (row.approved_by.is_empty(), shown.as_object_mut()) {
        object.insert("approved_by".to_owned(), row.approved_by.as_str().into());
    }
    shown
}
