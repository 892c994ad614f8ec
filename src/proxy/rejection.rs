//! The only place that chooses status codes: what a caller is told when a request ends early.
//!
//! The caller sees a small problem document (RFC 9457); the cause goes to the log. A cause that is
//! not spelled out in every `match` here does not compile.

mod backend;
mod credential;
mod factor;
mod grant;
mod limit;
mod request;
mod told;

use http::StatusCode;

pub(super) use backend::Unjudged;
pub(super) use factor::{FactorAsked, Way};
pub(super) use grant::Wanted;
pub(super) use told::Told;

use super::body::BodyFault;
use super::head::HeadFault;
use super::pages::Html;
use super::socket::{HandshakeFault, SocketsFull};
use super::visit::Refused;
use crate::guard::{BodyFault as GuardFault, ContentTypeFault, EncodingFault, QueryFault};
use crate::identity::{AuthError, CaseTicketFault, SignInError};
use crate::limits::{self, AddressRefused};
use crate::registry::Unfit;
use crate::scan::ScanError;
use crate::upstream::UpstreamError;

/// The word for what could not be recorded.
pub(super) const UNRECORDED: &str = "log_unavailable";
/// The word for what is switched off.
pub(super) const SWITCHED: &str = "switched_off";
/// How the log names that by which an answer was begun was taken back.
pub(super) const REVOKED: &str = "credential_revoked";
/// An answer that nobody read.
pub(super) const UNREAD: &str = "unread";
/// One that nobody read while others needed its place at the backend.
pub(super) const PLACE_NEEDED: &str = "place_needed";
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
    /// A partner is not admitted for it, or a tenant not served; who and why is in the log.
    Unfit(Unfit),
    /// An interface of the gate's own does not do it.
    Visit(Refused),
    /// Another site's page sent it.
    ForeignSite,
    /// A purpose must be declared, one of these.
    Purpose(Vec<String>),
    /// The purpose counts only with a ticket of this form.
    Ticket(String),
    /// Somebody must grant it first; with what to ask for, where somebody may.
    Grant(Box<Wanted>),
    /// What the caller had opened at once was not reviewed in time.
    Unreviewed,
    /// The ticket of a business system is not good.
    CaseTicket(CaseTicketFault),
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
    /// It does not begin the WebSocket that the route is.
    Handshake(HandshakeFault),
    /// As many WebSockets are open as may be.
    Sockets(SocketsFull),
    /// The backend could not be asked.
    Upstream(UpstreamError),
    /// The backend answered with an error; its text does not pass.
    UpstreamStatus(StatusCode),
    /// The backend's answer cannot be judged.
    Unjudged(Unjudged),
}

impl From<BodyFault> for Rejection {
    fn from(fault: BodyFault) -> Self {
        Self::Body(fault)
    }
}

impl Rejection {
    /// The table: what is told of each. An arm that says more than a line stands with its family.
    pub(super) fn told(&self) -> Told {
        match self {
            Self::Head(fault) => request::head(fault),
            Self::NotFound => Told::new(StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::SignIn(next) => credential::sign_in(next.as_deref()),
            Self::Credential(error) => credential::credential(error),
            Self::KeptAtIssuer(html) => credential::at_issuer().page(html),
            Self::Address(refused) => limit::address(refused),
            Self::SignInFailed(error) => credential::sign_in_failed(error),
            Self::StepUp(asked) => factor::stronger(asked),
            Self::StepUpKept(to) => credential::led(to, STEP_UP, STRONGER),
            Self::PurposeKept(to) => credential::led(to, "purpose", UNSAID),
            Self::StepUpPage(asked, html) => factor::stronger(asked).page(html),
            Self::NothingKept(html) => credential::nothing_kept(html),
            Self::UnknownDevice => {
                forbidden("unknown_device", "A device that is enrolled for you is needed")
            }
            Self::PasswordOld(is_browser) => credential::password_old(*is_browser),
            Self::Forbidden => forbidden("forbidden", "Not allowed"),
            Self::Switched => forbidden(SWITCHED, "This access is suspended")
                .detail("it was switched off for a time; ask your security team"),
            Self::Unfit(unfit) => forbidden(unfit.cause(), unfitting(unfit)),
            Self::Visit(refused) => request::visit(refused),
            Self::ForeignSite => forbidden("foreign_site", "The request comes from another site"),
            Self::Purpose(accepted) => credential::purpose(accepted),
            Self::Ticket(form) => forbidden("ticket", "The purpose needs a ticket")
                .detail(format!("send `Menshen-Ticket` with one such as `{form}`")),
            Self::Grant(wanted) => grant::needed(wanted),
            Self::Unreviewed => grant::unreviewed(),
            Self::CaseTicket(fault) => {
                forbidden("case_ticket", "The ticket is not accepted").detail(fault)
            }
            Self::Stopped => limit::stopped(),
            Self::Slowed(wait_s) => limit::slowed(*wait_s),
            Self::Limit(refused) => limit::limit(refused),
            Self::Query(fault) => request::query(fault),
            Self::NoBodyExpected => request::broken("this route takes no body"),
            Self::Form => request::broken("expected text fields as JSON or as a form"),
            Self::RequestType(fault) => request::content_type(fault),
            Self::RequestEncoding(fault) => request::encoding(fault),
            Self::RequestBody(fault) => request::judged(fault),
            Self::Unclean => request::unclean(),
            Self::Unscanned(error) => {
                unavailable("scanner", "The files cannot be scanned").note(error)
            }
            Self::NoRoom => unavailable("uploads", "Too many files are sent at once"),
            Self::Body(fault) => request::unread(*fault),
            Self::LogUnavailable => unavailable(UNRECORDED, "The access cannot be recorded"),
            Self::StoreUnavailable => {
                unavailable("store_unavailable", "The access cannot be counted")
            }
            Self::Uncountable => unavailable("uncountable_limit", "The access cannot be counted"),
            Self::Unvouched => unavailable("unvouched", "The backend cannot be told who asks"),
            Self::Handshake(fault) => request::handshake(*fault),
            Self::Sockets(SocketsFull::Each(most)) => limit::sockets(*most),
            Self::Sockets(SocketsFull::All) => {
                unavailable("websockets", "Too many WebSockets are open")
            }
            Self::Upstream(error) => backend::unanswered(error),
            Self::UpstreamStatus(status) => backend::refused(*status),
            Self::Unjudged(cause) => backend::unjudged(cause),
        }
    }
}

const STEP_UP: &str = "step_up";
const UNSAID: &str = "A purpose must be declared";
const STRONGER: &str = "A stronger or fresher factor is needed";

fn forbidden(cause: &'static str, title: &'static str) -> Told {
    Told::new(StatusCode::FORBIDDEN, cause, title)
}

fn unfitting(unfit: &Unfit) -> &'static str {
    match unfit {
        Unfit::Partner(..) | Unfit::Level(..) => "The partner is not admitted",
        Unfit::Over(..) => "The partner's contract is over",
        Unfit::Field(..) => "The partner's contract is not for all of these data",
        Unfit::Purpose(..) => "The partner's contract is not for this purpose",
        Unfit::Tenant(..) => "The tenant is not served",
    }
}

fn unavailable(cause: &'static str, title: &'static str) -> Told {
    Told::new(StatusCode::SERVICE_UNAVAILABLE, cause, title)
}
