//! `/v1/requests`: what waits for a second person, and agreeing to it.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use super::switches::told;
use crate::command::{ACTIVATED, Asked, RESET};
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    // What waits is for whoever has the right to it; which that is, each says.
    right: "",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/requests",
            name: "requests_listed",
            answers: &[200],
            acts: false,
            about: |_| "requests".to_owned(),
            run: list,
        },
        Operation {
            method: "POST",
            path: "/v1/requests/{id}/confirm",
            name: "request_confirmed",
            answers: &[200, 409],
            acts: true,
            about,
            run: confirm,
        },
        Operation {
            method: "POST",
            path: "/v1/requests/{id}/withdraw",
            name: "request_withdrawn",
            answers: &[200],
            acts: true,
            about,
            run: withdraw,
        },
    ],
};

fn about(call: &Call) -> String {
    format!("request {}", call.param(0))
}

fn list<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let mut asked = admin.desk.asked().await?;
        asked.retain(|asked| admin.has(right(asked), &call.roles));
        let requests: Vec<_> = asked.iter().map(request).collect();
        Ok(Told::json(200, json!({ "requests": requests })))
    })
}

fn confirm<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&[])?;
        let id = waiting(admin, call).await?;
        check_waits(admin, id).await?;
        let (_, done) = admin.desk.agree(&call.doer, id).await?;
        Ok(told(done))
    })
}

fn withdraw<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&[])?;
        let id = waiting(admin, call).await?;
        admin.desk.take_back(&call.doer, id).await?;
        Ok(Told::json(200, json!({ "changed": true })))
    })
}

/// The number of a request to which the caller has the right.
async fn waiting(admin: &Admin, call: &Call) -> Result<i64, Refused> {
    let id: i64 = call.param(0).parse().ok().ok_or(Refused::NotFound)?;
    let asked = admin.desk.asked().await?;
    let asked = asked.iter().find(|asked| asked.id == id).ok_or(Refused::NotFound)?;
    if admin.has(right(asked), &call.roles) { Ok(id) } else { Err(Refused::Forbidden) }
}

/// Whoever agrees to a policy has seen the one that waits: files that changed since are another one.
async fn check_waits(admin: &Admin, id: i64) -> Result<(), Refused> {
    let asked = admin.desk.asked().await?;
    let asked = asked.iter().find(|asked| asked.id == id && asked.verb == ACTIVATED);
    let waits = admin.gate.policies.waiting();
    match asked {
        Some(asked) if waits.is_none_or(|waits| !asked.is_about(&waits.version)) => {
            Err(Refused::Conflict("the files are another policy by now".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whose right a command is.
fn right(asked: &Asked) -> &'static str {
    match asked.verb.as_str() {
        RESET => "limits",
        ACTIVATED => "policies",
        _ => "switches",
    }
}

fn request(asked: &Asked) -> serde_json::Value {
    json!({
        "id": asked.id,
        "verb": asked.verb,
        "object": asked.object,
        "reason": asked.reason,
        "asked_by": asked.asked_by,
        "until_s": asked.until_s,
    })
}
