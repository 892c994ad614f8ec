//! Whether that by which an answer was begun was taken back since: its token revoked, its session ended, its key or device
//! revoked.
//!
//! That its time is over is no reason: an answer that was begun in time may come to its end.

use std::sync::{Arc, OnceLock};

use super::caller::CredentialRef;
use super::jws::Jws;
use super::revocation::Issued;
use super::{AuthError, Caller, Credentials, Identity};
use crate::state::SessionId;

/// By what an answer was begun; nothing of it opens anything.
#[derive(Debug)]
pub struct Begun {
    account: String,
    device: Option<String>,
    by: By,
}

#[derive(Debug)]
enum By {
    Token { issuer: String, id: Option<String>, issued_s: Option<i64> },
    Key(String),
    Session { id: SessionId, known: OnceLock<Known> },
    Certificate,
}

/// What was known of a session when it was first looked at.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Of a local account; it keeps its number when it gets a new cookie.
    Here {
        number: i64,
        expires_s: i64,
    },
    AtIssuer {
        began_s: i64,
        expires_s: i64,
    },
}

impl Identity {
    /// By what this caller, who was let in for what they showed, begins an answer.
    #[must_use]
    pub fn begun(&self, shown: &Credentials, caller: &Arc<Caller>) -> Begun {
        let by = match (shown, &caller.credential) {
            (
                Credentials::Bearer(token) | Credentials::Dpop { token, .. },
                CredentialRef::Bearer { issuer, .. },
            ) => {
                // It was verified a moment ago. What cannot be told of it counts as what is revoked.
                let claims = Jws::read(token.expose()).ok().map(|jws| jws.payload);
                let claims = claims.as_ref();
                let id = claims.and_then(|claims| claims.text("jti").ok().flatten());
                let issued = claims.and_then(|claims| claims.time("iat").ok().flatten());
                let issued_s = issued.map(|issued| issued.begun_s);
                By::Token { issuer: issuer.clone(), id: id.map(str::to_owned), issued_s }
            }
            (Credentials::Session(cookie), _) => {
                By::Session { id: self.session_id(cookie), known: OnceLock::new() }
            }
            (_, CredentialRef::ApiKey { id }) => By::Key(id.clone()),
            _ => By::Certificate,
        };
        Begun { account: caller.account.clone(), device: caller.device.clone(), by }
    }

    /// Whether it was taken back. Costs a look-up in the state for a session or a key.
    ///
    /// # Errors
    /// [`AuthError`] if that cannot be known.
    pub async fn is_withdrawn(&self, begun: &Begun) -> Result<bool, AuthError> {
        let now = self.clock.unix_s();
        if let Some(device) = &begun.device
            && self.is_device_gone(device, &begun.account).await?
        {
            return Ok(true);
        }
        match &begun.by {
            By::Token { issuer, id, issued_s } => {
                self.bearer.look_for_revocations(now).await?;
                let (id, issued_s) = (id.as_deref(), *issued_s);
                let issued = Issued { account: &begun.account, issuer, id, issued_s };
                Ok(self.bearer.is_revoked(&issued, now))
            }
            By::Key(id) => {
                let key = self.store.api_key(id.clone()).await?;
                Ok(key.is_none_or(|(key, account)| key.revoked_s.is_some() || account.is_disabled))
            }
            By::Session { id, known } => self.has_ended(&begun.account, (*id, known), now).await,
            By::Certificate => Ok(false),
        }
    }

    async fn has_ended(
        &self,
        account: &str,
        (id, known): (SessionId, &OnceLock<Known>),
        now: i64,
    ) -> Result<bool, AuthError> {
        let known = match known.get() {
            Some(known) => *known,
            None => match self.session_of(id).await? {
                Some(found) => *known.get_or_init(|| found),
                None => return Ok(true),
            },
        };
        match known {
            // When their time is over, sessions go without anybody's doing.
            Known::Here { expires_s, .. } if now >= expires_s => Ok(false),
            Known::Here { number, .. } => Ok(!self.store.has_session(number).await?),
            Known::AtIssuer { began_s, expires_s } => {
                self.bearer.look_for_revocations(now).await?;
                let is_revoked = self.bearer.revocations().covers(account, began_s);
                let is_there = now >= expires_s || self.store.issuer_session(id).await?.is_some();
                Ok(is_revoked || !is_there || self.sign_in_issuer_of(account).is_none())
            }
        }
    }

    async fn session_of(&self, id: SessionId) -> Result<Option<Known>, AuthError> {
        if let Some((number, expires_s)) = self.store.session_number(id).await? {
            return Ok(Some(Known::Here { number, expires_s }));
        }
        let row = self.store.issuer_session(id).await?;
        Ok(row.map(|row| Known::AtIssuer { began_s: row.began_s, expires_s: row.expires_s }))
    }
}
