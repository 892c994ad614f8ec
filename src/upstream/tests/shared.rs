//! Several requests at once over one connection, where a backend offers HTTP/2 and the settings say so.

use std::convert::Infallible;

use http::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;

/// A backend that speaks HTTP/2, and answers each request once there is a permit for it.
#[derive(Clone)]
struct Backend {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Requests that came.
    came: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
    /// Handshakes that it lets come about.
    shakes: Arc<Semaphore>,
    /// Requests at once that it allows on a connection.
    most: u32,
    /// Closes what is open when it is cancelled, and is replaced then.
    cut: Arc<std::sync::Mutex<CancellationToken>>,
}

impl Backend {
    async fn start(files: &Files, tasks: &TaskTracker, protocols: &[&str]) -> Self {
        Self::allowing(200, files, tasks, protocols).await
    }

    async fn allowing(most: u32, files: &Files, tasks: &TaskTracker, protocols: &[&str]) -> Self {
        let mut config = files.server_config(false);
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (connections, came) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let go_on = Arc::new(Semaphore::new(0));
        let cut = Arc::new(std::sync::Mutex::new(CancellationToken::new()));
        let unset = SocketAddr::from(([127, 0, 0, 1], 1));
        let shakes = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let mut backend = Self { address: unset, connections, came, go_on, shakes, most, cut };
        let mine = backend.clone();
        backend.address = scripted(tasks, move |_, stream| {
            let (acceptor, mine) = (acceptor.clone(), mine.clone());
            async move {
                mine.shakes.acquire().await.unwrap().forget();
                let Ok(stream) = acceptor.accept(stream).await else { return };
                mine.connections.fetch_add(1, Ordering::SeqCst);
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return always(stream, OK).await;
                }
                let cut = mine.cut.lock().unwrap().clone();
                let most = mine.most;
                let service = service_fn(move |request| mine.clone().answer(request));
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(most)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ended = serving => {}
                    () = cut.cancelled() => {}
                }
            }
        })
        .await;
        backend
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        self.came.fetch_add(1, Ordering::SeqCst);
        self.go_on.acquire().await.unwrap().forget();
        let mut told = format!("{} {} {:?} ", parts.method, parts.uri, parts.version).into_bytes();
        let mut body = body;
        while let Some(frame) = body.frame().await {
            told.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        }
        let mut answer = Response::new(Full::new(Bytes::from(told)));
        let fields = parts.uri.path().strip_prefix("/fields/").map_or(0, |n| n.parse().unwrap());
        for n in 0..fields {
            let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
            answer.headers_mut().insert(name, http::HeaderValue::from_static("1"));
        }
        Ok(answer)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    fn allow(&self, requests: usize) {
        self.go_on.add_permits(requests);
    }
}

fn sharing(files: &Files, backend: &Backend, connections: usize, streams: usize) -> Settings {
    let settings = files.settings(backend.address, "ca", "crm.test");
    Settings { http2: Some(streams), connections, ..settings }
}

/// Begins so many requests, each of which waits for the backend.
fn begin(
    tasks: &TaskTracker,
    upstreams: &Arc<Upstreams>,
    requests: usize,
) -> Vec<tokio::task::JoinHandle<Result<Vec<u8>, UpstreamError>>> {
    let one = |_| {
        let upstreams = Arc::clone(upstreams);
        tasks.spawn(async move { fetch(&upstreams).await })
    };
    (0..requests).map(one).collect()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect(what);
}

#[tokio::test]
async fn many_requests_share_a_connection_up_to_the_cap_and_further_ones_open_another() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2", "http/1.1"]).await;
    let upstreams = Arc::new(open(sharing(&files, &backend, 4, 10), &tasks));
    let running = begin(&tasks, &upstreams, 25);
    until("all to come", || backend.came() == 25).await;
    assert_eq!(backend.connections(), 3);
    backend.allow(25);
    for request in running {
        request.await.unwrap().unwrap();
    }
    backend.allow(30);
    for _ in 0..30 {
        fetch(&upstreams).await.unwrap();
    }
    assert_eq!(backend.connections(), 3, "one after the other they need no other");
}

#[tokio::test]
async fn beyond_all_places_requests_wait_and_beyond_the_queue_they_are_refused() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    let settings = Settings { waiting: 1, ..sharing(&files, &backend, 2, 2) };
    let upstreams = Arc::new(open(settings, &tasks));
    let mut running = begin(&tasks, &upstreams, 4);
    until("all to come", || backend.came() == 4).await;
    running.extend(begin(&tasks, &upstreams, 1));
    until("one to wait", || upstreams.seen()[0].endpoints[0].open == 5).await;
    assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::QueueFull)));
    assert_eq!((backend.connections(), backend.came()), (2, 4));
    backend.allow(5);
    for request in running {
        request.await.unwrap().unwrap();
    }
    assert_eq!(backend.came(), 5);
}

#[tokio::test]
async fn http2_is_spoken_only_where_both_sides_say_so() {
    for (protocols, http2, expected) in [
        (&["h2", "http/1.1"][..], Some(10), true),
        (&["http/1.1"], Some(10), false),
        (&[], Some(10), false),
        (&["h2", "http/1.1"], None, false),
    ] {
        let (tasks, files) = (TaskTracker::new(), Files::new());
        let backend = Backend::start(&files, &tasks, protocols).await;
        backend.allow(100);
        let settings = Settings { http2, ..files.settings(backend.address, "ca", "crm.test") };
        let upstreams = open(settings, &tasks);
        for _ in 0..5 {
            let told = fetch(&upstreams).await.unwrap();
            assert_eq!(told != b"ok", expected, "{protocols:?} {http2:?}");
        }
        assert_eq!(backend.connections(), 1, "{protocols:?} {http2:?}");
    }
}

#[tokio::test]
async fn a_request_arrives_with_its_host_its_path_and_its_body() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    backend.allow(1);
    let upstreams = open(sharing(&files, &backend, 1, 10), &tasks);
    let request = Request::put("/a/b?q=1").header("host", "bank.example");
    let request = request.body(Full::new(Bytes::from_static(b"hello"))).unwrap();
    let answer = upstreams.send("crm", request).await.answer.unwrap();
    let told = String::from_utf8(read(answer.into_body()).await.unwrap()).unwrap();
    assert_eq!(told, "PUT https://bank.example/a/b?q=1 HTTP/2.0 hello");
}

#[tokio::test]
async fn an_answer_that_is_left_off_without_an_error_is_not_taken_for_whole() {
    for (length, sent, ends, is_whole) in [
        (None, "half", false, false),
        (Some("8"), "half", false, false),
        (Some("4"), "half", false, true),
        (None, "half", true, true),
    ] {
        let (tasks, files) = (TaskTracker::new(), Files::new());
        let mut config = files.server_config(false);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let read_it = Arc::new(Semaphore::new(0));
        let was_read = Arc::clone(&read_it);
        let address = scripted(&tasks, move |_, stream| {
            let (acceptor, was_read) = (acceptor.clone(), Arc::clone(&was_read));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                let mut head = Response::new(());
                if let Some(length) = length {
                    let length = http::HeaderValue::from_static(length);
                    head.headers_mut().insert("content-length", length);
                }
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(Bytes::from_static(sent.as_bytes()), ends).unwrap();
                let reset = async {
                    was_read.acquire().await.unwrap().forget();
                    body.send_reset(h2::Reason::NO_ERROR);
                    std::future::pending::<()>().await
                };
                tokio::select! {
                    _ended = connection.accept() => {}
                    () = reset => {}
                }
            }
        })
        .await;
        let settings = Settings { http2: Some(1), ..files.settings(address, "ca", "crm.test") };
        let upstreams = open(settings, &tasks);
        let mut body = upstreams.send("crm", get()).await.answer.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, sent);
        read_it.add_permits(1);
        let rest = read(body).await;
        match is_whole {
            true => assert_eq!(rest.unwrap(), b""),
            false => assert!(matches!(rest, Err(UpstreamError::LeftOff)), "{rest:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_leaves_takes_nobody_with_them_and_gives_the_place_back() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    let upstreams = Arc::new(open(sharing(&files, &backend, 1, 3), &tasks));
    let mut running = begin(&tasks, &upstreams, 3);
    until("all to come", || backend.came() == 3).await;
    running.pop().unwrap().abort();
    running.extend(begin(&tasks, &upstreams, 1));
    until("another to take the place", || backend.came() == 4).await;
    backend.allow(4);
    for request in running {
        request.await.unwrap().unwrap();
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_replaced_and_what_was_on_it_repeated_where_declared() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    let settings = Settings { repeats_idempotent: true, ..sharing(&files, &backend, 2, 10) };
    let upstreams = Arc::new(open(settings, &tasks));
    let running = begin(&tasks, &upstreams, 1);
    until("it to come", || backend.came() == 1).await;
    let old = std::mem::take(&mut *backend.cut.lock().unwrap());
    old.cancel();
    // New, its connection could not be all that was wrong, and there is no other endpoint.
    for request in running {
        let cut = request.await.unwrap();
        assert!(matches!(cut, Err(UpstreamError::Closed(_))), "{cut:?}");
    }
    backend.allow(2);
    fetch(&upstreams).await.unwrap();
    backend.go_on.forget_permits(10);
    let running = begin(&tasks, &upstreams, 3);
    until("all to come", || backend.came() == 5).await;
    let old = std::mem::take(&mut *backend.cut.lock().unwrap());
    old.cancel();
    until("all to come again", || backend.came() == 8).await;
    backend.allow(10);
    for request in running {
        request.await.unwrap().unwrap();
    }
    assert_eq!(upstreams.seen()[0].retries, 3);
}

#[tokio::test]
async fn idle_connections_and_those_of_old_certificates_end() {
    let (tasks, servers, files) = (TaskTracker::new(), TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &servers, &["h2"]).await;
    backend.allow(100);
    let mut settings = sharing(&files, &backend, 2, 10);
    settings.timeouts.keep_alive = Duration::from_millis(20);
    let upstreams = open(settings, &tasks);
    fetch(&upstreams).await.unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    upstreams.close_stale();
    fetch(&upstreams).await.unwrap();
    assert_eq!(backend.connections(), 2);
    let held = upstreams.send("crm", get()).await.answer.unwrap();
    upstreams.each(|endpoint| endpoint.pool.renew());
    fetch(&upstreams).await.unwrap();
    assert_eq!(backend.connections(), 3, "the old one is not used");
    upstreams.drain();
    assert!(!read(held.into_body()).await.unwrap().is_empty(), "what was open ends well");
    tasks.close();
    tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn only_so_many_wait_also_where_a_backend_allows_less_at_once_than_the_settings() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::allowing(1, &files, &tasks, &["h2"]).await;
    let settings = Settings { waiting: 1, ..sharing(&files, &backend, 2, 10) };
    let upstreams = Arc::new(open(settings, &tasks));
    let come = async |requests| until("them to come", || backend.came() == requests).await;
    // What a connection allows is known once an answer came over it.
    let mut running = Vec::new();
    for requests in 1..=4 {
        running.extend(begin(&tasks, &upstreams, 1));
        come(requests).await;
        if requests != 2 {
            backend.allow(1);
            running.remove(0).await.unwrap().unwrap();
        }
    }
    running.extend(begin(&tasks, &upstreams, 1));
    come(5).await;
    assert_eq!(backend.connections(), 2);
    running.extend(begin(&tasks, &upstreams, 1));
    until("one to wait", || upstreams.seen()[0].endpoints[0].open == 3).await;
    let further = tokio::time::timeout(Duration::from_secs(5), fetch(&upstreams)).await;
    assert!(matches!(further, Ok(Err(UpstreamError::QueueFull))), "{further:?}");
    backend.allow(3);
    for request in running {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn where_no_connection_comes_about_all_find_out_at_once_and_not_one_after_the_other() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    backend.shakes.forget_permits(Semaphore::MAX_PERMITS);
    let mut settings = sharing(&files, &backend, 16, 10);
    settings.timeouts.tls = Duration::from_millis(300);
    settings.timeouts.wait = Duration::from_millis(2_000);
    let upstreams = Arc::new(open(settings, &tasks));
    for request in begin(&tasks, &upstreams, 16) {
        let failed = request.await.unwrap();
        assert!(matches!(failed, Err(UpstreamError::Timeout(Stage::Tls, _))), "{failed:?}");
    }
    // Once one comes about, others share it again.
    backend.shakes.add_permits(100);
    backend.allow(20);
    fetch(&upstreams).await.unwrap();
    let before = backend.connections();
    for request in begin(&tasks, &upstreams, 8) {
        request.await.unwrap().unwrap();
    }
    assert_eq!(backend.connections(), before);
}

#[tokio::test]
async fn a_connection_that_was_begun_with_old_certificates_gets_no_further_request() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    backend.shakes.forget_permits(Semaphore::MAX_PERMITS);
    backend.allow(10);
    let upstreams = Arc::new(open(sharing(&files, &backend, 2, 10), &tasks));
    let begun = begin(&tasks, &upstreams, 1);
    until("a connection to be waited for", || upstreams.seen()[0].endpoints[0].open == 1).await;
    // Its age is noted when it is begun, in the same step in which it is waited for.
    tokio::task::yield_now().await;
    upstreams.each(|endpoint| endpoint.pool.renew());
    backend.shakes.add_permits(10);
    for request in begun {
        request.await.unwrap().unwrap();
    }
    fetch(&upstreams).await.unwrap();
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn a_head_has_no_more_fields_over_http2_than_over_http1() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    backend.allow(10);
    let mut settings = sharing(&files, &backend, 1, 10);
    settings.caps.headers = 20;
    let upstreams = open(settings, &tasks);
    let ask = async |fields: usize| {
        let request = Request::get(format!("/fields/{fields}")).body(Empty::<Bytes>::new());
        upstreams.send("crm", request.unwrap()).await.answer.map(drop)
    };
    ask(10).await.unwrap();
    let refused = ask(21).await;
    assert!(matches!(refused, Err(UpstreamError::Fields(21..))), "{refused:?}");
}

/// What a backend says to the second request on each connection.
#[derive(Clone, Copy)]
enum Ends {
    /// It goes, and did nothing with it.
    Goes,
    /// It refuses this one.
    Refuses,
    /// It goes, and may have acted on it.
    GoesAfterIt,
}

/// Speaks HTTP/2 by hand: answers the first request on each connection, and does this to the next.
async fn by_hand<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, ends: Ends) {
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).await.is_err() {
        return;
    }
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        let [.., id] = head;
        let goes = |last| [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, 0];
        let said = match (head[3], id, ends) {
            (1, 1, _) => vec![0, 0, 1, 1, 5, 0, 0, 0, 1, 0x89],
            (1, _, Ends::Goes) => goes(1).to_vec(),
            (1, _, Ends::Refuses) => vec![0, 0, 4, 3, 0, 0, 0, 0, id, 0, 0, 0, 7],
            (1, _, Ends::GoesAfterIt) => goes(id).to_vec(),
            _ => continue,
        };
        stream.write_all(&said).await.unwrap();
        if id > 1 {
            // What it wrote is read before the end is.
            stream.shutdown().await.unwrap();
            return;
        }
    }
}

async fn renewing(files: &Files, tasks: &TaskTracker, ends: Ends) -> Settings {
    let mut config = files.server_config(false);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = scripted(tasks, move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                by_hand(stream, ends).await;
            }
        }
    });
    Settings { http2: Some(10), ..files.settings(address.await, "ca", "crm.test") }
}

#[tokio::test]
async fn what_a_backend_did_nothing_with_is_sent_once_more_whatever_its_method() {
    for ends in [Ends::Goes, Ends::Refuses] {
        let (tasks, files) = (TaskTracker::new(), Files::new());
        let mut settings = renewing(&files, &tasks, ends).await;
        settings.eject.after = 1;
        let upstreams = open(settings, &tasks);
        for _ in 0..10 {
            let request = Request::post("/pay").body(Full::new(Bytes::from_static(b"once")));
            let asked = upstreams.send("crm", request.unwrap()).await;
            assert_eq!(asked.answer.unwrap().status(), 204);
            assert!(upstreams.seen()[0].endpoints[0].is_up, "it renews its connections");
        }
        assert!(upstreams.seen()[0].retries >= 5);
    }
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let upstreams = open(renewing(&files, &tasks, Ends::GoesAfterIt).await, &tasks);
    let pay = async || {
        let request = Request::post("/pay").body(Full::new(Bytes::from_static(b"once")));
        upstreams.send("crm", request.unwrap()).await
    };
    pay().await.answer.unwrap();
    let asked = pay().await;
    assert!(matches!(asked.answer, Err(UpstreamError::Closed(_))), "{:?}", asked.answer);
    assert_eq!(asked.retries, 0, "it may have acted");
}

#[tokio::test]
async fn one_question_beside_requests_is_asked_over_the_way_that_they_go() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let backend = Backend::start(&files, &tasks, &["h2"]).await;
    backend.allow(2);
    let settings = sharing(&files, &backend, 1, 10);
    for health in [None, Some(Health::new("/healthz"))] {
        let settings = Settings { health, ..settings.clone() };
        let answer = probe(&settings, &settings.addresses[0], true).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.date.is_some()), (200, true));
    }
    let address = files.serve(&tasks, true).await;
    let mut settings = files.settings(address, "ca", "crm.test");
    let Transport::Tls(tls) = &mut settings.transport else { panic!("not TLS") };
    tls.identity = Some(IdentityFiles { chain: files.path("chain"), key: files.path("key") });
    probe(&settings, &settings.addresses[0], true).await.unwrap();
    let unshown = probe(&settings, &settings.addresses[0], false).await.unwrap_err();
    let ProbeError::Upstream(error) = &unshown else { panic!("{unshown}") };
    assert!(matches!(error, UpstreamError::Tls(_) | UpstreamError::Closed(_)), "{error}");
}
