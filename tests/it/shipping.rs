//! The log is carried elsewhere: to a file, syslog, a webhook, NATS and S3, over TLS, to servers that are killed
//! meanwhile. Nothing is lost.

mod nats;
mod receivers;
pub(crate) mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use menshen::audit::{Concern, Frame, OpenedFrames};
use menshen::clock::Clock;
use menshen::demo::certificates::Authority;
use tempfile::TempDir;

use crate::harness::gate::opener;
use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup};
use nats::Nats;
use receivers::{Hook, Syslog};
use servers::Server;

/// No wait takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Certificates for the servers of a test.
pub(crate) struct Elsewhere {
    folder: TempDir,
    authority: Authority,
}

impl Elsewhere {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("elsewhere", &Clock::system()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        authority
            .issue(&["localhost", "127.0.0.1"])
            .unwrap()
            .write(folder.path(), "server")
            .unwrap();
        Self { folder, authority }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// How a server of the test shakes hands.
    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let issued = self.authority.issue(&["localhost"]).unwrap();
        tokio_rustls::TlsAcceptor::from(issued.server_config().unwrap())
    }

    /// A file that only its owner may read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.folder.path().join(name), text).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.folder.path().join(name), private).unwrap();
        self.path(name)
    }
}

async fn gate(ship: &str) -> Gate {
    let gate =
        Setup::policy(OPEN_BANK).yaml(&format!("ship:\n  there: {{ {ship} }}")).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

async fn requests(gate: &Gate, number: usize) {
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for _ in 0..number {
        connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
    }
}

pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

/// The JSON of every entry, as it stands in the log.
fn logged(gate: &Gate) -> Vec<String> {
    let log = gate.path("log");
    let frames = OpenedFrames::new(&log, 0, opener(&log, &gate.path("master.key")));
    let text = |frame| match frame {
        Frame::Json(json) => String::from_utf8(json).unwrap(),
        Frame::Closed(closed) => panic!("{closed}"),
    };
    frames.map(|read| text(read.unwrap().1)).collect()
}

/// Waits until all of the log is there, and gives it as it is there.
async fn all_there(gate: &Gate, mut there: impl FnMut() -> Vec<String>) -> Vec<String> {
    let lacking = |there: &[String]| {
        let there: BTreeSet<_> = there.iter().map(String::as_str).collect();
        logged(gate).iter().filter(|line| !there.contains(line.as_str())).count()
    };
    until("all of the log", || lacking(&there()) == 0).await;
    there()
}

fn metric(text: &str, name: &str) -> Option<u64> {
    let line = format!("menshen_{name}{{target=\"there\"}} ");
    text.lines().find_map(|l| l.strip_prefix(&line))?.parse().ok()
}

pub(crate) async fn metrics(gate: &Gate) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = gate.server().metrics_address().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_file_gets_every_entry_as_it_stands_in_the_log_also_over_restarts_and_half_lines() {
    let elsewhere = Elsewhere::new();
    let file = elsewhere.path("log.jsonl");
    let mut gate = gate(&format!("to: file, path: {file}, gather: 1s")).await;
    let there = || -> Vec<String> {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    requests(&gate, 30).await;
    all_there(&gate, there).await;
    gate.stop().await;
    // A crash in the midst of a line.
    let torn = std::fs::read_to_string(&file).unwrap() + r#"{"id":"half of"#;
    std::fs::write(&file, torn).unwrap();
    gate.start().await;
    requests(&gate, 30).await;
    let there = all_there(&gate, there).await;
    assert_same(&there, &logged(&gate));
    gate.stop().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let said = menshen(&["log", "tail", "--config", &config]);
    assert_eq!(String::from_utf8(said.stdout).unwrap().lines().count(), logged(&gate).len());
    // The last entries of the gate's own end.
    let said = menshen(&["log", "tail", "--config", &config, "--to", "there"]);
    let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(said.contains("entries are at `there`"), "{said}");
    let whole = std::fs::read_to_string(&file).unwrap();
    assert_same(&whole.lines().map(str::to_owned).collect::<Vec<_>>(), &logged(&gate));
}

/// In order, and each once; says where they part, not all of both.
fn assert_same(there: &[String], logged: &[String]) {
    let parts = there.iter().zip(logged).position(|(a, b)| a != b);
    if let Some(place) = parts {
        panic!("at {place}:\n{}\nrather than\n{}", there[place], logged[place]);
    }
    assert_eq!(there.len(), logged.len(), "lines there, and in the log");
}

#[tokio::test]
async fn syslog_over_tls_gets_every_entry_though_connections_break_and_the_gate_restarts() {
    let elsewhere = Elsewhere::new();
    let syslog = Syslog::start(&elsewhere.authority, 3).await;
    let (address, ca) = (syslog.address, elsewhere.path("ca.pem"));
    let ship =
        format!("to: syslog, address: \"{address}\", server-name: localhost, ca: {ca}, gather: 1s");
    let mut gate = gate(&ship).await;
    requests(&gate, 40).await;
    gate.restart().await;
    requests(&gate, 40).await;
    let json = |message: &String| message.split_once("] ").unwrap().1.to_owned();
    all_there(&gate, || syslog.messages().iter().map(json).collect()).await;
    assert_eq!(syslog.left_to_break(), 0, "every break came");
    let messages = syslog.messages();
    let decision = messages.iter().find(|message| message.contains(" decision ")).unwrap();
    let head = decision.split_once('{').unwrap().0;
    assert!(
        head.starts_with(
            "<110>1 2027-01-15T08:00:00.000Z gate-1 menshen - decision [menshen@32473 index=\""
        ),
        "{head}"
    );
    gate.stop().await;
}

#[tokio::test]
async fn rsyslogd_writes_every_entry() {
    let elsewhere = Elsewhere::new();
    let rsyslog = Server::rsyslog(&elsewhere).await;
    let (port, ca) = (rsyslog.port, elsewhere.path("ca.pem"));
    let ship = format!("to: syslog, address: \"localhost:{port}\", ca: {ca}, gather: 1s");
    let mut gate = gate(&ship).await;
    requests(&gate, 25).await;
    let written = || std::fs::read_to_string(elsewhere.path("received")).unwrap_or_default();
    let json = |line: &str| line.split_once("] ").map_or("", |(_, json)| json.trim()).to_owned();
    all_there(&gate, || written().lines().map(json).collect()).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_webhook_gets_every_entry_though_it_fails_asks_to_wait_and_takes_few_at_a_time() {
    let elsewhere = Elsewhere::new();
    let token = elsewhere.secret("token", "let-me-in\n");
    // 503, then 429 with Retry-After, then batches of more than 7 lines are refused.
    let hook = Hook::start(&elsewhere.authority, 7).await;
    let (port, ca) = (hook.address.port(), elsewhere.path("ca.pem"));
    let ship = format!(
        "to: webhook, url: \"https://localhost:{port}/in?x=1\", ca: {ca}, token: {token}, gather: 1s"
    );
    let mut gate = gate(&ship).await;
    requests(&gate, 40).await;
    all_there(&gate, || hook.lines()).await;
    gate.restart().await;
    requests(&gate, 10).await;
    let lines = all_there(&gate, || hook.lines()).await;
    let unique: BTreeSet<_> = lines.iter().collect();
    assert_eq!(unique.len(), logged(&gate).len());
    let heads = hook.heads();
    let last = heads.last().unwrap();
    assert!(
        last.starts_with("POST /in?x=1 HTTP/1.1\r\n") && last.contains("bearer let-me-in"),
        "{last}"
    );
    assert!(
        last.contains("menshen-node: gate-1") && last.contains("idempotency-key: gate-1-"),
        "{last}"
    );
    gate.stop().await;
}

#[tokio::test]
async fn jetstream_has_every_entry_once_though_server_and_gate_are_killed() {
    let elsewhere = Elsewhere::new();
    let password = elsewhere.secret("password", "hush");
    let mut server = Server::nats(&elsewhere).await;
    let (port, ca) = (server.port, elsewhere.path("ca.pem"));
    let ship = format!(
        "to: nats, address: \"localhost:{port}\", ca: {ca}, subject: menshen.log, user: gate, password: {password}, gather: 1s"
    );
    let mut gate = gate(&ship).await;
    // Nobody takes the subject yet: nothing is confirmed, nothing is lost.
    requests(&gate, 10).await;
    let mut nats = Nats::meet(port, elsewhere.authority.certificate_pem()).await;
    nats.create_stream().await;
    requests(&gate, 30).await;
    until_stored(&gate, port, &elsewhere).await;
    server.kill();
    requests(&gate, 30).await;
    gate.restart().await;
    server.again().await;
    requests(&gate, 5).await;
    let stored = until_stored(&gate, port, &elsewhere).await;
    assert_eq!(stored, logged(&gate), "in order, and each once");
    // Sent once more, the stream keeps none of it.
    gate.stop().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let said = menshen(&["log", "tail", "--config", &config, "--to", "there", "--from", "0"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let stored = until_stored(&gate, port, &elsewhere).await;
    assert_eq!(stored, logged(&gate), "each once");
}

async fn until_stored(gate: &Gate, port: u16, elsewhere: &Elsewhere) -> Vec<String> {
    let mut nats = Nats::meet(port, elsewhere.authority.certificate_pem()).await;
    let wanted = || logged(gate).len();
    let waited = tokio::time::timeout(PATIENCE, async {
        while nats.messages().await < wanted() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for the stream");
    let mut stored = Vec::new();
    for sequence in 1..=nats.messages().await {
        stored.push(nats.message(sequence).await);
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_s3_that_was_down_at_first_gets_every_entry_as_others_read_it() {
    let elsewhere = Elsewhere::new();
    let keys = elsewhere.secret("keys", "gate\nsecret\n");
    let mut server = Server::s3(&elsewhere).await;
    server.kill();
    let (port, ca) = (server.port, elsewhere.path("ca.pem"));
    let ship = format!(
        "to: s3, url: \"https://localhost:{port}\", ca: {ca}, bucket: logs, prefix: kept/here, credentials: {keys}, gather: 1s"
    );
    let mut gate = gate(&ship).await;
    requests(&gate, 30).await;
    server.again().await;
    server.look("create", "logs", "");
    gate.restart().await;
    requests(&gate, 10).await;
    let there = || server.look("text", "logs", "kept/here/").lines().map(str::to_owned).collect();
    all_there(&gate, there).await;
    let names = server.look("names", "logs", "");
    let first = names.lines().next().unwrap();
    assert!(first.starts_with("kept/here/gate-1/2027/01/15/00000000000000000000-"), "{names}");
    gate.stop().await;
}

#[tokio::test]
async fn a_place_that_is_down_is_told_in_metrics_and_by_an_alert_and_never_stops_the_gate() {
    let elsewhere = Elsewhere::new();
    // Bound and never accepted from, so that connections hang rather than fail.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, ca) = (deaf.local_addr().unwrap().port(), elsewhere.path("ca.pem"));
    let setup = Setup::policy(OPEN_BANK).yaml("metrics: { address: \"127.0.0.1:0\" }").yaml(&format!(
        "ship:\n  there: {{ to: syslog, address: \"127.0.0.1:{port}\", server-name: localhost, ca: {ca}, gather: 1s, alert-after: 10m }}"
    ));
    let mut gate = setup.prepare(Clock::fixed(NOW_S * 1000)).await;
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    requests(&gate, 20).await;
    drop(deaf);
    gate.advance_s(601);
    let raised = |gate: &Gate| {
        let entries = gate.entries_so_far();
        entries
            .into_iter()
            .filter_map(|entry| entry.alert)
            .find(|alert| alert.concern == Concern::Shipping)
    };
    until("the alert", || raised(&gate).is_some()).await;
    let alert = raised(&gate).unwrap();
    assert!(alert.count >= 40 && alert.kinds.iter().eq(["there"]), "{alert:?}");
    let failed = tokio::time::timeout(PATIENCE, async {
        while metric(&metrics(&gate).await, "ship_failures_total").is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(failed.await.is_ok(), "waited in vain for a failure");
    let text = metrics(&gate).await;
    assert_eq!(metric(&text, "ship_behind"), Some(1), "{text}");
    assert!(metric(&text, "ship_lag_entries").unwrap() >= 40, "{text}");
    assert!(metric(&text, "ship_lag_seconds").unwrap() >= 600, "{text}");
    requests(&gate, 5).await;
    gate.stop().await;
}

#[tokio::test]
async fn after_a_restore_the_whole_log_goes_again_rather_than_less_of_it() {
    let elsewhere = Elsewhere::new();
    let file = elsewhere.path("log.jsonl");
    let mut gate = gate(&format!("to: file, path: {file}, gather: 1s")).await;
    requests(&gate, 20).await;
    let there = || -> Vec<String> {
        std::fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    all_there(&gate, there).await;
    gate.stop().await;
    // Another log stands there now, with fewer entries.
    std::fs::remove_dir_all(gate.path("log")).unwrap();
    let config = gate.path("menshen.yaml").display().to_string();
    let taken = ["restored", "--shorter-log", "--reason", "another log", "--config", &config];
    assert!(crate::harness::process::menshen(&taken).status.success());
    gate.start().await;
    requests(&gate, 3).await;
    all_there(&gate, there).await;
    gate.stop().await;
}

#[test]
fn faults_in_ship_are_told_with_their_place() {
    use menshen::config::Config;
    use menshen::document::Source;
    let fault = |ship: &str| {
        let text = format!("ship:\n  there: {{ {ship} }}\n");
        let source = Source { name: "menshen.yaml".into(), text };
        Config::parse(source, std::path::Path::new("")).unwrap_err().to_string()
    };
    for (ship, said) in [
        ("to: kafka", "kafka"),
        ("to: syslog, address: siem", "`address` must be a host and a port"),
        ("to: syslog, address: \"siem:6514\"", "`ca`"),
        ("to: syslog, address: \"siem:6514\", plain: anywhere", "can only be `loopback`"),
        ("to: webhook, url: \"http://siem/\", ca: a.pem", "must begin with `https://`"),
        ("to: webhook, url: \"https://me:pass@siem/\", ca: a.pem", "no password in it"),
        ("to: nats, address: \"n:4222\", ca: a.pem, subject: \"menshen.>\"", "without wildcards"),
        ("to: nats, address: \"n:4222\", ca: a.pem, subject: m, token: t, user: u", "not both"),
        (
            "to: s3, url: \"https://s/x\", ca: a.pem, bucket: b, credentials: c",
            "names the server only",
        ),
        ("to: file, path: x, ca: a.pem", "`ca`"),
        ("to: file, path: x, alert-after: 90d", "`alert-after` must be between 60s and 2592000s"),
    ] {
        let told = fault(ship);
        assert!(told.contains(said), "{ship}: {told}");
    }
}
