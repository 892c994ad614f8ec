//! `menshen log prove`: a proof of one entry that anybody can check, and the check.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::log::{LogCommandError, need_log};
use super::log_place::LogPlace;
use crate::audit::note::{NoteError, Verifier};
use crate::audit::{EntryId, check_proof, prove};

/// Arguments of `menshen log prove`.
#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// The entry's id, as `search` and `show` print it in JSON, or its place in the log.
    entry: String,
    #[command(flatten)]
    place: LogPlace,
}

/// Arguments of `menshen log check-proof`.
#[derive(Debug, Args)]
pub(super) struct CheckProofArgs {
    /// The proof.
    file: PathBuf,
    /// The log's verifier key, which you got in another way than the proof.
    #[arg(long, value_name = "NAME+HASH+KEY")]
    verifier: String,
}

/// Prints the proof. It tells nothing of what is in the entry, so it is no reading.
pub(super) fn run_prove(args: &ProveArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let log = args.place.find()?;
    need_log(&log.dir)?;
    let key = log.dir.join("verifier.key");
    let path = key.display().to_string();
    let text = std::fs::read_to_string(&key)
        .map_err(|source| LogCommandError::File { path: path.clone(), source })?;
    let verifier: Verifier = text
        .trim_end()
        .parse()
        .map_err(|source: NoteError| LogCommandError::Note { path, source })?;
    let place = match args.entry.parse() {
        Ok(place) => place,
        Err(_no_number) => {
            let wrong = || {
                LogCommandError::Asked(format!(
                    "`{}`: must be the id or the place of an entry",
                    args.entry
                ))
            };
            let id = EntryId::parse(&args.entry).ok_or_else(wrong)?;
            log.index()?.place_of_entry(id)?.ok_or_else(|| {
                LogCommandError::Asked(format!(
                    "`{id}`: there is no entry of this id that can be read"
                ))
            })?
        }
    };
    let proof = prove(&log.dir, &verifier, place)
        .map_err(|error| LogCommandError::Asked(error.to_string()))?;
    out.write_all(proof.as_bytes())?;
    Ok(0)
}

/// Checks a proof; 1 if it does not hold.
pub(super) fn run_check(args: &CheckProofArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let path = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|source| LogCommandError::File { path, source })?;
    let wrong = |source| LogCommandError::Note { path: String::from("--verifier"), source };
    let verifier: Verifier = args.verifier.parse().map_err(wrong)?;
    match check_proof(&text, &verifier) {
        Ok(proven) => {
            let size = proven.checkpoint.size;
            writeln!(
                out,
                "ok  entry {} is in the log `{}`, under its checkpoint of {size} entries",
                proven.index,
                verifier.name()
            )?;
            Ok(0)
        }
        Err(error) => {
            writeln!(out, "BROKEN  {error}")?;
            Ok(1)
        }
    }
}
