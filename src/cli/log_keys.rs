//! The keys with which a command reads a log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::audit::{Closed, Lost, Opener, RestKey};
use crate::secret::{MasterKey, SecretError};

/// The keys with which a command reads a log.
#[derive(Debug, Args)]
pub(super) struct LogKeys {
    /// The master key, to read the entries.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// The log's own key, where `log-key` names one; may be given again, for older ones. With the master key, which
    /// seals that you read.
    #[arg(long, value_name = "FILE", requires = "key")]
    log_key: Vec<PathBuf>,
}

impl LogKeys {
    /// The master key, if it was given.
    pub(super) fn master(&self) -> Result<Option<MasterKey>, SecretError> {
        self.key.as_deref().map(MasterKey::read).transpose()
    }

    /// What opens the entries of the log in `dir`.
    pub(super) fn opener(&self, dir: &Path) -> Result<Opener, SecretError> {
        let mut keys = Vec::new();
        for file in self.log_key.iter().chain(&self.key) {
            keys.push(RestKey::new(&MasterKey::read(file)?)?);
        }
        Ok(Opener::new(dir, keys))
    }
}

/// Entries that could not be read, counted by class, day and cause.
#[derive(Debug, Default)]
pub(super) struct Unread(HashMap<Closed, u64>);

impl Unread {
    /// Takes one.
    pub(super) fn add(&mut self, closed: Closed) {
        *self.0.entry(closed).or_default() += 1;
    }

    /// A line for each class, day and cause.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut closed: Vec<_> = self.0.iter().collect();
        closed.sort_by_key(|(closed, _)| closed.order());
        closed.into_iter().map(|(closed, count)| unread(closed, *count)).collect()
    }
}

/// What is told of entries that could not be read.
pub(super) fn unread(closed: &Closed, count: u64) -> String {
    let hint = match closed.lost {
        Lost::Locked { .. } => "; give it with `--key`, or `--log-key` where the log has its own",
        Lost::Missing | Lost::Damaged => "; look for a copy of the log's `keys` folder",
        Lost::Destroyed { .. } => "",
        Lost::Altered { .. } => "; `menshen log verify` tells whether the log holds",
    };
    let entries = if count == 1 { "entry" } else { "entries" };
    format!("not read: {count} {entries}, {closed}{hint}")
}
