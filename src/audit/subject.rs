//! How the log names a data subject: by a keyed reference that only a reviewer with the key can read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::{MasterKey, Sealer, SecretError, Tagger};

const LABEL: &str = "subject";

/// The longest key of a data subject that can be sealed.
pub const MAX_SUBJECT_KEY_BYTES: usize = 256;

const MAX_REFERENCE_BYTES: usize = 1024;

/// Why a reference could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The backend's key is too long to be sealed; the record it belongs to must not pass.
    #[error("the key of a data subject must be at most {MAX_SUBJECT_KEY_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// The text is no reference to a subject.
    #[error("it is no reference to a data subject")]
    Form,
    /// Key or library refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A data subject without its name: an index token to search by, and the sealed `entity:key`.
///
/// The same subject gives the same reference, so that "who saw whom" can be asked; without the
/// key neither half tells who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectRef(Box<str>);

impl SubjectRef {
    /// The token that is equal for equal subjects.
    #[must_use]
    pub fn token(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(token, _)| token)
    }

    fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let (token, _) = text.split_once('.')?;
        (printable && token.len() == 22 && text.len() <= MAX_REFERENCE_BYTES)
            .then(|| Self(text.into()))
    }

    /// Bytes as an element of a JSON array.
    pub(super) fn json_bytes(&self) -> usize {
        self.0.len() + 3
    }
}

impl Serialize for SubjectRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SubjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(SubjectError::Form))
    }
}

/// Makes and opens references to data subjects.
pub struct SubjectSealer {
    index: Tagger,
    sealer: Sealer,
}

impl fmt::Debug for SubjectSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectSealer(secret)")
    }
}

impl SubjectSealer {
    /// The sealer of logs kept under this master key.
    ///
    /// # Errors
    /// [`SecretError::Crypto`].
    pub fn new(keys: &MasterKey) -> Result<Self, SecretError> {
        let index = keys.tagger("audit-subject-index")?;
        Ok(Self { index, sealer: keys.sealer("audit-subject")? })
    }

    /// The reference to the subject that `entity` and `key` name, such as `customer` and `10017`.
    ///
    /// # Errors
    /// [`SubjectError::TooLong`] or [`SubjectError::Secret`].
    pub fn seal(&self, entity: &str, key: &str) -> Result<SubjectRef, SubjectError> {
        let bytes = entity.len() + key.len();
        if bytes > MAX_SUBJECT_KEY_BYTES {
            return Err(SubjectError::TooLong(bytes));
        }
        let name = format!("{entity}:{key}");
        let sealed = self.sealer.seal_deterministic(LABEL, name.as_bytes())?;
        let sealed = URL_SAFE_NO_PAD.encode(sealed);
        Ok(SubjectRef(format!("{}.{sealed}", self.token(entity, key)).into()))
    }

    /// The token to search a subject by.
    #[must_use]
    pub fn token(&self, entity: &str, key: &str) -> String {
        self.index.reference(&[entity.as_bytes(), key.as_bytes()])
    }

    /// The `entity:key` behind a reference.
    ///
    /// # Errors
    /// [`SubjectError::Form`], or [`SubjectError::Secret`] if it was sealed under another key.
    pub fn open(&self, subject: &SubjectRef) -> Result<String, SubjectError> {
        let (token, sealed) = subject.0.split_once('.').ok_or(SubjectError::Form)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok().ok_or(SubjectError::Form)?;
        let opened = self.sealer.open(LABEL, &sealed)?;
        let name = String::from_utf8(opened).ok().ok_or(SubjectError::Form)?;
        // Both halves must be about the same subject, or a search and the text would disagree.
        let (entity, key) = name.split_once(':').ok_or(SubjectError::Form)?;
        if self.token(entity, key) == token { Ok(name) } else { Err(SubjectError::Form) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: u8) -> SubjectSealer {
        SubjectSealer::new(&MasterKey::from_bytes([key; 32])).unwrap()
    }

    #[test]
    fn a_reference_is_equal_for_equal_subjects_and_opens_with_the_key() {
        let reference = sealer(1).seal("customer", "10017").unwrap();
        assert_eq!(reference, sealer(1).seal("customer", "10017").unwrap());
        assert_eq!(reference.token(), sealer(1).token("customer", "10017"));
        assert_ne!(reference.token(), sealer(1).token("customer", "10018"));
        assert_eq!(sealer(1).open(&reference).unwrap(), "customer:10017");
    }

    #[test]
    fn nothing_is_legible_without_the_key() {
        let reference = sealer(1).seal("customer", "10017").unwrap();
        assert!(!reference.0.contains("10017"));
        assert!(sealer(2).open(&reference).is_err());
        assert_ne!(reference.token(), sealer(2).token("customer", "10017"));
    }

    #[test]
    fn halves_of_two_references_do_not_make_a_third() {
        let (a, b) =
            (sealer(1).seal("customer", "1").unwrap(), sealer(1).seal("customer", "2").unwrap());
        let (_, sealed) = b.0.split_once('.').unwrap();
        let mixed = SubjectRef(format!("{}.{sealed}", a.token()).into());
        assert!(matches!(sealer(1).open(&mixed), Err(SubjectError::Form)));
    }

    #[test]
    fn a_key_too_long_to_be_sealed_is_refused() {
        let long = "k".repeat(MAX_SUBJECT_KEY_BYTES);
        assert!(matches!(sealer(1).seal("customer", &long), Err(SubjectError::TooLong(_))));
    }
}
