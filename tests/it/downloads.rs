//! A look is not a file: what is only looked at cannot be taken as one, and a file carries a mark and has
//! a hash in the log, so that a copy of it leads back to whoever took it.

use menshen::audit::{ContentHash, Data, Entry, Extent, Mode, OrderKey, Readings};
use menshen::secret::MasterKey;
use serde_json::json;

use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, OPEN_BANK, Reply, Setup, Step};

/// The bank, with a statement of each customer, and an export in every form.
fn bank() -> Setup {
    let file = "
  statement:
    match: GET bank.example/one/{id}/statement
    to: core
    action: view
    opaque: { types: application/pdf, grade: 1, size: 1MiB, subject: id, of: customer }
roles: { ";
    let rule = "  - { name: statements, allow: view, to: teller, route: statement }\n";
    let policy = OPEN_BANK.replace("\nroles: { ", file).replace(
        "returns: { customer: \"$[]\" }",
        "returns: { customer: \"$[]\" }\n    as: [json, ndjson, csv]",
    );
    Setup::policy(&format!("{policy}{rule}")).yaml("bodies: { held-kib: 16 }")
}

fn sha256(bytes: &[u8]) -> String {
    let mut hash = ContentHash::default();
    hash.update(bytes);
    hash.finish()
}

/// What the outcomes say of the data, in their order.
fn outcomes(entries: &[Entry]) -> Vec<&Data> {
    let of = |entry: &'_ Entry| entry.decided_by.is_some() && entry.continues.is_none();
    entries.iter().filter(|entry| of(entry)).filter_map(|entry| entry.data.as_ref()).collect()
}

fn records(rows: u32) -> String {
    let row = |id| format!(r#"{{"id":{id},"name":"n{id}","note":"{id:0200}"}}"#);
    format!("[{}]", (1..=rows).map(row).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn no_trick_of_a_request_makes_a_file_of_a_look() {
    let mut gate = bank().start().await;
    let token = gate.teller();
    let tricks = [
        ("range", "bytes=0-3"),
        ("if-range", "\"a\""),
        ("accept", "text/csv"),
        ("accept", "application/octet-stream, application/pdf"),
        ("content-disposition", "attachment; filename=x.json"),
        ("x-download", "1"),
        ("prefer", "return=representation"),
        ("sec-fetch-dest", "document"),
    ];
    let head = [
        ("content-type", "application/json"),
        ("content-disposition", "attachment; filename=customers.json"),
        ("accept-ranges", "bytes"),
        ("etag", "\"a\""),
    ];
    let one = r#"{"id":1,"name":"a"}"#;
    let list = r#"{"items":[{"id":1,"name":"a"}]}"#;
    for (path, body) in [("/one/1", one), ("/list", list)] {
        gate.upstream.answers(Reply::with(200, &head, body));
        for mut connection in [gate.h1().await, gate.h2().await] {
            for (name, value) in tricks {
                let answer = connection.send(Ask::get(path).by(&token).header(name, value)).await;
                assert_eq!(answer.expect(200).text(), body, "{path} {name}");
                assert_eq!(answer.header("content-disposition"), Some("inline"));
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                assert_eq!(answer.header("content-type"), Some("application/json"));
                for absent in ["menshen-watermark", "accept-ranges", "content-range", "etag"] {
                    assert_eq!(answer.header(absent), None, "{path} {name}");
                }
            }
        }
    }
    for asked in gate.upstream.asked() {
        assert_eq!(asked.header("accept"), Some("application/json"));
        for absent in ["range", "if-range", "content-disposition", "x-download", "prefer"] {
            assert_eq!(asked.header(absent), None);
        }
    }
    // A part that a backend sends unasked is none of the view.
    let part = [("content-type", "application/json"), ("content-range", "bytes 0-18/900")];
    gate.upstream.answers(Reply::with(206, &part, one));
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(502);
    let entries = gate.entries().await;
    let shown = outcomes(&entries);
    assert_eq!(shown.len(), 32);
    assert!(shown.iter().all(|data| data.mode == Some(Mode::View) && data.watermark.is_empty()));
    assert!(shown.iter().all(|data| data.sha256.is_empty() && data.file.is_none()));
}

#[tokio::test]
async fn a_file_has_a_name_and_a_mark_that_stand_in_the_log_before_it_leaves() {
    let mut gate = bank().start().await;
    let token = gate.teller();
    let pdf = Reply::with(200, &[("content-type", "application/pdf")], "%PDF-1.7");
    let mut marks = Vec::new();
    for (path, route, ending, reply) in [
        ("/all", "all.export", "json", Reply::json(records(2))),
        ("/all", "all.export", "json", Reply::json(records(300))),
        ("/all", "all.export", "csv", Reply::with(200, &[("content-type", "text/csv")], "id\n1\n")),
        ("/one/1/statement", "statement", "pdf", pdf),
    ] {
        gate.upstream.answers(reply);
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get(path).by(&token)).await;
            let mark = answer.expect(200).header("menshen-watermark").unwrap();
            let name = format!("attachment; filename=\"{route}-2027-01-15-{mark}.{ending}\"");
            assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
            assert!(mark.len() == 17 && mark.starts_with('w'), "{mark}");
            let request = answer.header("menshen-request-id").unwrap().to_owned();
            let durable = gate.entries_so_far();
            let decision = durable.iter().find(|entry| entry.id.to_string() == request).unwrap();
            let data = decision.data.as_ref().unwrap();
            assert_eq!((data.mode, data.watermark.as_str()), (Some(Mode::Download), mark));
            marks.push(mark.to_owned());
        }
    }
    let entries = gate.entries().await;
    let told: Vec<&str> = outcomes(&entries).iter().map(|data| data.watermark.as_str()).collect();
    assert_eq!(told, marks, "each file has a mark of its own");
    marks.sort_unstable();
    marks.dedup();
    assert_eq!(marks.len(), 8);
}

#[tokio::test]
async fn the_hash_in_the_log_is_that_of_the_bytes_that_left() {
    let mut gate = bank().start().await;
    let token = gate.teller();
    let pdf = [("content-type", "application/pdf")];
    let mut files: Vec<Answer> = Vec::new();
    for (path, reply) in [
        ("/all", Reply::json(records(2))),
        ("/all", Reply::json(records(2_000))),
        ("/all", Reply::chunked(records(2_000).as_bytes().chunks(7_000))),
        ("/all", Reply::json("[]")),
        ("/one/1/statement", Reply::with(200, &pdf, "%PDF-1.7")),
        ("/one/1/statement", Reply::with(200, &pdf, "x".repeat(300_000))),
    ] {
        gate.upstream.answers(reply);
        for mut connection in [gate.h1().await, gate.h2().await] {
            let answer = connection.send(Ask::get(path).by(&token)).await;
            assert_eq!(answer.expect(200).cut, None);
            files.push(answer);
        }
    }
    let entries = gate.entries().await;
    let told = outcomes(&entries);
    assert_eq!(told.len(), files.len());
    for (data, file) in told.iter().zip(&files) {
        assert_eq!(data.sha256.as_str(), sha256(&file.body));
        assert_eq!(data.file_bytes, Some(file.body.len() as u64));
        assert_eq!((data.file, data.bytes), (Some(Extent::Complete), data.file_bytes));
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_says_so_and_its_hash_is_of_what_left() {
    let mut gate = bank().plain().start().await;
    let token = gate.teller();
    let good = records(2_000);
    let bad = format!("{}, nonsense", good.trim_end_matches(']'));
    let mut left = Vec::new();
    for reply in [
        Reply::chunked(bad.as_bytes().chunks(7_000)),
        Reply::open(good.as_bytes()[..200_000].chunks(7_000)).then(Step::Close),
    ] {
        gate.upstream.answers(reply);
        let answer = gate.h2().await.send(Ask::get("/all").by(&token)).await;
        assert!(answer.expect(200).cut.is_some());
        left.push(answer.body);
    }
    let entries = gate.entries().await;
    let told = outcomes(&entries);
    assert_eq!(told.len(), left.len());
    for (data, left) in told.iter().zip(&left) {
        assert_eq!(data.file, Some(Extent::Cut));
        // What was handed to the connection; a client that was cut off may have less of it.
        let handed = usize::try_from(data.file_bytes.unwrap()).unwrap();
        assert!(left.len() <= handed && handed <= good.len(), "{} {handed}", left.len());
        assert_eq!(data.sha256.as_str(), sha256(&good.as_bytes()[..handed]));
    }
}

#[tokio::test]
async fn a_refused_export_names_no_file() {
    let mut gate = bank().start().await;
    gate.upstream.answers(Reply::with(500, &[], ""));
    let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
    assert_eq!(answer.expect(500).header("menshen-watermark"), None);
    assert_eq!(answer.header("content-disposition"), None);
    let entries = gate.entries().await;
    assert!(outcomes(&entries).is_empty());
}

/// The bank whose export carries marks in these ways.
fn marked(by: &str) -> Setup {
    let returns = "returns: { customer: \"$[]\" }";
    let marked = format!("{returns}\n    as: [json, ndjson, csv]\n    watermark: {by}");
    Setup::policy(&OPEN_BANK.replace(returns, &marked)).yaml("bodies: { held-kib: 16 }")
}

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const CSV: (&str, &str) = ("content-type", "text/csv");

#[tokio::test]
async fn each_record_carries_the_mark_where_the_policy_says_so() {
    let gate = marked("{ by: field, name: copy_of }").start().await;
    let token = gate.teller();
    let json = ("content-type", "application/json");
    for (form, body, wanted) in [
        (
            json,
            "[ {\"secret\":1,\"id\":1,\"copy_of\":\"x\"} , {\"id\":2, \"phone\":\"13812345678\" },{\"name\":\"a\"},\n{\"id\":3,\"address\":{\"city\":\"c\"},\"z\":1}]",
            "[ {\"id\":1,\"copy_of\":\"MARK\"} , {\"id\":2, \"phone\":\"138****5678\" ,\"copy_of\":\"MARK\"},\n{\"id\":3,\"address\":{\"city\":\"c\"},\"copy_of\":\"MARK\"}]",
        ),
        (json, "[]", "[]"),
        (
            LINES,
            "{\"id\":1}\n{\"secret\":1}\r\n{\"id\":2,\"name\":\"}\"}",
            "{\"id\":1,\"copy_of\":\"MARK\"}\n{\"id\":2,\"name\":\"}\",\"copy_of\":\"MARK\"}\n",
        ),
        (
            CSV,
            "copy_of,id,secret,name\r\nx,1,y,\"a, b\"\r\nx,,y,c\r\nx,2,y,",
            "id,name,copy_of\r\n1,\"a, b\",MARK\r\n2,,MARK\r\n",
        ),
        (CSV, "id\n1\n", "id,copy_of\n1,MARK\n"),
    ] {
        for size in [1, 2, 7, 1000] {
            let mut steps = head(200, &[form, ("transfer-encoding", "chunked")]);
            body.as_bytes().chunks(size).for_each(|piece| steps.extend(chunk(piece)));
            steps.extend_from_slice(b"0\r\n\r\n");
            gate.upstream.answers(Reply::raw(steps));
            let answer = gate.ask(Ask::get("/all").by(&token).header("accept", form.1)).await;
            let mark = answer.expect(200).header("menshen-watermark").unwrap();
            assert_eq!(answer.text(), wanted.replace("MARK", mark), "{body} in {size}s");
        }
    }
}

/// Customers in each form, in the order of their numbers.
fn bodies(rows: u32) -> [((&'static str, &'static str), String); 3] {
    let line = |id| format!("{{\"id\":\"C{id}\",\"note\":\"{id:0100}\"}}\n");
    let row = |id| format!("C{id},{id:0100}\r\n");
    let object = |id| format!("{{\"id\":\"C{id}\",\"note\":\"{id:0100}\"}}");
    let list = (1..=rows).map(object).collect::<Vec<_>>().join(", ");
    [
        (("content-type", "application/json"), format!("[{list}]")),
        (LINES, (1..=rows).map(line).collect()),
        (CSV, String::from("id,note\r\n") + &(1..=rows).map(row).collect::<String>()),
    ]
}

/// The numbers of the customers in a body, in its order.
fn numbers(body: &str) -> Vec<String> {
    let ids = body.match_indices('C').map(|(at, _)| &body[at..]);
    ids.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

#[tokio::test]
async fn the_order_of_the_records_leads_back_to_whoever_took_them() {
    let mut gate = marked("{ by: order }").start().await;
    let key = OrderKey::new(&MasterKey::read(&gate.path("master.key")).unwrap()).unwrap();
    let token = gate.teller();
    let mut copies = Vec::new();
    for rows in [60, 700] {
        for (form, body) in bodies(rows) {
            for size in [997, 60_000] {
                let mut steps = head(200, &[form, ("transfer-encoding", "chunked")]);
                body.as_bytes().chunks(size).for_each(|piece| steps.extend(chunk(piece)));
                steps.extend_from_slice(b"0\r\n\r\n");
                gate.upstream.answers(Reply::raw(steps));
                let answer = gate.ask(Ask::get("/all").by(&token)).await;
                let mark = answer.expect(200).header("menshen-watermark").unwrap().to_owned();
                assert_eq!(answer.cut, None);
                let text = answer.text();
                assert_eq!(text.len(), body.len(), "the same records, and what is between them");
                let mut lines: Vec<&str> = text.split(['\n', ' ', '[', ']']).collect();
                let mut sent: Vec<&str> = body.split(['\n', ' ', '[', ']']).collect();
                let trim = |one: &mut Vec<&str>| {
                    one.iter_mut().for_each(|one| *one = one.trim_end_matches(','));
                    one.sort_unstable();
                };
                trim(&mut lines);
                trim(&mut sent);
                assert_eq!(lines, sent);
                copies.push((mark, numbers(text)));
            }
        }
    }
    for (mark, ids) in &copies {
        for (other, _) in &copies {
            let fit = key.fit(other, ids);
            assert_eq!(fit.is_telling(), mark == other, "{fit:?} of {}", ids.len());
        }
    }
    let hashes = gate.entries().await;
    assert!(outcomes(&hashes).iter().all(|data| data.file == Some(Extent::Complete)));
}

#[tokio::test]
async fn an_order_moves_no_record_into_another_list_or_under_another_name() {
    let returns = "returns: { customer: \"$[]\" }";
    let places = "returns: { customer: [\"$.new[]\", \"$.old[]\", $.first, $.last] }";
    let marked = format!("{places}\n    watermark: {{ by: order }}");
    let mut gate = Setup::policy(&OPEN_BANK.replace(returns, &marked)).start().await;
    let list = |from: u32| (from..from + 20).map(|id| json!({ "id": format!("C{id}") }));
    let body = json!({
        "first": { "id": "C1" },
        "last": { "id": "C2" },
        "new": list(100).collect::<Vec<_>>(),
        "old": list(200).collect::<Vec<_>>(),
    });
    let mut has_moved = false;
    for _ in 0..4 {
        gate.upstream.answers(Reply::json(body.to_string()));
        let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
        let mut shown = answer.expect(200).json();
        has_moved |= shown != body;
        for list in ["new", "old"] {
            let list = shown[list].as_array_mut().unwrap();
            list.sort_by_key(|one| one["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(shown, body);
    }
    assert!(has_moved, "the lists are in an order");
    gate.entries().await;
}

#[tokio::test]
async fn records_in_an_order_are_counted_and_held_back_as_without() {
    let limits = "limits:\n  - { to: teller, export: { rows: 20/file } }\n";
    let returns = "returns: { customer: \"$[]\" }";
    let marked = format!("{returns}\n    watermark: {{ by: [order, field], name: copy_of }}");
    let policy = OPEN_BANK.replace(returns, &marked) + limits;
    let mut gate = Setup::policy(&policy).start().await;
    let (_, body) = bodies(50)[0].clone();
    gate.upstream.answers(Reply::json(body));
    let answer = gate.ask(Ask::get("/all").by(&gate.teller())).await;
    let rows = answer.expect(200).json();
    assert_eq!(rows.as_array().unwrap().len(), 20);
    assert_eq!(rows[0]["copy_of"], answer.header("menshen-watermark").unwrap());
    assert_eq!(answer.header("menshen-held-back"), Some("30"));
    let mut ids = numbers(&answer.text().replace("\"copy_of\"", ""));
    ids.sort_by_key(|id| id[1..].parse::<u32>().unwrap());
    assert_eq!(ids, (1..=20).map(|id| format!("C{id}")).collect::<Vec<_>>());
    let entries = gate.entries().await;
    let data = outcomes(&entries)[0];
    assert_eq!((data.records, data.held_back), (Some(20), Some(30)));
    assert_eq!(data.bytes, Some(answer.body.len() as u64));
    assert_eq!(data.sha256.as_str(), sha256(&answer.body));
}

#[tokio::test]
async fn a_file_that_was_found_leads_to_its_entry() {
    let mut gate = marked("{ by: [field, order], name: copy_of }").start().await;
    let token = gate.teller();
    let (form, body) = bodies(200)[2].clone();
    gate.upstream.answers(Reply::with(200, &[form], body));
    let other = gate.ask(Ask::get("/all").by(&gate.token(&json!({ "sub": "li" })))).await;
    let file = gate.ask(Ask::get("/all").by(&token)).await;
    let request = file.expect(200).header("menshen-request-id").unwrap();
    let mark = file.header("menshen-watermark").unwrap();
    assert_ne!(other.header("menshen-watermark"), Some(mark));
    gate.stop().await;
    let run = |args: &[&str]| {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["log"])
            .args(args)
            .output()
            .unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    let path = |name: &str| gate.path(name).display().to_string();
    let (log, key, found) = (path("log"), path("master.key"), path("found.csv"));
    let trace = |content: &str| {
        std::fs::write(&found, content).unwrap();
        run(&["trace", &log, "--file", &found, "--key", &key, "--column", "id"])
    };
    let whole = file.text();
    let (code, told) = trace(whole);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(told.matches(request).count(), 3, "{told}");
    for why in ["the same bytes, all of the file", "its mark stands in it", "its order: "] {
        assert!(told.contains(why), "{told}");
    }
    let unmarked: String = whole
        .lines()
        .filter_map(|row| row.rsplit_once(','))
        .map(|(row, _)| format!("{row}\n"))
        .collect();
    let (code, told) = trace(&unmarked);
    assert_eq!((code, told.matches(request).count()), (Some(0), 1), "{told}");
    assert!(told.contains("its order: "), "{told}");
    let few: String = whole.lines().take(4).map(|row| format!("{row}\n")).collect();
    let (code, told) = trace(&few);
    assert_eq!((code, told.matches(request).count()), (Some(0), 1), "{told}");
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let waiting = Readings::new(&gate.path("log"), &master).unwrap().waiting().unwrap();
    let seen: Vec<_> = waiting.iter().map(|one| one.reading.as_ref().unwrap().seen).collect();
    assert_eq!(seen, [Some(3), Some(1), Some(1)], "the log knows how many leads were told");
    let (code, told) = trace("id,note\nC1,x\nC2,y\n");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("nobody"), "{told}");
    // By the mark, by the hash, by the file.
    std::fs::write(&found, whole).unwrap();
    let capitals = mark.to_ascii_uppercase();
    let hash = sha256(&file.body);
    for args in [["--watermark", &capitals], ["--sha256", &hash], ["--file", &found]] {
        let (code, told) =
            run(&[&["show", log.as_str(), "--key", key.as_str()], &args[..]].concat());
        assert_eq!((code, told.matches("decision").count()), (Some(0), 1), "{told}");
        assert!(told.contains(mark) && told.contains(&hash), "{told}");
    }
    assert_eq!(run(&["show", &log, "--sha256", "abc"]).0, Some(64));
}
