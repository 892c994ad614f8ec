//! Decisions on the demo's bank and on small policies made for one question.

use serde_json::json;

use super::super::plan::{Node, RecordId, Verdict};
use super::super::{DenialKind, Factor, Parameter, Principal, Rate, StepUp, Value, Window};
use super::{NOW, ask, caller, demo, filter, own, program};

fn customer(branch: &str) -> serde_json::Value {
    json!({
        "id": 42, "name": "王小明", "phone": "13812345678", "branch": branch, "segment": "retail",
        "address": {"city": "上海", "street": "南京路 1"},
        "accounts": [{"number": "6222", "currency": "CNY", "balance": 10}],
        "cards": [{"pan": "4111"}], "password_hash": "x", "internal_score": 7, "note": "n",
    })
}

#[test]
fn the_demo_policy_has_no_warnings() {
    let warnings: String = demo().warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, "");
}

#[test]
fn a_teller_sees_own_customers_masked() {
    let demo = demo();
    let permit = ask(&demo, caller(&["teller"]), "GET /api/customers/42", Some("service")).unwrap();
    assert_eq!(
        filter(&permit, &customer("sh01")),
        Some(json!({
            "id": 42, "name": "王小明", "phone": "masked", "branch": "sh01", "segment": "retail",
            "address": {"city": "上海", "street": "masked"},
            "accounts": [{"number": "masked", "currency": "CNY"}],
        }))
    );
    assert_eq!(filter(&permit, &customer("bj07")), None);
    assert!(permit.row_conditions());
    assert_eq!((permit.upstream(), permit.highest_grade()), ("core", 4));
    let rules: Vec<&str> = permit.rules().collect();
    assert_eq!(rules, ["tellers serve their branch", "colleagues are not looked up"]);
}

#[test]
fn a_record_without_what_a_row_condition_reads_is_withheld() {
    let demo = demo();
    let permit = ask(&demo, caller(&["teller"]), "GET /api/customers/42", Some("service")).unwrap();
    for field in ["id", "branch", "segment"] {
        let mut record = customer("sh01");
        record.as_object_mut().unwrap().remove(field);
        assert_eq!(filter(&permit, &record), None, "without {field}");
    }
    let mut colleague = customer("sh01");
    colleague["segment"] = "staff".into();
    assert_eq!(filter(&permit, &colleague), None);
}

#[test]
fn a_grade_that_is_not_met_falls_back_and_names_the_step_up() {
    let demo = demo();
    let request = "GET /api/customers/42";
    let fresh = ask(&demo, caller(&["supervisor"]), request, Some("complaint")).unwrap();
    assert_eq!(filter(&fresh, &customer("sh01")).unwrap()["phone"], "13812345678");
    assert_eq!(fresh.step_up(), None);
    let stale = Principal {
        factors: vec![Factor { level: 2, at_unix_s: NOW - 3600 }],
        ..caller(&["supervisor"])
    };
    let permit = ask(&demo, stale, request, Some("complaint")).unwrap();
    let seen = filter(&permit, &customer("sh01")).unwrap();
    assert_eq!((&seen["phone"], seen.get("note")), (&json!("masked"), None));
    let step_up = permit.step_up().unwrap();
    assert_eq!((step_up.assurance, step_up.max_age_s), (2, Some(900)));
    assert!(step_up.fields.contains(&"customer.phone".to_owned()));
    assert!(step_up.fields.contains(&"customer.note".to_owned()));
}

#[test]
fn a_purpose_that_is_missing_or_wrong_is_asked_for() {
    let demo = demo();
    let kind = |purpose| {
        ask(&demo, caller(&["teller"]), "GET /api/customers/42", purpose).unwrap_err().kind
    };
    let accepted = vec!["complaint".to_owned(), "service".to_owned()];
    assert_eq!(kind(None), DenialKind::Purpose { accepted: accepted.clone(), ticket: None });
    assert_eq!(kind(Some("risk")), DenialKind::Purpose { accepted, ticket: None });
    assert!(
        matches!(kind(Some("fun")), DenialKind::Purpose { accepted, .. } if accepted.len() == 4)
    );
}

#[test]
fn only_supervisors_with_a_fresh_factor_export() {
    let demo = demo();
    let request = "GET /api/customers/export";
    let denied = |principal| ask(&demo, principal, request, Some("risk")).unwrap_err().kind;
    assert_eq!(denied(caller(&["teller"])), DenialKind::Forbidden);
    assert_eq!(denied(caller(&["auditor"])), DenialKind::Forbidden);
    assert_eq!(denied(caller(&[])), DenialKind::Forbidden);
    assert_eq!(denied(caller(&["unknown", "any"])), DenialKind::Forbidden);
    let step_up = StepUp { assurance: 2, max_age_s: Some(900), fields: vec![] };
    let stale = Principal { factors: vec![], assurance: 1, ..caller(&["supervisor"]) };
    assert_eq!(denied(stale), DenialKind::StepUp(step_up));
    let permit = ask(&demo, caller(&["supervisor"]), request, Some("risk")).unwrap();
    let seen = filter(&permit, &json!([customer("sh01"), customer("bj07")])).unwrap();
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!((&seen[0]["name"], seen[0].get("note")), (&json!("masked"), None));
}

#[test]
fn an_error_in_a_deny_rule_denies() {
    let demo = demo();
    let from = |address: Option<&str>| Principal {
        address: address.map(|text| text.parse().unwrap()),
        ..caller(&["supervisor"])
    };
    let request = "GET /api/customers/export";
    assert!(ask(&demo, from(Some("10.0.0.1")), request, Some("risk")).is_ok());
    for address in [Some("100.64.1.1"), Some("::ffff:100.64.1.1"), None] {
        let denial = ask(&demo, from(address), request, Some("risk")).unwrap_err();
        assert_eq!(denial.kind, DenialKind::Forbidden, "{address:?}");
        assert_eq!(denial.rules().collect::<Vec<_>>(), ["nobody exports over a mobile network"]);
    }
}

#[test]
fn a_search_needs_the_field_in_clear() {
    let demo = demo();
    let permit = ask(&demo, caller(&["teller"]), "GET /api/customers", Some("service")).unwrap();
    let clear = |name: &str| {
        let (_, parameter) = permit.search().parameters.iter().find(|(n, _)| **n == *name).unwrap();
        matches!(parameter, Parameter::Field { clear: true, .. })
    };
    assert!(clear("name") && clear("branch") && !clear("phone"));
    let sort = permit.search().parameters.iter().find_map(|(_, parameter)| match parameter {
        Parameter::Sort { clear } => Some(clear.iter().any(|name| **name == *"phone")),
        Parameter::Field { .. }
        | Parameter::Page
        | Parameter::PageSize(_)
        | Parameter::Filter { .. }
        | Parameter::Fields { .. }
        | Parameter::Include { .. }
        | Parameter::Free => None,
    });
    assert_eq!((sort, permit.search().page_limit), (Some(false), Some(20)));
}

#[test]
fn the_strictest_limit_of_all_roles_applies() {
    let demo = demo();
    let both = caller(&["teller", "analyst"]);
    let permit = ask(&demo, both, "GET /api/customers", Some("service")).unwrap();
    assert_eq!(own(&permit).rate, Some(Rate { count: 30, per_s: 60, burst: 5 }));
    let windows = [Window::sliding(40, 3600), Window::sliding(200, 86_400)];
    assert_eq!(own(&permit).subjects, windows);
    assert_eq!(own(&permit).records.len(), 2);
}

#[test]
fn a_change_waits_for_the_record_it_changes() {
    let demo = demo();
    let update =
        || ask(&demo, caller(&["teller"]), "PATCH /api/customers/42", Some("service")).unwrap();
    let permit = update();
    assert!(!permit.is_settled() && permit.write_plan().is_none());
    let reading = permit.pre_read().unwrap();
    assert_eq!((reading.route().name(), reading.highest_grade()), ("customer.view", 0));
    assert!(reading.is_settled() && reading.pre_read().is_none() && reading.write_plan().is_none());
    let own = filter(&reading, &customer("sh01"));
    assert_eq!((own, filter(&reading, &customer("bj07"))), (Some(json!({})), None));
    let captures =
        |branch: &str| [Some(Value::Integer(42)), Some(branch.into()), Some("retail".into())];
    let record = super::RecordId(0);
    let other = reading.case(record, &captures("bj07"));
    assert_eq!(permit.settle(other).unwrap_err().kind, DenialKind::Withheld);
    let permit = update().settle(reading.case(record, &captures("sh01"))).unwrap();
    let fields = permit.write_plan().unwrap();
    let super::Verdict::Enter(root) = fields.root.verdict else { panic!("nothing writable") };
    let Some(super::Node::Object(object)) = fields.node(root) else { panic!("no object") };
    let writable: Vec<&str> = object
        .members
        .iter()
        .filter(|(_, slot)| slot.verdict != super::Verdict::Absent)
        .map(|(name, _)| name.as_ref())
        .collect();
    assert_eq!(writable, ["phone", "email", "address"]);
    assert!(update().settle(usize::MAX).is_err());
}

const SHOP: &str = r#"
grades: { 1: {}, 2: { assurance: 2 } }
purposes: [service]
roles: { clerk: {}, boss: { includes: clerk } }
entities:
  customer: { subject: id, fields: { id: 1, phone: 2, secret: sealed } }
  order:
    subject: id
    fields: { id: 1, total: 1, buyer: customer, "tags[]": 1, "lines[]": { sku: 1, price: 2 } }
routes:
  order.list:
    match: GET bank.example/orders
    to: shop
    action: search
    returns: { order: "$.items[]", pass: ["$.total", "$.next"] }
"#;

#[test]
fn an_entity_inside_another_keeps_its_own_rules() {
    let shop = program(&format!(
        "{SHOP}
rules:
  - {{ name: orders, allow: search, to: clerk, of: order, clear: [id, lines, tags] }}
  - {{ name: buyers, allow: search, to: clerk, of: customer, clear: id, masked: phone, where: record.id != 9 }}
"
    ));
    let permit = ask(&shop, caller(&["boss"]), "GET /orders", None).unwrap();
    let order = |buyer: i64| {
        json!({
            "id": 1, "total": 3, "tags": ["a", {"b": 1}], "lines": [{"sku": "s", "price": 1, "x": 2}],
            "buyer": {"id": buyer, "phone": "1", "secret": "s"},
        })
    };
    let body = json!({"items": [order(7), order(9)], "total": 2, "next": "n", "debug": 1});
    let one = json!({"id": 1, "tags": ["a"], "lines": [{"sku": "s", "price": 1}]});
    let mut with_buyer = one.clone();
    with_buyer["buyer"] = json!({"id": 7, "phone": "masked"});
    assert_eq!(filter(&permit, &body), Some(json!({"items": [with_buyer, one], "next": "n"})));
    assert_eq!(permit.plan().records.len(), 2);
}

#[test]
fn a_deny_takes_away_whatever_allows() {
    let rules = "
rules:
  - { name: a, allow: search, to: clerk, of: order, clear: [id, total] }
  - { name: b, allow: search, to: boss, of: order, clear: [total], masked: [total] }
  - { name: c, deny: search, to: clerk, of: order, clear: total, where: record.id != 1 }
";
    let shop = program(&format!("{SHOP}{rules}"));
    let permit = ask(&shop, caller(&["boss"]), "GET /orders", None).unwrap();
    let body =
        json!({"items": [{"id": 1, "total": 1}, {"id": 2, "total": 1}, {"id": "x", "total": 1}]});
    let seen = json!({"items": [{"id": 1, "total": 1}, {"id": 2}, {"id": "x"}]});
    assert_eq!(filter(&permit, &body), Some(seen));
}

#[test]
fn more_row_conditions_than_a_plan_holds_are_a_denial() {
    let mut rules = String::from("rules:\n");
    for n in 0..9 {
        rules.push_str(&format!(
            "  - {{ name: r{n}, allow: search, to: clerk, of: order, clear: id, where: record.id == {n} }}\n"
        ));
    }
    let shop = program(&format!("{SHOP}{rules}"));
    let denial = ask(&shop, caller(&["clerk"]), "GET /orders", None).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Forbidden);
    assert!(denial.reasons[0].to_string().contains("more than 8 row conditions"));
}

#[test]
fn a_policy_without_rules_opens_nothing() {
    let shop = program(SHOP);
    let denial = ask(&shop, caller(&["boss"]), "GET /orders", None).unwrap_err();
    assert_eq!(denial.kind, DenialKind::Forbidden);
    assert_eq!(program("").routes().len(), 0);
}

#[test]
fn comments_however_long_say_nothing() {
    let comments = "# one more line\n".repeat(500);
    assert_eq!(program(&format!("{comments}{SHOP}")).routes().len(), 1);
}

#[test]
fn a_count_does_not_betray_withheld_records() {
    let rule = "- { name: a, allow: search, to: clerk, of: order, clear: id";
    let total = |row: &str| {
        let shop = program(&format!("{SHOP}\nrules:\n  {rule}{row} }}"));
        let permit = ask(&shop, caller(&["clerk"]), "GET /orders", None).unwrap();
        filter(&permit, &json!({"items": [], "total": 2})).unwrap().get("total").cloned()
    };
    assert_eq!(total(""), Some(json!(2)));
    assert_eq!(total(", where: record.id != 1"), None);
}

#[test]
fn a_field_clear_on_some_records_only_cannot_be_searched() {
    let shop = |rules: &str| {
        let text =
            SHOP.replace("returns:", "query: { total: order.total, sort: sort }\n    returns:");
        let shop = program(&format!("{text}\nrules:\n{rules}"));
        let permit = ask(&shop, caller(&["clerk"]), "GET /orders", None).unwrap();
        format!("{:?}", permit.search().parameters)
    };
    let all = "  - { name: a, allow: search, to: clerk, of: order, clear: id }\n";
    let clear =
        shop(&format!("{all}  - {{ name: b, allow: search, to: clerk, of: order, clear: total }}"));
    assert!(clear.contains("clear: true") && clear.contains(r#"["id", "total"]"#), "{clear}");
    let some = shop(&format!(
        "{all}  - {{ name: b, allow: search, to: clerk, of: order, clear: total, where: record.id == 1 }}"
    ));
    assert!(some.contains("clear: false") && some.contains(r#"["id"]"#), "{some}");
}

#[test]
fn the_version_is_of_the_text_and_not_of_the_order() {
    let source =
        |name: &str, text: &str| super::Source { name: name.to_owned(), text: text.to_owned() };
    let version = |sources: &[super::Source]| super::compile(sources).unwrap().version().to_owned();
    let (a, b) = (source("a", "purposes: [x]"), source("b", "purposes: [y]"));
    assert_eq!(version(&[a.clone(), b.clone()]), version(&[b.clone(), a.clone()]));
    assert_ne!(version(&[a.clone(), b]), version(&[a, source("b", "purposes: [z]")]));
}

#[test]
fn an_explanation_tells_rules_fields_and_what_would_change() {
    let demo = demo();
    let principal = std::sync::Arc::new(Principal { factors: vec![], ..caller(&["supervisor"]) });
    let path = crate::route::Path::parse("/api/customers/42").unwrap();
    let met = demo.find("business", "bank.example", "GET", &path).unwrap();
    let query = super::Query {
        zone: "business",
        principal: &principal,
        route: &met.route,
        params: &met.params,
        search: None,
        method: "GET",
        host: "bank.example",
        purpose: Some("complaint"),
        ticket: None,
        grant: None,
        ties: None,
        now_unix_s: NOW,
    };
    let text = demo.explain(&query).to_string();
    for part in [
        "hit  allow tellers serve their branch",
        "on records where record.branch == caller.branch",
        "customer.phone                grade 3       masked",
        "(a rule shows it in clear, but grade 3 asks more)",
        "customer.password_hash        grade sealed  absent     (it never leaves)",
        "with a factor of assurance 2 at most 15m old: ",
        "with the purpose `statistics`: denied",
    ] {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let denied = demo.explain(&super::Query { purpose: None, ..query });
    assert!(denied.fields.is_empty() && denied.decision.is_err());
    assert!(denied.changes.iter().any(|change| change == "with the purpose `service`: allowed"));
}

#[test]
fn an_explanation_denies_a_search_in_the_path_as_the_gate_does() {
    let text = r#"
grades: { 1: {}, 2: { assurance: 2 } }
roles: { clerk: {} }
entities: { customer: { subject: id, fields: { id: 1, phone: { grade: 2, kind: phone } } } }
routes:
  by.phone:
    match: GET bank.example/by-phone/{phone}
    to: core
    action: view
    path: { phone: customer.phone }
    returns: { customer: $ }
rules: [{ name: all, allow: view, to: clerk, of: customer, clear: [id, phone] }]
"#;
    let source = super::Source { name: "policy.yaml".to_owned(), text: text.to_owned() };
    let program = super::compile(&[source]).unwrap();
    let path = crate::route::Path::parse("/by-phone/1").unwrap();
    let met = program.find("business", "bank.example", "GET", &path).unwrap();
    let explained = |assurance| {
        let principal = std::sync::Arc::new(Principal { assurance, ..caller(&["clerk"]) });
        program.explain(&super::Query {
            zone: "business",
            principal: &principal,
            route: &met.route,
            params: &met.params,
            search: None,
            method: "GET",
            host: "bank.example",
            purpose: None,
            ticket: None,
            grant: None,
            ties: None,
            now_unix_s: NOW,
        })
    };
    let denied = explained(1);
    let said =
        "decision  denied: `{phone}` searches `customer.phone`, which the caller does not see";
    assert!(denied.fields.is_empty() && denied.to_string().contains(said), "{denied}");
    let allowed = explained(2).to_string();
    assert!(allowed.contains("decision  allowed\n"), "{allowed}");
}

#[test]
fn a_permit_can_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<super::Permit>();
    crosses::<super::Program>();
}

const FILES: &str = r#"
grades: { 1: {}, 2: { assurance: 2 }, 3: { assurance: 3 } }
roles: { clerk: {}, reader: {}, keeper: {} }
entities:
  customer: { subject: id, fields: { id: 1, branch: 1 } }
routes:
  one:
    match: GET bank.example/one/{id}
    to: core
    action: view
    returns: { customer: $ }
  scan:
    match: GET bank.example/one/{id}/scan
    to: core
    action: view
    opaque: { types: image/*, grade: 3, size: 1MiB, subject: id, of: customer }
  file:
    match: GET bank.example/one/{id}/file
    to: core
    action: view
    opaque: { types: application/pdf, grade: 2, size: 1MiB, of: customer }
    reads: one
rules:
  - { name: clerks see, allow: view, to: clerk, of: customer, clear: [id, branch] }
  - { name: readers read, allow: view, to: reader, route: [scan, file] }
  - { name: keepers keep, allow: view, to: keeper, route: file, where: record.branch == caller.branch }
  - { name: not by night, deny: view, to: any, of: customer, when: caller.account == "night" }
"#;

#[test]
fn a_rule_about_an_entity_opens_no_file_about_it_but_one_that_denies_closes_it() {
    let program = program(FILES);
    assert!(ask(&program, caller(&["clerk"]), "GET /one/1", None).is_ok());
    let refused = ask(&program, caller(&["clerk"]), "GET /one/1/file", None).unwrap_err();
    assert_eq!(refused.kind, DenialKind::Forbidden);
    let night = Principal { account: "night".to_owned(), ..caller(&["reader"]) };
    let refused = ask(&program, night, "GET /one/1/file", None).unwrap_err();
    assert_eq!(refused.kind, DenialKind::Forbidden);
}

#[test]
fn the_grade_of_a_file_is_met_or_the_file_is_not_had() {
    let program = program(FILES);
    let weak = ask(&program, caller(&["reader"]), "GET /one/1/scan", None).unwrap_err();
    assert!(matches!(weak.kind, DenialKind::StepUp(step_up) if step_up.assurance == 3));
    let strong = Principal { assurance: 3, ..caller(&["reader"]) };
    let permit = ask(&program, strong, "GET /one/1/scan", None).unwrap();
    assert_eq!((permit.highest_grade(), permit.entity()), (3, "customer"));
    let opaque = permit.opaque().unwrap();
    assert!(opaque.accepts("image/png") && !opaque.accepts("application/pdf"));
    assert_eq!((opaque.size_bytes(), opaque.subject()), (Some(1024 * 1024), Some("id")));
}

#[test]
fn no_permit_but_a_settled_one_of_an_opaque_route_lets_anything_pass_unread() {
    let program = program(FILES);
    assert!(ask(&program, caller(&["clerk"]), "GET /one/1", None).unwrap().opaque().is_none());
    for role in ["reader", "keeper"] {
        let permit = ask(&program, caller(&[role]), "GET /one/1/file", None).unwrap();
        assert!(permit.opaque().is_none() && !permit.is_settled(), "its record is read first");
        let reading = permit.pre_read().unwrap();
        assert!(reading.opaque().is_none() && reading.route().name() == "one");
        assert!(reading.plan().records[0].cases.len() > 1, "the guard asks which case it is");
        let captures = |branch: &str| [Some(Value::from("1")), Some(Value::from(branch))];
        let case = |branch: &str| {
            let captures = captures(branch);
            reading.case(RecordId(0), &captures[..usize::from(reading.plan().records[0].captures)])
        };
        let (here, there) = (case("sh01"), case("bj07"));
        assert!(permit.settle(here).unwrap().opaque().is_some());
        let permit = ask(&program, caller(&[role]), "GET /one/1/file", None).unwrap();
        let other = permit.settle(there).map(|permit| permit.opaque().is_some());
        assert_eq!(other.ok(), (role == "reader").then_some(true), "{role}");
    }
}

/// A file about nobody and a change of something else beside, so that the rule is about no one entity.
#[test]
fn a_rule_that_names_routes_of_several_entities_opens_each_record_that_is_read_first() {
    let text = FILES
        .replace("rules:\n", "  news:\n    match: GET bank.example/news\n    to: core\n    action: view\n    opaque: { types: application/pdf, grade: 1, size: 1MiB }\n  drop:\n    match: DELETE bank.example/one/{id}\n    to: core\n    action: delete\n    reads: one\nrules:\n")
        .replace("route: [scan, file]", "route: [scan, file, news]")
        .replace("fields: { id: 1, branch: 1 }", "tenant: branch, fields: { id: 1, branch: 1 }")
        + "  - { name: readers drop, allow: delete, to: reader, route: [drop, other.drop] }\n  - { name: not of bj07, deny: [view, delete], to: any, of: customer, route: [one, file, drop], where: record.branch == \"bj07\" }\n";
    let other = "  other: { fields: { id: 1 } }\nroutes:\n  other.drop: { match: \"DELETE bank.example/other/{id}\", to: core, action: delete }\n";
    let program = program(&text.replace("routes:\n", other));
    let settled = |request: &str, tenant: Option<&str>, branch: &str| {
        let mut principal = caller(&["reader"]);
        principal.attributes.extend(tenant.map(|t| ("tenant".to_owned(), Value::from(t))));
        let permit = ask(&program, principal, request, None).unwrap();
        let reading = permit.pre_read().unwrap();
        assert!(
            matches!(reading.plan().root.verdict, Verdict::Enter(_)),
            "the record is looked at"
        );
        let captures = [Some(Value::from("1")), Some(Value::from(branch))];
        permit.settle(reading.case(RecordId(0), &captures)).is_ok()
    };
    for request in ["GET /one/1/file", "DELETE /one/1"] {
        assert!(settled(request, None, "sh01"), "{request}");
        assert!(!settled(request, None, "bj07"), "{request}: what another rule denies is denied");
        assert!(settled(request, Some("sh01"), "sh01"), "{request}");
        assert!(!settled(request, Some("sh02"), "sh01"), "{request}: of another tenant");
    }
    assert!(ask(&program, caller(&["reader"]), "GET /news", None).unwrap().opaque().is_some());
}

#[test]
fn a_file_about_a_flagged_record_or_one_of_another_tenant_is_withheld() {
    let text = FILES
        .replace(
            "{ subject: id,",
            "{ subject: id, tenant: branch, flags: { late: record.is_late },",
        )
        .replace("id: 1, branch: 1", "id: 1, branch: 1, is_late: 1")
        .replace("to: reader, route: [scan, file]", "to: reader, route: [scan, file], flags: late")
        .replace("branch]", "branch, is_late]");
    let program = program(&text);
    let had = |role: &str, tenant: Option<&str>, branch: &str, is_late: bool| {
        let mut principal = caller(&[role]);
        principal.attributes.extend(tenant.map(|t| ("tenant".to_owned(), Value::from(t))));
        let permit = ask(&program, principal, "GET /one/1/file", None).unwrap();
        let reading = permit.pre_read().unwrap();
        let Verdict::Enter(node) = reading.plan().root.verdict else { panic!("nothing is read") };
        let node = reading.plan().node(node);
        let Some(Node::Object(object)) = node else { panic!("the record is no object") };
        let mut captures = vec![None; usize::from(reading.plan().records[0].captures)];
        for (name, slot) in &object.members {
            let Some(at) = slot.capture else { continue };
            captures[usize::from(at)] = Some(match &**name {
                "branch" => Value::from(branch),
                "is_late" => Value::Bool(is_late),
                _ => Value::from("1"),
            });
        }
        permit.settle(reading.case(RecordId(0), &captures)).is_ok()
    };
    assert!(had("reader", None, "bj07", true), "its rule names the flag");
    assert!(had("keeper", None, "sh01", false));
    assert!(!had("keeper", None, "sh01", true));
    assert!(had("reader", Some("sh01"), "sh01", false));
    assert!(!had("reader", Some("sh01"), "bj07", false));
    let mut confined = Principal { assurance: 3, ..caller(&["reader"]) };
    assert!(ask(&program, confined.clone(), "GET /one/1/scan", None).is_ok());
    confined.attributes.insert("tenant".to_owned(), Value::from("sh01"));
    let refused = ask(&program, confined, "GET /one/1/scan", None).unwrap_err();
    assert_eq!(refused.kind, DenialKind::Forbidden, "nobody reads whose it is");
}
