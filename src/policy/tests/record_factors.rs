//! Factors that records ask for: which are asked for on which record, together with what grades ask, and when not.

use serde_json::{Value as Json, json};

use super::super::{Class, DenialKind, KnownCases, Query, StepUp, compare};
use super::{
    Denial, Factor, NOW, Permit, Principal, Program, RecordId, Value, ask, caller, compile, filter,
    program, source,
};
use crate::route::Path;
use std::sync::Arc;

const BANK: &str = "
grades: { 1: {}, 2: {}, 3: { assurance: 2, fresh: 15m } }
roles: { clerk: {}, boss: {} }
entities:
  account:
    subject: id
    step-up: STEP_UP
    fields: { id: 1, number: { grade: 3, kind: bank-account }, balance: 2, note: 1, frozen: 1 }
routes:
  one: { match: 'GET bank.example/a/{id}', to: core, action: view, returns: { account: $ } }
  all: { match: GET bank.example/a, to: core, action: search, query: { balance: account.balance }, returns: { account: '$.items[]', total: $.total } }
  save: { match: 'PATCH bank.example/a/{id}', to: core, action: update, accepts: { account: $ }, returns: { account: $ }, reads: one }
rules:
  - { name: clerks, allow: [view, search, update], to: clerk, of: account, clear: [id, number, balance], masked: [number, balance], write: [note, balance] }
  - { name: bosses, allow: [view, search], to: boss, of: account, clear: [id, note], step-up: { where: record.frozen, assurance: 3 } }
";

const FIELDS: &str = "[{ where: record.balance > 0, fields: balance, assurance: 3, fresh: 5m }]";
const RECORD: &str = "[{ where: record.balance > 0, assurance: 3, fresh: 5m }]";

fn bank(step_up: &str) -> String {
    BANK.replace("STEP_UP", step_up)
}

/// A clerk with one factor of this level, just shown.
fn with(level: u8) -> Principal {
    let factors = vec![Factor { level, at_unix_s: NOW }];
    Principal { assurance: level, factors, ..caller(&["clerk"]) }
}

fn account(balance: &Json) -> Json {
    json!({ "id": 1, "number": "62", "balance": balance, "frozen": false })
}

/// What the permit finds that the record asks for.
fn asked(permit: &Permit, record: &Json) -> Option<StepUp> {
    let plan = permit.plan().record(RecordId(0)).unwrap();
    let mut captures = vec![None; usize::from(plan.captures)];
    let root = permit.plan().root.entered().unwrap();
    super::capture(permit.plan(), root, record.as_object().unwrap(), &mut captures);
    permit.factor(RecordId(0), permit.case(RecordId(0), &captures)).cloned()
}

fn view(program: &Program, principal: Principal) -> Permit {
    ask(program, principal, "GET /a/1", None).unwrap()
}

fn step_up(assurance: u8, max_age_s: Option<u32>, fields: &[&str]) -> StepUp {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    StepUp { assurance, max_age_s, fields }
}

#[test]
fn where_the_condition_holds_or_cannot_be_evaluated_what_it_covers_is_kept_back() {
    let of_fields = program(&bank(FIELDS));
    let permit = view(&of_fields, with(2));
    let key = step_up(3, Some(300), &["account.balance"]);
    assert_eq!(permit.factor_on_records(), Some(&key));
    for balance in [json!(1), json!(0.5), json!(null), json!("x"), json!([])] {
        let record = account(&balance);
        assert_eq!(asked(&permit, &record).as_ref(), Some(&key), "{record}");
        assert_eq!(filter(&permit, &record).unwrap()["number"], "62", "it does not cover that");
        assert_ne!(filter(&permit, &record).unwrap().get("balance"), Some(&balance), "{record}");
    }
    for balance in [json!(0), json!(-3)] {
        assert_eq!(asked(&permit, &account(&balance)), None);
        assert_eq!(filter(&permit, &account(&balance)).unwrap()["balance"], balance);
    }
    let shown = view(&of_fields, with(3));
    assert_eq!((shown.factor_on_records(), shown.row_conditions()), (None, false));
    assert_eq!(filter(&shown, &account(&json!(1))).unwrap()["balance"], 1);
    let of_record = program(&bank(RECORD));
    let permit = view(&of_record, with(2));
    assert_eq!(filter(&permit, &account(&json!(1))), None);
    let all = step_up(3, Some(300), &["account.id", "account.number", "account.balance"]);
    assert_eq!(asked(&permit, &account(&json!(1))), Some(all));
}

#[test]
fn a_count_passes_beside_records_of_which_fields_are_kept_back_and_not_beside_lost_ones() {
    let list = json!({ "items": [account(&json!(1)), account(&json!(0))], "total": 2 });
    for (factors, total, items) in [(FIELDS, Some(&json!(2)), 2), (RECORD, None, 1)] {
        let permit = ask(&program(&bank(factors)), with(2), "GET /a", None).unwrap();
        let left = filter(&permit, &list).unwrap();
        assert_eq!((left.get("total"), left["items"].as_array().unwrap().len()), (total, items));
        let search = format!("{:?}", permit.search().parameters);
        assert_eq!(search.contains("clear: false"), factors == FIELDS, "{search}");
    }
}

#[test]
fn what_the_grade_asks_is_asked_for_at_once_and_alone_where_the_record_asks_nothing() {
    let factors = "[{ where: record.balance > 0, fields: number, assurance: 3 }]";
    let bank = program(&bank(factors));
    let permit = view(&bank, with(1));
    let record = account(&json!(1));
    assert_eq!(asked(&permit, &record), Some(step_up(3, Some(900), &["account.number"])));
    assert_eq!(asked(&permit, &account(&json!(0))), None, "its grade falls back as ever");
    assert_eq!(permit.step_up(), Some(&step_up(2, Some(900), &["account.number"])));
}

#[test]
fn only_what_would_show_more_is_asked_for() {
    let factors = "[{ where: record.balance > 0, fields: note, assurance: 3, fresh: 1m }, \
                    { where: record.balance > 0, fields: balance, assurance: 3, fresh: 1h }, \
                    { where: record.balance > 9, grade: 3, assurance: 3, fresh: 9m }]";
    let bank = program(&bank(factors));
    let permit = view(&bank, with(2));
    // Clerks see no notes.
    let of_balance = step_up(3, Some(3600), &["account.balance"]);
    assert_eq!(asked(&permit, &account(&json!(1))), Some(of_balance));
    let both = step_up(3, Some(540), &["account.number", "account.balance"]);
    assert_eq!(asked(&permit, &account(&json!(10))), Some(both));
}

#[test]
fn a_rule_gives_nothing_of_records_on_which_its_condition_holds() {
    let bank = program(&bank(FIELDS));
    let boss = |level: u8| Principal { roles: vec!["boss".to_owned()], ..with(level) };
    let frozen = json!({ "id": 1, "note": "n", "balance": 0, "frozen": true });
    let permit = view(&bank, boss(2));
    assert_eq!(filter(&permit, &frozen), None);
    assert_eq!(asked(&permit, &frozen).unwrap().assurance, 3);
    let both = Principal { roles: vec!["boss".to_owned(), "clerk".to_owned()], ..with(2) };
    let permit = view(&bank, both);
    assert_eq!(
        filter(&permit, &frozen).unwrap().get("note"),
        None,
        "the clerks' rule gives the rest"
    );
    assert_eq!(asked(&permit, &frozen), Some(step_up(3, None, &["account.note"])));
    assert_eq!(filter(&view(&bank, boss(3)), &frozen).unwrap()["note"], "n");
}

#[test]
fn a_change_is_kept_back_where_the_record_that_is_read_asks() {
    for factors in [FIELDS, RECORD] {
        let bank = program(&bank(factors));
        let permit = ask(&bank, with(2), "PATCH /a/1", None).unwrap();
        let reading = permit.pre_read().unwrap();
        let case = |balance: i64| {
            reading.case(RecordId(0), &[Some(Value::Integer(1)), Some(Value::Integer(balance))])
        };
        assert_eq!(reading.factor(RecordId(0), case(0)), None);
        assert_eq!(reading.factor(RecordId(0), case(5)).unwrap().assurance, 3);
        let settled = permit.settle(case(5));
        let writes = settled.map(|permit| format!("{:?}", permit.write_plan().unwrap()));
        match factors {
            // Whoever does not look at what was asked for writes no more than without the factor.
            FIELDS => assert!(!writes.unwrap().is_empty()),
            _ => assert_eq!(writes.unwrap_err().kind, DenialKind::Withheld),
        }
        let raised = ask(&bank, with(3), "PATCH /a/1", None).unwrap();
        assert!(raised.is_settled(), "nothing is left to ask");
    }
}

/// What is said of a view of the one record.
fn of_one<T>(program: &Program, principal: Principal, say: impl Fn(&Query<'_>) -> T) -> T {
    let path = Path::parse("/a/1").unwrap();
    let met = program.find("business", "bank.example", "GET", &path).unwrap();
    let principal = Arc::new(principal);
    let ties: Arc<dyn super::super::Ties> = Arc::new(KnownCases::default());
    say(&Query {
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
        ties: Some(&ties),
        now_unix_s: NOW,
    })
}

/// Asks whether showing the factor leads through.
fn leads_through(program: &Program, principal: Principal, asked: &StepUp) -> Option<Denial> {
    of_one(program, principal, |query| program.asks_on_record(query, asked))
}

#[test]
fn a_factor_that_takes_something_away_is_not_asked_for() {
    let key = step_up(3, Some(300), &[]);
    let denial = leads_through(&program(&bank(FIELDS)), with(2), &key).unwrap();
    assert_eq!(denial.kind, DenialKind::StepUp(key.clone()));
    assert!(denial.reasons[0].to_string().contains("the record asks for a factor of assurance 3"));
    for rule in [
        "{ name: no, deny: view, to: clerk, when: caller.assurance > 2 }",
        "{ name: no, deny: view, to: clerk, of: account, clear: number, when: caller.assurance > 2 }",
        "{ name: low, allow: view, to: clerk, of: account, clear: note, when: caller.assurance < 3 }",
        "{ name: no, deny: view, to: clerk, of: account, where: record.frozen && caller.assurance > 2 }",
    ] {
        let text = format!("{}  - {rule}\n", bank(FIELDS));
        assert_eq!(leads_through(&program(&text), with(2), &key), None, "{rule}");
    }
}

#[test]
fn less_that_records_ask_for_is_told_as_wider() {
    let changed = |old: &str, new: &str| {
        let (old, new) = (program(&bank(old)), program(&bank(new)));
        compare(&old, &new)
    };
    let weaker = FIELDS.replace("assurance: 3", "assurance: 2");
    let older = FIELDS.replace("fresh: 5m", "fresh: 9m");
    let less = FIELDS.replace("fields: balance", "fields: note");
    let other = FIELDS.replace("> 0", "> 1");
    for wider in ["[]", &weaker, &older, &less, &other] {
        let comparison = changed(FIELDS, wider);
        assert!(comparison.widens(), "{wider}: {comparison}");
    }
    for (old, new) in [("[]", FIELDS), (FIELDS, RECORD), (weaker.as_str(), FIELDS)] {
        let comparison = changed(old, new);
        assert!(!comparison.widens(), "{old} → {new}: {comparison}");
        assert!(comparison.changes.iter().any(|change| change.class == Class::Narrows));
    }
    let spaced = FIELDS.replace("record.balance > 0", "(record.balance > 0)");
    assert!(!changed(FIELDS, &spaced).widens());
    let without = bank(FIELDS).replace(", step-up: { where: record.frozen, assurance: 3 }", "");
    assert!(compare(&program(&bank(FIELDS)), &program(&without)).widens());
}

#[test]
fn explanations_name_what_a_record_may_ask_for_and_what_it_keeps_back() {
    let bank = program(&bank(FIELDS));
    let told = |level| of_one(&bank, with(level), |query| bank.explain(query).to_string());
    let asks = "`account.balance` asks for a factor of assurance 3 at most 5m old where record.balance > 0";
    for said in [
        &format!("{asks}: it was not shown") as &str,
        "masked before a factor of assurance 3 at most 5m old where record.balance > 0",
        "account.balance also on records that ask for it",
    ] {
        assert!(told(2).contains(said), "{said}: {}", told(2));
    }
    assert!(told(3).contains(&format!("{asks}: it was shown")), "{}", told(3));
    assert!(!told(3).contains("masked before"));
}

#[test]
fn a_factor_that_cannot_be_tested_or_asks_for_nothing_is_a_fault() {
    let faults = |text: &str| compile(&[source(text)]).unwrap_err().to_string();
    for (from, to, said) in [
        (", reads: one", "", "cannot be tested: the record that `save` changes is not read before"),
        ("assurance: 3, fresh: 5m }]", "}]", "asks for nothing"),
        (
            "fields: balance, ",
            "fields: balance, grade: 2, ",
            "for `fields`, or for those of a `grade`",
        ),
        ("fields: balance, ", "grade: 4, ", "no field of `account` has grade 4"),
        ("where: record.balance > 0, ", "", "needs `where`"),
        ("allow: [view, search], to: boss", "deny: [view, search], to: boss", "requires nothing"),
    ] {
        let text = bank(FIELDS).replace(from, to);
        assert!(faults(&text).contains(said), "{said}: {}", faults(&text));
    }
}
