//! Every rule of a route held against one caller and one request: which apply, and why the others do not.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::expression::{Condition, EvaluationError, Expression, Facts};
use super::grant::Grant;
use super::holding::Holding;
use super::limits::Moment;
use super::model::{Effect, Requirement, Route, Rule};
use super::program::Program;
use super::ties::Ties;
use super::value::Value;

/// A clock may run this much ahead of the one that recorded a factor.
pub(super) const CLOCK_SKEW_S: i64 = 60;

/// A proof of identity that the caller gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// The assurance it gives, 1 to 3.
    pub level: u8,
    /// When, in Unix seconds.
    pub at_unix_s: i64,
}

/// The caller, as far as a policy looks at one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principal {
    /// The name of the account.
    pub account: String,
    /// The roles held; names that the policy does not define count for nothing.
    pub roles: Vec<String>,
    /// The roles of the same person's other accounts. They allow nothing here; they must not be kept apart from those.
    pub roles_elsewhere: Vec<String>,
    /// What else identity knows, such as `branch`.
    pub attributes: BTreeMap<String, Value>,
    /// The factors shown in this session.
    pub factors: Vec<Factor>,
    /// The assurance reached, 0 to 3.
    pub assurance: u8,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// The device whose key is bound to the person, where its key was proved.
    pub device: Option<String>,
}

impl Principal {
    /// The attribute that confines the caller to the records of one tenant or of several, if there is one.
    pub(super) fn tenant(&self) -> Option<&Value> {
        self.attributes.get("tenant")
    }

    /// The same caller, had the factor that is asked for been shown at that moment.
    pub(super) fn having_shown(&self, step_up: &StepUp, now_unix_s: i64) -> Self {
        let mut raised = self.clone();
        raised.assurance = raised.assurance.max(step_up.assurance);
        raised.factors.push(Factor { level: step_up.assurance, at_unix_s: now_unix_s });
        raised
    }
}

/// One question: may this caller do this now?
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The zone of the listener.
    pub zone: &'a str,
    /// Who asks.
    pub principal: &'a Arc<Principal>,
    /// The route that the request met.
    pub route: &'a Arc<Route>,
    /// The parameters of the path, decoded.
    pub params: &'a [(String, String)],
    /// The parameters of the query string, decoded, where somebody brought them; they only tell whether a grant is about
    /// this search. What a parameter may hold is judged by the search plan.
    pub search: Option<&'a [(String, String)]>,
    /// The method, in capitals.
    pub method: &'a str,
    /// The host, normalised.
    pub host: &'a str,
    /// The purpose declared, if one was.
    pub purpose: Option<&'a str>,
    /// The ticket shown, if one was.
    pub ticket: Option<&'a str>,
    /// The grant under which it is asked, if there is one.
    pub grant: Option<&'a Arc<Grant>>,
    /// Who knows which cases tie the caller to whom; without, none does.
    pub ties: Option<&'a Arc<dyn Ties>>,
    /// Unix time in seconds.
    pub now_unix_s: i64,
}

impl<'a> Query<'a> {
    /// What limits look at.
    pub(super) fn moment(&self) -> Moment<'a> {
        let in_emergency = self.grant.is_some_and(|grant| grant.is_emergency());
        let (purpose, now_unix_s) = (self.purpose, self.now_unix_s);
        Moment { route: self.route, purpose, in_emergency, now_unix_s }
    }

    pub(super) fn facts(&self, roles: &'a [String]) -> Facts<'a> {
        Facts {
            zone: self.zone,
            account: &self.principal.account,
            assurance: self.principal.assurance,
            address: self.principal.address,
            roles,
            attributes: &self.principal.attributes,
            parameters: self.params,
            method: self.method,
            host: self.host,
            purpose: self.purpose,
            ticket: self.ticket,
            device: self.principal.device.as_deref(),
            grant: self.grant.map(Arc::as_ref),
            // Conditions without a record ask nothing of whom one is about.
            is_outsider: false,
            ties: None,
            now_unix_s: self.now_unix_s,
        }
    }
}

/// What to prove in order to get more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepUp {
    /// The assurance to reach.
    pub assurance: u8,
    /// The greatest age of the factor, where one is asked.
    pub max_age_s: Option<u32>,
    /// The fields that it would show in clear, such as `customer.phone`; empty where it opens a route.
    pub fields: Vec<String>,
}

impl StepUp {
    pub(super) fn join(&mut self, other: Self) {
        self.assurance = self.assurance.max(other.assurance);
        self.max_age_s = match (self.max_age_s, other.max_age_s) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        let new = other.fields.into_iter().filter(|field| !self.fields.contains(field));
        let new: Vec<String> = new.collect();
        self.fields.extend(new);
    }

    /// What satisfies both.
    #[must_use]
    pub fn joined(mut one: Self, other: Self) -> Self {
        one.join(other);
        one
    }
}

/// What a requirement asks that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) zone: bool,
    pub(super) device: bool,
    pub(super) grant: bool,
    pub(super) step_up: Option<StepUp>,
}

impl Unmet {
    /// What is missing of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        let Self { zone, device, grant, step_up } = other;
        self.zone |= zone;
        self.device |= device;
        self.grant |= grant;
        self.step_up = self.step_up.into_iter().chain(step_up).reduce(StepUp::joined);
        self
    }

    pub(super) fn is_none(&self) -> bool {
        !self.zone && !self.device && !self.grant && self.step_up.is_none()
    }
}

/// Holds a requirement against the caller.
pub(super) fn unmet(requirement: &Requirement, query: &Query<'_>) -> Unmet {
    let zones = &requirement.zones;
    let age_fits = |factor: &Factor, most: u32| {
        let age = query.now_unix_s.saturating_sub(factor.at_unix_s);
        (-CLOCK_SKEW_S..=i64::from(most)).contains(&age)
    };
    let is_fresh = requirement.fresh_s.is_none_or(|most| {
        let strong = |factor: &&Factor| factor.level >= requirement.assurance.max(1);
        query.principal.factors.iter().filter(strong).any(|factor| age_fits(factor, most))
    });
    let is_sure = query.principal.assurance >= requirement.assurance && is_fresh;
    Unmet {
        zone: !zones.is_empty() && !zones.iter().any(|zone| zone.as_ref() == query.zone),
        device: requirement.device && query.principal.device.is_none(),
        grant: requirement.grant && query.grant.is_none(),
        step_up: (!is_sure).then(|| StepUp {
            assurance: requirement.assurance.max(1),
            max_age_s: requirement.fresh_s,
            fields: Vec::new(),
        }),
    }
}

/// Why a rule does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    Purpose,
    StepUp(StepUp),
    Zone,
    Device,
    Grant,
    ConditionFalse,
    ConditionFailed(EvaluationError),
}

/// How a rule stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It applies; a deny rule also if its condition could not be evaluated.
    Applies(Option<EvaluationError>),
    /// The caller has the role, but something else is missing.
    Not(Vec<Obstacle>),
}

/// All rules of a route that are about the caller, judged.
#[derive(Debug)]
pub(super) struct Judgement {
    /// What the caller's roles come to.
    pub(super) holding: Arc<Holding>,
    /// The same with the role that a grant lends, whose limits count as well.
    pub(super) lent: Arc<Holding>,
    /// Index of each rule that covers the route and is about a role of the caller, and how it stands.
    pub(super) rules: Vec<(usize, Standing)>,
    /// The rules that apply only because of the grant.
    pub(super) granted: Vec<usize>,
    /// The rules that deny unless there is the grant.
    pub(super) lifted: Vec<usize>,
}

impl Judgement {
    /// The rules that apply, by index.
    pub(super) fn applied(&self) -> Vec<usize> {
        let applies = |(index, standing): &(usize, Standing)| {
            matches!(standing, Standing::Applies(_)).then_some(*index)
        };
        self.rules.iter().filter_map(applies).collect()
    }
}

/// Judges every rule that covers the query's route and is about the caller.
pub(super) fn judge(program: &Program, query: &Query<'_>) -> Judgement {
    let Some(grant) = query.grant else {
        let (holding, rules) = judge_rules(program, query);
        let (lent, granted, lifted) = (Arc::clone(&holding), Vec::new(), Vec::new());
        return Judgement { holding, lent, rules, granted, lifted };
    };
    let (holding, bare) = judge_rules(program, &Query { grant: None, ..*query });
    let (own, under) = judge_rules(program, query);
    let (lent, rules) = match &grant.coverage.role {
        None => (own, under),
        Some(role) => {
            let mut principal = Principal::clone(query.principal);
            principal.roles.push(role.clone());
            let lent = Query { principal: &Arc::new(principal), ..*query };
            let (holding, rules) = judge_rules(program, &lent);
            (holding, denying_too(program, rules, &under))
        }
    };
    let mut judgement =
        Judgement { holding, lent, rules: Vec::new(), granted: Vec::new(), lifted: Vec::new() };
    for (index, under) in rules {
        let Some(rule) = program.model.rules.get(index) else { continue };
        let alone = bare.iter().find(|(other, _)| *other == index).map(|(_, standing)| standing);
        judgement.add((index, rule), alone, under);
    }
    judgement
}

/// The rules under a lent role; what denies whoever has the own roles alone denies all the same.
fn denying_too(
    program: &Program,
    lent: Vec<(usize, Standing)>,
    own: &[(usize, Standing)],
) -> Vec<(usize, Standing)> {
    let denies = |index: &usize| {
        program.model.rules.get(*index).is_some_and(|rule| rule.effect == Effect::Deny)
    };
    let own_denial = |index: &usize| {
        let mut own = own.iter().filter(|(other, _)| other == index && denies(index));
        own.next().filter(|(_, own)| matches!(own, Standing::Applies(_)))
    };
    lent.into_iter()
        .map(|(index, standing)| {
            let own = own_denial(&index).map(|(_, own)| own.clone());
            (index, own.unwrap_or(standing))
        })
        .collect()
}

impl Judgement {
    /// Adds a rule as it stands without the grant and under it.
    fn add(&mut self, (index, rule): (usize, &Rule), alone: Option<&Standing>, under: Standing) {
        let alone = alone.filter(|standing| matches!(standing, Standing::Applies(_)));
        let applies = matches!(under, Standing::Applies(_));
        let standing = match (rule.effect, alone) {
            (Effect::Allow, Some(alone)) => {
                if looks_at_the_grant(rule) {
                    self.granted.push(index);
                }
                alone.clone()
            }
            (Effect::Allow, None) => {
                if applies {
                    self.granted.push(index);
                }
                under
            }
            (Effect::Deny, Some(_)) if !applies => {
                self.lifted.push(index);
                under
            }
            (Effect::Deny, _) => under,
        };
        self.rules.push((index, standing));
    }
}

/// Whether the rule's condition on records looks at the grant, so that a record of another subject must not meet it.
pub(super) fn looks_at_the_grant(rule: &Rule) -> bool {
    rule.row.as_ref().is_some_and(|row| row.expression.looks_at(&is_grant))
}

fn is_grant(expression: &Expression) -> bool {
    matches!(expression, Expression::Grant(_))
}

fn judge_rules(program: &Program, query: &Query<'_>) -> (Arc<Holding>, Vec<(usize, Standing)>) {
    let holding = program.holding_of(query.principal);
    let facts = query.facts(&holding.names);
    let stand = |index: &usize| {
        let rule = program.model.rules.get(*index)?;
        let is_about = rule.to.includes(&holding.roles) && holding.is_of(rule.tenant.as_deref());
        is_about.then(|| (*index, standing(rule, query, &facts)))
    };
    let rules = query.route.rules.iter().filter_map(stand).collect();
    (holding, rules)
}

fn standing(rule: &Rule, query: &Query<'_>, facts: &Facts<'_>) -> Standing {
    match rule.effect {
        Effect::Allow => allow_standing(rule, query, facts),
        Effect::Deny => deny_standing(rule, query, facts),
    }
}

fn allow_standing(rule: &Rule, query: &Query<'_>, facts: &Facts<'_>) -> Standing {
    let mut obstacles = Vec::new();
    if !rule.purposes.is_empty() && !declares(rule, query.purpose) {
        obstacles.push(Obstacle::Purpose);
    }
    let unmet = unmet(&rule.require, query);
    obstacles.extend(unmet.step_up.map(Obstacle::StepUp));
    obstacles.extend(unmet.zone.then_some(Obstacle::Zone));
    obstacles.extend(unmet.device.then_some(Obstacle::Device));
    obstacles.extend(unmet.grant.then_some(Obstacle::Grant));
    match holds(rule.when.as_deref(), facts) {
        Ok(true) => {}
        Ok(false) => obstacles.push(Obstacle::ConditionFalse),
        Err(error) => obstacles.push(Obstacle::ConditionFailed(error)),
    }
    if obstacles.is_empty() { Standing::Applies(None) } else { Standing::Not(obstacles) }
}

/// A deny rule for certain purposes also hits who declares none.
fn deny_standing(rule: &Rule, query: &Query<'_>, facts: &Facts<'_>) -> Standing {
    let purpose_hits =
        rule.purposes.is_empty() || query.purpose.is_none() || declares(rule, query.purpose);
    match (purpose_hits, holds(rule.when.as_deref(), facts)) {
        (false, _) => Standing::Not(vec![Obstacle::Purpose]),
        (true, Ok(true)) => Standing::Applies(None),
        (true, Ok(false)) => Standing::Not(vec![Obstacle::ConditionFalse]),
        (true, Err(error)) => Standing::Applies(Some(error)),
    }
}

fn declares(rule: &Rule, purpose: Option<&str>) -> bool {
    purpose.is_some_and(|purpose| rule.purposes.iter().any(|p| p.as_ref() == purpose))
}

fn holds(condition: Option<&Condition>, facts: &Facts<'_>) -> Result<bool, EvaluationError> {
    condition.map_or(Ok(true), |condition| condition.holds(facts, None))
}
