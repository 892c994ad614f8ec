//! `menshen check`: every fault of the policy, and of the configuration if one is named, at once.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome};
use crate::config::Config;
use crate::server;

/// Arguments of `menshen check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy folder, or one file.
    ///
    /// Example: menshen check policies/demo
    policies: Option<PathBuf>,
    /// Check the operator's file too, with the certificates and keys it names; its policy folder is
    /// checked where no other is named.
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = arguments.config.as_deref().map(Config::load).transpose();
    let (folder, program) = match (config.map_err(Failure::fault)?, arguments.policies.clone()) {
        (Some(mut config), folder) => {
            config.policies = folder.unwrap_or(config.policies);
            let program = server::check(&config).map_err(Failure::fault)?;
            (config.policies, program)
        }
        (None, folder) => {
            let folder = folder.unwrap_or_else(|| PathBuf::from("policies"));
            let program = server::load_policies(&folder).map_err(Failure::fault)?;
            (folder, program)
        }
    };
    for warning in program.warnings() {
        writeln!(out, "{warning}").map_err(Failure::internal)?;
    }
    let (routes, warnings) = (program.routes().len(), program.warnings().len());
    writeln!(
        out,
        "{}: no faults, {warnings} {}; {routes} routes, version {}",
        folder.display(),
        if warnings == 1 { "warning" } else { "warnings" },
        program.version(),
    )
    .map_err(Failure::internal)
}
