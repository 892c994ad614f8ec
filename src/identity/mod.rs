//! Who asks: from the credential of a request to a [`Caller`], and how people sign in.
//!
//! Knows nothing of policy: what a caller may do is decided elsewhere.

mod account;
mod api_key;
mod assertion;
mod bearer;
mod binding;
mod caller;
mod case_ticket;
mod ceremony;
mod claims;
mod client_cert;
mod credentials;
mod device;
mod dpop;
mod due;
mod enrolled;
mod fetch;
mod invitation;
mod issuer_session;
mod json;
mod judged;
mod jwks;
mod jws;
mod key_ring;
mod key_source;
mod keys;
mod machine;
mod methods;
mod new_password;
mod oidc;
mod overview;
mod parked;
pub mod passkey;
mod password;
mod person;
mod place;
mod posture;
mod published;
mod recovery;
mod revocation;
mod roster;
mod session;
mod settings;
mod shared_proofs;
mod shelf;
mod sign_in;
pub mod step_up;
mod strength;
mod summary;
mod token_cache;
mod totp;
mod ways;
mod withdrawn;
mod workers;

pub use account::{Account, AccountError, NewAccount};
pub use api_key::{API_KEY_LONGEST_S, ApiKeyError, ApiKeyInfo, NewApiKey};
pub use assertion::{ASSERTION_LIFE_S, Asserted, AssertionSettings, Assertions};
pub use binding::Binding;
pub use caller::{
    Attribute, Caller, CallerKind, CredentialRef, Factor, FactorMethod, UnknownKind, UnknownMethod,
};
pub use case_ticket::{
    CaseIssuerSettings, CaseTicket, CaseTicketFault, CaseTickets, TICKET_LEEWAY_S,
};
pub use ceremony::{
    CHALLENGE_S, CreationOptions, NewPasskey, PasskeyFault, PasskeyInfo, PendingCodes,
    RequestOptions, ShownPasskey, Site,
};
pub use claims::TokenFault;
pub use client_cert::{Certificate, CertificateFault, SubjectName, UnknownName};
pub use credentials::{CLEAR_COOKIE, COOKIE_NAME, Credentials, set_cookie};
pub use device::{DeviceError, DeviceInfo};
pub use dpop::{DPOP_ALGORITHMS, DpopFault, Target};
pub use fetch::{FETCH_LIMIT, Fetch, FetchAsk, FetchError, FetchFuture};
pub use invitation::{Arrived, Invitation};
pub use jwks::{JwksKey, JwksOrigin, VerifiedToken, VerifyError, check_jwks, verify_token};
pub use keys::{KeyFault, KeyFileError};
pub use oidc::{
    OIDC_COOKIE, OIDC_S, OidcAnswer, OidcAsk, OidcBegun, OidcDone, OidcFault, OidcSignedOut,
    clear_oidc_cookie, set_oidc_cookie,
};
pub use overview::{Overview, SessionInfo, SignedIn};
pub use parked::Parker;
pub use place::{Cookie, Place};
pub use recovery::{RecoveryCodes, is_recovery_code};
pub use roster::{Joined, Standing};
pub use session::SignedOut;
pub use settings::{
    IssuerSettings, KeySource, LockoutSettings, MachineSettings, PasswordSettings, PostureClaim,
    SessionSettings, Settings, SignInSettings,
};
pub use shared_proofs::{
    ProofShown, SharedProof, SharedProofFuture, SharedProofs, SharedProofsError,
};
pub use sign_in::{AccountRef, NewSession, SignInError};
pub use strength::{PasswordFault, Whose, check_new_password};
pub use summary::Summary;
pub use totp::{Enrolment, next_code_at, totp_code_at};
pub use ways::{Factors, Ways};
pub use withdrawn::Begun;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::secret::{MasterKey, Sealer, Secret, SecretError, Tagger};
pub use crate::state::{ActRow as AccountAct, RosterRow, counted_as};
use crate::state::{ProofTaken, StateError, Store};

/// Authenticates callers and signs people in. Share it in an `Arc`.
#[derive(Debug)]
pub struct Identity {
    settings: ArcSwap<Settings>,
    store: Store,
    clock: Clock,
    bearer: bearer::Bearer,
    roster: roster::Roster,
    hasher: password::Hasher,
    sealer: Sealer,
    oidc_sealer: Sealer,
    /// Fetches what issuers publish.
    fetch: Arc<dyn Fetch>,
    providers: ArcSwap<oidc::Providers>,
    parked_sealer: Sealer,
    session_tagger: Tagger,
    failure_tagger: Tagger,
    log_tagger: Tagger,
    passkey_tagger: Tagger,
    device_tagger: Tagger,
    api_key_tagger: Tagger,
    proof_tagger: Tagger,
    /// Which proofs any gate took, where several share a store.
    shared_proofs: Option<Arc<dyn SharedProofs>>,
    devices: enrolled::Enrolled,
    recovery_tagger: Tagger,
}

/// Why identity could not start.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Two issuers share a name or an `iss`, or a name has other letters.
    #[error(
        "issuer `{0}`: its name must be of a-z, 0-9 and `-`, not `machine`, and both name and `iss` must be unique"
    )]
    Issuer(String),
    /// An assurance outside 1 to 3.
    #[error("issuer `{issuer}`: assurance of `{acr}` must be 1, 2 or 3")]
    Assurance {
        /// The issuer's name.
        issuer: String,
        /// The `acr` that is mapped so.
        acr: String,
    },
    /// Two machines share a name, or a name has other letters.
    #[error("machine `{0}`: its name must be of a-z, 0-9 and `-`, and unique")]
    Machine(String),
    /// Keys that are published by other means than https.
    #[error(
        "issuer `{issuer}`: keys must be in a file or at an address that begins with `https://`"
    )]
    KeyAddress {
        /// The issuer's name.
        issuer: String,
    },
    /// The client's secret at an issuer cannot be read.
    #[error("issuer `{issuer}`: client secret `{path}`: {reason}")]
    ClientSecret {
        /// The issuer's name.
        issuer: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokens of a sign-in would be taken for those of the API.
    #[error("issuer `{0}`: `client-id` and `audience` must differ")]
    SameAudience(String),
    /// A key file is refused.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The key library refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There can be no more threads.
    #[error("no threads to hash passwords on: {0}")]
    Threads(#[source] std::io::Error),
}

/// Why a request has no caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It shows no credential.
    #[error("no credential was shown")]
    Missing,
    /// It shows more than one.
    #[error("more than one credential was shown; send one bearer token or one session cookie")]
    TwoCredentials,
    /// It uses another scheme.
    #[error("the `Authorization` scheme must be Bearer, DPoP or ApiKey")]
    Scheme,
    /// The credential has a shape that none of ours has.
    #[error("the credential is malformed")]
    Malformed,
    /// The token is longer than 8 KiB.
    #[error("the bearer token must be at most 8 KiB")]
    TokenTooLong,
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The client certificate is not good.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// The proof of possession is not good.
    #[error(transparent)]
    Proof(#[from] DpopFault),
    /// The proof lacks a nonce of the gate's, this one.
    #[error("the proof must have the gate's nonce")]
    UseNonce(String),
    /// The API key never was, has ended, or is for elsewhere, or its account is switched off.
    #[error("the API key is not good here")]
    ApiKey,
    /// The keys of the token's issuer could not be fetched, so nobody knows whether it is good.
    #[error("the keys of the token's issuer are not known at the moment")]
    KeysUnavailable,
    /// Whether another gate took the proof cannot be known, so nobody knows whether it is good.
    #[error("the store of the gates cannot tell at the moment whether the proof was used before")]
    ProofsUnavailable,
    /// Whoever holds the session signs in at an issuer, and has password and factors there.
    #[error("password and further factors are kept at `{0}`, where this session was begun")]
    AtIssuer(String),
    /// The session never was, has ended, or its account is switched off.
    #[error("the session has ended")]
    SessionEnded,
    /// The state could not be read: nobody can be let in.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Identity {
    /// Reads the issuers' key files and derives the keys of its own. Blocks for a few disk accesses.
    ///
    /// # Errors
    /// [`IdentityError`] naming the issuer, or the key file and the key in it.
    pub fn new(
        settings: Settings,
        store: Store,
        master: &MasterKey,
        clock: Clock,
    ) -> Result<Self, IdentityError> {
        check_issuers(&settings.issuers)?;
        check_machines(&settings.machines)?;
        let log_tagger = master.tagger("log-reference")?;
        let bearer = bearer::Bearer::load(
            settings.issuers.clone(),
            settings.token_cache,
            revocation::Revocations::new(store.clone(), master.tagger("token-revocation")?),
            shelf::Shelf::new(store.clone(), master.tagger("issuer-keys")?),
            clock.clone(),
            log_tagger.clone(),
        )?;
        Ok(Self {
            bearer,
            roster: roster::Roster::new(store.clone()),
            hasher: password::Hasher::new(
                master,
                settings.hashes_at_once,
                settings.hashes_waiting,
                Duration::from_secs(u64::from(settings.hash_patience_s)),
            )?,
            sealer: master.sealer("totp-secret")?,
            oidc_sealer: master.sealer("oidc-sign-in")?,
            fetch: Arc::new(fetch::NoFetch),
            providers: ArcSwap::from_pointee(providers(&settings)?),
            parked_sealer: master.sealer("parked-request")?,
            session_tagger: master.tagger("session-id")?,
            failure_tagger: master.tagger("sign-in-failure")?,
            log_tagger,
            passkey_tagger: master.tagger("passkey")?,
            device_tagger: master.tagger("device")?,
            api_key_tagger: master.tagger("api-key")?,
            proof_tagger: master.tagger("proof")?,
            shared_proofs: None,
            devices: enrolled::Enrolled::new(store.clone()),
            recovery_tagger: master.tagger("recovery-code")?,
            settings: ArcSwap::from_pointee(settings),
            store,
            clock,
        })
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Fetches what issuers publish by this from now on; without it nothing is fetched.
    #[must_use]
    pub fn fetching(mut self, fetch: Arc<dyn Fetch>) -> Self {
        self.bearer.fetch_by(Arc::clone(&fetch));
        self.fetch = fetch;
        self
    }

    /// Has each proof of possession taken once at all gates that share this, and not only here.
    #[must_use]
    pub fn sharing_proofs(mut self, proofs: Arc<dyn SharedProofs>) -> Self {
        self.shared_proofs = Some(proofs);
        self
    }

    /// Takes up the keys that the issuers published last, for as long as they are good; call it at the start.
    pub async fn recall_keys(&self) {
        self.bearer.recall_keys().await;
    }

    /// Looks for new keys of the issuers where it is time; at the start that is everywhere.
    pub async fn keep_keys(&self) {
        self.bearer.keep_keys(self.clock.unix_s()).await;
    }

    /// The caller of a token that is bound to a key, with the proof that its holder has the key (RFC 9449).
    ///
    /// # Errors
    /// As [`Identity::authenticate`]; a proof that cannot be remembered is not believed.
    pub async fn authenticate_proved(
        &self,
        (token, proof): (&Secret<String>, &Secret<String>),
        target: &Target,
        place: &Place,
    ) -> Result<Arc<Caller>, AuthError> {
        self.look_at_roster().await?;
        let now = self.clock.unix_s();
        if let Some(certificate) = &place.certificate {
            certificate.check(now)?;
        }
        // The token first: nobody without one has signatures verified by a key of their own.
        let caller = posture::without_faded(self.bearer.authenticate(token).await?, now);
        let expected = dpop::Expected { target, token: token.expose(), now };
        let proof = dpop::verify(proof.expose(), &expected)?;
        caller.binding.check(place, Some(proof.key))?;
        if self.settings().asks_for_nonces {
            let slot = now.div_euclid(dpop::NONCE_S);
            let known = [slot, slot.saturating_sub(1)].map(|slot| self.nonce(slot));
            if !proof.nonce.as_ref().is_some_and(|nonce| known.contains(nonce)) {
                let [current, _] = known;
                return Err(AuthError::UseNonce(current));
            }
        }
        self.check_standing(&caller.account)?;
        // Last, so that only proofs that would be believed are remembered.
        let taken = self.proof_tagger.tag(&[b"proof", &proof.key, proof.id.as_bytes()]);
        let holder = self.proof_tagger.tag(&[b"holder", &proof.key]);
        match self.store.take_proof(taken, holder, proof.until_s).await? {
            ProofTaken::Once => {
                self.take_at_all_gates(taken, &proof).await?;
                self.on_device(caller, place, None).await
            }
            ProofTaken::Replayed => Err(DpopFault::Replayed.into()),
            ProofTaken::TooMany => Err(DpopFault::TooMany.into()),
        }
    }

    /// Takes a proof that is new here for the other gates as well, if there are any.
    async fn take_at_all_gates(
        &self,
        name: [u8; 32],
        proof: &dpop::Proof,
    ) -> Result<(), AuthError> {
        let Some(shared) = &self.shared_proofs else { return Ok(()) };
        let shown = ProofShown {
            name,
            made_s: proof.until_s.saturating_sub(dpop::AGE_S),
            until_s: proof.until_s,
            ahead_s: dpop::AHEAD_S,
            now_ms: self.clock.unix_ms(),
        };
        match shared.take(shown).await {
            Ok(SharedProof::Once) => Ok(()),
            Ok(SharedProof::Replayed) => Err(DpopFault::Replayed.into()),
            Ok(SharedProof::Unknown) => Err(AuthError::ProofsUnavailable),
            Err(error) => {
                tracing::warn!(%error, "whether another gate took a proof cannot be known");
                Err(AuthError::ProofsUnavailable)
            }
        }
    }

    fn nonce(&self, slot: i64) -> String {
        self.proof_tagger.reference(&[b"nonce", &slot.to_be_bytes()])
    }

    /// Turns the credential of a request into the caller; `place` is where it came in.
    ///
    /// # Errors
    /// [`AuthError`]; only [`AuthError::State`] is the gate's own fault.
    pub async fn authenticate(
        &self,
        credentials: Credentials,
        place: &Place,
    ) -> Result<Arc<Caller>, AuthError> {
        self.caller(&credentials, place, session::Used::Now).await
    }

    /// Who a credential that was believed before stands for now, for what is still open: it ends when that is nobody, or
    /// somebody with other rights. No use of a session. A proof was for the request that began it, so only its token is
    /// looked at.
    ///
    /// # Errors
    /// [`AuthError`], as for a request.
    pub async fn look_again(
        &self,
        shown: &Credentials,
        place: &Place,
    ) -> Result<Arc<Caller>, AuthError> {
        self.caller(shown, place, session::Used::Before).await
    }

    async fn caller(
        &self,
        shown: &Credentials,
        place: &Place,
        used: session::Used,
    ) -> Result<Arc<Caller>, AuthError> {
        self.look_at_roster().await?;
        if let Some(certificate) = &place.certificate {
            certificate.check(self.clock.unix_s())?;
        }
        let mut passkey = None;
        let caller = match shown {
            Credentials::Bearer(token) => {
                let caller = self.bearer.authenticate(token).await?;
                // A verified token may be remembered; who shows it is looked at each time.
                caller.binding.check(place, None)?;
                caller
            }
            // Whoever knows what is asked for takes the other way.
            Credentials::Dpop { .. } if used == session::Used::Now => {
                return Err(DpopFault::Missing.into());
            }
            Credentials::Dpop { token, .. } => self.bearer.authenticate(token).await?,
            Credentials::ApiKey(key) => Arc::new(self.key_caller(key, place).await?),
            Credentials::Session(cookie) => {
                let (caller, shown) = self.session_caller(cookie, used).await?;
                passkey = shown;
                Arc::new(caller)
            }
            Credentials::Certificate => Arc::new(self.machine_caller(place)?),
        };
        let caller = posture::without_faded(caller, self.clock.unix_s());
        self.check_standing(&caller.account)?;
        self.on_device(caller, place, passkey).await
    }

    /// Reads the key files that changed, now rather than within seconds. Blocks.
    ///
    /// # Errors
    /// [`KeyFileError`]; the old keys of that issuer stay in use.
    pub fn reload_keys(&self) -> Result<(), KeyFileError> {
        self.bearer.reload_keys()
    }
}

/// Settings that hold for nobody yet, with what they need read.
#[derive(Debug)]
pub struct NextSettings {
    settings: Settings,
    issuers: bearer::NextIssuers,
    providers: oidc::Providers,
}

/// Other settings while the gate runs. How many passwords are hashed at once, and how many tokens remembered, stays as it is.
impl Identity {
    /// Reads the keys and secrets of issuers that are new or other than now. Blocks.
    ///
    /// # Errors
    /// [`IdentityError`], as [`Identity::new`]; what there is goes on.
    pub fn prepare(&self, settings: Settings) -> Result<NextSettings, IdentityError> {
        check_issuers(&settings.issuers)?;
        check_machines(&settings.machines)?;
        let issuers = self.bearer.prepare(settings.issuers.clone())?;
        Ok(NextSettings { issuers, providers: providers(&settings)?, settings })
    }

    /// Judges by these from the next request on.
    pub fn take(&self, next: NextSettings) {
        let is_same = self.settings.load().issuers == next.settings.issuers;
        self.settings.store(Arc::new(next.settings));
        if !is_same {
            self.providers.store(Arc::new(next.providers));
            self.bearer.take(next.issuers);
        }
    }
}

impl NextSettings {
    /// Takes up the keys that new issuers published last, for as long as they are good.
    pub async fn recall_keys(&self) {
        self.issuers.recall().await;
    }
}

fn providers(settings: &Settings) -> Result<oidc::Providers, IdentityError> {
    Ok(oidc::Providers::new(&settings.issuers, client_secrets(&settings.issuers)?))
}

/// The secrets by which the issuers know us; a file's first line each.
fn client_secrets(
    issuers: &[IssuerSettings],
) -> Result<HashMap<String, Secret<String>>, IdentityError> {
    let mut secrets = HashMap::new();
    for issuer in issuers {
        let file = issuer.sign_in.as_ref().and_then(|client| client.client_secret.as_ref());
        let Some(file) = file else { continue };
        let refused = |reason: String| IdentityError::ClientSecret {
            issuer: issuer.name.clone(),
            path: file.display().to_string(),
            reason,
        };
        let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let text = zeroize::Zeroizing::new(text);
        let secret = text.lines().next().unwrap_or_default().trim();
        if secret.is_empty() || secret.len() > 1024 || !secret.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(refused("its first line must be the secret".to_owned()));
        }
        secrets.insert(issuer.name.clone(), Secret::new(secret.to_owned()));
    }
    Ok(secrets)
}

fn check_issuers(issuers: &[IssuerSettings]) -> Result<(), IdentityError> {
    for (place, issuer) in (1_usize..).zip(issuers) {
        let is_word = is_word(&issuer.name) && issuer.name != machine::PREFIX;
        let is_taken = issuers
            .iter()
            .skip(place)
            .any(|other| other.name == issuer.name || other.issuer == issuer.issuer);
        if !is_word || is_taken {
            return Err(IdentityError::Issuer(issuer.name.clone()));
        }
        if let KeySource::Url { url, .. } = &issuer.keys
            && !url.starts_with("https://")
        {
            return Err(IdentityError::KeyAddress { issuer: issuer.name.clone() });
        }
        if issuer.sign_in.as_ref().is_some_and(|client| client.client_id == issuer.audience) {
            return Err(IdentityError::SameAudience(issuer.name.clone()));
        }
        let mut levels = issuer.assurance.iter().chain(&issuer.methods_assurance);
        if let Some((acr, _)) = levels.find(|(_, level)| !(1..=3).contains(*level)) {
            return Err(IdentityError::Assurance { issuer: issuer.name.clone(), acr: acr.clone() });
        }
    }
    Ok(())
}

fn check_machines(machines: &[MachineSettings]) -> Result<(), IdentityError> {
    for (place, machine) in (1_usize..).zip(machines) {
        let is_taken = machines.iter().skip(place).any(|other| other.name == machine.name);
        if !is_word(&machine.name) || is_taken {
            return Err(IdentityError::Machine(machine.name.clone()));
        }
    }
    Ok(())
}

fn is_word(name: &str) -> bool {
    let is_letter = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests;
