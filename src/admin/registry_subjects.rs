//! `/v1/registry/subjects`: business systems say to what data subjects consented, to what they objected, and what is
//! marked of them.

use serde_json::{Value, json};

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::consent::{ConsentError, Listed, Statement};
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "registry",
    operations: &[
        Operation {
            method: "POST",
            path: "/v1/registry/subjects",
            name: "subjects_registered",
            answers: &[200, 409],
            acts: true,
            about,
            run: register,
        },
        // The key of a customer stands in no path, which others may write down.
        Operation {
            method: "POST",
            path: "/v1/registry/subjects/show",
            name: "subject_shown",
            answers: &[200],
            acts: false,
            about: |_| "what one subject said".to_owned(),
            run: show,
        },
    ],
};

/// How many; what was said stands in the entry of what was done, and the subjects in none.
fn about(call: &Call) -> String {
    let statements = call.body.get("statements").and_then(Value::as_array);
    format!("{} statements", statements.map_or(0, Vec::len))
}

fn register<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["statements"])?;
        let items = call.body.get("statements").and_then(Value::as_array);
        let items =
            items.ok_or_else(|| Refused::Body("`statements` must be there, as a list".into()))?;
        let statements: Vec<Statement> = items
            .iter()
            .enumerate()
            .map(|(at, item)| statement(admin, at, item))
            .collect::<Result<_, _>>()?;
        let ended = admin.gate.subjects.put(&call.doer.name, &statements).await?;
        // What was said is recorded and holds before anybody hears that it does.
        if !admin.gate.look_for_subjects().await {
            return Err(Refused::NotYet);
        }
        Ok(Told::json(200, json!({ "registered": statements.len(), "ended": ended })))
    })
}

fn statement(admin: &Admin, at: usize, item: &Value) -> Result<Statement, Refused> {
    let wrong = |said: String| Refused::Body(format!("statement {}: {said}", at + 1));
    let members = item.as_object().ok_or_else(|| wrong("must be an object".to_owned()))?;
    let statement = Statement::read(members, admin.gate.clock.unix_s()).map_err(|faults| {
        wrong(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let unknown = admin.gate.unknown_of_subjects(&statement);
    unknown.map_or(Ok(statement), |unknown| Err(wrong(unknown)))
}

fn show<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["entity", "subject"])?;
        let subject = match call.body.get("subject") {
            Some(Value::Number(number)) if number.is_i64() => number.to_string(),
            Some(_) | None => call.required("subject")?.to_owned(),
        };
        let rows = admin.gate.subjects.history(call.required("entity")?, &subject).await?;
        let statements: Vec<Value> = rows.iter().map(listed).collect();
        Ok(Told::json(200, json!({ "statements": statements })))
    })
}

fn listed(row: &Listed) -> Value {
    json!({
        "at_ms": row.at_ms,
        "say": row.says,
        "entity": row.entity,
        "subject": row.subject,
        "word": row.word,
        "recipient": row.recipient,
        "kind": row.kind,
        "notice": row.notice,
        "until_s": row.until_s,
        "stands": row.stands,
        "what": row.what,
        "protection": row.protection,
        "reference": row.reference,
        "by": row.done_by,
    })
}

impl From<ConsentError> for Refused {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Number => Self::Body(error.to_string()),
            ConsentError::Full | ConsentError::Kept | ConsentError::Spoken(_) => {
                Self::Conflict(error.to_string())
            }
            ConsentError::State(_) | ConsentError::Secret(_) => {
                tracing::error!(%error, "what data subjects said could not be written or read");
                Self::NotYet
            }
        }
    }
}
