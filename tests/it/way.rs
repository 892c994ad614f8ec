//! The way of a request when all is well.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use crate::harness::client::finish;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

const CUSTOMER: &str = r#"{"id":"C1","name":"王小明","phone":"13812345678","branch":"sh01","segment":"retail","password_hash":"x","surprise":1}"#;

#[tokio::test]
async fn a_teller_sees_a_customer_with_the_phone_masked_over_both_protocols() {
    let mut gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(CUSTOMER));
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/api/customers/C1").by(&token)).await;
        let seen = json!({
            "id": "C1", "name": "王小明", "phone": "138****5678", "branch": "sh01", "segment": "retail"
        });
        assert_eq!(answer.expect(200).json(), seen);
    }
    assert_eq!(gate.upstream.hits(), 2);
    let entries = gate.entries().await;
    let said =
        "the start, a decision and an outcome each, and the field that the catalogue does not know";
    assert_eq!(entries.len(), 6, "{said}: {entries:?}");
}

#[tokio::test]
async fn what_may_pass_passes_byte_for_byte() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for value in [
        "1.0e+5",
        "-0",
        "0.30000000000000004",
        "123456789012345678901234567890.5E-300",
        "true",
        "null",
        r#""\u738b\/\"\\\b\f\n\r\t""#,
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        "\"王小明 \u{1f600} é e\u{301}\"",
        "\"</script>&<>\u{2028}\"",
        r#""""#,
    ] {
        let body = format!(r#"{{"id":1,"note":{value},"name":{value}}}"#);
        for size in [1, 7, body.len()] {
            gate.upstream.answers(Reply::chunked(body.as_bytes().chunks(size)));
            let answer = connection.send(Ask::get("/one/1").by(&token)).await;
            assert_eq!(answer.expect(200).text(), body, "in chunks of {size}");
        }
    }
}

#[tokio::test]
async fn a_backend_that_packs_or_prints_prettily_is_read_as_well() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let mut connection = gate.h2().await;
    let value: serde_json::Value = serde_json::from_str(CUSTOMER).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(CUSTOMER.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let gzip = [("content-type", "application/json; charset=utf-8"), ("content-encoding", "gzip")];
    for reply in [
        Reply::json(&pretty),
        Reply::json(pretty.replace('\n', "\r\n")),
        Reply::with(200, &gzip, &packed),
        Reply::with(200, &[("Content-Type", "Application/vnd.bank.v1+JSON")], CUSTOMER),
        Reply::chunked(CUSTOMER.as_bytes().chunks(1)),
        Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{CUSTOMER}"))
            .then(Step::Close),
        Reply::raw(format!(
            "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{CUSTOMER}",
            CUSTOMER.len()
        )),
    ] {
        gate.upstream.answers(reply);
        let ask = Ask::get("/api/customers/C1").by(&token).header("accept-encoding", "gzip, br");
        let answer = connection.send(ask).await;
        assert_eq!(answer.expect(200).json()["phone"], "138****5678");
        assert_eq!(answer.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn the_backend_gets_what_was_judged_and_nothing_else_of_the_client() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let ask = Ask::patch("/one/a%62c", "{ \"name\" : \"b\\u0041\" }")
        .by(&token)
        .header("cookie", "a=b")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-user", "root")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("expect", "nothing")
        .header("range", "bytes=0-5")
        .header("if-none-match", "\"x\"")
        .header("accept", "text/csv")
        .header("accept-encoding", "br")
        .header("accept-language", "th")
        .header("user-agent", "a test")
        .header("idempotency-key", "k1");
    gate.ask(ask).await.expect(200);
    let asked = &gate.upstream.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PATCH", "/one/abc"));
    assert_eq!(asked.body, b"{ \"name\" : \"b\\u0041\" }");
    let mut headers: Vec<_> =
        asked.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let expected = [
        "accept-encoding: identity",
        "accept-language: th",
        "accept: application/json",
        "content-length: 22",
        "content-type: application/json",
        "host: bank.example",
        "idempotency-key: k1",
        "user-agent: a test",
        "via: 1.1 menshen",
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn a_query_reaches_the_backend_encoded_in_one_way() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"items":[]}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (query, forwarded) in [
        ("?name=a+b&sort=-name", "?name=a%20b&sort=-name"),
        ("?n%61me=%E7%8E%8B", "?name=%E7%8E%8B"),
        ("?name=a%26b%3Dc", "?name=a%26b%3Dc"),
        ("?name", "?name="),
        ("?", ""),
        ("", ""),
    ] {
        connection.send(Ask::get(&format!("/list{query}")).by(&token)).await.expect(200);
        let asked = gate.upstream.asked();
        assert_eq!(asked.last().unwrap().target, format!("/list{forwarded}"), "{query}");
    }
}

#[tokio::test]
async fn a_thousand_pieces_of_a_large_answer_arrive_whole() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 16 }");
    let mut gate = setup.start().await;
    let token = gate.teller();
    let record =
        |id: u32| format!(r#"{{"id":{id},"name":"n","phone":"13812345678","secret":"x"}}"#);
    let shown = |id: u32| format!(r#"{{"id":{id},"name":"n","phone":"138****5678"}}"#);
    let list = |one: &dyn Fn(u32) -> String| {
        format!("[{}]", (0..1000).map(one).collect::<Vec<_>>().join(","))
    };
    gate.upstream.answers(Reply::chunked(list(&record).as_bytes().chunks(61)));
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/all").by(&token)).await;
        assert_eq!(answer.expect(200).cut, None);
        assert_eq!(answer.text(), list(&shown));
    }
    let entries = gate.entries().await;
    let subjects = |entry: &menshen::audit::Entry| entry.subjects.as_ref().map(|s| s.refs.len());
    assert_eq!(entries.iter().filter_map(subjects).sum::<usize>(), 2000, "none is missing");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        for _ in 0..5 {
            connection.send(Ask::get("/one/1").by(&token)).await.expect(200);
        }
        assert!(connection.is_open().await);
    }
    assert_eq!((gate.upstream.hits(), gate.upstream.connections()), (10, 1));
}

#[tokio::test]
async fn every_answer_forbids_caching_and_sniffing_and_bears_the_id_of_its_entry() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    for ask in [
        Ask::get("/one/1").by(&token),
        Ask::get("/one/1"),
        Ask::get("/nowhere"),
        Ask::get("/.menshen/login"),
        Ask::get("/.menshen/style.css"),
    ] {
        let answer = gate.ask(ask).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.header("strict-transport-security").is_some());
        assert_eq!(answer.header("menshen-request-id").unwrap().len(), 36);
        assert_eq!(answer.header("server"), None);
    }
}

#[tokio::test]
async fn a_drain_takes_nobody_new_and_lets_an_open_answer_end() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }");
    let mut gate = setup.start().await;
    let go_on = Arc::new(Semaphore::new(0));
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(9000));
    let first = Reply::open([format!("[{record},")]).then(Step::Wait(Arc::clone(&go_on)));
    let rest = Reply::chunked([r#"{"id":2}]"#.to_owned()]).0.split_off(1);
    gate.upstream.answers(Reply([first.0, rest].concat()));
    let token = gate.teller();
    for is_h2 in [false, true] {
        let client = gate.client();
        let mut connection = if is_h2 { client.h2().await } else { client.h1().await };
        let ask = Ask::get("/all").by(&token);
        let response = soon("a head", connection.begin(ask)).await.unwrap();
        let drained = async {
            gate.stop().await;
            assert!(client.shake(&["h2"]).await.is_err(), "nobody new");
        };
        let read = async {
            go_on.add_permits(1);
            soon("the end of the answer", finish(response)).await
        };
        let ((), answer) = tokio::join!(drained, read);
        assert_eq!(answer.json().as_array().unwrap().len(), 2);
        gate.start().await;
    }
}

#[tokio::test]
async fn the_same_folders_serve_again_after_a_restart_and_the_log_goes_on() {
    let mut gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(CUSTOMER));
    let token = gate.teller();
    for _ in 0..3 {
        gate.ask(Ask::get("/api/customers/C1").by(&token)).await.expect(200);
        gate.restart().await;
    }
    // The field that the catalogue does not know is told once, not once a start.
    assert_eq!(gate.entries().await.len(), 4 + 6 + 1);
}
