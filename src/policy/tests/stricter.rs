//! A tenant's own file: stricter for its callers, nothing for anybody else, and without a word that could loosen.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::{
    Class, Denial, DenialKind, Permit, Selection, Value, compare, compile, waits_for,
};
use super::{Asked, Principal, Program, ask_with, caller, filter};
use crate::document::Source;

const PLATFORM: &str = r#"
grades: { 1: {}, 2: {}, 3: {} }
roles: { clerk: {}, boss: { includes: clerk } }
entities:
  order: { subject: buyer, tenant: shop, fields: { id: 1, buyer: 1, shop: 1, phone: 3, note: 1 } }
routes:
  order.view: { match: "GET bank.example/orders/{id}", to: core, action: view, returns: { order: $ } }
  order.list: { match: GET bank.example/orders, to: core, action: search, returns: { order: "$[]" } }
  order.file: { match: GET bank.example/file, to: core, action: export, returns: { order: "$[]" } }
rules:
  - { name: desk, allow: [view, search, export], to: clerk, of: order, clear: [id, buyer, shop, phone, note], masked: phone }
limits:
  - { to: clerk, subjects: 100/day }
retention: { staff_access: 30, customer_usage: 12 }
"#;

const SHOP: &str = r#"
tenant: shop
rules:
  - { name: no files, deny: export, to: any }
  - { name: no phones, deny: [view, search], to: clerk, of: order, clear: phone, when: caller.kind != 'robot' }
limits:
  - { to: clerk, subjects: 10/day, page: 20 }
routes:
  order.list: { require: { assurance: 2 } }
"#;

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    let source =
        |(name, text): &(&str, &str)| Source { name: (*name).to_owned(), text: (*text).to_owned() };
    files.iter().map(source).collect()
}

fn with(tenant: &str) -> Program {
    compile(&sources(&[("policy.yaml", PLATFORM), ("own.yaml", tenant)])).unwrap()
}

fn of(tenants: &[&str], assurance: u8) -> Principal {
    let mut principal = Principal { assurance, ..caller(&["clerk"]) };
    let names: Vec<Value> = tenants.iter().map(|name| Value::from(*name)).collect();
    let value = match names.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => Some(Value::List(names)),
    };
    principal.attributes.insert("kind".to_owned(), Value::from("employee"));
    principal.attributes.extend(value.map(|value| ("tenant".to_owned(), value)));
    principal
}

fn asks(program: &Program, principal: Principal, request: &str) -> Result<Permit, Denial> {
    ask_with(program, principal, request, Asked::default())
}

fn phone(permit: &Permit, shop: &str) -> String {
    let order =
        json!({ "id": "1", "buyer": "b", "shop": shop, "phone": "13812345678", "note": "n" });
    let shown = filter(permit, &order).unwrap();
    shown["phone"].to_string()
}

#[test]
fn a_tenants_file_holds_for_its_callers_and_for_nobody_else() {
    let (plain, strict) = (with("roles: {}"), with(SHOP));
    let seen = |tenants: &[&str], shop: &str| {
        phone(&asks(&strict, of(tenants, 1), "GET /orders/1").unwrap(), shop)
    };
    let clear = phone(&asks(&plain, of(&["shop"], 1), "GET /orders/1").unwrap(), "shop");
    assert!(clear.contains("13812345678"));
    assert!(!seen(&["shop"], "shop").contains("13812345678"), "masked where it was in clear");
    assert!(!seen(&["mall", "shop"], "mall").contains("13812345678"), "one of several tenants");
    for (others, shop) in [(&["mall"][..], "mall"), (&["shops"], "shops"), (&[], "shop")] {
        assert_eq!(seen(others, shop), clear, "{others:?}");
        assert!(asks(&strict, of(others, 1), "GET /file").is_ok());
        let list = asks(&strict, of(others, 1), "GET /orders").unwrap();
        assert_eq!(list.row_limit(), None);
    }
    assert_eq!(
        asks(&strict, of(&["shop"], 3), "GET /file").unwrap_err().kind,
        DenialKind::Forbidden
    );
    let denied = asks(&strict, of(&["shop"], 1), "GET /orders").unwrap_err();
    assert!(matches!(denied.kind, DenialKind::StepUp(step) if step.assurance == 2));
    let list = asks(&strict, of(&["shop"], 2), "GET /orders").unwrap();
    assert_eq!(list.row_limit(), Some(20), "its page");
    // A role that includes the one that the file names.
    let boss = Principal { roles: vec!["boss".to_owned()], ..of(&["shop"], 1) };
    assert!(!phone(&asks(&strict, boss, "GET /orders/1").unwrap(), "shop").contains("1381"));
}

#[test]
fn what_a_tenants_file_decides_by_is_recorded_also_where_no_entity_has_a_tenant() {
    let platform = PLATFORM.replace("tenant: shop, ", "");
    let recorded = |files: &[(&str, &str)]| {
        let program = compile(&sources(files)).unwrap();
        program.caller_attributes().any(|name| name == "tenant")
    };
    assert!(!recorded(&[("policy.yaml", &platform)]), "for nothing");
    assert!(recorded(&[("policy.yaml", &platform), ("own.yaml", SHOP)]));
}

#[test]
fn a_tenant_that_is_named_by_a_number_has_its_own_file_too() {
    let strict = with(&SHOP.replace("tenant: shop", "tenant: 7"));
    let named = |tenant: Value| {
        let mut principal = of(&[], 3);
        principal.attributes.insert("tenant".to_owned(), tenant);
        principal
    };
    let text = || Value::from("7");
    for of_seven in
        [text(), Value::Integer(7), Value::List(vec![Value::Integer(8), Value::Integer(7)])]
    {
        assert!(asks(&strict, named(of_seven.clone()), "GET /file").is_err(), "{of_seven:?}");
        let limits = asks(&strict, named(of_seven), "GET /orders").unwrap();
        assert_eq!(limits.row_limit(), Some(20));
    }
    for other in [Value::Integer(70), Value::Integer(-7), Value::Bool(true), Value::Null] {
        assert!(asks(&strict, named(other.clone()), "GET /file").is_ok(), "{other:?}");
    }
}

#[test]
fn its_limits_count_beside_the_platforms_and_its_grades_ask_beside_them() {
    let strict = with(
        "tenant: shop\ngrades: { 3: { assurance: 2 } }\nrequire: { zone: business }\nlimits: [{ to: any, subjects: 10/day }]",
    );
    let limits = |tenants: &[&str]| {
        let permit = asks(&strict, of(tenants, 2), "GET /orders/1").unwrap();
        let counts = permit.limits().flat_map(|scoped| &scoped.limits.subjects);
        counts.map(|window| window.count).collect::<BTreeSet<_>>()
    };
    assert_eq!(limits(&["mall"]), BTreeSet::from([100]));
    assert_eq!(limits(&["shop"]).first(), Some(&10));
    let seen = |assurance| {
        phone(&asks(&strict, of(&["shop"], assurance), "GET /orders/1").unwrap(), "shop")
    };
    assert!(!seen(1).contains("1381"), "grade 3 asks more of this tenant");
    assert!(seen(2).contains("1381"));
}

#[test]
fn an_error_in_a_condition_of_a_tenants_rule_denies_its_own_callers_only() {
    let broken = "tenant: shop\nrules: [{ name: odd, deny: view, to: any, when: caller.age > 3 }]";
    let strict = with(broken);
    assert!(asks(&strict, of(&["shop"], 1), "GET /orders/1").is_err());
    assert!(asks(&strict, of(&["mall"], 1), "GET /orders/1").is_ok());
    assert!(asks(&strict, of(&[], 1), "GET /orders/1").is_ok());
}

#[test]
fn a_tenants_file_has_no_word_that_loosens() {
    for (wrong, said) in [
        ("rules: [{ name: x, allow: view, to: any, of: order, clear: phone }]", "it only denies"),
        ("roles: { owner: {} }", "unknown key `roles`"),
        ("entities: {}", "unknown key `entities`"),
        ("purposes: [spying]", "unknown key `purposes`"),
        ("two-person: []", "unknown key `two-person`"),
        ("grants: []", "unknown key `grants`"),
        ("detections: { zero-hits: off }", "unknown key `detections`"),
        ("retention: { staff_access: 24 }", "from 30 to 36"),
        ("retention: { customer_usage: 13 }", "from 6 to 12"),
        ("retention: { security: 30 }", "unknown key `security`"),
        ("routes: { order.view: { to: mine } }", "unknown key `to`"),
        ("routes: { order.view: { match: 'GET x.example/' } }", "unknown key `match`"),
        ("routes: { mine: { require: {} } }", "unknown route `mine`"),
        ("grades: { 3: { grant: required } }", "asks for no grant"),
        ("grades: { 5: {} }", "unknown grade `5`"),
        ("rules: [{ name: x, deny: view, to: any, require: {} }]", "a rule that denies requires"),
    ] {
        let text = format!("tenant: shop\n{wrong}\n");
        let files = sources(&[("policy.yaml", PLATFORM), ("own.yaml", &text)]);
        let told = compile(&files).unwrap_err().to_string();
        assert!(told.contains(said), "`{wrong}`\n{told}");
    }
    let own = sources(&[("p.yaml", PLATFORM), ("own.yaml", "require: { assurance: 3 }")]);
    assert!(compile(&own).unwrap_err().to_string().contains("a tenant's file alone"));
    for name in ["''", "\"a\\tb\"", "a@b", "[a, b]"] {
        let text = format!("tenant: {name}\n");
        assert!(compile(&sources(&[("p.yaml", PLATFORM), ("own.yaml", &text)])).is_err(), "{name}");
    }
}

#[test]
fn a_file_named_as_a_tenants_says_nothing_else() {
    let compiled = |text: &str| {
        compile(&sources(&[("policy.yaml", PLATFORM), ("/p/tenant-shop.yaml", text)])).is_ok()
    };
    assert!(compiled("tenant: shop\nrequire: { assurance: 2 }"));
    assert!(!compiled("tenant: mall\nrequire: { assurance: 2 }"), "another's");
    assert!(!compiled("roles: { owner: {} }"), "the platform's");
    assert!(!compiled(""));
}

#[test]
fn two_tenants_may_call_their_rules_alike_and_one_may_not_twice() {
    let rule = "rules: [{ name: no files, deny: export, to: any }]";
    let (shop, mall) = (format!("tenant: shop\n{rule}"), format!("tenant: mall\n{rule}"));
    let files = sources(&[("policy.yaml", PLATFORM), ("a.yaml", &shop), ("b.yaml", &mall)]);
    let program = compile(&files).unwrap();
    assert_eq!(program.tenants().collect::<Vec<_>>(), ["mall", "shop"]);
    let twice = sources(&[("policy.yaml", PLATFORM), ("a.yaml", &shop), ("b.yaml", &shop)]);
    assert!(compile(&twice).is_err());
}

#[test]
fn more_of_a_tenants_file_narrows_for_its_callers_and_less_widens() {
    let plain = with("roles: {}");
    let bare = with("tenant: shop");
    let strict = with(SHOP);
    assert!(compare(&plain, &bare).changes.is_empty());
    let narrower = compare(&bare, &strict);
    assert!(!narrower.widens(), "{narrower}");
    let of_shop = |change: &super::super::Change| change.sentence.contains("tenant `shop`");
    assert!(!narrower.changes.is_empty() && narrower.changes.iter().all(of_shop), "{narrower}");
    let wider = compare(&strict, &bare);
    assert!(wider.widens() && wider.changes.iter().all(of_shop), "{wider}");
    for (from, to) in [
        ("  - { name: no files, deny: export, to: any }\n", ""),
        ("clear: phone", "clear: note"),
        ("subjects: 10/day", "subjects: 50/day"),
        ("require: { assurance: 2 }", "require: { assurance: 1 }"),
        ("to: any }", "to: boss }"),
        ("tenant: shop", "tenant: mall"),
    ] {
        let looser = with(&SHOP.replace(from, to));
        assert!(compare(&strict, &looser).widens(), "`{from}` to `{to}`");
    }
    // What the platform loosens is loosened for all, and told once.
    let lax = PLATFORM.replace("subjects: 100/day", "subjects: 200/day");
    let lax = compile(&sources(&[("policy.yaml", &lax), ("own.yaml", SHOP)])).unwrap();
    let told = compare(&strict, &lax);
    assert!(told.widens() && told.changes.iter().filter(|c| c.class == Class::Widens).count() >= 1);
    assert!(!told.changes.iter().any(of_shop), "the tenant's own 10 a day hold: {told}");
}

#[test]
fn what_a_tenant_says_of_the_log_is_told_for_its_callers_and_waits_as_the_platforms() {
    let with_own = |months: &str| with(&format!("tenant: shop\nretention: {{ {months} }}"));
    let (plain, longer) = (with("tenant: shop"), with_own("staff_access: 36"));
    let told = compare(&plain, &longer);
    let said = "callers of tenant `shop`: the log keeps `staff_access`: 30 months → 36 months";
    assert!(told.widens() && told.to_string().contains(said), "{told}");
    for (old, new) in
        [(&plain, &longer), (&longer, &plain), (&with_own("customer_usage: 7"), &plain)]
    {
        let waits = |word: &str| !waits_for(&[word.to_owned()], old, new).is_empty();
        assert!(waits("log-purge") && waits("policy") && !waits("detections"));
    }
    assert!(
        waits_for(&["log-purge".to_owned()], &longer, &with_own("staff_access: 36")).is_empty()
    );
}

#[test]
fn the_matrix_is_as_it_is_for_callers_of_the_tenant_that_is_asked_for() {
    let strict = with(SHOP);
    let shown = |tenant: Option<&str>| {
        let tenant = tenant.map(str::to_owned);
        let matrix = strict.matrix(&Selection { tenant, ..Selection::default() });
        matrix.map(|matrix| serde_json::to_string(&matrix).unwrap())
    };
    assert_eq!(shown(None), {
        let plain = with("roles: {}").matrix(&Selection::default()).unwrap();
        Ok(serde_json::to_string(&plain).unwrap())
    });
    let of_shop = shown(Some("shop")).unwrap();
    assert_ne!(Ok(of_shop.clone()), shown(None));
    assert!(of_shop.contains("shop: no phones"), "{of_shop}");
    assert!(shown(Some("mall")).unwrap_err().to_string().contains("there are files of shop"));
}

/// What tenants may say, each by itself: the section, and what stands in it.
const WORDS: [(&str, &str); 6] = [
    ("rules", "{ name: files, deny: export, to: any }"),
    ("rules", "{ name: phones, deny: [view, search, export], to: clerk, of: order, clear: phone }"),
    ("rules", "{ name: robots, deny: view, to: boss, when: caller.kind == 'employee' }"),
    ("limits", "{ to: clerk, page: 20 }"),
    ("require", "{ assurance: 2 }"),
    ("grades", "{ 3: { assurance: 3 } }"),
];

/// A file of a tenant that says these of them, by bit.
fn saying(tenant: &str, bits: usize) -> String {
    let said = |section: &str| {
        let said = WORDS
            .iter()
            .enumerate()
            .filter(|(at, (of, _))| bits & (1 << at) != 0 && *of == section);
        said.map(|(_, (_, word))| *word).collect::<Vec<_>>()
    };
    let mut text = format!("tenant: {tenant}\n");
    for section in ["rules", "limits"] {
        text.push_str(&format!("{section}: [{}]\n", said(section).join(", ")));
    }
    for section in ["require", "grades"] {
        text.extend(said(section).iter().map(|word| format!("{section}: {word}\n")));
    }
    text
}

/// How much a caller gets: whether at all, whether the phone in clear, and how large a page.
fn gets(program: &Program, principal: &Principal, request: &str) -> (bool, bool, u32) {
    let Ok(permit) = asks(program, principal.clone(), request) else { return (false, false, 0) };
    let shop = match principal.attributes.get("tenant") {
        Some(Value::Text(name)) => name.as_str(),
        Some(_) | None => "shop",
    };
    let body =
        json!({ "id": "1", "buyer": "b", "shop": shop, "phone": "13812345678", "note": "n" });
    let body = if request.ends_with("/1") { body } else { json!([body]) };
    let shown = filter(&permit, &body).unwrap_or_default().to_string();
    (true, shown.contains("13812345678"), permit.row_limit().unwrap_or(u32::MAX))
}

#[test]
fn what_diff_does_not_call_wider_gives_nobody_more_whatever_tenants_say() {
    let with = |shop: usize, mall: usize| {
        let (shop, mall) = (saying("shop", shop), saying("mall", mall));
        compile(&sources(&[("policy.yaml", PLATFORM), ("a.yaml", &shop), ("b.yaml", &mall)]))
            .unwrap()
    };
    let callers: Vec<Principal> = [&[][..], &["shop"], &["mall"], &["shop", "mall"]]
        .into_iter()
        .flat_map(|tenants| (1..=3).map(move |assurance| of(tenants, assurance)))
        .collect();
    let (mut narrower, mut wider) = (0, 0);
    // Each word alone and some together, against each other; the other tenant says something of its own.
    let said = [0, 1, 2, 4, 8, 16, 32, 3, 24, 48, 63];
    for (at, old) in said.iter().enumerate() {
        for new in said {
            let (old, new) = (with(*old, said[at] & 5), with(new, said[at] & 5));
            if compare(&old, &new).widens() {
                wider += 1;
                continue;
            }
            narrower += 1;
            for principal in &callers {
                for request in ["GET /orders/1", "GET /orders", "GET /file"] {
                    let (before, after) =
                        (gets(&old, principal, request), gets(&new, principal, request));
                    let is_less = after.0 <= before.0 && after.1 <= before.1 && after.2 <= before.2;
                    assert!(is_less || !after.0, "{principal:?} {request}: {before:?} {after:?}");
                }
            }
        }
    }
    assert!(narrower > 11 && wider > 50, "{narrower} {wider}");
}
