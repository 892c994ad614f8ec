//! Signing in and out: a small JSON API and plain pages over the same steps.
//!
//! Every step is recorded before it is answered. What the answer says does not depend on whether the
//! account exists.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE,
};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use zeroize::Zeroizing;

use super::Gate;
use super::body::{Answer, read_capped};
use super::head::{Head, same_origin};
use super::pages::{self, Page};
use super::rejection::Rejection;
use super::respond::plain;
use super::trail::Trail;
use crate::audit::{self, Act, Entry, Event, Log};
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
        // A session holds for its host alone, and on a host without routes it would be good for nothing.
        if !self.program.publishes_on(&head.host) {
            return Err(Rejection::NotFound);
        }
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
        let step = self.begin_step("sign_in", account, trail)?;
        let tried = self.identity.sign_in(account, password, facts.peer.ip()).await;
        let named = match &tried {
            Ok(session) => session.account.clone(),
            // The account is named only if there is one.
            Err(_) => match self.identity.account_ref(account).await {
                Ok(reference) => reference.to_string(),
                Err(_unread) => "unknown".to_owned(),
            },
        };
        step.ended(&named, tried.as_ref()).await?;
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
        let mut step = self.begin_step("one_time_code", "", trail)?;
        step.about_session(&self.identity.session_reference(&cookie));
        let tried = self.identity.present_code(&cookie, &code, facts.peer.ip()).await;
        if matches!(tried, Err(SignInError::SessionEnded)) {
            step.unneeded();
            return Err(self.nobodys_cookie(form, facts));
        }
        let account = tried.as_ref().map_or("", |session| session.account.as_str());
        step.ended(account, tried.as_ref()).await?;
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

    /// What is told of a cookie without a session. Anybody can invent one, so it has no entry of its
    /// own but is gathered with the other refusals of unknown callers.
    fn nobodys_cookie(&self, form: &Form, facts: &Facts) -> Rejection {
        match self.addresses.attempt(facts.peer.ip()) {
            Err(refused) => Rejection::Address(refused),
            Ok(()) if form.from_page => Rejection::SignIn(Some(form.next().to_owned())),
            Ok(()) => Rejection::SignInFailed(SignInError::SessionEnded),
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

    /// Begins the record of a step; what was typed is named by a keyed hash, since it may be a password.
    fn begin_step(&self, name: &str, typed: &str, trail: &Trail) -> Result<Step, Rejection> {
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

/// A step of signing in or out that is under way. Dropped before its end, because the client left, it
/// is recorded all the same: the guess was judged, even if nobody waited for the answer.
struct Step {
    log: Log,
    entry: Option<Entry>,
}

impl Step {
    /// Names the session by its keyed hash.
    fn about_session(&mut self, reference: &str) {
        if let Some(entry) = &mut self.entry {
            let auth = entry.auth.get_or_insert_default();
            auth.credential = "session".into();
            auth.session = reference.into();
        }
    }

    /// Records how a sign-in or a code was judged, before it is told.
    async fn ended(
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

    async fn succeeded(self, account: &str) -> Result<(), Rejection> {
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
    fn unneeded(mut self) {
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
