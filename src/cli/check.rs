//! `menshen check`: every fault of the policy, and of the configuration if one is named, at once.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::config::Config;
use crate::document::Fault;
use crate::policy::Program;
use crate::server::{self, PolicyError, StartError};

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
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The result for programs.
#[derive(Serialize)]
struct Report<'a> {
    faults: &'a [Fault],
    warnings: &'a [Fault],
    routes: usize,
    version: Option<&'a str>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = arguments.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(Failure::fault)?;
    let named = arguments.policies.clone();
    let (folder, checked) = match config {
        Some(mut config) => {
            config.policies = named.unwrap_or(config.policies);
            let checked = server::check(&config);
            (config.policies, checked)
        }
        None => {
            let folder = named.unwrap_or_else(|| PathBuf::from("policies"));
            let checked = server::load_policies(&folder).map_err(StartError::Policy);
            (folder, checked)
        }
    };
    match (checked, arguments.format) {
        (Ok(program), Format::Human) => tell(&folder.display().to_string(), &program, out),
        (Ok(program), Format::Json) => output::json(
            out,
            &Report {
                faults: &[],
                warnings: program.warnings(),
                routes: program.routes().len(),
                version: Some(program.version()),
            },
        ),
        (Err(StartError::Policy(PolicyError::Faults(faults))), Format::Json) => {
            let faults = faults.as_slice();
            output::json(out, &Report { faults, warnings: &[], routes: 0, version: None })?;
            Err(Failure::ToldFault)
        }
        (Err(error), Format::Human | Format::Json) => Err(Failure::fault(error)),
    }
}

fn tell(folder: &str, program: &Program, out: &mut dyn Write) -> Outcome {
    for (first, others) in alike(program.warnings()) {
        writeln!(out, "{first}{}", briefly(&others)).map_err(Failure::internal)?;
    }
    let (routes, warnings) = (program.routes().len(), program.warnings().len());
    writeln!(
        out,
        "{folder}: no faults, {warnings} {}; {routes} routes, version {}",
        if warnings == 1 { "warning" } else { "warnings" },
        program.version(),
    )
    .map_err(Failure::internal)
}

/// Warnings in groups of one code and one help, so that a new policy's many are not a page each.
fn alike(warnings: &[Fault]) -> Vec<(&Fault, Vec<&Fault>)> {
    let mut groups: Vec<(&Fault, Vec<&Fault>)> = Vec::new();
    for warning in warnings {
        let is_like = |first: &Fault| first.code == warning.code && first.help == warning.help;
        match groups.iter_mut().find(|(first, _)| is_like(first)) {
            Some((_, others)) => others.push(warning),
            None => groups.push((warning, Vec::new())),
        }
    }
    groups
}

/// Others of a group: place and message, a line each.
fn briefly(others: &[&Fault]) -> String {
    let mut text = String::new();
    if !others.is_empty() {
        text = format!("  and {} more like it:\n", others.len());
    }
    for Fault { file, line, column, message, .. } in others {
        text += &format!("    {file}:{line}:{column}: {message}\n");
    }
    text
}
