//! The policy: what a security team writes, compiled to the one program that every part asks.
//!
//! Pure: no files, no clock, no sockets. Callers bring text, facts and the time.

mod apart;
mod cases;
mod changes;
mod compare;
mod consent;
mod consented;
mod decide;
mod decimal;
mod denial;
mod detect;
mod detections;
mod diff;
mod explain;
mod explain_factors;
mod export;
mod expression;
mod format;
mod grant;
mod granting;
mod ground;
mod headers;
mod holding;
mod inventory;
mod judge;
pub mod kind;
mod lent;
mod limits;
mod linked;
mod model;
mod opaque;
mod openapi;
mod outcome;
pub mod plan;
mod planner;
mod program;
mod read;
mod reads;
mod record_factor;
mod registered;
mod retention;
mod rights;
mod rotation;
mod rows;
mod schema;
pub mod search;
mod sending;
mod socket;
mod stricter;
mod survey;
mod ticket;
mod ties;
mod two_person;
pub mod value;
mod warnings;

pub use compare::{DecisionChange, Finding, Ruling};
pub use consent::{ConsentKind, Said};
pub use decide::Permit;
pub use decimal::Decimal;
pub use denial::{Denial, DenialKind, Reason};
pub use detections::{Consequence, Detection, Detections, Hours, OwnRecord, Terms};
pub use diff::{Change, Class, Comparison, compare, may_wait, waits_for};
pub use explain::{Explanation, FieldReport, RuleReport, Stage};
pub use expression::EvaluationError;
pub use format::format;
pub use grant::{Coverage, EMERGENCY, Grant, Lack, Subjects};
pub use granting::{BreakGlass, GrantTerms, Granting, NotGrantable};
pub use headers::{HeaderRule, Headers, same_to_a_backend};
pub use inventory::FieldForms;
pub use judge::{Factor, Principal, Query, StepUp};
pub use kind::{Kind, Mask, Style};
pub use limits::{
    Export, Holder, LimitSet, Limits, Moment, OffHours, Per, Rate, Scope, Scoped,
    Slice as LimitSlice, Window,
};
pub use model::{Action, Format, Route, Watermark};
pub use opaque::Opaque;
pub use openapi::{ImportOptions, Imported, import};
pub use outcome::Treatment;
pub use plan::Plan;
pub use program::{Program, RouteMatch, compile, version_of};
pub use retention::{KEPT, Kept, Retention};
pub use rows::TooManyConditions;
pub use schema::schema;
pub use search::{FilterForm, Parameter, PathParameter, SearchPlan, TooLarge};
pub use sending::{BodyForm, FileRule, Sending, Unwritable, Uploads};
pub use socket::{Socket, SocketCaps};
pub use survey::{Cell, Entry, LimitRow, Matrix, MatrixRow, RouteRow, Selection, UnknownSelection};
pub use ties::{KnownCases, Ties};
pub use two_person::{LOG_EXPORT, LOG_PURGE};
pub use value::Value;

#[cfg(test)]
mod tests;
