//! What each query parameter of a route means, and whether this caller may use it.

use super::kind::Kind;

/// The query parameters that a permit lets through; any other is refused.
#[derive(Clone, Debug, Default)]
pub struct SearchPlan {
    /// Parameter names (decoded) and what they mean, in the route's order.
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
