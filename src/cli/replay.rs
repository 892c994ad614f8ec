//! `menshen replay`: yesterday's decisions on tomorrow's policy, and what would be different for whom.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::log_custody::record;
use super::log_keys::{LogKeys, Unread};
use super::output::{self, Format};
use super::{Failure, Outcome};
use crate::audit::{Frame, OpenedFrames};
use crate::clock::Clock;
use crate::replay::{Changed, Group, LeftOut, Replay, Report};
use crate::server::load_policies;

/// Names of one list that people are shown; programs get all.
const SHOWN: usize = 20;

/// Arguments of `menshen replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy to try: a folder, or one file.
    ///
    /// Example: menshen replay policies-next --log /var/lib/menshen/log --days 7
    new: PathBuf,
    /// The folder of the log.
    #[arg(long)]
    log: PathBuf,
    #[command(flatten)]
    keys: LogKeys,
    /// Only decisions of the last so many days.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Compare with what this policy says now, rather than with what was recorded: that shows changed
    /// conditions on records as well.
    #[arg(long)]
    old: Option<PathBuf>,
    /// Text for people, or one JSON document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::log::need_log(&arguments.log).map_err(Failure::fault)?;
    let new = load_policies(&arguments.new).map_err(Failure::fault)?;
    let old = arguments.old.as_deref().map(load_policies).transpose().map_err(Failure::fault)?;
    let mut replay = Replay::new(&new, old.as_ref());
    if let Some(days) = arguments.days {
        replay.begin_at(Clock::system().unix_s() - i64::from(days) * 86_400);
    }
    let mut unread = Unread::default();
    let opener = arguments.keys.opener(&arguments.log).map_err(Failure::fault)?;
    for frame in OpenedFrames::new(&arguments.log, 0, opener) {
        match frame.map_err(Failure::internal)?.1 {
            Frame::Json(json) => replay.take(&json),
            Frame::Closed(closed) => {
                replay.take_closed();
                unread.add(closed);
            }
        }
    }
    let report = replay.finish();
    let asked = format!("its decisions on the policy {}", new.version());
    let seen = usize::try_from(report.decisions).unwrap_or(usize::MAX);
    record(&arguments.keys, &arguments.log, "log_replayed", &asked, seen)
        .map_err(Failure::fault)?;
    match arguments.format {
        Format::Human => tell(&report, &unread, out).map_err(Failure::internal)?,
        Format::Json => output::json(out, &report)?,
    }
    if report.different > 0 { Err(Failure::Finding) } else { Ok(()) }
}

fn tell(report: &Report, unread: &Unread, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{} decisions: {} the same, {} different, {} undetermined",
        report.decisions, report.same, report.different, report.undetermined
    )?;
    for (why, count) in &report.left_out {
        let why = match why {
            LeftOut::NotByPolicy => {
                "ended before or beside the policy: no caller, no route, a limit"
            }
            LeftOut::Unreadable => "could not be read",
            LeftOut::Closed => {
                "entries of any kind are sealed, and no key was given that opens them"
            }
        };
        writeln!(out, "{count} more {why}")?;
    }
    for line in unread.lines() {
        writeln!(out, "{line}")?;
    }
    if !report.changes.is_empty() {
        writeln!(out, "\nwhat would be different")?;
    }
    changes(&report.changes, "  ", true, out)?;
    for (title, groups) in [
        ("by route", &report.routes),
        ("by rule", &report.rules),
        ("by role", &report.roles),
        ("for whom", &report.accounts),
        ("undetermined, because the log does not hold what these read", &report.open),
    ] {
        tell_groups(title, groups, out)?;
    }
    Ok(())
}

fn tell_groups(title: &str, groups: &[Group], out: &mut dyn Write) -> io::Result<()> {
    if !groups.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    for group in groups.iter().take(SHOWN) {
        writeln!(out, "  {:>9}  {}", group.all.count, group.name)?;
        changes(&group.changes, "             ", false, out)?;
    }
    if groups.len() > SHOWN {
        writeln!(out, "  and {} more; `--format json` has all", groups.len() - SHOWN)?;
    }
    Ok(())
}

fn changes(
    changes: &[Changed],
    indent: &str,
    with_examples: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for Changed { change, tally } in changes.iter().take(SHOWN) {
        writeln!(out, "{indent}{:>9}  {change}", tally.count)?;
        if with_examples {
            writeln!(out, "{indent}           such as {}", tally.examples.join(", "))?;
        }
    }
    if changes.len() > SHOWN {
        writeln!(out, "{indent}and {} more", changes.len() - SHOWN)?;
    }
    Ok(())
}
