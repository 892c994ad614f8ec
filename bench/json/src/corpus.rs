//! Public documents, in which whatever the document has is declared: a job for them, and the plan that does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{Node, NodeId, ObjectNode, Plan, Slot, Verdict};
use serde_json::Value;

use super::job::{Fate, Job};

/// Of the names that come most often three are left out; three others that are texts wherever they stand are masked.
pub fn job(document: &Value) -> Job {
    let mut names = BTreeMap::new();
    count(document, &mut names);
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
    let is_text = |(_, (_, is_text)): &&(String, (usize, bool))| *is_text;
    let masked: Vec<_> =
        names.iter().filter(is_text).map(|(name, _)| name.as_str()).take(3).collect();
    let others = names.iter().map(|(name, _)| name.as_str()).filter(|name| !masked.contains(name));
    // The commonest may be all that there is.
    let dropped: Vec<_> = others.skip(2).take(3).collect();
    let masked: Vec<_> = masked.into_iter().map(|name| (name, Kind::FreeText)).collect();
    Job::of(&dropped, &masked)
}

/// How often each name comes, and whether every value of it is a text or `null`.
fn count(value: &Value, names: &mut BTreeMap<String, (usize, bool)>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| count(element, names)),
        Value::Object(members) => {
            for (name, value) in members {
                let (times, is_text) = names.entry(name.clone()).or_insert((0, true));
                *times += 1;
                *is_text &= value.is_string() || value.is_null();
                count(value, names);
            }
        }
        _ => {}
    }
}

/// The plan that does the job on documents of this shape.
pub fn plan(job: &Job, document: &Value) -> Arc<Plan> {
    let mut plan = Plan::nothing();
    plan.root = slot(job, &[document], &mut plan.nodes);
    Arc::new(plan)
}

/// What all these values, which stand in the same place, need. Nothing stands as a scalar here and as a
/// container there.
fn slot(job: &Job, values: &[&Value], nodes: &mut Vec<Node>) -> Slot {
    let elements: Vec<&Value> =
        values.iter().filter_map(|value| value.as_array()).flatten().collect();
    let mut members: Vec<(String, Vec<&Value>)> = Vec::new();
    for (name, value) in values.iter().filter_map(|value| value.as_object()).flatten() {
        match members.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => members.push((name.clone(), vec![value])),
        }
    }
    let is_array = values.iter().any(|value| value.is_array());
    if !is_array && !values.iter().any(|value| value.is_object()) {
        return Slot::of(Verdict::Clear);
    }
    let node = if is_array {
        Node::Array(slot(job, &elements, nodes))
    } else {
        let mut object = ObjectNode::default();
        for (name, values) in members {
            let slot = match job.fate(&name) {
                Fate::Dropped => continue,
                Fate::Masked(mask) => masked(mask),
                Fate::Passes => slot(job, &values, nodes),
            };
            object.members.push((name.into(), slot));
        }
        Node::Object(object)
    };
    nodes.push(node);
    Slot::of(Verdict::Enter(NodeId(u32::try_from(nodes.len() - 1).expect("few nodes"))))
}

fn masked(mask: Mask) -> Slot {
    Slot { mask: Some(mask), ..Slot::of(Verdict::Mask) }
}
