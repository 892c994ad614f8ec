//! The record of one step of signing in or out: durable before it is answered, and written even if the
//! client left while it was judged.

use super::Gate;
use super::rejection::Rejection;
use super::trail::Trail;
use crate::audit::{self, Act, Entry, Event, Log};
use crate::identity::{NewSession, SignInError};

impl Gate {
    /// Begins the record of a step; what was typed is named by a keyed hash, since it may be a password.
    pub(super) fn begin_step(
        &self,
        name: &str,
        typed: &str,
        trail: &Trail,
    ) -> Result<Step, Rejection> {
        let mut entry =
            self.log.entry(Event::Session).map_err(|_no_randomness| Rejection::LogUnavailable)?;
        entry.origin = trail.origin();
        let object = if typed.is_empty() { String::new() } else { self.identity.typed_ref(typed) };
        entry.act = Some(Act {
            name: name.into(),
            object: object.as_str().into(),
            succeeded: Some(false),
            ..Act::default()
        });
        entry.result.get_or_insert_default().cause = "unfinished".into();
        Ok(Step { log: self.log.clone(), entry: Some(entry) })
    }
}

/// A step of signing in or out that is under way. Dropped before its end, because the client left, it
/// is recorded all the same: the guess was judged, even if nobody waited for the answer.
pub(super) struct Step {
    log: Log,
    entry: Option<Entry>,
}

impl Step {
    /// Names the session by its keyed hash.
    pub(super) fn about_session(&mut self, reference: &str) {
        if let Some(entry) = &mut self.entry {
            let auth = entry.auth.get_or_insert_default();
            auth.credential = "session".into();
            auth.session = reference.into();
        }
    }

    /// Notes how many it was about.
    pub(super) fn counted(&mut self, count: usize) {
        if let Some(entry) = &mut self.entry {
            entry.act.get_or_insert_default().count = u64::try_from(count).ok();
        }
    }

    /// Records how a sign-in or a code was judged, before it is told.
    pub(super) async fn ended(
        mut self,
        account: &str,
        tried: Result<&NewSession, &SignInError>,
    ) -> Result<(), Rejection> {
        match tried {
            Ok(session) => {
                self.about_session(&session.reference);
                self.succeeded(account).await
            }
            Err(failure) => self.record(account, Some(failure)).await,
        }
    }

    pub(super) async fn failed(
        self,
        account: &str,
        failure: &SignInError,
    ) -> Result<(), Rejection> {
        self.record(account, Some(failure)).await
    }

    pub(super) async fn succeeded(self, account: &str) -> Result<(), Rejection> {
        self.record(account, None).await
    }

    async fn record(
        mut self,
        object: &str,
        failure: Option<&SignInError>,
    ) -> Result<(), Rejection> {
        let Some(mut entry) = self.entry.take() else { return Ok(()) };
        let act = entry.act.get_or_insert_default();
        act.object = object.into();
        act.succeeded = Some(failure.is_none());
        entry.result = failure.map(|failure| audit::Answer {
            cause: cause(failure).into(),
            ..audit::Answer::default()
        });
        self.log.append(entry).await.map(drop).map_err(|error| {
            tracing::error!(%error, "a sign-in step could not be recorded");
            Rejection::LogUnavailable
        })
    }

    /// Nothing was judged.
    pub(super) fn unneeded(mut self) {
        self.entry = None;
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.log.append_detached(entry);
        }
    }
}

fn cause(failure: &SignInError) -> &'static str {
    match failure {
        SignInError::Refused => "refused",
        SignInError::TryLater { .. } => "locked",
        SignInError::Busy => "busy",
        SignInError::SessionEnded => "session_ended",
        SignInError::AtIssuer(_) => "at_issuer",
        SignInError::NoSecondFactor => "no_second_factor",
        SignInError::EnrolmentEnded => "enrolment_ended",
        SignInError::NoPasskey => "no_passkey",
        SignInError::Unproved { .. } => "unproved",
        SignInError::Password(_) => "weak_password",
        SignInError::Invitation => "no_invitation",
        SignInError::Passkey(fault) => fault.word(),
        SignInError::Issuer(fault) => fault.word(),
        SignInError::Cloned { .. } => "passkey_cloned",
        SignInError::Unchecked | SignInError::State(_) => "unchecked",
    }
}
