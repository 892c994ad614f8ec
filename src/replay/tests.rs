//! Replays of logs of a few entries, written as the gate writes them.

use serde_json::json;

use super::{LeftOut, Replay, Report, question_of};
use crate::audit::{
    Actor, ActorKind, Answer, Auth, Data, Decision, Effect, Entry, EntryError, EntryId, Event,
    Moment, Origin, Request, Stamp, Trait, Why,
};
use crate::document::Source;
use crate::policy::{DecisionChange, Program, Treatment, compile};

/// Monday, 3 August 2026, 10:30 in Shanghai.
const NOW_S: i64 = 1_785_724_200;

const BANK: &str = "
grades: { 1: {}, 2: { assurance: 2, fresh: 15m } }
purposes: [service]
entities:
  customer:
    subject: id
    fields: { id: 1, name: 1, phone: { grade: 2, kind: phone }, branch: 1 }
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
    query: { phone: customer.phone }
    returns: { customer: '$[]' }
roles: { teller: {}, clerk: {} }
rules:
  - name: tellers serve
    allow: [view, search]
    to: teller
    of: customer
    clear: [id, name, phone]
    masked: [phone]
    where: record.branch == caller.branch
  - name: clerks file
    allow: view
    to: clerk
    of: customer
    clear: [id]
";

fn program(text: &str) -> Program {
    let source = Source { name: "policy.yaml".to_owned(), text: text.to_owned() };
    compile(&[source]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn stamp(n: u8, unix_s: i64) -> Stamp {
    let unix_ms = unix_s * 1000;
    Stamp { id: EntryId::new(unix_ms, [n; 10]), time: Moment(unix_ms), node: "n1".into() }
}

/// A teller's look at a customer, as the bank's policy decided it.
fn look(n: u8) -> Entry {
    let mut entry = Entry::new(Event::Decision, stamp(n, NOW_S));
    let mut actor = Actor {
        account: "wang".into(),
        kind: Some(ActorKind::Staff),
        roles: ["teller"].into_iter().collect(),
        ..Actor::default()
    };
    actor.attributes.push("branch", Trait::text("sh01").unwrap());
    entry.actor = Some(actor);
    let mut auth = Auth { assurance: 2, ..Auth::default() };
    auth.levels.push(2, 60);
    entry.auth = Some(auth);
    let address = "10.0.0.5".parse().ok();
    entry.origin = Some(Origin { address, zone: "business".into(), ..Origin::default() });
    let mut request = Request {
        method: "GET".into(),
        host: "bank.example".into(),
        route: "customer.view".into(),
        template: "/customers/{id}".into(),
        ..Request::default()
    };
    request.query.push("{id}", None, "hash");
    entry.request = Some(request);
    entry.why = Some(Why { purpose: "service".into(), ..Why::default() });
    let clear = ["customer.id", "customer.name", "customer.phone"].into_iter().collect();
    entry.data = Some(Data { clear, ..Data::default() });
    let mut decision = Decision::new(Effect::Allow);
    decision.rules = ["tellers serve"].into_iter().collect();
    decision.policy = "the version".into();
    entry.decision = Some(decision);
    entry
}

fn frame(entry: Entry) -> Vec<u8> {
    entry.encode(|| Err::<Stamp, EntryError>(EntryError::Json)).unwrap().remove(0).1
}

fn replay(entries: Vec<Entry>, new: &str, old: Option<&str>) -> Report {
    let (new, old) = (program(new), old.map(program));
    let mut replay = Replay::new(&new, old.as_ref());
    entries.into_iter().for_each(|entry| replay.take(&frame(entry)));
    replay.finish()
}

fn changes(report: &Report) -> Vec<(DecisionChange, u64)> {
    report.changes.iter().map(|c| (c.change.clone(), c.tally.count)).collect()
}

fn phone(from: Treatment, to: Treatment) -> DecisionChange {
    DecisionChange::Field { field: "customer.phone".into(), from, to, on_some_records: false }
}

#[test]
fn under_the_policy_that_decided_nothing_is_different() {
    for old in [None, Some(BANK)] {
        let report = replay(vec![look(1), look(2)], BANK, old);
        assert_eq!((report.decisions, report.same), (2, 2));
        assert_eq!((report.different, report.undetermined), (0, 0));
        assert!(report.changes.is_empty() && report.routes.is_empty());
    }
}

#[test]
fn what_would_be_different_is_told_by_route_rule_role_and_account() {
    let new = BANK.replace("clear: [id, name, phone]", "clear: [id, name]");
    let mut other = look(3);
    other.actor.as_mut().unwrap().account = "li".into();
    let report = replay(vec![look(1), look(2), other], &new, None);
    let masked = phone(Treatment::Clear, Treatment::Masked);
    assert_eq!(changes(&report), [(masked, 3)]);
    assert_eq!((report.decisions, report.different), (3, 3));
    let names = |groups: &[super::Group]| -> Vec<(String, u64)> {
        groups.iter().map(|group| (group.name.clone(), group.all.count)).collect()
    };
    assert_eq!(names(&report.routes), [("customer.view".to_owned(), 3)]);
    assert_eq!(names(&report.rules), [("tellers serve".to_owned(), 3)]);
    assert_eq!(names(&report.roles), [("teller".to_owned(), 3)]);
    assert_eq!(names(&report.accounts), [("wang".to_owned(), 2), ("li".to_owned(), 1)]);
    let ids: Vec<String> = [1, 2].map(|n| stamp(n, NOW_S).id.to_string()).into();
    assert_eq!(report.accounts[0].all.examples, ids);
}

#[test]
fn a_right_that_is_lost_gained_or_open_to_a_step_up_is_told() {
    let report = replay(vec![look(1)], &BANK.replace("to: teller", "to: clerk"), None);
    assert_eq!(changes(&report), [(DecisionChange::Denied, 1)]);
    let strict = BANK.replace("    where:", "    require: { assurance: 3 }\n    where:");
    let report = replay(vec![look(1)], &strict, None);
    assert_eq!(changes(&report), [(DecisionChange::StepUp, 1)]);
    let mut refused = look(1);
    refused.decision.as_mut().unwrap().effect = Effect::Deny;
    refused.data = None;
    refused.result = Some(Answer { cause: "forbidden".into(), ..Answer::default() });
    let report = replay(vec![refused], BANK, None);
    assert_eq!(changes(&report), [(DecisionChange::Allowed, 1)]);
    let moved = BANK.replace("bank.example/customers/{id}", "bank.example/people/{id}");
    let report = replay(vec![look(1)], &moved, None);
    assert_eq!(changes(&report), [(DecisionChange::Denied, 1)]);
}

#[test]
fn the_age_of_a_factor_is_that_of_the_moment_of_the_decision() {
    let mut stale = look(1);
    let auth = stale.auth.as_mut().unwrap();
    *auth = Auth { assurance: 2, ..Auth::default() };
    auth.levels.push(2, 1000);
    let data = stale.data.as_mut().unwrap();
    data.clear = ["customer.id", "customer.name"].into_iter().collect();
    data.masked = ["customer.phone"].into_iter().collect();
    let report = replay(vec![stale, look(2)], BANK, None);
    assert_eq!((report.same, report.different), (2, 0), "{:?}", report.changes);
}

#[test]
fn with_two_policies_conditions_on_records_are_compared_as_well() {
    let new = BANK.replace(
        "record.branch == caller.branch",
        "record.branch == caller.branch || record.branch == 'hq'",
    );
    let report = replay(vec![look(1)], &new, Some(BANK));
    assert_eq!(changes(&report), [(DecisionChange::Records, 1)]);
    let report = replay(vec![look(1)], &new, None);
    assert_eq!(report.same, 1, "the record of a decision does not hold them");
}

#[test]
fn a_search_that_the_candidate_refuses_would_be_denied() {
    let mut search = look(1);
    let request = search.request.as_mut().unwrap();
    (request.route, request.template) = ("customer.search".into(), "/customers".into());
    request.query = crate::audit::Query::default();
    request.query.push("phone", Some("customer.phone"), "hash");
    let new = BANK.replace("clear: [id, name, phone]", "clear: [id, name]");
    assert_eq!(changes(&replay(vec![search.clone()], &new, None)), [(DecisionChange::Denied, 1)]);
    assert_eq!(changes(&replay(vec![search], BANK, None)), []);
}

#[test]
fn what_depends_on_what_was_not_recorded_is_undetermined_and_never_guessed() {
    for condition in ["request.id == '7'", "caller.desk == '3'"] {
        let new = BANK.replace(
            "    where: record.branch",
            &format!("    when: {condition}\n    where: record.branch"),
        );
        let report = replay(vec![look(1)], &new, None);
        assert_eq!((report.undetermined, report.different, report.same), (1, 0, 0), "{condition}");
        assert_eq!(report.open[0].name, "tellers serve");
    }
    let new = BANK.replace(
        "    where: record.branch",
        "    when: caller.desk == '3'\n    where: record.branch",
    );
    let mut known = look(1);
    known.actor.as_mut().unwrap().attributes.push("desk", Trait::Missing);
    let report = replay(vec![known], &new, None);
    assert_eq!(changes(&report), [(DecisionChange::Denied, 1)], "that there was none is known");
    let mut many = look(1);
    many.actor.as_mut().unwrap().roles = (0..900).map(|n| format!("role {n}")).collect();
    let report = replay(vec![many], BANK, None);
    assert_eq!(report.open[0].name, "(roles)");
    let mut granted = look(1);
    granted.why = Some(Why { grant: "G-1".into(), ..Why::default() });
    assert_eq!(replay(vec![granted], BANK, None).open[0].name, "(grant)");
    // Which roles another account of the person has nobody recorded.
    let apart = format!("{BANK}apart: [[teller, clerk]]\n");
    let report = replay(vec![look(1)], &apart, None);
    assert_eq!((report.undetermined, &*report.open[0].name), (1, "(other accounts)"));
    let deny = format!(
        "{BANK}  - name: not seven\n    deny: view\n    to: any\n    when: request.id == '7'\n"
    );
    assert_eq!(replay(vec![look(1)], &deny, None).open[0].name, "not seven");
}

#[test]
fn entries_that_no_policy_decided_are_left_out_and_counted() {
    let mut strange = look(1);
    strange.actor = None;
    let mut limited = look(2);
    limited.decision = Some(Decision::new(Effect::Deny));
    let outcome = Entry::new(Event::Outcome, stamp(3, NOW_S));
    let new = program(BANK);
    let mut replay = Replay::new(&new, None);
    for entry in [strange, limited, outcome] {
        replay.take(&frame(entry));
    }
    replay.take(br#"{"event":"decision","id":7}"#);
    let report = replay.finish();
    assert_eq!(report.decisions, 0);
    let left: Vec<_> = report.left_out.into_iter().collect();
    assert_eq!(left, [(LeftOut::NotByPolicy, 2), (LeftOut::Unreadable, 1)]);
}

#[test]
fn texts_with_escapes_are_read_as_they_are() {
    let mut entry = look(1);
    entry.actor.as_mut().unwrap().account = "wang \"x\" \\ \"event\":\"outcome\"".into();
    let (question, policy) = question_of(&frame(entry)).unwrap();
    assert_eq!(question.principal.account, "wang \"x\" \\ \"event\":\"outcome\"");
    assert_eq!(policy, "the version");
}

#[test]
fn what_an_entry_does_not_hold_is_named() {
    let new = BANK.replace("record.branch == caller.branch", "record.branch == caller.desk");
    let (question, _) = question_of(&frame(look(1))).unwrap();
    assert_eq!(question.unknown_to(&program(&new)), ["caller.desk", "request.id"]);
    assert_eq!(question.unknown_to(&program(BANK)), ["request.id"]);
}

#[test]
fn the_report_is_one_json_document() {
    let new = BANK.replace("clear: [id, name, phone]", "clear: [id, name]");
    let report = serde_json::to_value(replay(vec![look(1)], &new, None)).unwrap();
    let id = stamp(1, NOW_S).id.to_string();
    assert_eq!(
        report["changes"],
        json!([{
            "kind": "field", "field": "customer.phone", "from": "clear", "to": "masked",
            "on_some_records": false, "count": 1, "examples": [id],
        }])
    );
}
