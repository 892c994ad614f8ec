//! `link: [call, queue]`, or `link: { kinds: [call], missing: flag }`: the cases that must tie the caller to whom a
//! record is about.

use super::super::model::{Action, Effect, Grade, Model, Route};
use super::super::ties::{CaseKinds, Missing};
use crate::document::{Code, Content, Keys, Node, Reader, Span, cut};

/// The longest word of a kind of case.
const KIND_LIMIT: usize = 32;
const KEYS: [&str; 2] = ["kinds", "missing"];

pub(super) fn read(reader: &mut Reader<'_>, keys: &Keys<'_>) -> CaseKinds {
    let Some(pair) = keys.find("link") else { return CaseKinds::default() };
    let mut asked = CaseKinds::default();
    if matches!(pair.value.content, Content::Map(_)) {
        let keys = reader.keys(&pair.value, "`link`", &KEYS);
        if let Some(pair) = keys.find("missing") {
            asked.missing = missing(reader, &pair.value);
        }
        match keys.find("kinds") {
            Some(pair) => kinds(reader, &pair.value, &mut asked),
            None => reader.missing(pair.key_span, "`link`", "kinds", "[call, queue]"),
        }
    } else {
        kinds(reader, &pair.value, &mut asked);
    }
    asked
}

fn missing(reader: &mut Reader<'_>, node: &Node) -> Missing {
    match reader.text(node, "`missing`") {
        Some("flag") => Missing::Flag,
        Some("deny") | None => Missing::Deny,
        Some(other) => {
            let message = format!("`missing` must be `deny` or `flag`, got `{}`", cut(other));
            reader.fault(node.span, Code::WrongValue, message, None);
            Missing::Deny
        }
    }
}

fn kinds(reader: &mut Reader<'_>, node: &Node, asked: &mut CaseKinds) {
    let words = reader.words(node, "`link`");
    if words.is_empty() {
        let message = "`link` names no kind of case".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in words {
        let is_of_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=KIND_LIMIT).contains(&word.len()) && word.bytes().all(is_of_word) {
            asked.kinds.insert(word.into());
        } else {
            let message = format!(
                "a kind of case must be 1 to {KIND_LIMIT} lower-case letters, digits and `-`"
            );
            reader.fault(span, Code::WrongValue, message, None);
        }
    }
}

/// A link ties to whom a record is about: where none is known or read, it cannot be asked for.
pub(super) fn check(reader: &mut Reader<'_>, model: &Model) {
    for route in &model.routes {
        let opaque = route.opaque.as_ref();
        let grade = opaque.and_then(|opaque| model.requirement_of(opaque.grade));
        let asks = !route.require.link.is_empty() || grade.is_some_and(|g| !g.link.is_empty());
        let problem = if asks { untestable(model, route, &route.main) } else { None };
        if let Some(problem) = problem {
            report(reader, route.span, &problem);
        }
    }
    for rule in &model.rules {
        if !rule.require.link.is_empty() {
            let Some(of) = rule.of else {
                report(reader, rule.span, "the rule is about no entity: say with `of`");
                continue;
            };
            let mut routes = model.routes.iter().filter(|route| rule.covers(route));
            if let Some(problem) = routes.find_map(|route| untestable(model, route, &[of])) {
                report(reader, rule.span, &problem);
            }
        }
        let Some(entity) = rule.of.and_then(|of| model.entities.get(of)) else { continue };
        let asks = |at: &u16| match entity.fields.get(usize::from(*at)).map(|field| field.grade) {
            Some(Grade::Open(grade)) => {
                model.requirement_of(grade).is_some_and(|grade| !grade.link.is_empty())
            }
            Some(Grade::Sealed | Grade::Ungraded) | None => false,
        };
        let shows = rule.effect == Effect::Allow && rule.clear.iter().any(asks);
        if shows && entity.subject.is_none() {
            let problem = format!("its grade asks for one, and `{}` has no `subject`", entity.name);
            report(reader, rule.span, &problem);
        }
    }
}

fn report(reader: &mut Reader<'_>, span: Span, problem: &str) {
    let message = format!("`link` cannot be tested: {problem}");
    let help = "a link ties the caller and the data subject of a record that is read".to_owned();
    reader.fault(span, Code::NoRecord, message, Some(help));
}

/// Why nobody could be tied to whom these entities of the route are about.
fn untestable(model: &Model, route: &Route, entities: &[usize]) -> Option<String> {
    let name = &route.name;
    let mut known = entities.iter().filter_map(|at| model.entities.get(*at)).peekable();
    if known.peek().is_none() {
        return Some(format!("`{name}` is about no entity"));
    }
    if let Some(entity) = known.find(|entity| entity.subject.is_none()) {
        return Some(format!("`{}` has no `subject`", entity.name));
    }
    let read_first = |what: &str| {
        let problem =
            format!("the record that `{name}` {what} is not read before: give it `reads`");
        route.reads.is_none().then_some(problem)
    };
    match route.action {
        Action::Create | Action::Call => {
            Some(format!("`{name}` has no record that exists already"))
        }
        Action::Update | Action::Delete => read_first("changes"),
        Action::View | Action::Search | Action::Export if route.opaque.is_some() => {
            read_first("is about")
        }
        Action::View | Action::Search | Action::Export => None,
    }
}
