//! What a gate started with, kept beside its state: so that a check of the file can say what takes a restart.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::config::Config;

const NAME: &str = "started.yaml";

/// Keeps the file as it was read. That it cannot be kept, nobody misses but the check.
pub(super) fn keep(config: &Config) {
    let (path, new) = (config.state.join(NAME), config.state.join("started.yaml.new"));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(config.text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, &path));
    if let Err(error) = written {
        let path = path.display();
        tracing::warn!(%path, %error, "what the gate started with could not be kept for `menshen check`");
    }
}

/// The file with which the gate of this state was started last, if that can be told.
#[must_use]
pub fn started_with(config: &Config) -> Option<String> {
    std::fs::read_to_string(config.state.join(NAME)).ok()
}
