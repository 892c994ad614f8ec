//! What is told of a backend that did not answer, or not in a way that may leave.

use http::StatusCode;

use super::Told;
use crate::guard::{BodyFault as GuardFault, ContentTypeFault, EncodingFault};
use crate::proxy::socket::NotAgreed;
use crate::upstream::UpstreamError;

/// Why an answer of the backend cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum Unjudged {
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
    #[error(transparent)]
    Handshake(NotAgreed),
    #[error("it redirects")]
    Redirect,
    #[error("its status {0} means nothing here")]
    Status(StatusCode),
}

/// The word for a request that was turned away before anybody was asked for it.
const CIRCUIT_OPEN: &str = "circuit_open";

pub(super) fn unanswered(error: &UpstreamError) -> Told {
    let cause = if error.is_refused_at_once() { CIRCUIT_OPEN } else { "upstream" };
    Told::new(upstream_status(error), cause, "The backend did not answer").note(error)
}

pub(super) fn refused(status: StatusCode) -> Told {
    // A record that is hidden from the caller must read as one that is not there.
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        _ => "The backend refused the request",
    };
    Told::new(status, "upstream_status", title)
}

pub(super) fn unjudged(cause: &Unjudged) -> Told {
    let title = "The backend's answer cannot be released";
    Told::new(StatusCode::BAD_GATEWAY, "unjudged_answer", title)
        .note(format!("the backend's answer was not released: {cause}"))
}

fn upstream_status(error: &UpstreamError) -> StatusCode {
    match error {
        UpstreamError::Timeout(..) => StatusCode::GATEWAY_TIMEOUT,
        UpstreamError::AllOut | UpstreamError::Busy(_) | UpstreamError::QueueFull => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        UpstreamError::RequestBody(_) => StatusCode::BAD_REQUEST,
        UpstreamError::Unknown(_)
        | UpstreamError::Unsettled
        | UpstreamError::Dns(_)
        | UpstreamError::Connect(_)
        | UpstreamError::PlainBeyondLoopback(_)
        | UpstreamError::Tls(_)
        | UpstreamError::Closed(_)
        | UpstreamError::BadHead(_)
        | UpstreamError::Fields(_)
        | UpstreamError::TwoLengths
        | UpstreamError::TransferCoding
        | UpstreamError::Switched
        | UpstreamError::Short(_)
        | UpstreamError::LeftOff
        | UpstreamError::Reset(_)
        | UpstreamError::BadBody(_) => StatusCode::BAD_GATEWAY,
    }
}
