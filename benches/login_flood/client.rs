//! A client over TLS that keeps its connection, from an address of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use menshen::demo::certificates::Authority;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use crate::gate::HOST;

/// Opens connections to the gate.
pub(crate) struct Dialer {
    port: u16,
    connector: TlsConnector,
    tasks: TaskTracker,
}

impl Dialer {
    pub(crate) fn new(port: u16, authority: &Authority) -> Self {
        let trust = authority.certificate_pem().as_bytes();
        let config = menshen::tls::client::client_config(trust, None).expect("a configuration");
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { port, connector: TlsConnector::from(Arc::new(config)), tasks: TaskTracker::new() }
    }

    pub(crate) async fn connect(&self, from: Ipv4Addr) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((from, 0))).expect("an address of its own");
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let tcp = socket.connect(to).await.expect("a connection");
        let name = HOST.try_into().expect("a name");
        let stream = self.connector.connect(name, tcp).await.expect("a handshake");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        self.tasks.spawn(connection);
        Client { sender }
    }
}

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// The status of an answer that was read to its end.
    pub(crate) async fn get(&mut self, path: &str, token: &str) -> u16 {
        let request = http::Request::get(path)
            .header("host", HOST)
            .header("authorization", format!("Bearer {token}"));
        self.send(request, Bytes::new()).await
    }

    pub(crate) async fn sign_in(&mut self, name: &str) -> u16 {
        let request = http::Request::post("/.menshen/login")
            .header("host", HOST)
            .header("content-type", "application/json");
        let body = format!(r#"{{"account":"{name}","password":"not the right one"}}"#);
        self.send(request, body.into()).await
    }

    async fn send(&mut self, request: http::request::Builder, body: Bytes) -> u16 {
        let request = request.body(Full::new(body)).expect("a request");
        self.sender.ready().await.expect("a connection that is open");
        let answer = self.sender.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        answer.into_body().collect().await.expect("a whole answer");
        status
    }
}
