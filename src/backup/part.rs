//! The parts of a backup: cut, sealed each under its name, and opened again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::BackupError;
use crate::secret::{MasterKey, Sealer, Secret, random_key};

/// Bytes in a part before it is sealed.
pub(super) const PART_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of an object.
pub(super) const MOST_BYTES: usize = PART_BYTES + 64 * 1024;
/// The name of the manifest, which is written last.
pub(super) const MANIFEST: &str = "manifest";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The form of the parts.
    pub(super) version: u32,
    pub(super) node: String,
    /// Unix milliseconds.
    pub(super) made_ms: i64,
    pub(super) parts: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Entries of the log.
    pub(super) entries: u64,
    /// Whether the log has a key of its own, which is not in here.
    pub(super) has_log_key: bool,
    /// The key of the parts.
    pub(super) key: String,
}

/// What seals parts, and the key that does.
pub(super) struct Parts {
    sealer: Sealer,
    name: String,
}

impl Parts {
    /// For a new backup: with its key, as the manifest has it.
    pub(super) fn begin(name: &str) -> Result<(Self, Secret<String>), BackupError> {
        let key = random_key()?;
        let text = Secret::new(STANDARD.encode(key.expose()));
        Ok((Self { sealer: Sealer::under(&key)?, name: name.to_owned() }, text))
    }

    /// For one that is there.
    pub(super) fn of(name: &str, manifest: &Manifest) -> Result<Self, BackupError> {
        let key = STANDARD.decode(&manifest.key).ok().and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| BackupError::Damaged("its key is none".to_owned()))?;
        Ok(Self { sealer: Sealer::under(&Secret::new(key))?, name: name.to_owned() })
    }

    pub(super) fn seal(&self, number: u64, bytes: &[u8]) -> Result<Vec<u8>, BackupError> {
        Ok(self.sealer.seal(&self.label(number), bytes)?)
    }

    pub(super) fn open(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, BackupError> {
        let opened = self.sealer.open(&self.label(number), sealed);
        opened.map_err(|_altered| BackupError::Sealed(object(&self.name, number)))
    }

    fn label(&self, number: u64) -> String {
        format!("backup part {number} of {}", self.name)
    }
}

impl Manifest {
    pub(super) fn seal(&self, name: &str, master: &MasterKey) -> Result<Vec<u8>, BackupError> {
        let json = serde_json::to_vec(self).map_err(|e| BackupError::Damaged(e.to_string()))?;
        Ok(master.sealer("backup")?.seal(&format!("manifest of {name}"), &json)?)
    }

    pub(super) fn open(name: &str, sealed: &[u8], master: &MasterKey) -> Result<Self, BackupError> {
        let opened = master.sealer("backup")?.open(&format!("manifest of {name}"), sealed);
        let shown = || BackupError::Sealed(format!("{name}/{MANIFEST}"));
        let json = opened.map_err(|_altered| shown())?;
        let manifest: Self =
            serde_json::from_slice(&json).map_err(|e| BackupError::Damaged(e.to_string()))?;
        if manifest.version != 1 {
            let said = format!("it is of version {}, made by a newer menshen", manifest.version);
            return Err(BackupError::Damaged(said));
        }
        Ok(manifest)
    }
}

/// The name of a part.
pub(super) fn object(name: &str, number: u64) -> String {
    format!("{name}/{number:06}")
}
