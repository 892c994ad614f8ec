//! How the backend of the matrix puts a body on the wire: status, codings, framing.

use std::io::Write as _;
use std::sync::Arc;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use tokio::sync::Semaphore;

use super::body::{BOMB_BYTES, Body, Family, family};
use super::table::Cell;
use crate::harness::{Reply, Step};

/// Every header by which an answer could tell something, filled with what must not be told.
const CARRIERS: &[&str] = &[
    "server",
    "set-cookie",
    "etag",
    "link",
    "location",
    "content-location",
    "content-digest",
    "repr-digest",
    "content-md5",
    "digest",
    "accept-ranges",
    "content-disposition",
    "last-modified",
    "x-total-count",
    "x-debug",
    "via",
    "age",
    "warning",
    "refresh",
    "sourcemap",
    "content-language",
];

/// The backend's answer. With `wait` it sends the last part once the test says so.
pub(super) fn reply(cell: &Cell, body: &Body, wait: Option<Arc<Semaphore>>) -> Reply {
    let whole = body.sent.len();
    let middle = match cell.value("coding") {
        bomb if bomb.contains("bomb") => whole - BOMB_BYTES - 4,
        _ => whole * 3 / 4,
    };
    let (codings, packed, middle) = encoded(cell.value("coding"), &body.sent, middle);
    let framing = Framing::of(cell.value("framing"), &packed);
    let mut head = status_line(cell, framing.version);
    for field in content_types(cell.value("content")) {
        head += &format!("content-type: {field}\r\n");
    }
    for coding in codings {
        head += &format!("content-encoding: {coding}\r\n");
    }
    for name in CARRIERS {
        head += &format!("{name}: CANARY\r\n");
    }
    let mut bytes = head.into_bytes();
    if !has_body(cell) {
        let length = if is_interim_end(cell) { "" } else { "content-length: 0\r\n" };
        bytes.extend_from_slice(length.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        return Reply(vec![Step::Send(bytes)]);
    }
    bytes.extend_from_slice(framing.head);
    bytes.extend(framing.length.iter().flat_map(|length| length.bytes()));
    bytes.extend_from_slice(b"\r\n");
    let sent = packed.get(..packed.len() - framing.cut.min(packed.len())).unwrap();
    let split = wait.as_ref().map_or(sent.len(), |_| middle.min(sent.len()));
    let (first, last) = sent.split_at(split);
    bytes.extend(framing.framed(first));
    let mut steps = vec![Step::Send(bytes)];
    steps.extend(wait.map(Step::Wait));
    let rest = [framing.framed(last), framing.tail.to_vec()].concat();
    steps.push(Step::Send(rest));
    steps.extend(framing.end);
    Reply(steps)
}

/// Statuses whose answers have no body on the wire.
pub(super) fn has_body(cell: &Cell) -> bool {
    !matches!(cell.value("status"), "204" | "205" | "304 with ETag" | "101 Switching Protocols")
}

fn is_interim_end(cell: &Cell) -> bool {
    matches!(cell.value("status"), "204" | "304 with ETag" | "101 Switching Protocols")
}

fn status_line(cell: &Cell, version: &str) -> String {
    let status = cell.value("status");
    let interim = |code: &str| {
        format!(
            "HTTP/1.1 {code} CANARY\r\nlink: <CANARY>\r\nx-canary: CANARY\r\n\r\n{version} 200 CANARY\r\n"
        )
    };
    let place = "location: https://core.internal/CANARY\r\nx-canary: CANARY\r\n";
    match status {
        "100 Continue before it" => interim("100"),
        "103 Early Hints before it" => interim("103"),
        "101 Switching Protocols" => {
            format!("{version} 101 CANARY\r\nupgrade: x\r\nconnection: upgrade\r\n")
        }
        "206 with Content-Range" => {
            format!("{version} 206 CANARY\r\ncontent-range: bytes 0-99/CANARY\r\n")
        }
        "401 with WWW-Authenticate" => {
            format!("{version} 401 CANARY\r\nwww-authenticate: CANARY\r\n")
        }
        "429 with Retry-After" => format!("{version} 429 CANARY\r\nretry-after: CANARY\r\n"),
        located if located.ends_with("with Location") => {
            format!("{version} {} CANARY\r\n{place}", code(cell))
        }
        _ => format!("{version} {} CANARY\r\n", code(cell)),
    }
}

/// The status that the backend gives in the end.
pub(super) fn code(cell: &Cell) -> u16 {
    match cell.value("status") {
        "100 Continue before it" | "103 Early Hints before it" | "HEAD" => 200,
        status => status.get(..3).unwrap().parse().unwrap(),
    }
}

fn content_types(content: &'static str) -> Vec<&'static str> {
    match content {
        "none at all" => vec![],
        "an empty one" => vec![""],
        "two types in two fields" => vec!["application/json", "text/html"],
        "text/csv; charset=gbk that is UTF-8" => vec!["text/csv; charset=gbk"],
        "multipart/mixed" => vec!["multipart/mixed; boundary=x"],
        one => vec![one],
    }
}

fn gzip(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn best(body: &[u8]) -> Vec<u8> {
    gzip(body, Compression::best())
}

/// The values of `Content-Encoding`, the body so packed, and how much of it unpacks to most of the body.
fn encoded(coding: &str, body: &[u8], middle: usize) -> (Vec<&'static str>, Vec<u8>, usize) {
    let (first, second) = body.split_at(middle);
    let (names, way) = way(coding);
    let (begun, mut packed) = match way {
        Way::Plain => (first.len(), body.to_vec()),
        Way::Stored => two(first, second, |part| gzip(part, Compression::none())),
        Way::Named => (0, named(body)),
        Way::Gzip => {
            let encoder = GzEncoder::new(Vec::new(), Compression::best());
            flushed(first, second, encoder, GzEncoder::finish, |e| e.get_ref().len())
        }
        Way::Members => two(first, second, best),
        Way::Zlib => flushed(
            first,
            second,
            ZlibEncoder::new(Vec::new(), Compression::best()),
            ZlibEncoder::finish,
            |e| e.get_ref().len(),
        ),
        Way::Raw => flushed(
            first,
            second,
            DeflateEncoder::new(Vec::new(), Compression::best()),
            DeflateEncoder::finish,
            |e| e.get_ref().len(),
        ),
        Way::Brotli => brotli(first, second),
        Way::Zstd => two(first, second, |part| zstd::bulk::compress(part, 3).unwrap()),
        Way::Twice(outer) => {
            let (_, inner, middle) = encoded(outer.1, body, middle);
            let (_, packed, middle) = encoded(outer.0, &inner, middle);
            (middle, packed)
        }
    };
    let begun = if begun == 0 { packed.len() * 3 / 4 } else { begun };
    let length = packed.len();
    match coding {
        "gzip with a wrong checksum" => packed[length - 6] ^= 1,
        "gzip with a wrong length" => packed[length - 2] ^= 1,
        cut if cut.ends_with("cut short") => packed.truncate(length - 3),
        rubbish if rubbish.starts_with("rubbish behind") => {
            packed.extend_from_slice(b"CANARY CANARY CANARY")
        }
        _ => {}
    }
    (names, packed, begun)
}

/// How a body is packed.
enum Way {
    Plain,
    Gzip,
    Members,
    Stored,
    /// gzip with text in its header.
    Named,
    Zlib,
    Raw,
    Brotli,
    Zstd,
    /// This coding over that one.
    Twice((&'static str, &'static str)),
}

fn way(coding: &str) -> (Vec<&'static str>, Way) {
    match coding {
        "none" => (vec![], Way::Plain),
        "identity" => (vec!["identity"], Way::Plain),
        "gzip in two members" => (vec!["gzip"], Way::Members),
        "gzip"
        | "gzip cut short"
        | "gzip with a wrong checksum"
        | "gzip with a wrong length"
        | "rubbish behind gzip"
        | "a gzip bomb" => (vec!["gzip"], Way::Gzip),
        "x-gzip" => (vec!["x-gzip"], Way::Gzip),
        "GZIP with a name and a comment" => (vec!["GZIP"], Way::Named),
        "gzip, stored" => (vec!["gzip"], Way::Stored),
        "deflate (zlib)" | "deflate cut short" | "rubbish behind deflate" => {
            (vec!["deflate"], Way::Zlib)
        }
        "deflate (raw)" => (vec!["deflate"], Way::Raw),
        "br" | "br cut short" | "rubbish behind br" | "a br bomb" => (vec!["br"], Way::Brotli),
        "zstd"
        | "zstd in two frames"
        | "zstd cut short"
        | "rubbish behind zstd"
        | "a zstd bomb" => (vec!["zstd"], Way::Zstd),
        "deflate, br" => (vec!["deflate, br"], Way::Twice(("br", "deflate (zlib)"))),
        "a bomb in a bomb" => (vec!["gzip, zstd"], Way::Twice(("zstd", "gzip"))),
        "compress" => (vec!["compress"], Way::Plain),
        "dcb" => (vec!["dcb"], Way::Plain),
        "a coding that nobody knows" => (vec!["rot13"], Way::Plain),
        "gzip, gzip" => (vec!["gzip, gzip"], Way::Twice(("gzip", "gzip"))),
        "gzip twice, in two fields" => (vec!["gzip", "gzip"], Way::Twice(("gzip", "gzip"))),
        "three codings" => (vec!["gzip, gzip", "gzip"], Way::Twice(("gzip", "gzip, gzip"))),
        "gzip, then identity" => (vec!["gzip", "identity"], Way::Gzip),
        "an empty field" => (vec![""], Way::Plain),
        "gzip twice, said once" => (vec!["gzip"], Way::Twice(("gzip", "gzip"))),
        "gzip, gzip, packed once" => (vec!["gzip, gzip"], Way::Gzip),
        "gzip that nobody said" => (vec![], Way::Gzip),
        "gzip that is none" => (vec!["gzip"], Way::Plain),
        "deflate that is none" => (vec!["deflate"], Way::Plain),
        "br that is none" => (vec!["br"], Way::Plain),
        "zstd that is none" => (vec!["zstd"], Way::Plain),
        other => panic!("no coding `{other}`"),
    }
}

/// Packs both parts by themselves.
fn two(first: &[u8], second: &[u8], pack: impl Fn(&[u8]) -> Vec<u8>) -> (usize, Vec<u8>) {
    let first = pack(first);
    (first.len(), [first, pack(second)].concat())
}

/// Packs both parts as one, flushed between them.
fn flushed<W: std::io::Write>(
    first: &[u8],
    second: &[u8],
    mut encoder: W,
    finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>,
    length: impl Fn(&W) -> usize,
) -> (usize, Vec<u8>) {
    encoder.write_all(first).unwrap();
    encoder.flush().unwrap();
    let begun = length(&encoder);
    encoder.write_all(second).unwrap();
    (begun, finish(encoder).unwrap())
}

fn brotli(first: &[u8], second: &[u8]) -> (usize, Vec<u8>) {
    let writer = ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
    flushed(
        first,
        second,
        writer,
        |writer| Ok(writer.into_inner()),
        |writer| writer.get_ref().len(),
    )
}

fn named(body: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().filename("CANARY").comment("CANARY").extra("CANARY");
    let mut encoder = builder.write(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// How a body is told to end.
struct Framing {
    version: &'static str,
    head: &'static [u8],
    length: Option<String>,
    chunk: Option<usize>,
    /// How much of the end of the body is not sent.
    cut: usize,
    tail: &'static [u8],
    end: Option<Step>,
}

const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// As much as cuts into the last record of every format.
const CUT: usize = 12;

impl Framing {
    fn of(framing: &str, body: &[u8]) -> Self {
        let length = |less: usize| Some(format!("content-length: {}\r\n", body.len() - less));
        let whole = Self {
            version: "HTTP/1.1",
            head: b"",
            length: None,
            chunk: None,
            cut: 0,
            tail: b"",
            end: None,
        };
        let chunks = Self { head: CHUNKED, chunk: Some(1000), tail: LAST_CHUNK, ..whole };
        let whole = || Self {
            version: "HTTP/1.1",
            head: b"",
            length: None,
            chunk: None,
            cut: 0,
            tail: b"",
            end: None,
        };
        let close = Some(Step::Close);
        match framing {
            "a length" => Self { length: length(0), ..whole() },
            "chunks" => chunks,
            "chunks of one byte, with extensions" => Self { chunk: Some(1), ..chunks },
            "until the connection closes" => Self { end: close, ..whole() },
            "HTTP/1.0 until the connection closes" => {
                Self { version: "HTTP/1.0", end: close, ..whole() }
            }
            "chunks with trailers" => Self {
                head: b"transfer-encoding: chunked\r\ntrailer: x-canary, etag\r\n",
                tail: b"0\r\nx-canary: CANARY\r\netag: CANARY\r\nset-cookie: CANARY\r\n\r\n",
                ..chunks
            },
            "cut within its length" => Self { length: length(0), cut: CUT, end: close, ..whole() },
            "reset within its length" => {
                Self { length: length(0), cut: CUT, end: Some(Step::Reset), ..whole() }
            }
            "a length too short" => Self { length: length(CUT), end: close, ..whole() },
            "cut within a chunk" => Self { cut: CUT, tail: b"64\r\nCANARY", end: close, ..chunks },
            "no last chunk" => Self { tail: b"", end: close, ..chunks },
            "a chunk size that is none" => Self { tail: b"zz\r\nCANARY\r\n", end: close, ..chunks },
            "a chunk longer than it says" => {
                Self { tail: b"1\r\n CANARY\r\n0\r\n\r\n", end: close, ..chunks }
            }
            "closed early without a length" => Self { cut: CUT, end: close, ..whole() },
            "two lengths" => {
                Self { head: b"content-length: 7\r\n", length: length(0), end: close, ..whole() }
            }
            "a negative length" => Self { head: b"content-length: -1\r\n", end: close, ..whole() },
            "a length and chunks" => Self { length: length(0), end: close, ..chunks },
            "a coding besides chunked" => {
                Self { head: b"transfer-encoding: gzip, chunked\r\n", end: close, ..chunks }
            }
            "a folded header" => Self {
                head: b"x-canary: CANARY\r\n CANARY\r\n",
                length: length(0),
                end: close,
                ..whole()
            },
            "a header with a zero byte" => {
                Self { head: b"x-canary: CANARY\0\r\n", length: length(0), end: close, ..whole() }
            }
            other => panic!("no framing `{other}`"),
        }
    }

    fn framed(&self, body: &[u8]) -> Vec<u8> {
        let Some(size) = self.chunk else { return body.to_vec() };
        let mut bytes = Vec::new();
        let mut rest = body;
        for index in 0.. {
            // Bytes one by one, as long as that costs little; and libraries read few extensions.
            let size = if index < 1000 { size } else { size.max(50) };
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            if piece.is_empty() {
                break;
            }
            let extension = if size == 1 && index < 50 { ";x=CANARY;y=\"CANARY\"" } else { "" };
            bytes.extend(format!("{:x}{extension}\r\n", piece.len()).bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
            rest = behind;
        }
        bytes
    }
}

/// Whether this framing can cut a body of this size, whose rest then shows that it was cut.
pub(super) fn fits(framing: &str, size: &str, content: &str) -> bool {
    let cuts = matches!(
        framing,
        "cut within its length"
            | "reset within its length"
            | "a length too short"
            | "cut within a chunk"
            | "closed early without a length"
    );
    let is_wide = content.contains("charset=utf-16");
    !(cuts && (size == "nothing" || is_wide || family(content) == Family::Unread))
}
