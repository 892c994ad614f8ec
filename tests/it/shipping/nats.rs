//! A client of NATS that makes a stream and looks into it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::tls::client::client_config;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) struct Nats(BufReader<TlsStream<TcpStream>>);

impl Nats {
    pub(super) async fn meet(port: u16, ca_pem: &str) -> Self {
        let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        while tcp.read_u8().await.unwrap() != b'\n' {}
        let connector = TlsConnector::from(client_config(ca_pem.as_bytes(), None).unwrap());
        let tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        let mut nats = Self(BufReader::new(tls));
        let hello =
            "CONNECT {\"verbose\":false,\"user\":\"gate\",\"pass\":\"hush\"}\r\nSUB answers 1\r\n";
        nats.0.write_all(hello.as_bytes()).await.unwrap();
        nats
    }

    async fn ask(&mut self, subject: &str, body: &Value) -> Value {
        let body = body.to_string();
        let line = format!("PUB $JS.API.{subject} answers {}\r\n{body}\r\n", body.len());
        self.0.write_all(line.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "the server ended");
            if line.starts_with("PING") {
                self.0.write_all(b"PONG\r\n").await.unwrap();
            }
            let Some(rest) = line.strip_prefix("MSG answers 1 ") else { continue };
            let length: usize = rest.split_whitespace().last().unwrap().parse().unwrap();
            let mut body = vec![0; length + 2];
            self.0.read_exact(&mut body).await.unwrap();
            return serde_json::from_slice(&body).unwrap();
        }
    }

    pub(super) async fn create_stream(&mut self) {
        let stream = json!({ "name": "LOG", "subjects": ["menshen.log"], "storage": "file", "num_replicas": 1 });
        let made = self.ask("STREAM.CREATE.LOG", &stream).await;
        assert!(made.get("error").is_none(), "{made}");
    }

    pub(super) async fn messages(&mut self) -> usize {
        let info = self.ask("STREAM.INFO.LOG", &json!({})).await;
        info["state"]["messages"].as_u64().unwrap().try_into().unwrap()
    }

    pub(super) async fn message(&mut self, sequence: usize) -> String {
        let got = self.ask("STREAM.MSG.GET.LOG", &json!({ "seq": sequence })).await;
        let data = STANDARD.decode(got["message"]["data"].as_str().unwrap()).unwrap();
        String::from_utf8(data).unwrap()
    }
}
