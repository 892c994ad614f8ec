//! Bearer tokens and the issuer's key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const KEY_ID: &str = "k1";

/// An issuer's ES256 key.
pub(crate) struct Signer {
    key: EncodingKey,
    pair: KeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        Self { key, pair }
    }

    /// The public half as a JWK Set.
    pub(crate) fn jwks(&self) -> String {
        let raw = self.pair.public_key_raw();
        let (x, y) = raw[1..].split_at((raw.len() - 1) / 2);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": text(x), "y": text(y),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The public key's PEM, which an attacker knows as well.
    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// A token for a teller of branch `sh01` with a one-time code just shown, but for what `changes`
    /// says; `null` takes a claim away.
    pub(crate) fn token(&self, now_s: i64, changes: &Value) -> String {
        self.sign(&header(), &claims(now_s, changes))
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        sign(header, claims, &self.key, Algorithm::ES256)
    }
}

pub(crate) fn sign(header: &Value, claims: &Value, key: &EncodingKey, alg: Algorithm) -> String {
    let text = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), key, alg).unwrap();
    format!("{text}.{signature}")
}

/// Header and claims without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", text(header), text(claims))
}

pub(crate) fn header() -> Value {
    json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID })
}

pub(crate) fn claims(now_s: i64, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "menshen", "sub": "wang", "iat": now_s, "exp": now_s + 43_200,
        "roles": ["teller"], "branch": "sh01", "acr": "2", "auth_time": now_s,
    });
    let object = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    claims
}
