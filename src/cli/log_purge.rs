//! `menshen log purge`: asking that entries of the log may reach their end, where the policy wants two persons for it.

use std::io::Write;

use clap::Args;

use super::gate_file::GateFile;
use super::switch::{doer, failure};
use super::{Failure, Outcome};
use crate::audit::Day;
use crate::clock::Clock;
use crate::command::{Desk, Done, Errand};

/// Arguments of `menshen log purge`.
#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    /// The last day whose entries may go when their time is over.
    #[arg(long, value_name = "DAY")]
    until: Day,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    at: GateFile,
}

pub(super) fn run(args: &PurgeArgs, out: &mut dyn Write) -> Outcome {
    // Nobody can agree to what is not written yet.
    if args.until >= Day::of_ms(Clock::system().unix_ms()) {
        return Err(Failure::fault("--until: must be a day that is over"));
    }
    let (_, store) = args.at.open()?;
    let desk = Desk::new(store, Clock::system());
    let day = args.until.to_string();
    let doer = doer();
    let sent = desk.send(&doer, Errand::LogPurge, (&day, ""), &args.reason);
    let said = match super::runtime()?.block_on(sent).map_err(failure)? {
        Done::Waits(id) => format!(
            "another person must agree: `menshen switch confirm {id}` within an hour; entries up to {day} are then \
             announced and go when their time is over\n"
        ),
        Done::Changed | Done::Already => {
            "the policy asks nobody to agree: entries go when their time is over\n".to_owned()
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}
