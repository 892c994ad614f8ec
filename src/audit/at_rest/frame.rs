//! The stored form of an entry: a head that says which key it needs, then its JSON, compressed and sealed.
//!
//! `form | class | day | number of the key | nonce | AES-256-GCM-SIV`. Pure but for the nonce. A frame that
//! begins with a brace is an entry of a log from before entries were sealed.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::day::Day;
use crate::audit::entry::EntryError;
use crate::audit::groups::Class;
use crate::audit::tile::MAX_ENTRY_BYTES;
use crate::secret::{SEALED_OVERHEAD, Sealer, SecretError};

pub(in crate::audit) const HEAD_BYTES: usize = 1 + 1 + 4 + 4;

/// The longest JSON of an entry: sealed, also twice, it must still fit a bundle.
pub(in crate::audit) const MAX_JSON_BYTES: usize =
    MAX_ENTRY_BYTES - 2 * (HEAD_BYTES + SEALED_OVERHEAD) - 2;

/// JSON as it is.
const AS_IT_IS: u8 = 1;
/// JSON compressed with zstd and the dictionary below.
const COMPRESSED: u8 = 2;
/// Two: the length of a compressed JSON without anybody in it, that, and a whole frame under another key.
const TWOFOLD: u8 = 3;

/// What entries have in common. It belongs to the format: with another one, entries do not unpack.
pub(super) const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
/// A level below one compresses no single letters: a ninth more bytes, in half the time, both ways.
const LEVEL: i32 = -3;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::audit) enum Lock {
    /// Entries of this class.
    Of(Class),
    /// Who it was, in entries of customers' own use: dropped before the rest, which is then a statistic.
    Identity,
}

impl Lock {
    pub(in crate::audit) const ALL: [Self; 5] = [
        Self::Of(Class::StaffAccess),
        Self::Of(Class::CustomerUsage),
        Self::Of(Class::Security),
        Self::Of(Class::Ledger),
        Self::Identity,
    ];

    /// The class that it belongs to.
    pub(in crate::audit) fn class(self) -> Class {
        match self {
            Self::Of(class) => class,
            Self::Identity => Class::CustomerUsage,
        }
    }

    /// Whether tenants may have a time of their own for what it opens: what their people and their customers did. Who
    /// signed in, and who changed what, is the platform's.
    pub(in crate::audit) fn goes_by_tenant(self) -> bool {
        match self {
            Self::Of(Class::StaffAccess | Class::CustomerUsage) | Self::Identity => true,
            Self::Of(Class::Security | Class::Ledger) => false,
        }
    }

    /// The word in the name of its file.
    pub(in crate::audit) fn word(self) -> &'static str {
        match self {
            Self::Of(class) => class.word(),
            Self::Identity => "customer_identity",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Of(Class::StaffAccess) => 1,
            Self::Of(Class::CustomerUsage) => 2,
            Self::Of(Class::Security) => 3,
            Self::Of(Class::Ledger) => 4,
            Self::Identity => 5,
        }
    }
}

/// The key that a frame needs: what it opens, its day, its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::audit) struct KeyName {
    pub(in crate::audit) number: u32,
    pub(in crate::audit) lock: Lock,
    pub(in crate::audit) day: Day,
}

/// A frame taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parts<'a> {
    /// An entry's JSON, as logs had it before they were sealed.
    Legible(&'a [u8]),
    /// A sealed one.
    Sealed { key: KeyName, head: &'a [u8], sealed: &'a [u8] },
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_dictionary(LEVEL, DICTIONARY).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_dictionary(DICTIONARY).ok());
}

/// Seals an entry's JSON.
pub(super) fn seal(key: &KeyName, sealer: &Sealer, json: &[u8]) -> Result<Vec<u8>, SecretError> {
    let small = compress(json).filter(|small| small.len() < json.len());
    let form = if small.is_some() { COMPRESSED } else { AS_IT_IS };
    sealer.seal_behind(&head(form, key), small.as_deref().unwrap_or(json))
}

/// Seals what is left without anybody in it, and behind it the frame of the whole, `inner`. Where both do not
/// fit an entry, only the whole.
pub(super) fn seal_twofold(
    key: &KeyName,
    sealer: &Sealer,
    anonymous: &[u8],
    inner: &[u8],
) -> Result<Vec<u8>, SecretError> {
    let fits = |small: &Vec<u8>| {
        HEAD_BYTES + SEALED_OVERHEAD + 2 + small.len() + inner.len() <= MAX_ENTRY_BYTES
    };
    let small = compress(anonymous).filter(fits).unwrap_or_default();
    let length = u16::try_from(small.len()).unwrap_or_default().to_be_bytes();
    sealer.seal_behind(&head(TWOFOLD, key), &[&length, small.as_slice(), inner].concat())
}

fn compress(json: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|one| one.as_mut()?.compress(json).ok())
}

fn head(form: u8, key: &KeyName) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend([form, key.lock.code()]);
    head.extend(key.day.0.to_be_bytes());
    head.extend(key.number.to_be_bytes());
    head
}

/// Takes a stored frame apart.
///
/// # Errors
/// [`EntryError::Form`] if it is none of this format.
pub(super) fn parts(frame: &[u8]) -> Result<Parts<'_>, EntryError> {
    if frame.first() == Some(&b'{') {
        return Ok(Parts::Legible(frame));
    }
    let (head, sealed) = frame.split_at_checked(HEAD_BYTES).ok_or(EntryError::Form)?;
    let [AS_IT_IS | COMPRESSED | TWOFOLD, lock, d0, d1, d2, d3, n0, n1, n2, n3] = *head else {
        return Err(EntryError::Form);
    };
    let lock = Lock::ALL.into_iter().find(|known| known.code() == lock);
    let key = KeyName {
        number: u32::from_be_bytes([n0, n1, n2, n3]),
        lock: lock.ok_or(EntryError::Form)?,
        day: Day(u32::from_be_bytes([d0, d1, d2, d3])),
    };
    Ok(Parts::Sealed { key, head, sealed })
}

/// The key that a stored frame needs, by its head; none for a legible one.
pub(in crate::audit) fn key_of(frame: &[u8]) -> Option<KeyName> {
    match parts(frame).ok()? {
        Parts::Sealed { key, .. } => Some(key),
        Parts::Legible(_) => None,
    }
}

/// Whether it needs a second key, to the whole of it.
pub(super) fn is_twofold(frame: &[u8]) -> bool {
    frame.first() == Some(&TWOFOLD)
}

/// The head alone, of an entry that was removed: a reader learns from it what it was under.
pub(in crate::audit) fn head_of(key: &KeyName) -> Vec<u8> {
    head(AS_IT_IS, key)
}

/// What stands behind a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// An entry's JSON.
    Json(Vec<u8>),
    /// Its JSON without anybody in it, if there is one, and the frame of the whole.
    Twofold { anonymous: Option<Vec<u8>>, inner: Vec<u8> },
}

/// Opens what stands behind a head.
///
/// # Errors
/// [`EntryError::Sealed`] if the key does not fit or a byte was altered.
pub(super) fn open(sealer: &Sealer, head: &[u8], sealed: &[u8]) -> Result<Behind, EntryError> {
    let opened = sealer.open_behind(head, sealed).ok().ok_or(EntryError::Sealed)?;
    match head.first() {
        Some(&COMPRESSED) => unpack(&opened).map(Behind::Json),
        Some(&TWOFOLD) => {
            let (length, rest) = opened.split_first_chunk::<2>().ok_or(EntryError::Form)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (small, inner) = rest.split_at_checked(length).ok_or(EntryError::Form)?;
            let anonymous = (!small.is_empty()).then(|| unpack(small)).transpose()?;
            Ok(Behind::Twofold { anonymous, inner: inner.to_vec() })
        }
        Some(_) | None => Ok(Behind::Json(opened)),
    }
}

fn unpack(small: &[u8]) -> Result<Vec<u8>, EntryError> {
    let unpacked =
        DECOMPRESSOR.with_borrow_mut(|one| one.as_mut()?.decompress(small, MAX_ENTRY_BYTES).ok());
    unpacked.ok_or(EntryError::Form)
}

impl KeyName {
    /// The name of its file: in the order in which keys were made.
    pub(in crate::audit) fn file(&self) -> String {
        format!("{:08}-{}-{}", self.number, self.lock.word(), self.day)
    }

    /// The key whose file has exactly this name.
    pub(in crate::audit) fn parse(name: &str) -> Option<Self> {
        let (number, rest) = name.split_once('-')?;
        let (lock, day) = rest.split_once('-')?;
        let lock = Lock::ALL.into_iter().find(|known| known.word() == lock)?;
        let key = Self { number: number.parse().ok()?, lock, day: day.parse().ok()? };
        (key.file() == name).then_some(key)
    }
}
