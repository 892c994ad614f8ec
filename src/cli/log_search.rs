//! `menshen log search`: who saw whom, what, when, where and why; by the index, or by reading the whole log.

use std::collections::HashMap;
use std::io::{self, Write};

use clap::Args;

use super::log::LogCommandError;
use super::log_filter::{Form, Zone};
use super::log_keys::unread;
use super::log_place::FoundLog;
use super::log_print::{Naming, json};
use super::log_question::QuestionArgs;
use super::output::Ink;
use super::progress::Progress;
use super::table;
use crate::audit::{Access, Accesses, Closed, Filter, Reader};
use crate::index::Page;

/// Arguments of `menshen log search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// How many, the newest first.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Go on where an earlier answer ended, as it says.
    #[arg(long, value_name = "PLACE", conflicts_with = "scan")]
    before: Option<u64>,
    /// Read the whole log and not the index, which somebody may have tampered with.
    #[arg(long)]
    scan: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// Runs the command.
pub(super) fn run_search(args: &SearchArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let question = args.question.open()?;
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let page = if args.scan {
        scan(&question.log, question.filter.clone(), most)?
    } else {
        question.log.index()?.search(&question.filter, args.before, most)?
    };
    question.record("log_searched", page.accesses.len())?;
    let naming = question.naming();
    match args.format {
        Form::Human => human(&page, &naming, &args.question.filter.when.zone(), out)?,
        Form::Json => {
            for access in &page.accesses {
                writeln!(out, "{}", json(access, &naming))?;
            }
            for (closed, count) in &page.closed {
                writeln!(out, "{}", serde_json::json!({ "not_read": closed, "count": count }))?;
            }
            if let Some(next) = page.next {
                writeln!(out, "{}", serde_json::json!({ "before": next }))?;
            }
        }
    }
    Ok(0)
}

/// What a filter wants, from the whole log, the newest first.
pub(super) fn scan(log: &FoundLog, filter: Filter, most: usize) -> Result<Page, LogCommandError> {
    let mut accesses = Accesses::new(filter, most);
    let mut progress = Progress::new("reading the log", "entries", log.size());
    for read in Reader::new(&log.dir, 0, log.opener.clone()) {
        let (index, record) = read?;
        progress.at(index);
        accesses.add(index, record);
    }
    let closed: HashMap<Closed, u64> = accesses.closed().into_iter().collect();
    let mut accesses = accesses.finish();
    accesses.reverse();
    Ok(Page { accesses, next: None, closed })
}

fn human(page: &Page, naming: &Naming<'_>, zone: &Zone, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = page.accesses.iter().map(|access| row(access, naming, zone)).collect();
    let time = format!("time ({})", zone.name());
    let heads = [time.as_str(), "who", "what", "verdict", "whom", "fields", "why"];
    table::print(out, heads, &rows, Ink::of_stdout())?;
    for (closed, count) in &page.closed {
        writeln!(out, "{}", unread(closed, *count))?;
    }
    let shown = page.accesses.len();
    match page.next {
        Some(next) => {
            writeln!(out, "{shown} shown, the newest first; for further ones: --before {next}")
        }
        None => writeln!(out, "{shown} shown, and there are no others before them"),
    }
}

fn row(access: &Access, naming: &Naming<'_>, zone: &Zone) -> [String; 7] {
    let entry = &access.entry;
    let who = who(access);
    let what = match (&entry.request, &entry.act) {
        (_, Some(act)) => format!("{} {}", act.name, act.object).trim_end().to_owned(),
        (Some(request), None) if !request.route.is_empty() => request.route.to_string(),
        (Some(request), None) => format!("{} (no such route)", request.method),
        (None, None) => entry.event.to_string(),
    };
    let status = access.told().result.as_ref().or(entry.result.as_ref()).and_then(|r| r.status);
    let status = status.map(|status| format!(" {status}")).unwrap_or_default();
    let verdict = entry.decision.as_ref().map(|decision| format!("{}{status}", decision.effect));
    let mut whom = naming.names(access).into_iter().take(2).collect::<Vec<_>>().join(", ");
    if access.subject_count > 2 {
        whom = format!("{whom} and {} more", access.subject_count.saturating_sub(2));
    }
    let why = entry.why.as_ref().map(|why| {
        let parts = [why.purpose.as_str(), why.ticket.as_str(), why.reason.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    });
    let time = zone.shown(entry.time.0);
    [time, who, what, verdict.unwrap_or_default(), whom, shown(access), why.unwrap_or_default()]
}

/// The account with its roles.
pub(super) fn who(access: &Access) -> String {
    let Some(actor) = &access.entry.actor else { return String::new() };
    let roles: Vec<_> = actor.roles.iter().collect();
    match (actor.account.is_empty(), roles.is_empty()) {
        (true, _) => "somebody unknown".to_owned(),
        (false, true) => actor.account.to_string(),
        (false, false) => format!("{} ({})", actor.account, roles.join(", ")),
    }
}

/// The fields that were shown, without the name of the entity.
pub(super) fn shown(access: &Access) -> String {
    if access.is_without_outcome() {
        return "possibly all that was permitted".to_owned();
    }
    let Some(data) = &access.told().data else { return String::new() };
    let entity = format!("{}.", data.entity);
    let mut parts = Vec::new();
    for (label, list) in
        [("", &data.clear), ("masked ", &data.masked), ("pseudonym ", &data.pseudonym)]
    {
        let names: Vec<_> = list.iter().map(|n| n.strip_prefix(&entity).unwrap_or(n)).collect();
        if !names.is_empty() {
            parts.push(format!("{label}{}", names.join(" ")));
        }
    }
    parts.join("; ")
}
