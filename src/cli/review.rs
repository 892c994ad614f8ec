//! `menshen review`: a reviewer's own key, and a review that is sealed with it into the log.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::log::LogCommandError;
use super::log_custody::Custody;
use super::log_place::LogPlace;
use super::{Failure, Outcome, review_campaign};
use crate::audit::note::{NoteError, Signer, Verifier};
use crate::audit::{ContentHash, Reading};
use crate::secret::MasterKey;

/// The largest report that is signed.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Arguments of `menshen review`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a reviewer's key, which nobody but the reviewer keeps, and print its public half.
    ///
    /// Example: menshen review key li.na.key --name li.na
    Key {
        /// Where to write it; only its owner will be able to read it.
        file: PathBuf,
        /// Whose it is.
        #[arg(long)]
        name: String,
    },
    /// Sign a report that was read; the signature is printed and sealed into the log.
    ///
    /// Example: menshen review sign --report 2026-10.json --month 2026-10 --reviewer-key li.na.key --name li.na --config menshen.yaml
    Sign(Box<Sign>),
    /// Reviews of accesses: who has which right, whether it stays, and what becomes of what nobody attests.
    Campaign {
        #[command(subcommand)]
        action: Box<review_campaign::Action>,
    },
    /// Check a signature.
    Check {
        /// The report.
        report: PathBuf,
        /// The signature, as `sign` printed it.
        signature: PathBuf,
        /// The reviewer's public key, as `key` printed it.
        #[arg(long, value_name = "NAME+HASH+KEY")]
        reviewer: String,
    },
}

#[derive(Debug, Args)]
struct Sign {
    /// The report, as `menshen report monthly --out` wrote it.
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// The month that it is about: 2026-10.
    #[arg(long)]
    month: String,
    /// The reviewer's key.
    #[arg(long, value_name = "FILE")]
    reviewer_key: PathBuf,
    /// The reviewer's name, as the key was made for.
    #[arg(long)]
    name: String,
    /// What the reviewer found; the log has it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    remark: String,
    #[command(flatten)]
    place: LogPlace,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let done = match &arguments.action {
        Action::Key { file, name } => make(file, name, out),
        Action::Sign(sign) => signed(sign, out),
        Action::Campaign { action } => return review_campaign::run(action, out),
        Action::Check { report, signature, reviewer } => {
            match check(report, signature, reviewer, out) {
                Ok(true) => Ok(()),
                Ok(false) => return Err(Failure::Finding),
                Err(error) => Err(error),
            }
        }
    };
    done.map_err(Failure::fault)
}

/// Signs as this reviewer.
pub(super) fn signer(key: &MasterKey, name: &str) -> Result<Signer, LogCommandError> {
    let wrong = |source: NoteError| LogCommandError::Note { path: "--name".to_owned(), source };
    Signer::new(name, key.derive("review-sign")?.expose()).map_err(wrong)
}

fn make(file: &Path, name: &str, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let key = MasterKey::generate()?;
    let verifier = signer(&key, name)?.verifier().clone();
    key.write_new(file)?;
    writeln!(out, "{verifier}")?;
    Ok(())
}

/// What is signed: it names the month and the bytes of the report.
fn text(month: &str, sha256: &str) -> String {
    format!("menshen review\nmonth {month}\nsha256 {sha256}\n")
}

fn hash(path: &Path) -> Result<String, LogCommandError> {
    let failed = |source| LogCommandError::File { path: path.display().to_string(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MOST_BYTES {
        return Err(LogCommandError::Asked(format!("`{}`: is too long", path.display())));
    }
    let mut hash = ContentHash::default();
    hash.update(&std::fs::read(path).map_err(failed)?);
    Ok(hash.finish())
}

fn signed(sign: &Sign, out: &mut dyn Write) -> Result<(), LogCommandError> {
    let report = std::fs::read_to_string(&sign.report).unwrap_or_default();
    let is_of_month = report.contains(&format!("\"month\": \"{}\"", sign.month))
        || report.starts_with(&format!("# Review of {}\n", sign.month));
    if !is_of_month {
        let said = format!("`{}`: is no review of {}", sign.report.display(), sign.month);
        return Err(LogCommandError::Asked(said));
    }
    let log = sign.place.find()?;
    let sha256 = hash(&sign.report)?;
    let signer = signer(&MasterKey::read(&sign.reviewer_key)?, &sign.name)?;
    let note = signer.sign_note(&text(&sign.month, &sha256));
    let line = note.lines().last().unwrap_or_default();
    Custody::new(&log.dir, &log.master)?.leave(Reading {
        name: "review_signed".to_owned(),
        object: format!("monthly {}", sign.month),
        asked: format!("by {}; {line}", signer.verifier()),
        reason: sign.remark.clone(),
        sha256,
        ..Reading::default()
    })?;
    out.write_all(note.as_bytes())?;
    Ok(())
}

fn check(
    report: &Path,
    signature: &Path,
    reviewer: &str,
    out: &mut dyn Write,
) -> Result<bool, LogCommandError> {
    let wrong = |source| LogCommandError::Note { path: "--reviewer".to_owned(), source };
    let verifier: Verifier = reviewer.parse().map_err(wrong)?;
    let failed = |source| LogCommandError::File { path: signature.display().to_string(), source };
    let note = std::fs::read(signature).map_err(failed)?;
    let sha256 = hash(report)?;
    let holds = verifier.open_signed(&note).ok().and_then(|text| {
        let month = text.lines().nth(1)?.strip_prefix("month ")?.to_owned();
        (text == self::text(&month, &sha256)).then_some(month)
    });
    match &holds {
        Some(month) => writeln!(out, "ok  `{}` signed this review of {month}", verifier.name())?,
        None => writeln!(out, "BROKEN  `{}` did not sign this", verifier.name())?,
    }
    Ok(holds.is_some())
}
