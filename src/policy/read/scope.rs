//! Whose a limit is and which requests it counts: `per: tenant`, `on: { purpose: marketing, action: [search, export] }`.

use super::super::limits::Slice;
use super::super::model::{Action, Audience, Model, Whose};
use crate::document::{Code, Content, Keys, Node, Reader, cut};

const ON_KEYS: [&str; 4] = ["purpose", "action", "route", "grant"];
/// The only grants that a limit can be about.
const EMERGENCY: &str = "emergency";
/// Keys that are about one answer, so that nobody can share them.
const OF_ONE_ANSWER: [&str; 2] = ["page", "export"];

/// Who counts together; each person alone, where nothing is said.
pub(super) fn per(reader: &mut Reader<'_>, keys: &Keys<'_>, to: &Audience) -> Whose {
    let Some(pair) = keys.find("per") else { return Whose::Person };
    let Some(word) = reader.text(&pair.value, "`per`") else { return Whose::Person };
    let Some((_, per)) = Whose::NAMES.iter().find(|(name, _)| *name == word) else {
        let known: Vec<&str> = Whose::NAMES.iter().map(|(name, _)| *name).collect();
        reader.unknown(pair.value.span, "holder of a limit", &cut(word), &known);
        return Whose::Person;
    };
    if *per == Whose::Role && matches!(to, Audience::Any) {
        let message =
            "`per: role` counts all who hold a role together, and `any` is none".to_owned();
        let help = "name the roles in `to`, each of which then has a budget of its own".to_owned();
        reader.fault(pair.value.span, Code::Contradiction, message, Some(help));
    }
    for key in OF_ONE_ANSWER.iter().filter(|_| *per != Whose::Person) {
        if let Some(other) = keys.find(key) {
            let message =
                format!("`{key}` is about one answer, and `per: {word}` about many people's");
            let help = format!("write `{key}` in a limit without `per`; `files` may be shared");
            reader.fault(other.key_span, Code::Contradiction, message, Some(help));
        }
    }
    *per
}

/// The requests that a limit counts.
pub(super) fn on(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Slice {
    if matches!(&node.content, Content::Map(pairs) if pairs.is_empty())
        || matches!(node.content, Content::Null)
    {
        let message = "an `on` that selects no requests".to_owned();
        let help = "leave it out to count all, or write `{ purpose: … }`, `action`, `route` or `grant: emergency`";
        reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
        return Slice::default();
    }
    let keys = reader.keys(node, "`on`", &ON_KEYS);
    let purposes: Vec<&str> = model.purposes.iter().map(|purpose| purpose.name.as_ref()).collect();
    let routes: Vec<&str> = model.routes.iter().map(|route| route.name()).collect();
    let actions: Vec<&str> = Action::NAMES.iter().map(|(name, _)| *name).collect();
    let mut actions: Vec<Action> = names(reader, &keys, "action", &actions)
        .iter()
        .filter_map(|word| Action::NAMES.iter().find(|(name, _)| *name == &**word))
        .map(|(_, action)| *action)
        .collect();
    actions.sort_unstable();
    Slice {
        purposes: names(reader, &keys, "purpose", &purposes),
        actions,
        routes: names(reader, &keys, "route", &routes),
        emergency: !names(reader, &keys, "grant", &[EMERGENCY]).is_empty(),
    }
}

/// The names of one key, in order; those that nothing defines are faults.
fn names(reader: &mut Reader<'_>, keys: &Keys<'_>, key: &str, known: &[&str]) -> Vec<Box<str>> {
    let Some(pair) = keys.find(key) else { return Vec::new() };
    let mut found: Vec<Box<str>> = Vec::new();
    let words = reader.words(&pair.value, &format!("`{key}`"));
    if words.is_empty() {
        let message = format!("`{key}` selects no requests");
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in words {
        if known.contains(&word) {
            found.push(word.into());
        } else {
            reader.unknown(span, key, &cut(word), known);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
