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
    /// Closes what is open when it is cancelled, and is replaced then.
    cut: Arc<std::sync::Mutex<CancellationToken>>,
}

impl Backend {
    async fn start(files: &Files, tasks: &TaskTracker, protocols: &[&str]) -> Self {
        let mut config = files.server_config(false);
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (connections, came) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let go_on = Arc::new(Semaphore::new(0));
        let cut = Arc::new(std::sync::Mutex::new(CancellationToken::new()));
        let unset = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut backend = Self { address: unset, connections, came, go_on, cut };
        let mine = backend.clone();
        backend.address = scripted(tasks, move |_, stream| {
            let (acceptor, mine) = (acceptor.clone(), mine.clone());
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                mine.connections.fetch_add(1, Ordering::SeqCst);
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return always(stream, OK).await;
                }
                let cut = mine.cut.lock().unwrap().clone();
                let service = service_fn(move |request| mine.clone().answer(request));
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
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
        Ok(Response::new(Full::new(Bytes::from(told))))
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
