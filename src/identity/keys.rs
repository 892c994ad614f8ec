//! The public keys of an issuer, from a JWK Set file (RFC 7517): each bound to one algorithm.
//!
//! A file with anything doubtful in it is refused whole, naming the key, so that a mistake is seen
//! when the file is put in place and not when somebody cannot sign in.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::jwks::JwksKey;

/// The largest key file.
const FILE_LIMIT: u64 = 256 * 1024;
/// The most keys in a file.
const KEY_LIMIT: usize = 64;

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
#[error("key file `{path}`: {fault}")]
pub struct KeyFileError {
    /// The file as the operator named it.
    pub path: String,
    /// What is wrong with it.
    pub fault: KeyFault,
}

/// What is wrong with a key file. Keys are named by `kid`, or by their place from 1.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// It is larger than 256 KiB or has more than 64 keys.
    #[error("must be at most 256 KiB with at most 64 keys")]
    TooLarge,
    /// It is not a JWK Set.
    #[error("must be a JWK Set, {0}")]
    Json(serde_json::Error),
    /// No key in it can verify a token.
    #[error("has no key for signatures")]
    Empty,
    /// A shared secret: whoever can verify could forge.
    #[error("key `{0}` is a shared secret (`kty: oct`); only public keys are accepted")]
    Symmetric(String),
    /// A private key, which does not belong here.
    #[error("key `{0}` holds a private part; give the public key only, and replace this pair")]
    Private(String),
    /// Two keys have the same `kid`.
    #[error("two keys have the `kid` `{0}`")]
    Duplicate(String),
    /// There are several keys and one has no `kid`.
    #[error("key `{0}` has no `kid`, which each needs where there are several")]
    Nameless(String),
    /// Its type and algorithm are not among those accepted.
    #[error(
        "key `{0}`: must be RSA for RS256 or PS256 (or 384, 512), EC P-256 for ES256, EC P-384 for ES384, or OKP Ed25519 for EdDSA"
    )]
    Unsupported(String),
    /// Its numbers have the wrong length.
    #[error("key `{0}`: must be RSA of 2048 to 8192 bits, or a full point of its curve")]
    Size(String),
}

impl KeyFault {
    /// Whether the key is merely one that we cannot use.
    fn is_of_no_use(&self) -> bool {
        match self {
            Self::Unsupported(_) | Self::Size(_) => true,
            Self::Unreadable(_)
            | Self::TooLarge
            | Self::Json(_)
            | Self::Empty
            | Self::Symmetric(_)
            | Self::Private(_)
            | Self::Duplicate(_)
            | Self::Nameless(_) => false,
        }
    }
}

/// The algorithms accepted: asymmetric, each with one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// Its name in the header of a token.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Rs384 => Self::RS384,
            Algorithm::Rs512 => Self::RS512,
            Algorithm::Ps256 => Self::PS256,
            Algorithm::Ps384 => Self::PS384,
            Algorithm::Ps512 => Self::PS512,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Es384 => Self::ES384,
            Algorithm::EdDsa => Self::EdDSA,
        }
    }
}

/// The keys of one issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// One key and the only algorithm it may be used with.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    public: DecodingKey,
    /// To tell it from another of the same `kid`.
    print: String,
}

impl Key {
    /// Whether the holder of this key made the signature, in base64url, of the message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        let verified =
            jsonwebtoken::crypto::verify(signature, message, &self.public, self.algorithm.into());
        verified.unwrap_or(false)
    }
}

impl KeySet {
    /// Reads and checks a key file. Blocks.
    pub(super) fn read(path: &Path) -> Result<Self, KeyFileError> {
        let error = |fault| KeyFileError { path: path.display().to_string(), fault };
        let text = read_capped(path).map_err(error)?;
        Self::parse(&text).map_err(error)
    }

    /// A file that an operator put in place: one doubtful key is a slip that should be seen.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyFault> {
        Self::assemble(text, |_| false)
    }

    /// What an issuer publishes: keys that are not understood are passed over (RFC 7517 section 5), so that an
    /// issuer may add one of a new kind. A secret in it is still reason to refuse all of it.
    pub(super) fn parse_published(text: &[u8]) -> Result<Self, KeyFault> {
        Self::assemble(text, KeyFault::is_of_no_use)
    }

    fn assemble(text: &[u8], is_passed_over: impl Fn(&KeyFault) -> bool) -> Result<Self, KeyFault> {
        let file = RawSet::read(text)?;
        let mut keys: Vec<Key> = Vec::new();
        for (place, raw) in (1_usize..).zip(&file.keys) {
            let shown = raw.shown(place);
            let key = match raw.check(&shown) {
                Ok(Some(key)) => key,
                Ok(None) => continue,
                Err(fault) if is_passed_over(&fault) => continue,
                Err(fault) => return Err(fault),
            };
            if key.id.is_some() && keys.iter().any(|other| other.id == key.id) {
                return Err(KeyFault::Duplicate(shown));
            }
            keys.push(key);
        }
        if keys.len() > 1 && keys.iter().any(|key| key.id.is_none()) {
            let nameless = (1_usize..).zip(&file.keys).find(|(_, raw)| raw.kid.is_none());
            let place = nameless.map(|(place, _)| place.to_string()).unwrap_or_default();
            return Err(KeyFault::Nameless(place));
        }
        if keys.is_empty() { Err(KeyFault::Empty) } else { Ok(Self(keys)) }
    }

    /// What each key of a set is used for.
    pub(super) fn report(text: &[u8]) -> Result<Vec<JwksKey>, KeyFault> {
        let file = RawSet::read(text)?;
        let report = |(place, raw): (usize, &RawKey)| {
            let shown = raw.shown(place);
            let algorithm = match raw.check(&shown) {
                Ok(Some(key)) => Ok(key.algorithm.name()),
                Ok(None) => Err("it is not for signatures".to_owned()),
                Err(fault) => Err(fault.to_string()),
            };
            JwksKey { shown, algorithm }
        };
        Ok((1_usize..).zip(&file.keys).map(report).collect())
    }

    /// Whether both were made of the same keys.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(ours, theirs)| ours.print == theirs.print)
    }

    /// The key of that `kid`; without one only if there is no choice.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (kid, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == kid),
        }
    }
}

/// SHA-256 of a public key in its canonical form (RFC 7638).
pub(super) type Thumbprint = [u8; 32];

/// The public key of a proof and its thumbprint; `algorithm` says which of an RSA key's it was used with.
pub(super) fn proof_key(jwk: &serde_json::Value, algorithm: &str) -> Option<(Key, Thumbprint)> {
    let mut raw = RawKey::deserialize(jwk).ok()?;
    if raw.kty == "RSA" && raw.alg.is_none() {
        raw.alg = Some(algorithm.to_owned());
    }
    let thumbprint = raw.thumbprint()?;
    raw.check("of the proof").ok().flatten().map(|key| (key, thumbprint))
}

fn read_capped(path: &Path) -> Result<Vec<u8>, KeyFault> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(KeyFault::Unreadable)?;
    let mut text = Vec::new();
    let limit = FILE_LIMIT.saturating_add(1);
    let read = file.take(limit).read_to_end(&mut text).map_err(KeyFault::Unreadable)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_LIMIT {
        return Err(KeyFault::TooLarge);
    }
    Ok(text)
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<RawKey>,
}

impl RawSet {
    fn read(text: &[u8]) -> Result<Self, KeyFault> {
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_LIMIT {
            return Err(KeyFault::TooLarge);
        }
        let set: Self = serde_json::from_slice(text).map_err(KeyFault::Json)?;
        if set.keys.len() > KEY_LIMIT { Err(KeyFault::TooLarge) } else { Ok(set) }
    }
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    // Presence is all that matters; a private key is refused, not kept.
    #[serde(default, deserialize_with = "present")]
    d: bool,
    #[serde(default, deserialize_with = "present")]
    k: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer)?;
    Ok(true)
}

impl RawKey {
    /// By what the operator knows it.
    fn shown(&self, place: usize) -> String {
        self.kid.clone().unwrap_or_else(|| place.to_string())
    }

    /// What makes it this key and no other.
    fn print(&self, algorithm: Algorithm) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let numbers = [&self.kid, &self.n, &self.e, &self.x, &self.y].map(part);
        format!("{} {}", algorithm.name(), numbers.join(" "))
    }

    /// The hash of the members that a key of its type must have, in the order of their names.
    fn thumbprint(&self) -> Option<Thumbprint> {
        let part = |part: &Option<String>| serde_json::to_string(part.as_deref()?).ok();
        let text = match self.kty.as_str() {
            "EC" => {
                let (crv, x, y) = (part(&self.crv)?, part(&self.x)?, part(&self.y)?);
                format!(r#"{{"crv":{crv},"kty":"EC","x":{x},"y":{y}}}"#)
            }
            "OKP" => {
                let (crv, x) = (part(&self.crv)?, part(&self.x)?);
                format!(r#"{{"crv":{crv},"kty":"OKP","x":{x}}}"#)
            }
            "RSA" => {
                let (e, n) = (part(&self.e)?, part(&self.n)?);
                format!(r#"{{"e":{e},"kty":"RSA","n":{n}}}"#)
            }
            _ => return None,
        };
        digest(&SHA256, text.as_bytes()).as_ref().try_into().ok()
    }

    /// The key, `None` if it is meant for encryption, or what is wrong with it.
    fn check(&self, shown: &str) -> Result<Option<Key>, KeyFault> {
        if self.kty == "oct" || self.k {
            return Err(KeyFault::Symmetric(shown.to_owned()));
        }
        if self.d {
            return Err(KeyFault::Private(shown.to_owned()));
        }
        if self.r#use.as_deref().is_some_and(|for_what| for_what != "sig") {
            return Ok(None);
        }
        if self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return Ok(None);
        }
        let algorithm = self.algorithm().ok_or_else(|| KeyFault::Unsupported(shown.to_owned()))?;
        let public = self.public(algorithm).ok_or_else(|| KeyFault::Size(shown.to_owned()))?;
        Ok(Some(Key { id: self.kid.clone(), algorithm, public, print: self.print(algorithm) }))
    }

    /// The one algorithm of this key: from its curve, or for RSA from its `alg` (RS256 if silent).
    fn algorithm(&self) -> Option<Algorithm> {
        match (self.kty.as_str(), self.crv.as_deref(), self.alg.as_deref()) {
            ("RSA", None, None | Some("RS256")) => Some(Algorithm::Rs256),
            ("RSA", None, Some("RS384")) => Some(Algorithm::Rs384),
            ("RSA", None, Some("RS512")) => Some(Algorithm::Rs512),
            ("RSA", None, Some("PS256")) => Some(Algorithm::Ps256),
            ("RSA", None, Some("PS384")) => Some(Algorithm::Ps384),
            ("RSA", None, Some("PS512")) => Some(Algorithm::Ps512),
            ("EC", Some("P-256"), None | Some("ES256")) => Some(Algorithm::Es256),
            ("EC", Some("P-384"), None | Some("ES384")) => Some(Algorithm::Es384),
            ("OKP", Some("Ed25519"), None | Some("EdDSA")) => Some(Algorithm::EdDsa),
            _ => None,
        }
    }

    /// The key itself, with every number of the length its algorithm demands.
    fn public(&self, algorithm: Algorithm) -> Option<DecodingKey> {
        let coordinates = |length: usize| {
            let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
            let fits = |text| bytes(text).is_some_and(|bytes| bytes.len() == length);
            (fits(x) && fits(y)).then(|| DecodingKey::from_ec_components(x, y).ok()).flatten()
        };
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                let (n, e) = (bytes(self.n.as_deref()?)?, bytes(self.e.as_deref()?)?);
                let is_sound = (2048..=8192).contains(&bits(&n)) && (2..=33).contains(&bits(&e));
                is_sound.then(|| DecodingKey::from_rsa_raw_components(&n, &e))
            }
            Algorithm::Es256 => coordinates(32),
            Algorithm::Es384 => coordinates(48),
            Algorithm::EdDsa => {
                let x = self.x.as_deref().filter(|x| bytes(x).is_some_and(|b| b.len() == 32))?;
                DecodingKey::from_ed_components(x).ok()
            }
        }
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// How many bits a big-endian number has.
fn bits(number: &[u8]) -> usize {
    let mut rest = number.iter().skip_while(|byte| **byte == 0);
    let Some(first) = rest.next() else { return 0 };
    let high = usize::try_from(8 - first.leading_zeros()).unwrap_or_default();
    rest.count().saturating_mul(8).saturating_add(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn fault(keys: &str) -> String {
        KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).unwrap_err().to_string()
    }

    fn rsa(bytes: usize, rest: &str) -> String {
        let n = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{rest}}}"#)
    }

    #[test]
    fn a_shared_secret_is_refused() {
        assert!(
            fault(r#"{"kty":"oct","k":"c2VjcmV0","kid":"a"}"#).contains("`a` is a shared secret")
        );
    }

    #[test]
    fn a_private_key_is_refused() {
        assert!(fault(&format!(r#"{{{ED},"d":"AAAA"}}"#)).contains("private part"));
    }

    #[test]
    fn duplicate_and_missing_kids_are_refused() {
        let named = format!(r#"{{{ED},"kid":"a"}}"#);
        assert!(fault(&format!("{named},{named}")).contains("two keys have the `kid` `a`"));
        assert!(fault(&format!("{named},{{{ED}}}")).contains("key `2` has no `kid`"));
    }

    #[test]
    fn short_keys_and_wrong_points_are_refused() {
        assert!(fault(&rsa(128, "")).contains("2048"));
        assert!(fault(&rsa(2048, "")).contains("8192"));
        assert!(fault(r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#).contains("full point"));
        assert!(
            fault(r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#).contains("full point")
        );
    }

    #[test]
    fn unsupported_algorithms_are_refused() {
        assert!(fault(&rsa(256, r#","alg":"RS1""#)).contains("RS256 or PS256"));
        assert!(fault(&rsa(256, r#","alg":"HS256""#)).contains("RS256 or PS256"));
        assert!(fault(r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#).contains("P-256"));
        assert!(fault(&format!(r#"{{{ED},"alg":"ES256"}}"#)).contains("EdDSA"));
    }

    #[test]
    fn keys_for_encryption_are_passed_over_and_do_not_count() {
        let encryption = rsa(256, r#","use":"enc","alg":"RSA-OAEP""#);
        assert_eq!(fault(&encryption), "has no key for signatures");
        let both = format!(r#"{{"keys":[{encryption},{{{ED}}}]}}"#);
        assert!(KeySet::parse(both.as_bytes()).unwrap().find(None).is_some());
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for text in ["", "[]", "{}", r#"{"keys":7}"#, r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#] {
            assert!(matches!(KeySet::parse(text.as_bytes()), Err(KeyFault::Json(_))), "{text}");
        }
        assert_eq!(fault(""), "has no key for signatures");
    }

    #[test]
    fn a_key_without_kid_is_found_only_if_there_is_no_choice() {
        let named = |kid| format!(r#"{{{ED},"kid":"{kid}"}}"#);
        let two = format!(r#"{{"keys":[{},{}]}}"#, named("a"), named("b"));
        let two = KeySet::parse(two.as_bytes()).unwrap();
        assert!(two.find(None).is_none() && two.find(Some("c")).is_none());
        assert!(two.find(Some("b")).is_some());
    }
}
