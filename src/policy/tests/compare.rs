//! Decisions of two programs side by side, and the keys by which equal questions are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{
    DecisionChange, Factor, Finding, Principal, Program, Query, Ruling, Treatment, Value,
};
use super::{NOW, ask, caller, program};
use crate::route::Path;

const SHOP: &str = "
grades: { 1: {}, 2: { assurance: 2 }, 3: { assurance: 2, fresh: 15m } }
purposes: { service: {}, complaint: { ticket: 'CMP-#' } }
entities:
  customer:
    subject: id
    tenant: branch
    flags: { hidden: record.shy }
    fields: { id: 1, name: 2, phone: { grade: 3, kind: phone }, branch: 1, shy: 1 }
routes:
  customer.view:
    match: GET bank.example/customers/{id}
    to: core
    action: view
    returns: { customer: $ }
  customer.search:
    match: GET bank.example/customers
    to: core
    action: search
    query: { phone: customer.phone, page: page }
    returns: { customer: '$[]' }
roles: { teller: {}, night: {} }
rules:
  - name: tellers serve
    allow: [view, search]
    to: teller
    of: customer
    clear: [id, name, phone, branch]
    masked: [phone]
    where: record.branch == caller.branch
    when: time.hour('Asia/Shanghai') in 8..20 && caller.desk != 'closed'
  - name: complaints at any hour
    allow: view
    to: any
    of: customer
    clear: [id, name]
    purpose: complaint
  - name: the night shift looks at one
    allow: view
    to: night
    of: customer
    clear: [id]
    when: request.id == '7' && days_since(caller.hired) > 30
  - name: nobody at noon
    deny: view
    to: any
    when: time.within('Mon-Sun 12:00-12:30', 'Asia/Shanghai') && in_cidr(caller.address, '10.0.0.0/8')
";

fn finding(program: &Program, who: Principal, request: &str, purpose: Option<&str>) -> Finding {
    Finding::of(&ask(program, who, request, purpose), [])
}

fn at_desk() -> Principal {
    let mut caller = caller(&["teller"]);
    caller.attributes.insert("desk".to_owned(), "3".into());
    caller.address = "10.0.0.5".parse().ok();
    caller
}

fn field(name: &str, from: Treatment, to: Treatment, on_some_records: bool) -> DecisionChange {
    DecisionChange::Field { field: name.into(), from, to, on_some_records }
}

#[test]
fn fields_that_are_shown_otherwise_are_named_with_what_they_were() {
    let old = program(SHOP);
    let change = |from: &str, to: &str| {
        let new = program(&SHOP.replacen(from, to, 1));
        let (old, new) = (
            finding(&old, at_desk(), "GET /customers/1", None),
            finding(&new, at_desk(), "GET /customers/1", None),
        );
        let rules: Vec<String> = old.rules_behind(&new).into_iter().map(str::to_owned).collect();
        (old.changes_to(&new), rules)
    };
    let rule = vec!["tellers serve".to_owned()];
    assert_eq!(change("no such text", ""), (Vec::new(), rule.clone()));
    let masked = field("customer.phone", Treatment::Clear, Treatment::Masked, false);
    let clear = "clear: [id, name, phone, branch]";
    assert_eq!(change(clear, "clear: [id, name, branch]"), (vec![masked], rule.clone()));
    let (changes, _) = change(clear, "clear: [id, phone, branch]");
    assert_eq!(changes, [field("customer.name", Treatment::Clear, Treatment::Absent, false)]);
    let (changes, _) = change("    where: record.branch == caller.branch\n", "");
    assert!(changes.contains(&DecisionChange::Records), "{changes:?}");
    let renamed = change("name: tellers serve", "name: tellers help");
    assert_eq!(renamed, (Vec::new(), vec!["tellers help".to_owned(), "tellers serve".to_owned()]));
}

#[test]
fn a_field_that_only_some_records_lose_is_told_as_such() {
    let everyone = SHOP.replacen("    where: record.branch == caller.branch\n", "", 1);
    let everyone = everyone.replace("    flags: { hidden: record.shy }\n", "");
    let everyone = everyone.replace("    tenant: branch\n", "");
    let some = "  - name: shy people keep their phone\n    deny: view\n    to: any\n    of: customer\n    clear: [phone]\n    where: record.shy\n";
    let (old, new) = (program(&everyone), program(&format!("{everyone}{some}")));
    let (old, new) = (
        finding(&old, at_desk(), "GET /customers/1", None),
        finding(&new, at_desk(), "GET /customers/1", None),
    );
    let changes = old.changes_to(&new);
    let lost = field("customer.phone", Treatment::Clear, Treatment::Absent, true);
    assert_eq!(changes, [lost, DecisionChange::Records]);
    assert_eq!(old.rules_behind(&new), ["shy people keep their phone"]);
}

#[test]
fn whether_it_is_answered_at_all_comes_before_any_field() {
    let shop = program(SHOP);
    let allowed = finding(&shop, at_desk(), "GET /customers", None);
    let denied = finding(&shop, caller(&["stranger"]), "GET /customers", None);
    assert_eq!(allowed.changes_to(&denied), [DecisionChange::Denied]);
    assert_eq!(denied.changes_to(&allowed), [DecisionChange::Allowed]);
    assert_eq!(denied.changes_to(&Finding::nothing()), []);
    let strict = program(&SHOP.replace(
        "    clear: [id, name, phone, branch]\n",
        "    require: { assurance: 3 }\n    clear: [id, name, phone, branch]\n",
    ));
    let asked = finding(&strict, at_desk(), "GET /customers", None);
    assert_eq!(asked.ruling(), Ruling::StepUp);
    assert_eq!(allowed.changes_to(&asked), [DecisionChange::StepUp]);
    assert_eq!(denied.changes_to(&asked), [DecisionChange::StepUp]);
    assert_eq!(asked.changes_to(&denied), [DecisionChange::Denied]);
}

#[test]
fn a_search_by_a_field_that_is_no_longer_in_clear_would_be_denied() {
    let (old, new) = (
        program(SHOP),
        program(&SHOP.replace("clear: [id, name, phone, branch]", "clear: [id, name, branch]")),
    );
    let by = |program: &Program, parameter| {
        Finding::of(&ask(program, at_desk(), "GET /customers", None), [parameter])
    };
    assert_eq!(by(&old, "phone").changes_to(&by(&new, "phone")), [DecisionChange::Denied]);
    assert!(!by(&old, "page").changes_to(&by(&new, "page")).contains(&DecisionChange::Denied));
    assert_eq!(by(&old, "page").changes_to(&by(&new, "surname")), [DecisionChange::Denied]);
}

#[test]
fn what_was_recorded_is_compared_as_far_as_it_goes() {
    let shop = program(SHOP);
    let now = finding(&shop, at_desk(), "GET /customers/1", None);
    let recorded = |fields: &[(&'static str, Treatment)], is_cut| {
        let fields = fields.iter().copied();
        Finding::recorded(Ruling::Allowed, None::<std::iter::Empty<&str>>, fields, is_cut)
    };
    let all = [
        ("customer.id", Treatment::Clear),
        ("customer.name", Treatment::Clear),
        ("customer.phone", Treatment::Clear),
        ("customer.branch", Treatment::Clear),
    ];
    assert_eq!(recorded(&all, false).changes_to(&now), []);
    let gained = field("customer.branch", Treatment::Absent, Treatment::Clear, false);
    assert_eq!(recorded(&all[..3], false).changes_to(&now), [gained]);
    assert_eq!(recorded(&all[..3], true).changes_to(&now), [], "more may have been shown");
    assert_eq!(recorded(&all, false).rules_behind(&now), ["tellers serve"]);
}

#[test]
fn rules_that_read_what_is_unknown_leave_a_decision_open() {
    let shop = program(SHOP);
    let open = |who: Principal, unknown: &[&str]| -> Vec<String> {
        let path = Path::parse("/customers/1").unwrap();
        let found = shop.find("business", "bank.example", "GET", &path).unwrap();
        let principal = Arc::new(who);
        let query = query(&principal, &found.route, NOW, None, None);
        let rules = shop.undetermined(&query, |name| unknown.contains(&name));
        rules.into_iter().map(str::to_owned).collect()
    };
    assert_eq!(open(at_desk(), &["request.id"]), Vec::<String>::new(), "no rule of this caller");
    assert_eq!(open(caller(&["night"]), &["request.id"]), ["the night shift looks at one"]);
    assert_eq!(open(caller(&["night"]), &[]), Vec::<String>::new(), "known to be missing");
    let nowhere = Principal { address: None, ..at_desk() };
    assert_eq!(open(nowhere, &["caller.address"]), ["nobody at noon"]);
}

#[test]
fn the_attributes_that_conditions_read_are_known() {
    let shop = program(SHOP);
    let names: Vec<&str> = shop.caller_attributes().collect();
    assert_eq!(names, ["branch", "desk", "hired", "tenant"]);
}

fn query<'a>(
    principal: &'a Arc<Principal>,
    route: &'a Arc<super::super::Route>,
    now_unix_s: i64,
    purpose: Option<&'a str>,
    ticket: Option<&'a str>,
) -> Query<'a> {
    Query {
        zone: "business",
        principal,
        route,
        params: &[],
        search: None,
        method: "GET",
        host: "bank.example",
        purpose,
        ticket,
        grant: None,
        ties: None,
        now_unix_s,
    }
}

#[derive(Clone, Debug)]
struct Asked {
    principal: Principal,
    search: bool,
    now: i64,
    purpose: Option<&'static str>,
    ticket: Option<&'static str>,
}

fn questions() -> impl Strategy<Value = Asked> {
    let text = |values: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(values)).boxed()
    };
    let who = (
        proptest::sample::subsequence(vec!["teller", "night", "other"], 0..3),
        (text(&["sh01", "bj07"]), text(&["3", "closed"]), text(&["2026-07-03", "x"])),
        text(&["sh01"]),
        (
            1..3_u8,
            proptest::collection::vec(
                (2..4_u8, proptest::sample::select(vec![-100, 0, 899, 901])),
                0..2,
            ),
        ),
        proptest::sample::select(vec!["10.0.0.5", "192.0.2.1"]),
        proptest::sample::select(vec!["wang", "li"]),
    );
    let what = (
        any::<bool>(),
        proptest::sample::select(vec![0, 5400, 5429, 7200, 30_000, 90_000]),
        text(&["service", "complaint", "fun"]),
        text(&["CMP-1", "CMP-x"]),
    );
    (who, what).prop_map(
        |(
            (roles, (branch, desk, hired), tenant, (assurance, ages), address, account),
            (search, later, purpose, ticket),
        )| {
            let now = NOW + later;
            let attributes: BTreeMap<String, Value> =
                [("branch", branch), ("desk", desk), ("hired", hired), ("tenant", tenant)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))))
                    .collect();
            let factors =
                ages.into_iter().map(|(level, age)| Factor { level, at_unix_s: now - age });
            let principal = Principal {
                account: account.to_owned(),
                roles: roles.into_iter().map(str::to_owned).collect(),
                attributes,
                factors: factors.collect(),
                assurance,
                address: address.parse().ok(),
                ..Principal::default()
            };
            Asked { principal, search, now, purpose, ticket }
        },
    )
}

/// The first question with one thing of the second.
fn mixed(one: &Asked, other: &Asked, what: usize) -> Asked {
    let mut mixed = one.clone();
    let (to, from) = (&mut mixed.principal, &other.principal);
    let mut attribute = |name: &str| {
        to.attributes.remove(name);
        let value = from.attributes.get(name).cloned();
        to.attributes.extend(value.map(|value| (name.to_owned(), value)));
    };
    match what {
        0 => attribute("branch"),
        1 => attribute("desk"),
        2 => attribute("hired"),
        3 => attribute("tenant"),
        4 => to.account.clone_from(&from.account),
        5 => to.address = from.address,
        6 => to.assurance = from.assurance,
        7 => {
            let age = |factor: &Factor| other.now - factor.at_unix_s;
            let factors = from.factors.iter();
            let same_age = |f: &Factor| Factor { level: f.level, at_unix_s: one.now - age(f) };
            to.factors = factors.map(same_age).collect();
        }
        8 => to.roles.clone_from(&from.roles),
        9 => mixed.purpose = other.purpose,
        10 => mixed.ticket = other.ticket,
        _ => {
            let later = other.now - one.now;
            mixed.now = other.now;
            mixed.principal.factors.iter_mut().for_each(|factor| factor.at_unix_s += later);
        }
    }
    mixed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn questions_with_equal_keys_are_answered_alike(
        one in questions(),
        other in questions(),
        what in 0..12_usize,
    ) {
        thread_local! { static SHOP_PROGRAM: Program = program(SHOP); }
        SHOP_PROGRAM.with(|shop| {
            let told = |asked: &Asked| {
                let path = if asked.search { "/customers" } else { "/customers/1" };
                let found = shop.find("business", "bank.example", "GET", &Path::parse(path).unwrap());
                let (found, principal) = (found.unwrap(), Arc::new(asked.principal.clone()));
                let query = query(&principal, &found.route, asked.now, asked.purpose, asked.ticket);
                let mut key = Vec::new();
                shop.decision_key(&query, &mut key);
                key.extend(shop.time_key(asked.now - asked.now.rem_euclid(60)));
                (key, Finding::of(&shop.decide(&query), []))
            };
            let ((key, answer), (other_key, other_answer)) = (told(&one), told(&mixed(&one, &other, what)));
            prop_assert!(key != other_key || answer == other_answer, "{answer:?} {other_answer:?}");
            Ok(())
        })?;
    }
}
