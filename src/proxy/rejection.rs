//! The only place that chooses status codes: what a caller is told when a request ends early.
//!
//! The caller sees a small problem document (RFC 9457); the cause goes to the log. A cause that is
//! not spelled out in every `match` here does not compile.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};

use super::body::{Answer, BodyFault};
use super::head::HeadFault;
use super::new_password;
use super::pages::{Html, Page, TooMuch, too_much};
use super::respond;
use super::sign_in::page;
use super::visit::Refused;
use crate::guard::{BodyFault as GuardFault, ContentTypeFault, EncodingFault, QueryFault, json};
use crate::identity::{AuthError, SignInError, Ways, step_up as challenge};
use crate::limits::{self, AddressRefused, Quota};
use crate::listen::Facts;
use crate::policy::StepUp;
use crate::scan::ScanError;
use crate::upstream::UpstreamError;

/// The word for what could not be recorded.
pub(super) const UNRECORDED: &str = "log_unavailable";
/// The word for what is switched off.
pub(super) const SWITCHED: &str = "switched_off";
/// The type of the document that tells a rejection.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Why a request ends early.
#[derive(Debug)]
pub(super) enum Rejection {
    /// The head has no single meaning.
    Head(HeadFault),
    /// No such entry point here, or not for this caller, or no such record.
    NotFound,
    /// Nobody showed a credential; a browser is sent to sign in and comes back to this path.
    SignIn(Option<String>),
    /// The credential does not hold.
    Credential(AuthError),
    /// What was asked for is kept at the issuer at which this browser's user signs in; the page says so.
    KeptAtIssuer(Html),
    /// This address shows too many credentials that do not hold.
    Address(AddressRefused),
    /// A password or code was not accepted.
    SignInFailed(SignInError),
    /// A fresher or stronger factor is needed.
    StepUp(Box<FactorAsked>),
    /// The same, of a browser whose request is kept meanwhile; it goes on there.
    StepUpKept(String),
    /// The same, of a browser whose request is not kept; the page says why.
    StepUpPage(Box<FactorAsked>, Html),
    /// A purpose must be declared, by a browser whose request is kept meanwhile; it goes on there.
    PurposeKept(String),
    /// No request of that name is kept for this session here; the page says so.
    NothingKept(Html),
    /// A stronger factor is needed, and none counts for as much without a device of the caller's.
    UnknownDevice,
    /// The password is older than this gate lets it be; a browser is sent to change it.
    PasswordOld(bool),
    /// The policy says no; its reasons are in the log.
    Forbidden,
    /// Something is switched off by command; what and why is in the log.
    Switched,
    /// An interface of the gate's own does not do it.
    Visit(Refused),
    /// Another site's page sent it.
    ForeignSite,
    /// A purpose must be declared, one of these.
    Purpose(Vec<String>),
    /// The purpose counts only with a ticket of this form.
    Ticket(String),
    /// Somebody must grant it first.
    Grant,
    /// A detection holds the caller, who gets nothing more until somebody releases them.
    Stopped,
    /// A detection slows the caller; the next request may come in so many seconds.
    Slowed(u64),
    /// A limit is reached.
    Limit(Box<limits::Refused>),
    /// A limit of the policy cannot be counted.
    Uncountable,
    /// Nobody could vouch for the caller before the backend.
    Unvouched,
    /// A query parameter is not declared, not allowed or not readable.
    Query(QueryFault),
    /// A body where the route takes none.
    NoBodyExpected,
    /// The request body is not JSON in UTF-8.
    RequestType(ContentTypeFault),
    /// The request body is encoded in a way that is not decoded.
    RequestEncoding(EncodingFault),
    /// The request body breaks the rules of JSON, or writes what may not be written.
    RequestBody(GuardFault),
    /// A scanner found something in a file.
    Unclean,
    /// A scanner said nothing of a file.
    Unscanned(ScanError),
    /// Too many bodies with files are held already.
    NoRoom,
    /// A sign-in form is not of the form it should have.
    Form,
    /// The request body could not be read.
    Body(BodyFault),
    /// The record cannot be written, so nothing may leave.
    LogUnavailable,
    /// Counters or accounts cannot be read or written, so nothing may leave.
    StoreUnavailable,
    /// The backend could not be asked.
    Upstream(UpstreamError),
    /// The backend answered with an error; its text does not pass.
    UpstreamStatus(StatusCode),
    /// The backend's answer cannot be judged.
    Unjudged(Unjudged),
}

/// A factor that would lead through, and how this caller shows it.
#[derive(Debug)]
pub(super) struct FactorAsked {
    pub(super) step_up: StepUp,
    pub(super) way: Way,
}

/// How a caller shows a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In another token.
    Token,
    /// For its session, in these ways.
    Session(Ways),
    /// Not at all: nothing that would do is enrolled for its account.
    Enrol,
}

impl FactorAsked {
    /// Asks for it in a token, as long as nobody knows better.
    pub(super) fn of(step_up: StepUp) -> Box<Self> {
        Box::new(Self { step_up, way: Way::Token })
    }

    /// What a program does about it.
    fn steps(&self) -> serde_json::Value {
        let mut steps = serde_json::Map::new();
        let mut say = |name: &str, value: serde_json::Value| steps.insert(name.to_owned(), value);
        say("acr_values", self.step_up.assurance.to_string().into());
        if let Some(age) = self.step_up.max_age_s {
            say("max_age", age.into());
        }
        let then = match self.way {
            Way::Token => "repeat this request with a token that has it",
            Way::Session(ways) => {
                if ways.code {
                    say("post", "/.menshen/code".into());
                    say("content_type", "application/json".into());
                    say("fields", vec!["code"].into());
                }
                if ways.passkey {
                    say("passkey", self.passkey());
                }
                "repeat this request with the session cookie that the answer to the factor sets"
            }
            Way::Enrol => "have such a factor enrolled for the account, then sign in again",
        };
        say("then", then.into());
        serde_json::Value::Object(steps)
    }
}

/// How a page shows a passkey: what to post for the options of `navigator.credentials.get`, and where to
/// post what it gives.
impl FactorAsked {
    fn passkey(&self) -> serde_json::Value {
        let mut options = serde_json::json!({ "for": "raise" });
        if let (true, Some(options)) = (self.step_up.assurance > 2, options.as_object_mut()) {
            options.insert("verify".to_owned(), true.into());
        }
        serde_json::json!({
            "options": { "post": "/.menshen/passkey/options", "body": options },
            "post": "/.menshen/passkey/raise",
            "content_type": "application/json",
            "fields": ["credential"],
        })
    }
}

/// What to prove, in words.
impl std::fmt::Display for FactorAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&asked(&self.step_up))
    }
}

/// Why an answer of the backend cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unjudged {
    #[error(transparent)]
    Type(ContentTypeFault),
    #[error(transparent)]
    Encoding(EncodingFault),
    #[error(transparent)]
    Body(GuardFault),
    #[error("its record has no key of a data subject, so nobody could count whose it is")]
    NoSubject,
    #[error("it is larger than can be held whole, and its limits let no part of it leave")]
    NotWhole,
    #[error("the record to be changed is too large to be read first")]
    TooLarge,
    #[error("content type `{0}` is none that may pass unread here")]
    Undeclared(String),
    #[error("it is larger than the {0} bytes that may pass unread here")]
    Oversized(u64),
    #[error("it redirects")]
    Redirect,
    #[error("its status {0} means nothing here")]
    Status(StatusCode),
}

/// All that is told of a rejection, and to whom.
pub(super) struct Told {
    pub(super) status: StatusCode,
    /// The word for the log.
    pub(super) cause: &'static str,
    title: &'static str,
    /// What the caller can do about it. What the backend said and how it failed is not told.
    pub(super) detail: Option<String>,
    headers: HeaderMap,
    /// How to show a factor, for programs.
    step_up: Option<serde_json::Value>,
    /// Further members of the problem document.
    members: serde_json::Map<String, serde_json::Value>,
    /// What was limited and whose that is, for metrics.
    pub(super) limited: Option<(&'static str, &'static str)>,
    /// What a browser is shown instead of the problem document.
    page: Option<Html>,
    /// What the operator should know and the caller should not.
    pub(super) note: Option<String>,
}

impl Told {
    fn new(status: StatusCode, cause: &'static str, title: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        let (detail, step_up, page, note) = Default::default();
        let (members, limited) = Default::default();
        Self { status, cause, title, detail, headers, step_up, members, limited, page, note }
    }

    fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    fn page(mut self, html: &Html) -> Self {
        self.page = Some(html.clone());
        self
    }

    fn note(mut self, note: impl ToString) -> Self {
        self.note = Some(note.to_string());
        self
    }

    fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// Says whom to ask about a limit.
    pub(super) fn contact(mut self, contact: Option<&str>) -> Self {
        if let (Some(contact), Some(_)) = (contact, self.limited) {
            self.members.insert("contact".to_owned(), contact.into());
        }
        self
    }

    /// Shows a browser a page instead, where the rejection is that it was too much.
    pub(super) fn for_browser(self, rejection: &Rejection, page: &Page<'_>) -> Self {
        let contact = self.members.get("contact").and_then(serde_json::Value::as_str);
        let Some(why) = rejection.too_much() else { return self };
        let html = match why {
            Enough::Limit(refused) => {
                let limit = refused.limit.to_string();
                let is_shared = refused.holder.is_shared();
                let (limit, wait_s) = (Some(limit.as_str()), refused.retry_after_s);
                too_much(page, TooMuch { limit, is_shared, wait_s, contact })
            }
            Enough::Slowed(wait_s) => {
                too_much(page, TooMuch { limit: None, is_shared: false, wait_s, contact })
            }
        };
        self.page(&html)
    }

    fn quotas(mut self, quotas: &[Quota]) -> Self {
        respond::limits(&mut self.headers, quotas);
        self
    }

    /// The answer that tells it.
    pub(super) fn into_response(mut self, facts: &Facts, request_id: &str) -> Response<Answer> {
        let status = self.status;
        if let Some(html) = self.page.take() {
            let mut response = page(html, status, facts);
            response.headers_mut().extend(self.headers);
            return response;
        }
        let (headers, content) = self.into_problem(request_id);
        let mut response = respond::plain(status, PROBLEM, content, facts);
        response.headers_mut().extend(headers);
        response
    }

    /// The headers of its own and the problem document.
    pub(super) fn into_problem(self, request_id: &str) -> (HeaderMap, Bytes) {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "request": request_id,
        });
        if let (Some(detail), Some(object)) = (self.detail, problem.as_object_mut()) {
            object.insert("detail".to_owned(), detail.into());
        }
        if let (Some(steps), Some(object)) = (self.step_up, problem.as_object_mut()) {
            object.insert("step_up".to_owned(), steps);
        }
        if let Some(object) = problem.as_object_mut() {
            object.extend(self.members);
        }
        (self.headers, Bytes::from(format!("{problem}\n")))
    }
}

/// What was too much.
enum Enough<'a> {
    Limit(&'a limits::Refused),
    Slowed(u64),
}

impl Rejection {
    /// Whether a caller has had enough for now.
    fn too_much(&self) -> Option<Enough<'_>> {
        if let Self::Limit(refused) = self {
            return Some(Enough::Limit(refused));
        }
        if let Self::Slowed(wait_s) = self { Some(Enough::Slowed(*wait_s)) } else { None }
    }

    pub(super) fn told(&self) -> Told {
        match self {
            Self::Head(fault) => head(fault),
            Self::NotFound => Told::new(StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::SignIn(next) => sign_in(next.as_deref()),
            Self::Credential(error) => credential(error),
            Self::KeptAtIssuer(html) => at_issuer().page(html),
            Self::Address(refused) => {
                let title = "Too many credentials from this address were not accepted";
                Told::new(StatusCode::TOO_MANY_REQUESTS, "address_limit", title)
                    .detail(refused)
                    .header(RETRY_AFTER, refused.wait.as_secs().max(1))
            }
            Self::SignInFailed(error) => sign_in_failed(error),
            Self::StepUp(asked) => stronger(asked),
            Self::StepUpKept(to) => led(to, STEP_UP, STRONGER),
            Self::PurposeKept(to) => led(to, "purpose", UNSAID),
            Self::StepUpPage(asked, html) => stronger(asked).page(html),
            Self::NothingKept(html) => nothing_kept(html),
            Self::UnknownDevice => {
                let title = "A device that is enrolled for you is needed";
                Told::new(StatusCode::FORBIDDEN, "unknown_device", title)
            }
            Self::PasswordOld(is_browser) => password_old(*is_browser),
            Self::Forbidden => Told::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::Switched => switched(),
            Self::Visit(refused) => visit(refused),
            Self::ForeignSite => {
                let title = "The request comes from another site";
                Told::new(StatusCode::FORBIDDEN, "foreign_site", title)
            }
            Self::Purpose(accepted) => purpose(accepted),
            Self::Ticket(form) => {
                Told::new(StatusCode::FORBIDDEN, "ticket", "The purpose needs a ticket")
                    .detail(format!("send `Menshen-Ticket` with one such as `{form}`"))
            }
            Self::Grant => Told::new(StatusCode::FORBIDDEN, "grant", "A grant is needed"),
            Self::Stopped => stopped(),
            Self::Slowed(wait_s) => slowed(*wait_s),
            Self::Limit(refused) => limit(refused),
            Self::Query(fault) => query(fault),
            Self::NoBodyExpected => body(StatusCode::BAD_REQUEST, "this route takes no body"),
            Self::Form => {
                body(StatusCode::BAD_REQUEST, "expected text fields as JSON or as a form")
            }
            Self::RequestType(fault) => body(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault),
            // RFC 9110, 12.5.3: what would have been read.
            Self::RequestEncoding(fault) => body(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault)
                .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd")),
            Self::RequestBody(fault) => body(guard_status(fault), fault),
            Self::Unclean => {
                let title = "Something was found in a file";
                Told::new(StatusCode::UNPROCESSABLE_ENTITY, "unclean_upload", title)
            }
            Self::Unscanned(error) => {
                unavailable("scanner", "The files cannot be scanned").note(error)
            }
            Self::NoRoom => unavailable("uploads", "Too many files are sent at once"),
            Self::Body(fault) => body(body_status(*fault), fault),
            Self::LogUnavailable => unavailable(UNRECORDED, "The access cannot be recorded"),
            Self::StoreUnavailable => {
                unavailable("store_unavailable", "The access cannot be counted")
            }
            Self::Uncountable => unavailable("uncountable_limit", "The access cannot be counted"),
            Self::Unvouched => unavailable("unvouched", "The backend cannot be told who asks"),
            Self::Upstream(error) => {
                Told::new(upstream_status(error), "upstream", "The backend did not answer")
                    .note(error)
            }
            Self::UpstreamStatus(status) => {
                // A record that is hidden from the caller must read as one that is not there.
                let title = match *status {
                    StatusCode::NOT_FOUND => "Not found",
                    _ => "The backend refused the request",
                };
                Told::new(*status, "upstream_status", title)
            }
            Self::Unjudged(cause) => {
                let title = "The backend's answer cannot be released";
                Told::new(StatusCode::BAD_GATEWAY, "unjudged_answer", title)
                    .note(format!("the backend's answer was not released: {cause}"))
            }
        }
    }
}

/// Plain that it is so, and not why: whoever did it should not learn what was noticed.
fn stopped() -> Told {
    let title = "This account is stopped for now";
    Told::new(StatusCode::FORBIDDEN, "stopped", title)
        .detail("ask the security desk, which can release it")
}

fn slowed(wait_s: u64) -> Told {
    let title = "Requests of this account are slowed for now";
    Told::new(StatusCode::TOO_MANY_REQUESTS, "slowed", title)
        .detail(format!("come again in {wait_s} s; the security desk can release it"))
        .header(RETRY_AFTER, wait_s)
}

fn head(fault: &HeadFault) -> Told {
    let status = match fault {
        HeadFault::TooManyLines(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        HeadFault::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        HeadFault::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        HeadFault::Method
        | HeadFault::Target
        | HeadFault::Host
        | HeadFault::TransferEncoding
        | HeadFault::Header(_)
        | HeadFault::Override(_)
        | HeadFault::Body(_)
        | HeadFault::Path(_) => StatusCode::BAD_REQUEST,
    };
    Told::new(status, "head", "The request has no single meaning").detail(fault)
}

fn sign_in(next: Option<&str>) -> Told {
    const CAUSE: &str = "no_credential";
    const TITLE: &str = "Sign in first";
    let page =
        next.and_then(|next| HeaderValue::try_from(format!("/.menshen/login?next={next}")).ok());
    match page {
        Some(page) => Told::new(StatusCode::SEE_OTHER, CAUSE, TITLE).header(LOCATION, page),
        None => Told::new(StatusCode::UNAUTHORIZED, CAUSE, TITLE)
            .header(WWW_AUTHENTICATE, challenge::missing()),
    }
}

fn password_old(is_browser: bool) -> Told {
    const CAUSE: &str = "password_old";
    const TITLE: &str = "The password must be changed first";
    if is_browser {
        let page = HeaderValue::from_static(new_password::PATH);
        return Told::new(StatusCode::SEE_OTHER, CAUSE, TITLE).header(LOCATION, page);
    }
    Told::new(StatusCode::FORBIDDEN, CAUSE, TITLE)
        .detail("post `old` and `new` to /.menshen/password, then repeat this request")
}

fn visit(refused: &Refused) -> Told {
    const MEANINGLESS: &str = "The request asks for nothing that can be done";
    let told = |status, cause, title| Told::new(status, cause, title);
    match refused {
        Refused::NotFound => Rejection::NotFound.told(),
        Refused::Forbidden => Rejection::Forbidden.told(),
        Refused::Weak(assurance) => {
            let fields = Vec::new();
            let step_up = StepUp { assurance: *assurance, max_age_s: None, fields };
            stronger(&FactorAsked::of(step_up))
        }
        Refused::Type => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            told(status, "request_body", "The request body is refused").detail("send JSON")
        }
        Refused::Read(fault) => body(body_status(*fault), fault),
        Refused::Body(detail) => {
            told(StatusCode::UNPROCESSABLE_ENTITY, "meaningless", MEANINGLESS).detail(detail)
        }
        Refused::Conflict(detail) => {
            let title = "It cannot be done as things are";
            told(StatusCode::CONFLICT, "conflict", title).detail(detail)
        }
        Refused::TooMany { wait_s } => {
            let title = "Too many requests of this account";
            told(StatusCode::TOO_MANY_REQUESTS, "caller_limit", title).header(RETRY_AFTER, *wait_s)
        }
        Refused::NotYet => unavailable(UNRECORDED, "It cannot be read or recorded"),
    }
}

fn switched() -> Told {
    Told::new(StatusCode::FORBIDDEN, SWITCHED, "This access is suspended")
        .detail("it was switched off for a time; ask your security team")
}

fn credential(error: &AuthError) -> Told {
    const CAUSE: &str = "credential";
    const TITLE: &str = "The credential is not accepted";
    let refused = Told::new(StatusCode::UNAUTHORIZED, CAUSE, TITLE)
        .header(WWW_AUTHENTICATE, challenge::invalid());
    match error {
        AuthError::State(error) => {
            Told::new(StatusCode::SERVICE_UNAVAILABLE, CAUSE, TITLE).note(error)
        }
        AuthError::KeysUnavailable => Told::new(StatusCode::SERVICE_UNAVAILABLE, CAUSE, TITLE)
            .detail(error)
            .header(RETRY_AFTER, 30)
            .note(error),
        AuthError::AtIssuer(_) => at_issuer().detail(error),
        AuthError::TwoCredentials => refused.detail(error),
        AuthError::Proof(_) => refused
            .detail("show a proof for this request, made just now and once")
            .header(WWW_AUTHENTICATE, challenge::proof("invalid_dpop_proof")),
        AuthError::UseNonce(nonce) => {
            let refused =
                refused.detail(error).header(WWW_AUTHENTICATE, challenge::proof("use_dpop_nonce"));
            match HeaderValue::try_from(nonce.as_str()) {
                Ok(nonce) => refused.header(HeaderName::from_static("dpop-nonce"), nonce),
                Err(_never_for_base64) => refused,
            }
        }
        // Which part of a token is wrong helps whoever forges one.
        AuthError::Missing
        | AuthError::Scheme
        | AuthError::Malformed
        | AuthError::TokenTooLong
        | AuthError::Token(_)
        | AuthError::Certificate(_)
        | AuthError::ApiKey
        | AuthError::SessionEnded => refused.detail("show a valid token, or sign in again"),
    }
}

fn at_issuer() -> Told {
    let title = "Your factors are kept where you sign in";
    Told::new(StatusCode::FORBIDDEN, "at_issuer", title)
}

fn sign_in_failed(error: &SignInError) -> Told {
    let told = |status| Told::new(status, "sign_in", "The sign-in was not accepted");
    match error {
        SignInError::Refused
        | SignInError::SessionEnded
        | SignInError::NoSecondFactor
        | SignInError::EnrolmentEnded
        | SignInError::NoPasskey
        | SignInError::Invitation
        | SignInError::Cloned { .. }
        | SignInError::Passkey(_)
        | SignInError::Issuer(_) => told(StatusCode::UNAUTHORIZED).detail(error),
        SignInError::AtIssuer(_) => at_issuer().detail(error),
        SignInError::Unproved { .. } => told(StatusCode::FORBIDDEN).detail(error),
        SignInError::Password(_) => told(StatusCode::UNPROCESSABLE_ENTITY).detail(error),
        SignInError::TryLater { retry_after_s } => {
            told(StatusCode::TOO_MANY_REQUESTS).detail(error).header(RETRY_AFTER, *retry_after_s)
        }
        SignInError::Busy => told(StatusCode::SERVICE_UNAVAILABLE).detail(error),
        SignInError::Unchecked => told(StatusCode::SERVICE_UNAVAILABLE),
        SignInError::State(error) => told(StatusCode::SERVICE_UNAVAILABLE).note(error),
    }
}

const STEP_UP: &str = "step_up";
const UNSAID: &str = "A purpose must be declared";
const STRONGER: &str = "A stronger or fresher factor is needed";

/// Where a browser gives what its request waits for.
fn led(to: &str, cause: &'static str, title: &'static str) -> Told {
    match HeaderValue::try_from(to) {
        Ok(to) => Told::new(StatusCode::SEE_OTHER, cause, title).header(LOCATION, to),
        Err(_never_for_our_paths) => Told::new(StatusCode::FORBIDDEN, cause, title),
    }
}

fn purpose(accepted: &[String]) -> Told {
    let detail = if accepted.is_empty() {
        "send no `Menshen-Purpose`: the policy knows no purposes".to_owned()
    } else {
        format!("send `Menshen-Purpose` with one of: {}", accepted.join(", "))
    };
    Told::new(StatusCode::FORBIDDEN, "purpose", UNSAID).detail(detail)
}

fn nothing_kept(html: &Html) -> Told {
    Told::new(StatusCode::NOT_FOUND, "nothing_kept", "No such request is kept").page(html)
}

fn stronger(asked: &FactorAsked) -> Told {
    let step_up = &asked.step_up;
    let level = step_up.assurance.to_string();
    let max_age = step_up.max_age_s.map(u64::from);
    let value = challenge::insufficient(&[&level], max_age, &asked.to_string());
    let mut told = Told::new(StatusCode::UNAUTHORIZED, STEP_UP, STRONGER)
        .detail(asked)
        .header(WWW_AUTHENTICATE, value);
    told.step_up = Some(asked.steps());
    told
}

/// Which limit, whose if it is shared, and when to come back. How a shared one stands is not told.
fn limit(refused: &limits::Refused) -> Told {
    let limits::Refused { limit, holder, retry_after_s, quotas } = refused;
    let mut told = Told::new(StatusCode::TOO_MANY_REQUESTS, "limit", "A limit is reached")
        .detail(refused)
        .header(RETRY_AFTER, refused.retry_after())
        .quotas(quotas);
    let mut say = |name: &str, value: serde_json::Value| {
        told.members.insert(name.to_owned(), value);
    };
    say("limit", limit.to_string().into());
    if holder.is_shared() {
        say("shared_by", holder.to_string().into());
    }
    say("retry_after_s", (*retry_after_s).into());
    told.limited = Some((limit.kind(), holder.kind()));
    told
}

fn query(fault: &QueryFault) -> Told {
    let status = match fault {
        QueryFault::NotSearchable { .. }
        | QueryFault::NotSortable(_)
        | QueryFault::NotFilterable(_)
        | QueryFault::NotSeen(_) => StatusCode::FORBIDDEN,
        QueryFault::TooLong
        | QueryFault::TooMany
        | QueryFault::Malformed
        | QueryFault::NotText
        | QueryFault::Undeclared(_)
        | QueryFault::Duplicate(_)
        | QueryFault::Filter(_)
        | QueryFault::NotIncluded(_)
        | QueryFault::TooVague { .. }
        | QueryFault::Override(_)
        | QueryFault::PageSize(_)
        | QueryFault::PageTooLarge { .. } => StatusCode::BAD_REQUEST,
    };
    Told::new(status, "query", "The query is refused").detail(fault)
}

fn body(status: StatusCode, fault: impl ToString) -> Told {
    Told::new(status, "request_body", "The request body is refused").detail(fault)
}

/// A body that could be read, but holds what may not stand there, is told apart from one that is broken.
fn guard_status(fault: &GuardFault) -> StatusCode {
    let is_found =
        matches!(fault, GuardFault::Json(json::Fault { cause: json::Cause::Detected { .. }, .. }));
    if is_found { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST }
}

fn body_status(fault: BodyFault) -> StatusCode {
    match fault {
        BodyFault::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyFault::Broken => StatusCode::BAD_REQUEST,
    }
}

fn unavailable(cause: &'static str, title: &'static str) -> Told {
    Told::new(StatusCode::SERVICE_UNAVAILABLE, cause, title)
}

/// What to prove, in words.
fn asked(step_up: &StepUp) -> String {
    let factor = match step_up.assurance {
        0 | 1 => "a password",
        2 => "a one-time code",
        _ => "a key such as a passkey",
    };
    match step_up.max_age_s {
        Some(age) => format!("{factor} shown within the last {age} s is needed"),
        None => format!("{factor} is needed"),
    }
}

fn upstream_status(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Timeout(..) => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::Busy(_) | UpstreamError::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
        UpstreamError::RequestBody(_) => StatusCode::BAD_REQUEST,
        UpstreamError::Unknown(_)
        | UpstreamError::Unsettled
        | UpstreamError::Dns(_)
        | UpstreamError::Connect(_)
        | UpstreamError::PlainBeyondLoopback(_)
        | UpstreamError::Tls(_)
        | UpstreamError::Closed(_)
        | UpstreamError::BadHead(_)
        | UpstreamError::TwoLengths
        | UpstreamError::TransferCoding
        | UpstreamError::Switched
        | UpstreamError::Short(_)
        | UpstreamError::Reset(_)
        | UpstreamError::BadBody(_) => StatusCode::BAD_GATEWAY,
    }
}
