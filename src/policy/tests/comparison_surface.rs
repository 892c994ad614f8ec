//! The comparison of two programs where a route answers in another form, its path searches, answers pass
//! unread or are constant, and where limits and masks change: what gives is announced, and taking the
//! same away again is not called wider.

use super::super::compare;
use super::program;

const SHOP: &str = r#"
grades: { 1: {}, 2: { assurance: 2 }, 3: { assurance: 3, fresh: 5m } }
masks: { email: all }
purposes: { care: {}, ads: { pseudonyms: { rotate: month, zone: Asia/Seoul } } }
pseudonyms: { rotate: year }
roles: { clerk: {}, guest: {} }
entities:
  customer:
    subject: id
    fields: { id: 1, phone: { grade: 1, kind: phone }, mail: { grade: 2, kind: email } }
  message: { fields: { text: 1 } }
routes:
  c.by: { match: "GET shop.example/by/{phone}", to: core, action: search, path: { phone: customer.phone }, returns: { customer: "$[]" } }
  c.export: { match: GET shop.example/export, to: core, action: export, as: [json, ndjson], watermark: { by: [field, order], name: copy_of }, returns: { customer: "$[]" } }
  c.all: { match: GET shop.example/all, to: core, action: search, returns: { customer: "$.items[]", total: $.matching } }
  c.file:
    match: GET shop.example/files/{id}
    to: core
    action: view
    opaque: { types: [application/pdf], grade: 2, size: 2MiB, subject: id, of: customer }
  m.leave: { match: POST shop.example/messages, to: core, action: create, accepts: { message: $ }, answer: constant }
  m.paper: { match: POST shop.example/papers, to: core, action: create, uploads: { files: { paper: { types: [image/png], size: 1MiB } }, scanner: av } }
  c.find:
    match: GET shop.example/find
    to: core
    action: search
    headers: { send: [x-a], pass: [x-b], cookies: [c] }
    query: { p: { means: customer.phone, at-least: 3 }, with: { means: include, of: [cards] } }
    returns: { customer: "$[]" }
rules:
  - { name: seen, allow: [search, export], to: clerk, of: customer, clear: [id, phone], masked: mail }
  - { name: files, allow: view, to: clerk, route: c.file }
  - { name: left, allow: create, to: clerk, of: message, write: text }
  - { name: papers, allow: create, to: clerk, route: m.paper }
limits:
  - { to: clerk, rate: 10/min, unmask: 5/h, files: 2/day, export: { rows: 10/file, grant: required } }
  - { to: guest, export: none }
"#;

/// What gives, and in which words; taken back, it takes away.
const WIDER: &[(&str, &str, &str)] = &[
    (", path: { phone: customer.phone }", "", "anybody may name any `{phone}`"),
    ("as: [json, ndjson]", "as: [json, ndjson, csv]", "may answer as text/csv"),
    (
        " watermark: { by: [field, order], name: copy_of },",
        "",
        "have no field with their reader's mark",
    ),
    ("by: [field, order]", "by: field", "no longer tells their reader's mark"),
    (
        "total: $.matching",
        "pass: $.matching",
        "$.matching in the answer of `c.all` passes also where",
    ),
    ("grade: 2, size", "grade: 1, size", "less proof"),
    ("2: { assurance: 2 }", "2: { assurance: 1 }", "less proof"),
    ("size: 2MiB", "size: 3MiB", "other answers of `c.file` pass unread"),
    ("types: [application/pdf]", "types: [application/pdf, image/*]", "other answers of `c.file`"),
    ("send: [x-a]", "send: [x-a, x-c]", "`c.find` takes the header `x-c`"),
    ("pass: [x-b]", "pass: [x-b, link]", "`c.find` passes the header `link`"),
    ("cookies: [c]", "cookies: [c, d]", "`c.find` passes the cookie `d`"),
    ("at-least: 3", "at-least: 2", "takes shorter texts in the parameter `p`"),
    ("of: [cards]", "of: [cards, loans]", "takes more in the parameter `with`: loans"),
    ("{ message: $ }, answer", "{ message: $ }, sent-as: [json, form], answer", "sent as form"),
    (
        "{ message: $ }, answer",
        "{ message: $ }, unwritable: drop, answer",
        "leaves out what may not",
    ),
    (
        "rotate: month",
        "rotate: quarter",
        "of the purpose `ads` are others each quarter (Asia/Seoul)",
    ),
    ("ads: { pseudonyms: { rotate: month, zone: Asia/Seoul } }", "ads: {}", "each year (UTC)"),
    ("pseudonyms: { rotate: year }\n", "", "without a purpose are the same for good"),
    (", answer: constant", "", "is answered as the backend answers"),
    ("rate: 10/min", "rate: 11/min", "loosened"),
    ("unmask: 5/h", "unmask: 6/h", "people unmasked is loosened"),
    (" unmask: 5/h,", "", "people unmasked is loosened"),
    ("files: 2/day", "files: 3/day", "files is loosened"),
    ("rows: 10/file", "rows: 11/file", "one export is loosened"),
    (", grant: required }", " }", "one export is loosened"),
    (
        "  - { to: guest, export: none }\n",
        "",
        "guest: the limit of one export is loosened: any number",
    ),
];

/// What cannot be told either way.
const UNCLEAR: &[(&str, &str, &str)] = &[
    (", scanner: av", "", "`m.paper` takes other files, or has others scan them"),
    ("types: [image/png]", "types: [image/*]", "`m.paper` takes other files"),
    ("masks: { email: all }", "masks: {}", "the kind `email` are masked in the style"),
    ("of: customer }\n", "of: message }\n", "other answers of `c.file` pass unread"),
];

/// How the first policy compares with the second: whether it widens, and what is said.
fn compared(old: &str, new: &str) -> (bool, String) {
    let comparison = compare(&program(old), &program(new));
    (comparison.widens(), comparison.to_string())
}

fn edited(from: &str, to: &str) -> String {
    assert!(SHOP.contains(from), "`{from}` is not in the policy");
    SHOP.replacen(from, to, 1)
}

#[test]
fn what_gives_is_announced_and_what_takes_it_back_is_not_wider() {
    for (from, to, words) in WIDER {
        let more = edited(from, to);
        let (widens, said) = compared(SHOP, &more);
        assert!(widens && said.contains(words), "`{from}` to `{to}`\n{said}");
        let (widens, said) = compared(&more, SHOP);
        assert!(!widens && said.contains("narrower"), "`{to}` back to `{from}`\n{said}");
    }
}

#[test]
fn what_cannot_be_told_counts_as_wider_both_ways() {
    for (from, to, words) in UNCLEAR {
        let other = edited(from, to);
        for (widens, said) in [compared(SHOP, &other), compared(&other, SHOP)] {
            assert!(widens && said.contains(words), "`{from}` and `{to}`\n{said}");
        }
    }
}

#[test]
fn an_answer_that_passes_unread_instead_of_judged_is_announced() {
    let judged = SHOP.replace(
        "opaque: { types: [application/pdf], grade: 2, size: 2MiB, subject: id, of: customer }",
        "returns: { customer: $ }",
    );
    let (widens, said) = compared(&judged, SHOP);
    assert!(widens && said.contains("the answer of `c.file` passes unread"), "{said}");
}

#[test]
fn a_websocket_and_its_terms_are_announced() {
    let file = "action: view\n    opaque: { types: [application/pdf], grade: 2, size: 2MiB, subject: id, of: customer }";
    let socket = |terms: &str| {
        let opaque = format!("{{ grade: 2, subject: id, of: customer, websocket: {{ {terms} }} }}");
        let policy = SHOP.replace(file, &format!("action: call\n    opaque: {opaque}"));
        policy.replace("{ name: files, allow: view,", "{ name: files, allow: call,")
    };
    let narrow = socket("sent: 1MiB, received: 2MiB, idle: 30s");
    let (widens, said) = compared(SHOP, &narrow);
    assert!(
        widens && said.contains("`c.file` is a WebSocket, which passes unread both ways"),
        "{said}"
    );
    for wide in [
        "sent: 2MiB, received: 2MiB, idle: 30s",
        "sent: 1MiB, received: 2MiB",
        "sent: 1MiB, received: 2MiB, idle: 30s, protocols: chat",
        "sent: 1MiB, received: 2MiB, idle: 30s, compression: permessage-deflate",
        "sent: 1MiB, received: 2MiB, idle: 30s, each: 5",
    ] {
        let told = "the WebSocket `c.file` passes on other terms";
        let (widens, said) = compared(&narrow, &socket(wide));
        assert!(widens && said.contains(told), "{wide}: {said}");
        let (widens, said) = compared(&socket(wide), &narrow);
        assert!(!widens && said.contains(told), "{wide}: {said}");
    }
}

#[test]
fn whoever_comes_to_see_a_field_may_search_by_it_in_the_path() {
    let without =
        SHOP.replace("clear: [id, phone], masked: mail", "clear: id, masked: [phone, mail]");
    let (widens, said) = compared(&without, SHOP);
    assert!(widens && said.contains("may search `c.by` by `customer.phone`"), "{said}");
}
