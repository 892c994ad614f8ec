//! The gate under a supervisor such as systemd: sockets that stay open while one gate ends and the next begins, and what it
//! is told of the gate.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use menshen::clock::Clock;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::harness::client::Client;
use crate::harness::process::Process;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, soon};

/// A gate on a port that somebody else holds.
async fn held() -> (Gate, TcpListener) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    fcntl_setfd(&socket, FdFlags::empty()).unwrap();
    let gate = Setup::policy(OPEN_BANK).prepare(Clock::system()).await;
    let file = gate.path("menshen.yaml");
    let address = socket.local_addr().unwrap();
    let yaml = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, yaml.replacen("127.0.0.1:0", &address.to_string(), 1)).unwrap();
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    (gate, socket)
}

async fn run(gate: &Gate, socket: &TcpListener) -> Process {
    let fd = socket.as_raw_fd();
    let before = format!("exec 3<&{fd}; export LISTEN_FDS=1 LISTEN_PID=$$;");
    Process::run_under(gate, "info", &before, &[]).await
}

/// Asks over a new connection each time, until told to stop; gives how many answers came.
async fn visitor(client: Client, token: String, stop: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let mut connection = client.h1().await;
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_visitor_is_refused_while_one_gate_ends_and_the_next_begins() {
    let (gate, socket) = held().await;
    let token = gate.teller();
    let client = || Client::new(socket.local_addr().unwrap(), &gate.ca_pem);
    let mut process = run(&gate, &socket).await;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut visitors = tokio::task::JoinSet::new();
    for _ in 0..6 {
        visitors.spawn(visitor(client(), token.clone(), Arc::clone(&stop), Arc::clone(&asked)));
    }
    for _ in 0..3 {
        let before = asked.load(Ordering::Relaxed);
        let some = async {
            while asked.load(Ordering::Relaxed) < before + 30 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("answers", some).await;
        let (status, said) = process.stop().await;
        assert!(status.success(), "{said}");
        process = run(&gate, &socket).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(visited) = visitors.join_next().await {
        visited.unwrap();
    }
    assert!(!process.said().contains("no listener names"), "{}", process.said());
}

#[tokio::test]
async fn a_supervisor_is_told_that_the_gate_is_ready_alive_and_stopping() {
    let (gate, socket) = held().await;
    let place = gate.path("notify.sock");
    let told = UnixDatagram::bind(&place).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    drop(socket);
    let environment = [("NOTIFY_SOCKET", place.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let process = Process::run_under(&gate, "info", "", &environment).await;
    let hear = move |words: &str| {
        let mut bytes = [0; 256];
        loop {
            let length = told.recv(&mut bytes).unwrap_or_else(|error| panic!("{words}: {error}"));
            let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if said.lines().any(|line| line == words) {
                return;
            }
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    process.stop().await;
    hear("STOPPING=1");
}

/// By which `journalctl -p warning` finds what somebody should look at.
#[tokio::test]
async fn a_line_for_the_journal_says_how_bad_it_is_and_no_other_does() {
    let gate = Setup::policy(OPEN_BANK).yaml("confine: false").prepare(Clock::system()).await;
    std::fs::remove_file(gate.path("master.key")).unwrap();
    let said = |further: u64| {
        let place = gate.path("said");
        let stream = std::fs::File::create(&place).unwrap();
        let known = stream.metadata().unwrap();
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["run", "--json-events", "--config"])
            .arg(gate.path("menshen.yaml"))
            .env("JOURNAL_STREAM", format!("{}:{}", known.dev(), known.ino() + further))
            .stderr(stream)
            .status();
        assert!(!status.unwrap().success());
        std::fs::read_to_string(&place).unwrap()
    };
    let told = said(0);
    assert!(told.starts_with("<4>{\"timestamp\""), "{told}");
    assert!(told.lines().last().unwrap().starts_with("<3>menshen: master key"), "{told}");
    // The journal is somebody else's: the program was started by one whose lines go there.
    let told = said(1);
    assert!(told.starts_with("{\"timestamp\"") && !told.contains("<3>"), "{told}");
}
