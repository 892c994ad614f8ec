//! The log as the configuration names it: opened to write, or found to be read and carried elsewhere.

use std::path::PathBuf;

use crate::audit::{self, Act, AtRest, Event, Log, LogError, Opener, RestKey, Sink};
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::{MasterKey, SecretError};
use crate::ship;

/// Opens the log as a gate with this configuration does, such as to record what an operator did.
///
/// # Errors
/// [`LogError`].
pub fn open_log(config: &Config, clock: &Clock, master: &MasterKey) -> Result<Log, LogError> {
    open_sink(config, clock, master, Sink::Folder)
}

/// Opens the log; what is appended goes there.
pub(super) fn open_sink(
    config: &Config,
    clock: &Clock,
    master: &MasterKey,
    sink: Sink,
) -> Result<Log, LogError> {
    let settings = audit::Settings {
        origin: format!("menshen.log/{}", config.node),
        node: config.node.clone(),
        at_rest: at_rest(config)?,
        sink,
        copies: config.checkpoint_copies.as_ref().map(|copies| audit::CopySettings {
            folder: copies.folder.clone(),
            every: copies.every,
        }),
        ..audit::Settings::default()
    };
    let (log, recovery) = Log::open(&config.log, settings, clock.clone(), master)?;
    tracing::info!(?recovery, "the log is open");
    Ok(log)
}

/// What wraps the keys of the log's entries.
///
/// # Errors
/// [`SecretError`] if the file that is named cannot be used.
pub fn at_rest(config: &Config) -> Result<AtRest, SecretError> {
    let Some(file) = &config.log_key else { return Ok(AtRest::UnderMaster) };
    RestKey::new(&MasterKey::read(file)?).map(AtRest::Under)
}

/// The log as it is read to be carried elsewhere.
///
/// # Errors
/// [`SecretError`] if its key cannot be used.
pub fn ship_source(config: &Config, master: &MasterKey) -> Result<ship::Source, SecretError> {
    let rest = match at_rest(config)? {
        AtRest::Under(own) => vec![own, RestKey::new(master)?],
        AtRest::UnderMaster | AtRest::Legible => vec![RestKey::new(master)?],
    };
    let (node, dir) = (config.node.clone(), config.log.clone());
    let opener = Opener::new(&dir, rest);
    Ok(ship::Source { node, dir, opener, durable: None })
}

/// The folder of the cursors of what is carried elsewhere.
#[must_use]
pub fn cursors(config: &Config) -> PathBuf {
    config.state.join("shipping")
}

/// From here on this policy decides; reviewers see since when. The number marks how far the state is.
pub(super) async fn record_start(log: &Log, policy: &str, number: u64) -> Result<(), LogError> {
    let mut entry = log.entry(Event::Change)?;
    let object = format!("policy {policy}");
    entry.act = Some(Act {
        name: "started".into(),
        object: object.as_str().into(),
        succeeded: Some(true),
        number: Some(number),
        ..Act::default()
    });
    log.append(entry).await.map(drop)
}
