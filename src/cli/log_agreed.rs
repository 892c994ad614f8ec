//! That two persons agreed to take entries out of the log, where the policy wants that: asked for by the command that
//! will take them, agreed to as every command is (`menshen switch confirm`), and good for one run.
//!
//! Whether two are wanted the gate's state says. A copy of the log has none; whoever has that and the key needs no
//! command of ours.

use std::path::Path;

use clap::Args;

use super::gate_file::open_state;
use super::log::LogCommandError;
use super::switch::doer;
use super::{Failure, runtime};
use crate::audit::is_written;
use crate::clock::Clock;
use crate::command::{Desk, Done, Errand};
use crate::secret::MasterKey;

/// Asking for it.
#[derive(Debug, Default, Args)]
pub(super) struct AskArgs {
    /// Take nothing, but ask that another person agrees to this very one, where the policy wants two; takes a reason.
    #[arg(long, requires = "reason")]
    pub(super) ask: bool,
}

/// What is to be taken out of which log.
pub(super) struct Errands<'a> {
    /// The gate's `menshen.yaml`, if it was named.
    pub(super) config: Option<&'a Path>,
    /// The log's folder.
    pub(super) dir: &'a Path,
    /// The master key.
    pub(super) master: &'a MasterKey,
    /// Everything that makes another one of it.
    pub(super) parts: &'a [&'a [u8]],
    /// The same in words for whoever agrees; of people references only.
    pub(super) told: &'a str,
    /// Why.
    pub(super) reason: &'a str,
}

/// Whether it may be taken now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    /// It may; this person agreed, where anybody had to.
    By(String),
    /// It was asked for only; this is to be said.
    Asked(String),
}

impl Errands<'_> {
    /// Takes the agreement, or asks for one.
    ///
    /// # Errors
    /// [`LogCommandError::Asked`] if somebody has to agree first.
    pub(super) fn settle(&self, args: &AskArgs) -> Result<Agreed, LogCommandError> {
        let Some(config) = self.config else {
            return match (is_written(self.dir), args.ask) {
                (false, false) => Ok(Agreed::By(String::new())),
                (true, _) | (_, true) => Err(LogCommandError::Asked(
                    "a gate writes this log: name its configuration with `--config`, since it says whether two persons \
                     must agree"
                        .to_owned(),
                )),
            };
        };
        let (_, store) = open_state(config).map_err(told)?;
        let desk = Desk::new(store, Clock::system());
        let name = self.master.tagger("log-export")?.reference(self.parts);
        runtime().map_err(told)?.block_on(async {
            match args.ask {
                true => self.ask(&desk, &name).await,
                false => take(&desk, &name).await,
            }
        })
    }

    async fn ask(&self, desk: &Desk, name: &str) -> Result<Agreed, LogCommandError> {
        let sent = desk.send(&doer(), Errand::LogExport, (name, self.told), self.reason).await?;
        Ok(Agreed::Asked(match sent {
            Done::Waits(id) => format!(
                "another person must agree: `menshen switch confirm {id}` within an hour; then run this again without \
                 `--ask`, within a day\n"
            ),
            Done::Changed | Done::Already => "the policy asks nobody to agree\n".to_owned(),
        }))
    }
}

async fn take(desk: &Desk, name: &str) -> Result<Agreed, LogCommandError> {
    if !desk.takes_two(Errand::LogExport).await? {
        return Ok(Agreed::By(String::new()));
    }
    let agreed = desk.take_agreed_export(&doer(), name).await?;
    agreed.map(Agreed::By).ok_or_else(|| {
        LogCommandError::Asked(
            "the policy wants two persons for this: run it with `--ask --reason TEXT`, have another person agree, and \
             run it again; an agreement is to this very one, and good once"
                .to_owned(),
        )
    })
}

fn told(failure: Failure) -> LogCommandError {
    match failure {
        Failure::Fault(text) | Failure::Internal(text) => LogCommandError::Asked(text),
        Failure::Finding | Failure::ToldFault => LogCommandError::Asked(String::new()),
    }
}
