//! The description as a tree: its version, host, paths and components, with a cap on what may be followed.

use std::cell::Cell;
use std::collections::HashMap;

use super::ImportOptions;
use crate::document::{Bounds, Code, Content, Fault, Node, Pair, Source, Span, parse_within};
use crate::route::normalise_host;

/// Descriptions are generated, and far larger than what people write.
const BOUNDS: Bounds = Bounds { mebibytes: 16, nodes: 1_000_000, depth: 128 };
/// The most schemas that are looked at, each time anew where several refer to one.
const EFFORT_LIMIT: usize = 200_000;
/// As many routes as a policy may have.
const ROUTE_LIMIT: usize = 5000;

/// The tree of the description.
pub(super) fn read(sources: &[Source]) -> Result<Node, Vec<Fault>> {
    let whole = Span::default();
    parse_within(BOUNDS, sources, 0)?.ok_or_else(|| {
        vec![Fault::at(sources, whole, Code::MissingKey, "the file is empty".to_owned())]
    })
}

/// An OpenAPI document that can be imported.
pub(super) struct Description<'d> {
    sources: &'d [Source],
    root: &'d Node,
    /// Components by kind (`schemas`) and name.
    components: HashMap<(&'d str, &'d str), &'d Node>,
    /// Where it is published.
    pub(super) host: String,
    /// What stands before every path, without a slash at the end.
    pub(super) base: String,
    effort: Cell<usize>,
}

impl<'d> Description<'d> {
    pub(super) fn of(
        root: &'d Node,
        sources: &'d [Source],
        options: &ImportOptions,
    ) -> Result<Self, Vec<Fault>> {
        check_version(root, sources)?;
        let paths = get(root, "paths").map_or(0, |paths| pairs(paths).len());
        if paths > ROUTE_LIMIT {
            let message = format!("{paths} paths: a policy has at most {ROUTE_LIMIT} routes");
            return Err(vec![Fault::at(sources, root.span, Code::TooLarge, message)]);
        }
        let (host, base) = server(root, sources, options)?;
        let components = components(root);
        Ok(Self { sources, root, components, host, base, effort: Cell::new(0) })
    }

    /// Every path with its operations.
    pub(super) fn paths(&self) -> &'d [Pair] {
        get(self.root, "paths").map_or(&[], pairs)
    }

    /// Counts a step; false when there were too many, and whatever follows is of no use.
    pub(super) fn may_go_on(&self) -> bool {
        self.effort.set(self.effort.get().saturating_add(1));
        self.effort.get() <= EFFORT_LIMIT
    }

    pub(super) fn check_effort(&self) -> Result<(), Vec<Fault>> {
        if self.effort.get() <= EFFORT_LIMIT {
            return Ok(());
        }
        let message = "the schemas refer to each other too often".to_owned();
        let help = format!("at most {EFFORT_LIMIT} may be looked at: import a part of the API");
        let span = self.root.span;
        Err(vec![Fault::at(self.sources, span, Code::TooLarge, message).with_help(Some(help))])
    }

    /// The component of a kind that a node refers to and its name, if the node is a reference at all.
    pub(super) fn reference(&self, node: &'d Node, kind: &str) -> Option<Reference<'d>> {
        let to = text(get(node, "$ref")?).unwrap_or("");
        if !to.starts_with('#') {
            return Some(Reference::Elsewhere);
        }
        let name = to.strip_prefix("#/components/").and_then(|rest| rest.split_once('/'));
        let found = name.and_then(|(section, name)| {
            let node = self.components.get(&(section, name)).filter(|_| section == kind)?;
            Some(Reference::To(name, node))
        });
        Some(found.unwrap_or(Reference::Nowhere))
    }

    /// The node itself, or the component that it refers to, over at most a few references.
    pub(super) fn resolve(&self, node: &'d Node, kind: &str) -> Option<&'d Node> {
        const HOPS: usize = 8;
        let mut node = node;
        for _ in 0..HOPS {
            match self.reference(node, kind) {
                None => return Some(node),
                Some(Reference::To(_, target)) if self.may_go_on() => node = target,
                Some(_) => return None,
            }
        }
        None
    }
}

/// Where a reference leads.
#[derive(Clone, Copy)]
pub(super) enum Reference<'d> {
    To(&'d str, &'d Node),
    /// To another document, which is not read.
    Elsewhere,
    /// To nothing, or to something that is no such component.
    Nowhere,
}

fn check_version(root: &Node, sources: &[Source]) -> Result<(), Vec<Fault>> {
    let fault = |node: &Node, message: String, help: &str| {
        let fault = Fault::at(sources, node.span, Code::WrongValue, message);
        Err(vec![fault.with_help(Some(help.to_owned()))])
    };
    if let Some(swagger) = get(root, "swagger") {
        let message = format!("Swagger {} is not read", text(swagger).unwrap_or("2.0"));
        return fault(swagger, message, "convert it to OpenAPI 3.0 or 3.1 first");
    }
    let help = "it must begin with `openapi: 3.0.0` or 3.1";
    let Some(version) = get(root, "openapi") else {
        return fault(root, "not an OpenAPI document: no `openapi`".to_owned(), help);
    };
    let found = text(version).unwrap_or("");
    if !["3.0", "3.1"]
        .iter()
        .any(|known| found == *known || found.starts_with(&format!("{known}.")))
    {
        let shown: String = found.chars().filter(|c| !c.is_control()).take(20).collect();
        return fault(version, format!("OpenAPI `{shown}` is not read"), help);
    }
    Ok(())
}

/// Host and path of the first server; `--host` replaces the host.
fn server(
    root: &Node,
    sources: &[Source],
    options: &ImportOptions,
) -> Result<(String, String), Vec<Fault>> {
    let first = get(root, "servers").and_then(|servers| items(servers).first());
    let url = first.and_then(|server| get(server, "url")).and_then(text).unwrap_or("");
    let url = first.map_or_else(String::new, |server| filled(url, server));
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_at_checked(rest.find('/').unwrap_or(rest.len())),
        None => Some(("", url.as_str())),
    }
    .unwrap_or_default();
    let base = path.trim_end_matches('/').to_owned();
    let base = if base.is_empty() || base.starts_with('/') { base } else { format!("/{base}") };
    let host = options.host.as_deref().unwrap_or(host);
    match normalise_host(host) {
        Some(host) => Ok((host, base)),
        None => {
            let shown: String = host.chars().filter(|c| !c.is_control()).take(40).collect();
            let message = format!("`{shown}` is no host to publish on");
            let span = first.map_or(root.span, |server| server.span);
            let help = "say which with `--host bank.example`".to_owned();
            Err(vec![Fault::at(sources, span, Code::WrongPath, message).with_help(Some(help))])
        }
    }
}

/// The address with the defaults of its variables.
fn filled(url: &str, server: &Node) -> String {
    const VARIABLES: usize = 16;
    let mut url = url.to_owned();
    for pair in get(server, "variables").map_or(&[][..], pairs).iter().take(VARIABLES) {
        if let Some(default) = get(&pair.value, "default").and_then(text) {
            url = url.replacen(&format!("{{{}}}", pair.key), default, VARIABLES);
        }
    }
    url
}

fn components(root: &Node) -> HashMap<(&str, &str), &Node> {
    let mut found = HashMap::new();
    for section in get(root, "components").map_or(&[][..], pairs) {
        for pair in pairs(&section.value) {
            found.entry((section.key.as_str(), pair.key.as_str())).or_insert(&pair.value);
        }
    }
    found
}

/// The value of a key of a map; the first where it stands twice.
pub(super) fn get<'t>(node: &'t Node, key: &str) -> Option<&'t Node> {
    pairs(node).iter().find(|pair| pair.key == key).map(|pair| &pair.value)
}

pub(super) fn pairs(node: &Node) -> &[Pair] {
    match &node.content {
        Content::Map(pairs) => pairs,
        Content::Null | Content::Text(_) | Content::List(_) => &[],
    }
}

pub(super) fn items(node: &Node) -> &[Node] {
    match &node.content {
        Content::List(items) => items,
        Content::Null | Content::Text(_) | Content::Map(_) => &[],
    }
}

pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Text(text) => Some(text),
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}
