//! The question behind a recorded decision, put together again as far as the entry goes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::recorded::Recorded;
use crate::audit::Trait;
use crate::policy::{Factor, Principal, Program, Query, Route, Value};
use crate::route::Template;

/// What stands in a path where its value was not recorded; a route that wants this very word is not meant.
const UNKNOWN_SEGMENT: &str = "~not~recorded~";

/// Who asked for what, from where and when.
#[derive(Debug)]
pub struct Question {
    pub(super) zone: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) template: String,
    pub(super) principal: Arc<Principal>,
    purpose: Option<String>,
    ticket: Option<String>,
    now_unix_s: i64,
    /// Attributes of which is known what they were, or that there was none.
    known: BTreeSet<String>,
    has_all_roles: bool,
    has_grant: bool,
}

impl Question {
    pub(super) fn of(recorded: &Recorded<'_>, now_unix_s: i64) -> Self {
        let (actor, request) = (&recorded.actor, &recorded.request);
        let mut principal = Principal {
            account: actor.account.as_str().to_owned(),
            roles: actor.roles.iter().map(str::to_owned).collect(),
            assurance: recorded.auth.assurance,
            address: recorded.origin.address,
            device: recorded.auth.device.some().map(str::to_owned),
            ..Principal::default()
        };
        let factor = |(level, age_s): &(u8, i64)| Factor {
            level: *level,
            at_unix_s: now_unix_s.saturating_sub(*age_s),
        };
        principal.factors = recorded.auth.levels.iter().map(factor).collect();
        for (name, value) in &actor.attributes {
            principal.attributes.extend(attribute(value).map(|value| (name.clone(), value)));
        }
        let mut known: BTreeSet<String> = actor.attributes.keys().cloned().collect();
        if let Some(kind) = actor.kind.some() {
            principal.attributes.insert("kind".to_owned(), kind.into());
            known.insert("kind".to_owned());
        }
        Self {
            zone: recorded.origin.zone.as_str().to_owned(),
            host: request.host.as_str().to_owned(),
            method: request.method.as_str().to_owned(),
            template: request.template.as_str().to_owned(),
            principal: Arc::new(principal),
            purpose: recorded.why.purpose.some().map(str::to_owned),
            ticket: recorded.why.ticket.some().map(str::to_owned),
            now_unix_s,
            known,
            has_all_roles: !actor.roles.is_cut,
            has_grant: recorded.why.grant.some().is_some(),
        }
    }

    /// When it was asked, in Unix seconds.
    #[must_use]
    pub fn now_unix_s(&self) -> i64 {
        self.now_unix_s
    }

    /// The route that it meets in a program. What the path held was not recorded; only its form was.
    #[must_use]
    pub fn route_in(&self, program: &Program) -> Option<Arc<Route>> {
        let template = Template::parse(&self.template).ok()?;
        let fill = |name: &str| (name.to_owned(), UNKNOWN_SEGMENT.to_owned());
        let params: Vec<_> = template.parameters().map(fill).collect();
        let path = template.fill(&params)?;
        program.find(&self.zone, &self.host, &self.method, &path).map(|found| found.route)
    }

    /// The question as a program is asked it, without the parameters of the path and without a grant.
    #[must_use]
    pub fn query<'a>(&'a self, route: &'a Arc<Route>) -> Query<'a> {
        Query {
            zone: &self.zone,
            principal: &self.principal,
            route,
            params: &[],
            search: None,
            method: &self.method,
            host: &self.host,
            purpose: self.purpose.as_deref(),
            ticket: self.ticket.as_deref(),
            grant: None,
            ties: None,
            now_unix_s: self.now_unix_s,
        }
    }

    /// On what the program's answer depends that the entry does not hold: rules whose condition reads it, or
    /// `(roles)`, `(tenant)`, `(grant)`, or `(other accounts)` of the person, whose roles may be kept apart from these.
    #[must_use]
    pub fn undetermined<'p>(&self, program: &'p Program, route: &Arc<Route>) -> Vec<&'p str> {
        let mut open = program.undetermined(&self.query(route), |name| self.is_unknown(name));
        let reads_tenant = program.caller_attributes().any(|name| name == "tenant");
        if reads_tenant && !self.known.contains("tenant") {
            open.push("(tenant)");
        }
        if !self.has_all_roles {
            open.push("(roles)");
        }
        if self.has_grant {
            open.push("(grant)");
        }
        if self.needs_other_accounts(program) {
            open.push("(other accounts)");
        }
        open
    }

    /// What the entry does not hold of what conditions of the program read, in words.
    #[must_use]
    pub fn unknown_to(&self, program: &Program) -> Vec<String> {
        let attributes = program.caller_attributes().filter(|name| !self.known.contains(*name));
        let mut unknown: Vec<String> = attributes.map(|name| format!("caller.{name}")).collect();
        if let Ok(template) = Template::parse(&self.template) {
            unknown.extend(template.parameters().map(|name| format!("request.{name}")));
        }
        if !self.has_all_roles {
            unknown.push("further roles".to_owned());
        }
        if self.has_grant {
            unknown.push("what the grant was for".to_owned());
        }
        if self.needs_other_accounts(program) {
            unknown.push("the roles of the person's other accounts".to_owned());
        }
        unknown
    }

    /// Whoever holds roles that are kept apart is denied by these alone.
    fn needs_other_accounts(&self, program: &Program) -> bool {
        let roles = &self.principal.roles;
        program.keeps_apart(roles) && program.held_together(roles, &[]).is_none()
    }

    fn is_unknown(&self, name: &str) -> bool {
        if let Some(attribute) = name.strip_prefix("caller.") {
            let is_recorded = ["address", "device"].contains(&attribute);
            return !is_recorded && !self.known.contains(attribute);
        }
        let is_declared = ["request.purpose", "request.ticket"].contains(&name);
        name.starts_with("request.") && !is_declared
    }

    /// Everything that the answers of a program depend on, but for the time and the route's place.
    pub(super) fn key(&self, program: &Program, route: &Arc<Route>, key: &mut Vec<u8>) {
        program.decision_key(&self.query(route), key);
        key.extend([u8::from(self.has_all_roles), u8::from(self.has_grant)]);
        for name in &self.known {
            key.extend_from_slice(name.as_bytes());
            key.push(0);
        }
    }
}

fn attribute(value: &Trait) -> Option<Value> {
    match value {
        Trait::Bool(yes) => Some(Value::Bool(*yes)),
        Trait::Integer(number) => Some(Value::Integer(*number)),
        Trait::Text(text) => Some(Value::from(text.as_str())),
        Trait::List(texts) => {
            Some(Value::List(texts.iter().map(|text| Value::from(text.as_str())).collect()))
        }
        Trait::Missing => None,
    }
}
