//! What a purpose asks of whom records are about, as tests on records: without an answer that does, no rule that allows
//! is in force on one, as on a record with a flag that no rule names.

use std::sync::Arc;

use super::consent::Demand;
use super::explain::Stage;
use super::expression::{Condition, Expression};
use super::ground::SECRET;
use super::judge::Query;
use super::model::{Effect, Entity, Grade, Model, Purpose, Route, Rule};
use super::program::Program;
use super::rows::{InForce, RowTest, RowTests};

/// Has no rule that allows apply to records of those who gave no answer that does. Gives the bit of those who gave none
/// but by silence, where the entity has something that silence does not open.
///
/// An entity without a subject is about nobody.
pub(super) fn close(
    purpose: &Purpose,
    (entity, route): (&Entity, &Route),
    rules: &[(usize, &Rule)],
    rows: &mut RowTests,
    forces: &mut [InForce],
) -> usize {
    let (Some(demand), Some(subject)) = (&purpose.consent, entity.whose()) else { return 0 };
    let allows = |rule: &Rule| rule.effect == Effect::Allow;
    if !rules.iter().any(|(_, rule)| allows(rule)) {
        return 0;
    }
    let spoken = demand.without_silence();
    // What passes unread passes whole.
    let is_secret_file = route.opaque.as_ref().is_some_and(|opaque| opaque.grade >= SECRET);
    let demand = if is_secret_file { &spoken } else { demand };
    let mut test = |demand: &Demand| {
        let lacking = demand.lacking(&purpose.name, &subject);
        let fields = lacking.fields.clone();
        rows.bit(RowTest::Flag(Arc::<Condition>::new(lacking)), &fields)
    };
    let bit = test(demand);
    let is_secret = entity.fields.iter().any(|field| field.grade == Grade::Open(SECRET));
    let silent = if is_secret && spoken != *demand { test(&spoken) } else { 0 };
    for (force, (_, rule)) in forces.iter_mut().zip(rules) {
        force.unset |= if allows(rule) { bit } else { 0 };
    }
    silent
}

fn asks_mark(condition: &Condition, mark: &str) -> bool {
    let asks = |part: &Expression| matches!(part, Expression::Marked(test) if *test.mark == *mark);
    condition.expression.looks_at(&asks)
}

impl Program {
    /// The purpose, by index, if it asks something of whom records are about.
    pub(super) fn asks_consent(&self, purpose: Option<&str>) -> Option<usize> {
        let asks = |known: &Purpose| Some(&*known.name) == purpose && known.consent.is_some();
        self.model.purposes.iter().position(asks)
    }

    /// The word of a statement about a subject that the policy does not know, so that it would do nothing: the entity, a
    /// purpose, a mark.
    #[must_use]
    pub fn unknown_of_subjects(
        &self,
        entity: &str,
        purpose: Option<&str>,
        mark: Option<&str>,
    ) -> Option<String> {
        let mut known = self.model.entities.iter().filter_map(Entity::whose);
        if !known.any(|subject| *subject.entity == *entity) {
            return Some(format!("`{entity}` is no entity under which anybody is registered"));
        }
        if let Some(purpose) = purpose.filter(|name| !self.purposes().any(|known| known == *name)) {
            return Some(format!("`{purpose}` is no purpose of the policy"));
        }
        let is_asked = |mark: &&str| self.conditions().any(|condition| asks_mark(condition, mark));
        mark.filter(|mark| !is_asked(mark))
            .map(|mark| format!("the policy asks for no mark `{mark}`"))
    }

    /// Every condition on records.
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let Model { entities, rules, .. } = &self.model;
        let flags = entities.iter().flat_map(|entity| &entity.flags).map(|flag| &flag.condition);
        let factors = entities.iter().flat_map(|entity| &entity.factors);
        let factors = factors.chain(rules.iter().filter_map(|rule| rule.factor.as_ref()));
        let rows = rules.iter().filter_map(|rule| rule.row.as_ref());
        flags.chain(factors.map(|factor| &factor.condition)).chain(rows).map(AsRef::as_ref)
    }

    /// What the purpose asks, and what whom the path is about said to that.
    pub(super) fn consent_stage(&self, query: &Query<'_>) -> Option<Stage> {
        let purpose = self.model.purposes.get(self.asks_consent(query.purpose)?)?;
        let demand = purpose.consent.as_ref()?;
        let said = self.said_by(query, demand, &purpose.name);
        let finding = format!("`{}` asks for {}: {said}", purpose.name, demand.words());
        Some(Stage { name: "consent", finding })
    }

    fn said_by(&self, query: &Query<'_>, demand: &Demand, purpose: &str) -> String {
        let told = self.subject_parameter(query.route).and_then(|(entity, parameter, _)| {
            let (_, key) = query.params.iter().find(|(name, _)| name == parameter)?;
            Some((entity, key.as_str()))
        });
        let whose = told.and_then(|(entity, key)| {
            let known = self.model.entities.iter().find(|known| *known.name == *entity)?;
            Some((known.whose()?.entity, key))
        });
        let Some((entity, key)) = &whose else {
            return "judged record by record, by whom each is about".to_owned();
        };
        let Some(ties) = query.ties else { return "nobody knows what was said".to_owned() };
        let is_outsider = self.holding(&query.principal.roles).is_external;
        let to = query.principal.attributes.get("partner").filter(|_| is_outsider);
        let partner = match to {
            Some(super::value::Value::Text(partner)) => Some(partner.as_str()),
            Some(_) | None if is_outsider => {
                return "missing, the caller is a third party without `caller.partner`".to_owned();
            }
            Some(_) | None => None,
        };
        let own = ties.said(entity, key, purpose, None);
        let answer = if own == Some(super::Said::No) {
            own
        } else {
            ties.said(entity, key, purpose, partner)
        };
        let to = partner.map_or_else(String::new, |partner| format!(" to `{partner}`"));
        match answer {
            None => "nobody knows what was said".to_owned(),
            Some(said) if demand.is_met(said, is_outsider) => {
                format!("{entity} `{key}` said {}{to}, which does", said.words())
            }
            Some(said) => format!("missing, {entity} `{key}` said {}{to}", said.words()),
        }
    }
}
