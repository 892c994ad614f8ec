//! What people see of their own account, and what they end themselves: sessions and passkeys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::caller::{Factor, FactorMethod};
use super::session::Used;
use super::{AuthError, Cookie, Identity, PasskeyFault, PasskeyInfo, SignInError};
use crate::state::{OwnSessionRow, SessionId, StateError};

const DAY_S: i64 = 24 * 3600;

/// When somebody signed in, and from which address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Unix seconds.
    pub at_s: i64,
    /// The address.
    pub from: String,
}

/// A session of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// By what it is ended; it stays when the session is raised.
    pub number: i64,
    /// Whether it is the one that asks.
    pub is_this: bool,
    /// The host that gave it.
    pub host: String,
    /// The level reached.
    pub assurance: u8,
    /// How it began.
    pub began: SignedIn,
    /// When it was last used, Unix seconds; within a minute.
    pub last_seen_s: i64,
}

/// An account as its holder sees it.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Whose it is.
    pub account: String,
    /// The issuer at which it signs in; then it has no password and no passkeys here.
    pub issuer: Option<String>,
    /// The sign-in before that of this session.
    pub before: Option<SignedIn>,
    /// Whole days since the password was set.
    pub password_days: u64,
    /// Whether that is longer than the house finds good.
    pub password_is_old: bool,
    /// The sessions that are good at this moment, the newest first.
    pub sessions: Vec<SessionInfo>,
    /// All passkeys, whichever host they are for.
    pub passkeys: Vec<PasskeyInfo>,
    /// The level that must be shown anew before a factor is added or removed; none if it just was.
    pub unproved: Option<u8>,
}

impl Identity {
    /// The account of whoever holds this session.
    ///
    /// # Errors
    /// [`AuthError`] if the session is no more.
    pub async fn overview(&self, cookie: &Cookie) -> Result<Overview, AuthError> {
        let session = match self.live_session(cookie).await {
            Err(AuthError::AtIssuer(issuer)) => return self.overview_at(issuer, cookie).await,
            session => session?,
        };
        let account = session.row.name.clone();
        let passkeys = self.store.passkeys(&account).await?;
        let now = self.clock.unix_s();
        let live = self.live_sessions(&account).await?.into_iter();
        let sessions = live.map(|row| info(row, Some(session.id))).collect::<Result<_, _>>()?;
        let age_s = now.saturating_sub(session.row.password_set_s);
        Ok(Overview {
            account,
            issuer: None,
            sessions,
            password_is_old: self.is_old(session.row.password_set_s),
            password_days: u64::try_from(age_s.div_euclid(DAY_S)).unwrap_or(0),
            unproved: self.unproved(&session, &passkeys),
            passkeys: passkeys.iter().map(PasskeyInfo::from).collect(),
            before: session.before.map(|(at_s, from)| SignedIn { at_s, from }),
        })
    }

    /// Of an account of an issuer: its sessions, and nothing of its factors, which are kept there.
    async fn overview_at(&self, issuer: String, cookie: &Cookie) -> Result<Overview, AuthError> {
        let account = self.issuer_session_caller(cookie, Used::Now).await?.account;
        let id = self.session_id(cookie);
        let rows = self.live(self.store.own_issuer_sessions(&account).await?).into_iter();
        Ok(Overview {
            account,
            issuer: Some(issuer),
            sessions: rows.map(|row| info(row, Some(id))).collect::<Result<_, _>>()?,
            before: None,
            password_is_old: false,
            password_days: 0,
            unproved: None,
            passkeys: Vec::new(),
        })
    }

    /// The sessions of an account that are good at this moment, the newest first.
    pub(super) async fn live_sessions(
        &self,
        account: &str,
    ) -> Result<Vec<OwnSessionRow>, StateError> {
        Ok(self.live(self.store.own_sessions(account).await?))
    }

    fn live(&self, mut rows: Vec<OwnSessionRow>) -> Vec<OwnSessionRow> {
        let now = self.clock.unix_s();
        rows.retain(|row| {
            let idle = now.saturating_sub(row.last_seen_s);
            now < row.expires_s && idle < i64::from(self.settings().session.idle_s)
        });
        rows
    }

    /// Whether this session was begun with a password that must be changed before anything else is done.
    ///
    /// # Errors
    /// [`AuthError`] if the session is no more.
    pub async fn must_change_password(&self, cookie: &Cookie) -> Result<bool, AuthError> {
        if !self.settings().password.must_change {
            return Ok(false);
        }
        let session = match self.live_session(cookie).await {
            Err(AuthError::AtIssuer(_)) => return Ok(false),
            session => session?,
        };
        let by_password = session.factors.iter().any(|f| f.method == FactorMethod::Password);
        Ok(by_password && self.is_old(session.row.password_set_s))
    }

    fn is_old(&self, set_s: i64) -> bool {
        let after_s = i64::from(self.settings().password.old_after_s);
        after_s > 0 && self.clock.unix_s().saturating_sub(set_s) >= after_s
    }

    /// Ends one of the account's sessions, by its number; `false` if it has no such session.
    ///
    /// # Errors
    /// [`SignInError`]; it then goes on.
    pub async fn end_session(&self, cookie: &Cookie, number: i64) -> Result<bool, SignInError> {
        match self.live_session(cookie).await {
            Ok(session) => Ok(self.store.end_own_session(&session.row.name, number).await?),
            Err(AuthError::AtIssuer(_)) => {
                let account = self.issuer_session_caller(cookie, Used::Now).await?.account;
                Ok(self.store.end_own_issuer_session(&account, number).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends all of the account's sessions, this one too, and says how many there were.
    ///
    /// # Errors
    /// [`SignInError`]; they then go on.
    pub async fn end_sessions(&self, cookie: &Cookie) -> Result<usize, SignInError> {
        match self.live_session(cookie).await {
            Ok(session) => Ok(self.store.end_own_sessions(&session.row.name).await?),
            Err(AuthError::AtIssuer(_)) => {
                let account = self.issuer_session_caller(cookie, Used::Now).await?.account;
                Ok(self.store.end_issuer_sessions(Some(account), None).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a passkey of the account, in a session that has just shown its strongest factor, and ends all
    /// of its sessions.
    ///
    /// # Errors
    /// [`SignInError::Unproved`] if the session must prove more first, [`PasskeyFault::Unknown`] if the account has
    /// no such passkey.
    pub async fn remove_own_passkey(&self, cookie: &Cookie, id: &str) -> Result<(), SignInError> {
        let session = self.live_session(cookie).await?;
        let account = &session.row.name;
        let passkeys = self.store.passkeys(account).await?;
        if let Some(level) = self.unproved(&session, &passkeys) {
            return Err(SignInError::Unproved { level });
        }
        let id = URL_SAFE_NO_PAD.decode(id).map_err(|_no_id| PasskeyFault::Unknown)?;
        match self.store.remove_own_passkey(account, id).await {
            Err(StateError::Unknown(_)) => Err(PasskeyFault::Unknown.into()),
            Err(error) => Err(error.into()),
            Ok(()) => {
                // It may have been a device.
                self.devices.changed();
                Ok(())
            }
        }
    }
}

pub(super) fn info(row: OwnSessionRow, this: Option<SessionId>) -> Result<SessionInfo, StateError> {
    let factors: Vec<Factor> = serde_json::from_str(&row.factors)
        .map_err(|_unread| StateError::Value("a session's factors"))?;
    Ok(SessionInfo {
        number: row.number,
        is_this: Some(row.id) == this,
        host: row.host,
        assurance: factors.iter().map(|factor| factor.level).max().unwrap_or(0),
        began: SignedIn { at_s: row.began_s, from: row.began_from },
        last_seen_s: row.last_seen_s,
    })
}
