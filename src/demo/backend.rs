//! The bank's backend behind the gate: an HTTP/1.1 server on loopback with customers in memory.
//!
//! It authenticates nobody and returns every field it has: what leaves is the gate's decision.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

use super::store::Store;
use super::{DemoError, desk};

const MOST_CONNECTIONS: usize = 512;
const HEAD_LIMIT_BYTES: usize = 64 * 1024;
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Longer than a gate keeps an idle connection, so that the gate closes first.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

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
        let store = Arc::new(Store::of(customers)?);
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Port)?;
        let address = listener.local_addr().map_err(DemoError::Port)?;
        let hits = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let server = Server {
            store,
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
    store: Arc<Store>,
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
        let (store, hits) = (self.store, self.hits);
        let service = service_fn(move |request| {
            hits.fetch_add(1, Ordering::SeqCst);
            desk::answer(Arc::clone(&store), request)
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
    use super::super::people::{self, Customer};
    use super::*;
    use crate::clock::Clock;
    use bytes::Bytes;
    use http::{HeaderMap, Request, StatusCode};
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use hyper::client::conn::http1::{SendRequest, handshake};
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, ServerName};
    use serde_json::{Value, json};
    use std::io::Read as _;

    struct Client {
        sender: SendRequest<Full<Bytes>>,
    }

    struct Received {
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
    }

    impl Received {
        fn json(&self) -> Value {
            serde_json::from_slice(&self.body).unwrap()
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.body).unwrap()
        }
    }

    impl Client {
        async fn over<S>(stream: S, tracker: &TaskTracker) -> Self
        where
            S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        {
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tracker.spawn(connection);
            Self { sender }
        }

        async fn open(backend: &Backend, tracker: &TaskTracker) -> Self {
            Self::over(TcpStream::connect(backend.address()).await.unwrap(), tracker).await
        }

        async fn send(
            &mut self,
            request: http::request::Builder,
            body: &str,
        ) -> (HeaderMap, StatusCode, Incoming) {
            let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
            self.sender.ready().await.unwrap();
            let request = request.header("host", "crm.example").body(body).unwrap();
            let answer = self.sender.send_request(request).await.unwrap();
            (answer.headers().clone(), answer.status(), answer.into_body())
        }

        async fn ask(&mut self, request: http::request::Builder, body: &str) -> Received {
            let (headers, status, mut incoming) = self.send(request, body).await;
            let mut body = Vec::new();
            while let Some(frame) = incoming.frame().await {
                body.extend_from_slice(&frame.unwrap().into_data().unwrap());
                assert!(body.len() < 8 << 20, "more than a test expects");
            }
            Received { status, headers, body }
        }

        async fn get(&mut self, path: &str) -> Received {
            self.ask(Request::get(path), "").await
        }
    }

    async fn start(customers: usize) -> (Backend, Client, TaskTracker) {
        let tracker = TaskTracker::new();
        let backend = Backend::start(customers, &tracker, None).await.unwrap();
        let client = Client::open(&backend, &tracker).await;
        (backend, client, tracker)
    }

    #[tokio::test]
    async fn one_record_is_pretty_printed_with_every_field() {
        let (_backend, mut client, _) = start(50).await;
        let received = client.get("/api/customers/1042").await;
        assert_eq!(received.status, StatusCode::OK);
        assert!(received.text().contains("\n  \"name\": "));
        let read: Customer = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(read, people::customer(41));
        assert!(received.headers["etag"].to_str().unwrap().contains(&read.phone));
        for field in ["password_hash", "internal_score"] {
            assert!(received.json().get(field).is_some(), "{field}");
        }
    }

    #[tokio::test]
    async fn an_error_gives_away_personal_data() {
        let (_backend, mut client, _) = start(50).await;
        for path in ["/api/customers/9999", "/api/customers/x", "/elsewhere"] {
            let received = client.get(path).await;
            assert_eq!(received.status, StatusCode::NOT_FOUND);
            assert!(received.text().contains(&people::customer(0).phone), "{path}");
        }
        let received = client.get("/api/customers?sort=salary").await;
        assert_eq!(received.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_search_answers_in_pages() {
        let (_backend, mut client, _) = start(100).await;
        let first = client.get("/api/customers?branch=bkk02&per_page=10").await.json();
        assert_eq!(
            (&first["page"], &first["next"], &first["total"]),
            (&json!(1), &json!(2), &json!(17))
        );
        let last = client.get("/api/customers?branch=bkk02&per_page=10&page=2").await.json();
        assert_eq!(last["items"].as_array().unwrap().len(), 7);
        assert_eq!(last["next"], Value::Null);
    }

    #[tokio::test]
    async fn a_search_reads_percent_encoded_and_plus_signs() {
        let (_backend, mut client, _) = start(50).await;
        let found = client.get("/api/customers?name=%E6%A2%93%E8%90%B1").await.json();
        assert!(found["items"][0]["name"].as_str().unwrap().contains("梓萱"));
        let english = people::customer(5);
        let name = percent_encoding::utf8_percent_encode(
            &english.name,
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string()
        .replace("%20", "+");
        let found = client.get(&format!("/api/customers?name={name}")).await.json();
        assert_eq!(found["items"][0]["id"], json!(english.id));
    }

    #[tokio::test]
    async fn a_change_is_merged_returned_and_kept() {
        let (_backend, mut client, _) = start(50).await;
        let patch = r#"{"phone": "13900000000", "address": {"city": "苏州市"}}"#;
        let changed = client.ask(Request::patch("/api/customers/1001"), patch).await.json();
        assert_eq!(changed["phone"], "13900000000");
        let read = client.get("/api/customers/1001").await.json();
        assert_eq!(read, changed);
        let refused = client.ask(Request::patch("/api/customers/1001"), "{\"phone\":5}").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let refused = client.ask(Request::patch("/api/customers/1001"), "{").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let large = format!("{{\"note\":\"{}\"}}", "x".repeat(70_000));
        let (_, status, _) = client.send(Request::patch("/api/customers/1001"), &large).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn orders_are_escaped_and_compressed_only_if_asked() {
        let (_backend, mut client, _) = start(50).await;
        let plain = client.get("/api/customers/1003/orders").await;
        assert!(plain.body.is_ascii() && plain.headers.get("content-encoding").is_none());
        let request = || Request::get("/api/customers/1003/orders");
        let refused = client.ask(request().header("accept-encoding", "gzip;q=0, br"), "").await;
        assert_eq!(refused.body, plain.body);
        let packed = client.ask(request().header("accept-encoding", "br, gzip"), "").await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }

    #[tokio::test]
    async fn an_export_is_chunked_and_complete() {
        let (_backend, mut client, _) = start(700).await;
        let received = client.get("/api/customers/export").await;
        assert_eq!(received.headers.get("content-length"), None);
        let read: Vec<Customer> = serde_json::from_slice(&received.body).unwrap();
        assert!(read.into_iter().eq(people::customers().take(700)));
    }

    #[tokio::test]
    async fn a_repeated_export_streams_many_times_what_the_backend_holds() {
        let (_backend, mut client, _) = start(10).await;
        let (_, _, mut body) =
            client.send(Request::get("/api/customers/export?repeat=4000"), "").await;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        assert!(bytes > 20_000_000, "{bytes}");
    }

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
