//! Everyone who saw one customer.

use serde::Serialize;

use super::is_disclosed;
use crate::audit::{Access, ActorKind, Event, Mode};

/// Who looked, without a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Post {
    /// The customer.
    Yourself,
    /// An employee in these roles.
    Staff(Vec<String>),
    /// A partner or merchant: a company, by its name.
    Partner(String),
    /// A program of the house.
    Program,
    /// Whoever operates or reviews.
    Operator,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Data was shown.
    Shown,
    /// Data was given as a file.
    File,
    /// No outcome was recorded: possibly all that was permitted.
    Possibly,
    /// Nothing was shown.
    Refused,
    /// Not their data, but the record of who saw it.
    Reviewed,
}

/// One look at a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// When, in Unix milliseconds.
    #[serde(skip)]
    pub at_ms: i64,
    /// When, RFC 3339.
    pub time: String,
    /// The request's id in the log.
    pub request: String,
    /// The account.
    pub account: String,
    /// The post or partner.
    pub post: Post,
    /// The route, or what was done.
    pub what: String,
    /// What came of it.
    pub how: How,
    /// Fields in clear.
    pub clear: Vec<String>,
    /// Fields in masked form.
    pub masked: Vec<String>,
    /// Fields as pseudonyms.
    pub pseudonym: Vec<String>,
    /// The purpose.
    pub purpose: String,
    /// The ticket.
    pub ticket: String,
    /// The reason that somebody typed.
    pub reason: String,
    /// How many people the same answer was about.
    pub people: u64,
}

/// The looks in these requests, the oldest first.
#[must_use]
pub fn looks(accesses: &[Access]) -> Vec<Look> {
    let mut looks: Vec<Look> = accesses.iter().map(look).collect();
    looks.sort_by(|a, b| (a.at_ms, &a.request).cmp(&(b.at_ms, &b.request)));
    looks
}

fn look(access: &Access) -> Look {
    let entry = &access.entry;
    let data = access.told().data.as_ref();
    let names = |list: Option<&crate::audit::FieldNames>| -> Vec<String> {
        list.into_iter().flat_map(|list| list.iter().map(str::to_owned)).collect()
    };
    let act = entry.act.as_ref().map(|act| act.name.to_string());
    let route = entry.request.as_ref().map(|request| request.route.to_string());
    let why = entry.why.clone().unwrap_or_default();
    let is_file = data.is_some_and(|data| data.mode == Some(Mode::Download));
    let how = if entry.event == Event::Custody {
        How::Reviewed
    } else if !is_disclosed(access) {
        How::Refused
    } else if access.is_without_outcome() {
        How::Possibly
    } else if is_file {
        How::File
    } else {
        How::Shown
    };
    Look {
        at_ms: entry.time.0,
        time: entry.time.to_string(),
        request: entry.id.to_string(),
        account: entry.actor.as_ref().map(|a| a.account.to_string()).unwrap_or_default(),
        post: post(access),
        what: act.or(route).unwrap_or_else(|| entry.event.to_string()),
        how,
        clear: names(data.map(|data| &data.clear)),
        masked: names(data.map(|data| &data.masked)),
        pseudonym: names(data.map(|data| &data.pseudonym)),
        purpose: why.purpose.to_string(),
        ticket: why.ticket.to_string(),
        reason: why.reason.to_string(),
        people: access.subject_count,
    }
}

fn post(access: &Access) -> Post {
    let entry = &access.entry;
    let own = |entry: &crate::audit::Entry| entry.subjects.as_ref().is_some_and(|s| s.own);
    let actor = entry.actor.clone().unwrap_or_default();
    let roles = || actor.roles.iter().map(str::to_owned).collect();
    match actor.kind {
        Some(ActorKind::Customer) if own(entry) || own(access.told()) => Post::Yourself,
        Some(ActorKind::Partner | ActorKind::Merchant) => {
            let name = if actor.tenant.is_empty() { &actor.account } else { &actor.tenant };
            Post::Partner(name.to_string())
        }
        Some(ActorKind::Machine) => Post::Program,
        Some(ActorKind::Admin) => Post::Operator,
        Some(ActorKind::Staff | ActorKind::Customer) | None => Post::Staff(roles()),
    }
}
