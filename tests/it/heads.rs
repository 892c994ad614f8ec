//! Heads that two readers could take differently, sent as raw bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::TaskTracker;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

async fn started() -> Gate {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

/// `TOKEN` in a raw request stands for a good bearer token.
async fn status(gate: &Gate, raw: &str) -> Option<u16> {
    let raw = raw.replace("TOKEN", &gate.teller());
    gate.client().raw(raw.as_bytes()).await
}

const GOOD: &str = "host: bank.example\r\nauthorization: Bearer TOKEN\r\n";

/// A request with a good host and token, these further header lines, and what follows the head.
fn request(line: &str, headers: &[&str], rest: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line}\r\n{GOOD}{headers}\r\n{rest}")
}

async fn assert_refused(gate: &Gate, raw: &str) {
    let status = status(gate, raw).await;
    assert!(matches!(status, None | Some(400 | 421 | 501 | 505)), "{status:?}: {raw}");
    assert_eq!(gate.upstream.hits(), 0, "{raw}");
}

#[tokio::test]
async fn a_request_must_name_one_host_and_a_path() {
    let gate = started().await;
    for host in [
        "",
        "host:\r\n",
        "host: a@bank.example\r\n",
        "host: bank.example, evil.example\r\n",
        "host: bank.example/one\r\n",
        "host: bank.example.\r\n",
        "host: bank.example:x\r\n",
    ] {
        let raw = format!("GET /one/1 HTTP/1.1\r\n{host}authorization: Bearer TOKEN\r\n\r\n");
        assert_refused(&gate, &raw).await;
    }
    for host in ["host: bank.example", "host: evil.example"] {
        assert_refused(&gate, &request("GET /one/1 HTTP/1.1", &[host], "")).await;
    }
    for line in [
        "GET https://evil.example/one/1 HTTP/1.1",
        "GET http://bank.example/one/1 HTTP/1.1",
        "GET http://evil.example/one/1 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT bank.example:443 HTTP/1.1",
        "GET one/1 HTTP/1.1",
        "TRACE /one/1 HTTP/1.1",
        "GET /one/1 HTTP/1.0",
        "GET /one/1 HTTP/2.0",
        "GET /one/1 HTTP/9.9",
        "GET /one/1",
        "GET\t/one/1\tHTTP/1.1",
        "GET  /one/1 HTTP/1.1",
        "PRI * HTTP/2.0",
        "\x16\x03\x01",
    ] {
        assert_refused(&gate, &request(line, &[], "")).await;
    }
}

#[tokio::test]
async fn a_header_line_that_two_readers_take_differently_is_refused() {
    let gate = started().await;
    for line in [
        "x : y",
        "x: y\r\n z",
        ": y",
        "x",
        "x: a\0b",
        "x: a\rhost: evil",
        "x\0: y",
        "x y: z",
        "\u{e9}: y",
        "content-length: 0\0",
        " x: y",
    ] {
        assert_refused(&gate, &request("GET /one/1 HTTP/1.1", &[line], "")).await;
    }
}

#[tokio::test]
async fn a_body_whose_end_two_readers_see_differently_is_refused() {
    let gate = started().await;
    let json = "content-type: application/json";
    for (framing, body) in [
        (&["transfer-encoding: identity, chunked"][..], "0\r\n\r\n"),
        (&["transfer-encoding: chunked", "transfer-encoding: chunked"], "0\r\n\r\n"),
        (&["transfer-encoding: chunked, gzip"], "0\r\n\r\n"),
        (&["transfer-encoding: xchunked"], "0\r\n\r\n"),
        (&["transfer-encoding: \"chunked\""], "0\r\n\r\n"),
        (&["content-length: 2", "content-length: 3"], "{}"),
        (&["content-length: 2, 3"], "{}"),
        (&["content-length: +2"], "{}"),
        (&["content-length: 0x2"], "{}"),
        (&["content-length: -1"], "{}"),
        (&["content-length: 99999999999999999999"], "{}"),
        (&["transfer-encoding: chunked"], "zz\r\n{}\r\n0\r\n\r\n"),
        (&["transfer-encoding: chunked"], "0x2\r\n{}\r\n0\r\n\r\n"),
        (&["transfer-encoding: chunked"], "2\r\n{}xx0\r\n\r\n"),
        (&["transfer-encoding: chunked"], "2\n{}\n0\n\n"),
        (&["transfer-encoding: chunked"], "fffffffffffffffff2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let headers = [&[json], framing].concat();
        assert_refused(&gate, &request("PATCH /one/1 HTTP/1.1", &headers, body)).await;
    }
    let inner = request("GET /one/1 HTTP/1.1", &[], "");
    let length = format!("content-length: {}", inner.len());
    for (line, framing, body) in [
        ("GET /one/1 HTTP/1.1", length.as_str(), inner.as_str()),
        ("GET /one/1 HTTP/1.1", "transfer-encoding: chunked", "0\r\n\r\n"),
        ("DELETE /one/1 HTTP/1.1", "content-length: 2", "{}"),
        ("PATCH /one/1 HTTP/1.0", "transfer-encoding: chunked", "0\r\n\r\n"),
    ] {
        assert_refused(&gate, &request(line, &[json, framing], body)).await;
    }
}

/// Sends several requests at once and gives the status of every answer until the gate closes.
async fn statuses(gate: &Gate, raw: &str) -> Vec<String> {
    let raw = raw.replace("TOKEN", &gate.teller());
    let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
    stream.write_all(raw.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    // The gate need not say good-bye on TLS before it closes.
    drop(soon("the end of the connection", stream.read_to_end(&mut all)).await);
    let text = String::from_utf8(all).unwrap();
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

#[tokio::test]
async fn nothing_behind_a_request_in_chunks_is_read() {
    let gate = started().await;
    let smuggled = format!("GET /one/2 HTTP/1.1\r\n{GOOD}\r\n");
    let body = "c\r\n{\"name\":\"x\"}\r\n0\r\n\r\n";
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        let head = format!(
            "PATCH /one/1 HTTP/1.1\r\n{GOOD}content-type: application/json\r\n{framing}\r\n"
        );
        assert_eq!(statuses(&gate, &format!("{head}{body}{smuggled}")).await, ["200"], "{framing}");
    }
    for asked in gate.upstream.asked() {
        assert_eq!(
            (asked.target.as_str(), asked.body.as_slice()),
            ("/one/1", &b"{\"name\":\"x\"}"[..])
        );
        assert_eq!(asked.header("content-length"), Some("12"));
    }
}

#[tokio::test]
async fn what_is_read_leniently_is_forwarded_in_one_strict_form() {
    let gate = started().await;
    let close = "connection: close\r\n\r\n";
    for raw in [
        format!("GET /one/1#x HTTP/1.1\r\n{GOOD}{close}"),
        format!("GET /one/1#/../all HTTP/1.1\r\n{GOOD}{close}"),
        format!("GET /one/1 HTTP/1.1\r\n{GOOD}{close}").replace("\r\n", "\n"),
        format!("\r\n\r\nGET /one/1 HTTP/1.1\r\n{GOOD}{close}"),
        format!("GET /one/1? HTTP/1.1\r\n{GOOD}{close}"),
        format!("GET /one/%31 HTTP/1.1\r\n{GOOD}{close}"),
        format!(
            "GET /one/1 HTTP/1.1\r\nHoSt:   BANK.example:443  \r\nauthorization: bearer TOKEN\r\n{close}"
        ),
    ] {
        assert_eq!(statuses(&gate, &raw).await, ["200"], "{raw}");
    }
    for asked in gate.upstream.asked() {
        let head = String::from_utf8(asked.head).unwrap();
        assert!(head.starts_with("GET /one/1 HTTP/1.1\r\n"), "{head}");
        assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{head}");
        assert_eq!(
            head.to_ascii_lowercase().matches("host: bank.example\r\n").count(),
            1,
            "{head}"
        );
    }
    for (path, forwarded) in [
        ("/one/%3f", "/one/%3F"),
        ("/one/a%23b", "/one/a%23b"),
        ("/one/%e7%8e%8b", "/one/%E7%8E%8B"),
    ] {
        gate.ask(Ask::get(path).by(&gate.teller())).await.expect(200);
        assert_eq!(gate.upstream.asked().last().unwrap().target, forwarded);
    }
}

#[tokio::test]
async fn a_path_that_a_backend_could_read_otherwise_is_refused() {
    let gate = started().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for path in [
        "/one/../all",
        "/one/%2e%2e/all",
        "/one/.%2e/all",
        "/one/%2E./all",
        "/one/.",
        "/./one/1",
        "//one/1",
        "/one//1",
        "/one/1//",
        "/one/%2f1",
        "/one/..%2fall",
        "/one/a%5cb",
        "/one/a%5Cb",
        "/one/%252e%252e",
        "/one/%2525",
        "/one/%00",
        "/one/1%00.json",
        "/one/%0a",
        "/one/%0d%0ax",
        "/one/%7f",
        "/one/1;admin=1",
        "/one/1%3bx",
        "/one/%",
        "/one/%2",
        "/one/%zz",
        "/one/%c0%af",
        "/one/%ff",
        "/one/%ed%a0%80",
    ] {
        let answer = connection.send(Ask::get(path).by(&token)).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn raw_bytes_in_a_target_are_refused() {
    let gate = started().await;
    for (what, target) in [
        ("raw UTF-8", "/one/王"),
        ("a backslash", "/one\\1"),
        ("a quote", "/one/\"1\""),
        ("a bracket", "/one/<1>"),
        ("a brace", "/one/{id}"),
        ("raw UTF-8 in the query", "/list?name=王"),
    ] {
        let status = status(&gate, &format!("GET {target} HTTP/1.1\r\n{GOOD}\r\n")).await;
        assert!(matches!(status, None | Some(400 | 404)), "{what}: {status:?}");
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn requests_in_one_write_are_answered_one_by_one_and_each_is_judged() {
    let gate = started().await;
    let raw = format!(
        "GET /one/1 HTTP/1.1\r\n{GOOD}\r\nGET /secret HTTP/1.1\r\n{GOOD}\r\n\
         GET /one/2 HTTP/1.1\r\nhost: bank.example\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(statuses(&gate, &raw).await, ["200", "404", "401"]);
    assert_eq!(gate.upstream.hits(), 1);
}

#[tokio::test]
async fn http2_heads_that_contradict_themselves_are_refused() {
    let gate = started().await;
    let token = gate.teller();
    let mut connection = gate.h2().await;
    let other = Ask::get("/one/1").by(&token).header("host", "evil.example");
    connection.send(other).await.expect(400);
    let same = Ask::get("/one/1").by(&token).header("host", "bank.example");
    connection.send(same).await.expect(200);
    let body = Ask::get("/one/1").by(&token).body(b"{}");
    connection.send(body).await.expect(400);
    assert_eq!(gate.upstream.hits(), 1);
}

#[tokio::test]
async fn a_blank_at_an_end_of_a_value_that_http1_would_not_see_is_refused() {
    let gate = started().await;
    let mut connection = gate.h2().await;
    let get = || Ask::get("/one/1").by(&gate.teller());
    for value in [" a", "a ", "\ta", "a\t"] {
        connection.send(get().header("menshen-reason", value)).await.expect(400);
        connection.send(get().header("x-any", value)).await.expect(400);
    }
    connection.send(get().header("menshen-reason", "a b")).await.expect(200);
    // HTTP/1.1 has them around every value, and they are no part of it.
    let line = ["x-any: \t a \t"];
    assert_eq!(status(&gate, &request("GET /one/1 HTTP/1.1", &line, "")).await, Some(200));
    assert_eq!(gate.upstream.hits(), 2);
}

/// A body of which nobody says beforehand how long it is, so that its end is a frame of its own.
struct Unannounced(Vec<&'static str>);

impl Body for Unannounced {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop().map(|part| Ok(Frame::data(Bytes::from(part)))))
    }
}

#[tokio::test]
async fn a_look_whose_end_is_an_empty_frame_is_served_and_one_with_content_is_not() {
    let gate = started().await;
    let token = gate.teller();
    let stream = gate.client().shake(&["h2"]).await.unwrap();
    let (mut sender, driver) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let tasks = TaskTracker::new();
    tasks.spawn(driver);
    for (parts, status) in [(vec![], 200), (vec![""], 200), (vec!["{}"], 400), (vec!["x", ""], 400)]
    {
        let request = Request::get("https://bank.example/one/1")
            .header("authorization", format!("Bearer {token}"))
            .header("menshen-purpose", "service");
        let request = request.body(Unannounced(parts.clone())).unwrap();
        let answer = soon("the answer", sender.send_request(request)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{parts:?}");
    }
    assert_eq!(gate.upstream.hits(), 2);
}

#[tokio::test]
async fn a_purpose_or_reason_stands_once_and_is_short() {
    let gate = started().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let get = || Ask::get("/one/1").bearer(&token);
    let long = "x".repeat(2001);
    for ask in [
        get().header("menshen-purpose", "service").header("menshen-purpose", "service"),
        get().header("menshen-reason", "a").header("menshen-reason", "b"),
        get().header("menshen-reason", &long),
        get().header("menshen-ticket", &long),
    ] {
        connection.send(ask).await.expect(400);
    }
    let unknown = connection.send(get().header("menshen-purpose", "curiosity")).await;
    assert!(unknown.expect(403).text().contains("service"));
    connection.send(get().header("menshen-reason", "because")).await.expect(200);
}
