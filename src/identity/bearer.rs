//! Bearer tokens (JWT, RFC 7519 and 9068): from the text to a caller.
//!
//! Nothing in the token chooses how it is verified: the issuer is one of those pinned, the key is
//! one of its file, the algorithm is that of the key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;

use super::AuthError;
use super::caller::{Caller, CredentialRef};
use super::claims::{Claims, Judged, TokenFault};
use super::credentials::TOKEN_LIMIT;
use super::key_ring::KeyRing;
use super::keys::{Key, KeyFileError};
use super::settings::IssuerSettings;
use super::token_cache::TokenCache;
use crate::clock::Clock;
use crate::secret::{Secret, Tagger};

/// How long a request waits for a look at a key file; it then goes on with the old keys.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Verifies bearer tokens.
#[derive(Debug)]
pub(super) struct Bearer {
    issuers: Vec<Arc<Issuer>>,
    cache: Arc<TokenCache>,
    clock: Clock,
    tagger: Tagger,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    ring: KeyRing,
}

impl Bearer {
    /// Reads the key files. Blocks.
    pub(super) fn load(
        issuers: Vec<IssuerSettings>,
        cache: usize,
        clock: Clock,
        tagger: Tagger,
    ) -> Result<Self, KeyFileError> {
        let mut loaded = Vec::with_capacity(issuers.len());
        for settings in issuers {
            let ring = KeyRing::load(&settings.jwks_file)?;
            loaded.push(Arc::new(Issuer { settings, ring }));
        }
        let cache = Arc::new(TokenCache::new(cache));
        Ok(Self { issuers: loaded, cache, clock, tagger })
    }

    /// Verifies a token.
    pub(super) async fn authenticate(&self, token: &Secret<String>) -> Result<Caller, AuthError> {
        if token.expose().len() > TOKEN_LIMIT {
            return Err(AuthError::TokenTooLong);
        }
        let now = self.clock.unix_s();
        self.look_for_new_keys(now).await;
        let hash = sha256(token.expose());
        let miss = match self.cache.find(&hash, now) {
            Ok(caller) => return Ok(Caller::clone(&caller)),
            Err(miss) => miss,
        };
        let judged = self.verify(token.expose(), now)?;
        let caller = Arc::new(self.name_credential(token, judged.caller, judged.jti.as_deref()));
        self.cache.insert(miss, hash, &caller, judged.until_s, now);
        Ok(Arc::unwrap_or_clone(caller))
    }

    /// Reads all key files that changed, now. Blocks.
    pub(super) fn reload_keys(&self) -> Result<(), KeyFileError> {
        for issuer in &self.issuers {
            if issuer.ring.refresh(&issuer.settings.jwks_file)? {
                self.cache.clear();
            }
        }
        Ok(())
    }

    async fn look_for_new_keys(&self, now: i64) {
        for issuer in self.issuers.iter().filter(|issuer| issuer.ring.is_due(now)) {
            let path: PathBuf = issuer.settings.jwks_file.clone();
            let (shared, cache) = (Arc::clone(issuer), Arc::clone(&self.cache));
            // The cache is emptied there, whether or not somebody still waits.
            let look = tokio::task::spawn_blocking(move || {
                let changed = shared.ring.refresh(&path)?;
                if changed {
                    cache.clear();
                }
                Ok::<_, KeyFileError>(changed)
            });
            let Ok(look) = tokio::time::timeout(LOOK_PATIENCE, look).await else {
                tracing::error!("the key file could not be read in time; the old keys stay in use");
                continue;
            };
            match look {
                Ok(Ok(true)) => {
                    tracing::info!(issuer = issuer.settings.name, "the issuer's keys were read");
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the issuer's old keys stay in use"),
                Err(error) => tracing::error!(%error, "the key file could not be looked at"),
            }
        }
    }

    fn verify(&self, token: &str, now: i64) -> Result<Judged, TokenFault> {
        let (header, payload) = peek(token)?;
        check_header(&header)?;
        let issuer = payload.text("iss")?.ok_or(TokenFault::Issuer)?;
        let issuer = self
            .issuers
            .iter()
            .find(|known| known.settings.issuer == issuer)
            .ok_or(TokenFault::Issuer)?;
        let keys = issuer.ring.keys();
        let key = keys.find(header.text("kid")?).ok_or(TokenFault::Key)?;
        // Compared as text, since the crate has no word for `none` and others.
        if header.text("alg")? != Some(key.algorithm.name()) {
            return Err(TokenFault::Algorithm);
        }
        verify_signature(token, key, &issuer.settings)?.judge(&issuer.settings, now)
    }

    fn name_credential(&self, token: &Secret<String>, caller: Caller, jti: Option<&str>) -> Caller {
        let issuer = match &caller.credential {
            CredentialRef::Bearer { issuer, .. } => issuer.clone(),
            CredentialRef::Session { .. } => String::new(),
        };
        let reference = self.tagger.reference(&[b"token", token.expose().as_bytes()]);
        let jti = jti.map(|id| self.tagger.reference(&[b"jti", issuer.as_bytes(), id.as_bytes()]));
        let credential = CredentialRef::Bearer { issuer, token: reference, jti };
        Caller { credential, ..caller }
    }
}

/// The header and the claims, neither of them trusted yet.
fn peek(token: &str) -> Result<(Claims, Claims), TokenFault> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenFault::Malformed);
    };
    let read = |part: &str| {
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&json).ok()
    };
    read(header).zip(read(payload)).ok_or(TokenFault::Malformed)
}

/// Refuses what the crate lets pass: `crit`, and a `typ` of some other kind of token.
fn check_header(header: &Claims) -> Result<(), TokenFault> {
    if header.has("crit") {
        return Err(TokenFault::Critical);
    }
    let kind = header.text("typ")?.unwrap_or("JWT").to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    if kind == "jwt" || kind == "at+jwt" { Ok(()) } else { Err(TokenFault::Type) }
}

/// Gives the claims under a good signature. Times are judged by our own clock afterwards.
fn verify_signature(
    token: &str,
    key: &Key,
    settings: &IssuerSettings,
) -> Result<Claims, TokenFault> {
    let mut rules = Validation::new(key.algorithm.into());
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.set_issuer(&[&settings.issuer]);
    rules.set_audience(&[&settings.audience]);
    rules.validate_exp = false;
    rules.validate_nbf = false;
    let verified = jsonwebtoken::decode::<Claims>(token, &key.public, &rules);
    verified.map(|data| data.claims).map_err(|error| fault(error.kind()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the crate's list is open, and all is refused")]
fn fault(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenFault::Algorithm,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(name) => TokenFault::Claim(claim_name(name)),
        _ => TokenFault::Malformed,
    }
}

fn claim_name(name: &str) -> &'static str {
    ["exp", "iss", "aud", "sub"].into_iter().find(|known| *known == name).unwrap_or("of the token")
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()) {
        *to = *from;
    }
    bytes
}
