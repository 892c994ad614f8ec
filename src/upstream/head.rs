//! The heads of requests as HTTP/1.1 and HTTP/2 have them, and which heads of answers are refused.

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;

use super::connect::RequestBody;
use super::error::UpstreamError;

/// Origin form, with a `Host`.
pub(super) fn for_one(mut request: Request<RequestBody>) -> Request<RequestBody> {
    *request.version_mut() = Version::HTTP_11;
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    request
}

/// With `:scheme` and `:authority` instead of a `Host`.
pub(super) fn for_many(mut request: Request<RequestBody>) -> Request<RequestBody> {
    *request.version_mut() = Version::HTTP_2;
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let Some(authority) = host.and_then(|host| Authority::try_from(host).ok()) else {
        return request;
    };
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(authority);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
        request.headers_mut().remove(HOST);
    }
    request
}

/// `most` fields; over HTTP/1.1 hyper counts them while it reads.
pub(super) fn check_head(response: &Response<Incoming>, most: usize) -> Result<(), UpstreamError> {
    let fields = response.headers().len();
    if fields > most {
        return Err(UpstreamError::Fields(fields));
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpstreamError::Switched);
    }
    let headers = response.headers();
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Err(UpstreamError::TwoLengths);
    }
    // hyper goes by the last coding and drops the others without undoing them (RFC 9112 section 6.1).
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked || codings.next().is_some() {
        return Err(UpstreamError::TransferCoding);
    }
    Ok(())
}
