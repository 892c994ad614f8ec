//! OpenAPI 3.0 and 3.1 to policy files: what could be published, and the records in it, with no field graded.
//!
//! The result is a beginning that stays closed: it has no rules and no grades, so that nobody gets anything
//! until a person has decided. Kinds, actions and meanings of parameters are guesses.

mod catalogue;
mod description;
mod guess;
mod routes;
mod shape;
#[cfg(test)]
mod tests;
mod write;

use crate::document::{Faults, Source};

/// What the description does not say, or not rightly.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The host to publish on; without it that of the description's first server.
    pub host: Option<String>,
    /// The upstream that answers.
    pub upstream: String,
}

/// Two policy files, and what to tell whoever asked for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The file with `routes`.
    pub routes: String,
    /// The file with `entities`.
    pub catalogue: String,
    /// How many routes.
    pub route_count: usize,
    /// How many entities.
    pub entity_count: usize,
    /// How many fields, each without a grade or sealed.
    pub field_count: usize,
    /// What was left out, each with its place and the reason.
    pub left_out: Vec<String>,
}

/// Makes policy files of an API description.
///
/// # Errors
/// Faults where it is no OpenAPI 3 document, names no host, or is too large or too entangled.
pub fn import(source: &Source, options: &ImportOptions) -> Result<Imported, Faults> {
    let sources = std::slice::from_ref(source);
    let failed = |faults| Faults::new(faults, "API description");
    let tree = description::read(sources).map_err(failed)?;
    let description = description::Description::of(&tree, sources, options).map_err(failed)?;
    let mut catalogue = catalogue::Catalogue::new(&description);
    let routes = routes::routes(&description, &mut catalogue);
    description.check_effort().map_err(failed)?;
    let entities = catalogue.used(routes.published.iter().flat_map(|route| &route.entities));
    Ok(write::files(&routes, &entities, options))
}
