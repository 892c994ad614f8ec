//! Signing in and out: a small JSON API and plain pages over the same steps.
//!
//! Every step is recorded before it is answered. What the answer says does not depend on whether the
//! account exists.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, ORIGIN, SET_COOKIE,
};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use zeroize::Zeroizing;

use super::Gate;
use super::body::{Answer, read_capped};
use super::head::Head;
use super::pages::{self, Page};
use super::rejection::Rejection;
use super::respond::plain;
use super::trail::Trail;
use crate::audit::{Act, Event};
use crate::identity::{self, Credentials, NewSession, SignInError};
use crate::listen::Facts;
use crate::secret::Secret;

/// Paths below this one are the gate's own.
pub(super) const PREFIX: &str = "/.menshen/";

const BODY_LIMIT_BYTES: usize = 4096;
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// What a sign-in request brings.
struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
    /// It came from a page, so a page is the answer.
    from_page: bool,
}

impl Form {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Where to go afterwards: only a path on this host.
    fn next(&self) -> &str {
        let next = self.field("next");
        let is_local = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
        if is_local && next.chars().all(|c| c.is_ascii_graphic()) {
            next
        } else {
            "/.menshen/session"
        }
    }
}

impl Gate {
    /// Answers the gate's own paths.
    pub(super) async fn sign_in(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: Incoming,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        match (&head.method, head.path.as_str()) {
            (&Method::GET, "/.menshen/style.css") => Ok(plain(
                StatusCode::OK,
                "text/css",
                Bytes::from_static(pages::STYLE.as_bytes()),
                facts,
            )),
            (&Method::GET, "/.menshen/login") => {
                Ok(page(pages::password(&blank(head)), StatusCode::OK, facts))
            }
            (&Method::GET, "/.menshen/code") => {
                Ok(page(pages::code(&blank(head)), StatusCode::OK, facts))
            }
            (&Method::GET, "/.menshen/session") => {
                self.show_session(head, parts, facts, trail).await
            }
            (&Method::POST, "/.menshen/login") => {
                let form = self.form(head, parts, body, facts).await?;
                self.present_password(head, &form, facts, trail).await
            }
            (&Method::POST, "/.menshen/code") => {
                let form = self.form(head, parts, body, facts).await?;
                self.present_code(head, parts, &form, facts, trail).await
            }
            (&Method::POST, "/.menshen/logout") => {
                let form = self.form(head, parts, body, facts).await?;
                self.sign_out(head, parts, &form, facts, trail).await
            }
            _ => Err(Rejection::NotFound),
        }
    }

    async fn present_password(
        &self,
        head: &Head,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        self.addresses.attempt(facts.peer.ip()).map_err(Rejection::Address)?;
        let account = form.field("account");
        let password = Secret::new(form.field("password").to_owned());
        let tried = self.identity.sign_in(account, password, facts.peer.ip()).await;
        self.record_session("sign_in", account, tried.as_ref().err(), trail).await?;
        match tried {
            Ok(session) if form.from_page && session.second_factor => {
                Ok(go_on(session, "/.menshen/code", form.next(), facts))
            }
            Ok(session) if form.from_page => Ok(go_on(session, form.next(), "", facts)),
            Ok(session) => Ok(told(&session, facts)),
            Err(error) if form.from_page => {
                let problem = error.to_string();
                let shown = Page { host: &head.host, problem: Some(&problem), next: form.next() };
                Ok(page(pages::password(&shown), StatusCode::UNAUTHORIZED, facts))
            }
            Err(error) => Err(Rejection::SignInFailed(error)),
        }
    }

    async fn present_code(
        &self,
        head: &Head,
        parts: &RequestHead,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let cookie = session_cookie(&parts.headers)?;
        let code = Secret::new(form.field("code").to_owned());
        // Asked before: a wrong code must be recorded under the name of the one it was guessed for.
        let holder = self.identity.authenticate(Credentials::Session(cookie.clone())).await;
        let account = holder.map_or_else(|_ended| String::new(), |holder| holder.account);
        let tried = self.identity.present_code(&cookie, &code, facts.peer.ip()).await;
        self.record_session("one_time_code", &account, tried.as_ref().err(), trail).await?;
        match tried {
            Ok(session) if form.from_page => Ok(go_on(session, form.next(), "", facts)),
            Ok(session) => Ok(told(&session, facts)),
            Err(error) if form.from_page => {
                let problem = error.to_string();
                let shown = Page { host: &head.host, problem: Some(&problem), next: form.next() };
                Ok(page(pages::code(&shown), StatusCode::UNAUTHORIZED, facts))
            }
            Err(error) => Err(Rejection::SignInFailed(error)),
        }
    }

    async fn sign_out(
        &self,
        head: &Head,
        parts: &RequestHead,
        form: &Form,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let cookie = session_cookie(&parts.headers)?;
        let ended = self.identity.sign_out(&cookie).await;
        let account = match &ended {
            Ok(Some(session)) => session.account.clone(),
            Ok(None) => String::new(),
            Err(_) => return Err(Rejection::StoreUnavailable),
        };
        self.record_session("sign_out", &account, None, trail).await?;
        let mut response = if form.from_page {
            page(pages::signed_out(&blank(head)), StatusCode::OK, facts)
        } else {
            plain(StatusCode::NO_CONTENT, JSON, Bytes::new(), facts)
        };
        let headers = response.headers_mut();
        headers.insert(SET_COOKIE, HeaderValue::from_static(identity::CLEAR_COOKIE));
        headers.insert("clear-site-data", HeaderValue::from_static("\"cookies\", \"storage\""));
        Ok(response)
    }

    async fn show_session(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let caller = self.authenticate(head, parts, facts, trail).await?;
        if head.wants_page {
            let html = pages::signed_in(&blank(head), &caller.account, caller.assurance);
            return Ok(page(html, StatusCode::OK, facts));
        }
        let said = serde_json::json!({
            "account": caller.account, "roles": caller.roles, "assurance": caller.assurance,
        });
        Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), facts))
    }

    /// Writes the entry of a step before it is answered. The account is named only if it was proved.
    async fn record_session(
        &self,
        step: &str,
        account: &str,
        failure: Option<&SignInError>,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        let mut entry =
            self.log.entry(Event::Session).map_err(|_no_randomness| Rejection::LogUnavailable)?;
        entry.origin = trail.origin();
        let object = match failure {
            None => Cow::Borrowed(account),
            // A name that was typed wrong may be a password.
            Some(_) => match self.identity.account_ref(account).await {
                Ok(reference) => Cow::Owned(reference.to_string()),
                Err(_unread) => Cow::Borrowed("unknown"),
            },
        };
        entry.act = Some(Act {
            name: step.into(),
            object: object.as_ref().into(),
            succeeded: Some(failure.is_none()),
            ..Act::default()
        });
        if let Some(failure) = failure {
            entry.result.get_or_insert_default().cause = cause(failure).into();
        }
        self.log.append(entry).await.map(drop).map_err(|error| {
            tracing::error!(%error, "a sign-in step could not be recorded");
            Rejection::LogUnavailable
        })
    }

    /// Reads the form or JSON of a step, refusing what another site's page could have sent.
    async fn form(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: Incoming,
        facts: &Facts,
    ) -> Result<Form, Rejection> {
        if !same_origin(&parts.headers, &head.host) {
            return Err(Rejection::ForeignSite);
        }
        let content_type =
            parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence =
            content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let time = self.settings.request_time;
        let body = read_capped(body, BODY_LIMIT_BYTES, time, &facts.progress)
            .await
            .map_err(Rejection::Body)?;
        match essence.as_str() {
            "application/json" => json_fields(&body).ok_or(Rejection::Form),
            "application/x-www-form-urlencoded" => form_fields(&body).ok_or(Rejection::Form),
            "" if body.is_empty() => Ok(Form { fields: Vec::new(), from_page: false }),
            _ => Err(Rejection::Form),
        }
    }
}

fn cause(failure: &SignInError) -> &'static str {
    match failure {
        SignInError::Refused => "refused",
        SignInError::TryLater { .. } => "locked",
        SignInError::Busy => "busy",
        SignInError::SessionEnded => "session_ended",
        SignInError::NoSecondFactor => "no_second_factor",
        SignInError::Unchecked | SignInError::State(_) => "unchecked",
    }
}

fn session_cookie(headers: &HeaderMap) -> Result<Secret<String>, Rejection> {
    match Credentials::from_headers(headers) {
        Ok(Credentials::Session(cookie)) => Ok(cookie),
        Ok(Credentials::Bearer(_)) => Err(Rejection::SignIn(None)),
        Err(identity::AuthError::Missing) => Err(Rejection::SignIn(None)),
        Err(error) => Err(Rejection::Credential(error)),
    }
}

/// A browser says where a request comes from; a program says nothing and can only send JSON, which
/// another site's page cannot send without asking first.
fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN).map(|v| v.to_str().unwrap_or("?")) {
        Some(origin) => origin.strip_prefix("https://").is_some_and(|rest| {
            rest.split(':').next().is_some_and(|h| h.eq_ignore_ascii_case(host))
        }),
        None => text("content-type").is_none_or(|t| t.starts_with("application/json")),
    }
}

fn json_fields(body: &[u8]) -> Option<Form> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    let fields = object
        .into_iter()
        .map(|(name, value)| Some((name, Zeroizing::new(value.as_str()?.to_owned()))));
    Some(Form { fields: fields.collect::<Option<_>>()?, from_page: false })
}

fn form_fields(body: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(body).ok()?;
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
    };
    let fields = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, Zeroizing::new(decode(value)?)))
    });
    Some(Form { fields: fields.collect::<Option<_>>()?, from_page: true })
}

fn blank(head: &Head) -> Page<'_> {
    let next = head.query.as_deref().and_then(|q| q.strip_prefix("next=")).unwrap_or_default();
    Page { host: &head.host, problem: None, next }
}

fn page(html: String, status: StatusCode, facts: &Facts) -> Response<Answer> {
    let mut response = plain(status, HTML, Bytes::from(html), facts);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CONTENT_SECURITY_POLICY));
    response
}

fn told(session: &NewSession, facts: &Facts) -> Response<Answer> {
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
fn go_on(session: NewSession, to: &str, next: &str, facts: &Facts) -> Response<Answer> {
    let to = if next.is_empty() { to.to_owned() } else { format!("{to}?next={next}") };
    let mut response = plain(StatusCode::SEE_OTHER, HTML, Bytes::new(), facts);
    if let Ok(location) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    give_cookie(response.headers_mut(), &session);
    response
}

fn give_cookie(headers: &mut HeaderMap, session: &NewSession) {
    if let Ok(mut value) = HeaderValue::try_from(
        identity::set_cookie(&session.cookie_value, session.max_age_s).expose().as_str(),
    ) {
        value.set_sensitive(true);
        headers.insert(SET_COOKIE, value);
    }
}
