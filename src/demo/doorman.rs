//! The backend's doorman: answers only who shows an assertion of the gate, as any backend can check it.

use http::{HeaderMap, StatusCode};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::DemoError;
use super::answers::{self, Answer};
use crate::clock::Clock;
use crate::identity::{AssertionSettings, Assertions};
use crate::secret::MasterKey;

/// The `aud` under which the gate speaks to this backend.
pub(super) const AUDIENCE: &str = "core";

/// Knows the public keys of the gate and no secret of it.
pub(super) struct Doorman {
    keys: JwkSet,
    rules: Validation,
    clock: Clock,
}

/// What is demanded; who asks would be `sub`.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

impl Doorman {
    /// Takes the key set as `menshen key assertions` would print it.
    pub(super) fn of(master: &MasterKey, clock: &Clock) -> Result<Self, DemoError> {
        let settings = AssertionSettings::default();
        let issuer = settings.issuer.clone();
        let set = Assertions::new(settings, master, clock.clone())?.jwks(12)?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // The demo's own time is compared, which its story moves.
        rules.validate_exp = false;
        let keys = serde_json::from_str(&set).unwrap_or(JwkSet { keys: Vec::new() });
        Ok(Self { keys, rules, clock: clock.clone() })
    }

    /// Whether whoever asks may go on; else what to tell.
    pub(super) fn let_in(&self, headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let token = headers.get("menshen-assertion").and_then(|value| value.to_str().ok());
        match token.and_then(|token| self.read(token)) {
            Some(claims) if claims.exp > self.clock.unix_s() => Ok(()),
            _ => {
                let message = "this backend answers the gate alone, and no assertion of it is here";
                Err(Box::new(answers::fault(StatusCode::UNAUTHORIZED, message, None)))
            }
        }
    }

    fn read(&self, token: &str) -> Option<Claims> {
        let kid = decode_header(token).ok()?.kid?;
        let key = DecodingKey::from_jwk(self.keys.find(&kid)?).ok()?;
        decode(token, &key, &self.rules).ok().map(|data| data.claims)
    }
}
