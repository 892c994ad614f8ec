//! HTTP/2 clients that send frames without end: each is cut, or does no harm, and others are served meanwhile.
//!
//! The frames are written by hand, since no client would send them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

/// The most that any of them may make the gate keep.
const MOST_MEMORY: u64 = 48 << 20;
const FLOOD_BYTES: usize = 6 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header line without compression.
fn line(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[0_u8][..], &text(name), &text(value)].concat()
}

fn head(method: &str, path: &str) -> Vec<u8> {
    let lines = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "bank.example"),
        (":path", path),
    ];
    lines.iter().flat_map(|(name, value)| line(name, value)).collect()
}

struct Flooder {
    stream: TlsStream<TcpStream>,
}

impl Flooder {
    async fn new(gate: &Gate) -> Self {
        let mut stream = gate.client().shake(&["h2"]).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { stream }
    }

    /// Sends; gives whether the gate still takes it.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// Whether the connection comes to its end, and by which error of HTTP/2, if it was told one.
    async fn end(mut self) -> (bool, Option<u32>) {
        let mut bytes = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(4), async {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = self.stream.read(&mut part).await {
                bytes.extend_from_slice(&part[..length]);
            }
        });
        (ended.await.is_ok(), goaway(&bytes))
    }
}

fn goaway(mut bytes: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(..length)?;
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        bytes = &rest[length..];
    }
    None
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

async fn gate() -> Gate {
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { request-time: 2s }").start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

/// Floods in rounds with frames that differ by their number, while somebody else asks; gives how it ended.
async fn flooded(
    gate: &Gate,
    begin: &[u8],
    mut next: impl FnMut(u32) -> Vec<u8>,
) -> (bool, Option<u32>) {
    let token = gate.teller();
    let mut other = gate.h2().await;
    other.send(Ask::get("/one/1").by(&token)).await.expect(200);
    let before = resident();
    let mut flooder = Flooder::new(gate).await;
    assert!(flooder.send(begin).await);
    let (mut sent, mut number) = (0, 0);
    'flood: while sent < FLOOD_BYTES {
        let mut round = Vec::new();
        while round.len() < 64 * 1024 {
            round.extend(next(number));
            number += 1;
        }
        sent += round.len();
        // Whoever never reads is not read for ever; that is no failure of the flood.
        match tokio::time::timeout(Duration::from_secs(3), flooder.send(&round)).await {
            Ok(true) => {}
            Ok(false) | Err(_) => break 'flood,
        }
        soon("an answer to somebody else", other.send(Ask::get("/one/1").by(&token)))
            .await
            .expect(200);
    }
    let end = flooder.end().await;
    let grown = resident().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{grown} bytes more");
    other.send(Ask::get("/one/1").by(&token)).await.expect(200);
    end
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_go_on_for_ever_are_cut() {
    let gate = gate().await;
    let begin = frame(HEADERS, 0, 1, &head("GET", "/one/1"));
    let more = line("x-more", &"a".repeat(100));
    let (ended, error) = flooded(&gate, &begin, |_| frame(CONTINUATION, 0, 1, &more)).await;
    assert!(ended, "{error:?}");
    let (ended, _) = flooded(&gate, &begin, |_| frame(CONTINUATION, 0, 1, &[])).await;
    assert!(ended, "empty ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_unpacks_to_much_is_refused() {
    let gate = gate().await;
    // One large line in the table of the connection, then a reference of one byte to it, thousands of times.
    let name = line("x-bomb", &"b".repeat(100))[1..].to_vec();
    let begin = [&[0x40][..], &name].concat();
    let bomb = [head("GET", "/one/1"), begin, vec![0xbe; 12_000]].concat();
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    let refer = move |number: u32| {
        let block = [head("GET", "/one/1"), vec![0xbe; 8_000]].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 3, &block)
    };
    flooded(&gate, &first, refer).await;
    let asked = gate.upstream.asked();
    assert!(asked.iter().all(|asked| asked.header("x-bomb").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_do_no_harm() {
    let gate = gate().await;
    let open = frame(HEADERS, END_HEADERS, 1, &head("POST", "/one/1"));
    let nothing =
        |kind: u8, stream: u32, payload: &'static [u8]| move |_| frame(kind, 0, stream, payload);
    flooded(&gate, &[], nothing(PING, 0, b"8 bytes!")).await;
    flooded(&gate, &[], nothing(SETTINGS, 0, &[])).await;
    flooded(&gate, &[], nothing(SETTINGS, 0, &[0, 4, 0, 0, 255, 255])).await;
    flooded(&gate, &open, nothing(DATA, 1, &[])).await;
    flooded(&gate, &open, nothing(WINDOW_UPDATE, 1, &[0, 0, 0, 1])).await;
    flooded(&gate, &[], nothing(PRIORITY, 1, &[0, 0, 0, 0, 16])).await;
    flooded(&gate, &[], |number| frame(PRIORITY, 0, 2 * number + 1, &[0, 0, 0, 0, 16])).await;
    flooded(&gate, &[], nothing(0xfa, 0, b"a kind that nobody knows")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_taken_back_at_once_are_cut_off() {
    let gate = gate().await;
    let taken_back = |number: u32| {
        let stream = 2 * number + 1;
        let asked = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", "/one/1"));
        [asked, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let (ended, _) = flooded(&gate, &[], taken_back).await;
    assert!(ended);
    let asked = gate.upstream.asked().len();
    assert!(asked < 1_000, "{asked} requests reached the backend");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_protocol_end_the_connection_with_its_error() {
    let gate = gate().await;
    let open = frame(HEADERS, END_HEADERS, 1, &head("POST", "/one/1"));
    for (what, sent) in [
        ("a window of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a window beyond all", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])),
        ("settings of half a setting", frame(SETTINGS, 0, 0, &[0, 4, 0])),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("a window of more than 31 bits", frame(SETTINGS, 0, 0, &[0, 4, 255, 255, 255, 255])),
        ("a ping of a stream", frame(PING, 0, 1, b"8 bytes!")),
        ("a ping of seven bytes", frame(PING, 0, 0, b"7 bytes")),
        ("data of no stream", frame(DATA, 0, 0, b"x")),
        ("data of a stream that is idle", frame(DATA, 0, 7, b"x")),
        ("a head on a stream of the server's", frame(HEADERS, END_HEADERS, 2, &head("GET", "/"))),
        ("the end of a head that never began", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("a promise of a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("a frame that is too long", frame(DATA, 0, 1, &vec![0; 20_000])),
        (
            "something else inside a head",
            [frame(HEADERS, 0, 1, &head("GET", "/")), frame(PING, 0, 0, b"8 bytes!")].concat(),
        ),
        (
            "a head that no table has",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ),
        ("streams in disorder", {
            let later = frame(HEADERS, END_HEADERS | END_STREAM, 9, &head("GET", "/one/1"));
            [later, open].concat()
        }),
    ] {
        let mut flooder = Flooder::new(&gate).await;
        flooder.send(&sent).await;
        let (ended, error) = flooder.end().await;
        assert!(ended && error.is_none_or(|error| error != 0), "{what}: {ended} {error:?}");
    }
    let token = gate.teller();
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
}
