//! `menshen restored`: somebody answers for what was done after a backup that the state was restored from.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::account::{Place, open_existing, open_state_and_key, operator};
use super::device::time;
use super::restored_again::Again;
use super::restored_grants::end_grants;
use super::restored_source::{Gaps, Source, gaps_of};
use super::{Failure, Outcome};
use crate::secret::MasterKey;
use crate::state::{RestoreRow, StateError, Store};

/// The longest reason, in bytes: the log keeps all of it.
const REASON_LIMIT: usize = 2000;

/// Arguments of `menshen restored`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen restored --acts /mnt/collector/menshen.ndjson --reason \"disk of gate-1 lost\" \\\n           --config /etc/menshen/menshen.yaml"
)]
pub(super) struct Arguments {
    /// The log of the gate that was lost (its folder), or a file of what was carried elsewhere: what was suspended,
    /// revoked or switched off after the backup is done anew; may be given again.
    #[arg(long, value_name = "PATH", requires = "reason")]
    acts: Vec<PathBuf>,
    /// Also where what `--acts` names is damaged, cut off, or does not reach back: do what it tells, and answer for the rest.
    #[arg(long, requires = "acts")]
    despite_gaps: bool,
    /// Nothing tells what was done after the backup: answer for it without.
    #[arg(long, conflicts_with = "acts", requires = "reason")]
    without_acts: bool,
    /// Let budgets go on as they were in the backup, rather than take those as used up whose windows reach back to it.
    #[arg(long, requires = "reason")]
    release_budgets: bool,
    /// Take a log that has fewer entries than the state has seen: answer for those that are missing.
    #[arg(long, requires = "reason")]
    shorter_log: bool,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    /// The own key of the log that was lost, where it had one.
    #[arg(long, value_name = "FILE", requires = "acts")]
    log_key: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

fn reason(text: &str) -> Result<String, String> {
    let is_one = (1..=REASON_LIMIT).contains(&text.trim().len());
    match is_one && !text.chars().any(char::is_control) {
        true => Ok(text.trim().to_owned()),
        false => Err(format!("must be 1 to {REASON_LIMIT} bytes, without control characters")),
    }
}

pub(super) fn run(args: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(args, out))
}

async fn act(args: &Arguments, out: &mut dyn Write) -> Outcome {
    let (store, master) = open_state_and_key(&args.place).map_err(Failure::fault)?;
    let store = store.acting_as(&operator().0);
    let rows = store.restores().await.map_err(Failure::internal)?;
    let why = args.reason.as_deref().unwrap_or_default();
    let mut said = String::new();
    if !args.acts.is_empty() {
        // Until a gate has started on it, more may be brought up.
        let since = rows.iter().find(|row| row.until_ms.is_none());
        let since = since.ok_or_else(|| Failure::fault(nothing_waits()))?;
        let done = Box::pin(again(args, (&store, &master), since, out)).await?;
        said.push_str(&settle(&store, &done, why).await?);
    } else if args.without_acts {
        let since = rows.iter().find(|row| row.settled_ms.is_none());
        let since = since.ok_or_else(|| Failure::fault(nothing_waits()))?;
        let ended = end_grants(&store, &master, &since.backup).await?;
        let done = format!("nothing was done anew, {ended} grants taken back");
        said.push_str(&settle(&store, &done, why).await?);
    }
    if args.shorter_log {
        let taken = store.forget_log(why).await;
        taken.map_err(|error| refused(error, "the state has seen no log".to_owned()))?;
        said.push_str("the log is taken as it is\n");
    }
    if args.release_budgets {
        let released = store.release_restored_budgets(why).await;
        released.map_err(|error| refused(error, "no budget is held".to_owned()))?;
        said.push_str("budgets go on as they were in the backup\n");
    }
    if said.is_empty() {
        said = told(&rows);
    }
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

/// Does anew what the sources tell, if they are whole or somebody answers for the rest; says what was done.
async fn again(
    args: &Arguments,
    (store, master): (&Store, &MasterKey),
    since: &RestoreRow,
    out: &mut dyn Write,
) -> Result<String, Failure> {
    let own = args.log_key.as_deref().map(MasterKey::read).transpose().map_err(Failure::fault)?;
    let keys: Vec<_> = own.into_iter().chain([master.clone()]).collect();
    let sources = args.acts.iter().map(|path| Source { path, keys: &keys, since });
    let sources: Vec<_> = sources.collect();
    let gaps = gaps_of(&sources)?;
    if gaps.count > 0 && !args.despite_gaps {
        return Err(Failure::Fault(told_gaps(&gaps)));
    }
    let identity = open_existing(&args.place).map_err(Failure::fault)?;
    let roster = identity.roster().await.map_err(Failure::internal)?;
    let mut again = Again::new(store, &identity, &since.backup, roster);
    for source in &sources {
        again.go_through(source, out).await?;
    }
    let ended = end_grants(store, master, &since.backup).await?;
    let gaps = if gaps.count > 0 { format!(", gaps: {}", gaps.count) } else { String::new() };
    Ok(format!("{}{gaps}, {ended} grants taken back", again.told()))
}

fn told_gaps(gaps: &Gaps) -> String {
    let mut said =
        String::from("nothing is done, since not all is there that was done since the backup:");
    for gap in &gaps.said {
        said.push_str(&format!("\n  {gap}"));
    }
    let more = gaps.count.saturating_sub(gaps.said.len() as u64);
    if more > 0 {
        said.push_str(&format!("\n  and {more} more"));
    }
    said + "\nbring another copy, or have done what these tell and answer for the rest with --despite-gaps"
}

fn nothing_waits() -> String {
    "nothing waits for an answer: the state was not restored, or somebody has answered and a gate may have started"
        .to_owned()
}

async fn settle(store: &Store, detail: &str, why: &str) -> Result<String, Failure> {
    let settled = store.settle_restores(detail, why).await;
    settled.map_err(|error| refused(error, nothing_waits()))?;
    Ok(format!("{detail}; the gate may start\n"))
}

fn refused(error: StateError, nothing: String) -> Failure {
    if matches!(error, StateError::Unknown(_)) {
        return Failure::Fault(nothing);
    }
    Failure::internal(error)
}

fn told(rows: &[RestoreRow]) -> String {
    let at = |ms: Option<i64>, not: &str| ms.map_or(not.to_owned(), |ms| time(ms.div_euclid(1000)));
    let line = |row: &RestoreRow| {
        format!(
            "{}: made {}, answered for {}, first start {}, budgets let go {}\n",
            row.backup,
            at(Some(row.made_ms), ""),
            at(row.settled_ms, "NOT YET: no gate starts"),
            at(row.until_ms, "not yet"),
            at(row.released_ms, "not"),
        )
    };
    match rows {
        [] => "the state was never restored from a backup\n".to_owned(),
        rows => rows.iter().map(line).collect(),
    }
}
