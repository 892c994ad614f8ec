//! The language of `when` and `where`: small, typed, total. No loops, no I/O, no state.
//!
//! Every operand is evaluated: `false && missing` is an error and not `false`, `true || missing` is
//! an error and not `true`. An error makes an allow rule not apply and a deny rule apply, so no
//! operator can hide one in a way that widens what a caller gets.

mod constant;
mod evaluate;
mod hours;
mod lexer;
mod parser;
mod parts;

use std::sync::Arc;

use ipnet::IpNet;
use jiff::tz::TimeZone;

pub(super) use constant::{Certainty, Constant};
pub use evaluate::EvaluationError;
pub(super) use evaluate::{Facts, Record};
pub(super) use hours::Week;
pub(super) use parser::{People, Scope, View, parse};

use super::consent::Demand;
use super::value::Value;

/// A condition as it was written and as it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    /// The text of the file.
    pub(super) text: Box<str>,
    /// What it says.
    pub(super) expression: Expression,
    /// The fields of the record that it reads, by index in their entity.
    pub(super) fields: Vec<u16>,
    /// What of it does not vary: itself, or the largest parts that do not.
    pub(super) constants: Vec<Constant>,
}

impl Condition {
    /// The condition that holds, and reads nothing.
    pub(super) fn always() -> Self {
        let expression = Expression::Literal(Value::Bool(true));
        Self { text: "true".into(), expression, fields: Vec::new(), constants: Vec::new() }
    }
}

/// One node of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    /// A value written in the file.
    Literal(Value),
    /// `caller.branch`: any attribute that identity brought.
    Attribute(Box<str>),
    /// `caller.zone`.
    Zone,
    /// `caller.account`.
    Account,
    /// `caller.assurance`.
    Assurance,
    /// `caller.address`.
    Address,
    /// `caller.roles`: those held, and those that they include.
    Roles,
    /// `record.branch`, by index of the field.
    Record(u16),
    /// `request.id`: a parameter of the path.
    Parameter(Box<str>),
    /// `caller.device`: the device bound to the person.
    Device,
    /// `grant.subjects`: an attribute of the grant.
    Grant(Box<str>),
    /// `consented('marketing')`: whom the record is about gave an answer that does.
    Consented(Box<ConsentTest>),
    /// `marked('do-not-disclose')`: whom the record is about has this mark.
    Marked(Box<MarkTest>),
    /// `flag.minor`: a flag of the record's entity.
    Flag(Arc<Condition>),
    /// `request.purpose`: the purpose declared.
    Purpose,
    /// `request.ticket`: the ticket shown.
    Ticket,
    /// `request.method`.
    Method,
    /// `request.host`.
    Host,
    /// `time.hour("Asia/Shanghai")`: 0 to 23.
    Hour(TimeZone),
    /// `time.within('Mon-Fri 08:00-20:00', 'Asia/Shanghai')`.
    Within(Week, TimeZone),
    /// `age(record.birth_date)`: whole years on today's date.
    Age(Box<Expression>, TimeZone),
    /// `days_since(record.closed_at)`: whole days of the calendar, negative for what is to come.
    DaysSince(Box<Expression>, TimeZone),
    /// `days_until(record.valid_to)`: the same the other way round.
    DaysUntil(Box<Expression>, TimeZone),
    /// `starts_with(a, b)` and the like.
    Text(TextTest, Box<Expression>, Box<Expression>),
    /// `lower(a)`.
    Lower(Box<Expression>),
    /// `size(a)`: items of a list, characters of a text.
    Size(Box<Expression>),
    /// `in_cidr(caller.address, "10.0.0.0/8")`.
    InCidr(Box<Expression>, IpNet),
    /// `a == b` and the like.
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// `a in list`.
    In(Box<Expression>, Box<Expression>),
    /// `a in 8..20`: from the first, up to but not including the second.
    InRange(Box<Expression>, i64, i64),
    /// `[a, b]`.
    List(Vec<Expression>),
    /// `a && b`.
    And(Box<Expression>, Box<Expression>),
    /// `a || b`.
    Or(Box<Expression>, Box<Expression>),
    /// `!a`.
    Not(Box<Expression>),
}

/// Whom a record is about: the entity, and the field that is the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) entity: Box<str>,
    pub(super) field: u16,
}

/// What a subject must have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsentTest {
    pub(super) subject: Subject,
    pub(super) purpose: Box<str>,
    pub(super) demand: Demand,
}

/// What a subject must be marked as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MarkTest {
    pub(super) subject: Subject,
    pub(super) mark: Box<str>,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is asked of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[cfg(test)]
mod tests;
