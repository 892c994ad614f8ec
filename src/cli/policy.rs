//! `menshen policy`: the policy in force, the one that waits since it makes something wider, and asking that it may decide.

use std::io::Write;

use clap::{Args, Subcommand};

use super::gate_file::GateFile;
use super::switch::{doer, failure};
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::command::{Desk, Done, POLICY};
use crate::policy::{Comparison, Program, compare};
use crate::server::{compile_policies, kept_sources, load_policies};
use crate::state::Store;

/// So much of what becomes wider is asked with.
const DETAIL: usize = 200;

/// Arguments of `menshen policy`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen policy activate --reason \"CHG-118: phone for the complaints desk\" --config menshen.yaml"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what the files of the policy change of the one in force, and whether they wait for two persons; exit code 1
    /// if they do.
    Show(GateFile),
    /// Ask that the files may decide though they make something wider; another person agrees with `menshen policy confirm`.
    Activate {
        /// Why; the log has it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        at: GateFile,
    },
    /// Agree to what another person asked for, if the files still are that; look at it first (`show`).
    Confirm {
        /// The number that `activate` printed; `menshen switch list` shows it.
        number: i64,
        #[command(flatten)]
        at: GateFile,
    },
}

impl Found {
    /// Agrees to what was asked for, if the files still are what was asked for.
    async fn confirm(&self, number: i64) -> Result<String, Failure> {
        let asked = self.desk.asked().await.map_err(failure)?;
        let asked = asked.iter().find(|asked| asked.id == number);
        let version = self.files.version();
        if !asked.is_some_and(|asked| asked.is_about(version)) {
            return Err(Failure::fault(format!(
                "number {number} does not ask for the policy of the files, which is {version}"
            )));
        }
        self.desk.agree(&doer(), number).await.map_err(failure)?;
        Ok(format!(
            "policy {version} is agreed to; a running gate has it in force within a second\n"
        ))
    }
}

/// A gate's state, and the policy of its files.
struct Found {
    store: Store,
    desk: Desk,
    files: Program,
}

/// Opens the state of a gate, and reads the files of its policy.
fn find(gate: &GateFile) -> Result<Found, Failure> {
    let (config, store) = gate.open()?;
    let files = load_policies(&config.policies).map_err(Failure::fault)?;
    Ok(Found { desk: Desk::new(store.clone(), Clock::system()), store, files })
}

impl Found {
    /// What the files change of the policy in force; `None` if that cannot be told, or there is none.
    async fn comparison(&self) -> Result<Option<Comparison>, Failure> {
        let Some(kept) = self.store.kept_policy().await.map_err(Failure::internal)? else {
            return Ok(None);
        };
        let Some(sources) = kept_sources(&kept) else { return Ok(None) };
        Ok(compile_policies(&sources).ok().map(|old| compare(&old, &self.files)))
    }

    async fn waits(&self, comparison: Option<&Comparison>) -> Result<bool, Failure> {
        let words = self.desk.two_person().await.map_err(failure)?;
        let agreed = self.store.is_policy_agreed(self.files.version()).await;
        let is_wider = comparison.is_none_or(Comparison::widens);
        let takes_two = words.iter().any(|word| word == POLICY);
        Ok(takes_two && is_wider && !agreed.map_err(Failure::internal)?)
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(async {
        match &arguments.action {
            Action::Show(at) => show(at, out).await,
            Action::Activate { reason, at } => activate(at, reason, out).await,
            Action::Confirm { number, at } => {
                let said = find(at)?.confirm(*number).await?;
                out.write_all(said.as_bytes()).map_err(Failure::internal)
            }
        }
    })
}

async fn show(at: &GateFile, out: &mut dyn Write) -> Outcome {
    let found = find(at)?;
    let comparison = found.comparison().await?;
    let waits = found.waits(comparison.as_ref()).await?;
    let told = comparison.map_or_else(
        || "the policy in force is not known, so nothing can be compared\n".to_owned(),
        |comparison| comparison.to_string(),
    );
    let state = if waits { "it waits for two persons" } else { "it waits for nobody" };
    let said = format!("policy {}\n{told}{state}\n", found.files.version());
    out.write_all(said.as_bytes()).map_err(Failure::internal)?;
    if waits { Err(Failure::Finding) } else { Ok(()) }
}

async fn activate(at: &GateFile, reason: &str, out: &mut dyn Write) -> Outcome {
    let found = find(at)?;
    let comparison = found.comparison().await?;
    if comparison.as_ref().is_some_and(|comparison| !comparison.widens()) {
        return Err(Failure::fault("nothing is wider: the files wait for nobody"));
    }
    let wider = comparison.map(|comparison| comparison.wider()).unwrap_or_default();
    let version = found.files.version();
    let detail: String = wider.join("; ").chars().take(DETAIL).collect();
    let done = found.desk.activate(&doer(), version, &detail, reason).await.map_err(failure)?;
    let said = match done {
        Done::Waits(id) => format!(
            "policy {version}: {} wider; have another person look at it (`menshen policy show`) and run `menshen policy confirm {id}` within an hour\n",
            match wider.len() {
                1 => "one thing is".to_owned(),
                n => format!("{n} things are"),
            }
        ),
        Done::Already | Done::Changed => {
            format!("policy {version}: two persons have agreed already\n")
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}
