//! A view of one record that may not be seen is, to the byte, that of one that is not there; and lists tell
//! nothing of those that are not in them, while the log counts them.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Ask, Gate, Reply, Setup, holds, soon};

const SHOP: &str = r#"
grades: { 1: {} }
purposes: [service, marketing]
entities:
  client:
    subject: id
    tenant: house
    fields: { id: 1, name: 1, house: 1, branch: 1, is_minor: 1, opted_out: 1 }
    flags: { minor: record.is_minor }
routes:
  client.view: { match: "GET bank.example/clients/{id}", to: core, action: view, returns: { client: $ } }
  client.wrapped: { match: "GET bank.example/wrapped/{id}", to: core, action: view, returns: { client: $.client, pass: $.version } }
  client.search:
    match: GET bank.example/clients
    to: core
    action: search
    returns: { client: "$.items[]", pass: [$.page, $.next], total: [$.matching, $.counts.all] }
  client.export: { match: GET bank.example/all, to: core, action: export, as: [json, ndjson, csv], returns: { client: "$[]" } }
roles: { teller: {}, boss: {} }
rules:
  - { name: desk, allow: [view, search, export], to: teller, of: client, clear: [id, name], where: record.branch == "sh01" }
  - { name: boss, allow: [view, search, export], to: boss, of: client, clear: [id, name], flags: minor }
  - { name: who opted out is left alone, deny: [view, search, export], to: any, of: client, purpose: marketing, where: record.opted_out }
"#;

fn client(id: u32, changes: &Value) -> Value {
    let mut client = json!({
        "id": id, "name": format!("n{id}"), "house": "h1", "branch": "sh01", "is_minor": false, "opted_out": false,
    });
    let object = client.as_object_mut().unwrap();
    object.extend(changes.as_object().unwrap().clone());
    client
}

fn teller(gate: &Gate) -> String {
    gate.token(&json!({ "tenant": "h1" }))
}

/// The bytes of an answer over HTTP/1.1, but for what differs from request to request.
async fn raw(gate: &Gate, path: &str, token: &str, purpose: &str) -> String {
    let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nhost: bank.example\r\nauthorization: Bearer {token}\r\nmenshen-purpose: {purpose}\r\n\r\n"
    );
    let mut told = String::new();
    // Twice, so that it shows whether the connection is kept.
    for _ in 0..2 {
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !is_whole(&bytes) {
            let read = soon("bytes", stream.read_buf(&mut bytes)).await.unwrap();
            assert!(read > 0, "it closed: {}", String::from_utf8_lossy(&bytes));
        }
        told.push_str(&masked(&String::from_utf8(bytes).unwrap()));
    }
    told
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(body.len() <= length.parse().unwrap(), "{text}");
    body.len() == length.parse::<usize>().unwrap()
}

/// With the id of the request and the time blotted out, in their length.
fn masked(answer: &str) -> String {
    let id = answer.lines().find_map(|line| line.strip_prefix("menshen-request-id: ")).unwrap();
    let date = answer.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    answer.replace(id, &"#".repeat(id.len())).replace(date, &"#".repeat(date.len()))
}

/// The same of an answer over HTTP/2: the fields of its head in their order, and its body.
fn told(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    text.push('\n');
    masked(&(text + answer.text()))
}

#[tokio::test]
async fn a_record_that_may_not_be_seen_is_told_as_missing_to_the_byte() {
    let mut gate = Setup::policy(SHOP).start().await;
    let token = teller(&gate);
    let json_head = [("content-type", "application/json")];
    let found = |changes: Value| Reply::json(client(1, &changes).to_string());
    let long = json!({ "branch": "x".repeat(30_000), "name": "y".repeat(90_000) });
    let chunks = |body: &str| Reply::chunked(body.as_bytes().chunks(5));
    let replies = [
        ("missing", Reply::with(404, &json_head, r#"{"error":"there is no client 1"}"#)),
        ("gone", Reply::with(410, &[("content-type", "text/html")], "<p>gone</p>")),
        ("missing without a word", Reply::with(404, &[], "")),
        ("no content", Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")),
        ("nothing in it", Reply::with(200, &json_head, "")),
        ("nothing in it, of no type", Reply::with(200, &[], "")),
        ("nothing in its chunks", Reply::chunked::<&str>([])),
        ("nothing but white space", Reply::json(" \n")),
        ("null", Reply::json("null")),
        ("an empty object", Reply::json("{}")),
        ("an empty list", Reply::json("[]")),
        ("of another branch", found(json!({ "branch": "bj07" }))),
        ("of no branch", found(json!({ "branch": null }))),
        (
            "of another branch, in chunks",
            chunks(&client(1, &json!({ "branch": "bj07" })).to_string()),
        ),
        ("of another branch, and long", found(long)),
        ("flagged", found(json!({ "is_minor": true }))),
        ("oddly flagged", found(json!({ "is_minor": "perhaps" }))),
        ("of another tenant", found(json!({ "house": "h2" }))),
        ("of no tenant", found(json!({ "house": null }))),
        ("opted out", found(json!({ "opted_out": true }))),
        ("oddly opted out", found(json!({ "opted_out": 7 }))),
    ];
    let mut missing = None;
    for (what, reply) in replies {
        gate.upstream.answers(reply.clone());
        let bytes = raw(&gate, "/clients/1", &token, "marketing").await;
        let ask = Ask::get("/clients/1").bearer(&token).header("menshen-purpose", "marketing");
        let mut connection = gate.h2().await;
        let answer = connection.send(ask).await;
        assert!(connection.is_open().await, "{what}");
        let all = (bytes, told(answer.expect(404)));
        let (first, _) = &*missing.get_or_insert((all.clone(), what));
        assert_eq!(first, &all, "{what}");
    }
    let entries = gate.entries().await;
    let data = entries.iter().filter(|entry| entry.decided_by.is_some() && entry.data.is_some());
    assert_eq!(data.count(), 0, "nobody was shown anything of");
}

#[tokio::test]
async fn what_stands_around_a_record_that_may_not_be_seen_does_not_betray_it() {
    let gate = Setup::policy(SHOP).start().await;
    let token = teller(&gate);
    let mut seen = Vec::new();
    for reply in [
        Reply::json(
            json!({ "client": client(1, &json!({ "branch": "bj07" })), "version": 3 }).to_string(),
        ),
        Reply::json(json!({ "client": null, "version": 3 }).to_string()),
        Reply::json(json!({ "version": 3 }).to_string()),
        Reply::with(404, &[], ""),
    ] {
        gate.upstream.answers(reply);
        seen.push(raw(&gate, "/wrapped/1", &token, "service").await);
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    assert!(seen[0].starts_with("HTTP/1.1 404"), "{}", seen[0]);
}

/// Ten clients, of whom three opted out, one is of another branch and one a minor.
fn ten() -> Vec<Value> {
    (1..=10)
        .map(|id| {
            client(
                id,
                &match id {
                    2 | 5 | 9 => json!({ "opted_out": true }),
                    3 => json!({ "branch": "bj07" }),
                    4 => json!({ "is_minor": true }),
                    _ => json!({}),
                },
            )
        })
        .collect()
}

#[tokio::test]
async fn who_opted_out_is_in_no_list_and_no_file_and_the_log_counts_them() {
    let mut gate = Setup::policy(SHOP).start().await;
    let token = teller(&gate);
    let list =
        json!({ "matching": 10, "items": ten(), "page": 1, "counts": { "all": 10 }, "next": "c9" });
    let lines: String = ten().iter().map(|client| format!("{client}\n")).collect();
    let row = |client: &Value| {
        let cell = |name| client[name].to_string().replace('"', "");
        ["id", "name", "house", "branch", "is_minor", "opted_out"].map(cell).join(",") + "\n"
    };
    let rows: String = ten().iter().map(row).collect();
    let csv = format!("id,name,house,branch,is_minor,opted_out\n{rows}");
    let mut counted: Vec<[Option<u64>; 4]> = Vec::new();
    for (path, reply, is_typed) in [
        ("/clients", Reply::json(list.to_string()), true),
        ("/all", Reply::json(json!(ten()).to_string()), true),
        ("/all", Reply::with(200, &[("content-type", "application/x-ndjson")], lines), true),
        // In a table no cell is a truth value: every record counts as flagged, and none leaves.
        ("/all", Reply::with(200, &[("content-type", "text/csv")], csv), false),
    ] {
        gate.upstream.answers(reply);
        for (purpose, gone, suppressed) in [("marketing", 5, 4), ("service", 2, 1)] {
            let ask = Ask::get(path).bearer(&token).header("menshen-purpose", purpose);
            let answer = gate.ask(ask).await;
            let ids: Vec<u32> =
                (1..=10).filter(|id| holds(&answer.body, &format!("n{id}\""))).collect();
            assert_eq!(ids.contains(&2), is_typed && purpose == "service");
            let left: u64 = if is_typed { 10 - gone } else { 0 };
            assert_eq!(ids.len() as u64, left, "{}", answer.expect(200).text());
            for word in ["matching", "counts", "opted"] {
                assert!(!holds(&answer.body, word), "{}", answer.text());
            }
            let (gone, suppressed) = if is_typed { (gone, suppressed) } else { (10, 9) };
            counted.push([Some(left), Some(gone), Some(suppressed), None]);
        }
    }
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.decided_by.is_some());
    let told = outcomes
        .filter_map(|entry| entry.data.as_ref())
        .map(|data| [data.records, data.withheld_records, data.suppressed, data.held_back]);
    assert_eq!(told.collect::<Vec<_>>(), counted);
}

#[tokio::test]
async fn a_declared_total_passes_where_nothing_can_be_withheld() {
    let free = SHOP
        .replace("    tenant: house\n", "")
        .replace("    flags: { minor: record.is_minor }\n", "")
        .replace(", flags: minor", "")
        .replace(", where: record.branch == \"sh01\"", "");
    let gate = Setup::policy(&free).start().await;
    let list = json!({ "matching": 10, "items": ten(), "page": 1, "counts": { "all": 10, "x": 1 }, "next": "c9" });
    gate.upstream.answers(Reply::json(list.to_string()));
    let ask = |purpose: &str| {
        Ask::get("/clients").bearer(&gate.teller()).header("menshen-purpose", purpose)
    };
    let told = gate.ask(ask("service")).await.expect(200).json();
    assert_eq!((&told["matching"], &told["counts"]), (&json!(10), &json!({ "all": 10 })));
    let told = gate.ask(ask("marketing")).await.expect(200).json();
    assert_eq!((told.get("matching"), told.get("counts")), (None, None), "some opted out");
    assert_eq!((&told["page"], &told["next"]), (&json!(1), &json!("c9")));
}
