//! What a condition consists of, and what it looks at.

use super::Expression;

impl Expression {
    /// The parts that `&&` joins, as written; the expression itself where there is one.
    pub(in crate::policy) fn conjuncts(&self) -> Vec<&Self> {
        self.split(
            |part| if let Self::And(left, right) = part { Some((left, right)) } else { None },
        )
    }

    pub(super) fn disjuncts(&self) -> Vec<&Self> {
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

    /// The expressions that it is made of.
    pub(in crate::policy) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_)
            | Self::Attribute(_)
            | Self::Zone
            | Self::Account
            | Self::Assurance
            | Self::Address
            | Self::Roles
            | Self::Record(_)
            | Self::Parameter(_)
            | Self::Device
            | Self::Grant(_)
            | Self::Consented(_)
            | Self::Marked(_)
            | Self::Purpose
            | Self::Ticket
            | Self::Method
            | Self::Host
            | Self::Hour(_)
            | Self::Within(..) => Vec::new(),
            Self::Flag(condition) => vec![&condition.expression],
            Self::Age(inner, _)
            | Self::DaysSince(inner, _)
            | Self::DaysUntil(inner, _)
            | Self::Lower(inner)
            | Self::Size(inner)
            | Self::InCidr(inner, _)
            | Self::InRange(inner, _, _)
            | Self::Not(inner) => vec![inner],
            Self::Text(_, left, right)
            | Self::Compare(_, left, right)
            | Self::In(left, right)
            | Self::And(left, right)
            | Self::Or(left, right) => vec![left, right],
            Self::List(items) => items.iter().collect(),
        }
    }

    /// Whether it looks at who asks, or at what was granted to them.
    pub(in crate::policy) fn looks_at_the_caller(&self) -> bool {
        let itself = matches!(
            self,
            Self::Attribute(_)
                | Self::Zone
                | Self::Account
                | Self::Assurance
                | Self::Address
                | Self::Roles
                | Self::Device
                | Self::Grant(_)
                | Self::Ticket
        );
        itself || self.parts().into_iter().any(Self::looks_at_the_caller)
    }

    /// Whether it or anything in it is what is sought.
    pub(in crate::policy) fn looks_at(&self, is_sought: &dyn Fn(&Self) -> bool) -> bool {
        is_sought(self) || self.parts().into_iter().any(|part| part.looks_at(is_sought))
    }

    /// Whether it looks at nothing but what is written in it.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::List(items) => items.iter().all(Self::is_closed),
            Self::Lower(inner)
            | Self::Size(inner)
            | Self::InCidr(inner, _)
            | Self::InRange(inner, ..)
            | Self::Not(inner) => inner.is_closed(),
            Self::Text(_, left, right)
            | Self::Compare(_, left, right)
            | Self::In(left, right)
            | Self::And(left, right)
            | Self::Or(left, right) => left.is_closed() && right.is_closed(),
            Self::Attribute(_)
            | Self::Zone
            | Self::Account
            | Self::Assurance
            | Self::Address
            | Self::Roles
            | Self::Record(_)
            | Self::Parameter(_)
            | Self::Device
            | Self::Grant(_)
            | Self::Consented(_)
            | Self::Marked(_)
            | Self::Flag(_)
            | Self::Purpose
            | Self::Ticket
            | Self::Method
            | Self::Host
            | Self::Hour(_)
            | Self::Within(..)
            | Self::Age(..)
            | Self::DaysSince(..)
            | Self::DaysUntil(..) => false,
        }
    }
}
