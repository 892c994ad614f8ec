//! Entries at rest: each is sealed under the key of its class and day, and of its caller's tenants where those have
//! times of their own, and destroyed by dropping that key.
//!
//! The tree stands over the sealed bytes, so the log verifies without any key, and the hash of a destroyed
//! entry betrays nothing. The keys are drawn at random; what wraps them lives outside the log's folder.

mod day;
mod frame;
mod key_file;
mod maker;
mod needed;
mod newest;
mod opener;
mod rewrap;
mod wanted;
mod whose;

use std::fmt;
use std::sync::Arc;

use crate::secret::{MasterKey, Sealer, SecretError};

pub use day::Day;
pub(super) use frame::{HEAD_BYTES, KeyName, Lock, MAX_JSON_BYTES, head_of, key_of};
pub(super) use key_file::{KeyFile, State};
pub(super) use maker::DayKeys;
pub use maker::RestError;
pub use needed::Needed;
pub use opener::{Closed, Frame, Lost, Opener};
pub use rewrap::Rewrapped;
pub(super) use rewrap::rewrap;
pub use whose::Tenants;
pub(super) use whose::Whose;

/// What wraps the keys of days: derived from the master key, or from a file of its own.
#[derive(Clone)]
pub struct RestKey {
    sealer: Arc<Sealer>,
    id: String,
}

impl fmt::Debug for RestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RestKey {
    /// The key that follows from this file's 32 bytes.
    ///
    /// # Errors
    /// [`SecretError::Crypto`].
    pub fn new(key: &MasterKey) -> Result<Self, SecretError> {
        let mut id = key.tagger("audit-at-rest-id")?.reference(&[]);
        id.truncate(8);
        Ok(Self { sealer: Arc::new(key.sealer("audit-at-rest")?), id })
    }

    /// A name for it that tells nothing about it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// How the entries of a log are kept.
#[derive(Clone, Debug, Default)]
pub enum AtRest {
    /// Sealed; the master key wraps the keys of days.
    #[default]
    UnderMaster,
    /// Sealed; a key of its own wraps them.
    Under(RestKey),
    /// Legible to whoever has the folder. For measuring what sealing costs; no configuration leads here.
    Legible,
}

#[cfg(test)]
mod tests;
