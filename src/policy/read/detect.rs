//! The detector: `detect: { answers: { bank-card: mask }, requests: { bank-card: refuse } }`, and where not
//! to look.

use super::super::detect::DETECTED;
use super::super::kind::Kind;
use super::super::model::Model;
use super::super::plan::OnHit;
use super::Sections;
use crate::document::{Code, Content, Node, Pair, Reader, accepted, cut};

const KEYS: [&str; 4] = ["answers", "requests", "except", "except-routes"];
const ALL: &str = "all";

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for pair in sections.definitions("detect", reader) {
        match pair.key.as_str() {
            "answers" => {
                let sought = sought(reader, pair, OnHit::IN_ANSWERS);
                model.detect.answers.extend(sought);
            }
            "requests" => {
                let sought = sought(reader, pair, OnHit::IN_REQUESTS);
                model.detect.requests.extend(sought);
            }
            "except" => fields(reader, model, &pair.value),
            "except-routes" => routes(reader, model, &pair.value),
            other => {
                let message = format!("unknown key `{}` in `detect`", cut(other));
                let help = accepted(other, &KEYS);
                reader.fault(pair.key_span, Code::UnknownKey, message, Some(help));
            }
        }
    }
}

/// Kinds, each with what becomes of a hit.
fn sought(
    reader: &mut Reader<'_>,
    pair: &Pair,
    words: &'static [(&'static str, OnHit)],
) -> Vec<(Kind, OnHit)> {
    let mut sought = Vec::new();
    for pair in reader.map(&pair.value, &format!("`{}`", pair.key)) {
        let Some(kind) = kind(reader, &pair.key, pair.key_span) else { continue };
        let Some(word) = reader.text(&pair.value, "what becomes of a hit") else { continue };
        match words.iter().find(|(name, _)| *name == word) {
            Some((_, on_hit)) => sought.push((kind, *on_hit)),
            None => {
                let known: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
                let help = accepted(word, &known);
                let message = format!("`{}` is nothing that a hit can lead to here", cut(word));
                reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
            }
        }
    }
    sought
}

fn kind(reader: &mut Reader<'_>, name: &str, span: crate::document::Span) -> Option<Kind> {
    let known: Vec<&str> = DETECTED.iter().map(|kind| kind.name()).collect();
    let kind = Kind::named(name).filter(|kind| DETECTED.contains(kind));
    if kind.is_none() {
        reader.unknown(span, "kind that can be looked for", &cut(name), &known);
    }
    kind
}

/// `customer.reference: [id-nik]`.
fn fields(reader: &mut Reader<'_>, model: &mut Model, node: &Node) {
    for pair in reader.map(node, "`except`") {
        let kinds = kinds(reader, &pair.value);
        let named = pair.key.split_once('.').and_then(|(entity, path)| {
            let at = model.entities.iter().position(|other| other.name.as_ref() == entity)?;
            Some((at, model.entities.get(at)?, path))
        });
        let Some((at, entity, path)) = named else {
            let known: Vec<&str> = model.entities.iter().map(|e| e.name.as_ref()).collect();
            reader.unknown(pair.key_span, "field", &cut(&pair.key), &known);
            continue;
        };
        match entity.fields_at(path) {
            Ok(found) => {
                for field in found {
                    model.detect.fields.entry((at, field)).or_default().extend(&kinds);
                }
            }
            Err((code, message, help)) => {
                reader.fault(pair.key_span, code, message, Some(help));
            }
        }
    }
}

/// `payment.create: all`.
fn routes(reader: &mut Reader<'_>, model: &mut Model, node: &Node) {
    for pair in reader.map(node, "`except-routes`") {
        let kinds = kinds(reader, &pair.value);
        match model.routes.iter().position(|route| *route.name == *pair.key) {
            Some(route) => model.detect.routes.entry(route).or_default().extend(&kinds),
            None if reader.is_broken_route(&pair.key) => {}
            None => {
                let known: Vec<&str> = model.routes.iter().map(|r| r.name.as_ref()).collect();
                reader.unknown(pair.key_span, "route", &cut(&pair.key), &known);
            }
        }
    }
}

/// `all`, a kind, or several.
fn kinds(reader: &mut Reader<'_>, node: &Node) -> Vec<Kind> {
    if matches!(&node.content, Content::Text(text) if text == ALL) {
        return DETECTED.to_vec();
    }
    let words = reader.words(node, "what is not looked for");
    words.into_iter().filter_map(|(word, span)| kind(reader, word, span)).collect()
}
