//! In which forms an answer may come: what the backend is asked for, and that each form is judged.

use crate::fails_closed::gzip;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, OPEN_BANK, Reply, Setup, holds};

const CSV: (&str, &str) = ("content-type", "text/csv");
const TABS: (&str, &str) = ("content-type", "text/tab-separated-values");
const SEQUENCE: (&str, &str) = ("content-type", "application/json-seq");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

/// A bank whose export has every form, and shows nobody who has the note `hidden`.
fn bank(limits: &str) -> Setup {
    let policy = OPEN_BANK.replace(
        "action: export\n    returns: { customer: \"$[]\" }\n",
        "action: export\n    returns: { customer: \"$[]\" }\n    as: [json, ndjson, csv, tsv, json-seq]\n",
    );
    assert_ne!(policy, OPEN_BANK);
    let hidden = "  - name: the hidden stay hidden\n    deny: export\n    to: any\n    of: customer\n    \
                  where: record.note == \"hidden\"\n";
    Setup::policy(&format!("{policy}{hidden}{limits}"))
}

/// Customers from 1 on with a long note each, in both forms.
fn customers(rows: u32) -> [((&'static str, &'static str), String); 2] {
    let note = |id| format!("{id:0300}");
    let line =
        |id| format!("{{\"id\":{id},\"note\":\"{}\",\"phone\":\"13812345678\"}}\n", note(id));
    let row = |id| format!("{id},{},13812345678\r\n", note(id));
    let lines = (1..=rows).map(line).collect();
    let table = String::from("id,note,phone\r\n") + &(1..=rows).map(row).collect::<String>();
    [(LINES, lines), (CSV, table)]
}

/// Lines as a JSON text sequence.
fn as_sequence(lines: &str) -> String {
    lines.lines().filter(|line| !line.is_empty()).map(|line| format!("\u{1e}{line}\n")).collect()
}

fn chunked(media_type: (&str, &str), body: &[u8], size: usize) -> Reply {
    let mut answer = head(200, &[media_type, ("transfer-encoding", "chunked")]);
    body.chunks(size).for_each(|piece| answer.extend(chunk(piece)));
    answer.extend_from_slice(b"0\r\n\r\n");
    Reply::raw(answer)
}

#[tokio::test]
async fn an_export_in_lines_or_rows_is_judged_like_one_in_json() {
    let mut gate = bank("").start().await;
    let token = gate.teller();
    let lines = concat!(
        "{\"id\":1,\"name\":\"a\",\"phone\":\"13812345678\",\"secret\":\"CANARY\",\"note\":\"\"}\n",
        "{\"id\":2,\"name\":\"CANARY\",\"note\":\"hidden\"}\n",
        "{\"id\":3,\"name\":\"CANARY\"}\n\n",
        "{\"id\":4,\"note\":\"=1\",\"address\":{\"city\":\"c\",\"zip\":\"CANARY\"}}",
    );
    let lines_out = concat!(
        "{\"id\":1,\"name\":\"a\",\"phone\":\"138****5678\",\"note\":\"\"}\n",
        "{\"id\":4,\"note\":\"=1\",\"address\":{\"city\":\"c\"}}\n",
    );
    let table = concat!(
        "secret,id,phone,note,address.city,address.zip\r\n",
        "CANARY,1,13812345678,\"x, y\",c,CANARY\r\n",
        "CANARY,2,CANARY,hidden,c,CANARY\r\n",
        "CANARY,3,CANARY,,c,CANARY\r\n",
        "CANARY,,CANARY,x,c,CANARY\r\n",
        "CANARY,4,,=1,c,CANARY",
    );
    let table_out = concat!(
        "id,phone,note,address.city\r\n",
        "1,138****5678,\"x, y\",c\r\n",
        "4,,\"'=1\",c\r\n",
    );
    let tabs = "secret\tid\tphone\tnote\taddress.city\taddress.zip\nCANARY\t1\t13812345678\tx, y\tc\tCANARY\nCANARY\t2\tCANARY\thidden\tc\tCANARY\nCANARY\t4\t\t=1\tc\tCANARY";
    let tabs_out = "id\tphone\tnote\taddress.city\n1\t138****5678\tx, y\tc\n4\t\t'=1\tc\n";
    let texts = as_sequence(lines);
    let texts_out = as_sequence(lines_out);
    for (media_type, body, wanted, told) in [
        (LINES, lines, lines_out, "application/x-ndjson"),
        (SEQUENCE, &texts, &texts_out, "application/json-seq"),
        (CSV, table, table_out, "text/csv; charset=utf-8"),
        (TABS, tabs, tabs_out, "text/tab-separated-values; charset=utf-8"),
    ] {
        let packed = [media_type, ("content-encoding", "gzip")];
        for reply in [
            Reply::with(200, &[media_type], body),
            Reply::with(200, &packed, gzip(body.as_bytes())),
            chunked(media_type, body.as_bytes(), 1),
            chunked(media_type, body.as_bytes(), 7),
        ] {
            gate.upstream.answers(reply);
            for mut connection in [gate.h1().await, gate.h2().await] {
                let ask = Ask::get("/all").by(&token).header("accept", media_type.1);
                let answer = connection.send(ask).await;
                assert_eq!(answer.expect(200).text(), wanted);
                assert_eq!(answer.header("content-type"), Some(told));
                assert_eq!(answer.cut, None);
            }
        }
        let entries = gate.entries_ended().await;
        let data = entries.iter().rev().find_map(|entry| entry.data.clone()).unwrap();
        assert_eq!(
            (data.entity.as_str(), data.records, data.held_back),
            ("customer", Some(2), None)
        );
        let clear: Vec<&str> = data.clear.iter().collect();
        assert!(clear.contains(&"customer.id") && clear.contains(&"customer.address.city"));
        assert!(!clear.contains(&"customer.phone"));
        assert!(data.masked.iter().any(|name| name == "customer.phone"));
        let withheld: Vec<&str> = data.withheld.iter().collect();
        assert!(withheld.contains(&"customer.secret") && withheld.contains(&"zip"));
    }
    assert!(gate.entries().await.len() > 32);
}

#[tokio::test]
async fn a_table_in_another_encoding_comes_out_in_utf8() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let table = "id,name,secret,note\n1,\u{738b}\u{5c0f},CANARY,x\n2,\u{738b},CANARY,hidden\n";
    let wanted = "id,name,note\n1,\u{738b}\u{5c0f},x\n";
    let utf16 =
        |to_bytes: fn(u16) -> [u8; 2]| table.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
    let gbk = "id,name,secret,note\n1,\u{c3}\u{f5},CANARY,x\n2,\u{cd}\u{f5},CANARY,hidden\n";
    let bytes = |latin: &str| latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let thai = "id,name,secret,note\n1,\u{aa}\u{d7}\u{e8}\u{cd},CANARY,x\n";
    let marked = format!("\u{feff}{wanted}");
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("gb18030", bytes(gbk), "id,name,note\n1,\u{60af},x\n"),
        ("tis-620", bytes(thai), "id,name,note\n1,\u{e0a}\u{e37}\u{e48}\u{e2d},x\n"),
        ("utf-16le", utf16(u16::to_le_bytes), wanted),
        ("UTF-16BE", utf16(u16::to_be_bytes), wanted),
        ("utf-16", [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(), &marked),
        (
            "iso-8859-1",
            bytes("id,name,secret,note\n1,M\u{fc}ller,CANARY,x\n"),
            "id,name,note\n1,M\u{fc}ller,x\n",
        ),
    ];
    for (charset, body, wanted) in cases {
        let media_type = format!("text/csv; charset={charset}");
        for size in [1, 3, 1000] {
            gate.upstream.answers(chunked(("content-type", &media_type), &body, size));
            let answer = gate.ask(Ask::get("/all").by(&token).header("accept", "text/csv")).await;
            assert_eq!(answer.expect(200).text(), wanted, "{charset} in {size}s");
            assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        }
        // The same bytes under the label of another encoding.
        for lie in ["utf-8", "us-ascii", "utf-16"] {
            if lie != charset {
                let media_type = format!("text/csv; charset={lie}");
                gate.upstream.answers(chunked(("content-type", &media_type), &body, 1000));
                let answer = gate.ask(Ask::get("/all").by(&token)).await;
                assert_eq!(answer.status, 502, "{charset} as {lie}");
                assert!(!holds(&answer.bytes(), "CANARY"));
            }
        }
    }
}

#[tokio::test]
async fn what_a_limit_holds_back_is_told_in_every_form() {
    let gate = bank("limits:\n  - to: teller\n    export: { rows: 2/file }\n").start().await;
    let token = gate.teller();
    for (media_type, body) in customers(5) {
        gate.upstream.answers(Reply::with(200, &[media_type], &body));
        let answer = gate.ask(Ask::get("/all").by(&token).header("accept", media_type.1)).await;
        let (headers, rows) = (usize::from(media_type == CSV), answer.expect(200).text().lines());
        assert_eq!((rows.count() - headers, answer.header("menshen-held-back")), (2, Some("3")));
    }
}

#[tokio::test]
async fn a_stream_of_lines_or_rows_that_a_limit_ends_says_so_or_is_cut() {
    let gate = bank("limits:\n  - to: teller\n    export: { rows: 100/file }\n");
    let mut gate = gate.yaml("bodies: { held-kib: 16 }").start().await;
    let token = gate.teller();
    for (media_type, body) in customers(300) {
        gate.upstream.answers(chunked(media_type, body.as_bytes(), 5_000));
        let ask = Ask::get("/all").by(&token).header("accept", media_type.1);
        for mut connection in [gate.h1().await, gate.h2().await] {
            let told = connection.send(ask.clone().header("te", "trailers")).await;
            let rows = told.expect(200).text().lines().count() - usize::from(media_type == CSV);
            let held_back = told.trailers.get("menshen-held-back").unwrap().to_str().unwrap();
            assert_eq!((rows, held_back), (100, "200"));
            let cut = connection.send(ask.clone()).await;
            assert!(cut.cut.is_some(), "it ended as if it were whole");
        }
    }
    let held_back = |entry: &menshen::audit::Entry| entry.data.as_ref()?.held_back;
    let held_back: Vec<u64> = gate.entries().await.iter().filter_map(held_back).collect();
    assert_eq!(held_back, [200; 8]);
}

#[tokio::test]
async fn lines_and_rows_that_two_readers_could_take_differently_are_refused() {
    let gate = bank("").start().await;
    let token = gate.teller();
    let fine = "id,name,note\n1,CANARY,x\n";
    for (media_type, body) in [
        ("application/x-ndjson", "{\"id\":1,\"name\":\"CANARY\",\n\"note\":\"x\"}\n"),
        ("application/x-ndjson", "{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}{}\n"),
        ("application/x-ndjson", "[{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"},\n{}]"),
        ("application/x-ndjson", fine),
        ("application/json", fine),
        ("application/json", "{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}\n{}\n"),
        ("text/csv", "[{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}]"),
        ("text/csv", "1,CANARY,x\n"),
        ("text/csv", "id,name,name,note\n1,CANARY,b,x\n"),
        ("text/csv", "id,name,note\n1,CANARY,x\n2,b\n"),
        ("text/csv", "id,name,note\n1,CANARY,\"x\n"),
        ("text/csv", "id;name;note\n1;CANARY;x\n"),
        ("text/csv; header=absent", fine),
        ("text/csv; charset=utf-7", fine),
        ("text/csv; charset=hz-gb-2312", fine),
        ("text/csv; charset=iso-2022-kr", fine),
        ("text/csv; charset=utf-16", fine),
        ("text/csv; charset=utf-16le", fine),
        ("text/csv; charset=utf-8; charset=gbk", fine),
        ("application/x-ndjson; charset=gbk", "{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}\n"),
        ("text/tab-separated-values", fine),
        ("text/tab-separated-values", "id\tname\tnote\n1\t\"CANARY\"\tx\n"),
        ("text/tab-separated-values", "id\tname\tnote\n1\tCANARY\n"),
        ("text/tab-separated-values", "id\tname\tnote\n1\tCANARY\tx\ty\n"),
        ("application/json-seq", "{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}\n"),
        ("application/json-seq", "\u{1e}{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}"),
        ("application/json-seq", "\u{1e}{\"id\":1,\"name\":\"CANARY\",\"note\":\"x\"}\n{}\n"),
        ("application/json-seq", "\u{1e}{\"id\":1,\"name\":\"CANARY\"\u{1e}\"note\":\"x\"}\n"),
    ] {
        gate.upstream.answers(Reply::with(200, &[("content-type", media_type)], body));
        let answer = gate.ask(Ask::get("/all").by(&token)).await;
        assert!(!holds(&answer.expect(502).bytes(), "CANARY"), "{media_type} {body}");
    }
}

#[tokio::test]
async fn a_stream_of_lines_or_rows_that_turns_bad_is_cut() {
    let gate = bank("").yaml("bodies: { held-kib: 16 }").start().await;
    let token = gate.teller();
    for (media_type, body) in customers(300) {
        let broken = body + "301,\"CANARY\"x,13812345678\r\n";
        gate.upstream.answers(chunked(media_type, broken.as_bytes(), 5_000));
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get("/all").by(&token)).await;
            assert!(answer.expect(200).cut.is_some(), "it ended as if it were whole");
            assert!(!holds(&answer.bytes(), "CANARY") && !holds(&answer.bytes(), "12345678"));
        }
    }
}

#[tokio::test]
async fn the_backend_is_asked_for_a_form_that_the_route_declares() {
    let gate = bank("").start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json("[]"));
    for (path, accept, asked) in [
        ("/all", "", "application/json"),
        ("/all", "*/*", "application/json"),
        ("/all", "text/html, application/pdf;q=0.9", "application/json"),
        ("/all", "Text/CSV", "text/csv"),
        ("/all", "text/html, application/x-ndjson;q=0.9, text/csv", "application/x-ndjson"),
        ("/all", "application/json;q=0, text/csv; q=0.5", "text/csv"),
        ("/one/1", "text/csv", "application/json"),
        ("/list", "application/x-ndjson", "application/json"),
    ] {
        let ask = Ask::get(path).by(&token);
        let ask = if accept.is_empty() { ask } else { ask.header("accept", accept) };
        gate.ask(ask).await;
        let last = gate.upstream.asked().pop().unwrap();
        assert_eq!(last.header("accept"), Some(asked), "{path} {accept}");
    }
}

#[tokio::test]
async fn an_answer_in_a_form_that_the_route_does_not_declare_is_refused() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    for (media_type, body) in [
        ("text/csv", "id,name,phone\n1,a,13812345678\n"),
        ("application/x-ndjson", "{\"id\":1,\"phone\":\"13812345678\"}\n"),
    ] {
        gate.upstream.answers(Reply::with(200, &[("content-type", media_type)], body));
        let answer = gate.ask(Ask::get("/all").by(&token).header("accept", media_type)).await;
        assert!(!holds(&answer.expect(502).bytes(), "12345678"), "{media_type}");
    }
}
