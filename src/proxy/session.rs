//! A session as its holder sees it, and its end.

use bytes::Bytes;
use http::header::{HeaderValue, SET_COOKIE};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::head::Head;
use super::pages::{self, Html, Page, Standing};
use super::rejection::Rejection;
use super::respond::plain;
use super::sent::Sent;
use super::sign_in::{JSON, blank, page, session_cookie};
use super::step::Step;
use super::trail::Trail;
use super::{devices, enrol, new_password, oidc, recovery};
use crate::identity::{self, AuthError, Caller, Cookie, CredentialRef, Factors, SignInError};
use crate::listen::Facts;

/// What there is for whoever has a session.
pub(super) const PATHS: [&str; 6] =
    [HOME, "/.menshen/logout", devices::PATH, enrol::PATH, new_password::PATH, recovery::PATH];
const HOME: &str = "/.menshen/session";

/// A request about one's own account.
pub(super) struct Own<'a> {
    pub(super) head: &'a Head,
    pub(super) parts: &'a RequestHead,
    pub(super) facts: &'a Facts,
    pub(super) trail: &'a mut Trail,
}

impl<'a> Own<'a> {
    pub(super) fn cookie(&self) -> Result<Cookie, Rejection> {
        session_cookie(self.head, self.parts, self.facts)
    }

    pub(super) fn page(&self) -> Page<'a> {
        blank(self.head, self.parts)
    }

    /// What the address before it says was done.
    pub(super) fn is_done(&self, what: &str) -> bool {
        self.head.query.as_deref().and_then(|query| query.strip_prefix("done=")) == Some(what)
    }
}

impl Gate {
    /// Answers [`PATHS`].
    pub(super) async fn own_account(
        &self,
        mut own: Own<'_>,
        body: &mut Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let is_post = own.head.method == Method::POST;
        let form = if is_post { Some(self.form(own.head, own.parts, body).await?) } else { None };
        let answered = self.own_page(&mut own, form).await;
        answered.map_err(|rejection| kept_at_issuer(own.head, own.parts, rejection))
    }

    async fn own_page(
        &self,
        own: &mut Own<'_>,
        form: Option<Form>,
    ) -> Result<Response<Answer>, Rejection> {
        match (&own.head.method, own.head.path.as_str(), form) {
            (&Method::GET, HOME, _) => self.show_session(own).await,
            (&Method::GET, devices::PATH, _) => self.show_devices(own).await,
            (&Method::GET, enrol::PATH, _) => self.show_enrolment(own).await,
            (&Method::GET, new_password::PATH, _) => self.show_new_password(own).await,
            (&Method::GET, recovery::PATH, _) => self.show_recovery(own).await,
            (_, "/.menshen/logout", Some(form)) => self.sign_out(own, &form).await,
            (_, devices::PATH, Some(form)) => self.change_devices(own, &form).await,
            (_, enrol::PATH, Some(form)) => self.enrol_codes(own, &form).await,
            (_, new_password::PATH, Some(form)) => self.change_password(own, &form).await,
            (_, recovery::PATH, Some(form)) => self.make_recovery(own, &form).await,
            _ => Err(Rejection::NotFound),
        }
    }

    /// Whoever has the session, its cookie, and the record of a step that is taken in it.
    pub(super) async fn in_session(
        &self,
        own: &mut Own<'_>,
        name: &str,
    ) -> Result<(Cookie, String, Step), Rejection> {
        let caller = self.authenticate(own.head, own.parts, own.facts, own.trail).await?;
        self.refuse_switched_holder(&caller, own.facts, own.trail).await?;
        let cookie = own.cookie()?;
        let mut step = self.begin_step(name, "", own.trail)?;
        step.about_session(&self.identity.session_reference(&cookie));
        Ok((cookie, caller.account.clone(), step))
    }

    async fn sign_out(
        &self,
        own: &mut Own<'_>,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let cookie = own.cookie()?;
        match self.identity.sign_out(&cookie).await {
            Ok(Some(session)) => {
                let mut step = self.begin_step("sign_out", "", own.trail)?;
                step.about_session(&session.reference);
                step.succeeded(&session.account).await?;
            }
            // Nothing ended, so nothing is recorded; but whoever tries many cookies is slowed down.
            Ok(None) => self.addresses.attempt(own.facts.peer.ip()).map_err(Rejection::Address)?,
            Err(_unwritten) => return Err(Rejection::StoreUnavailable),
        }
        Ok(signed_out(own, form, None))
    }

    async fn show_session(&self, own: &mut Own<'_>) -> Result<Response<Answer>, Rejection> {
        let caller = self.authenticate(own.head, own.parts, own.facts, own.trail).await?;
        if matches!(caller.credential, CredentialRef::ApiKey { .. }) {
            // A program's key opens no page about a person.
            return Err(Rejection::SignIn(None));
        }
        let mut step = self.begin_step("session_shown", "", own.trail)?;
        if let CredentialRef::Session { reference } = &caller.credential {
            step.about_session(reference);
        }
        step.succeeded(&caller.account).await?;
        if own.head.wants_page {
            let html = self.session_page(own, &caller).await?;
            return Ok(page(html, StatusCode::OK, own.facts));
        }
        let mut said = serde_json::json!({
            "account": caller.account, "roles": caller.roles, "assurance": caller.assurance,
        });
        if let (CredentialRef::Session { .. }, Some(said)) =
            (&caller.credential, said.as_object_mut())
            // Whoever signed in at an issuer has their password there.
            && self.identity.sign_in_issuer_of(&caller.account).is_none()
        {
            let overview = self.identity.overview(&own.cookie()?).await;
            let overview = overview.map_err(Rejection::Credential)?;
            let password = serde_json::json!({
                "days": overview.password_days, "is_old": overview.password_is_old,
            });
            said.insert("password".to_owned(), password);
        }
        Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), own.facts))
    }

    async fn session_page(&self, own: &mut Own<'_>, caller: &Caller) -> Result<Html, Rejection> {
        // Whoever shows a token has no session to tell of.
        let (factors, overview) = match own.cookie() {
            Ok(cookie) => {
                let overview = self.identity.overview(&cookie).await;
                let overview = overview.map_err(Rejection::Credential)?;
                let factors = match &overview.issuer {
                    Some(_) => Ok(Factors::default()),
                    None => self.identity.factors(&cookie).await,
                };
                (factors.map_err(Rejection::Credential)?, Some(overview))
            }
            Err(_) => (Factors::default(), None),
        };
        let blank = own.page();
        let done = own.is_done("passkey").then_some(blank.words.passkey_registered);
        let done = done.or(own.is_done("password").then_some(blank.words.password_changed));
        let standing = Standing {
            account: &caller.account,
            assurance: caller.assurance,
            passkeys: &factors.passkeys,
            unproved: factors.unproved,
            ways: factors.ways,
            overview: overview.as_ref(),
        };
        Ok(pages::session(&Page { done, ..blank }, &standing))
    }
}

/// A browser is told on a page where its user's factors are, with the way there.
pub(super) fn kept_at_issuer(head: &Head, parts: &RequestHead, rejection: Rejection) -> Rejection {
    let (Rejection::Credential(AuthError::AtIssuer(issuer))
    | Rejection::SignInFailed(SignInError::AtIssuer(issuer))) = &rejection
    else {
        return rejection;
    };
    if !head.wants_page {
        return rejection;
    }
    let there = oidc::raise_at(issuer, 2, None, HOME);
    Rejection::KeptAtIssuer(pages::at_issuer(&blank(head, parts), issuer, &there))
}

/// What is told when the session is no more; the browser forgets what it had of it.
pub(super) fn signed_out(own: &Own<'_>, form: &Form, done: Option<&str>) -> Response<Answer> {
    let mut response = if form.from_page {
        page(pages::signed_out(&Page { done, ..own.page() }), StatusCode::OK, own.facts)
    } else {
        plain(StatusCode::NO_CONTENT, JSON, Bytes::new(), own.facts)
    };
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, HeaderValue::from_static(identity::CLEAR_COOKIE));
    headers.insert("clear-site-data", HeaderValue::from_static("\"cookies\", \"storage\""));
    response
}
