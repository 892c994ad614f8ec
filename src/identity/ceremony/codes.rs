//! One-time codes that people enrol themselves: in a session that has just proved more, or with an operator's
//! ticket, and not before they have shown a code of them.
//!
//! Until then the new secret lies with the browser alone, sealed for this session and account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::identity::session::LiveSession;
use crate::identity::totp::{matching_step, new_secret};
use crate::identity::{Cookie, Enrolment, Identity, PasskeyFault, SignInError};
use crate::secret::Secret;
use crate::state::{ChallengeRow, StateError};

const ENROL: &str = "codes_enrol";

/// An enrolment that waits for its first code.
#[derive(Clone, Debug)]
pub struct PendingCodes {
    /// What goes into the authenticator app.
    pub enrolment: Enrolment,
    /// What comes back with the first code: the secret, sealed.
    pub pending: String,
}

/// What came back, opened.
struct Opened {
    asked: ChallengeRow,
    challenge: String,
    secret: Secret<Vec<u8>>,
}

impl Identity {
    /// Begins to enrol codes in place of any that the account has; nothing changes yet.
    ///
    /// # Errors
    /// [`SignInError::Unproved`] if the session must prove more first.
    pub async fn begin_codes(
        &self,
        cookie: &Cookie,
        ticket: Option<&Secret<String>>,
    ) -> Result<PendingCodes, SignInError> {
        let session = self.live_session(cookie).await?;
        let (ticket, _) = self.leave_to_add(&session, ticket).await?;
        let account = session.row.name.clone();
        let challenge = self.ask(ENROL, Some(account), Some(session.id), ticket).await?;
        let secret = new_secret()?;
        let sealed = self.sealer.seal(&label(&session.row.name, &challenge), secret.expose())?;
        let pending = format!("{challenge}.{}", URL_SAFE_NO_PAD.encode(sealed));
        self.pending(&session, pending, &secret)
    }

    /// The enrolment that was begun, to be shown once more.
    ///
    /// # Errors
    /// [`SignInError::EnrolmentEnded`] if it is no more, or was begun elsewhere.
    pub async fn pending_codes(
        &self,
        cookie: &Cookie,
        pending: &str,
    ) -> Result<PendingCodes, SignInError> {
        let session = self.live_session(cookie).await?;
        let opened = self.open_pending(&session, pending).await?;
        self.pending(&session, pending.to_owned(), &opened.secret)
    }

    /// Enrols the codes if this is one of them, which is hereby used, and ends the account's sessions.
    ///
    /// # Errors
    /// [`SignInError::Refused`] for a wrong code, after which another may be shown; else the enrolment has
    /// ended. Codes that the account had stay good.
    pub async fn finish_codes(
        &self,
        cookie: &Cookie,
        pending: &str,
        code: &Secret<String>,
    ) -> Result<(), SignInError> {
        let session = self.live_session(cookie).await?;
        let Opened { asked, challenge, secret } = self.open_pending(&session, pending).await?;
        let now = self.clock.unix_s();
        let step = matching_step(&secret, code.expose(), now).ok_or(SignInError::Refused)?;
        let taken = self.store.take_challenge(self.challenge_id(&challenge)).await?;
        taken.ok_or(SignInError::EnrolmentEnded)?;
        let account = &session.row.name;
        let sealed = self.seal_totp(account, &secret)?;
        match self.store.enrol_own_codes(account, sealed, step, asked.ticket).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(PasskeyFault::Ticket.into()),
            Err(StateError::Unknown(_)) => Err(SignInError::SessionEnded),
            Err(error) => Err(error.into()),
        }
    }

    fn pending(
        &self,
        session: &LiveSession,
        pending: String,
        secret: &Secret<Vec<u8>>,
    ) -> Result<PendingCodes, SignInError> {
        let enrolment = Enrolment::new(secret, &self.settings().totp_issuer, &session.row.name);
        Ok(PendingCodes {
            enrolment: enrolment.map_err(|_undrawn| SignInError::Unchecked)?,
            pending,
        })
    }

    async fn open_pending(
        &self,
        session: &LiveSession,
        pending: &str,
    ) -> Result<Opened, SignInError> {
        let ended = SignInError::EnrolmentEnded;
        let (challenge, sealed) = pending.split_once('.').ok_or(ended.clone())?;
        let asked = self.store.challenge(self.challenge_id(challenge)).await?;
        let now = self.clock.unix_s();
        let is_ours = |row: &ChallengeRow| {
            row.kind == ENROL && row.session == Some(session.id) && now < row.until_s
        };
        let asked = asked.filter(is_ours).ok_or(ended.clone())?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_not_ours| ended.clone())?;
        let opened = self.sealer.open(&label(&session.row.name, challenge), &sealed);
        let secret = Secret::new(opened.map_err(|_not_ours| ended)?);
        Ok(Opened { asked, challenge: challenge.to_owned(), secret })
    }
}

/// What a sealed secret is bound to. An account's name has no slash.
fn label(account: &str, challenge: &str) -> String {
    format!("pending/totp_secret/{account}/{challenge}")
}
