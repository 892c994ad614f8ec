//! `menshen report partner`: all that one partner received, from the log.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::super::log::LogCommandError;
use super::super::log_custody::Unmasking;
use super::super::log_filter::{Form, WhenArgs};
use super::super::output::Ink;
use super::super::table;
use super::{AtPlace, all, custody};
use crate::audit::Filter;
use crate::report::{Given, Ledger};

/// Arguments of `menshen report partner`.
#[derive(Debug, Args)]
pub(super) struct PartnerArgs {
    /// The partner, as the registry has it.
    partner: String,
    #[command(flatten)]
    place: AtPlace,
    #[command(flatten)]
    when: WhenArgs,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

pub(super) fn run(args: &PartnerArgs, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let log = args.place.find()?;
    let (from_ms, until_ms) = args.when.range()?;
    let filter = Filter { from_ms, until_ms, ..Filter::default() };
    let mut ledger = Ledger::of(&args.partner);
    let unread = all(&mut log.index()?, &filter, |access| ledger.take(access))?;
    ledger.sort();
    let seen = usize::try_from(ledger.requests).unwrap_or(usize::MAX);
    let asked = format!("partner {}", args.partner);
    custody(&log, "report partner", &asked, &Unmasking::default(), None, seen)?;
    match args.format {
        Form::Json => {
            let mut told = json!(ledger);
            if let Some(members) = told.as_object_mut() {
                members.insert("not_read".to_owned(), unread.into());
            }
            writeln!(out, "{told}")?;
        }
        Form::Human => human(&ledger, unread, out)?,
    }
    Ok(())
}

fn human(ledger: &Ledger, unread: u64, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let Ledger { partner, requests, refused, unknown, total, .. } = ledger;
    writeln!(out, "{partner}: {requests} requests, {refused} refused, {unknown} without an end")?;
    let whole = || "-".to_owned();
    let mut rows = vec![row("all", whole(), total)];
    for (what, counts) in [("contract", &ledger.contracts), ("purpose", &ledger.purposes)] {
        rows.extend(counts.iter().map(|(name, given)| row(what, name.clone(), given)));
    }
    for (field, ways) in &ledger.fields {
        rows.extend(ways.iter().map(|(how, given)| row(how, field.clone(), given)));
    }
    let heads = ["", "which", "answers", "records", "people", "bytes"];
    table::print(out, heads, &rows, Ink::of_stdout())?;
    for file in &ledger.files {
        let end = if file.complete { "whole" } else { "cut or unknown" };
        writeln!(
            out,
            "file of {}: {} records, {} bytes, {end}, sha256 {}, contract {}, request {}",
            file.time, file.records, file.bytes, file.sha256, file.contract, file.request
        )?;
    }
    writeln!(out, "people are counted anew in each answer")?;
    if ledger.not_named > 0 {
        writeln!(out, "{} answers had more fields than the log names", ledger.not_named)?;
    }
    if unread > 0 {
        writeln!(
            out,
            "{unread} entries of that time cannot be read: another key is needed, or one is missing"
        )?;
    }
    Ok(())
}

fn row(what: &str, name: String, given: &Given) -> [String; 6] {
    let Given { answers, records, people, bytes } = given;
    let numbers = [answers, records, people, bytes].map(u64::to_string);
    let [answers, records, people, bytes] = numbers;
    [what.to_owned(), name, answers, records, people, bytes]
}
