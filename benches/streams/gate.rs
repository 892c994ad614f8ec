//! The whole gate, as a process of its own: callers over HTTP/2, many streams on few connections; a backend
//! with a connection for each, which sends a few pieces and then nothing for as long as anybody waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use menshen::clock::Clock;
use menshen::demo::certificates::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::shared::{Gate, HOST, Setup, prepare};

const STREAMS_ON_ONE_CONNECTION: usize = 1_000;
/// Opened at once, so that no queue overflows.
const AT_ONCE: usize = 64;
/// What the backend sends first: more than an answer that is judged whole may have.
const FIRST_RECORDS: usize = 6;
const PIECES: usize = 3;
const PIECE_PAUSE: Duration = Duration::from_millis(200);

const POLICY: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: {}, sealed: {} }
entities:
  customer:
    subject: id
    fields:
      id: 1
      name: { grade: 2, kind: person-name }
      phone: { grade: 3, kind: phone }
      email: { grade: 3, kind: email }
      branch: 1
      street: 1
      password_hash: sealed
routes:
  customer.list: { match: GET bank.example/customers, to: core, action: search, returns: { customer: "$[]" } }
roles: { caller: {} }
rules:
  - { name: theirs, allow: [search], to: caller, of: customer, clear: [id, branch, street], masked: [name, phone, email] }
  - { name: near, allow: [search], to: caller, of: customer, clear: phone, where: record.branch == "BJ-001" }
"#;

/// Opens so many streams through a gate and gives what each took of its memory, in KiB.
pub(crate) async fn kib_per_stream(count: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let authority = Authority::new("bench CA", &clock).expect("an authority");
    let inside = authority.issue(&["localhost"]).expect("a certificate");
    let port = backend(TlsAcceptor::from(inside.server_config().expect("TLS"))).await;
    let setup = Setup {
        policy: POLICY,
        lines: &format!(
            "in-flight: {}\nin-flight-per-person: {count}\nbodies: {{ held-kib: 1 }}\n",
            count + AT_ONCE
        ),
        listener: &format!(", streams: {STREAMS_ON_ONE_CONNECTION}, stall-timeout: 1h"),
        upstream: &format!(", connections: {count}, body-timeout: 1h"),
    };
    let token: Arc<str> = prepare(folder.path(), &setup, &authority, port, &clock).into();
    let gate = Gate::start(folder.path());
    let mut senders = Vec::new();
    for _ in 0..count.div_ceil(STREAMS_ON_ONE_CONNECTION) {
        senders.push(connect(gate.port, &authority).await);
    }
    let before = gate.memory_kib("VmRSS");
    let mut answers = Vec::with_capacity(count);
    while answers.len() < count {
        let left = (count - answers.len()).min(AT_ONCE);
        let opening = (0..left).map(|next| {
            let sender = senders.get((answers.len() + next) % senders.len()).expect("a sender");
            tokio::spawn(open(sender.clone(), token.clone()))
        });
        for opened in opening.collect::<Vec<_>>() {
            answers.push(opened.await.expect("a task that ends"));
        }
    }
    tokio::time::sleep(PIECE_PAUSE * 2).await;
    let after = gate.memory_kib("VmRSS");
    assert_eq!(answers.len(), count);
    after.saturating_sub(before) as f64 / count as f64
}

/// Asks for customers and reads until the last piece that the backend sends.
async fn open(mut sender: SendRequest<Empty<Bytes>>, token: Arc<str>) -> Incoming {
    let request = http::Request::get(format!("https://{HOST}/customers"))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .expect("a request");
    sender.ready().await.expect("room for a stream");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut read = Vec::new();
    let last = format!("\"C{:03}\"", FIRST_RECORDS + PIECES - 1);
    while !String::from_utf8_lossy(&read).contains(&last) {
        let frame = body.frame().await.expect("a body that goes on").expect("a frame");
        read.extend_from_slice(frame.data_ref().expect("data"));
    }
    body
}

async fn connect(port: u16, authority: &Authority) -> SendRequest<Empty<Bytes>> {
    let trust = authority.certificate_pem().as_bytes();
    let config = menshen::tls::client::client_config(trust, None).expect("a client configuration");
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let name = HOST.try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let io = TokioIo::new(stream.expect("a handshake"));
    let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(io);
    let (sender, connection) = handshake.await.expect("HTTP/2");
    // It ends with the gate, one way or the other.
    tokio::spawn(async move { drop(connection.await) });
    sender
}

/// A backend that answers every request with the beginning of a long array.
async fn backend(tls: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its number").port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(tcp).await {
                    answer(stream).await;
                }
            });
        }
    });
    port
}

async fn answer(mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
    let mut head = [0; 2048];
    let read = stream.read(&mut head).await.expect("a request");
    assert!(
        head.get(..read).is_some_and(|head| head.ends_with(b"\r\n\r\n")),
        "a head in one piece"
    );
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.expect("a gate that reads");
    let mut first = String::from("[");
    for record in 0..FIRST_RECORDS {
        first.push_str(&customer(record));
        first.push(',');
    }
    let mut held = String::new();
    for piece in 0..=PIECES {
        // A record begins in one piece and ends in the next.
        let next = customer(FIRST_RECORDS + piece) + ",";
        let (front, back) = next.split_at(next.len() * 2 / 3);
        let text = if piece == 0 { first.clone() + front } else { held + front };
        held = back.to_owned();
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        stream.write_all(chunk.as_bytes()).await.expect("a gate that reads");
        tokio::time::sleep(PIECE_PAUSE).await;
    }
    // Nothing more, until the gate leaves.
    drop(stream.read(&mut head).await);
}

fn customer(number: usize) -> String {
    format!(
        concat!(
            r#"{{"id":"C{n:03}","name":"张三丰","phone":"138{n:08}","email":"user{n}@example.com","#,
            r#""branch":"BJ-{n:03}","password_hash":"$argon2id$v=19$m=65536$c29tZXNhbHQ$RdescudvJCsgt3ub+b27Ce","#,
            r#""street":"Jianguo Road {n}, the second house on the left, where the lamp is"}}"#
        ),
        n = number,
    )
}
