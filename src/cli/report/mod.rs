//! `menshen report`: who saw a customer, what one employee did, what a reviewer looks at each month.

mod partner;
mod trace;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::log::LogCommandError;
use super::log_custody::{Custody, Unmasking, asked};
use super::log_filter::{FilterArgs, Form, WhenArgs, Zone};
use super::log_place::{FoundLog, LogPlace};
use super::log_search::scan;
use super::output::Ink;
use super::progress::Progress;
use super::{Failure, Outcome, table};
use crate::audit::{Access, Filter, Reading, SubjectRef};
use crate::index::Index;
use crate::report::{Habits, Hours, How, LANGUAGES, Look, Monthly, Person, looks, page};

/// Requests that are read at a time.
const PAGE: usize = 1_000;

/// Arguments of `menshen report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    /// Everyone who saw one customer: when, who, which fields, why. Also as a page for the customer.
    ///
    /// Example: menshen report subject customer:42 --config menshen.yaml --month 2026-10 --language ko > page.html
    Subject(Box<SubjectArgs>),
    /// One employee: volumes, refusals, files, off hours, beside others with their roles.
    ///
    /// Example: menshen report person li.na --config menshen.yaml --month 2026-10
    Person(Box<PersonArgs>),
    /// All that one partner received: fields, people, purposes, contracts, and files with their hashes.
    ///
    /// Example: menshen report partner fast-parcel --config menshen.yaml --month 2026-10
    Partner(Box<partner::PartnerArgs>),
    /// Who received these people: a leaked list without a mark, held against every look of the log.
    ///
    /// Example: menshen report trace --subjects leaked.txt --config menshen.yaml --month 2026-10
    Trace(Box<trace::TraceArgs>),
    /// The monthly review: every download with its reason, changed rights, refusals, findings, the log itself.
    ///
    /// Example: menshen report monthly 2026-10 --config menshen.yaml --out 2026-10.json
    Monthly(Box<MonthlyArgs>),
}

#[derive(Debug, Args)]
struct SubjectArgs {
    /// Whom, such as customer:42, or a reference, such as '#Ab3…'.
    #[arg(value_name = "ENTITY:KEY")]
    whom: String,
    #[command(flatten)]
    place: AtPlace,
    #[command(flatten)]
    when: WhenArgs,
    #[command(flatten)]
    unmasking: Unmasking,
    /// The page for the customer, in this language: en, zh, th, ko, id. Posts and partners instead of names.
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    language: Option<&'static str>,
    /// Read the whole log and not the index.
    #[arg(long)]
    scan: bool,
    /// How to print the report for ourselves.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

#[derive(Debug, Args)]
struct PersonArgs {
    /// The person, or the account of one who has no other.
    person: String,
    #[command(flatten)]
    place: AtPlace,
    #[command(flatten)]
    when: WhenArgs,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    unmasking: Unmasking,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

#[derive(Debug, Args)]
struct MonthlyArgs {
    /// The month: 2026-10.
    of: String,
    #[command(flatten)]
    place: AtPlace,
    /// The zone whose days it is about, such as Asia/Seoul.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    #[command(flatten)]
    working: Working,
    #[command(flatten)]
    unmasking: Unmasking,
    /// Markdown to read, or JSON to keep and sign.
    #[arg(long, value_enum, default_value_t)]
    view: View,
    /// Write it to this file, which must not exist, and not to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum View {
    /// To read.
    #[default]
    Markdown,
    /// For programs.
    Json,
}

/// Where the log is, by options only: the report has an argument of its own.
#[derive(Debug, Args)]
struct AtPlace {
    /// The gate's `menshen.yaml`, which names the log, its keys and its index.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log", "key"])]
    config: Option<PathBuf>,
    /// The log's folder.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// The master key.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    key: Option<PathBuf>,
    /// The log's own key, where `log-key` names one; may be given again, for older ones.
    #[arg(long, value_name = "FILE")]
    log_key: Vec<PathBuf>,
    /// The folder of the index.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
}

impl AtPlace {
    fn find(&self) -> Result<FoundLog, LogCommandError> {
        LogPlace {
            dir: self.log.clone(),
            config: self.config.clone(),
            key: self.key.clone(),
            log_key: self.log_key.clone(),
            index: self.index.clone(),
        }
        .find()
    }
}

/// When people work.
#[derive(Debug, Args)]
struct Working {
    /// Working hours on weekdays, as 8-19: from eight until before seven in the evening.
    #[arg(long, value_name = "FROM-TO", default_value = "8-19", value_parser = working)]
    hours: (i8, i8),
}

fn working(text: &str) -> Result<(i8, i8), String> {
    let read =
        text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let wrong = || "must be two hours, such as 8-19".to_owned();
    read.filter(|(from, to)| (0..*to).contains(from) && *to <= 24).ok_or_else(wrong)
}

fn language(word: &str) -> Result<&'static str, String> {
    let known = LANGUAGES.iter().find(|(known, _)| *known == word);
    known.map(|(known, _)| *known).ok_or_else(|| "must be one of en, zh, th, ko, id".to_owned())
}

/// The days and hours of a house.
struct House {
    zone: Zone,
    hours: (i8, i8),
}

impl Hours for House {
    fn shown(&self, ms: i64) -> String {
        self.zone.shown(ms)
    }

    fn is_off(&self, ms: i64) -> bool {
        let (hour, is_weekend) = self.zone.hour(ms);
        is_weekend || hour < self.hours.0 || hour >= self.hours.1
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let done = match &arguments.report {
        Report::Subject(args) => subject(args, out),
        Report::Person(args) => person(args, out),
        Report::Monthly(args) => monthly(args, out),
        Report::Partner(args) => partner::run(args, out),
        Report::Trace(args) => match trace::run(args, out) {
            Ok(true) => Ok(()),
            Ok(false) => return Err(Failure::Finding),
            Err(error) => Err(error),
        },
    };
    done.map_err(|error| match error.exit_code() {
        64 => Failure::fault(error),
        _ => Failure::internal(error),
    })
}

/// Everything that a filter wants, the newest first.
fn all(
    index: &mut Index,
    filter: &Filter,
    mut take: impl FnMut(&Access),
) -> Result<u64, LogCommandError> {
    let mut progress = Progress::new("reading", "requests", 0);
    let (mut before, mut seen, mut unread) = (None, 0, 0);
    loop {
        let page = index.search(filter, before, PAGE)?;
        page.accesses.iter().for_each(&mut take);
        seen += page.accesses.len() as u64;
        unread += page.closed.values().sum::<u64>();
        progress.at(seen);
        before = page.next;
        if before.is_none() {
            return Ok(unread);
        }
    }
}

fn subject(args: &SubjectArgs, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let log = args.place.find()?;
    let wanted = FilterArgs::about(&args.whom);
    let (mut filter, named) = wanted.read(&log.sealer)?;
    (filter.from_ms, filter.until_ms) = args.when.range()?;
    let mut found = Vec::new();
    if args.scan {
        found = scan(&log, filter.clone(), usize::MAX)?.accesses;
    } else {
        all(&mut log.index()?, &filter, |access| found.push(access.clone()))?;
    }
    let looks = looks(&found);
    let to_customer = if args.language.is_some() { "for the customer; " } else { "" };
    custody(
        &log,
        "report subject",
        &format!("{to_customer}{}", asked(&filter)),
        &args.unmasking,
        named.as_ref(),
        looks.len(),
    )?;
    let house = House { zone: args.when.zone(), hours: (0, 24) };
    if let Some(language) = args.language {
        let words = LANGUAGES.iter().find(|(known, _)| *known == language).map(|(_, words)| words);
        let Some(words) = words else { return Ok(()) };
        let (_, entries, root) = log.head();
        let bound = |ms: Option<i64>, none: i64| house.shown(ms.unwrap_or(none));
        let last = looks.last().map_or(0, |look| look.at_ms);
        let from = bound(filter.from_ms, looks.first().map_or(0, |look| look.at_ms));
        let to = bound(filter.until_ms.map(|ms| ms - 1), last);
        let text = page(words, &args.whom, &looks, (&from, &to), &house, (entries, &root));
        return Ok(out.write_all(text.as_bytes())?);
    }
    match args.format {
        Form::Json => {
            for look in &looks {
                writeln!(out, "{}", json!(look))?;
            }
        }
        Form::Human => {
            let rows: Vec<_> = looks.iter().map(|look| row(look, &house)).collect();
            table::print(
                out,
                ["time", "who", "what", "how", "fields", "why"],
                &rows,
                Ink::of_stdout(),
            )?;
            let seen = looks.iter().filter(|look| look.how != How::Refused).count();
            writeln!(
                out,
                "{seen} times data was shown or may have been, {} times it was refused",
                looks.len() - seen
            )?;
        }
    }
    Ok(())
}

fn row(look: &Look, house: &House) -> [String; 6] {
    let how = match look.how {
        How::Shown => "shown",
        How::File => "file",
        How::Possibly => "possibly all that was permitted",
        How::Refused => "refused",
        How::Reviewed => "log read",
    };
    let mut fields = Vec::new();
    for (label, names) in
        [("", &look.clear), ("masked ", &look.masked), ("pseudonym ", &look.pseudonym)]
    {
        if !names.is_empty() {
            fields.push(format!("{label}{}", names.join(" ")));
        }
    }
    let why = [look.purpose.as_str(), &look.ticket, &look.reason];
    let why = why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    [
        house.shown(look.at_ms),
        look.account.clone(),
        look.what.clone(),
        how.to_owned(),
        fields.join("; "),
        why,
    ]
}

fn person(args: &PersonArgs, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let log = args.place.find()?;
    let mut index = log.index()?;
    let house = House { zone: args.when.zone(), hours: args.working.hours };
    let (from_ms, until_ms) = args.when.range()?;
    let of_time = Filter { from_ms, until_ms, ..Filter::default() };
    let mut own = Habits::default();
    let mut roles = std::collections::BTreeSet::new();
    let filter = Filter { person: Some(args.person.clone()), ..of_time.clone() };
    all(&mut index, &filter, |access| {
        own.take(access, &house);
        let actor = access.entry.actor.iter();
        roles.extend(actor.flat_map(|actor| actor.roles.iter().map(str::to_owned)));
    })?;
    let mut peers: BTreeMap<String, Habits> = BTreeMap::new();
    let mut taken = std::collections::BTreeSet::new();
    for role in roles {
        let filter = Filter { role: Some(role), ..of_time.clone() };
        all(&mut index, &filter, |access| {
            let Some(actor) = &access.entry.actor else { return };
            let person = if actor.person.is_empty() { &actor.account } else { &actor.person };
            if person.as_str() != args.person && taken.insert(access.index) {
                peers.entry(person.to_string()).or_default().take(access, &house);
            }
        })?;
    }
    let seen = usize::try_from(own.requests).unwrap_or(usize::MAX);
    custody(&log, "report person", &asked(&filter), &args.unmasking, None, seen)?;
    let report = Person::new(&args.person, own, &peers);
    match args.format {
        Form::Json => writeln!(out, "{}", json!(report))?,
        Form::Human => {
            let rows: Vec<_> = report
                .beside
                .iter()
                .map(|(name, own, others)| {
                    [(*name).to_owned(), own.to_string(), others.to_string()]
                })
                .collect();
            let heads = ["", args.person.as_str(), "the middle one of the others"];
            table::print(out, heads, &rows, Ink::of_stdout())?;
            writeln!(out, "{} others with one of the same roles", report.peers)?;
            for (title, counts) in
                [("routes", &report.own.routes), ("purposes", &report.own.purposes)]
            {
                let all: Vec<_> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
                writeln!(out, "{title}: {}", all.join(", "))?;
            }
        }
    }
    Ok(())
}

fn monthly(args: &MonthlyArgs, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let log = args.place.find()?;
    let when = WhenArgs::of_month(&args.of, &args.zone)?;
    let house = House { zone: when.zone(), hours: args.working.hours };
    let (from_ms, until_ms) = when.range()?;
    let filter = Filter { from_ms, until_ms, ..Filter::default() };
    let (name, entries, root) = log.head();
    let mut review = Monthly {
        month: args.of.clone(),
        zone: house.zone.name().to_owned(),
        log: name,
        entries,
        root,
        ..Monthly::default()
    };
    review.unread = all(&mut log.index()?, &filter, |access| review.take(access, &house))?;
    review.sort();
    let seen = usize::try_from(review.seen).unwrap_or(usize::MAX);
    let text = match args.view {
        View::Markdown => review.markdown(),
        View::Json => format!("{:#}\n", json!(review)),
    };
    custody(
        &log,
        &format!("report monthly {}", args.of),
        &asked(&filter),
        &args.unmasking,
        None,
        seen,
    )?;
    let Some(path) = &args.out else { return Ok(out.write_all(text.as_bytes())?) };
    let failed = |source| LogCommandError::File { path: path.display().to_string(), source };
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    writeln!(out, "wrote {}; read it, then: menshen review sign", path.display())?;
    Ok(())
}

/// Records that a report was made, before it is shown.
fn custody(
    log: &FoundLog,
    report: &str,
    asked: &str,
    unmasking: &Unmasking,
    subject: Option<&SubjectRef>,
    seen: usize,
) -> Result<(), LogCommandError> {
    Custody::new(&log.dir, &log.master)?.leave(Reading {
        name: "report_made".to_owned(),
        object: report.to_owned(),
        asked: asked.to_owned(),
        reason: unmasking.reason.clone().unwrap_or_default(),
        seen: Some(seen as u64),
        subject: subject.cloned(),
        ..Reading::default()
    })
}
