//! The language of policy files as a JSON Schema (2020-12), for completion, hover and checks in editors.
//!
//! `keys` says as data which keys there are and what they mean; `render` makes JSON of it. What only the whole
//! folder can tell (unknown names, dead rules, conditions) is told by `compile`, not here.

mod detections;
mod grants;
mod keys;
mod render;
#[cfg(test)]
mod tests;

/// The schema of one policy file; any section may stand in any file, so none is required.
///
/// It uses only keywords that mean the same in draft-07, which is what editors still read.
#[must_use]
pub fn schema() -> serde_json::Value {
    render::document(&keys::FILE)
}

/// What a file holds.
pub(super) fn file() -> &'static Form {
    &Form::Table(&keys::FILE)
}

/// The keys of a field that is written as a map.
pub(super) fn field_keys() -> Vec<&'static str> {
    keys::FIELD.keys.iter().map(|key| key.name).collect()
}

/// A map of which the keys are known; every other key is refused.
pub(super) struct Table {
    /// The name under `$defs`.
    name: &'static str,
    pub(super) keys: &'static [Key],
    /// Exactly one of these must be there; empty asks nothing.
    one_of: &'static [&'static str],
    /// Whether the value may be left out, as in `teller:`.
    may_be_empty: bool,
}

/// A key, what it means in a sentence, and what it holds.
pub(super) struct Key {
    pub(super) name: &'static str,
    doc: &'static str,
    pub(super) form: Form,
    required: bool,
}

/// What may be written as a value.
pub(super) enum Form {
    Table(&'static Table),
    /// A map from names that the file chooses.
    Named(&'static Form),
    List(&'static Form),
    /// One value or a list of them.
    OneOrMany(&'static Form),
    /// Any of these.
    Either(&'static [Form]),
    /// One of a closed list of words.
    Words(fn() -> Vec<&'static str>),
    /// Text of a form, with an example.
    Pattern(&'static str, &'static str),
    /// A whole number from, to.
    Number(u32, u32),
    /// A number from nothing to less than one.
    Fraction,
    Flag,
    Text,
    /// A condition: text, or `true` and `false` as YAML knows them.
    Condition,
    /// The members of an entity's record, and of objects in it.
    Members,
    /// Kinds, each with one of its styles.
    Masks,
    /// Entities by name, and where they stand in a body; with `pass` or without.
    Places {
        pass: bool,
    },
    Empty,
    /// What another reader knows.
    Anything,
}
