//! `menshen key`: makes the master key.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::secret::MasterKey;

/// Arguments of `menshen key`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new random master key to a file that does not exist yet.
    ///
    /// Example: menshen key generate /etc/menshen/master.key
    Generate {
        /// Where to write it; only its owner will be able to read it.
        file: PathBuf,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let Action::Generate { file } = &arguments.action;
    let key = MasterKey::generate().map_err(Failure::internal)?;
    key.write_new(file).map_err(Failure::fault)?;
    writeln!(
        out,
        "wrote {}; keep a copy elsewhere, without it log and accounts are unreadable",
        file.display()
    )
    .map_err(Failure::internal)
}
