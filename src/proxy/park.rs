//! A step-up that leads a browser back: its request is kept sealed, the factor taken, and the request
//! sent once when its user says so, through the whole gate. Programs repeat their requests themselves.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::request::Parts as RequestHead;
use http::{Method, Response, StatusCode};

use super::Gate;
use super::body::{Answer, BodyFault, read_capped};
use super::entrance::place;
use super::head::{Head, same_origin};
use super::kept::{Again, Asked, Kept};
use super::oidc;
use super::pages::{self, Page, Words};
use super::question::Question;
use super::refusals::Who;
use super::rejection::{FactorAsked, Rejection, Way};
use super::sent::Sent;
use super::sign_in::{page, session_cookie};
use super::trail::{Resumed, Trail};
use crate::identity::{Caller, Cookie, Credentials, Parker};
use crate::listen::Facts;

/// Where a browser shows the factor and confirms its request.
pub(super) const PATH: &str = "/.menshen/step-up";
/// What a kept request may have beside its body.
const HEAD_BYTES: usize = 16 * 1024;
/// Requests of an account over one route that are kept in a minute: each is a write to the disk.
const KEPT_A_MINUTE: u64 = 20;

/// Whose request it is, by what it says of itself.
pub(super) struct Asking<'a> {
    pub(super) head: &'a Head,
    pub(super) parts: &'a RequestHead,
    pub(super) caller: &'a Arc<Caller>,
    pub(super) question: &'a Arc<Question>,
}

/// Why a request is not kept.
pub(super) enum NotKept {
    /// For this, which its user is told.
    Because(&'static str),
    /// It is refused.
    Refused(Rejection),
}

/// Whether a browser says that it shall send what was kept.
pub(super) fn is_confirmation(head: &Head) -> bool {
    head.method == Method::POST && head.path.as_str() == PATH
}

impl Gate {
    /// What is told of a denial. Where a factor would cure it, the caller learns how to show it; the request of a
    /// browser is kept meanwhile, and so it is where a purpose is missing. What was kept for a factor is not
    /// kept again.
    pub(super) async fn lead_back(
        &self,
        denied: Rejection,
        asking: Asking<'_>,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Rejection {
        if let Rejection::Purpose(accepted) = denied {
            return self.ask_purpose(accepted, &asking, body, facts, trail).await;
        }
        if let Rejection::Grant(wanted) = denied {
            return Rejection::Grant(self.wanted(*wanted, &asking));
        }
        let Rejection::StepUp(mut asked) = denied else { return denied };
        let most = asking.caller.most_assurance;
        // Then no factor counts for so much from here, unless it is a device itself.
        let lacks_device = most.is_some_and(|most| most < asked.step_up.assurance);
        let here = match place(asking.head, facts) {
            Ok(here) => here,
            Err(refused) => return refused,
        };
        let Ok(Credentials::Session(cookie)) =
            Credentials::from_headers(&asking.parts.headers, &here)
        else {
            return if lacks_device { Rejection::UnknownDevice } else { Rejection::StepUp(asked) };
        };
        let (level, host) = (asked.step_up.assurance, &asking.head.host);
        if let Some(issuer) = self.identity.sign_in_issuer_of(&asking.caller.account) {
            if lacks_device {
                return Rejection::UnknownDevice;
            }
            return self.lead_to_issuer(&issuer, asked, (&asking, &cookie), body, trail).await;
        }
        asked.way = match self.identity.ways_to(&cookie, level, lacks_device).await {
            Ok(ways) if ways.any() => Way::Session(ways),
            Ok(_none) if lacks_device => return Rejection::UnknownDevice,
            Ok(_none) => Way::Enrol,
            Err(error) => return Rejection::Credential(error),
        };
        if !is_navigation(asking.head, asking.parts) {
            return Rejection::StepUp(asked);
        }
        let words = Words::of(&asking.parts.headers);
        let why = match (&asked.way, trail.was_resumed()) {
            (_, Resumed::Factor) => words.asked_again,
            (Way::Enrol | Way::Token, _) => words.no_factor,
            (Way::Session(_), Resumed::Never | Resumed::Purpose) => {
                let waits = Asked::factor(&asked.step_up);
                match self.keep(waits, &asking, &cookie, body, trail).await {
                    Ok(name) => return Rejection::StepUpKept(format!("{PATH}?r={name}")),
                    Err(NotKept::Refused(refused)) => return refused,
                    Err(NotKept::Because(why)) => why,
                }
            }
        };
        let has_factor = matches!(asked.way, Way::Session(_));
        let page = Page::new(host, words);
        let html = pages::refused(&page, level, asked.step_up.max_age_s, why, has_factor);
        Rejection::StepUpPage(asked, html)
    }

    /// Whoever signed in at an issuer shows the factor there; the request is kept likewise.
    async fn lead_to_issuer(
        &self,
        issuer: &str,
        asked: Box<FactorAsked>,
        (asking, cookie): (&Asking<'_>, &Cookie),
        body: &mut Sent,
        trail: &mut Trail,
    ) -> Rejection {
        if !is_navigation(asking.head, asking.parts) {
            return Rejection::StepUp(asked);
        }
        let words = Words::of(&asking.parts.headers);
        let (level, max_age_s) = (asked.step_up.assurance, asked.step_up.max_age_s);
        let why = match trail.was_resumed() {
            Resumed::Factor => words.asked_again,
            Resumed::Never | Resumed::Purpose => {
                let waits = Asked::factor(&asked.step_up);
                match self.keep(waits, asking, cookie, body, trail).await {
                    Ok(name) => {
                        let back = format!("{PATH}?r={name}");
                        let there = oidc::raise_at(issuer, level, max_age_s, &back);
                        return Rejection::StepUpKept(there);
                    }
                    Err(NotKept::Refused(refused)) => return refused,
                    Err(NotKept::Because(why)) => why,
                }
            }
        };
        let page = Page::new(&asking.head.host, words);
        Rejection::StepUpPage(asked, pages::refused(&page, level, max_age_s, why, false))
    }

    /// Keeps the request and gives the name to ask for it.
    pub(super) async fn keep(
        &self,
        asked: Asked,
        asking: &Asking<'_>,
        cookie: &Cookie,
        body: &mut Sent,
        trail: &mut Trail,
    ) -> Result<String, NotKept> {
        let words = Words::of(&asking.parts.headers);
        let most = self.identity.parks_bytes();
        let who = Who::Known(asking.caller.account.clone());
        if self.refused_lately(who, trail.route_name()) >= KEPT_A_MINUTE {
            return Err(NotKept::Because(words.kept_too_many));
        }
        if most == 0 {
            return Err(NotKept::Because(words.kept_nowhere));
        }
        let too_large = NotKept::Because(words.kept_too_large);
        let time = self.configured().settings.request_time;
        let body = match read_capped(body, most, time).await {
            Ok(body) => body,
            Err(BodyFault::TooLarge(_)) => return Err(too_large),
            Err(fault @ (BodyFault::TooSlow | BodyFault::Broken)) => {
                return Err(NotKept::Refused(Rejection::Body(fault)));
            }
        };
        let further = asking.question.route().headers().send();
        let headers = &asking.parts.headers;
        let kept = Kept::of(asking.head, headers, further, asked, body);
        let sealable = kept.and_then(|kept| kept.to_bytes());
        let sealable = sealable.filter(|bytes| bytes.len() <= most.saturating_add(HEAD_BYTES));
        let parker = parker(cookie, asking.caller);
        let kept = self.identity.park(parker, &sealable.ok_or(too_large)?).await;
        match kept {
            Ok(Some(name)) => {
                trail.kept(&self.identity.parked_reference(&name));
                Ok(name)
            }
            Ok(None) => Err(NotKept::Because(words.kept_no_room)),
            Err(error) => {
                tracing::error!(%error, "a request could not be kept until a factor is shown");
                Err(NotKept::Refused(Rejection::StoreUnavailable))
            }
        }
    }

    /// Asks for the factor, and once it was shown, whether the request shall be sent.
    pub(super) async fn show_kept(
        &self,
        head: &Head,
        parts: &RequestHead,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let caller = self.authenticate(head, parts, facts, trail).await?;
        let cookie = session_cookie(head, parts, facts)?;
        let name = head.query.as_deref().and_then(|query| query.strip_prefix("r="));
        let name = name.filter(|name| is_name(name)).ok_or_else(|| nothing(head, parts))?;
        let kept = self.identity.parked(parker(&cookie, &caller), name).await;
        let kept = kept.map_err(|_unread| Rejection::StoreUnavailable)?.and_then(Kept::from_bytes);
        let kept = kept.ok_or_else(|| nothing(head, parts))?;
        let mut step = self.begin_step("kept_request_shown", "", trail)?;
        step.about_session(&self.identity.session_reference(&cookie));
        step.succeeded(&caller.account).await?;
        let here = format!("{PATH}?r={name}");
        let shown = Page { next: &here, ..Page::new(&head.host, Words::of(&parts.headers)) };
        let asked = &kept.waiting.asked;
        let html = if is_shown(&caller, asked, trail.time_unix_s()) {
            let (waiting, bytes) = (&kept.waiting, kept.body_bytes());
            let request = (waiting.method.as_str(), waiting.path.as_str(), bytes);
            pages::send_now(&shown, name, request, &asked.purposes)
        } else if let Some(issuer) = self.identity.sign_in_issuer_of(&caller.account) {
            let there = oidc::raise_at(&issuer, asked.assurance, asked.max_age_s, &here);
            return Err(Rejection::StepUpKept(there));
        } else {
            let level = asked.assurance;
            let lacks_device = caller.most_assurance.is_some_and(|most| most < level);
            let ways = self.identity.ways_to(&cookie, level, lacks_device).await;
            pages::factor_first(&shown, ways.map_err(Rejection::Credential)?, level)
        };
        Ok(page(html, StatusCode::OK, facts))
    }

    /// Takes the request that its user confirms; it is gone from then on, whatever comes of it.
    pub(super) async fn take_kept(
        &self,
        head: &Head,
        parts: &RequestHead,
        body: &mut Sent,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Again, Rejection> {
        if !self.policies.live().publishes_on(&head.host) {
            return Err(Rejection::NotFound);
        }
        let form = self.form(head, parts, body).await?;
        let caller = self.authenticate(head, parts, facts, trail).await?;
        let cookie = session_cookie(head, parts, facts)?;
        let name = form.field("r");
        if !is_name(name) {
            return Err(nothing(head, parts));
        }
        let kept = self.identity.take_parked(parker(&cookie, &caller), name).await;
        let kept = kept.map_err(|_unwritten| Rejection::StoreUnavailable)?;
        let kept = kept.and_then(Kept::from_bytes).ok_or_else(|| nothing(head, parts))?;
        let asked = &kept.waiting.asked;
        let with = if asked.purposes.is_empty() { Resumed::Factor } else { Resumed::Purpose };
        trail.resumed(&self.identity.parked_reference(name), with);
        let said = form.field("purpose");
        let purpose = asked.purposes.iter().find(|purpose| *purpose == said).cloned();
        if with == Resumed::Purpose && purpose.is_none() {
            return Err(Rejection::Purpose(asked.purposes.clone()));
        }
        kept.request(&head.host, parts, purpose.as_deref()).ok_or_else(|| nothing(head, parts))
    }
}

fn parker<'a>(cookie: &'a Cookie, caller: &'a Caller) -> Parker<'a> {
    Parker { cookie, account: &caller.account }
}

fn nothing(head: &Head, parts: &RequestHead) -> Rejection {
    let page = Page::new(&head.host, Words::of(&parts.headers));
    Rejection::NothingKept(pages::nothing_kept(&page))
}

fn is_name(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Whether the caller has shown what was asked for.
fn is_shown(caller: &Caller, asked: &Asked, now_unix_s: i64) -> bool {
    let level = asked.assurance;
    let is_fresh = |most: u32| {
        let at = caller.factor_time(level.max(1));
        at.is_some_and(|at| now_unix_s.saturating_sub(at) <= i64::from(most))
    };
    caller.assurance >= level && asked.max_age_s.is_none_or(is_fresh)
}

/// Whether somebody went there in a browser, from this site: not a script, which repeats the request
/// itself, not what a browser fetches in advance, nor a page of another site.
pub(super) fn is_navigation(head: &Head, parts: &RequestHead) -> bool {
    let headers = &parts.headers;
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let accepts_pages = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let accepts_pages = accepts_pages.flat_map(|line| line.split(',')).any(|range| {
        range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
    });
    let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
        && text("sec-fetch-dest").is_none_or(|dest| dest == "document")
        && text("sec-purpose").is_none();
    let is_kind = match head.method {
        Method::GET => true,
        Method::POST => !head.has_body || is_form(headers.get(CONTENT_TYPE)),
        _ => false,
    };
    accepts_pages && navigates && is_kind && same_origin(headers, &head.host)
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .contains(&essence.as_str())
}
