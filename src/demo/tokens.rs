//! The partner's issuer in the demo: a signing key, its public half, and bearer tokens good and bad.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::DemoError;
use super::cast::PARTNER;

/// The `iss` of the partner's tokens.
pub(super) const ISSUER: &str = "https://login.parcels.example";
/// The `aud` of tokens for this gate.
pub(super) const AUDIENCE: &str = "bank.example";

const KEY_ID: &str = "demo-1";

/// A key that signs tokens.
pub(super) struct TokenSigner(Ed25519KeyPair);

impl TokenSigner {
    pub(super) fn generate() -> Result<Self, DemoError> {
        let pair = Ed25519KeyPair::generate().map_err(|_unspecified| DemoError::TokenKey)?;
        Ok(Self(pair))
    }

    /// The public half as a JWK Set (RFC 7517, RFC 8037).
    pub(super) fn jwks(&self) -> String {
        let point = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": point,
        }] })
        .to_string()
    }

    /// A signed token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let text = unsigned("EdDSA", claims);
        let signature = self.0.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A token that claims to need no signature.
pub(super) fn without_signature(claims: &Value) -> String {
    format!("{}.", unsigned("none", claims))
}

/// What the partner's tokens say, good from `now_s` for `seconds`.
pub(super) fn claims(now_s: i64, seconds: i64) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": PARTNER, "roles": ["partner"],
        "iat": now_s, "exp": now_s.saturating_add(seconds),
    })
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT", "kid": KEY_ID }).to_string();
    let claims = claims.to_string();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
