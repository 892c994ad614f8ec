//! Opens one connection to an endpoint: TCP or a socket of this machine, TLS, HTTP/1.1 or HTTP/2.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::error::{BoxError, OpenError, Stage, UpstreamError};
use super::heard::{Heard, Listened};
use super::secure::{Secure, Way};
use super::settings::{Address, Caps, Settings, Timeouts};

/// hyper refuses smaller buffers.
const MIN_BUFFER_BYTES: usize = 8_192;

/// The body of a request on its way to an upstream.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;
/// Drives a connection; ends when it closes.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Where exactly connections go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Socket {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One address of the settings, as it was checked.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: Address,
    authority: HeaderValue,
    channel: Channel,
}

impl Target {
    pub(super) fn new(
        settings: &Settings,
        address: &Address,
        way: &Way,
    ) -> Result<Self, OpenError> {
        let authority = authority(settings, address)?;
        let channel = match way {
            Way::Plain { beyond_loopback } => Channel::Plain { beyond_loopback: *beyond_loopback },
            Way::Tls(secure) => {
                let host = match address {
                    Address::Host { host, .. } => host.as_str(),
                    Address::Unix(_) => "",
                };
                let name = secure.server_name().unwrap_or(host);
                let bad =
                    || OpenError::ServerName { name: settings.name.clone(), got: name.into() };
                let name = ServerName::try_from(name.to_owned()).ok().ok_or_else(bad)?;
                Channel::Tls { secure: Arc::clone(secure), name }
            }
        };
        Ok(Self { address: address.clone(), authority, channel })
    }

    /// Where it is, if no name must be looked up for that.
    pub(super) fn socket(&self) -> Option<Socket> {
        match &self.address {
            Address::Host { host, port } => {
                Some(Socket::Tcp(SocketAddr::new(host.parse().ok()?, *port)))
            }
            Address::Unix(path) => Some(Socket::Unix(path.clone())),
        }
    }
}

/// Knows how to reach an endpoint.
pub(super) struct Connector {
    socket: Socket,
    target: Target,
    timeouts: Timeouts,
    http: http1::Builder,
    http2: Option<http2::Builder<OnTracker>>,
}

#[derive(Clone)]
enum Channel {
    Tls { secure: Arc<Secure>, name: ServerName<'static> },
    Plain { beyond_loopback: bool },
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Requests,
    /// One request over HTTP/1.1, after which it may speak another protocol.
    Switch,
}

/// A connection that nobody has used yet.
pub(super) struct Opened {
    pub(super) sender: Sender,
    pub(super) driver: Driver,
}

/// What takes requests for it.
pub(super) enum Sender {
    /// One at a time.
    One(http1::SendRequest<RequestBody>, Heard),
    /// Several at once, as many as the backend allows.
    Many(http2::SendRequest<RequestBody>, Allowed),
}

/// How many requests at once the backend allows on a connection by now.
#[derive(Clone, Debug)]
pub(super) struct Allowed(Arc<AtomicUsize>);

impl Allowed {
    pub(super) fn requests(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Runs what belongs to a connection where a drain waits for it.
#[derive(Clone)]
struct OnTracker(TaskTracker);

impl<F> Executor<F> for OnTracker
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Connector {
    pub(super) fn new(
        socket: Socket,
        target: &Target,
        settings: &Settings,
        tasks: &TaskTracker,
    ) -> Self {
        let (timeouts, http) = (settings.timeouts, http(settings.caps));
        let http2 = settings.http2.map(|_| http2(settings.caps, OnTracker(tasks.clone())));
        Self { socket, target: target.clone(), timeouts, http, http2 }
    }

    /// The `Host` of requests that come without one.
    pub(super) fn authority(&self) -> &HeaderValue {
        &self.target.authority
    }

    /// Opens a connection.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<Opened, UpstreamError> {
        let limit = self.timeouts.connect;
        match &self.socket {
            Socket::Tcp(address) => {
                let stream = within(Stage::Connect, limit, self.dial(*address)).await?;
                self.secure(stream, purpose).await
            }
            Socket::Unix(path) => {
                let dial =
                    async { UnixStream::connect(path).await.map_err(UpstreamError::Connect) };
                let stream = within(Stage::Connect, limit, dial).await?;
                self.secure(stream, purpose).await
            }
        }
    }

    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, UpstreamError> {
        if matches!(self.target.channel, Channel::Plain { beyond_loopback: false })
            && !address.ip().to_canonical().is_loopback()
        {
            return Err(UpstreamError::PlainBeyondLoopback(address));
        }
        let stream = TcpStream::connect(address).await.map_err(UpstreamError::Connect)?;
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        Ok(stream)
    }

    async fn secure<T>(&self, stream: T, purpose: Purpose) -> Result<Opened, UpstreamError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match &self.target.channel {
            Channel::Plain { .. } => self.start(stream, purpose).await,
            Channel::Tls { secure, name } => {
                let connector = match purpose {
                    Purpose::Requests => secure.connector(),
                    Purpose::Switch => secure.connector_of_one(),
                };
                let shake = async {
                    let shaken = connector.connect(name.clone(), stream).await;
                    shaken.map_err(UpstreamError::Tls)
                };
                let stream = within(Stage::Tls, self.timeouts.tls, shake).await?;
                let agreed = stream.get_ref().1.alpn_protocol();
                match &self.http2 {
                    Some(http2) if agreed == Some(b"h2") => start_many(http2, stream).await,
                    Some(_) | None => self.start(stream, purpose).await,
                }
            }
        }
    }

    async fn start<T>(&self, io: T, purpose: Purpose) -> Result<Opened, UpstreamError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let heard = Heard::default();
        let io = Listened { io, heard: heard.clone() };
        let started = self.http.handshake(TokioIo::new(io)).await;
        let (sender, connection) = started.map_err(UpstreamError::Closed)?;
        let driver: Driver = match purpose {
            Purpose::Requests => Box::pin(connection),
            Purpose::Switch => Box::pin(connection.with_upgrades()),
        };
        Ok(Opened { sender: Sender::One(sender, heard), driver })
    }
}

async fn start_many<T>(http2: &http2::Builder<OnTracker>, io: T) -> Result<Opened, UpstreamError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let started = http2.handshake::<_, RequestBody>(TokioIo::new(io)).await;
    let (sender, mut connection) = started.map_err(UpstreamError::Closed)?;
    let allowed = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
    let noted = Arc::clone(&allowed);
    let driver = std::future::poll_fn(move |cx| {
        let polled = pin!(&mut connection).poll(cx);
        if polled.is_pending() {
            noted.store(connection.current_max_send_streams(), Ordering::Release);
        }
        polled
    });
    let sender = Sender::Many(sender, Allowed(allowed));
    Ok(Opened { sender, driver: Box::pin(driver) })
}

async fn within<T>(
    stage: Stage,
    limit: Duration,
    future: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    timeout(limit, future).await.unwrap_or(Err(UpstreamError::Timeout(stage, limit)))
}

/// Windows and pings as on the side of clients: a backend that stopped reading or went away is found in half a minute.
fn http2(caps: Caps, tasks: OnTracker) -> http2::Builder<OnTracker> {
    let mut http2 = http2::Builder::new(tasks);
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(caps.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(caps.buffer_bytes.max(MIN_BUFFER_BYTES))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    http2
}

fn http(caps: Caps) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.http09_responses(false)
        .allow_obsolete_multiline_headers_in_responses(false)
        .allow_spaces_after_header_name_in_responses(false)
        .ignore_invalid_headers_in_responses(false)
        .max_headers(caps.headers)
        .max_header_size(caps.head_bytes)
        .max_buf_size(caps.buffer_bytes.max(MIN_BUFFER_BYTES));
    http
}

fn authority(settings: &Settings, address: &Address) -> Result<HeaderValue, OpenError> {
    let Address::Host { host, .. } = address else {
        return Ok(HeaderValue::from_static("localhost"));
    };
    let bad = || OpenError::Host { name: settings.name.clone(), got: host.clone() };
    ServerName::try_from(host.as_str()).ok().ok_or_else(bad)?;
    HeaderValue::try_from(address.to_string()).ok().ok_or_else(bad)
}
