//! A small HTTP client for the tests of the backend.

use bytes::Bytes;
use http::request::Builder;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::backend::Backend;

pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(super) async fn over<S>(stream: S, tracker: &TaskTracker) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tracker.spawn(connection);
        Self { sender }
    }

    pub(super) async fn open(backend: &Backend, tracker: &TaskTracker) -> Self {
        Self::over(TcpStream::connect(backend.address()).await.unwrap(), tracker).await
    }

    pub(super) async fn send(
        &mut self,
        request: Builder,
        body: &str,
    ) -> (HeaderMap, StatusCode, Incoming) {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.sender.ready().await.unwrap();
        let request = request.header("host", "crm.example").body(body).unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        (answer.headers().clone(), answer.status(), answer.into_body())
    }

    pub(super) async fn ask(&mut self, request: Builder, body: &str) -> Received {
        let (headers, status, mut incoming) = self.send(request, body).await;
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            body.extend_from_slice(&frame.unwrap().into_data().unwrap());
            assert!(body.len() < 8 << 20, "more than a test expects");
        }
        Received { status, headers, body }
    }

    pub(super) async fn get(&mut self, path: &str) -> Received {
        self.ask(Request::get(path), "").await
    }
}

pub(super) async fn start(customers: usize) -> (Backend, Client, TaskTracker) {
    let tracker = TaskTracker::new();
    let backend = Backend::start(customers, &tracker, None).await.unwrap();
    let client = Client::open(&backend, &tracker).await;
    (backend, client, tracker)
}
