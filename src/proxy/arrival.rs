//! Somebody who was invited sets the first password. Whatever is wrong with an invitation is told alike.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::Gate;
use super::body::Answer;
use super::entrance::place;
use super::form::Form;
use super::pages::{self, Page};
use super::refusals::Who;
use super::rejection::Rejection;
use super::respond::plain;
use super::sent::Sent;
use super::session::Own;
use super::sign_in::{JSON, give_cookie, go_on, page};
use super::step::Step;
use crate::identity::{Arrived, SignInError};
use crate::secret::Secret;

pub(super) const PATH: &str = "/.menshen/invitation";

impl Gate {
    /// Answers [`PATH`].
    pub(super) async fn arrival(
        &self,
        mut own: Own<'_>,
        body: &mut Sent,
    ) -> Result<Response<Answer>, Rejection> {
        if own.head.method == Method::POST {
            let form = self.form(own.head, own.parts, body).await?;
            return self.arrive(&mut own, &form).await;
        }
        if own.head.method != Method::GET {
            return Err(Rejection::NotFound);
        }
        self.show_invitation(&mut own).await
    }

    /// The link itself uses nothing up: programs that look at mail follow it too.
    async fn show_invitation(&self, own: &mut Own<'_>) -> Result<Response<Answer>, Rejection> {
        self.addresses.attempt(own.facts.peer.ip()).map_err(Rejection::Address)?;
        let token = own.head.query.as_deref().and_then(|query| query.strip_prefix("t="));
        let token = Secret::new(token.unwrap_or_default().to_owned());
        let step = self.begin_step("invitation_shown", "", own.trail)?;
        match self.identity.invited(&token, &own.head.host).await {
            Ok(account) => {
                step.succeeded(&account).await?;
                let html = pages::invitation(&own.page(), &account, &token);
                Ok(page(html, StatusCode::OK, own.facts))
            }
            Err(error) => {
                self.not_invited(own, step, &error).await?;
                Ok(nobody_invited(own, &error))
            }
        }
    }

    async fn arrive(&self, own: &mut Own<'_>, form: &Form) -> Result<Response<Answer>, Rejection> {
        let address = own.facts.peer.ip();
        self.addresses.attempt(address).map_err(Rejection::Address)?;
        // Nobody comes by an invitation that is not in the log yet.
        self.record_acts().await?;
        let token = Secret::new(form.field("t").to_owned());
        let password = Secret::new(form.field("password").to_owned());
        let mut step = self.begin_step("invitation_accept", "", own.trail)?;
        let place = place(own.head, own.facts)?;
        let invited = self.identity.invited(&token, &own.head.host).await;
        match self.identity.arrive(&token, password, address, &place).await {
            Ok(arrived) => {
                step.about_session(&arrived.session.reference);
                step.succeeded(&arrived.session.account).await?;
                self.record_acts().await?;
                Ok(welcome(own, form, arrived))
            }
            Err(error) => match invited {
                Ok(account) => {
                    step.failed(&account, &error).await?;
                    if !form.from_page {
                        return Err(Rejection::SignInFailed(error));
                    }
                    let blank = own.page();
                    let problem = blank.words.problem(&error);
                    let shown = Page { problem: Some(&problem), ..blank };
                    let html = pages::invitation(&shown, &account, &token);
                    Ok(page(html, StatusCode::UNPROCESSABLE_ENTITY, own.facts))
                }
                Err(_nobody) => {
                    self.not_invited(own, step, &error).await?;
                    if form.from_page {
                        return Ok(nobody_invited(own, &error));
                    }
                    Err(Rejection::SignInFailed(error))
                }
            },
        }
    }

    /// Anybody can invent a link, so these are counted together where they are many.
    async fn not_invited(
        &self,
        own: &mut Own<'_>,
        step: Step,
        error: &SignInError,
    ) -> Result<(), Rejection> {
        if self.gather_refusal(Who::Unknown(own.facts.peer.ip()), "invitation") {
            step.unneeded();
            return Ok(());
        }
        step.failed("", error).await
    }
}

fn nobody_invited(own: &Own<'_>, error: &SignInError) -> Response<Answer> {
    let blank = own.page();
    let problem = blank.words.problem(error);
    let html = pages::no_invitation(&Page { problem: Some(&problem), ..blank });
    page(html, StatusCode::NOT_FOUND, own.facts)
}

/// The session, and the way to one-time codes.
fn welcome(own: &Own<'_>, form: &Form, arrived: Arrived) -> Response<Answer> {
    let Arrived { session, ticket } = arrived;
    if !form.from_page {
        let next = match &ticket {
            Some(_) => Some("/.menshen/enrol"),
            None => session.second_factor.then_some("/.menshen/code"),
        };
        let said = json!({
            "account": session.account,
            "assurance": session.assurance,
            "ticket": ticket.as_ref().map(|ticket| ticket.expose().as_str()),
            "next": next,
        });
        let body = Bytes::from(format!("{said}\n"));
        let mut response = plain(StatusCode::OK, JSON, body, own.facts);
        give_cookie(response.headers_mut(), &session);
        return response;
    }
    let Some(ticket) = ticket else {
        let to = if session.second_factor { "/.menshen/code" } else { "/.menshen/session" };
        return go_on(session, to, "", own.facts);
    };
    let mut response = page(pages::welcome(&own.page(), &ticket), StatusCode::OK, own.facts);
    give_cookie(response.headers_mut(), &session);
    response
}
