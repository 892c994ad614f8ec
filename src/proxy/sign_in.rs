//! Signing in and out: a small JSON API and plain pages over the same steps.
//!
//! Every step is recorded before it is answered. What the answer says does not depend on whether the
//! account exists.

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE,
};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};

use super::Gate;
use super::arrival;
use super::body::{Answer, read_capped};
use super::entrance::place;
use super::form::{Form, form_fields, json_fields};
use super::grant_pages;
use super::head::{Head, same_origin};
use super::looks::Open;
use super::oidc::{self, AtIssuer};
use super::pages::{self, Html, Page, Words};
use super::park;
use super::passkey;
use super::refusals::Who;
use super::rejection::Rejection;
use super::respond::plain;
use super::sent::Sent;
use super::session::{self, Own};
use super::trail::Trail;
use crate::identity::{self, AuthError, Cookie, Credentials, NewSession, SignInError};
use crate::listen::Facts;
use crate::secret::Secret;
use crate::telemetry::Stage;

/// Paths below this one are the gate's own.
pub(super) const PREFIX: &str = "/.menshen/";

const BODY_LIMIT_BYTES: usize = 4096;
const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

impl Gate {
    /// Answers the gate's own paths.
    pub(super) async fn sign_in(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        trail.enters(Stage::Own);
        // A session holds for its host alone, and on a host without routes it would be good for nothing.
        if !self.policies.live().publishes_on(&head.host) {
            return Err(Rejection::NotFound);
        }
        match (&head.method, head.path.as_str()) {
            (&Method::GET, "/.menshen/style.css") => Ok(plain(
                StatusCode::OK,
                "text/css",
                Bytes::from_static(pages::STYLE.as_bytes()),
                facts,
            )),
            (&Method::GET, "/.menshen/passkey.js") => Ok(plain(
                StatusCode::OK,
                "text/javascript; charset=utf-8",
                Bytes::from_static(pages::SCRIPT.as_bytes()),
                facts,
            )),
            (&Method::GET, "/.menshen/jwks.json") => self.show_keys(facts),
            (&Method::GET, "/.menshen/login") => {
                self.looked_at(Open::SignIn, facts.peer.ip());
                let issuers = self.identity.sign_in_issuers();
                let issuers: Vec<&str> = issuers.iter().map(String::as_str).collect();
                let shown = Page { issuers: &issuers, ..blank(head, parts) };
                Ok(page(pages::password(&shown), StatusCode::OK, facts))
            }
            (&Method::GET, "/.menshen/code") => {
                self.looked_at(Open::Code, facts.peer.ip());
                self.code_page(head, parts, facts).await
            }
            (_, grant_pages::PATH | grant_pages::DECIDE) => {
                self.grant_page(Own { head, parts, facts, trail }, body).await
            }
            (_, path) if session::PATHS.contains(&path) => {
                self.own_account(Own { head, parts, facts, trail }, body).await
            }
            (_, path) if path.starts_with(passkey::PREFIX) => {
                self.passkey(head, parts, body, facts, trail).await
            }
            (_, arrival::PATH) => self.arrival(Own { head, parts, facts, trail }, body).await,
            (_, path) if path.starts_with(oidc::PREFIX) => {
                self.at_issuer(AtIssuer { head, parts, facts, trail }, body).await
            }
            (&Method::GET, park::PATH) => self.show_kept(head, parts, facts, trail).await,
            (&Method::POST, "/.menshen/login") => {
                let form = self.form(head, parts, body).await?;
                Box::pin(self.present_password(head, parts, &form, facts, trail)).await
            }
            (&Method::POST, "/.menshen/code") => {
                let form = self.form(head, parts, body).await?;
                Box::pin(self.present_code(head, parts, &form, facts, trail)).await
            }
            _ => Err(Rejection::NotFound),
        }
    }

    /// Where a one-time code is shown; not for whoever has a session of an issuer, who shows it there.
    async fn code_page(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
    ) -> Result<Response<Answer>, Rejection> {
        if let Ok(cookie) = session_cookie(head, parts, facts)
            && let Err(error @ AuthError::AtIssuer(_)) = self.identity.factors(&cookie).await
        {
            return Err(session::kept_at_issuer(head, parts, Rejection::Credential(error)));
        }
        Ok(page(pages::code(&blank(head, parts)), StatusCode::OK, facts))
    }

    /// The public keys by which backends know that an assertion is the gate's; no secret and nobody's data.
    fn show_keys(&self, facts: &Facts) -> Result<Response<Answer>, Rejection> {
        self.looked_at(Open::Keys, facts.peer.ip());
        let keys = self.configured().voucher.assertions.published().map_err(|error| {
            tracing::error!(%error, "the keys of assertions cannot be shown");
            Rejection::Unvouched
        })?;
        Ok(plain(StatusCode::OK, "application/jwk-set+json", Bytes::from(keys), facts))
    }

    async fn present_password(
        &self,
        head: &Head,
        parts: &RequestHead,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        self.addresses.attempt(facts.peer.ip()).map_err(Rejection::Address)?;
        self.record_acts().await?;
        let account = form.field("account");
        let password = Secret::new(form.field("password").to_owned());
        let step = self.begin_step("sign_in", account, trail)?;
        let tried =
            self.identity.sign_in(account, password, facts.peer.ip(), &place(head, facts)?).await;
        if self.is_counted_only(&tried, Who::Unknown(facts.peer.ip()), "sign_in") {
            step.unneeded();
            return answered(tried, (head, parts), form, pages::password, facts);
        }
        let named = match &tried {
            Ok(session) => session.account.clone(),
            // The account is named only if there is one.
            Err(_) => match self.identity.account_ref(account).await {
                Ok(reference) => reference.to_string(),
                Err(_unread) => "unknown".to_owned(),
            },
        };
        step.ended(&named, tried.as_ref()).await?;
        answered(tried, (head, parts), form, pages::password, facts)
    }

    async fn present_code(
        &self,
        head: &Head,
        parts: &RequestHead,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let cookie = session_cookie(head, parts, facts)?;
        // Whose session it is was proved by the password; a wrong code does not make it unknown.
        let owner = self.identity.owner(&cookie).await;
        let code = Secret::new(form.field("code").to_owned());
        // An operator may just have made recovery codes.
        self.record_acts().await?;
        let is_recovery = identity::is_recovery_code(&code);
        let name = if is_recovery { "recovery_code" } else { "one_time_code" };
        let mut step = self.begin_step(name, "", trail)?;
        step.about_session(&self.identity.session_reference(&cookie));
        let tried = self.identity.present_code(&cookie, &code, facts.peer.ip()).await;
        if matches!(tried, Err(SignInError::SessionEnded)) {
            step.unneeded();
            return Err(self.nobodys_cookie(form, facts));
        }
        let account = owner.as_ref().map_or("", |caller| caller.account.as_str());
        if self.is_counted_only(&tried, Who::Known(account.to_owned()), name) {
            step.unneeded();
        } else {
            step.ended(account, tried.as_ref()).await?;
        }
        answered(tried, (head, parts), form, pages::code, facts)
    }

    /// Whether an attempt that nobody judged, since the name is locked or its turn did not come, has no entry of its
    /// own: a flood of these may not fill the log, so further ones of a minute are counted.
    pub(super) fn is_counted_only(
        &self,
        tried: &Result<NewSession, SignInError>,
        who: Who,
        step: &str,
    ) -> bool {
        matches!(tried, Err(SignInError::Busy | SignInError::TryLater { .. }))
            && self.gather_refusal(who, step)
    }

    /// What is told of a cookie without a session. Anybody can invent one, so it has no entry of its
    /// own but is gathered with the other refusals of unknown callers.
    fn nobodys_cookie(&self, form: &Form, facts: &Facts) -> Rejection {
        match self.addresses.attempt(facts.peer.ip()) {
            Err(refused) => Rejection::Address(refused),
            Ok(()) if form.from_page => Rejection::SignIn(Some(form.next().to_owned())),
            Ok(()) => Rejection::SignInFailed(SignInError::SessionEnded),
        }
    }

    /// Reads the form or JSON of a step, refusing what another site's page could have sent.
    pub(super) async fn form(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: &mut Sent,
    ) -> Result<Form, Rejection> {
        if !same_origin(&parts.headers, &head.host) {
            return Err(Rejection::ForeignSite);
        }
        let content_type =
            parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence =
            content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let time = self.configured().settings.request_time;
        let body = read_capped(body, BODY_LIMIT_BYTES, time).await.map_err(Rejection::Body)?;
        match essence.as_str() {
            "application/json" => json_fields(&body).ok_or(Rejection::Form),
            "application/x-www-form-urlencoded" => form_fields(&body).ok_or(Rejection::Form),
            "" if body.is_empty() => Ok(Form { fields: Vec::new(), from_page: false }),
            _ => Err(Rejection::Form),
        }
    }
}

/// Tells how a step went: a page goes on or is shown again, a program gets JSON.
fn answered(
    tried: Result<NewSession, SignInError>,
    (head, parts): (&Head, &RequestHead),
    form: &Form,
    again: fn(&Page<'_>) -> Html,
    facts: &Facts,
) -> Result<Response<Answer>, Rejection> {
    match tried {
        Ok(session) if !form.from_page => Ok(told(&session, facts)),
        Ok(session) if session.second_factor => {
            Ok(go_on(session, "/.menshen/code", form.next(), facts))
        }
        Ok(session) => Ok(go_on(session, form.next(), "", facts)),
        Err(error) if form.from_page => {
            let blank = blank(head, parts);
            let problem = blank.words.problem(&error);
            let shown = Page { problem: Some(&problem), next: form.next(), ..blank };
            Ok(page(again(&shown), StatusCode::UNAUTHORIZED, facts))
        }
        Err(error) => Err(Rejection::SignInFailed(error)),
    }
}

pub(super) fn session_cookie(
    head: &Head,
    parts: &RequestHead,
    facts: &Facts,
) -> Result<Cookie, Rejection> {
    match Credentials::from_headers(&parts.headers, &place(head, facts)?) {
        Ok(Credentials::Session(cookie)) => Ok(cookie),
        Ok(
            Credentials::Bearer(_)
            | Credentials::Dpop { .. }
            | Credentials::ApiKey(_)
            | Credentials::Certificate,
        ) => Err(Rejection::SignIn(None)),
        Err(identity::AuthError::Missing) => Err(Rejection::SignIn(None)),
        Err(error) => Err(Rejection::Credential(error)),
    }
}

/// A page in the browser's language that leads on to where the query says.
pub(super) fn blank<'a>(head: &'a Head, parts: &RequestHead) -> Page<'a> {
    let next = head.query.as_deref().and_then(|q| q.strip_prefix("next=")).unwrap_or_default();
    let next = pages::local_path(next).unwrap_or_default();
    Page { next, ..Page::new(&head.host, Words::of(&parts.headers)) }
}

pub(super) fn page(html: Html, status: StatusCode, facts: &Facts) -> Response<Answer> {
    let policy = HeaderValue::from_static(html.content_security_policy());
    let mut response = plain(status, HTML, Bytes::from(html.text), facts);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) fn told(session: &NewSession, facts: &Facts) -> Response<Answer> {
    let said = serde_json::json!({
        "account": session.account,
        "assurance": session.assurance,
        "next": session.second_factor.then_some("/.menshen/code"),
    });
    let mut response = plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), facts);
    give_cookie(response.headers_mut(), session);
    response
}

/// Sends the browser on, with its session.
pub(super) fn go_on(session: NewSession, to: &str, next: &str, facts: &Facts) -> Response<Answer> {
    let to = if next.is_empty() { to.to_owned() } else { format!("{to}?next={next}") };
    let mut response = plain(StatusCode::SEE_OTHER, HTML, Bytes::new(), facts);
    if let Ok(location) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    give_cookie(response.headers_mut(), &session);
    response
}

pub(super) fn give_cookie(headers: &mut HeaderMap, session: &NewSession) {
    if let Ok(mut value) = HeaderValue::try_from(
        identity::set_cookie(&session.cookie_value, session.max_age_s).expose().as_str(),
    ) {
        value.set_sensitive(true);
        headers.insert(SET_COOKIE, value);
    }
}
