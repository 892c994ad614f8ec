//! What is told of a request that cannot be read, or asks for what cannot be done.

use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
};

use super::factor::stronger;
use super::{FactorAsked, Rejection, Told, UNRECORDED, unavailable};
use crate::guard::{BodyFault as GuardFault, ContentTypeFault, EncodingFault, QueryFault, json};
use crate::listen::Illegible;
use crate::policy::StepUp;
use crate::proxy::body::BodyFault;
use crate::proxy::head::HeadFault;
use crate::proxy::socket::HandshakeFault;
use crate::proxy::visit::Refused;

pub(super) fn head(fault: &HeadFault) -> Told {
    let status = match fault {
        HeadFault::TooManyLines(_) | HeadFault::Illegible(Illegible::TooLarge) => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
        HeadFault::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        HeadFault::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        HeadFault::Method => StatusCode::NOT_IMPLEMENTED,
        HeadFault::Illegible(Illegible::Malformed)
        | HeadFault::Target
        | HeadFault::Host
        | HeadFault::TransferEncoding
        | HeadFault::Header(_)
        | HeadFault::Blank(_)
        | HeadFault::Override(_)
        | HeadFault::Body(_)
        | HeadFault::Path(_) => StatusCode::BAD_REQUEST,
    };
    let cause = if matches!(fault, HeadFault::Illegible(_)) { "illegible" } else { "head" };
    Told::new(status, cause, "The request has no single meaning").detail(fault)
}

/// Where the request could begin a WebSocket if it were another, with what must be asked for (RFC 9110 section 15.5.22,
/// RFC 6455 section 4.4).
pub(super) fn handshake(fault: HandshakeFault) -> Told {
    let (status, cause) = match fault {
        HandshakeFault::NotAsked | HandshakeFault::Http2 | HandshakeFault::Version => {
            (StatusCode::UPGRADE_REQUIRED, "handshake")
        }
        HandshakeFault::Key | HandshakeFault::Malformed(_) | HandshakeFault::Protocol => {
            (StatusCode::BAD_REQUEST, "handshake")
        }
        HandshakeFault::Origin => (StatusCode::FORBIDDEN, "foreign_site"),
    };
    let told = Told::new(status, cause, "The request does not begin a WebSocket").detail(fault);
    let word = HeaderValue::from_static;
    match fault {
        HandshakeFault::NotAsked => {
            told.header(UPGRADE, word("websocket")).header(CONNECTION, word("upgrade"))
        }
        HandshakeFault::Version => told
            .header(UPGRADE, word("websocket"))
            .header(CONNECTION, word("upgrade"))
            .header(SEC_WEBSOCKET_VERSION, word("13")),
        // HTTP/2 has no such header (RFC 9113 section 8.2.2).
        HandshakeFault::Http2
        | HandshakeFault::Key
        | HandshakeFault::Malformed(_)
        | HandshakeFault::Protocol
        | HandshakeFault::Origin => told,
    }
}

pub(super) fn query(fault: &QueryFault) -> Told {
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

pub(super) fn visit(refused: &Refused) -> Told {
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
        Refused::Factor { assurance, fresh_s } => {
            let (max_age_s, fields) = (Some(*fresh_s), Vec::new());
            stronger(&FactorAsked::of(StepUp { assurance: *assurance, max_age_s, fields }))
        }
        Refused::Type => {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            told(status, "request_body", "The request body is refused").detail("send JSON")
        }
        Refused::Read(fault) => unread(*fault),
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

pub(super) fn content_type(fault: &ContentTypeFault) -> Told {
    body(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault)
}

pub(super) fn encoding(fault: &EncodingFault) -> Told {
    // RFC 9110, 12.5.3: what would have been read.
    body(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault)
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd"))
}

/// A body that could be read, but holds what may not stand there, is told apart from one that is broken.
pub(super) fn judged(fault: &GuardFault) -> Told {
    let is_found =
        matches!(fault, GuardFault::Json(json::Fault { cause: json::Cause::Detected { .. }, .. }));
    let status = if is_found { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
    body(status, fault)
}

pub(super) fn unread(fault: BodyFault) -> Told {
    let status = match fault {
        BodyFault::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyFault::Broken => StatusCode::BAD_REQUEST,
    };
    body(status, fault)
}

pub(super) fn broken(why: &str) -> Told {
    body(StatusCode::BAD_REQUEST, why)
}

pub(super) fn unclean() -> Told {
    let title = "Something was found in a file";
    Told::new(StatusCode::UNPROCESSABLE_ENTITY, "unclean_upload", title)
}

fn body(status: StatusCode, fault: impl ToString) -> Told {
    Told::new(status, "request_body", "The request body is refused").detail(fault)
}
