//! `opaque`: routes whose answers pass unread, and what must be said of them for that.

use super::super::model::{Action, Model};
use super::super::opaque::{MediaRange, Opaque};
use super::socket::socket;
use crate::document::{Code, Keys, Node, Pair, Reader, Span, accepted, cut};
use crate::route::Template;

const KEYS: [&str; 6] = ["types", "grade", "size", "subject", "of", "websocket"];
const TYPE_LIMIT: usize = 32;
/// Kinds of which all may be named at once: no text that could be judged hides among them.
const WHOLE_KINDS: [&str; 4] = ["image", "audio", "video", "font"];
const EVENTS: &str = "text/event-stream";
/// 64 GiB.
const SIZE_LIMIT_KIB: u64 = 64 * 1024 * 1024;

/// Reads `opaque` of the route with these keys.
pub(super) fn opaque(
    reader: &mut Reader<'_>,
    model: &Model,
    route: &Keys<'_>,
    (method, template): (&str, &Template),
    pair: &Pair,
) -> Option<Opaque> {
    for other in ["returns", "accepts", "as"] {
        if let Some(other) = route.find(other) {
            let message = format!("an opaque route has no `{}`", other.key);
            let help = "make two routes: one that is read, one that passes unread".to_owned();
            reader.fault(other.key_span, Code::Contradiction, message, Some(help));
        }
    }
    let keys = reader.keys(&pair.value, "`opaque`", &KEYS);
    let websocket = keys.find("websocket");
    let socket = websocket.map(|p| socket(reader, route, method, p));
    let types = keys.find("types").map_or(Vec::new(), |p| types(reader, &p.value));
    let is_events = types.iter().any(is_events);
    let examples = [("types", "[application/pdf, image/*]"), ("grade", "3"), ("size", "20MiB")];
    for (key, example) in examples {
        let is_sized = key == "size" && (is_events || websocket.is_some());
        let is_asked = !is_sized && (key == "grade" || websocket.is_none());
        if keys.find(key).is_none() && is_asked {
            reader.missing(pair.key_span, "`opaque`", key, example);
        }
    }
    for key in ["types", "size"] {
        if let Some(other) = keys.find(key).filter(|_| websocket.is_some()) {
            let message = format!("a WebSocket has no `{key}`: its own keys say what may pass");
            reader.fault(other.key_span, Code::Contradiction, message, None);
        }
    }
    if let Some(size) = keys.find("size").filter(|_| is_events) {
        let message = "a stream of events has no size: the limit `bytes` ends it".to_owned();
        reader.fault(size.key_span, Code::Contradiction, message, None);
    }
    let grade = keys.find("grade").and_then(|p| grade(reader, model, &p.value));
    let size = keys.find("size").and_then(|p| size(reader, "`size`", &p.value));
    let of = keys.find("of").and_then(|p| entity(reader, model, &p.value));
    let subject = keys.find("subject").and_then(|p| subject(reader, template, &p.value));
    check_subject(reader, model, route, &keys, of);
    let named = |at: usize| Some((at, model.entities.get(at)?.name.clone()));
    let (grade, of) = (grade?, of.and_then(named));
    let socket = match socket {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Opaque { types, size_bytes: size, grade, subject, of, socket })
}

/// An opaque route takes things out or calls something; what it changes could not be judged. A WebSocket goes both ways.
pub(super) fn check_action(
    reader: &mut Reader<'_>,
    pair: &Pair,
    action: Action,
    opaque: Option<&Opaque>,
) {
    if action != Action::Call && opaque.is_some_and(|opaque| opaque.socket.is_some()) {
        let message = format!("a WebSocket cannot {action}: it goes both ways");
        let help = "give it the action `call`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        return;
    }
    if !action.only_reads() && action != Action::Call {
        let message = format!("an opaque route cannot {action}");
        let help = "give it the action `view`, `search`, `export` or `call`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
    }
}

fn types(reader: &mut Reader<'_>, node: &Node) -> Vec<MediaRange> {
    let mut found: Vec<MediaRange> = Vec::new();
    let words = reader.words(node, "`types`");
    if words.is_empty() || words.len() > TYPE_LIMIT {
        let message = format!("`types` must name one media type, at most {TYPE_LIMIT}");
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    let is_alone = words.len() == 1;
    for (word, span) in words.into_iter().take(TYPE_LIMIT) {
        match media_range(word) {
            Ok(range) if is_events(&range) && !is_alone => {
                let message = format!("`{EVENTS}` must be the only type of its route");
                reader.fault(span, Code::Contradiction, message, None);
            }
            Ok(range) => found.push(range),
            Err(help) => {
                let message = format!("`{}` cannot pass unread", cut(word));
                reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
            }
        }
    }
    found
}

fn is_events(range: &MediaRange) -> bool {
    EVENTS.split_once('/').is_some_and(|(kind, subtype)| {
        *range.kind == *kind && range.subtype.as_deref() == Some(subtype)
    })
}

/// A media type of which the gate could not judge the content; else what to write.
fn media_range(text: &str) -> Result<MediaRange, &'static str> {
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    let Some((kind, subtype)) = text.split_once('/').filter(|(kind, _)| is_token(kind)) else {
        return Err("write a media type in lower case, such as `application/pdf` or `image/*`");
    };
    if subtype == "*" {
        return if WHOLE_KINDS.contains(&kind) {
            Ok(MediaRange { kind: kind.into(), subtype: None })
        } else {
            Err("only `image/*`, `audio/*`, `video/*` and `font/*` may be named as a whole")
        };
    }
    if !is_token(subtype) {
        return Err("write a media type in lower case, such as `application/pdf` or `image/*`");
    }
    let is_judged =
        ["json", "jsonl", "jsonlines", "json-seq"].iter().any(|suffix| subtype.ends_with(suffix))
            || ["text/csv", "text/tab-separated-values"].contains(&text);
    if is_judged {
        return Err("say with `returns`, and `as` where it is not JSON, what stands in it");
    }
    Ok(MediaRange { kind: kind.into(), subtype: Some(subtype.into()) })
}

fn grade(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Option<u8> {
    let number = reader.number(node, "`grade`", 1, 4)?;
    let grade = u8::try_from(number).ok()?;
    let defined = model.grades.get(usize::from(grade) - 1).is_some_and(Option::is_some);
    if !defined {
        let help = format!("add `{grade}: {{}}` to `grades`, with what it asks");
        let message = format!("grade {grade} is not defined");
        reader.fault(node.span, Code::UnknownName, message, Some(help));
    }
    Some(grade)
}

/// `20MiB` in bytes.
pub(super) fn size(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<u64> {
    let text = reader.text(node, key)?;
    let units = [("KiB", 1), ("MiB", 1024), ("GiB", 1024 * 1024)];
    let split = units.iter().find_map(|(unit, kib)| Some((text.strip_suffix(unit)?, *kib)));
    let kib = split.and_then(|(digits, kib): (&str, u64)| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(kib)
    });
    let found = kib.filter(|kib| (1..=SIZE_LIMIT_KIB).contains(kib));
    if found.is_none() {
        let message = format!("{key} must be a number of bytes, got `{}`", cut(text));
        let help = "write `20MiB`: `KiB`, `MiB` or `GiB`, at most 64 GiB".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    found.map(|kib| kib * 1024)
}

fn entity(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Option<usize> {
    let name = reader.text(node, "`of`")?;
    let found = model.entities.iter().position(|entity| entity.name.as_ref() == name);
    if found.is_none() {
        let known: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_ref()).collect();
        reader.unknown(node.span, "entity", &cut(name), &known);
    }
    found
}

fn subject(reader: &mut Reader<'_>, template: &Template, node: &Node) -> Option<Box<str>> {
    let name = reader.text(node, "`subject`")?;
    let known: Vec<&str> = template.parameters().collect();
    if !known.contains(&name) {
        let message = format!("the path has no parameter `{}`", cut(name));
        reader.fault(node.span, Code::UnknownName, message, Some(accepted(name, &known)));
        return None;
    }
    Some(name.into())
}

/// What is about people must be counted in people.
fn check_subject(
    reader: &mut Reader<'_>,
    model: &Model,
    route: &Keys<'_>,
    keys: &Keys<'_>,
    of: Option<usize>,
) {
    let reads = route.find("reads").is_some();
    if keys.find("of").is_none() {
        for pair in [keys.find("subject"), route.find("reads")].into_iter().flatten() {
            let help = "add `of: ENTITY` to `opaque`".to_owned();
            let message = format!("`{}` needs the entity that the answer is about", pair.key);
            reader.fault(pair.key_span, Code::MissingKey, message, Some(help));
        }
    }
    let (Some(pair), Some(entity)) = (keys.find("of"), of.and_then(|at| model.entities.get(at)))
    else {
        return;
    };
    let span: Span = pair.value.span;
    if entity.subject.is_some() && keys.find("subject").is_none() && !reads {
        let message = format!("nobody could count whose `{}` it is", entity.name);
        let help = "write `subject: PARAMETER`, or give the route `reads: VIEW-ROUTE`".to_owned();
        reader.fault(span, Code::MissingKey, message, Some(help));
    }
}
