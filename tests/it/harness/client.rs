//! A client over TLS that trusts the test's authority: HTTP/1.1, HTTP/2, and raw bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;

use super::soon;

/// The host of the demo's policy.
pub(crate) const HOST: &str = "bank.example";

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let method = method.parse().unwrap();
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn patch(path: &str, json: &str) -> Self {
        Self::new("PATCH", path).json(json)
    }

    pub(crate) fn post(path: &str, json: &str) -> Self {
        Self::new("POST", path).json(json)
    }

    /// Shows a bearer token and declares the purpose that tellers mostly have.
    pub(crate) fn by(self, token: &str) -> Self {
        self.bearer(token).header("menshen-purpose", "service")
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn cookie(self, value: &str) -> Self {
        self.header("cookie", &format!("__Host-menshen={value}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(body.as_bytes())
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body.as_bytes())
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// How the body broke off, if it did not end as it should.
    pub(crate) cut: Option<String>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.cut, None);
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&self.body)),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Everything of the answer that a client can see.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in self.headers.iter().chain(self.trailers.iter()) {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// All that a problem document tells, but for what differs from request to request: its id and the date.
    pub(crate) fn told(&self) -> (u16, Vec<(String, String)>, Value) {
        let differs = ["menshen-request-id", "date"];
        let headers = self.headers.iter().filter(|(name, _)| !differs.contains(&name.as_str()));
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), text(value))).collect();
        headers.sort();
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("request");
        (self.status.as_u16(), headers, body)
    }

    /// Fails, with the whole answer, unless it has this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{body} {:?} {:?}", self.headers, self.cut);
        self
    }
}

/// Who connects where.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) config: Arc<rustls::ClientConfig>,
    /// The name in the handshake, and the host of requests.
    pub(crate) host: String,
    /// The address that it comes from.
    pub(crate) source: [u8; 4],
    /// What it says before the handshake, as a forwarder does.
    pub(crate) head: Vec<u8>,
}

impl Client {
    /// A client that trusts `ca_pem`.
    pub(crate) fn new(address: SocketAddr, ca_pem: &str) -> Self {
        let config = menshen::tls::client::client_config(ca_pem.as_bytes(), None).unwrap();
        Self { address, config, host: HOST.to_owned(), source: [127, 0, 0, 1], head: Vec::new() }
    }

    /// Shakes hands, offering the protocols.
    pub(crate) async fn shake(&self, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.source, 0)))?;
        let mut stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.head).await?;
        let name = ServerName::try_from(self.host.clone()).unwrap();
        soon("the handshake", connector.connect(name, stream)).await
    }

    pub(crate) async fn h1(&self) -> Connection {
        let stream = self.shake(&["http/1.1"]).await.unwrap();
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let tasks = TaskTracker::new();
        tasks.spawn(driver);
        Connection { sender: Sender::H1(sender), host: self.host.clone() }
    }

    pub(crate) async fn h2(&self) -> Connection {
        let stream = self.shake(&["h2"]).await.unwrap();
        let executor = TokioExecutor::new();
        let (sender, driver) = http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
        let tasks = TaskTracker::new();
        tasks.spawn(driver);
        Connection { sender: Sender::H2(sender), host: self.host.clone() }
    }

    /// Sends bytes over TLS and gives the status of the first answer; none if the gate closes without a word.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Option<u16> {
        let mut stream = self.shake(&["http/1.1"]).await.unwrap();
        // The gate may close before it has read everything.
        stream.write_all(bytes).await.unwrap_or_default();
        stream.flush().await.unwrap_or_default();
        soon("an answer to raw bytes", read_raw(&mut stream)).await
    }
}

/// Reads until the answer is whole by its length, or the gate closes.
pub(crate) async fn read_raw(stream: &mut TlsStream<TcpStream>) -> Option<u16> {
    let mut bytes = Vec::new();
    loop {
        if let Some(status) = whole(&bytes) {
            return Some(status);
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return status(&bytes),
            Ok(_) => {}
        }
    }
}

fn status(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

fn whole(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "))?;
    (body.len() >= length.parse().ok()?).then(|| status(bytes)).flatten()
}

/// One connection.
pub(crate) struct Connection {
    sender: Sender,
    /// What requests name as their host, unless they bring a line of their own.
    pub(crate) host: String,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Asks and reads the answer to its end.
    pub(crate) async fn send(&mut self, ask: Ask) -> Answer {
        let response = soon("the head of an answer", self.begin(ask)).await.unwrap();
        soon("the end of an answer", finish(response)).await
    }

    /// Asks and gives the head; the body is still to be read.
    pub(crate) async fn begin(&mut self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        let (method, headers) = (ask.method, ask.headers);
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = Full::new(ask.body);
        match &mut self.sender {
            Sender::H1(sender) => {
                let has_host = request.headers_ref().unwrap().contains_key("host");
                let request = if has_host { request } else { request.header("host", &self.host) };
                sender.ready().await?;
                sender.send_request(request.uri(ask.path).body(body).unwrap()).await
            }
            Sender::H2(sender) => {
                // A whole address says another scheme or host.
                let uri = match ask.path.starts_with('/') {
                    true => format!("https://{}{}", self.host, ask.path),
                    false => ask.path,
                };
                sender.ready().await?;
                sender.send_request(request.uri(uri).body(body).unwrap()).await
            }
        }
    }

    /// The same HTTP/2 connection, for a request beside others.
    pub(crate) fn twin(&self) -> Self {
        let Sender::H2(sender) = &self.sender else { panic!("HTTP/1.1 asks one after another") };
        Self { sender: Sender::H2(sender.clone()), host: self.host.clone() }
    }

    /// Whether the gate still takes requests on it.
    pub(crate) async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            Sender::H1(sender) => sender.ready().await.is_ok(),
            Sender::H2(sender) => sender.ready().await.is_ok(),
        }
    }
}

/// Reads an answer to its end, however it ends.
pub(crate) async fn finish(response: Response<Incoming>) -> Answer {
    let (parts, mut incoming) = response.into_parts();
    let mut answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        cut: None,
    };
    while let Some(frame) = incoming.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => answer.body.extend_from_slice(&data),
            Ok(Err(other)) => answer.trailers.extend(other.into_trailers().unwrap_or_default()),
            Err(error) => {
                answer.cut = Some(error.to_string());
                break;
            }
        }
    }
    answer
}
