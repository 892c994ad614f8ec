//! `menshen log export`: a part of the log for another tool, as JSON Lines, OCSF or CEF.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::log::LogCommandError;
use super::log_agreed::{Agreed, AskArgs, Errands};
use super::log_print::json;
use super::log_question::{Question, QuestionArgs};
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
    #[command(flatten)]
    ask: AskArgs,
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

/// Prints what fits, the newest first; it is recorded before, and how much it was after, also where it broke off.
pub(super) fn run_export(args: &ExportArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let question = args.question.open()?;
    let approved_by = match agreed(args, &question)? {
        Agreed::By(name) => name,
        Agreed::Asked(said) => {
            out.write_all(said.as_bytes())?;
            return Ok(0);
        }
    };
    let reading = Reading {
        name: "log_export_begun".to_owned(),
        asked: question.asked(),
        reason: args.question.unmasking.reason.clone().unwrap_or_default(),
        approved_by,
        subject: question.subject.clone(),
        ..Reading::default()
    };
    question.custody.leave(reading)?;
    let mut seen = 0;
    let printed = print(args.view, &question, &mut seen, out);
    question.record("log_exported", seen)?;
    printed.map(|()| 0)
}

/// Whether two persons agreed to this very export, where they have to.
fn agreed(args: &ExportArgs, question: &Question<'_>) -> Result<Agreed, LogCommandError> {
    let asked = question.asked();
    let view = format!("{:?}", args.view);
    // More than is told: words of reasons make another export, too.
    let filter = format!("{:?}", question.filter);
    let errand = Errands {
        config: args.question.config(),
        dir: &question.log.dir,
        master: &question.log.master,
        parts: &[b"export", view.as_bytes(), asked.as_bytes(), filter.as_bytes()],
        told: &asked,
        reason: args.question.unmasking.reason.as_deref().unwrap_or_default(),
    };
    errand.settle(&args.ask)
}

fn print(
    view: View,
    question: &Question<'_>,
    seen: &mut usize,
    out: &mut dyn Write,
) -> Result<(), LogCommandError> {
    let mut index = question.log.index()?;
    let naming = question.naming();
    let mut progress = Progress::new("exporting", "requests", 0);
    let mut before = None;
    loop {
        let page = index.search(&question.filter, before, PAGE)?;
        for access in &page.accesses {
            *seen += 1;
            match view {
                View::Jsonl => writeln!(out, "{}", json(access, &naming))?,
                View::Ocsf => writeln!(out, "{}", ocsf(access))?,
                View::Cef => writeln!(out, "{}", cef(access))?,
            }
        }
        progress.at(*seen as u64);
        before = page.next;
        if before.is_none() {
            return Ok(out.flush()?);
        }
    }
}
