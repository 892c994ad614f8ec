//! Signing in with a password, then a one-time code; and who must wait after guessing.
//!
//! A name that does not exist, or is switched off, costs the same work and gets the same answers
//! as one that does. An attempt is charged before it is judged; a right one is taken back.

use std::fmt;
use std::net::IpAddr;

use super::account::is_account_name;
use super::caller::{Factor, FactorMethod};
use super::password::{HashError, Seat};
use super::recovery::is_recovery_code;
use super::totp::matching_step;
use super::{AuthError, Cookie, Identity, OidcFault, PasskeyFault, PasswordFault, Place};
use crate::secret::{Secret, SecretError};
use crate::state::{
    AccountRow, Attempt, Charge, Charged, FailureRules, Proof, Settled, StateError,
};

/// A session that began, or gained a factor.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it is.
    pub account: String,
    /// The value of the session cookie; see [`super::set_cookie`].
    pub cookie_value: Secret<String>,
    /// Seconds until it ends whatever happens.
    pub max_age_s: u32,
    /// Keyed hash of the cookie value, as in the log.
    pub reference: String,
    /// The level reached.
    pub assurance: u8,
    /// Everything presented so far.
    pub factors: Vec<Factor>,
    /// Whether a one-time code can raise it: the account has one enrolled and none was shown yet.
    pub second_factor: bool,
}

/// Why a sign-in or a code was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The name, the password or the code is wrong, the code was used before, or the account is
    /// switched off: nobody outside learns which.
    #[error("the sign-in was refused")]
    Refused,
    /// Too many failures of this name or from this address, whether the name exists or not.
    #[error("too many failed sign-ins; try again in {retry_after_s} s")]
    TryLater {
        /// Seconds until an attempt will be judged again.
        retry_after_s: u64,
    },
    /// Too many sign-ins at this moment.
    #[error("too many sign-ins at once; try again")]
    Busy,
    /// The session that the code was for has ended.
    #[error("the session has ended; sign in again")]
    SessionEnded,
    /// Whoever holds the session signs in at an issuer, and has password and factors there.
    #[error("password and further factors are kept at `{0}`, where this session was begun")]
    AtIssuer(String),
    /// The enrolment of codes that was begun is no more.
    #[error("the enrolment has ended; begin it again")]
    EnrolmentEnded,
    /// The account has no passkey on this host.
    #[error("the account has no passkey on this host")]
    NoPasskey,
    /// A passkey can be registered only by who has just proved more.
    #[error(
        "present a factor of level {level} again, at most 5 minutes before, or ask an operator for a ticket"
    )]
    Unproved {
        /// The level that is asked for.
        level: u8,
    },
    /// The passkey was not accepted.
    #[error(transparent)]
    Passkey(PasskeyFault),
    /// There may be two of the passkey: its counter went back.
    #[error("the sign-in was refused")]
    Cloned {
        /// Whose it is.
        account: String,
    },
    /// The new password breaks a rule.
    #[error(transparent)]
    Password(PasswordFault),
    /// The invitation was used, is too old, is for another host or never was: nobody learns which.
    #[error("this invitation is not good, or not any more; ask for a new one")]
    Invitation,
    /// The issuer at which somebody signs in, or its answer, was not accepted.
    #[error(transparent)]
    Issuer(OidcFault),
    /// The account has no one-time code enrolled.
    #[error("the account has no one-time code enrolled")]
    NoSecondFactor,
    /// The password hash could not be computed or the secret not opened.
    #[error("the credential could not be checked")]
    Unchecked,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<HashError> for SignInError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Failed => Self::Unchecked,
        }
    }
}

impl From<AuthError> for SignInError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::State(error) => Self::State(error),
            AuthError::AtIssuer(issuer) => Self::AtIssuer(issuer),
            AuthError::SessionEnded
            | AuthError::Missing
            | AuthError::TwoCredentials
            | AuthError::Scheme
            | AuthError::Malformed
            | AuthError::TokenTooLong
            | AuthError::KeysUnavailable
            | AuthError::ProofsUnavailable
            | AuthError::Token(_)
            | AuthError::Certificate(_)
            | AuthError::Proof(_)
            | AuthError::UseNonce(_)
            | AuthError::ApiKey => Self::SessionEnded,
        }
    }
}

impl From<SecretError> for SignInError {
    fn from(_: SecretError) -> Self {
        Self::Unchecked
    }
}

/// The name typed at a sign-in in a form fit for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountRef {
    /// There is such an account.
    Known(String),
    /// There is none; a keyed hash of what was typed, which may well have been a password.
    Unknown(String),
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => f.write_str(name),
            Self::Unknown(reference) => write!(f, "unknown:{reference}"),
        }
    }
}

impl Identity {
    /// Signs in with a name and a password; assurance 1.
    ///
    /// `address` is where the attempt comes from, `place` where the session will be good. The name may be typed in capitals. Cancel safety: an
    /// attempt dropped midway counts as failed, and may have begun a session nobody has the cookie of.
    ///
    /// # Errors
    /// [`SignInError`]. Refusals of known, unknown and disabled names differ in nothing.
    pub async fn sign_in(
        &self,
        typed: &str,
        password: Secret<String>,
        address: IpAddr,
        place: &Place,
    ) -> Result<NewSession, SignInError> {
        let name = fold(typed);
        // A seat first: the rate of charges is then bounded by that of hashing.
        let seat = self.hasher.seat()?;
        let charged = self.charge(&name, address).await?;
        let account = self.account_row(&name).await?.filter(|account| !account.is_disabled);
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let is_right = self.judge_password(seat, &charged, password, stored).await?;
        match account.filter(|_| is_right) {
            Some(account) => self.begin_session(account, charged, place, address).await,
            None => Err(SignInError::Refused),
        }
    }

    /// Raises a session to assurance 2 with a one-time code or a recovery code, and gives it a new cookie; the old one
    /// dies. Presented again on a session that has it, the factor becomes fresh.
    ///
    /// # Errors
    /// [`SignInError`]; the session stays as it was. A wrong code counts like a wrong password.
    pub async fn present_code(
        &self,
        cookie: &Cookie,
        code: &Secret<String>,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let session = self.live_session(cookie).await?;
        if is_recovery_code(code) {
            let charged = self.charge(&session.row.name, address).await?;
            return self.present_recovery_code(cookie, session, code, charged).await;
        }
        let secret = self.totp_secret(&session.row)?.ok_or(SignInError::NoSecondFactor)?;
        let charged = self.charge(&session.row.name, address).await?;
        let now = self.clock.unix_s();
        let step = matching_step(&secret, code.expose(), now).ok_or(SignInError::Refused)?;
        let mut factors = session.factors.clone();
        factors.retain(|factor| factor.method != FactorMethod::Totp);
        factors.push(Factor { level: 2, at_unix_s: Some(now), method: FactorMethod::Totp });
        let proved = (Proof::Totp(step), Settled::All(charged));
        self.raise(cookie, session, factors, proved, false).await
    }

    /// Whether the password is right. One that could not be judged, since its turn did not come in time, is not charged:
    /// else a flood of sign-ins would lock everybody out.
    pub(super) async fn judge_password(
        &self,
        seat: Seat,
        charged: &Charged,
        password: Secret<String>,
        stored: Option<Secret<String>>,
    ) -> Result<bool, SignInError> {
        match self.hasher.verify(seat, password, stored).await {
            Ok(is_right) => Ok(is_right),
            Err(unjudged) => {
                self.store.take_back(Settled::One(charged.clone())).await?;
                Err(unjudged.into())
            }
        }
    }

    /// What the log may call the name typed at a sign-in. Takes the same time for every name.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn account_ref(&self, typed: &str) -> Result<AccountRef, StateError> {
        let name = fold(typed);
        let known = self.account_row(&name).await?;
        let unknown = self.log_tagger.reference(&[b"name", name.as_bytes()]);
        Ok(known.map_or(AccountRef::Unknown(unknown), |account| AccountRef::Known(account.name)))
    }

    /// What the log may call the name typed while nobody has looked whether there is such an account:
    /// `typed:` and the keyed hash that [`AccountRef::Unknown`] has.
    #[must_use]
    pub fn typed_ref(&self, typed: &str) -> String {
        format!("typed:{}", self.log_tagger.reference(&[b"name", fold(typed).as_bytes()]))
    }

    /// Reads the account; a name that no account can have is looked for all the same.
    async fn account_row(&self, name: &str) -> Result<Option<AccountRow>, StateError> {
        self.store.account(if is_account_name(name) { name } else { "" }).await
    }

    pub(super) async fn charge(&self, name: &str, address: IpAddr) -> Result<Charged, SignInError> {
        let lockout = self.settings().lockout;
        let rules = FailureRules {
            per_name: lockout.per_name,
            per_address: lockout.per_address,
            window_s: i64::from(lockout.window_s),
            lock_s: i64::from(lockout.lock_s),
            longest_lock_s: i64::from(lockout.longest_lock_s),
            known_s: i64::from(lockout.known_network_s),
        };
        let attempt =
            Attempt { name: self.failure_name(name), address: self.failure_network(address) };
        match self.store.charge_attempt(attempt, rules).await? {
            Charge::Admitted(charged) => Ok(charged),
            Charge::Locked { retry_after_s } => Err(SignInError::TryLater { retry_after_s }),
        }
    }

    /// The network of an address, as failures are counted by it and as it is known.
    pub(super) fn failure_network(&self, address: IpAddr) -> [u8; 32] {
        self.failure_tagger.tag(&[b"address", &network(address)])
    }

    /// The name of an account, as failures are counted by it.
    pub(super) fn failure_name(&self, name: &str) -> [u8; 32] {
        self.failure_tagger.tag(&[b"name", name.as_bytes()])
    }

    async fn begin_session(
        &self,
        account: AccountRow,
        charged: Charged,
        place: &Place,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let now = self.clock.unix_s();
        let second_factor = account.totp_secret.is_some();
        let factors =
            vec![Factor { level: 1, at_unix_s: Some(now), method: FactorMethod::Password }];
        let cookie = Cookie::random(place)?;
        let row = self.first_row(&cookie, &account.name, &factors, address)?;
        let expires_s = row.expires_s;
        // Whoever knows the password but not the code must not get new guesses by signing in again.
        let settled = if second_factor { Settled::One(charged) } else { Settled::All(charged) };
        let most = self.settings().session.per_account.max(1);
        match self.store.begin_session(row, most, settled).await {
            Ok(()) => Ok(self.new_session(account.name, cookie, factors, expires_s, second_factor)),
            // Switched off while the hash was computed.
            Err(StateError::Unknown(_)) => Err(SignInError::Refused),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn new_session(
        &self,
        account: String,
        cookie: Cookie,
        factors: Vec<Factor>,
        expires_s: i64,
        second_factor: bool,
    ) -> NewSession {
        let left = expires_s.saturating_sub(self.clock.unix_s());
        NewSession {
            account,
            reference: self.session_reference(&cookie),
            cookie_value: cookie.value().clone(),
            max_age_s: u32::try_from(left).unwrap_or(0),
            assurance: factors.iter().map(|factor| factor.level).max().unwrap_or(0),
            factors,
            second_factor,
        }
    }
}

/// Names are typed in capitals now and then, and pasted with blanks around them.
fn fold(typed: &str) -> String {
    typed.trim().to_ascii_lowercase()
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 customer commands.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().into_iter().take(8).collect(),
    }
}

pub(super) fn json(factors: &[Factor]) -> Result<String, StateError> {
    serde_json::to_string(factors).map_err(|_never| StateError::Value("a session's factors"))
}
