//! Where a command finds the accounts: the state and the key by themselves, or the file that names them.

use std::path::PathBuf;

use clap::Args;

use super::AccountCommandError;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{Identity, Settings};
use crate::secret::MasterKey;
use crate::state::Store;

/// Where the accounts are.
#[derive(Debug, Args)]
pub(in crate::cli) struct Place {
    /// The state folder.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    state: Option<PathBuf>,
    /// The master key file.
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    key: Option<PathBuf>,
    /// The gate's `menshen.yaml`, which names both; new passwords are judged with its `house-words` as well.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "key"])]
    config: Option<PathBuf>,
}

/// What a command works on.
struct Found {
    state: PathBuf,
    key: PathBuf,
    house_words: Vec<String>,
}

impl Place {
    /// The folder of the gate's policies, where its file is named.
    pub(in crate::cli) fn policies(&self) -> Result<Option<PathBuf>, AccountCommandError> {
        let Some(config) = &self.config else { return Ok(None) };
        Ok(Some(Config::load(config).map_err(Box::new)?.policies))
    }

    fn find(&self) -> Result<Found, AccountCommandError> {
        let Some(config) = &self.config else {
            let (state, key) = (self.state.clone(), self.key.clone());
            let (state, key) = (state.unwrap_or_default(), key.unwrap_or_default());
            return Ok(Found { state, key, house_words: Vec::new() });
        };
        let Config { state, key, identity, .. } = Config::load(config).map_err(Box::new)?;
        Ok(Found { state, key, house_words: identity.house_words })
    }
}

/// Opens the accounts of a folder, which is made if it is missing.
pub(super) fn open(place: &Place) -> Result<Identity, AccountCommandError> {
    open_found(place.find()?)
}

/// Opens the accounts of a gate, which must be there already.
pub(in crate::cli) fn open_of(config: Config) -> Result<Identity, AccountCommandError> {
    let Config { state, key, identity, .. } = config;
    if !Store::exists(&state) {
        return Err(AccountCommandError::NoState(state.display().to_string()));
    }
    open_found(Found { state, key, house_words: identity.house_words })
}

fn open_found(found: Found) -> Result<Identity, AccountCommandError> {
    let master = MasterKey::read(&found.key)?;
    let store = Store::open(&found.state, &master, Clock::system())?.acting_as(&operator().0);
    let settings = Settings { house_words: found.house_words, ..Settings::default() };
    Ok(Identity::new(settings, store, &master, Clock::system())?)
}

/// Who runs the command, as the system knows them; the log names them as the doer.
pub(in crate::cli) fn operator() -> (String, u32) {
    let uid = rustix::process::getuid().as_raw();
    let before_sudo = std::env::var_os("SUDO_UID").and_then(|uid| uid.into_string().ok());
    match before_sudo.and_then(|uid| uid.parse::<u32>().ok()) {
        // Only root came by sudo; anybody may say so.
        Some(before) if uid == 0 => (format!("operator uid {uid} (sudo by uid {before})"), before),
        Some(_) | None => (format!("operator uid {uid}"), uid),
    }
}

/// Opens the state of a folder that is there already.
pub(in crate::cli) fn open_state(place: &Place) -> Result<Store, AccountCommandError> {
    Ok(open_state_and_key(place)?.0)
}

/// The same, with the master key.
pub(in crate::cli) fn open_state_and_key(
    place: &Place,
) -> Result<(Store, MasterKey), AccountCommandError> {
    let found = place.find()?;
    if !Store::exists(&found.state) {
        return Err(AccountCommandError::NoState(found.state.display().to_string()));
    }
    let master = MasterKey::read(&found.key)?;
    let store = Store::open(&found.state, &master, Clock::system())?;
    Ok((store, master))
}

/// As [`open`], but a mistyped folder is told rather than made.
pub(in crate::cli) fn open_existing(place: &Place) -> Result<Identity, AccountCommandError> {
    let found = place.find()?;
    if !Store::exists(&found.state) {
        return Err(AccountCommandError::NoState(found.state.display().to_string()));
    }
    open_found(found)
}
