//! `menshen fmt`: policy files in one canonical form, replaced whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Outcome};
use crate::policy;
use crate::server::read_policies;

/// Arguments of `menshen fmt`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy folder, or one file.
    ///
    /// Example: menshen fmt policies/demo --check
    #[arg(default_value = "policies")]
    policies: PathBuf,
    /// Change nothing, name the files that would change, and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let sources = read_policies(&arguments.policies).map_err(Failure::fault)?;
    let mut faults = Vec::new();
    let mut changed = 0;
    for source in &sources {
        let text = match policy::format(source) {
            Ok(text) => text,
            Err(found) => {
                faults.push(found.to_string());
                continue;
            }
        };
        if text == source.text {
            continue;
        }
        changed += 1;
        if !arguments.check {
            replace(Path::new(&source.name), &text)?;
        }
        writeln!(out, "{}", source.name).map_err(Failure::internal)?;
    }
    let (word, count) = (if arguments.check { "would change" } else { "changed" }, sources.len());
    writeln!(out, "{changed} of {count} files {word}").map_err(Failure::internal)?;
    match (faults.is_empty(), arguments.check && changed > 0) {
        (false, _) => Err(Failure::Fault(format!("{}\n", faults.join("\n\n")))),
        (true, true) => Err(Failure::Finding),
        (true, false) => Ok(()),
    }
}

/// Puts the text in the file's place in one step, with the file's mode. A link stays a link.
fn replace(path: &Path, text: &str) -> Outcome {
    let failed = |error: std::io::Error| Failure::Fault(format!("`{}`: {error}", path.display()));
    let file = fs::canonicalize(path).map_err(failed)?;
    let mode = fs::metadata(&file).map_err(failed)?.permissions();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = write_beside(&beside, text, mode).and_then(|()| fs::rename(&beside, &file));
    if let Err(error) = written {
        // What matters is told below; a file left behind does no harm and is no policy.
        fs::remove_file(&beside).unwrap_or_default();
        return Err(failed(error));
    }
    Ok(())
}

fn write_beside(path: &Path, text: &str, mode: fs::Permissions) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(mode)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
