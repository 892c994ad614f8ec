//! The tests that run the whole gate, and the ones that look at its source.

mod layering;
