//! What is known of a request so far, as the entry that its decision will become.
//!
//! Every early end passes here, so that a denial is recorded before it is told.

use std::sync::Arc;

use http::HeaderMap;
use http::header::USER_AGENT;
use tokio::time::Instant;

use super::entrance::Recorded;
use super::head::Head;
use super::heard::Heard;
use super::mark::Carried;
use super::outcome::{Disclosure, Ending, Outcome};
use super::query;
use super::rejection::Rejection;
use super::switched;
use crate::audit::{
    self, Act, Actor, ActorKind, Attributes, Auth, Class, Data, Decision, Effect, Entry, EntryId,
    Event, Origin, Tenants, Trait, Why,
};
use crate::command::Target;
use crate::identity::{Caller, CallerKind, CredentialRef, FactorMethod};
use crate::listen::Facts;
use crate::policy::plan::Verdict;
use crate::policy::{Denial, Permit, Principal, Program, Route, Value};
use crate::telemetry::Trace;

/// The record of a request in the making.
pub(super) struct Trail {
    pub(super) started: Instant,
    /// The id that the client is told and the log carries.
    pub(super) id: EntryId,
    entry: Entry,
    /// The decision on its way to the disk.
    recording: Option<Recorded>,
    /// Set once the decision is written: from then on early ends are outcomes.
    outcome: Option<Outcome>,
    account: Option<String>,
    action: &'static str,
    resumed: Resumed,
    /// Rights to roles that are switched off.
    lacks: Vec<String>,
    /// Which consents were heard.
    heard: Option<Arc<Heard>>,
    trace: Option<Trace>,
}

/// Whether the request was kept before, and until what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumed {
    Never,
    Purpose,
    Factor,
}

impl Trail {
    /// Begins the record of a request on a connection.
    pub(super) fn begin(stamp: audit::Stamp, facts: &Facts, headers: &HeaderMap) -> Self {
        let id = stamp.id;
        let mut entry = Entry::new(Event::Decision, stamp);
        let user_agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let certificate =
            facts.client.as_ref().map(|shown| shown.hex().to_owned()).unwrap_or_default();
        entry.origin = Some(Origin {
            address: Some(facts.peer.ip()),
            port: Some(facts.peer.port()),
            zone: facts.zone.as_ref().into(),
            tls: facts.tls_version.into(),
            client_certificate: certificate.as_str().into(),
            user_agent: user_agent.into(),
            ..Origin::default()
        });
        let (recording, outcome, account, action) = (None, None, None, "none");
        let (started, resumed) = (Instant::now(), Resumed::Never);
        let (lacks, heard, trace) = Default::default();
        Self {
            started,
            id,
            entry,
            recording,
            outcome,
            account,
            action,
            resumed,
            lacks,
            heard,
            trace,
        }
    }

    /// Notes the trace that it belongs to; the entry names one that somebody else began.
    pub(super) fn traced(&mut self, trace: Trace) {
        if let Some(id) = trace.continued() {
            self.entry.request.get_or_insert_default().trace = id.to_string().as_str().into();
        }
        self.trace = Some(trace);
    }

    pub(super) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Notes that the request is kept until its caller has shown a factor or said a purpose, under this keyed hash.
    pub(super) fn kept(&mut self, reference: &str) {
        let act = Act { name: "request_kept".into(), object: reference.into(), ..Act::default() };
        // Where the decision is written already, the outcome tells it.
        if let Some(outcome) = &self.outcome {
            outcome.disclosure().with(|entry| entry.act = Some(act.clone()));
        }
        self.entry.act = Some(act);
    }

    /// Notes that it is the request that was kept under this keyed hash.
    pub(super) fn resumed(&mut self, reference: &str, with: Resumed) {
        self.resumed = with;
        self.entry.act = Some(Act {
            name: "request_resumed".into(),
            object: reference.into(),
            ..Act::default()
        });
    }

    /// With what it was resumed, if it was kept before.
    pub(super) fn was_resumed(&self) -> Resumed {
        self.resumed
    }

    pub(super) fn head(&mut self, head: &Head) {
        let request = self.entry.request.get_or_insert_default();
        if head.path.as_str().starts_with(super::sign_in::PREFIX) {
            self.action = "sign_in";
        }
        request.method = head.method.as_str().into();
        request.host = head.host.as_str().into();
        self.entry.why = Some(Why {
            purpose: head.purpose.as_deref().unwrap_or_default().into(),
            ticket: head.ticket.as_deref().unwrap_or_default().into(),
            reason: audit::Text::reason(head.reason.as_deref().unwrap_or_default()),
            ..Why::default()
        });
    }

    pub(super) fn route(&mut self, route: &Route) {
        let request = self.entry.request.get_or_insert_default();
        self.action = route.action().name();
        request.route = route.name().into();
        request.template = route.template().as_str().into();
        request.action = route.action().name().into();
        let method = request.method.clone();
        self.know_route(route, method.as_str());
    }

    pub(super) fn searched(&mut self, parameter: &str, field: Option<&str>, value_hash: &str) {
        self.entry.request.get_or_insert_default().query.push(parameter, field, value_hash);
    }

    /// Notes how the value of a parameter stands to those that the caller asked for before.
    pub(super) fn ordered(&mut self, parameter: &str, order: Option<audit::Order>) {
        self.entry.request.get_or_insert_default().query.ordered(parameter, order);
    }

    /// Notes the page of a list, where it is a number.
    pub(super) fn page(&mut self, value: &str) {
        self.entry.request.get_or_insert_default().page = value.parse().ok();
    }

    pub(super) fn caller(&mut self, caller: &Caller, person: Option<Arc<str>>) {
        if caller.kind == CallerKind::Customer {
            self.entry.class = Class::CustomerUsage;
        }
        let now_unix_s = self.time_unix_s();
        self.account = Some(caller.account.clone());
        self.entry.actor = Some(Actor {
            account: caller.account.as_str().into(),
            kind: Some(actor_kind(caller.kind)),
            roles: caller.roles.iter().map(String::as_str).collect(),
            person: person.as_deref().unwrap_or_default().into(),
            ..Actor::default()
        });
        let newest = caller.factors.iter().filter_map(|factor| factor.at_unix_s).max();
        let mut auth = Auth {
            assurance: caller.assurance,
            factors: caller.factors.iter().map(|factor| factor_word(factor.method)).collect(),
            age_s: newest.and_then(|at| u64::try_from(now_unix_s.saturating_sub(at)).ok()),
            device: caller.device.as_deref().unwrap_or_default().into(),
            ..Auth::default()
        };
        for factor in &caller.factors {
            if let Some(at) = factor.at_unix_s {
                auth.levels.push(factor.level, now_unix_s.saturating_sub(at));
            }
        }
        match &caller.credential {
            CredentialRef::Bearer { token, .. } => {
                let is_proved = caller.binding.key.is_some();
                auth.credential = if is_proved { "dpop" } else { "bearer" }.into();
                auth.token = token.as_str().into();
            }
            CredentialRef::Session { reference } => {
                auth.credential = "session".into();
                auth.session = reference.as_str().into();
            }
            CredentialRef::ApiKey { id } => {
                auth.credential = "api_key".into();
                auth.token = id.as_str().into();
            }
            CredentialRef::ClientCertificate { .. } => auth.credential = "client_cert".into(),
        }
        self.entry.auth = Some(auth);
    }

    /// Notes the caller's tenants by which the entries of the request are kept.
    pub(super) fn kept_by(&mut self, program: &Program, caller: &Caller) {
        let attribute = caller.attributes.get(switched::TENANT).map(query::value);
        let (names, has_others) = program.kept_by_tenant(attribute.as_ref());
        self.entry.tenants = Tenants::new(names, has_others);
    }

    /// Notes the attributes of the caller that the conditions of a program read, so that the decision can
    /// be made again. A customer's are a customer's values, so they stay out.
    pub(super) fn read_by(&mut self, program: &Program, principal: &Principal) {
        let Some(actor) = self.entry.actor.as_mut() else { return };
        if actor.kind == Some(ActorKind::Customer) {
            return;
        }
        for name in program.caller_attributes().filter(|name| *name != query::KIND) {
            let recorded = match principal.attributes.get(name) {
                None => Some(Trait::Missing),
                // To conditions, that is; it is no caller without a tenant.
                Some(Value::Null) if name != switched::TENANT => Some(Trait::Missing),
                Some(value) => recorded(value),
            };
            if let Some(value) = recorded {
                actor.attributes.push(name, value);
            }
        }
    }
}

impl Trail {
    /// When the request came, in Unix seconds: the time that it is decided by.
    pub(super) fn time_unix_s(&self) -> i64 {
        self.entry.time.0.div_euclid(1000)
    }

    /// The same in milliseconds.
    pub(super) fn time_unix_ms(&self) -> i64 {
        self.entry.time.0
    }

    /// The account that asks, once that is known.
    pub(super) fn account(&self) -> Option<String> {
        self.account.clone()
    }

    /// The action that is asked for, in a word of a closed list.
    pub(super) fn action(&self) -> &'static str {
        self.action
    }

    /// Where the request comes from, for entries about signing in.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.entry.origin.clone()
    }

    /// The name of the route, once it is known.
    pub(super) fn route_name(&self) -> &str {
        self.entry.request.as_ref().map_or("", |request| request.route.as_str())
    }

    /// Notes why the policy refused.
    pub(super) fn denied(&mut self, denial: &Denial, version: &str) {
        let mut decision = denial_of(denial, version);
        for right in &self.lacks {
            decision.unmet.push(&is_off(right));
        }
        self.entry.decision = Some(decision);
    }

    /// Notes the rights to roles without which the caller asks, since they are switched off: a denial names them.
    pub(super) fn lacks_rights(&mut self, rights: &[Target]) {
        self.lacks = rights.iter().map(ToString::to_string).collect();
    }

    /// Notes why what was allowed is refused after a record was read.
    pub(super) fn denied_on_record(&self, denial: &Denial, version: &str) {
        if let Some(outcome) = &self.outcome {
            let decision = denial_of(denial, version);
            outcome.disclosure().with(|entry| entry.decision = Some(decision));
        }
    }

    /// It asks an interface of the gate's own.
    pub(super) fn visits(&mut self) {
        self.action = "admin";
        (self.entry.event, self.entry.class) = (Event::Admin, Class::Security);
    }

    /// Notes what it asks such an interface for.
    pub(super) fn visited(&mut self, [path, name, object, reason]: [&str; 4]) {
        let request = self.entry.request.get_or_insert_default();
        (request.template, request.action) = (path.into(), "admin".into());
        let act = Act { name: name.into(), object: object.into(), ..Act::default() };
        self.entry.act = Some(act);
        self.entry.why = Some(Why { reason: audit::Text::reason(reason), ..Why::default() });
    }

    /// The entry of a visit, with how it is answered where that is known.
    pub(super) fn visit_entry(
        &mut self,
        effect: Effect,
        status: Option<u16>,
        cause: &str,
    ) -> Entry {
        self.entry.decision = Some(Decision::new(effect));
        let result = self.entry.result.get_or_insert_default();
        (result.status, result.cause) = (status, cause.into());
        self.entry.clone()
    }

    /// Notes what is switched off that stops the request.
    pub(super) fn switched(&mut self, target: &str, version: &str) {
        self.unfit(&is_off(target), version);
    }

    /// Notes the partner in whose name it is asked, and that partner's contract; of a customer nothing.
    pub(super) fn partner(&mut self, name: &str, contract: &str) {
        let actor = self.entry.actor.as_mut();
        if let Some(actor) = actor.filter(|actor| actor.kind != Some(ActorKind::Customer)) {
            (actor.partner, actor.contract) = (name.into(), contract.into());
        }
    }

    /// Notes what stops the request before it is decided.
    pub(super) fn unfit(&mut self, unmet: &str, version: &str) {
        let mut decision = Decision::new(Effect::Deny);
        decision.policy = version.into();
        decision.unmet = [unmet].into_iter().collect();
        self.entry.decision = Some(decision);
    }

    /// The entry of a permit, and the one that its outcome will fill.
    pub(super) fn permitted(
        &mut self,
        permit: &Permit,
        carried: &Carried,
        stamp: audit::Stamp,
    ) -> (Entry, Entry) {
        let mut decision = Decision::new(Effect::Allow);
        decision.rules = permit.rules().collect();
        decision.policy = permit.policy_version().into();
        self.entry.decision = Some(decision);
        if let Some(grant) = permit.grant() {
            self.entry.why.get_or_insert_default().grant = grant.id.as_str().into();
        }
        let mut data = promised(permit);
        carried.describe(&mut data);
        self.entry.data = Some(data);
        let result = self.entry.result.get_or_insert_default();
        result.decide_us = Some(micros(self.started));
        let mut outcome = Entry::new(Event::Outcome, stamp);
        outcome.decided_by = Some(self.id);
        outcome.is_kept_like(&self.entry);
        // What it was decided on stands in the decision.
        let attributes = Attributes::default();
        outcome.actor = self.entry.actor.clone().map(|actor| Actor { attributes, ..actor });
        outcome.request = self.entry.request.clone();
        outcome.result.get_or_insert_default().upstream = permit.upstream().into();
        self.know(|known| permit.upstream().clone_into(&mut known.upstream));
        (self.entry.clone(), outcome)
    }

    pub(super) fn recording(&mut self, recorded: Recorded) {
        self.recording = Some(recorded);
    }

    /// Waits until the decision, if there is one, is durable; at once if it is already.
    pub(super) async fn durable(&mut self) -> Result<(), Rejection> {
        match self.recording.take() {
            Some(recorded) => recorded.durable().await,
            None => Ok(()),
        }
    }

    /// Has the outcome tell which consents were heard.
    pub(super) fn hears(&mut self, heard: &Arc<Heard>) {
        self.heard = Some(Arc::clone(heard));
    }

    pub(super) fn begin_outcome(&mut self, mut outcome: Outcome) {
        outcome.disclosure().hears(self.heard.clone());
        outcome.trace = self.trace.clone();
        self.outcome = Some(outcome);
    }

    /// The outcome of the permit, to be given to the answer's body.
    pub(super) fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The entry of a refusal, where no permit was given.
    pub(super) fn refusal(&mut self, status: u16, cause: &str, is_error: bool) -> Entry {
        let effect = if is_error { Effect::Error } else { Effect::Deny };
        self.entry.decision.get_or_insert_with(|| Decision::new(effect));
        let total_us = micros(self.started);
        let result = self.entry.result.get_or_insert_default();
        result.status = Some(status);
        result.ended = Some(audit::Ending::Refused);
        result.cause = cause.into();
        result.total_us = Some(total_us);
        self.entry.clone()
    }

    /// Notes that a request to the backend was sent once more.
    pub(super) fn retried(&self, retries: u32) {
        if let (Some(outcome), true) = (&self.outcome, retries > 0) {
            note_retries(&outcome.disclosure(), retries);
            self.know(|known| known.retries = known.retries.saturating_add(retries));
        }
    }

    /// Ends the outcome of a permit that led to nothing. `false` if there was no permit.
    pub(super) fn refuse_permitted(&mut self, status: u16, cause: &str) -> bool {
        let Some(outcome) = self.outcome.take() else { return false };
        outcome.disclosure().forget();
        outcome.disclosure().with(|entry| {
            let result = entry.result.get_or_insert_default();
            result.status = Some(status);
            result.cause = cause.into();
        });
        outcome.ended(Ending::Refused);
        true
    }
}

pub(super) fn note_retries(disclosure: &Disclosure, retries: u32) {
    disclosure.with(|entry| {
        let noted = &mut entry.result.get_or_insert_default().retries;
        let all = noted.unwrap_or_default().saturating_add(retries);
        *noted = Some(all).filter(|all| *all > 0);
    });
}

fn is_off(target: &str) -> String {
    format!("`{target}` is switched off")
}

fn denial_of(denial: &Denial, version: &str) -> Decision {
    let mut decision = Decision::new(Effect::Deny);
    decision.policy = version.into();
    let reasons: Vec<String> = denial.reasons.iter().map(ToString::to_string).collect();
    decision.unmet = reasons.iter().map(String::as_str).collect();
    decision
}

/// What a permit may disclose at most: the fields of its plan by what happens to them.
fn promised(permit: &Permit) -> Data {
    let mut data = Data { entity: permit.entity().into(), ..Data::default() };
    data.highest_grade = permit.highest_grade().to_string().as_str().into();
    for slot in permit.plan().slots() {
        let Some(name) = slot.field.and_then(|id| permit.plan().field(id)) else { continue };
        match slot.verdict {
            Verdict::Clear => data.clear.push(name),
            Verdict::Mask => data.masked.push(name),
            Verdict::Pseudonym => data.pseudonym.push(name),
            Verdict::Absent | Verdict::Enter(_) => {}
        }
    }
    data
}

/// An attribute as the log holds it; `None` for what it cannot hold as it is.
fn recorded(value: &Value) -> Option<Trait> {
    match value {
        Value::Bool(yes) => Some(Trait::Bool(*yes)),
        Value::Integer(number) => Some(Trait::Integer(*number)),
        Value::Text(text) => Trait::text(text),
        Value::List(values) => {
            let texts = values.iter().map(|value| match value {
                Value::Text(text) => Some(text.as_str()),
                Value::Null
                | Value::Bool(_)
                | Value::Integer(_)
                | Value::Decimal(_)
                | Value::List(_) => None,
            });
            texts.collect::<Option<Vec<_>>>().and_then(Trait::list)
        }
        Value::Null | Value::Decimal(_) => None,
    }
}

fn actor_kind(kind: CallerKind) -> ActorKind {
    match kind {
        CallerKind::Staff => ActorKind::Staff,
        CallerKind::Merchant => ActorKind::Merchant,
        CallerKind::Partner => ActorKind::Partner,
        CallerKind::Machine => ActorKind::Machine,
        CallerKind::Customer => ActorKind::Customer,
        CallerKind::Admin => ActorKind::Admin,
    }
}

fn factor_word(method: FactorMethod) -> &'static str {
    match method {
        FactorMethod::Password => "password",
        FactorMethod::Totp => "totp",
        FactorMethod::Recovery => "recovery",
        FactorMethod::Passkey => "passkey",
        FactorMethod::HardwareKey => "hardware_key",
        FactorMethod::Token => "token",
        FactorMethod::Certificate => "certificate",
        FactorMethod::ApiKey => "api_key",
    }
}

pub(super) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
