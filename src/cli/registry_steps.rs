//! What the commands of partners and of tenants have in common: how one is named, listed and shown.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::account::Place;
use super::device::time;
use super::output::Format;
use super::registry::{failure, open};
use crate::clock::Clock;
use crate::registry::{Kind, Listed, Noted, Said};

/// One of them, to which something is done.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Which one.
    pub(super) name: String,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Many of them, from a file.
#[derive(Debug, Args)]
pub(super) struct FromFile {
    /// The file; one that ends in `.ndjson` has lines.
    pub(super) file: PathBuf,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) place: Place,
}

/// One of them, to be looked at.
#[derive(Debug, Args)]
pub(super) struct Looked {
    /// Which one.
    name: String,
    #[command(flatten)]
    print: Print,
}

/// How and from where.
#[derive(Debug, Args)]
pub(super) struct Print {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) place: Place,
}

/// All that was done with one, for people with what it is now.
pub(super) async fn steps(
    looked: &Looked,
    kind: Kind,
    shown: fn(&[Noted]) -> String,
) -> Result<String, Failure> {
    let Looked { name, print: Print { format, place } } = looked;
    let steps = open(place)?.history(kind, name).await.map_err(failure)?;
    Ok(match format {
        Format::Human => shown(&steps) + &history(&steps),
        Format::Json => steps.iter().map(line).collect(),
    })
}

/// All of a kind, for people as a table.
pub(super) async fn all(
    Print { format, place }: &Print,
    kind: Kind,
    table: fn(&[Noted]) -> String,
) -> Result<String, Failure> {
    let all = open(place)?.all(kind).await.map_err(failure)?;
    let told = match format {
        Format::Human => table(&all.noted),
        Format::Json => all.noted.iter().map(line).collect(),
    };
    Ok(told + &unreadable(&all, *format))
}

/// What was done, step by step.
fn history(steps: &[Noted]) -> String {
    let mut table = format!("{:<22} {:<20} {:<24} REASON\n", "AT", "STEP", "BY");
    for Noted { act, by, reason, at_ms, .. } in steps {
        let at = time(at_ms.div_euclid(1000));
        table.push_str(&format!("{at:<22} {act:<20} {by:<24} {reason}\n"));
    }
    table
}

/// The names of what does not read.
fn unreadable(all: &Listed, format: Format) -> String {
    let said = |name: &String| match format {
        Format::Human => format!("`{name}` does not read, so nothing of it holds\n"),
        Format::Json => format!("{}\n", json!({ "unreadable": name })),
    };
    all.unreadable.iter().map(said).collect()
}

/// A step as a line of JSON, with what it came to.
fn line(noted: &Noted) -> String {
    let mut shown = json!(noted);
    if let (Said::Partner(partner), Some(members)) = (&noted.said, shown.as_object_mut()) {
        let state = partner.state(Clock::system().unix_s());
        members.insert("state".to_owned(), state.into());
    }
    format!("{shown}\n")
}
