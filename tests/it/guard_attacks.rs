//! Attacks on the guard that were tried against a running gate; docs/guard-attacks.md lists them all.
//!
//! The attacker reads the source and controls how the backend writes, what the client sends and how the network
//! cuts it. The backend's data are true: a value that calls itself a note is one.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::upstream::head;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, holds, soon};

const JSON: (&str, &str) = ("content-type", "application/json");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const CSV: (&str, &str) = ("content-type", "text/csv");

/// A bank whose export has every form and shows nobody who has the note `hidden`.
async fn bank() -> Gate {
    let policy = OPEN_BANK.replace(
        "action: export\n    returns: { customer: \"$[]\" }\n",
        "action: export\n    returns: { customer: \"$[]\" }\n    as: [json, ndjson, csv]\n",
    );
    let hidden = "  - name: the hidden stay hidden\n    deny: [export, view]\n    to: any\n    \
                  of: customer\n    where: record.note == \"hidden\"\n";
    Setup::policy(&format!("{policy}{hidden}")).plain().start().await
}

/// What the export gives for a body; `None` if it is refused.
async fn export(gate: &Gate, media_type: (&str, &str), body: impl AsRef<[u8]>) -> Option<String> {
    gate.upstream.answers(Reply::with(200, &[media_type], body.as_ref()));
    let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
    let shown = String::from_utf8_lossy(&answer.bytes()).into_owned();
    assert!(!shown.contains("CANARY"), "{} gives {shown}", String::from_utf8_lossy(body.as_ref()));
    match answer.status.as_u16() {
        200 => Some(answer.text().to_owned()),
        502 => None,
        other => panic!("{other}: {shown}"),
    }
}

#[tokio::test]
async fn a_name_that_is_almost_a_declared_one_is_another() {
    let gate = bank().await;
    for name in [
        "",
        " ",
        "not",
        "notee",
        "note ",
        " note",
        "note.",
        "note[]",
        "note[0]",
        "$.note",
        "Note",
        "NOTE",
        "nOte",
        "nоte",
        "ｎｏｔｅ",
        "note\u{301}",
        "no\u{ad}te",
        "\u{feff}note",
        "note\u{200d}",
        "note\\u0000",
        "\\u0000note",
        "\\\"note\\\"",
        "note\\\\",
        "note\\/",
        "n\\u006ftE",
        "\\tnote",
        "note\\n",
        "address.city",
        "address\\u002ecity",
        "customer.note",
        "__proto__",
        "constructor",
    ] {
        let body = format!(r#"[{{"id":1,"{name}":"CANARY","note":"x","{name}":"CANARY"}}]"#);
        assert_eq!(export(&gate, JSON, &body).await.unwrap(), r#"[{"id":1,"note":"x"}]"#, "{name}");
    }
    let long = format!("note{}", "e".repeat(1100));
    let body = format!(r#"[{{"id":1,"{long}":"CANARY"}}]"#);
    assert_eq!(export(&gate, JSON, &body).await, None);
    for name in [
        "Note",
        "note ",
        " note",
        "\"Note\"",
        "no\"\"te",
        "address",
        "address.zip",
        "note.x",
        "NOTE",
    ] {
        let column = if name.contains("\"\"") { format!("\"{name}\"") } else { name.to_owned() };
        let body = format!("id,{column},note\n1,CANARY,x\n");
        assert_eq!(export(&gate, CSV, &body).await.unwrap(), "id,note\n1,x\n", "{name}");
    }
}

#[tokio::test]
async fn a_condition_is_met_by_no_other_spelling_of_its_field() {
    let gate = bank().await;
    let hidden =
        |members: &str| format!(r#"[{{"id":2,{members}}},{{"id":1,"note":"x","name":"a"}}]"#);
    let shown = r#"[{"id":1,"note":"x","name":"a"}]"#;
    for members in [
        r#""name":"CANARY","note":"hidden""#,
        r#""note":"hidden","name":"CANARY""#,
        r#""name":"CANARY","note":"\u0068idden""#,
        r#""name":"CANARY","n\u006fte":"hidden""#,
        r#""name":"CANARY","note":"hid\u0064en","new":[{"note":"x"}]"#,
        // What cannot be judged does not pass: no such field, another type, half a character.
        r#""name":"CANARY""#,
        r#""name":"CANARY","Note":"x""#,
        r#""name":"CANARY","note":["x"]"#,
        r#""name":"CANARY","note":{"note":"x"}"#,
        r#""name":"CANARY","note":"\ud800""#,
        r#""name":"CANARY","new":{"note":"x"}"#,
        r#""name":"CANARY","address":{"note":"x"}"#,
    ] {
        assert_eq!(
            export(&gate, JSON, &hidden(members)).await.as_deref(),
            Some(shown),
            "{members}"
        );
    }
    for members in [
        r#""note":"x","name":"CANARY","note":"hidden""#,
        r#""note":"hidden","name":"CANARY","note":"x""#,
        r#""note":"hidden","name":"CANARY","\u006eote":"x""#,
        r#""note":["hidden"],"name":"CANARY","note":"x""#,
        r#""note":null,"name":"CANARY","note":"x""#,
    ] {
        assert_eq!(export(&gate, JSON, &hidden(members)).await, None, "{members}");
    }
    for (header, row) in [
        ("id,name,note", "2,CANARY,hidden"),
        ("note,id,name", "hidden,2,CANARY"),
        ("id,name,note", "2,CANARY,\"hidden\""),
        ("id,\"name\",\"note\"", "2,CANARY,hidden"),
        ("id,name,Note", "2,CANARY,x"),
        ("id,name,note", "2,CANARY,"),
        ("id,name", "2,CANARY"),
    ] {
        let given = export(&gate, CSV, format!("{header}\n{row}\n")).await.unwrap();
        assert!(!given.contains('2'), "{header} {row} gives {given}");
    }
    assert_eq!(export(&gate, CSV, "id,note,name,note\n2,hidden,CANARY,x\n").await, None);
}

#[tokio::test]
async fn what_was_removed_leaves_no_trace_in_white_space_or_commas() {
    let gate = bank().await;
    let person =
        |id: usize, note: &str| format!(r#"{{"id":{id},"note":"{note}","secret":"CANARY"}}"#);
    assert_eq!(export(&gate, JSON, "[\n]").await.unwrap(), "[\n]");
    for (open, between, close) in [
        ("[", ",", "]"),
        ("[\n  ", ",\n  ", "\n]\n"),
        ("[ ", " , ", " ]"),
        ("[", "\r\n,", "\r\n]"),
        ("[", ", ", "]"),
        ("[\n", ",", "]"),
        ("[\n\t", ", \r\n", "\n]"),
        ("[ ", "\n, ", "\n]"),
    ] {
        let all_hidden = format!("{open}{}{close}", person(9, "hidden"));
        assert_eq!(export(&gate, JSON, all_hidden).await.unwrap().trim(), "[]");
        let list = |hidden: [usize; 3]| {
            let mut people = Vec::new();
            for (place, count) in hidden.into_iter().enumerate() {
                people.extend((0..count).map(|n| person(100 + n, "hidden")));
                if place < 2 {
                    people.push(person(place + 1, "x"));
                }
            }
            format!("{open}{}{close}", people.join(between))
        };
        let none = export(&gate, JSON, list([0, 0, 0])).await.unwrap();
        for hidden in [[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 0], [0, 5, 0], [0, 0, 4], [2, 2, 2]]
        {
            let some = export(&gate, JSON, list(hidden)).await.unwrap();
            assert_eq!(some, none, "{hidden:?} in {open:?}{between:?}{close:?}");
        }
    }
    let lines = |hidden: usize| {
        let hidden: String = (0..hidden).map(|n| person(100 + n, "hidden") + "\n").collect();
        format!("{hidden}{}\n\n{hidden}{}\n{hidden}", person(1, "x"), person(2, "x"))
    };
    let rows = |hidden: usize| {
        let hidden = "9,hidden,CANARY\r\n".repeat(hidden);
        format!("id,note,secret\r\n{hidden}1,x,CANARY\r\n{hidden}2,x,CANARY\r\n{hidden}")
    };
    let (no_lines, no_rows) =
        (export(&gate, LINES, lines(0)).await, export(&gate, CSV, rows(0)).await);
    for hidden in [1, 2, 7] {
        for (lines, rows) in [
            (lines(hidden), rows(hidden)),
            (lines(hidden).trim_end().to_owned(), rows(hidden).trim_end().to_owned()),
        ] {
            assert_eq!(export(&gate, LINES, lines).await, no_lines);
            assert_eq!(export(&gate, CSV, rows).await, no_rows);
        }
    }
}

#[tokio::test]
async fn records_stand_where_they_are_declared_or_nowhere() {
    let gate = bank().await;
    for body in [
        r#"[[{"id":1,"note":"CANARY","name":"CANARY"}]]"#,
        r#"[{"items":[{"id":1,"note":"CANARY"}]}]"#,
        r#"[{"customer":{"id":1,"note":"CANARY"}}]"#,
        r#"["CANARY",17,null,true,[],{"note":"CANARY"}]"#,
        r#"[{"address":{"city":["CANARY"],"note":"CANARY","address":{"city":"CANARY"}}}]"#,
        r#"[{"address":[{"city":"CANARY"}]}]"#,
    ] {
        let given = export(&gate, JSON, body).await.unwrap();
        let left: Vec<Value> = serde_json::from_str(&given).unwrap();
        assert!(left.iter().all(Value::is_null), "{body} gives {given}");
    }
    for body in [r#"{"id":1,"note":"CANARY"}"#, r#""CANARY""#, r#"{"0":{"id":1,"note":"CANARY"}}"#]
    {
        gate.upstream.answers(Reply::json(body));
        let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
        assert!(!holds(&answer.expect(404).bytes(), "CANARY"), "{body}");
    }
}

#[tokio::test]
async fn only_a_line_feed_ends_a_line_and_a_row() {
    let gate = bank().await;
    let (first, second) = (r#"{"id":1,"note":"x"}"#, r#"{"id":2,"note":"hidden","name":"CANARY"}"#);
    for between in
        ["\r", "\u{2028}", "\u{2029}", "\u{85}", "\u{b}", "\u{c}", "\u{1e}", "\0", ",", " ", ""]
    {
        assert_eq!(
            export(&gate, LINES, format!("{first}{between}{second}\n")).await,
            None,
            "{between:?}"
        );
    }
    for between in ["\r", "\0", "\u{b}", "\u{1e}"] {
        let body = format!("id,note,name\n1,x,a{between}2,hidden,CANARY\n");
        assert_eq!(export(&gate, CSV, body).await, None, "{between:?}");
    }
    // These are letters of a cell, so the row has too many of them.
    for between in ["\u{2028}", "\u{85}", ";", "\t"] {
        let body = format!("id,note,name\n1,x,a{between}2,hidden,CANARY\n");
        assert_eq!(export(&gate, CSV, body).await, None, "{between:?}");
    }
}

#[tokio::test]
async fn the_reason_phrase_and_interim_answers_do_not_pass() {
    let gate = bank().await;
    let good = Reply::with(200, &[JSON], r#"[{"id":1,"note":"x"}]"#);
    let Some(Step::Send(good)) = good.0.into_iter().next() else { panic!("no bytes") };
    let good = String::from_utf8(good).unwrap().replace("Whatever", "CANARY");
    let hints = "HTTP/1.1 103 CANARY\r\nlink: <CANARY>; rel=preload\r\n\r\n".repeat(20);
    for reply in [
        good.clone(),
        hints.clone() + &good,
        good.replace(" 200 ", " 500 "),
        good.replace(" 200 ", " 404 "),
    ] {
        gate.upstream.answers(Reply::raw(reply.clone()));
        let raw = format!(
            "GET /all HTTP/1.1\r\nhost: bank.example\r\nauthorization: Bearer {}\r\n\
             menshen-purpose: service\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n",
            gate.teller()
        );
        let mut stream = gate.client().shake(&["http/1.1"]).await.unwrap();
        stream.write_all(raw.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        drop(soon("the end", stream.read_to_end(&mut all)).await);
        assert!(all.starts_with(b"HTTP/1.1 "), "{reply}");
        assert!(
            !holds(&all, "CANARY") && !holds(&all, " 103 "),
            "{}",
            String::from_utf8_lossy(&all)
        );
    }
}

#[tokio::test]
async fn no_header_of_the_client_makes_the_backend_answer_otherwise() {
    let gate = bank().await;
    gate.upstream.answers(Reply::json(r#"[{"id":1,"note":"x"}]"#));
    let names = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-user",
        "x-real-ip",
        "forwarded",
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "prefer",
        "accept-encoding",
        "accept-charset",
        "accept-patch",
        "want-content-digest",
        "cookie2",
        "x-fields",
        "x-include",
        "x-format",
        "x-debug",
        "x-user",
        "x-role",
        "remote-user",
        "x-api-version",
        "link",
        "depth",
        "surrogate-capability",
        "via",
        "max-forwards",
        "cache-control",
        "pragma",
        "upgrade-insecure-requests",
        "content-encoding",
        "trailer",
        "x-csrf-token",
        "dnt",
        "save-data",
        "downlink",
        "sec-ch-ua",
    ];
    for mut connection in [gate.h1().await, gate.h2().await] {
        let mut ask = Ask::get("/all").by(&gate.teller());
        for name in names {
            ask = ask.header(name, "x-canary, gzip, bytes=0-1");
        }
        let answer = connection.send(ask).await;
        assert_eq!(answer.expect(200).header("content-encoding"), None);
        let asked = gate.upstream.asked().pop().unwrap();
        assert!(!holds(&asked.head, "canary"), "{}", String::from_utf8_lossy(&asked.head));
        assert_eq!(
            (asked.method.as_str(), asked.header("accept-encoding")),
            ("GET", Some("identity"))
        );
    }
}

#[tokio::test]
async fn a_header_that_asks_for_another_request_is_refused() {
    let gate = bank().await;
    let mut connection = gate.h2().await;
    for name in [
        "x-http-method-override",
        "x-method-override",
        "x-http-method",
        "x-original-url",
        "x-rewrite-url",
    ] {
        let ask = Ask::get("/all").by(&gate.teller()).header(name, "DELETE");
        connection.send(ask).await.expect(400);
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_query_reads_the_same_to_the_backend_as_to_the_gate() {
    let gate = Setup::policy(OPEN_BANK).plain().start().await;
    gate.upstream.answers(Reply::json(r#"{"items":[]}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (query, forwarded) in [
        ("name=a;phone=1", "/list?name=a%3Bphone%3D1"),
        ("name=a%26phone=1", "/list?name=a%26phone%3D1"),
        ("name=a%23&per_page=5", "/list?name=a%23&per_page=5"),
        ("name=a%00", ""),
        ("name=%c0%af", ""),
        ("name=a&name=b", ""),
        ("name=a&n%61me=b", ""),
        ("name[]=a", ""),
        ("name[$ne]=a", ""),
        ("phone[like]=1", ""),
        ("Phone=1", ""),
        ("phone%00=1", ""),
        ("_method=DELETE", ""),
        ("callback=x", ""),
        ("fields=secret", ""),
        ("include=secret", ""),
        ("expand=*", ""),
        ("per_page=0", ""),
        ("per_page=1e3", ""),
        ("per_page=%31%30", "/list?per_page=10"),
        ("sort=name&sort=phone", ""),
        ("sort=name%2Cphone", ""),
        ("sort=name%20phone", ""),
        ("sort=NAME", ""),
        ("&", ""),
        ("=", ""),
        ("%", ""),
    ] {
        let before = gate.upstream.hits();
        let answer = connection.send(Ask::get(&format!("/list?{query}")).by(&token)).await;
        if forwarded.is_empty() {
            assert!(matches!(answer.status.as_u16(), 400 | 403), "{query}: {}", answer.status);
            assert_eq!(gate.upstream.hits(), before, "{query}");
        } else {
            answer.expect(200);
            assert_eq!(gate.upstream.asked().pop().unwrap().target, forwarded, "{query}");
        }
    }
}

#[tokio::test]
async fn a_body_to_write_is_judged_however_it_is_written() {
    let gate = Setup::policy(OPEN_BANK).plain().start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for body in [
        r#"{"name":"a","secret":"x"}"#,
        r#"{"name":"a","s\u0065cret":"x"}"#,
        r#"{"name":"a","Name":"b"}"#,
        r#"{"name":"a","name\u0000":"b"}"#,
        r#"{"name":["a"]}"#,
        r#"{"name":{"$ne":null}}"#,
        r#"{"address":{"city":"c"}}"#,
        r#"{"address":null}"#,
        r#"[{"name":"a"}]"#,
        r#"[[{"name":"a"}]]"#,
        r#"{"customer":{"name":"a"}}"#,
        r#""name""#,
        "null",
        r#"{"phone":"138****5678"}"#,
        r#"{"phone":"138\u002a\u002a**5678"}"#,
        r#"{"phone":"13900000000","phone":"138****5678"}"#,
        r#"{"phone":"***"}"#,
        r#"{"phone":"p~abc"}"#,
        r#"{"__proto__":{"secret":"x"}}"#,
        r#"{"_method":"DELETE"}"#,
        r#"{"name":"a"}{"secret":"x"}"#,
        r#"{"name":"a"} x"#,
        "\u{feff}{\"name\":\"a\"}",
        r#"{"name":"a",}"#,
        r#"{"name":"a"/**/}"#,
        r#"{'name':'a'}"#,
        "name=a",
        "",
    ] {
        let answer = connection.send(Ask::patch("/one/1", body).by(&token)).await;
        assert!(matches!(answer.status.as_u16(), 400 | 415), "{body}: {}", answer.status);
    }
    assert_eq!(gate.upstream.hits(), 0);
    let answer =
        connection.send(Ask::patch("/one/1", r#" { "n\u0061me" : "a" } "#).by(&token)).await;
    answer.expect(200);
    assert_eq!(gate.upstream.asked().pop().unwrap().body, br#" { "n\u0061me" : "a" } "#);
}

#[tokio::test]
async fn one_answer_cannot_smuggle_another() {
    let gate = bank().await;
    let token = gate.teller();
    let (good, evil) = (r#"[{"id":1,"note":"good"}]"#, r#"[{"id":1,"note":"CANARY"}]"#);
    let second = Reply::with(200, &[JSON], evil);
    let Some(Step::Send(second)) = second.0.into_iter().next() else { panic!("no bytes") };
    let mut connection = gate.h1().await;
    for first in [
        head(204, &[]),
        head(200, &[JSON, ("content-length", "24")]),
        [
            head(200, &[JSON, ("transfer-encoding", "chunked")]),
            b"18\r\n".to_vec(),
            good.as_bytes().to_vec(),
            b"\r\n0\r\n\r\n".to_vec(),
        ]
        .concat(),
        head(304, &[]),
        head(500, &[JSON, ("content-length", "0")]),
    ] {
        let is_plain = first.windows(2).any(|two| two == b"24");
        let body = if is_plain { good.as_bytes() } else { b"" };
        gate.upstream.answers(Reply::raw([&first[..], body, &second[..]].concat()));
        let answer = connection.send(Ask::get("/all").by(&token)).await;
        assert!(!holds(&answer.bytes(), "CANARY"));
        gate.upstream.answers(Reply::json(good));
        for _ in 0..3 {
            let answer = connection.send(Ask::get("/all").by(&token)).await;
            assert_eq!(answer.expect(200).text(), good, "{}", String::from_utf8_lossy(&first));
        }
    }
}

/// Every file of Rust in these folders.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_attack_of_the_list_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests/it"].iter().for_each(|folder| sources(&root.join(folder), &mut files));
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            (
                file.strip_prefix(root).unwrap().display().to_string(),
                std::fs::read_to_string(file).unwrap(),
            )
        })
        .collect();
    let list = std::fs::read_to_string(root.join("docs/guard-attacks.md")).unwrap();
    let mut attacks = 0;
    for line in list.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`: `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let place = cells.last().unwrap().trim_end_matches(" |");
        for one in place.split("; ") {
            let (file, name) = one.split_once("`: `").unwrap_or_else(|| panic!("{line}"));
            let (file, name) = (file.trim_matches('`'), name.trim_matches('`'));
            let found = texts
                .iter()
                .any(|(path, text)| path.ends_with(file) && text.contains(&format!("fn {name}(")));
            assert!(found, "no test `{name}` in `{file}`: {line}");
        }
        attacks += 1;
    }
    assert!(attacks >= 60, "{attacks}");
}
