//! What the operator says about an upstream.

use std::path::PathBuf;
use std::time::Duration;

/// One upstream: where it is, how it is reached, and what it may cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that routes use.
    pub name: String,
    /// A DNS name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// TLS, or expressly not.
    pub transport: Transport,
    /// Connections at once, idle ones included.
    pub connections: usize,
    /// Requests that may wait for a connection.
    pub waiting: usize,
    /// How long each wait may take.
    pub timeouts: Timeouts,
    /// How large an answer's head may be.
    pub caps: Caps,
}

impl Settings {
    /// An upstream with the shipped limits: 64 connections, 256 waiting requests.
    #[must_use]
    pub fn new(name: &str, host: &str, port: u16, transport: Transport) -> Self {
        Self {
            name: name.into(),
            host: host.into(),
            port,
            transport,
            connections: 64,
            waiting: 256,
            timeouts: Timeouts::default(),
            caps: Caps::default(),
        }
    }
}

/// How an upstream is reached.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM file of the certificates that may sign the upstream's; nobody else is trusted.
    pub ca: PathBuf,
    /// The name that the upstream's certificate must bear; also sent as SNI.
    pub server_name: String,
    /// Our certificate, for upstreams that ask for one.
    pub identity: Option<IdentityFiles>,
}

/// A client certificate on the disk.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// PEM file of our certificate and its chain.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// How long each wait may take.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
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
