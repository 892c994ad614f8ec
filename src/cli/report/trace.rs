//! `menshen report trace`: who received these people. A leaked list, without a mark, held against every look of the log.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use super::super::log::LogCommandError;
use super::super::log_custody::{Unmasking, reference};
use super::super::log_filter::{Form, WhenArgs};
use super::super::log_place::FoundLog;
use super::super::log_trace::hash_of;
use super::super::output::Ink;
use super::super::progress::Progress;
use super::super::review::signer;
use super::super::table;
use super::{AtPlace, House, all, custody};
use crate::audit::{Access, Accesses, Filter, Reader, Verified};
use crate::report::{AtOnce, Hours as _, Received, Trace};
use crate::secret::MasterKey;

/// The largest list, and the most people in it.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
const MOST_PEOPLE: usize = 100_000;
/// Accounts that a signed statement names; it says how many there are.
const NAMED: usize = 100;

/// Arguments of `menshen report trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// The people of the leaked list: a line each, as `customer:42` or `42`.
    #[arg(long, value_name = "FILE")]
    subjects: PathBuf,
    /// The entity of lines that name none.
    #[arg(long, value_name = "ENTITY", default_value = "customer")]
    entity: String,
    /// Only where this field was shown, as it stands in the list; may be given again.
    #[arg(long, value_name = "ENTITY.FIELD")]
    field: Vec<String>,
    #[command(flatten)]
    place: AtPlace,
    #[command(flatten)]
    when: WhenArgs,
    /// Print a statement signed with this reviewer's key, also where it was nobody: all of the log is verified and read
    /// for it, not its index.
    #[arg(long, value_name = "FILE", requires = "name")]
    reviewer_key: Option<PathBuf>,
    /// The reviewer's name, as the key was made for.
    #[arg(long, requires = "reviewer_key")]
    name: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, conflicts_with = "reviewer_key")]
    format: Form,
}

/// Prints who received them; whether it was anybody.
pub(super) fn run(args: &TraceArgs, out: &mut dyn Write) -> Result<bool, LogCommandError> {
    let log = args.place.find()?;
    let names = names(args)?;
    let sha256 = hash_of(&args.subjects)?;
    // What is signed is no matter of an index.
    let verified = args.reviewer_key.as_ref().map(|_| log.verified()).transpose()?;
    let (found, unread) = match &verified {
        Some(verified) => scanned(args, &log, &names, verified.entries)?,
        None => looked(args, &log, &names)?,
    };
    let asked = format!("{} people of a list, sha256 {sha256}", names.len());
    let seen = found.iter().map(|one| one.requests).sum::<u64>();
    let seen = usize::try_from(seen).unwrap_or(usize::MAX);
    custody(&log, "report trace", &asked, &Unmasking::default(), None, seen)?;
    if let (Some(key), Some(name), Some(verified)) = (&args.reviewer_key, &args.name, &verified) {
        let signer = signer(&MasterKey::read(key)?, name)?;
        let text = statement(args, (&log, verified), (&names, &sha256), (&found, unread))?;
        out.write_all(signer.sign_note(&text).as_bytes())?;
        return Ok(!found.is_empty());
    }
    match args.format {
        Form::Json => {
            for one in &found {
                writeln!(out, "{}", json!(one))?;
            }
            if unread > 0 {
                writeln!(out, "{}", json!({ "not_read": unread }))?;
            }
        }
        Form::Human => {
            human(args, names.len(), &found, out)?;
            if unread > 0 {
                writeln!(
                    out,
                    "{unread} entries about them cannot be read: another key is needed, or one is missing"
                )?;
            }
        }
    }
    Ok(!found.is_empty())
}

/// The people of the list, each once.
fn names(args: &TraceArgs) -> Result<BTreeSet<String>, LogCommandError> {
    let path = args.subjects.display().to_string();
    let failed = |source| LogCommandError::File { path: path.clone(), source };
    let (mut text, file) = (String::new(), std::fs::File::open(&args.subjects).map_err(failed)?);
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        // A part of it would lead to a statement about all of it.
        return Err(LogCommandError::Asked(format!("`{path}`: is longer than {MOST_BYTES} bytes")));
    }
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let whole = |line: &str| match line.contains(':') {
        true => line.to_owned(),
        false => format!("{}:{line}", args.entity),
    };
    let names: BTreeSet<_> = lines.filter(|line| !line.is_empty()).map(whole).collect();
    if names.is_empty() || names.len() > MOST_PEOPLE {
        let said = format!("`{path}`: must have 1 to {MOST_PEOPLE} people, a line each");
        return Err(LogCommandError::Asked(said));
    }
    Ok(names)
}

/// Who received them, and how many entries about them cannot be read.
fn looked(
    args: &TraceArgs,
    log: &FoundLog,
    names: &BTreeSet<String>,
) -> Result<(Vec<Received>, u64), LogCommandError> {
    let (from_ms, until_ms) = args.when.range()?;
    let (mut index, mut unread) = (log.index()?, 0);
    let mut trace = Trace::default();
    let mut progress = Progress::new("tracing", "people", names.len() as u64);
    for (number, name) in (0_u32..).zip(names) {
        progress.at(number.into());
        let subject = Some(reference(name, &log.sealer)?.token().to_owned());
        let filter = Filter { subject, from_ms, until_ms, ..Filter::default() };
        unread += all(&mut index, &filter, |access| {
            if shows_all(args, access) {
                trace.take(access, [number]);
            }
        })?;
    }
    Ok((trace.finish(), unread))
}

/// The same by the log alone, up to where it was verified; and how many of its entries cannot be read.
fn scanned(
    args: &TraceArgs,
    log: &FoundLog,
    names: &BTreeSet<String>,
    end: u64,
) -> Result<(Vec<Received>, u64), LogCommandError> {
    let (from_ms, until_ms) = args.when.range()?;
    let mut people = HashMap::new();
    for (number, name) in (0_u32..).zip(names) {
        people.insert(reference(name, &log.sealer)?.token().to_owned(), number);
    }
    let filter = Filter { from_ms, until_ms, ..Filter::default() };
    let (mut accesses, mut trace) = (Accesses::about(people, filter), Trace::default());
    let mut progress = Progress::new("reading the log", "entries", end);
    let mut take = |access: Access| {
        if shows_all(args, &access) {
            trace.take(&access, access.found().iter().copied());
        }
    };
    for read in Reader::new(&log.dir, 0, log.opener.clone()) {
        let (index, record) = read?;
        if index >= end {
            break;
        }
        progress.at(index);
        accesses.add(index, record);
        accesses.take_settled().for_each(&mut take);
    }
    let unread = accesses.closed().iter().map(|(_, count)| count).sum();
    accesses.finish().into_iter().for_each(take);
    Ok((trace.finish(), unread))
}

/// Whether it showed every field that is asked for.
fn shows_all(args: &TraceArgs, access: &Access) -> bool {
    let shows = |field: &String| Filter { field: Some(field.clone()), ..Filter::default() };
    args.field.iter().all(|field| shows(field).wants(access))
}

fn human(
    args: &TraceArgs,
    people: usize,
    found: &[Received],
    out: &mut dyn Write,
) -> Result<(), LogCommandError> {
    if found.is_empty() {
        writeln!(out, "nobody: none of the {people} people was given to anybody in this time")?;
        return Ok(());
    }
    let house = House { zone: args.when.zone(), hours: (0, 24) };
    let rows: Vec<_> = found
        .iter()
        .map(|one| {
            let AtOnce { request, people: most, of, is_file } = &one.at_once;
            let file = if *is_file { " as a file" } else { "" };
            [
                one.account.clone(),
                format!("{} of {people}", one.people),
                format!("{most}{file}, of {of} in request {request}"),
                one.requests.to_string(),
                one.files.to_string(),
                house.shown(one.first_ms),
                house.shown(one.last_ms),
            ]
        })
        .collect();
    let heads = ["who", "people", "most at once", "requests", "files", "first", "last"];
    table::print(out, heads, &rows, Ink::of_stdout())?;
    Ok(())
}

/// What is signed: the log as it was verified, the list by its hash, and who it was.
fn statement(
    args: &TraceArgs,
    (log, verified): (&FoundLog, &Verified),
    (names, sha256): (&BTreeSet<String>, &str),
    (found, unread): (&[Received], u64),
) -> Result<String, LogCommandError> {
    let name = log.head().0;
    let Verified { checkpoint_size, checkpoint_root, journal_entries, .. } = verified;
    let root = STANDARD.encode(checkpoint_root);
    let (from, to) = args.when.range()?;
    let zone = args.when.zone();
    let day =
        |ms: Option<i64>| ms.map_or_else(|| "the log's bound".to_owned(), |ms| zone.shown(ms));
    let mut text = format!(
        "menshen trace\nlog {name}\nentries {checkpoint_size}\nroot {root}\nand {journal_entries} entries beyond it\nlist {} people, sha256 {sha256}\nfrom {} until {} ({})\n",
        names.len(),
        day(from),
        day(to),
        zone.name(),
    );
    for field in &args.field {
        text.push_str(&format!("with field {field}\n"));
    }
    if unread > 0 {
        text.push_str(&format!(
            "not read {unread} entries, of which nobody can say whom they are about\n"
        ));
    }
    if found.is_empty() {
        text.push_str("received by nobody\n");
    }
    for one in found.iter().take(NAMED) {
        let AtOnce { request, people, .. } = &one.at_once;
        text.push_str(&format!(
            "received by {}: {} of them, {people} at once in request {request}\n",
            one.account, one.people
        ));
    }
    if found.len() > NAMED {
        text.push_str(&format!("and by {} more\n", found.len() - NAMED));
    }
    Ok(text)
}
