//! The file of a key of a day: the key in its wrapping, or that it was destroyed, and when.
//!
//! Its name tells class and day, and what is sealed in it whose entries it opens. It is replaced in one step, and durable before the first entry that
//! needs it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::RestKey;
use super::day::Day;
use super::frame::{KeyName, Lock};
use super::whose::Whose;
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
    /// Whose entries, sealed; of a key for everybody's nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::audit) of: Option<String>,
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
        whose: &Whose,
        made: Moment,
        rest: &RestKey,
    ) -> Result<(Self, Sealer), SecretError> {
        let key = crate::secret::random_key()?;
        let sealer = Sealer::under(&key)?;
        let KeyName { number, lock, day } = name;
        let of = seal_whose(name, whose, rest)?;
        let (opens, state) = (lock.word().to_owned(), wrap(&label(name, &of), &key, rest)?);
        Ok((Self { opens, day, number, of, made, announced: None, state }, sealer))
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

    /// Whether it opens everybody's entries.
    pub(in crate::audit) fn is_everybodys(&self) -> bool {
        self.of.is_none()
    }

    /// Whose entries it opens, as far as one of these keys tells.
    pub(in crate::audit) fn whose(&self, name: KeyName, given: &[RestKey]) -> Whose {
        let Some(sealed) = &self.of else { return Whose::Everybody };
        given.iter().find_map(|rest| open_whose(name, sealed, rest)).unwrap_or(Whose::Tenants)
    }

    /// The key's box, if `rest` is what wraps it.
    pub(super) fn unwrap_with(
        &self,
        name: KeyName,
        rest: &RestKey,
    ) -> Option<Result<Sealer, SecretError>> {
        let State::Kept { under, wrapped } = &self.state else { return None };
        let label = label(name, &self.of);
        (under == rest.id()).then(|| Sealer::under(&unwrapped(&label, wrapped, rest)?))
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
        let key = unwrapped(&label(name, &self.of), wrapped, from)?;
        let whose = match &self.of {
            None => Whose::Everybody,
            Some(sealed) => open_whose(name, sealed, from).ok_or(SecretError::Unsealable)?,
        };
        let of = seal_whose(name, &whose, to)?;
        Ok(Self { state: wrap(&label(name, &of), &key, to)?, of, ..self.clone() })
    }
}

/// What the wrapping of a key is bound to: its name, and whose entries it opens.
fn label(name: KeyName, of: &Option<String>) -> String {
    match of {
        None => format!("log key {}", name.file()),
        Some(of) => format!("log key {} of {of}", name.file()),
    }
}

fn whose_label(name: KeyName) -> String {
    format!("whose log key {}", name.file())
}

fn seal_whose(name: KeyName, whose: &Whose, rest: &RestKey) -> Result<Option<String>, SecretError> {
    let Some(bytes) = whose.to_bytes() else { return Ok(None) };
    let sealed = rest.sealer.seal(&whose_label(name), &bytes)?;
    Ok(Some(URL_SAFE_NO_PAD.encode(sealed)))
}

fn open_whose(name: KeyName, sealed: &str, rest: &RestKey) -> Option<Whose> {
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    Whose::from_bytes(&rest.sealer.open(&whose_label(name), &sealed).ok()?)
}

fn wrap(label: &str, key: &Secret<[u8; 32]>, rest: &RestKey) -> Result<State, SecretError> {
    let wrapped = rest.sealer.seal(label, key.expose())?;
    let wrapped = URL_SAFE_NO_PAD.encode(wrapped);
    Ok(State::Kept { under: rest.id().to_owned(), wrapped })
}

fn unwrapped(label: &str, wrapped: &str, rest: &RestKey) -> Result<Secret<[u8; 32]>, SecretError> {
    let sealed = URL_SAFE_NO_PAD.decode(wrapped).ok().ok_or(SecretError::Unsealable)?;
    let mut opened = rest.sealer.open(label, &sealed)?;
    let key = <[u8; 32]>::try_from(opened.as_slice()).ok();
    opened.zeroize();
    key.map(Secret::new).ok_or(SecretError::Unsealable)
}
