//! Promise 6: a value that a caller sees masked is not to be had in any other way.

use serde_json::json;

use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, holds};

const PHONE: &str = "13812345678";
const MASKED: &str = "138****5678";

#[tokio::test]
async fn a_masked_field_may_not_be_searched_filtered_or_sorted_by() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for query in [
        "phone=13812345678",
        "phone=138",
        "phone=",
        "phone",
        "%70hone=138",
        "name=a&phone=138",
        "sort=phone",
        "sort=-phone",
        "sort=name,phone",
        "sort=id_number",
        "sort=birth_date",
        "sort=password_hash",
        "sort=accounts.balance",
    ] {
        let ask = Ask::get(&format!("/api/customers?{query}")).by(&token);
        let answer = connection.send(ask).await;
        assert_eq!(answer.status, 403, "{query}: {}", answer.text());
    }
    assert_eq!(gate.upstream.hits(), 0);
    gate.upstream.answers(Reply::json(r#"{"items":[]}"#));
    connection.send(Ask::get("/api/customers?name=a&sort=-name,id").by(&token)).await.expect(200);
    let asked = gate.upstream.asked();
    assert_eq!(asked[0].target, "/api/customers?name=a&sort=-name%2Cid&per_page=20");
}

#[tokio::test]
async fn totals_that_would_betray_removed_records_do_not_pass() {
    let gate = Gate::demo().await;
    let list = json!({
        "items": [
            { "id": "C1", "branch": "sh01", "segment": "retail" },
            { "id": "C2", "branch": "bj07", "segment": "retail" },
            { "id": "C3", "branch": "sh01", "segment": "staff" },
        ],
        "page": 1, "next": null, "total": 3, "count": 3, "facets": { "phone": { PHONE: 2 } },
    });
    gate.upstream.answers(Reply::json(list.to_string()));
    let answer = gate.ask(Ask::get("/api/customers").by(&gate.teller())).await;
    let seen = json!({
        "items": [{ "id": "C1", "branch": "sh01", "segment": "retail" }], "page": 1
    });
    assert_eq!(answer.expect(200).json(), seen);
}

#[tokio::test]
async fn an_error_or_redirect_of_the_backend_keeps_its_status_and_nothing_else() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let body = format!(r#"{{"id":1,"name":"a","error":"no customer with phone {PHONE}"}}"#);
    let place = format!("https://core.internal/one/1?phone={PHONE}");
    for (status, shown) in [
        (203, 502),
        (206, 502),
        (226, 502),
        (300, 502),
        (301, 502),
        (302, 502),
        (303, 502),
        (304, 502),
        (307, 502),
        (308, 502),
        (400, 400),
        (401, 401),
        (403, 403),
        (404, 404),
        (409, 409),
        (418, 418),
        (422, 422),
        (429, 429),
        (451, 451),
        (500, 500),
        (502, 502),
        (503, 503),
        (599, 599),
    ] {
        let headers = [
            ("content-type", "application/json"),
            ("location", place.as_str()),
            ("www-authenticate", PHONE),
            ("retry-after", PHONE),
            ("content-location", &place),
        ];
        let body = if status == 304 { "" } else { &body };
        gate.upstream.answers(Reply::with(status, &headers, body));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert!(!holds(&answer.bytes(), PHONE), "{status}: {answer:?}");
        assert!(!holds(&answer.bytes(), "core.internal"), "{status}: {answer:?}");
        answer.expect(shown);
        if status >= 300 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{status}");
        }
    }
}

#[tokio::test]
async fn no_header_of_the_backend_passes_with_the_answer() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let carriers = [
        "x-customer-phone",
        "etag",
        "set-cookie",
        "link",
        "digest",
        "content-digest",
        "repr-digest",
        "content-md5",
        "last-modified",
        "content-disposition",
        "server",
        "server-timing",
        "via",
        "x-debug",
        "x-total-count",
        "content-language",
        "content-location",
        "location",
        "refresh",
        "warning",
        "age",
        "expires",
        "vary",
        "allow",
        "accept-ranges",
        "content-range",
        "alt-svc",
        "access-control-allow-origin",
        "report-to",
        "nel",
        "x-powered-by",
        "sourcemap",
        "pragma",
        "menshen-step-up",
        "menshen-held-back",
        "ratelimit",
        "trailer",
        "keep-alive",
        "strict-transport-security",
    ];
    let mut headers = vec![("content-type", "application/json; profile=13812345678")];
    headers.extend(carriers.iter().map(|name| (*name, PHONE)));
    gate.upstream.answers(Reply::with(200, &headers, r#"{"id":1,"name":"a"}"#));
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert!(!holds(&answer.expect(200).bytes(), PHONE), "{:?}", answer.headers);
    }
}

#[tokio::test]
async fn trailers_of_the_backend_do_not_pass() {
    let gate = Setup::policy(OPEN_BANK).plain().start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::raw(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
         trailer: x-phone\r\n\r\n8\r\n{{\"id\":1}}\r\n0\r\nx-phone: {PHONE}\r\n\r\n"
    )));
    for mut connection in [gate.h1().await, gate.h2().await] {
        let ask = Ask::get("/one/1").by(&token).header("te", "trailers");
        let answer = connection.send(ask).await;
        assert!(answer.expect(200).trailers.is_empty());
        assert!(!holds(&answer.bytes(), PHONE));
    }
}

#[tokio::test]
async fn a_masked_form_cannot_be_written_back() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let record = format!(r#"{{"id":"C1","branch":"sh01","segment":"retail","phone":"{PHONE}"}}"#);
    gate.upstream.answers(Reply::json(record));
    let mut connection = gate.h1().await;
    let masked = connection.send(Ask::get("/api/customers/C1").by(&token)).await;
    assert_eq!(masked.expect(200).json()["phone"], MASKED);
    for body in [
        format!(r#"{{"phone":"{MASKED}"}}"#),
        r#"{"phone":"***********"}"#.to_owned(),
        r#"{"phone":"138\u002a***5678"}"#.to_owned(),
        r#"{"email":"a***@example.com"}"#.to_owned(),
    ] {
        let change = Ask::patch("/api/customers/C1", &body).by(&token);
        let answer = connection.send(change).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let true_phone = Ask::patch("/api/customers/C1", r#"{"phone":"13900000000"}"#).by(&token);
    let answer = connection.send(true_phone).await;
    assert_eq!(answer.expect(200).json()["phone"], MASKED, "the answer to a change is masked too");
    let changes: Vec<_> =
        gate.upstream.asked().into_iter().filter(|asked| asked.method == "PATCH").collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].body, br#"{"phone":"13900000000"}"#);
}

#[tokio::test]
async fn a_change_of_another_branchs_record_does_not_reach_it() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let change = || Ask::patch("/api/customers/C1", r#"{"phone":"13900000000"}"#).by(&token);
    for record in [
        r#"{"id":"C1","branch":"bj07","segment":"retail"}"#,
        r#"{"id":"C1","segment":"retail"}"#,
        r#"{"id":"C1","branch":"sh01","segment":"staff"}"#,
        r#"[{"id":"C1","branch":"sh01","segment":"retail"}]"#,
    ] {
        gate.upstream.answers(Reply::json(record));
        let answer = connection.send(change()).await;
        assert_eq!(answer.status, 404, "{record}: {}", answer.text());
    }
    gate.upstream.answers(Reply::with(500, &[], ""));
    connection.send(change()).await.expect(500);
    gate.upstream.answers(Reply::json(r#"{"id":"C1","branch":"sh01""#));
    connection.send(change()).await.expect(502);
    // Nobody could say whose record was changed.
    gate.upstream.answers(Reply::json(r#"{"branch":"sh01","segment":"retail"}"#));
    connection.send(change()).await.expect(502);
    assert!(gate.upstream.asked().iter().all(|asked| asked.method == "GET"));
}

#[tokio::test]
async fn a_record_that_is_hidden_is_told_apart_from_one_that_is_not_there_by_no_byte() {
    let gate = Gate::demo().await;
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        for ask in [
            Ask::get("/api/customers/C1").by(&token),
            Ask::patch("/api/customers/C1", r#"{"phone":"13900000000"}"#).by(&token),
        ] {
            let hidden = r#"{"id":"C1","branch":"bj07","segment":"retail"}"#;
            gate.upstream.answers(Reply::json(hidden));
            let hidden = connection.send(ask.clone()).await;
            gate.upstream.answers(Reply::with(404, &[], "there is no customer C1"));
            let missing = connection.send(ask).await;
            assert_eq!(hidden.expect(404).told(), missing.told());
        }
    }
}

#[tokio::test]
async fn a_pseudonym_is_the_same_for_the_same_person_and_shows_nothing_of_them() {
    let gate = Gate::demo().await;
    let rows = r#"[{"id":"C17777","segment":"retail","branch":"sh01"},{"id":"C18888","segment":"staff"},
                   {"id":"C17777","segment":"retail"},{"id":"C19999","segment":"retail"}]"#;
    gate.upstream.answers(Reply::json(rows));
    let token = gate.token(&json!({ "roles": ["analyst"] }));
    let ask = Ask::get("/api/customers/export").bearer(&token);
    let answer = gate.ask(ask.header("menshen-purpose", "statistics")).await;
    let seen = answer.expect(200).json();
    assert_eq!(seen.as_array().unwrap().len(), 3, "colleagues are not counted: {seen}");
    assert_eq!(seen[0]["id"], seen[1]["id"]);
    assert_ne!(seen[0]["id"], seen[2]["id"]);
    for id in ["C17777", "C18888", "C19999", "sh01"] {
        assert!(!holds(&answer.bytes(), id), "{id}: {seen}");
    }
}

#[tokio::test]
async fn a_step_up_that_is_missing_shows_the_masked_form_and_how_to_see_more() {
    let gate = Gate::demo().await;
    let record = format!(r#"{{"id":"C1","branch":"sh01","segment":"retail","phone":"{PHONE}"}}"#);
    gate.upstream.answers(Reply::json(record));
    let weak = gate.token(&json!({ "roles": ["supervisor"], "acr": "1" }));
    let strong = gate.token(&json!({ "roles": ["supervisor"] }));
    let answer = gate.ask(Ask::get("/api/customers/C1").by(&weak)).await;
    assert_eq!(answer.expect(200).json()["phone"], MASKED);
    let hint = answer.header("menshen-step-up").unwrap();
    assert!(hint.contains("acr_values=\"2\"") && hint.contains("customer.phone"), "{hint}");
    let answer = gate.ask(Ask::get("/api/customers/C1").by(&strong)).await;
    assert_eq!(answer.expect(200).json()["phone"], PHONE);
}

#[tokio::test]
async fn what_does_not_look_like_its_kind_is_wholly_masked() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for value in [
        "\"call my wife on 13812345678\"",
        "\"13812345678 or 13987654321\"",
        "13812345678",
        "\"1381234567813812345678\"",
        "\"secret words\"",
        "\"+\"",
        "\"１３８１２３４５６７８\"",
        "\"\\u0031\\u0033\\u0038\\u0031\\u0032\\u0033\\u0034\\u0035\\u0036\\u0037\\u0038\"",
    ] {
        gate.upstream.answers(Reply::json(format!(r#"{{"id":1,"phone":{value}}}"#)));
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        let seen = answer.expect(200).json();
        let shown = seen["phone"].to_string();
        for part in ["1234567", "wife", "secret", "words", "3987"] {
            assert!(!shown.contains(part), "{value} became {shown}");
        }
    }
}

/// A policy with a kind of each form that has no stars, and a field without a kind.
const STYLED: &str = r"
grades: { 1: {} }
purposes: [service]
masks: { birth-date: band, phone: last4, ip-address: network }
entities:
  guest:
    subject: id
    fields:
      id: 1
      birth: { grade: 1, kind: birth-date }
      phone: { grade: 1, kind: phone }
      from: { grade: 1, kind: ip-address }
      paid: { grade: 1, kind: amount }
      at: { grade: 1, kind: location }
      note: 1
routes:
  guest.view:
    match: GET bank.example/guests/{id}
    to: core
    action: view
    returns: { guest: $ }
  guest.create:
    match: POST bank.example/guests
    to: core
    action: create
    accepts: { guest: $ }
    returns: { guest: $ }
roles: { teller: {} }
rules:
  - name: tellers see guests masked
    allow: [view, create]
    to: teller
    of: guest
    clear: [id]
    masked: [birth, phone, from, paid, at, note]
    write: [birth, phone, from, paid, at, note]
";

#[tokio::test]
async fn each_kind_is_masked_in_the_style_that_the_policy_names() {
    let gate = Setup::policy(STYLED).start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json(
        r#"{"id":1,"birth":"1990-05-17","phone":"13812345678","from":"203.0.113.7","paid":12345.67,"at":39.91634,"note":7}"#,
    ));
    let answer = gate.ask(Ask::get("/guests/1").by(&token)).await;
    let wanted = json!({
        "id": 1, "birth": "1990-1999", "phone": "*******5678", "from": "203.0.113.0/24",
        "paid": "10k-50k", "at": "39.91", "note": "***",
    });
    assert_eq!(answer.expect(200).json(), wanted);
}

#[tokio::test]
async fn no_masked_form_of_any_style_is_written_back() {
    let gate = Setup::policy(STYLED).start().await;
    let token = gate.teller();
    let masked = [
        ("birth", "1990-1999"),
        ("phone", "*******5678"),
        ("from", "203.0.113.0/24"),
        ("paid", "10k-50k"),
        ("paid", "<0"),
        ("at", "39.91"),
        ("at", "39.91, 116.40"),
        ("note", "***"),
        ("note", "p~AAAAAAAAAAAAAAAAAAAAAA"),
    ];
    for (field, value) in masked {
        let body = json!({ field: value }).to_string();
        let answer = gate.ask(Ask::post("/guests", &body).by(&token)).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.text().contains("masked value"), "{}", answer.text());
    }
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let body = json!({
        "birth": "1990-05-17", "phone": "13812345678", "from": "203.0.113.7", "paid": "12345",
        "at": "39.9163", "note": "paid 7",
    });
    gate.ask(Ask::post("/guests", &body.to_string()).by(&token)).await.expect(200);
}
