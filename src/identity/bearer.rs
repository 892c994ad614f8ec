//! Bearer tokens (JWT, RFC 7519 and 9068): from the text to a caller.
//!
//! Nothing in the token chooses how it is verified: the issuer is one of those pinned, the key is
//! one of its file, the algorithm is that of the key.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};

use super::AuthError;
use super::caller::{Caller, CredentialRef};
use super::claims::{Claims, TokenFault};
use super::credentials::TOKEN_LIMIT;
use super::fetch::{Fetch, NoFetch};
use super::judged::Judged;
use super::jws::Jws;
use super::key_source::Keys;
use super::keys::{Algorithm, KeyFileError, KeySet};
use super::revocation::{Issued, Revocations};
use super::settings::IssuerSettings;
use super::shelf::Shelf;
use super::token_cache::TokenCache;
use crate::clock::Clock;
use crate::secret::{Secret, Tagger};

/// The `typ` of access tokens; absent counts as the first.
const TYPES: &[&str] = &["jwt", "at+jwt"];

/// Issuers that are not believed yet.
#[derive(Debug)]
pub(super) struct NextIssuers(Arc<Vec<Arc<Issuer>>>);

impl NextIssuers {
    /// Takes up what they published last.
    pub(super) async fn recall(&self) {
        for issuer in self.0.iter() {
            issuer.keys.recall().await;
        }
    }
}

/// Verifies bearer tokens.
#[derive(Debug)]
pub(super) struct Bearer {
    issuers: ArcSwap<Vec<Arc<Issuer>>>,
    shelf: Box<Shelf>,
    fetch: Arc<dyn Fetch>,
    cache: Arc<TokenCache>,
    revocations: Revocations,
    clock: Clock,
    tagger: Tagger,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keys: Keys,
}

impl Issuer {
    /// The keys, looked for anew if none of them is the one that the token names.
    async fn keys_for(
        &self,
        jws: &Jws<'_>,
        fetch: &Arc<dyn Fetch>,
    ) -> Result<(Arc<KeySet>, i64), AuthError> {
        let kid = jws.header.text("kid")?;
        let held = self.keys.now();
        if let Some((keys, good_s)) = held
            && keys.find(kid).is_some()
        {
            return Ok((keys, good_s));
        }
        self.keys.learn(fetch).await;
        self.keys.now().ok_or(AuthError::KeysUnavailable)
    }
}

impl Bearer {
    /// Reads the key files. Blocks.
    pub(super) fn load(
        issuers: Vec<IssuerSettings>,
        cache: usize,
        revocations: Revocations,
        shelf: Shelf,
        clock: Clock,
        tagger: Tagger,
    ) -> Result<Self, KeyFileError> {
        let (issuers_of_none, fetch) = (ArcSwap::default(), Arc::new(NoFetch));
        let cache = Arc::new(TokenCache::new(cache));
        let bearer = Self {
            issuers: issuers_of_none,
            shelf: Box::new(shelf),
            fetch,
            cache,
            revocations,
            clock,
            tagger,
        };
        let begun = bearer.prepare(issuers)?;
        bearer.issuers.store(begun.0);
        Ok(bearer)
    }

    /// Reads the key files of issuers that are new or other than now. Blocks.
    pub(super) fn prepare(
        &self,
        issuers: Vec<IssuerSettings>,
    ) -> Result<NextIssuers, KeyFileError> {
        let (now, mut next) = (self.issuers.load(), Vec::with_capacity(issuers.len()));
        for settings in issuers {
            let same = now.iter().find(|known| known.settings == settings);
            next.push(match same {
                Some(same) => Arc::clone(same),
                None => {
                    let keys = Keys::load(&settings, &self.clock, &self.cache, &self.shelf)?;
                    Arc::new(Issuer { settings, keys })
                }
            });
        }
        Ok(NextIssuers(Arc::new(next)))
    }

    /// Believes these issuers from now on, and no token that was verified before without looking at it again.
    pub(super) fn take(&self, next: NextIssuers) {
        self.issuers.store(next.0);
        self.cache.clear();
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
        self.keep_keys(now).await;
        self.look_for_revocations(now).await?;
        let hash = sha256(token.expose());
        let miss = match self.cache.find(&hash, now) {
            Ok(caller) => return Ok(caller),
            Err(miss) => miss,
        };
        let judged = self.verify(token.expose(), now).await?;
        let caller = Arc::new(self.name_credential(token, judged.caller, judged.jti.as_deref()));
        self.cache.insert(miss, hash, &caller, judged.until_s, now);
        Ok(caller)
    }

    /// Reads all key files that changed, now. Blocks.
    pub(super) fn reload_keys(&self) -> Result<(), KeyFileError> {
        self.issuers.load().iter().try_for_each(|issuer| issuer.keys.reload())
    }

    /// Fetches published keys by this from now on.
    pub(super) fn fetch_by(&mut self, fetch: Arc<dyn Fetch>) {
        self.fetch = fetch;
    }

    /// Takes up the keys that were published before the restart.
    pub(super) async fn recall_keys(&self) {
        NextIssuers(self.issuers.load_full()).recall().await;
    }

    /// Looks for new keys where it is time.
    pub(super) async fn keep_keys(&self, now: i64) {
        for issuer in self.issuers.load_full().iter() {
            issuer.keys.keep(&self.fetch, now).await;
        }
    }

    async fn verify(&self, token: &str, now: i64) -> Result<Judged, AuthError> {
        let jws = Jws::read(token)?;
        jws.check_type(TYPES)?;
        let name = jws.payload.text("iss")?.ok_or(TokenFault::Issuer)?;
        let issuer = self.issuer(|known| known.issuer == name)?;
        let (keys, good_s) = issuer.keys_for(&jws, &self.fetch).await?;
        let mut judged = jws.verify(&keys)?.judge(&issuer.settings, now)?;
        // No longer than its key can be believed.
        judged.until_s = judged.until_s.min(now.saturating_add(good_s));
        let settings = &issuer.settings;
        self.revocations.check(&judged, &settings.name, (now, settings.leeway_s))?;
        Ok(judged)
    }

    fn issuer(&self, is_it: impl Fn(&IssuerSettings) -> bool) -> Result<Arc<Issuer>, TokenFault> {
        let issuers = self.issuers.load();
        let found = issuers.iter().find(|known| is_it(&known.settings));
        found.cloned().ok_or(TokenFault::Issuer)
    }

    /// Reads what was revoked meanwhile.
    pub(super) async fn look_for_revocations(&self, now: i64) -> Result<(), AuthError> {
        Ok(self.revocations.look(now, || self.cache.clear()).await?)
    }

    /// The claims of a token of that issuer under a good signature, and the algorithm. They are not judged.
    pub(super) async fn claims_of(
        &self,
        issuer: &str,
        token: &str,
        types: &[&str],
    ) -> Result<(Claims, Algorithm), AuthError> {
        let now = self.clock.unix_s();
        let issuer = self.issuer(|known| known.name == issuer)?;
        issuer.keys.keep(&self.fetch, now).await;
        self.look_for_revocations(now).await?;
        let jws = Jws::read(token)?;
        jws.check_type(types)?;
        let (keys, _) = issuer.keys_for(&jws, &self.fetch).await?;
        let algorithm = jws.key(&keys)?.algorithm;
        Ok((jws.verify(&keys)?, algorithm))
    }

    /// Whether a token that was good when it was shown is revoked, or nobody vouches for it any more.
    pub(super) fn is_revoked(&self, token: &Issued<'_>, now: i64) -> bool {
        match self.issuer(|known| known.name == token.issuer) {
            Ok(issuer) => self.revocations.is_revoked(token, (now, issuer.settings.leeway_s)),
            Err(_none) => true,
        }
    }

    /// What is revoked.
    pub(super) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    fn name_credential(&self, token: &Secret<String>, caller: Caller, jti: Option<&str>) -> Caller {
        let issuer = match &caller.credential {
            CredentialRef::Bearer { issuer, .. } => issuer.clone(),
            CredentialRef::Session { .. }
            | CredentialRef::ApiKey { .. }
            | CredentialRef::ClientCertificate { .. } => String::new(),
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
