//! What is tested on each record before it is known which rules are in force: row conditions, flags, the
//! tenant of a caller who is confined to one, whom a grant is about, whether a case ties, and whether a factor is asked for.

use std::sync::Arc;

use super::expression::{Condition, EvaluationError, Facts, Record};
use super::model::{Effect, Entity, Rule};
use super::record_factor::{CaseFactor, RecordFactor};
use super::ties::{CaseKinds, Missing};

/// The most different row tests of one entity in one decision: its cases are their outcomes' bits.
pub(super) const ROW_TEST_LIMIT: usize = 8;

/// More row conditions, flags and tenants are to be tested on one entity than a plan has cases for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {ROW_TEST_LIMIT} row conditions and flags are to be tested on `{entity}` at once"
)]
pub struct TooManyConditions {
    /// The entity.
    pub entity: String,
}

/// What is tested on the records of one entity. Bit `n` of a case is the outcome of test `n`.
#[derive(Clone, Debug, Default)]
pub(super) struct RowTests {
    /// The fields that are captured, by slot; the subject is first where there is one.
    pub(super) slots: Vec<u16>,
    pub(super) tests: Vec<RowTest>,
    /// The rules of the entity that apply, and the cases in which each is in force.
    pub(super) rules: Vec<(Box<str>, InForce)>,
    /// By case: what factor would show more of the record, or let it be acted on; empty where none is asked for.
    pub(super) factors: Vec<CaseFactor>,
}

/// The cases in which a rule is in force, by the bits that must and that must not be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) set: usize,
    pub(super) unset: usize,
}

impl InForce {
    pub(super) fn is_always(self) -> bool {
        self == Self::default()
    }

    pub(super) fn holds(self, case: usize) -> bool {
        case & self.set == self.set && case & self.unset == 0
    }
}

/// One question about a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RowTest {
    /// The row condition of rules that allow.
    Allow(Arc<Condition>),
    /// The row condition of rules that deny.
    Deny(Arc<Condition>),
    /// Whether a flag is raised.
    Flag(Arc<Condition>),
    /// Whether the record is of a tenant of the caller, by the field that names it.
    Tenant(u16),
    /// Whether the grant is about the record's data subject, by its entity and the field that is its key.
    Granted(Box<str>, u16),
    /// Whether a case ties the caller to the record's data subject.
    Linked(Box<LinkTest>),
    /// Whether a factor is asked for that the caller has not shown.
    Factor(Box<RecordFactor>),
}

/// A case that must tie the caller to whom a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkTest {
    kinds: CaseKinds,
    /// The entity of the subject, and the field that is its key.
    entity: Box<str>,
    field: u16,
    /// The test in words.
    text: Box<str>,
}

impl LinkTest {
    fn holds(&self, facts: &Facts<'_>, record: Record<'_>) -> Result<bool, EvaluationError> {
        let subject = record.subject(self.field)?;
        let Some(ties) = facts.ties else { return Ok(false) };
        let tied = |kind| ties.ties(facts.account, kind, &self.entity, &subject);
        Ok(self.kinds.iter().any(tied))
    }
}

impl RowTest {
    pub(super) fn holds(
        &self,
        facts: &Facts<'_>,
        record: Record<'_>,
    ) -> Result<bool, EvaluationError> {
        match self {
            Self::Allow(condition) | Self::Deny(condition) | Self::Flag(condition) => {
                condition.holds(facts, Some(record))
            }
            Self::Tenant(field) => record.is_of_tenant(*field, facts),
            Self::Granted(entity, field) => record.is_granted(entity, *field, facts),
            Self::Linked(link) => link.holds(facts, record),
            Self::Factor(factor) => factor.condition.holds(facts, Some(record)),
        }
    }

    /// The outcome that closes, for a test that cannot be evaluated.
    pub(super) fn if_closed(&self) -> bool {
        match self {
            Self::Allow(_) | Self::Tenant(_) | Self::Granted(..) | Self::Linked(_) => false,
            Self::Deny(_) | Self::Flag(_) | Self::Factor(_) => true,
        }
    }

    /// The test as written.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Allow(condition) | Self::Deny(condition) | Self::Flag(condition) => {
                &condition.text
            }
            Self::Tenant(_) => "the record's tenant is one of the caller's",
            Self::Granted(..) => "the grant is about whom the record is about",
            Self::Linked(link) => &link.text,
            Self::Factor(factor) => &factor.condition.text,
        }
    }

    /// Whether it takes nothing away: a record that fails it passes all the same, and the log says so.
    pub(super) fn only_flags(&self) -> bool {
        match self {
            Self::Linked(link) => link.kinds.missing == Missing::Flag,
            Self::Allow(_)
            | Self::Deny(_)
            | Self::Flag(_)
            | Self::Tenant(_)
            | Self::Granted(..)
            | Self::Factor(_) => false,
        }
    }

    /// Whether a record may be lost by it, so that counts would tell.
    pub(super) fn takes_records(&self) -> bool {
        match self {
            Self::Factor(factor) => factor.fields.is_none(),
            Self::Allow(_)
            | Self::Deny(_)
            | Self::Flag(_)
            | Self::Tenant(_)
            | Self::Granted(..)
            | Self::Linked(_) => !self.only_flags(),
        }
    }

    /// Whether both give one outcome on every record.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow(mine), Self::Allow(theirs))
            | (Self::Deny(mine), Self::Deny(theirs))
            | (Self::Flag(mine), Self::Flag(theirs)) => mine.text == theirs.text,
            (Self::Tenant(mine), Self::Tenant(theirs)) => mine == theirs,
            (Self::Granted(of, mine), Self::Granted(other, theirs)) => {
                of == other && mine == theirs
            }
            (Self::Linked(mine), Self::Linked(theirs)) => mine == theirs,
            (Self::Factor(mine), Self::Factor(theirs)) => mine == theirs,
            (
                Self::Allow(_)
                | Self::Deny(_)
                | Self::Flag(_)
                | Self::Tenant(_)
                | Self::Granted(..)
                | Self::Linked(_)
                | Self::Factor(_),
                _,
            ) => false,
        }
    }
}

impl RowTests {
    /// The bit of a rule's row condition; none is set where it has none.
    ///
    /// Allow and deny read errors in opposite ways, so each has its own.
    pub(super) fn bit_of(&mut self, rule: &Rule) -> usize {
        let Some(condition) = &rule.row else { return 0 };
        let test = match rule.effect {
            Effect::Allow => RowTest::Allow(Arc::clone(condition)),
            Effect::Deny => RowTest::Deny(Arc::clone(condition)),
        };
        self.bit(test, &condition.fields)
    }

    /// The bit of a link to whom the record is about; nothing where the entity has no subject.
    pub(super) fn link_of(&mut self, entity: &Entity, kinds: &CaseKinds) -> Option<usize> {
        let field = entity.subject?;
        let text = format!("{} ties the caller to whom the record is about", kinds.words());
        let (kinds, entity) = (kinds.clone(), entity.name.clone());
        let test = LinkTest { kinds, entity, field, text: text.into() };
        Some(self.bit(RowTest::Linked(Box::new(test)), &[field]))
    }

    /// The bits of the tests that only take away.
    pub(super) fn taking(&self) -> usize {
        let takes = |test: &RowTest| match test {
            RowTest::Deny(_) | RowTest::Flag(_) => true,
            RowTest::Allow(_)
            | RowTest::Tenant(_)
            | RowTest::Granted(..)
            | RowTest::Linked(_)
            | RowTest::Factor(_) => false,
        };
        let tests = self.tests.iter().enumerate().take(ROW_TEST_LIMIT);
        tests.map(|(bit, test)| usize::from(takes(test)) << bit).sum()
    }

    /// The bit of a test, which may stand here already. Beyond the limit bits mean nothing.
    pub(super) fn bit(&mut self, test: RowTest, fields: &[u16]) -> usize {
        for field in fields {
            if !self.slots.contains(field) {
                self.slots.push(*field);
            }
        }
        let at = self.tests.iter().position(|other| other.is_same(&test)).unwrap_or_else(|| {
            self.tests.push(test);
            self.tests.len() - 1
        });
        1_usize.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0)
    }
}
