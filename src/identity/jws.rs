//! Signed tokens in the compact form (RFC 7515): from the text to claims under a good signature.
//!
//! Nothing in a token chooses how it is verified: the keys are given, and the algorithm is that of the key.
//! What the claims say is judged elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::{Claims, TokenFault};
use super::keys::{Key, KeySet};

/// Header names that bring a key of the token's own. None is used, so whoever sends one expects something
/// else than what happens here (RFC 8725 section 3.10).
const KEY_NAMES: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];

/// A token taken apart; nothing of it is trusted yet.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub(super) header: Claims,
    pub(super) payload: Claims,
    message: &'t str,
    signature: &'t str,
}

impl<'t> Jws<'t> {
    /// Takes a token apart and refuses what no key could make good.
    pub(super) fn read(token: &'t str) -> Result<Self, TokenFault> {
        let jws = Self::take_apart(token)?;
        jws.check_header(&KEY_NAMES)?;
        Ok(jws)
    }

    /// The same for a proof, whose key stands in its header: it proves that one has it and nothing else.
    pub(super) fn read_proof(token: &'t str) -> Result<Self, TokenFault> {
        let jws = Self::take_apart(token)?;
        jws.check_header(&["jku", "x5u", "x5c"])?;
        Ok(jws)
    }

    fn take_apart(token: &'t str) -> Result<Self, TokenFault> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed);
        };
        let read = |part: &str| {
            let json = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice(&json).ok()
        };
        let (header, payload) = read(header).zip(read(payload)).ok_or(TokenFault::Malformed)?;
        let (message, _) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        Ok(Self { header, payload, message, signature })
    }

    fn check_header(&self, refused: &[&str]) -> Result<(), TokenFault> {
        // `b64` changes what is signed and may stand only beside `crit` (RFC 7797).
        if self.header.has("crit") || self.header.has("b64") {
            return Err(TokenFault::Critical);
        }
        if refused.iter().any(|name| self.header.has(name)) {
            return Err(TokenFault::OwnKey);
        }
        Ok(())
    }

    /// Refuses a `typ` of some other kind of token (RFC 8725 section 3.11).
    pub(super) fn check_type(&self, accepted: &[&str]) -> Result<(), TokenFault> {
        let kind = self.header.text("typ")?.unwrap_or("JWT").to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if accepted.contains(&kind) { Ok(()) } else { Err(TokenFault::Type) }
    }

    /// The key that the header names, if it is of the algorithm that the header names.
    pub(super) fn key<'k>(&self, keys: &'k KeySet) -> Result<&'k Key, TokenFault> {
        let key = keys.find(self.header.text("kid")?).ok_or(TokenFault::Key)?;
        // Compared as text, since the crate has no word for `none` and others.
        if self.header.text("alg")? != Some(key.algorithm.name()) {
            return Err(TokenFault::Algorithm);
        }
        Ok(key)
    }

    /// The claims, if this key made the signature.
    pub(super) fn signed_by(self, key: &Key) -> Option<Claims> {
        key.has_signed(self.message.as_bytes(), self.signature).then_some(self.payload)
    }

    /// The claims, if the signature is good.
    pub(super) fn verify(self, keys: &KeySet) -> Result<Claims, TokenFault> {
        let key = self.key(keys)?;
        if key.has_signed(self.message.as_bytes(), self.signature) {
            Ok(self.payload)
        } else {
            Err(TokenFault::Signature)
        }
    }
}
