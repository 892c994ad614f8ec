//! Secrets that cannot be printed, and the keys derived from the one master key.
//!
//! Every purpose has a key of its own (HKDF-SHA-256, RFC 5869), so that a reference in the log, a
//! pseudonym in an answer and a sealed TOTP secret on the disk never share one.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, RandomizedNonceKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that is wiped when dropped and never shown by `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes custody of `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the name is long so that a reviewer finds every use.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Why a file with a secret is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("`{path}`: {source}")]
    Unread {
        /// The file as the operator named it.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than its owner may read or write it.
    #[error("`{0}`: others may read it; take their rights away with `chmod 600`")]
    Public(String),
    /// It is no short text.
    #[error("`{0}`: must be {SHORT}")]
    Long(String),
}

/// What a file with a secret is.
pub(crate) const SHORT: &str = "text of at most 16 KiB";

/// The text of a file that nobody but its owner has rights on, without the line's end. Blocks.
///
/// # Errors
/// [`FileError`].
pub fn read_private(path: &Path) -> Result<Secret<String>, FileError> {
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    const MOST: u16 = 16 * 1024;
    let shown = path.display().to_string();
    let unread = |source| FileError::Unread { path: shown.clone(), source };
    let file = std::fs::File::open(path).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(FileError::Public(shown));
    }
    // Room for all of it at once: what a text leaves behind when it grows is not wiped.
    let mut text = String::with_capacity(usize::from(MOST) + 64);
    let read = file.take(u64::from(MOST) + 1).read_to_string(&mut text);
    let is_long = text.len() > usize::from(MOST);
    text.truncate(text.trim_end().len());
    let secret = Secret::new(text);
    read.map_err(unread)?;
    if is_long { Err(FileError::Long(shown)) } else { Ok(secret) }
}

/// Why a key could not be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read or written.
    #[error("master key `{path}`: {source}")]
    File {
        /// The file as the operator named it.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not 32 bytes in base64url.
    #[error(
        "master key `{0}`: must be 32 bytes in base64url on one line; make one with `menshen key generate`"
    )]
    Shape(String),
    /// Others than its owner may read or write the file.
    #[error("master key `{0}`: others may read it; take their rights away with `chmod 600`")]
    Public(String),
    /// The file exists already and is not overwritten.
    #[error(
        "master key `{0}` exists already; a new key would make the old log and accounts unreadable"
    )]
    Exists(String),
    /// The cryptographic library refused.
    #[error("the cryptographic library refused the operation")]
    Crypto,
    /// A sealed value was altered, or sealed under another key or label.
    #[error("a sealed value does not open: it was altered, or the master key is another one")]
    Unsealable,
}

impl From<aws_lc_rs::error::Unspecified> for SecretError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

/// The master key: 32 random bytes from which every other key is derived by label.
#[derive(Clone, Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

struct KeyLength;
impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

impl MasterKey {
    /// Takes 32 bytes as they are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Draws a new key from the system's randomness.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Reads the key from a file with 32 bytes in base64url.
    ///
    /// # Errors
    /// [`SecretError::File`], [`SecretError::Public`] or [`SecretError::Shape`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = read_private(path).map_err(|error| match error {
            FileError::Unread { path, source } => SecretError::File { path, source },
            FileError::Public(path) => SecretError::Public(path),
            FileError::Long(path) => SecretError::Shape(path),
        })?;
        let bytes = URL_SAFE_NO_PAD.decode(text.expose().trim());
        let shape = || SecretError::Shape(path.display().to_string());
        let bytes: [u8; 32] = bytes.ok().and_then(|b| b.try_into().ok()).ok_or_else(shape)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Writes the key to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`SecretError::Exists`] rather than overwriting, or [`SecretError::File`].
    pub fn write_new(&self, path: &Path) -> Result<(), SecretError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let shown = path.display().to_string();
        let opened =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(SecretError::Exists(shown));
            }
            Err(source) => return Err(SecretError::File { path: shown, source }),
        };
        let mut line = URL_SAFE_NO_PAD.encode(self.0.expose());
        line.push('\n');
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
        line.zeroize();
        written.map_err(|source| SecretError::File { path: shown, source })
    }

    /// The 32-byte key for one purpose; `label` is a fixed word such as `audit-subject`.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses, which it does for no label.
    pub fn derive(&self, label: &str) -> Result<Secret<[u8; 32]>, SecretError> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"menshen v1");
        let prk = salt.extract(self.0.expose());
        let mut key = [0; 32];
        prk.expand(&[label.as_bytes()], KeyLength)?.fill(&mut key)?;
        Ok(Secret::new(key))
    }

    /// A keyed hash for one purpose.
    ///
    /// # Errors
    /// As [`MasterKey::derive`].
    pub fn tagger(&self, label: &str) -> Result<Tagger, SecretError> {
        Ok(Tagger(hmac::Key::new(hmac::HMAC_SHA256, self.derive(label)?.expose())))
    }

    /// Keys of one kind, of which each purpose has its own.
    ///
    /// # Errors
    /// As [`MasterKey::derive`].
    pub fn ring(&self, label: &str) -> Result<KeyRing, SecretError> {
        let key = self.derive(label)?;
        Ok(KeyRing(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose())))
    }

    /// A box for one purpose.
    ///
    /// # Errors
    /// As [`MasterKey::derive`].
    pub fn sealer(&self, label: &str) -> Result<Sealer, SecretError> {
        Sealer::under(&self.derive(label)?)
    }
}

/// Keys of one kind: which purposes there are is known only while the gate runs.
#[derive(Clone)]
pub struct KeyRing(hkdf::Prk);

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(secret)")
    }
}

impl KeyRing {
    /// A keyed hash for what the parts name together; each is length-prefixed, so that no two lists share
    /// a key. Costs an HKDF expansion, about a microsecond.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses, which it does for no parts.
    pub fn tagger(&self, parts: &[&[u8]]) -> Result<Tagger, SecretError> {
        let mut name = Vec::new();
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        }
        let mut key = [0; 32];
        self.0.expand(&[&name], KeyLength)?.fill(&mut key)?;
        let tagger = Tagger(hmac::Key::new(hmac::HMAC_SHA256, &key));
        key.zeroize();
        Ok(tagger)
    }
}

/// Makes keyed references: HMAC-SHA-256, cut to 128 bits, in base64url (22 characters).
#[derive(Clone)]
pub struct Tagger(hmac::Key);

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tagger(secret)")
    }
}

impl Tagger {
    /// The full 32-byte tag over the parts; each part is length-prefixed, so that no two lists collide.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        bytes
    }

    /// The tag as 22 characters.
    #[must_use]
    pub fn reference(&self, parts: &[&[u8]]) -> String {
        let tag = self.tag(parts);
        URL_SAFE_NO_PAD.encode(tag.get(..16).unwrap_or(&tag))
    }

    /// The first 64 bits of the tag, for counting distinct subjects in little memory.
    #[must_use]
    pub fn short(&self, parts: &[&[u8]]) -> u64 {
        let tag = self.tag(parts);
        tag.iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b))
    }
}

/// Seals small values (AES-256-GCM-SIV): with a random nonce, or deterministically for references.
pub struct Sealer {
    random: RandomizedNonceKey,
    synthetic: LessSafeKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(secret)")
    }
}

const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

/// Bytes by which sealing makes a value longer.
pub const SEALED_OVERHEAD: usize = NONCE_LENGTH + TAG_LENGTH;

/// 32 random bytes: a key of its own, derived from nothing, so that what it sealed is gone with it.
///
/// # Errors
/// [`SecretError::Crypto`] if the system has no randomness to give.
pub fn random_key() -> Result<Secret<[u8; 32]>, SecretError> {
    let mut key = Secret::new([0; 32]);
    rand::fill(&mut key.0)?;
    Ok(key)
}

impl Sealer {
    /// A box under this very key.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses, which it does for no key.
    pub fn under(key: &Secret<[u8; 32]>) -> Result<Self, SecretError> {
        Ok(Self {
            random: RandomizedNonceKey::new(&AES_256_GCM_SIV, key.expose())?,
            synthetic: LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key.expose())?),
        })
    }

    /// `head`, which everybody may read and nobody may alter, and `value` sealed behind it.
    ///
    /// # Errors
    /// [`SecretError::Crypto`].
    pub fn seal_behind(&self, head: &[u8], value: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut nonce = [0; NONCE_LENGTH];
        rand::fill(&mut nonce)?;
        let mut out = Vec::with_capacity(head.len() + SEALED_OVERHEAD + value.len());
        out.extend_from_slice(head);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(value);
        let (_, body) = out.split_at_mut(start);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.synthetic.seal_in_place_separate_tag(nonce, Aad::from(head), body)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what stands behind `head` after [`Sealer::seal_behind`].
    ///
    /// # Errors
    /// [`SecretError::Unsealable`].
    pub fn open_behind(&self, head: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LENGTH).ok_or(SecretError::Unsealable)?;
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().ok().ok_or(SecretError::Unsealable)?;
        let mut buffer = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.synthetic.open_in_place(nonce, Aad::from(head), &mut buffer);
        let length = opened.ok().ok_or(SecretError::Unsealable)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Seals `value`; `label` says where it stands (table, column, row) and must be given again to open it.
    ///
    /// # Errors
    /// [`SecretError::Crypto`].
    pub fn seal(&self, label: &str, value: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut sealed = value.to_vec();
        let nonce =
            self.random.seal_in_place_append_tag(Aad::from(label.as_bytes()), &mut sealed)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    /// Seals `value` so that equal values give equal text, which AES-GCM-SIV permits (RFC 8452).
    ///
    /// # Errors
    /// [`SecretError::Crypto`].
    pub fn seal_deterministic(&self, label: &str, value: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut sealed = value.to_vec();
        let nonce = [0; NONCE_LENGTH];
        self.synthetic.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(label.as_bytes()),
            &mut sealed,
        )?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    /// Opens what [`Sealer::seal`] or [`Sealer::seal_deterministic`] made under the same label.
    ///
    /// # Errors
    /// [`SecretError::Unsealable`].
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        self.open_behind(label.as_bytes(), sealed)
    }
}

/// `N` random bytes in base64url, for session ids and the like.
///
/// # Errors
/// [`SecretError::Crypto`] if the system has no randomness to give.
pub fn random_token<const N: usize>() -> Result<Secret<String>, SecretError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    bytes.zeroize();
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::from_bytes([7; 32])
    }

    #[test]
    fn a_file_with_a_secret_is_its_owners_and_no_longer_than_it_may_be() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let read = |length: usize, mode: u32| {
            std::fs::write(&path, "s".repeat(length)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read_private(&path).map(|secret| secret.expose().len())
        };
        assert_eq!(read(16 * 1024, 0o600).unwrap(), 16 * 1024);
        assert!(matches!(read(16 * 1024 + 1, 0o600), Err(FileError::Long(_))));
        assert!(matches!(read(5, 0o640), Err(FileError::Public(_))));
        // What says no length beforehand is held to the same.
        let pipe = dir.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .args(["-m", "600"])
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let written = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::write(written, "s".repeat(20_000)));
        assert!(matches!(read_private(&pipe), Err(FileError::Long(_))));
        drop(writer.join().unwrap());
    }

    #[test]
    fn labels_give_different_keys() {
        assert_ne!(key().derive("a").unwrap().expose(), key().derive("b").unwrap().expose());
    }

    #[test]
    fn parts_of_a_tag_do_not_run_together() {
        let tagger = key().tagger("t").unwrap();
        assert_ne!(tagger.reference(&[b"ab", b"c"]), tagger.reference(&[b"a", b"bc"]));
        assert_eq!(tagger.reference(&[b"ab"]).len(), 22);
    }

    #[test]
    fn each_purpose_of_a_ring_has_a_key_of_its_own() {
        let reference = |label: &str, parts: &[&[u8]]| {
            key().ring(label).unwrap().tagger(parts).unwrap().reference(&[b"value"])
        };
        let first = reference("p", &[b"ab", b"c"]);
        assert_eq!(first, reference("p", &[b"ab", b"c"]));
        assert_ne!(first, reference("p", &[b"a", b"bc"]));
        assert_ne!(first, reference("q", &[b"ab", b"c"]));
        assert_ne!(first, key().tagger("p").unwrap().reference(&[b"value"]));
    }

    #[test]
    fn a_sealed_value_opens_only_under_its_label_and_unaltered() {
        let sealer = key().sealer("s").unwrap();
        let mut sealed = sealer.seal("row 1", b"value").unwrap();
        assert_eq!(sealer.open("row 1", &sealed).unwrap(), b"value");
        assert!(matches!(sealer.open("row 2", &sealed), Err(SecretError::Unsealable)));
        sealed[14] ^= 1;
        assert!(matches!(sealer.open("row 1", &sealed), Err(SecretError::Unsealable)));
        assert_eq!(
            sealer.seal_deterministic("r", b"v").unwrap(),
            sealer.seal_deterministic("r", b"v").unwrap()
        );
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        key().write_new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(key().write_new(&path), Err(SecretError::Exists(_))));
        let read = MasterKey::read(&path).unwrap();
        assert_eq!(read.derive("x").unwrap().expose(), key().derive("x").unwrap().expose());
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hush"))), "(secret)");
    }
}
