//! Grants: leave that somebody else gives, for these people and this hour, with an end and a record of every step.
//!
//! `steps.rs` says which step may follow which, `approval.rs` who may agree; both are pure. `counter.rs` keeps grants in
//! the state, sealed. What a grant opens, the policy judges: here nobody knows what a route or a field is.

mod approval;
mod ask;
mod counter;
mod steps;

#[cfg(test)]
mod tests;

pub use approval::{ApprovalFault, Approver, Terms, check_approval, check_fresh, check_width};
pub use ask::{Ask, AskFault, Scope};
pub use counter::{Counter, GrantError, Listed, MOST_OWING, News, PER_PERSON, Unreadable, Who};
pub use steps::{Approval, Emergency, Grant, Review, State, StepFault, Told, Verdict};
