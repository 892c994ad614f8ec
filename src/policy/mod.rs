//! The policy: what a security team writes, compiled to the one program that every part asks.
//!
//! Pure: no files, no clock, no sockets. Callers bring text, facts and the time.

mod changes;
mod compare;
mod decide;
mod denial;
mod explain;
mod expression;
mod inventory;
mod judge;
pub mod kind;
mod limits;
mod model;
mod outcome;
pub mod plan;
mod planner;
mod program;
mod read;
mod reads;
mod rows;
pub mod search;
mod ticket;
pub mod value;
mod warnings;

pub use compare::{Change, Finding, Ruling};
pub use decide::Permit;
pub use denial::{Denial, DenialKind, Reason};
pub use explain::{Explanation, FieldReport, RuleReport, Stage};
pub use expression::EvaluationError;
pub use inventory::FieldForms;
pub use judge::{Factor, Grant, Principal, Query, StepUp};
pub use kind::Kind;
pub use limits::{Limits, Rate, Window};
pub use model::{Action, Route};
pub use outcome::Treatment;
pub use plan::Plan;
pub use program::{Program, RouteMatch, compile, version_of};
pub use rows::TooManyConditions;
pub use search::{Parameter, SearchPlan};
pub use value::Value;

#[cfg(test)]
mod tests;
