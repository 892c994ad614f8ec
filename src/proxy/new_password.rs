//! A person's own new password.

use http::request::Parts as RequestHead;
use http::{Response, StatusCode};

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::head::Head;
use super::pages::{self, Page};
use super::refusals::Who;
use super::rejection::Rejection;
use super::session::Own;
use super::sign_in::{go_on, page, session_cookie, told};
use crate::identity::{Caller, Cookie, CredentialRef, SignInError};
use crate::listen::Facts;
use crate::secret::Secret;

pub(super) const PATH: &str = "/.menshen/password";

impl Gate {
    /// Where the operator wants old passwords changed, a session by one is good for nothing but that.
    pub(super) async fn refuse_old_password(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        caller: &Caller,
    ) -> Result<(), Rejection> {
        if !matches!(caller.credential, CredentialRef::Session { .. }) {
            return Ok(());
        }
        let cookie = session_cookie(head, parts, facts)?;
        match self.identity.must_change_password(&cookie).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Rejection::PasswordOld(head.wants_page)),
            Err(error) => Err(Rejection::Credential(error)),
        }
    }

    pub(super) async fn show_new_password(
        &self,
        own: &mut Own<'_>,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "password_shown").await?;
        step.succeeded(&account).await?;
        self.new_password_page(own, &cookie, None, StatusCode::OK).await
    }

    pub(super) async fn change_password(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let address = own.facts.peer.ip();
        self.addresses.attempt(address).map_err(Rejection::Address)?;
        let (cookie, account, step) = self.in_session(own, "password_change").await?;
        let secret = |name| Secret::new(form.field(name).to_owned());
        let (old, new) = (secret("old"), secret("new"));
        let tried = self.identity.change_password(&cookie, old, new, address).await;
        if self.is_counted_only(&tried, Who::Known(account.clone()), "password_change") {
            step.unneeded();
        } else {
            step.ended(&account, tried.as_ref()).await?;
        }
        match tried {
            Ok(session) => {
                self.record_acts().await?;
                Ok(if form.from_page {
                    go_on(session, "/.menshen/session?done=password", "", own.facts)
                } else {
                    told(&session, own.facts)
                })
            }
            Err(error) if form.from_page => {
                let is_weak = matches!(error, SignInError::Password(_));
                let status = if is_weak {
                    StatusCode::UNPROCESSABLE_ENTITY
                } else {
                    StatusCode::UNAUTHORIZED
                };
                self.new_password_page(own, &cookie, Some(&error), status).await
            }
            Err(error) => Err(Rejection::SignInFailed(error)),
        }
    }

    async fn new_password_page(
        &self,
        own: &mut Own<'_>,
        cookie: &Cookie,
        error: Option<&SignInError>,
        status: StatusCode,
    ) -> Result<Response<Answer>, Rejection> {
        let factors = self.identity.factors(cookie).await.map_err(Rejection::Credential)?;
        let blank = own.page();
        let problem = error.map(|error| blank.words.problem(error));
        let shown = Page { problem: problem.as_deref(), ..blank };
        let html = pages::new_password(&shown, factors.unproved, factors.ways);
        Ok(page(html, status, own.facts))
    }
}
