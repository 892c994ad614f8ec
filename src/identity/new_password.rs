//! A person's own new password.

use std::net::IpAddr;

use super::account::AccountError;
use super::caller::FactorMethod;
use super::sign_in::json;
use super::{Cookie, Identity, NewSession, PasswordFault, SignInError};
use crate::secret::Secret;
use crate::state::{NewPasswordRow, Settled};

impl Identity {
    /// Replaces the password of whoever holds this session and shows the old one; where the account has a second
    /// factor, it must just have been shown. The session gets a new cookie, and all others of the account end.
    ///
    /// # Errors
    /// [`SignInError`]; the old password stands then. A wrong old one counts like one at a sign-in.
    pub async fn change_password(
        &self,
        cookie: &Cookie,
        old: Secret<String>,
        new: Secret<String>,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let session = self.live_session(cookie).await?;
        let account = &session.row;
        let passkeys = self.store.passkeys(&account.name).await?;
        let has_second = account.totp_secret.is_some() || !passkeys.is_empty();
        if let Some(level) = self.unproved(&session, &passkeys).filter(|_| has_second) {
            return Err(SignInError::Unproved { level });
        }
        let seat = self.hasher.seat()?;
        let charged = self.charge(&account.name, address).await?;
        let is_same = old.expose() == new.expose();
        let stored = Some(account.password_hash.clone());
        if !self.judge_password(seat, &charged, old, stored).await? {
            return Err(SignInError::Refused);
        }
        let settled = Settled::One(charged);
        let hash = if is_same {
            Err(PasswordFault::Same.into())
        } else {
            self.hash_new_password(&account.name, &account.display_name, new).await
        };
        let hash = match hash {
            Ok(hash) => hash,
            Err(error) => {
                // The old one was right.
                self.store.take_back(settled).await?;
                return Err(error.into());
            }
        };
        let mut factors = session.factors;
        let now = self.clock.unix_s();
        for factor in factors.iter_mut().filter(|f| f.method == FactorMethod::Password) {
            factor.at_unix_s = Some(now);
        }
        let new_cookie = Cookie::random(cookie.place())?;
        let row = NewPasswordRow {
            account: account.name.clone(),
            old: account.password_hash.clone(),
            new: hash,
            session: session.id,
            new_session: self.session_id(&new_cookie),
            factors: json(&factors)?,
        };
        if !self.store.change_own_password(row, settled).await? {
            return Err(SignInError::SessionEnded);
        }
        let name = session.row.name;
        Ok(self.new_session(name, new_cookie, factors, session.expires_s, false))
    }
}

impl From<AccountError> for SignInError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Password(fault) => Self::Password(fault),
            AccountError::Busy => Self::Busy,
            AccountError::State(error) => Self::State(error),
            AccountError::Name(_)
            | AccountError::NoToken(_)
            | AccountError::NotAnAccount(_)
            | AccountError::Person(_)
            | AccountError::DisplayName
            | AccountError::Role(_)
            | AccountError::Attribute(_)
            | AccountError::Hash
            | AccountError::Enrolment
            | AccountError::Damaged(_)
            | AccountError::Passkey { .. }
            | AccountError::Invitation(_)
            | AccountError::Secret(_) => Self::Unchecked,
        }
    }
}
