//! A factor that is asked for on certain records only: those on which a condition holds ("balance above zero"). Whether
//! it does is known when the backend's answer comes; until the caller has shown the factor, what it covers does not leave.

use std::sync::Arc;

use super::denial::{Denial, DenialKind, Reason};
use super::expression::{Condition, Expression};
use super::judge::{Judgement, Query, StepUp, judge, unmet};
use super::model::{Effect, Requirement, Route, Rule};
use super::outcome::Key;
use super::program::Program;
use super::rows::{InForce, RowTest, RowTests};

/// What is asked, of which fields, on which records.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecordFactor {
    /// On records on which this holds, or cannot be evaluated.
    pub(super) condition: Arc<Condition>,
    /// For these fields; none means for the record.
    pub(super) fields: Option<Vec<u16>>,
    /// An assurance and a freshness, and nothing else.
    pub(super) require: Requirement,
}

/// Which factor: the one of an entity at this place in its list, or the one of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FactorId {
    OfEntity(usize, usize),
    OfRule(usize),
}

/// What would show more of a record, or let it be acted on, in one case; `None` where no factor would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CaseFactor {
    pub(super) to_show: Option<StepUp>,
    pub(super) to_act: Option<StepUp>,
}

impl RecordFactor {
    /// What to prove.
    pub(super) fn step_up(&self) -> StepUp {
        StepUp {
            assurance: self.require.assurance.max(1),
            max_age_s: self.require.fresh_s,
            fields: Vec::new(),
        }
    }
}

/// The factors that the caller has not shown, on the records of one entity.
#[derive(Debug, Default)]
pub(super) struct Lacking<'a>(Vec<Lacked<'a>>);

#[derive(Debug)]
struct Lacked<'a> {
    /// The bit that is set where it is asked for.
    bit: usize,
    factor: &'a RecordFactor,
    extent: Extent<'a>,
}

/// What it keeps back.
#[derive(Debug)]
enum Extent<'a> {
    Fields(&'a [u16]),
    /// All that any rule gives.
    Record,
    /// What this rule gives.
    Rule(usize),
}

impl<'a> Lacking<'a> {
    /// Has records of the entity tested for what the caller lacks.
    pub(super) fn test(
        program: &'a Program,
        route: &Route,
        (entity, rules): (usize, &[(usize, &'a Rule)]),
        key: &Key,
        rows: &mut RowTests,
    ) -> Self {
        let mut lacking = Vec::new();
        for id in &key.lacked {
            let (factor, extent) = match *id {
                FactorId::OfEntity(of, at) if of == entity => {
                    let factors = program.model.entities.get(of).map(|entity| &entity.factors);
                    let Some(factor) = factors.and_then(|factors| factors.get(at)) else {
                        continue;
                    };
                    // A file cannot be told apart by its fields.
                    let fields = factor.fields.as_deref().filter(|_| route.opaque.is_none());
                    (factor, fields.map_or(Extent::Record, Extent::Fields))
                }
                FactorId::OfRule(at) => {
                    let rule = rules.iter().find(|(index, _)| *index == at);
                    let Some(factor) = rule.and_then(|(_, rule)| rule.factor.as_ref()) else {
                        continue;
                    };
                    (factor, Extent::Rule(at))
                }
                FactorId::OfEntity(..) => continue,
            };
            let test = RowTest::Factor(Box::new(factor.clone()));
            let bit = rows.bit(test, &factor.condition.fields);
            lacking.push(Lacked { bit, factor, extent });
        }
        Self(lacking)
    }

    /// In which cases a rule that allows is in force, given those of its own condition.
    pub(super) fn force(&self, index: usize, rule: &Rule, own: InForce) -> InForce {
        let stops = |lacked: &&Lacked<'_>| match lacked.extent {
            Extent::Fields(_) => false,
            Extent::Record => rule.effect == Effect::Allow,
            Extent::Rule(at) => at == index,
        };
        let bits = self.0.iter().filter(stops).fold(0, |bits, lacked| bits | lacked.bit);
        InForce { unset: own.unset | bits, ..own }
    }

    /// Whether it keeps a field back on a record in this case.
    pub(super) fn covers(&self, field: u16, case: usize) -> bool {
        let covers = |lacked: &Lacked<'_>| match lacked.extent {
            Extent::Fields(fields) => case & lacked.bit != 0 && fields.contains(&field),
            Extent::Record | Extent::Rule(_) => false,
        };
        self.0.iter().any(covers)
    }

    /// All bits.
    pub(super) fn bits(&self) -> usize {
        self.0.iter().fold(0, |bits, lacked| bits | lacked.bit)
    }

    /// What would satisfy those that are asked for in this case and matter there, if any does.
    pub(super) fn joined(&self, case: usize, matters: impl Fn(usize) -> bool) -> Option<StepUp> {
        let asked = self.0.iter().filter(|lacked| case & lacked.bit != 0 && matters(lacked.bit));
        asked.map(|lacked| lacked.factor.step_up()).reduce(StepUp::joined)
    }
}

impl Program {
    pub(super) fn record_factor(&self, id: FactorId) -> Option<&RecordFactor> {
        match id {
            FactorId::OfEntity(of, at) => self.model.entities.get(of)?.factors.get(at),
            FactorId::OfRule(at) => self.model.rules.get(at)?.factor.as_ref(),
        }
    }

    /// The factors of the route's entities, and of these rules, that may be asked for on a record.
    pub(super) fn record_factors<'a>(
        &'a self,
        route: &'a Route,
        rules: &'a [usize],
    ) -> impl Iterator<Item = (FactorId, &'a RecordFactor)> {
        let of_entities = route.entities.iter().flat_map(move |of| {
            let factors = self.model.entities.get(*of).map_or(&[][..], |entity| &entity.factors);
            (0..factors.len()).map(move |at| FactorId::OfEntity(*of, at))
        });
        let of_rules = rules.iter().map(|at| FactorId::OfRule(*at));
        let ids = of_entities.chain(of_rules);
        ids.filter_map(move |id| Some((id, self.record_factor(id)?)))
    }

    /// Those that the caller has not shown.
    pub(super) fn lacked(&self, query: &Query<'_>, applied: &[usize]) -> Vec<FactorId> {
        let factors = self.record_factors(query.route, applied);
        let lacks = |factor: &RecordFactor| !unmet(&factor.require, query).is_none();
        factors.filter(|(_, factor)| lacks(factor)).map(|(id, _)| id).collect()
    }

    /// The denial to be told where a factor is asked for on the record that was read, as [`super::Permit::factor`] says;
    /// `None` where showing it would not help: it would be in vain, or take something else away.
    #[must_use]
    pub fn asks_on_record(&self, query: &Query<'_>, asked: &StepUp) -> Option<Denial> {
        let shown = Arc::new(query.principal.having_shown(asked, query.now_unix_s));
        let then = Query { principal: &shown, ..*query };
        self.decide(&then).ok()?;
        let (before, after) = (judge(self, query), judge(self, &then));
        if !self.gives_no_less(&before, &after) {
            return None;
        }
        let reason = Reason::RecordStepUp(asked.clone());
        Some(Denial::new(DenialKind::StepUp(asked.clone()), vec![reason]))
    }

    /// Whether every rule that allows still does, no further one denies, and no condition on records looks at how sure
    /// it is who asks.
    fn gives_no_less(&self, before: &Judgement, after: &Judgement) -> bool {
        let applied = |judgement: &Judgement, effect: Effect| {
            let is = |at: &usize| self.model.rules.get(*at).is_some_and(|r| r.effect == effect);
            judgement.applied().into_iter().filter(is).collect::<Vec<usize>>()
        };
        let (allowed, allows) = (applied(before, Effect::Allow), applied(after, Effect::Allow));
        let (denied, denies) = (applied(before, Effect::Deny), applied(after, Effect::Deny));
        let rules = allows.iter().chain(&denied).filter_map(|at| self.model.rules.get(*at));
        let is_assurance = |expression: &Expression| matches!(expression, Expression::Assurance);
        let mut rows = rules.filter_map(|rule| rule.row.as_ref());
        allowed.iter().all(|at| allows.contains(at))
            && denies.iter().all(|at| denied.contains(at))
            && !rows.any(|row| row.expression.looks_at(&is_assurance))
    }
}
