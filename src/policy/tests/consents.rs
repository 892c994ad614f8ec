//! What purposes ask of whom records are about, and what conditions know of them: consents, objections, marks.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::{ConsentKind, KnownCases, Reason, Said, Ties};
use super::{
    Denial, Grant, NOW, Permit, Principal, Program, Query, RecordId, Value, caller, compile,
    filter, program, source,
};
use crate::route::Path;

const SHOP: &str = "
grades: { 1: {}, 2: {}, 3: {}, 4: {} }
purposes:
  service: {}
  marketing: { consent: required }
  profiling: { consent: { kinds: [explicit, deemed], notice: 3 } }
  newsletter: { consent: objection }
roles: { clerk: {}, partner: { external: true }, manager: {}, officer: {} }
entities:
  customer:
    subject: id
    flags:
      vip: marked('vip')
      minor: age(record.born) < 14 && !consented('service', 'guardian')
    fields: { id: 1, name: 2, born: 2, secret: { grade: 4, kind: passport } }
  goods: { fields: { sku: 1 } }
routes:
  one: { match: 'GET bank.example/c/{id}', to: core, action: view, returns: { customer: $ } }
  all: { match: GET bank.example/c, to: core, action: search, returns: { customer: '$.items[]', pass: [$.total] } }
  goods: { match: GET bank.example/g, to: core, action: search, returns: { goods: '$[]' } }
  change: { match: 'PATCH bank.example/c/{id}', to: core, action: update, reads: one, accepts: { customer: $ } }
  blind: { match: 'PATCH bank.example/b/{id}', to: core, action: update, accepts: { customer: $ } }
rules:
  - { name: all, allow: [view, search, update], to: [clerk, partner], of: customer, clear: [id, name, born, secret], write: name, flags: minor, route: [one, all, change] }
  - { name: managers, allow: [view, search], to: manager, of: customer, clear: [id, name], flags: [vip, minor] }
  - { name: grown-ups, allow: [view], to: manager, of: customer, clear: [born] }
  - { name: officers, allow: [view], to: officer, of: customer, clear: [id, name] }
  - { name: children by approval, allow: [view], to: officer, of: customer, clear: [id, name], flags: minor, require: { grant: required } }
  - { name: blind, allow: update, to: clerk, of: customer, write: name, flags: [vip, minor], route: blind }
  - { name: goods, allow: search, to: clerk, of: goods, clear: sku }
";

type Told<'a> = &'a [(&'a str, &'a str, &'a str)];

/// Who said what of which purpose, and who has which mark (`mark` as the answer).
fn known(told: Told<'_>) -> Arc<dyn Ties> {
    let mut known = KnownCases::default();
    for (key, word, answer) in told {
        match Said::read(answer) {
            Some((said, to)) => known.say("customer", key, (word, &to), said),
            None => known.mark("customer", key, word),
        }
    }
    Arc::new(known)
}

fn ask_as(
    program: &Program,
    principal: Principal,
    asked: (&str, &str),
    ties: Option<Arc<dyn Ties>>,
) -> Result<Permit, Denial> {
    ask_granted(program, principal, asked, (ties, None))
}

fn ask_granted(
    program: &Program,
    principal: Principal,
    (request, purpose): (&str, &str),
    (ties, grant): (Option<Arc<dyn Ties>>, Option<Arc<Grant>>),
) -> Result<Permit, Denial> {
    let principal = Arc::new(principal);
    let (method, path) = request.split_once(' ').unwrap();
    let path = Path::parse(path).unwrap();
    let met = program.find("business", "bank.example", method, &path).unwrap();
    program.decide(&Query {
        zone: "business",
        principal: &principal,
        route: &met.route,
        params: &met.params,
        search: None,
        method,
        host: "bank.example",
        purpose: Some(purpose),
        ticket: None,
        grant: grant.as_ref(),
        ties: ties.as_ref(),
        now_unix_s: NOW,
    })
}

fn customer(id: u32) -> Json {
    json!({ "id": id, "name": "n", "born": "1990-01-01", "secret": "s" })
}

/// The ids of the list that are left for a purpose.
fn left(program: &Program, role: &str, purpose: &str, told: Told<'_>) -> Vec<u64> {
    let permit = ask_as(program, caller(&[role]), ("GET /c", purpose), Some(known(told))).unwrap();
    let all: Vec<Json> = (1..=5).map(customer).collect();
    let list = filter(&permit, &json!({ "items": all, "total": 5 })).unwrap();
    assert!(list.get("total").is_none() || purpose == "service", "a count would tell: {list}");
    list["items"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
}

const MANY: Told<'static> = &[
    ("1", "marketing", "explicit"),
    ("2", "marketing", "no"),
    ("3", "marketing", "deemed"),
    ("4", "marketing", "guardian"),
    ("5", "profiling", "explicit"),
];

#[test]
fn a_purpose_that_needs_consent_shows_those_alone_who_gave_it() {
    let shop = program(SHOP);
    assert_eq!(left(&shop, "clerk", "marketing", MANY), [1, 4], "silence is no consent");
    assert_eq!(left(&shop, "clerk", "service", MANY), [1, 2, 3, 4, 5], "service goes on");
    let one = |id: &str| {
        let request = format!("GET /c/{id}");
        let asked = (request.as_str(), "marketing");
        let permit = ask_as(&shop, caller(&["clerk"]), asked, Some(known(MANY))).unwrap();
        filter(&permit, &customer(id.parse().unwrap()))
    };
    assert!(one("1").is_some());
    assert_eq!((one("2"), one("3")), (None, None));
    // The record is judged by its own subject, whoever was asked for.
    let asked = ("GET /c/1", "marketing");
    let permit = ask_as(&shop, caller(&["clerk"]), asked, Some(known(MANY))).unwrap();
    assert_eq!(filter(&permit, &customer(2)), None);
    let nobody = filter(&permit, &json!({ "name": "n" }));
    assert_eq!(nobody, None, "of whom it is not known whose it is");
}

#[test]
fn a_consent_to_an_older_notice_is_none_and_the_kinds_are_those_that_are_named() {
    let shop = program(SHOP);
    let told = [
        ("1", "profiling", "explicit/3"),
        ("2", "profiling", "explicit/2"),
        ("3", "profiling", "explicit"),
        ("4", "profiling", "guardian/3"),
        ("5", "profiling", "deemed/4"),
    ];
    assert_eq!(left(&shop, "clerk", "profiling", &told), [1, 5]);
}

#[test]
fn all_but_those_who_objected_are_shown_where_objections_alone_count() {
    let shop = program(SHOP);
    let told = [("2", "newsletter", "no"), ("3", "newsletter", "deemed"), ("4", "marketing", "no")];
    assert_eq!(left(&shop, "clerk", "newsletter", &told), [1, 3, 4, 5]);
}

#[test]
fn silence_never_opens_grade_4() {
    let shop = program(SHOP);
    let secret = |purpose: &str, told: Told<'_>| {
        let asked = ("GET /c/1", purpose);
        let permit = ask_as(&shop, caller(&["clerk"]), asked, Some(known(told))).unwrap();
        filter(&permit, &customer(1)).map(|one| one.get("secret").is_some())
    };
    assert_eq!(secret("newsletter", &[]), Some(false));
    assert_eq!(secret("newsletter", &[("1", "newsletter", "deemed")]), Some(false));
    assert_eq!(secret("newsletter", &[("1", "newsletter", "explicit")]), Some(true));
    assert_eq!(secret("profiling", &[("1", "profiling", "deemed/3")]), Some(false));
    assert_eq!(secret("profiling", &[("1", "profiling", "explicit/3")]), Some(true));
    assert_eq!(secret("service", &[]), Some(true), "a purpose that asks nobody");
    // Nor is it searched by, where it is clear on some records only.
    let asked = ("GET /c", "newsletter");
    let permit = ask_as(&shop, caller(&["clerk"]), asked, Some(known(&[]))).unwrap();
    assert!(permit.row_conditions());
}

#[test]
fn a_third_party_needs_a_separate_consent_to_itself() {
    let shop = program(SHOP);
    let acme = || {
        let attributes = [("partner".to_owned(), Value::from("acme"))];
        Principal { attributes: attributes.into(), ..caller(&["partner"]) }
    };
    let seen = |principal: Principal, purpose: &str, told: Told<'_>| {
        let asked = ("GET /c/1", purpose);
        let permit = ask_as(&shop, principal, asked, Some(known(told))).unwrap();
        filter(&permit, &customer(1)).is_some()
    };
    assert!(seen(acme(), "marketing", &[("1", "marketing", "separate@acme")]));
    assert!(seen(acme(), "newsletter", &[("1", "newsletter", "guardian@acme")]));
    let no: &[Told<'_>] = &[
        &[],
        &[("1", "marketing", "explicit"), ("1", "newsletter", "explicit")],
        &[("1", "marketing", "separate"), ("1", "newsletter", "separate")],
        &[("1", "marketing", "separate@other"), ("1", "newsletter", "separate@other")],
        &[("1", "marketing", "explicit@acme"), ("1", "newsletter", "explicit@acme")],
        &[("1", "marketing", "deemed@acme"), ("1", "newsletter", "deemed@acme")],
        &[
            ("1", "marketing", "separate@acme"),
            ("1", "marketing", "no"),
            ("1", "newsletter", "separate@acme"),
            ("1", "newsletter", "no"),
        ],
    ];
    for told in no {
        for purpose in ["marketing", "newsletter"] {
            assert!(!seen(acme(), purpose, told), "{purpose}: {told:?}");
        }
    }
    let nobodys = caller(&["partner"]);
    assert!(!seen(nobodys, "marketing", &[("1", "marketing", "separate@acme")]), "of no partner");
}

#[test]
fn what_is_not_known_closes() {
    let shop = program(SHOP);
    for purpose in ["marketing", "newsletter", "profiling"] {
        let permit = ask_as(&shop, caller(&["clerk"]), ("GET /c/1", purpose), None).unwrap();
        assert_eq!(filter(&permit, &customer(1)), None, "{purpose}");
        let errors = permit.row_errors(RecordId(0), &[Some(Value::Integer(1))]);
        assert!(errors.iter().any(|(_, error)| error.to_string().contains("is not known")));
    }
    let permit = ask_as(&shop, caller(&["clerk"]), ("GET /c/1", "service"), None).unwrap();
    assert_eq!(filter(&permit, &customer(1)), None, "every mark is raised");
}

#[test]
fn a_mark_is_a_flag_that_a_rule_must_name() {
    let shop = program(SHOP);
    assert_eq!(left(&shop, "clerk", "service", &[("2", "vip", "mark")]), [1, 3, 4, 5]);
    assert_eq!(left(&shop, "manager", "service", &[("2", "vip", "mark")]), [1, 2, 3, 4, 5]);
}

#[test]
fn the_consent_of_a_guardian_lifts_a_flag_where_the_policy_says_so() {
    let shop = program(SHOP);
    let seen = |born: &str, told: Told<'_>| {
        let asked = ("GET /c/1", "service");
        let permit = ask_as(&shop, caller(&["manager"]), asked, Some(known(told))).unwrap();
        let one = filter(&permit, &json!({ "id": 1, "name": "n", "born": born })).unwrap();
        one.get("born").is_some()
    };
    let (child, grown) = ("2015-06-01", "1990-01-01");
    assert!(seen(grown, &[]) && !seen(child, &[]));
    assert!(seen(child, &[("1", "service", "guardian")]));
    assert!(!seen(child, &[("1", "service", "explicit")]));
    assert!(!seen(child, &[("1", "service", "no")]));
}

#[test]
fn a_childs_record_takes_an_approval_that_the_entry_names_or_a_guardians_consent() {
    let shop = program(SHOP);
    let seen = |told: Told<'_>, grant: Option<&Arc<Grant>>| {
        let brought = (Some(known(told)), grant.cloned());
        let asked = ("GET /c/1", "service");
        let permit = ask_granted(&shop, caller(&["officer"]), asked, brought).unwrap();
        let child = json!({ "id": 1, "name": "n", "born": "2015-06-01" });
        (filter(&permit, &child).is_some(), permit.grant().map(|grant| grant.id.clone()))
    };
    let grant = Arc::new(Grant::of_everything("G-1", std::collections::BTreeMap::new()));
    assert_eq!(seen(&[], None), (false, None));
    assert_eq!(seen(&[], Some(&grant)), (true, Some("G-1".to_owned())));
    assert_eq!(seen(&[("1", "service", "guardian")], None), (true, None));
}

#[test]
fn no_grant_opens_whom_a_purpose_may_not_show() {
    let shop = program(SHOP);
    let grant = Arc::new(Grant::of_everything("G-1", std::collections::BTreeMap::new()));
    let brought = (Some(known(&[("1", "marketing", "no")])), Some(grant));
    let asked = ("GET /c/1", "marketing");
    let permit = ask_granted(&shop, caller(&["officer"]), asked, brought).unwrap();
    assert_eq!(filter(&permit, &customer(1)), None);
}

#[test]
fn a_change_waits_for_the_record_and_without_one_it_is_denied() {
    let shop = program(SHOP);
    let change = |told: Told<'_>| {
        let asked = ("PATCH /c/1", "marketing");
        let permit = ask_as(&shop, caller(&["clerk"]), asked, Some(known(told))).unwrap();
        let reading = permit.pre_read().unwrap();
        let case = reading.case(RecordId(0), &[Some(Value::Integer(1)), Some("1990-01-01".into())]);
        permit.settle(case).is_ok()
    };
    assert!(change(&[("1", "marketing", "explicit")]));
    assert!(!change(&[]) && !change(&[("1", "marketing", "no")]));
    let blind = |purpose: &str| {
        let told = [("1", "marketing", "explicit")];
        ask_as(&shop, caller(&["clerk"]), ("PATCH /b/1", purpose), Some(known(&told)))
    };
    assert!(blind("service").is_ok());
    let denial = blind("marketing").unwrap_err();
    assert_eq!(denial.reasons, [Reason::ConsentUntested { entity: "customer".to_owned() }]);
}

#[test]
fn what_is_about_nobody_asks_nobody() {
    let shop = program(SHOP);
    let permit = ask_as(&shop, caller(&["clerk"]), ("GET /g", "marketing"), None).unwrap();
    assert_eq!(filter(&permit, &json!([{ "sku": "a" }])), Some(json!([{ "sku": "a" }])));
}

#[test]
fn an_explanation_says_which_consent_is_missing() {
    let shop = program(SHOP);
    let explain = |role: &str, purpose: &str, request: &str, told: Told<'_>| {
        let principal = Arc::new(caller(&[role]));
        let path = Path::parse(request).unwrap();
        let met = shop.find("business", "bank.example", "GET", &path).unwrap();
        let ties = known(told);
        let query = Query {
            zone: "business",
            principal: &principal,
            route: &met.route,
            params: &met.params,
            search: None,
            method: "GET",
            host: "bank.example",
            purpose: Some(purpose),
            ticket: None,
            grant: None,
            ties: Some(&ties),
            now_unix_s: NOW,
        };
        shop.explain(&query).to_string()
    };
    let yes = [("1", "marketing", "explicit/2")];
    for (told, said) in [
        (explain("clerk", "marketing", "/c/1", &[]), "missing, customer `1` said nothing"),
        (
            explain("clerk", "marketing", "/c/1", &yes),
            "said yes (explicit) to notice 2, which does",
        ),
        (explain("clerk", "newsletter", "/c/1", &[]), "that nobody is shown who objected"),
        (explain("clerk", "marketing", "/c", &[]), "judged record by record"),
        (explain("partner", "marketing", "/c/1", &yes), "third party without `caller.partner`"),
        (explain("clerk", "profiling", "/c/1", &[]), "consent (explicit, deemed) to notice 3"),
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!explain("clerk", "service", "/c/1", &[]).contains("consent  "));
}

#[test]
fn a_purpose_that_asks_for_less_widens() {
    let with = |marketing: &str| program(&SHOP.replace("consent: required", marketing));
    let old = with("consent: required");
    for (marketing, class) in [
        ("", super::super::Class::Widens),
        ("consent: objection", super::super::Class::Widens),
        ("consent: { kinds: [explicit, separate, guardian, deemed] }", super::super::Class::Widens),
        ("consent: { kinds: [guardian] }", super::super::Class::Narrows),
        ("consent: { notice: 2 }", super::super::Class::Narrows),
    ] {
        let compared = super::super::compare(&old, &with(marketing));
        let found = compared.changes.iter().find(|change| change.sentence.contains("`marketing`"));
        assert_eq!(found.map(|change| change.class), Some(class), "{marketing}: {compared}");
    }
    let compared = super::super::compare(&old, &with("consent: required"));
    assert!(compared.changes.is_empty(), "{compared}");
    let inside = program(&SHOP.replace("partner: { external: true }", "partner: {}"));
    let compared = super::super::compare(&program(SHOP), &inside);
    assert!(compared.to_string().contains("outsiders no longer need"), "{compared}");
    let other =
        program(&SHOP.replace("    subject: id\n", "    subject: id\n    registered-as: goods\n"));
    assert!(super::super::compare(&program(SHOP), &other).widens(), "of other people");
    let unmarked = program(&SHOP.replace("vip: marked('vip')", "vip: marked('wip')"));
    assert!(super::super::compare(&old, &unmarked).widens(), "another mark closes others");
}

#[test]
fn what_could_not_be_asked_is_a_fault() {
    for (from, to, said) in [
        ("consent: required", "consent: asked", "`required` or `objection`"),
        ("consent: required", "consent: { kinds: [] }", "names no kind"),
        ("consent: required", "consent: { kinds: [loud] }", "unknown kind of consent"),
        ("consent: required", "consent: { notice: 0 }", "`notice`"),
        ("marked('vip')", "marked('v i p')", "is no mark"),
        ("marked('vip')", "marked(vip)", "a mark such as"),
        ("consented('service', 'guardian')", "consented('servic')", "is no purpose of the policy"),
        (
            "consented('service', 'guardian')",
            "consented('service', 'deemed')",
            "no kind of consent",
        ),
        ("consented('service', 'guardian')", "consented('service', 0)", "a notice from 1"),
        ("    subject: id\n", "", "asks of whom a record is about"),
        ("to: clerk, of: goods,", "to: clerk, of: goods, when: marked('vip'),", "asks of whom"),
    ] {
        let told = compile(&[source(&SHOP.replace(from, to))]).unwrap_err().to_string();
        assert!(told.contains(said), "{to}: {told}");
    }
    let yes = ConsentKind::Explicit;
    assert_eq!(Said::Yes { kind: yes, notice: 0 }.words(), "yes (explicit)");
}
