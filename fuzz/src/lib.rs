//! What libFuzzer runs: the gate's pure cores, compiled from their very source, and the targets.
//!
//! The cores alone build in a fraction of the time that all of menshen takes, and nothing else is
//! instrumented. They call each other `crate::…` and the targets call them `menshen::…`: both are this crate.

#![allow(dead_code, reason = "the cores have more to them than the targets call")]

extern crate self as menshen;

#[path = "../../src/document/mod.rs"]
pub mod document;
#[path = "../../src/guard/mod.rs"]
pub mod guard;
pub mod identity;
#[path = "../../src/identity/passkey/mod.rs"]
pub mod passkey;
#[path = "../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../src/route/mod.rs"]
pub mod route;
mod targets;

pub use targets::{TARGETS, run};
