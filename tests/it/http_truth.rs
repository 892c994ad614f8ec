//! What the standards of HTTP ask of a gateway, duty by duty: each row is sent over a real connection, and each is a row of
//! the guide's table.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::upstream::Asked;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

const ONE: &str = r#"{"id":"1","name":"a"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

/// A duty: where it stands, what it is, and what the gate does, in the words of the guide's table.
struct Row {
    section: &'static str,
    duty: &'static str,
    outcome: &'static str,
    send: Send,
    reply: Reply,
    seen: Vec<Seen>,
}

/// What a client sends.
enum Send {
    /// Over HTTP/1.1: a request line, further header lines, what follows the head. Host and token are added.
    One(&'static str, Vec<String>, &'static str),
    /// The same, with nothing added.
    Bare(String),
    /// Over HTTP/2.
    Two(Ask),
}

/// What must be so afterwards.
enum Seen {
    Status(u16),
    /// The answer has this line, or none of this name.
    Line(&'static str, Option<&'static str>),
    /// The backend was asked with this header, or with none of this name.
    Asked(&'static str, Option<&'static str>),
    /// The backend was asked for this target.
    Target(&'static str),
    NotAsked,
    /// Nothing of the answer holds this.
    Without(&'static str),
}

use Seen::{Line, NotAsked, Status, Target, Without};

fn one() -> Reply {
    Reply::json(ONE)
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn get(more: &[&str]) -> Send {
    Send::One("GET /one/1 HTTP/1.1", lines(more), "")
}

fn request(line: &'static str) -> Send {
    Send::One(line, Vec::new(), "")
}

fn row(
    (section, duty, outcome): (&'static str, &'static str, &'static str),
    send: Send,
    reply: Reply,
    seen: impl IntoIterator<Item = Seen>,
) -> Row {
    Row { section, duty, outcome, send, reply, seen: seen.into_iter().collect() }
}

/// A request with these lines about its host.
fn host(text: &str) -> Send {
    Send::Bare(format!(
        "GET /one/1 HTTP/1.1\r\n{text}Authorization: Bearer TOKEN\r\nMenshen-Purpose: service\r\nConnection: close\r\n\r\n"
    ))
}

/// A change of a record.
fn patch(more: &[&str], rest: &'static str) -> Send {
    let mut all = lines(&["Content-Type: application/json"]);
    all.extend(lines(more));
    Send::One("PATCH /one/1 HTTP/1.1", all, rest)
}

/// An interim answer before the record.
fn interim(status: &str) -> Reply {
    let last = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ONE}",
        ONE.len()
    );
    Reply::raw(format!("HTTP/1.1 {status}\r\nlink: <CANARY>\r\n\r\n{last}"))
}

fn bank() -> Setup {
    let policy = OPEN_BANK.replacen(
        "    returns: { customer: $ }\n",
        "    headers: { send: [x-channel], pass: [x-cost], cookies: [lang, theme] }\n    returns: { customer: $ }\n",
        1,
    );
    let idn = "  idn.view:\n    match: GET xn--bnk-qla.example/one/{id}\n    to: core\n    action: view\n    returns: { customer: $ }\nroles:";
    let six = "  six.view:\n    match: \"GET [2001:db8::1]/one/{id}\"\n    to: core\n    action: view\n    returns: { customer: $ }\n";
    Setup::policy(&policy.replacen("roles:", &format!("{six}{idn}"), 1))
}

/// Who forwards, and what it says of itself.
fn forwarding() -> Vec<Row> {
    vec![
        row(
            (
                "9110 §7.6.3",
                "a gateway names itself in `Via` of what the backend gets",
                "`1.1 menshen`, or `2 menshen`; what a client says there is not passed on",
            ),
            get(&["Via: 1.0 CANARY"]),
            one(),
            [Status(200), Seen::Asked("via", Some("1.1 menshen"))],
        ),
        row(
            ("9110 §7.6.3", "the same, with the version that was received", "`2 menshen`"),
            Send::Two(Ask::get("/one/1")),
            one(),
            [Status(200), Seen::Asked("via", Some("2 menshen"))],
        ),
        row(
            (
                "9110 §7.6.1",
                "what `Connection` names of a request is taken off",
                "also where the route sends it on",
            ),
            get(&[
                "Connection: close, Accept-Language, \u{fc}, x-channel",
                "Accept-Language: th",
                "X-Channel: branch",
            ]),
            one(),
            [Status(200), Seen::Asked("accept-language", None), Seen::Asked("x-channel", None)],
        ),
        row(
            (
                "9110 §7.6.1",
                "what `Connection` names of an answer is taken off",
                "also where the route passes it",
            ),
            get(&[]),
            Reply::with(200, &[JSON, ("connection", "\u{fc}, x-cost"), ("x-cost", "CANARY")], ONE),
            [Status(200), Line("x-cost", None), Without("CANARY")],
        ),
    ]
}

fn hop_by_hop() -> Vec<Row> {
    vec![
        row(
            (
                "9110 §7.6.1",
                "`Keep-Alive`, `Proxy-Connection`, `TE`, `Transfer-Encoding`, `Upgrade` are not forwarded",
                "only headers on a list are",
            ),
            get(&[
                "Keep-Alive: timeout=9",
                "Proxy-Connection: keep-alive",
                "TE: trailers",
                "Upgrade: h2c",
                "Trailer: x",
            ]),
            one(),
            [
                Status(200),
                Seen::Asked("keep-alive", None),
                Seen::Asked("proxy-connection", None),
                Seen::Asked("te", None),
                Seen::Asked("upgrade", None),
                Seen::Asked("trailer", None),
            ],
        ),
        row(
            ("9110 §11.7.1", "`Proxy-Authorization` is not for the backend", "not forwarded"),
            get(&["Proxy-Authorization: Basic CANARY"]),
            one(),
            [Status(200), Seen::Asked("proxy-authorization", None)],
        ),
        row(
            (
                "9110 §7.8",
                "`Upgrade` may be ignored",
                "so it is where the route is no WebSocket; the connection ends with the answer",
            ),
            get(&["Upgrade: h2c"]),
            one(),
            [Status(200), Line("connection", Some("close"))],
        ),
        row(
            (
                "9110 §14.2",
                "`Range` may be ignored",
                "the whole record is judged, and nothing but a whole answer taken",
            ),
            get(&["Range: bytes=0-3"]),
            one(),
            [Status(200), Seen::Asked("range", None)],
        ),
    ]
}

fn methods() -> Vec<Row> {
    vec![
        row(
            (
                "9110 §7.6.2",
                "`Max-Forwards` of `OPTIONS`: counted down, answered at 0",
                "neither `OPTIONS` nor `TRACE` is ever forwarded; 404 like everything that is not published",
            ),
            Send::One("OPTIONS /one/1 HTTP/1.1", lines(&["Max-Forwards: 5"]), ""),
            one(),
            [Status(404), NotAsked],
        ),
        row(
            ("9110 §9.3.8", "`TRACE` may be refused", "501"),
            Send::One("TRACE /one/1 HTTP/1.1", lines(&["Max-Forwards: 0"]), ""),
            one(),
            [Status(501), NotAsked],
        ),
        row(
            ("9110 §9.3.6", "`CONNECT` is for proxies", "501"),
            request("CONNECT bank.example:443 HTTP/1.1"),
            one(),
            [Status(501), NotAsked],
        ),
        row(
            (
                "9110 §9.3.7",
                "`OPTIONS *` is about the server as a whole",
                "501: nothing is told of it",
            ),
            request("OPTIONS * HTTP/1.1"),
            one(),
            [Status(501), NotAsked],
        ),
        row(
            (
                "9110 §9.1",
                "an unknown method",
                "404: which methods a path has is not told, so there is no `Allow`",
            ),
            request("BREW /one/1 HTTP/1.1"),
            one(),
            [Status(404), NotAsked, Line("allow", None)],
        ),
        row(
            (
                "9110 §9.3.2",
                "`HEAD` is answered like `GET`, without content",
                "**not so**: 404, since there is no record that could be judged; without content",
            ),
            request("HEAD /one/1 HTTP/1.1"),
            one(),
            [Status(404), NotAsked, Without("title")],
        ),
        row(
            (
                "9110 §10.1.1",
                "another expectation than `100-continue` may be a 417",
                "it is ignored",
            ),
            get(&["Expect: CANARY"]),
            one(),
            [Status(200), Seen::Asked("expect", None)],
        ),
    ]
}

fn targets() -> Vec<Row> {
    vec![
        row(
            (
                "9112 §3.2.2",
                "the absolute form is accepted",
                "where its scheme is `https` and `Host` agrees",
            ),
            request("GET https://bank.example/one/1 HTTP/1.1"),
            one(),
            [Status(200), Target("/one/1"), Seen::Asked("host", Some("bank.example"))],
        ),
        row(
            ("9112 §3.2.2", "of two hosts the one of the absolute form counts", "stricter: 400"),
            request("GET https://evil.example/one/1 HTTP/1.1"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9110 §7.4", "an `http` target is not served as if it were `https`", "400"),
            request("GET http://bank.example/one/1 HTTP/1.1"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            (
                "9113 §8.3.1",
                "the same of `:scheme`",
                "400 where `:authority` names the host; without it HTTP/2's library drops the scheme, and nothing else depends on it",
            ),
            Send::Two(Ask::get("http://bank.example/one/1")),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9110 §4.2.4", "a target with a user's name in it is an error", "400"),
            request("GET https://a@bank.example/one/1 HTTP/1.1"),
            one(),
            [Status(400), NotAsked],
        ),
    ]
}

fn hosts() -> Vec<Row> {
    vec![
        row(
            ("9112 §3.2", "a request without `Host` is a 400", "400"),
            host(""),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9112 §3.2", "a request with two is one, too", "400"),
            host("Host: bank.example\r\nHost: bank.example\r\n"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            (
                "9110 §4.2.3",
                "hosts are compared without case, and by their port",
                "without case; of the port nothing is asked",
            ),
            host("Host: BANK.Example:443\r\n"),
            one(),
            [Status(200), Seen::Asked("host", Some("bank.example"))],
        ),
        row(
            ("9110 §7.4", "a request for another host than the connection's may be a 421", "421"),
            host("Host: other.example\r\n"),
            one(),
            [Status(421), NotAsked],
        ),
        row(
            (
                "3986 §3.2.2",
                "an IPv6 literal stands in brackets",
                "without brackets 400; with them it is a host like others, in whatever spelling",
            ),
            host("Host: 2001:db8::1\r\n"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("5891 §5.4", "an international name comes as its A-label", "raw letters are a 400"),
            host("Host: b\u{e4}nk.example\r\n"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9113 §8.3.1", "`:authority` and `Host` do not differ", "400"),
            Send::Two(Ask::get("/one/1").header("host", "evil.example")),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            (
                "9112 §3.2",
                "blanks and fragments in a target",
                "a fragment is cut off, blanks and raw bytes are a 400",
            ),
            request("GET /one/1#x HTTP/1.1"),
            one(),
            [Status(200), Target("/one/1")],
        ),
    ]
}

fn messages() -> Vec<Row> {
    vec![
        row(
            (
                "9112 §6.1",
                "after a length beside chunks the connection ends",
                "chunks count, the backend gets a length, and the connection ends",
            ),
            patch(
                &["Content-Length: 4", "Transfer-Encoding: chunked"],
                "c\r\n{\"name\":\"x\"}\r\n0\r\n\r\n",
            ),
            one(),
            [
                Status(200),
                Line("connection", Some("close")),
                Seen::Asked("content-length", Some("12")),
                Seen::Asked("transfer-encoding", None),
            ],
        ),
        row(
            ("9112 §6.1", "a transfer coding that is not known", "400 for any but `chunked`"),
            patch(&["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9110 §6.5.1", "trailers of a request may be thrown away", "they are"),
            patch(
                &["Transfer-Encoding: chunked", "Trailer: x-channel"],
                "c\r\n{\"name\":\"x\"}\r\n0\r\nx-channel: CANARY\r\n\r\n",
            ),
            one(),
            [Status(200), Seen::Asked("x-channel", None)],
        ),
        row(
            (
                "9110 §6.5.1",
                "trailers of an answer may be thrown away",
                "they are, since nothing judges them",
            ),
            get(&["TE: trailers", "Connection: TE"]),
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-cost\r\n\r\n{:x}\r\n{ONE}\r\n0\r\nx-cost: CANARY\r\n\r\n",
                ONE.len()
            )),
            [Status(200), Without("CANARY")],
        ),
    ]
}

fn answers() -> Vec<Row> {
    vec![
        row(
            (
                "9110 §15.2",
                "interim answers are passed on",
                "**not so**: 103 is dropped with its headers, since nothing judges them",
            ),
            get(&[]),
            interim("103 Early Hints"),
            [Status(200), Without("CANARY")],
        ),
        row(
            ("9110 §15.2.1", "an unasked 100 is thrown away", "it is"),
            get(&[]),
            interim("100 Continue"),
            [Status(200), Without("CANARY")],
        ),
        row(
            ("9110 §6.6.1", "an answer says when it was made", "`Date` is the gate's"),
            get(&[]),
            Reply::with(200, &[JSON, ("date", "CANARY")], ONE),
            [Status(200), Without("CANARY")],
        ),
        row(
            ("9110 §8.6", "a 204 has no `Content-Length`", "none"),
            Send::One("DELETE /one/1 HTTP/1.1", Vec::new(), ""),
            Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
            [Status(204), Line("content-length", None)],
        ),
        row(
            ("9112 §5.2", "folded lines are refused", "400 in a request; 502 in an answer"),
            get(&["x: a\r\n b"]),
            one(),
            [Status(400), NotAsked],
        ),
        row(
            ("9112 §5.2", "the same in an answer", "502"),
            get(&[]),
            Reply::raw(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx: a\r\n CANARY\r\ncontent-length: 2\r\n\r\n{}",
            ),
            [Status(502), Without("CANARY")],
        ),
    ]
}

fn heads() -> Vec<Row> {
    vec![
        row(
            (
                "9112 §2.3",
                "HTTP/1.0 is the same major version",
                "**not so**: 505, since it has neither `Host` nor chunks for certain",
            ),
            request("GET /one/1 HTTP/1.0"),
            one(),
            [Status(505), NotAsked],
        ),
        row(
            ("6585 §5", "a head that is too large is a 431", "431 beyond 32 KiB or 100 lines"),
            get(&[&format!("x: {}", "y".repeat(33 * 1024))]),
            one(),
            [Status(431), NotAsked],
        ),
        row(
            (
                "9110 §5.4",
                "a large head below that is served",
                "a line of 16 KiB passes, where nothing is said of it",
            ),
            get(&[&format!("x: {}", "y".repeat(16 * 1024))]),
            one(),
            [Status(200)],
        ),
        row(
            (
                "9113 §8.2.3",
                "cookies that came in several lines are one line for HTTP/1.1",
                "those that the route names",
            ),
            Send::Two(Ask::get("/one/1").header("cookie", "lang=th").header("cookie", "theme=red")),
            one(),
            [Status(200), Seen::Asked("cookie", Some("lang=th; theme=red"))],
        ),
    ]
}

fn rows() -> Vec<Row> {
    [forwarding(), hop_by_hop(), methods(), targets(), hosts(), messages(), answers(), heads()]
        .into_iter()
        .flatten()
        .collect()
}

/// The answer as text: its status, then its head and body; over HTTP/2 written as over HTTP/1.1.
async fn answer(gate: &Gate, send: &Send) -> (u16, String) {
    let token = gate.teller();
    let raw = match send {
        Send::One(line, more, rest) => {
            let is_closing =
                more.iter().any(|line| line.to_ascii_lowercase().starts_with("connection:"));
            let close = if is_closing { "" } else { "Connection: close\r\n" };
            let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
            format!(
                "{line}\r\nHost: bank.example\r\nAuthorization: Bearer {token}\r\nMenshen-Purpose: service\r\n{more}{close}\r\n{rest}"
            )
        }
        Send::Bare(text) => text.replace("TOKEN", &token),
        Send::Two(ask) => {
            let answer = gate.h2().await.send(ask.clone().by(&token)).await;
            let headers = answer.headers.iter();
            let lines =
                headers.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
            let text = format!(
                "{}\r\n{}",
                lines.collect::<String>(),
                String::from_utf8_lossy(&answer.body)
            );
            return (answer.status.as_u16(), text);
        }
    };
    let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
    // The gate may refuse a head before it has all of it.
    stream.write_all(raw.as_bytes()).await.unwrap_or_default();
    let mut bytes = Vec::new();
    // Nor need it say goodbye on TLS.
    let read = async {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            bytes.extend_from_slice(&piece[..length]);
            if is_whole(&bytes) {
                break;
            }
        }
    };
    soon("an answer", read).await;
    let text = String::from_utf8(bytes).unwrap();
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default();
    (status, text.split_once("\r\n").unwrap_or_default().1.to_owned())
}

/// Whether an answer has all that its length says; one without a length ends with its connection.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

fn line<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn check(row: &Row, status: u16, text: &str, asked: &[Asked]) {
    let Row { section, duty, .. } = row;
    for seen in &row.seen {
        match seen {
            Seen::Status(wanted) => assert_eq!(status, *wanted, "{section} {duty}: {text}"),
            Seen::Line(name, wanted) => assert_eq!(line(text, name), *wanted, "{section} {duty}"),
            Seen::Asked(name, wanted) => {
                let asked = asked.last().unwrap_or_else(|| panic!("{section} {duty}: not asked"));
                assert_eq!(asked.header(name), *wanted, "{section} {duty}");
            }
            Seen::Target(wanted) => {
                assert_eq!(
                    asked.last().map(|asked| &*asked.target),
                    Some(*wanted),
                    "{section} {duty}"
                );
            }
            Seen::NotAsked => assert!(asked.is_empty(), "{section} {duty}: {asked:?}"),
            Seen::Without(text_of) => assert!(!text.contains(text_of), "{section} {duty}: {text}"),
        }
    }
}

#[tokio::test]
async fn what_the_standards_ask_of_a_gateway_is_so_row_by_row() {
    let gate = bank().start().await;
    for row in rows() {
        let before = gate.upstream.hits();
        gate.upstream.answers(row.reply.clone());
        let (status, text) = answer(&gate, &row.send).await;
        let asked = gate.upstream.asked();
        check(&row, status, &text, &asked[before..]);
    }
}

#[test]
fn the_guides_table_has_every_row() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/http.md");
    let page = std::fs::read_to_string(page).unwrap();
    let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| RFC ")).collect();
    let wanted: Vec<String> = rows()
        .iter()
        .map(|Row { section, duty, outcome, .. }| format!("| RFC {section} | {duty} | {outcome} |"))
        .collect();
    assert_eq!(told, wanted, "docs/guide/http.md holds these rows:\n{}", wanted.join("\n"));
}

#[tokio::test]
async fn whoever_waits_to_be_asked_for_the_body_is_asked_or_answered() {
    let gate = bank().start().await;
    gate.upstream.answers(one());
    for (token, interim) in [(gate.teller(), true), ("nobody".to_owned(), false)] {
        let hits = gate.upstream.hits();
        let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
        let head = format!(
            "PATCH /one/1 HTTP/1.1\r\nHost: bank.example\r\nAuthorization: Bearer {token}\r\nMenshen-Purpose: service\r\n\
             Content-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        soon("a first answer", stream.read_exact(&mut first)).await.unwrap();
        if !interim {
            assert_eq!(&first, b"HTTP/1.1 401", "answered without that the body was sent");
            assert_eq!(gate.upstream.hits(), hits);
            continue;
        }
        assert_eq!(&first, b"HTTP/1.1 100");
        stream.write_all(b"{\"name\":\"x\"}").await.unwrap();
        let mut rest = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&rest).contains("HTTP/1.1 200") {
                assert!(stream.read_buf(&mut rest).await.unwrap() > 0);
            }
        };
        soon("the last answer", read).await;
        assert_eq!(gate.upstream.asked().last().unwrap().header("expect"), None);
    }
}

#[tokio::test]
async fn hosts_in_other_scripts_and_addresses_are_hosts_like_others() {
    let gate = bank().start().await;
    gate.upstream.answers(one());
    let mut client = gate.client();
    client.host = "xn--bnk-qla.example".to_owned();
    client.h1().await.send(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    assert_eq!(gate.upstream.asked().last().unwrap().header("host"), Some("xn--bnk-qla.example"));
    // Clients send no server name for an address, so that nothing contradicts the host.
    client.host = "127.0.0.1".to_owned();
    for (host, status) in [
        ("[2001:db8::1]", 200),
        ("[2001:DB8:0:0::1]:443", 200),
        ("[2001:db8::2]", 404),
        ("[2001:db8::1", 400),
        ("[fe80::1%25eth0]", 400),
    ] {
        let ask = Ask::get("/one/1").by(&gate.teller()).header("host", host);
        let answer = client.h1().await.send(ask).await;
        assert_eq!(answer.status.as_u16(), status, "{host}");
    }
    assert_eq!(gate.upstream.asked().last().unwrap().header("host"), Some("[2001:db8::1]"));
}
