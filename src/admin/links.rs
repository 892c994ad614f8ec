//! `/v1/links`: business systems say who is tied to whom by a case, and that a case has ended.

use serde_json::{Value, json};

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::link::{Link, LinkError, Listed};
use crate::proxy::Refused;

const MEMBERS: [&str; 7] = ["account", "kind", "entity", "subject", "until", "for_s", "reference"];

pub(super) const RESOURCE: Resource = Resource {
    right: "links",
    operations: &[
        Operation {
            method: "POST",
            path: "/v1/links",
            name: "links_put",
            answers: &[200, 409],
            acts: true,
            about,
            run: put,
        },
        Operation {
            method: "POST",
            path: "/v1/links/end",
            name: "links_ended",
            answers: &[200],
            acts: true,
            about,
            run: end,
        },
        Operation {
            method: "GET",
            path: "/v1/links/{account}",
            name: "links_listed",
            answers: &[200],
            acts: false,
            about: |call| format!("links of {}", call.param(0)),
            run: list,
        },
    ],
};

/// How many; whose they are stands in the entries of what was done, and the subjects in none.
fn about(call: &Call) -> String {
    match call.text("account") {
        Some(account) => format!("all links of {account}"),
        None => format!(
            "{} links",
            call.body.get("links").map_or(0, |links| { links.as_array().map_or(0, Vec::len) })
        ),
    }
}

fn put<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["links"])?;
        let links = links(admin, call, true)?;
        let person = |account: &str| admin.gate.identity.counted_as(account);
        let doer = person(&call.doer.name);
        if links.iter().any(|link| person(&link.account) == doer) {
            let message = "nobody ties themselves: somebody else, or a business system, must";
            return Err(Refused::Conflict(message.to_owned()));
        }
        admin.gate.links.put(&call.doer.name, &links).await?;
        holds(admin).await?;
        Ok(Told::json(200, json!({ "put": links.len() })))
    })
}

fn end<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["links", "account"])?;
        let ended = match (call.given("account")?, call.body.get("links")) {
            (Some(account), None) => admin.gate.links.end_all(&call.doer.name, account).await?,
            (None, Some(_)) => {
                let links = links(admin, call, false)?;
                admin.gate.links.end(&call.doer.name, &links).await?
            }
            (Some(_), Some(_)) | (None, None) => {
                let message = "name `links`, or an `account` all of whose links end";
                return Err(Refused::Body(message.to_owned()));
            }
        };
        holds(admin).await?;
        Ok(Told::json(200, json!({ "ended": ended })))
    })
}

/// What was said is recorded and holds before anybody hears that it does.
async fn holds(admin: &Admin) -> Result<(), Refused> {
    if admin.gate.look_for_links().await { Ok(()) } else { Err(Refused::NotYet) }
}

fn list<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let rows = admin.gate.links.history(call.param(0)).await?;
        let links: Vec<Value> = rows.iter().map(listed).collect();
        Ok(Told::json(200, json!({ "links": links })))
    })
}

fn links(admin: &Admin, call: &Call, is_put: bool) -> Result<Vec<Link>, Refused> {
    let items = call.body.get("links").and_then(Value::as_array);
    let items = items.ok_or_else(|| Refused::Body("`links` must be there, as a list".into()))?;
    let now_s = admin.gate.clock.unix_s();
    items.iter().map(|item| link(item, now_s, is_put)).collect()
}

fn link(item: &Value, now_s: i64, is_put: bool) -> Result<Link, Refused> {
    let wrong = |message: String| Refused::Body(message);
    let members = item.as_object().ok_or_else(|| wrong("a link must be an object".into()))?;
    if let Some(other) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let other: String = other.chars().take(64).collect();
        return Err(wrong(format!("`{other}` means nothing in a link")));
    }
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if name == "subject" && number.as_i64().is_some() => {
            Ok(number.to_string())
        }
        Some(_) | None => Err(wrong(format!("`{name}` must be there, as text"))),
    };
    let until_s = match (members.get("until"), members.get("for_s")) {
        _ if !is_put => 0,
        (Some(Value::String(until)), None) => {
            let until = until.parse::<jiff::Timestamp>();
            until.map_err(|_form| wrong("`until` must be a time of RFC 3339".into()))?.as_second()
        }
        (None, Some(seconds)) => {
            let seconds = seconds.as_i64().filter(|seconds| *seconds > 0);
            let seconds =
                seconds.ok_or_else(|| wrong("`for_s` must be a number of seconds".into()));
            now_s.saturating_add(seconds?)
        }
        (Some(_), _) | (None, None) => {
            return Err(wrong("a link needs `until` or `for_s`".into()));
        }
    };
    let reference = match members.get("reference") {
        None => String::new(),
        Some(_) => text("reference")?,
    };
    Ok(Link {
        account: text("account")?,
        kind: text("kind")?,
        entity: text("entity")?,
        subject: text("subject")?,
        reference,
        until_s,
    })
}

fn listed(row: &Listed) -> Value {
    json!({
        "at_ms": row.at_ms,
        "put": row.is_put,
        "kind": row.kind,
        "subject": row.subject,
        "reference": row.reference,
        "until_s": row.until_s,
        "by": row.done_by,
    })
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Form(..) | LinkError::Until | LinkError::Number => {
                Self::Body(error.to_string())
            }
            LinkError::Full => Self::Conflict(error.to_string()),
            LinkError::State(_) | LinkError::Secret(_) => {
                tracing::error!(%error, "business links could not be written or read");
                Self::NotYet
            }
        }
    }
}
