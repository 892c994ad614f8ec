//! `menshen explain --entry`: a recorded decision, explained on a policy as far as its entry goes.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::log_custody::record;
use super::log_keys::{LogKeys, Unread};
use super::{Failure, Outcome};
use crate::audit::{Frame, OpenedFrames};
use crate::policy::Program;
use crate::replay::{Question, question_of};

/// Which recorded decision.
#[derive(Debug, Args)]
pub(super) struct Recorded {
    /// Explains a recorded decision instead of a request: the id of its entry, which the caller knows as
    /// `Menshen-Request-Id`.
    ///
    /// Example: menshen explain --entry 01a0c450-6c7b-7101-8101-010101010101 --log /var/lib/menshen/log
    #[arg(long, value_name = "ID", requires = "log", conflicts_with = "request")]
    pub(super) entry: Option<String>,
    /// The folder of the log that the entry stands in.
    #[arg(long, requires = "entry")]
    pub(super) log: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keys: LogKeys,
}

/// Explains the entry with this id.
pub(super) fn run(
    id: &str,
    log: &Path,
    keys: &LogKeys,
    program: &Program,
    out: &mut dyn Write,
) -> Outcome {
    super::log::need_log(log).map_err(Failure::fault)?;
    let found = find(id, log, keys)?;
    // Also where it is not there: the whole log was read for that.
    let seen = usize::from(found.is_ok());
    record(keys, log, "log_explained", &format!("entry {id}"), seen).map_err(Failure::fault)?;
    let (question, policy) = found.map_err(Failure::Fault)?;
    let Some(route) = question.route_in(program) else {
        writeln!(out, "route  none: the policy publishes nothing there")
            .map_err(Failure::internal)?;
        return Err(Failure::Finding);
    };
    write!(out, "{}", program.explain(&question.query(&route))).map_err(Failure::internal)?;
    if policy != program.version() {
        let (then, now) = (short(&policy), short(program.version()));
        writeln!(out, "decided by the policy {then}, explained with {now}")
            .map_err(Failure::internal)?;
    }
    let unknown = question.unknown_to(program);
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        writeln!(out, "not in the entry, so read as missing: {unknown}")
            .map_err(Failure::internal)?;
    }
    Ok(())
}

/// The decision and its policy, or what is said where there is none.
fn find(
    id: &str,
    log: &Path,
    keys: &LogKeys,
) -> Result<Result<(Question, String), String>, Failure> {
    // Its own id stands in an entry in this form only; that of another stands under other keys.
    let needle = format!("\"id\":\"{id}\"");
    let mut unread = Unread::default();
    for frame in OpenedFrames::new(log, 0, keys.opener(log).map_err(Failure::fault)?) {
        let frame = match frame.map_err(Failure::internal)?.1 {
            Frame::Json(json) => json,
            Frame::Closed(closed) => {
                unread.add(closed);
                continue;
            }
        };
        let text = String::from_utf8_lossy(&frame);
        if text.contains(&needle)
            && let Some(found) = question_of(&frame)
        {
            return Ok(Ok(found));
        }
    }
    let mut lines = unread.lines();
    lines.insert(0, format!("entry `{id}`: the log has no decision of a policy with this id"));
    Ok(Err(lines.join("\n")))
}

fn short(version: &str) -> String {
    version.chars().take(12).collect()
}
