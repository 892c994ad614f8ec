//! `menshen restore`: brings a backup back into a new folder, or tries whether it could be.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::log_custody::Custody;
use super::{Failure, Outcome};
use crate::audit::{Act, AtRest, Event, Log, Reading, RestKey, Settings as LogSettings};
use crate::backup::{BackupError, Fresh, Place, Restored, Wanted, restore};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::server::load_policies;
use crate::state::end_after_restore;

/// Arguments of `menshen restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen restore --from /mnt/nas/menshen --key master.key --into /var/lib/menshen-new"
)]
pub(super) struct Arguments {
    /// The backup; without a name the newest.
    name: Option<String>,
    /// A folder of backups.
    #[arg(long, value_name = "DIR", required_unless_present = "place")]
    from: Option<PathBuf>,
    /// A place that `backup` of `menshen.yaml` names.
    #[arg(long, value_name = "NAME", requires = "config", conflicts_with = "from")]
    place: Option<String>,
    /// A `menshen.yaml`, for its places and its key; with `--test` the gate whose log shall have the evidence.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The master key that the backup was made under.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    key: Option<PathBuf>,
    /// The log's own key, where it has one.
    #[arg(long, value_name = "FILE")]
    log_key: Option<PathBuf>,
    /// A new folder for what comes back.
    #[arg(long, value_name = "DIR", required_unless_present = "test")]
    into: Option<PathBuf>,
    /// Restore into a folder for a while, verify everything, and remove it again.
    #[arg(long, conflicts_with = "into")]
    test: bool,
    /// Where there is room for that; the system's folder for temporary files if left out.
    #[arg(long, value_name = "DIR", requires = "test")]
    scratch: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, out: &mut dyn Write) -> Outcome {
    let config = args.config.as_deref().map(Config::load).transpose().map_err(Failure::fault)?;
    let key = args.key.as_ref().or(config.as_ref().map(|config| &config.key));
    let master = MasterKey::read(key.map_or(Path::new(""), PathBuf::as_path));
    let master = master.map_err(Failure::fault)?;
    let place = place(args, config.as_ref())?;
    let clock = Clock::system();
    let wanted =
        Wanted { place: &place, name: args.name.as_deref(), master: &master, clock: &clock };
    let runtime = super::runtime()?;
    if args.test {
        let tested = test(args, &wanted, runtime.handle());
        evidence(config.as_ref(), &master, &tested)?;
        let restored = tested?;
        let said = told(&restored);
        return writeln!(out, "ok  {said}; everything is removed again").map_err(Failure::internal);
    }
    let into = args.into.clone().unwrap_or_default();
    let fresh = Fresh::begin(&into).map_err(failure)?;
    let work = fresh.work();
    let restored = restore(&wanted, &work, runtime.handle()).map_err(failure)?;
    let Restored { name, made_ms, entries, .. } = &restored;
    let ended = end_after_restore(&work.join("state"), name, *made_ms, *entries);
    ended.map_err(Failure::internal)?;
    runtime.block_on(record(args, &work, &master, &restored))?;
    fresh.finish().map_err(failure)?;
    let (said, into) = (told(&restored), into.display());
    writeln!(
        out,
        "restored into {into}: {said}\nSessions have ended and recovery codes are gone. Put the master key, certificates and keys in their places, then answer for what was done since with `menshen restored`: the gate does not start before. Budgets are used up until their windows have passed."
    )
    .map_err(Failure::internal)
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::NotEmpty(_) | BackupError::Missing(_) | BackupError::Secret(_) => {
            Failure::fault(error)
        }
        // It is as it is; whoever asked finds that out.
        BackupError::Sealed(_) | BackupError::Damaged(_) | BackupError::Log(_) => {
            Failure::internal(error)
        }
        BackupError::File { .. }
        | BackupError::Store(_)
        | BackupError::State(_)
        | BackupError::Nowhere(_)
        | BackupError::Busy
        | BackupError::Exists(_) => Failure::internal(error),
    }
}

fn place(args: &Arguments, config: Option<&Config>) -> Result<Place, Failure> {
    let Some(name) = &args.place else {
        return Ok(Place::Folder(args.from.clone().unwrap_or_default()));
    };
    let places = config.and_then(|config| config.backup.as_ref()).map(|backup| &backup.places);
    let found = places.and_then(|places| places.iter().find(|place| place.name == *name));
    let none = || Failure::Fault(format!("--place: `backup` names no `{name}`"));
    found.map(|place| place.place.clone()).ok_or_else(none)
}

fn told(restored: &Restored) -> String {
    let Restored { name, files, bytes, entries, accounts, .. } = restored;
    format!(
        "{name}, {files} files, {bytes} bytes; the log's {entries} entries verify, the state is whole and has {accounts} accounts"
    )
}

/// A folder that is gone when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn test(
    args: &Arguments,
    wanted: &Wanted<'_>,
    runtime: &tokio::runtime::Handle,
) -> Result<Restored, Failure> {
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let dir = scratch.join(format!("menshen-restore-test-{}", std::process::id()));
    let scratch = Scratch(dir);
    let restored = restore(wanted, &scratch.0, runtime).map_err(failure)?;
    load_policies(&scratch.0.join("policies")).map_err(Failure::internal)?;
    Ok(restored)
}

/// Leaves word in the log of the gate that is named.
fn evidence(
    config: Option<&Config>,
    master: &MasterKey,
    tested: &Result<Restored, Failure>,
) -> Result<(), Failure> {
    let Some(config) = config else { return Ok(()) };
    let (object, asked, seen) = match tested {
        Ok(restored) => (restored.name.clone(), told(restored), Some(restored.entries)),
        Err(Failure::Fault(said) | Failure::Internal(said)) => {
            (String::new(), format!("FAILED: {said}"), None)
        }
        Err(Failure::Finding | Failure::ToldFault) => (String::new(), "FAILED".to_owned(), None),
    };
    let name = if tested.is_ok() { "restore_tested" } else { "restore_test_failed" };
    let reading = Reading { name: name.to_owned(), object, asked, seen, ..Reading::default() };
    let custody = Custody::new(&config.log, master).map_err(Failure::internal)?;
    custody.leave(reading).map_err(Failure::internal)
}

/// Writes into the restored log that it was restored.
async fn record(
    args: &Arguments,
    into: &Path,
    master: &MasterKey,
    restored: &Restored,
) -> Result<(), Failure> {
    let at_rest = match (&args.log_key, restored.has_log_key) {
        (Some(file), true) => {
            let own = MasterKey::read(file).map_err(Failure::fault)?;
            AtRest::Under(RestKey::new(&own).map_err(Failure::internal)?)
        }
        (None, true) => {
            let said = "nothing is restored: the log has a key of its own, give it with --log-key, so that the log can \
                        say that it was restored";
            return Err(Failure::Fault(said.to_owned()));
        }
        (_, false) => AtRest::UnderMaster,
    };
    let settings = LogSettings {
        origin: format!("menshen.log/{}", restored.node),
        node: restored.node.clone(),
        at_rest,
        ..LogSettings::default()
    };
    let opened = Log::open(&into.join("log"), settings, Clock::system(), master);
    let (log, _) = opened.map_err(Failure::internal)?;
    let mut entry = log.entry(Event::Custody).map_err(Failure::internal)?;
    let by = super::account::operator().0;
    entry.act = Some(Act {
        name: "restored".into(),
        object: restored.name.as_str().into(),
        detail: format!("by {by}").as_str().into(),
        succeeded: Some(true),
        count: Some(restored.entries),
        ..Act::default()
    });
    log.append(entry).await.map_err(Failure::internal)?;
    log.close();
    Ok(())
}
