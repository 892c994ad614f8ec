//! What of two files differs, by dotted keys, and whether a running gate can take it up. No value is told.

use crate::document::{Content, Node, Pair, Source, parse};

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// While the gate runs.
    Reload,
    /// After a restart: something is open that cannot be another one, or the process has given up the right to it.
    Restart,
}

impl Effect {
    /// The word for it in the guide.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The dotted key, such as `listeners[0.0.0.0:443].head-timeout`.
    pub key: String,
    /// When it takes effect.
    pub effect: Effect,
}

/// The keys of the file that take effect after a restart, with all below them; `*` is a name that the operator gave.
pub(super) const RESTART: &[&str] = &[
    "node",
    "state",
    "log",
    "index",
    "key",
    "log-key",
    "checkpoint-copies",
    "backup",
    "policies",
    "policies-watch",
    "shadow",
    "metrics",
    "traces",
    "shared",
    "config-watch",
    "confine",
    "confine-calls",
    "tokens",
    "sign-in.hashes",
    "sign-in.queue",
    "admin.address",
    "redirect.address",
];
/// Blocks that open a port: whether they are there takes effect after a restart, what they say may sooner.
pub(super) const PORTS: &[&str] = &["admin", "redirect", "listeners.*"];
/// What of a named item needs something that the process has given up: writing to new folders, starting programs.
pub(super) const CONFINED: [(&str, &str); 2] = [("ship", "path"), ("scanners", "command")];
/// Lists of maps, and the key by which their items are told apart.
pub(super) const LISTS: [(&str, &str); 3] =
    [("listeners", "address"), ("issuers", "name"), ("machines", "name")];
/// Blocks of which the keys are names that the operator gave.
pub(super) const NAMES: &[&str] =
    &["upstreams", "scanners", "ship", "notify", "witnesses", "links.tickets", "backup.to"];
/// Deeper than this a block is compared as one.
pub(super) const DEPTH: usize = 3;

/// When a change of this key takes effect; names that the operator gave are `*`.
#[must_use]
pub fn effect_of(key: &str) -> Effect {
    let is_below = |known: &&&str| {
        key.strip_prefix(**known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if RESTART.iter().any(|known| is_below(&known)) { Effect::Restart } else { Effect::Reload }
}

/// What differs between two files that both can be read, in the order of the second.
#[must_use]
pub fn changes(before: &str, after: &str) -> Vec<Change> {
    let (before, after) = (tree(before), tree(after));
    let mut found = Vec::new();
    compare(before.as_ref(), after.as_ref(), &Place::default(), &mut found);
    found
}

fn tree(text: &str) -> Option<Node> {
    let source = Source { name: String::new(), text: text.to_owned() };
    parse(&[source], 0).ok().flatten()
}

/// Where two trees are compared.
#[derive(Clone, Default)]
struct Place {
    /// As it is told.
    told: String,
    /// With `*` for names.
    known: String,
    depth: usize,
}

impl Place {
    fn key(&self, key: &str) -> Self {
        let joined = |before: &str, key: &str| match before {
            "" => key.to_owned(),
            before => format!("{before}.{key}"),
        };
        let known = if self.has_names() { "*" } else { key };
        Self {
            told: joined(&self.told, key),
            known: joined(&self.known, known),
            depth: self.depth + 1,
        }
    }

    fn item(&self, name: &str) -> Self {
        let Self { told, known, depth } = self;
        Self { told: format!("{told}[{name}]"), known: format!("{known}.*"), depth: depth + 1 }
    }

    /// Whether the keys here are names that the operator gave.
    fn has_names(&self) -> bool {
        NAMES.contains(&self.known.as_str())
    }

    fn effect(&self, before: Option<&Node>, after: Option<&Node>) -> Effect {
        let comes_or_goes = before.is_none() || after.is_none();
        let is_port = PORTS.contains(&self.known.as_str()) && comes_or_goes;
        let is_confined = CONFINED.iter().any(|(block, key)| {
            let item = format!("{block}.*");
            let has = |node: Option<&Node>| node.is_some_and(|node| find(node, key).is_some());
            self.known == format!("{item}.{key}") && after.is_some()
                || self.known == item && has(after)
        });
        if is_port || is_confined { Effect::Restart } else { effect_of(&self.known) }
    }
}

fn compare(before: Option<&Node>, after: Option<&Node>, place: &Place, found: &mut Vec<Change>) {
    if let (Some(before), Some(after)) = (before, after) {
        if is_same(before, after) {
            return;
        }
        if place.depth < DEPTH && compare_inner(before, after, place, found) {
            return;
        }
    } else if comes_or_goes_by_keys(before, after, place, found) {
        return;
    }
    if before.is_some() || after.is_some() {
        let effect = place.effect(before, after);
        found.push(Change { key: place.told.clone(), effect });
    }
}

/// A block that comes or goes is told key by key, since they do not all take effect at one time; one that opens a port is one.
fn comes_or_goes_by_keys(
    before: Option<&Node>,
    after: Option<&Node>,
    place: &Place,
    found: &mut Vec<Change>,
) -> bool {
    let Some(Content::Map(pairs)) = before.or(after).map(|node| &node.content) else {
        return false;
    };
    if place.depth != 1 || PORTS.contains(&place.known.as_str()) || pairs.is_empty() {
        return false;
    }
    let is_gone = after.is_none();
    for Pair { key, value, .. } in pairs {
        let (before, after) = if is_gone { (Some(value), None) } else { (None, Some(value)) };
        compare(before, after, &place.key(key), found);
    }
    true
}

/// Whether both are blocks of one kind, which were compared key by key then.
fn compare_inner(before: &Node, after: &Node, place: &Place, found: &mut Vec<Change>) -> bool {
    match (&before.content, &after.content) {
        (Content::Map(before), Content::Map(after)) => {
            for pair in after {
                let old = before.iter().find(|old| old.key == pair.key);
                compare(old.map(|old| &old.value), Some(&pair.value), &place.key(&pair.key), found);
            }
            for gone in before.iter().filter(|old| !after.iter().any(|new| new.key == old.key)) {
                compare(Some(&gone.value), None, &place.key(&gone.key), found);
            }
            true
        }
        (Content::List(before), Content::List(after)) => {
            let by = LISTS.iter().find(|(list, _)| *list == place.known).map(|(_, by)| *by);
            by.is_some_and(|by| compare_items(before, after, (place, by), found))
        }
        (Content::Null | Content::Text(_) | Content::List(_) | Content::Map(_), _) => false,
    }
}

/// Items of a list that all have names. Else the list is one value.
fn compare_items(
    before: &[Node],
    after: &[Node],
    (place, by): (&Place, &str),
    found: &mut Vec<Change>,
) -> bool {
    let names = |nodes: &[Node]| -> Option<Vec<String>> {
        nodes.iter().map(|node| find(node, by).map(text)).collect()
    };
    let (Some(old), Some(new)) = (names(before), names(after)) else { return false };
    let (old, new) = (told_apart(&old), told_apart(&new));
    for (name, node) in new.iter().zip(after) {
        let same = old.iter().zip(before).find(|(other, _)| *other == name);
        compare(same.map(|(_, node)| node), Some(node), &place.item(name), found);
    }
    for (name, node) in old.iter().zip(before).filter(|(name, _)| !new.contains(name)) {
        compare(Some(node), None, &place.item(name), found);
    }
    true
}

/// Names of which each is one: the second of a name has its number.
pub(super) fn told_apart(names: &[String]) -> Vec<String> {
    let numbered = names.iter().enumerate().map(|(at, name)| {
        let before = names.iter().take(at).filter(|other| *other == name).count();
        if before == 0 { name.clone() } else { format!("{name} ({})", before + 1) }
    });
    numbered.collect()
}

fn find<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Map(pairs) => pairs.iter().find(|pair| pair.key == key).map(|pair| &pair.value),
        Content::Null | Content::Text(_) | Content::List(_) => None,
    }
}

fn text(node: &Node) -> String {
    match &node.content {
        Content::Text(text) => text.clone(),
        Content::Null | Content::List(_) | Content::Map(_) => String::new(),
    }
}

/// Values are texts here, whatever they look like; the order of keys says nothing, that of a list does.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.content, &other.content) {
        (Content::Null, Content::Null) => true,
        (Content::Text(one), Content::Text(other)) => one == other,
        (Content::List(one), Content::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Content::Map(one), Content::Map(other)) => {
            let has = |pair: &Pair| {
                let same = other.iter().find(|other| other.key == pair.key);
                same.is_some_and(|other| is_same(&pair.value, &other.value))
            };
            one.len() == other.len() && one.iter().all(has)
        }
        (Content::Null | Content::Text(_) | Content::List(_) | Content::Map(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let told = |change: Change| format!("{} {}", change.key, change.effect.word());
        changes(before, after).into_iter().map(told).collect()
    }

    const BEFORE: &str = "log: a\ndrain: 30s\nlisteners:\n  - { address: \"1.1.1.1:443\", zone: a }\n  - { address: \"1.1.1.1:444\", zone: b }\n\
        upstreams: { core: { address: \"x:1\", waiting: 3 } }\nsign-in: { failures: 10, queue: 2s }\n";

    #[test]
    fn each_key_that_differs_is_named_with_when_it_takes_effect_and_no_value() {
        for (from, to, want) in [
            ("drain: 30s", "drain: 40s", &["drain reload"][..]),
            ("log: a", "log: b", &["log restart"]),
            ("log: a\n", "", &["log restart"]),
            ("zone: b", "zone: c", &["listeners[1.1.1.1:444].zone reload"]),
            ("zone: b", "zone: b, streams: 7", &["listeners[1.1.1.1:444].streams reload"]),
            (
                "1.1.1.1:444",
                "1.1.1.1:445",
                &["listeners[1.1.1.1:445] restart", "listeners[1.1.1.1:444] restart"],
            ),
            ("waiting: 3", "waiting: 4", &["upstreams.core.waiting reload"]),
            ("core:", "crm:", &["upstreams.crm reload", "upstreams.core reload"]),
            (
                "failures: 10, queue: 2s",
                "failures: 9, queue: 3s",
                &["sign-in.failures reload", "sign-in.queue restart"],
            ),
            ("drain: 30s", "drain: 30s\nadmin: { address: x }", &["admin restart"]),
            ("drain: 30s", "drain: 30s\ntokens: { cache: 1 }", &["tokens.cache restart"]),
            (
                "sign-in: { failures: 10, queue: 2s }",
                "",
                &["sign-in.failures reload", "sign-in.queue restart"],
            ),
            (
                "drain: 30s",
                "drain: 30s\nship: { a: { to: file, path: x }, b: { to: syslog } }",
                &["ship.a restart", "ship.b reload"],
            ),
            (
                "drain: 30s",
                "drain: 30s\nscanners: { a: { command: [x] } }",
                &["scanners.a restart"],
            ),
            ("drain: 30s", "  # a remark\ndrain: \"30s\"", &[]),
        ] {
            assert_eq!(told(BEFORE, &BEFORE.replace(from, to)), want, "{from} to {to}");
        }
    }

    #[test]
    fn of_two_listeners_at_any_port_the_second_has_its_number() {
        let before = "listeners: [{ address: \"127.0.0.1:0\", zone: a }, { address: \"127.0.0.1:0\", zone: b }]";
        let after = before.replace("zone: b", "zone: c");
        assert_eq!(told(before, &after), ["listeners[127.0.0.1:0 (2)].zone reload"]);
    }
}
