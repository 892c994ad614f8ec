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
use super::frame::{KeyName, Lock};
use crate::audit::entry::Moment;
use crate::audit::folder::{Folder, Part};
use crate::secret::{Sealer, Secret, SecretError};

/// What the file of a key says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::audit) struct KeyFile {
    /// What it opens.
    pub(in crate::audit) opens: String,
    pub(in crate::audit) day: Day,
    pub(in crate::audit) number: u32,
    /// When the key was drawn.
    pub(in crate::audit) made: Moment,
    /// When its destruction was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::audit) announced: Option<Moment>,
    #[serde(flatten)]
    pub(in crate::audit) state: State,
}

/// Whether there is a key still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::audit) enum State {
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
    pub(in crate::audit) fn draw(
        name: KeyName,
        made: Moment,
        rest: &RestKey,
    ) -> Result<(Self, Sealer), SecretError> {
        let key = crate::secret::random_key()?;
        let sealer = Sealer::under(&key)?;
        let KeyName { number, lock, day } = name;
        let (opens, state) = (lock.word().to_owned(), wrap(name, &key, rest)?);
        Ok((Self { opens, day, number, made, announced: None, state }, sealer))
    }

    /// What the file of this key holds.
    pub(in crate::audit) fn read(name: KeyName, bytes: &[u8]) -> Option<Self> {
        let file: Self = serde_json::from_slice(bytes).ok()?;
        (file.name()? == name).then_some(file)
    }

    /// Every key of a log, in the order in which they were made. A damaged one is left out: it opens nothing, so
    /// nothing of it is to be destroyed.
    pub(in crate::audit) fn all(folder: &Folder) -> std::io::Result<Vec<(KeyName, Self)>> {
        let mut keys = Vec::new();
        for file in folder.names_of(Part::Keys)? {
            let Some(name) = KeyName::parse(&file) else { continue };
            keys.extend(
                Self::read(name, &folder.read_of(Part::Keys, &file)?).map(|key| (name, key)),
            );
        }
        keys.sort_unstable_by_key(|(name, _)| name.number);
        Ok(keys)
    }

    /// Its bytes on the disk.
    pub(in crate::audit) fn write(&self) -> Vec<u8> {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text.into_bytes()
    }

    fn name(&self) -> Option<KeyName> {
        let lock = Lock::ALL.into_iter().find(|lock| lock.word() == self.opens)?;
        Some(KeyName { number: self.number, lock, day: self.day })
    }

    /// The key's box, if `rest` is what wraps it.
    pub(super) fn unwrap_with(
        &self,
        name: KeyName,
        rest: &RestKey,
    ) -> Option<Result<Sealer, SecretError>> {
        let State::Kept { under, wrapped } = &self.state else { return None };
        (under == rest.id()).then(|| Sealer::under(&unwrapped(name, wrapped, rest)?))
    }
}

impl KeyFile {
    /// The same key in another wrapping.
    pub(super) fn moved(
        &self,
        name: KeyName,
        from: &RestKey,
        to: &RestKey,
    ) -> Result<Self, SecretError> {
        let State::Kept { wrapped, .. } = &self.state else { return Ok(self.clone()) };
        let key = unwrapped(name, wrapped, from)?;
        Ok(Self { state: wrap(name, &key, to)?, ..self.clone() })
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
