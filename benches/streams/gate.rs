//! The whole gate, as a process of its own: callers over HTTP/2, many streams on few connections; a backend
//! with a connection for each, which sends a few pieces and then nothing for as long as anybody waits.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use menshen::clock::Clock;
use menshen::demo::certificates::{Authority, write_public};
use menshen::secret::MasterKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "bank.example";
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
roles: { teller: {} }
rules:
  - { name: theirs, allow: [search], to: teller, of: customer, clear: [id, branch, street], masked: [name, phone, email] }
  - { name: near, allow: [search], to: teller, of: customer, clear: phone, where: record.branch == "BJ-001" }
"#;

/// Opens so many streams through a gate and gives what each took of its memory, in KiB.
pub(crate) async fn kib_per_stream(count: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::system();
    let authority = Authority::new("bench CA", &clock).expect("an authority");
    let inside = authority.issue(&["localhost"]).expect("a certificate");
    let port = backend(TlsAcceptor::from(inside.server_config().expect("TLS"))).await;
    let token = prepare(folder.path(), &authority, port, count, &clock);
    let gate = Gate::start(folder.path());
    let mut senders = Vec::new();
    for _ in 0..count.div_ceil(STREAMS_ON_ONE_CONNECTION) {
        senders.push(connect(gate.port, &authority).await);
    }
    let before = super::resident_kib(&gate.child.id().to_string());
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
    let after = super::resident_kib(&gate.child.id().to_string());
    assert_eq!(answers.len(), count);
    (after - before) / count as f64
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

/// Writes everything the gate needs and gives a token.
fn prepare(
    folder: &Path,
    authority: &Authority,
    backend: u16,
    count: usize,
    clock: &Clock,
) -> Arc<str> {
    MasterKey::generate()
        .and_then(|key| key.write_new(&folder.join("master.key")))
        .expect("a master key");
    let files = authority
        .issue(&[HOST])
        .and_then(|issued| issued.write(folder, "gate"))
        .expect("the gate's certificate");
    write_public(&folder.join("ca.pem"), authority.certificate_pem()).expect("the CA's file");
    std::fs::create_dir(folder.join("policies")).expect("a policy folder");
    std::fs::write(folder.join("policies/bench.yaml"), POLICY).expect("a policy");
    let config = format!(
        "node: bench\nstate: state\nlog: log\nkey: master.key\npolicies: policies\n\
         in-flight: {most}\nin-flight-per-person: {count}\nbodies: {{ held-kib: 1 }}\n\
         listeners:\n  - {{ address: \"127.0.0.1:{port}\", zone: bench, certificate: {chain:?}, key: {key:?}, streams: {STREAMS_ON_ONE_CONNECTION}, stall-timeout: 1h }}\n\
         upstreams:\n  core: {{ address: \"localhost:{backend}\", ca: ca.pem, connections: {count}, body-timeout: 1h }}\n\
         issuers:\n  - {{ name: bench, issuer: bench, audience: menshen, keys: jwks.json }}\n",
        most = count + AT_ONCE,
        port = free_port(),
        chain = files.chain,
        key = files.key,
    );
    std::fs::write(folder.join("menshen.yaml"), config).expect("a configuration");
    token(folder, clock).into()
}

/// A token of the one issuer, whose public key goes to `jwks.json`.
fn token(folder: &Path, clock: &Clock) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let pair = rcgen::KeyPair::generate().expect("a key");
    // An uncompressed point: 0x04, then both coordinates.
    let (x, y) = pair.public_key_raw().get(1..).expect("a point").split_at(32);
    let jwks = serde_json::json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]});
    std::fs::write(folder.join("jwks.json"), jwks.to_string()).expect("a key file");
    let now = clock.unix_s();
    let claims = serde_json::json!({
        "iss": "bench", "aud": "menshen", "sub": "teller", "roles": ["teller"],
        "iat": now, "nbf": now, "exp": now + 3600,
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("bench".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key.expect("a signing key")).expect("a token")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// The gate in a process of its own, ended with this value.
struct Gate {
    child: Child,
    port: u16,
}

impl Gate {
    fn start(folder: &Path) -> Self {
        let config = folder.join("menshen.yaml");
        let child = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .spawn()
            .expect("the gate");
        let text = std::fs::read_to_string(config).expect("the configuration");
        let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the gate did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}
