//! Signing in with a passkey, and raising a session by one.

use std::net::IpAddr;

use super::{PasskeyFault, RAISE, RequestOptions, SIGN_IN, ShownPasskey, Site, ids_on};
use crate::identity::caller::{Factor, FactorMethod};
use crate::identity::passkey::{
    Asserted, Assertion, Ceremony, Expected, Fault, Known, assert, challenge_of,
};
use crate::identity::session::LiveSession;
use crate::identity::{Cookie, Identity, NewSession, Place, SignInError};
use crate::state::{Elevated, PasskeyRow, PasskeyUse, Proof, Settled, StateError};

/// A signature that was found right, and whose.
struct Proved {
    row: PasskeyRow,
    asserted: Asserted,
}

impl Proved {
    /// A PIN that was set later was set by whoever had the key, so it proves no more than the key.
    fn level(&self) -> u8 {
        if self.row.verifies && self.asserted.is_user_verified { 3 } else { 2 }
    }

    fn into_use(self, network: [u8; 32]) -> PasskeyUse {
        PasskeyUse {
            network,
            id: self.row.id,
            account: self.row.account,
            count_before: self.row.sign_count,
            sign_count: self.asserted.sign_count,
            is_backed_up: self.asserted.is_backed_up,
        }
    }
}

impl Identity {
    /// Begins a sign-in by passkey. No name is asked for, so nobody learns which there are.
    ///
    /// # Errors
    /// [`SignInError::State`].
    pub async fn begin_passkey_sign_in(&self) -> Result<RequestOptions, SignInError> {
        let challenge = self.ask(SIGN_IN, None, None, None).await?;
        Ok(RequestOptions { challenge, allow: Vec::new(), must_verify: true })
    }

    /// Signs in with a passkey alone, which must know its person; assurance 3. Failures of passwords do not
    /// stand in its way: a signature cannot be guessed.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in_by_passkey(
        &self,
        shown: &ShownPasskey,
        site: &Site,
        place: &Place,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let proved = self.prove(shown, site, SIGN_IN, None).await?;
        if proved.level() < 3 {
            return Err(PasskeyFault::Unverified.into());
        }
        let account = self.store.account(&proved.row.account).await?;
        let account = account.filter(|account| !account.is_disabled);
        let account = account.ok_or(SignInError::Refused)?;
        let now = self.clock.unix_s();
        let factors =
            vec![Factor { level: 3, at_unix_s: Some(now), method: FactorMethod::Passkey }];
        let cookie = Cookie::random(place)?;
        let row = self.first_row(&cookie, &account.name, &factors, address)?;
        let expires_s = row.expires_s;
        let most = self.settings().session.per_account.max(1);
        let used = proved.into_use(self.failure_network(address));
        match self.store.begin_passkey_session(row, most, used).await {
            Ok(Elevated::Done) => {
                Ok(self.new_session(account.name, cookie, factors, expires_s, false))
            }
            Ok(Elevated::Replayed | Elevated::Ended) | Err(StateError::Unknown(_)) => {
                Err(SignInError::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins to raise a session by one of its account's passkeys, which must know its person if
    /// nothing less would do.
    ///
    /// # Errors
    /// [`SignInError::NoPasskey`] if it has none on this host.
    pub async fn begin_raise(
        &self,
        cookie: &Cookie,
        site: &Site,
        must_verify: bool,
    ) -> Result<RequestOptions, SignInError> {
        let session = self.live_session(cookie).await?;
        let mut standing = self.store.passkeys(&session.row.name).await?;
        let devices = self.device_passkeys(&session.row.name).await?;
        let is_device_here = |row: &PasskeyRow| row.host == site.host && devices.contains(&row.id);
        if standing.iter().any(is_device_here) {
            // No other counts for as much.
            standing.retain(is_device_here);
        }
        let allow = ids_on(&standing, &site.host);
        if allow.is_empty() {
            return Err(SignInError::NoPasskey);
        }
        let account = Some(session.row.name);
        let challenge = self.ask(RAISE, account, Some(session.id), None).await?;
        Ok(RequestOptions { challenge, allow, must_verify })
    }

    /// Raises a session to assurance 3, or to 2 by a passkey that merely was there, and gives it a new
    /// cookie; the old one dies.
    ///
    /// # Errors
    /// [`SignInError`]; the session stays as it was.
    pub async fn raise_by_passkey(
        &self,
        cookie: &Cookie,
        shown: &ShownPasskey,
        site: &Site,
        address: IpAddr,
    ) -> Result<NewSession, SignInError> {
        let session = self.live_session(cookie).await?;
        let proved = self.prove(shown, site, RAISE, Some(&session)).await?;
        let level = proved.level();
        let mut factors = session.factors.clone();
        factors.retain(|f| f.method != FactorMethod::Passkey || f.level > level);
        let at_unix_s = Some(self.clock.unix_s());
        factors.push(Factor { level, at_unix_s, method: FactorMethod::Passkey });
        let can_present_code = session.row.totp_secret.is_some()
            && !factors.iter().any(|factor| factor.method == FactorMethod::Totp);
        let used = proved.into_use(self.failure_network(address));
        let proved = (Proof::Passkey(used), Settled::Nothing);
        self.raise(cookie, session, factors, proved, can_present_code && level < 3).await
    }

    /// Takes the challenge, then finds whose the passkey is, then verifies what it signed.
    async fn prove(
        &self,
        shown: &ShownPasskey,
        site: &Site,
        kind: &str,
        session: Option<&LiveSession>,
    ) -> Result<Proved, SignInError> {
        let challenge = challenge_of(&shown.client_data, Ceremony::Assertion)?;
        self.answered(&challenge, kind, session.map(|session| session.id)).await?;
        let row = self.store.passkey(shown.id.clone()).await?.ok_or(PasskeyFault::Unknown)?;
        if !self.is_passkey_whole(&row) {
            tracing::error!(
                account = row.account,
                "a passkey was altered in the state; it is refused"
            );
            return Err(PasskeyFault::Damaged.into());
        }
        let handle = self.user_handle(&row.account);
        let is_theirs = match (session, &shown.user_handle) {
            (Some(session), None) => row.account == session.row.name,
            (Some(session), Some(said)) => row.account == session.row.name && *said == handle,
            // It says who signs in, so it must say so.
            (None, Some(said)) => *said == handle,
            (None, None) => false,
        };
        if !is_theirs || row.host != site.host {
            return Err(PasskeyFault::Unknown.into());
        }
        let expected = Expected { challenge: &challenge, origin: &site.origin, rp_id: &site.host };
        let known = Known {
            key: &row.public_key,
            sign_count: row.sign_count,
            is_backup_eligible: row.is_backup_eligible,
        };
        let assertion = Assertion {
            client_data: &shown.client_data,
            authenticator_data: &shown.authenticator_data,
            signature: &shown.signature,
        };
        match assert(&assertion, &known, &expected) {
            Ok(asserted) => Ok(Proved { row, asserted }),
            Err(Fault::Cloned) => Err(SignInError::Cloned { account: row.account }),
            Err(fault) => Err(fault.into()),
        }
    }
}
