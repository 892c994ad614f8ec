//! What the operator says about an upstream.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One upstream: where it is, how it is reached, and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name that routes use.
    pub name: String,
    /// Where it is; requests are spread over all of them.
    pub addresses: Vec<Address>,
    /// TLS, or expressly not.
    pub transport: Transport,
    /// Whether HTTP/2 is spoken where a backend offers it, and how many requests go at once over one connection then.
    pub http2: Option<usize>,
    /// Connections at once to each endpoint, idle ones included.
    pub connections: usize,
    /// Requests that may wait for a connection to an endpoint.
    pub waiting: usize,
    /// WebSockets at once to each endpoint, each over a connection of its own beside those.
    pub sockets: usize,
    /// How long each wait may take.
    pub timeouts: Timeouts,
    /// How large an answer's head may be.
    pub caps: Caps,
    /// Whether a request with an idempotent method (RFC 9110 section 9.2.2) that got no answer may be sent once more.
    pub repeats_idempotent: bool,
    /// When an endpoint is left out for a time.
    pub eject: Eject,
    /// How long an endpoint that comes back takes to get its full share.
    pub slow_start: Duration,
    /// How often names are looked up again.
    pub resolve_every: Duration,
    /// What endpoints are asked beside requests, if anything.
    pub health: Option<Health>,
}

impl Settings {
    /// An upstream at one address with the shipped limits: 64 connections, 256 waiting requests, 256 WebSockets.
    #[must_use]
    pub fn new(name: &str, host: &str, port: u16, transport: Transport) -> Self {
        Self {
            name: name.into(),
            addresses: vec![Address::Host { host: host.into(), port }],
            transport,
            http2: None,
            connections: 64,
            waiting: 256,
            sockets: 256,
            timeouts: Timeouts::default(),
            caps: Caps::default(),
            repeats_idempotent: false,
            eject: Eject::default(),
            slow_start: Duration::from_secs(30),
            resolve_every: Duration::from_secs(30),
            health: None,
        }
    }
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A DNS name or an IP address, and the TCP port. Each address of a name is an endpoint of its own.
    Host {
        /// The name or IP address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket of this machine's file system.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// When an endpoint that fails is left out for a time. Never more than half of an upstream's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eject {
    /// So many requests in a row that failed.
    pub after: u32,
    /// How long at first; each time doubled, up to five minutes.
    pub time: Duration,
    /// Whether an answer with a status of 500 or more counts as a failure.
    pub on_5xx: bool,
}

impl Default for Eject {
    fn default() -> Self {
        Self { after: 5, time: Duration::from_secs(10), on_5xx: false }
    }
}

/// A request of the gate's own by which an endpoint shows that it is well. It carries nothing of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for with GET; an answer of 200 to 299 is good.
    pub path: String,
    /// How often.
    pub every: Duration,
    /// How long the connection and the head of the answer may take together.
    pub timeout: Duration,
    /// So many bad answers in a row take an endpoint out.
    pub fails: u32,
    /// So many good ones in a row bring it back.
    pub passes: u32,
}

impl Health {
    /// Asked for every 5 s; out after 3 bad answers, back after 2 good ones.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let (every, timeout) = (Duration::from_secs(5), Duration::from_secs(2));
        Self { path: path.into(), every, timeout, fails: 3, passes: 2 }
    }
}

/// How an upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS 1.3 or 1.2 with pinned trust.
    Tls(TlsSettings),
    /// No TLS. Customer data then crosses whatever lies between in clear, so an address that is
    /// not this machine's loopback is refused when connecting unless `beyond_loopback` says otherwise.
    Plain {
        /// Whether addresses other than loopback are connected to.
        beyond_loopback: bool,
    },
}

/// How an upstream is recognised, and how we are recognised by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of the certificates that may sign the upstream's; nobody else is trusted.
    pub ca: PathBuf,
    /// The name that the upstream's certificate must bear; also sent as SNI. Else the host of each address.
    pub server_name: Option<String>,
    /// Our certificate, for upstreams that ask for one.
    pub identity: Option<IdentityFiles>,
}

/// A client certificate on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM file of our certificate and its chain.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// How long each wait may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a free connection.
    pub wait: Duration,
    /// For the address and the TCP connection.
    pub connect: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// For the head of the answer, from when the request is handed over, its body included.
    pub head: Duration,
    /// Between two parts of the answer's body; time in which nobody reads it does not count.
    pub body_idle: Duration,
    /// How long an idle connection is kept. Keep it below what the upstream does.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(5),
            connect: Duration::from_secs(3),
            tls: Duration::from_secs(5),
            head: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
        }
    }
}

/// How large an answer's head may be. Its body has no cap here: it streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Header fields.
    pub headers: usize,
    /// Bytes of the head, and of the trailers.
    pub head_bytes: usize,
    /// Bytes read ahead per connection, at least 8192.
    pub buffer_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { headers: 100, head_bytes: 32 * 1024, buffer_bytes: 64 * 1024 }
    }
}
