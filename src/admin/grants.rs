//! `/v1/grants`: what was asked for and what holds, and deciding on it. Whoever decides must stand as high as the
//! policy asks, whatever rights they have here.

use serde_json::json;

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::grant::{Grant, Listed};
use crate::proxy::Refused;

pub(super) const RESOURCE: Resource = Resource {
    right: "grants",
    operations: &[
        Operation {
            method: "GET",
            path: "/v1/grants",
            name: "grants_listed",
            answers: &[200],
            acts: false,
            about: |_| "grants".to_owned(),
            run: list_open,
        },
        Operation {
            method: "GET",
            path: "/v1/grants/all",
            name: "grants_listed",
            answers: &[200],
            acts: false,
            about: |_| "all grants".to_owned(),
            run: list_all,
        },
        Operation {
            method: "GET",
            path: "/v1/grants/{id}",
            name: "grant_shown",
            answers: &[200],
            acts: false,
            about,
            run: show,
        },
        Operation {
            method: "POST",
            path: "/v1/grants/{id}/approve",
            name: "grant_approval",
            answers: &[200, 409],
            acts: true,
            about,
            run: approve,
        },
        Operation {
            method: "POST",
            path: "/v1/grants/{id}/refuse",
            name: "grant_refusal",
            answers: &[200, 409],
            acts: true,
            about,
            run: refuse,
        },
        Operation {
            method: "POST",
            path: "/v1/grants/{id}/revoke",
            name: "grant_revocation",
            answers: &[200, 409],
            acts: true,
            about,
            run: revoke,
        },
        Operation {
            method: "POST",
            path: "/v1/grants/{id}/review",
            name: "grant_review",
            answers: &[200, 409],
            acts: true,
            about,
            run: review,
        },
    ],
};

fn about(call: &Call) -> String {
    format!("grant {}", call.param(0))
}

fn told(admin: &Admin, decided: Result<Grant, Refused>) -> Result<Told, Refused> {
    decided.map(|grant| Told::json(200, admin.gate.told_grant(&grant)))
}

fn list_open<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    list(admin, false)
}

fn list_all<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    list(admin, true)
}

fn list(admin: &Admin, with_closed: bool) -> Running<'_> {
    Box::pin(async move {
        let Listed { grants, unreadable } = admin.gate.all_grants(with_closed).await?;
        let grants: Vec<_> = grants.iter().map(|grant| admin.gate.told_grant(grant)).collect();
        let unreadable: Vec<_> = unreadable.iter().map(|grant| grant.id.as_str()).collect();
        Ok(Told::json(200, json!({ "grants": grants, "unreadable": unreadable })))
    })
}

fn show<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move { told(admin, admin.gate.grant(&call.caller, call.param(0), true).await) })
}

fn approve<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&[])?;
        told(admin, admin.gate.approve_grant(&call.caller, call.param(0)).await)
    })
}

fn refuse<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["reason"])?;
        let reason = call.required("reason")?;
        told(admin, admin.gate.refuse_grant(&call.caller, call.param(0), reason).await)
    })
}

fn revoke<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["reason"])?;
        let reason = (call.required("reason")?, true);
        told(admin, admin.gate.revoke_grant(&call.caller, call.param(0), reason).await)
    })
}

fn review<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["verdict", "reason"])?;
        let said = (call.required("verdict")?, call.required("reason")?);
        told(admin, admin.gate.review_grant(&call.caller, call.param(0), said).await)
    })
}
