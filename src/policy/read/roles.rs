//! Roles, and which include which.

use super::super::model::{Audience, Model, Role};
use super::Sections;
use crate::document::Code;
use crate::document::Node;
use crate::document::Reader;
use crate::document::Span;

const ROLE_LIMIT: usize = 1000;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut definitions = sections.definitions("roles", reader);
    definitions.retain(|pair| is_role_name(reader, pair.key_span, &pair.key));
    if let Some(pair) = definitions.get(ROLE_LIMIT) {
        let message = format!("a policy must have at most {ROLE_LIMIT} roles");
        reader.fault(pair.key_span, Code::TooLarge, message, None);
        definitions.truncate(ROLE_LIMIT);
    }
    let names: Vec<&str> = definitions.iter().map(|pair| pair.key.as_str()).collect();
    let mut includes = Vec::new();
    for pair in &definitions {
        let keys = reader.keys(&pair.value, "a role", &["includes", "rank", "external"]);
        let rank = keys.find("rank").and_then(|pair| reader.number(&pair.value, "`rank`", 0, 100));
        let external = keys.find("external").is_some_and(|pair| flag(reader, &pair.value));
        let included = keys.find("includes").map_or_else(Vec::new, |pair| {
            let words = reader.words(&pair.value, "`includes`");
            words.into_iter().filter_map(|(word, span)| role(reader, &names, word, span)).collect()
        });
        includes.push(included);
        model.roles.push(Role {
            name: pair.key.as_str().into(),
            held: Vec::new(),
            rank: rank.and_then(|rank| u8::try_from(rank).ok()).unwrap_or(1),
            external,
            span: pair.key_span,
        });
    }
    close(&includes, reader, model);
}

fn is_role_name(reader: &mut Reader<'_>, span: Span, name: &str) -> bool {
    if name == "any" {
        let message = "a role cannot be called `any`: the word stands for every caller".to_owned();
        reader.fault(span, Code::WrongValue, message, None);
        return false;
    }
    reader.check_name(span, name)
}

fn flag(reader: &mut Reader<'_>, node: &Node) -> bool {
    match reader.text(node, "`external`") {
        Some("true") => true,
        Some("false") | None => false,
        Some(_) => {
            let message = "`external` must be `true` or `false`".to_owned();
            reader.fault(node.span, Code::WrongValue, message, None);
            false
        }
    }
}

fn role(reader: &mut Reader<'_>, names: &[&str], word: &str, span: Span) -> Option<usize> {
    let found = names.iter().position(|name| *name == word);
    if found.is_none() {
        reader.unknown(span, "role", word, names);
    }
    found
}

/// Follows `includes` to its end for each role; a role that reaches itself is a fault.
fn close(includes: &[Vec<usize>], reader: &mut Reader<'_>, model: &mut Model) {
    for (index, role) in model.roles.iter_mut().enumerate() {
        let mut held = vec![index];
        let mut next = 0;
        let mut ring = false;
        while let Some(included) = held.get(next).and_then(|index| includes.get(*index)) {
            for other in included {
                ring |= *other == index;
                if !held.contains(other) {
                    held.push(*other);
                }
            }
            next += 1;
        }
        if ring {
            let message = format!("the role `{}` includes itself", role.name);
            reader.fault(role.span, Code::Ring, message, None);
        }
        role.held = held;
    }
}

/// `to: teller`, `to: [teller, analyst]` or `to: any`.
pub(super) fn audience(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Audience {
    let words = reader.words(node, "`to`");
    if words.iter().any(|(word, _)| *word == "any") {
        if words.len() > 1 {
            let message = "`any` stands alone: it already means every caller".to_owned();
            reader.fault(node.span, Code::WrongValue, message, None);
        }
        return Audience::Any;
    }
    if words.is_empty() {
        let message = "`to` must name at least one role, or `any`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    let mut names: Vec<&str> = model.roles.iter().map(|role| role.name.as_ref()).collect();
    names.push("any");
    let found = words.into_iter().filter_map(|(word, span)| role(reader, &names, word, span));
    Audience::Roles(found.collect())
}
