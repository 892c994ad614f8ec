//! `step-up: { where: record.balance > 0, assurance: 3, fresh: 5m }`: a factor that is asked for on certain records, by
//! their entity for some fields or for the record, and by a rule for what the rule gives.

use std::sync::Arc;

use super::super::expression::{Condition, People, Scope, View};
use super::super::model::{Entity, Grade, Model, Purpose, Requirement};
use super::super::record_factor::RecordFactor;
use super::super::rows::ROW_TEST_LIMIT;
use super::rules::{condition, field_list};
use crate::document::{Code, Keys, Node, Reader};

const RULE_KEYS: [&str; 3] = ["where", "assurance", "fresh"];
const ENTITY_KEYS: [&str; 5] = ["where", "assurance", "fresh", "fields", "grade"];

/// The factors that an entity asks for.
pub(super) fn of_entity(
    reader: &mut Reader<'_>,
    entity: &Entity,
    purposes: &[Purpose],
    keys: &Keys<'_>,
) -> Vec<RecordFactor> {
    let Some(pair) = keys.find("step-up") else { return Vec::new() };
    let find = |path: &str| entity.scalar(path);
    let flags = &entity.flags;
    let whose = entity.whose();
    let people = People { subject: whose.as_ref(), purposes };
    let scope = Scope { record: Some(&find), parameters: &[], flags, view: View::All, people };
    let items = reader.list(&pair.value, "`step-up`");
    if items.len() > ROW_TEST_LIMIT {
        let message = format!("an entity must ask for at most {ROW_TEST_LIMIT} step-ups");
        reader.fault(pair.key_span, Code::TooLarge, message, None);
    }
    let mut factors = Vec::new();
    for node in items.iter().take(ROW_TEST_LIMIT) {
        let keys = reader.keys(node, "`step-up`", &ENTITY_KEYS);
        let Some(factor) = factor(reader, node, &keys, &scope) else { continue };
        factors.push(RecordFactor { fields: fields(reader, entity, &keys), ..factor });
    }
    factors
}

/// The factor that a rule asks for.
pub(super) fn of_rule(
    reader: &mut Reader<'_>,
    keys: &Keys<'_>,
    scope: &Scope<'_>,
) -> Option<RecordFactor> {
    let node = &keys.find("step-up")?.value;
    let keys = reader.keys(node, "`step-up`", &RULE_KEYS);
    factor(reader, node, &keys, scope)
}

fn factor(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: &Keys<'_>,
    scope: &Scope<'_>,
) -> Option<RecordFactor> {
    let mut require = Requirement::default();
    if let Some(pair) = keys.find("assurance") {
        let level = reader.number(&pair.value, "`assurance`", 1, 3);
        require.assurance = level.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    }
    if let Some(pair) = keys.find("fresh") {
        require.fresh_s = reader.duration(&pair.value, "`fresh`");
    }
    if keys.find("assurance").is_none() && keys.find("fresh").is_none() {
        let message = "a `step-up` that asks for nothing".to_owned();
        let help =
            "say how sure it must be who asks, or how new the proof: `{ assurance: 3, fresh: 5m }`";
        reader.fault(node.span, Code::MissingKey, message, Some(help.to_owned()));
    }
    let Some(pair) = keys.find("where") else {
        reader.missing(node.span, "`step-up`", "where", "record.balance > 0");
        return None;
    };
    // What was wrong is reported.
    let condition = condition(reader, &pair.value, "`where`", scope);
    let condition = condition.unwrap_or_else(|| Arc::new(Condition::always()));
    Some(RecordFactor { condition, fields: None, require })
}

/// The fields that are named, or those of a grade and of higher ones; `None` where it is for the record.
fn fields(reader: &mut Reader<'_>, entity: &Entity, keys: &Keys<'_>) -> Option<Vec<u16>> {
    let Some(pair) = keys.find("grade") else {
        keys.find("fields")?;
        return Some(field_list(reader, entity, keys, "fields"));
    };
    if keys.find("fields").is_some() {
        let message = "a `step-up` is for `fields`, or for those of a `grade`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, None);
    }
    let least = reader.number(&pair.value, "`grade`", 1, 4)?;
    let is_of = |grade: Grade| matches!(grade, Grade::Open(n) if u32::from(n) >= least);
    let found = (0_u16..).zip(&entity.fields).filter(|(_, field)| is_of(field.grade));
    let found: Vec<u16> = found.map(|(at, _)| at).collect();
    if found.is_empty() {
        let message = format!("no field of `{}` has grade {least} or a higher one", entity.name);
        reader.fault(pair.value.span, Code::WrongValue, message, None);
    }
    Some(found)
}

/// Where a record is changed, or a file about it given, it must be read first, or nobody would know what it asks for.
pub(super) fn check(reader: &mut Reader<'_>, model: &Model) {
    for route in model.routes.iter().filter(|route| route.reads.is_none()) {
        let does = match (route.opaque.is_some(), route.action.changes_a_record()) {
            (true, _) => "is about",
            (false, true) => "changes",
            (false, false) => continue,
        };
        let mut entities = route.main.iter().filter_map(|at| model.entities.get(*at));
        if let Some(entity) = entities.find(|entity| !entity.factors.is_empty()) {
            let name = &route.name;
            let message = format!(
                "the `step-up` of `{}` cannot be tested: the record that `{name}` {does} is not read before",
                entity.name
            );
            let help = "give the route `reads: VIEW-ROUTE`".to_owned();
            reader.fault(route.span, Code::NoRecord, message, Some(help));
        }
    }
}
