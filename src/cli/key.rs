//! `menshen key`: makes the master key, shows the public keys that follow from it, and makes API keys of accounts.

mod api;
mod rotate;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Assertions;
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
    /// Print the public keys of assertions as a JWK Set, for backends that fetch nothing.
    ///
    /// A running gate publishes them at `/.menshen/jwks.json`, with one key of the time to come.
    /// Example: menshen key assertions --config /etc/menshen/menshen.yaml > gate-jwks.json
    Assertions {
        /// The configuration, which names the master key and says how long a key signs.
        #[arg(long)]
        config: PathBuf,
        /// How many keys of the time to come.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..=120))]
        ahead: u8,
    },
    /// Wrap the keys of the log's entries under the key that the configuration names now.
    ///
    /// Stop the gate first. Entries and their tree stay as they are.
    /// Example: menshen key rotate --config /etc/menshen/menshen.yaml --from /etc/menshen/old.key
    Rotate(rotate::Rotate),
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
        Action::Assertions { config, ahead } => assertions(config, *ahead, out),
        Action::Rotate(rotate) => rotate::rotate(rotate, out),
        Action::Issue(issue) => super::runtime()?.block_on(api::issue(issue, out)),
        Action::List(list) => super::runtime()?.block_on(api::list(list, out)),
        Action::Revoke(revoke) => super::runtime()?.block_on(api::revoke(revoke, out)),
    }
}

fn assertions(config: &Path, ahead: u8, out: &mut dyn Write) -> Outcome {
    let config = Config::load(config).map_err(Failure::fault)?;
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let signed = Assertions::new(config.assertions, &master, Clock::system());
    let set = signed.and_then(|assertions| assertions.jwks(ahead)).map_err(Failure::internal)?;
    out.write_all(set.as_bytes()).map_err(Failure::internal)
}

fn generate(file: &Path, out: &mut dyn Write) -> Outcome {
    let key = MasterKey::generate().map_err(Failure::internal)?;
    key.write_new(file).map_err(Failure::fault)?;
    writeln!(
        out,
        "wrote {}; keep a copy elsewhere, without it log and accounts are unreadable",
        file.display()
    )
    .map_err(Failure::internal)
}
