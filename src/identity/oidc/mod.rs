//! Signing in at an issuer (OpenID Connect): code flow with PKCE, `state`, `nonce` and `iss` (RFC 9207).
//!
//! What was begun is sealed into a cookie of its own, so that strangers who begin and never return fill
//! nothing, and an answer counts only in the browser that asked.

mod begun;
mod id_token;
mod logout;
mod provider;

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use begun::{OIDC_COOKIE, clear_oidc_cookie, set_oidc_cookie};
pub use logout::OidcSignedOut;
pub(super) use provider::Providers;

use super::claims::TokenFault;
use super::settings::IssuerSettings;
use super::{AuthError, Cookie, FetchError, Identity, NewSession, Place};
use crate::secret::{Secret, random_token};
use crate::state::{IssuerSessionRow, SessionId, StateError};
use begun::Sealed;

/// How long somebody may take at the issuer, in seconds.
pub const OIDC_S: u32 = 600;

/// What stays as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked of an issuer, and from where.
#[derive(Clone, Debug)]
pub struct OidcAsk<'a> {
    /// The issuer's short name.
    pub issuer: &'a str,
    /// Where the session will be good.
    pub place: &'a Place,
    /// The host with its port, if that is not 443.
    pub authority: &'a str,
    /// Where to go afterwards: a path on this host.
    pub next: &'a str,
    /// The level to reach, where a session is to be raised.
    pub level: u8,
    /// The greatest age of the factor, likewise.
    pub max_age_s: Option<u32>,
    /// The session that is to be raised.
    pub session: Option<&'a Cookie>,
}

/// Where to send the browser, with what.
#[derive(Clone, Debug)]
pub struct OidcBegun {
    /// The issuer's address.
    pub location: String,
    /// The value of the cookie [`OIDC_COOKIE`].
    pub cookie: Secret<String>,
}

/// What the browser brings back from the issuer.
#[derive(Clone, Debug, Default)]
pub struct OidcAnswer {
    /// The code.
    pub code: String,
    /// What was sent along.
    pub state: String,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// Why not.
    pub error: Option<String>,
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct OidcDone {
    /// The session.
    pub session: NewSession,
    /// Where to go.
    pub next: String,
    /// The level that was asked for and is not reached.
    pub missed: Option<u8>,
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcFault {
    /// Nobody signs in at an issuer of that name.
    #[error("nobody signs in at that issuer here")]
    Unknown,
    /// The browser has not begun here, or too long ago, or elsewhere.
    #[error("this sign-in was not begun in this browser, or too long ago; begin it again")]
    NotBegun,
    /// The answer is to another question.
    #[error("the issuer's answer belongs to another sign-in; begin it again")]
    State,
    /// Another issuer answers.
    #[error("the answer is not that of the issuer that was asked")]
    Mixed,
    /// The answer was used before.
    #[error("the issuer's answer was used before; begin the sign-in again")]
    Replayed,
    /// The issuer says no.
    #[error("the issuer did not sign anybody in (`{0}`)")]
    Denied(String),
    /// The issuer does not answer, or not as it should.
    #[error("the issuer cannot be asked: {0}")]
    Unreachable(#[from] FetchError),
    /// What the issuer says of itself cannot be used.
    #[error("what the issuer says of itself cannot be used: {0}")]
    Metadata(&'static str),
    /// The keys of the issuer are not known.
    #[error("the keys of the issuer are not known at the moment")]
    Keys,
    /// The token is not good.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The token is of another sign-in.
    #[error("the token belongs to another sign-in")]
    Nonce,
    /// The token is for another party.
    #[error("the token is for another party")]
    Party,
    /// The access token beside it is another one.
    #[error("the tokens do not belong together")]
    Apart,
    /// The factor is older than what was asked for.
    #[error("the issuer did not ask for the factor anew")]
    Stale,
    /// Somebody else signed in to raise the session.
    #[error("somebody else signed in; sign out first")]
    OtherPerson,
    /// An order to sign out that was used before, or is none.
    #[error("the order to sign out is not accepted")]
    Logout,
    /// The state could not be read or written, or no randomness be had.
    #[error(transparent)]
    Store(#[from] StateError),
}

impl OidcFault {
    /// The word for it in the log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "issuer_unknown",
            Self::NotBegun => "not_begun",
            Self::State => "state",
            Self::Mixed => "issuer_mixed",
            Self::Replayed => "replayed",
            Self::Denied(_) => "issuer_denied",
            Self::Unreachable(_) => "issuer_unreachable",
            Self::Metadata(_) => "issuer_metadata",
            Self::Keys => "issuer_keys",
            Self::Token(_) => "token",
            Self::Nonce => "nonce",
            Self::Party => "party",
            Self::Apart => "at_hash",
            Self::Stale => "stale",
            Self::OtherPerson => "other_person",
            Self::Logout => "logout_token",
            Self::Store(_) => "unchecked",
        }
    }

    /// Whether it is the issuer or the gate that fails, not who asks.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Metadata(_) | Self::Keys | Self::Store(_) => true,
            Self::Unknown
            | Self::NotBegun
            | Self::State
            | Self::Mixed
            | Self::Replayed
            | Self::Denied(_)
            | Self::Token(_)
            | Self::Nonce
            | Self::Party
            | Self::Apart
            | Self::Stale
            | Self::OtherPerson
            | Self::Logout => false,
        }
    }
}

impl From<AuthError> for OidcFault {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Token(fault) => Self::Token(fault),
            AuthError::State(error) => Self::Store(error),
            AuthError::KeysUnavailable => Self::Keys,
            AuthError::Missing
            | AuthError::TwoCredentials
            | AuthError::Scheme
            | AuthError::Malformed
            | AuthError::TokenTooLong
            | AuthError::Certificate(_)
            | AuthError::Proof(_)
            | AuthError::UseNonce(_)
            | AuthError::ProofsUnavailable
            | AuthError::ApiKey
            | AuthError::AtIssuer(_)
            | AuthError::SessionEnded => Self::NotBegun,
        }
    }
}

impl Identity {
    /// The issuers at which people can sign in: their short names.
    #[must_use]
    pub fn sign_in_issuers(&self) -> Vec<String> {
        let settings = self.settings();
        let with = settings.issuers.iter().filter(|issuer| issuer.sign_in.is_some());
        with.map(|issuer| issuer.name.clone()).collect()
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_sign_in_issuers(&self) -> bool {
        self.settings().issuers.iter().any(|issuer| issuer.sign_in.is_some())
    }

    /// The issuer at which this account signs in in a browser, if it does.
    #[must_use]
    pub fn sign_in_issuer_of(&self, account: &str) -> Option<String> {
        let (issuer, _) = account.split_once(':')?;
        self.sign_in_issuer(issuer).ok().map(|issuer| issuer.name)
    }

    fn sign_in_issuer(&self, name: &str) -> Result<IssuerSettings, OidcFault> {
        let settings = self.settings();
        let found = settings.issuers.iter().find(|issuer| issuer.name == name);
        found.filter(|issuer| issuer.sign_in.is_some()).cloned().ok_or(OidcFault::Unknown)
    }

    /// Begins a sign-in: where the browser goes, and what it keeps meanwhile.
    ///
    /// # Errors
    /// [`OidcFault`]
    pub async fn begin_oidc(&self, ask: OidcAsk<'_>) -> Result<OidcBegun, OidcFault> {
        let issuer = &self.sign_in_issuer(ask.issuer)?;
        let client = issuer.sign_in.as_ref().ok_or(OidcFault::Unknown)?;
        let (providers, by) = (self.providers.load_full(), (&self.fetch, &self.clock));
        let metadata = providers.metadata(issuer, by).await?;
        let mut begun = Sealed {
            issuer: issuer.name.clone(),
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            redirect: format!("https://{}/.menshen/oidc/{}/callback", ask.authority, issuer.name),
            next: ask.next.to_owned(),
            level: ask.level,
            max_age_s: ask.max_age_s,
            account: None,
            session: None,
            at_s: self.clock.unix_s(),
        };
        if let Some(cookie) = ask.session
            && let Some(row) = self.store.issuer_session(self.session_id(cookie)).await?
        {
            begun.account = Some(row.account);
            begun.session = Some(self.session_id(cookie));
        }
        let mut query = vec![
            ("response_type", "code".to_owned()),
            ("client_id", client.client_id.clone()),
            ("redirect_uri", begun.redirect.clone()),
            ("scope", client.scopes.join(" ")),
            ("state", begun.state.clone()),
            ("nonce", begun.nonce.clone()),
            ("code_challenge", begun.challenge()),
            ("code_challenge_method", "S256".to_owned()),
        ];
        if begun.is_raising() {
            query.push(("prompt", "login".to_owned()));
            query.extend(acr_values(issuer, ask.level).map(|values| ("acr_values", values)));
            query.extend(ask.max_age_s.map(|seconds| ("max_age", seconds.to_string())));
        }
        let joint = if metadata.authorization.contains('?') { '&' } else { '?' };
        let location = format!("{}{joint}{}", metadata.authorization, encoded(&query));
        Ok(OidcBegun { location, cookie: begun.seal(&self.oidc_sealer, ask.place)? })
    }

    /// Ends a sign-in: judges the answer, fetches and judges the token, and begins the session.
    ///
    /// # Errors
    /// [`OidcFault`]; nobody is signed in then.
    pub async fn finish_oidc(
        &self,
        issuer: &str,
        sealed: &str,
        answer: OidcAnswer,
        (place, address): (&Place, IpAddr),
    ) -> Result<OidcDone, OidcFault> {
        let issuer = &self.sign_in_issuer(issuer)?;
        let now = self.clock.unix_s();
        let begun = Sealed::open(&self.oidc_sealer, sealed, place, now)?;
        if begun.issuer != issuer.name {
            return Err(OidcFault::Mixed);
        }
        if verify_slices_are_equal(begun.state.as_bytes(), answer.state.as_bytes()).is_err() {
            return Err(OidcFault::State);
        }
        let (providers, by) = (self.providers.load_full(), (&self.fetch, &self.clock));
        let metadata = providers.metadata(issuer, by).await?;
        match &answer.iss {
            Some(iss) if *iss != issuer.issuer => return Err(OidcFault::Mixed),
            None if metadata.tells_issuer => return Err(OidcFault::Mixed),
            Some(_) | None => {}
        }
        let used = self.session_tagger.tag(&[b"oidc-state", begun.state.as_bytes()]);
        if !self.store.use_once(used, now.saturating_add(i64::from(OIDC_S))).await? {
            return Err(OidcFault::Replayed);
        }
        if let Some(error) = answer.error {
            let is_word = |b: u8| b.is_ascii_lowercase() || b == b'_';
            let known = error.len() <= 64 && error.bytes().all(is_word);
            return Err(OidcFault::Denied(if known { error } else { "error".to_owned() }));
        }
        let code = (&begun, answer.code.as_str());
        let tokens = providers.exchange(issuer, &metadata, code, &self.fetch).await?;
        let proved = self.judge_id_token(issuer, &tokens, &begun).await?;
        let person = begun.account.as_ref().filter(|account| **account != proved.caller.account);
        if person.is_some() {
            return Err(OidcFault::OtherPerson);
        }
        let missed = (proved.caller.assurance < begun.level).then_some(begun.level);
        let session = self.begin_issuer_session(proved, begun.session, (place, address)).await?;
        Ok(OidcDone { session, next: begun.next, missed })
    }

    async fn begin_issuer_session(
        &self,
        proved: id_token::Proved,
        old: Option<SessionId>,
        (place, address): (&Place, IpAddr),
    ) -> Result<NewSession, OidcFault> {
        let (now, cookie) = (self.clock.unix_s(), Cookie::random(place)?);
        let expires_s = now.saturating_add(i64::from(self.settings().session.absolute_s));
        let caller = proved.caller;
        let row = IssuerSessionRow {
            id: self.session_id(&cookie),
            account: caller.account.clone(),
            sid: proved.sid,
            caller: super::issuer_session::to_json(&caller)?,
            factors: super::sign_in::json(&caller.factors)?,
            began_s: now,
            last_seen_s: now,
            expires_s,
            host: place.host.to_string(),
            from: address.to_canonical().to_string(),
        };
        let most = self.settings().session.per_account.max(1);
        self.store.begin_issuer_session(row, old, most).await?;
        Ok(self.new_session(caller.account, cookie, caller.factors, expires_s, false))
    }
}

/// The values of `acr` that reach a level, the lowest first.
fn acr_values(issuer: &IssuerSettings, level: u8) -> Option<String> {
    let mut reaching: BTreeMap<(u8, &str), ()> = BTreeMap::new();
    for (acr, gives) in issuer.assurance.iter().filter(|(_, gives)| **gives >= level) {
        reaching.insert((*gives, acr), ());
    }
    let values: Vec<&str> = reaching.keys().map(|(_, acr)| *acr).collect();
    (!values.is_empty()).then(|| values.join(" "))
}

fn random() -> Result<String, StateError> {
    Ok(random_token::<32>()?.expose().clone())
}

/// Names and values as a query or a form.
fn encoded(pairs: &[(&str, String)]) -> String {
    let pair =
        |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, QUERY));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}
