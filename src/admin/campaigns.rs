//! `/v1/campaigns`: reviews of accesses, and what a reviewer says of each right.

use serde_json::{Value, json};

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::campaign::{Campaign, CampaignError, Judged, Right};
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "campaigns",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/campaigns",
            name: "campaigns_listed",
            answers: &[200],
            acts: false,
            about: |_| "campaigns".to_owned(),
            run: list,
        },
        Operation {
            method: "GET",
            path: "/v1/campaigns/{number}",
            name: "campaign_shown",
            answers: &[200],
            acts: false,
            about,
            run: show,
        },
        Operation {
            method: "POST",
            path: "/v1/campaigns/{number}/verdicts",
            name: "rights_decided",
            answers: &[200, 409],
            acts: true,
            about,
            run: decide,
        },
    ],
};

fn about(call: &Call) -> String {
    format!("campaign {}", call.param(0))
}

fn list<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let campaigns = admin.campaigns.list().await?;
        let shown: Vec<Value> = campaigns.iter().map(campaign).collect();
        Ok(Told::json(200, json!({ "campaigns": shown })))
    })
}

fn show<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let id = number(call)?;
        let campaigns = admin.campaigns.list().await?;
        let found = campaigns.iter().find(|known| known.id == id).ok_or(Refused::NotFound)?;
        let rights: Vec<Value> = admin.campaigns.rights(id).await?.iter().map(right).collect();
        Ok(Told::json(200, json!({ "campaign": campaign(found), "rights": rights })))
    })
}

fn decide<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["verdicts"])?;
        let id = number(call)?;
        let items = call.body.get("verdicts").and_then(Value::as_array);
        let items = items.ok_or_else(|| wrong("`verdicts` must be there, as a list"))?;
        let judged = items.iter().map(judged).collect::<Result<Vec<_>, _>>()?;
        let decided = judged.len();
        let identity = &admin.gate.identity;
        let counted_as = |account: &str| identity.counted_as(account).to_string();
        admin.campaigns.decide(&call.doer, id, judged, counted_as).await?;
        Ok(Told::json(200, json!({ "decided": decided })))
    })
}

fn number(call: &Call) -> Result<i64, Refused> {
    call.param(0).parse().ok().ok_or(Refused::NotFound)
}

fn wrong(message: &str) -> Refused {
    Refused::Body(message.to_owned())
}

fn judged(item: &Value) -> Result<Judged, Refused> {
    let members = item.as_object().ok_or_else(|| wrong("a verdict must be an object"))?;
    let known = ["whose", "role", "verdict", "remark"];
    if members.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(wrong("a verdict has `whose`, `role`, `verdict` and perhaps `remark`"));
    }
    let text = |name: &str| {
        let text = members.get(name).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| Refused::Body(format!("`{name}` must be there, as text")))
    };
    let remark = members.get("remark").map_or_else(|| Ok(String::new()), |_| text("remark"))?;
    let verdict = text("verdict")?.parse()?;
    Ok(Judged { whose: text("whose")?, role: text("role")?, verdict, remark })
}

fn campaign(row: &Campaign) -> Value {
    json!({
        "number": row.id,
        "about": row.about,
        "opened_by": row.opened_by,
        "opened_ms": row.opened_ms,
        "until_ms": row.until_ms,
        "closed_ms": row.closed_ms,
        "rights": row.rights.0,
        "decided": row.rights.1,
    })
}

fn right(row: &Right) -> Value {
    json!({
        "whose": row.whose,
        "role": row.role,
        "used_ms": row.used_ms,
        "proposal": row.proposal,
        "verdict": row.verdict,
        "by": row.decided_by,
        "decided_ms": row.decided_ms,
        "remark": row.remark,
    })
}

impl From<CampaignError> for Refused {
    fn from(error: CampaignError) -> Self {
        match error {
            CampaignError::NotRunning(_)
            | CampaignError::NotThere(_)
            | CampaignError::Oneself(_)
            | CampaignError::Full => Self::Conflict(error.to_string()),
            CampaignError::Empty
            | CampaignError::TooMany(_)
            | CampaignError::NoRight(_)
            | CampaignError::Time
            | CampaignError::Verdict
            | CampaignError::Remark
            | CampaignError::Number => Self::Body(error.to_string()),
            CampaignError::State(_) => {
                tracing::error!(%error, "a review of accesses could not be written or read");
                Self::NotYet
            }
        }
    }
}
