//! Registration: a passkey is made in a session that has just proved more, or with an operator's ticket.

use super::{
    CreationOptions, NewPasskey, PasskeyFault, PasskeyInfo, REGISTER, Site, TICKET, ids_on, text,
};
use crate::identity::claims::is_name;
use crate::identity::passkey::{Ceremony, Expected, Fault, Registered, challenge_of, register};
use crate::identity::session::LiveSession;
use crate::identity::{Cookie, Identity, SignInError};
use crate::secret::Secret;
use crate::state::{ChallengeId, PasskeyAdded, PasskeyRow};

/// How old the factor may be that lets a passkey be registered, in seconds.
const FRESH_S: i64 = 300;
/// The most passkeys of an account.
const MOST: u32 = 10;

impl Identity {
    /// Begins the registration of a passkey in a session whose second factor is fresh, or with a ticket.
    ///
    /// # Errors
    /// [`SignInError::Unproved`] if the session must prove more first.
    pub async fn begin_registration(
        &self,
        cookie: &Cookie,
        ticket: Option<&Secret<String>>,
        site: &Site,
    ) -> Result<CreationOptions, SignInError> {
        let session = self.live_session(cookie).await?;
        let (ticket, standing) = self.leave_to_add(&session, ticket).await?;
        let account = Some(session.row.name.clone());
        let challenge = self.ask(REGISTER, account, Some(session.id), ticket).await?;
        Ok(CreationOptions {
            challenge,
            user_handle: text(&self.user_handle(&session.row.name)),
            account: session.row.name,
            display_name: session.row.display_name,
            exclude: ids_on(&standing, &site.host),
        })
    }

    /// Registers a passkey that was made for the session's challenge.
    ///
    /// # Errors
    /// [`SignInError`]; nothing was registered then.
    pub async fn finish_registration(
        &self,
        cookie: &Cookie,
        new: NewPasskey,
        site: &Site,
    ) -> Result<PasskeyInfo, SignInError> {
        if !is_name(&new.name) {
            return Err(PasskeyFault::Name.into());
        }
        let session = self.live_session(cookie).await?;
        let challenge = challenge_of(&new.client_data, Ceremony::Registration)?;
        let asked = self.answered(&challenge, REGISTER, Some(session.id)).await?;
        let expected = Expected { challenge: &challenge, origin: &site.origin, rp_id: &site.host };
        let registered = register(&new.client_data, &new.attestation_object, &expected)?;
        if registered.id != new.id {
            return Err(Fault::Attestation.into());
        }
        let row = self.passkey_row(session.row.name, new.name, site, registered);
        let info = PasskeyInfo::from(&row);
        match self.store.insert_passkey(row, asked.ticket, MOST).await? {
            PasskeyAdded::Done => Ok(info),
            PasskeyAdded::Exists => Err(PasskeyFault::Exists.into()),
            PasskeyAdded::TooMany => Err(PasskeyFault::TooMany.into()),
            PasskeyAdded::TicketGone => Err(PasskeyFault::Ticket.into()),
            PasskeyAdded::AccountGone => Err(SignInError::SessionEnded),
        }
    }

    /// The ticket that lets the session add a factor, or none where it has proved enough itself; and the
    /// account's passkeys.
    pub(super) async fn leave_to_add(
        &self,
        session: &LiveSession,
        ticket: Option<&Secret<String>>,
    ) -> Result<(Option<ChallengeId>, Vec<PasskeyRow>), SignInError> {
        let standing = self.store.passkeys(&session.row.name).await?;
        let ticket = match ticket {
            Some(ticket) => Some(self.good_ticket(ticket, &session.row.name).await?),
            None => {
                self.check_fresh(session, &standing)?;
                None
            }
        };
        Ok((ticket, standing))
    }

    /// Whoever has found a session open, or knows a password, must not be able to add a key of their own;
    /// nor may a weaker factor than those that stand beget one that is as strong.
    fn check_fresh(
        &self,
        session: &LiveSession,
        standing: &[PasskeyRow],
    ) -> Result<(), SignInError> {
        self.unproved(session, standing)
            .map_or(Ok(()), |level| Err(SignInError::Unproved { level }))
    }

    /// The level that the session must show anew for that; none if it just has.
    pub(in crate::identity) fn unproved(
        &self,
        session: &LiveSession,
        standing: &[PasskeyRow],
    ) -> Option<u8> {
        let level = if standing.iter().any(|passkey| passkey.verifies) { 3 } else { 2 };
        let last = session.factors.iter().filter(|factor| factor.level >= level);
        let last = last.filter_map(|factor| factor.at_unix_s).max();
        let now = self.clock.unix_s();
        let is_fresh = last.is_some_and(|at| now.saturating_sub(at) <= FRESH_S);
        (!is_fresh).then_some(level)
    }

    async fn good_ticket(
        &self,
        ticket: &Secret<String>,
        account: &str,
    ) -> Result<ChallengeId, SignInError> {
        let id = self.challenge_id(ticket.expose());
        let row = self.store.challenge(id).await?.filter(|row| {
            row.kind == TICKET
                && row.account.as_deref() == Some(account)
                && self.clock.unix_s() < row.until_s
        });
        row.map(|row| row.id).ok_or_else(|| PasskeyFault::Ticket.into())
    }

    fn passkey_row(
        &self,
        account: String,
        name: String,
        site: &Site,
        registered: Registered,
    ) -> PasskeyRow {
        let mut row = PasskeyRow {
            id: registered.id,
            account,
            host: site.host.clone(),
            name,
            public_key: registered.key,
            verifies: registered.is_user_verified,
            is_backup_eligible: registered.is_backup_eligible,
            tag: [0; 32],
            is_backed_up: registered.is_backed_up,
            sign_count: registered.sign_count,
            created_s: self.clock.unix_s(),
            used_s: None,
        };
        row.tag = self.passkey_tag(&row);
        row
    }
}
