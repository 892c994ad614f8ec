//! Where a command finds a log, its keys and its index: by themselves, or by the gate's configuration.

use std::path::{Path, PathBuf};

use clap::Args;

use super::log::{LogCommandError, need_log};
use super::progress::Progress;
use crate::audit::note::Signer;
use crate::audit::{Opener, RestKey, SubjectSealer, Verified, verify};
use crate::config::Config;
use crate::index::Index;
use crate::secret::MasterKey;

/// Entries that are read into the index in one transaction.
const BATCH: usize = 5_000;

/// Where the log is.
#[derive(Debug, Args)]
pub(super) struct LogPlace {
    /// The log's folder.
    #[arg(value_name = "LOG", conflicts_with = "config")]
    pub(super) dir: Option<PathBuf>,
    /// The gate's `menshen.yaml`, which names the log, its keys and its index.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The master key, to read the entries.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "config",
        conflicts_with = "config"
    )]
    pub(super) key: Option<PathBuf>,
    /// The log's own key, where `log-key` names one; may be given again, for older ones.
    #[arg(long, value_name = "FILE")]
    pub(super) log_key: Vec<PathBuf>,
    /// The folder of the index; without it that of the configuration, or `LOG-index`.
    #[arg(long, value_name = "DIR")]
    pub(super) index: Option<PathBuf>,
}

/// A log that was found, and what reads it.
pub(super) struct FoundLog {
    pub(super) dir: PathBuf,
    pub(super) master: MasterKey,
    pub(super) opener: Opener,
    pub(super) sealer: SubjectSealer,
    index: PathBuf,
}

impl LogPlace {
    /// The one that a configuration names.
    pub(super) fn of_config(config: &Path) -> Self {
        let (dir, key, log_key, index) = Default::default();
        Self { dir, config: Some(config.to_owned()), key, log_key, index }
    }

    /// Finds it.
    pub(super) fn find(&self) -> Result<FoundLog, LogCommandError> {
        let config = self.config.as_deref().map(Config::load).transpose().map_err(Box::new)?;
        let dir = match &config {
            Some(config) => config.log.clone(),
            None => self.dir.clone().unwrap_or_else(|| PathBuf::from("log")),
        };
        need_log(&dir)?;
        let named = config.as_ref().map(|config| config.key.clone()).or(self.key.clone());
        let master = MasterKey::read(&named.unwrap_or_default())?;
        let own = config.as_ref().and_then(|config| config.log_key.clone());
        let mut keys = Vec::new();
        for file in self.log_key.iter().chain(&own) {
            keys.push(RestKey::new(&MasterKey::read(file)?)?);
        }
        keys.push(RestKey::new(&master)?);
        let index = self.index.clone().or(config.and_then(|config| config.index));
        Ok(FoundLog {
            opener: Opener::new(&dir, keys),
            sealer: SubjectSealer::new(&master)?,
            index: index.unwrap_or_else(|| Index::place_of(&dir)),
            dir,
            master,
        })
    }
}

impl FoundLog {
    /// How many entries the log has, about; 0 if that cannot be read.
    pub(super) fn size(&self) -> u64 {
        size(&self.dir)
    }

    /// The log's name, how many entries its checkpoint covers, and their root, as the folder says.
    pub(super) fn head(&self) -> (String, u64, String) {
        let note = std::fs::read_to_string(self.dir.join("checkpoint")).unwrap_or_default();
        let mut lines = note.lines().map(str::to_owned);
        let name = lines.next().unwrap_or_default();
        let entries = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
        (name, entries, lines.next().unwrap_or_default())
    }

    /// Verifies all of it, with the key that the master key gives, whatever key lies in the folder.
    pub(super) fn verified(&self) -> Result<Verified, LogCommandError> {
        let (path, (name, _, _)) = (self.dir.display().to_string(), self.head());
        let signer = Signer::new(&name, self.master.derive("audit-checkpoint")?.expose());
        let signer = signer.map_err(|source| LogCommandError::Note { path, source })?;
        Ok(verify(&self.dir, signer.verifier(), None)?)
    }

    /// The index, read on to the log's end; made anew where it cannot be used.
    pub(super) fn index(&self) -> Result<Index, LogCommandError> {
        let Self { dir, master, opener, index, .. } = self;
        let (mut index, _was_rebuilt) = Index::open_or_rebuild(index, dir, opener, master)?;
        read_on(&mut index, dir)?;
        Ok(index)
    }

    /// The index, begun anew and read to the log's end.
    pub(super) fn rebuilt(&self) -> Result<Index, LogCommandError> {
        let Self { dir, master, opener, index, .. } = self;
        let mut index = Index::rebuild(index, dir, opener.clone(), master)?;
        read_on(&mut index, dir)?;
        Ok(index)
    }
}

fn read_on(index: &mut Index, dir: &Path) -> Result<(), LogCommandError> {
    let end = size(dir);
    let mut progress = Progress::new("reading the log into its index", "entries", end);
    loop {
        let read = index.read_on(BATCH)?;
        progress.at(read.position);
        // A gate that writes faster than this reads must not keep it for ever.
        let is_there = read.added == 0 || (read.position >= end && end > 0);
        if is_there {
            return Ok(());
        }
    }
}

/// How many entries the log has, as its checkpoint says; 0 if it cannot be read.
fn size(dir: &Path) -> u64 {
    let note = std::fs::read_to_string(dir.join("checkpoint")).unwrap_or_default();
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}
