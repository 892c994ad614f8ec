//! What a condition says for one caller, one request and, in `where`, one record.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use super::super::consent::Said;
use super::super::decimal::Decimal;
use super::super::grant::Grant;
use super::super::ties::Ties;
use super::super::value::Value;
use super::{Comparison, Condition, ConsentTest, Expression, MarkTest, TextTest};

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
    /// A text is neither a date nor a time with its offset.
    #[error("a value is neither a date nor a time")]
    Day,
    /// A text is not an IP address.
    #[error("a value is not an IP address")]
    Address,
    /// What data subjects said is not known at this moment.
    #[error("what data subjects said is not known")]
    Subjects,
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
    pub(in crate::policy) purpose: Option<&'a str>,
    pub(in crate::policy) ticket: Option<&'a str>,
    pub(in crate::policy) device: Option<&'a str>,
    pub(in crate::policy) grant: Option<&'a Grant>,
    /// Whether the caller holds an external role: a third party.
    pub(in crate::policy) is_outsider: bool,
    /// Who knows what data subjects said.
    pub(in crate::policy) ties: Option<&'a dyn Ties>,
    pub(in crate::policy) now_unix_s: i64,
}

/// The fields of a record that were read: `slots[n]` is the field whose value is `captures[n]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::policy) struct Record<'a> {
    pub(in crate::policy) slots: &'a [u16],
    pub(in crate::policy) captures: &'a [Option<Value>],
}

impl Record<'_> {
    fn value(&self, field: u16) -> Option<&Value> {
        let slot = self.slots.iter().position(|other| *other == field);
        slot.and_then(|slot| self.captures.get(slot)).and_then(Option::as_ref)
    }

    /// Whether the field names a tenant of the caller. A whole number stands for its digits.
    pub(in crate::policy) fn is_of_tenant(
        &self,
        field: u16,
        facts: &Facts<'_>,
    ) -> Result<bool, EvaluationError> {
        let text = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            Value::Integer(_) | Value::Decimal(_) => {
                value.whole_number().ok_or(EvaluationError::Types)
            }
            Value::Null | Value::Bool(_) | Value::List(_) => Err(EvaluationError::Types),
        };
        let mine = facts.attributes.get("tenant").ok_or_else(|| missing("caller.tenant"))?;
        let unnamed = || missing("the record's tenant");
        let theirs = text(self.value(field).ok_or_else(unnamed)?)?;
        if theirs.is_empty() {
            return Err(unnamed());
        }
        match mine {
            Value::Text(mine) => Ok(*mine == theirs),
            Value::List(all) if all.iter().all(|one| matches!(one, Value::Text(_))) => {
                Ok(all.iter().any(|one| matches!(one, Value::Text(mine) if *mine == theirs)))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Decimal(_)
            | Value::List(_) => Err(EvaluationError::Types),
        }
    }
}

impl Record<'_> {
    /// Whether the grant is about the data subject whose key the field holds. A whole number stands for its digits.
    pub(in crate::policy) fn is_granted(
        &self,
        entity: &str,
        field: u16,
        facts: &Facts<'_>,
    ) -> Result<bool, EvaluationError> {
        let grant = facts.grant.ok_or_else(|| missing("grant"))?;
        let Some(subjects) = &grant.coverage.subjects else { return Ok(true) };
        Ok(subjects.include(entity, &self.subject(field)?))
    }

    /// The key of the data subject that the field holds. A whole number stands for its digits.
    pub(in crate::policy) fn subject(&self, field: u16) -> Result<Cow<'_, str>, EvaluationError> {
        let key = match self.value(field) {
            Some(Value::Text(key)) => Some(Cow::Borrowed(key.as_str())),
            Some(other) => other.whole_number().map(Cow::Owned),
            None => None,
        };
        key.filter(|key| !key.is_empty()).ok_or_else(|| missing("the record's data subject"))
    }
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

/// What an expression comes to that looks at nothing but what is written in it.
pub(super) fn constant(expression: &Expression) -> Evaluated {
    let attributes = std::collections::BTreeMap::new();
    let facts = Facts {
        zone: "",
        account: "",
        assurance: 0,
        address: None,
        roles: &[],
        attributes: &attributes,
        parameters: &[],
        method: "",
        host: "",
        purpose: None,
        ticket: None,
        device: None,
        grant: None,
        is_outsider: false,
        ties: None,
        now_unix_s: 0,
    };
    Evaluation { facts: &facts, record: None }.value(expression)
}

/// How two values stand to each other; `None` if they cannot be compared.
pub(super) fn order_of(left: &Value, right: &Value) -> Option<Ordering> {
    order(left, right).ok()
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
            | Expression::Device
            | Expression::Roles => self.caller(expression),
            Expression::Record(field) => self.field(*field),
            Expression::Flag(flag) => self.value(&flag.expression),
            Expression::Consented(test) => bool(self.consented(test)?),
            Expression::Marked(test) => bool(self.marked(test)?),
            Expression::Grant(name) => self.grant(name),
            Expression::Parameter(name) => self.parameter(name),
            Expression::Purpose => known(self.facts.purpose, "request.purpose"),
            Expression::Ticket => known(self.facts.ticket, "request.ticket"),
            Expression::Method => Ok(self.facts.method.into()),
            Expression::Host => Ok(self.facts.host.into()),
            Expression::Hour(zone) => Ok(Value::Integer(i64::from(self.local(zone)?.hour()))),
            Expression::Within(week, zone) => bool(week.holds(self.local(zone)?)),
            Expression::Age(date, zone) => {
                age(&self.value(date)?, self.local(zone)?.date()).map(Value::Integer)
            }
            Expression::DaysSince(day, zone) => self.days_since(day, zone).map(Value::Integer),
            Expression::DaysUntil(day, zone) => {
                self.days_since(day, zone).map(|days| Value::Integer(-days))
            }
            Expression::Text(test, text, part) => {
                bool(compare_texts(*test, &self.value(text)?, &self.value(part)?)?)
            }
            Expression::Lower(text) => match self.value(text)? {
                Value::Text(text) => Ok(Value::Text(text.to_lowercase())),
                Value::Null
                | Value::Bool(_)
                | Value::Integer(_)
                | Value::Decimal(_)
                | Value::List(_) => Err(EvaluationError::Types),
            },
            Expression::Size(value) => size(&self.value(value)?),
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

    /// Who said no to a purpose said it to third parties as well.
    fn consented(&self, test: &ConsentTest) -> Result<bool, EvaluationError> {
        let record = self.record.ok_or_else(|| missing("record"))?;
        let (entity, key) = (&test.subject.entity, record.subject(test.subject.field)?);
        let ties = self.facts.ties.ok_or(EvaluationError::Subjects)?;
        let said = |to| ties.said(entity, &key, &test.purpose, to).ok_or(EvaluationError::Subjects);
        let own = said(None)?;
        if !self.facts.is_outsider || own == Said::No {
            return Ok(test.demand.is_met(own, false));
        }
        match self.facts.attributes.get("partner") {
            Some(Value::Text(partner)) if !partner.is_empty() => {
                Ok(test.demand.is_met(said(Some(partner))?, true))
            }
            Some(_) | None => Err(missing("caller.partner")),
        }
    }

    fn marked(&self, test: &MarkTest) -> Result<bool, EvaluationError> {
        let record = self.record.ok_or_else(|| missing("record"))?;
        let key = record.subject(test.subject.field)?;
        let ties = self.facts.ties.ok_or(EvaluationError::Subjects)?;
        ties.is_marked(&test.subject.entity, &key, &test.mark).ok_or(EvaluationError::Subjects)
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
            Expression::Device => known(facts.device, "caller.device"),
            // What holds nothing is not there: it must be neither equal to what a record lacks nor unequal to all else.
            Expression::Attribute(name) => facts
                .attributes
                .get(name.as_ref())
                .filter(|value| **value != Value::Null)
                .cloned()
                .ok_or_else(|| missing(&format!("caller.{name}"))),
            Expression::Literal(_)
            | Expression::Record(_)
            | Expression::Consented(_)
            | Expression::Marked(_)
            | Expression::Flag(_)
            | Expression::Grant(_)
            | Expression::Parameter(_)
            | Expression::Purpose
            | Expression::Ticket
            | Expression::DaysSince(..)
            | Expression::DaysUntil(..)
            | Expression::Text(..)
            | Expression::Lower(_)
            | Expression::Size(_)
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
        record.value(field).cloned().ok_or_else(|| missing("a field of the record"))
    }

    fn grant(&self, name: &str) -> Evaluated {
        let absent = || missing(&format!("grant.{name}"));
        let grant = self.facts.grant.ok_or_else(absent)?;
        if name == "id" {
            return Ok(grant.id.as_str().into());
        }
        grant.attributes.get(name).cloned().ok_or_else(absent)
    }

    fn parameter(&self, name: &str) -> Evaluated {
        let found = self.facts.parameters.iter().find(|(n, _)| n == name);
        found
            .map(|(_, value)| value.as_str().into())
            .ok_or_else(|| missing(&format!("request.{name}")))
    }

    fn days_since(&self, day: &Expression, zone: &TimeZone) -> Result<i64, EvaluationError> {
        let day = day_of(&self.value(day)?, zone)?;
        let days =
            self.local(zone)?.date().since((Unit::Day, day)).or(Err(EvaluationError::Time))?;
        Ok(i64::from(days.get_days()))
    }

    fn local(&self, zone: &TimeZone) -> Result<jiff::civil::DateTime, EvaluationError> {
        let now = Timestamp::from_second(self.facts.now_unix_s);
        now.map(|now| zone.to_datetime(now)).or(Err(EvaluationError::Time))
    }
}

fn known(fact: Option<&str>, name: &str) -> Evaluated {
    fact.map(Value::from).ok_or_else(|| missing(name))
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

/// The day of a date (`2026-08-03`), or the one on which a time with its offset lies in the zone.
fn day_of(value: &Value, zone: &TimeZone) -> Result<Date, EvaluationError> {
    let Value::Text(text) = value else { return Err(EvaluationError::Types) };
    if text.len() == "2026-08-03".len() {
        return text.parse().or(Err(EvaluationError::Day));
    }
    let time: Timestamp = text.parse().or(Err(EvaluationError::Day))?;
    Ok(zone.to_datetime(time).date())
}

fn compare_texts(test: TextTest, text: &Value, part: &Value) -> Result<bool, EvaluationError> {
    let (Value::Text(text), Value::Text(part)) = (text, part) else {
        return Err(EvaluationError::Types);
    };
    Ok(match test {
        TextTest::StartsWith => text.starts_with(part.as_str()),
        TextTest::EndsWith => text.ends_with(part.as_str()),
        TextTest::Contains => text.contains(part.as_str()),
    })
}

fn size(value: &Value) -> Evaluated {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Decimal(_) => {
            return Err(EvaluationError::Types);
        }
    };
    i64::try_from(size).map(Value::Integer).or(Err(EvaluationError::Types))
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
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Integer(left), Value::Decimal(right)) => Some(Decimal::from(*left).cmp(right)),
        (Value::Decimal(left), Value::Integer(right)) => Some(left.cmp(&Decimal::from(*right))),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => None,
    };
    found.ok_or(EvaluationError::Types)
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
