//! `menshen log export`: a part of the log for another tool, as JSON Lines, OCSF or CEF.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::log::LogCommandError;
use super::log_custody::asked;
use super::log_print::json;
use super::log_question::QuestionArgs;
use super::progress::Progress;
use crate::audit::Reading;
use crate::report::{cef, ocsf};

/// Requests that are read at a time.
const PAGE: usize = 1_000;

/// Arguments of `menshen log export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// The form: an object a line with all entries, OCSF 1.x, or CEF 0. OCSF and CEF name people by reference only.
    #[arg(long, value_enum, default_value_t)]
    view: View,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum View {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// OCSF, one object a line.
    Ocsf,
    /// CEF, a line each.
    Cef,
}

/// Prints what fits, the newest first; it is recorded before, and how much it was after.
pub(super) fn run_export(args: &ExportArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let question = args.question.open()?;
    let mut index = question.log.index()?;
    let reading = Reading {
        name: "log_export_begun".to_owned(),
        asked: asked(&question.filter),
        reason: args.question.unmasking.reason.clone().unwrap_or_default(),
        subject: question.subject.clone(),
        ..Reading::default()
    };
    question.custody.leave(reading)?;
    let naming = question.naming();
    let mut progress = Progress::new("exporting", "requests", 0);
    let (mut before, mut seen) = (None, 0);
    loop {
        let page = index.search(&question.filter, before, PAGE)?;
        for access in &page.accesses {
            match args.view {
                View::Jsonl => writeln!(out, "{}", json(access, &naming))?,
                View::Ocsf => writeln!(out, "{}", ocsf(access))?,
                View::Cef => writeln!(out, "{}", cef(access))?,
            }
        }
        seen += page.accesses.len();
        progress.at(seen as u64);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    question.record("log_exported", seen)?;
    Ok(0)
}
