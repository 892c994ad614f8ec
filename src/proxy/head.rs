//! Head hygiene: one reading of the request's head, agreed on before anything is decided.
//!
//! hyper parses leniently for an access gate (several `Host` lines, absolute targets, odd transfer
//! codings all pass it), so what two readers could take differently is refused here. Nothing of the
//! client's head is forwarded but what [`forwarded`] lists.

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, TE, TRANSFER_ENCODING, USER_AGENT,
};
use http::request::Parts;
use http::{Method, Version};

use crate::listen::{Facts, Illegible};
use crate::route::{Path, PathError, normalise_host};

/// The purpose of the request, from the policy's closed list.
pub const PURPOSE: HeaderName = HeaderName::from_static("menshen-purpose");
/// The ticket that the request belongs to.
pub const TICKET: HeaderName = HeaderName::from_static("menshen-ticket");
/// The grant that the request shall use, of those that the caller holds.
pub const GRANT: HeaderName = HeaderName::from_static("menshen-grant");
/// Why, in the caller's words.
pub(super) const REASON: HeaderName = HeaderName::from_static("menshen-reason");

/// Headers of the client that the backend may see; identity, routing and hop-by-hop headers are not
/// on the list, so nobody outside can set them.
pub(super) const FORWARDED: [HeaderName; 4] = [
    http::header::ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("idempotency-key"),
];

/// Headers that ask a backend to take the request for one of another method, or of another path.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

const REASON_LIMIT_CHARS: usize = 500;
const TICKET_LIMIT_CHARS: usize = 64;

/// A head that has one meaning.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// That it was received in.
    pub(super) version: Version,
    /// In lower case, without the port.
    pub(super) host: String,
    pub(super) path: Path,
    /// As sent, without the question mark.
    pub(super) query: Option<String>,
    /// A browser asks, which wants a page rather than a problem document.
    pub(super) wants_page: bool,
    /// The client reads trailers, so a stream cut by a limit can say so.
    pub(super) accepts_trailers: bool,
    pub(super) purpose: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) grant: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) has_body: bool,
}

/// Why a head is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Nothing could be read of it.
    #[error(transparent)]
    Illegible(Illegible),
    /// More header lines than may be.
    #[error("a request has at most {0} header lines")]
    TooManyLines(usize),
    /// Only HTTP/1.1 and HTTP/2 are spoken.
    #[error("only HTTP/1.1 and HTTP/2 are served")]
    Version,
    /// `CONNECT`, `TRACE` and `OPTIONS *` have no meaning here.
    #[error("the method is not served")]
    Method,
    /// The request target is not a path.
    #[error(
        "the request target must be a path such as `/api/x`, or an address with `https` and this host"
    )]
    Target,
    /// None, several or different names of the host.
    #[error("exactly one host must be named, and `Host` must agree with the target")]
    Host,
    /// The host is not the one of the TLS handshake.
    #[error("the host is not the server name of this TLS connection")]
    Misdirected,
    /// A transfer coding besides `chunked`.
    #[error("`Transfer-Encoding` may only be `chunked`")]
    TransferEncoding,
    /// A header that may stand once stands twice, is too long or is not text.
    #[error("header `{0}` must stand once, as plain text of the allowed length")]
    Header(HeaderName),
    /// A value with a blank at its beginning or end, which HTTP/2 does not allow and HTTP/1.1 would not see.
    #[error("the value of header `{0}` must neither begin nor end with a blank")]
    Blank(HeaderName),
    /// Another method or path is asked for than the one that is judged.
    #[error("`{0}` asks for another request than the one that is judged; send that one")]
    Override(&'static str),
    /// A body where the method has none.
    #[error("a {0} request has no body")]
    Body(Method),
    /// The path has no single meaning.
    #[error("the path is refused: {0}")]
    Path(#[from] PathError),
}

/// Reads the head of a request on a connection.
///
/// # Errors
/// [`HeadFault`] for every shape that two readers could take differently.
pub(super) fn judge(parts: &Parts, facts: &Facts, body_is_empty: bool) -> Result<Head, HeadFault> {
    if parts.headers.len() > facts.header_lines {
        return Err(HeadFault::TooManyLines(facts.header_lines));
    }
    if parts.version != Version::HTTP_11 && parts.version != Version::HTTP_2 {
        return Err(HeadFault::Version);
    }
    let asks_server = parts.method == Method::OPTIONS && parts.uri.path() == "*";
    if parts.method == Method::CONNECT || parts.method == Method::TRACE || asks_server {
        return Err(HeadFault::Method);
    }
    if let Some(name) = OVERRIDES.iter().find(|name| parts.headers.contains_key(**name)) {
        return Err(HeadFault::Override(name));
    }
    if let Some((name, _)) = parts.headers.iter().find(|(_, value)| is_edged_by_blanks(value)) {
        return Err(HeadFault::Blank(name.clone()));
    }
    let host = host(parts)?;
    if facts.server_name.as_deref().is_some_and(|name| name != host) {
        return Err(HeadFault::Misdirected);
    }
    transfer_encoding(&parts.headers)?;
    let has_body = !body_is_empty || declares_body(&parts.headers);
    if has_body && has_none(&parts.method) {
        return Err(HeadFault::Body(parts.method.clone()));
    }
    Ok(Head {
        method: parts.method.clone(),
        version: parts.version,
        host,
        path: Path::parse(parts.uri.path())?,
        query: parts.uri.query().map(str::to_owned),
        wants_page: wants_page(parts),
        accepts_trailers: accepts_trailers(&parts.headers),
        purpose: single(&parts.headers, &PURPOSE, TICKET_LIMIT_CHARS)?,
        ticket: single(&parts.headers, &TICKET, TICKET_LIMIT_CHARS)?,
        grant: single(&parts.headers, &GRANT, TICKET_LIMIT_CHARS)?,
        reason: single(&parts.headers, &REASON, REASON_LIMIT_CHARS)?,
        has_body,
    })
}

/// Whether requests of this method have no body.
pub(super) fn has_none(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS].contains(method)
}

/// The headers of the client that go to the backend.
pub(super) fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in &FORWARDED {
        if let Some(value) = headers.get(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    out
}

/// What `Connection` names is for us alone, and goes no further (RFC 9110 section 7.6.1).
pub(super) fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lines = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    // By bytes: what is no text names no header, and hides none that stands beside it.
    let options = lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    // What most connections say names nothing that would go further.
    let is_name = |option: &&[u8]| {
        ![&b"close"[..], b"keep-alive"].iter().any(|word| word.eq_ignore_ascii_case(option))
    };
    options.filter(is_name).filter_map(|option| HeaderName::from_bytes(option).ok())
}

/// What a gateway says of itself to whoever it forwards to (RFC 9110 section 7.6.3).
pub(super) fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(if version == Version::HTTP_2 { "2 menshen" } else { "1.1 menshen" })
}

/// A browser says where a request comes from; a program says nothing and can only send JSON, which
/// another site's page cannot send without asking first.
pub(super) fn same_origin(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN).map(|v| v.to_str().unwrap_or("?")) {
        Some(origin) => origin.strip_prefix("https://").is_some_and(|rest| {
            rest.split(':').next().is_some_and(|h| h.eq_ignore_ascii_case(host))
        }),
        None => text("content-type").is_none_or(|t| !is_sent_unasked(t)),
    }
}

/// The content types that a page may send to another site without asking it first (CORS).
fn is_sent_unasked(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "?"]
        .contains(&essence.as_str())
}

/// The one host that target and `Host` agree on, in lower case and without the port.
fn host(parts: &Parts) -> Result<String, HeadFault> {
    let mut lines = parts.headers.get_all(HOST).iter();
    let line = lines.next().map(HeaderValue::to_str);
    if lines.next().is_some() {
        return Err(HeadFault::Host);
    }
    let line = match line {
        Some(Ok(line)) => Some(bare_host(line)?),
        Some(Err(_not_text)) => return Err(HeadFault::Host),
        None => None,
    };
    let target = match parts.uri.authority() {
        // `:scheme` and `:authority`, or the absolute form, which servers must take (RFC 9112 section 3.2.2).
        Some(authority) if parts.uri.scheme_str() == Some("https") => {
            Some(bare_host(authority.as_str())?)
        }
        Some(_) => return Err(HeadFault::Target),
        None => None,
    };
    if !parts.uri.path().starts_with('/') {
        return Err(HeadFault::Target);
    }
    match (target, line) {
        (Some(target), Some(line)) if target != line => Err(HeadFault::Host),
        (Some(_), None) if parts.version != Version::HTTP_2 => Err(HeadFault::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(HeadFault::Host),
    }
}

fn bare_host(text: &str) -> Result<String, HeadFault> {
    normalise_host(text).ok_or(HeadFault::Host)
}

fn is_edged_by_blanks(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    is_blank(bytes.first()) || is_blank(bytes.last())
}

fn transfer_encoding(headers: &HeaderMap) -> Result<(), HeadFault> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(HeadFault::TransferEncoding),
    }
}

fn declares_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// The value of a header that may stand once and holds plain text.
fn single(
    headers: &HeaderMap,
    name: &HeaderName,
    limit_chars: usize,
) -> Result<Option<String>, HeadFault> {
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = std::str::from_utf8(line.as_bytes()).ok().filter(|_| lines.next().is_none());
    match text.map(str::trim) {
        Some(text) if text.chars().count() <= limit_chars => Ok(Some(text.to_owned())),
        _ => Err(HeadFault::Header(name.clone())),
    }
}

/// Whether a browser asks, which shows a page to a person.
pub(super) fn wants_page(parts: &Parts) -> bool {
    parts.method == Method::GET
        && parts
            .headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|line| {
        line.to_str()
            .is_ok_and(|te| te.split(',').any(|t| t.trim().eq_ignore_ascii_case("trailers")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn facts(server_name: Option<&str>) -> Facts {
        Facts {
            peer: "192.0.2.7:40000".parse().unwrap(),
            zone: "business".into(),
            server_name: server_name.map(Into::into),
            tls_version: "TLSv1.3",
            client: None,
            header_lines: 100,
            is_forwarded: false,
            progress: crate::listen::Progress::new(),
            ends: crate::listen::Ends::default(),
        }
    }

    fn judged(builder: http::request::Builder) -> Result<Head, HeadFault> {
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        judge(&parts, &facts(Some("bank.example")), true)
    }

    fn get(path: &str) -> http::request::Builder {
        Request::get(path).header("host", "bank.example")
    }

    #[test]
    fn a_plain_request_has_one_meaning() {
        let head = judged(get("/api/customers/42?page=2")).unwrap();
        assert_eq!(head.host, "bank.example");
        assert_eq!(head.path.as_str(), "/api/customers/42");
        assert_eq!(head.query.as_deref(), Some("page=2"));
    }

    #[test]
    fn no_host_two_hosts_or_another_host_are_refused() {
        assert_eq!(judged(Request::get("/")).unwrap_err(), HeadFault::Host);
        assert_eq!(judged(get("/").header("host", "bank.example")).unwrap_err(), HeadFault::Host);
        let other = Request::get("/").header("host", "other.example");
        assert_eq!(judged(other).unwrap_err(), HeadFault::Misdirected);
        let odd = Request::get("/").header("host", "bank.example@evil");
        assert_eq!(judged(odd).unwrap_err(), HeadFault::Host);
    }

    #[test]
    fn an_absolute_target_over_http1_is_refused() {
        let absolute = Request::get("http://bank.example/api").header("host", "bank.example");
        assert_eq!(judged(absolute).unwrap_err(), HeadFault::Target);
    }

    #[test]
    fn http2_takes_the_authority_and_a_differing_host_line_is_refused() {
        let good = Request::get("https://bank.example:8443/x").version(Version::HTTP_2);
        assert_eq!(judged(good).unwrap().host, "bank.example");
        let differing = Request::get("https://bank.example/x")
            .version(Version::HTTP_2)
            .header("host", "evil.example");
        assert_eq!(judged(differing).unwrap_err(), HeadFault::Host);
        let unencrypted = Request::get("http://bank.example/x").version(Version::HTTP_2);
        assert_eq!(judged(unencrypted).unwrap_err(), HeadFault::Target);
    }

    #[test]
    fn http2_has_no_more_header_lines_than_http1() {
        let lines = |count: usize| {
            let request = Request::get("https://bank.example/x").version(Version::HTTP_2);
            judged((0..count).fold(request, |r, n| r.header(format!("x-{n}"), "y"))).err()
        };
        assert_eq!(lines(100), None);
        assert_eq!(lines(101), Some(HeadFault::TooManyLines(100)));
    }

    #[test]
    fn smuggling_shapes_are_refused() {
        let identity = get("/").header("transfer-encoding", "identity, chunked");
        assert_eq!(judged(identity).unwrap_err(), HeadFault::TransferEncoding);
        let twice =
            get("/").header("transfer-encoding", "chunked").header("transfer-encoding", "x");
        assert_eq!(judged(twice).unwrap_err(), HeadFault::TransferEncoding);
        let body_on_get = get("/").header("content-length", "4");
        assert_eq!(judged(body_on_get).unwrap_err(), HeadFault::Body(Method::GET));
        assert_eq!(judged(get("/").version(Version::HTTP_10)).unwrap_err(), HeadFault::Version);
    }

    #[test]
    fn identity_and_hop_by_hop_headers_from_outside_do_not_go_on() {
        let (parts, ()) = get("/")
            .header("x-forwarded-for", "10.0.0.1")
            .header("x-user-id", "root")
            .header("authorization", "Bearer t")
            .header("cookie", "a=b")
            .header("connection", "keep-alive, x-secret")
            .header("accept-language", "th")
            .body(())
            .unwrap()
            .into_parts();
        let onward = forwarded(&parts.headers);
        assert_eq!(onward.len(), 1);
        assert_eq!(onward.get("accept-language").unwrap(), "th");
    }

    #[test]
    fn another_method_or_path_than_the_one_judged_is_refused() {
        for name in OVERRIDES {
            let fault = judged(get("/").header(name, "DELETE")).unwrap_err();
            assert_eq!(fault, HeadFault::Override(name));
        }
    }

    #[test]
    fn a_value_with_a_blank_at_an_end_is_refused() {
        for value in [" y", "y\t", "\ty", "y ", " "] {
            let name = HeaderName::from_static("x-any");
            let fault = judged(get("/").header("x-any", value)).unwrap_err();
            assert_eq!(fault, HeadFault::Blank(name), "{value:?}");
        }
        judged(get("/").header("x-any", "a b").header("x-none", "")).unwrap();
    }

    #[test]
    fn a_purpose_may_be_declared_once() {
        let once = judged(get("/").header("menshen-purpose", "service")).unwrap();
        assert_eq!(once.purpose.as_deref(), Some("service"));
        let twice = get("/").header("menshen-purpose", "a").header("menshen-purpose", "b");
        assert_eq!(judged(twice).unwrap_err(), HeadFault::Header(PURPOSE));
    }
}
