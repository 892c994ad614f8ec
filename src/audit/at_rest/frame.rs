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

const HEAD_BYTES: usize = 1 + 1 + 4 + 4;

/// The longest JSON of an entry: sealed, it must still fit a bundle.
pub(in crate::audit) const MAX_JSON_BYTES: usize = MAX_ENTRY_BYTES - HEAD_BYTES - SEALED_OVERHEAD;

/// JSON as it is.
const AS_IT_IS: u8 = 1;
/// JSON compressed with zstd and the dictionary below.
const COMPRESSED: u8 = 2;

/// What entries have in common. It belongs to the format: with another one, entries do not unpack.
pub(super) const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
const LEVEL: i32 = 1;

/// The key that a frame needs: its class, its day, its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyName {
    pub(super) number: u32,
    pub(super) class: Class,
    pub(super) day: Day,
}

/// A frame taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parts<'a> {
    /// An entry's JSON, as logs had it before they were sealed.
    Legible(&'a [u8]),
    /// A sealed one.
    Sealed { key: KeyName, head: &'a [u8], sealed: &'a [u8] },
}

fn code(class: Class) -> u8 {
    match class {
        Class::StaffAccess => 1,
        Class::CustomerUsage => 2,
        Class::Security => 3,
        Class::Ledger => 4,
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_dictionary(LEVEL, DICTIONARY).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_dictionary(DICTIONARY).ok());
}

/// Seals an entry's JSON.
pub(super) fn seal(key: &KeyName, sealer: &Sealer, json: &[u8]) -> Result<Vec<u8>, SecretError> {
    let small = COMPRESSOR.with_borrow_mut(|one| one.as_mut()?.compress(json).ok());
    let small = small.filter(|small| small.len() < json.len());
    let form = if small.is_some() { COMPRESSED } else { AS_IT_IS };
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend([form, code(key.class)]);
    head.extend(key.day.0.to_be_bytes());
    head.extend(key.number.to_be_bytes());
    sealer.seal_behind(&head, small.as_deref().unwrap_or(json))
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
    let [AS_IT_IS | COMPRESSED, class, d0, d1, d2, d3, n0, n1, n2, n3] = *head else {
        return Err(EntryError::Form);
    };
    let class = Class::ALL.iter().copied().find(|known| code(*known) == class);
    let key = KeyName {
        number: u32::from_be_bytes([n0, n1, n2, n3]),
        class: class.ok_or(EntryError::Form)?,
        day: Day(u32::from_be_bytes([d0, d1, d2, d3])),
    };
    Ok(Parts::Sealed { key, head, sealed })
}

/// The JSON behind a head.
///
/// # Errors
/// [`EntryError::Sealed`] if the key does not fit or a byte was altered.
pub(super) fn open(sealer: &Sealer, head: &[u8], sealed: &[u8]) -> Result<Vec<u8>, EntryError> {
    let opened = sealer.open_behind(head, sealed).ok().ok_or(EntryError::Sealed)?;
    if head.first() != Some(&COMPRESSED) {
        return Ok(opened);
    }
    let unpacked =
        DECOMPRESSOR.with_borrow_mut(|one| one.as_mut()?.decompress(&opened, MAX_ENTRY_BYTES).ok());
    unpacked.ok_or(EntryError::Form)
}

impl KeyName {
    /// The name of its file: in the order in which keys were made.
    pub(super) fn file(&self) -> String {
        format!("{:08}-{}-{}", self.number, self.class, self.day)
    }

    /// The key whose file has exactly this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (number, rest) = name.split_once('-')?;
        let (class, day) = rest.split_once('-')?;
        let class = Class::ALL.iter().copied().find(|known| known.word() == class)?;
        let key = Self { number: number.parse().ok()?, class, day: day.parse().ok()? };
        (key.file() == name).then_some(key)
    }
}
