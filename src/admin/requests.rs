//! `/v1/requests`: what waits for a second person, and agreeing to it.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use super::switches::told;
use crate::command::Asked;
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "switches",
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

fn list<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let asked = admin.desk.asked().await?;
        let requests: Vec<_> = asked.iter().map(request).collect();
        Ok(Told::json(200, json!({ "requests": requests })))
    })
}

fn confirm<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&[])?;
        let (_, done) = admin.desk.agree(&call.doer, id(call)?).await?;
        Ok(told(done))
    })
}

fn withdraw<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&[])?;
        admin.desk.take_back(&call.doer, id(call)?).await?;
        Ok(Told::json(200, json!({ "changed": true })))
    })
}

fn id(call: &Call) -> Result<i64, Refused> {
    call.param(0).parse().ok().ok_or(Refused::NotFound)
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
