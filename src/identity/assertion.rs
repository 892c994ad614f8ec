//! What a backend is told about a caller, signed: a JSON Web Token (RFC 7519, ES256) for one upstream and one minute.
//!
//! The keys follow from the master key and the calendar, so that every gate of a house signs alike, nothing is
//! stored, and the set for backends can be written before its time comes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::clock::Clock;
use crate::secret::{MasterKey, SecretError};

/// How long an assertion is good for, in seconds.
pub const ASSERTION_LIFE_S: i64 = 60;

const DAY_S: u32 = 24 * 60 * 60;

/// Who signs, and how long with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionSettings {
    /// The `iss` of every assertion.
    pub issuer: String,
    /// How long a key signs, in seconds; whole days, at least one.
    pub rotate_s: u32,
}

impl Default for AssertionSettings {
    fn default() -> Self {
        Self { issuer: "menshen".to_owned(), rotate_s: 30 * DAY_S }
    }
}

/// What one assertion says, beside who signed it and when.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Asserted<'a> {
    /// The upstream that it is for.
    #[serde(rename = "aud")]
    pub audience: &'a str,
    /// The account.
    #[serde(rename = "sub")]
    pub account: &'a str,
    /// What the caller is, as `staff` or `machine`.
    pub kind: &'a str,
    /// The roles held.
    pub roles: &'a [String],
    /// The assurance reached, as text.
    pub acr: &'a str,
    /// What the data are asked for, where that was declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<&'a str>,
    /// The request's id in the log.
    #[serde(rename = "rid")]
    pub request: &'a str,
    /// Stands once in all assertions.
    #[serde(rename = "jti")]
    pub id: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    asserted: Asserted<'a>,
}

/// Signs assertions.
pub struct Assertions {
    master: MasterKey,
    clock: Clock,
    settings: AssertionSettings,
    current: ArcSwap<Signer>,
    random: SystemRandom,
}

/// The key of one period.
struct Signer {
    period: i64,
    pair: EcdsaKeyPair,
    /// The first part of every token, with its dot.
    header: String,
    jwk: Jwk,
    /// The JWK Set of these days: with the keys of the periods before and after.
    published: String,
}

/// The public half, as RFC 7517 writes it.
#[derive(Clone, Debug, Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
}

impl Assertions {
    /// Derives the key of today.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses.
    pub fn new(
        settings: AssertionSettings,
        master: &MasterKey,
        clock: Clock,
    ) -> Result<Self, SecretError> {
        let period = period(&settings, clock.unix_s());
        let current = ArcSwap::from_pointee(Signer::today(master, period)?);
        let (master, random) = (master.clone(), SystemRandom::new());
        Ok(Self { master, clock, settings, current, random })
    }

    /// The token: three parts of base64url with dots between.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses.
    pub fn sign(&self, asserted: Asserted<'_>) -> Result<String, SecretError> {
        let iat = self.clock.unix_s();
        let signer = self.signer(iat)?;
        let claims =
            Claims { iss: &self.settings.issuer, iat, exp: iat + ASSERTION_LIFE_S, asserted };
        let claims = serde_json::to_vec(&claims).map_err(|_unwritable| SecretError::Crypto)?;
        let mut token = signer.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = signer.pair.sign(&self.random, token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// The JWK Set (RFC 7517) that backends fetch: the key of the period before, for what is under way and for
    /// clocks that are behind, that of today, and that of the next period.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses.
    pub fn published(&self) -> Result<String, SecretError> {
        Ok(self.signer(self.clock.unix_s())?.published.clone())
    }

    /// The JWK Set for a backend that fetches nothing, with the keys of the next `ahead` periods.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] if the library refuses.
    pub fn jwks(&self, ahead: u8) -> Result<String, SecretError> {
        let today = period(&self.settings, self.clock.unix_s());
        jwk_set(&self.master, today, ahead)
    }

    /// The key that signs now; a new period's first caller derives it.
    fn signer(&self, now_unix_s: i64) -> Result<Arc<Signer>, SecretError> {
        let today = period(&self.settings, now_unix_s);
        let current = self.current.load_full();
        if current.period == today {
            return Ok(current);
        }
        let next = Arc::new(Signer::today(&self.master, today)?);
        self.current.store(Arc::clone(&next));
        Ok(next)
    }
}

fn jwk_set(master: &MasterKey, today: i64, ahead: u8) -> Result<String, SecretError> {
    let periods = today.saturating_sub(1)..=today.saturating_add(i64::from(ahead));
    let keys = periods.map(|period| Ok(Signer::derive(master, period)?.jwk));
    let keys = keys.collect::<Result<Vec<Jwk>, SecretError>>()?;
    Ok(format!("{}\n", serde_json::json!({ "keys": keys })))
}

impl Signer {
    /// The key of a period, with the set that is published while it signs.
    fn today(master: &MasterKey, period: i64) -> Result<Self, SecretError> {
        Ok(Self { published: jwk_set(master, period, 1)?, ..Self::derive(master, period)? })
    }

    /// The key of a period. A number that is no private key of the curve, which one in 2^32 is, is passed over.
    fn derive(master: &MasterKey, period: i64) -> Result<Self, SecretError> {
        let keys =
            (0..8).map(|attempt| master.derive(&format!("assertion-key/{period}/{attempt}")));
        for seed in keys {
            if let Some(signer) = Self::of(seed?.expose(), period) {
                return Ok(signer);
            }
        }
        Err(SecretError::Crypto)
    }

    fn of(seed: &[u8; 32], period: i64) -> Option<Self> {
        let private = agreement::PrivateKey::from_private_key(&ECDH_P256, seed).ok()?;
        let public = private.compute_public_key().ok()?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            seed,
            public.as_ref(),
        );
        // An uncompressed point: a byte that says so, then both coordinates.
        let (x, y) = public.as_ref().get(1..)?.split_at_checked(32)?;
        let jwk = Jwk::of(x, y);
        let header = serde_json::json!({ "typ": "JWT", "alg": jwk.alg, "kid": jwk.kid });
        let header = format!("{}.", URL_SAFE_NO_PAD.encode(header.to_string()));
        Some(Self { period, pair: pair.ok()?, header, jwk, published: String::new() })
    }
}

impl Jwk {
    /// The key with these coordinates; its name is its thumbprint (RFC 7638).
    fn of(x: &[u8], y: &[u8]) -> Self {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        Self { kty: "EC", crv: "P-256", x, y, usage: "sig", alg: "ES256", kid }
    }
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The number of the period that a moment lies in, counted from 1970.
fn period(settings: &AssertionSettings, now_unix_s: i64) -> i64 {
    let days = i64::from(settings.rotate_s / DAY_S).max(1);
    let today = now_unix_s.div_euclid(i64::from(DAY_S));
    today.div_euclid(days)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use serde_json::Value;

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn assertions(clock: &Clock) -> Assertions {
        let master = MasterKey::from_bytes([7; 32]);
        Assertions::new(AssertionSettings::default(), &master, clock.clone()).unwrap()
    }

    fn asserted<'a>(audience: &'a str, roles: &'a [String]) -> Asserted<'a> {
        Asserted {
            audience,
            account: "corp:wang",
            kind: "staff",
            roles,
            acr: "2",
            purpose: None,
            request: "r1",
            id: "r1",
        }
    }

    /// What somebody else's library reads, who has the key set only.
    fn read(token: &str, jwks: &str, audience: &str) -> Option<Value> {
        let set: JwkSet = serde_json::from_str(jwks).unwrap();
        let kid = decode_header(token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(set.find(&kid)?).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&[audience]);
        rules.set_issuer(&["menshen"]);
        rules.validate_exp = false;
        decode(token, &key, &rules).ok().map(|data| data.claims)
    }

    #[test]
    fn another_library_reads_it_by_the_published_key_and_for_its_audience_alone() {
        let (clock, roles) = (Clock::fixed(NOW_S * 1000), ["teller".to_owned()]);
        let assertions = assertions(&clock);
        let token = assertions.sign(asserted("core", &roles)).unwrap();
        let jwks = assertions.published().unwrap();
        let claims = read(&token, &jwks, "core").unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": "menshen", "iat": NOW_S, "exp": NOW_S + 60, "aud": "core",
                "sub": "corp:wang", "kind": "staff", "roles": ["teller"], "acr": "2",
                "rid": "r1", "jti": "r1",
            })
        );
        assert_eq!(read(&token, &jwks, "crm"), None);
        let (body, signature) = token.rsplit_once('.').unwrap();
        let other = assertions.sign(asserted("crm", &roles)).unwrap();
        let foreign = other.rsplit_once('.').unwrap().1;
        assert_ne!(signature, foreign);
        assert_eq!(read(&format!("{body}.{foreign}"), &jwks, "core"), None);
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_one_period_longer() {
        let (clock, roles) = (Clock::fixed(NOW_S * 1000), []);
        let assertions = assertions(&clock);
        let before = assertions.published().unwrap();
        let old = assertions.sign(asserted("core", &roles)).unwrap();
        clock.advance_ms(30 * 86_400_000);
        let new = assertions.sign(asserted("core", &roles)).unwrap();
        assert!(read(&new, &before, "core").is_some(), "a set that was fetched before knows it");
        let now = assertions.published().unwrap();
        assert!(read(&old, &now, "core").is_some() && read(&new, &now, "core").is_some());
        clock.advance_ms(30 * 86_400_000);
        assert!(read(&old, &assertions.published().unwrap(), "core").is_none(), "its time is over");
    }

    #[test]
    fn gates_of_one_house_sign_alike_and_no_others() {
        let clock = Clock::fixed(NOW_S * 1000);
        let sets = |key: u8| {
            let master = MasterKey::from_bytes([key; 32]);
            let settings = AssertionSettings::default();
            Assertions::new(settings, &master, clock.clone()).unwrap().published().unwrap()
        };
        assert_eq!(sets(1), sets(1));
        assert_ne!(sets(1), sets(2));
        assert!(!sets(1).contains("\"d\""), "no private half is published");
    }
}
