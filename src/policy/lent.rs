//! What a grant changes in plans: the rules in force only under it, the grades it meets, the fields it is confined
//! to, and the test on each record where it is about certain people.

use super::model::{Effect, Entity, Grade, Rule};
use super::outcome::{GradeStanding, Key, standing};
use super::rows::{InForce, RowTest, RowTests};

/// What a grant opens beside what the caller has anyway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lent {
    /// How the caller stands to each grade under it.
    pub(super) grades: [GradeStanding; 4],
    /// The rules that apply only under it, by index.
    pub(super) rules: Vec<usize>,
    /// The rules that deny unless there is the grant.
    pub(super) lifted: Vec<usize>,
    /// The fields that it opens, by entity and field, in order; none means whatever rules show.
    pub(super) fields: Option<Vec<(usize, u16)>>,
    /// Whether it is about certain people only, so that each record is tested.
    pub(super) is_bound: bool,
    /// Whether without it nothing of the answer would pass, so that nothing of other people does.
    pub(super) is_whole: bool,
    /// Whether what stands beside the records must not pass: it does so by the grant alone, and nothing tells whom it is
    /// about.
    pub(super) hides_scalars: bool,
}

impl Lent {
    /// The rules that deny records of other people. Where the grant is about everybody they deny nobody's.
    pub(super) fn lifted_here(&self) -> &[usize] {
        if self.is_bound { &self.lifted } else { &[] }
    }

    /// Whether it opens anything of an entity's records.
    pub(super) fn opens(
        &self,
        (index, entity): (usize, &Entity),
        rules: &[(usize, &Rule)],
        key: &Key,
    ) -> bool {
        let concerns =
            |(at, _): &(usize, &Rule)| self.rules.contains(at) || self.lifted.contains(at);
        let is_shown = |field: u16| {
            rules
                .iter()
                .any(|(_, rule)| rule.effect == Effect::Allow && rule.clear.contains(&field))
        };
        let raises = |(field, described): (usize, &super::model::Field)| {
            let Ok(field) = u16::try_from(field) else { return false };
            self.names(index, field)
                && standing(&self.grades, described.grade) == &GradeStanding::Met
                && standing(&key.grades, described.grade) != &GradeStanding::Met
                && is_shown(field)
        };
        self.is_whole || rules.iter().any(concerns) || entity.fields.iter().enumerate().any(raises)
    }

    fn names(&self, entity: usize, field: u16) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.binary_search(&(entity, field)).is_ok())
    }
}

/// On which records of an entity a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grip {
    /// On none: there is no grant, or nothing tells whom a record is about.
    None,
    /// On all.
    All,
    /// Where this bit is set.
    Bit(usize),
}

impl Grip {
    pub(super) fn holds(self, case: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Bit(bit) => case & bit == bit,
        }
    }
}

/// How far a grant reaches into the records of one entity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    /// The grant, where it opens anything of them.
    pub(super) lent: Option<&'a Lent>,
    /// The entity.
    pub(super) index: usize,
    /// Whether its records stand inside others, which are judged by themselves.
    pub(super) is_inside: bool,
}

impl<'a> Reach<'a> {
    /// Has each record tested, where that is what decides.
    pub(super) fn test(&self, entity: &Entity, rows: &mut RowTests) -> Grip {
        match (self.lent, entity.subject) {
            (None, _) => Grip::None,
            (Some(lent), _) if !lent.is_bound => Grip::All,
            (Some(lent), None) if lent.is_whole && self.is_inside => Grip::All,
            (Some(_), None) => Grip::None,
            (Some(_), Some(field)) => {
                Grip::Bit(rows.bit(RowTest::Granted(entity.name.clone(), field), &[field]))
            }
        }
    }

    /// In which cases a rule is in force, given those of its own condition.
    pub(super) fn force(&self, rule: usize, own: InForce, grip: Grip) -> InForce {
        let Grip::Bit(bit) = grip else { return own };
        let lifted = self.lent.is_some_and(|lent| lent.lifted.contains(&rule));
        match (self.is_granted(rule), lifted) {
            (true, _) => InForce { set: own.set | bit, ..own },
            (false, true) => InForce { unset: own.unset | bit, ..own },
            (false, false) => own,
        }
    }

    /// Whether a record may be there at all.
    pub(super) fn is_here(&self, is_lent: bool) -> bool {
        is_lent || !self.lent.is_some_and(|lent| lent.is_whole)
    }

    /// Whether a rule is in force only under the grant.
    pub(super) fn is_granted(&self, rule: usize) -> bool {
        self.lent.is_some_and(|lent| lent.rules.contains(&rule))
    }

    /// A rule in force, with the fields that it can open.
    pub(super) fn effective(&self, index: usize, rule: &'a Rule) -> Effective<'a> {
        let confines = |lent: &&Lent| lent.is_whole || self.is_granted(index);
        Effective { rule, entity: self.index, within: self.lent.filter(confines) }
    }

    /// How the caller stands to the grade of a field.
    pub(super) fn standing(
        &self,
        without: &'a [GradeStanding; 4],
        is_lent: bool,
        field: u16,
        grade: Grade,
    ) -> &'a GradeStanding {
        match self.lent.filter(|lent| is_lent && lent.names(self.index, field)) {
            Some(lent) => standing(&lent.grades, grade),
            None => standing(without, grade),
        }
    }
}

/// A rule in force on a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effective<'a> {
    pub(super) rule: &'a Rule,
    entity: usize,
    /// The grant to whose fields it is confined.
    within: Option<&'a Lent>,
}

impl Effective<'_> {
    /// Whether it is in force on this record without the grant as well.
    pub(super) fn is_own(&self) -> bool {
        self.within.is_none()
    }

    /// Whether the rule has this effect on the field by one of its lists.
    pub(super) fn says(&self, effect: Effect, list: &[u16], field: u16) -> bool {
        let may =
            effect == Effect::Deny || self.within.is_none_or(|lent| lent.names(self.entity, field));
        self.rule.effect == effect && list.contains(&field) && may
    }
}
