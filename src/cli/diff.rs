//! `menshen diff`: two policies compared in people's words, for a reviewer and for a pipeline.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::policy::{Change, compare};
use crate::server::load_policies;

/// Arguments of `menshen diff`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy as it was: a folder or one file.
    ///
    /// Example: menshen diff policies candidate --no-widening
    old: PathBuf,
    /// The policy as it shall be.
    new: PathBuf,
    /// Exit with 1 if anybody may get more, or if that cannot be told.
    #[arg(long)]
    no_widening: bool,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The result for programs.
#[derive(Serialize)]
struct Report<'a> {
    widens: bool,
    changes: &'a [Change],
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let old = load_policies(&arguments.old).map_err(Failure::fault)?;
    let new = load_policies(&arguments.new).map_err(Failure::fault)?;
    let comparison = compare(&old, &new);
    let widens = comparison.widens();
    match arguments.format {
        Format::Human => write!(out, "{comparison}").map_err(Failure::internal)?,
        Format::Json => output::json(out, &Report { widens, changes: &comparison.changes })?,
    }
    if widens && arguments.no_widening { Err(Failure::Finding) } else { Ok(()) }
}
