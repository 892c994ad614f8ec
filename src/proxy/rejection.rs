//! The only place that chooses status codes: what a caller is told when a request ends early.
//!
//! The caller sees a small problem document (RFC 9457); the cause goes to the log. A cause that is
//! not spelled out in every `match` here does not compile.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

use super::body::{Answer, BodyFault};
use super::head::HeadFault;
use super::respond;
use crate::guard::{BodyFault as GuardFault, ContentTypeFault, EncodingFault, QueryFault};
use crate::identity::{AuthError, SignInError, step_up};
use crate::limits::{AddressRefused, Quota, Refused};
use crate::listen::Facts;
use crate::policy::StepUp;
use crate::upstream::UpstreamError;

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
    /// This address shows too many credentials that do not hold.
    Address(AddressRefused),
    /// A password or code was not accepted.
    SignInFailed(SignInError),
    /// A fresher or stronger factor is needed.
    StepUp(StepUp),
    /// The policy says no; its reasons are in the log.
    Forbidden,
    /// Another site's page sent it.
    ForeignSite,
    /// A purpose must be declared, one of these.
    Purpose(Vec<String>),
    /// A limit is reached.
    Limit(Box<Refused>),
    /// A budget was used up by this very answer.
    UsedUp(Vec<Quota>),
    /// A limit of the policy cannot be counted.
    Uncountable,
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
    #[error("the record to be changed is too large to be read first")]
    TooLarge,
    #[error("it redirects")]
    Redirect,
    #[error("its status {0} means nothing here")]
    Status(StatusCode),
}

impl Rejection {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Head(HeadFault::Misdirected) => StatusCode::MISDIRECTED_REQUEST,
            Self::Head(HeadFault::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Head(_)
            | Self::Form
            | Self::NoBodyExpected
            | Self::RequestBody(_)
            | Self::Body(BodyFault::Broken) => StatusCode::BAD_REQUEST,
            Self::Query(QueryFault::NotSearchable { .. } | QueryFault::NotSortable(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SignIn(Some(_)) => StatusCode::SEE_OTHER,
            Self::Credential(AuthError::State(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::SignIn(None) | Self::StepUp(_) | Self::Credential(_) => StatusCode::UNAUTHORIZED,
            Self::SignInFailed(error) => sign_in_status(error),
            Self::Forbidden | Self::ForeignSite | Self::Purpose(_) => StatusCode::FORBIDDEN,
            Self::Limit(_) | Self::UsedUp(_) | Self::Address(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::RequestType(_) | Self::RequestEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyFault::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyFault::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::LogUnavailable | Self::StoreUnavailable | Self::Uncountable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Upstream(error) => upstream_status(error),
            Self::UpstreamStatus(status) => *status,
            Self::Unjudged(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The word for the log.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Head(_) => "head",
            Self::NotFound => "not_found",
            Self::SignIn(_) => "no_credential",
            Self::Credential(_) => "credential",
            Self::Address(_) => "address_limit",
            Self::SignInFailed(_) => "sign_in",
            Self::StepUp(_) => "step_up",
            Self::Forbidden => "forbidden",
            Self::ForeignSite => "foreign_site",
            Self::Purpose(_) => "purpose",
            Self::Limit(_) | Self::UsedUp(_) => "limit",
            Self::Uncountable => "uncountable_limit",
            Self::Query(_) => "query",
            Self::RequestType(_) | Self::RequestEncoding(_) => "request_type",
            Self::RequestBody(_) | Self::Form | Self::NoBodyExpected => "request_body",
            Self::Body(_) => "request_body_unread",
            Self::LogUnavailable => "log_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::Upstream(_) => "upstream",
            Self::UpstreamStatus(_) => "upstream_status",
            Self::Unjudged(_) => "unjudged_answer",
        }
    }

    /// Whether the gate failed, rather than refused.
    pub(super) fn is_error(&self) -> bool {
        self.status().is_server_error()
    }

    /// What the operator should know of it and the caller should not.
    pub(super) fn operator_note(&self) -> Option<String> {
        match self {
            Self::Unjudged(cause) => {
                Some(format!("the backend's answer was not released: {cause}"))
            }
            Self::Upstream(error) => Some(error.to_string()),
            Self::Credential(AuthError::State(error))
            | Self::SignInFailed(SignInError::State(error)) => Some(error.to_string()),
            Self::SignInFailed(_)
            | Self::Credential(_)
            | Self::Head(_)
            | Self::NotFound
            | Self::SignIn(_)
            | Self::Address(_)
            | Self::StepUp(_)
            | Self::Forbidden
            | Self::ForeignSite
            | Self::Purpose(_)
            | Self::Limit(_)
            | Self::UsedUp(_)
            | Self::Uncountable
            | Self::Query(_)
            | Self::NoBodyExpected
            | Self::Form
            | Self::RequestType(_)
            | Self::RequestEncoding(_)
            | Self::RequestBody(_)
            | Self::Body(_)
            | Self::LogUnavailable
            | Self::StoreUnavailable
            | Self::UpstreamStatus(_) => None,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Head(_) => "The request has no single meaning",
            Self::NotFound => "Not found",
            // A record that is hidden from the caller must read the same as one that is not there.
            Self::UpstreamStatus(StatusCode::NOT_FOUND) => "Not found",
            Self::SignIn(_) => "Sign in first",
            Self::Credential(_) => "The credential is not accepted",
            Self::Address(_) => "Too many credentials from this address were not accepted",
            Self::SignInFailed(_) => "The sign-in was not accepted",
            Self::StepUp(_) => "A stronger or fresher factor is needed",
            Self::Forbidden => "Not allowed",
            Self::ForeignSite => "The request comes from another site",
            Self::Purpose(_) => "A purpose must be declared",
            Self::Limit(_) | Self::UsedUp(_) => "A limit is reached",
            Self::Query(_) => "The query is refused",
            Self::RequestType(_) | Self::RequestEncoding(_) => {
                "The content type or encoding of the request is refused"
            }
            Self::RequestBody(_) | Self::Body(_) | Self::Form | Self::NoBodyExpected => {
                "The request body is refused"
            }
            Self::LogUnavailable => "The access cannot be recorded",
            Self::StoreUnavailable | Self::Uncountable => "The access cannot be counted",
            Self::Upstream(_) => "The backend did not answer",
            Self::UpstreamStatus(_) => "The backend refused the request",
            Self::Unjudged(_) => "The backend's answer cannot be released",
        }
    }

    /// What the caller can do about it. What the backend said and how it failed is not told.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Head(fault) => Some(fault.to_string()),
            Self::Credential(AuthError::State(_)) => None,
            Self::Credential(AuthError::TwoCredentials) => {
                Some(AuthError::TwoCredentials.to_string())
            }
            Self::Credential(_) => Some("show a valid token, or sign in again".to_owned()),
            Self::SignInFailed(SignInError::State(_) | SignInError::Unchecked) => None,
            Self::SignInFailed(error) => Some(error.to_string()),
            Self::StepUp(step_up) => Some(asked(step_up)),
            Self::Purpose(accepted) => {
                Some(format!("send `Menshen-Purpose` with one of: {}", accepted.join(", ")))
            }
            Self::Limit(refused) => Some(refused.to_string()),
            Self::Address(refused) => Some(refused.to_string()),
            Self::Query(fault) => Some(fault.to_string()),
            Self::NoBodyExpected => Some("this route takes no body".to_owned()),
            Self::Form => Some("expected text fields as JSON or as a form".to_owned()),
            Self::RequestType(fault) => Some(fault.to_string()),
            Self::RequestEncoding(fault) => Some(fault.to_string()),
            Self::RequestBody(fault) => Some(fault.to_string()),
            Self::Body(fault) => Some(fault.to_string()),
            Self::UsedUp(_)
            | Self::Forbidden
            | Self::ForeignSite
            | Self::NotFound
            | Self::SignIn(_)
            | Self::Uncountable
            | Self::LogUnavailable
            | Self::StoreUnavailable
            | Self::Upstream(_)
            | Self::UpstreamStatus(_)
            | Self::Unjudged(_) => None,
        }
    }

    /// The answer that tells it.
    pub(super) fn into_response(self, facts: &Facts, request_id: &str) -> Response<Answer> {
        let status = self.status();
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.title(),
            "status": status.as_u16(),
            "request": request_id,
        });
        if let (Some(detail), Some(object)) = (self.detail(), problem.as_object_mut()) {
            object.insert("detail".to_owned(), detail.into());
        }
        let content = Bytes::from(format!("{problem}\n"));
        let mut response = respond::plain(status, "application/problem+json", content, facts);
        self.headers(response.headers_mut());
        response
    }

    fn headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::SignIn(Some(path)) => {
                let to = format!("/.menshen/login?next={path}");
                if let Ok(to) = HeaderValue::try_from(to) {
                    headers.insert(LOCATION, to);
                }
            }
            Self::SignIn(None) => {
                headers.insert(WWW_AUTHENTICATE, step_up::missing());
            }
            Self::Credential(error) if !matches!(error, AuthError::State(_)) => {
                headers.insert(WWW_AUTHENTICATE, step_up::invalid());
            }
            Self::StepUp(step) => {
                let level = step.assurance.to_string();
                let max_age = step.max_age_s.map(u64::from);
                let value = step_up::insufficient(&[&level], max_age, &asked(step));
                headers.insert(WWW_AUTHENTICATE, value);
            }
            Self::Limit(refused) => {
                headers.insert(RETRY_AFTER, refused.retry_after());
                respond::limits(headers, &refused.quotas);
            }
            Self::UsedUp(quotas) => {
                let wait = quotas.iter().filter(|q| q.remaining == 0).map(|q| q.reset_s).max();
                headers.insert(RETRY_AFTER, HeaderValue::from(wait.unwrap_or(60).max(1)));
                respond::limits(headers, quotas);
            }
            Self::Address(refused) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(refused.wait.as_secs().max(1)));
            }
            Self::SignInFailed(SignInError::TryLater { retry_after_s }) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after_s));
            }
            Self::Credential(AuthError::State(_))
            | Self::SignInFailed(_)
            | Self::Uncountable
            | Self::LogUnavailable
            | Self::StoreUnavailable
            | Self::Upstream(_)
                if self.status() == StatusCode::SERVICE_UNAVAILABLE =>
            {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::Credential(_)
            | Self::SignInFailed(_)
            | Self::Uncountable
            | Self::LogUnavailable
            | Self::StoreUnavailable
            | Self::Upstream(_)
            | Self::Head(_)
            | Self::NotFound
            | Self::Forbidden
            | Self::ForeignSite
            | Self::Purpose(_)
            | Self::Query(_)
            | Self::NoBodyExpected
            | Self::Form
            | Self::RequestType(_)
            | Self::RequestEncoding(_)
            | Self::RequestBody(_)
            | Self::Body(_)
            | Self::UpstreamStatus(_)
            | Self::Unjudged(_) => {}
        }
    }
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

fn sign_in_status(error: &SignInError) -> StatusCode {
    match error {
        SignInError::Refused | SignInError::SessionEnded | SignInError::NoSecondFactor => {
            StatusCode::UNAUTHORIZED
        }
        SignInError::TryLater { .. } => StatusCode::TOO_MANY_REQUESTS,
        SignInError::Busy | SignInError::Unchecked | SignInError::State(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
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
        | UpstreamError::Switched
        | UpstreamError::Short(_)
        | UpstreamError::Reset(_)
        | UpstreamError::BadBody(_) => StatusCode::BAD_GATEWAY,
    }
}
