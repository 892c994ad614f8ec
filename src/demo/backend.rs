//! The bank's backend behind the gate: an HTTP/1.1 server on loopback with customers in memory.
//!
//! It returns every field it has: what leaves is the gate's decision. In the demo it answers the gate alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::doorman::Doorman;
use super::shelf::Shelf;
use super::store::Store;
use super::{DemoError, desk};

const MOST_CONNECTIONS: usize = 512;
const HEAD_LIMIT_BYTES: usize = 64 * 1024;
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Longer than a gate keeps an idle connection, so that the gate closes first.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

/// What a backend holds and how it answers.
#[derive(Clone)]
pub(super) enum Desk {
    /// The bank's customers.
    Bank(Arc<Store>),
    /// Records of a template.
    Shelf(Arc<Shelf>),
}

/// A running backend; dropping it closes its port and its connections.
pub struct Backend {
    address: SocketAddr,
    hits: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl Backend {
    /// Starts a backend with the first `customers` customers on a free port of 127.0.0.1.
    ///
    /// Its tasks run on `tracker` and end when the backend is dropped. With `tls` it speaks TLS
    /// only, else plain HTTP only.
    ///
    /// # Errors
    /// [`DemoError::Customers`] outside 1 to 100,000, [`DemoError::Port`] if no port opens.
    pub async fn start(
        customers: usize,
        tracker: &TaskTracker,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, DemoError> {
        Self::open(Desk::Bank(Arc::new(Store::of(customers)?)), None, tracker, tls).await
    }

    /// Starts a backend with this desk, and with a doorman if it is not to answer just anybody.
    pub(super) async fn open(
        desk: Desk,
        doorman: Option<Doorman>,
        tracker: &TaskTracker,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self, DemoError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Port)?;
        let address = listener.local_addr().map_err(DemoError::Port)?;
        let hits = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let server = Server {
            desk,
            doorman: doorman.map(Arc::new),
            hits: Arc::clone(&hits),
            tls: tls.map(TlsAcceptor::from),
            stop: stop.clone(),
            tracker: tracker.clone(),
        };
        tracker.spawn(server.accept(listener));
        Ok(Self { address, hits, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Server {
    desk: Desk,
    doorman: Option<Arc<Doorman>>,
    hits: Arc<AtomicU64>,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        while let Some((stream, seat)) = self.next(&listener, &seats).await {
            let server = self.clone();
            self.tracker.spawn(async move {
                server.greet(stream).await;
                drop(seat);
            });
        }
    }

    /// The next connection and its seat, or none when the backend stops.
    async fn next(
        &self,
        listener: &TcpListener,
        seats: &Arc<Semaphore>,
    ) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let arrival = async {
            let seat = Arc::clone(seats).acquire_owned().await.ok()?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => return Some((stream, seat)),
                    // Out of file descriptors or a client that left: neither is better at once.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => None,
            next = arrival => next,
        }
    }

    async fn greet(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "demo backend: a connection closed at once");
            return;
        }
        let Some(acceptor) = self.tls.clone() else {
            return self.serve(stream).await;
        };
        match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "demo backend: no TLS handshake"),
            Err(_) => tracing::debug!("demo backend: the TLS handshake took too long"),
        }
    }

    async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (desk, doorman, hits) = (self.desk, self.doorman, self.hits);
        let service = service_fn(move |request: Request<Incoming>| {
            hits.fetch_add(1, Ordering::SeqCst);
            let (desk, doorman) = (desk.clone(), doorman.clone());
            async move {
                if let Some(Err(refusal)) = doorman.map(|door| door.let_in(request.headers())) {
                    return Ok(*refusal);
                }
                match desk {
                    Desk::Bank(store) => desk::answer(store, request).await,
                    Desk::Shelf(shelf) => shelf.answer(request).await,
                }
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_LIMIT)
            .max_buf_size(HEAD_LIMIT_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(CLOSING_LIMIT, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "demo backend: a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificates::Authority;
    use super::super::client::{Client, start};
    use super::*;
    use crate::clock::Clock;
    use http::StatusCode;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, ServerName};

    #[tokio::test]
    async fn hits_count_every_request_and_nothing_else() {
        let (backend, mut client, tracker) = start(5).await;
        assert_eq!(backend.hits(), 0);
        let mut second = Client::open(&backend, &tracker).await;
        client.get("/api/customers/1001").await;
        client.get("/nowhere").await;
        second.get("/api/customers").await;
        assert_eq!(backend.hits(), 3);
    }

    #[tokio::test]
    async fn dropping_the_backend_ends_its_tasks() {
        let (backend, client, tracker) = start(5).await;
        let address = backend.address();
        drop(backend);
        drop(client);
        tracker.close();
        tokio::time::timeout(Duration::from_secs(5), tracker.wait()).await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn with_tls_it_is_reached_only_by_whoever_trusts_its_authority() {
        let tracker = TaskTracker::new();
        let clock = Clock::system();
        let authority = Authority::new("demo upstream CA", &clock).unwrap();
        let tls = authority.issue(&["localhost"]).unwrap().server_config().unwrap();
        let backend = Backend::start(5, &tracker, Some(tls)).await.unwrap();
        let stream = connect(&backend, &authority).await.unwrap();
        let mut client = Client::over(stream, &tracker).await;
        assert_eq!(client.get("/api/customers/1001").await.status, StatusCode::OK);
        let stranger = Authority::new("demo upstream CA", &clock).unwrap();
        assert!(connect(&backend, &stranger).await.is_err());
        assert_eq!(backend.hits(), 1);
    }

    async fn connect(
        backend: &Backend,
        trusted: &Authority,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(trusted.certificate_pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(backend.address()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}
