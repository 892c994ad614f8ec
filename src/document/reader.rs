//! Reading values out of the tree, with a fault for each that is not what was expected.

use super::fault::{Code, Fault};
use super::source::{Source, Span};
use super::suggest;
use super::tree::{Content, Node, Pair};

/// More faults than this help nobody.
const FAULT_LIMIT: usize = 1000;
const NAME_LIMIT_BYTES: usize = 128;

/// Collects faults while values are read.
pub(crate) struct Reader<'s> {
    sources: &'s [Source],
    faults: Vec<Fault>,
    /// Some file could not be read at all, so that unknown names say nothing.
    incomplete: bool,
    /// Some route could not be read, so that a rule without a route says nothing.
    broken_routes: Vec<String>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(sources: &'s [Source]) -> Self {
        Self { sources, faults: Vec::new(), incomplete: false, broken_routes: Vec::new() }
    }

    /// All faults, in the order of files and lines.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        if self.incomplete {
            let follows = [Code::UnknownName, Code::DeadRule, Code::MissingKey];
            self.faults.retain(|fault| !follows.contains(&fault.code));
        }
        if !self.broken_routes.is_empty() {
            self.faults.retain(|fault| fault.code != Code::DeadRule);
        }
        self.faults.sort();
        self.faults.dedup();
        self.faults
    }

    pub(crate) fn unreadable(&mut self, faults: Vec<Fault>) {
        self.incomplete = true;
        self.faults.extend(faults);
    }

    /// Notes a route that is defined but could not be read; whoever names it is not at fault.
    pub(crate) fn broken_route(&mut self, name: &str) {
        self.broken_routes.push(name.to_owned());
    }

    pub(crate) fn is_broken_route(&self, name: &str) -> bool {
        self.broken_routes.iter().any(|other| other == name)
    }

    pub(crate) fn fault(&mut self, span: Span, code: Code, message: String, help: Option<String>) {
        if self.faults.len() < FAULT_LIMIT {
            self.faults.push(Fault::at(self.sources, span, code, message).with_help(help));
        }
    }

    pub(crate) fn defined_twice(&mut self, span: Span, name: &str, first: Span) {
        let first = Fault::at(self.sources, first, Code::DefinedTwice, String::new());
        let help = format!("the first stands at {}:{}:{}", first.file, first.line, first.column);
        self.fault(span, Code::DefinedTwice, format!("`{name}` is defined twice"), Some(help));
    }

    pub(crate) fn unknown(&mut self, span: Span, what: &str, name: &str, known: &[&str]) {
        let help = suggest::accepted(name, known);
        self.fault(span, Code::UnknownName, format!("unknown {what} `{name}`"), Some(help));
    }

    /// The pairs of a map, each key once; an absent value is an empty map.
    pub(crate) fn map<'t>(&mut self, node: &'t Node, what: &str) -> Vec<&'t Pair> {
        let pairs = match &node.content {
            Content::Map(pairs) => pairs,
            Content::Null => return Vec::new(),
            Content::Text(_) | Content::List(_) => {
                self.wrong_shape(node, what, "a map (`key: value`)");
                return Vec::new();
            }
        };
        let mut seen = std::collections::HashSet::new();
        let mut once = Vec::new();
        for pair in pairs {
            if seen.insert(pair.key.as_str()) {
                once.push(pair);
            } else {
                let message = format!("the key `{}` stands twice", pair.key);
                self.fault(pair.key_span, Code::RepeatedKey, message, None);
            }
        }
        once
    }

    /// The items of a list; an absent value is an empty list.
    pub(crate) fn list<'t>(&mut self, node: &'t Node, what: &str) -> &'t [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            Content::Text(_) | Content::Map(_) => {
                self.wrong_shape(node, what, "a list (`[a, b]` or lines that begin with `-`)");
                &[]
            }
        }
    }

    /// The scalar's text.
    pub(crate) fn text<'t>(&mut self, node: &'t Node, what: &str) -> Option<&'t str> {
        match &node.content {
            Content::Text(text) => Some(text),
            Content::Null | Content::List(_) | Content::Map(_) => {
                self.wrong_shape(node, what, "a single value");
                None
            }
        }
    }

    /// One value or a list of values.
    pub(crate) fn words<'t>(&mut self, node: &'t Node, what: &str) -> Vec<(&'t str, Span)> {
        match &node.content {
            Content::Text(text) => vec![(text.as_str(), node.span)],
            Content::List(items) => {
                items.iter().filter_map(|item| Some((self.text(item, what)?, item.span))).collect()
            }
            Content::Null | Content::Map(_) => {
                self.wrong_shape(node, what, "a value or a list of values");
                Vec::new()
            }
        }
    }

    fn wrong_shape(&mut self, node: &Node, what: &str, wanted: &str) {
        self.fault(node.span, Code::WrongShape, format!("{what} must be {wanted}"), None);
    }

    /// A map of which the keys are known.
    pub(crate) fn keys<'t>(&mut self, node: &'t Node, what: &str, known: &[&str]) -> Keys<'t> {
        let mut pairs = self.map(node, what);
        pairs.retain(|pair| {
            let is_known = known.contains(&pair.key.as_str());
            if !is_known {
                let help = suggest::accepted(&pair.key, known);
                let message = format!("unknown key `{}` in {what}", pair.key);
                self.fault(pair.key_span, Code::UnknownKey, message, Some(help));
            }
            is_known
        });
        Keys { pairs }
    }

    pub(crate) fn missing(&mut self, span: Span, what: &str, key: &str, example: &str) {
        let message = format!("{what} needs `{key}`");
        let help = format!("write `{key}: {example}`");
        self.fault(span, Code::MissingKey, message, Some(help));
    }

    /// Whether a name that the file defines is one that messages and logs can carry.
    pub(crate) fn check_name(&mut self, span: Span, name: &str) -> bool {
        let fits = !name.is_empty()
            && name.len() <= NAME_LIMIT_BYTES
            && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
        if !fits {
            let help = "use letters, digits, `.`, `_` and `-`, at most 128 bytes".to_owned();
            self.fault(span, Code::WrongValue, "not a name".to_owned(), Some(help));
        }
        fits
    }

    /// A whole number within bounds.
    pub(crate) fn number(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<u32> {
        let text = self.text(node, what)?;
        let number = text.parse::<u32>().ok().filter(|n| (least..=most).contains(n));
        if number.is_none() {
            let message = format!(
                "{what} must be a whole number from {least} to {most}, got `{}`",
                cut(text)
            );
            self.fault(node.span, Code::WrongValue, message, None);
        }
        number
    }

    /// A span of time such as `15m`, in seconds.
    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<u32> {
        let text = self.text(node, what)?;
        let found = duration(text).filter(|seconds| *seconds > 0);
        if found.is_none() {
            let message = format!("{what} must be a time, got `{}`", cut(text));
            let help = "write a number and a unit: `30s`, `15m`, `1h`, `1d`".to_owned();
            self.fault(node.span, Code::WrongValue, message, Some(help));
        }
        found
    }

    /// One name or several that another file defines, such as zones.
    pub(crate) fn names(&mut self, node: &Node, what: &str) -> Vec<Box<str>> {
        let words = self.words(node, what);
        if words.is_empty() && matches!(node.content, Content::List(_)) {
            self.fault(node.span, Code::WrongValue, format!("{what} must name at least one"), None);
        }
        let mut names = Vec::new();
        for (word, span) in words {
            if self.check_name(span, word) {
                names.push(word.into());
            }
        }
        names
    }

    /// The place of a part of a scalar, or of the whole scalar where escapes hide the part.
    pub(crate) fn part(&self, span: Span, text: &str, start: usize, length: usize) -> Span {
        let source = self.sources.get(span.source).map_or("", |source| source.text.as_str());
        let raw = source.get(span.start..span.end).unwrap_or("");
        raw.find(text).filter(|_| !text.is_empty()).map_or(span, |offset| {
            let inside =
                Span { start: span.start + offset, end: span.start + offset + text.len(), ..span };
            inside.part(start, length.max(1))
        })
    }
}

/// The pairs of a map of which the keys are known.
pub(crate) struct Keys<'t> {
    pub(crate) pairs: Vec<&'t Pair>,
}

impl<'t> Keys<'t> {
    pub(crate) fn find(&self, key: &str) -> Option<&'t Pair> {
        self.pairs.iter().find(|pair| pair.key == key).copied()
    }
}

/// The beginning of a text, for messages.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `30s`, `15m`, `1h`, `1d` in seconds.
pub(crate) fn duration(text: &str) -> Option<u32> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u32>().ok().filter(|_| plain)?.checked_mul(factor)
}
