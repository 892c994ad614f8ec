//! The demo: a bank's backend with invented customers, and throw-away certificates for it.
//!
//! The backend is as careless as real ones are, so that the gate in front of it has work to do.
//! Tests and benchmarks use it too.

mod branches;
mod names;
mod numbers;
pub mod orders;
pub mod people;
mod random;
