//! `menshen key`: makes the master key, and API keys of accounts.

mod api;

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
    /// Issue an API key for an account, and print it once.
    ///
    /// Example: menshen key issue --account reports --role reporting --zone business --state … --key …
    Issue(api::Issue),
    /// List the API keys, revoked and expired ones among them.
    List(api::List),
    /// Revoke an API key for ever.
    Revoke(api::Revoke),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    match &arguments.action {
        Action::Generate { file } => generate(file, out),
        Action::Issue(issue) => super::runtime()?.block_on(api::issue(issue, out)),
        Action::List(list) => super::runtime()?.block_on(api::list(list, out)),
        Action::Revoke(revoke) => super::runtime()?.block_on(api::revoke(revoke, out)),
    }
}

fn generate(file: &std::path::Path, out: &mut dyn Write) -> Outcome {
    let key = MasterKey::generate().map_err(Failure::internal)?;
    key.write_new(file).map_err(Failure::fault)?;
    writeln!(
        out,
        "wrote {}; keep a copy elsewhere, without it log and accounts are unreadable",
        file.display()
    )
    .map_err(Failure::internal)
}
