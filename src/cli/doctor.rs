//! `menshen doctor`: what is wrong with the machine, the files, the ports and the backends, in one list.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::config::Config;
use crate::server::{Finding, Standing, examine};

/// Arguments of `menshen doctor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The operator's file.
    ///
    /// Example: menshen doctor --config /etc/menshen/menshen.yaml
    #[arg(long, default_value = "menshen.yaml")]
    config: PathBuf,
    /// Only what is not good.
    #[arg(long)]
    quiet: bool,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = Config::load(&arguments.config).map_err(Failure::fault)?;
    let runtime = super::runtime()?;
    let mut findings = runtime.block_on(examine(&config));
    runtime.shutdown_background();
    if arguments.quiet {
        findings.retain(|finding| finding.standing != Standing::Good);
    }
    match arguments.format {
        Format::Json => output::json(out, &findings)?,
        Format::Human => tell(&findings, out).map_err(Failure::internal)?,
    }
    let is_bad = findings.iter().any(|finding| finding.standing == Standing::Bad);
    if is_bad { Err(Failure::Finding) } else { Ok(()) }
}

fn tell(findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    for Finding { standing, about, said } in findings {
        let sign = match standing {
            Standing::Good => "ok   ",
            Standing::Warning => "warn ",
            Standing::Bad => "BAD  ",
        };
        writeln!(out, "{sign} {about}: {said}")?;
    }
    let count = |standing| findings.iter().filter(|one| one.standing == standing).count();
    let (bad, warned) = (count(Standing::Bad), count(Standing::Warning));
    writeln!(out, "{bad} to mend before the gate can be relied on, {warned} to look at")
}
