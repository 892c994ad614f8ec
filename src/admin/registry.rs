//! `/v1/registry/partners` and `/v1/registry/tenants`: who receives data for a task, and who works on the platform.

use serde_json::{Map, Value, json};

use super::Admin;
use super::resource::{Call, Operation, Resource, Running, Told};
use crate::proxy::Refused;
use crate::registry::{Contract, Kind, Noted, Particulars, RegistryError, Said, Step, Turn};

const LIST: Operation = Operation {
    method: "GET",
    path: "",
    name: "registry_listed",
    answers: &[200],
    acts: false,
    about: |_| "partners".to_owned(),
    run: list_partners,
};

const SAY: Operation = Operation {
    method: "POST",
    answers: &[200, 409],
    acts: true,
    about: |call| call.text("name").unwrap_or_default().to_owned(),
    ..LIST
};

const SHOW: Operation =
    Operation { name: "registry_shown", about: |call| call.param(0).to_owned(), ..LIST };

const STEP: Operation =
    Operation { about: |call| format!("{} {}", call.param(1), call.param(0)), ..SAY };

pub(super) const RESOURCE: Resource = Resource {
    right: "registry",
    operations: &[
        Operation { path: "/v1/registry/partners", ..LIST },
        Operation { path: "/v1/registry/partners", name: "partner_drafted", run: draft, ..SAY },
        Operation { path: "/v1/registry/partners/{name}", run: show_partner, ..SHOW },
        Operation {
            path: "/v1/registry/partners/{name}/{step}",
            name: "partner_stepped",
            run: take,
            ..STEP
        },
        Operation {
            path: "/v1/registry/tenants",
            about: |_| "tenants".to_owned(),
            run: list_tenants,
            ..LIST
        },
        Operation { path: "/v1/registry/tenants", name: "tenant_put", run: put, ..SAY },
        Operation { path: "/v1/registry/tenants/{name}", run: show_tenant, ..SHOW },
        Operation {
            path: "/v1/registry/tenants/{name}/{step}",
            name: "tenant_stepped",
            run: turn,
            ..STEP
        },
    ],
};

/// What may be published: a right of its own, so that a website's program has no other.
pub(super) const PUBLISHED: Resource = Resource {
    right: "published",
    operations: &[Operation {
        path: "/v1/registry/published",
        name: "registry_published",
        about: |_| "published".to_owned(),
        run: publish,
        ..LIST
    }],
};

fn publish<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let list = admin.gate.registry.office().published().await?;
        Ok(Told::json(200, json!(list)))
    })
}

fn list_partners<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(listed(admin, Kind::Partner))
}

fn list_tenants<'a>(admin: &'a Admin, _call: &'a Call) -> Running<'a> {
    Box::pin(listed(admin, Kind::Tenant))
}

async fn listed(admin: &Admin, kind: Kind) -> Result<Told, Refused> {
    let all = admin.gate.registry.office().all(kind).await?;
    let shown: Vec<Value> = all.noted.iter().map(|noted| of(admin, &noted.said)).collect();
    let of_kind = format!("{}s", kind.word());
    Ok(Told::json(200, json!({ of_kind: shown, "unreadable": all.unreadable })))
}

fn show_partner<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(shown(admin, Kind::Partner, call.param(0)))
}

fn show_tenant<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(shown(admin, Kind::Tenant, call.param(0)))
}

async fn shown(admin: &Admin, kind: Kind, name: &str) -> Result<Told, Refused> {
    let steps = admin.gate.registry.office().history(kind, name).await?;
    let now = steps.last().map(|noted| of(admin, &noted.said));
    let steps: Vec<Value> = steps.iter().map(step).collect();
    Ok(Told::json(200, json!({ kind.word(): now, "steps": steps })))
}

fn draft<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let (name, reason) = (call.required("name")?, call.required("reason")?);
        let contract = Contract::read(&said(call))?;
        let office = admin.gate.registry.office();
        let partner = office.draft(&call.doer, name, contract, reason).await?;
        Ok(Told::json(200, of(admin, &Said::Partner(Box::new(partner)))))
    })
}

fn take<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["reason"])?;
        let word = call.param(1);
        let step = Step::ALL.into_iter().find(|step| step.word() == word);
        let step = step.ok_or(Refused::NotFound)?;
        let (office, reason) = (admin.gate.registry.office(), call.required("reason")?);
        let partner = office.take(&call.doer, call.param(0), step, reason).await?;
        Ok(Told::json(200, of(admin, &Said::Partner(Box::new(partner)))))
    })
}

fn put<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        let (name, reason) = (call.required("name")?, call.required("reason")?);
        let particulars = Particulars::read(&said(call))?;
        let office = admin.gate.registry.office();
        let tenant = office.put_tenant(&call.doer, name, particulars, reason).await?;
        Ok(Told::json(200, of(admin, &Said::Tenant(tenant))))
    })
}

fn turn<'a>(admin: &'a Admin, call: &'a Call) -> Running<'a> {
    Box::pin(async move {
        call.only(&["reason"])?;
        let to = Turn::of(call.param(1)).ok_or(Refused::NotFound)?;
        let (office, reason) = (admin.gate.registry.office(), call.required("reason")?);
        let tenant = office.turn_tenant(&call.doer, call.param(0), to, reason).await?;
        Ok(Told::json(200, of(admin, &Said::Tenant(tenant))))
    })
}

/// What the body says beside who and why.
fn said(call: &Call) -> Map<String, Value> {
    let members = call.body.as_object().into_iter().flatten();
    let said = members.filter(|(name, _)| !["name", "reason"].contains(&name.as_str()));
    said.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn of(admin: &Admin, said: &Said) -> Value {
    let (mut shown, state) = match said {
        Said::Partner(partner) => (json!(partner), partner.state(admin.gate.clock.unix_s())),
        Said::Tenant(tenant) => (json!(tenant), tenant.turn.word()),
    };
    if let Some(members) = shown.as_object_mut() {
        members.remove("turn");
        members.insert("state".to_owned(), state.into());
    }
    shown
}

fn step(noted: &Noted) -> Value {
    let Noted { act, by, reason, at_ms, said: _ } = noted;
    json!({ "act": act, "by": by, "reason": reason, "at_ms": at_ms })
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Command(error) => error.into(),
            RegistryError::Unknown(..) => Self::NotFound,
            RegistryError::Name(_) | RegistryError::Form(_) | RegistryError::TooLong => {
                Self::Body(error.to_string().replace('\n', "; "))
            }
            RegistryError::State { .. }
            | RegistryError::Missing(_)
            | RegistryError::Over(_)
            | RegistryError::Level { .. }
            | RegistryError::Purpose(_)
            | RegistryError::Raced
            | RegistryError::Full => Self::Conflict(error.to_string()),
            RegistryError::Damaged(..) | RegistryError::Store(_) | RegistryError::Secret(_) => {
                tracing::error!(%error, "the registry could not be read or written");
                Self::NotYet
            }
        }
    }
}
