//! Whether a passkey was made for us, and whether it signed: the verification of WebAuthn Level 3, sections
//! 7.1 and 7.2, for attestation `none`.
//!
//! Pure: bytes in, facts out. Challenges, accounts, the store and what follows are not its business; the
//! caller has taken the challenge, once, before it asks here.

mod authenticator_data;
mod cbor;
mod client_data;
mod cose;

pub use cbor::CborFault;
pub use cose::Algorithm;

use authenticator_data::AuthenticatorData;
use aws_lc_rs::digest::{SHA256, digest};
use cbor::Value;
use client_data::ClientData;
use cose::PublicKey;

/// What a passkey is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// A new key.
    Registration,
    /// A signature.
    Assertion,
}

impl Ceremony {
    fn kind(self) -> &'static str {
        match self {
            Self::Registration => "webauthn.create",
            Self::Assertion => "webauthn.get",
        }
    }
}

/// What must stand in the signed data.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The challenge in base64url.
    pub challenge: &'a str,
    /// The page's origin, such as `https://bank.example`.
    pub origin: &'a str,
    /// The relying party: the host, without port.
    pub rp_id: &'a str,
}

/// A new passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its credential id, 1 to 1023 bytes.
    pub id: Vec<u8>,
    /// Its public key as COSE key.
    pub key: Vec<u8>,
    /// How it signs.
    pub algorithm: Algorithm,
    /// How often it has signed; 0 if it does not count.
    pub sign_count: u32,
    /// Whether it knew the person, by fingerprint or PIN.
    pub is_user_verified: bool,
    /// Whether it may be copied to other devices by its maker.
    pub is_backup_eligible: bool,
    /// Whether it has been.
    pub is_backed_up: bool,
}

/// A passkey as it was registered and last used.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its public key as COSE key.
    pub key: &'a [u8],
    /// How often it had signed.
    pub sign_count: u32,
    /// Whether it may be copied; that never changes.
    pub is_backup_eligible: bool,
}

/// What was signed with a known passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// How often it has signed now.
    pub sign_count: u32,
    /// Whether it knew the person this time.
    pub is_user_verified: bool,
    /// Whether it has been copied.
    pub is_backed_up: bool,
}

/// A signature and what it is over.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// What the browser says.
    pub client_data: &'a [u8],
    /// What the authenticator says.
    pub authenticator_data: &'a [u8],
    /// The signature over both.
    pub signature: &'a [u8],
}

/// Why a passkey is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The client data are not the JSON that they should be.
    #[error("the client data are malformed")]
    ClientData,
    /// They are of another ceremony.
    #[error("the client data are of another ceremony")]
    Type,
    /// They answer another challenge.
    #[error("the challenge is another one")]
    Challenge,
    /// They are of another page.
    #[error("the origin is another one")]
    Origin,
    /// The page stood within another one.
    #[error("the page stood within another one")]
    Framed,
    /// The attestation object is not the CBOR that it should be.
    #[error("the CBOR is refused: {0}")]
    Cbor(#[from] CborFault),
    /// The attestation object lacks something or has more.
    #[error("the attestation object is malformed")]
    Attestation,
    /// The attestation has a statement, which nobody asked for.
    #[error("the attestation must be `none`")]
    Attested,
    /// The authenticator data are too short, too long or without the key they should have.
    #[error("the authenticator data are malformed")]
    Data,
    /// They are for another relying party.
    #[error("the passkey belongs to another host")]
    RelyingParty,
    /// Nobody was present.
    #[error("nobody was present")]
    Absent,
    /// What is said of copies contradicts itself or what was said before.
    #[error("the passkey's backup flags contradict")]
    Backup,
    /// The public key is none, or of another form than its algorithm has.
    #[error("the public key is malformed")]
    Key,
    /// An algorithm that was not offered.
    #[error("the algorithm was not offered")]
    Algorithm,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// The passkey has signed less often than before: there are two of it.
    #[error("the passkey's counter went back: there may be a copy of it")]
    Cloned,
}

impl Fault {
    /// The word for the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ClientData => "passkey_client_data",
            Self::Type => "passkey_type",
            Self::Challenge => "passkey_challenge",
            Self::Origin => "passkey_origin",
            Self::Framed => "passkey_framed",
            Self::Cbor(_) => "passkey_cbor",
            Self::Attestation | Self::Attested => "passkey_attestation",
            Self::Data => "passkey_data",
            Self::RelyingParty => "passkey_host",
            Self::Absent => "passkey_absent",
            Self::Backup => "passkey_backup",
            Self::Key => "passkey_key",
            Self::Algorithm => "passkey_algorithm",
            Self::Signature => "passkey_signature",
            Self::Cloned => "passkey_cloned",
        }
    }
}

/// The challenge that client data answer, which nobody has verified yet.
///
/// # Errors
/// [`Fault::ClientData`], [`Fault::Framed`] or [`Fault::Type`].
pub fn challenge_of(client_data: &[u8], ceremony: Ceremony) -> Result<String, Fault> {
    ClientData::read(client_data)?.challenge(ceremony)
}

/// Verifies the making of a passkey (section 7.1).
///
/// # Errors
/// [`Fault`], by cause.
pub fn register(
    client_data: &[u8],
    attestation_object: &[u8],
    expected: &Expected<'_>,
) -> Result<Registered, Fault> {
    ClientData::read(client_data)?.check(Ceremony::Registration, expected)?;
    let data = AuthenticatorData::read(unattested(attestation_object)?)?;
    check_relying_party(&data, expected)?;
    let attested = data.attested.ok_or(Fault::Data)?;
    Ok(Registered {
        id: attested.id.to_vec(),
        key: attested.key_bytes.to_vec(),
        algorithm: attested.key.algorithm,
        sign_count: data.sign_count,
        is_user_verified: data.is_user_verified,
        is_backup_eligible: data.is_backup_eligible,
        is_backed_up: data.is_backed_up,
    })
}

/// Verifies a signature of a known passkey (section 7.2).
///
/// # Errors
/// [`Fault`], by cause. [`Fault::Cloned`] only if all else is right.
pub fn assert(
    assertion: &Assertion<'_>,
    known: &Known<'_>,
    expected: &Expected<'_>,
) -> Result<Asserted, Fault> {
    ClientData::read(assertion.client_data)?.check(Ceremony::Assertion, expected)?;
    let data = AuthenticatorData::read(assertion.authenticator_data)?;
    check_relying_party(&data, expected)?;
    if data.attested.is_some() {
        return Err(Fault::Data);
    }
    if data.is_backup_eligible != known.is_backup_eligible {
        return Err(Fault::Backup);
    }
    let hash = digest(&SHA256, assertion.client_data);
    let message = [assertion.authenticator_data, hash.as_ref()].concat();
    PublicKey::read(&cbor::decode(known.key)?)?.verify(&message, assertion.signature)?;
    // Those that do not count say 0 for ever.
    if (data.sign_count, known.sign_count) != (0, 0) && data.sign_count <= known.sign_count {
        return Err(Fault::Cloned);
    }
    Ok(Asserted {
        sign_count: data.sign_count,
        is_user_verified: data.is_user_verified,
        is_backed_up: data.is_backed_up,
    })
}

/// The authenticator data in an attestation object of format `none`.
fn unattested(bytes: &[u8]) -> Result<&[u8], Fault> {
    let Value::Map(object) = cbor::decode(bytes)? else { return Err(Fault::Attestation) };
    let (Some(Value::Text(format)), Some(Value::Map(statement)), Some(Value::Bytes(data)), 3) =
        (object.text("fmt"), object.text("attStmt"), object.text("authData"), object.len())
    else {
        return Err(Fault::Attestation);
    };
    if *format == "none" && statement.len() == 0 { Ok(data) } else { Err(Fault::Attested) }
}

fn check_relying_party(data: &AuthenticatorData<'_>, expected: &Expected<'_>) -> Result<(), Fault> {
    let hash = digest(&SHA256, expected.rp_id.as_bytes());
    if data.rp_id_hash == hash.as_ref() { Ok(()) } else { Err(Fault::RelyingParty) }
}

#[cfg(test)]
mod tests;
