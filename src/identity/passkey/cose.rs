//! Public keys as authenticators give them (COSE_Key, RFC 9052), each bound to one algorithm.
//!
//! Four are offered and no other is accepted: ES256, ES384, Ed25519, RS256.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};

use super::Fault;
use super::cbor::{Map, Value};

/// How a passkey signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
}

impl Algorithm {
    /// All that are offered, the best liked first.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Es384, Self::Rs256];

    /// Its number in the COSE registry.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Es384 => -35,
            Self::Rs256 => -257,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
        }
    }
}

/// A key that verifies.
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// The only public exponent; every authenticator uses it.
const EXPONENT: &[u8] = &[1, 0, 1];

impl PublicKey {
    /// Reads a COSE key: exactly the members that its algorithm has.
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let Value::Map(map) = value else { return Err(Fault::Key) };
        let algorithm = match map.number(3) {
            Some(Value::Integer(number)) => {
                Algorithm::ALL.into_iter().find(|a| a.number() == *number)
            }
            Some(_) | None => return Err(Fault::Key),
        };
        let algorithm = algorithm.ok_or(Fault::Algorithm)?;
        let key = match algorithm {
            Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point(map, 1, 32)?),
            Algorithm::Es384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point(map, 2, 48)?),
            Algorithm::EdDsa => {
                has(map, 4, &[(1, 1), (-1, 6)])?;
                ParsedPublicKey::new(&ED25519, bytes(map, -2, 32)?)
            }
            Algorithm::Rs256 => {
                has(map, 4, &[(1, 3)])?;
                rsa(map)?.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
        };
        Ok(Self { algorithm, key: key.map_err(|_no_key| Fault::Key)? })
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Fault> {
        self.key.verify_sig(message, signature).map_err(|_wrong| Fault::Signature)
    }
}

/// A point on a curve, uncompressed.
fn point(map: &Map<'_>, curve: i64, length: usize) -> Result<Vec<u8>, Fault> {
    has(map, 5, &[(1, 2), (-1, curve)])?;
    Ok([&[4], bytes(map, -2, length)?, bytes(map, -3, length)?].concat())
}

fn rsa<'a>(map: &Map<'a>) -> Result<RsaPublicKeyComponents<&'a [u8]>, Fault> {
    let (Some(Value::Bytes(n)), Some(Value::Bytes(e))) = (map.number(-1), map.number(-2)) else {
        return Err(Fault::Key);
    };
    // 2048 to 8192 bits, without leading zeros.
    let is_sound = (256..=1024).contains(&n.len()) && n.first().is_some_and(|first| *first != 0);
    if is_sound && *e == EXPONENT { Ok(RsaPublicKeyComponents { n, e }) } else { Err(Fault::Key) }
}

/// Whether the map has so many members and these numbers among them.
fn has(map: &Map<'_>, members: usize, numbers: &[(i64, i64)]) -> Result<(), Fault> {
    let is_there =
        |(name, number): &(i64, i64)| map.number(*name) == Some(&Value::Integer(*number));
    if map.len() == members && numbers.iter().all(is_there) { Ok(()) } else { Err(Fault::Key) }
}

fn bytes<'a>(map: &Map<'a>, name: i64, length: usize) -> Result<&'a [u8], Fault> {
    match map.number(name) {
        Some(Value::Bytes(bytes)) if bytes.len() == length => Ok(bytes),
        Some(_) | None => Err(Fault::Key),
    }
}
