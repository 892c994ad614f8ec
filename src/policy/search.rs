//! What the parameters of a route's path and query mean, and whether this caller may use them.

use super::kind::Kind;

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
    },
    /// A page number, cursor or offset.
    Page,
    /// A page size: a whole number, at most [`SearchPlan::page_limit`].
    PageSize,
    /// Names the field to sort by (`name`, `-name`): only fields this caller sees in clear.
    Sort {
        /// The names that may be given, without the entity's name.
        clear: Vec<Box<str>>,
    },
    /// A value that touches no field, such as a language or a format.
    Free,
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
