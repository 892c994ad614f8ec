//! Invitations: a link, good once and for a day on one host, by which a person sets the first password. Also for
//! one who has forgotten theirs: an operator never has to know a password.
//!
//! Only a keyed hash of the link's token and of the host is stored.

use std::net::IpAddr;

use super::account::AccountError;
use super::caller::{Factor, FactorMethod};
use super::password::NEVER;
use super::{Cookie, Identity, NewAccount, NewSession, Place, SignInError};
use crate::secret::{self, Secret};
use crate::state::{AccountRow, ChallengeId, ChallengeRow, Invited};

/// How long an invitation is good, in seconds.
const GOOD_S: i64 = 24 * 3600;
/// How long whoever came by it may set up one-time codes, in seconds.
const TICKET_S: i64 = 15 * 60;
const KIND: &str = "invitation";

/// The link to give to a person, and to nobody else.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Good on this host alone.
    pub host: String,
    /// What stands in the link.
    pub token: Secret<String>,
}

impl Invitation {
    /// The link.
    #[must_use]
    pub fn link(&self) -> Secret<String> {
        Secret::new(format!("https://{}/.menshen/invitation?t={}", self.host, self.token.expose()))
    }
}

/// What a person gets who came by an invitation.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Their session.
    pub session: NewSession,
    /// Lets them set up one-time codes now; none where the account has a second factor.
    pub ticket: Option<Secret<String>>,
}

impl Identity {
    /// Adds an account that nobody can sign in to before it was invited.
    ///
    /// # Errors
    /// [`AccountError`]; nothing was added then.
    pub async fn add_invited_account(&self, new: NewAccount) -> Result<(), AccountError> {
        self.insert_account(new, Secret::new(NEVER.to_owned())).await
    }

    /// Whether there is an account of that name.
    ///
    /// # Errors
    /// [`AccountError::State`].
    pub async fn has_account(&self, name: &str) -> Result<bool, AccountError> {
        Ok(self.store.account(name).await?.is_some())
    }

    /// Invites an account to set a password; an older invitation dies, what the account has stays good until then.
    ///
    /// # Errors
    /// [`AccountError::Invitation`] if `host` is none; [`AccountError::State`] if there is no such account.
    pub async fn invite(&self, account: &str, host: &str) -> Result<Invitation, AccountError> {
        let host = host.trim().to_ascii_lowercase();
        if !is_host(&host) {
            return Err(AccountError::Invitation(host));
        }
        let token = secret::random_token::<24>()?;
        let row = ChallengeRow {
            id: self.invitation_id(&token, &host),
            kind: KIND.to_owned(),
            account: Some(account.to_owned()),
            session: None,
            ticket: None,
            until_s: self.clock.unix_s().saturating_add(GOOD_S),
        };
        let act = ("account_invited", format!("host {host}"));
        self.store.insert_ticket(account, row, act).await?;
        Ok(Invitation { host, token })
    }

    /// Whom this link invites here, if it is good.
    ///
    /// # Errors
    /// [`SignInError::Invitation`] if it was used, is too old, is for another host or never was: nobody learns which.
    pub async fn invited(&self, token: &Secret<String>, host: &str) -> Result<String, SignInError> {
        Ok(self.invited_row(token, host).await?.1.name)
    }

    /// Sets the password of whoever is invited, ends the sessions of the account and begins one. A password that is
    /// refused leaves the invitation as it is.
    ///
    /// # Errors
    /// [`SignInError::Invitation`] as for [`Identity::invited`], [`SignInError::Password`] for a weak password.
    pub async fn arrive(
        &self,
        token: &Secret<String>,
        password: Secret<String>,
        address: IpAddr,
        place: &Place,
    ) -> Result<Arrived, SignInError> {
        let (id, account) = self.invited_row(token, &place.host).await?;
        let hash = self.hash_new_password(&account.name, &account.display_name, password).await?;
        let now = self.clock.unix_s();
        let factors =
            vec![Factor { level: 1, at_unix_s: Some(now), method: FactorMethod::Password }];
        let cookie = Cookie::random(place)?;
        let has_second =
            account.totp_secret.is_some() || !self.store.passkeys(&account.name).await?.is_empty();
        let ticket = if has_second { None } else { Some(secret::random_token::<16>()?) };
        let session = self.first_row(&cookie, &account.name, &factors, address)?;
        let expires_s = session.expires_s;
        let ticket_row =
            ticket.as_ref().map(|ticket| self.ticket_row(ticket, &account.name, TICKET_S));
        let invited = Invited { invitation: id, hash, session, ticket: ticket_row };
        if !self.store.accept_invitation(invited).await? {
            return Err(SignInError::Invitation);
        }
        let second_factor = account.totp_secret.is_some();
        let session = self.new_session(account.name, cookie, factors, expires_s, second_factor);
        Ok(Arrived { session, ticket })
    }

    async fn invited_row(
        &self,
        token: &Secret<String>,
        host: &str,
    ) -> Result<(ChallengeId, AccountRow), SignInError> {
        let row = self.store.challenge(self.invitation_id(token, host)).await?;
        let now = self.clock.unix_s();
        let row = row.filter(|row| row.kind == KIND && now < row.until_s);
        let row = row.ok_or(SignInError::Invitation)?;
        let account = self.store.account(row.account.as_deref().unwrap_or_default()).await?;
        let account = account.filter(|account| !account.is_disabled);
        Ok((row.id, account.ok_or(SignInError::Invitation)?))
    }

    fn invitation_id(&self, token: &Secret<String>, host: &str) -> ChallengeId {
        let host = host.split_once(':').map_or(host, |(host, _port)| host);
        self.passkey_tagger.tag(&[b"invitation", token.expose().as_bytes(), host.as_bytes()])
    }
}

/// A name or an address, with or without a port.
fn is_host(host: &str) -> bool {
    let is_inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':');
    (1..=255).contains(&host.len()) && host.bytes().all(is_inner)
}
