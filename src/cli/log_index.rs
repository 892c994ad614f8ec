//! `menshen log index`: makes the index of a log, reads it on, and takes out what was destroyed.

use std::io::Write;

use clap::Args;

use super::log::LogCommandError;
use super::log_place::LogPlace;

/// Arguments of `menshen log index`.
#[derive(Debug, Args)]
pub(super) struct IndexArgs {
    #[command(flatten)]
    place: LogPlace,
    /// Throw away what is there and make it anew.
    #[arg(long)]
    rebuild: bool,
}

/// Runs the command.
pub(super) fn run_index(args: &IndexArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    let log = args.place.find()?;
    let mut index = if args.rebuild { log.rebuilt()? } else { log.index()? };
    let purged = index.purge()?;
    let size = std::fs::metadata(index.path()).map(|file| file.len()).unwrap_or_default();
    writeln!(
        out,
        "{} entries are in the index, {purged} were taken out; {} MiB",
        index.position()?,
        size.div_ceil(1 << 20)
    )?;
    Ok(0)
}
