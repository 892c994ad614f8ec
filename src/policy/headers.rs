//! Which headers of a request reach the backend, and which of its answer reach the caller.
//!
//! Neither side may set a header that the route does not name. What a named one is held to follows from
//! its name, so that a file cannot loosen it.

/// The headers that a route names. Without any, a request brings what every request does and an answer
/// brings nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Of the request, in lower case.
    pub(super) send: Vec<Box<str>>,
    /// Of the answer, in lower case.
    pub(super) pass: Vec<(Box<str>, HeaderRule)>,
    /// Cookies of the backend's, which go both ways.
    pub(super) cookies: Vec<Box<str>>,
}

/// What a header of an answer must meet to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeaderRule {
    /// One line of plain text.
    Plain,
    /// A count of records: it passes only where no record may be withheld.
    Count,
    /// One place, which must be a published route.
    Place,
    /// Links; those to published routes pass.
    Links,
    /// It describes the bytes of the body, so it passes only where they do, on opaque routes.
    OfBytes,
}

impl HeaderRule {
    /// The rule of a header with this name, in lower case; `None` for one that can never pass, because the
    /// gate writes it itself or it speaks to the connection or the browser.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        if NEVER_PASS.contains(&name) || NEVER_PASS_PREFIXES.iter().any(|p| name.starts_with(p)) {
            return None;
        }
        Some(match name {
            "location" => Self::Place,
            "link" => Self::Links,
            _ if OF_BYTES.contains(&name) => Self::OfBytes,
            _ if super::read::is_count_name(name.strip_prefix("x-").unwrap_or(name)) => Self::Count,
            _ => Self::Plain,
        })
    }
}

impl Headers {
    /// The names of further request headers that reach the backend, in lower case.
    pub fn send(&self) -> impl Iterator<Item = &str> {
        self.send.iter().map(AsRef::as_ref)
    }

    /// The names of the answer's headers that may pass, in lower case, and what each must meet.
    pub fn pass(&self) -> impl Iterator<Item = (&str, HeaderRule)> {
        self.pass.iter().map(|(name, rule)| (name.as_ref(), *rule))
    }

    /// Whether a cookie of this name goes both ways.
    #[must_use]
    pub fn has_cookie(&self, name: &str) -> bool {
        self.cookies.iter().any(|cookie| **cookie == *name)
    }

    /// Whether any cookie does.
    #[must_use]
    pub fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }
}

/// Whether a request header may be named for a backend. What carries identity, routing, a connection's
/// business, a condition or another method cannot: a backend would believe it.
pub(super) fn may_be_sent(name: &str) -> bool {
    let name = &*as_backends_read(name);
    !NEVER_SENT.contains(&name) && !NEVER_SENT_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Whether a backend could take one header name for the other: many turn whatever is no letter or digit into
/// the same character (CGI, RFC 3875 section 4.1.18), so that `x_user` is `x-user` to them.
#[must_use]
pub fn same_to_a_backend(one: &str, other: &str) -> bool {
    as_backends_read(one) == as_backends_read(other)
}

fn as_backends_read(name: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    // HTTP/2's own names begin with a colon, which is no character of a header's name.
    name.chars().map(|c| if c == ':' { c } else { fold(c) }).collect()
}

/// The gate's own cookies begin so.
pub(super) const OWN_COOKIE: &str = "__host-menshen";

const NEVER_SENT: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "forwarded",
    "front-end-https",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "prefer",
    "range",
    "referer",
    "remote-user",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-api-key",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "x-request-method",
];

const NEVER_SENT_PREFIXES: &[&str] = &[
    ":",
    "access-control-",
    "cf-",
    "content-",
    "if-",
    "menshen-",
    "proxy-",
    "sec-",
    "ssl-",
    "x-accel-",
    "x-auth",
    "x-forwarded",
    "x-http-method-",
    "x-original-",
    "x-remote-",
    "x-rewrite-",
    "x-ssl-",
    "x-user",
];

const OF_BYTES: &[&str] =
    &["content-digest", "content-md5", "digest", "etag", "last-modified", "repr-digest"];

const NEVER_PASS: &[&str] = &[
    "accept-ranges",
    "age",
    "alt-svc",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "cookie",
    "date",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "pragma",
    "referrer-policy",
    "refresh",
    "server",
    "server-timing",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-content-type-options",
    "x-powered-by",
];

/// `content-digest` and `content-md5` are the two that may pass with the bytes they describe.
const NEVER_PASS_PREFIXES: &[&str] = &[
    ":",
    "access-control-",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-",
    "content-type",
    "menshen-",
    "proxy-",
    "ratelimit",
    "sec-",
    "x-accel-",
    "x-sendfile",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_is_held_to_follows_from_its_name() {
        for (name, rule) in [
            ("location", Some(HeaderRule::Place)),
            ("link", Some(HeaderRule::Links)),
            ("x-total-count", Some(HeaderRule::Count)),
            ("total", Some(HeaderRule::Count)),
            ("etag", Some(HeaderRule::OfBytes)),
            ("content-digest", Some(HeaderRule::OfBytes)),
            ("x-cost", Some(HeaderRule::Plain)),
            ("set-cookie", None),
            ("content-range", None),
            ("accept-ranges", None),
            ("server", None),
            ("menshen-held-back", None),
            ("access-control-allow-origin", None),
        ] {
            assert_eq!(HeaderRule::of(name), rule, "{name}");
        }
    }

    #[test]
    fn nothing_that_a_backend_would_believe_can_be_sent() {
        for name in [
            "host",
            "authorization",
            "cookie",
            "x-forwarded-for",
            "x-forwarded-user",
            "forwarded",
            "x-http-method-override",
            "x-method-override",
            "x-http-method",
            "x-original-url",
            "x-rewrite-url",
            "if-none-match",
            "if-range",
            "range",
            "te",
            "content-length",
            "menshen-purpose",
            "x_forwarded_user",
            "x.forwarded.user",
            "X_Forwarded-User",
            "remote_user",
            "x~user~id",
            "menshen_assertion",
        ] {
            assert!(!may_be_sent(name), "{name}");
        }
        assert!(may_be_sent("x-channel") && may_be_sent("traceparent"));
    }
}
