//! `{ assurance: 2, fresh: 15m, zone: [business] }`: what a grade, a route or a rule asks.

use super::super::model::Requirement;
use crate::document::{Code, Content, Node, Reader};

pub(super) fn requirement(reader: &mut Reader<'_>, node: &Node) -> Requirement {
    // Lines that were meant to stand below it, but are not indented, would be missed in silence.
    if matches!(node.content, Content::Null) {
        let message = "a requirement that asks nothing".to_owned();
        let help = "write `{}` if nothing is asked, or what is: `{ assurance: 2, fresh: 15m }`";
        reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
    }
    let keys = reader.keys(node, "a requirement", &["assurance", "fresh", "zone"]);
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
    requirement
}
