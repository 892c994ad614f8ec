//! What every answer of the gate has in common.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::body::Answer;
use crate::audit::EntryId;
use crate::limits::{Quota, RateLimitFields};
use crate::listen::Facts;

/// The id under which the log knows the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("menshen-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What of a request bears on the form of its answer.
pub(super) struct Form {
    is_head: bool,
    is_chunked: bool,
    /// Whether another protocol is asked for.
    asks_upgrade: bool,
}

impl Form {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            is_head: request.method() == Method::HEAD,
            is_chunked: request.headers().contains_key(TRANSFER_ENCODING),
            asks_upgrade: request.headers().contains_key(UPGRADE),
        }
    }
}

/// Adds to an answer what all answers carry.
pub(super) fn finish(response: Response<Answer>, form: &Form, id: EntryId) -> Response<Answer> {
    let mut response = if form.is_head { without_body(response) } else { response };
    if form.is_chunked {
        // hyper takes a `Content-Length` beside chunks away without a word. Whoever stands before us
        // may have gone by it, so nothing behind such a request is read (RFC 9112 section 6.1).
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if form.asks_upgrade && !is_switched {
        // What follows may be of that protocol already, and must not be read as a request.
        response.headers_mut().append(CONNECTION, HeaderValue::from_static("close"));
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    guard_headers(headers);
    response
}

/// The answer to HEAD: the length stays, the body does not. Over HTTP/2 hyper would send it.
fn without_body(mut response: Response<Answer>) -> Response<Answer> {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(Answer::without_content)
}

/// The answer when not even an id for the record can be made.
pub(super) fn without_record(facts: &Facts) -> Response<Answer> {
    let mut response = plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "application/problem+json",
        Bytes::from_static(b"{\"status\":503,\"title\":\"The request cannot be recorded\"}\n"),
        facts,
    );
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    guard_headers(response.headers_mut());
    response
}

/// A small answer of the gate's own.
pub(super) fn plain(
    status: StatusCode,
    content_type: &'static str,
    content: Bytes,
    facts: &Facts,
) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(content, None, &facts.progress));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Tells how the caller's limits stand.
pub(super) fn limits(headers: &mut HeaderMap, quotas: &[Quota]) {
    if let Some(fields) = RateLimitFields::of(quotas) {
        headers.insert(RATE_LIMIT, fields.state);
        headers.insert(RATE_LIMIT_POLICY, fields.policy);
    }
}

/// Nothing is cached, sniffed or referred, and browsers come back over TLS only.
pub(super) fn guard_headers(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    );
}
