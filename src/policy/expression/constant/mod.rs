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
    if expression.is_closed() {
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
    let Some(values) = domain(subject) else {
        return Outcomes { be_true: !contradict(&[test]), be_false: true, fail: true };
    };
    let said: Vec<_> = values.iter().map(|v| constant(&with_subject(test, v))).collect();
    Outcomes {
        be_true: said.contains(&Ok(Value::Bool(true))),
        be_false: said.contains(&Ok(Value::Bool(false))),
        fail: said.iter().any(Result::is_err),
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
        if left.is_closed() { (right, Some(left)) } else { (left, Some(right)) }
    } else if let Expression::In(item, list) = test {
        (item, Some(list))
    } else if let Expression::InRange(item, ..) = test {
        (item, None)
    } else {
        return None;
    };
    (!item.is_closed() && other.is_none_or(|other| other.is_closed())).then_some(item)
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
        if left.is_closed() {
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
        let written = if left.is_closed() { left } else { right };
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
                if left.is_closed() { (how.flipped(), left) } else { (*how, right) };
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

#[cfg(test)]
mod tests;
