//! Proofs of possession (DPoP, RFC 9449): a signature by the key that a token is bound to, over this one request.
//! Pure; that a proof is taken once is for the store.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::{Moment, is_name};
use super::jws::Jws;
use super::keys::{Thumbprint, proof_key};

/// How long before now a proof may have been made, in seconds.
pub(super) const AGE_S: i64 = 60;
/// How far ahead its maker's clock may be.
pub(super) const AHEAD_S: i64 = 10;
/// How long the gate gives out one nonce; the one before stays good as long.
pub(super) const NONCE_S: i64 = 300;
/// The algorithms of proofs, as a challenge names them.
pub const DPOP_ALGORITHMS: &str = "ES256 ES384 EdDSA PS256 PS384 PS512 RS256 RS384 RS512";

/// The request that a proof is for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its method.
    pub method: String,
    /// `https://` and the host, with the port unless it is 443.
    pub origin: String,
    /// Its path as it was sent, without the query.
    pub path: String,
}

/// Why a proof is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopFault {
    /// There is none, or more than one, or it is too large.
    #[error("exactly one `DPoP` header of at most 8 KiB must stand beside the token")]
    Missing,
    /// It is no signed token, or has another `typ`.
    #[error("the proof is malformed")]
    Malformed,
    /// Its `jwk` is no public key for signatures.
    #[error("the proof's `jwk` must be a public key of a supported algorithm")]
    Key,
    /// Its `alg` is not that of its key.
    #[error("the proof's `alg` is not that of its key")]
    Algorithm,
    /// The signature does not fit.
    #[error("the proof's signature is wrong")]
    Signature,
    /// Its `htm` is another method.
    #[error("the proof is for another method")]
    Method,
    /// Its `htu` is another address.
    #[error("the proof is for another address")]
    Url,
    /// Its `iat` is too long ago, or lies ahead.
    #[error("the proof is too old or from the future")]
    Time,
    /// Its `ath` is another token's.
    #[error("the proof is for another token")]
    Token,
    /// It has no `jti`, or an endless one.
    #[error("the proof's `jti` must have 1 to 255 visible characters")]
    Id,
    /// It was shown before.
    #[error("the proof was used before")]
    Replayed,
    /// Its key made more than can be remembered.
    #[error("the key made too many proofs within a minute; send fewer requests a second")]
    TooMany,
}

/// What a proof must be for.
pub(super) struct Expected<'a> {
    pub(super) target: &'a Target,
    pub(super) token: &'a str,
    pub(super) now: i64,
}

/// A proof that fits, but may have been shown before.
#[derive(Debug)]
pub(super) struct Proof {
    /// Of the key that made it (RFC 7638).
    pub(super) key: Thumbprint,
    pub(super) id: String,
    pub(super) nonce: Option<String>,
    /// Until when it would be believed, Unix seconds.
    pub(super) until_s: i64,
}

/// Judges a proof by itself (RFC 9449 section 4.3).
pub(super) fn verify(proof: &str, expected: &Expected<'_>) -> Result<Proof, DpopFault> {
    let malformed = |_| DpopFault::Malformed;
    let jws = Jws::read_proof(proof).map_err(malformed)?;
    // Absent would count as `JWT`, which a proof must not be taken for.
    if jws.header.text("typ").map_err(malformed)? != Some("dpop+jwt") {
        return Err(DpopFault::Malformed);
    }
    let algorithm = jws.header.text("alg").map_err(malformed)?.ok_or(DpopFault::Algorithm)?;
    let jwk = jws.header.value("jwk").ok_or(DpopFault::Key)?;
    let (key, thumbprint) = proof_key(jwk, algorithm).ok_or(DpopFault::Key)?;
    if key.algorithm.name() != algorithm {
        return Err(DpopFault::Algorithm);
    }
    let claims = jws.signed_by(&key).ok_or(DpopFault::Signature)?;
    let text = |name| claims.text(name).map_err(malformed);
    if text("htm")? != Some(&expected.target.method) {
        return Err(DpopFault::Method);
    }
    if !text("htu")?.is_some_and(|url| is_url_of(url, expected.target)) {
        return Err(DpopFault::Url);
    }
    let made = claims.value("iat").and_then(Moment::read).ok_or(DpopFault::Time)?;
    let until_s = made.begun_s.saturating_add(AGE_S);
    if made.reached_s > expected.now.saturating_add(AHEAD_S) || expected.now >= until_s {
        return Err(DpopFault::Time);
    }
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, expected.token.as_bytes()));
    if text("ath")? != Some(&hash) {
        return Err(DpopFault::Token);
    }
    let id = text("jti")?.filter(|id| is_name(id)).ok_or(DpopFault::Id)?.to_owned();
    let nonce = text("nonce")?.map(str::to_owned);
    Ok(Proof { key: thumbprint, id, nonce, until_s })
}

/// Whether `htu` is the address of this request. Its query and fragment are not part of it.
fn is_url_of(url: &str, target: &Target) -> bool {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let (authority, path) =
        rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or_default();
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(":443").unwrap_or(&authority);
    let path = if path.is_empty() { "/" } else { path };
    scheme.eq_ignore_ascii_case("https")
        && target.origin.strip_prefix("https://") == Some(authority)
        && path == target.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, EncodingKey};
    use rcgen::KeyPair;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000;
    const TOKEN: &str = "a.b.c";

    fn target() -> Target {
        Target {
            method: "GET".into(),
            origin: "https://bank.example".into(),
            path: "/one/1".into(),
        }
    }

    struct Key(KeyPair);

    impl Key {
        fn new() -> Self {
            Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
        }

        fn jwk(&self) -> Value {
            let raw = self.0.public_key_raw();
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({ "kty": "EC", "crv": "P-256", "x": text(&raw[1..33]), "y": text(&raw[33..]) })
        }

        fn header(&self) -> Value {
            json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() })
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", text(header), text(claims));
            let key = EncodingKey::from_ec_pem(self.0.serialize_pem().as_bytes()).unwrap();
            let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256);
            format!("{message}.{}", signed.unwrap())
        }
    }

    fn claims() -> Value {
        let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, TOKEN.as_bytes()));
        json!({
            "htm": "GET", "htu": "https://bank.example/one/1", "iat": NOW, "jti": "x1", "ath": ath,
        })
    }

    fn judge(proof: &str) -> Result<Proof, DpopFault> {
        verify(proof, &Expected { target: &target(), token: TOKEN, now: NOW })
    }

    fn with(mut object: Value, name: &str, value: &Value) -> Value {
        object[name] = value.clone();
        object
    }

    #[test]
    fn a_proof_for_this_very_request_is_good() {
        let key = Key::new();
        let good = judge(&key.sign(&key.header(), &claims())).unwrap();
        assert_eq!((good.id.as_str(), good.until_s, good.nonce), ("x1", NOW + 60, None));
        for url in [
            "https://bank.example/one/1?page=2",
            "https://BANK.example:443/one/1#top",
            "HTTPS://bank.example/one/1",
        ] {
            let proof = key.sign(&key.header(), &with(claims(), "htu", &json!(url)));
            assert!(judge(&proof).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let jwk = json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        let (_, thumbprint) = proof_key(&jwk, "RS256").unwrap();
        let text = URL_SAFE_NO_PAD.encode(thumbprint);
        assert_eq!(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_proof_for_another_request_token_or_time_is_refused() {
        let key = Key::new();
        let other_ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"another"));
        for (name, value, fault) in [
            ("htm", json!("POST"), DpopFault::Method),
            ("htm", json!("get"), DpopFault::Method),
            ("htm", json!(7), DpopFault::Malformed),
            ("htu", json!("https://bank.example/one/2"), DpopFault::Url),
            ("htu", json!("https://bank.example/one/1/"), DpopFault::Url),
            ("htu", json!("https://bank.example:8443/one/1"), DpopFault::Url),
            ("htu", json!("http://bank.example/one/1"), DpopFault::Url),
            ("htu", json!("https://bank.example.evil.example/one/1"), DpopFault::Url),
            ("htu", json!("https://x@bank.example/one/1"), DpopFault::Url),
            ("htu", json!("/one/1"), DpopFault::Url),
            ("htu", json!(""), DpopFault::Url),
            ("iat", json!(NOW - 60), DpopFault::Time),
            ("iat", json!(NOW + 11), DpopFault::Time),
            ("iat", json!("now"), DpopFault::Time),
            ("iat", json!(1_800_000_010.5), DpopFault::Time),
            ("iat", json!(i64::MAX), DpopFault::Time),
            ("ath", json!(other_ath), DpopFault::Token),
            ("ath", json!(""), DpopFault::Token),
            ("jti", json!(""), DpopFault::Id),
            ("jti", json!("x".repeat(256)), DpopFault::Id),
        ] {
            let proof = key.sign(&key.header(), &with(claims(), name, &value));
            assert_eq!(judge(&proof).unwrap_err(), fault, "{name}: {value}");
        }
        for name in ["htm", "htu", "iat", "ath", "jti"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert!(judge(&key.sign(&key.header(), &claims)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_proof_by_no_public_key_of_its_own_is_refused() {
        let (key, other) = (Key::new(), Key::new());
        let private = with(key.jwk(), "d", &json!("AAAA"));
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0" });
        for (name, value, fault) in [
            ("typ", json!("JWT"), DpopFault::Malformed),
            ("typ", json!(null), DpopFault::Malformed),
            ("alg", json!("none"), DpopFault::Algorithm),
            ("alg", json!("HS256"), DpopFault::Algorithm),
            ("alg", json!("ES384"), DpopFault::Algorithm),
            ("jwk", json!(null), DpopFault::Key),
            ("jwk", json!("x"), DpopFault::Key),
            ("jwk", private, DpopFault::Key),
            ("jwk", secret, DpopFault::Key),
            ("jwk", other.jwk(), DpopFault::Signature),
            ("crit", json!(["exp"]), DpopFault::Malformed),
            ("x5c", json!([]), DpopFault::Malformed),
        ] {
            let proof = key.sign(&with(key.header(), name, &value), &claims());
            assert_eq!(judge(&proof).unwrap_err(), fault, "{name}: {value}");
        }
        let good = key.sign(&key.header(), &claims());
        let (message, _) = good.rsplit_once('.').unwrap();
        assert!(judge(&format!("{message}.")).is_err());
        for text in ["", ".", "..", "a.b.c", "x"] {
            assert_eq!(judge(text).unwrap_err(), DpopFault::Malformed);
        }
    }
}
