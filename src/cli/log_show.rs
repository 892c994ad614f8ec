//! `menshen log show`: who saw whom, read from the whole log.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::log::{Format, LogCommandError, event, need_log, sha256};
use super::log_custody::{Custody, Unmasking, asked, reference};
use super::log_keys::{LogKeys, unread};
use super::log_print::{Naming, human, json};
use super::log_trace::hash_of;
use crate::audit::{Accesses, Event, Filter, Reader, SubjectSealer};

/// Arguments of `menshen log show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    #[command(flatten)]
    keys: LogKeys,
    /// Only accesses to this data subject, such as customer:10017.
    #[arg(long, value_name = "ENTITY:KEY", requires = "key")]
    subject: Option<String>,
    /// Only what this account did.
    #[arg(long, value_name = "ACCOUNT")]
    actor: Option<String>,
    /// Only events of this kind.
    #[arg(long, value_parser = event)]
    event: Option<Event>,
    /// Only the file that carries this mark, as in its name or its column.
    #[arg(long, value_name = "MARK")]
    watermark: Option<String>,
    /// Only files whose bytes have this SHA-256, as `sha256sum` prints it.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// Only files whose bytes are those of this one.
    #[arg(long, value_name = "PATH", conflicts_with = "sha256")]
    file: Option<PathBuf>,
    #[command(flatten)]
    unmasking: Unmasking,
    /// How many, counted from the end of the log.
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub(super) fn run_show(args: &ShowArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    need_log(&args.dir)?;
    let key = args.keys.master()?;
    let sealer = key.as_ref().map(SubjectSealer::new).transpose()?;
    let reference = match (&args.subject, &sealer) {
        (Some(name), Some(sealer)) => Some(reference(name, sealer)?),
        (_, _) => None,
    };
    let subject = reference.as_ref().map(|reference| reference.token().to_owned());
    let sha256 = match &args.file {
        Some(path) => Some(hash_of(path)?),
        None => args.sha256.clone(),
    };
    let (actor, event) = (args.actor.clone(), args.event);
    // Somebody may have written it down in capitals.
    let watermark = args.watermark.as_ref().map(|mark| mark.trim().to_ascii_lowercase());
    let filter = Filter { subject, actor, event, watermark, sha256, ..Filter::default() };
    let keep = usize::try_from(args.last).unwrap_or(usize::MAX);
    let wanted = filter.clone();
    let mut accesses = Accesses::new(filter, keep);
    for read in Reader::new(&args.dir, 0, args.keys.opener(&args.dir)?) {
        let (index, record) = read?;
        accesses.add(index, record);
    }
    let closed = accesses.closed();
    let accesses = accesses.finish();
    if let Some(master) = &key {
        let asked = asked(&wanted);
        let custody = Custody::new(&args.dir, master)?;
        custody.read("log_shown", &asked, &args.unmasking, reference.as_ref(), accesses.len())?;
    }
    for (closed, count) in closed {
        let line = match args.format {
            Format::Human => unread(&closed, count),
            Format::Json => serde_json::json!({ "not_read": closed, "count": count }).to_string(),
        };
        writeln!(out, "{line}")?;
    }
    let asked = args.subject.is_some().then_some(wanted.subject.as_deref()).flatten();
    let naming = Naming { sealer: sealer.as_ref(), asked, unmask: args.unmasking.unmask };
    for access in accesses {
        let line = match args.format {
            Format::Human => human(&access, &naming),
            Format::Json => json(&access, &naming).to_string(),
        };
        writeln!(out, "{line}")?;
    }
    Ok(0)
}
