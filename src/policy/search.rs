//! What the parameters of a route's path and query mean, and whether this caller may use them.

use super::kind::Kind;

/// Names by which frameworks let a form or query ask for another method than the request's own.
const OVERRIDES: [&str; 5] =
    ["_method", "x-http-method-override", "x-method-override", "x-http-method", "$httpmethod"];

/// What a permit lets a caller search by; any other query parameter is refused.
#[derive(Clone, Debug, Default)]
pub struct SearchPlan {
    /// The parameters of the path that search a field; the others are keys, which mean nothing here.
    pub path: Vec<PathParameter>,
    /// Query parameter names (decoded) and what they mean, in the route's order.
    pub parameters: Vec<(Box<str>, Parameter)>,
    /// The largest page the caller may ask for and the gate lets through, in records.
    pub page_limit: Option<u32>,
}

impl SearchPlan {
    /// What a parameter of this name means. `filter[name]` is one of `filter`, where that is so written.
    #[must_use]
    pub fn meaning(&self, name: &str) -> Option<&Parameter> {
        let declared = |name: &str| {
            let found = self.parameters.iter().find(|(declared, _)| **declared == *name);
            found.map(|(_, parameter)| parameter)
        };
        let is_brackets = |parameter: &&Parameter| {
            matches!(parameter, Parameter::Filter { form: FilterForm::Brackets, .. })
        };
        match name.split_once('[') {
            Some((base, _)) => declared(base).filter(is_brackets),
            None => declared(name).filter(|parameter| !is_brackets(parameter)),
        }
    }
}

/// What a query parameter means.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// Searches a field. It may be used only by who sees that field in clear, or the answer tells it.
    Field {
        /// The field's full name, such as `customer.phone`.
        field: Box<str>,
        /// Whether this caller sees the field in clear.
        clear: bool,
        /// The field's kind.
        kind: Option<Kind>,
        /// Set where it must have so many characters and no wildcard.
        at_least: Option<u32>,
    },
    /// A page number, cursor or offset.
    Page,
    /// A page size: a whole number, at most [`SearchPlan::page_limit`].
    PageSize(TooLarge),
    /// Names the field to sort by (`name`, `-name`): only fields this caller sees in clear.
    Sort {
        /// The names that may be given, without the entity's name.
        clear: Vec<Box<str>>,
    },
    /// Names fields and the values they are compared with: only fields this caller sees in clear.
    Filter {
        /// How it is written.
        form: FilterForm,
        /// The names that may be given, without the entity's name.
        clear: Vec<Box<str>>,
    },
    /// Names the fields that the answer should have: only fields that this caller sees in some form.
    Fields {
        /// The names that may be given, without the entity's name.
        seen: Vec<Box<str>>,
        /// Names that are asked for as well, since records cannot be judged without them.
        always: Vec<Box<str>>,
    },
    /// Names related things that the answer should have, of a closed list.
    Include {
        /// The names that may be given.
        of: Vec<Box<str>>,
    },
    /// A value that touches no field, such as a language or a format.
    Free,
}

/// What becomes of a page size above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TooLarge {
    /// It is refused.
    Refuse,
    /// The limit is asked for in its place.
    Clamp,
}

/// How a filter names a field and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterForm {
    /// `filter[name]=value` and `filter[name][gt]=value`.
    Brackets,
    /// `filter=name:eq:value`, several with commas between.
    Colons,
}

impl FilterForm {
    /// Every form with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("brackets", Self::Brackets), ("colons", Self::Colons)];
}

/// A parameter of the path that searches a field: the same as a query parameter that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathParameter {
    /// Its name, without braces.
    pub name: Box<str>,
    /// The field's full name, such as `customer.phone`.
    pub field: Box<str>,
    /// Whether this caller sees the field in clear.
    pub clear: bool,
}

/// Whether some backend would take a parameter of this name for the request's method.
#[must_use]
pub fn asks_for_another_method(name: &str) -> bool {
    OVERRIDES.contains(&name.to_ascii_lowercase().as_str())
}
