//! Bearer tokens (JWT, RFC 7519 and 9068): from the text to a caller.
//!
//! Nothing in the token chooses how it is verified: the issuer is one of those pinned, the key is
//! one of its file, the algorithm is that of the key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::AuthError;
use super::caller::{Caller, CredentialRef};
use super::claims::{Judged, TokenFault};
use super::credentials::TOKEN_LIMIT;
use super::jws::Jws;
use super::key_ring::KeyRing;
use super::keys::KeyFileError;
use super::revocation::Revocations;
use super::settings::IssuerSettings;
use super::token_cache::TokenCache;
use crate::clock::Clock;
use crate::secret::{Secret, Tagger};

/// How long a request waits for a look at a key file; it then goes on with the old keys.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// The `typ` of access tokens; absent counts as the first.
const TYPES: &[&str] = &["jwt", "at+jwt"];

/// Verifies bearer tokens.
#[derive(Debug)]
pub(super) struct Bearer {
    issuers: Vec<Arc<Issuer>>,
    cache: Arc<TokenCache>,
    revocations: Revocations,
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
        revocations: Revocations,
        clock: Clock,
        tagger: Tagger,
    ) -> Result<Self, KeyFileError> {
        let mut loaded = Vec::with_capacity(issuers.len());
        for settings in issuers {
            let ring = KeyRing::load(&settings.jwks_file)?;
            loaded.push(Arc::new(Issuer { settings, ring }));
        }
        let cache = Arc::new(TokenCache::new(cache));
        Ok(Self { issuers: loaded, cache, revocations, clock, tagger })
    }

    /// Verifies a token.
    pub(super) async fn authenticate(
        &self,
        token: &Secret<String>,
    ) -> Result<Arc<Caller>, AuthError> {
        if token.expose().len() > TOKEN_LIMIT {
            return Err(AuthError::TokenTooLong);
        }
        let now = self.clock.unix_s();
        self.look_for_new_keys(now).await;
        if self.revocations.look(now).await? {
            self.cache.clear();
        }
        let hash = sha256(token.expose());
        let miss = match self.cache.find(&hash, now) {
            Ok(caller) => return Ok(caller),
            Err(miss) => miss,
        };
        let judged = self.verify(token.expose(), now)?;
        let caller = Arc::new(self.name_credential(token, judged.caller, judged.jti.as_deref()));
        self.cache.insert(miss, hash, &caller, judged.until_s, now);
        Ok(caller)
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
        let jws = Jws::read(token)?;
        jws.check_type(TYPES)?;
        let name = jws.payload.text("iss")?.ok_or(TokenFault::Issuer)?;
        let issuer = self.issuers.iter().find(|known| known.settings.issuer == name);
        let issuer = issuer.ok_or(TokenFault::Issuer)?;
        let judged = jws.verify(&issuer.ring.keys())?.judge(&issuer.settings, now)?;
        self.revocations.check(&judged, &issuer.settings.name, issuer.settings.leeway_s)?;
        Ok(judged)
    }

    /// What is revoked.
    pub(super) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    fn name_credential(&self, token: &Secret<String>, caller: Caller, jti: Option<&str>) -> Caller {
        let issuer = match &caller.credential {
            CredentialRef::Bearer { issuer, .. } => issuer.clone(),
            CredentialRef::Session { .. } | CredentialRef::ClientCertificate { .. } => {
                String::new()
            }
        };
        let reference = self.tagger.reference(&[b"token", token.expose().as_bytes()]);
        let jti = jti.map(|id| self.tagger.reference(&[b"jti", issuer.as_bytes(), id.as_bytes()]));
        let credential = CredentialRef::Bearer { issuer, token: reference, jti };
        Caller { credential, ..caller }
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()) {
        *to = *from;
    }
    bytes
}
