//! Promise 9: everything that a client or a backend can make large, many or slow has a cap.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::harness::client::read_raw;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

/// A deadline that a test can wait for.
const SHORT: Duration = Duration::from_millis(150);

async fn good(gate: &Gate) {
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let client = gate.client();
    let large =
        format!("GET / HTTP/1.1\r\nhost: bank.example\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(client.raw(large.as_bytes()).await, Some(431));
    let many = format!("GET / HTTP/1.1\r\nhost: bank.example\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert_eq!(client.raw(many.as_bytes()).await, Some(431));
    let endless = format!("GET /{} HTTP/1.1\r\nhost: bank.example\r\n\r\n", "x".repeat(100_000));
    let refused = client.raw(endless.as_bytes()).await;
    assert!(matches!(refused, Some(400 | 414 | 431)), "{refused:?}");
    for (path, status) in [
        (format!("/one/{}", "x".repeat(5000)), 400),
        (format!("/one/{}", "x/".repeat(100)), 400),
        (format!("/list?name={}", "x".repeat(9000)), 400),
        (format!("/list?{}", "name=x&".repeat(100)), 400),
    ] {
        gate.ask(Ask::get(&path).by(&gate.teller())).await.expect(status);
    }
    let mut h2 = gate.h2().await;
    let mut ask = Ask::get("/one/1").by(&gate.teller());
    ask.headers.extend((0..400).map(|n| (format!("x-{n}"), "y".repeat(200))));
    match h2.begin(ask).await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(!error.is_canceled(), "{error}"),
    }
    let mut ask = Ask::get("/one/1").by(&gate.teller());
    ask.headers.extend((0..101).map(|n| (format!("x-{n}"), "y".to_owned())));
    gate.h2().await.send(ask).await.expect(431);
    assert_eq!(gate.upstream.hits(), 0);
    good(&gate).await;
}

#[tokio::test]
async fn a_request_body_that_is_too_large_is_413_however_it_comes() {
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { request-kib: 8 }").start().await;
    let token = gate.teller();
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(9000));
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::patch("/one/1", &body).by(&token)).await;
        answer.expect(413);
    }
    let head = format!(
        "PATCH /one/1 HTTP/1.1\r\nhost: bank.example\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n"
    );
    let told = format!("{head}content-length: 99999999999\r\n\r\n{{");
    assert_eq!(gate.client().raw(told.as_bytes()).await, Some(413));
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(4));
    assert_eq!(gate.client().raw(chunked.as_bytes()).await, Some(413));
    assert_eq!(gate.upstream.hits(), 0);
    let largest = format!(r#"{{"name":"{}"}}"#, "x".repeat(8192 - 11));
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(Ask::patch("/one/1", &largest).by(&token)).await.expect(200);
}

#[tokio::test]
async fn a_request_body_that_unpacks_to_too_much_is_refused() {
    use std::io::Write as _;
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { request-kib: 8 }").start().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(format!(r#"{{"name":"{}"}}"#, "x".repeat(500_000)).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < 8192);
    let ask = Ask::new("PATCH", "/one/1").by(&gate.teller()).body(&packed);
    let ask = ask.header("content-type", "application/json").header("content-encoding", "gzip");
    let answer = gate.ask(ask).await;
    assert!(matches!(answer.status.as_u16(), 400 | 413), "{}", answer.text());
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn an_address_has_only_so_many_connections() {
    let gate = Setup::policy(OPEN_BANK).yaml("connections: { per-address: 3 }").start().await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(gate.client().shake(&["http/1.1"]).await.unwrap());
    }
    assert!(gate.client().shake(&["http/1.1"]).await.is_err(), "closed before any cryptography");
    drop(kept.pop());
    // The gate frees the place when it sees the connection end, at a time of its own.
    let again = async {
        while gate.client().shake(&["http/1.1"]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("a place to be free again", again).await;
}

#[tokio::test]
async fn an_address_opens_only_so_many_connections_in_a_minute() {
    let gate = Setup::policy(OPEN_BANK).yaml("connections: { new-per-minute: 5 }").start().await;
    for _ in 0..5 {
        drop(gate.client().shake(&["h2"]).await.unwrap());
    }
    assert!(gate.client().shake(&["h2"]).await.is_err());
    gate.advance_s(60);
    assert!(gate.client().shake(&["h2"]).await.is_ok());
}

#[tokio::test]
async fn a_client_that_says_nothing_or_half_of_it_is_closed_on() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        for listener in &mut config.listeners {
            listener.socket.handshake_timeout = SHORT;
            listener.socket.head_timeout = SHORT;
        }
    });
    let gate = setup.start().await;
    let mut silent = TcpStream::connect(gate.client().address).await.unwrap();
    let ended = soon("the end of a silent connection", silent.read(&mut [0; 16])).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
    for (protocol, half) in [
        ("http/1.1", ""),
        ("http/1.1", "GET / HTTP/1.1\r\nhost: bank.ex"),
        ("h2", ""),
        ("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let mut stream = gate.client().shake(&[protocol]).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Whatever the gate says first, it ends.
        let read = soon("the end of a slow head", stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok() || rest.len() < 1000, "{protocol} {half}");
    }
    good(&gate).await;
}

#[tokio::test]
async fn a_request_body_that_does_not_come_is_given_up() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.proxy.request_time = SHORT);
    let gate = setup.start().await;
    let head = format!(
        "PATCH /one/1 HTTP/1.1\r\nhost: bank.example\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 20\r\n\r\n{{\"na",
        gate.teller()
    );
    let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = soon("the end of patience", read_raw(&mut stream)).await;
    assert_eq!(answer, Some(408));
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").tweak(|config| {
        config.listeners[0].socket.stall_timeout = SHORT;
    });
    let mut gate = setup.start().await;
    let record = format!(r#"{{"id":1,"note":"{}"}},"#, "n".repeat(30_000));
    let endless = std::iter::once("[".to_owned()).chain((0..600).map(|_| record.clone()));
    gate.upstream.answers(Reply::open(endless).then(Step::Stall));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let response = connection.begin(Ask::get("/all").by(&token)).await.unwrap();
    assert_eq!(response.status(), 200);
    // The client holds the answer and never reads on; the drain waits for all connections.
    let entries = gate.entries().await;
    let ended = entries.last().unwrap().result.as_ref().unwrap().ended;
    assert_eq!(ended, Some(menshen::audit::Ending::AbortedByClient));
    drop(response);
}

#[tokio::test]
async fn small_requests_do_not_keep_alive_an_answer_that_nobody_takes() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").tweak(|config| {
        config.listeners[0].socket.stall_timeout = 4 * SHORT;
    });
    let gate = setup.start().await;
    let record = format!(r#"{{"id":1,"note":"{}"}},"#, "n".repeat(30_000));
    let endless = std::iter::once("[".to_owned()).chain((0..600).map(|_| record.clone()));
    gate.upstream.answers(Reply::open(endless).then(Step::Stall));
    let mut h2 = gate.h2().await;
    let left_lying = h2.twin().begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    assert_eq!(left_lying.status(), 200);
    let kept_busy = async { while h2.begin(Ask::get("/nowhere")).await.is_ok() {} };
    soon("the end of the connection", kept_busy).await;
    drop(left_lying);
}

#[tokio::test]
async fn a_backend_slower_than_the_patience_with_clients_is_waited_for() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        config.listeners[0].socket.stall_timeout = SHORT;
        config.upstreams[0].timeouts.head = 4 * SHORT;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply(vec![Step::Stall]));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(504);
}

#[tokio::test]
async fn a_backend_that_is_slow_is_504_and_one_that_stops_is_cut() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").tweak(|config| {
        config.upstreams[0].timeouts.head = SHORT;
        config.upstreams[0].timeouts.body_idle = SHORT;
    });
    let gate = setup.start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    gate.upstream.answers(Reply(vec![Step::Stall]));
    connection.send(Ask::get("/one/1").by(&token)).await.expect(504);
    gate.upstream.answers(Reply::open([r#"{"id":1,"#]).then(Step::Stall));
    connection.send(Ask::get("/one/1").by(&token)).await.expect(504);
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    gate.upstream.answers(Reply::open([record, r#"{"id":2}"#.to_owned()]).then(Step::Stall));
    let answer = connection.send(Ask::get("/all").by(&token)).await;
    assert!(answer.expect(200).cut.is_some());
    good(&gate).await;
}

#[tokio::test]
async fn a_backend_has_only_so_many_connections_and_a_queue_of_so_many() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        config.upstreams[0].connections = 1;
        config.upstreams[0].waiting = 1;
        config.upstreams[0].timeouts.wait = SHORT;
    });
    let gate = setup.start().await;
    let (arrived, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    gate.upstream.answers_by(move |_| {
        tell.add_permits(1);
        let answer = Reply::json(r#"{"id":1}"#).0;
        Reply([vec![Step::Wait(Arc::clone(&wait))], answer].concat())
    });
    let token = gate.teller();
    let ask = || Ask::get("/one/1").by(&token);
    let (mut first, mut second) = (gate.h1().await, gate.h1().await);
    let others = async {
        soon("the first to arrive", arrived.acquire()).await.unwrap().forget();
        let refused = second.send(ask()).await;
        go_on.add_permits(1);
        refused
    };
    let (served, refused) = tokio::join!(first.send(ask()), others);
    served.expect(200);
    assert!(refused.expect(503).header("retry-after").is_some());
    assert_eq!((gate.upstream.connections(), gate.upstream.hits()), (1, 1));
}

#[tokio::test]
async fn a_record_beyond_its_cap_is_refused_rather_than_held() {
    let policy = OPEN_BANK
        .replace("[view, search, export, update, create]", "[view, search, export]")
        .replace("    write: [name, note, phone]\n", "")
        .replace("    clear: [id", "    where: record.name == caller.branch\n    clear: [id");
    let setup = Setup::policy(&policy).yaml("bodies: { record-kib: 64, held-kib: 1024, depth: 8 }");
    let gate = setup.start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let record = |size: usize| format!(r#"{{"id":1,"note":"{}","name":"sh01"}}"#, "n".repeat(size));
    gate.upstream.answers(Reply::json(record(50_000)));
    connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    gate.upstream.answers(Reply::json(record(70_000)));
    connection.send(Ask::get("/one/1").by(&token)).await.expect(502);
    let deep = format!(r#"{{"id":1,"new":{}{}}}"#, "[".repeat(9), "]".repeat(9));
    gate.upstream.answers(Reply::json(deep));
    connection.send(Ask::get("/one/1").by(&token)).await.expect(502);
}

#[tokio::test]
async fn an_http2_client_has_only_so_many_streams_and_none_for_free() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.listeners[0].socket.streams = 2);
    let gate = setup.start().await;
    let (arrived, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    gate.upstream.answers_by(move |_| {
        tell.add_permits(1);
        let answer = Reply::json(r#"{"id":1}"#).0;
        Reply([vec![Step::Wait(Arc::clone(&wait))], answer].concat())
    });
    let token = gate.teller();
    let mut connection = gate.h2().await;
    // From its first answer on the client knows how many streams it may open, and waits.
    connection.send(Ask::get("/nowhere")).await.expect(404);
    let ask = || Ask::get("/one/1").by(&token);
    let (mut first, mut second) = (connection.twin(), connection.twin());
    let mut third = connection;
    let open = async {
        soon("two to arrive", arrived.acquire_many(2)).await.unwrap().forget();
        assert_eq!(gate.upstream.hits(), 2, "the third waits for a stream");
        go_on.add_permits(3);
    };
    let answers = async { tokio::join!(first.send(ask()), second.send(ask()), third.send(ask())) };
    let ((one, two, three), ()) = tokio::join!(answers, open);
    for answer in [one, two, three] {
        answer.expect(200);
    }
}

#[tokio::test]
async fn guesses_from_one_address_are_slowed_down() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let mut connection = gate.h1().await;
    let mut statuses = Vec::new();
    for n in 0..15 {
        let guess = Ask::get("/one/1").bearer(&format!("a.b.{n}"));
        statuses.push(connection.send(guess).await.status.as_u16());
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(*statuses.last().unwrap(), 429, "{statuses:?}");
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    connection.send(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
}
