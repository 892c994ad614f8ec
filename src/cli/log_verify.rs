//! `menshen log verify`: is every entry there, in order, unaltered?

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::log::{Format, LogCommandError, hex, need_log};
use crate::audit::note::{Checkpoint, NoteError, Verifier, Witness};
use crate::audit::{Broken, Fault, Verified, check_keys, cosigned_checkpoints, verify};

/// Arguments of `menshen log verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    /// An earlier checkpoint that the log must continue, kept elsewhere.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The key of a witness that must have cosigned that earlier checkpoint or, without one, one that the log's folder
    /// keeps; may be given again.
    #[arg(long, value_name = "NAME+HASH+KEY")]
    witness: Vec<String>,
    /// The verifier key you kept elsewhere; else the one in the log's folder is used.
    #[arg(long, value_name = "NAME+HASH+KEY")]
    verifier: Option<String>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command and gives the exit code: 1 if the log does not hold.
pub(super) fn run_verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    need_log(&args.dir)?;
    let result = match verifier(args)? {
        Ok(verifier) => {
            let earlier = match &args.from {
                Some(path) => Some(earlier(path, &verifier, &args.witness)?),
                None => None,
            };
            holds(&args.dir, &verifier, earlier.as_ref())
        }
        Err(broken) => Err(broken),
    };
    if let (Ok(holds), None) = (&result, &args.from) {
        holds.are_witnessed_by(&args.witness)?;
    }
    match args.format {
        Format::Human => print_verified(&result, args.verifier.is_none(), out)?,
        Format::Json => writeln!(out, "{}", verified_json(&result))?,
    }
    Ok(u8::from(result.is_err()))
}

/// The key to verify with. One that was given wrongly is the caller's mistake, one that is wrong in
/// the log's folder is a finding.
fn verifier(args: &VerifyArgs) -> Result<Result<Verifier, Broken>, LogCommandError> {
    if let Some(key) = &args.verifier {
        let wrong = |source| LogCommandError::Note { path: String::from("--verifier"), source };
        return key.parse().map(Ok).map_err(wrong);
    }
    let broken = |fault| Broken { file: String::from("verifier.key"), index: None, fault };
    let Ok(key) = std::fs::read_to_string(args.dir.join("verifier.key")) else {
        return Ok(Err(broken(Fault::Missing)));
    };
    let key = key.strip_suffix('\n').unwrap_or(&key).parse();
    Ok(key.map_err(|error| broken(Fault::Checkpoint(error))))
}

/// The earlier checkpoint, which its witnesses must have cosigned.
fn earlier(
    path: &Path,
    verifier: &Verifier,
    witnesses: &[String],
) -> Result<Checkpoint, LogCommandError> {
    let note = read(path)?;
    let path = path.display().to_string();
    for witness in witnesses {
        let cosigned = witness_key(witness)?.cosigned(note.as_bytes());
        cosigned.map_err(|source| LogCommandError::Note { path: path.clone(), source })?;
    }
    verifier.open(note.as_bytes()).map_err(|source| LogCommandError::Note { path, source })
}

fn witness_key(text: &str) -> Result<Witness, LogCommandError> {
    let wrong = |source| LogCommandError::Note { path: String::from("--witness"), source };
    text.parse().map_err(wrong)
}

fn holds(dir: &Path, verifier: &Verifier, earlier: Option<&Checkpoint>) -> Result<Holds, Broken> {
    // What is added while the log is verified is not asked for.
    let cosigned = cosigned_checkpoints(dir, verifier)?;
    let verified = verify(dir, verifier, earlier)?;
    let destroyed = check_keys(dir, verifier, &verified.needed)?;
    let keys = dir.join("keys").read_dir();
    let has_keys = keys.is_ok_and(|mut files| files.next().is_some());
    Ok(Holds { verified, destroyed, has_keys, cosigned })
}

fn read(path: &Path) -> Result<String, LogCommandError> {
    std::fs::read_to_string(path)
        .map_err(|source| LogCommandError::File { path: path.display().to_string(), source })
}

/// A log that holds.
struct Holds {
    verified: Verified,
    /// Keys that were destroyed, each named by a certificate.
    destroyed: u64,
    /// Whether it came with the keys of its entries.
    has_keys: bool,
    /// What witnesses cosigned of it: file, checkpoint, note.
    cosigned: Vec<(String, Checkpoint, Vec<u8>)>,
}

impl Holds {
    /// Each of these keys must have cosigned what the folder keeps.
    fn are_witnessed_by(&self, keys: &[String]) -> Result<(), LogCommandError> {
        for key in keys {
            let key = witness_key(key)?;
            let is_its = |(_, _, note): &(_, _, Vec<u8>)| key.cosigned(note).is_ok();
            if !self.cosigned.iter().any(is_its) {
                let source = NoteError::Unsigned(key.to_string());
                return Err(LogCommandError::Note { path: String::from("witnessed"), source });
            }
        }
        Ok(())
    }
}

fn print_verified(
    result: &Result<Holds, Broken>,
    own_key: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Holds { verified, destroyed, has_keys, cosigned } = match result {
        Err(broken) => return writeln!(out, "BROKEN  {broken}\nto do   {}", broken.fault.to_do()),
        Ok(holds) => holds,
    };
    writeln!(
        out,
        "ok  {} entries, unaltered and in order: {} under the checkpoint, {} in the journal",
        verified.entries, verified.checkpoint_size, verified.journal_entries
    )?;
    if !has_keys && !verified.needed.is_empty() {
        writeln!(out, "keys      none in this folder: what its entries say cannot be read here")?;
    }
    if *destroyed > 0 {
        writeln!(
            out,
            "destroyed what {destroyed} keys of a class and day opened; certificates say so"
        )?;
    }
    if verified.removed > 0 {
        writeln!(
            out,
            "removed   {} of these entries, since nobody can open them; their hashes hold",
            verified.removed
        )?;
    }
    for (file, checkpoint, _) in cosigned {
        writeln!(out, "witness   {} of them as `{file}` has it from a witness", checkpoint.size)?;
    }
    writeln!(out, "root      {}", hex(&verified.checkpoint_root))?;
    writeln!(out, "verifier  {}", verified.verifier)?;
    if own_key {
        writeln!(
            out,
            "          taken from the log's own folder: compare it with the one you kept"
        )?;
    }
    Ok(())
}

fn verified_json(result: &Result<Holds, Broken>) -> serde_json::Value {
    match result {
        Ok(Holds { verified, destroyed, has_keys, cosigned }) => serde_json::json!({
            "ok": true,
            "has_keys": has_keys,
            "destroyed_keys": destroyed,
            "removed_entries": verified.removed,
            "entries": verified.entries,
            "checkpoint_size": verified.checkpoint_size,
            "checkpoint_root": hex(&verified.checkpoint_root),
            "journal_entries": verified.journal_entries,
            "witnessed": cosigned.iter().map(|(file, checkpoint, _)| serde_json::json!({
                "file": file, "entries": checkpoint.size,
            })).collect::<Vec<_>>(),
            "verifier": verified.verifier,
        }),
        Err(broken) => serde_json::json!({
            "ok": false,
            "file": broken.file,
            "entry": broken.index,
            "fault": broken.fault.to_string(),
            "to_do": broken.fault.to_do(),
        }),
    }
}
