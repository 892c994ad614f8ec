//! `headers`: what a route lets through of the heads of requests and answers, both ways.

use super::super::headers::{HeaderRule, Headers, OWN_COOKIE, may_be_sent};
use super::super::model::Action;
use crate::document::{Code, Keys, Node, Reader, Span, cut};

const KEYS: [&str; 3] = ["send", "pass", "cookies"];
const NAME_LIMIT: usize = 32;
/// What every request brings.
const SENT_ANYWAY: [&str; 4] = ["accept-language", "content-type", "user-agent", "idempotency-key"];

/// Reads `headers` of the route with these keys.
pub(super) fn headers(reader: &mut Reader<'_>, route: &Keys<'_>, action: Action) -> Headers {
    let Some(pair) = route.find("headers") else { return Headers::default() };
    let keys = reader.keys(&pair.value, "`headers`", &KEYS);
    let send = keys.find("send").map_or(Vec::new(), |p| send(reader, &p.value));
    let is_opaque = route.find("opaque").is_some();
    let pass = keys.find("pass").map_or(Vec::new(), |p| pass(reader, &p.value, action, is_opaque));
    let cookies = keys.find("cookies").map_or(Vec::new(), |p| cookies(reader, &p.value));
    if route.find("answer").is_some() {
        for key in [keys.find("pass"), keys.find("cookies")].into_iter().flatten() {
            let message = format!("a route with a constant answer has no `{}`", key.key);
            reader.fault(key.key_span, Code::Contradiction, message, None);
        }
    }
    Headers { send, pass, cookies }
}

fn send(reader: &mut Reader<'_>, node: &Node) -> Vec<Box<str>> {
    let mut found = Vec::new();
    for (name, span) in names(reader, node, "`send`") {
        if SENT_ANYWAY.contains(&name) {
            let message = format!("`{name}` reaches every backend as it is");
            reader.fault(span, Code::WrongValue, message, Some("leave it out".to_owned()));
        } else if !may_be_sent(name) {
            let message = format!("`{}` cannot be sent to a backend", cut(name));
            let help = "a backend would take identity, routing, a condition or a method from it";
            reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
        } else {
            found.push(name.into());
        }
    }
    found
}

fn pass(
    reader: &mut Reader<'_>,
    node: &Node,
    action: Action,
    is_opaque: bool,
) -> Vec<(Box<str>, HeaderRule)> {
    let mut found = Vec::new();
    for (name, span) in names(reader, node, "`pass`") {
        let problem = match HeaderRule::of(name) {
            None if name == "set-cookie" => Some("name the cookies in `cookies`"),
            None => Some("the gate writes it itself, or it is for the connection or the browser"),
            Some(HeaderRule::OfBytes) if !is_opaque => {
                Some("it describes bytes that the caller does not get; only opaque routes pass it")
            }
            Some(HeaderRule::Place) if action.only_reads() => {
                Some("what only reads has no new place to tell")
            }
            Some(rule) => {
                found.push((name.into(), rule));
                None
            }
        };
        if let Some(problem) = problem {
            let message = format!("`{}` of an answer cannot pass", cut(name));
            reader.fault(span, Code::WrongValue, message, Some(problem.to_owned()));
        }
    }
    found
}

fn cookies(reader: &mut Reader<'_>, node: &Node) -> Vec<Box<str>> {
    let mut found: Vec<Box<str>> = Vec::new();
    for (name, span) in reader.words(node, "`cookies`") {
        let is_own = name.to_ascii_lowercase().starts_with(OWN_COOKIE);
        if is_own || !name.bytes().all(is_token) || name.is_empty() || found.len() >= NAME_LIMIT {
            let message = format!("`{}` cannot be a cookie of a backend's", cut(name));
            let help =
                format!("write the name of a cookie, at most {NAME_LIMIT}, none of the gate's own");
            reader.fault(span, Code::WrongValue, message, Some(help));
        } else {
            found.push(name.into());
        }
    }
    found
}

/// Names of headers in lower case, each once.
fn names<'t>(reader: &mut Reader<'_>, node: &'t Node, what: &str) -> Vec<(&'t str, Span)> {
    let mut found: Vec<(&str, Span)> = Vec::new();
    for (name, span) in reader.words(node, what) {
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| is_token(byte) && !byte.is_ascii_uppercase());
        let is_twice = found.iter().any(|(other, _)| *other == name);
        if !is_name || is_twice || found.len() >= NAME_LIMIT {
            let message = format!("`{}` is no header that {what} can name", cut(name));
            let help = format!("write each name once and in lower case, at most {NAME_LIMIT}");
            reader.fault(span, Code::WrongValue, message, Some(help));
        } else {
            found.push((name, span));
        }
    }
    found
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&*+-.^_|~".contains(&byte)
}
