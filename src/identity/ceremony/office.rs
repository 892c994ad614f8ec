//! What an operator does about passkeys. Whoever calls this has been authorised.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{PasskeyInfo, TICKET};
use crate::identity::{AccountError, Identity};
use crate::secret::{self, Secret};
use crate::state::{ChallengeRow, StateError};

/// How long a ticket is good, in seconds.
const TICKET_S: i64 = 24 * 3600;

impl Identity {
    /// The passkeys of an account.
    ///
    /// # Errors
    /// [`AccountError::State`], also if there is no such account.
    pub async fn passkeys(&self, account: &str) -> Result<Vec<PasskeyInfo>, AccountError> {
        let known = self.store.account(account).await?;
        known.ok_or_else(|| StateError::Unknown(account.to_owned()))?;
        Ok(self.store.passkeys(account).await?.iter().map(PasskeyInfo::from).collect())
    }

    /// Removes a passkey and ends the account's sessions.
    ///
    /// # Errors
    /// [`AccountError::Passkey`] if the account has none of that id.
    pub async fn remove_passkey(&self, account: &str, id: &str) -> Result<(), AccountError> {
        let unknown = || AccountError::Passkey { account: account.to_owned(), id: id.to_owned() };
        let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_no_id| unknown())?;
        match self.store.remove_passkey(account, bytes).await {
            Err(StateError::Unknown(_)) => Err(unknown()),
            other => Ok(other?),
        }
    }

    /// Gives a ticket that lets the account register one passkey within a day, in a session of its own,
    /// without a second factor. An older ticket dies.
    ///
    /// # Errors
    /// [`AccountError::State`], also if there is no such account.
    pub async fn allow_passkey(&self, account: &str) -> Result<Secret<String>, AccountError> {
        let ticket = secret::random_token::<16>()?;
        let row = self.ticket_row(&ticket, account, TICKET_S);
        self.store.insert_ticket(account, row, ("passkey_allowed", String::new())).await?;
        Ok(ticket)
    }

    /// A ticket as it is kept.
    pub(in crate::identity) fn ticket_row(
        &self,
        ticket: &Secret<String>,
        account: &str,
        good_s: i64,
    ) -> ChallengeRow {
        ChallengeRow {
            id: self.challenge_id(ticket.expose()),
            kind: TICKET.to_owned(),
            account: Some(account.to_owned()),
            session: None,
            ticket: None,
            until_s: self.clock.unix_s().saturating_add(good_s),
        }
    }
}
