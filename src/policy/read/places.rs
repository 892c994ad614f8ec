//! Where records stand in a body: `$`, `$[]`, `$.items[]`, and which scalars pass beside them.

use super::super::model::{Body, BodyShape, Format, Model, Scalar};
use crate::document::Code;
use crate::document::Span;
use crate::document::{Content, Keys, Node};
use crate::document::{Reader, cut};

const STEP_LIMIT: usize = 16;
const PLACE_LIMIT: usize = 64;

/// Names of scalars that count records, and so would betray how many were withheld.
const COUNTS: &[&str] = &[
    "total",
    "count",
    "total_count",
    "totalcount",
    "total_pages",
    "totalpages",
    "total_items",
    "totalitems",
    "total_elements",
    "totalelements",
    "size",
    "hits",
    "found",
    "last_page",
    "pages",
    "num_results",
    "results_count",
    "length",
    "sum",
];

/// Members at the top of a body in which backends, GraphQL's above all, say what went wrong with which value.
const ERRORS: &[&str] = &["errors", "extensions"];

enum Step {
    Member(Box<str>),
    Element,
}

/// Reads `returns` or `accepts`: entity names with places, and `pass` and `total`.
pub(super) fn body(
    reader: &mut Reader<'_>,
    model: &Model,
    node: &Node,
    what: &str,
) -> Option<Body> {
    let names: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_ref()).collect();
    let mut body = Body { shape: BodyShape::Object(Vec::new()), entities: Vec::new(), many: false };
    let mut slots = None;
    let mut placed = 0;
    for pair in reader.map(node, what) {
        let is_answer = what == "`returns`";
        let passes = is_answer && pair.key == "pass";
        let is_total = is_answer && pair.key == "total";
        let leaf = names.iter().position(|name| *name == pair.key).map(BodyShape::Entity);
        if leaf.is_none() && !passes && !is_total {
            let mut known = names.clone();
            known.extend(["pass", "total"].iter().filter(|_| is_answer));
            reader.unknown(pair.key_span, "entity", &cut(&pair.key), &known);
            continue;
        }
        for (text, span) in reader.words(&pair.value, what) {
            let Some(steps) = steps(reader, text, span) else { continue };
            placed += 1;
            if (passes || is_total) && tells_errors(&steps) {
                let text = cut(text);
                let message = format!("`{text}` cannot pass: errors hold values of records");
                reader.fault(span, Code::WrongValue, message, None);
                continue;
            }
            let shape = leaf.clone().unwrap_or_else(|| BodyShape::Pass(scalar(&steps, is_total)));
            if let BodyShape::Entity(entity) = shape {
                body.many |= steps.iter().any(|step| matches!(step, Step::Element));
                if !body.entities.contains(&entity) {
                    body.entities.push(entity);
                }
            }
            let fits = placed <= PLACE_LIMIT && put(&mut slots, &steps, shape);
            if !fits {
                let message = format!("`{}` stands where something else stands already", cut(text));
                reader.fault(span, Code::BodyConflict, message, None);
            }
        }
    }
    body.shape = slots?;
    Some(body)
}

/// Reads `as`: in which forms the answer may come. Lines and rows have no place for anything beside
/// their records.
pub(super) fn formats(
    reader: &mut Reader<'_>,
    keys: &Keys<'_>,
    returns: Option<&Body>,
) -> Vec<Format> {
    let Some(pair) = keys.find("as") else {
        return returns.map_or(Vec::new(), |_| vec![Format::Json]);
    };
    if keys.find("returns").is_none() && keys.find("opaque").is_none() {
        let message = "`as` needs `returns`: there is no answer that could have a form".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, None);
    }
    let of_rows = returns.is_some_and(|body| match &body.shape {
        BodyShape::Array(inner) => matches!(**inner, BodyShape::Entity(_)),
        BodyShape::Object(_) | BodyShape::Entity(_) | BodyShape::Pass(_) => false,
    });
    let mut found = Vec::new();
    let words = reader.words(&pair.value, "`as`");
    if words.is_empty() && matches!(pair.value.content, Content::List(_)) {
        let message = "`as` names no format".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in words {
        let Some((_, format)) = Format::NAMES.iter().find(|(name, _)| *name == word) else {
            let known: Vec<&str> = Format::NAMES.iter().map(|(name, _)| *name).collect();
            reader.unknown(span, "format", &cut(word), &known);
            continue;
        };
        if returns.is_some() && !of_rows && *format != Format::Json {
            let message = format!("`{word}` needs its records, and nothing else, at `$[]`");
            let help = "an answer of another form can only be `json`".to_owned();
            reader.fault(span, Code::Contradiction, message, Some(help));
        } else if found.contains(format) {
            reader.fault(span, Code::WrongValue, format!("`{word}` is named twice"), None);
        } else {
            found.push(*format);
        }
    }
    found
}

fn tells_errors(steps: &[Step]) -> bool {
    let first = steps.iter().find_map(|step| match step {
        Step::Member(name) => Some(name.as_ref()),
        Step::Element => None,
    });
    first.is_some_and(|name| ERRORS.contains(&name))
}

fn scalar(steps: &[Step], is_total: bool) -> Scalar {
    match (is_total, is_count(steps)) {
        (true, _) => Scalar::Total,
        (false, true) => Scalar::Count,
        (false, false) => Scalar::Plain,
    }
}

fn is_count(steps: &[Step]) -> bool {
    let last = steps.iter().rev().find_map(|step| match step {
        Step::Member(name) => Some(name),
        Step::Element => None,
    });
    last.is_some_and(|name| is_count_name(name))
}

/// Whether something of this name counts records, as far as a name can tell.
pub(in crate::policy) fn is_count_name(name: &str) -> bool {
    COUNTS.contains(&name.to_lowercase().replace('-', "_").as_str())
}

fn steps(reader: &mut Reader<'_>, text: &str, span: Span) -> Option<Vec<Step>> {
    let found = text.strip_prefix('$').and_then(split);
    if found.is_none() {
        let message = format!("`{}` is no place in a body", cut(text));
        let help =
            "write `$` for the whole body, `$[]` for each of its elements, `$.items[]`".to_owned();
        reader.fault(span, Code::WrongValue, message, Some(help));
    }
    found
}

fn split(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() < STEP_LIMIT {
        if let Some(after) = rest.strip_prefix("[]") {
            steps.push(Step::Element);
            rest = after;
            continue;
        }
        let name = rest.strip_prefix('.')?;
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, after) = name.split_at_checked(end)?;
        if name.is_empty() || name.contains([']', '*']) || name.chars().any(char::is_control) {
            return None;
        }
        steps.push(Step::Member(name.into()));
        rest = after;
    }
    rest.is_empty().then_some(steps)
}

/// Puts `leaf` at the end of `steps`; false if the place is taken or of another form.
fn put(slot: &mut Option<BodyShape>, steps: &[Step], leaf: BodyShape) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        let free = slot.is_none();
        if free {
            *slot = Some(leaf);
        }
        return free;
    };
    match step {
        Step::Member(name) => {
            let BodyShape::Object(members) = slot.get_or_insert(BodyShape::Object(Vec::new()))
            else {
                return false;
            };
            if let Some((_, shape)) = members.iter_mut().find(|(other, _)| other == name) {
                let mut inner = Some(shape.clone());
                let fits = put(&mut inner, rest, leaf);
                if let Some(inner) = inner {
                    *shape = inner;
                }
                return fits;
            }
            let mut inner = None;
            let fits = put(&mut inner, rest, leaf);
            members.extend(inner.map(|shape| (name.clone(), shape)));
            fits
        }
        Step::Element => {
            let mut inner = match slot.take() {
                None => None,
                Some(BodyShape::Array(inner)) => Some(*inner),
                Some(other) => {
                    *slot = Some(other);
                    return false;
                }
            };
            let fits = put(&mut inner, rest, leaf);
            *slot = inner.map(|shape| BodyShape::Array(Box::new(shape)));
            fits
        }
    }
}
