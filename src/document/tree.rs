//! YAML text as a tree in which every key and value knows its place. No aliases, no tags, no types:
//! what a scalar means is said by who reads it.

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

use super::fault::{Code, Fault};
use super::source::{Source, Span};

/// The longest source, in bytes.
const SOURCE_LIMIT_BYTES: usize = 1 << 20;
/// The most keys and values of one source.
const NODE_LIMIT: usize = 100_000;
/// How deep maps and lists may nest.
const DEPTH_LIMIT: usize = 64;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// Whether it is a scalar without quotes, which may then be read as a number or a truth value.
    pub(crate) is_plain: bool,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, whatever it means.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Pair>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// The tree of one source; `None` for an empty one. Never recurses on the input.
pub(crate) fn parse(sources: &[Source], index: usize) -> Result<Option<Node>, Vec<Fault>> {
    let Some(source) = sources.get(index) else { return Ok(None) };
    let whole = Span { source: index, start: 0, end: source.text.len().min(1) };
    let fault =
        |span, code, message: &str| vec![Fault::at(sources, span, code, message.to_owned())];
    if source.text.len() > SOURCE_LIMIT_BYTES {
        return Err(fault(whole, Code::TooLarge, "a file must be at most 1 MiB"));
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    };
    let mut builder = Builder { sources, index, ..Builder::new(sources) };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        match event {
            Ok((event, span)) => {
                let span = builder.span(span.start, span.end);
                if builder.take(event, span).is_none() {
                    break;
                }
            }
            Err(error) => {
                let at = builder.span(*error.marker(), *error.marker());
                builder.not_yaml(&error, at);
                break;
            }
        }
    }
    if builder.faults.is_empty() { Ok(builder.root) } else { Err(builder.faults) }
}

struct Builder<'s> {
    sources: &'s [Source],
    index: usize,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    faults: Vec<Fault>,
}

/// A map or list that has begun.
enum Open {
    List { span: Span, items: Vec<Node> },
    Map { span: Span, pairs: Vec<Pair>, key: Option<(String, Span)> },
}

impl<'s> Builder<'s> {
    fn new(sources: &'s [Source]) -> Self {
        Self { sources, index: 0, open: Vec::new(), root: None, nodes: 0, faults: Vec::new() }
    }

    fn span(&self, start: granit_parser::Marker, end: granit_parser::Marker) -> Span {
        let start = start.byte_offset().unwrap_or(0);
        let end = end.byte_offset().unwrap_or(start).max(start);
        Span { source: self.index, start, end }
    }

    fn fault(&mut self, span: Span, code: Code, message: String) {
        self.faults.push(Fault::at(self.sources, span, code, message));
    }

    fn not_yaml(&mut self, error: &granit_parser::ScanError, at: Span) {
        if *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded {
            let message = format!("a file must nest at most {DEPTH_LIMIT} deep");
            return self.fault(at, Code::TooLarge, message);
        }
        let message = format!("not valid YAML: {}", error.info().replace(['\n', '\r'], " "));
        let fault = Fault::at(self.sources, at, Code::Yaml, message);
        self.faults.push(fault.with_help(self.about_brackets(at)));
    }

    /// The commonest slip: `[a, accounts[].number]`, where YAML takes the inner bracket for a list.
    fn about_brackets(&self, at: Span) -> Option<String> {
        let text = self.sources.get(self.index).map_or("", |source| source.text.as_str());
        let start = text.get(..at.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(start..)?.lines().next()?;
        let help = "inside `[a, b]` write `accounts.number` for a field of an array, or quote it";
        line.contains("[].").then(|| help.to_owned())
    }

    /// Takes one event; `None` when reading on would be of no use.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        self.check(&event, span)?;
        match event {
            Event::Scalar(text, style, _, _) => self.scalar(&text, style, span),
            Event::SequenceStart(..) => self.open.push(Open::List { span, items: Vec::new() }),
            Event::MappingStart(..) => {
                self.open.push(Open::Map { span, pairs: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::DocumentStart(..) if self.root.is_some() => {
                self.fault(span, Code::Yaml, "a file must be one YAML document".to_owned());
                return None;
            }
            Event::DocumentStart(..)
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::UnresolvedAlias(_)
            | Event::Anchor(..) => {}
            // The parser may learn new events; what is not understood is not passed over.
            _ => self.fault(span, Code::Yaml, "a form of YAML that is not accepted".to_owned()),
        }
        Some(())
    }

    fn check(&mut self, event: &Event<'_>, span: Span) -> Option<()> {
        if event.is_alias() || event.anchor_id().is_some() {
            let message = "anchors and aliases are not accepted: write the value out";
            self.fault(span, Code::Indirection, message.to_owned());
            return None;
        }
        if event.tag().is_some() {
            let message = "tags are not accepted: put quotes around a value that begins with `!`";
            self.fault(span, Code::Indirection, message.to_owned());
            return None;
        }
        self.nodes += usize::from(event.is_node());
        if self.nodes > NODE_LIMIT || self.open.len() > DEPTH_LIMIT {
            let message = format!(
                "a file must have at most {NODE_LIMIT} values, nested at most {DEPTH_LIMIT} deep"
            );
            self.fault(span, Code::TooLarge, message);
            return None;
        }
        Some(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) {
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            *key = Some((text.to_owned(), span));
            return;
        }
        let plain = style == ScalarStyle::Plain;
        let content = if plain && matches!(text, "" | "~" | "null") {
            Content::Null
        } else {
            Content::Text(text.to_owned())
        };
        self.place(Node { span, is_plain: plain, content });
    }

    fn close(&mut self, end: Span) -> Option<()> {
        let node = match self.open.pop()? {
            Open::List { span, items } => Node {
                is_plain: false,
                span: Span { end: end.end.max(span.end), ..span },
                content: Content::List(items),
            },
            Open::Map { span, pairs, .. } => Node {
                is_plain: false,
                span: Span { end: end.end.max(span.end), ..span },
                content: Content::Map(pairs),
            },
        };
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            self.fault(node.span, Code::WrongShape, "a key must be a plain word".to_owned());
            return None;
        }
        self.place(node);
        Some(())
    }

    fn place(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { pairs, key, .. }) => {
                if let Some((key, key_span)) = key.take() {
                    pairs.push(Pair { key, key_span, value: node });
                }
            }
        }
    }
}
