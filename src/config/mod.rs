//! `menshen.yaml`, the operator's file: listeners, certificates, backends, storage, keys.
//!
//! The file is read whole and every fault in it reported at once, with its place and what is
//! accepted; nothing is opened here. Each module owns its `Settings`, whose defaults are the safe ones.

mod acme;
mod addresses;
mod admin;
mod backup;
mod callers;
mod change;
mod clients;
mod edge;
mod links;
mod notify;
mod posture;
mod read;
mod running;
mod scanners;
mod shared;
mod ship;
mod traces;
mod upstreams;
mod vouching;
mod witnesses;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::document::{Faults, Source};
use change::told_apart;
pub use change::{Change, Effect, changes, effect_of};
pub use shared::SharedStore;
pub use traces::Traces;

use crate::{
    guard, identity, limits, listen, proxy, scan, ship as shipping, telemetry, tls, upstream,
};

/// A configuration without faults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this node in the log.
    pub node: String,
    /// The folder of accounts, sessions and counters.
    pub state: PathBuf,
    /// The folder of the log.
    pub log: PathBuf,
    /// The folder of the log's index, if it is not beside the log.
    pub index: Option<PathBuf>,
    /// The file with the master key.
    pub key: PathBuf,
    /// The file with the key that wraps the keys of the log's entries, if it is not the master key.
    pub log_key: Option<PathBuf>,
    /// Where copies of the log's checkpoint go.
    pub checkpoint_copies: Option<CheckpointCopies>,
    /// The file itself, if it is one.
    pub file: Option<PathBuf>,
    /// What stands in it.
    pub text: FileText,
    /// When backups are made, and where to.
    pub backup: Option<crate::backup::Settings>,
    /// Who is told what needs a person.
    pub notify: Vec<crate::notify::Settings>,
    /// Where the log's entries are carried to.
    pub ship: Vec<shipping::Settings>,
    /// Who is asked to cosign the log's checkpoints.
    pub witnesses: Vec<shipping::WitnessSettings>,
    /// The folder with the policy.
    pub policies: PathBuf,
    /// Whether a change of that folder is noticed; else only SIGHUP has it read again.
    pub policies_watch: bool,
    /// Whether a change of the file itself is noticed; else only SIGHUP has it read again.
    pub config_watch: bool,
    /// The folder with a candidate that decides beside the policy and changes nothing.
    pub shadow: Option<PathBuf>,
    /// Where metrics and health are told, if they are.
    pub metrics: Option<telemetry::Settings>,
    /// Whether requests are traced.
    pub traces: Option<Traces>,
    /// The interface for the security team, if there is one.
    pub admin: Option<Admin>,
    /// Where to listen, and what to show there.
    pub listeners: Vec<Listener>,
    /// Where certificates are ordered, if they are.
    pub acme: Option<crate::acme::Settings>,
    /// A port without TLS that sends people to the one with it.
    pub redirect: Option<listen::RedirectSettings>,
    /// The backends.
    pub upstreams: Vec<upstream::Settings>,
    /// What backends are told about callers, by the name of the upstream.
    pub vouching: HashMap<String, proxy::Vouching>,
    /// Who tells them, and how long by one key.
    pub assertions: identity::AssertionSettings,
    /// Who says of uploaded files whether they are clean.
    pub scanners: Vec<scan::Settings>,
    /// Tokens, sessions, lock-out.
    pub identity: identity::Settings,
    /// The business systems whose tickets tie an account and a data subject.
    pub case_issuers: Vec<identity::CaseIssuerSettings>,
    /// What counting may cost.
    pub limits: limits::Settings,
    /// Where several gates count budgets together, if they do.
    pub shared: Option<SharedStore>,
    /// What one address may do before anybody is known.
    pub addresses: limits::AddressSettings,
    /// Bodies and their deadlines.
    pub proxy: proxy::Settings,
    /// How much of a body the guard holds.
    pub caps: guard::Caps,
    /// How long open requests may take to end when the gate stops.
    pub drain: Duration,
    /// Whether the process keeps itself from writing elsewhere than into its folders, and from starting programs.
    pub confine: bool,
    /// Whether it gives up calls of the system that it never makes.
    pub confine_calls: bool,
}

/// The text of the file. It stands in no event.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FileText(String);

impl std::ops::Deref for FileText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for FileText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileText")
    }
}

/// Copies of the log's checkpoint in a second place.
#[derive(Clone, Debug)]
pub struct CheckpointCopies {
    /// The folder.
    pub folder: PathBuf,
    /// How long a checkpoint may wait to be copied.
    pub every: Duration,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The socket, its caps and deadlines.
    pub socket: listen::Settings,
    /// The certificate shown.
    pub tls: tls::ServerSettings,
}

/// The interface for the security team.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listener: Listener,
    /// Who may do what.
    pub settings: crate::admin::Settings,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("`{path}`: {source}", path = path.display())]
    File {
        /// The file as the operator named it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has faults.
    #[error("{0}")]
    Faults(Faults),
}

impl Config {
    /// Reads the file; paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], with every fault of the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let base = path.parent().unwrap_or(Path::new(""));
        let source = Source { name: path.display().to_string(), text };
        let config = Self::parse(source, base).map_err(ConfigError::Faults)?;
        Ok(Self { file: Some(path.to_owned()), ..config })
    }

    /// Reads the text of such a file; paths in it are relative to `base`.
    ///
    /// # Errors
    /// [`Faults`], all of them.
    pub fn parse(source: Source, base: &Path) -> Result<Self, Faults> {
        let config = read::config(std::slice::from_ref(&source), base)?;
        Ok(Self { text: FileText(source.text), ..config })
    }
}

#[cfg(test)]
mod tests;
