//! Checkpoints: the signed head of a log, as C2SP tlog-checkpoint in a C2SP signed note (Ed25519).
//!
//! Pure: a checkpoint is text here. The same signature stands behind each batch of the journal.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{Hash, sha256};

/// The signature algorithm's number in the specification: Ed25519.
const ED25519_TYPE: u8 = 1;
/// The same of a witness's timed cosignature of a checkpoint.
const COSIGNATURE_TYPE: u8 = 4;

/// A larger note is refused unread; room for a hundred cosignatures.
pub(super) const MAX_NOTE_BYTES: usize = 32 * 1024;

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// Why a checkpoint or a verifier key does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is no signed note with a checkpoint in it.
    #[error("it is not a checkpoint in a signed note")]
    Form,
    /// No signature line is from the log's key.
    #[error("it is not signed by `{0}`")]
    Unsigned(String),
    /// The signature does not fit the text.
    #[error("its signature is wrong: it was altered, or signed by another key")]
    Signature,
    /// The checkpoint is of another log.
    #[error("it is of the log `{found}`, not of `{wanted}`")]
    Origin {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The verifier key is not in the form `name+hash+key`.
    #[error("the verifier key must have the form `name+hash+key`, as `log/verifier.key` holds it")]
    VerifierKey,
    /// The log's name cannot stand in a note.
    #[error("the log's origin must be 1 to 100 visible characters without `+`, got `{0}`")]
    Name(String),
}

/// The head of a log: how many entries, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next()?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        let checkpoint = Self { origin, size, root };
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// Signs checkpoints.
pub struct Signer {
    key: Ed25519KeyPair,
    verifier: Verifier,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// The signer of the log `name` with the key made from a 32-byte seed.
    ///
    /// # Errors
    /// [`NoteError::Name`] or, if the library refuses the seed, [`NoteError::Signature`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let usable = !name.is_empty()
            && name.chars().count() <= 100
            && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control());
        if !usable {
            return Err(NoteError::Name(name.to_owned()));
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed).ok().ok_or(NoteError::Signature)?;
        let public = key.public_key().as_ref().try_into().ok().ok_or(NoteError::Signature)?;
        Ok(Self { key, verifier: Verifier { name: name.to_owned(), public } })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The checkpoint of this log with this head.
    #[must_use]
    pub fn checkpoint(&self, size: u64, root: Hash) -> Checkpoint {
        Checkpoint { origin: self.verifier.name.clone(), size, root }
    }

    /// The signature over a checkpoint's text.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> Signature {
        self.sign_text(&checkpoint.text())
    }

    /// The signed note of another text, which must end in a line end and not read as a checkpoint.
    #[must_use]
    pub fn sign_note(&self, text: &str) -> String {
        self.verifier.note_of(text, &self.sign_text(text))
    }

    /// The signature over another text, which must not read as a checkpoint.
    pub(super) fn sign_text(&self, text: &str) -> Signature {
        let mut signature = [0; 64];
        let signed = self.key.sign(text.as_bytes());
        for (to, from) in signature.iter_mut().zip(signed.as_ref()) {
            *to = *from;
        }
        signature
    }
}

/// Checks checkpoints; shown as a C2SP verifier key, `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelled(&self.name, ED25519_TYPE, &self.public))
    }
}

/// A C2SP verifier key: `name+hash+key`.
fn spelled(name: &str, kind: u8, public: &[u8; 32]) -> String {
    let [a, b, c, d] = key_id(name, kind, public);
    let key = STANDARD.encode([&[kind], public.as_slice()].concat());
    format!("{name}+{a:02x}{b:02x}{c:02x}{d:02x}+{key}")
}

fn key_id(name: &str, kind: u8, public: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[kind], public]);
    [a, b, c, d]
}

/// Name and public key of a verifier key of this kind.
fn read_key(text: &str, kind: u8) -> Option<(String, [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, _hash, key) = (parts.next()?, parts.next()?, parts.next()?);
    let key = STANDARD.decode(key).ok()?;
    let (found, public) = key.split_first()?;
    let public = public.try_into().ok()?;
    // One spelling only, so that a flipped byte of the key file cannot pass.
    let holds = *found == kind && spelled(name, kind, &public) == text;
    holds.then(|| (name.to_owned(), public))
}

/// A signature line of a note.
struct Line<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

fn signature_lines(lines: &str) -> Result<Vec<Line<'_>>, NoteError> {
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
    lines.split('\n').map(|line| Line::read(line).ok_or(NoteError::Form)).collect()
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let blob = STANDARD.decode(blob).ok()?;
        let (id, signature) = blob.split_first_chunk::<4>()?;
        Some(Self { name, id: *id, signature: signature.to_vec() })
    }
}

/// Checks the cosignatures of a witness (C2SP tlog-cosignature, Ed25519): somebody else who says that they saw
/// this head of the log, and no other of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    name: String,
    public: [u8; 32],
}

impl std::str::FromStr for Witness {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, public) = read_key(text, COSIGNATURE_TYPE).ok_or(NoteError::VerifierKey)?;
        Ok(Self { name, public })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spelled(&self.name, COSIGNATURE_TYPE, &self.public))
    }
}

impl Witness {
    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When this witness cosigned the checkpoint in the note, in Unix seconds.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] if it did not, [`NoteError::Signature`] if it does not hold.
    pub fn cosigned(&self, note: &[u8]) -> Result<u64, NoteError> {
        let note = str::from_utf8(note).ok().ok_or(NoteError::Form)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let own = key_id(&self.name, COSIGNATURE_TYPE, &self.public);
        let mut found = None;
        for Line { name, id, signature: blob } in signature_lines(lines)? {
            if name != self.name || id != own {
                continue;
            }
            let (time, signature) = blob.split_first_chunk::<8>().ok_or(NoteError::Form)?;
            let time = u64::from_be_bytes(*time);
            let message = format!("cosignature/v1\ntime {time}\n{text}\n");
            let key = UnparsedPublicKey::new(&ED25519, &self.public);
            let holds = key.verify(message.as_bytes(), signature).is_ok();
            if !holds || found.is_some() {
                return Err(NoteError::Signature);
            }
            found = Some(time);
        }
        found.ok_or_else(|| NoteError::Unsigned(self.to_string()))
    }
}

impl std::str::FromStr for Verifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, public) = read_key(text, ED25519_TYPE).ok_or(NoteError::VerifierKey)?;
        Ok(Self { name, public })
    }
}

impl Verifier {
    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519_TYPE, &self.public)
    }

    /// Whether the signature fits the head of this log.
    #[must_use]
    pub fn accepts(&self, size: u64, root: &Hash, signature: &Signature) -> bool {
        let checkpoint = Checkpoint { origin: self.name.clone(), size, root: *root };
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        key.verify(checkpoint.text().as_bytes(), signature).is_ok()
    }

    /// The signed note of a checkpoint and its signature.
    #[must_use]
    pub fn note(&self, checkpoint: &Checkpoint, signature: &Signature) -> String {
        self.note_of(&checkpoint.text(), signature)
    }

    /// The signed note of another text.
    pub(super) fn note_of(&self, text: &str, signature: &Signature) -> String {
        let mut blob = self.key_id().to_vec();
        blob.extend_from_slice(signature);
        format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(blob))
    }

    /// The checkpoint in a signed note; signatures of others (witnesses) are passed over.
    ///
    /// # Errors
    /// Every variant of [`NoteError`] but those on keys and names.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form);
        }
        let note = str::from_utf8(note).ok().ok_or(NoteError::Form)?;
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let checkpoint = Checkpoint::parse(&format!("{text}\n")).ok_or(NoteError::Form)?;
        if checkpoint.origin != self.name {
            let (found, wanted) = (checkpoint.origin, self.name.clone());
            return Err(NoteError::Origin { found, wanted });
        }
        let signature = self.own_signature(signatures)?;
        if self.accepts(checkpoint.size, &checkpoint.root, &signature) {
            Ok(checkpoint)
        } else {
            Err(NoteError::Signature)
        }
    }

    /// The text in a signed note that is no checkpoint, such as a review, its signature checked.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open_signed(&self, note: &[u8]) -> Result<String, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Form);
        }
        self.open_text(note)
    }

    /// The text in a signed note that is no checkpoint, its signature checked.
    pub(super) fn open_text(&self, note: &[u8]) -> Result<String, NoteError> {
        let note = str::from_utf8(note).ok().ok_or(NoteError::Form)?;
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let text = format!("{text}\n");
        let signature = self.own_signature(signatures)?;
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        let holds = key.verify(text.as_bytes(), &signature).is_ok();
        if holds { Ok(text) } else { Err(NoteError::Signature) }
    }

    fn own_signature(&self, lines: &str) -> Result<Signature, NoteError> {
        let mut own = None;
        for Line { name, id, signature } in signature_lines(lines)? {
            if name == self.name && id == self.key_id() {
                own = Some(signature.as_slice().try_into().ok().ok_or(NoteError::Form)?);
            }
        }
        own.ok_or_else(|| NoteError::Unsigned(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> (Signer, String) {
        let signer = Signer::new("log.example/gate", &[3; 32]).unwrap();
        let checkpoint = signer.checkpoint(300, [9; 32]);
        let note = signer.verifier().note(&checkpoint, &signer.sign(&checkpoint));
        (signer, note)
    }

    #[test]
    fn a_checkpoint_reads_back_also_among_the_signatures_of_witnesses() {
        let (signer, note) = signed();
        let expected = signer.checkpoint(300, [9; 32]);
        assert_eq!(signer.verifier().open(note.as_bytes()), Ok(expected.clone()));
        let witness = Signer::new("witness", &[4; 32]).unwrap();
        let cosigned = witness.verifier().note(&expected, &witness.sign(&expected));
        let line = cosigned.lines().last().unwrap();
        let both = format!("{note}{line}\n");
        assert_eq!(signer.verifier().open(both.as_bytes()), Ok(expected));
    }

    #[test]
    fn every_flipped_bit_of_a_checkpoint_is_found() {
        let (signer, note) = signed();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut altered = note.clone().into_bytes();
                altered[at] ^= 1 << bit;
                assert!(signer.verifier().open(&altered).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_verifier_key_has_one_spelling() {
        let (signer, _) = signed();
        let key = signer.verifier().to_string();
        assert_eq!(key.parse::<Verifier>().as_ref(), Ok(signer.verifier()));
        for at in 0..key.len() {
            for bit in 0..8 {
                let mut altered = key.clone().into_bytes();
                altered[at] ^= 1 << bit;
                let parsed =
                    String::from_utf8(altered).ok().and_then(|k| k.parse::<Verifier>().ok());
                assert!(parsed.is_none(), "byte {at} bit {bit}");
            }
        }
    }

    /// The example key of the signed-note specification's reference implementation, golang.org/x/mod/sumdb/note.
    #[test]
    fn the_verifier_key_of_the_go_checksum_database_is_understood() {
        let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        assert_eq!(key.parse::<Verifier>().unwrap().name(), "sum.golang.org");
    }

    #[test]
    fn a_name_that_would_break_a_note_is_refused() {
        for name in ["", "a b", "a+b", "a\nb", &"x".repeat(101)] {
            assert_eq!(Signer::new(name, &[1; 32]).unwrap_err(), NoteError::Name(name.to_owned()));
        }
    }
}
