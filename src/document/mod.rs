//! Files that people write: YAML as a tree in which everything knows its place, values read out of it,
//! and faults that name the place and what would be right.
//!
//! What a file means is said by who reads it: the policy and the configuration.

mod fault;
mod reader;
mod source;
mod suggest;
mod tree;

pub use fault::{Code, Fault, Faults};
pub(crate) use fault::{columns, printable};
pub(crate) use reader::{Keys, Reader, cut, duration};
pub use source::Source;
pub(crate) use source::Span;
pub(crate) use suggest::accepted;
pub(crate) use tree::{Content, Node, Pair, parse};
