//! The policy as a whole: golden faults, decisions, and a naive interpreter it must agree with.

mod apart;
mod compare;
mod comparison;
mod comparison_surface;
mod consents;
mod decisions;
mod detector;
mod exports;
mod golden;
mod grants;
mod grants_bounds;
mod grants_search;
mod hostile;
mod linked;
mod masks;
mod naive;
mod pages;
mod record_factors;
mod records;
mod requirements;
mod stricter;
mod ungraded;
mod watching;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::plan::{Node, NodeId, Plan, RecordId, Slot, Verdict};
use super::{
    Denial, Factor, Grant, Limits, Permit, Principal, Program, Query, Scope, Value, compile,
};
use crate::document::Source;
use crate::route::Path;

/// Monday, 3 August 2026, 10:30 in Shanghai.
pub(super) const NOW: i64 = 1_785_724_200;

fn source(text: &str) -> Source {
    Source { name: "policy.yaml".to_owned(), text: text.to_owned() }
}

fn program(text: &str) -> Program {
    compile(&[source(text)]).unwrap_or_else(|faults| panic!("{faults}"))
}

/// What each person is limited to, of all requests.
fn own(permit: &Permit) -> Limits {
    let mut own = permit.limits().filter(|scoped| scoped.scope == Scope::default());
    own.next().map_or_else(Limits::default, |scoped| scoped.limits.clone())
}

fn demo() -> Program {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        sources.push(Source { name: path.display().to_string(), text });
    }
    compile(&sources).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A caller of assurance 2 with a fresh factor, in branch sh01.
fn caller(roles: &[&str]) -> Principal {
    Principal {
        account: "lin".to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        attributes: [("branch".to_owned(), Value::from("sh01"))].into(),
        factors: vec![Factor { level: 2, at_unix_s: NOW - 60 }],
        assurance: 2,
        address: Some([10, 0, 0, 7].into()),
        device: None,
        roles_elsewhere: Vec::new(),
    }
}

/// What a request says of itself beside what it asks.
#[derive(Default)]
struct Asked<'a> {
    purpose: Option<&'a str>,
    ticket: Option<&'a str>,
    grant: Option<Grant>,
}

fn ask(
    program: &Program,
    principal: Principal,
    request: &str,
    purpose: Option<&str>,
) -> Result<Permit, Denial> {
    ask_with(program, principal, request, Asked { purpose, ..Asked::default() })
}

fn ask_with(
    program: &Program,
    principal: Principal,
    request: &str,
    asked: Asked<'_>,
) -> Result<Permit, Denial> {
    let grant = asked.grant.map(Arc::new);
    let principal = Arc::new(principal);
    let (method, path) = request.split_once(' ').unwrap();
    let path = Path::parse(path).unwrap();
    let met = program.find("business", "bank.example", method, &path);
    let met = met.unwrap_or_else(|| panic!("{request} meets no route"));
    program.decide(&Query {
        zone: "business",
        principal: &principal,
        route: &met.route,
        params: &met.params,
        search: None,
        method,
        host: "bank.example",
        purpose: asked.purpose,
        ticket: asked.ticket,
        grant: grant.as_ref(),
        ties: None,
        now_unix_s: NOW,
    })
}

/// What a guard that obeys the permit's plan makes of a body. Masks and pseudonyms show as words.
fn filter(permit: &Permit, body: &Json) -> Option<Json> {
    slot(permit, permit.plan(), permit.plan().root, body)
}

fn slot(permit: &Permit, plan: &Plan, slot_: Slot, value: &Json) -> Option<Json> {
    let is_scalar = !value.is_object() && !value.is_array();
    match slot_.verdict {
        Verdict::Absent => None,
        Verdict::Clear => is_scalar.then(|| value.clone()),
        Verdict::Mask => is_scalar.then(|| "masked".into()),
        Verdict::Pseudonym => is_scalar.then(|| "pseudonym".into()),
        Verdict::Enter(node) => enter(permit, plan, node, value),
    }
}

fn enter(permit: &Permit, plan: &Plan, id: NodeId, value: &Json) -> Option<Json> {
    match (plan.node(id).unwrap(), value) {
        (Node::Array(element), Json::Array(items)) => {
            Some(items.iter().filter_map(|item| slot(permit, plan, *element, item)).collect())
        }
        (Node::Object(object), Json::Object(members)) => match object.record {
            None => Some(Json::Object(object_of(permit, plan, id, members))),
            Some(record) => record_of(permit, plan, id, record, members),
        },
        _ => None,
    }
}

fn record_of(
    permit: &Permit,
    plan: &Plan,
    id: NodeId,
    record: RecordId,
    members: &Map<String, Json>,
) -> Option<Json> {
    let described = plan.record(record).unwrap();
    assert!(described.cases.len().is_power_of_two());
    assert_eq!(described.cases[described.assumed], Some(id), "the assumed case stands in the tree");
    let mut captures = vec![None; usize::from(described.captures)];
    capture(plan, id, members, &mut captures);
    if let Some(subject) = described.subject {
        captures[usize::from(subject)].as_ref()?;
    }
    let node = described.cases.get(permit.case(record, &captures)).copied().flatten()?;
    Some(Json::Object(object_of(permit, plan, node, members)))
}

fn object_of(
    permit: &Permit,
    plan: &Plan,
    id: NodeId,
    members: &Map<String, Json>,
) -> Map<String, Json> {
    let Node::Object(object) = plan.node(id).unwrap() else { panic!("not an object") };
    let find = |name: &String| object.members.iter().find(|(n, _)| **n == **name);
    members
        .iter()
        .filter_map(|(name, value)| Some((name, slot(permit, plan, find(name)?.1, value)?)))
        .map(|(name, value)| (name.clone(), value))
        .collect()
}

fn capture(plan: &Plan, id: NodeId, members: &Map<String, Json>, captures: &mut [Option<Value>]) {
    let Node::Object(object) = plan.node(id).unwrap() else { return };
    for (name, slot) in &object.members {
        let Some(value) = members.get(name.as_ref()) else { continue };
        if let Some(at) = slot.capture {
            captures[usize::from(at)] = scalar(value);
        }
        if let (Verdict::Enter(inner), Json::Object(members)) = (slot.verdict, value)
            && !matches!(plan.node(inner), Some(Node::Object(inner)) if inner.record.is_some())
        {
            capture(plan, inner, members, captures);
        }
    }
}

fn scalar(value: &Json) -> Option<Value> {
    match value {
        Json::Null => Some(Value::Null),
        Json::Bool(b) => Some(Value::Bool(*b)),
        Json::Number(n) => Value::from_json_number(&n.to_string()),
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Array(_) | Json::Object(_) => None,
    }
}
