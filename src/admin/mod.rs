//! The interface for the security team: switches, what waits for a second person, budgets. A listener of its own, on
//! which callers prove who they are as everywhere else, and everything is recorded before it is answered or done.
//!
//! A resource is one file beside this one and one line in the table below. Its paths and answers are described in
//! `docs/guide/admin-api.yaml`, which is served too; a test holds both against each other.

mod campaigns;
mod describe;
mod detections;
mod grants;
mod limits;
mod links;
mod policies;
mod registry;
mod registry_subjects;
mod requests;
mod resource;
mod switches;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::campaign::Campaigns;
use crate::clock::Clock;
use crate::command::{Desk, Doer};
use crate::identity::counted_as;
use crate::limits::CallerRate;
use crate::listen::{Facts, Handler, Illegible};
use crate::proxy::{Answer, Cut, Gate, Refused, Visit};
use resource::{Call, Operation, Resource, find};

/// All that the interface offers.
const RESOURCES: &[&Resource] = &[
    &describe::RESOURCE,
    &switches::RESOURCE,
    &requests::RESOURCE,
    &limits::RESOURCE,
    &detections::RESOURCE,
    &grants::RESOURCE,
    &links::RESOURCE,
    &campaigns::RESOURCE,
    &policies::RESOURCE,
    &registry_subjects::RESOURCE,
    &registry::RESOURCE,
    &registry::PUBLISHED,
];

/// The most of a body, in bytes.
const BODY_BYTES: usize = 16 * 1024;
const JSON: &str = "application/json";

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The roles that have each right of [`rights`]; one that is not here nobody has.
    pub rights: BTreeMap<String, Vec<String>>,
    /// The least assurance.
    pub assurance: u8,
}

/// The rights that a caller can have, by the keys of the configuration.
pub fn rights() -> impl Iterator<Item = &'static str> {
    let named = RESOURCES.iter().map(|resource| resource.right).filter(|right| !right.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    named.filter(move |right| seen.insert(*right))
}

/// What the interface offers: method, path, and the statuses with which it may answer.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, Vec<u16>)> {
    let all = RESOURCES.iter().flat_map(|resource| resource.operations);
    all.map(|operation| (operation.method, operation.path, operation.statuses()))
}

/// The interface.
#[derive(Debug)]
pub struct Admin {
    gate: Arc<Gate>,
    desk: Desk,
    campaigns: Campaigns,
    /// Replaced while the gate runs.
    settings: Arc<ArcSwap<Settings>>,
    rate: CallerRate,
}

impl Admin {
    /// Over this gate, commanding at this desk and deciding in these reviews.
    #[must_use]
    pub fn new(
        gate: Arc<Gate>,
        (desk, campaigns): (Desk, Campaigns),
        settings: Arc<ArcSwap<Settings>>,
        clock: &Clock,
    ) -> Self {
        let rate = CallerRate::new(clock);
        Self { gate, desk, campaigns, settings, rate }
    }

    async fn answer(&self, visit: &mut Visit) -> Result<(u16, &'static str, Bytes), Refused> {
        let account = visit.caller().account.clone();
        self.rate.check(&account).map_err(|wait_s| Refused::TooMany { wait_s })?;
        let (resource, operation, params) = find(RESOURCES, visit.method(), visit.path())?;
        let assurance = self.settings.load().assurance;
        if visit.caller().assurance < assurance {
            return Err(Refused::Weak(assurance));
        }
        self.check_right(resource, &visit.caller().roles)?;
        let body = match operation.method {
            "POST" => visit.json(BODY_BYTES).await?,
            _ => serde_json::Value::Null,
        };
        let doer = Doer { name: account, person: person(visit) };
        let roles = visit.caller().roles.clone();
        let caller = visit.caller().clone();
        let call = Call { doer, caller, roles, params, body };
        self.perform(operation, &call, visit).await
    }

    /// What acts is recorded before it does, what reads before it is told.
    async fn perform(
        &self,
        operation: &Operation,
        call: &Call,
        visit: &mut Visit,
    ) -> Result<(u16, &'static str, Bytes), Refused> {
        let object = (operation.about)(call);
        visit.named(
            operation.path,
            operation.name,
            &object,
            call.text("reason").unwrap_or_default(),
        );
        if operation.acts {
            visit.record(&self.gate, None).await?;
        }
        let told = (operation.run)(self, call).await?;
        if operation.acts {
            // What was done is in the log, and holds, before anybody hears of it.
            if !self.gate.take_effect().await {
                return Err(Refused::NotYet);
            }
        } else {
            visit.record(&self.gate, Some(told.status)).await?;
        }
        let content = match told.text {
            Some(text) => (told.content_type, Bytes::from_static(text.as_bytes())),
            None => (JSON, Bytes::from(format!("{}\n", told.body))),
        };
        Ok((told.status, content.0, content.1))
    }

    /// Whether the caller has a right by any of their roles.
    fn has(&self, right: &str, roles: &[String]) -> bool {
        let settings = self.settings.load();
        let allowed = settings.rights.get(right);
        allowed.is_some_and(|allowed| roles.iter().any(|role| allowed.contains(role)))
    }

    fn check_right(&self, resource: &Resource, roles: &[String]) -> Result<(), Refused> {
        let has = |right: &str| self.has(right, roles);
        // What is nobody's right in particular is for whoever has any.
        let may = match resource.right {
            "" => self.settings.load().rights.keys().any(|right| has(right)),
            right => has(right),
        };
        if may { Ok(()) } else { Err(Refused::Forbidden) }
    }
}

/// Who that is, whichever account they use.
fn person(visit: &Visit) -> String {
    visit.person().map_or_else(|| visit.caller().account.clone(), counted_as)
}

impl Handler for Admin {
    type Body = Answer;
    type Error = Cut;

    async fn handle(&self, request: Request<Incoming>, facts: Facts) -> Response<Answer> {
        let mut visit = match Box::pin(self.gate.visit(request, facts)).await {
            Ok(visit) => visit,
            Err(refused) => return *refused,
        };
        match Box::pin(self.answer(&mut visit)).await {
            Ok((status, content_type, content)) => visit.answered(status, content_type, content),
            Err(refused) => Box::pin(visit.refused(&self.gate, refused)).await,
        }
    }

    async fn illegible(&self, what: Illegible, facts: Facts) {
        self.gate.note_illegible(what, &facts).await;
    }
}
