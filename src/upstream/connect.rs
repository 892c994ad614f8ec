//! Opens one connection to an upstream: address, TCP, TLS, HTTP/1.1.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::{BoxError, OpenError, Stage, UpstreamError};
use super::settings::{Caps, Settings, Timeouts, TlsSettings, Transport};
use crate::tls::client::{ClientIdentity, client_config};

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;
/// hyper refuses smaller buffers.
const MIN_BUFFER_BYTES: usize = 8_192;

/// The body of a request on its way to an upstream.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;
/// Drives a connection; ends when it closes.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Knows how to reach an upstream.
pub(super) struct Connector {
    host: String,
    port: u16,
    authority: HeaderValue,
    channel: Channel,
    timeouts: Timeouts,
    http: Builder,
}

enum Channel {
    Tls { connector: TlsConnector, name: ServerName<'static> },
    Plain { beyond_loopback: bool },
}

impl Connector {
    /// Reads the files that the settings name.
    pub(super) fn open(settings: &Settings) -> Result<Self, OpenError> {
        let channel = match &settings.transport {
            Transport::Plain { beyond_loopback } => {
                Channel::Plain { beyond_loopback: *beyond_loopback }
            }
            Transport::Tls(tls) => open_tls(&settings.name, tls)?,
        };
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            authority: authority(settings)?,
            channel,
            timeouts: settings.timeouts,
            http: http(settings.caps),
        })
    }

    /// The `Host` of requests that come without one.
    pub(super) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Opens a connection.
    pub(super) async fn connect(
        &self,
    ) -> Result<(SendRequest<RequestBody>, Driver), UpstreamError> {
        let stream = within(Stage::Connect, self.timeouts.connect, self.dial()).await?;
        match &self.channel {
            Channel::Plain { .. } => self.start(stream).await,
            Channel::Tls { connector, name } => {
                let shake = async {
                    let shaken = connector.connect(name.clone(), stream).await;
                    shaken.map_err(UpstreamError::Tls)
                };
                let stream = within(Stage::Tls, self.timeouts.tls, shake).await?;
                self.start(stream).await
            }
        }
    }

    /// Tries the addresses of the host in turn.
    async fn dial(&self) -> Result<TcpStream, UpstreamError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut last = UpstreamError::Dns(io::ErrorKind::NotFound.into());
        for address in found.map_err(UpstreamError::Dns)?.take(MAX_ADDRESSES) {
            match self.dial_address(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn dial_address(&self, address: SocketAddr) -> Result<TcpStream, UpstreamError> {
        if matches!(self.channel, Channel::Plain { beyond_loopback: false })
            && !address.ip().to_canonical().is_loopback()
        {
            return Err(UpstreamError::PlainBeyondLoopback(address));
        }
        let stream = TcpStream::connect(address).await.map_err(UpstreamError::Connect)?;
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        Ok(stream)
    }

    async fn start<T>(&self, io: T) -> Result<(SendRequest<RequestBody>, Driver), UpstreamError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let started = self.http.handshake(TokioIo::new(io)).await;
        let (sender, connection) = started.map_err(UpstreamError::Closed)?;
        Ok((sender, Box::pin(connection)))
    }
}

async fn within<T>(
    stage: Stage,
    limit: Duration,
    future: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    timeout(limit, future).await.unwrap_or(Err(UpstreamError::Timeout(stage, limit)))
}

fn http(caps: Caps) -> Builder {
    let mut http = Builder::new();
    http.http09_responses(false)
        .allow_obsolete_multiline_headers_in_responses(false)
        .allow_spaces_after_header_name_in_responses(false)
        .ignore_invalid_headers_in_responses(false)
        .max_headers(caps.headers)
        .max_header_size(caps.head_bytes)
        .max_buf_size(caps.buffer_bytes.max(MIN_BUFFER_BYTES));
    http
}

fn authority(settings: &Settings) -> Result<HeaderValue, OpenError> {
    let (host, port) = (&settings.host, settings.port);
    let bad = || OpenError::Host { name: settings.name.clone(), got: host.clone() };
    ServerName::try_from(host.as_str()).ok().ok_or_else(bad)?;
    let text =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    HeaderValue::try_from(text).ok().ok_or_else(bad)
}

fn open_tls(name: &str, tls: &TlsSettings) -> Result<Channel, OpenError> {
    let trust = read(name, &tls.ca)?;
    let identity = match &tls.identity {
        None => None,
        Some(files) => Some((read(name, &files.chain)?, read(name, &files.key)?)),
    };
    let identity =
        identity.as_ref().map(|(chain_pem, key_pem)| ClientIdentity { chain_pem, key_pem });
    let config = client_config(&trust, identity)
        .map_err(|source| OpenError::Tls { name: name.into(), source })?;
    let bad = || OpenError::ServerName { name: name.into(), got: tls.server_name.clone() };
    let server_name = ServerName::try_from(tls.server_name.clone()).ok().ok_or_else(bad)?;
    Ok(Channel::Tls { connector: TlsConnector::from(config), name: server_name })
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::File {
        name: name.into(),
        path: path.display().to_string(),
        source,
    })
}
