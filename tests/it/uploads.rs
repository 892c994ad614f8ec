//! Files that a request brings: judged by name, type and size, scanned where the route says so, and
//! written anew. A fake ICAP service and a shell script stand in for real scanners.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::harness::{Ask, Gate, OPEN_BANK, Process, Reply, Setup, holds, soon};

/// The test string of the European Institute for Computer Antivirus Research, which is no virus.
const EICAR: &str =
    concat!(r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*");

/// A bank that takes papers with a note about a customer.
fn bank(scanner: &str) -> Setup {
    let route = format!(
        "  paper.create:\n    match: POST bank.example/papers\n    to: core\n    action: create\n    \
         accepts: {{ customer: $ }}\n    uploads:\n      files:\n        \
         paper: {{ types: [application/pdf, text/plain], size: 4KiB, most: 2 }}\n{scanner}\
         roles:"
    );
    Setup::policy(&OPEN_BANK.replacen("roles:", &route, 1))
}

/// A part that is a file.
fn file(name: &str, filename: &str, media_type: &str, content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\
         Content-Type: {media_type}\r\n\r\n{content}\r\n"
    )
}

fn text(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn upload(token: &str, parts: &[String]) -> Ask {
    let body = format!("{}--b--\r\n", parts.concat());
    let ask = Ask::new("POST", "/papers").by(token);
    ask.header("content-type", "multipart/form-data; boundary=b").body(body.as_bytes())
}

fn paper(content: &str) -> String {
    file("paper", "a.txt", "text/plain", content)
}

fn nothing_reached(gate: &Gate) {
    assert!(gate.upstream.asked().is_empty(), "it reached the backend");
}

#[tokio::test]
async fn files_are_judged_by_name_type_and_size_and_go_on_in_a_body_of_ours() {
    let mut gate = bank("").start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::with(204, &[], ""));
    let parts = [
        file("paper", "../../etc/p%41ss\u{202e}wd.pdf", "application/PDF", "%PDF-1.7 x"),
        text("name", "张 & a"),
        paper("second"),
    ];
    for mut connection in [gate.h1().await, gate.h2().await] {
        connection.send(upload(&token, &parts)).await.expect(204);
        let asked = gate.upstream.asked().pop().unwrap();
        let boundary = "menshen-00000000-part";
        let wanted = format!("multipart/form-data; boundary={boundary}");
        assert_eq!(asked.header("content-type"), Some(wanted.as_str()));
        let body = String::from_utf8(asked.body).unwrap();
        let wanted = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n张 & a\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"paper\"; filename=\"p41sswd.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n%PDF-1.7 x\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"paper\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\nsecond\r\n--{boundary}--\r\n"
        );
        assert_eq!(body, wanted);
    }
    let entries = gate.entries().await;
    let uploads = entries.iter().find_map(|entry| entry.request.as_ref()?.uploads.clone()).unwrap();
    assert_eq!((uploads.files, uploads.bytes), (2, 16));
}

#[tokio::test]
async fn no_other_file_and_no_other_text_passes() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let long = "x".repeat(4097);
    for (parts, said) in [
        (vec![file("other", "a.txt", "text/plain", "x")], "no file is taken as `other`"),
        (vec![file("paper", "a.exe", "application/x-msdownload", "MZ")], "type"),
        (vec![file("paper", "a.pdf", "application/pdf", "MZ")], "type"),
        (vec![file("paper", "a.html", "text/html", "<script>")], "type"),
        (vec![paper(&long)], "larger than 4096 bytes"),
        (vec![paper("1"), paper("2"), paper("3")], "more than 2 files"),
        (vec![paper("1"), text("secret", "x")], "secret"),
        (vec![paper("1"), text("unknown", "x")], "unknown"),
        (vec![paper("1"), text("phone", "138****5678")], "masked"),
        (vec![text("name", "a"), text("name", "b")], "twice"),
        (vec![text("_method", "DELETE")], "_method"),
        (vec![text("paper", "not a file")], "paper"),
        (vec!["preamble\r\n".to_owned(), paper("1")], "parts"),
        (vec![paper("1").replace("Content-Type", "Content-Transfer-Encoding")], "head"),
        (vec![paper("1").replace("filename=", "filename*=")], "head"),
    ] {
        let told = gate.ask(upload(&token, &parts)).await;
        assert!(told.expect(400).text().contains(said), "{parts:?}: {}", told.text());
    }
    for media_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=b; boundary=c",
        "multipart/form-data; charset=utf-8; boundary=b",
        "multipart/mixed; boundary=b",
        "application/json",
    ] {
        let mut ask = upload(&token, &[paper("1")]);
        ask.headers.retain(|(name, _)| name != "content-type");
        gate.ask(ask.header("content-type", media_type)).await.expect(415);
    }
    let mut huge = upload(&token, &[]);
    huge.body = vec![b'x'; 1024 * 1024 + 8 * 1024 + 1].into();
    gate.ask(huge).await.expect(413);
    nothing_reached(&gate);
}

#[tokio::test]
async fn files_that_drip_keep_nobody_elses_out() {
    let route = OPEN_BANK.replacen(
        "roles:",
        "  paper.create:\n    match: POST bank.example/papers\n    to: core\n    action: create\n    \
         accepts: { customer: $ }\n    uploads: { files: { paper: { types: [text/plain], size: 20MiB, most: 3 } } }\n\
         roles:",
        1,
    );
    let gate = Setup::policy(&route).start().await;
    gate.upstream.answers(Reply::with(204, &[], ""));
    let head = format!(
        "POST /papers HTTP/1.1\r\nhost: bank.example\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\
         expect: 100-continue\r\n\r\n",
        gate.token(&json!({ "sub": "evil" }))
    );
    let mut dripping = Vec::new();
    for _ in 0..5 {
        let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // It says so when the body is waited for.
        let mut said = Vec::new();
        while !holds(&said, "100 Continue") {
            assert!(soon("a wish for the body", stream.read_buf(&mut said)).await.unwrap() > 0);
        }
        stream.write_all(b"1\r\n-\r\n").await.unwrap();
        dripping.push(stream);
    }
    gate.ask(upload(&gate.teller(), &[paper("fine")])).await.expect(204);
}

/// A service that finds what holds EICAR; says nothing, something else or too early by its `way`.
async fn icap(way: &'static str, tasks: &TaskTracker) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !holds(&bytes, "\r\n0\r\n\r\n") {
                if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    break;
                }
                if way == "early" {
                    break;
                }
            }
            assert!(bytes.starts_with(b"RESPMOD icap://127.0.0.1:"), "{bytes:?}");
            let answer: &str = match way {
                "silent" => std::future::pending().await,
                "closes" => continue,
                "error" => "ICAP/1.0 500 Server Error\r\n\r\n",
                "http" => "HTTP/1.1 204 No Content\r\n\r\n",
                _ if holds(&bytes, "EICAR") => {
                    "ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Threat=Eicar-Test;\r\n\r\n"
                }
                _ => "ICAP/1.0 204 No Content\r\nISTag: \"x\"\r\n\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap_or_default();
        }
    });
    port
}

async fn with_icap(way: &'static str, tasks: &TaskTracker) -> Gate {
    let port = icap(way, tasks).await;
    let scanners =
        format!("scanners: {{ av: {{ icap: \"127.0.0.1:{port}/avscan\", timeout: 2s }} }}");
    bank("      scanner: av\n").yaml(&scanners).start().await
}

fn verdicts(entries: &[menshen::audit::Entry]) -> Vec<(String, String, String)> {
    let uploads = entries.iter().filter_map(|entry| entry.request.as_ref()?.uploads.clone());
    let words = |text: &menshen::audit::Text| text.as_str().to_owned();
    uploads.map(|u| (words(&u.scanner), words(&u.verdict), words(&u.finding))).collect()
}

#[tokio::test]
async fn a_file_in_which_something_is_found_reaches_nobody_and_stands_in_the_log() {
    let tasks = TaskTracker::new();
    let mut gate = with_icap("", &tasks).await;
    let token = gate.teller();
    gate.upstream.answers(Reply::with(204, &[], ""));
    gate.ask(upload(&token, &[paper("fine"), paper("fine too")])).await.expect(204);
    assert_eq!(gate.upstream.asked().len(), 1);
    let told = gate.ask(upload(&token, &[paper("fine"), paper(EICAR)])).await;
    assert!(!holds(&told.expect(422).bytes(), "Eicar-Test"), "the finding is for the log");
    assert_eq!(gate.upstream.asked().len(), 1);
    let verdicts = verdicts(&gate.entries().await);
    let entry =
        |verdict: &str, finding: &str| ("av".to_owned(), verdict.to_owned(), finding.to_owned());
    let wanted = [entry("clean", ""), entry("found", "Type=0; Threat=Eicar-Test;")];
    assert_eq!(verdicts, wanted);
}

#[tokio::test]
async fn a_scanner_that_gives_no_verdict_lets_nothing_pass() {
    let tasks = TaskTracker::new();
    for way in ["silent", "closes", "error", "http"] {
        let mut gate = with_icap(way, &tasks).await;
        let token = gate.teller();
        let told = gate.ask(upload(&token, &[paper("fine")])).await;
        assert_eq!(told.expect(503).header("retry-after"), Some("5"), "{way}");
        nothing_reached(&gate);
        assert_eq!(verdicts(&gate.entries().await)[0].1, "none", "{way}");
    }
    let nobody = "scanners: { av: { icap: \"127.0.0.1:1/avscan\", timeout: 2s } }";
    let gate = bank("      scanner: av\n").yaml(nobody).start().await;
    let token = gate.teller();
    gate.ask(upload(&token, &[paper("fine")])).await.expect(503);
    nothing_reached(&gate);
}

fn script(folder: &Path, text: &str) -> String {
    let path = folder.join("scan");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_command_is_a_scanner_by_its_exit_code() {
    for (text, clean, eicar) in [
        ("! /bin/grep -q EICAR", 204, 422),
        ("/bin/cat > /dev/null; exit 2", 503, 503),
        ("kill -9 $$", 503, 503),
        ("exec /bin/sleep 60", 503, 503),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let script = script(folder.path(), text);
        let scanners = format!("scanners: {{ own: {{ command: [\"{script}\"], timeout: 2s }} }}");
        let gate = bank("      scanner: own\n").yaml(&scanners).start().await;
        let token = gate.teller();
        gate.upstream.answers(Reply::with(204, &[], ""));
        gate.ask(upload(&token, &[paper("fine")])).await.expect(clean);
        gate.ask(upload(&token, &[paper(EICAR)])).await.expect(eicar);
        assert_eq!(gate.upstream.asked().len(), usize::from(clean == 204), "{text}");
    }
}

#[tokio::test]
async fn a_scanner_that_is_a_program_starts_in_a_gate_that_confined_itself() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(folder.path(), "! /bin/grep -q EICAR");
    let scanners = format!("scanners: {{ own: {{ command: [\"{script}\"] }} }}");
    let setup = bank("      scanner: own\n").yaml(&scanners);
    let gate = setup.prepare(menshen::clock::Clock::system()).await;
    gate.upstream.answers(Reply::with(204, &[], ""));
    let process = Process::run(&gate, "info").await;
    assert!(process.said().contains("has given up the calls"), "{}", process.said());
    let mut connection = process.client().h2().await;
    connection.send(upload(&gate.teller(), &[paper("fine")])).await.expect(204);
    connection.send(upload(&gate.teller(), &[paper(EICAR)])).await.expect(422);
    process.stop().await;
}

#[tokio::test]
async fn a_gate_whose_scanner_is_not_configured_does_not_start() {
    let gate = bank("      scanner: av\n").prepare(menshen::clock::Clock::fixed(0)).await;
    let refused = menshen::server::check(&gate.config()).unwrap_err().to_string();
    assert!(refused.contains("`av`"), "{refused}");
}
