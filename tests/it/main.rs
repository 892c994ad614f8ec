//! The tests that run the whole gate, and the ones that look at its source.
#![expect(clippy::unwrap_used, reason = "a test that meets a surprise should end there")]

mod demo;
mod layering;
