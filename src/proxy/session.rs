//! A session as its holder sees it, and its end.

use bytes::Bytes;
use http::header::{HeaderValue, SET_COOKIE};
use http::request::Parts as RequestHead;
use http::{Response, StatusCode};

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::head::Head;
use super::pages::{self, Html, Page, Standing};
use super::rejection::Rejection;
use super::respond::plain;
use super::sign_in::{JSON, blank, page, session_cookie};
use super::trail::Trail;
use crate::identity::{self, Caller, CredentialRef, Factors};
use crate::listen::Facts;

impl Gate {
    pub(super) async fn sign_out(
        &self,
        head: &Head,
        parts: &RequestHead,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let cookie = session_cookie(head, parts, facts)?;
        match self.identity.sign_out(&cookie).await {
            Ok(Some(session)) => {
                let mut step = self.begin_step("sign_out", "", trail)?;
                step.about_session(&session.reference);
                step.succeeded(&session.account).await?;
            }
            // Nothing ended, so nothing is recorded; but whoever tries many cookies is slowed down.
            Ok(None) => self.addresses.attempt(facts.peer.ip()).map_err(Rejection::Address)?,
            Err(_unwritten) => return Err(Rejection::StoreUnavailable),
        }
        let mut response = if form.from_page {
            page(pages::signed_out(&blank(head, parts)), StatusCode::OK, facts)
        } else {
            plain(StatusCode::NO_CONTENT, JSON, Bytes::new(), facts)
        };
        let headers = response.headers_mut();
        headers.insert(SET_COOKIE, HeaderValue::from_static(identity::CLEAR_COOKIE));
        headers.insert("clear-site-data", HeaderValue::from_static("\"cookies\", \"storage\""));
        Ok(response)
    }

    pub(super) async fn show_session(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let caller = self.authenticate(head, parts, facts, trail).await?;
        let mut step = self.begin_step("session_shown", "", trail)?;
        if let CredentialRef::Session { reference } = &caller.credential {
            step.about_session(reference);
        }
        step.succeeded(&caller.account).await?;
        if head.wants_page {
            let html = self.session_page(head, parts, facts, &caller).await?;
            return Ok(page(html, StatusCode::OK, facts));
        }
        let said = serde_json::json!({
            "account": caller.account, "roles": caller.roles, "assurance": caller.assurance,
        });
        Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), facts))
    }

    async fn session_page(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        caller: &Caller,
    ) -> Result<Html, Rejection> {
        // Whoever shows a token has no factors here.
        let factors = match session_cookie(head, parts, facts) {
            Ok(cookie) => self.identity.factors(&cookie).await,
            Err(_token) => Ok(Factors::default()),
        };
        let factors = factors.map_err(Rejection::Credential)?;
        let blank = blank(head, parts);
        let done = match head.query.as_deref() {
            Some("done=passkey") => Some(blank.words.passkey_registered),
            Some(_) | None => None,
        };
        let standing = Standing {
            account: &caller.account,
            assurance: caller.assurance,
            passkeys: &factors.passkeys,
            unproved: factors.unproved,
            ways: factors.ways,
        };
        Ok(pages::session(&Page { done, ..blank }, &standing))
    }
}
