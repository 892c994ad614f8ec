//! The comments of a file, found between its scalars.

use std::collections::VecDeque;

use super::super::tree::{Content, Node};

/// A comment and how it stands.
#[derive(Clone, Debug)]
pub(super) struct Comment {
    pub(super) start: usize,
    /// From `#` to the end of the line.
    pub(super) text: String,
    /// In characters, from 0.
    pub(super) column: usize,
    /// Whether nothing but blanks stands before it on its line.
    pub(super) own_line: bool,
    /// Whether the line before is empty.
    pub(super) blank_before: bool,
}

/// A scalar of the file, key or value.
struct Leaf {
    start: usize,
    end: usize,
}

/// What stands between the scalars.
pub(super) struct Scan {
    pub(super) comments: VecDeque<Comment>,
    /// Where block scalars (`|`, `>`) begin.
    pub(super) blocks: Vec<usize>,
}

/// Reads all comments. Between two scalars there are only indicators, blanks and comments.
pub(super) fn scan(text: &str, root: Option<&Node>) -> Scan {
    let mut leaves = Vec::new();
    if let Some(root) = root {
        collect(root, &mut leaves);
    }
    leaves.sort_by_key(|leaf| leaf.start);
    leaves.push(Leaf { start: text.len(), end: text.len() });
    let mut found = Scan { comments: VecDeque::new(), blocks: Vec::new() };
    let mut at = 0;
    for leaf in leaves {
        if found.gap(text, at, leaf.start) {
            found.blocks.push(leaf.start);
        }
        at = leaf.end.max(at);
    }
    found
}

fn collect(node: &Node, leaves: &mut Vec<Leaf>) {
    match &node.content {
        Content::Null | Content::Text(_) => {
            leaves.push(Leaf { start: node.span.start, end: node.span.end });
        }
        Content::List(items) => items.iter().for_each(|item| collect(item, leaves)),
        Content::Map(pairs) => {
            for pair in pairs {
                leaves.push(Leaf { start: pair.key_span.start, end: pair.key_span.end });
                collect(&pair.value, leaves);
            }
        }
    }
}

impl Scan {
    /// Reads one gap; whether it ends with the head of a block scalar.
    fn gap(&mut self, text: &str, mut at: usize, end: usize) -> bool {
        let mut is_block = false;
        while let Some(gap) = text.get(at..end) {
            let hash = gap.find('#');
            let before = gap.get(..hash.unwrap_or(gap.len())).unwrap_or("");
            is_block |= before.contains(['|', '>']);
            let Some(offset) = hash else { break };
            let start = at + offset;
            let rest = text.get(start..).unwrap_or("");
            let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let (line, lead) = line_of(text, start);
            self.comments.push_back(Comment {
                start,
                text: rest.get(..length).unwrap_or("").trim_end().to_owned(),
                column: lead.chars().count(),
                own_line: lead.trim().is_empty(),
                blank_before: follows_blank(text, line),
            });
            at = start + length;
        }
        is_block
    }
}

/// Where the line begins, and what stands on it before `at`.
pub(super) fn line_of(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before.get(line..).unwrap_or(""))
}

/// Whether an empty line stands before the line that begins at `line`.
pub(super) fn follows_blank(text: &str, line: usize) -> bool {
    let before = text.get(..line.saturating_sub(1)).unwrap_or("");
    line > 0 && line_of(text, before.len()).1.trim().is_empty()
}
