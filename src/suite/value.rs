//! A JSON body written as YAML: plain scalars that look like a number, a truth value or nothing are
//! that, everything else is text, and `$name` is a record of the fixtures.

use super::fixtures::Fixtures;
use super::json::{is_number, quoted};
use crate::document::{Code, Content, Node, Reader, accepted, cut};

/// The longest body that a test writes, in bytes.
const BODY_LIMIT_BYTES: usize = 256 * 1024;
/// How deep records may name records.
const NAMING_LIMIT: usize = 8;

/// The body as JSON; `None` after a fault.
pub(super) fn json(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    node: &Node,
) -> Option<String> {
    let mut writer = Writer { reader, fixtures, out: String::new(), naming: 0 };
    writer.value(node)?;
    Some(writer.out)
}

struct Writer<'r, 's, 't> {
    reader: &'r mut Reader<'s>,
    fixtures: &'r Fixtures<'t>,
    out: String,
    /// How many records are being written inside each other.
    naming: usize,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, node: &Node) -> Option<()> {
        match &node.content {
            Content::Null => self.out.push_str("null"),
            Content::Text(text) if !node.is_plain => self.out.push_str(&quoted(text)),
            Content::Text(text) => match text.strip_prefix('$') {
                Some(name) => self.record(node, name)?,
                None if is_number(text) || text == "true" || text == "false" => {
                    self.out.push_str(text);
                }
                None => self.out.push_str(&quoted(text)),
            },
            Content::List(items) => {
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.comma(at);
                    self.value(item)?;
                }
                self.out.push(']');
            }
            Content::Map(_) => {
                self.out.push('{');
                for (at, pair) in self.reader.map(node, "an object").into_iter().enumerate() {
                    self.comma(at);
                    self.out.push_str(&quoted(&pair.key));
                    self.out.push(':');
                    self.value(&pair.value)?;
                }
                self.out.push('}');
            }
        }
        self.check_size(node)
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(',');
        }
    }

    fn record(&mut self, node: &Node, name: &str) -> Option<()> {
        let Some(record) = self.fixtures.records.get(name).copied() else {
            let known = accepted(name, &self.fixtures.record_names());
            let help = format!("{known}; put quotes around a text that begins with `$`");
            let message = format!("unknown record `{}`", cut(name));
            self.reader.fault(node.span, Code::UnknownName, message, Some(help));
            return None;
        };
        if self.naming >= NAMING_LIMIT {
            let message = format!("records name each other more than {NAMING_LIMIT} deep");
            self.reader.fault(node.span, Code::Ring, message, None);
            return None;
        }
        self.naming += 1;
        let written = self.value(record);
        self.naming -= 1;
        written
    }

    /// Checked after each value, so that records that name records cannot grow beyond all bounds.
    fn check_size(&mut self, node: &Node) -> Option<()> {
        if self.out.len() <= BODY_LIMIT_BYTES {
            return Some(());
        }
        let message = format!("a body must be at most {BODY_LIMIT_BYTES} bytes");
        self.reader.fault(node.span, Code::TooLarge, message, None);
        None
    }
}
