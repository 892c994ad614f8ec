//! The policy: what a security team writes, compiled to the one program that every part asks.
//!
//! Pure: no files, no clock, no sockets. Callers bring text, facts and the time.

pub mod kind;
pub mod plan;
pub mod search;
pub mod value;

pub use kind::Kind;
pub use plan::Plan;
pub use search::{Parameter, SearchPlan};
pub use value::Value;
