//! Signing in at an issuer: the way there, the way back, and the issuer's orders to sign somebody out.
//!
//! The way back is answered with a page that leads on: a browser sends the session's cookie (`SameSite=Strict`)
//! with what this page asks for, not with a redirect that began at the issuer.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE,
};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};

use super::Gate;
use super::body::{Answer, read_capped};
use super::entrance::place;
use super::form::{Form, form_fields};
use super::head::Head;
use super::looks::Open;
use super::pages::{self, Page, Words, local_path};
use super::refusals::Who;
use super::rejection::Rejection;
use super::respond::plain;
use super::sent::Sent;
use super::sign_in::{JSON, page, session_cookie};
use super::trail::Trail;
use crate::identity::{
    self, NewSession, OIDC_COOKIE, OidcAnswer, OidcAsk, OidcFault, SignInError, clear_oidc_cookie,
    set_oidc_cookie,
};
use crate::listen::Facts;

/// Paths below this one are about issuers.
pub(super) const PREFIX: &str = "/.menshen/oidc/";
/// The longest address that is gone to afterwards: it travels in a cookie.
const NEXT_LIMIT: usize = 1024;
/// The largest order to sign somebody out.
const ORDER_LIMIT_BYTES: usize = 32 * 1024;

/// A request about signing in at an issuer.
pub(super) struct AtIssuer<'a> {
    pub(super) head: &'a Head,
    pub(super) parts: &'a RequestHead,
    pub(super) facts: &'a Facts,
    pub(super) trail: &'a mut Trail,
}

/// Where a session of that issuer is raised.
pub(super) fn raise_at(issuer: &str, level: u8, max_age_s: Option<u32>, next: &str) -> String {
    let age = max_age_s.map_or_else(String::new, |seconds| format!("&max_age={seconds}"));
    let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
    format!("{PREFIX}{issuer}?level={level}{age}&next={next}")
}

impl Gate {
    /// Answers the paths below [`PREFIX`]: `NAME`, `NAME/callback` and `NAME/logout`.
    pub(super) async fn at_issuer(
        &self,
        mut at: AtIssuer<'_>,
        body: &mut Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let rest = at.head.path.as_str().strip_prefix(PREFIX).unwrap_or_default();
        let (issuer, step) = rest.split_once('/').unwrap_or((rest, ""));
        if !self.identity.sign_in_issuers().iter().any(|known| known == issuer) {
            return Err(Rejection::NotFound);
        }
        self.addresses.attempt(at.facts.peer.ip()).map_err(Rejection::Address)?;
        match (&at.head.method, step) {
            (&Method::GET, "") => self.send_to_issuer(&mut at, issuer).await,
            (&Method::GET, "callback") => self.take_back(&mut at, issuer).await,
            (&Method::POST, "logout") => self.ordered_out(&mut at, issuer, body).await,
            _ => Err(Rejection::NotFound),
        }
    }

    async fn send_to_issuer(
        &self,
        at: &mut AtIssuer<'_>,
        issuer: &str,
    ) -> Result<Response<Answer>, Rejection> {
        let asked = query(at.head)?;
        let next = local_path(asked.field("next")).filter(|next| next.len() <= NEXT_LIMIT);
        let level = asked.field("level").parse().ok().filter(|level| *level <= 3).unwrap_or(0);
        let cookie = session_cookie(at.head, at.parts, at.facts).ok();
        let place = place(at.head, at.facts)?;
        let authority = authority(at);
        let ask = OidcAsk {
            issuer,
            place: &place,
            authority: &authority,
            next: next.unwrap_or("/.menshen/session"),
            level,
            max_age_s: asked.field("max_age").parse().ok(),
            session: cookie.as_ref(),
        };
        let begun = match self.identity.begin_oidc(ask).await {
            Ok(begun) => {
                self.looked_at(Open::Issuer, at.facts.peer.ip());
                begun
            }
            Err(fault) => return self.not_signed_in(at, "issuer_asked", fault, "").await,
        };
        let mut response = plain(StatusCode::SEE_OTHER, JSON, Bytes::new(), at.facts);
        let headers = response.headers_mut();
        headers.insert(LOCATION, sensitive(&begun.location)?);
        headers.insert(SET_COOKIE, sensitive(set_oidc_cookie(&begun.cookie).expose())?);
        quiet(headers);
        Ok(response)
    }

    async fn take_back(
        &self,
        at: &mut AtIssuer<'_>,
        issuer: &str,
    ) -> Result<Response<Answer>, Rejection> {
        self.record_acts().await?;
        let asked = query(at.head)?;
        let sealed = kept(&at.parts.headers).unwrap_or_default();
        let text = |name: &str| Some(asked.field(name).to_owned()).filter(|text| !text.is_empty());
        let answer = OidcAnswer {
            code: asked.field("code").to_owned(),
            state: asked.field("state").to_owned(),
            iss: text("iss"),
            error: text("error"),
        };
        let step = self.begin_step("sign_in_at_issuer", "", at.trail)?;
        let place = place(at.head, at.facts)?;
        let here = (&place, at.facts.peer.ip());
        let done = match self.identity.finish_oidc(issuer, sealed, answer, here).await {
            Ok(done) => done,
            Err(fault) => {
                step.unneeded();
                return self.not_signed_in(at, "sign_in_at_issuer", fault, issuer).await;
            }
        };
        step.ended(&done.session.account, Ok(&done.session)).await?;
        let shown = Page::new(&at.head.host, Words::of(&at.parts.headers));
        let html = match done.missed {
            None => pages::issuer_done(&Page { next: &done.next, ..shown }),
            // Led on, the person would be sent there again, and again.
            Some(level) => pages::issuer_missed(&shown, level),
        };
        let mut response = page(html, StatusCode::OK, at.facts);
        let headers = response.headers_mut();
        if done.missed.is_none() {
            headers.insert("refresh", sensitive(&format!("0; url={}", done.next))?);
        }
        give(headers, &done.session)?;
        quiet(headers);
        Ok(response)
    }

    /// Records why nobody is signed in, and says so.
    async fn not_signed_in(
        &self,
        at: &mut AtIssuer<'_>,
        step: &str,
        fault: OidcFault,
        issuer: &str,
    ) -> Result<Response<Answer>, Rejection> {
        let is_outage = fault.is_outage();
        if is_outage {
            tracing::error!(error = %fault, "an issuer could not be asked");
        }
        let error = SignInError::Issuer(fault);
        // Anybody can invent an answer, so these are counted together where they are many.
        if !self.gather_refusal(Who::Unknown(at.facts.peer.ip()), step) {
            self.begin_step(step, "", at.trail)?.failed(issuer, &error).await?;
        }
        let shown = Page::new(&at.head.host, Words::of(&at.parts.headers));
        let problem = shown.words.problem(&error);
        let html = pages::issuer_refused(&Page { problem: Some(&problem), ..shown });
        let status =
            if is_outage { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNAUTHORIZED };
        let mut response = page(html, status, at.facts);
        let headers = response.headers_mut();
        headers.insert(SET_COOKIE, sensitive(&clear_oidc_cookie())?);
        quiet(headers);
        Ok(response)
    }

    /// The issuer says, from its server to ours, that somebody is signed out.
    async fn ordered_out(
        &self,
        at: &mut AtIssuer<'_>,
        issuer: &str,
        body: &mut Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let time = self.configured().settings.request_time;
        let body = read_capped(body, ORDER_LIMIT_BYTES, time).await.map_err(Rejection::Body)?;
        let form = form_fields(&body).ok_or(Rejection::Form)?;
        let mut step = self.begin_step("signed_out_by_issuer", "", at.trail)?;
        let status = match self.identity.oidc_logout(issuer, form.field("logout_token")).await {
            Ok(out) => {
                step.counted(out.sessions);
                step.succeeded(out.account.as_deref().unwrap_or(issuer)).await?;
                StatusCode::OK
            }
            Err(fault) => {
                let is_outage = fault.is_outage();
                if self.gather_refusal(Who::Unknown(at.facts.peer.ip()), "signed_out_by_issuer") {
                    step.unneeded();
                } else {
                    step.failed(issuer, &SignInError::Issuer(fault)).await?;
                }
                if is_outage { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST }
            }
        };
        let mut response = plain(status, JSON, Bytes::new(), at.facts);
        quiet(response.headers_mut());
        Ok(response)
    }
}

/// The session instead of what was kept for it.
fn give(headers: &mut HeaderMap, session: &NewSession) -> Result<(), Rejection> {
    let cookie = identity::set_cookie(&session.cookie_value, session.max_age_s);
    headers.insert(SET_COOKIE, sensitive(cookie.expose())?);
    headers.append(SET_COOKIE, sensitive(&clear_oidc_cookie())?);
    Ok(())
}

/// The address that was asked holds a code: nobody keeps it or tells it on.
fn quiet(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = HeaderName::from_static("referrer-policy");
    headers.insert(policy, HeaderValue::from_static("no-referrer"));
}

fn query(head: &Head) -> Result<Form, Rejection> {
    let asked = form_fields(head.query.as_deref().unwrap_or_default().as_bytes());
    let asked = asked.ok_or(Rejection::Form)?;
    // A name that stands twice means one thing to us and another to somebody else.
    let names = asked.fields.iter().map(|(name, _)| name);
    let is_twice = |name: &String| names.clone().filter(|other| *other == name).count() > 1;
    if names.clone().any(is_twice) { Err(Rejection::Form) } else { Ok(asked) }
}

/// What the browser kept; nothing if there are two.
fn kept(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == OIDC_COOKIE).then_some(value)
    });
    let mut found = pairs;
    let first = found.next();
    if found.next().is_some() { None } else { first }
}

/// The host that was asked, with its port where that is not 443.
fn authority(at: &AtIssuer<'_>) -> String {
    let named = at.parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let named =
        named.and_then(|host| host.rsplit_once(':')).and_then(|(_, port)| port.parse().ok());
    match at.parts.uri.port_u16().or(named) {
        Some(port) if port != 443 => format!("{}:{port}", at.head.host),
        Some(_) | None => at.head.host.clone(),
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Rejection> {
    let mut value = HeaderValue::try_from(text).map_err(|_not_one| Rejection::Form)?;
    value.set_sensitive(true);
    Ok(value)
}
