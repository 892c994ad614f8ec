//! Upstreams with several endpoints: who is asked, who is asked next, and who is left out.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use super::super::resolve::Lookup;
use super::*;

/// What a server does with every request.
#[derive(Clone, Copy)]
enum Does {
    Answer(&'static [u8]),
    /// Reads it, says this much and closes.
    Close(&'static [u8]),
}

const UNWELL: &[u8] = b"HTTP/1.1 503 Unwell\r\nContent-Length: 0\r\n\r\n";

/// A server that counts its requests; their first lines, too.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    does: Arc<Mutex<Does>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(tasks: &TaskTracker, does: Does) -> Self {
        let (does, asked) = (Arc::new(Mutex::new(does)), Arc::<Mutex<Vec<String>>>::default());
        let (by, noted) = (Arc::clone(&does), Arc::clone(&asked));
        let address = scripted(tasks, move |_, mut stream| {
            let (by, noted) = (Arc::clone(&by), Arc::clone(&noted));
            async move {
                while let Some(head) = read_head(&mut stream).await {
                    noted.lock().unwrap().push(head.lines().next().unwrap().to_owned());
                    let does = *by.lock().unwrap();
                    let (bytes, goes_on) = match does {
                        Does::Answer(bytes) => (bytes, true),
                        Does::Close(bytes) => (bytes, false),
                    };
                    if stream.write_all(bytes).await.is_err() || !goes_on {
                        return;
                    }
                }
            }
        });
        Self { address: address.await, does, asked }
    }

    async fn well(tasks: &TaskTracker) -> Self {
        Self::start(tasks, Does::Answer(OK)).await
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn hits(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// An address at which nobody listens, nor will: the port is taken.
fn nobody() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

fn over(addresses: &[SocketAddr]) -> Settings {
    let addresses: Vec<Address> = addresses.iter().map(|address| super::at(*address)).collect();
    Settings { addresses, ..plain(SocketAddr::from(([127, 0, 0, 1], 1))) }
}

fn repeating(addresses: &[SocketAddr]) -> Settings {
    Settings { repeats_idempotent: true, ..over(addresses) }
}

async fn ask(upstreams: &Upstreams, method: &str) -> (Result<Vec<u8>, UpstreamError>, u32) {
    let request = Request::builder().method(method).uri("/one").body(Empty::<Bytes>::new());
    let asked = upstreams.send("crm", request.unwrap()).await;
    let body = match asked.answer {
        Ok(answer) => read(answer.into_body()).await,
        Err(error) => Err(error),
    };
    (body, asked.retries)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect(what);
}

fn seen(upstreams: &Upstreams) -> SeenUpstream {
    upstreams.seen().pop().unwrap()
}

#[tokio::test]
async fn requests_are_spread_and_go_where_fewer_are_open() {
    let tasks = TaskTracker::new();
    let (one, two) = (Server::well(&tasks).await, Server::well(&tasks).await);
    let upstreams = open(over(&[one.address, two.address]), &tasks);
    for _ in 0..200 {
        fetch(&upstreams).await.unwrap();
    }
    assert!(one.hits() > 50 && two.hits() > 50, "{} {}", one.hits(), two.hits());
    let held = upstreams.send("crm", get()).await.answer.unwrap();
    let before = (one.hits(), two.hits());
    for _ in 0..20 {
        fetch(&upstreams).await.unwrap();
    }
    let more = [one.hits() - before.0, two.hits() - before.1];
    assert!(more == [0, 20] || more == [20, 0], "one has a request open: {more:?}");
    let open: Vec<usize> = seen(&upstreams).endpoints.iter().map(|e| e.open).collect();
    assert_eq!(open.iter().sum::<usize>(), 1);
    read(held.into_body()).await.unwrap();
    assert!(seen(&upstreams).endpoints.iter().all(|e| e.open == 0));
}

#[tokio::test]
async fn what_was_never_written_goes_to_the_other_and_who_refuses_is_left_out() {
    let tasks = TaskTracker::new();
    let well = Server::well(&tasks).await;
    let upstreams = open(over(&[nobody(), well.address]), &tasks);
    let mut retries = 0;
    for _ in 0..60 {
        let (answer, again) = ask(&upstreams, "POST").await;
        assert_eq!(answer.unwrap(), b"ok");
        retries += again;
    }
    assert_eq!(retries, 5, "after five in a row it is left out");
    let seen = seen(&upstreams);
    assert_eq!((seen.retries, seen.ejections, well.hits()), (5, 1, 60));
    let is = |e: &SeenEndpoint| (e.is_up, e.is_ejected);
    let states: Vec<_> = seen.endpoints.iter().map(is).collect();
    assert_eq!(states, [(false, true), (true, false)]);
    assert!(!seen.is_down());
}

#[tokio::test]
async fn the_last_one_and_more_than_half_are_never_left_out_by_failures() {
    let tasks = TaskTracker::new();
    let alone = open(over(&[nobody()]), &tasks);
    for _ in 0..20 {
        assert!(matches!(fetch(&alone).await, Err(UpstreamError::Connect(_))), "it is asked");
    }
    assert_eq!(seen(&alone).ejections, 0);
    assert!(seen(&alone).is_down(), "and told as down");
    let well = Server::well(&tasks).await;
    let dead = [nobody(), nobody(), nobody()];
    let upstreams = open(over(&[dead[0], dead[1], dead[2], well.address]), &tasks);
    for _ in 0..200 {
        let _any = fetch(&upstreams).await;
    }
    assert_eq!(seen(&upstreams).ejections, 2);
    for _ in 0..50 {
        assert_eq!(fetch(&upstreams).await.unwrap(), b"ok", "one of the two that stay is well");
    }
}

#[tokio::test]
async fn a_written_request_is_repeated_only_where_that_is_idempotent_and_declared() {
    for (method, declared, is_repeated) in [
        ("GET", true, true),
        ("PUT", true, true),
        ("DELETE", true, true),
        ("POST", true, false),
        ("PATCH", true, false),
        ("GET", false, false),
        ("DELETE", false, false),
    ] {
        let tasks = TaskTracker::new();
        let (deaf, well) =
            (Server::start(&tasks, Does::Close(b"")).await, Server::well(&tasks).await);
        let addresses = [deaf.address, well.address];
        let settings = if declared { repeating(&addresses) } else { over(&addresses) };
        let upstreams = open(settings, &tasks);
        let mut sent = 0;
        while deaf.hits() == 0 {
            let (answer, retries) = ask(&upstreams, method).await;
            sent += 1;
            if deaf.hits() == 0 {
                continue;
            }
            assert_eq!(retries, u32::from(is_repeated), "{method} {declared}");
            match answer {
                Ok(body) => assert!(is_repeated && body == b"ok", "{method} {declared}"),
                Err(error) => {
                    assert!(!is_repeated, "{method} {declared}: {error}");
                    assert!(matches!(error, UpstreamError::Closed(_)), "{error}");
                }
            }
        }
        let expected = if is_repeated { sent } else { sent - 1 };
        assert_eq!((deaf.hits(), well.hits()), (1, expected), "{method} {declared}");
    }
}

#[tokio::test]
async fn after_a_byte_of_an_answer_nothing_is_sent_again() {
    for begun in [&b"H"[..], b"HTTP/1.1 200 OK\r\nContent-Le", b"nonsense\r\n\r\n"] {
        let tasks = TaskTracker::new();
        let servers = [
            Server::start(&tasks, Does::Close(begun)).await,
            Server::start(&tasks, Does::Close(begun)).await,
        ];
        let upstreams = open(repeating(&[servers[0].address, servers[1].address]), &tasks);
        let (answer, retries) = ask(&upstreams, "GET").await;
        assert!(answer.is_err() && retries == 0, "{answer:?}");
        assert_eq!(servers[0].hits() + servers[1].hits(), 1);
    }
}

#[tokio::test]
async fn a_request_is_sent_to_one_other_and_not_to_a_third() {
    let tasks = TaskTracker::new();
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Server::start(&tasks, Does::Close(b"")).await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let upstreams = open(repeating(&addresses), &tasks);
    let (answer, retries) = ask(&upstreams, "GET").await;
    assert!(matches!(answer, Err(UpstreamError::Closed(_))), "{answer:?}");
    assert_eq!(retries, 1);
    let hits: Vec<usize> = servers.iter().map(Server::hits).collect();
    assert_eq!(hits.iter().sum::<usize>(), 2, "{hits:?}");
    assert!(hits.iter().all(|hits| *hits < 2), "two different ones: {hits:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_asked_for_elsewhere_where_declared() {
    let tasks = TaskTracker::new();
    let silent = scripted(&tasks, |_, stream| once(stream, b"")).await;
    let well = Server::well(&tasks).await;
    let mut settings = repeating(&[silent, well.address]);
    settings.timeouts.head = Duration::from_millis(500);
    let upstreams = open(settings, &tasks);
    let mut retries = 0;
    for _ in 0..20 {
        let (answer, again) = ask(&upstreams, "GET").await;
        assert_eq!(answer.unwrap(), b"ok");
        retries += again;
    }
    assert_eq!(retries, 5, "and it is left out after that");
}

#[tokio::test]
async fn statuses_of_failure_leave_out_only_where_that_is_declared() {
    for on_5xx in [false, true] {
        let tasks = TaskTracker::new();
        let (ill, well) =
            (Server::start(&tasks, Does::Answer(UNWELL)).await, Server::well(&tasks).await);
        let mut settings = repeating(&[ill.address, well.address]);
        settings.eject.on_5xx = on_5xx;
        let upstreams = open(settings, &tasks);
        for _ in 0..100 {
            let asked = upstreams.send("crm", get()).await;
            assert_eq!(asked.retries, 0, "a status is an answer");
            read(asked.answer.unwrap().into_body()).await.unwrap();
        }
        assert_eq!(seen(&upstreams).ejections, u64::from(on_5xx));
        assert!(if on_5xx { ill.hits() == 5 } else { ill.hits() > 20 }, "{}", ill.hits());
    }
}

#[tokio::test]
async fn a_handshake_that_is_refused_with_a_failure_is_one_where_that_is_declared() {
    for on_5xx in [false, true] {
        let tasks = TaskTracker::new();
        let (ill, well) =
            (Server::start(&tasks, Does::Answer(UNWELL)).await, Server::well(&tasks).await);
        let mut settings = over(&[ill.address, well.address]);
        settings.eject.on_5xx = on_5xx;
        let upstreams = open(settings, &tasks);
        let group = upstreams.group("crm").unwrap();
        for _ in 0..100 {
            let body = Empty::<Bytes>::new().map_err(Into::into).boxed_unsync();
            let (switch, retries) = group.switch(Request::new(body)).await;
            assert!(matches!(switch, Ok(Switch::Refused(_))) && retries == 0, "{switch:?}");
        }
        assert_eq!(seen(&upstreams).ejections, u64::from(on_5xx));
        assert!(if on_5xx { ill.hits() == 5 } else { ill.hits() > 20 }, "{}", ill.hits());
    }
}

#[tokio::test]
async fn malformed_answers_leave_nobody_out() {
    let tasks = TaskTracker::new();
    let ill = Server::start(&tasks, Does::Close(b"nonsense\r\n\r\n")).await;
    let well = Server::well(&tasks).await;
    let upstreams = open(repeating(&[ill.address, well.address]), &tasks);
    for _ in 0..100 {
        let _any = fetch(&upstreams).await;
    }
    assert!(ill.hits() > 20 && seen(&upstreams).ejections == 0, "{}", ill.hits());
}

#[tokio::test]
async fn an_endpoint_that_was_left_out_comes_back() {
    let tasks = TaskTracker::new();
    let (ill, well) = (Server::start(&tasks, Does::Close(b"")).await, Server::well(&tasks).await);
    let mut settings = repeating(&[ill.address, well.address]);
    settings.eject.time = Duration::from_secs(2);
    settings.slow_start = Duration::from_millis(1);
    let upstreams = open(settings, &tasks);
    while seen(&upstreams).ejections == 0 {
        fetch(&upstreams).await.unwrap();
    }
    ill.does(Does::Answer(OK));
    let before = ill.hits();
    for _ in 0..20 {
        fetch(&upstreams).await.unwrap();
    }
    assert_eq!(ill.hits(), before, "it is out");
    until("its return", || seen(&upstreams).endpoints.iter().all(|e| e.is_up)).await;
    for _ in 0..50 {
        fetch(&upstreams).await.unwrap();
    }
    assert!(ill.hits() > before + 5, "{}", ill.hits());
}

fn checked(address: SocketAddr) -> Settings {
    let mut health = Health::new("/healthz?deep=1");
    (health.every, health.timeout) = (Duration::from_millis(20), Duration::from_millis(500));
    Settings { health: Some(health), ..over(&[address]) }
}

#[tokio::test]
async fn where_health_checks_find_all_down_requests_are_turned_away_at_once() {
    let tasks = TaskTracker::new();
    let server = Server::well(&tasks).await;
    let upstreams = open(checked(server.address), &tasks);
    upstreams.keep();
    until("a check", || server.hits() > 0).await;
    assert_eq!(server.asked.lock().unwrap()[0], "GET /healthz?deep=1 HTTP/1.1");
    fetch(&upstreams).await.unwrap();
    server.does(Does::Answer(UNWELL));
    until("the end", || seen(&upstreams).is_down()).await;
    let why = seen(&upstreams).endpoints[0].fault.clone().unwrap();
    assert!(why.contains("503"), "{why}");
    let is_of_request = |line: &&String| line.contains("/customers");
    let requests = || server.asked.lock().unwrap().iter().filter(is_of_request).count();
    let before = requests();
    assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::AllOut)));
    assert_eq!((seen(&upstreams).refused, requests()), (1, before));
    server.does(Does::Answer(OK));
    until("its return", || !seen(&upstreams).is_down()).await;
    assert_eq!(seen(&upstreams).endpoints[0].fault, None);
    fetch(&upstreams).await.unwrap();
    upstreams.drain();
    let checks = server.hits();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(server.hits() <= checks + 1, "a drain ends the checks");
}

#[tokio::test]
async fn checks_take_no_connection_from_requests() {
    let tasks = TaskTracker::new();
    let server = Server::well(&tasks).await;
    let settings = Settings { connections: 1, waiting: 0, ..checked(server.address) };
    let upstreams = open(settings, &tasks);
    upstreams.keep();
    let held = upstreams.send("crm", get()).await.answer.unwrap();
    let before = server.hits();
    until("checks go on", || server.hits() > before + 3).await;
    assert!(!seen(&upstreams).is_down());
    drop(held);
}

/// Answers of a resolver, one after the other; the last one stays.
fn names(answers: Vec<io::Result<Vec<SocketAddr>>>) -> (Lookup, Arc<AtomicUsize>) {
    let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Mutex::new(VecDeque::from(answers)));
    let count = Arc::clone(&asked);
    let copy = |answer: &io::Result<Vec<SocketAddr>>| match answer {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(io::Error::from(error.kind())),
    };
    let lookup: Lookup = Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut answers = answers.lock().unwrap();
        let answer =
            if answers.len() > 1 { answers.pop_front().unwrap() } else { copy(&answers[0]) };
        Box::pin(std::future::ready(answer))
    });
    (lookup, asked)
}

fn named() -> Settings {
    let core = Address::Host { host: "core.internal".into(), port: 8443 };
    let transport = Transport::Plain { beyond_loopback: false };
    let settings = Settings::new("crm", "", 1, transport);
    Settings { addresses: vec![core], resolve_every: Duration::from_millis(20), ..settings }
}

fn failing() -> io::Result<Vec<SocketAddr>> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint_and_the_last_ones_stay_while_nobody_answers() {
    let tasks = TaskTracker::new();
    let (one, two) = (Server::well(&tasks).await, Server::well(&tasks).await);
    let both = vec![one.address, two.address];
    let (lookup, asked) = names(vec![Ok(both), failing(), Ok(Vec::new()), failing()]);
    let upstreams = Upstreams::open_with(&[named()], &tasks, &lookup).unwrap();
    assert!(seen(&upstreams).endpoints.is_empty());
    fetch(&upstreams).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "who comes first looks it up");
    upstreams.keep();
    until("more answers", || asked.load(Ordering::SeqCst) > 5).await;
    for _ in 0..100 {
        fetch(&upstreams).await.unwrap();
    }
    assert!(one.hits() > 20 && two.hits() > 20, "{} {}", one.hits(), two.hits());
    upstreams.drain();
}

#[tokio::test]
async fn what_lasts_stays_where_a_name_was_and_ends_with_its_upstream() {
    let (tasks, servers) = (TaskTracker::new(), TaskTracker::new());
    let switches =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (old, new) =
        (Server::start(&servers, Does::Answer(switches)).await, Server::well(&servers).await);
    let (lookup, _) = names(vec![Ok(vec![old.address]), Ok(vec![new.address])]);
    let upstreams = Upstreams::open_with(&[named()], &tasks, &lookup).unwrap();
    let body = Empty::<Bytes>::new().map_err(Into::into).boxed_unsync();
    let request = Request::get("/").header("connection", "upgrade").header("upgrade", "websocket");
    let (switch, _) = upstreams.group("crm").unwrap().switch(request.body(body).unwrap()).await;
    let Ok(Switch::Done(_, socket)) = switch else { panic!("{switch:?}") };
    upstreams.keep();
    until("the move", || seen(&upstreams).endpoints[0].place == new.address.to_string()).await;
    let ended = socket.replaced();
    tokio::pin!(ended);
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut ended).await;
    assert!(waited.is_err(), "many a name answers with other addresses each time");
    upstreams.drain();
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut ended).await;
    assert!(waited.is_err(), "that the gate stops is told by the gate");
    upstreams.take(upstreams.prepare(&[]).unwrap());
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}

#[tokio::test]
async fn a_name_that_moves_is_followed_and_connections_to_where_it_was_are_closed() {
    let (tasks, servers) = (TaskTracker::new(), TaskTracker::new());
    let (old, new) = (Server::well(&servers).await, Server::well(&servers).await);
    let (lookup, _) = names(vec![Ok(vec![old.address]), Ok(vec![new.address])]);
    let upstreams = Upstreams::open_with(&[named()], &tasks, &lookup).unwrap();
    let held = upstreams.send("crm", get()).await.answer.unwrap();
    upstreams.keep();
    until("the move", || seen(&upstreams).endpoints[0].place == new.address.to_string()).await;
    for _ in 0..20 {
        fetch(&upstreams).await.unwrap();
    }
    assert_eq!((old.hits(), new.hits()), (1, 20));
    assert_eq!(read(held.into_body()).await.unwrap(), b"ok", "what was open ends well");
    upstreams.drain();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await.unwrap();
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_not_asked_for_by_every_request() {
    let tasks = TaskTracker::new();
    let (lookup, asked) = names(vec![failing()]);
    let upstreams = Upstreams::open_with(&[named()], &tasks, &lookup).unwrap();
    for _ in 0..50 {
        assert!(matches!(fetch(&upstreams).await, Err(UpstreamError::Dns(_))));
    }
    assert!(asked.load(Ordering::SeqCst) <= 2, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_never_answers_is_asked_once_a_second_however_many_requests_come() {
    let (tasks, asked) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    });
    let mut settings = named();
    settings.timeouts.connect = Duration::from_millis(100);
    // Of two names both are asked in the time that a request has for them.
    settings.addresses.push(Address::Host { host: "core.elsewhere".into(), port: 8443 });
    let upstreams = Upstreams::open_with(&[settings], &tasks, &lookup).unwrap();
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        fetch(&upstreams).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = asked.load(Ordering::SeqCst);
    assert!((5..=12).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_socket_of_this_machine_is_an_endpoint() {
    let (tasks, dir) = (TaskTracker::new(), tempfile::tempdir().unwrap());
    let path = dir.path().join("core.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        always(stream, OK).await;
    });
    let upstreams =
        open(Settings { addresses: vec![Address::Unix(path.clone())], ..over(&[]) }, &tasks);
    for _ in 0..5 {
        assert_eq!(fetch(&upstreams).await.unwrap(), b"ok");
    }
    assert_eq!(seen(&upstreams).endpoints[0].place, format!("unix:{}", path.display()));
}

#[tokio::test]
async fn new_certificates_are_used_from_the_next_request_on_and_bad_ones_are_not() {
    let (tasks, files) = (TaskTracker::new(), Files::new());
    let address = files.serve(&tasks, false).await;
    let upstreams = open(files.settings(address, "ca", "crm.test"), &tasks);
    fetch(&upstreams).await.unwrap();
    assert!(upstreams.look_at_certificates("crm").unwrap().is_none(), "they are what they were");
    let (good, other) =
        (std::fs::read(files.path("ca")).unwrap(), std::fs::read(files.path("other")).unwrap());
    std::fs::write(files.path("ca"), "no certificate").unwrap();
    let fresh = upstreams.look_at_certificates("crm").unwrap().unwrap();
    assert!(matches!(fresh.fault(), Some(OpenError::Tls { .. })));
    upstreams.take_certificates("crm", fresh);
    assert!(upstreams.look_at_certificates("crm").unwrap().is_none(), "told once");
    fetch(&upstreams).await.unwrap();
    std::fs::write(files.path("ca"), other).unwrap();
    let fresh = upstreams.look_at_certificates("crm").unwrap().unwrap();
    upstreams.take_certificates("crm", fresh);
    let refused = fetch(&upstreams).await;
    assert!(
        matches!(refused, Err(UpstreamError::Tls(_))),
        "no old connection is used: {refused:?}"
    );
    std::fs::write(files.path("ca"), good).unwrap();
    let fresh = upstreams.look_at_certificates("crm").unwrap().unwrap();
    upstreams.take_certificates("crm", fresh);
    fetch(&upstreams).await.unwrap();
    std::fs::remove_file(files.path("ca")).unwrap();
    assert!(matches!(upstreams.look_at_certificates("crm"), Err(OpenError::File { .. })));
    fetch(&upstreams).await.unwrap();
}
