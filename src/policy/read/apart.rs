//! `apart: [[security, auditor]]`: roles that nobody holds together.

use super::super::model::Model;
use super::Sections;
use crate::document::{Code, Node, Reader, cut};

/// The most sets.
const SET_LIMIT: usize = 100;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for (count, node) in sections.items("apart", reader).into_iter().enumerate() {
        if count == SET_LIMIT {
            let message = format!("a policy must keep at most {SET_LIMIT} sets of roles apart");
            reader.fault(node.span, Code::TooLarge, message, None);
            return;
        }
        let set = set(reader, model, node);
        model.apart.push(set);
    }
}

fn set(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Vec<usize> {
    let names: Vec<&str> = model.roles.iter().map(|role| role.name.as_ref()).collect();
    let mut set = Vec::new();
    for (word, span) in reader.words(node, "roles that are kept apart") {
        match names.iter().position(|name| *name == word) {
            Some(role) if !set.contains(&role) => set.push(role),
            Some(_) => {}
            None => reader.unknown(span, "role", &cut(word), &names),
        }
    }
    if set.len() < 2 {
        let message = "at least two roles are kept apart".to_owned();
        let help = "write `[security, auditor]`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    for role in &model.roles {
        let held: Vec<_> = set.iter().filter(|kept| role.held.contains(kept)).collect();
        if let [one, other, ..] = held.as_slice() {
            let name = |index: &usize| names.get(*index).copied().unwrap_or_default();
            let message = format!(
                "whoever holds `{}` holds `{}` and `{}`, which are kept apart",
                role.name,
                name(one),
                name(other)
            );
            reader.fault(node.span, Code::WrongValue, message, None);
        }
    }
    set
}
