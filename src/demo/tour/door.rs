//! The way to the gate: a small HTTPS client that trusts the demo's authority and nobody else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST as HOST_HEADER;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use crate::audit::ReadError;
use crate::demo::DemoError;
use crate::tls::client::{ClientTlsError, client_config};

/// The whole of one request and its answer.
const DEADLINE: Duration = Duration::from_secs(30);
const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Why a step could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::demo) enum Trouble {
    #[error("the gate is not running")]
    Closed,
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the request is malformed: {0}")]
    Request(#[from] http::Error),
    #[error("a header is malformed: {0}")]
    Header(#[from] http::header::InvalidHeaderValue),
    #[error("no answer: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the answer took longer than {} s", DEADLINE.as_secs())]
    TooSlow,
    #[error("the answer is larger than {BODY_LIMIT_BYTES} bytes")]
    TooLarge,
    #[error("`{0}` has no one-time code")]
    NoCode(String),
    #[error("{0}")]
    Tls(#[from] ClientTlsError),
    #[error("{0}")]
    Demo(#[from] DemoError),
    #[error("{0}")]
    Command(#[from] crate::command::CommandError),
    #[error("{0}")]
    Log(#[from] ReadError),
    #[error("{0}")]
    Secret(#[from] crate::secret::SecretError),
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) enum Protocol {
    #[default]
    Http1,
    Http2,
}

/// What came back.
#[derive(Clone, Debug)]
pub(in crate::demo) struct Answer {
    pub(in crate::demo) status: StatusCode,
    pub(in crate::demo) version: Version,
    pub(in crate::demo) headers: HeaderMap,
    pub(in crate::demo) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub(in crate::demo) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(in crate::demo) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text in the body at a JSON pointer; empty if there is none.
    pub(in crate::demo) fn at(&self, pointer: &str) -> String {
        text_at(&self.json(), pointer).to_owned()
    }

    /// The text of a header; empty if it is not there.
    pub(in crate::demo) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All that a caller could tell two answers apart by: no time and no id of the request.
    pub(in crate::demo) fn shape(&self) -> (StatusCode, Vec<String>, String) {
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != "date" && *name != "menshen-request-id")
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        headers.sort();
        let id = self.header("menshen-request-id");
        let body = if id.is_empty() { self.text() } else { self.text().replace(id, "(id)") };
        (self.status, headers, body)
    }
}

/// The text at a JSON pointer; empty if there is none.
pub(in crate::demo) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// So much may come that was not read yet, in bytes.
const WINDOW: u32 = 16 * 1024;

/// Opens connections to the gate.
pub(in crate::demo) struct Door {
    http1: TlsConnector,
    http2: TlsConnector,
    host: String,
    tasks: TaskTracker,
}

impl Door {
    pub(in crate::demo) fn new(
        ca_pem: &str,
        host: &str,
        tasks: &TaskTracker,
    ) -> Result<Self, ClientTlsError> {
        let http1 = client_config(ca_pem.as_bytes(), None)?;
        let mut http2 = rustls::ClientConfig::clone(&http1);
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            http1: TlsConnector::from(http1),
            http2: TlsConnector::from(Arc::new(http2)),
            host: host.to_owned(),
            tasks: tasks.clone(),
        })
    }

    /// Sends a request to a path over a connection of its own.
    pub(in crate::demo) async fn send(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Trouble> {
        let exchange = async {
            let answer = match protocol {
                Protocol::Http1 => self.send_http1(address, request).await?,
                Protocol::Http2 => {
                    let builder = http2::Builder::new(TokioExecutor::new());
                    self.send_http2(address, request, &builder).await?
                }
            };
            read(answer).await
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap_or(Err(Trouble::TooSlow))
    }

    /// Sends a request over HTTP/2, reads the beginning of the answer, has something happen, and reads the rest. Says how
    /// many bytes came, and whether that was the whole.
    ///
    /// The client lets little come before it is read, so that there is a rest.
    pub(in crate::demo) async fn send_and_pause(
        &self,
        address: SocketAddr,
        request: Request<Full<Bytes>>,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<(StatusCode, usize, bool), Trouble> {
        let exchange = async {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let answer = self.send_http2(address, request, &builder).await?;
            let (status, mut incoming) = (answer.status(), answer.into_body());
            let mut bytes = 0;
            if let Some(Ok(frame)) = incoming.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
            meanwhile.await;
            while let Some(frame) = incoming.frame().await {
                match frame {
                    Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
                    Err(_cut_off) => return Ok((status, bytes, false)),
                }
            }
            Ok((status, bytes, true))
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap_or(Err(Trouble::TooSlow))
    }

    async fn send_http1(
        &self,
        address: SocketAddr,
        mut request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Trouble> {
        let stream = self.connect(&self.http1, address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.drive(connection);
        request.headers_mut().insert(HOST_HEADER, HeaderValue::from_str(&self.host)?);
        Ok(sender.send_request(request).await?)
    }

    async fn send_http2(
        &self,
        address: SocketAddr,
        mut request: Request<Full<Bytes>>,
        builder: &http2::Builder<TokioExecutor>,
    ) -> Result<http::Response<Incoming>, Trouble> {
        let stream = self.connect(&self.http2, address).await?;
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        self.drive(connection);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = Uri::builder()
            .scheme("https")
            .authority(self.host.as_str())
            .path_and_query(path)
            .build()?;
        Ok(sender.send_request(request).await?)
    }

    async fn connect(
        &self,
        connector: &TlsConnector,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        Ok(connector.connect(name, stream).await?)
    }

    /// Moves the bytes of a connection until it ends.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the tour ended early");
            }
        });
    }
}

async fn read(answer: http::Response<Incoming>) -> Result<Answer, Trouble> {
    let (parts, mut incoming) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if body.len() + data.len() > BODY_LIMIT_BYTES {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: parts.status, version: parts.version, headers: parts.headers, body })
}
