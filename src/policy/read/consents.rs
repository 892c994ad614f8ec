//! `consent: required`, `consent: objection`, or `consent: { kinds: [explicit, guardian], notice: 3 }`: what a purpose
//! asks of whom records are about.

use super::super::consent::{ConsentKind, Demand};
use crate::document::{Code, Content, Node, Reader, cut};

const KEYS: [&str; 2] = ["kinds", "notice"];

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Demand> {
    if !matches!(node.content, Content::Map(_)) {
        return match reader.text(node, "`consent`")? {
            "required" => Some(Demand::spoken()),
            "objection" => Some(Demand::no_objection()),
            other => {
                let message =
                    format!("`consent` must be `required` or `objection`, got `{}`", cut(other));
                let help = "or `{ kinds: [explicit, guardian], notice: 3 }`".to_owned();
                reader.fault(node.span, Code::WrongValue, message, Some(help));
                None
            }
        };
    }
    let keys = reader.keys(node, "`consent`", &KEYS);
    let mut demand = Demand::spoken();
    if let Some(pair) = keys.find("kinds") {
        demand.kinds = kinds(reader, &pair.value);
    }
    if let Some(pair) = keys.find("notice") {
        let notice = reader.number(&pair.value, "`notice`", 1, u32::from(u16::MAX))?;
        demand.notice = u16::try_from(notice).unwrap_or(u16::MAX);
    }
    Some(demand)
}

fn kinds(reader: &mut Reader<'_>, node: &Node) -> Vec<ConsentKind> {
    let words = reader.words(node, "`kinds`");
    if words.is_empty() {
        let message = "`kinds` names no kind of consent".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    let mut kinds = Vec::new();
    for (word, span) in words {
        match ConsentKind::named(word) {
            Some(kind) => kinds.push(kind),
            None => {
                let known = ConsentKind::NAMES.map(|(name, _)| name);
                reader.unknown(span, "kind of consent", &cut(word), &known);
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
