//! What conditions say, and that no operator hides an error.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::grant::Grant;
use super::super::model::Flag;
use super::parser::ExpressionFault;
use super::*;
use crate::document::Code;

/// Saturday, 1 August 2026, 10:30 in Shanghai.
const NOW: i64 = 1_785_551_400;

fn field(path: &str) -> Result<u16, (Code, String, String)> {
    let known = ["branch", "birth_date", "score"];
    let at = known.iter().position(|name| *name == path);
    at.and_then(|at| u16::try_from(at).ok()).ok_or((
        Code::UnknownName,
        format!("no field `{path}`"),
        String::new(),
    ))
}

fn scope() -> Scope<'static> {
    Scope {
        record: Some(&field),
        parameters: &["id"],
        flags: &[],
        view: View::All,
        people: People::default(),
    }
}

/// What a flag called `minor` says, where it may say it.
fn flag(text: &str) -> Result<Flag, ExpressionFault> {
    let condition = parse(text, &Scope { parameters: &[], view: View::Record, ..scope() })?;
    Ok(Flag { name: "minor".into(), condition: Arc::new(condition) })
}

fn evaluate(text: &str) -> Result<bool, EvaluationError> {
    let flags = [flag("age(record.birth_date) < 18").unwrap()];
    let condition = parse(text, &Scope { flags: &flags, ..scope() })
        .unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let attributes = BTreeMap::from([
        ("branch".to_owned(), Value::from("sh01")),
        ("branches".to_owned(), Value::List(vec!["sh01".into(), "sh02".into()])),
        ("flag".to_owned(), Value::Bool(true)),
        ("emptied".to_owned(), Value::Null),
    ]);
    let roles = ["teller".to_owned()];
    let subjects = BTreeMap::from([("subjects".to_owned(), Value::List(vec!["sh01".into()]))]);
    let grant = Grant::of_everything("G1", subjects);
    let parameters = [("id".to_owned(), "42".to_owned())];
    let facts = Facts {
        zone: "business",
        account: "lin",
        assurance: 2,
        address: Some("::ffff:10.1.2.3".parse().unwrap()),
        roles: &roles,
        attributes: &attributes,
        parameters: &parameters,
        method: "GET",
        host: "bank.example",
        purpose: Some("service"),
        ticket: None,
        device: Some("laptop-7"),
        grant: Some(&grant),
        is_outsider: false,
        ties: None,
        now_unix_s: NOW,
    };
    let captures = [
        Some(Value::from("sh01")),
        Some(Value::from("2008-08-02")),
        Value::from_json_number("1.5"),
    ];
    condition.holds(&facts, Some(Record { slots: &[0, 1, 2], captures: &captures }))
}

fn refused(text: &str) -> Code {
    let scope = scope();
    parse(text, &scope).map(|_| ()).unwrap_err().code
}

#[test]
fn true_conditions_hold() {
    for text in [
        "record.branch == caller.branch",
        "record.branch in caller.branches",
        "caller.zone == \"business\" && time.hour(\"Asia/Shanghai\") in 8..20",
        "time.hour('Asia/Shanghai') == 10",
        "!time.within('Mon-Fri 08:00-20:00', 'Asia/Shanghai')",
        "time.within('Sat 10:30-10:31', 'Asia/Shanghai')",
        "age(record.birth_date) == 17",
        "in_cidr(caller.address, \"10.0.0.0/8\")",
        "!in_cidr(caller.address, '192.168.0.0/16')",
        "'teller' in caller.roles",
        "caller.assurance >= 2 && caller.account != 'root'",
        "request.id == '42' && request.method == 'GET' && request.host == 'bank.example'",
        "record.score > 1 && record.score < 2 && 2 > record.score",
        "caller.flag",
        "caller.branch in ['sh01', 'sh02']",
        "record.branch != null",
        "(true || false) && !(false)",
        "-3 < -2.5",
        "days_since('2026-07-30') == 2 && days_until('2026-08-11') == 10",
        "days_since('2026-08-02') == -1 && days_until('2026-07-31') == -1",
        "days_since('2026-07-31T20:00:00Z') == 1",
        "days_since('2026-07-31T20:00:00Z', 'Asia/Shanghai') == 0",
        "days_since('2026-08-01T00:30:00+08:00', 'UTC') == 1",
        "starts_with(record.branch, 'sh') && ends_with(record.branch, '01')",
        "contains(caller.branch, 'h0') && !contains(caller.branch, 'H0')",
        "lower('SH01') == record.branch && starts_with(lower('SH01'), lower('SH'))",
        "size(caller.branches) == 2 && size('王小明') == 3",
        "request.purpose == 'service' && caller.device == 'laptop-7'",
        "record.branch in grant.subjects && grant.id == 'G1'",
        "flag.minor && !(!flag.minor)",
        "'it\\'s' == \"it's\"",
    ] {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[test]
fn a_range_ends_before_its_second_number() {
    assert_eq!(evaluate("time.hour('Asia/Shanghai') in 8..10"), Ok(false));
    assert_eq!(evaluate("time.hour('Asia/Shanghai') in 10..11"), Ok(true));
}

#[test]
fn numbers_are_compared_by_all_of_their_digits() {
    for text in [
        "record.score == 1.50",
        "record.score < 1.50000000000000000000001",
        "record.score > 1.49999999999999999999999",
        "record.score != 1.50000000000000000000001",
        "!(record.score in [1.49999999999999999999999, 2])",
        "record.score < 99999999999999999999.5",
    ] {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[test]
fn no_operator_hides_an_error() {
    let missing = Err(EvaluationError::Missing("caller.nothing".to_owned()));
    for text in [
        "caller.nothing == 'x'",
        "true || caller.nothing == 'x'",
        "caller.nothing == 'x' || true",
        "false && caller.nothing == 'x'",
        "caller.nothing == 'x' && false",
        "!(caller.nothing == 'x')",
        "!starts_with(caller.nothing, '')",
        "size(caller.nothing) < 0",
    ] {
        assert_eq!(evaluate(text), missing, "{text}");
    }
    for name in ["request.ticket", "grant.nothing"] {
        let missing = Err(EvaluationError::Missing(name.to_owned()));
        assert_eq!(evaluate(&format!("{name} != 'x'")), missing);
    }
}

#[test]
fn an_attribute_that_holds_nothing_is_as_if_it_were_absent() {
    let missing = Err(EvaluationError::Missing("caller.emptied".to_owned()));
    for text in
        ["caller.emptied == null", "caller.emptied != 'x'", "caller.emptied == record.branch"]
    {
        assert_eq!(evaluate(text), missing, "{text}");
    }
}

#[test]
fn values_of_different_types_are_an_error_and_not_unequal() {
    for text in [
        "record.branch == 1",
        "record.branch != 1",
        "record.score == 'x'",
        "caller.branch in [1, 2]",
        "caller.branch",
        "age(caller.flag) > 1",
        "days_since(caller.flag) > 1",
        "contains(caller.branches, 'sh01')",
        "lower(caller.flag) == 'true'",
        "size(caller.flag) == 1",
    ] {
        assert_eq!(evaluate(text), Err(EvaluationError::Types), "{text}");
    }
    assert_eq!(evaluate("age(caller.branch) > 1"), Err(EvaluationError::Date));
    for day in
        ["2026-8-3", "2026-02-30", "03.08.2026", "2026-08-03T10:00:00", "2026-08-03 10:00", ""]
    {
        let text = format!("days_since('{day}') > 1");
        assert_eq!(evaluate(&text), Err(EvaluationError::Day), "{text}");
    }
    assert_eq!(evaluate("in_cidr(caller.branch, '10.0.0.0/8')"), Err(EvaluationError::Address));
}

#[test]
fn what_cannot_be_meant_is_refused_at_load() {
    for text in [
        "",
        "(",
        "caller.",
        "1 ==",
        "a == b",
        "caller.x = 1",
        "true &",
        "'open",
        "1 < 2 < 3",
        "!!true",
        "caller.x in [caller.y]",
        "time.day('UTC') == 1",
        "9999999999999999999 == 1",
    ] {
        assert_eq!(refused(text), Code::ConditionSyntax, "{text}");
    }
    for text in [
        "1",
        "caller.zone",
        "caller.zone == 1",
        "caller.roles == 'x'",
        "'a' && true",
        "caller.zone in 1..2",
        "time.hour('UTC') in 9..9",
        "true < false",
        "record.branch < null",
        "1 in 'x'",
        "lower(1) == 'x'",
        "size(1) == 1",
        "days_since(1) > 2",
        "starts_with(caller.roles, 'x')",
        "size('x')",
    ] {
        assert_eq!(refused(text), Code::ConditionType, "{text}");
    }
    assert_eq!(refused("record.brnch == 'x'"), Code::UnknownName);
    assert_eq!(refused("request.nr == 'x'"), Code::UnknownName);
    assert_eq!(refused("flag.hidden"), Code::UnknownName);
    assert_eq!(refused("time.hour('Asia/Shangri-La') == 1"), Code::WrongValue);
    assert_eq!(refused("in_cidr(caller.address, '10.0.0.0/40')"), Code::WrongValue);
}

#[test]
fn depth_and_length_are_capped() {
    let nested = |depth| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(evaluate(&nested(30)), Ok(true));
    let calls = |depth| format!("{}'a'{} == 'a'", "lower(".repeat(depth), ")".repeat(depth));
    assert_eq!(evaluate(&calls(30)), Ok(true));
    assert_eq!(refused(&calls(40)), Code::ConditionSyntax);
    assert_eq!(refused(&nested(40)), Code::ConditionSyntax);
    assert_eq!(refused(&format!("'{}' == 'a'", "a".repeat(3000))), Code::ConditionSyntax);
    assert_eq!(refused(&["true"; 300].join("&&")), Code::ConditionSyntax);
}

#[test]
fn a_flag_looks_at_the_record_and_the_time_only() {
    for text in ["record.score > 1 && age(record.birth_date, 'Asia/Seoul') < 18", "record.branch"] {
        assert!(flag(text).is_ok(), "{text}");
    }
    for text in ["caller.flag", "request.method == 'GET'", "'x' in grant.y", "flag.minor"] {
        assert_eq!(flag(text).unwrap_err().code, Code::WrongValue, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ a-z0-9().,'\"&|!=<>\\[\\]\\\\王-]{0,80}") {
        let scope = scope();
        if let Err(fault) = parse(&text, &scope) {
            prop_assert!(fault.start <= text.len());
        }
    }
}
