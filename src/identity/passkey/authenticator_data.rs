//! Authenticator data (WebAuthn Level 3, section 6.1): what the authenticator says of itself and of the
//! person, and at registration the new key.

use super::Fault;
use super::cbor::{self, Value};
use super::cose::PublicKey;

/// The longest credential id (section 7.1, step 25).
const ID_LIMIT: usize = 1023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

pub(super) struct AuthenticatorData<'a> {
    pub(super) rp_id_hash: &'a [u8; 32],
    pub(super) is_user_verified: bool,
    pub(super) is_backup_eligible: bool,
    pub(super) is_backed_up: bool,
    pub(super) sign_count: u32,
    pub(super) attested: Option<Attested<'a>>,
}

/// The new key.
pub(super) struct Attested<'a> {
    pub(super) id: &'a [u8],
    /// The COSE key as it stands.
    pub(super) key_bytes: &'a [u8],
    pub(super) key: PublicKey,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads all of `bytes`; refuses data of a ceremony at which nobody was present.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(Fault::Data)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(Fault::Data)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(Fault::Data)?;
        let is_set = |flag: u8| flags & flag != 0;
        if !is_set(USER_PRESENT) {
            return Err(Fault::Absent);
        }
        if is_set(BACKED_UP) && !is_set(BACKUP_ELIGIBLE) {
            return Err(Fault::Backup);
        }
        let (attested, rest) = if is_set(ATTESTED) {
            let (attested, rest) = attested(rest)?;
            (Some(attested), rest)
        } else {
            (None, rest)
        };
        let rest = if is_set(EXTENSIONS) { extensions(rest)? } else { rest };
        if !rest.is_empty() {
            return Err(Fault::Data);
        }
        Ok(Self {
            rp_id_hash,
            is_user_verified: is_set(USER_VERIFIED),
            is_backup_eligible: is_set(BACKUP_ELIGIBLE),
            is_backed_up: is_set(BACKED_UP),
            sign_count: u32::from_be_bytes(*count),
            attested,
        })
    }
}

fn attested(bytes: &[u8]) -> Result<(Attested<'_>, &[u8]), Fault> {
    // The model of the authenticator: without attestation it proves nothing and is not kept.
    let (_model, rest) = bytes.split_first_chunk::<16>().ok_or(Fault::Data)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Fault::Data)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).ok_or(Fault::Data)?;
    if id.is_empty() || id.len() > ID_LIMIT {
        return Err(Fault::Data);
    }
    let (value, behind) = cbor::decode_first(rest)?;
    let length = rest.len().saturating_sub(behind.len());
    let (key_bytes, behind) = rest.split_at_checked(length).ok_or(Fault::Data)?;
    Ok((Attested { id, key_bytes, key: PublicKey::read(&value)? }, behind))
}

/// None is asked for; what an authenticator adds all the same must read, and is not looked at.
fn extensions(bytes: &[u8]) -> Result<&[u8], Fault> {
    match cbor::decode_first(bytes)? {
        (Value::Map(_), rest) => Ok(rest),
        (
            Value::Integer(_)
            | Value::Bytes(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Bool(_)
            | Value::Null,
            _,
        ) => Err(Fault::Data),
    }
}
