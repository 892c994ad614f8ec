//! What explanations say of factors that records ask for: by whom, on which records, and what is kept back there.

use super::denial::proof;
use super::explain::Stage;
use super::judge::{Judgement, Query, unmet};
use super::outcome::{EntityOutcome, Treatment};
use super::program::Program;
use super::record_factor::{FactorId, RecordFactor};
use super::rows::RowTest;

impl Program {
    /// A line for each factor that a record may ask for.
    pub(super) fn factor_stages(&self, query: &Query<'_>, judgement: &Judgement) -> Vec<Stage> {
        let applied = judgement.applied();
        let stage = |(id, factor): (FactorId, &RecordFactor)| {
            let is_shown = unmet(&factor.require, query).is_none();
            let shown = if is_shown { "it was shown" } else { "it was not shown" };
            let asked = format!("{} where {}", proof(&factor.step_up()), factor.condition.text);
            let finding = format!("{} asks for {asked}: {shown}", self.asker(id, factor));
            Stage { name: "step-up", finding }
        };
        self.record_factors(query.route, &applied).map(stage).collect()
    }

    fn asker(&self, id: FactorId, factor: &RecordFactor) -> String {
        match id {
            FactorId::OfRule(at) => {
                let rule = self.model.rules.get(at);
                format!("the rule `{}`", rule.map_or("", |rule| rule.name.as_ref()))
            }
            FactorId::OfEntity(of, _) => {
                let Some(entity) = self.model.entities.get(of) else { return String::new() };
                let Some(fields) = &factor.fields else { return format!("`{}`", entity.name) };
                let named = fields.iter().filter_map(|at| entity.fields.get(usize::from(*at)));
                let named = named.map(|field| format!("`{}.{}`", entity.name, field.path));
                named.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// On which records less is shown of a field than on others, until a factor is shown.
pub(super) fn kept_back(outcome: &EntityOutcome, field: usize) -> Vec<String> {
    let treatment = |case: usize| {
        let case = outcome.read.get(case).and_then(Option::as_ref);
        case.and_then(|fields| fields.get(field).copied()).unwrap_or(Treatment::Absent)
    };
    let best = outcome.best_case();
    let note = |(bit, test): (usize, &RowTest)| {
        let RowTest::Factor(factor) = test else { return None };
        let there = treatment(best | 1 << bit);
        let asked = proof(&factor.step_up());
        let note = format!("{} before {asked} where {}", there.word(), factor.condition.text);
        (there < treatment(best)).then_some(note)
    };
    outcome.rows.tests.iter().enumerate().filter_map(note).collect()
}
