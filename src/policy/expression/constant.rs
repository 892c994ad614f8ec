//! Conditions, and parts of them, that say the same whatever they look at. What may vary is never called
//! constant: a missing attribute makes `caller.x == caller.x` an error, so it is not always true.

use super::evaluate::{constant, order_of};
use super::{Comparison, Expression};
use crate::document::Span;
use crate::policy::value::Value;

/// What is known of a condition before anything else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Certainty {
    /// It is true.
    Always,
    /// It is false, or cannot be evaluated.
    Never,
    /// Alternatives that leave nothing out: it is true, or cannot be evaluated.
    NeverFalse,
}

/// A condition, or a part of one, that does not vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Constant {
    pub(in crate::policy) certainty: Certainty,
    /// Whether it is the condition itself.
    pub(in crate::policy) is_whole: bool,
    /// Where it stands in the condition's text until that text's place in its file is known.
    pub(in crate::policy) span: Span,
}

/// What is certain of an expression that says yes or no.
pub(super) fn certainty(expression: &Expression) -> Option<Certainty> {
    let can = outcomes(expression);
    if !can.be_true {
        Some(Certainty::Never)
    } else if !can.be_false && !can.fail {
        Some(Certainty::Always)
    } else if !can.be_false && leaves_nothing_out(expression) {
        Some(Certainty::NeverFalse)
    } else {
        None
    }
}

/// Whether it is alternatives each of which may be false. A single one that may not is at fault by itself.
fn leaves_nothing_out(expression: &Expression) -> bool {
    let is_alternatives = matches!(expression, Expression::Or(..));
    is_alternatives && expression.disjuncts().into_iter().all(|part| outcomes(part).be_false)
}

/// What an expression may come to. More than it can in truth, never less.
#[derive(Clone, Copy)]
struct Outcomes {
    be_true: bool,
    be_false: bool,
    fail: bool,
}

fn outcomes(expression: &Expression) -> Outcomes {
    if is_closed(expression) {
        let value = constant(expression);
        let is = |wanted: bool| value.as_ref() == Ok(&Value::Bool(wanted));
        return Outcomes { be_true: is(true), be_false: is(false), fail: value.is_err() };
    }
    if let Expression::And(..) = expression {
        all_of(&expression.conjuncts())
    } else if let Expression::Or(..) = expression {
        one_of(&expression.disjuncts())
    } else if let Expression::Not(inner) = expression {
        let can = outcomes(inner);
        Outcomes { be_true: can.be_false, be_false: can.be_true, ..can }
    } else if let Expression::Within(week, _) = expression {
        Outcomes { be_true: true, be_false: !week.is_always(), fail: false }
    } else if let Expression::Compare(how, left, right) = expression
        && left == right
    {
        let holds = how.holds_of_equals();
        Outcomes { be_true: holds, be_false: !holds, fail: !is_always_there(left) }
    } else {
        outcomes_of_test(expression)
    }
}

fn outcomes_of_test(test: &Expression) -> Outcomes {
    let Some(subject) = subject(test) else {
        return Outcomes { be_true: true, be_false: true, fail: true };
    };
    let values = domain(subject);
    let misses = |values: &Vec<Value>| values.iter().any(|value| !holds(test, value));
    Outcomes {
        be_true: !contradict(&[test]),
        be_false: values.as_ref().is_none_or(misses),
        fail: values.is_none(),
    }
}

fn all_of(parts: &[&Expression]) -> Outcomes {
    let each: Vec<Outcomes> = parts.iter().map(|part| outcomes(part)).collect();
    Outcomes {
        be_true: each.iter().all(|can| can.be_true) && !contradict(parts),
        be_false: each.iter().any(|can| can.be_false),
        fail: each.iter().any(|can| can.fail),
    }
}

fn one_of(parts: &[&Expression]) -> Outcomes {
    let each: Vec<Outcomes> = parts.iter().map(|part| outcomes(part)).collect();
    let opposites: Vec<Expression> = parts.iter().map(|part| opposite(part)).collect();
    Outcomes {
        be_true: each.iter().any(|can| can.be_true),
        be_false: each.iter().all(|can| can.be_false)
            && !contradict(&opposites.iter().collect::<Vec<_>>()),
        fail: each.iter().any(|can| can.fail),
    }
}

/// Whether it looks at nothing but what is written in it.
fn is_closed(expression: &Expression) -> bool {
    match expression {
        Expression::Literal(_) => true,
        Expression::List(items) => items.iter().all(is_closed),
        Expression::Lower(inner)
        | Expression::Size(inner)
        | Expression::InCidr(inner, _)
        | Expression::InRange(inner, ..)
        | Expression::Not(inner) => is_closed(inner),
        Expression::Text(_, left, right)
        | Expression::Compare(_, left, right)
        | Expression::In(left, right)
        | Expression::And(left, right)
        | Expression::Or(left, right) => is_closed(left) && is_closed(right),
        Expression::Attribute(_)
        | Expression::Zone
        | Expression::Account
        | Expression::Assurance
        | Expression::Address
        | Expression::Roles
        | Expression::Record(_)
        | Expression::Parameter(_)
        | Expression::Device
        | Expression::Grant(_)
        | Expression::Flag(_)
        | Expression::Purpose
        | Expression::Ticket
        | Expression::Method
        | Expression::Host
        | Expression::Hour(_)
        | Expression::Within(..)
        | Expression::Age(..)
        | Expression::DaysSince(..)
        | Expression::DaysUntil(..) => false,
    }
}

/// Whether every request has it.
fn is_always_there(operand: &Expression) -> bool {
    matches!(
        operand,
        Expression::Zone
            | Expression::Account
            | Expression::Assurance
            | Expression::Method
            | Expression::Host
            | Expression::Hour(_)
    )
}

/// All values that an operand can have, where they are few. It can always be evaluated then.
fn domain(operand: &Expression) -> Option<Vec<Value>> {
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    if let Expression::Hour(_) = operand {
        Some((0..24).map(Value::Integer).collect())
    } else if *operand == Expression::Assurance {
        Some((0..=3).map(Value::Integer).collect())
    } else if *operand == Expression::Method {
        Some(METHODS.map(Value::from).to_vec())
    } else {
        None
    }
}

/// What a test holds against values that are written in it, if that is all it does.
fn subject(test: &Expression) -> Option<&Expression> {
    let (item, other) = if let Expression::Not(inner) = test {
        return subject(inner);
    } else if let Expression::Compare(_, left, right) = test {
        if is_closed(left) { (right, Some(left)) } else { (left, Some(right)) }
    } else if let Expression::In(item, list) = test {
        (item, Some(list))
    } else if let Expression::InRange(item, ..) = test {
        (item, None)
    } else {
        return None;
    };
    (!is_closed(item) && other.is_none_or(|other| is_closed(other))).then_some(item)
}

/// Whether a test holds if its subject has this value.
fn holds(test: &Expression, value: &Value) -> bool {
    constant(&with_subject(test, value)) == Ok(Value::Bool(true))
}

fn with_subject(test: &Expression, value: &Value) -> Expression {
    let there = Box::new(Expression::Literal(value.clone()));
    if let Expression::Not(inner) = test {
        Expression::Not(Box::new(with_subject(inner, value)))
    } else if let Expression::Compare(how, left, right) = test {
        if is_closed(left) {
            Expression::Compare(*how, left.clone(), there)
        } else {
            Expression::Compare(*how, there, right.clone())
        }
    } else if let Expression::In(_, list) = test {
        Expression::In(there, list.clone())
    } else if let Expression::InRange(_, first, end) = test {
        Expression::InRange(there, *first, *end)
    } else {
        test.clone()
    }
}

/// Whether the parts cannot all be true at once.
fn contradict(parts: &[&Expression]) -> bool {
    let denies = |one: &Expression, other: &Expression| matches!(one, Expression::Not(inner) if **inner == *other);
    for (at, part) in parts.iter().enumerate() {
        if parts.iter().take(at).any(|other| denies(part, other) || denies(other, part)) {
            return true;
        }
        let Some(about) = subject(part) else { continue };
        let is_first = !parts.iter().take(at).any(|other| subject(other) == Some(about));
        let tests = || parts.iter().copied().filter(|other| subject(other) == Some(about));
        if is_first && !can_all_hold(about, &tests().collect::<Vec<_>>()) {
            return true;
        }
    }
    false
}

/// Whether some value of the subject could meet all tests.
fn can_all_hold(subject: &Expression, tests: &[&Expression]) -> bool {
    let named = || tests.iter().find_map(|test| accepted_by(test));
    match domain(subject).or_else(named) {
        Some(values) => values.iter().any(|value| tests.iter().all(|test| holds(test, value))),
        None => bounds_meet(subject, tests),
    }
}

/// The values that meet a test, where it lists them.
fn accepted_by(test: &Expression) -> Option<Vec<Value>> {
    if let Expression::Compare(Comparison::Equal, left, right) = test {
        let written = if is_closed(left) { left } else { right };
        constant(written).ok().map(|value| vec![value])
    } else if let Expression::In(_, list) = test
        && let Ok(Value::List(values)) = constant(list)
    {
        Some(values)
    } else {
        None
    }
}

/// An end of a range, and whether it belongs to it.
type Bound = (Value, bool);

/// Whether no lower bound lies above an upper one. Whole numbers between them are not looked for.
fn bounds_meet(subject: &Expression, tests: &[&Expression]) -> bool {
    let mut lower: Vec<Bound> = Vec::new();
    let mut upper: Vec<Bound> = Vec::new();
    if matches!(subject, Expression::Age(..) | Expression::Size(_)) {
        lower.push((Value::Integer(0), true));
    }
    for test in tests {
        if let Expression::InRange(_, first, end) = test {
            lower.push((Value::Integer(*first), true));
            upper.push((Value::Integer(*end), false));
        } else if let Expression::Compare(how, left, right) = test {
            let (how, written) =
                if is_closed(left) { (how.flipped(), left) } else { (*how, right) };
            let Ok(value) = constant(written) else { continue };
            match how {
                Comparison::Less => upper.push((value, false)),
                Comparison::LessOrEqual => upper.push((value, true)),
                Comparison::Greater => lower.push((value, false)),
                Comparison::GreaterOrEqual => lower.push((value, true)),
                Comparison::Equal | Comparison::NotEqual => {}
            }
        }
    }
    !lower.iter().any(|low| upper.iter().any(|high| lies_above(low, high)))
}

fn lies_above(low: &Bound, high: &Bound) -> bool {
    order_of(&low.0, &high.0)
        .is_some_and(|order| order.is_gt() || (order.is_eq() && !(low.1 && high.1)))
}

/// What is true where the expression is false.
fn opposite(expression: &Expression) -> Expression {
    if let Expression::Compare(how, left, right) = expression {
        Expression::Compare(how.negated(), left.clone(), right.clone())
    } else if let Expression::Not(inner) = expression {
        (**inner).clone()
    } else {
        Expression::Not(Box::new(expression.clone()))
    }
}

impl Comparison {
    /// Whether it holds between a value and itself.
    fn holds_of_equals(self) -> bool {
        match self {
            Self::Equal | Self::LessOrEqual | Self::GreaterOrEqual => true,
            Self::NotEqual | Self::Less | Self::Greater => false,
        }
    }

    /// What `b ? a` says of `a ? b`.
    fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }
}

impl Expression {
    /// The parts that `&&` joins, as written; the expression itself where there is one.
    pub(in crate::policy) fn conjuncts(&self) -> Vec<&Self> {
        self.split(
            |part| if let Self::And(left, right) = part { Some((left, right)) } else { None },
        )
    }

    fn disjuncts(&self) -> Vec<&Self> {
        self.split(|part| if let Self::Or(left, right) = part { Some((left, right)) } else { None })
    }

    fn split(&self, halves: fn(&Self) -> Option<(&Self, &Self)>) -> Vec<&Self> {
        let mut parts = Vec::new();
        let mut open = vec![self];
        while let Some(part) = open.pop() {
            match halves(part) {
                Some((left, right)) => open.extend([right, left]),
                None => parts.push(part),
            }
        }
        parts
    }

    /// Whether it looks at who asks, or at what was granted to them.
    pub(in crate::policy) fn looks_at_the_caller(&self) -> bool {
        match self {
            Self::Attribute(_)
            | Self::Zone
            | Self::Account
            | Self::Assurance
            | Self::Address
            | Self::Roles
            | Self::Device
            | Self::Grant(_)
            | Self::Ticket => true,
            Self::Literal(_)
            | Self::Record(_)
            | Self::Parameter(_)
            | Self::Flag(_)
            | Self::Purpose
            | Self::Method
            | Self::Host
            | Self::Hour(_)
            | Self::Within(..) => false,
            Self::Age(inner, _)
            | Self::DaysSince(inner, _)
            | Self::DaysUntil(inner, _)
            | Self::Lower(inner)
            | Self::Size(inner)
            | Self::InCidr(inner, _)
            | Self::InRange(inner, ..)
            | Self::Not(inner) => inner.looks_at_the_caller(),
            Self::List(items) => items.iter().any(Self::looks_at_the_caller),
            Self::Text(_, left, right)
            | Self::Compare(_, left, right)
            | Self::In(left, right)
            | Self::And(left, right)
            | Self::Or(left, right) => left.looks_at_the_caller() || right.looks_at_the_caller(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::{Condition, Facts, Record, Scope, View, parse};
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
        let scope = Scope { record: Some(&field), parameters: &[], flags: &[], view: View::All };
        parse(text, &scope).ok()
    }

    /// What is certain of the parts, as written.
    fn certain(text: &str) -> Vec<(&str, Certainty)> {
        let constants = condition(text).unwrap_or_else(|| panic!("{text}")).constants;
        constants.iter().map(|c| (&text[c.span.start..c.span.end], c.certainty)).collect()
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
        assert_eq!(
            certain("record.a == 1 && ( record.b == 1 || true)"),
            [("true", Certainty::Always)]
        );
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
            Value::Decimal(2.5),
            Value::Decimal(1.0),
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
                now_unix_s: hour * 3600,
            };
            let record = Record { slots: &[0, 1], captures: &[a, b] };
            for constant in &whole.constants {
                let part = condition(&text[constant.span.start..constant.span.end]).unwrap();
                let said = part.holds(&facts, Some(record));
                match constant.certainty {
                    Certainty::Always => prop_assert_eq!(said, Ok(true), "{}", part.text),
                    Certainty::Never => prop_assert!(said != Ok(true), "{}", part.text),
                    Certainty::NeverFalse => prop_assert!(said != Ok(false), "{}", part.text),
                }
            }
        }
    }
}
