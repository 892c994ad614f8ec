//! Tests of the tests beside the policy: their faults, and that none can pass without saying something.

use super::{Report, SuiteError, run};
use crate::document::{Code, Source};
use crate::policy::compile;

const POLICY: &str = r#"
grades: { 1: {}, 2: { assurance: 2, fresh: 15m } }
purposes: [service]
roles: { clerk: {}, guest: {} }
entities:
  customer:
    subject: id
    fields: { id: 1, phone: { grade: 2, kind: phone }, branch: 1, secret: sealed }
routes:
  customer.view:
    match: GET bank.example/customers/{id}
    to: core
    action: view
    returns: { customer: $ }
  customer.chat:
    match: GET bank.example/customers/{id}/chat
    to: core
    action: call
    opaque: { grade: 1, subject: id, of: customer, websocket: { sent: 1MiB, received: 1MiB } }
  customer.delete:
    match: DELETE bank.example/customers/{id}
    to: core
    action: delete
    reads: customer.view
rules:
  - { name: clerks talk, allow: call, to: clerk, route: customer.chat }
  - name: clerks see their branch
    allow: [view, delete]
    to: clerk
    of: customer
    clear: [id, phone]
    masked: [phone]
    where: record.branch == caller.branch
  - { name: not from far, deny: [view], to: any, of: customer, where: record.branch == "far" }
"#;

#[test]
fn a_websocket_is_agreed_to_with_101_and_nothing_else() {
    let told = |role: &str, backend: &str, expect: u16| {
        let report = tried(&format!(
            "tests: [{{ name: t, caller: {{ roles: {role} }}, request: GET bank.example/customers/1/chat,
               backend: {backend}, expect: {expect} }}]"
        ));
        report.unwrap().tests[0].passed
    };
    assert!(told("clerk", "101", 101));
    assert!(told("clerk", "{ id: 1 }", 502), "nothing of a page passes");
    assert!(told("clerk", "404", 404));
    assert!(told("guest", "101", 403));
}

fn tried(tests: &str) -> Result<Report, SuiteError> {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = [source("policy.yaml", POLICY), source("tests.yaml", tests)];
    run(&sources, &compile(&sources).unwrap(), None)
}

/// What is said of a test that may not pass; the request and the backend are those of a clerk.
fn differs(expect: &str) -> String {
    let report = tried(&format!(
        "tests: [{{ name: t, caller: {{ roles: clerk, branch: a, assurance: 2 }},
           request: GET bank.example/customers/1,
           backend: {{ id: 1, phone: '13812345678', branch: a }}, expect: {expect} }}]"
    ));
    let report = report.unwrap();
    let test = &report.tests[0];
    assert_eq!(test.passed, test.differences.is_empty());
    test.differences.iter().map(|d| format!("{}: {} / {}\n", d.part, d.expected, d.got)).collect()
}

fn faults(tests: &str) -> Vec<(Code, String)> {
    match tried(tests) {
        Err(SuiteError::Faults(faults)) => {
            let said = |help: &Option<String>| help.clone().unwrap_or_default();
            let all = faults.as_slice().iter();
            all.map(|fault| (fault.code, format!("{} {}", fault.message, said(&fault.help))))
                .collect()
        }
        Err(SuiteError::Rehearsal(error)) => panic!("{error}"),
        Ok(report) => panic!("no fault: {report:?}"),
    }
}

#[test]
fn what_is_as_expected_passes_and_what_is_not_is_named() {
    assert_eq!(differs("{ status: 200, body: { phone: '13812345678', id: 1 } }"), "");
    assert_eq!(differs("{ contains: { id: 1 }, rules: clerks see their branch }"), "");
    assert_eq!(differs("403"), "status: 403 / 200\n");
    assert!(differs("{ body: { id: 1 } }").starts_with("body: "));
    let refused = tried(
        "tests: [{ name: t, caller: {}, request: GET bank.example/customers/1, expect: { contains: { id: 1 } } }]",
    );
    let first = refused.unwrap().tests[0].differences[0].clone();
    assert_eq!((first.part.as_str(), first.expected.as_str()), ("status", "none named"));
    assert!(first.got.starts_with("403\n"), "the reason is told: {}", first.got);
    assert!(differs("{ body: { id: 1.0, phone: '13812345678' } }").starts_with("body: "));
    assert!(differs("{ contains: { id: 2 } }").starts_with("body, as far"));
    assert!(differs("{ absent: id }").contains("absent id: nothing / 1"));
    assert!(differs("{ headers: { cache-control: null } }").contains("no-store"));
    assert!(differs("{ headers: { x: y } }").contains("header x: y / none"));
    assert!(differs("{ reason: because }").starts_with("reason: because / none"));
    assert!(differs("{ rules: not from far }").is_empty(), "it applies to others of the route");
    assert!(differs("{ step_up: true }").contains("some step-up / none"));
    assert!(differs("{ purposes: service }").contains("purposes: service / none"));
    assert!(differs("{ held_back: 1 }").contains("held_back: 1 / 0"));
    assert!(differs("{ pseudonyms: never }").contains("pseudonyms: never / none"));
    assert!(differs("{ asks: [] }").contains("none / GET /customers/1"));
}

#[test]
fn the_absence_of_what_was_never_there_says_nothing() {
    assert_eq!(differs("{ absent: branch }"), "");
    assert!(differs("{ absent: brnch }").contains("does not have it either"));
}

#[test]
fn a_request_that_goes_on_to_a_backend_that_says_nothing_fails() {
    let test = |keys: &str| {
        let report = tried(&format!(
            "tests: [{{ name: t, caller: {{ roles: clerk, branch: a }}, expect: 204, {keys} }}]"
        ));
        let report = report.unwrap();
        report.tests[0].differences.iter().map(|d| d.got.clone()).collect::<String>()
    };
    assert!(test("request: GET bank.example/customers/1").contains("goes on to the backend"));
    let delete = "request: DELETE bank.example/customers/1";
    assert!(test(delete).contains("read first (`GET /customers/1`)"));
    assert!(test(&format!("{delete}, record: {{ id: 1, branch: a }}")).contains("goes on"));
    assert_eq!(test(&format!("{delete}, record: {{ id: 1, branch: a }}, backend: 204")), "");
    assert!(test(&format!("{delete}, record: 404, backend: 204")).starts_with("404"));
    let own = test("request: GET bank.example/.menshen/login");
    assert!(own.contains("the gate's own"), "{own}");
}

#[test]
fn a_matrix_names_each_wrong_cell() {
    let report = tried(
        "fixtures: { callers: { a: { roles: clerk, branch: a, assurance: 2 }, b: { like: a, assurance: 1 }, c: { roles: guest } } }
tests:
  - name: m
    matrix:
      callers: a b c
      requests:
        - request: GET bank.example/customers/1
          backend: { id: 1, phone: '13812345678', branch: a }
          status: 200 200 403
          fields:
            customer.phone: clear clear clear
            customer.branch: absent absent absent
            customer.secret: absent absent absent
",
    );
    let report = report.unwrap();
    let cells: Vec<String> = report.tests[0]
        .differences
        .iter()
        .map(|d| format!("{} {} {}", d.part.split(',').next().unwrap(), d.expected, d.got))
        .collect();
    let never = "withheld absent, but the backend's answer does not have it either";
    let wanted = [
        format!("customer.secret for a {never}"),
        "customer.phone for b clear masked".to_owned(),
        format!("customer.secret for b {never}"),
        "customer.phone for c clear absent".to_owned(),
    ];
    assert_eq!(cells, wanted);
    assert_eq!(report.coverage.rules.untouched, ["clerks talk", "not from far"]);
    assert_eq!(report.coverage.fields.untouched, Vec::<String>::new());
    assert_eq!(report.coverage.routes.untouched, ["customer.chat", "customer.delete"]);
}

#[test]
fn every_fault_of_every_test_is_found_in_one_run_with_what_is_accepted() {
    let found = faults(
        "fixtures: { callers: { a: { roles: clrk }, b: { like: b }, d: { device: [x] }, e: { address: x } }, records: { r: $r } }
tests:
  - { name: t, caler: a, request: nowhere, expect: { stats: 200 } }
  - { name: u, caller: f, request: GET bank.example/, expect: {} }
  - { name: v, caller: {}, request: GET bank.example/, expect: { rules: clerks see }, now: today }
  - { caller: {}, request: GET bank.example/, backend: {}, reply: {}, expect: 200 }
  - { name: m, caller: a, matrix: { callers: [a], requests: [{ request: GET bank.example/, status: 200 403 }] } }
",
    );
    let has = |code: Code, text: &str| {
        assert!(
            found.iter().any(|(c, said)| *c == code && said.contains(text)),
            "{text}: {found:#?}"
        );
    };
    has(Code::UnknownName, "unknown role `clrk` did you mean `clerk`?");
    has(Code::Ring, "callers are like each other");
    has(Code::Ring, "records name each other");
    has(Code::WrongShape, "`device`");
    has(Code::WrongValue, "`address` must be an IP address");
    has(Code::UnknownKey, "unknown key `caler` in a test did you mean `caller`?");
    has(Code::WrongValue, "`nowhere` is no request");
    has(Code::UnknownKey, "unknown key `stats` in `expect` did you mean `status`?");
    has(Code::MissingKey, "expects nothing");
    has(Code::UnknownName, "unknown caller `f`");
    has(Code::WrongValue, "`now` must be a moment");
    has(Code::MissingKey, "a test needs `name`");
    has(Code::Contradiction, "beside `matrix`");
    has(Code::WrongValue, "a row needs 1 cells");
}

#[test]
fn records_that_name_records_cannot_grow_beyond_all_bounds() {
    let mut text = "fixtures:\n  records:\n    r0: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n".to_owned();
    for n in 1..8 {
        let names = vec![format!("$r{}", n - 1); 40].join(", ");
        text.push_str(&format!("    r{n}: [{names}]\n"));
    }
    assert!(faults(&text).iter().all(|(code, _)| *code == Code::TooLarge));
}

const COUNTED: &str = r#"
grades: { 1: {} }
purposes: { ads: { pseudonyms: { rotate: month, zone: Asia/Shanghai } }, care: {} }
roles: { analyst: {} }
entities: { customer: { subject: id, fields: { id: 1, region: 1 } } }
routes:
  customer.view: { match: "GET bank.example/customers/{id}", to: core, action: view, returns: { customer: $ } }
  customer.list: { match: GET bank.example/customers, to: core, action: search, returns: { customer: "$[]" } }
rules:
  - { name: counted, allow: [view, search], to: analyst, of: customer, clear: region, pseudonym: id }
"#;

/// The pseudonym that an analyst sees of customer 1, and the period it stands for.
fn pseudonym(purpose: &str, now: &str, is_list: bool) -> (String, String) {
    let (request, backend) = if is_list {
        ("GET bank.example/customers", "[{ id: 1, region: n }]")
    } else {
        ("GET bank.example/customers/1", "{ id: 1, region: n }")
    };
    let test = format!(
        "tests: [{{ name: t, now: '{now}', caller: {{ roles: analyst{purpose} }}, request: {request},
           backend: {backend}, expect: {{ body: {{}}, pseudonyms: unheard }} }}]"
    );
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = [source("policy.yaml", COUNTED), source("tests.yaml", &test)];
    let report = run(&sources, &compile(&sources).unwrap(), None).unwrap();
    let [body, period] = &report.tests[0].differences[..] else { panic!("{report:?}") };
    let (_, id) = body.got.split_once("p~").unwrap();
    (id.chars().take(22).collect(), period.got.clone())
}

#[test]
fn pseudonyms_join_within_a_period_and_a_purpose_and_not_beyond() {
    let (ads, care) = (", purpose: ads", ", purpose: care");
    let november = pseudonym(ads, "2026-11-30T15:59:59Z", false);
    assert_eq!(november.1, "2026-11");
    assert_eq!(november, pseudonym(ads, "2026-11-01T00:00:00Z", true), "on another route");
    let december = pseudonym(ads, "2026-11-30T16:00:00Z", false);
    assert_eq!(december.1, "2026-12", "it is midnight in Shanghai");
    assert_ne!(november.0, december.0);
    let cared = pseudonym(care, "2026-11-30T15:59:59Z", false);
    assert_eq!(cared.1, "never");
    assert_eq!(cared, pseudonym(care, "2036-01-01T00:00:00Z", false));
    let undeclared = pseudonym("", "2026-11-30T15:59:59Z", false);
    let all = [&november.0, &december.0, &cared.0, &undeclared.0];
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn a_caller_in_a_test_may_be_tied_by_cases() {
    let policy = POLICY
        .replace(
            "    returns: { customer: $ }\n",
            "    returns: { customer: $ }\n    require: { link: { kinds: call, missing: flag } }\n",
        )
        .replace("2: { assurance: 2, fresh: 15m }", "2: { link: [order] }");
    let tests = "
fixtures:
  callers: { c: { roles: clerk, branch: a, links: { order: { customer: [1, 3] }, call: { customer: 3 } } } }
tests:
  - { name: tied, caller: c, request: GET bank.example/customers/1, backend: { id: 1, phone: '13812345678', branch: a },
      expect: { contains: { phone: '13812345678' }, unlinked: 1 } }
  - { name: twice, caller: c, request: GET bank.example/customers/3, backend: { id: 3, phone: '13812345678', branch: a },
      expect: { contains: { phone: '13812345678' }, unlinked: 0 } }
  - { name: untied, caller: c, request: GET bank.example/customers/2, backend: { id: 2, phone: '13812345678', branch: a },
      expect: { contains: { phone: '138****5678' } } }
  - { name: taken away, caller: { like: c, links: null }, request: GET bank.example/customers/1,
      backend: { id: 1, phone: '13812345678', branch: a }, expect: { contains: { phone: '138****5678' } } }
  - { name: wrong, caller: c, request: GET bank.example/customers/3, backend: { id: 3, phone: '13812345678', branch: a },
      expect: { unlinked: 1 } }
";
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = [source("policy.yaml", &policy), source("tests.yaml", tests)];
    let program = compile(&sources).unwrap_or_else(|faults| panic!("{faults}"));
    let report = run(&sources, &program, None).unwrap_or_else(|error| panic!("{error}"));
    let passed: Vec<bool> = report.tests.iter().map(|test| test.passed).collect();
    assert_eq!(passed, [true, true, true, true, false], "{:#?}", report.tests);
}

/// What comes of a request of a partner and of a tenant under a policy that has both registered.
fn registered(more: &str, registered: &str, expect: &str) -> Vec<String> {
    let policy = format!("{POLICY}registered: [partner, tenant]\npartner-level: 2\n");
    let tests = format!(
        "tests: [{{ name: t, caller: {{ roles: clerk, branch: a, assurance: 2, purpose: service, {more} {registered} }},
           request: GET bank.example/customers/1,
           backend: {{ id: 1, phone: '13812345678', branch: a }}, expect: {expect} }}]"
    );
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let sources = [source("policy.yaml", &policy), source("tests.yaml", &tests)];
    let report = run(&sources, &compile(&sources).unwrap(), None).unwrap();
    let differences = report.tests[0].differences.iter();
    differences.map(|d| format!("{}: {} / {}", d.part, d.expected, d.got)).collect()
}

#[test]
fn a_test_says_which_partners_and_tenants_the_registry_has() {
    const ACME: &str =
        "registered: { partners: { acme: { level: 2, purposes: [service] } }, tenants: [shop] }";
    let none = Vec::<String>::new();
    let refused = |reason: &str| format!("{{ status: 403, reason: '{reason}' }}");
    assert_eq!(registered("partner: acme,", "", "200"), none, "without the key all are admitted");
    assert_eq!(registered("partner: acme,", ACME, "200"), none);
    assert_eq!(registered("tenant: shop,", ACME, "200"), none);
    for (whose, known, reason) in [
        ("partner: acme,", "registered: {}", "partner `acme` is not registered"),
        ("partner: other,", ACME, "partner `other` is not registered"),
        ("tenant: mall,", ACME, "tenant `mall` is not registered"),
        (
            "partner: acme,",
            "registered: { partners: { acme: { level: 1, purposes: [service] } } }",
            "partner `acme` is of level 1",
        ),
        (
            "partner: acme,",
            "registered: { partners: { acme: { level: 2, purposes: [] } } }",
            "is not for `service`",
        ),
        (
            "partner: acme,",
            "registered: { partners: { acme: { level: 2, purposes: [service], until: 2020-01-01 } } }",
            "ended with 2020-01-01",
        ),
        (
            "partner: acme,",
            "registered: { partners: { acme: { level: 2, purposes: [service], fields: [customer.id] } } }",
            "is not for `customer.phone`",
        ),
    ] {
        assert_eq!(registered(whose, known, &refused(reason)), none, "{whose} {known}");
    }
    assert!(!registered("partner: other,", ACME, "200").is_empty(), "a test that is wrong fails");
}
