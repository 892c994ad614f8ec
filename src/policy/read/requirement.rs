//! `{ assurance: 2, fresh: 15m, zone: [business], device: bound, grant: required, link: [call] }`: what a grade, a route or a rule asks.

use super::super::model::Requirement;
use super::links;
use crate::document::{Code, Content, Keys, Node, Reader, cut};

const KEYS: [&str; 6] = ["assurance", "fresh", "zone", "device", "grant", "link"];

pub(super) fn requirement(reader: &mut Reader<'_>, node: &Node) -> Requirement {
    // Lines that were meant to stand below it, but are not indented, would be missed in silence.
    if matches!(node.content, Content::Null) {
        let message = "a requirement that asks nothing".to_owned();
        let help = "write `{}` if nothing is asked, or what is: `{ assurance: 2, fresh: 15m }`";
        reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
    }
    let keys = reader.keys(node, "a requirement", &KEYS);
    let mut requirement = Requirement::default();
    if let Some(pair) = keys.find("assurance") {
        let level = reader.number(&pair.value, "`assurance`", 1, 3);
        requirement.assurance = level.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    }
    if let Some(pair) = keys.find("fresh") {
        requirement.fresh_s = reader.duration(&pair.value, "`fresh`");
    }
    if let Some(pair) = keys.find("zone") {
        requirement.zones = reader.names(&pair.value, "`zone`");
    }
    requirement.device = asks(reader, &keys, "device", "bound");
    requirement.grant = asks(reader, &keys, "grant", "required");
    requirement.link = links::read(reader, &keys);
    requirement
}

/// A key that takes one word only, which says what it means where it stands.
fn asks(reader: &mut Reader<'_>, keys: &Keys<'_>, key: &str, word: &str) -> bool {
    let Some(pair) = keys.find(key) else { return false };
    match reader.text(&pair.value, &format!("`{key}`")) {
        Some(text) if text == word => {}
        Some(text) => {
            let message = format!("`{key}` must be `{word}`, got `{}`", cut(text));
            let help = "leave the key out where it is not asked".to_owned();
            reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
        }
        None => {}
    }
    true
}
