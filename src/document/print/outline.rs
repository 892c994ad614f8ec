//! A file as what is printed: values with their comments, independent of how they were set.

use super::super::tree::{Content, Node};
use super::comments::{Comment, Scan, follows_blank, line_of, scan};
use super::scalar::is_typed;

/// A whole file.
pub(super) struct Outline {
    pub(super) root: Value,
    /// What stands after everything.
    pub(super) foot: Vec<Line>,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    Items(Entries),
    Pairs(Entries),
}

/// A scalar's text, and whether it was quoted or otherwise surely text.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// The entries of a map or list.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    pub(super) entries: Vec<Entry>,
    /// Whether it stands in `[ ]` or `{ }`.
    pub(super) flow: bool,
    /// What stands after the last entry.
    pub(super) foot: Vec<Line>,
}

/// A pair of a map, or an item of a list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Option<Scalar>,
    pub(super) value: Value,
    /// What stands above it.
    pub(super) before: Vec<Line>,
    /// The comment on its line.
    pub(super) beside: Option<String>,
}

/// A line that is no value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    Blank,
    Comment(String),
}

/// What surrounds the value that is read.
#[derive(Clone, Copy)]
struct Around {
    /// The column of the key or dash that holds the value; -1 for the root.
    column: i64,
    /// Where the next entry begins that is not in the value.
    next: usize,
}

struct Reader<'t> {
    text: &'t str,
    scan: Scan,
}

impl Outline {
    pub(super) fn of(text: &str, tree: &Node) -> Self {
        let mut reader = Reader { text, scan: scan(text, Some(tree)) };
        let around = Around { column: -1, next: usize::MAX };
        let mut root = reader.value(tree, around);
        let mut foot = reader.lines_before(usize::MAX);
        match &mut root {
            Value::Items(entries) | Value::Pairs(entries) if !entries.flow => {
                foot.splice(0..0, std::mem::take(&mut entries.foot));
            }
            Value::Null | Value::Scalar(_) | Value::Items(_) | Value::Pairs(_) => {}
        }
        Self { root, foot }
    }

    /// A file without a value.
    pub(super) fn of_comments(text: &str) -> Self {
        let mut reader = Reader { text, scan: scan(text, None) };
        Self { root: Value::Null, foot: reader.lines_before(usize::MAX) }
    }

    /// Whether both have the same values and comments; the order of keys may differ.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let comments = |outline: &Self| {
            let mut found = Vec::new();
            outline.root.comments(&mut found);
            found.extend(outline.foot.iter().filter(|line| **line != Line::Blank).cloned());
            found.sort();
            found
        };
        self.root.says_the_same(&other.root) && comments(self) == comments(other)
    }
}

impl Scalar {
    fn is_text(&self) -> bool {
        self.quoted || !is_typed(&self.text)
    }
}

impl Value {
    fn says_the_same(&self, other: &Self) -> bool {
        let entries = |a: &Entries, b: &Entries| {
            let (a, b) = (a.by_key(), b.by_key());
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    let text = |entry: &Entry| {
                        entry.key.as_ref().map(|key| (key.is_text(), key.text.clone()))
                    };
                    text(a) == text(b) && a.value.says_the_same(&b.value)
                })
        };
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Scalar(a), Self::Scalar(b)) => a.text == b.text && a.is_text() == b.is_text(),
            (Self::Items(a), Self::Items(b)) | (Self::Pairs(a), Self::Pairs(b)) => entries(a, b),
            (Self::Null | Self::Scalar(_) | Self::Items(_) | Self::Pairs(_), _) => false,
        }
    }

    fn comments(&self, found: &mut Vec<Line>) {
        if let Self::Items(entries) | Self::Pairs(entries) = self {
            entries.comments(found);
        }
    }
}

impl Entries {
    /// Items as they are, pairs by their keys.
    fn by_key(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.key.as_ref().map(|key| key.text.as_str()));
        entries
    }

    pub(super) fn has_comments(&self) -> bool {
        let mut found = Vec::new();
        self.comments(&mut found);
        !found.is_empty()
    }

    fn comments(&self, found: &mut Vec<Line>) {
        let above = self.entries.iter().flat_map(|entry| &entry.before);
        found.extend(above.chain(&self.foot).filter(|line| **line != Line::Blank).cloned());
        for entry in &self.entries {
            found.extend(entry.beside.iter().cloned().map(Line::Comment));
            entry.value.comments(found);
        }
    }
}

impl Reader<'_> {
    fn value(&mut self, node: &Node, around: Around) -> Value {
        match &node.content {
            Content::Null => Value::Null,
            Content::Text(text) => Value::Scalar(self.scalar(text, node.span.start)),
            Content::List(items) => {
                let parts = items.iter().map(|item| (None, item)).collect();
                Value::Items(self.entries(node, parts, around))
            }
            Content::Map(pairs) => {
                let key = |pair: &super::super::tree::Pair| {
                    let scalar = self.scalar(&pair.key, pair.key_span.start);
                    Some((scalar, pair.key_span.start))
                };
                let keys: Vec<Option<(Scalar, usize)>> = pairs.iter().map(key).collect();
                let values = pairs.iter().map(|pair| &pair.value);
                Value::Pairs(self.entries(node, keys.into_iter().zip(values).collect(), around))
            }
        }
    }

    fn scalar(&self, text: &str, start: usize) -> Scalar {
        let quoted = self.text.get(start..).is_some_and(|raw| raw.starts_with(['"', '\'']));
        let block = self.scan.blocks.binary_search(&start).is_ok();
        Scalar { text: text.to_owned(), quoted: quoted || block }
    }

    fn entries(
        &mut self,
        node: &Node,
        parts: Vec<(Option<(Scalar, usize)>, &Node)>,
        around: Around,
    ) -> Entries {
        let flow = self.text.get(node.span.start..).is_some_and(|raw| raw.starts_with(['[', '{']));
        let next = if flow { node.span.end } else { around.next };
        // In brackets columns and blank lines mean nothing, and lines may be long.
        let column = if flow { 0 } else { self.column(node.span.start) };
        let mut starts: Vec<usize> = Vec::new();
        for (key, value) in &parts {
            let start = match (key, starts.last()) {
                (Some((_, start)), _) => *start,
                (None, _) if flow => value.span.start,
                (None, None) => node.span.start,
                (None, Some(last)) => self.next_dash(*last, column).unwrap_or(value.span.start),
            };
            starts.push(start);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (at, (key, value)) in parts.into_iter().enumerate() {
            let start = starts.get(at).copied().unwrap_or(0);
            let next = starts.get(at + 1).copied().unwrap_or(next);
            let mut before = self.lines_before(start);
            if !flow
                && follows_blank(self.text, line_of(self.text, start).0)
                && (at > 0 || !before.is_empty())
            {
                before.push(Line::Blank);
            }
            let held = Around { column, next };
            entries.push(self.entry(key.map(|(key, _)| key), value, before, held));
        }
        let mut foot = Vec::new();
        while self.scan.comments.front().is_some_and(|comment| {
            let inside = comment.column_i64() >= column && comment.column_i64() > around.column;
            comment.start < next && (flow || (comment.own_line && inside))
        }) {
            foot.extend(self.scan.comments.pop_front().into_iter().flat_map(Comment::lines));
        }
        Entries { entries, flow, foot }
    }

    fn entry(
        &mut self,
        key: Option<Scalar>,
        value: &Node,
        mut before: Vec<Line>,
        around: Around,
    ) -> Entry {
        let is_null = matches!(value.content, Content::Null);
        let mut beside = None;
        if !is_null {
            beside = self.beside(value.span.start);
        }
        if matches!(value.content, Content::Text(_)) || self.is_flow(value) {
            before.extend(self.lines_before(value.span.start));
        }
        let mut value = self.value(value, around);
        if let Value::Items(inner) | Value::Pairs(inner) = &mut value
            && inner.entries.is_empty()
        {
            before.append(&mut inner.foot);
        }
        if let Some(after) = self.beside(around.next) {
            let first = beside.replace(after);
            before.extend(first.map(Line::Comment));
        }
        Entry { key, value, before, beside }
    }

    /// The dash of the item after the one whose dash stands at `last`, in the same column.
    fn next_dash(&self, last: usize, column: i64) -> Option<usize> {
        let column = usize::try_from(column).ok()?;
        let mut line = last + self.text.get(last..)?.find('\n')? + 1;
        loop {
            let rest = self.text.get(line..)?;
            let mut lead = rest.chars().take(column);
            if lead.all(|c| c == ' ' || c == '-') && rest.chars().nth(column) == Some('-') {
                return Some(line + column);
            }
            line += rest.find('\n')? + 1;
        }
    }

    fn is_flow(&self, node: &Node) -> bool {
        let is_collection = matches!(node.content, Content::List(_) | Content::Map(_));
        is_collection
            && self.text.get(node.span.start..).is_some_and(|raw| raw.starts_with(['[', '{']))
    }

    /// The next comment, if it stands on the line of a value and before `end`.
    fn beside(&mut self, end: usize) -> Option<String> {
        let is_beside = |comment: &Comment| !comment.own_line && comment.start < end;
        let found = self.scan.comments.front().is_some_and(is_beside);
        if found { self.scan.comments.pop_front().map(|comment| comment.text) } else { None }
    }

    fn lines_before(&mut self, end: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        while self.scan.comments.front().is_some_and(|comment| comment.start < end) {
            lines.extend(self.scan.comments.pop_front().into_iter().flat_map(Comment::lines));
        }
        lines
    }

    fn column(&self, at: usize) -> i64 {
        i64::try_from(line_of(self.text, at).1.chars().count()).unwrap_or(i64::MAX)
    }
}

impl Comment {
    fn column_i64(&self) -> i64 {
        i64::try_from(self.column).unwrap_or(i64::MAX)
    }

    fn lines(self) -> Vec<Line> {
        let blank = self.blank_before && self.own_line;
        let blank = blank.then_some(Line::Blank);
        blank.into_iter().chain([Line::Comment(self.text)]).collect()
    }
}
