//! Conditions in a form in which those of two programs can be compared: brackets, order and spaces
//! do not count, fields are named by path. What cannot be proven to follow does not follow.

use std::collections::BTreeSet;

use super::super::expression::{Comparison, Condition, Expression, Subject};
use super::super::value::Value;

/// Below it, a float tells neighbouring whole numbers apart, so that an order is always decided.
const EXACT: u64 = 1 << 53;

/// A condition, for people and for comparing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Formula {
    pub(in crate::policy) form: Form,
    /// As it was written: the gate tells row conditions apart by their texts.
    pub(in crate::policy) raw: Box<str>,
}

/// What a condition says. No negation stands above `All` or `Any`, which hold at least two parts each,
/// none of its own kind.
///
/// Turning conditions round so is exact, errors included: every operand is always evaluated, so an
/// error of a part is an error of the whole whatever its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Form {
    All(BTreeSet<Form>),
    Any(BTreeSet<Form>),
    Is(Test),
    IsNot(Test),
}

/// Something that holds, does not hold, or cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Test {
    /// The operand is one of these texts.
    Among(String, BTreeSet<String>),
    /// The operand is less than the number.
    Below(String, i64),
    /// The operand is more than the number.
    Above(String, i64),
    /// Anything else.
    Other(String),
}

/// What names mean in the program that a condition is from.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Names<'a> {
    /// The paths of the entity's fields, by index.
    pub(in crate::policy) fields: &'a [Box<str>],
    /// Tells the roles of one program from those of another, where they differ: what `caller.roles`
    /// holds depends on them.
    pub(in crate::policy) roles: &'a str,
}

impl Formula {
    pub(in crate::policy) fn of(condition: &Condition, names: Names<'_>) -> Self {
        Self { form: form(&condition.expression, names, true), raw: condition.text.clone() }
    }

    /// The same, on no record for which the flag's condition holds or cannot be evaluated.
    pub(super) fn without(flag: &Condition, row: Option<Self>, names: Names<'_>) -> Self {
        let unraised = form(&flag.expression, names, false);
        match row {
            None => Self { form: unraised, raw: format!("not ({})", flag.text).into() },
            Some(row) => Self {
                form: Form::joined([row.form, unraised], true),
                raw: format!("({}) and not ({})", row.raw, flag.text).into(),
            },
        }
    }

    /// As it was written, on one line, and with nothing that steers a terminal.
    pub(in crate::policy) fn text(&self) -> String {
        self.raw.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

impl Form {
    /// The form that holds exactly where this one does not, and errs where it errs.
    pub(in crate::policy) fn negated(&self) -> Self {
        match self {
            Self::All(parts) => Self::Any(parts.iter().map(Self::negated).collect()),
            Self::Any(parts) => Self::All(parts.iter().map(Self::negated).collect()),
            Self::Is(test) => Self::IsNot(test.clone()),
            Self::IsNot(test) => Self::Is(test.clone()),
        }
    }

    /// Whether wherever this form holds, evaluated without an error, the other holds too, likewise.
    ///
    /// `a` does not imply `a || b`, since `b` may err where `a` does not.
    pub(in crate::policy) fn implies(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match (self, other) {
            (_, Self::All(parts)) => parts.iter().all(|part| self.implies(part)),
            (Self::Any(parts), _) => parts.iter().all(|part| part.implies(other)),
            (Self::All(parts), _) => parts.iter().any(|part| part.implies(other)),
            (_, Self::Any(_)) => false,
            (Self::Is(mine), Self::Is(theirs)) => mine.implies(theirs),
            (Self::IsNot(mine), Self::IsNot(theirs)) => mine.absence_implies(theirs),
            (Self::Is(mine), Self::IsNot(theirs)) => mine.excludes(theirs),
            (Self::IsNot(mine), Self::Is(theirs)) => mine.absence_gives(theirs),
        }
    }

    /// Both, or one of both.
    pub(super) fn joined(parts: [Self; 2], all: bool) -> Self {
        let mut found = BTreeSet::new();
        for part in parts {
            match (part, all) {
                (Self::All(parts), true) | (Self::Any(parts), false) => found.extend(parts),
                (part, _) => {
                    found.insert(part);
                }
            }
        }
        match (found.len(), all) {
            (1, _) => found.pop_first().unwrap_or(Self::Any(BTreeSet::new())),
            (_, true) => Self::All(found),
            (_, false) => Self::Any(found),
        }
    }
}

impl Test {
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Among(mine, some), Self::Among(theirs, more)) => {
                mine == theirs && some.is_subset(more)
            }
            (Self::Below(mine, less), Self::Below(theirs, more)) => mine == theirs && less <= more,
            (Self::Above(mine, more), Self::Above(theirs, less)) => mine == theirs && less <= more,
            _ => false,
        }
    }

    /// Whether the other does not hold wherever this one does not.
    fn absence_implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Among(mine, more), Self::Among(theirs, some)) => {
                mine == theirs && some.is_subset(more)
            }
            (Self::Below(mine, more), Self::Below(theirs, less)) => mine == theirs && less <= more,
            (Self::Above(mine, less), Self::Above(theirs, more)) => mine == theirs && less <= more,
            _ => false,
        }
    }

    /// Whether the other does not hold wherever this one does.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Among(mine, some), Self::Among(theirs, others)) => {
                mine == theirs && some.is_disjoint(others)
            }
            (Self::Below(mine, end), Self::Above(theirs, above)) => mine == theirs && end <= above,
            (Self::Above(mine, above), Self::Below(theirs, end)) => mine == theirs && end <= above,
            _ => false,
        }
    }

    /// Whether the other holds wherever this one does not.
    fn absence_gives(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(mine, first), Self::Above(theirs, above)) => {
                mine == theirs && above < first
            }
            (Self::Above(mine, most), Self::Below(theirs, end)) => mine == theirs && most < end,
            _ => false,
        }
    }
}

/// As deep as the condition was written, which is capped. `positive` is false below a negation.
fn form(expression: &Expression, names: Names<'_>, positive: bool) -> Form {
    let is = |test: Test, holds: bool| {
        if holds == positive { Form::Is(test) } else { Form::IsNot(test) }
    };
    match expression {
        Expression::And(left, right) => {
            Form::joined([form(left, names, positive), form(right, names, positive)], positive)
        }
        Expression::Or(left, right) => {
            Form::joined([form(left, names, positive), form(right, names, positive)], !positive)
        }
        Expression::Not(inner) => form(inner, names, !positive),
        Expression::Flag(flag) => form(&flag.expression, names, positive),
        Expression::Compare(how, left, right) => {
            let (test, holds) = comparison(*how, left, right, names);
            is(test, holds)
        }
        Expression::In(item, list) => is(membership(item, list, names), true),
        Expression::InRange(number, first, end) if is_exact(*first) && is_exact(*end) => {
            let operand = operand(number, names);
            let from = is(Test::Below(operand.clone(), *first), false);
            Form::joined([from, is(Test::Below(operand, *end), true)], positive)
        }
        Expression::Literal(_)
        | Expression::Attribute(_)
        | Expression::Zone
        | Expression::Account
        | Expression::Assurance
        | Expression::Address
        | Expression::Roles
        | Expression::Record(_)
        | Expression::Parameter(_)
        | Expression::Device
        | Expression::Grant(_)
        | Expression::Consented(_)
        | Expression::Marked(_)
        | Expression::Purpose
        | Expression::Ticket
        | Expression::Method
        | Expression::Host
        | Expression::Hour(_)
        | Expression::Within(..)
        | Expression::Age(..)
        | Expression::DaysSince(..)
        | Expression::DaysUntil(..)
        | Expression::Text(..)
        | Expression::Lower(_)
        | Expression::Size(_)
        | Expression::InCidr(..)
        | Expression::InRange(..)
        | Expression::List(_) => is(Test::Other(operand(expression, names)), true),
    }
}

fn is_exact(number: i64) -> bool {
    number.unsigned_abs() < EXACT
}

/// The test of a comparison, and whether it must hold. What is equal, less or more is always decided
/// the same way round, so `a >= b` is exactly "not a < b".
fn comparison(
    how: Comparison,
    left: &Expression,
    right: &Expression,
    names: Names<'_>,
) -> (Test, bool) {
    match how {
        Comparison::Equal => (equality(left, right, names), true),
        Comparison::NotEqual => (equality(left, right, names), false),
        Comparison::Less => (less(left, right, names), true),
        Comparison::GreaterOrEqual => (less(left, right, names), false),
        Comparison::Greater => (less(right, left, names), true),
        Comparison::LessOrEqual => (less(right, left, names), false),
    }
}

fn equality(left: &Expression, right: &Expression, names: Names<'_>) -> Test {
    match (left, right) {
        (Expression::Literal(Value::Text(text)), other)
        | (other, Expression::Literal(Value::Text(text))) => {
            Test::Among(operand(other, names), BTreeSet::from([text.clone()]))
        }
        (left, right) => {
            let mut sides = [operand(left, names), operand(right, names)];
            sides.sort();
            Test::Other(format!("({} == {})", sides[0], sides[1]))
        }
    }
}

fn less(left: &Expression, right: &Expression, names: Names<'_>) -> Test {
    match (left, right) {
        (left, Expression::Literal(Value::Integer(end))) if is_exact(*end) => {
            Test::Below(operand(left, names), *end)
        }
        (Expression::Literal(Value::Integer(above)), right) if is_exact(*above) => {
            Test::Above(operand(right, names), *above)
        }
        (left, right) => {
            Test::Other(format!("({} < {})", operand(left, names), operand(right, names)))
        }
    }
}

/// A list of texts only: a value of another type in it would be an error of its own.
fn membership(item: &Expression, list: &Expression, names: Names<'_>) -> Test {
    let texts = |items: &Vec<Expression>| -> Option<BTreeSet<String>> {
        let text = |item: &Expression| {
            if let Expression::Literal(Value::Text(text)) = item {
                Some(text.clone())
            } else {
                None
            }
        };
        items.iter().map(text).collect()
    };
    if let Expression::List(items) = list
        && let Some(texts) = texts(items)
    {
        return Test::Among(operand(item, names), texts);
    }
    Test::Other(format!("({} in {})", operand(item, names), operand(list, names)))
}

/// Whom a record is about.
fn key(subject: &Subject, names: Names<'_>) -> String {
    let path = names.fields.get(usize::from(subject.field)).map_or("", AsRef::as_ref);
    format!("{:?}.{path:?}", subject.entity)
}

/// A text that only the same operand has: what the file chose freely stands in quotes.
fn operand(expression: &Expression, names: Names<'_>) -> String {
    match expression {
        Expression::Literal(value) => format!("{value:?}"),
        Expression::Attribute(name) => format!("caller.{name:?}"),
        Expression::Zone => "caller.zone".to_owned(),
        Expression::Account => "caller.account".to_owned(),
        Expression::Assurance => "caller.assurance".to_owned(),
        Expression::Address => "caller.address".to_owned(),
        Expression::Roles => format!("caller.roles{}", names.roles),
        Expression::Record(field) => {
            let path = names.fields.get(usize::from(*field)).map_or("", AsRef::as_ref);
            format!("record.{path:?}")
        }
        Expression::Parameter(name) => format!("request.{name:?}"),
        Expression::Device => "caller.device".to_owned(),
        Expression::Grant(name) => format!("grant.{name:?}"),
        Expression::Consented(test) => {
            format!(
                "consented({:?}, {:?}, {})",
                test.purpose,
                test.demand,
                key(&test.subject, names)
            )
        }
        Expression::Marked(test) => {
            format!("marked({:?}, {})", test.mark, key(&test.subject, names))
        }
        Expression::Purpose => "request.purpose".to_owned(),
        Expression::Ticket => "request.ticket".to_owned(),
        Expression::Method => "request.method".to_owned(),
        Expression::Host => "request.host".to_owned(),
        Expression::Hour(zone) => format!("hour({zone:?})"),
        Expression::Within(week, zone) => format!("within({week:?}, {zone:?})"),
        Expression::Age(date, zone) => format!("age({}, {zone:?})", operand(date, names)),
        Expression::DaysSince(day, zone) => {
            format!("days_since({}, {zone:?})", operand(day, names))
        }
        Expression::DaysUntil(day, zone) => {
            format!("days_until({}, {zone:?})", operand(day, names))
        }
        Expression::Text(test, text, part) => {
            format!("{test:?}({}, {})", operand(text, names), operand(part, names))
        }
        Expression::Lower(text) => format!("lower({})", operand(text, names)),
        Expression::Size(value) => format!("size({})", operand(value, names)),
        Expression::InCidr(address, network) => {
            format!("in_cidr({}, {network:?})", operand(address, names))
        }
        Expression::List(items) => {
            let items: BTreeSet<String> = items.iter().map(|item| operand(item, names)).collect();
            format!("{items:?}")
        }
        Expression::InRange(number, first, end) => {
            format!("({} in {first}..{end})", operand(number, names))
        }
        Expression::Compare(..)
        | Expression::In(..)
        | Expression::And(..)
        | Expression::Or(..)
        | Expression::Flag(_)
        | Expression::Not(_) => format!("{:?}", form(expression, names, true)),
    }
}
