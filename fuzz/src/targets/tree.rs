//! Bodies as an independent incremental parser reads them: a tree that keeps duplicates, order and digits.

use json_event_parser::{JsonEvent, LowLevelJsonParser};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    /// A number as it stands there.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl Tree {
    pub fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Members(_))
    }

    /// A scalar as a text.
    pub fn text(&self) -> String {
        match self {
            Self::Bool(bool) => bool.to_string(),
            Self::Number(text) | Self::Text(text) => text.clone(),
            Self::Null | Self::List(_) | Self::Members(_) => String::new(),
        }
    }
}

/// How a body is printed.
#[derive(Clone, Copy, Debug)]
pub enum Print {
    /// Without white space.
    Compact,
    /// As libraries print prettily: each element on a line of its own, nothing in an empty list.
    Pretty,
    /// With the comma first on the next line.
    CommaFirst,
}

impl Tree {
    /// Prints a tree as JSON.
    pub fn print(&self, print: Print, level: usize, into: &mut Vec<u8>) {
        let line = |level: usize| match print {
            Print::Compact => String::new(),
            Print::Pretty => format!("\n{}", "  ".repeat(level)),
            Print::CommaFirst => "\n".to_owned(),
        };
        let between = |index: usize, into: &mut Vec<u8>| {
            let (comma, line) = (if index > 0 { "," } else { "" }, line(level + 1));
            let text = match print {
                Print::CommaFirst if index == 0 => String::new(),
                Print::CommaFirst => line + comma,
                Print::Compact | Print::Pretty => comma.to_owned() + &line,
            };
            into.extend_from_slice(text.as_bytes());
        };
        let is_empty = match self {
            Self::List(items) => items.is_empty(),
            Self::Members(members) => members.is_empty(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => true,
        };
        let close = if is_empty { String::new() } else { line(level) };
        match self {
            Self::Null => into.extend_from_slice(b"null"),
            Self::Bool(bool) => into.extend_from_slice(bool.to_string().as_bytes()),
            Self::Number(text) => into.extend_from_slice(text.as_bytes()),
            Self::Text(text) => quote(text, into),
            Self::List(items) => {
                into.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    between(index, into);
                    item.print(print, level + 1, into);
                }
                into.extend_from_slice(close.as_bytes());
                into.push(b']');
            }
            Self::Members(members) => {
                into.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    between(index, into);
                    quote(name, into);
                    into.extend_from_slice(if matches!(print, Print::Pretty) {
                        b": "
                    } else {
                        b":"
                    });
                    value.print(print, level + 1, into);
                }
                into.extend_from_slice(close.as_bytes());
                into.push(b'}');
            }
        }
    }
}

fn quote(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend([b'\\', byte]),
            ..0x20 => into.extend(format!("\\u{byte:04x}").bytes()),
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

/// Reads a body; `None` where it is none. `step` is how many more bytes the parser gets at a time.
///
/// The parser takes a byte order mark for nothing, which is the one thing that is corrected here.
pub fn read(body: &[u8], step: usize) -> Option<Tree> {
    if body.starts_with(b"\xef\xbb\xbf") {
        return None;
    }
    let mut parser = LowLevelJsonParser::new();
    let (mut start, mut end) = (0, step.min(body.len()));
    let mut builder = Builder::default();
    loop {
        let is_ending = end == body.len();
        let result = parser.parse_next(&body[start..end], is_ending);
        start += result.consumed_bytes;
        match result.event {
            Some(Err(_)) => return None,
            Some(Ok(JsonEvent::Eof)) => return builder.root,
            Some(Ok(event)) => builder.take(event),
            None => end = (end + step).min(body.len()),
        }
    }
}

/// Whether a body holds half a surrogate pair, or may: the parser refuses what RFC 8259 leaves open there.
pub fn may_hold_surrogate(body: &[u8]) -> bool {
    body.windows(3).any(|three| matches!(three, [b'\\', b'u', b'd' | b'D']))
}

#[derive(Default)]
struct Builder {
    root: Option<Tree>,
    open: Vec<(Tree, Option<String>)>,
}

impl Builder {
    fn take(&mut self, event: JsonEvent<'_>) {
        match event {
            JsonEvent::Null => self.add(Tree::Null),
            JsonEvent::Boolean(bool) => self.add(Tree::Bool(bool)),
            JsonEvent::Number(text) => self.add(Tree::Number(text.into_owned())),
            JsonEvent::String(text) => self.add(Tree::Text(text.into_owned())),
            JsonEvent::StartArray => self.open.push((Tree::List(Vec::new()), None)),
            JsonEvent::StartObject => self.open.push((Tree::Members(Vec::new()), None)),
            JsonEvent::ObjectKey(key) => {
                self.open.last_mut().expect("a key stands in an object").1 = Some(key.into_owned());
            }
            JsonEvent::EndArray | JsonEvent::EndObject => {
                let (value, _) = self.open.pop().expect("what ends has begun");
                self.add(value);
            }
            JsonEvent::Eof => {}
        }
    }

    fn add(&mut self, value: Tree) {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Tree::List(items), _)) => items.push(value),
            Some((Tree::Members(members), key)) => {
                members.push((key.take().expect("a member has a key"), value));
            }
            Some(_) => panic!("a scalar holds nothing"),
        }
    }
}
