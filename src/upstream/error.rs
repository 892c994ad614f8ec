//! What can go wrong on the way to an upstream and back, and how hyper's errors tell.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::tls::client::ClientTlsError;

/// Any error of a request's body.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The head of the answer.
    Head,
    /// The next part of the answer's body.
    Body,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "the connection",
            Self::Tls => "the TLS handshake",
            Self::Head => "the head of the answer",
            Self::Body => "the next part of the answer",
        }
    }
}

/// Why an upstream did not answer, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No upstream has this name.
    #[error("there is no upstream `{0}`")]
    Unknown(String),
    /// The permit is for records that meet a condition, and the record was not tested yet.
    #[error("the permit is not settled: the record must be read first")]
    Unsettled,
    /// All of its endpoints are down, as health checks say.
    #[error("all endpoints of the upstream are down")]
    AllOut,
    /// All connections stayed in use.
    #[error("no connection became free within {} ms", .0.as_millis())]
    Busy(Duration),
    /// As many requests wait as may.
    #[error("the queue for a connection is full")]
    QueueFull,
    /// The name has no address.
    #[error("the upstream's name cannot be resolved: {0}")]
    Dns(#[source] io::Error),
    /// Nobody listens, or nobody is there.
    #[error("the upstream cannot be connected to: {0}")]
    Connect(#[source] io::Error),
    /// The upstream is reached without TLS and lies beyond this machine.
    #[error("`{0}` is not a loopback address, and only those are reached without TLS")]
    PlainBeyondLoopback(SocketAddr),
    /// The upstream is not who it must be, or refuses us.
    #[error("TLS to the upstream failed: {0}")]
    Tls(#[source] io::Error),
    /// It took too long.
    #[error("the upstream took too long: {} did not come within {} ms", .0.name(), .1.as_millis())]
    Timeout(Stage, Duration),
    /// The connection ended before the head of an answer did. The upstream may have acted.
    #[error("the upstream closed the connection without an answer: {0}")]
    Closed(#[source] hyper::Error),
    /// The answer's head is not HTTP, or too large.
    #[error("the head of the upstream's answer is malformed or too large: {0}")]
    BadHead(#[source] hyper::Error),
    /// The head of the answer has more fields than may be.
    #[error("the head of the upstream's answer has {0} fields, more than may be")]
    Fields(usize),
    /// The answer gives its length in two ways, as smuggled answers do.
    #[error("the upstream's answer has both a length and a transfer encoding")]
    TwoLengths,
    /// A coding besides `chunked`, which would have to be undone before the body is read.
    #[error("the upstream's answer has a transfer coding besides `chunked`")]
    TransferCoding,
    /// The upstream speaks another protocol from here on, which nobody asked for.
    #[error("the upstream switched protocols unasked")]
    Switched,
    /// The body ended before its announced length or its last chunk.
    #[error("the upstream's answer ended before its end: {0}")]
    Short(#[source] hyper::Error),
    /// The stream was ended without an error, but before it said that the body has ended.
    #[error("the upstream's answer was left off in the middle, as if nobody wanted the rest")]
    LeftOff,
    /// The connection broke within the body.
    #[error("the connection broke within the upstream's answer: {0}")]
    Reset(#[source] hyper::Error),
    /// The body's chunks are malformed.
    #[error("the body of the upstream's answer is malformed: {0}")]
    BadBody(#[source] hyper::Error),
    /// The request's own body failed: the caller's doing, not the upstream's.
    #[error("the body of the request failed: {0}")]
    RequestBody(#[source] hyper::Error),
}

impl UpstreamError {
    /// Whether nobody was asked and nobody waited: all are down, or too many wait.
    #[must_use]
    pub fn is_refused_at_once(&self) -> bool {
        matches!(self, Self::AllOut | Self::QueueFull)
    }

    /// What an error before the end of the answer's head means.
    pub(super) fn of_head(error: hyper::Error) -> Self {
        if error.is_user() {
            return Self::RequestBody(error);
        }
        if error.is_parse() {
            return Self::BadHead(error);
        }
        match cause(&error) {
            Some(io) if is_tls(io) => Self::Tls(io::Error::new(io.kind(), io.to_string())),
            Some(_) | None => Self::Closed(error),
        }
    }

    /// What an error within the answer's body means.
    pub(super) fn of_body(error: hyper::Error) -> Self {
        let kind = cause(&error).map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::UnexpectedEof) => Self::Short(error),
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::BadBody(error),
            Some(_) => Self::Reset(error),
            None if error.is_incomplete_message() => Self::Short(error),
            None if error.is_user() => Self::RequestBody(error),
            None if error.is_parse() => Self::BadBody(error),
            None => Self::Reset(error),
        }
    }
}

/// Whether the other side says that it did nothing with a request of HTTP/2, whatever its method (RFC 9113 section 8.7): it
/// refused the stream, or closed the connection and named an earlier one as the last.
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            let is_refused = h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            return h2.is_remote() && (h2.is_go_away() || is_refused);
        }
        source = error.source();
    }
    false
}

/// The system's error at the bottom of hyper's.
fn cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = error.source();
    }
    None
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read.
    #[error("upstream `{name}`: cannot read `{path}`: {source}")]
    File {
        /// The upstream.
        name: String,
        /// The file as the operator named it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error("upstream `{name}`: {source}")]
    Tls {
        /// The upstream.
        name: String,
        /// What is wrong with them.
        source: ClientTlsError,
    },
    /// The name for TLS is none.
    #[error("upstream `{name}`: server_name must be a DNS name or an IP address, got `{got}`")]
    ServerName {
        /// The upstream.
        name: String,
        /// What was given.
        got: String,
    },
    /// The host cannot stand in a `Host` header.
    #[error("upstream `{name}`: host must be a DNS name or an IP address, got `{got}`")]
    Host {
        /// The upstream.
        name: String,
        /// What was given.
        got: String,
    },
    /// No address at all.
    #[error("upstream `{0}`: at least one address is needed")]
    NoAddresses(String),
    /// What health checks ask for is no path.
    #[error("upstream `{name}`: health.path must be a path, got `{got}`")]
    Path {
        /// The upstream.
        name: String,
        /// What was given.
        got: String,
    },
    /// No connections at all.
    #[error("upstream `{0}`: connections must be at least 1")]
    NoConnections(String),
    /// Two upstreams share a name.
    #[error("upstream `{0}` is defined twice")]
    Twice(String),
}
