//! A gate's `menshen.yaml`, and the state that it names: for commands that need both.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::clock::Clock;
use crate::config::Config;
use crate::secret::MasterKey;
use crate::state::Store;

/// Which gate.
#[derive(Debug, Args)]
pub(super) struct GateFile {
    /// The gate's `menshen.yaml`.
    #[arg(long = "config", value_name = "FILE")]
    pub(super) path: PathBuf,
}

impl GateFile {
    /// Reads it, and opens the state.
    pub(super) fn open(&self) -> Result<(Config, Store), Failure> {
        open_state(&self.path)
    }
}

/// Reads a configuration and opens the state that it names, which must be there.
pub(super) fn open_state(config: &Path) -> Result<(Config, Store), Failure> {
    let config = Config::load(config).map_err(Failure::fault)?;
    if !Store::exists(&config.state) {
        return Err(Failure::Fault(format!("`{}`: there is no state", config.state.display())));
    }
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let store = Store::open(&config.state, &master, Clock::system()).map_err(Failure::fault)?;
    Ok((config, store))
}
