//! YAML text made of values: what a scalar must look like to be read back as the same text.

mod scalar;

pub(crate) use scalar::{Place, one_line, written};
