//! Promise 8: no secret and no customer's value in the log, its index, the state, the metrics, pages of errors, or the
//! events of any level; neither as they are nor in base64, hex or the form of a URL.
//!
//! The gate runs as a process that writes every event there is; afterwards all it wrote is searched.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use menshen::clock::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::gate::session_of;
use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, holds};
use crate::traces::{Collector, all_to};

/// Stands in every value that a customer or a caller would not want to read again.
const CANARY: &str = "CANARY";
/// The same where only digits go.
const DIGITS: &str = "13587654321";
const PASSWORD: &str = "CANARY quiet lantern";

/// Every file below a folder, with its name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

async fn sign_in_in_every_way(gate: &Gate, process: &Process) -> Vec<String> {
    let mut connection = process.client().h1().await;
    let secret = gate.enrol("wang").await;
    let login = |account: &str, password: &str| {
        Ask::post(
            "/.menshen/login",
            &json!({ "account": account, "password": password }).to_string(),
        )
    };
    connection.send(login("wang", "CANARY wrong")).await.expect(401);
    connection.send(login("CANARY nobody", PASSWORD)).await.expect(401);
    connection.send(Ask::post("/.menshen/login", "{\"account\":\"CANARY")).await.expect(400);
    let form = "account=wang&password=CANARY+wrong&next=/CANARY";
    connection
        .send(
            Ask::new("POST", "/.menshen/login").form(form).header("origin", "https://bank.example"),
        )
        .await
        .expect(401);
    let first = session_of(connection.send(login("wang", PASSWORD)).await.expect(200));
    let code = |code: &str| Ask::post("/.menshen/code", &json!({ "code": code }).to_string());
    connection.send(code(CANARY).cookie(&first)).await.expect(401);
    let browse = |ask: Ask, session: &str| {
        ask.cookie(session).header("accept", "text/html").header("sec-fetch-site", "same-origin")
    };
    let form = Ask::new("POST", "/one").form("name=CANARY&phone=13587654321");
    let kept = connection.send(browse(form, &first)).await;
    let to = kept.expect(303).header("location").unwrap().to_owned();
    let (path, name) = to.split_once('?').unwrap();
    let answer = connection.send(code(&gate.code(&secret)).cookie(&first)).await;
    let second = session_of(answer.expect(200));
    connection.send(browse(Ask::get(&to), &second)).await.expect(200);
    connection.send(browse(Ask::new("POST", path).form(name), &second)).await;
    connection.send(Ask::get("/one/1").cookie(&first)).await.expect(401);
    connection.send(Ask::get("/.menshen/session").cookie(&second)).await.expect(200);
    connection.send(Ask::get("/.menshen/login?next=/CANARY")).await.expect(200);
    connection.send(Ask::post("/.menshen/logout", "{}").cookie(&second)).await.expect(204);
    vec![first, second, name.trim_start_matches("r=").to_owned()]
}

/// Requests that carry a canary in every place there is, and whatever they are answered.
fn requests(token: &str) -> Vec<Ask> {
    let get = |path: &str| Ask::get(path).by(token);
    let guessed = format!("{CANARY}{}", "x".repeat(37));
    vec![
        get("/one/1"),
        get("/list"),
        get("/one/1").header("accept", "text/html"),
        get("/one/CANARY"),
        get("/one/13587654321"),
        get("/CANARY/CANARY"),
        get("/one/%43ANARY%00"),
        get("/one/../CANARY"),
        get("/list?name=CANARY"),
        get("/list?name=13587654321&phone=13587654321"),
        get("/list?secret=CANARY"),
        get("/list?name=CANARY%zz"),
        get("/list?sort=CANARY"),
        get("/one/1").header("x-canary", CANARY),
        get("/one/1").header("cookie", "other=CANARY"),
        Ask::get("/one/1").bearer("CANARY.CANARY.CANARY"),
        Ask::get("/one/1").bearer("CANARY"),
        Ask::get("/one/1").header("authorization", "Basic Q0FOQVJZ CANARY"),
        Ask::get("/one/1").cookie(&guessed),
        Ask::get("/one/1").cookie(CANARY),
        Ask::get("/one/1").cookie(&guessed).bearer("CANARY.CANARY.CANARY"),
        Ask::patch("/one/1", r#"{"name":"CANARY","phone":"13587654321"}"#).by(token),
        Ask::patch("/one/1", r#"{"name":"CANARY","secret":"CANARY"}"#).by(token),
        Ask::patch("/one/1", r#"{"name":CANARY}"#).by(token),
        Ask::patch("/one/1", r#"{"13587654321":"CANARY"}"#).by(token),
        Ask::patch("/one/1", r#"{"name":{"x":"CANARY"}}"#).by(token),
        Ask::patch("/one/1", r#"{"phone":"135****4321","name":"CANARY""#).by(token),
        Ask::new("PATCH", "/one/1").by(token).form("name=CANARY"),
        get("/one/1").body(b"CANARY"),
    ]
}

fn replies() -> Vec<Reply> {
    let json = ("content-type", "application/json");
    vec![
        Reply::json(
            r#"{"id":"13587654321","name":"CANARY","note":"CANARY","phone":"13587654321",
                "secret":"CANARY","13587654321":"CANARY","new":"CANARY","address":{"street":"CANARY"}}"#,
        ),
        Reply::json(r#"{"id":"CANARY","name":"CANARY""#),
        Reply::json(r#"{"id":"CANARY","name":CANARY}"#),
        Reply::json(r#"{"name":"CANARY"}"#),
        Reply::with(200, &[json, ("content-encoding", "br")], "CANARY"),
        Reply::with(
            200,
            &[("content-type", "text/csv; name=\"CANARY 13587654321.csv\"")],
            "CANARY",
        ),
        Reply::with(302, &[("location", "/CANARY")], ""),
        Reply::with(500, &[json, ("x-error", CANARY)], r#"{"error":"CANARY 13587654321"}"#),
        Reply::raw("HTTP/1.1 CANARY\r\n\r\n").then(crate::harness::Step::Close),
        Reply::raw("HTTP/1.1 200 OK\r\nCANARY\r\nx: CANARY\r\n\r\n")
            .then(crate::harness::Step::Close),
    ]
}

#[tokio::test]
async fn nothing_of_a_secret_or_a_value_stands_in_anything_that_was_written() {
    let create = "    action: create\n    require: { assurance: 2 }\n    sent-as: [json, form]\n";
    let policy = OPEN_BANK.replace("    action: create\n", create);
    let setup = Setup::policy(&policy).yaml("bodies: { held-kib: 4 }");
    let setup = setup.yaml("connections: { new-per-minute: 10000 }");
    let setup = setup.yaml("metrics: { address: \"127.0.0.1:0\" }");
    let collector = Collector::start(None).await;
    let gate = setup.yaml(&all_to(&collector)).prepare(Clock::system()).await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let process = Process::run(&gate, "trace").await;
    let token = gate.teller();
    let mut secrets = sign_in_in_every_way(&gate, &process).await;
    secrets.extend([CANARY.to_owned(), DIGITS.to_owned(), token.clone()]);
    secrets.push(token.rsplit('.').next().unwrap().to_owned());

    let mut told_of_errors = Vec::new();
    for reply in replies() {
        gate.upstream.answers(reply);
        for (is_h2, ask) in
            requests(&token).into_iter().flat_map(|ask| [(false, ask.clone()), (true, ask)])
        {
            let client = process.client();
            let mut connection = if is_h2 { client.h2().await } else { client.h1().await };
            let brings_none = !carries(&ask);
            let answer = connection.begin(ask).await;
            if let Ok(response) = answer {
                let answer = crate::harness::client::finish(response).await;
                let is_error = answer.status.is_client_error() || answer.status.is_server_error();
                // Whoever names a member that they may not write is told which.
                if is_error && brings_none {
                    told_of_errors.extend(answer.bytes());
                }
            }
        }
    }
    let measured = metrics(&process).await;
    until_indexed(&gate).await;
    let (status, said) = process.stop().await;
    assert!(status.success());
    assert!(said.contains("DEBUG"), "all of our events were written");
    let mut written = files(&gate.path("log"));
    written.extend(files(&gate.path("state")));
    let index = files(&gate.path("log-index"));
    assert!(!index.is_empty() && measured.contains("menshen_") && told_of_errors.len() > 1000);
    written.extend(index);
    let spans = collector.bytes();
    assert!(spans.len() > 100_000, "spans were sent: {}", spans.len());
    written.push(("the spans".to_owned(), spans));
    written.push(("the metrics".to_owned(), measured.into_bytes()));
    written.push(("what was told of errors".to_owned(), told_of_errors));
    assert!(written.len() > 4 && gate.entries_so_far().len() > 100);
    written.push(("the events".to_owned(), said.into_bytes()));
    // Sealed files hold nothing legible anyway; what matters is what is in them.
    written.push(("the entries".to_owned(), gate.log_text()));
    let needles = Needles::of(&secrets);
    for (name, bytes) in &written {
        if let Some(found) = needles.first_in(bytes) {
            panic!("`{found}` stands in {name}: {}", around(bytes, found));
        }
    }
}

/// All forms of all secrets, looked for in one go: what is searched has many MiB.
struct Needles {
    forms: Vec<String>,
    /// Whether any begins with these two bytes.
    begins: Vec<bool>,
}

impl Needles {
    fn of(secrets: &[String]) -> Self {
        let forms: Vec<_> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let mut begins = vec![false; 1 << 16];
        for form in &forms {
            begins[Self::place(form.as_bytes())] = true;
        }
        Self { forms, begins }
    }

    fn place(bytes: &[u8]) -> usize {
        usize::from(bytes[0]) << 8 | usize::from(bytes[1])
    }

    fn first_in(&self, hay: &[u8]) -> Option<&str> {
        let mut places = (1..hay.len()).map(|at| &hay[at - 1..]);
        places.find_map(|rest| {
            if !self.begins[Self::place(rest)] {
                return None;
            }
            let mut forms = self.forms.iter().map(String::as_str);
            forms.find(|form| rest.starts_with(form.as_bytes()))
        })
    }
}

/// Whether a request has a canary in it itself.
fn carries(ask: &Ask) -> bool {
    let texts = ask.headers.iter().map(|(_, value)| value.as_str()).chain([ask.path.as_str()]);
    let mut texts = texts.map(str::as_bytes).chain([&ask.body[..]]);
    texts.any(|text| holds(text, CANARY) || holds(text, DIGITS))
}

/// How a secret may stand somewhere: as it is, in hex, percent-encoded, and in base64 wherever in it a text begins.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each = |form: fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
    let mut forms = vec![secret.to_owned()];
    forms.push(each(|byte| format!("{byte:02x}")));
    forms.push(each(|byte| format!("{byte:02X}")));
    forms.push(each(|byte| format!("%{byte:02x}")));
    forms.push(each(|byte| format!("%{byte:02X}")));
    for before in 0..3 {
        let text = [&b"..."[..before], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            // The signs at both ends are of what stands beside it as well.
            let first = [0, 2, 3][before];
            let whole = text.len() * 8 / 6;
            forms.push(encoded[first..whole].to_owned());
        }
    }
    forms
}

#[test]
fn the_forms_of_a_secret_are_found_wherever_they_stand() {
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{CANARY}xyz");
        let encoded = STANDARD_NO_PAD.encode(&text);
        let needles = Needles::of(&[CANARY.to_owned()]);
        assert!(needles.first_in(encoded.as_bytes()).is_some(), "{encoded}");
    }
    for there in ["CANARY", "43414e415259", "%43%41%4e%41%52%59"] {
        let needles = Needles::of(&[DIGITS.to_owned(), CANARY.to_owned()]);
        assert_eq!(needles.first_in(format!("x{there}").as_bytes()), Some(there));
    }
}

/// What monitoring reads of it.
async fn metrics(process: &Process) -> String {
    let said = process.said();
    let (_, address) = said.split_once("metrics address=").unwrap();
    let address = address.lines().next().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let ask = b"GET /metrics HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// The index is made beside the requests.
async fn until_indexed(gate: &Gate) {
    crate::shipping::until("the index", || {
        let written = files_if_any(&gate.path("log-index"));
        written.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 16 * 1024
    })
    .await;
}

fn files_if_any(folder: &Path) -> Vec<(String, Vec<u8>)> {
    if folder.exists() { files(folder) } else { Vec::new() }
}

/// The line in which a secret stands.
fn around(bytes: &[u8], secret: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find(|line| line.contains(secret)).unwrap_or_default().chars().take(600).collect()
}
