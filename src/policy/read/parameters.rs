//! What the parameters of a path and of a query mean: which of them search a field.

use super::super::model::{Model, PathSearch, QueryUse};
use super::super::search::{FilterForm, TooLarge, asks_for_another_method};
use crate::document::{Code, Content, Keys, Node, Reader, Span, cut};

const QUERY_LIMIT: usize = 100;
/// What a query parameter may mean besides a field.
const PLAIN: [&str; 7] = ["page", "page-size", "sort", "filter", "fields", "include", "free"];
const KEYS: [&str; 5] = ["means", "at-least", "too-large", "as", "of"];

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
        if asks_for_another_method(&pair.key) {
            let message = format!("`{}` asks backends for another method", cut(&pair.key));
            let help = "publish the request with the method that it has".to_owned();
            reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
            continue;
        }
        let found = parameter(reader, model, entities, &pair.value);
        uses.extend(found.map(|found| (pair.key.as_str().into(), found)));
    }
    uses
}

/// A word or a field, or a map that says more.
fn parameter(
    reader: &mut Reader<'_>,
    model: &Model,
    entities: &[usize],
    node: &Node,
) -> Option<QueryUse> {
    if !matches!(node.content, Content::Map(_)) {
        let none = Keys { pairs: Vec::new() };
        return meaning(reader, model, entities, node, &none);
    }
    let keys = reader.keys(node, "a query parameter", &KEYS);
    let Some(means) = keys.find("means") else {
        reader.missing(node.span, "a query parameter", "means", "page-size");
        return None;
    };
    meaning(reader, model, entities, &means.value, &keys)
}

fn meaning(
    reader: &mut Reader<'_>,
    model: &Model,
    entities: &[usize],
    node: &Node,
    keys: &Keys<'_>,
) -> Option<QueryUse> {
    let text = reader.text(node, "what a query parameter means")?;
    let option = match text {
        "page" | "sort" | "fields" | "free" => "",
        "page-size" => "too-large",
        "filter" => "as",
        "include" => "of",
        _ => "at-least",
    };
    for key in keys.pairs.iter().filter(|pair| pair.key != "means" && pair.key != option) {
        let message = format!("`{}` says nothing of `{}`", key.key, cut(text));
        reader.fault(key.key_span, Code::Contradiction, message, None);
    }
    let example = [("filter", "as", "brackets"), ("include", "of", "[accounts]")];
    let lacks = |(word, key, _): &(&str, &str, &str)| *word == text && keys.find(key).is_none();
    if let Some((_, key, example)) = example.into_iter().find(lacks) {
        let what = format!("a query parameter that means `{text}`");
        reader.missing(node.span, &what, key, example);
        return None;
    }
    let given = keys.find(option).map(|pair| &pair.value);
    match text {
        "page" => Some(QueryUse::Page),
        "sort" => Some(QueryUse::Sort),
        "fields" => Some(QueryUse::Fields),
        "free" => Some(QueryUse::Free),
        "page-size" => {
            let words = [("refuse", TooLarge::Refuse), ("clamp", TooLarge::Clamp)];
            let word = given.map_or(Some(TooLarge::Refuse), |node| one_of(reader, node, &words));
            word.map(QueryUse::PageSize)
        }
        "filter" => one_of(reader, given?, FilterForm::NAMES).map(QueryUse::Filter),
        "include" => Some(QueryUse::Include(reader.names(given?, "`of`"))),
        _ => {
            let at_least = given.and_then(|node| reader.number(node, "`at-least`", 1, 100));
            searched(reader, model, entities, text, node.span, &PLAIN)
                .map(|(entity, field)| QueryUse::Field { entity, field, at_least })
        }
    }
}

fn one_of<T: Copy>(reader: &mut Reader<'_>, node: &Node, words: &[(&str, T)]) -> Option<T> {
    let text = reader.text(node, "a word")?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        reader.unknown(node.span, "word", &cut(text), &known);
    }
    found.map(|(_, value)| *value)
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
