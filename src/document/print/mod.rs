//! Files in one canonical form: order of keys, indentation, quotes and blank lines, with every comment kept.
//!
//! What is printed is read again and compared with what was there, so that nothing is lost where YAML has a
//! form that the printer does not know.

mod comments;
mod lines;
mod outline;
mod scalar;
#[cfg(test)]
mod tests;

use super::fault::{Code, Fault};
use super::source::{Source, Span};
use super::tree::parse;
use outline::Outline;
pub(crate) use scalar::{Place, one_line, written};

/// What the format knows of the map or list at a place of a file.
pub(crate) trait Layout: Copy {
    /// The place of the value of a key.
    fn key(self, name: &str) -> Self;
    /// The place of the items of a list.
    fn item(self) -> Self;
    /// The order of the keys of a map that has these; keys that are not named follow as they are.
    fn order(self, present: &[&str]) -> Vec<&'static str>;
    /// How the entries are set apart.
    fn spacing(self) -> Spacing;
}

/// Where blank lines stand between entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Where the author put them, one at most.
    AsWritten,
    /// Around each entry of more than one line, and where the author put them.
    Definitions,
    /// Around each entry.
    Sections,
}

/// The canonical form of one source.
///
/// # Errors
/// The faults of a source that is not YAML as it is accepted, or one that says that its form cannot be kept.
pub(crate) fn canonical(
    sources: &[Source],
    index: usize,
    layout: impl Layout,
) -> Result<String, Vec<Fault>> {
    let Some(source) = sources.get(index) else { return Ok(String::new()) };
    let outline = match parse(sources, index)? {
        Some(tree) => Outline::of(&source.text, &tree),
        None => Outline::of_comments(&source.text),
    };
    let printed = lines::print(&outline, layout);
    if same(&outline, &printed) {
        return Ok(printed);
    }
    let message = "this file cannot be brought into canonical form without changing it".to_owned();
    let help = "write long keys and unusual forms of YAML more plainly".to_owned();
    let span = Span { source: index, start: 0, end: source.text.len().min(1) };
    Err(vec![Fault::at(sources, span, Code::Yaml, message).with_help(Some(help))])
}

/// Whether the printed text says what the outline says, comments included.
fn same(outline: &Outline, printed: &str) -> bool {
    let sources = [Source { name: String::new(), text: printed.to_owned() }];
    match parse(&sources, 0) {
        Ok(Some(tree)) => Outline::of(printed, &tree).says_the_same(outline),
        Ok(None) => Outline::of_comments(printed).says_the_same(outline),
        Err(_) => false,
    }
}
