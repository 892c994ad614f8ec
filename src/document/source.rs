//! Text of a file and places in it.

/// One file: its name, for messages, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name shown in faults, such as `policies/rules.yaml`.
    pub name: String,
    /// The YAML text.
    pub text: String,
}

/// A stretch of one source, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// Index of the source.
    pub(crate) source: usize,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

impl Span {
    /// The part of this span that begins `offset` bytes in and is `length` long, if it lies inside.
    pub(crate) fn part(self, offset: usize, length: usize) -> Self {
        let start = self.start.saturating_add(offset).min(self.end);
        Self { source: self.source, start, end: start.saturating_add(length).min(self.end) }
    }
}
