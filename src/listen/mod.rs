//! Sockets: accept, cap, shake hands, hand requests to the proxy, drain.
//!
//! Everything here happens before anybody is known, so every wait has a deadline and every count
//! a cap. What a request means is none of its business.

mod budget;
mod connection;
mod door;
mod ends;
mod forwarders;
mod redirect;
mod shown;
mod sockets;
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::{AddressLimits, AddressSeat};
use crate::tls::ACME_TLS;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use door::{Door, Visitor};
pub use ends::{Departure, Ends};
pub use forwarders::{Forwarders, Told};
pub use redirect::{Redirect, RedirectSettings};
use shown::Current;
pub use shown::{ClientCertificate, Shown};
pub use sockets::Sockets;
pub use watch::{OpenRequest, Progress};

/// How long a connection that was told to end may take, once no request of it is open: the end of the
/// last answer leaves, and requests that crossed our farewell still come. So long a handshake may still take, too.
const FAREWELL: Duration = Duration::from_secs(3);

/// The caps and deadlines of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// The zone that callers of this listener stand in, such as `business`.
    pub zone: Arc<str>,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// For one request head; also how long a connection may be without a request.
    pub head_timeout: Duration,
    /// How long a client may leave a part of an answer lying; then the connection is dropped.
    pub stall_timeout: Duration,
    /// All header lines of a request together, in bytes.
    pub head_limit_bytes: u32,
    /// Header lines of a request.
    pub header_lines: usize,
    /// Open streams on one HTTP/2 connection.
    pub streams: u32,
    /// Requests a second on one HTTP/2 connection; it is told to end where there are more.
    pub requests_per_second: u32,
    /// Requests of one HTTP/2 connection that the client may take back within 10 s; it is cut where there are more.
    pub resets: u32,
    /// Who may stand in front and say for whom they speak, if anybody does.
    pub forwarders: Option<Arc<Forwarders>>,
}

impl Settings {
    /// Safe defaults for `address` and `zone`.
    #[must_use]
    pub fn new(address: SocketAddr, zone: &str) -> Self {
        Self {
            address,
            zone: zone.into(),
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(60),
            head_limit_bytes: 32 * 1024,
            header_lines: 100,
            streams: 100,
            requests_per_second: 5000,
            resets: 200,
            forwarders: None,
        }
    }
}

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The client's address and port.
    pub peer: SocketAddr,
    /// The listener's zone.
    pub zone: Arc<str>,
    /// The server name the client asked for in the handshake, in lower case.
    pub server_name: Option<Arc<str>>,
    /// The TLS version, such as `TLSv1.3`.
    pub tls_version: &'static str,
    /// How many header lines a request may have. HTTP/1.1 is held to it while the head is read,
    /// HTTP/2 only to the bytes of all lines together.
    pub header_lines: usize,
    /// Whether a forwarder brings the request whose headers are believed, so that what it says of a trace is.
    pub is_forwarded: bool,
    /// The certificate that the client showed, if it was asked for one and has not been since.
    pub client: Option<ClientCertificate>,
    /// Told how the request gets on.
    pub progress: Progress,
    /// What ends whatever outlives the request.
    pub ends: Ends,
}

/// Why nothing of a request over HTTP/1.1 could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegible {
    /// What came is no head of a request.
    #[error("the head cannot be read")]
    Malformed,
    /// It is larger than it may be.
    #[error("the head is too large")]
    TooLarge,
}

/// Answers one request; implemented by the proxy.
pub trait Handler: Send + Sync + 'static {
    /// The bodies it answers with.
    type Body: http_body::Body<Data = bytes::Bytes, Error = Self::Error> + Send + 'static;
    /// How such a body fails; a failure resets the stream or cuts the connection.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + Sync + 'static;

    /// Answers the request. Dropped when the client leaves.
    fn handle(
        &self,
        request: Request<Incoming>,
        facts: Facts,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Told of a request of which nothing could be read. It was answered already, with a 400 or 431 and nothing else, and
    /// its connection has ended.
    fn illegible(&self, what: Illegible, facts: Facts) -> impl Future<Output = ()> + Send;
}

/// Tells a listener when to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Accept no more, end what is idle, and let open requests end.
    pub finish: CancellationToken,
    /// Drop every connection that is still there.
    pub cut: CancellationToken,
}

/// A bound socket that is not served yet; binding all before serving any keeps a start all-or-nothing.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    shown: Arc<Shown>,
}

impl Listener {
    /// Binds the address, unless it is among the sockets that were handed over.
    ///
    /// # Errors
    /// What the system said, for example that the address is in use.
    pub async fn bind(shown: Arc<Shown>, sockets: &mut Sockets) -> std::io::Result<Self> {
        let socket = sockets.bind(shown.settings().address).await?;
        Ok(Self { socket, shown })
    }

    /// The address that was bound, with the real port where 0 was asked for.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until told to stop.
    ///
    /// An address that connects too often is closed on before any cryptography.
    pub async fn serve<H: Handler>(
        self,
        handler: Arc<H>,
        addresses: Arc<AddressLimits>,
        tasks: TaskTracker,
        stop: Shutdown,
    ) {
        let Self { socket, shown } = self;
        let door = Door { socket, addresses: Arc::clone(&addresses) };
        loop {
            let visitor = tokio::select! {
                () = stop.finish.cancelled() => return,
                visitor = door.next(|| shown.settings().forwarders.clone()) => visitor,
            };
            let current = shown.current();
            let serving = Serving {
                settings: Arc::clone(&current.settings),
                current,
                shown: Arc::clone(&shown),
                handler: Arc::clone(&handler),
                tasks: tasks.clone(),
                stop: stop.clone(),
                addresses: Arc::clone(&addresses),
            };
            tasks.spawn(serving.connection(visitor));
        }
    }
}

/// What one connection needs of its listener.
struct Serving<H> {
    settings: Arc<Settings>,
    current: Arc<Current>,
    /// What is current later on.
    shown: Arc<Shown>,
    handler: Arc<H>,
    tasks: TaskTracker,
    stop: Shutdown,
    addresses: Arc<AddressLimits>,
}

/// A connection over which requests may come.
struct Shaken {
    stream: TlsStream<TcpStream>,
    client: SocketAddr,
    /// Whether it brings the requests of many, each of which says for itself who the client is.
    brings_many: bool,
}

impl<H: Handler> Serving<H> {
    async fn connection(self, visitor: Visitor) {
        let peer = visitor.peer;
        if let Err(error) = visitor.stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let begun = async {
            let visitor = visitor.introduced(&self.addresses).await?;
            self.shake(visitor).await
        };
        let begun = tokio::time::timeout(self.settings.handshake_timeout, begun);
        let begun = tokio::select! {
            begun = begun => begun,
            // Whoever was let in is served: they could not know that the gate is about to stop.
            () = self.overdue() => return,
        };
        match begun {
            Ok(Ok((shaken, place))) => {
                connection::serve(self, shaken, place).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS connection"),
            Err(_elapsed) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    /// Some time after the gate was told to stop.
    async fn overdue(&self) {
        self.stop.finish.cancelled().await;
        tokio::select! {
            () = self.stop.cut.cancelled() => {}
            () = tokio::time::sleep(FAREWELL) => {}
        }
    }

    /// An authority that looks whether a name is ours is answered that, and nothing else.
    async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let tls = Arc::clone(&self.current.tls);
        let challenges = &self.shown.challenges;
        if !challenges.has_names() {
            return TlsAcceptor::from(tls).accept(stream).await;
        }
        let began = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = began.client_hello();
        let offered = hello.alpn().map(Iterator::collect::<Vec<_>>);
        if offered.is_none_or(|offered| offered != [ACME_TLS]) {
            return began.into_stream(tls).await;
        }
        let asked = hello.server_name().and_then(|name| challenges.of_name(name));
        let Some(asked) = asked else {
            return Err(std::io::Error::other("a challenge that nobody is asked"));
        };
        began.into_stream(asked).await?.shutdown().await?;
        Err(std::io::Error::other("it looked whether a name is ours"))
    }

    /// Shakes hands when it is this connection's turn, and counts what that takes.
    async fn shake(&self, visitor: Visitor) -> std::io::Result<(Shaken, AddressSeat)> {
        let Visitor { stream, client, is_forwarder, forwarders, place, .. } = visitor;
        let turn = match is_forwarder {
            true => Some(self.addresses.handshake_forwarder()),
            false => self.addresses.handshake(client.ip()).await,
        };
        let Some(mut turn) = turn else {
            return Err(std::io::Error::other("too many handshakes of this address"));
        };
        let mut accept = std::pin::pin!(self.accept(stream));
        let shaken = std::future::poll_fn(|context| {
            let began = Instant::now();
            let polled = accept.as_mut().poll(context);
            turn.took(began.elapsed());
            polled
        });
        let brings_many = is_forwarder && !forwarders.is_some_and(|some| some.introduce());
        Ok((Shaken { stream: shaken.await?, client, brings_many }, place))
    }
}
