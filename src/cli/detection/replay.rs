//! `menshen detection replay`: a log, and what the detections of a policy would have found in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::device::time;
use super::super::log_custody::record;
use super::super::log_keys::{LogKeys, Unread};
use super::super::output::{self, Format};
use super::super::{Failure, Outcome};
use crate::audit::{Reader, Record};
use crate::review::{Finding, Names, Review, Rules};
use crate::server::load_policies;

/// Findings that are shown; further ones are counted.
const SHOWN: usize = 1000;

/// Arguments of `menshen detection replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy whose detections are tried: a folder, or one file.
    ///
    /// Example: menshen detection replay policies-next --log /var/lib/menshen/log
    policies: PathBuf,
    /// The folder of the log.
    #[arg(long)]
    log: PathBuf,
    #[command(flatten)]
    keys: LogKeys,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    entries: u64,
    /// How many of each detection.
    found: BTreeMap<&'static str, u64>,
    /// How many persons something would have followed for.
    held: usize,
    first: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    at: String,
    detection: &'static str,
    action: &'static str,
    holder: String,
    said: String,
    decision: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::super::log::need_log(&arguments.log).map_err(Failure::fault)?;
    let program = load_policies(&arguments.policies).map_err(Failure::fault)?;
    let master = arguments.keys.master().map_err(Failure::fault)?;
    let names = master.as_ref().map(Names::derive).transpose().map_err(Failure::fault)?;
    let rules = Rules::of(&program, names.as_ref());
    let opener = arguments.keys.opener(&arguments.log).map_err(Failure::fault)?;
    let (mut review, mut report) = (Review::default(), Report::default());
    let mut held = std::collections::BTreeSet::new();
    let mut unread = Unread::default();
    for record in Reader::new(&arguments.log, 0, opener) {
        let entry = match record.map_err(Failure::internal)?.1 {
            Record::Entry(entry) => entry,
            Record::Closed(closed) => {
                unread.add(closed);
                continue;
            }
        };
        report.entries += 1;
        for found in review.take(&entry, &rules) {
            *report.found.entry(found.detection.name()).or_default() += 1;
            if found.holds() {
                held.insert(found.holder.clone());
            }
            if report.first.len() < SHOWN {
                report.first.push(shown(found));
            }
        }
    }
    report.held = held.len();
    let asked = format!("what the detections of the policy {} find", program.version());
    let seen = usize::try_from(report.entries).unwrap_or(usize::MAX);
    record(&arguments.keys, &arguments.log, "log_reviewed", &asked, seen)
        .map_err(Failure::fault)?;
    match arguments.format {
        Format::Human => tell(&report, &unread, out).map_err(Failure::internal)?,
        Format::Json => output::json(out, &report)?,
    }
    if report.found.is_empty() { Ok(()) } else { Err(Failure::Finding) }
}

fn shown(found: Finding) -> Shown {
    Shown {
        at: time(found.at_ms.div_euclid(1000)),
        detection: found.detection.name(),
        action: found.consequence.name(),
        decision: found.trigger.to_string(),
        holder: found.holder,
        said: found.said,
    }
}

fn tell(report: &Report, unread: &Unread, out: &mut dyn Write) -> std::io::Result<()> {
    for line in unread.lines() {
        writeln!(out, "{line}")?;
    }
    let all: u64 = report.found.values().sum();
    let (entries, held) = (report.entries, report.held);
    writeln!(out, "{entries} entries: {all} findings, which would have held {held} persons")?;
    for (name, count) in &report.found {
        writeln!(out, "  {count:>6}  {name}")?;
    }
    for Shown { at, detection, action, holder, said, .. } in &report.first {
        writeln!(out, "{at}  {detection:<18} {action:<8} {holder}: {said}")?;
    }
    if all > report.first.len() as u64 {
        writeln!(out, "and {} more", all - report.first.len() as u64)?;
    }
    Ok(())
}
