//! `watermark`: where the records of an export carry the mark of its reader.

use super::super::model::{Body, Model, Shape, Watermark};
use crate::document::{Code, Pair, Reader, cut};

const KEYS: [&str; 2] = ["by", "name"];
const WAYS: [&str; 3] = ["header", "field", "order"];
const NAME_BYTES: usize = 64;

/// Reads `watermark` of a route whose export holds this body; none where it is no export that is read.
pub(super) fn watermark(
    reader: &mut Reader<'_>,
    model: &Model,
    pair: &Pair,
    body: Option<&Body>,
) -> Watermark {
    let keys = reader.keys(&pair.value, "`watermark`", &KEYS);
    let Some(by) = keys.find("by") else {
        reader.missing(pair.key_span, "`watermark`", "by", "field");
        return Watermark::default();
    };
    let mut ways = Vec::new();
    for (word, span) in reader.words(&by.value, "`by`") {
        if WAYS.contains(&word) {
            ways.push((word, span));
        } else {
            reader.unknown(span, "way", &cut(word), &WAYS);
        }
    }
    let is_by = |way: &str| ways.iter().any(|(word, _)| *word == way);
    let Some(body) = body else {
        let message = "only the records of an `export` with `returns` carry a mark".to_owned();
        let help = "leave it out: every file has one in its name and its head".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        return Watermark::default();
    };
    if is_by("order") {
        check_order(reader, model, pair, body);
    }
    let name = keys.find("name");
    match (is_by("field"), name) {
        (true, None) => reader.missing(pair.key_span, "`watermark`", "name", "copy_of"),
        (false, Some(name)) => {
            let message = "`name` is that of the field, which `by` does not name".to_owned();
            reader.fault(name.key_span, Code::Contradiction, message, None);
        }
        (true, Some(_)) | (false, None) => {}
    }
    let field = name.and_then(|pair| field(reader, model, pair, body)).filter(|_| is_by("field"));
    Watermark { field, order: is_by("order") }
}

/// The name of the field: it needs no escape in any format, and is no member of a record already.
fn field(reader: &mut Reader<'_>, model: &Model, pair: &Pair, body: &Body) -> Option<Box<str>> {
    let name = reader.text(&pair.value, "`name`")?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_name = name.len() <= NAME_BYTES
        && name.bytes().all(is_word)
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !is_name {
        let message = format!("`{}` cannot name the field of a mark", cut(name));
        let help = "write letters, digits and `_`, such as `copy_of`".to_owned();
        reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
        return None;
    }
    let mut entities = body.entities.iter().filter_map(|at| model.entities.get(*at));
    let has_it = |shape: &Shape| match shape {
        Shape::Object(members) => members.iter().any(|(member, _)| **member == *name),
        Shape::Field(_) | Shape::Array(_) | Shape::Entity(_) => false,
    };
    let taken = entities.find(|entity| has_it(&entity.shape));
    if let Some(entity) = taken {
        let message = format!("`{}` has a field `{name}` already", entity.name);
        reader.fault(pair.value.span, Code::BodyConflict, message, None);
        return None;
    }
    Some(name.into())
}

/// An order is one of records side by side, and is read by the keys of the people they are about.
fn check_order(reader: &mut Reader<'_>, model: &Model, pair: &Pair, body: &Body) {
    if !body.many {
        let message = "one record has no order that could carry a mark".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, None);
    }
    let mut entities = body.entities.iter().filter_map(|at| model.entities.get(*at));
    if let Some(entity) = entities.find(|entity| entity.subject.is_none()) {
        let message = format!("`{}` has no `subject` by which an order could be read", entity.name);
        reader.fault(pair.key_span, Code::MissingKey, message, None);
    }
}
