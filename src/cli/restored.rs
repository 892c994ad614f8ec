//! `menshen restored`: somebody answers for what was done after a backup that the state was restored from.

use std::io::{BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::account::{Place, open_existing, open_state_and_key, operator};
use super::device::time;
use super::restored_acts::{Step, step};
use super::restored_grants::end_grants;
use super::{Failure, Outcome};
use crate::audit::{Entry, Opener, Reader, RestKey};
use crate::identity::{AccountError, ApiKeyError, DeviceError, Identity, Standing};
use crate::secret::MasterKey;
use crate::state::{CommandRow, Leave, RestoreRow, StateError, Store};

/// No entry's line is longer.
const LONGEST_LINE: usize = 128 * 1024;
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
    /// Nothing tells what was done after the backup: answer for it without.
    #[arg(long, conflicts_with = "acts", requires = "reason")]
    without_acts: bool,
    /// Let budgets go on as they were in the backup, rather than take those as used up whose windows reach back to it.
    #[arg(long, requires = "reason")]
    release_budgets: bool,
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
    let oldest = || {
        let oldest = rows.iter().find(|row| row.settled_ms.is_none());
        oldest.ok_or_else(|| Failure::fault(nothing_waits()))
    };
    let mut said = String::new();
    if !args.acts.is_empty() {
        let oldest = oldest()?;
        let again = Again::new(args, &store, &master, oldest)?;
        let done = again.all(&args.acts, &mut said).await?;
        let ended = end_grants(&store, &master, &oldest.backup).await?;
        let done = format!("{done}, {ended} grants taken back");
        settle(&store, &done, why).await?;
        said.push_str(&format!("{done}; the gate may start\n"));
    } else if args.without_acts {
        let oldest = oldest()?;
        let ended = end_grants(&store, &master, &oldest.backup).await?;
        let done = format!("nothing was done anew, {ended} grants taken back");
        settle(&store, &done, why).await?;
        said.push_str(&format!("{done}; the gate may start\n"));
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

fn nothing_waits() -> String {
    "nothing waits for an answer: the state was not restored, or somebody has answered".to_owned()
}

async fn settle(store: &Store, detail: &str, why: &str) -> Result<(), Failure> {
    let settled = store.settle_restores(detail, why).await;
    settled.map_err(|error| refused(error, nothing_waits()))
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

/// Does anew what was done after the backup.
struct Again<'a> {
    store: &'a Store,
    identity: Identity,
    master: &'a MasterKey,
    own: Option<MasterKey>,
    since: &'a RestoreRow,
}

impl<'a> Again<'a> {
    fn new(
        args: &Arguments,
        store: &'a Store,
        master: &'a MasterKey,
        since: &'a RestoreRow,
    ) -> Result<Self, Failure> {
        let own = args.log_key.as_deref().map(MasterKey::read).transpose();
        Ok(Self {
            store,
            identity: open_existing(&args.place).map_err(Failure::fault)?,
            master,
            own: own.map_err(Failure::fault)?,
            since,
        })
    }

    /// Goes through all sources; says how many acts there were, and how many entries nobody could read.
    async fn all(&self, sources: &[PathBuf], said: &mut String) -> Result<String, Failure> {
        let (mut acts, mut unread) = (0_u64, 0_u64);
        for source in sources {
            let entries = match source.is_dir() {
                true => self.log(source)?,
                false => self.lines(source)?,
            };
            unread += entries.1;
            for entry in &entries.0 {
                let Some((name, step)) = step(entry) else { continue };
                acts += 1;
                let done = self.redo(step).await?;
                said.push_str(&format!(
                    "{}  {name}: {done}\n",
                    time(entry.time.0.div_euclid(1000))
                ));
            }
        }
        Ok(format!("{acts} acts since the backup, {unread} entries that could not be read"))
    }

    /// What a log tells since the backup, and how many entries cannot be read.
    fn log(&self, dir: &Path) -> Result<(Vec<Entry>, u64), Failure> {
        super::log::need_log(dir).map_err(Failure::fault)?;
        let mut keys = Vec::new();
        for key in self.own.iter().chain([self.master]) {
            keys.push(RestKey::new(key).map_err(Failure::internal)?);
        }
        let (mut entries, mut unread) = (Vec::new(), 0);
        for read in Reader::new(dir, 0, Opener::new(dir, keys)) {
            let (index, record) = read.map_err(Failure::fault)?;
            let is_later = index >= self.since.entries;
            match record.entry() {
                Some(entry) if is_later || self.is_since(&entry) => self.keep(entry, &mut entries),
                Some(_) => {}
                None => unread += u64::from(is_later),
            }
        }
        Ok((entries, unread))
    }

    /// What a carried copy tells since the backup, an entry a line.
    fn lines(&self, file: &Path) -> Result<(Vec<Entry>, u64), Failure> {
        let fault = |error| Failure::Fault(format!("`{}`: {error}", file.display()));
        let mut lines = BufReader::new(std::fs::File::open(file).map_err(fault)?);
        let (mut entries, mut unread, mut line) = (Vec::new(), 0, Vec::new());
        while lines.read_until(b'\n', &mut line).map_err(fault)? > 0 {
            let entry = (line.len() <= LONGEST_LINE).then(|| Entry::decode(&line).ok()).flatten();
            match entry {
                Some(entry) if self.is_since(&entry) => self.keep(entry, &mut entries),
                Some(_) => {}
                None => unread += 1,
            }
            line.clear();
        }
        Ok((entries, unread))
    }

    fn is_since(&self, entry: &Entry) -> bool {
        let of_act = entry.act.as_ref().and_then(|act| act.at).map(|at| at.0);
        of_act.unwrap_or(entry.time.0).max(entry.time.0) >= self.since.made_ms
    }

    fn keep(&self, entry: Entry, entries: &mut Vec<Entry>) {
        if step(&entry).is_some() {
            entries.push(entry);
        }
    }

    async fn redo(&self, step: Step) -> Result<&'static str, Failure> {
        const GONE: &str = "not in the restored state, or so already";
        let standing = |done: Result<(), AccountError>| match done {
            Ok(()) => Ok(true),
            Err(AccountError::State(StateError::Unknown(_) | StateError::Left(_))) => Ok(false),
            Err(error) => Err(Failure::internal(error)),
        };
        let (is_done, said) = match step {
            Step::Suspend(account) => {
                let done = self.identity.set_standing(&account, Standing::Suspended).await;
                (standing(done)?, "suspended, until `menshen account enable`")
            }
            Step::Leave(account) => (
                standing(self.identity.set_standing(&account, Standing::Left).await)?,
                "left again",
            ),
            Step::Key(id) => match self.identity.revoke_api_key(&id).await {
                Ok(_) => (true, "revoked again"),
                Err(ApiKeyError::Unknown(_)) => (false, ""),
                Err(error) => return Err(Failure::internal(error)),
            },
            Step::Device(name) => match self.identity.revoke_device(&name).await {
                Ok(_) => (true, "revoked again"),
                Err(DeviceError::Unknown(_)) => (false, ""),
                Err(error) => return Err(Failure::internal(error)),
            },
            Step::Switch(kind, name) => {
                let (verb, detail) = ("switch_on".to_owned(), String::new());
                let reason = format!("restored from {}", self.since.backup);
                let command = CommandRow { verb, kind, name, detail, reason };
                let turned = self.store.set_switch(command, true, Leave::Alone).await;
                (turned.map_err(Failure::internal)?, "switched off again")
            }
            Step::ByHand(what) => (true, what),
        };
        Ok(if is_done { said } else { GONE })
    }
}
