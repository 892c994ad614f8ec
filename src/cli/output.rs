//! How results are printed: for people or for programs, and in colour only where somebody looks.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::{Failure, Outcome};

/// The form of a result on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// Prints one JSON document and a line end.
pub(super) fn json(out: &mut dyn Write, document: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(document).map_err(Failure::internal)?;
    writeln!(out, "{text}").map_err(Failure::internal)
}
