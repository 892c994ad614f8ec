//! Routes: what is published, where it goes and what it carries.

use super::super::model::{Action, Model, Requirement, Route, Watermark};
use super::Sections;
use super::headers::headers;
use super::opaque::{check_action, opaque};
use super::parameters::{path, query};
use super::places::{body, formats};
use super::requirement::requirement;
use super::sending::sending;
use super::watermark::watermark;
use crate::document::Code;
use crate::document::Span;
use crate::document::accepted;
use crate::document::{Content, Node, Pair};
use crate::document::{Keys, Reader, cut};
use crate::route::{Entry, Table, Template, normalise_host};

const ROUTE_LIMIT: usize = 5000;
const KEYS: [&str; 19] = [
    "match",
    "to",
    "action",
    "path",
    "query",
    "accepts",
    "returns",
    "as",
    "watermark",
    "opaque",
    "answer",
    "retry",
    "require",
    "zones",
    "reads",
    "headers",
    "sent-as",
    "unwritable",
    "uploads",
];
/// No `HEAD`: its answer has no record to judge, so that it would tell which records exist.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut definitions = sections.definitions("routes", reader);
    definitions.retain(|pair| reader.check_name(pair.key_span, &pair.key));
    if let Some(pair) = definitions.get(ROUTE_LIMIT) {
        let message = format!("a policy must have at most {ROUTE_LIMIT} routes");
        reader.fault(pair.key_span, Code::TooLarge, message, None);
        definitions.truncate(ROUTE_LIMIT);
    }
    let (mut reads, mut paths) = (Vec::new(), Vec::new());
    for pair in definitions {
        let what = format!("the route `{}`", pair.key);
        let keys = reader.keys(&pair.value, &what, &KEYS);
        match route(reader, model, pair, &keys, model.routes.len()) {
            None => reader.broken_route(&pair.key),
            Some(route) => {
                reads.extend(keys.find("reads").map(|pair| (route.index, &pair.value)));
                paths.extend(keys.find("path").map(|pair| (route.index, &pair.value)));
                model.routes.push(route);
            }
        }
    }
    for (index, node) in reads {
        resolve_reads(reader, model, index, node);
    }
    for index in 0..model.routes.len() {
        resolve_entities(model, index);
    }
    for (index, node) in paths {
        path(reader, model, index, node);
    }
    check_ambiguity(reader, model);
}

fn route(
    reader: &mut Reader<'_>,
    model: &Model,
    pair: &Pair,
    keys: &Keys<'_>,
    index: usize,
) -> Option<Route> {
    let what = format!("the route `{}`", pair.key);
    for (key, example) in
        [("match", "GET bank.example/api/customers/{id}"), ("to", "core"), ("action", "view")]
    {
        if keys.find(key).is_none() {
            reader.missing(pair.key_span, &what, key, example);
        }
    }
    let returns = keys.find("returns").and_then(|p| body(reader, model, &p.value, "`returns`"));
    let accepts = keys.find("accepts").and_then(|p| body(reader, model, &p.value, "`accepts`"));
    let formats = formats(reader, keys, returns.as_ref());
    let entities = returns.as_ref().map_or(Vec::new(), |body| body.entities.clone());
    let query =
        keys.find("query").map_or(Vec::new(), |p| query(reader, model, &entities, &p.value));
    let zones = keys.find("zones").map_or(Vec::new(), |p| reader.names(&p.value, "`zones`"));
    let require =
        keys.find("require").map_or(Requirement::default(), |p| requirement(reader, &p.value));
    let action = keys.find("action").and_then(|p| action(reader, &p.value));
    let upstream = keys.find("to").and_then(|p| {
        let text = reader.text(&p.value, "`to`")?;
        reader.check_name(p.value.span, text).then(|| text.into())
    });
    let (method, host, template) = keys.find("match").and_then(|p| target(reader, &p.value))?;
    let unread = keys.find("opaque");
    let opaque = unread.and_then(|p| opaque(reader, model, keys, (&method, &template), p));
    let action = action?;
    if let Some(pair) = unread {
        check_action(reader, pair, action, opaque.as_ref());
    }
    let takes_body = accepts.is_some() || keys.find("uploads").is_some();
    check_method(reader, keys, &method, action, takes_body);
    let constant = constant(reader, keys, action);
    let repeats = repeats(reader, keys, &method);
    let headers = headers(reader, keys, action);
    let sending = sending(reader, keys);
    let watermark = keys.find("watermark").map_or(Watermark::default(), |p| {
        watermark(reader, model, p, returns.as_ref().filter(|_| action == Action::Export))
    });
    Some(Route {
        index,
        name: pair.key.as_str().into(),
        method,
        host,
        template,
        upstream: upstream?,
        action,
        zones,
        require,
        path: Vec::new(),
        query,
        accepts,
        returns,
        formats,
        opaque: if unread.is_some() { Some(opaque?) } else { None },
        constant,
        repeats,
        headers,
        sending,
        watermark,
        reads: None,
        main: Vec::new(),
        entities: Vec::new(),
        rules: Vec::new(),
        span: pair.key_span,
    })
}

/// A method that caches and prefetchers may repeat must not change anything, nor carry a body.
fn check_method(
    reader: &mut Reader<'_>,
    keys: &Keys<'_>,
    method: &str,
    action: Action,
    accepts: bool,
) {
    let Some(pair) = keys.find("match") else { return };
    let safe = method == "GET";
    if safe && !action.only_reads() && action != Action::Call {
        let message = format!("`{method}` cannot {action}: the method must not change anything");
        let help =
            "publish it with the method that the backend expects: POST, PUT, PATCH or DELETE";
        reader.fault(pair.value.span, Code::Contradiction, message, Some(help.to_owned()));
    }
    if safe && accepts {
        let message = format!("a `{method}` request has no body to accept");
        reader.fault(pair.value.span, Code::Contradiction, message, None);
    }
}

/// `answer: constant`: nothing that the backend says reaches the caller, so nothing of it is declared.
fn constant(reader: &mut Reader<'_>, keys: &Keys<'_>, action: Action) -> bool {
    let Some(pair) = keys.find("answer") else { return false };
    if reader.text(&pair.value, "`answer`").is_some_and(|word| word != "constant") {
        let message = "`answer` must be `constant`".to_owned();
        reader.fault(pair.value.span, Code::WrongValue, message, None);
    }
    if action.only_reads() {
        let message = format!("a constant answer to a {action} would show nothing");
        let help = "it is for a create, update, delete or call".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
    }
    for other in ["returns", "as", "opaque", "reads"] {
        if let Some(other) = keys.find(other) {
            let message = format!("a route with a constant answer has no `{}`", other.key);
            reader.fault(other.key_span, Code::Contradiction, message, None);
        }
    }
    true
}

/// `retry`: of a method that does the same once and twice (RFC 9110 section 9.2.2) it may be said that a second time does no harm.
fn repeats(reader: &mut Reader<'_>, keys: &Keys<'_>, method: &str) -> Option<bool> {
    let pair = keys.find("retry")?;
    match reader.text(&pair.value, "`retry`")? {
        "unsent" => Some(false),
        "idempotent" => {
            if ["POST", "PATCH"].contains(&method) {
                let message = format!("`{method}` is not idempotent: a second one may do it twice");
                reader.fault(pair.value.span, Code::Contradiction, message, None);
            }
            Some(true)
        }
        other => {
            let message = format!("`retry` must be `unsent` or `idempotent`, got `{}`", cut(other));
            reader.fault(pair.value.span, Code::WrongValue, message, None);
            None
        }
    }
}

pub(super) fn action(reader: &mut Reader<'_>, node: &Node) -> Option<Action> {
    let text = reader.text(node, "`action`")?;
    action_named(reader, text, node.span)
}

pub(super) fn action_named(reader: &mut Reader<'_>, text: &str, span: Span) -> Option<Action> {
    let found = Action::NAMES.iter().find(|(name, _)| *name == text).map(|(_, action)| *action);
    if found.is_none() {
        let known: Vec<&str> = Action::NAMES.iter().map(|(name, _)| *name).collect();
        reader.unknown(span, "action", &cut(text), &known);
    }
    found
}

fn target(reader: &mut Reader<'_>, node: &Node) -> Option<(Box<str>, Box<str>, Template)> {
    let text = reader.text(node, "`match`")?;
    let parts = text.split_once(' ').and_then(|(method, rest)| {
        let slash = rest.find('/')?;
        let (host, path) = rest.split_at_checked(slash)?;
        Some((method, host.trim(), path))
    });
    let Some((method, host, path)) = parts else {
        let message = format!("`{}` is no request", cut(text));
        let help = "write method, host and path: `GET bank.example/api/customers/{id}`".to_owned();
        reader.fault(node.span, Code::WrongPath, message, Some(help));
        return None;
    };
    if !METHODS.contains(&method) {
        let span = reader.part(node.span, text, 0, method.len());
        reader.unknown(span, "method", &cut(method), &METHODS);
        return None;
    }
    let host_start = text.find(host).unwrap_or(0);
    let Some(known_host) = normalise_host(host).filter(|known| known.len() == host.len()) else {
        let span = reader.part(node.span, text, host_start, host.len());
        let help = "write a name such as `bank.example`, without a port".to_owned();
        let message = format!("`{}` is no host", cut(host));
        reader.fault(span, Code::WrongPath, message, Some(help));
        return None;
    };
    match Template::parse(path) {
        Ok(template) => Some((method.into(), known_host.into(), template)),
        Err(error) => {
            let span = reader.part(node.span, text, text.len() - path.len(), path.len());
            reader.fault(span, Code::WrongPath, error.to_string(), None);
            None
        }
    }
}

/// `reads` must name a GET view route with the same parameters that returns exactly one record.
fn resolve_reads(reader: &mut Reader<'_>, model: &mut Model, index: usize, node: &Node) {
    let Some(name) = reader.text(node, "`reads`") else { return };
    let Some(at) = route_named(reader, model, name, node.span) else { return };
    let (Some(route), Some(other)) = (model.routes.get(index), model.routes.get(at)) else {
        return;
    };
    let parameters = |route: &Route| {
        let mut names: Vec<String> = route.template.parameters().map(str::to_owned).collect();
        names.sort();
        names
    };
    let one_record =
        other.returns.as_ref().is_some_and(|body| !body.many && body.entities.len() == 1);
    let taken = route.accepts.as_ref().map_or(&[][..], |body| &body.entities);
    let is_of = route.opaque.as_ref().is_none_or(|opaque| {
        let of = opaque.of.as_ref().map(|(entity, _)| *entity);
        other.returns.as_ref().is_some_and(|body| of.is_none_or(|of| body.entities.contains(&of)))
    });
    let of_it =
        other.returns.as_ref().is_some_and(|body| taken.iter().all(|e| body.entities.contains(e)));
    let problem = if !route.action.changes_a_record() && route.opaque.is_none() {
        Some("only routes that update or delete, and opaque ones, read the record first")
    } else if other.method.as_ref() != "GET" || other.action != Action::View {
        Some("it must be a GET route with the action `view`")
    } else if parameters(route) != parameters(other) {
        Some("it must have the same path parameters")
    } else if !one_record {
        Some("it must return one record of one entity, such as `{ customer: $ }`")
    } else if !is_of {
        Some("it must return the entity that the opaque answer is of")
    } else if !of_it || route.accepts.as_ref().is_some_and(|body| body.many) {
        Some("this route must accept one record of the same entity")
    } else {
        None
    };
    if let Some(problem) = problem {
        let message = format!("`{}` cannot be read for `{}`: {problem}", other.name, route.name);
        reader.fault(node.span, Code::WrongReads, message, None);
        return;
    }
    if let Some(route) = model.routes.get_mut(index) {
        route.reads = Some(at);
    }
}

fn resolve_entities(model: &mut Model, index: usize) {
    let Some(route) = model.routes.get(index) else { return };
    let read =
        route.reads.and_then(|at| model.routes.get(at)).and_then(|route| route.returns.as_ref());
    let bodies = [route.accepts.as_ref(), route.returns.as_ref(), read];
    let mut main: Vec<usize> = Vec::new();
    let unread = route.opaque.iter().filter_map(|opaque| Some(&opaque.of.as_ref()?.0));
    for entity in bodies.into_iter().flatten().flat_map(|body| &body.entities).chain(unread) {
        if !main.contains(entity) {
            main.push(*entity);
        }
    }
    let mut entities: Vec<usize> = Vec::new();
    for entity in main.iter().flat_map(|entity| model.nested(*entity)) {
        if !entities.contains(&entity) {
            entities.push(entity);
        }
    }
    if let Some(route) = model.routes.get_mut(index) {
        route.main = main;
        route.entities = entities;
    }
}

/// All routes as the table wants them.
pub(in crate::policy) fn entries(model: &Model) -> Vec<Entry> {
    let entry = |route: &Route| Entry {
        zones: route.zones.clone(),
        host: route.host.to_string(),
        method: route.method.to_string(),
        template: route.template.clone(),
    };
    model.routes.iter().map(entry).collect()
}

fn check_ambiguity(reader: &mut Reader<'_>, model: &Model) {
    let Err(ambiguities) = Table::build(&entries(model)) else { return };
    for ambiguity in ambiguities {
        let pair = (model.routes.get(ambiguity.first), model.routes.get(ambiguity.second));
        if let (Some(first), Some(second)) = pair {
            let message =
                format!("the routes `{}` and `{}` answer one request", first.name, second.name);
            let help = "change method, host or path of one, or give them zones that do not meet"
                .to_owned();
            reader.fault(second.span, Code::Ambiguous, message, Some(help));
        }
    }
}

/// Whether a node says nothing.
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::List(items) => items.is_empty(),
        Content::Text(_) | Content::Map(_) => false,
    }
}

/// What is accepted where a route's name is.
pub(super) fn route_named(
    reader: &mut Reader<'_>,
    model: &Model,
    name: &str,
    span: Span,
) -> Option<usize> {
    let found = model.routes.iter().position(|route| route.name.as_ref() == name);
    if found.is_none() && !reader.is_broken_route(name) {
        let known: Vec<&str> = model.routes.iter().map(|route| route.name.as_ref()).collect();
        let message = format!("unknown route `{}`", cut(name));
        reader.fault(span, Code::UnknownName, message, Some(accepted(name, &known)));
    }
    found
}
