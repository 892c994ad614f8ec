//! One-time codes that people set up themselves, with a QR code for the authenticator app.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::pages::{self, Page};
use super::rejection::Rejection;
use super::respond::plain;
use super::session::{Own, signed_out};
use super::sign_in::{JSON, page};
use crate::identity::{PendingCodes, SignInError};
use crate::secret::Secret;

pub(super) const PATH: &str = "/.menshen/enrol";

impl Gate {
    pub(super) async fn show_enrolment(
        &self,
        own: &mut Own<'_>,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "codes_shown").await?;
        let factors = self.identity.factors(&cookie).await.map_err(Rejection::Credential)?;
        step.succeeded(&account).await?;
        let html = pages::codes(&own.page(), factors.unproved, factors.ways);
        Ok(page(html, StatusCode::OK, own.facts))
    }

    /// With the first code that of an enrolment which was begun; else it is begun.
    pub(super) async fn enrol_codes(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        match form.field("pending") {
            "" => self.begin_codes(own, form).await,
            pending => self.finish_codes(own, form, pending).await,
        }
    }

    async fn begin_codes(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "codes_enrol_asked").await?;
        let ticket = Some(form.field("ticket").trim()).filter(|ticket| !ticket.is_empty());
        let ticket = ticket.map(|ticket| Secret::new(ticket.to_owned()));
        if ticket.is_some() {
            self.addresses.attempt(own.facts.peer.ip()).map_err(Rejection::Address)?;
        }
        match self.identity.begin_codes(&cookie, ticket.as_ref()).await {
            Ok(codes) => {
                step.succeeded(&account).await?;
                Ok(scan(own, form, &codes, None))
            }
            Err(error) => {
                step.failed(&account, &error).await?;
                self.not_enrolled(own, form, error).await
            }
        }
    }

    async fn finish_codes(
        &self,
        own: &mut Own<'_>,
        form: &Form,
        pending: &str,
    ) -> Result<Response<Answer>, Rejection> {
        let (cookie, account, step) = self.in_session(own, "codes_enrol").await?;
        let code = Secret::new(form.field("code").to_owned());
        match self.identity.finish_codes(&cookie, pending, &code).await {
            Ok(()) => {
                step.succeeded(&account).await?;
                self.record_acts().await?;
                let done = own.page().words.codes_done;
                Ok(signed_out(own, form, Some(done)))
            }
            Err(SignInError::Refused) if form.from_page => {
                step.failed(&account, &SignInError::Refused).await?;
                match self.identity.pending_codes(&cookie, pending).await {
                    Ok(codes) => {
                        let wrong = own.page().words.code_refused;
                        Ok(scan(own, form, &codes, Some(wrong)))
                    }
                    Err(error) => self.not_enrolled(own, form, error).await,
                }
            }
            Err(error) => {
                step.failed(&account, &error).await?;
                self.not_enrolled(own, form, error).await
            }
        }
    }

    /// The page from which it can be begun again.
    async fn not_enrolled(
        &self,
        own: &mut Own<'_>,
        form: &Form,
        error: SignInError,
    ) -> Result<Response<Answer>, Rejection> {
        let factors = match own.cookie() {
            Ok(cookie) if form.from_page => self.identity.factors(&cookie).await,
            Ok(_) | Err(_) => return Err(Rejection::SignInFailed(error)),
        };
        let factors = factors.map_err(Rejection::Credential)?;
        let blank = own.page();
        let problem = blank.words.problem(&error);
        let shown = Page { problem: Some(&problem), ..blank };
        let html = pages::codes(&shown, factors.unproved, factors.ways);
        Ok(page(html, StatusCode::FORBIDDEN, own.facts))
    }
}

/// Shows the secret, once; a program gets it as text.
fn scan(
    own: &Own<'_>,
    form: &Form,
    codes: &PendingCodes,
    problem: Option<&str>,
) -> Response<Answer> {
    if form.from_page {
        let status = if problem.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        return page(pages::scan(&Page { problem, ..own.page() }, codes), status, own.facts);
    }
    let said = json!({
        "otpauth": codes.enrolment.uri.expose(),
        "pending": codes.pending,
        "fields": ["pending", "code"],
    });
    plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), own.facts)
}
