//! Promise 1: what is not listed does not pass, and does not even reach the backend.

use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, holds};

const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "get"];

/// Fifty paths: ordinary ones, those that operators forget, and those that scanners try.
fn paths() -> Vec<String> {
    let known = [
        "/",
        "/index.html",
        "/api",
        "/api/",
        "/api/customers",
        "/api/customers/1",
        "/one/1",
        "/list",
        "/all",
        "/admin",
        "/actuator/env",
        "/metrics",
        "/health",
        "/.env",
        "/.git/config",
        "/api/v1/users",
        "/graphql",
        "/swagger.json",
        "/debug/pprof",
        "/server-status",
        "/robots.txt",
        "/favicon.ico",
        "/menshen",
        "/.menshen/",
        "/.menshen/admin",
        "/.well-known/openid-configuration",
    ];
    let made = (0..24).map(|n| format!("/made/{n}/up"));
    known.iter().map(|path| (*path).to_owned()).chain(made).collect()
}

#[tokio::test]
async fn an_empty_policy_answers_nothing_and_500_requests_never_reach_the_backend() {
    let gate = Setup::policy("grades: { 1: {} }\n").start().await;
    let token = gate.teller();
    let mut connection = gate.h2().await;
    let mut asked = 0;
    for path in paths() {
        for method in METHODS {
            let answer = connection.send(Ask::new(method, &path).by(&token)).await;
            assert_eq!(answer.expect(404).cut, None, "{method} {path}");
            asked += 1;
        }
    }
    assert_eq!((asked, gate.upstream.hits()), (500, 0));
}

#[tokio::test]
async fn a_caller_without_a_role_opens_nothing_of_a_full_policy() {
    let gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(r#"{"id":"1","branch":"sh01"}"#));
    let mut connection = gate.h1().await;
    for roles in [json!([]), json!(["unknown"]), json!(["any"]), json!(["Teller"]), json!(["*"])] {
        let token = gate.token(&json!({ "roles": roles }));
        for path in [
            "/api/customers/1",
            "/api/customers",
            "/api/customers/export",
            "/api/customers/1/orders",
        ] {
            connection.send(Ask::get(path).by(&token)).await.expect(403);
        }
        let change = Ask::patch("/api/customers/1", r#"{"phone":"1"}"#).by(&token);
        connection.send(change).await.expect(403);
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn neighbours_of_what_is_published_do_not_exist() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (method, path) in [
        ("PUT", "/api/customers/1"),
        ("DELETE", "/api/customers/1"),
        ("HEAD", "/api/customers/1"),
        ("POST", "/api/customers"),
        ("patch", "/api/customers/1"),
        ("GET", "/api/customers/"),
        ("GET", "/api/customers/1/"),
        ("GET", "/api/customers/1/notes"),
        ("GET", "/API/customers/1"),
        ("GET", "/api/Customers"),
    ] {
        connection.send(Ask::new(method, path).by(&token)).await.expect(404);
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn another_host_is_another_world() {
    let gate = Gate::demo().await;
    let mut client = gate.client();
    client.host = "other.example".to_owned();
    let ask = Ask::get("/api/customers/1").by(&gate.teller());
    client.h1().await.send(ask.clone()).await.expect(404);
    client.h2().await.send(ask).await.expect(404);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_route_of_another_zone_is_told_apart_from_nothing_by_no_byte() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let mut connection = gate.public_client().h1().await;
    let hidden = connection.send(Ask::get("/api/customers/1").by(&token)).await;
    let nothing = connection.send(Ask::get("/api/nowhere/1").by(&token)).await;
    assert_eq!(hidden.told(), nothing.told());
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn an_undeclared_query_parameter_is_refused() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (query, status) in [
        ("debug=1", 400),
        ("fields=secret", 400),
        ("name=a&name=b", 400),
        ("Name=a", 400),
        ("name[]=a", 400),
        ("name.x=a", 400),
        ("=a", 400),
        ("name=%zz", 400),
        ("name=%00", 400),
        ("name=%ff", 400),
        ("&&", 400),
        ("secret=a", 400),
        ("id=1", 400),
        ("_method=DELETE", 400),
        ("per_page=-1", 400),
        ("per_page=1e9", 400),
        ("phone=138", 403),
        ("sort=phone", 403),
        ("sort=-name,phone", 403),
        ("sort=secret", 403),
    ] {
        let answer = connection.send(Ask::get(&format!("/list?{query}")).by(&token)).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
    }
    connection.send(Ask::get("/one/1?x=1").by(&token)).await.expect(400);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_request_field_that_may_not_be_written_refuses_the_whole_request() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for body in [
        r#"{"name":"a","secret":"b"}"#,
        r#"{"name":"a","id":"C2"}"#,
        r#"{"name":"a","role":"admin"}"#,
        r#"{"name":"a","address":{"city":"x"}}"#,
        r#"{"name":"a","\u0073ecret":"b"}"#,
        r#"{"name":"a","__proto__":{}}"#,
        r#"{"name":{"first":"a"}}"#,
        r#"{"name":["a"]}"#,
        r#"[{"name":"a"}]"#,
        r#""name""#,
        "",
        "{",
        r#"{"name":"a"}{"name":"b"}"#,
        r#"{"name":"a"},"#,
        "name=a",
    ] {
        let answer = connection.send(Ask::patch("/one/1", body).by(&token)).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text());
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_request_of_another_type_or_encoding_is_refused() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let body = br#"{"name":"a"}"#;
    let ask = || Ask::new("PATCH", "/one/1").by(&token).body(body);
    for content_type in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/merge-patch",
        "",
    ] {
        let answer = connection.send(ask().header("content-type", content_type)).await;
        assert_eq!(answer.status.as_u16(), 415, "{content_type}: {}", answer.text());
    }
    connection.send(ask()).await.expect(415);
    let twice =
        ask().header("content-type", "application/json").header("content-type", "text/plain");
    connection.send(twice).await.expect(415);
    // Codings that nobody reads, and some that are read, of a body that is not encoded so.
    for (encoding, status) in [
        ("compress", 415),
        ("aes128gcm", 415),
        ("gzip, br, gzip", 415),
        ("br", 400),
        ("zstd", 400),
        ("deflate", 400),
        ("gzip, gzip", 400),
    ] {
        let encoded =
            ask().header("content-type", "application/json").header("content-encoding", encoding);
        let answer = connection.send(encoded).await;
        assert_eq!(answer.status.as_u16(), status, "{encoding}: {}", answer.text());
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_response_field_that_nobody_listed_does_not_pass_at_any_depth() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(
        r#"{"id":1,"name":"a","passport_no":"CANARY","address":{"city":"x","geo":{"lat":"CANARY"}},
            "Name":"CANARY","name ":"CANARY","nam\u0065\u0000":"CANARY","tags":["CANARY",["CANARY"]],
            "customer":{"id":2,"name":"CANARY"},"":"CANARY","$":"CANARY","items":[{"id":3,"name":"CANARY"}]}"#,
    ));
    let answer = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
    assert!(!holds(&answer.bytes(), "CANARY"), "{}", answer.text());
    assert_eq!(answer.expect(200).json(), json!({"id": 1, "name": "a", "address": {"city": "x"}}));
    let entries = gate.entries().await;
    let data = entries.last().unwrap().data.as_ref().unwrap();
    assert!(data.withheld.iter().any(|name| name == "passport_no"), "the new field is reported");
}
