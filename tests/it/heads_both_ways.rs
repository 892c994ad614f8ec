//! What passes of heads: of a request to the backend, of an answer to the caller.

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, holds};

const JSON: (&str, &str) = ("content-type", "application/json");
const ONE: &str = "{\"id\":1,\"name\":\"a\"}";

/// The open bank, whose routes name headers. `hidden` notes are shown to nobody on `/hidden`.
fn bank() -> Setup {
    let named = |policy: String, route: &str, headers: &str| {
        let start = policy.find(&format!("  {route}:\n")).unwrap();
        let at = start + policy[start..].find("    to: core\n").unwrap();
        format!("{}    headers: {headers}\n{}", &policy[..at], &policy[at..])
    };
    let mut policy = OPEN_BANK.to_owned();
    policy = named(policy, "one.view", "{ send: [x-channel], pass: [x-cost], cookies: [lang] }");
    policy = named(policy, "one.create", "{ pass: [location] }");
    policy = named(policy, "one.update", "{ pass: [location] }");
    policy = named(policy, "list.search", "{ pass: [link, x-total-count] }");
    let hidden = concat!(
        "  hidden.search:\n    match: GET bank.example/hidden\n    to: core\n    action: search\n",
        "    query: { page: page }\n    headers: { pass: [link, x-total-count] }\n",
        "    returns: { customer: \"$.items[]\" }\n",
        "  by.phone:\n    match: \"GET bank.example/phone/{phone}\"\n    to: core\n    action: search\n",
        "    path: { phone: customer.phone }\n    returns: { customer: \"$.items[]\" }\n",
        "  card.view:\n    match: \"GET bank.example/card/{id}\"\n    to: core\n    action: view\n    zones: public\n",
        "    returns: { customer: $ }\n",
        "  paper.view:\n    match: \"GET bank.example/paper/{id}\"\n    to: core\n    action: view\n",
        "    headers: { pass: [etag, content-digest] }\n",
        "    opaque: { types: [application/pdf], grade: 2, size: 1MiB, subject: id, of: customer }\n",
        "roles:",
    );
    let policy = policy.replacen("roles:", hidden, 1);
    Setup::policy(&format!(
        "{policy}  - {{ name: papers, allow: view, to: teller, route: paper.view }}\n  \
         - {{ name: the hidden, deny: search, to: any, of: customer, route: hidden.search, \
         where: record.note == \"hidden\" }}\n"
    ))
}

fn answers(gate: &Gate, status: u16, headers: &[(&str, &str)], body: &str) {
    let headers: Vec<(&str, &str)> = [JSON].into_iter().chain(headers.iter().copied()).collect();
    gate.upstream.answers(Reply::with(status, &headers, body));
}

#[tokio::test]
async fn no_header_of_the_backend_passes_that_its_route_does_not_name() {
    let gate = bank().start().await;
    let token = gate.teller();
    let all = [
        ("etag", "\"CANARY\""),
        ("last-modified", "CANARY"),
        ("content-digest", "sha-256=:CANARY:"),
        ("digest", "CANARY"),
        ("content-md5", "CANARY"),
        ("accept-ranges", "CANARY"),
        ("content-range", "bytes 0-1/CANARY"),
        ("content-location", "/one/CANARY"),
        ("location", "/one/CANARY"),
        ("link", "</one/CANARY>; rel=next"),
        ("set-cookie", "lang=\"CANARY\"; Domain=bank.example"),
        ("set-cookie", "session=CANARY"),
        ("set-cookie", "__Host-menshen=CANARY"),
        ("server", "CANARY"),
        ("x-powered-by", "CANARY"),
        ("x-total-count", "CANARY"),
        ("x-customer-phone", "CANARY"),
        ("trailer", "x-canary"),
        ("refresh", "0;url=/CANARY"),
        ("x-cost", "7"),
    ];
    answers(&gate, 200, &all, ONE);
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert_eq!(answer.expect(200).header("x-cost"), Some("7"));
        assert_eq!(answer.header("content-length"), Some("19"));
        assert!(!holds(&answer.bytes(), "CANARY"), "{:?}", answer.headers);
    }
    let entry = gate.entries_ended().await.into_iter().rev().find(|e| e.data.is_some()).unwrap();
    let removed: Vec<String> = entry.result.unwrap().removed.iter().map(str::to_owned).collect();
    assert_eq!(removed, ["set-cookie"]);
    answers(&gate, 200, &[("x-cost", "1"), ("x-cost", "2")], ONE);
    let twice = gate.ask(Ask::get("/one/1").by(&token)).await;
    assert_eq!(twice.expect(200).header("x-cost"), None);
}

#[tokio::test]
async fn of_a_request_only_what_its_route_names_reaches_the_backend() {
    let gate = bank().start().await;
    let token = gate.teller();
    answers(
        &gate,
        200,
        &[("set-cookie", "lang=th; Max-Age=60; Domain=bank.example; HttpOnly")],
        ONE,
    );
    let ask = Ask::get("/one/1")
        .by(&token)
        .header("x-channel", "branch")
        .header("x-other", "CANARY")
        .header("x-forwarded-for", "CANARY")
        .header("cookie", "a=CANARY; lang=en; b=CANARY")
        .header("if-none-match", "\"CANARY\"")
        .header("if-modified-since", "CANARY")
        .header("if-range", "\"CANARY\"")
        .header("range", "bytes=0-9")
        .header("connection", "x-canary");
    let answer = gate.ask(ask).await;
    let cookie = answer.expect(200).header("set-cookie");
    assert_eq!(cookie, Some("lang=th; Max-Age=60; Secure; HttpOnly; SameSite=Lax"));
    let asked = gate.upstream.asked().pop().unwrap();
    assert!(!holds(&asked.head, "CANARY"));
    assert_eq!(
        (asked.header("x-channel"), asked.header("cookie")),
        (Some("branch"), Some("lang=en"))
    );
    assert_eq!(asked.header("range"), None);
    let twice = Ask::get("/one/1").by(&token).header("x-channel", "a").header("x-channel", "b");
    gate.ask(twice).await.expect(400);
}

#[tokio::test]
async fn parts_of_a_body_and_answers_without_one_are_refused() {
    let gate = bank().start().await;
    let token = gate.teller();
    for (status, headers) in [
        (206, vec![("content-range", "bytes 0-18/19")]),
        (304, vec![("etag", "\"CANARY\"")]),
        (300, vec![("location", "/one/CANARY")]),
        (302, vec![("location", "/one/CANARY")]),
    ] {
        let body = if status == 304 { "" } else { ONE };
        answers(&gate, status, &headers, body);
        let answer = gate.ask(Ask::get("/one/1").by(&token).header("range", "bytes=0-18")).await;
        assert!(!holds(&answer.expect(502).bytes(), "CANARY"), "{status}");
    }
}

#[tokio::test]
async fn another_method_than_the_one_judged_is_refused_wherever_it_stands() {
    let gate = bank().start().await;
    let token = gate.teller();
    for name in ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X-Original-URL"] {
        let ask = Ask::post("/one", "{\"name\":\"a\"}").by(&token).header(name, "DELETE");
        for mut connection in [gate.h1().await, gate.h2().await] {
            let name = &name.to_ascii_lowercase();
            let ask = Ask { headers: ask.headers.clone(), ..ask.clone() };
            let ask = Ask {
                headers: ask
                    .headers
                    .into_iter()
                    .map(|(n, v)| (n.to_ascii_lowercase(), v))
                    .collect(),
                ..ask
            };
            let told = connection.send(ask).await;
            assert!(told.expect(400).text().contains(name), "{}", told.text());
        }
    }
    for query in ["_method=DELETE", "%5Fmethod=DELETE", "X-HTTP-Method-Override=DELETE"] {
        let ask = Ask::get(&format!("/list?{query}")).by(&token);
        gate.ask(ask).await.expect(400);
    }
    assert!(gate.upstream.asked().is_empty());
}

#[tokio::test]
async fn a_place_passes_only_if_it_is_a_published_route_of_this_host() {
    let gate = bank().start().await;
    let token = gate.teller();
    for (place, told) in [
        ("/one/7", Some("/one/7")),
        ("https://bank.example/one/7", Some("/one/7")),
        ("http://BANK.example:8080/one/7", Some("/one/7")),
        ("/one/%37", Some("/one/7")),
        ("https://other.example/one/7", None),
        ("//other.example/one/7", None),
        ("https://bank.example@other.example/one/7", None),
        ("https://bank.example", None),
        ("one/7", None),
        ("/unpublished/7", None),
        ("/card/7", None),
        ("/phone/13812345678", None),
        ("/one/7?phone=13812345678", None),
        ("/one/7#13812345678", None),
        ("/one/a/../7", None),
        ("javascript:alert(1)", None),
        ("", None),
    ] {
        for status in [201, 303] {
            answers(&gate, status, &[("location", place)], "{\"id\":7,\"name\":\"a\"}");
            let answer = gate.ask(Ask::post("/one", "{\"name\":\"a\"}").by(&token)).await;
            let wanted = if status == 303 && told.is_none() { 502 } else { status };
            assert_eq!(answer.expect(wanted).header("location"), told, "{status} {place}");
        }
    }
    for (place, told) in [("/one/7", Some("/one/7")), ("/one/8", None)] {
        answers(&gate, 200, &[("location", place)], "{\"id\":7,\"name\":\"a\"}");
        let answer = gate.ask(Ask::patch("/one/7", "{\"name\":\"a\"}").by(&token)).await;
        assert_eq!(answer.expect(200).header("location"), told, "a key that nobody named");
    }
}

#[tokio::test]
async fn links_and_counts_tell_nothing_that_the_body_would_not() {
    let gate = bank().start().await;
    let token = gate.teller();
    let items = "{\"items\":[]}";
    let link = concat!(
        "<https://bank.example/list?name=a&per_page=5>; rel=\"next\", <?x=1>; rel=prev, ",
        "</list?phone=138>; rel=first, </one/8>; rel=item, <https://other.example/list>; rel=up, ",
        "</list?x=1>; rel=start, </list>; rel=last; title=CANARY",
    );
    answers(&gate, 200, &[("link", link), ("x-total-count", "12")], items);
    let answer = gate.ask(Ask::get("/list").by(&token)).await;
    let wanted = "</list?name=a&per_page=5>; rel=\"next\", </list>; rel=\"last\"";
    assert_eq!(answer.expect(200).header("link"), Some(wanted));
    assert_eq!(answer.header("x-total-count"), Some("12"));

    let link = "</hidden?page=2>; rel=next, </hidden?page=9>; rel=last";
    answers(&gate, 200, &[("link", link), ("x-total-count", "12")], items);
    let answer = gate.ask(Ask::get("/hidden").by(&token)).await;
    assert_eq!(answer.expect(200).header("link"), Some("</hidden?page=2>; rel=\"next\""));
    assert_eq!(answer.header("x-total-count"), None, "rows may be withheld");
}

#[tokio::test]
async fn what_describes_the_bytes_passes_with_the_bytes_alone() {
    let gate = bank().start().await;
    let token = gate.teller();
    let headers = [("content-type", "application/pdf"), ("etag", "\"a\""), ("server", "x")];
    gate.upstream.answers(Reply::with(200, &headers, "%PDF-1.7"));
    let answer = gate.ask(Ask::get("/paper/1").by(&token)).await;
    assert_eq!((answer.expect(200).header("etag"), answer.header("server")), (Some("\"a\""), None));
}
