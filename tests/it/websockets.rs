//! WebSockets: only where a route says so, both ways within its terms, for no longer than the right to it, counted and
//! recorded; and whatever else asks for another protocol gets none.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::audit::{Ending, Entry};
use menshen::clock::Clock;
use menshen::command::{Desk, Doer, Target, Way};
use menshen::demo::certificates::Authority;
use menshen::identity::Standing;
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::harness::browser::Browser;
use crate::harness::client::Client;
use crate::harness::upstream::{Asked, Talk, head};
use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, Step, holds, soon};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const PASSWORD: &str = "lanterns-at-dusk";

const ROUTES: &str = r#"
  chat:
    match: GET bank.example/one/{id}/chat
    to: core
    action: call
    opaque:
      grade: 3
      of: customer
      subject: id
      websocket: { sent: 64KiB, received: 64KiB, message: 8KiB, protocols: [chat.v2], each: 2, all: 3, frames: 20 }
  feed:
    match: GET bank.example/feed
    to: core
    action: call
    opaque:
      grade: 1
      websocket: { sent: 1KiB, received: 1KiB, idle: 1s, compression: permessage-deflate, origins: [https://app.example] }
  short:
    match: GET bank.example/short
    to: core
    action: call
    opaque: { grade: 1, websocket: { sent: 1MiB, received: 1MiB, lifetime: 1s } }
  alone:
    match: GET bank.example/alone
    to: core
    action: call
    opaque: { grade: 1, websocket: { sent: 1KiB, received: 1KiB, each: 1 } }
  talk:
    match: GET bank.example/one/{id}/talk
    to: core
    action: call
    opaque: { grade: 1, of: customer, websocket: { sent: 1KiB, received: 1KiB } }
    reads: one.view
apart:
  - [teller, supervisor]
roles: { supervisor: {}, clerk: {}, "#;

const RULES: &str = r#"
  - { name: tellers talk, allow: call, to: teller, route: [chat, feed, short, alone] }
  - { name: tellers talk of some, allow: call, to: teller, route: talk, where: record.note == "open" }
"#;

fn policy(limits: &str) -> String {
    let policy = OPEN_BANK
        .replace("\nroles: { ", ROUTES)
        .replace("2: {}", "2: {}, 3: { assurance: 2, fresh: 15m }");
    format!("{policy}{}{limits}", RULES.trim_start_matches('\n'))
}

fn bank(limits: &str) -> Setup {
    Setup::policy(&policy(limits))
}

fn accept(key: &str) -> String {
    let whole = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole))
}

/// The head by which a backend agrees, with these lines beside.
fn agreed(asked: &Asked, more: &[(&str, &str)]) -> Vec<u8> {
    let accept = accept(asked.header("sec-websocket-key").unwrap_or_default());
    let lines =
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", &accept)];
    head(101, &[&lines, more].concat())
}

/// Has the backend agree and then talk.
fn talks(gate: &Gate) -> Arc<Talk> {
    let talk = Talk::new();
    let talked = Arc::clone(&talk);
    gate.upstream.answers_by(move |asked| {
        Reply::raw(agreed(asked, &[])).then(Step::Talk(Arc::clone(&talked)))
    });
    talk
}

/// The request by which a caller with a token opens it; what `changed` names is replaced, or left out where it is empty.
fn handshake(path: &str, token: &str, changed: &[(&str, &str)]) -> String {
    let bearer = format!("Bearer {token}");
    let usual = [
        ("Host", "bank.example"),
        ("Authorization", bearer.as_str()),
        ("Menshen-Purpose", "service"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let is_changed = |name: &str| changed.iter().any(|(other, _)| *other == name);
    let kept = usual.iter().filter(|(name, _)| !is_changed(name));
    let lines = kept.chain(changed.iter().filter(|(_, value)| !value.is_empty()));
    let lines: String = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n")
}

/// A caller's side.
struct Peer {
    stream: TlsStream<TcpStream>,
    head: String,
    /// What came and was not looked at.
    rest: Vec<u8>,
}

impl Peer {
    /// Sends these bytes and reads a head.
    async fn send(gate: &Gate, bytes: &[u8]) -> Self {
        Self::send_over(connected(&gate.client()).await, bytes).await
    }

    async fn send_over(mut stream: TlsStream<TcpStream>, bytes: &[u8]) -> Self {
        stream.write_all(bytes).await.unwrap();
        let mut peer = Self { stream, head: String::new(), rest: Vec::new() };
        let end = soon("a head", async {
            loop {
                if let Some(at) = peer.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                    return at + 4;
                }
                assert!(peer.more().await, "{}", String::from_utf8_lossy(&peer.rest));
            }
        })
        .await;
        peer.head = String::from_utf8(peer.rest.drain(..end).collect()).unwrap();
        peer
    }

    async fn open(gate: &Gate, path: &str) -> Self {
        let peer = Self::send(gate, handshake(path, &gate.teller(), &[]).as_bytes()).await;
        assert_eq!(peer.status(), 101, "{}", peer.head);
        peer
    }

    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.rest).await, Ok(length) if length > 0)
    }

    async fn say(&mut self, frame: Vec<u8>) {
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next frame of the gate: its first byte and content.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        soon("a frame", async {
            loop {
                if let Some((frame, length)) = whole(&self.rest) {
                    self.rest.drain(..length);
                    return frame;
                }
                assert!(self.more().await, "closed without a frame");
            }
        })
        .await
    }

    /// The code with which the gate says goodbye; none if it closes without a word.
    async fn code(&mut self) -> Option<u16> {
        soon("the end", async {
            loop {
                match whole(&self.rest) {
                    Some(((0x88, content), _)) => {
                        return Some(u16::from_be_bytes([content[0], content[1]]));
                    }
                    Some((_, length)) => drop(self.rest.drain(..length)),
                    None if self.more().await => {}
                    None => return None,
                }
            }
        })
        .await
    }
}

async fn connected(client: &Client) -> TlsStream<TcpStream> {
    client.shake(&["http/1.1"]).await.unwrap()
}

/// A whole frame without a mask, and its length.
fn whole(bytes: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, start) = match second {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        short => (usize::from(short), 2),
    };
    let content = bytes.get(start..start + length)?.to_vec();
    Some(((first, content), start + length))
}

fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    if content.len() < 126 {
        bytes.push(u8::try_from(content.len()).unwrap());
    } else {
        bytes.push(126);
        bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    }
    bytes.extend_from_slice(content);
    bytes
}

/// As callers send it.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let hidden: Vec<u8> = content.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
    let mut bytes = frame(first, &hidden);
    let start = bytes.len() - hidden.len();
    bytes[1] |= 0x80;
    bytes.splice(start..start, mask);
    bytes
}

fn bye(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// The outcome of the last WebSocket, once it is there.
async fn outcome(gate: &Gate) -> Entry {
    let entries = gate.entries_ended().await;
    entries.into_iter().rev().find(|entry| entry.decided_by.is_some()).unwrap()
}

fn cause(entry: &Entry) -> (Option<Ending>, String) {
    let result = entry.result.as_ref().unwrap();
    (result.ended, result.cause.as_str().to_owned())
}

fn desk(gate: &Gate) -> Desk {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Desk::new(store, gate.clock.clone())
}

#[tokio::test]
async fn frames_pass_both_ways_and_the_log_says_how_much_and_how_it_ended() {
    let gate = bank("").start().await;
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/one/7/chat").await;
    assert_eq!(peer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(peer.header("upgrade"), Some("websocket"));
    assert!(peer.header("menshen-request-id").is_some());
    let decided = gate.entries_so_far().into_iter().any(|entry| entry.decision.is_some());
    assert!(decided, "recorded before the answer leaves");
    let asked = gate.upstream.asked().pop().unwrap();
    assert_eq!(asked.header("sec-websocket-key"), Some(KEY));
    assert_eq!(asked.header("authorization"), None);
    let hello = masked(0x81, b"hello from 13812345678");
    peer.say(hello.clone()).await;
    talk.heard(|heard| heard.bytes == hello).await;
    talk.say([frame(0x01, b"first "), frame(0x89, b"ping"), frame(0x80, b"second")].concat()).await;
    assert_eq!(peer.frame().await, (0x01, b"first ".to_vec()));
    assert_eq!(peer.frame().await, (0x89, b"ping".to_vec()));
    assert_eq!(peer.frame().await, (0x80, b"second".to_vec()));
    peer.say(masked(0x88, &bye(1000))).await;
    talk.heard(|heard| heard.bytes.len() == hello.len() + 8).await;
    talk.say(frame(0x88, &bye(1000))).await;
    assert_eq!(peer.code().await, Some(1000));
    let outcome = outcome(&gate).await;
    assert_eq!(cause(&outcome), (Some(Ending::Complete), "closed".to_owned()));
    let data = outcome.data.as_ref().unwrap();
    assert_eq!((data.entity.as_str(), data.records), ("customer", Some(1)));
    let given = frame(0x01, b"first ").len() + frame(0x89, b"ping").len() + 8 + 4;
    assert_eq!(data.bytes, Some(given as u64));
    assert_eq!(outcome.request.as_ref().unwrap().bytes, Some(hello.len() as u64 + 8));
    assert_eq!(outcome.result.as_ref().unwrap().status, Some(101));
    assert!(outcome.subjects.is_some(), "the log can say about whom it was");
}

#[tokio::test]
async fn whoever_may_not_open_it_does_not_learn_that_it_is_one() {
    let gate = bank("").start().await;
    talks(&gate);
    let old = gate.clock.unix_s() - 3600;
    for (claims, status) in [
        (json!({ "acr": "1" }), 401),
        (json!({ "auth_time": old }), 401),
        (json!({ "roles": ["supervisor"] }), 403),
    ] {
        let request = handshake("/one/7/chat", &gate.token(&claims), &[]);
        let refused = Peer::send(&gate, request.as_bytes()).await;
        assert_eq!(refused.status(), status, "{claims}");
        assert_eq!(refused.header("upgrade"), None, "{claims}");
        assert_eq!(refused.header("connection"), Some("close"), "{claims}");
    }
    let nobody = handshake("/one/7/chat", "", &[("Authorization", "")]);
    assert_eq!(Peer::send(&gate, nobody.as_bytes()).await.status(), 401);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn what_is_not_exactly_a_handshake_is_refused_and_says_what_would_be() {
    let gate = bank("").start().await;
    talks(&gate);
    let token = gate.teller();
    let two_keys = [("Sec-WebSocket-Key", KEY), ("sec-websocket-key", KEY)];
    for (what, changed, status, told) in [
        ("no upgrade", &[("Upgrade", "")][..], 426, Some("websocket")),
        ("h2c", &[("Upgrade", "h2c")], 426, Some("websocket")),
        ("one of two", &[("Upgrade", "websocket, h2c")], 426, Some("websocket")),
        ("no connection", &[("Connection", "keep-alive")], 426, Some("websocket")),
        ("an old version", &[("Sec-WebSocket-Version", "8")], 426, Some("websocket")),
        ("no version", &[("Sec-WebSocket-Version", "")], 426, Some("websocket")),
        ("no key", &[("Sec-WebSocket-Key", "")], 400, None),
        ("a short key", &[("Sec-WebSocket-Key", "c2hvcnQ=")], 400, None),
        ("no base64", &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ")], 400, None),
        ("two keys", &two_keys, 400, None),
        ("an unknown subprotocol", &[("Sec-WebSocket-Protocol", "shell")], 400, None),
        ("an empty subprotocol", &[("Sec-WebSocket-Protocol", "chat.v2,,")], 400, None),
        ("a body", &[("Content-Length", "4")], 400, None),
        ("a body in chunks", &[("Transfer-Encoding", "chunked")], 400, None),
    ] {
        let request = handshake("/one/7/chat", &token, changed);
        let refused = Peer::send(&gate, request.as_bytes()).await;
        assert_eq!(refused.status(), status, "{what}: {}", refused.head);
        assert_eq!(refused.header("upgrade"), told, "{what}");
        if what == "an old version" {
            assert_eq!(refused.header("sec-websocket-version"), Some("13"));
        }
    }
    let answer = gate.h2().await.send(Ask::get("/one/7/chat").by(&token)).await;
    assert!(answer.expect(426).text().contains("HTTP/1.1 only"), "{}", answer.text());
    let stream = gate.client().shake(&["h2"]).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let plain = http::Request::get("https://bank.example/one/7/chat").body(()).unwrap();
    let (answer, _) = sender.send_request(plain, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 401, "its settings have come");
    assert!(!sender.is_extended_connect_protocol_enabled(), "RFC 8441 is not spoken");
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn another_sites_page_opens_none_with_somebodys_cookie() {
    let gate = bank("").start().await;
    talks(&gate);
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    let cookie = format!("__Host-menshen={session}");
    let ask = async |path: &str, token: &str, origins: &[&str]| {
        let by = if token.is_empty() {
            vec![("Authorization", ""), ("Cookie", cookie.as_str())]
        } else {
            Vec::new()
        };
        let origins = origins.iter().map(|origin| ("Origin", *origin));
        let changed: Vec<_> = by.into_iter().chain(origins).collect();
        Peer::send(&gate, handshake(path, token, &changed).as_bytes()).await.status()
    };
    let token = gate.teller();
    for (path, by, origins, status) in [
        ("/short", "", &["https://bank.example"][..], 101),
        ("/short", "", &[], 403),
        ("/short", "", &["https://evil.example"], 403),
        ("/short", "", &["http://bank.example"], 403),
        ("/short", "", &["https://bank.example:8443"], 403),
        ("/short", "", &["https://bank.example.evil.example"], 403),
        ("/short", "", &["null"], 403),
        ("/short", "", &["https://bank.example", "https://bank.example"], 403),
        ("/short", &token, &[], 101),
        ("/short", &token, &["https://evil.example"], 403),
        ("/feed", "", &["https://app.example"], 101),
        ("/feed", "", &["https://bank.example"], 403),
    ] {
        assert_eq!(ask(path, by, origins).await, status, "{path} {origins:?} {}", by.len());
    }
    assert_eq!(gate.upstream.hits(), 3, "those that were opened");
}

#[tokio::test]
async fn only_declared_subprotocols_and_packing_are_agreed_on() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let offer =
        ("Sec-WebSocket-Extensions", "x-secret, permessage-deflate; client_max_window_bits");
    let speak = ("Sec-WebSocket-Protocol", "shell, chat.v2");
    let open = async |path: &str,
                      asked: (&'static str, &'static str),
                      said: Vec<(&'static str, &'static str)>| {
        gate.upstream.answers_by(move |asked| {
            let head = agreed(asked, &said);
            Reply::raw([head, b"\x81\x06CANARY".to_vec()].concat()).then(Step::Stall)
        });
        let peer = Peer::send(&gate, handshake(path, &token, &[asked]).as_bytes()).await;
        assert!(peer.status() == 101 || !holds(&peer.rest, "CANARY"));
        let asked = gate.upstream.asked().pop().unwrap();
        let header = |name: &str| asked.header(name).map(str::to_owned);
        (peer.status(), header("sec-websocket-protocol"), header("sec-websocket-extensions"))
    };
    let packed = "permessage-deflate; client_max_window_bits".to_owned();
    let chat = vec![("Sec-WebSocket-Protocol", "chat.v2")];
    let deflate = vec![("Sec-WebSocket-Extensions", "permessage-deflate")];
    assert_eq!(open("/one/7/chat", speak, chat.clone()).await, (101, Some("chat.v2".into()), None));
    assert_eq!(open("/one/7/chat", offer, vec![]).await, (101, None, None));
    assert_eq!(open("/one/7/chat", offer, deflate.clone()).await.0, 502);
    assert_eq!(open("/feed", offer, deflate).await, (101, None, Some(packed)));
    assert_eq!(open("/feed", offer, chat).await.0, 502, "nobody asked for it");
    let other = vec![("Sec-WebSocket-Extensions", "x-secret")];
    assert_eq!(open("/feed", offer, other).await.0, 502);
}

#[tokio::test]
async fn a_backend_that_does_not_agree_opens_nothing_and_its_connection_is_not_used_again() {
    let mut gate = bank("").start().await;
    let token = gate.teller();
    let lines = |text: &str| Reply::raw(format!("{text}\r\n\r\nCANARY"));
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade";
    let good = format!("Sec-WebSocket-Accept: {}", accept(KEY));
    let other = accept("AAAAAAAAAAAAAAAAAAAAAA==");
    for (what, reply, status) in [
        ("a page", Reply::with(200, &[("content-type", "text/html")], "CANARY"), 502),
        ("no content", Reply::with(204, &[], ""), 502),
        ("elsewhere", Reply::with(302, &[("location", "/CANARY")], ""), 502),
        ("not there", Reply::with(404, &[], "CANARY"), 404),
        ("not for them", Reply::with(403, &[], "CANARY"), 403),
        ("an error", Reply::with(500, &[], "CANARY"), 500),
        ("no answer to the key", lines(&format!("HTTP/1.1 101 S\r\n{upgrade}")), 502),
        (
            "an answer to another key",
            lines(&format!("HTTP/1.1 101 S\r\n{upgrade}\r\nSec-WebSocket-Accept: {other}")),
            502,
        ),
        (
            "another protocol",
            lines(&format!("HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n{good}")),
            502,
        ),
        ("no protocol", lines(&format!("HTTP/1.1 101 S\r\nConnection: Upgrade\r\n{good}")), 502),
        (
            "a length",
            lines(&format!("HTTP/1.1 101 S\r\n{upgrade}\r\n{good}\r\nContent-Length: 6")),
            502,
        ),
        ("it closes", Reply(vec![Step::Close]), 502),
    ] {
        gate.upstream.answers(Reply::json(r#"{"id":"7"}"#));
        gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
        let before = gate.upstream.connections();
        gate.upstream.answers(reply);
        let request = handshake("/one/7/chat", &token, &[]);
        let refused = Peer::send(&gate, request.as_bytes()).await;
        assert_eq!(refused.status(), status, "{what}: {}", refused.head);
        assert!(!holds(refused.head.as_bytes(), "CANARY") && !holds(&refused.rest, "CANARY"));
        assert_eq!(gate.upstream.connections(), before + 1, "{what}: one of its own");
        gate.upstream.answers(Reply::json(r#"{"id":"7"}"#));
        gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
        assert_eq!(
            gate.upstream.connections(),
            before + 1,
            "{what}: and the one of before serves on"
        );
    }
    let open = gate.entries().await;
    assert!(open.iter().all(|entry| entry.request.as_ref().is_none_or(|r| r.bytes.is_none())));
}

#[tokio::test]
async fn a_connection_that_was_a_websocket_serves_no_request() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/one/7/chat").await;
    peer.say(masked(0x88, &bye(1000))).await;
    talk.say(frame(0x88, &bye(1000))).await;
    assert_eq!(peer.code().await, Some(1000));
    talk.heard(|heard| heard.is_over).await;
    let before = gate.upstream.connections();
    gate.upstream.answers(Reply::json(r#"{"id":"7"}"#));
    gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
    gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
    assert_eq!(gate.upstream.connections(), before + 1);
}

#[tokio::test]
async fn where_no_route_says_so_nothing_is_switched_and_nothing_behind_the_request_is_read() {
    let gate = bank("").start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json(r#"{"id":"7"}"#));
    let behind = format!(
        "GET /one/8 HTTP/1.1\r\nHost: bank.example\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    for upgrade in ["websocket", "h2c", "TLS/1.0", "websocket, h2c"] {
        let hits = gate.upstream.hits();
        let request = handshake("/one/7", &token, &[("Upgrade", upgrade)]);
        let mut peer = Peer::send(&gate, format!("{request}{behind}").as_bytes()).await;
        assert_eq!((peer.status(), peer.header("connection")), (200, Some("close")), "{upgrade}");
        while soon("the end", peer.more()).await {}
        assert!(!holds(&peer.rest, "HTTP/1.1"), "one answer");
        assert_eq!(gate.upstream.hits(), hits + 1, "{upgrade}");
        let asked = gate.upstream.asked().pop().unwrap();
        assert_eq!((asked.header("upgrade"), asked.header("connection")), (None, None));
        assert!(!holds(&asked.head, "ebsocket"), "{upgrade}");
    }
    // A backend that switches where nobody asked for it is another test's: `an_upstream_that_…` in `upstream/tests.rs`.
    let switch = format!(
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\nCANARY",
        accept(KEY)
    );
    gate.upstream.answers(Reply::raw(switch));
    let peer = Peer::send(&gate, handshake("/one/7", &token, &[]).as_bytes()).await;
    assert_eq!(peer.status(), 502);
    assert!(!holds(&peer.rest, "CANARY"));
}

#[tokio::test]
async fn what_comes_behind_a_handshake_and_is_no_frame_reaches_nobody() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let behind = format!(
        "GET /one/8 HTTP/1.1\r\nHost: bank.example\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let whole = handshake("/one/7/chat", &token, &[]) + &behind;
    let talk = talks(&gate);
    let mut peer = Peer::send(&gate, whole.as_bytes()).await;
    assert_eq!((peer.status(), peer.code().await), (101, Some(1002)));
    let heard = talk.heard(|heard| heard.is_over).await;
    assert_eq!(heard.bytes, [0x88, 0x82, 0, 0, 0, 0, 3, 234], "nothing but a goodbye");
    assert_eq!(gate.upstream.hits(), 1);
    assert_eq!(
        cause(&outcome(&gate).await),
        (Some(Ending::AbortedByFilter), "caller_frame".into())
    );
    gate.upstream.answers(Reply::with(403, &[], ""));
    let mut refused = Peer::send(&gate, whole.as_bytes()).await;
    assert_eq!(refused.status(), 403);
    while soon("the end", refused.more()).await {}
    assert!(!holds(&refused.rest, "HTTP/1.1"), "one answer");
    assert_eq!(gate.upstream.hits(), 2);
}

#[tokio::test]
async fn frames_that_break_the_rules_end_it_both_ways() {
    let gate = bank("").start().await;
    for (what, said, code) in [
        ("no mask", frame(0x81, b"a"), 1002),
        ("a bit", masked(0xc1, b"a"), 1002),
        ("an unknown operation", masked(0x83, b"a"), 1002),
        ("a large message", masked(0x82, &[7; 8193]), 1009),
        ("one in parts", [masked(0x02, &[7; 8000]), masked(0x80, &[7; 200])].concat(), 1009),
        ("too many at once", masked(0x89, b"").repeat(21), 1008),
    ] {
        let talk = talks(&gate);
        let mut peer = Peer::open(&gate, "/one/7/chat").await;
        peer.say(said).await;
        assert_eq!(peer.code().await, Some(code), "{what}");
        let heard = talk.heard(|heard| heard.is_over).await;
        assert_eq!(heard.bytes.len(), 8, "{what}: nothing but a goodbye");
        let outcome = outcome(&gate).await;
        assert_ne!(cause(&outcome).0, Some(Ending::Complete), "{what}");
    }
    for (what, said) in
        [("a mask", masked(0x81, b"CANARY")), ("a large message", frame(0x81, &[b'C'; 8193]))]
    {
        let talk = talks(&gate);
        let mut peer = Peer::open(&gate, "/one/7/chat").await;
        talk.say(said).await;
        assert!(peer.code().await.is_some(), "{what}");
        let (ended, why) = cause(&outcome(&gate).await);
        assert_eq!((ended, &*why), (Some(Ending::AbortedByFilter), "backend_frame"), "{what}");
    }
}

#[tokio::test]
async fn each_cap_ends_it_and_the_log_says_which() {
    let gate = bank("").start().await;
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/feed").await;
    peer.say(masked(0x82, &[7; 900])).await;
    talk.heard(|heard| heard.bytes.len() == 908).await;
    peer.say(masked(0x82, &[7; 200])).await;
    assert_eq!(peer.code().await, Some(1009));
    assert_eq!(talk.heard(|heard| heard.is_over).await.bytes.len(), 908 + 8, "not a byte more");
    let ended = outcome(&gate).await;
    assert_eq!(cause(&ended), (Some(Ending::Limited), "sent".to_owned()));
    assert_eq!(ended.request.as_ref().unwrap().bytes, Some(908));

    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/feed").await;
    talk.say(frame(0x82, &[7; 900])).await;
    assert_eq!(peer.frame().await.1.len(), 900);
    talk.say(frame(0x82, &[7; 200])).await;
    assert_eq!(peer.code().await, Some(1009));
    let ended = outcome(&gate).await;
    assert_eq!(cause(&ended), (Some(Ending::Limited), "received".to_owned()));
    assert_eq!(ended.data.as_ref().unwrap().bytes, Some(904));

    for (path, why) in [("/feed", "idle"), ("/short", "lifetime")] {
        talks(&gate);
        let began = Instant::now();
        let mut peer = Peer::open(&gate, path).await;
        assert_eq!(peer.code().await, Some(1000), "{why}");
        assert!(began.elapsed() >= Duration::from_secs(1), "{why}");
        assert_eq!(cause(&outcome(&gate).await), (Some(Ending::Limited), why.to_owned()));
    }
}

#[tokio::test]
async fn one_person_and_all_together_have_only_so_many_open_at_once() {
    let gate = bank("").start().await;
    talks(&gate);
    let open = async |who: &str| {
        let token = gate.token(&json!({ "sub": who }));
        talks(&gate);
        Peer::send(&gate, handshake("/one/7/chat", &token, &[]).as_bytes()).await
    };
    let (first, second) = (open("wang").await, open("wang").await);
    assert_eq!((first.status(), second.status()), (101, 101));
    let hits = gate.upstream.hits();
    assert_eq!(open("wang").await.status(), 429);
    let other = open("li").await;
    assert_eq!(other.status(), 101);
    assert_eq!(open("chen").await.status(), 503, "all places are taken");
    assert_eq!(gate.upstream.hits(), hits + 1);
    drop(first);
    let again = async {
        loop {
            let next = open("wang").await;
            if next.status() == 101 {
                return next;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    drop(soon("a place", again).await);
}

#[tokio::test]
async fn a_place_is_free_once_goodbye_is_said_and_not_before() {
    let limits = "limits:\n  - { to: teller, concurrent: 1 }\n";
    for (limits, path) in [("", "/alone"), (limits, "/one/7/chat")] {
        let gate = bank(limits).start().await;
        let talk = talks(&gate);
        let mut first = Peer::open(&gate, path).await;
        let early = connected(&gate.client()).await;
        first.say(masked(0xc1, b"a")).await;
        assert_eq!(first.code().await, Some(1002));
        let outcome = outcome(&gate).await;
        assert_eq!(cause(&outcome).1, "caller_frame", "told at once");
        // Whoever does not answer the goodbye has the connection for a while.
        let again = handshake(path, &gate.teller(), &[]);
        assert_eq!(Peer::send_over(early, again.as_bytes()).await.status(), 429, "{path}");
        drop(first);
        talk.heard(|heard| heard.is_over).await;
        talks(&gate);
        let opened = async {
            while Peer::send(&gate, again.as_bytes()).await.status() != 101 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("a place", opened).await;
    }
}

#[tokio::test]
async fn a_backend_has_only_so_many_and_requests_have_their_places_beside_them() {
    let gate = bank("").core("websockets: 1, connections: 1, waiting: 0").start().await;
    let token = gate.teller();
    talks(&gate);
    let first = Peer::open(&gate, "/one/7/chat").await;
    let second = Peer::send(&gate, handshake("/one/7/chat", &token, &[]).as_bytes()).await;
    assert_eq!(second.status(), 503);
    gate.upstream.answers(Reply::json(r#"{"id":"7"}"#));
    gate.ask(Ask::get("/one/7").by(&token)).await.expect(200);
    drop(first);
}

#[tokio::test]
async fn it_is_counted_like_a_file_and_a_used_up_budget_ends_it() {
    let gate =
        bank("limits:\n  - { to: teller, files: 2/day, bytes: 1KiB/day, subjects: 1/day }\n")
            .start()
            .await;
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/one/7/chat").await;
    talk.say(frame(0x82, &[7; 800])).await;
    assert_eq!(peer.frame().await.1.len(), 800);
    talk.say(frame(0x82, &[7; 800])).await;
    assert_eq!(peer.code().await, Some(1008));
    let ended = outcome(&gate).await;
    assert_eq!(cause(&ended), (Some(Ending::Limited), "limit".to_owned()));
    assert_eq!(ended.data.as_ref().unwrap().bytes, Some(804));
    talks(&gate);
    let token = gate.teller();
    let refused = Peer::send(&gate, handshake("/one/8/chat", &token, &[]).as_bytes()).await;
    assert_eq!(refused.status(), 429, "another person");
    drop(Peer::open(&gate, "/one/7/chat").await);
    let hits = gate.upstream.hits();
    let third = Peer::send(&gate, handshake("/one/7/chat", &token, &[]).as_bytes()).await;
    assert_eq!(third.status(), 429);
    assert_eq!(gate.upstream.hits(), hits, "a third one is not even asked for");
}

/// Puts another policy in force.
async fn replace_policy(gate: &Gate, text: &str) {
    let old = gate.server().policy_version();
    std::fs::write(gate.path("policies/policy.yaml"), text).unwrap();
    gate.server().reload();
    let replaced = async {
        while gate.server().policy_version() == old {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("another policy", replaced).await;
}

/// Opens one, has `end` take the right away, and says how it ended and how long that took.
async fn ended_by(gate: &Gate, request: String, end: impl AsyncFnOnce()) -> (String, Duration) {
    let talk = talks(gate);
    let mut peer = Peer::send(gate, request.as_bytes()).await;
    assert_eq!(peer.status(), 101, "{}", peer.head);
    peer.say(masked(0x81, b"a")).await;
    talk.heard(|heard| heard.bytes.len() == 7).await;
    end().await;
    let began = Instant::now();
    assert_eq!(peer.code().await, Some(1008));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let (ended, why) = cause(&outcome(gate).await);
    assert_eq!(ended, Some(Ending::AbortedByPolicy));
    (why, took)
}

#[tokio::test]
async fn whatever_ends_the_right_to_it_ends_it_at_once() {
    let gate = bank("").start().await;
    let by = |sub: &str| handshake("/one/7/chat", &gate.token(&json!({ "sub": sub })), &[]);
    let lin = Doer { name: "lin".to_owned(), person: "lin".to_owned() };
    let route = Target::new("route".parse().unwrap(), "chat").unwrap();
    let switched = ended_by(&gate, by("a"), async || {
        desk(&gate).turn(&lin, Way::On, &route, "incident").await.map(|_done| ()).unwrap();
    });
    assert_eq!(switched.await.0, "switched_off");
    desk(&gate).turn(&lin, Way::Off, &route, "incident").await.map(|_done| ()).unwrap();
    gate.until(426, &Ask::get("/one/7/chat").by(&gate.teller())).await;

    let suspended = ended_by(&gate, by("b"), async || {
        gate.identity().set_standing("corp:b", Standing::Suspended).await.unwrap();
        gate.advance_s(2);
    });
    assert_eq!(suspended.await.0, "withdrawn");

    let revoked = ended_by(&gate, by("c"), async || {
        gate.identity().revoke_tokens("corp:c", None).await.unwrap();
        gate.advance_s(2);
    });
    assert_eq!(revoked.await.0, "withdrawn");

    let stale = ended_by(&gate, by("d"), async || gate.advance_s(15 * 60 + 1));
    assert_eq!(stale.await.0, "withdrawn", "the factor is no longer fresh");

    let text = std::fs::read_to_string(gate.path("policies/policy.yaml")).unwrap();
    let narrower = text.replace("received: 64KiB", "received: 32KiB");
    let changed = ended_by(&gate, by("e"), async || replace_policy(&gate, &narrower).await);
    assert_eq!(changed.await.0, "withdrawn");
}

#[tokio::test]
async fn a_rule_that_names_it_beside_others_opens_it_for_a_record_that_is_there() {
    let text =
        policy("").replace("route: talk, where: record.note == \"open\"", "route: [talk, feed]");
    let gate = Setup::policy(&text).start().await;
    let open = async |record: Reply| {
        gate.upstream.answers_by(move |asked| match asked.target.as_str() {
            "/one/7" => record.clone(),
            _ => Reply::raw(agreed(asked, &[])).then(Step::Talk(Talk::new())),
        });
        let request = handshake("/one/7/talk", &gate.teller(), &[]);
        Peer::send(&gate, request.as_bytes()).await.status()
    };
    assert_eq!(open(Reply::json(r#"{"id":"7","note":"closed"}"#)).await, 101);
    assert_eq!(open(Reply::with(404, &[], "")).await, 404);
    assert_eq!(open(Reply::json(r#"{"note":"open"}"#)).await, 502, "nobody can say whose it is");
}

#[tokio::test]
async fn a_right_that_is_lost_while_it_is_opened_opens_nothing() {
    let gate = bank("").start().await;
    let set_role = async |role: &str| {
        gate.identity().set_roles("li.na", vec![role.to_owned()]).await.unwrap();
    };
    gate.add_account("li.na", PASSWORD, "teller").await;
    let cookie = format!("__Host-menshen={}", gate.sign_in("li.na", PASSWORD).await);
    let by_cookie =
        [("Authorization", ""), ("Cookie", cookie.as_str()), ("Origin", "https://bank.example")];
    let request = handshake("/one/7/talk", "", &by_cookie);
    for held_at in ["/one/7", "/one/7/talk"] {
        set_role("teller").await;
        let (go_on, talk) = (Arc::new(Semaphore::new(0)), Talk::new());
        let waits = Arc::clone(&go_on);
        gate.upstream.answers_by(move |asked| {
            let Reply(steps) = match asked.target.as_str() {
                "/one/7" => Reply::json(r#"{"id":"7","note":"open"}"#),
                _ => Reply::raw(agreed(asked, &[])).then(Step::Talk(Arc::clone(&talk))),
            };
            let held = (asked.target == held_at).then(|| Step::Wait(Arc::clone(&waits)));
            Reply(held.into_iter().chain(steps).collect())
        });
        let loses = async {
            let is_held = || gate.upstream.asked().pop().is_some_and(|one| one.target == held_at);
            let held = async {
                while !is_held() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            soon("the backend to be asked", held).await;
            set_role("stranger").await;
            go_on.add_permits(1);
        };
        let (refused, ()) = tokio::join!(Peer::send(&gate, request.as_bytes()), loses);
        assert_eq!(refused.status(), 403, "{held_at}: {}", refused.head);
    }
    let ended = outcome(&gate).await;
    assert_eq!(ended.result.as_ref().unwrap().status, Some(403), "and the log says so");
}

#[tokio::test]
async fn a_right_that_is_switched_off_is_no_reason_to_end_what_another_one_opened() {
    let gate = bank("").start().await;
    let lin = Doer { name: "lin".to_owned(), person: "lin".to_owned() };
    let right = Target::new("right".parse().unwrap(), "clerk@corp:wang").unwrap();
    desk(&gate).turn(&lin, Way::On, &right, "review").await.map(|_done| ()).unwrap();
    let both = gate.token(&json!({ "roles": ["clerk", "teller"] }));
    let roles = |entry: &Entry| entry.actor.as_ref().map_or(2, |actor| actor.roles.iter().count());
    let known = async {
        loop {
            gate.ask(Ask::get("/one/7").by(&both)).await;
            if gate
                .entries_so_far()
                .iter()
                .any(|entry| entry.decision.is_some() && roles(entry) == 1)
            {
                return;
            }
        }
    };
    soon("the switch to be known", known).await;
    let talk = talks(&gate);
    let mut peer = Peer::send(&gate, handshake("/one/7/chat", &both, &[]).as_bytes()).await;
    assert_eq!(peer.status(), 101, "{}", peer.head);
    // Longer than it takes until it is asked again.
    for round in 1..=5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        peer.say(masked(0x81, b"a")).await;
        talk.heard(|heard| heard.bytes.len() == 7 * round).await;
    }
}

#[tokio::test]
async fn a_role_of_the_persons_other_account_that_is_kept_apart_ends_it() {
    let gate = bank("").start().await;
    gate.add_account("wang", PASSWORD, "clerk").await;
    for account in ["corp:wang", "wang"] {
        gate.identity().set_person(account, Some("e1042")).await.unwrap();
    }
    gate.advance_s(2);
    let opens = handshake("/one/7/chat", &gate.teller(), &[]);
    let apart = ended_by(&gate, opens.clone(), async || {
        gate.identity().set_roles("wang", vec!["supervisor".to_owned()]).await.unwrap();
        gate.advance_s(2);
    });
    assert_eq!(apart.await.0, "withdrawn");
    assert_eq!(Peer::send(&gate, opens.as_bytes()).await.status(), 403);
}

#[tokio::test]
async fn a_session_that_ends_and_a_token_that_expires_take_what_they_opened_along() {
    let gate = bank("").start().await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    let cookie = format!("__Host-menshen={session}");
    let by_cookie =
        [("Authorization", ""), ("Cookie", cookie.as_str()), ("Origin", "https://bank.example")];
    let text = std::fs::read_to_string(gate.path("policies/policy.yaml")).unwrap();
    let long = text.replace("lifetime: 1s", "lifetime: 1h");
    replace_policy(&gate, &long).await;
    let signed_out = ended_by(&gate, handshake("/short", "", &by_cookie), async || {
        let out = Ask::post("/.menshen/logout", "{}").cookie(&session);
        let status = gate.ask(out.header("sec-fetch-site", "same-origin")).await.status;
        assert!(status.is_success() || status.is_redirection(), "{status}");
    });
    assert_eq!(signed_out.await.0, "withdrawn");
    let expires = json!({ "exp": gate.clock.unix_s() + 60 });
    let expired = ended_by(&gate, handshake("/short", &gate.token(&expires), &[]), async || {
        gate.advance_s(3600);
    });
    assert_eq!(expired.await.0, "withdrawn");
}

#[tokio::test]
async fn a_drain_says_goodbye_to_both_sides_and_waits_for_nobody() {
    let mut gate = bank("").start().await;
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/one/7/chat").await;
    let began = Instant::now();
    gate.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(peer.code().await, Some(1001));
    let heard = talk.heard(|heard| heard.is_over).await;
    assert_eq!(heard.bytes, [0x88, 0x82, 0, 0, 0, 0, 3, 233]);
    assert_eq!(cause(&outcome(&gate).await), (Some(Ending::Complete), "stopping".to_owned()));
}

/// The program itself, since it reads its configuration again.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_its_backend_or_what_that_is_believed_by_is_replaced() {
    let setup = bank("").core("websockets: 8").beside(1).yaml("config-watch: false");
    let gate = setup.prepare(Clock::system()).await;
    let both =
        format!("addresses: [\"{}\", \"{}\"]", gate.upstream.address(), gate.beside[0].address());
    let edit = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(gate.path(file)).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(gate.path(file), text.replacen(from, to, 1)).unwrap();
    };
    edit("menshen.yaml", &both, &format!("address: \"{}\"", gate.upstream.address()));
    let process = Process::run(&gate, "info").await;
    let open = async || {
        let talk = talks(&gate);
        let request = handshake("/one/7/chat", &gate.teller(), &[]);
        let peer = Peer::send_over(connected(&process.client()).await, request.as_bytes()).await;
        assert_eq!(peer.status(), 101, "{}", peer.head);
        (peer, talk)
    };
    let told = async |(mut peer, talk): (Peer, Arc<Talk>), causes: usize| {
        assert_eq!(peer.code().await, Some(1001));
        let heard = talk.heard(|heard| heard.is_over).await;
        assert_eq!(heard.bytes, [0x88, 0x82, 0, 0, 0, 0, 3, 233], "a goodbye");
        let is_so = |one: &&Entry| {
            one.result.as_ref().is_some_and(|told| told.cause.as_str() == "backend_replaced")
        };
        let recorded = async {
            while gate.entries_so_far().iter().filter(is_so).count() < causes {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("the outcome", recorded).await;
    };

    let opened = open().await;
    let other = Authority::new("another", &Clock::system()).unwrap();
    edit("ca.pem", "", &format!("{}\n", other.certificate_pem()));
    process.hang_up();
    told(opened, 1).await;

    let (stays, opened) = (open().await, open().await);
    edit("menshen.yaml", "websockets: 8", "websockets: 9");
    process.hang_up();
    told(opened, 2).await;
    told(stays, 3).await;
    // What is opened then goes over what there is then.
    let (mut peer, talk) = open().await;
    talk.say(frame(0x81, b"a")).await;
    assert_eq!(peer.frame().await, (0x81, b"a".to_vec()));
}

#[tokio::test]
async fn whoever_goes_away_is_told_of_and_the_other_side_is_let_go() {
    let gate = bank("").start().await;
    let talk = talks(&gate);
    let peer = Peer::open(&gate, "/one/7/chat").await;
    drop(peer);
    talk.heard(|heard| heard.is_over).await;
    let (ended, why) = cause(&outcome(&gate).await);
    assert_eq!((ended, &*why), (Some(Ending::AbortedByClient), "caller_left"));
    let talk = talks(&gate);
    let mut peer = Peer::open(&gate, "/one/7/chat").await;
    talk.say(Vec::new()).await;
    assert_eq!(peer.code().await, Some(1011));
    let (ended, why) = cause(&outcome(&gate).await);
    assert_eq!((ended, &*why), (Some(Ending::AbortedByUpstream), "backend_left"));
}

#[tokio::test]
async fn of_two_backends_the_one_that_is_there_is_asked() {
    let mut gate = bank("").beside(1).start().await;
    let there = gate.beside.pop().unwrap();
    gate.upstream = there;
    for _ in 0..4 {
        talks(&gate);
        drop(Peer::open(&gate, "/one/7/chat").await);
    }
    assert_eq!(gate.upstream.hits(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_page_opens_one_with_its_session_and_another_sites_page_does_not() {
    let gate = Setup::policy(&policy("").replace("lifetime: 1s", "lifetime: 1h")).start().await;
    let talk = Talk::new();
    let talked = Arc::clone(&talk);
    gate.upstream.answers_by(move |asked| match asked.target.as_str() {
        "/short" => Reply::raw(agreed(asked, &[])).then(Step::Talk(Arc::clone(&talked))),
        _ => Reply::json(r#"{"id":"1"}"#),
    });
    gate.add_account("wang", PASSWORD, "teller").await;
    let mut browser = Box::pin(Browser::start(&gate.ca_key_hash)).await;
    let port = gate.server().addresses()[0].port();
    browser.goto(&format!("https://bank.example:{port}/.menshen/login")).await;
    browser.fill("#account", "wang").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("form button").await;
    browser.until("!document.querySelector('#password')").await;
    let open = format!(
        "(() => {{ window.got = ''; window.code = 0;
            const socket = new WebSocket('wss://bank.example:{port}/short');
            socket.onopen = () => socket.send('hello');
            socket.onmessage = event => {{ window.got += event.data; }};
            socket.onclose = event => {{ window.code = event.code; }}; return true }})()"
    );
    browser.goto(&format!("https://bank.example:{port}/one/1")).await;
    browser.js(&open).await;
    let heard = talk.heard(|heard| heard.bytes.len() == 11).await.bytes;
    let said: Vec<u8> =
        heard[6..].iter().zip(heard[2..6].iter().cycle()).map(|(b, m)| b ^ m).collect();
    assert_eq!((&heard[..2], said.as_slice()), (&[0x81, 0x85][..], &b"hello"[..]));
    talk.say(frame(0x81, b"world")).await;
    browser.until("window.got == 'world'").await;
    let lin = Doer { name: "lin".to_owned(), person: "lin".to_owned() };
    let route = Target::new("route".parse().unwrap(), "short").unwrap();
    desk(&gate).turn(&lin, Way::On, &route, "incident").await.map(|_done| ()).unwrap();
    browser.until("window.code == 1008").await;
    desk(&gate).turn(&lin, Way::Off, &route, "incident").await.map(|_done| ()).unwrap();
    let hits = gate.upstream.hits();
    browser.goto(&format!("https://other.example:{port}/")).await;
    browser.js(&open).await;
    browser.until("window.code == 1006").await;
    assert_eq!(gate.upstream.hits(), hits, "another site's page");
}
