//! What a policy asks of cases: by grade, by rule and by route, on each record by its own subject.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::{DenialKind, KnownCases, Ties};
use super::{
    Denial, Grant, NOW, Permit, Principal, Program, Query, RecordId, Value, caller, compile,
    filter, program, source,
};
use crate::route::Path;

const SHOP: &str = "
grades: { 1: {}, 2: {}, 3: { link: [call, order] } }
roles: { clerk: {}, courier: {}, boss: {} }
entities:
  customer:
    subject: id
    fields: { id: 1, name: 2, phone: { grade: 3, kind: phone } }
routes:
  one: { match: 'GET bank.example/c/{id}', to: core, action: view, returns: { customer: $ } }
  all: { match: GET bank.example/c, to: core, action: search, query: { phone: customer.phone, name: customer.name }, returns: { customer: '$.items[]', pass: [$.total] } }
  file: { match: GET bank.example/export, to: core, action: export, returns: { customer: '$[]' }, require: { link: { kinds: [campaign], missing: flag } } }
  drop: { match: 'DELETE bank.example/c/{id}', to: core, action: delete, reads: one, require: { link: [order] } }
rules:
  - { name: clerks, allow: [view, search, export, delete], to: clerk, of: customer, clear: [id, name, phone], masked: phone }
  - { name: couriers, allow: view, to: courier, of: customer, clear: [id, name], require: { link: parcel } }
";

fn cases(known: &[(&str, &str)]) -> Arc<dyn Ties> {
    let mut cases = KnownCases::default();
    known.iter().for_each(|(kind, key)| cases.add(kind, "customer", key));
    Arc::new(cases)
}

fn tied(
    program: &Program,
    role: &str,
    request: &str,
    known: &[(&str, &str)],
) -> Result<Permit, Denial> {
    with(program, role, request, (Some(&cases(known)), None), |program, query| {
        program.decide(query)
    })
}

fn with<T>(
    program: &Program,
    role: &str,
    request: &str,
    (ties, grant): (Option<&Arc<dyn Ties>>, Option<&Arc<Grant>>),
    ask: impl Fn(&Program, &Query<'_>) -> T,
) -> T {
    let principal = Arc::new(Principal { ..caller(&[role]) });
    let (method, path) = request.split_once(' ').unwrap();
    let path = Path::parse(path).unwrap();
    let met = program.find("business", "bank.example", method, &path).unwrap();
    let query = Query {
        zone: "business",
        principal: &principal,
        route: &met.route,
        params: &met.params,
        search: None,
        method,
        host: "bank.example",
        purpose: None,
        ticket: None,
        grant,
        ties,
        now_unix_s: NOW,
    };
    ask(program, &query)
}

fn customer(id: u32) -> Json {
    json!({ "id": id, "name": "n", "phone": "138" })
}

#[test]
fn a_field_of_a_grade_that_asks_for_a_case_is_clear_on_tied_records_alone() {
    let shop = program(SHOP);
    let list = json!({ "items": [customer(1), customer(2), customer(3)], "total": 3 });
    let permit = tied(&shop, "clerk", "GET /c", &[("call", "1"), ("parcel", "2")]).unwrap();
    let left = filter(&permit, &list).unwrap();
    let phones: Vec<&str> = left["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["phone"].as_str().unwrap())
        .collect();
    assert_eq!(phones, ["138", "masked", "masked"]);
    assert_eq!(left["items"][1]["name"], "n");
    assert!(left.get("total").is_none(), "a count beside records that are judged one by one");
    // Nobody knows of any case, or there is nobody who would know.
    for ties in [Some(cases(&[])), None] {
        let permit = with(&shop, "clerk", "GET /c/1", (ties.as_ref(), None), |program, query| {
            program.decide(query).unwrap()
        });
        assert_eq!(filter(&permit, &customer(1)).unwrap()["phone"], "masked");
    }
    // What is clear on some records only is searched by nobody.
    let search = permit.search();
    let clear = |name: &str| format!("{:?}", search.parameters.iter().find(|(n, _)| **n == *name));
    assert!(clear("phone").contains("clear: false") && clear("name").contains("clear: true"));
}

#[test]
fn a_rule_or_a_route_that_asks_for_a_case_gives_nothing_of_a_record_without_one() {
    let shop = program(SHOP);
    let seen = |known: &[(&str, &str)]| {
        filter(&tied(&shop, "courier", "GET /c/1", known).unwrap(), &customer(1))
    };
    assert_eq!(seen(&[("parcel", "2"), ("call", "1")]), None);
    assert_eq!(seen(&[("parcel", "1")]), Some(json!({ "id": 1, "name": "n" })));
    let change = |known: &[(&str, &str)]| {
        let permit = tied(&shop, "clerk", "DELETE /c/1", known).unwrap();
        assert!(!permit.is_settled(), "the record is read first");
        let reading = permit.pre_read().unwrap();
        let case = reading.case(RecordId(0), &[Some(Value::Integer(1))]);
        permit.settle(case).map(|permit| permit.is_settled()).map_err(|denial| denial.kind)
    };
    assert_eq!(change(&[("call", "1")]), Err(DenialKind::Withheld));
    assert_eq!(change(&[("order", "1")]), Ok(true));
}

#[test]
fn nobody_makes_a_record_somebody_elses_by_a_case_of_whom_it_was_about() {
    let change = "  edit: { match: 'PATCH bank.example/c/{id}', to: core, action: update, reads: one, accepts: { customer: $ } }\nrules:\n  - { name: changes, allow: update, to: clerk, of: customer, write: [id, name] REQUIRE }\n";
    let written = |requirement: &str, route: &str| {
        let text = SHOP
            .replace("rules:\n", &change.replace(" REQUIRE", requirement))
            .replace("reads: one, accepts", &format!("{route}reads: one, accepts"));
        let shop = program(&text);
        let permit = tied(&shop, "clerk", "PATCH /c/1", &[("call", "1")]).unwrap();
        let case =
            permit.pre_read().map(|reading| reading.case(RecordId(0), &[Some(Value::Integer(1))]));
        let settled = match case {
            Some(case) => permit.settle(case).unwrap(),
            None => permit,
        };
        let plan = Arc::clone(settled.write_plan().unwrap());
        super::slot(&settled, &plan, plan.root, &json!({ "id": 2, "name": "m" })).unwrap()
    };
    let all = json!({ "id": 2, "name": "m" });
    assert_eq!(written("", ""), all, "where no case is asked for");
    assert_eq!(written(", require: { link: { kinds: call, missing: flag } }", ""), all);
    let kept = json!({ "name": "m" });
    assert_eq!(written(", require: { link: call }", ""), kept);
    assert_eq!(written("", "require: { link: call }, "), kept);
}

#[test]
fn cases_count_among_what_is_tested_on_a_record() {
    let flags: String = (0..8).map(|n| format!("f{n}: record.id == {n}, ")).collect();
    let told = |grade: &str| {
        let text = SHOP
            .replace("    subject: id\n", &format!("    subject: id\n    flags: {{ {flags} }}\n"))
            .replace("3: { link: [call, order] }", grade)
            .replace(", require: { link: parcel }", "")
            .replace(", require: { link: [order] }", "");
        let warnings =
            program(&text).warnings().iter().map(ToString::to_string).collect::<String>();
        warnings.contains("9 row conditions, flags, step-ups, tenants and cases on `all`")
    };
    assert!(told("3: { link: [call, order] }"));
    assert!(!told("3: {}"));
}

#[test]
fn a_record_without_its_subject_is_tied_to_nobody() {
    let shop = program(SHOP);
    let permit = tied(&shop, "clerk", "GET /c/1", &[("call", ""), ("call", "null")]).unwrap();
    for key in [None, Some(Value::Null), Some(Value::from("")), Some(Value::Bool(true))] {
        let case = permit.case(RecordId(0), std::slice::from_ref(&key));
        assert_eq!(case, 0, "{key:?}");
        assert!(!permit.row_errors(RecordId(0), &[key]).is_empty());
    }
}

#[test]
fn where_a_missing_case_is_flagged_the_record_passes_and_its_entry_says_so() {
    let shop = program(SHOP);
    let permit = tied(&shop, "clerk", "GET /export", &[("campaign", "1"), ("call", "1")]).unwrap();
    let left = filter(&permit, &json!([customer(1), customer(2)])).unwrap();
    assert_eq!(left.as_array().unwrap().len(), 2);
    let is_flagged = |key: i64| {
        let case = permit.case(RecordId(0), &[Some(Value::Integer(key))]);
        permit.is_unlinked(RecordId(0), case)
    };
    assert!(!is_flagged(1) && is_flagged(2));
    let other = tied(&shop, "clerk", "GET /c", &[]).unwrap();
    let case = other.case(RecordId(0), &[Some(Value::Integer(1))]);
    assert!(!other.is_unlinked(RecordId(0), case), "what is denied is not flagged");
}

#[test]
fn a_grant_makes_up_for_no_case() {
    let granted =
        SHOP.replace("3: { link: [call, order] }", "3: { grant: required, link: [call] }");
    let shop = program(&granted);
    let grant = Arc::new(Grant::of_everything("G-1", [].into()));
    let phone = |known: &[(&str, &str)], grant: Option<&Arc<Grant>>| {
        let brought = (Some(&cases(known)), grant);
        let permit = with(&shop, "clerk", "GET /c/1", brought, |program, query| {
            program.decide(query).unwrap()
        });
        filter(&permit, &customer(1)).unwrap()["phone"].clone()
    };
    assert_eq!(phone(&[], Some(&grant)), "masked");
    assert_eq!(phone(&[("call", "1")], None), "masked");
    assert_eq!(phone(&[("call", "1")], Some(&grant)), "138");
}

#[test]
fn an_explanation_says_which_case_ties_or_that_none_does() {
    let shop = program(SHOP);
    let explain = |role, request, known: &[(&str, &str)]| {
        with(&shop, role, request, (Some(&cases(known)), None), |program, query| {
            program.explain(query).to_string()
        })
    };
    let asked = "grade 3 asks for a case (call or order): ";
    for (text, part) in [
        (explain("clerk", "GET /c/1", &[("order", "1")]), "`order` ties `lin` and customer `1`"),
        (
            explain("clerk", "GET /c/1", &[("order", "2")]),
            "missing, none ties `lin` and customer `1`",
        ),
        (explain("clerk", "GET /c", &[("order", "1")]), "judged record by record"),
    ] {
        assert!(text.contains(&format!("{asked}{part}")), "{part}\n{text}");
        assert!(text.contains("(grade 3 asks for a case (call or order))"), "{text}");
    }
    let courier = explain("courier", "GET /c/1", &[("parcel", "1")]);
    for part in [
        "the rule `couriers` asks for a case (parcel): `parcel` ties `lin` and customer `1`",
        "on records of those to whom a case (parcel) ties the caller",
    ] {
        assert!(courier.contains(part), "{part}\n{courier}");
    }
    let export = explain("clerk", "GET /export", &[]);
    assert!(
        export.contains("the route asks for a case (campaign), else it is flagged"),
        "{export}"
    );
}

#[test]
fn a_policy_that_asks_for_a_case_is_narrower() {
    use super::super::compare;
    let (with, without) =
        (program(SHOP), program(&SHOP.replace("3: { link: [call, order] }", "3: {}")));
    let words = |from: &Program, to: &Program| format!("{:?}", compare(from, to));
    let (narrower, wider) = (words(&without, &with), words(&with, &without));
    assert!(narrower.contains("a case (call or order)"), "{narrower}");
    assert_ne!(narrower, wider);
}

#[test]
fn a_case_that_could_not_be_tested_is_a_fault() {
    let fault = |from: &str, to: &str| {
        assert!(SHOP.contains(from), "{from}");
        compile(&[source(&SHOP.replace(from, to))]).unwrap_err().to_string()
    };
    for (from, to, said) in [
        (", reads: one", "", "is about no entity"),
        ("    subject: id\n", "", "has no `subject`"),
        ("link: parcel", "link: []", "names no kind"),
        ("link: parcel", "link: [Parcel]", "lower-case letters"),
        ("link: parcel", "link: { kinds: [parcel], missing: pass }", "must be `deny` or `flag`"),
        ("link: parcel", "link: { missing: flag }", "`kinds`"),
        ("2: {}, 3: {", "2: { link: [call] }, 3: {", "asks less"),
        (
            "missing: flag } } }",
            "missing: flag } }, opaque: { types: [a/b], grade: 3 } }",
            "is not read before",
        ),
    ] {
        let told = fault(from, to);
        assert!(told.contains(said), "{said}: {told}");
    }
}
