//! Browser sessions: from a cookie to a caller, and the end of it.
//!
//! Every look-up reads the account as it is now, so that a role taken away, an account switched
//! off or a session ended counts from the next request on.

use std::net::IpAddr;
use std::sync::Arc;

use super::account::Account;
use super::caller::{Caller, CredentialRef, Factor};
use super::sign_in::json;
use super::{AuthError, Cookie, Credentials, Identity, NewSession, SignInError};
use crate::state::{
    AccountRow, Elevated, Elevation, NewSessionRow, Proof, SessionId, SessionRow, Settled,
    StateError,
};

/// A use is noted at most once in so many seconds: reading must not write each time.
const TOUCH_AFTER_S: i64 = 60;

/// A session that ended because its holder said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// Whose it was.
    pub account: String,
    /// Keyed hash of the cookie value, as in the log.
    pub reference: String,
}

/// Whether a look at a session is a use of it, which keeps it from ending for want of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    Now,
    /// Something is open that was begun with it.
    Before,
}

/// A session that is good at this moment.
pub(super) struct LiveSession {
    pub(super) id: SessionId,
    pub(super) row: AccountRow,
    pub(super) factors: Vec<Factor>,
    pub(super) expires_s: i64,
    pub(super) before: Option<(i64, String)>,
    /// The passkey that was shown in it last.
    pub(super) passkey: Option<Vec<u8>>,
}

impl Identity {
    /// Ends the session of that cookie at once. A session that is no more is no error.
    ///
    /// # Errors
    /// Any [`StateError`]; the session then goes on and the caller must be told so.
    pub async fn sign_out(&self, cookie: &Cookie) -> Result<Option<SignedOut>, StateError> {
        let id = self.session_id(cookie);
        let account = match self.store.end_session(id).await? {
            None if self.has_sign_in_issuers() => self.store.end_issuer_session(id).await?,
            local => local,
        };
        Ok(account.map(|account| SignedOut { account, reference: self.session_reference(cookie) }))
    }

    /// Whose session it is.
    ///
    /// # Errors
    /// [`AuthError`] if it has ended.
    pub async fn owner(&self, cookie: &Cookie) -> Result<Arc<Caller>, AuthError> {
        self.authenticate(Credentials::Session(cookie.clone()), cookie.place()).await
    }

    /// The caller, and the passkey that was shown in the session last.
    pub(super) async fn session_caller(
        &self,
        cookie: &Cookie,
        used: Used,
    ) -> Result<(Caller, Option<Vec<u8>>), AuthError> {
        let session = match self.local_session(cookie, used).await {
            Err(AuthError::SessionEnded) if self.has_sign_in_issuers() => {
                return Ok((self.issuer_session_caller(cookie, used).await?, None));
            }
            session => session?,
        };
        let damaged = |_| AuthError::State(StateError::Value("an account"));
        let account = Account::try_from(session.row).map_err(damaged)?;
        let caller = Caller {
            account: account.name,
            kind: account.kind,
            roles: account.roles,
            attributes: account.attributes,
            assurance: session.factors.iter().map(|factor| factor.level).max().unwrap_or(0),
            factors: session.factors,
            credential: CredentialRef::Session { reference: self.session_reference(cookie) },
            ..Caller::default()
        };
        Ok((caller, session.passkey))
    }

    /// The session of a local account, for what has to do with its factors.
    ///
    /// # Errors
    /// [`AuthError::AtIssuer`] for a session that is good but has none here.
    pub(super) async fn live_session(&self, cookie: &Cookie) -> Result<LiveSession, AuthError> {
        match self.local_session(cookie, Used::Now).await {
            Err(AuthError::SessionEnded) if self.has_sign_in_issuers() => {
                let caller = self.issuer_session_caller(cookie, Used::Now).await?;
                let issuer = self.sign_in_issuer_of(&caller.account).unwrap_or_default();
                Err(AuthError::AtIssuer(issuer))
            }
            session => session,
        }
    }

    /// The session of that cookie if it is one of a local account and has not ended in any way.
    async fn local_session(&self, cookie: &Cookie, used: Used) -> Result<LiveSession, AuthError> {
        let id = self.session_id(cookie);
        let row = self.store.session(id).await?.ok_or(AuthError::SessionEnded)?;
        let now = self.clock.unix_s();
        if !self.is_live(&row, now) {
            return Err(AuthError::SessionEnded);
        }
        let factors = serde_json::from_str(&row.factors)
            .map_err(|_unread| StateError::Value("a session's factors"))?;
        if used == Used::Now && now.saturating_sub(row.last_seen_s) >= TOUCH_AFTER_S {
            self.store.touch_session(id);
        }
        Ok(LiveSession {
            id,
            row: row.account,
            factors,
            expires_s: row.expires_s,
            before: row.before,
            passkey: row.passkey,
        })
    }

    fn is_live(&self, row: &SessionRow, now: i64) -> bool {
        let idle = now.saturating_sub(row.last_seen_s);
        now < row.expires_s
            && idle < i64::from(self.settings().session.idle_s)
            && !row.account.is_disabled
    }

    /// The row of a session that begins now with these factors.
    pub(super) fn first_row(
        &self,
        cookie: &Cookie,
        account: &str,
        factors: &[Factor],
        address: IpAddr,
    ) -> Result<NewSessionRow, StateError> {
        let longest_s = i64::from(self.settings().session.absolute_s);
        Ok(NewSessionRow {
            id: self.session_id(cookie),
            account: account.to_owned(),
            factors: json(factors)?,
            expires_s: self.clock.unix_s().saturating_add(longest_s),
            host: cookie.place().host.to_string(),
            from: address.to_canonical().to_string(),
        })
    }

    /// Gives a session these factors and with them a new cookie, once for what proves the newest; the old cookie dies.
    ///
    /// # Errors
    /// [`SignInError::Refused`] for what proves nothing or was used, [`SignInError::SessionEnded`].
    pub(super) async fn raise(
        &self,
        cookie: &Cookie,
        session: LiveSession,
        factors: Vec<Factor>,
        (proof, settled): (Proof, Settled),
        second_factor: bool,
    ) -> Result<NewSession, SignInError> {
        let new_cookie = Cookie::random(cookie.place())?;
        let account = session.row.name;
        let elevation = Elevation {
            old: session.id,
            new: self.session_id(&new_cookie),
            account: account.clone(),
            factors: json(&factors)?,
            proof,
        };
        match self.store.elevate_session(elevation, settled).await? {
            Elevated::Done => {
                let expires_s = session.expires_s;
                Ok(self.new_session(account, new_cookie, factors, expires_s, second_factor))
            }
            Elevated::Replayed => Err(SignInError::Refused),
            Elevated::Ended => Err(SignInError::SessionEnded),
        }
    }

    /// Under what a session is stored: a copy of the state gives no cookie that works, and a cookie none
    /// where it was not given.
    pub(super) fn session_id(&self, cookie: &Cookie) -> SessionId {
        self.session_tagger.tag(&cookie.parts())
    }

    /// Under what the log names a session; not the stored id, so that neither leads to the other.
    #[must_use]
    pub fn session_reference(&self, cookie: &Cookie) -> String {
        self.log_tagger.reference(&[b"session", cookie.value().expose().as_bytes()])
    }
}
