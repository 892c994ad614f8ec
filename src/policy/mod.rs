//! The policy: what a security team writes, compiled to the one program that every part asks.
//!
//! Pure: no files, no clock, no sockets. Callers bring text, facts and the time.

mod changes;
mod decide;
mod denial;
mod diff;
mod explain;
mod expression;
mod judge;
pub mod kind;
mod limits;
mod model;
mod outcome;
pub mod plan;
mod planner;
mod program;
mod read;
mod rows;
pub mod search;
mod survey;
mod ticket;
pub mod value;
mod warnings;

pub use decide::Permit;
pub use denial::{Denial, DenialKind, Reason};
pub use diff::{Change, Class, Comparison, compare};
pub use explain::{Explanation, FieldReport, RuleReport, Stage};
pub use expression::EvaluationError;
pub use judge::{Factor, Grant, Principal, Query, StepUp};
pub use kind::Kind;
pub use limits::{Limits, Rate, Window};
pub use model::{Action, Route};
pub use plan::Plan;
pub use program::{Program, RouteMatch, compile};
pub use rows::TooManyConditions;
pub use search::{Parameter, SearchPlan};
pub use survey::{Cell, Entry, LimitRow, Matrix, MatrixRow, RouteRow, Selection, UnknownSelection};
pub use value::Value;

#[cfg(test)]
mod tests;
