//! Pools against scripted upstreams on real sockets, the badly behaved ones included.

mod endpoints;
mod shared;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Full};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Serves each connection, numbered from 0, by a script.
async fn scripted<S, F>(tasks: &TaskTracker, script: S) -> SocketAddr
where
    S: Fn(usize, TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let spawner = tasks.clone();
    tasks.spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            spawner.spawn(script(number, stream));
        }
    });
    address
}

/// Reads one request without a body; nothing once the client has closed.
async fn read_head<T: AsyncRead + Unpin>(stream: &mut T) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Answers every request in the same way, and keeps the connection.
async fn always<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, answer: &[u8]) {
    while read_head(&mut stream).await.is_some() {
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Answers one request, then waits for the client to close.
async fn once(mut stream: TcpStream, answer: &'static [u8]) {
    if read_head(&mut stream).await.is_some() {
        stream.write_all(answer).await.unwrap();
        let _rest = read_head(&mut stream).await;
    }
}

fn plain(address: SocketAddr) -> Settings {
    let transport = Transport::Plain { beyond_loopback: false };
    Settings::new("crm", &address.ip().to_string(), address.port(), transport)
}

fn at(address: SocketAddr) -> Address {
    Address::Host { host: address.ip().to_string(), port: address.port() }
}

fn open(settings: Settings, tasks: &TaskTracker) -> Upstreams {
    Upstreams::open(&[settings], tasks).unwrap()
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("/customers?page=1").body(Empty::new()).unwrap()
}

async fn read(mut body: UpstreamBody) -> Result<Vec<u8>, UpstreamError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(bytes)
}

async fn fetch(upstreams: &Upstreams) -> Result<Vec<u8>, UpstreamError> {
    read(upstreams.send("crm", get()).await.answer?.into_body()).await
}

/// What comes of an upstream that gives this answer and then behaves.
async fn answered(answer: &'static [u8]) -> Result<Vec<u8>, UpstreamError> {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, move |_, stream| once(stream, answer)).await;
    fetch(&open(plain(address), &tasks)).await
}

/// What comes of an upstream that gives this answer and then closes.
async fn cut_off(answer: &'static [u8]) -> Result<Vec<u8>, UpstreamError> {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, move |_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(answer).await.unwrap();
    });
    fetch(&open(plain(address.await), &tasks)).await
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let (tasks, count) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    let address = scripted(&tasks, move |_, stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        always(stream, OK)
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    for _ in 0..20 {
        assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_without_a_body_gives_its_connection_back_unread() {
    let (tasks, count) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    let address = scripted(&tasks, move |_, stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        always(stream, b"HTTP/1.1 204 No Content\r\n\r\n")
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    for _ in 0..5 {
        let response = upstreams.send("crm", get()).await.answer.unwrap();
        assert!(response.body().is_end_stream());
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_connection_used_last_is_used_first() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |number, stream| {
        let answers: [&'static [u8]; 2] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
        ];
        always(stream, answers[number])
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    let first = upstreams.send("crm", get()).await.answer.unwrap();
    let second = upstreams.send("crm", get()).await.answer.unwrap();
    assert_eq!(read(second.into_body()).await.unwrap(), b"1");
    assert_eq!(read(first.into_body()).await.unwrap(), b"0");
    for _ in 0..3 {
        assert_eq!(fetch(&upstreams).await.unwrap(), b"0");
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let (tasks, closed) = (TaskTracker::new(), Arc::new(Notify::new()));
    let noted = Arc::clone(&closed);
    let address = scripted(&tasks, move |_, mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
            assert!(stream.read_u8().await.is_err());
            noted.notify_one();
        }
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    drop(upstreams.send("crm", get()).await.answer.unwrap());
    tokio::time::timeout(Duration::from_secs(5), closed.notified()).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_that_the_upstream_closed_is_replaced() {
    let (tasks, served) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&served);
    let address = scripted(&tasks, move |_, mut stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK).await.unwrap();
        }
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    for _ in 0..3 {
        assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
        while !upstreams.group("crm").unwrap().endpoints()[0].pool.newest_idle_is_closed() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(served.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_request_that_was_written_is_never_sent_twice() {
    let (tasks, requests) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&requests);
    let address = scripted(&tasks, move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(OK).await.unwrap();
            if read_head(&mut stream).await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
    assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::Closed(_))));
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used() {
    let (tasks, count) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    let address = scripted(&tasks, move |_, stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        always(stream, OK)
    })
    .await;
    let mut settings = plain(address);
    settings.timeouts.keep_alive = Duration::ZERO;
    let upstreams = open(settings, &tasks);
    fetch(&upstreams).await.unwrap();
    fetch(&upstreams).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_from_http2_arrives_as_http1_in_origin_form_with_a_host() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    let request = Request::get("https://crm.example/a/../b//?q=%2e").version(http::Version::HTTP_2);
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = upstreams.send("crm", request).await.answer.unwrap();
    let head = String::from_utf8(read(response.into_body()).await.unwrap()).unwrap();
    assert_eq!(head, format!("GET /a/../b//?q=%2e HTTP/1.1\r\nhost: {address}\r\n\r\n"));
}

#[tokio::test]
async fn a_name_nobody_has_and_a_port_nobody_listens_on_are_told_apart() {
    let tasks = TaskTracker::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstreams = open(plain(address), &tasks);
    assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::Connect(_))));
    assert!(matches!(upstreams.send("erp", get()).await.answer, Err(UpstreamError::Unknown(_))));
}

#[tokio::test]
async fn without_tls_only_loopback_is_connected_to() {
    let tasks = TaskTracker::new();
    let upstreams = open(plain(SocketAddr::from(([192, 0, 2, 1], 80))), &tasks);
    assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::PlainBeyondLoopback(_))));
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error_and_never_an_end() {
    let short = cut_off(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    assert!(matches!(short, Err(UpstreamError::Short(_))), "{short:?}");
    let short = cut_off(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    assert!(matches!(short, Err(UpstreamError::Short(_))), "{short:?}");
    let short = cut_off(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc").await;
    assert!(matches!(short, Err(UpstreamError::Short(_))), "{short:?}");
}

#[tokio::test]
async fn bytes_beyond_the_announced_length_reach_nobody() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, stream| {
        always(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    for _ in 0..5 {
        match fetch(&upstreams).await {
            Ok(body) => assert_eq!(body, b"ok"),
            Err(error) => assert!(matches!(error, UpstreamError::Closed(_)), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_reset_within_the_body_is_an_error() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let reset = fetch(&open(plain(address), &tasks)).await;
    // The reset may overtake the head.
    assert!(matches!(reset, Err(UpstreamError::Reset(_) | UpstreamError::Closed(_))), "{reset:?}");
}

#[tokio::test]
async fn malformed_answers_are_refused_by_their_head() {
    for answer in [
        &b"HELLO\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let refused = answered(answer).await;
        assert!(matches!(refused, Err(UpstreamError::BadHead(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_answer_with_two_lengths_another_coding_or_protocol_is_refused() {
    let two =
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let refused = answered(two).await;
    assert!(matches!(refused, Err(UpstreamError::TwoLengths)), "{refused:?}");
    for coded in [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let refused = answered(coded).await;
        let is_refused =
            matches!(refused, Err(UpstreamError::TransferCoding | UpstreamError::BadHead(_)));
        assert!(is_refused, "{}: {refused:?}", coded.escape_ascii());
    }
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let refused = answered(switch).await;
    assert!(
        matches!(refused, Err(UpstreamError::Switched | UpstreamError::Closed(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn malformed_chunks_are_an_error() {
    let bad =
        answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n");
    let bad = bad.await;
    assert!(matches!(bad, Err(UpstreamError::BadBody(_))), "{bad:?}");
}

#[tokio::test]
async fn heads_have_caps() {
    let tasks = TaskTracker::new();
    let mut settings = plain(SocketAddr::from(([127, 0, 0, 1], 0)));
    settings.caps = Caps { headers: 5, head_bytes: 200, buffer_bytes: 0 };
    for fields in [String::from("A: b\r\n").repeat(6), format!("A: {}\r\n", "b".repeat(300))] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
        let address = scripted(&tasks, move |_, mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _rest = read_head(&mut stream).await;
            }
        })
        .await;
        settings.addresses = vec![at(address)];
        let refused = fetch(&open(settings.clone(), &tasks)).await;
        assert!(matches!(refused, Err(UpstreamError::BadHead(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_is_timed_out() {
    let tasks = TaskTracker::new();
    for (answer, stage) in [
        (&b"HTTP/1.1 200"[..], Stage::Head),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Stage::Body),
    ] {
        let address = scripted(&tasks, move |_, stream| once(stream, answer)).await;
        let mut settings = plain(address);
        settings.timeouts.head = Duration::from_millis(200);
        settings.timeouts.body_idle = Duration::from_millis(50);
        let late = fetch(&open(settings, &tasks)).await;
        assert!(matches!(late, Err(UpstreamError::Timeout(at, _)) if at == stage), "{late:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_timed_out() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = scripted(&tasks, |_, mut stream| async move {
        let _all = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let mut settings = files.settings(address, "ca", "crm.test");
    settings.timeouts.tls = Duration::from_millis(50);
    let late = fetch(&open(settings, &tasks)).await;
    assert!(matches!(late, Err(UpstreamError::Timeout(Stage::Tls, _))), "{late:?}");
}

#[tokio::test]
async fn a_reader_that_takes_its_time_does_not_time_out_the_upstream() {
    let (tasks, more) = (TaskTracker::new(), Arc::new(Notify::new()));
    let asked = Arc::clone(&more);
    let address = scripted(&tasks, move |_, mut stream| {
        let asked = Arc::clone(&asked);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na").await.unwrap();
            asked.notified().await;
            stream.write_all(b"b").await.unwrap();
        }
    })
    .await;
    let mut settings = plain(address);
    settings.timeouts.body_idle = Duration::from_millis(100);
    let upstreams = open(settings, &tasks);
    let mut body = upstreams.send("crm", get()).await.answer.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_millis(150)).await;
    let next = async {
        tokio::task::yield_now().await;
        more.notify_one();
    };
    let (frame, ()) = tokio::join!(body.frame(), next);
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "b");
}

#[tokio::test]
async fn waiting_for_a_connection_has_a_deadline_and_the_queue_an_end() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, stream| always(stream, OK)).await;
    let mut settings = plain(address);
    (settings.connections, settings.waiting) = (1, 1);
    settings.timeouts.wait = Duration::from_millis(100);
    let upstreams = open(settings, &tasks);
    let held = upstreams.send("crm", get()).await.answer.unwrap();
    let (waited, turned_away) = tokio::join!(fetch(&upstreams), fetch(&upstreams));
    assert!(matches!(waited, Err(UpstreamError::Busy(_))), "{waited:?}");
    assert!(matches!(turned_away, Err(UpstreamError::QueueFull)), "{turned_away:?}");
    drop(held);
    assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_at_once_never_open_more_connections_than_allowed() {
    let (tasks, count) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    let address = scripted(&tasks, move |_, stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        always(stream, OK)
    })
    .await;
    let settings = Settings { connections: 4, ..plain(address) };
    let upstreams = Arc::new(open(settings, &tasks));
    let answers = Arc::new(AtomicUsize::new(0));
    hundred(&tasks, &upstreams, {
        let answers = Arc::clone(&answers);
        move |_, upstreams| {
            let answers = Arc::clone(&answers);
            async move {
                assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
                answers.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    assert_eq!(answers.load(Ordering::SeqCst), 100);
    assert!((1..=4).contains(&count.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_and_answers_nobody_reads_leave_the_pool_whole() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |number, mut stream| async move {
        if number < 40 && number % 3 == 0 {
            let _head = read_head(&mut stream).await;
            let _written = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await;
            return;
        }
        always(stream, OK).await;
    })
    .await;
    let settings = Settings { connections: 4, ..plain(address) };
    let upstreams = Arc::new(open(settings, &tasks));
    hundred(&tasks, &upstreams, |turn, upstreams| async move {
        if turn % 2 == 0 {
            drop(upstreams.send("crm", get()).await.answer);
        } else {
            let _any = fetch(&upstreams).await;
        }
    })
    .await;
    let held = [
        upstreams.send("crm", get()).await.answer,
        upstreams.send("crm", get()).await.answer,
        upstreams.send("crm", get()).await.answer,
        upstreams.send("crm", get()).await.answer,
    ];
    assert!(held.iter().all(|answer| !matches!(answer, Err(UpstreamError::Busy(_)))));
}

/// Runs something a hundred times at once and waits for all.
async fn hundred<F, R>(tasks: &TaskTracker, upstreams: &Arc<Upstreams>, run: F)
where
    F: Fn(usize, Arc<Upstreams>) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let running: Vec<_> =
        (0..100).map(|turn| tasks.spawn(run(turn, Arc::clone(upstreams)))).collect();
    for task in running {
        tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    }
}

/// A body that ends in an error at once.
#[derive(Clone)]
struct Failing;

impl Body for Failing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        std::task::Poll::Ready(Some(Err("the caller left".into())))
    }
}

#[tokio::test]
async fn a_request_body_that_fails_is_the_callers_fault() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, stream| once(stream, b"")).await;
    let upstreams = open(plain(address), &tasks);
    let request = Request::post("/").body(Failing).unwrap();
    let failed = upstreams.send("crm", request).await.answer;
    assert!(matches!(failed, Err(UpstreamError::RequestBody(_))), "{failed:?}");
}

#[tokio::test]
async fn a_request_body_arrives() {
    let tasks = TaskTracker::new();
    let address = scripted(&tasks, |_, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("content-length: 5\r\n"), "{head}");
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"hello");
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let upstreams = open(plain(address), &tasks);
    let request = Request::post("/").body(Full::new(Bytes::from_static(b"hello"))).unwrap();
    let response = upstreams.send("crm", request).await.answer.unwrap();
    assert_eq!(read(response.into_body()).await.unwrap(), b"ok");
}

#[tokio::test]
async fn draining_closes_every_connection() {
    let (client, server) = (TaskTracker::new(), TaskTracker::new());
    let address = scripted(&server, |_, stream| always(stream, OK)).await;
    let upstreams = open(plain(address), &client);
    let busy = upstreams.send("crm", get()).await.answer.unwrap();
    fetch(&upstreams).await.unwrap();
    upstreams.drain();
    assert_eq!(read(busy.into_body()).await.unwrap(), b"ok");
    client.close();
    tokio::time::timeout(Duration::from_secs(5), client.wait()).await.unwrap();
}

/// A folder with two authorities, a server's certificate and a client's, both signed by `ca`.
struct Files {
    dir: tempfile::TempDir,
    server: (String, String),
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (pem, issuer) = authority("menshen test");
        let (other, _) = authority("somebody else");
        let server = signed(&issuer, "crm.test");
        let client = signed(&issuer, "menshen.test");
        for (name, text) in
            [("ca", &pem), ("other", &other), ("chain", &client.0), ("key", &client.1)]
        {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self { dir, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self, address: SocketAddr, ca: &str, server_name: &str) -> Settings {
        let tls = TlsSettings {
            ca: self.path(ca),
            server_name: Some(server_name.into()),
            identity: None,
        };
        Settings { transport: Transport::Tls(tls), ..plain(address) }
    }

    /// What a TLS upstream shows; it may ask for a client's certificate.
    fn server_config(&self, ask: bool) -> rustls::ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if ask {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca")).unwrap()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(self.server.0.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.server.1.as_bytes()).unwrap();
        builder.with_single_cert(chain, key).unwrap()
    }

    async fn serve(&self, tasks: &TaskTracker, ask: bool) -> SocketAddr {
        let acceptor = TlsAcceptor::from(Arc::new(self.server_config(ask)));
        scripted(tasks, move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    always(stream, OK).await;
                }
            }
        })
        .await
    }
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

fn signed(issuer: &Issuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([String::from(name)]).unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn the_pinned_authority_and_the_right_name_are_believed() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = files.serve(&tasks, false).await;
    let upstreams = open(files.settings(address, "ca", "crm.test"), &tasks);
    assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
    assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
}

#[tokio::test]
async fn another_authority_and_another_name_are_refused() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = files.serve(&tasks, false).await;
    for (ca, name) in [("other", "crm.test"), ("ca", "evil.test"), ("ca", "127.0.0.1")] {
        let refused = fetch(&open(files.settings(address, ca, name), &tasks)).await;
        assert!(matches!(refused, Err(UpstreamError::Tls(_))), "{ca} {name}: {refused:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_asks_who_we_are_is_told() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = files.serve(&tasks, true).await;
    let mut settings = files.settings(address, "ca", "crm.test");
    let refused = fetch(&open(settings.clone(), &tasks)).await;
    assert!(
        matches!(refused, Err(UpstreamError::Tls(_) | UpstreamError::Closed(_))),
        "{refused:?}"
    );
    let Transport::Tls(tls) = &mut settings.transport else { panic!("not TLS") };
    tls.identity = Some(IdentityFiles { chain: files.path("chain"), key: files.path("key") });
    assert_eq!(fetch(&open(settings, &tasks)).await.unwrap(), b"ok");
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_not_spoken_to_in_clear() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = scripted(&tasks, |_, stream| once(stream, OK)).await;
    let mut settings = files.settings(address, "ca", "crm.test");
    settings.timeouts.tls = Duration::from_millis(200);
    let refused = fetch(&open(settings, &tasks)).await;
    let tls = |e: &UpstreamError| {
        matches!(e, UpstreamError::Tls(_) | UpstreamError::Timeout(Stage::Tls, _))
    };
    assert!(refused.as_ref().is_err_and(tls), "{refused:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_when_opened() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let good = plain(address);
    let fault = |settings: &[Settings]| Upstreams::open(settings, &tasks).err().unwrap();
    assert!(matches!(fault(&[good.clone(), good.clone()]), OpenError::Twice(_)));
    let none = Settings { connections: 0, ..good.clone() };
    assert!(matches!(fault(&[none]), OpenError::NoConnections(_)));
    let nowhere = Settings { addresses: Vec::new(), ..good.clone() };
    assert!(matches!(fault(&[nowhere]), OpenError::NoAddresses(_)));
    let asked = Settings { health: Some(Health::new("healthz")), ..good.clone() };
    assert!(matches!(fault(&[asked]), OpenError::Path { .. }));
    let bad = Address::Host { host: "a b\r\n".into(), port: 1 };
    let host = Settings { addresses: vec![at(address), bad], ..good };
    assert!(matches!(fault(&[host]), OpenError::Host { .. }));
    let missing = files.settings(address, "missing", "crm.test");
    assert!(matches!(fault(&[missing]), OpenError::File { .. }));
    let name = files.settings(address, "ca", "not a name");
    assert!(matches!(fault(&[name]), OpenError::ServerName { .. }));
    let trust = files.settings(address, "key", "crm.test");
    assert!(matches!(fault(&[trust]), OpenError::Tls { .. }));
}
