//! `menshen policy`: the policy in force, the one that waits since it makes something wider, and asking that it may decide.

use std::io::Write;

use clap::{Args, Subcommand};

use super::gate_file::GateFile;
use super::switch::{doer, failure};
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::command::{Desk, Done};
use crate::policy::{Program, compare, may_wait, waits_for};
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
    /// The policy in force; `None` if it cannot be told, or there is none.
    async fn before(&self) -> Result<Option<Program>, Failure> {
        let Some(kept) = self.store.kept_policy().await.map_err(Failure::internal)? else {
            return Ok(None);
        };
        let Some(sources) = kept_sources(&kept) else { return Ok(None) };
        Ok(compile_policies(&sources).ok())
    }

    /// For what the files wait for two persons, each in words; `None` if they wait for nobody.
    async fn waits(&self, before: Option<&Program>) -> Result<Option<Vec<String>>, Failure> {
        let words = self.desk.two_person().await.map_err(failure)?;
        let agreed = self.store.is_policy_agreed(self.files.version()).await;
        if !may_wait(&words) || agreed.map_err(Failure::internal)? {
            return Ok(None);
        }
        let Some(before) = before else { return Ok(Some(Vec::new())) };
        Ok(Some(waits_for(&words, before, &self.files)).filter(|wider| !wider.is_empty()))
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
    let before = found.before().await?;
    let waits = found.waits(before.as_ref()).await?.is_some();
    let told = before.map_or_else(
        || "the policy in force is not known, so nothing can be compared\n".to_owned(),
        |before| compare(&before, &found.files).to_string(),
    );
    let state = if waits { "it waits for two persons" } else { "it waits for nobody" };
    let said = format!("policy {}\n{told}{state}\n", found.files.version());
    out.write_all(said.as_bytes()).map_err(Failure::internal)?;
    if waits { Err(Failure::Finding) } else { Ok(()) }
}

async fn activate(at: &GateFile, reason: &str, out: &mut dyn Write) -> Outcome {
    let found = find(at)?;
    let before = found.before().await?;
    let version = found.files.version();
    let agreed = found.store.is_policy_agreed(version).await.map_err(Failure::internal)?;
    let waits = found.waits(before.as_ref()).await?;
    if waits.is_none() && !agreed {
        return Err(Failure::fault("the files wait for nobody"));
    }
    let wider = waits.unwrap_or_default();
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
