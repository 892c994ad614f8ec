//! `menshen registry`: what the gate itself knows of whom data are about, beside a running gate.

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Outcome, registry_subject};

/// Arguments of `menshen registry`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say to what data subjects consented or objected, and mark them.
    Subject(registry_subject::Arguments),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    match &arguments.action {
        Action::Subject(arguments) => registry_subject::run(arguments, out),
    }
}
