//! An outline as lines of text.

use super::outline::{Entries, Entry, Line, Outline, Scalar, Value};
use super::scalar::{is_plain, literal};
use super::{Layout, Place, Spacing, written};

/// What is shorter stays on one line, if it may.
const WIDTH: usize = 120;

/// The whole file, with a line end behind it; an empty file stays empty.
pub(super) fn print(outline: &Outline, layout: impl Layout) -> String {
    let mut printer = Printer { lines: Vec::new() };
    printer.root(&outline.root, layout);
    printer.around(&outline.foot, 0);
    let mut text = String::new();
    let mut blank = true;
    for line in printer.lines {
        let is_blank = line == Printed::Blank;
        if let Printed::Text(line) = line {
            text.push_str(&line);
            text.push('\n');
        } else if !blank {
            text.push('\n');
        }
        blank = is_blank;
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
    text
}

/// A blank line that sets apart, of which one is enough, or a line of text, be it empty.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Printed {
    Blank,
    Text(String),
}

struct Printer {
    lines: Vec<Printed>,
}

impl Printer {
    fn line(&mut self, indent: usize, text: &str) {
        let line = format!("{}{text}", " ".repeat(indent));
        self.lines.push(Printed::Text(line));
    }

    fn around(&mut self, lines: &[Line], indent: usize) {
        for line in lines {
            match line {
                Line::Blank => self.lines.push(Printed::Blank),
                Line::Comment(text) => self.line(indent, text),
            }
        }
    }

    fn root(&mut self, root: &Value, layout: impl Layout) {
        match root {
            Value::Null => {}
            Value::Scalar(scalar) => self.line(0, &scalar_text(scalar, Place::Block)),
            Value::Items(entries) | Value::Pairs(entries) if entries.entries.is_empty() => {
                self.around(&entries.foot, 0);
                self.line(0, if matches!(root, Value::Items(_)) { "[]" } else { "{}" });
            }
            Value::Items(entries) | Value::Pairs(entries) => self.entries(entries, 0, layout),
        }
    }

    fn entries(&mut self, entries: &Entries, indent: usize, layout: impl Layout) {
        let sorted = sorted(entries, layout);
        let mut before_was_long = false;
        for (at, entry) in sorted.iter().enumerate() {
            let mut own = Printer { lines: Vec::new() };
            let lead = if at == 0 { trimmed(&entry.before) } else { &entry.before };
            own.around(lead, indent);
            let start = own.lines.len();
            own.entry(entry, indent, layout);
            let is_long = own.lines.len() > start + 1;
            let apart = match layout.spacing() {
                Spacing::AsWritten => false,
                Spacing::Definitions => is_long || before_was_long,
                Spacing::Sections => true,
            };
            if at > 0 && apart {
                self.lines.push(Printed::Blank);
            }
            self.lines.append(&mut own.lines);
            before_was_long = is_long;
        }
        self.around(&entries.foot, indent);
    }

    fn entry(&mut self, entry: &Entry, indent: usize, layout: impl Layout) {
        let (head, inner) = match &entry.key {
            Some(key) => (format!("{}:", scalar_text(key, Place::Block)), layout.key(&key.text)),
            None => ("-".to_owned(), layout.item()),
        };
        let beside = entry.beside.as_ref().map_or_else(String::new, |text| format!(" {text}"));
        if let Value::Scalar(scalar) = &entry.value
            && let Some((mark, body)) = literal(&scalar.text)
        {
            self.line(indent, &format!("{head} {mark}{beside}"));
            for line in body {
                let indent = if line.is_empty() { 0 } else { indent + 2 };
                self.line(indent, line);
            }
            return;
        }
        if let Some(text) = one_line(entry, indent + head.chars().count() + 1, layout) {
            let gap = if text.is_empty() { "" } else { " " };
            return self.line(indent, &format!("{head}{gap}{text}{beside}"));
        }
        let (Value::Items(entries) | Value::Pairs(entries)) = &entry.value else { return };
        match (&entry.key, &entry.value) {
            (None, Value::Pairs(_)) if !entries.entries.is_empty() => {
                let above = entry.beside.iter().cloned().map(Line::Comment).collect::<Vec<_>>();
                self.around(&above, indent);
                self.item_of_pairs(entries, indent, inner);
            }
            _ => {
                self.line(indent, &format!("{head}{beside}"));
                self.entries(entries, indent + 2, inner);
            }
        }
    }

    /// `- first: …` and the other pairs below it; what stands above the first pair goes above the dash.
    fn item_of_pairs(&mut self, entries: &Entries, indent: usize, layout: impl Layout) {
        let mut own = Printer { lines: Vec::new() };
        own.entries(entries, indent + 2, layout);
        let is_comment = |line: &Printed| match line {
            Printed::Blank => true,
            Printed::Text(line) => line.trim_start().starts_with('#'),
        };
        let above = own.lines.iter().take_while(|line| is_comment(line)).count();
        for (at, line) in own.lines.into_iter().enumerate() {
            match line {
                Printed::Text(text) if at <= above => {
                    let mark = if at == above { "- " } else { "" };
                    self.line(indent, &format!("{mark}{}", text.trim_start()));
                }
                Printed::Blank | Printed::Text(_) => self.lines.push(line),
            }
        }
    }
}

/// The lines without the blank ones in front, which set nothing apart.
fn trimmed(lines: &[Line]) -> &[Line] {
    let blank = lines.iter().take_while(|line| **line == Line::Blank).count();
    lines.get(blank..).unwrap_or(&[])
}

/// The entries in the order of the layout. Only what stands in the file's order has its blank lines.
fn sorted(entries: &Entries, layout: impl Layout) -> Vec<&Entry> {
    let mut sorted: Vec<&Entry> = entries.entries.iter().collect();
    let present: Vec<&str> =
        sorted.iter().filter_map(|entry| entry.key.as_ref()).map(|key| key.text.as_str()).collect();
    let order = layout.order(&present);
    let rank = |entry: &&Entry| {
        let key = entry.key.as_ref().map(|key| key.text.as_str());
        order.iter().position(|known| Some(*known) == key).unwrap_or(order.len())
    };
    sorted.sort_by_key(rank);
    sorted
}

/// The value on one line, if it may and fits behind what stands before it.
fn one_line(entry: &Entry, before: usize, layout: impl Layout) -> Option<String> {
    let is_item = entry.key.is_none();
    match &entry.value {
        Value::Null if is_item => Some("null".to_owned()),
        Value::Null => Some(String::new()),
        Value::Scalar(scalar) => Some(scalar_text(scalar, Place::Block)),
        Value::Items(entries) | Value::Pairs(entries) => {
            let is_scalar = |entry: &Entry| matches!(entry.value, Value::Scalar(_) | Value::Null);
            let is_list = matches!(entry.value, Value::Items(_));
            let may = entries.flow || (is_list && entries.entries.iter().all(is_scalar));
            if !may || entries.has_comments() {
                return None;
            }
            let inner = match &entry.key {
                Some(key) => layout.key(&key.text),
                None => layout.item(),
            };
            let text = flow(&entry.value, inner);
            (before + text.chars().count() <= WIDTH || entries.entries.is_empty()).then_some(text)
        }
    }
}

fn flow(value: &Value, layout: impl Layout) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Scalar(scalar) => scalar_text(scalar, Place::Flow),
        Value::Items(entries) => {
            let items = entries.entries.iter().map(|entry| flow(&entry.value, layout.item()));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        Value::Pairs(entries) if entries.entries.is_empty() => "{}".to_owned(),
        Value::Pairs(entries) => {
            let pair = |entry: &Entry| {
                let key = entry.key.as_ref();
                let inner = layout.key(key.map_or("", |key| key.text.as_str()));
                let key = key.map_or_else(String::new, |key| scalar_text(key, Place::Flow));
                format!("{key}: {}", flow(&entry.value, inner))
            };
            let pairs = sorted(entries, layout).into_iter().map(pair);
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A scalar keeps the type that other readers of YAML give it.
fn scalar_text(scalar: &Scalar, place: Place) -> String {
    if !scalar.quoted && is_plain(&scalar.text, place) {
        return scalar.text.clone();
    }
    written(&scalar.text, place)
}
