//! What a condition says for one caller, one request and, in `where`, one record.

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::value::Value;
use super::{Comparison, Condition, Expression};

/// Why a condition could not be decided. It never carries a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The caller, the request or the record lacks what the condition reads.
    #[error("`{0}` is missing")]
    Missing(String),
    /// The values are of types that the operator does not compare.
    #[error("values of different types were compared")]
    Types,
    /// A text is not the date `YYYY-MM-DD` of a past day.
    #[error("a value is not a date of the past")]
    Date,
    /// A text is not an IP address.
    #[error("a value is not an IP address")]
    Address,
    /// The time is outside the range of the calendar.
    #[error("the time is out of range")]
    Time,
}

/// What is known of the caller and the request.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Facts<'a> {
    pub(in crate::policy) zone: &'a str,
    pub(in crate::policy) account: &'a str,
    pub(in crate::policy) assurance: u8,
    pub(in crate::policy) address: Option<IpAddr>,
    pub(in crate::policy) roles: &'a [String],
    pub(in crate::policy) attributes: &'a std::collections::BTreeMap<String, Value>,
    pub(in crate::policy) parameters: &'a [(String, String)],
    pub(in crate::policy) method: &'a str,
    pub(in crate::policy) host: &'a str,
    pub(in crate::policy) now_unix_s: i64,
}

/// The fields of a record that were read: `slots[n]` is the field whose value is `captures[n]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Record<'a> {
    pub(in crate::policy) slots: &'a [u16],
    pub(in crate::policy) captures: &'a [Option<Value>],
}

type Evaluated = Result<Value, EvaluationError>;

impl Condition {
    /// Whether the condition holds.
    pub(in crate::policy) fn holds(
        &self,
        facts: &Facts<'_>,
        record: Option<Record<'_>>,
    ) -> Result<bool, EvaluationError> {
        truth(Evaluation { facts, record }.value(&self.expression)?)
    }
}

fn truth(value: Value) -> Result<bool, EvaluationError> {
    match value {
        Value::Bool(holds) => Ok(holds),
        Value::Null | Value::Integer(_) | Value::Decimal(_) | Value::Text(_) | Value::List(_) => {
            Err(EvaluationError::Types)
        }
    }
}

struct Evaluation<'a> {
    facts: &'a Facts<'a>,
    record: Option<Record<'a>>,
}

impl Evaluation<'_> {
    /// As deep as the condition was written, which is capped.
    fn value(&self, expression: &Expression) -> Evaluated {
        let bool = |holds| Ok(Value::Bool(holds));
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Attribute(_)
            | Expression::Zone
            | Expression::Account
            | Expression::Assurance
            | Expression::Address
            | Expression::Roles => self.caller(expression),
            Expression::Record(field) => self.field(*field),
            Expression::Parameter(name) => self.parameter(name),
            Expression::Method => Ok(self.facts.method.into()),
            Expression::Host => Ok(self.facts.host.into()),
            Expression::Hour(zone) => Ok(Value::Integer(i64::from(self.local(zone)?.hour()))),
            Expression::Within(week, zone) => {
                let now = self.local(zone)?;
                let minute = u16::from(now.hour().unsigned_abs()) * 60
                    + u16::from(now.minute().unsigned_abs());
                bool(week.contains(now.weekday(), minute))
            }
            Expression::Age(date, zone) => {
                age(&self.value(date)?, self.local(zone)?.date()).map(Value::Integer)
            }
            Expression::InCidr(address, network) => {
                bool(network.contains(&address_of(&self.value(address)?)?))
            }
            Expression::Compare(how, left, right) => {
                bool(compare(*how, &self.value(left)?, &self.value(right)?)?)
            }
            Expression::In(item, list) => bool(is_in(&self.value(item)?, &self.value(list)?)?),
            Expression::InRange(number, first, end) => {
                let (number, first, end) =
                    (self.value(number)?, Value::Integer(*first), Value::Integer(*end));
                bool(order(&number, &first)?.is_ge() && order(&number, &end)?.is_lt())
            }
            Expression::List(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::List)
            }
            // Both sides are evaluated before either is looked at: see the module's header.
            Expression::And(left, right) => {
                let (left, right) = (self.value(left), self.value(right));
                bool(truth(left?)? & truth(right?)?)
            }
            Expression::Or(left, right) => {
                let (left, right) = (self.value(left), self.value(right));
                bool(truth(left?)? | truth(right?)?)
            }
            Expression::Not(inner) => bool(!truth(self.value(inner)?)?),
        }
    }

    fn caller(&self, expression: &Expression) -> Evaluated {
        let facts = self.facts;
        match expression {
            Expression::Zone => Ok(facts.zone.into()),
            Expression::Account => Ok(facts.account.into()),
            Expression::Assurance => Ok(Value::Integer(i64::from(facts.assurance))),
            Expression::Roles => {
                Ok(Value::List(facts.roles.iter().map(|role| role.as_str().into()).collect()))
            }
            Expression::Address => {
                let address = facts.address.ok_or_else(|| missing("caller.address"))?;
                Ok(Value::Text(address.to_canonical().to_string()))
            }
            Expression::Attribute(name) => facts
                .attributes
                .get(name.as_ref())
                .cloned()
                .ok_or_else(|| missing(&format!("caller.{name}"))),
            Expression::Literal(_)
            | Expression::Record(_)
            | Expression::Parameter(_)
            | Expression::Method
            | Expression::Host
            | Expression::Hour(_)
            | Expression::Within(..)
            | Expression::Age(..)
            | Expression::InCidr(..)
            | Expression::Compare(..)
            | Expression::In(..)
            | Expression::InRange(..)
            | Expression::List(_)
            | Expression::And(..)
            | Expression::Or(..)
            | Expression::Not(_) => Err(EvaluationError::Types),
        }
    }

    fn field(&self, field: u16) -> Evaluated {
        let record = self.record.ok_or_else(|| missing("record"))?;
        let slot = record.slots.iter().position(|f| *f == field);
        let value = slot.and_then(|slot| record.captures.get(slot)).and_then(Option::as_ref);
        value.cloned().ok_or_else(|| missing("a field of the record"))
    }

    fn parameter(&self, name: &str) -> Evaluated {
        let found = self.facts.parameters.iter().find(|(n, _)| n == name);
        found
            .map(|(_, value)| value.as_str().into())
            .ok_or_else(|| missing(&format!("request.{name}")))
    }

    fn local(&self, zone: &TimeZone) -> Result<jiff::civil::DateTime, EvaluationError> {
        let now = Timestamp::from_second(self.facts.now_unix_s);
        now.map(|now| zone.to_datetime(now)).or(Err(EvaluationError::Time))
    }
}

fn missing(what: &str) -> EvaluationError {
    EvaluationError::Missing(what.to_owned())
}

fn age(value: &Value, today: Date) -> Result<i64, EvaluationError> {
    let Value::Text(text) = value else { return Err(EvaluationError::Types) };
    let day = text.get(..10).filter(|_| text.len() == 10 || text.as_bytes().get(10) == Some(&b'T'));
    let birth: Date = day.and_then(|day| day.parse().ok()).ok_or(EvaluationError::Date)?;
    if birth > today {
        return Err(EvaluationError::Date);
    }
    let before_birthday = (today.month(), today.day()) < (birth.month(), birth.day());
    Ok(i64::from(today.year()) - i64::from(birth.year()) - i64::from(before_birthday))
}

fn address_of(value: &Value) -> Result<IpAddr, EvaluationError> {
    let Value::Text(text) = value else { return Err(EvaluationError::Types) };
    let address: IpAddr = text.parse().or(Err(EvaluationError::Address))?;
    Ok(address.to_canonical())
}

fn compare(how: Comparison, left: &Value, right: &Value) -> Result<bool, EvaluationError> {
    match how {
        Comparison::Equal => equal(left, right),
        Comparison::NotEqual => equal(left, right).map(|equal| !equal),
        Comparison::Less => order(left, right).map(Ordering::is_lt),
        Comparison::LessOrEqual => order(left, right).map(Ordering::is_le),
        Comparison::Greater => order(left, right).map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order(left, right).map(Ordering::is_ge),
    }
}

/// Values of different types are an error, not unequal: a deny rule that looks for `true` must not
/// be stepped around by a backend that answers `"true"`. Only `null` is comparable to everything.
fn equal(left: &Value, right: &Value) -> Result<bool, EvaluationError> {
    match (left, right) {
        (Value::Null, other) | (other, Value::Null) => Ok(*other == Value::Null),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (left, right) => order(left, right).map(Ordering::is_eq),
    }
}

fn order(left: &Value, right: &Value) -> Result<Ordering, EvaluationError> {
    let found = match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
        (Value::Decimal(left), Value::Decimal(right)) => left.partial_cmp(right),
        (Value::Integer(left), Value::Decimal(right)) => mixed(*left, *right),
        (Value::Decimal(left), Value::Integer(right)) => {
            mixed(*right, *left).map(Ordering::reverse)
        }
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => None,
    };
    found.ok_or(EvaluationError::Types)
}

/// `None` where the float cannot tell neighbouring whole numbers apart.
fn mixed(whole: i64, decimal: f64) -> Option<Ordering> {
    const EXACT: u64 = 1 << 53;
    #[expect(
        clippy::cast_precision_loss,
        reason = "an inexact result that compares equal is refused"
    )]
    let order = (whole as f64).partial_cmp(&decimal)?;
    (order.is_ne() || whole.unsigned_abs() < EXACT).then_some(order)
}

/// A value of another type in the list is an error, for the reason given at `equal`.
fn is_in(item: &Value, list: &Value) -> Result<bool, EvaluationError> {
    let Value::List(values) = list else { return Err(EvaluationError::Types) };
    let mut found = false;
    for value in values {
        found |= equal(item, value)?;
    }
    Ok(found)
}
