//! What the parameters of a path and of a query mean: which of them search a field.

use super::super::model::{Model, PathSearch, QueryUse};
use crate::document::{Code, Node, Reader, Span, cut};

const QUERY_LIMIT: usize = 100;
/// What a query parameter may mean besides a field.
const PLAIN: [&str; 4] = ["page", "page-size", "sort", "free"];

/// Reads `query`: each parameter and what it means.
pub(super) fn query(
    reader: &mut Reader<'_>,
    model: &Model,
    entities: &[usize],
    node: &Node,
) -> Vec<(Box<str>, QueryUse)> {
    let mut uses = Vec::new();
    for pair in reader.map(node, "`query`") {
        if uses.len() >= QUERY_LIMIT {
            let message = format!("a route must have at most {QUERY_LIMIT} query parameters");
            reader.fault(pair.key_span, Code::TooLarge, message, None);
            break;
        }
        let Some(text) = reader.text(&pair.value, "what a query parameter means") else { continue };
        let found = match text {
            "page" => Some(QueryUse::Page),
            "page-size" => Some(QueryUse::PageSize),
            "sort" => Some(QueryUse::Sort),
            "free" => Some(QueryUse::Free),
            _ => searched(reader, model, entities, text, pair.value.span, &PLAIN)
                .map(|(entity, field)| QueryUse::Field { entity, field }),
        };
        uses.extend(found.map(|found| (pair.key.as_str().into(), found)));
    }
    uses
}

/// Reads `path`: which parameters of a route's path search a field.
pub(super) fn path(reader: &mut Reader<'_>, model: &mut Model, index: usize, node: &Node) {
    let Some(route) = model.routes.get(index) else { return };
    let declared: Vec<&str> = route.template.parameters().collect();
    let mut searches = Vec::new();
    for pair in reader.map(node, "`path`") {
        if !declared.contains(&pair.key.as_str()) {
            reader.unknown(pair.key_span, "path parameter", &cut(&pair.key), &declared);
            continue;
        }
        let Some(text) = reader.text(&pair.value, "the field that a path parameter searches")
        else {
            continue;
        };
        let found = searched(reader, model, &route.main, text, pair.value.span, &[]);
        searches.extend(found.map(|(entity, field)| PathSearch {
            parameter: pair.key.as_str().into(),
            entity,
            field,
            name: text.into(),
        }));
    }
    if let Some(route) = model.routes.get_mut(index) {
        route.path = searches;
    }
}

/// The entity and field that `entity.path` names, where the route is about that entity.
fn searched(
    reader: &mut Reader<'_>,
    model: &Model,
    entities: &[usize],
    text: &str,
    span: Span,
    others: &[&str],
) -> Option<(usize, u16)> {
    let named = text.split_once('.').and_then(|(entity, path)| {
        let at = model.entities.iter().position(|other| other.name.as_ref() == entity)?;
        Some((at, model.entities.get(at)?, path))
    });
    let Some((at, entity, path)) = named else {
        let mut known: Vec<String> = others.iter().map(|word| (*word).to_owned()).collect();
        for entity in entities.iter().filter_map(|at| model.entities.get(*at)) {
            known.extend(
                entity.fields.iter().map(|field| format!("{}.{}", entity.name, field.path)),
            );
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let what = if others.is_empty() { "field" } else { "meaning of a query parameter" };
        reader.unknown(span, what, &cut(text), &known);
        return None;
    };
    if !entities.contains(&at) {
        let message =
            format!("the route does not return `{}`, so it cannot be searched by it", entity.name);
        reader.fault(span, Code::WrongValue, message, None);
        return None;
    }
    // A query may name what nobody has graded yet: it stays closed, and `check` tells.
    let found = if others.is_empty() { entity.fields_at(path) } else { entity.searchable(path) };
    match found {
        Ok(fields) => match fields.as_slice() {
            [field] => return Some((at, *field)),
            _ => {
                let message = format!("`{}` is more than one field", cut(path));
                reader.fault(span, Code::WrongValue, message, None);
            }
        },
        Err((code, message, help)) => reader.fault(span, code, message, Some(help)),
    }
    None
}
