//! What is asked of cases on the records of one entity: by the route, by the grade of a file, by grades of fields.
//! Each becomes a test on the record; without its bit the record, or the field, is not there.

use std::collections::BTreeSet;

use super::model::{Effect, Entity, Grade, Model, Route, Rule};
use super::rows::RowTests;
use super::ties::CaseKinds;

/// A bit that is never set, for what nobody can be tied to.
const NEVER: usize = 1 << (usize::BITS - 1);

/// What a route asks on the records of one entity.
pub(super) struct Asked<'a> {
    /// Of each record, whatever the rules say.
    all: Vec<&'a CaseKinds>,
    /// Of fields, by grade less one.
    grades: [Option<&'a CaseKinds>; 4],
}

impl<'a> Asked<'a> {
    /// `is_meant`: the route is for the entity's records, which do not just stand inside others.
    pub(super) fn of(model: &'a Model, route: &'a Route, is_meant: bool) -> Self {
        let asks = |kinds: &&CaseKinds| !kinds.is_empty();
        let grades = [1, 2, 3, 4].map(|grade| {
            model.requirement_of(grade).map(|requirement| &requirement.link).filter(asks)
        });
        let slot = route.opaque.as_ref().and_then(|o| usize::from(o.grade).checked_sub(1));
        let file = slot.and_then(|at| grades.get(at).copied().flatten());
        let of_route = Some(&route.require.link).filter(asks);
        let all = of_route.into_iter().chain(file).filter(|_| is_meant).collect();
        Self { all, grades }
    }

    /// Has records tested: gives the bits without which nothing of one is there, and those of the grades.
    pub(super) fn test(
        &self,
        entity: &Entity,
        rules: &[(usize, &Rule)],
        rows: &mut RowTests,
    ) -> Bits {
        let here = self.all.iter().fold(0, |bits, kinds| bits | must(rows, entity, kinds));
        let mut grades = [0; 4];
        for (number, (bits, kinds)) in (1_u8..).zip(grades.iter_mut().zip(&self.grades)) {
            let Some(kinds) = kinds.filter(|_| shows(entity, rules, number)) else { continue };
            *bits = must(rows, entity, kinds);
        }
        Bits { here, grades }
    }

    /// The different tests on a record, where all these rules apply.
    pub(super) fn tests(&self, entity: &Entity, rules: &[(usize, &'a Rule)]) -> usize {
        let of_rules = rules.iter().map(|(_, rule)| &rule.require.link);
        let of_rules = of_rules.filter(|kinds| !kinds.is_empty());
        let shown = (1_u8..).zip(&self.grades).filter(|(at, _)| shows(entity, rules, *at));
        let of_grades = shown.filter_map(|(_, kinds)| *kinds);
        let all = self.all.iter().copied().chain(of_rules).chain(of_grades);
        all.collect::<BTreeSet<&CaseKinds>>().len()
    }
}

/// The bits without which a record, or fields of a grade, are not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    pub(super) here: usize,
    grades: [usize; 4],
}

impl Bits {
    /// Whether the case of the record lacks what its grade asks of a field.
    pub(super) fn lacks(&self, grade: Grade, case: usize) -> bool {
        let at = match grade {
            Grade::Open(number) => usize::from(number).checked_sub(1),
            Grade::Sealed | Grade::Ungraded => None,
        };
        at.and_then(|at| self.grades.get(at)).is_some_and(|bits| case & bits != *bits)
    }
}

/// The bit without which nothing is there. No bit where no case is asked for, or where its lack is only flagged.
pub(super) fn must(rows: &mut RowTests, entity: &Entity, kinds: &CaseKinds) -> usize {
    if kinds.is_empty() {
        return 0;
    }
    let bit = rows.link_of(entity, kinds);
    if kinds.is_must() { bit.unwrap_or(NEVER) } else { 0 }
}

/// Whether some rule shows a field of the grade in clear.
fn shows(entity: &Entity, rules: &[(usize, &Rule)], number: u8) -> bool {
    let is_of = |at: &u16| {
        let field = entity.fields.get(usize::from(*at));
        field.is_some_and(|field| field.grade == Grade::Open(number))
    };
    rules.iter().any(|(_, rule)| rule.effect == Effect::Allow && rule.clear.iter().any(is_of))
}
