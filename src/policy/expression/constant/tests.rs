//! What is called constant, and that nothing proves it wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Condition, Facts, People, Record, Scope, View, parse};
use super::*;

fn condition(text: &str) -> Option<Condition> {
    let field = |path: &str| {
        let at = ["a", "b"].iter().position(|name| *name == path);
        at.and_then(|at| u16::try_from(at).ok()).ok_or((
            crate::document::Code::UnknownName,
            String::new(),
            String::new(),
        ))
    };
    let scope = Scope {
        record: Some(&field),
        parameters: &[],
        flags: &[],
        view: View::All,
        people: People::default(),
    };
    parse(text, &scope).ok()
}

/// What is certain of the parts, as written.
fn certain(text: &str) -> Vec<(&str, Certainty)> {
    let constants = condition(text).unwrap_or_else(|| panic!("{text}")).constants;
    constants.iter().map(|c| (text.get(c.span.start..c.span.end).unwrap(), c.certainty)).collect()
}

#[test]
fn what_cannot_vary_is_found_whole_or_in_its_largest_parts() {
    for (text, wanted) in [
        ("true", Certainty::Always),
        ("size(lower('AB')) == 2", Certainty::Always),
        ("!('a' in ['b'])", Certainty::Always),
        ("time.hour('UTC') < 24 && caller.assurance <= 3", Certainty::Always),
        ("caller.zone == caller.zone", Certainty::Always),
        ("record.a in []", Certainty::Never),
        ("record.a == 'x' && 'y' == record.a", Certainty::Never),
        ("record.a in ['x', 'y'] && record.a == null", Certainty::Never),
        ("record.a > 5 && record.b == 1 && record.a in 1..5", Certainty::Never),
        ("record.a > 'm' && record.a <= 'b'", Certainty::Never),
        ("size(record.a) < 0", Certainty::Never),
        ("record.a != record.a", Certainty::Never),
        ("contains('abc', record.a) && !contains('abc', record.a)", Certainty::Never),
        ("record.a != 1 || record.a != 2", Certainty::NeverFalse),
        ("record.a > 1 || record.b == 2 || record.a <= 3", Certainty::NeverFalse),
    ] {
        assert_eq!(certain(text), [(text, wanted)]);
    }
    assert_eq!(
        certain("record.a == 1 && (true && record.b in []) || record.b == 2"),
        [("record.a == 1 && (true && record.b in [])", Certainty::Never)]
    );
    assert_eq!(
        certain("( record.b != 1|| record.b != 2 ) && record.a == 1"),
        [("( record.b != 1|| record.b != 2 )", Certainty::NeverFalse)]
    );
    assert_eq!(certain("record.a == 1 && ( record.b == 1 || true)"), [("true", Certainty::Always)]);
}

#[test]
fn what_may_vary_or_fail_is_not_called_constant() {
    for text in [
        "caller.x == caller.x",
        "record.a in 1..5 && record.a in 4..9",
        "record.a > 3 && record.a < 4",
        "record.a >= 3 && record.a <= 3",
        "record.a != 'x' && record.a != 'y'",
        "'x' in caller.x && 'y' in caller.x",
        "record.a == record.b && record.a == 1 && record.b == 2",
        "age(record.a) >= 0",
        "record.a == record.a || record.b == 1",
        "time.hour('UTC') == 3 && time.hour('Asia/Tokyo') == 12",
    ] {
        assert_eq!(certain(text), [], "{text}");
    }
}

fn operand() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "caller.x",
        "caller.zone",
        "caller.assurance",
        "record.a",
        "record.b",
        "request.method",
        "time.hour('UTC')",
        "size(record.a)",
        "lower(record.b)",
        "1",
        "2",
        "2.5",
        "'a'",
        "'B'",
        "null",
        "true",
    ])
}

fn atom() -> impl Strategy<Value = String> {
    let marks = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let lists = prop::sample::select(vec!["[]", "[1, 2]", "['a', 'B']", "0..2", "2..30"]);
    prop_oneof![
        4 => (operand(), marks, operand()).prop_map(|(a, mark, b)| format!("{a} {mark} {b}")),
        2 => (operand(), lists).prop_map(|(a, list)| format!("{a} in {list}")),
        1 => prop::sample::select(vec!["true", "false", "caller.x", "record.a"])
            .prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn value() -> impl Strategy<Value = Option<Value>> {
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::Integer(1),
        Value::Integer(2),
        Value::from_json_number("2.5").unwrap(),
        Value::from_json_number("0.99999999999999999999").unwrap(),
        Value::from("a"),
        Value::from("B"),
        Value::from(""),
        Value::List(vec![Value::Integer(1)]),
    ];
    prop::option::weighted(0.9, prop::sample::select(values.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_facts_make_a_certainty_wrong(
        text in text(),
        (x, a, b) in (value(), value(), value()),
        assurance in 0..4_u8,
        method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
        hour in 0..24_i64,
    ) {
        let Some(whole) = condition(&text) else { return Ok(()) };
        let attributes: BTreeMap<String, Value> =
            x.into_iter().map(|x| ("x".to_owned(), x)).collect();
        let facts = Facts {
            zone: "a",
            account: "lin",
            assurance,
            address: None,
            roles: &[],
            attributes: &attributes,
            parameters: &[],
            method,
            host: "bank.example",
            purpose: None,
            ticket: None,
            device: None,
            grant: None,
        is_outsider: false,
        ties: None,
            now_unix_s: hour * 3600,
        };
        let record = Record { slots: &[0, 1], captures: &[a, b] };
        for constant in &whole.constants {
            let part = condition(text.get(constant.span.start..constant.span.end).unwrap()).unwrap();
            let said = part.holds(&facts, Some(record));
            match constant.certainty {
                Certainty::Always => prop_assert_eq!(said, Ok(true), "{}", part.text),
                Certainty::Never => prop_assert!(said != Ok(true), "{}", part.text),
                Certainty::NeverFalse => prop_assert!(said != Ok(false), "{}", part.text),
            }
        }
    }
}
