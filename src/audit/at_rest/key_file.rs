//! The file of a key of a day: the key in its wrapping, or that it was destroyed, and when.
//!
//! Its name tells class and day. It is replaced in one step, and durable before the first entry that
//! needs it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::RestKey;
use super::day::Day;
use super::frame::KeyName;
use crate::audit::entry::Moment;
use crate::audit::groups::Class;
use crate::secret::{Sealer, Secret, SecretError};

/// What the file of a key says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyFile {
    pub(super) class: Class,
    pub(super) day: Day,
    pub(super) number: u32,
    /// When the key was drawn.
    pub(super) made: Moment,
    #[serde(flatten)]
    pub(super) state: State,
}

/// Whether there is a key still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum State {
    /// There is, sealed.
    Kept {
        /// The id of what wraps it.
        under: String,
        /// The sealed key.
        wrapped: String,
    },
    /// There is none any more.
    Destroyed {
        /// Since when.
        destroyed: Moment,
        /// The certificate of the destruction.
        certificate: String,
    },
}

impl KeyFile {
    /// A new key, and its file.
    pub(super) fn draw(
        name: KeyName,
        made: Moment,
        rest: &RestKey,
    ) -> Result<(Self, Sealer), SecretError> {
        let key = crate::secret::random_key()?;
        let sealer = Sealer::under(&key)?;
        let KeyName { number, class, day } = name;
        Ok((Self { class, day, number, made, state: wrap(name, &key, rest)? }, sealer))
    }

    /// What the file of this key holds.
    pub(super) fn read(name: KeyName, bytes: &[u8]) -> Option<Self> {
        let file: Self = serde_json::from_slice(bytes).ok()?;
        (file.name() == name).then_some(file)
    }

    /// Its bytes on the disk.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text.into_bytes()
    }

    pub(super) fn name(&self) -> KeyName {
        KeyName { number: self.number, class: self.class, day: self.day }
    }

    /// The key's box, if `rest` is what wraps it.
    pub(super) fn unwrap_with(&self, rest: &RestKey) -> Option<Result<Sealer, SecretError>> {
        let State::Kept { under, wrapped } = &self.state else { return None };
        (under == rest.id()).then(|| Sealer::under(&unwrapped(self.name(), wrapped, rest)?))
    }
}

impl KeyFile {
    /// The same key in another wrapping.
    pub(super) fn moved(&self, from: &RestKey, to: &RestKey) -> Result<Self, SecretError> {
        let State::Kept { wrapped, .. } = &self.state else { return Ok(self.clone()) };
        let key = unwrapped(self.name(), wrapped, from)?;
        Ok(Self { state: wrap(self.name(), &key, to)?, ..self.clone() })
    }
}

fn label(name: KeyName) -> String {
    format!("log key {}", name.file())
}

fn wrap(name: KeyName, key: &Secret<[u8; 32]>, rest: &RestKey) -> Result<State, SecretError> {
    let wrapped = rest.sealer.seal(&label(name), key.expose())?;
    let wrapped = URL_SAFE_NO_PAD.encode(wrapped);
    Ok(State::Kept { under: rest.id().to_owned(), wrapped })
}

fn unwrapped(
    name: KeyName,
    wrapped: &str,
    rest: &RestKey,
) -> Result<Secret<[u8; 32]>, SecretError> {
    let sealed = URL_SAFE_NO_PAD.decode(wrapped).ok().ok_or(SecretError::Unsealable)?;
    let mut opened = rest.sealer.open(&label(name), &sealed)?;
    let key = <[u8; 32]>::try_from(opened.as_slice()).ok();
    opened.zeroize();
    key.map(Secret::new).ok_or(SecretError::Unsealable)
}
