//! The decision: a query becomes a permit or a denial. Permits are made here and nowhere else.
//!
//! Deny wins, default deny, an error denies. The order of rules and files means nothing.

use std::sync::Arc;

use super::denial::{Denial, DenialKind, Reason};
use super::expression::{EvaluationError, Facts, Record};
use super::grant::{Grant, Lack, Told};
use super::holding::Holding;
use super::judge::{
    Judgement, Obstacle, Principal, Query, Standing, StepUp, Unmet, judge, looks_at_the_grant,
    unmet,
};
use super::lent::Lent;
use super::limits::{Export, Moment, Scoped};
use super::model::{Action, Effect, Grade, Requirement, Route};
use super::opaque::Opaque;
use super::outcome::{EntityOutcome, GradeStanding, Key, Outcome, standing};
use super::plan::{Plan, RecordId};
use super::program::Program;
use super::rotation::Rotation;
use super::rows::{InForce, RowTest, RowTests};
use super::search::SearchPlan;
use super::ties::Ties;
use super::value::Value;

/// More rounds of step-ups than three levels and their ages can need.
const MOST_FACTORS: usize = 8;

/// Leave to do one thing, once. It cannot be copied, and only [`Program::decide`] makes one.
#[derive(Debug)]
pub struct Permit {
    route: Arc<Route>,
    outcome: Arc<Outcome>,
    plan: Arc<Plan>,
    state: State,
    reads: Option<Arc<Route>>,
    version: Arc<str>,
    asked: Arc<Asked>,
}

/// How far the row conditions of a change are known.
#[derive(Debug)]
enum State {
    /// The record must be read and its case given to [`Permit::settle`] first.
    Open,
    /// The case of the record, 0 where there are no row conditions.
    Settled(usize),
    /// This permit reads the record for another.
    PreRead,
}

/// What row conditions may look at, kept for as long as records come.
#[derive(Debug)]
struct Asked {
    principal: Arc<Principal>,
    holding: Arc<Holding>,
    /// That, and what a grant lends: whose limits count.
    lent: Arc<Holding>,
    /// The route that was asked for, also while another one reads the record first.
    route: Arc<Route>,
    zone: String,
    params: Vec<(String, String)>,
    purpose: Option<String>,
    ticket: Option<String>,
    grant: Option<Arc<Grant>>,
    now_unix_s: i64,
    rotation: Rotation,
    ties: Option<Arc<dyn Ties>>,
}

impl Asked {
    fn moment(&self) -> Moment<'_> {
        let (purpose, now_unix_s) = (self.purpose.as_deref(), self.now_unix_s);
        let in_emergency = self.grant.as_deref().is_some_and(Grant::is_emergency);
        Moment { route: &self.route, purpose, in_emergency, now_unix_s }
    }

    fn facts(&self) -> Facts<'_> {
        self.facts_of(&self.holding)
    }

    /// The same with the roles that a grant lends, for what takes away; none where it lends none.
    fn facts_lent(&self) -> Option<Facts<'_>> {
        (self.lent.names != self.holding.names).then(|| self.facts_of(&self.lent))
    }

    fn facts_of<'a>(&'a self, holding: &'a Holding) -> Facts<'a> {
        Facts {
            zone: &self.zone,
            account: &self.principal.account,
            assurance: self.principal.assurance,
            address: self.principal.address,
            roles: &holding.names,
            attributes: &self.principal.attributes,
            parameters: &self.params,
            method: &self.route.method,
            host: &self.route.host,
            purpose: self.purpose.as_deref(),
            ticket: self.ticket.as_deref(),
            device: self.principal.device.as_deref(),
            grant: self.grant.as_deref(),
            is_outsider: holding.is_external,
            ties: self.ties.as_deref(),
            now_unix_s: self.now_unix_s,
        }
    }
}

impl Program {
    /// Decides whether, and with what, a request goes through.
    ///
    /// # Errors
    /// [`Denial`], with every reason.
    pub fn decide(&self, query: &Query<'_>) -> Result<Permit, Denial> {
        self.decide_as_is(query).map_err(|denial| match &denial.kind {
            DenialKind::StepUp(step_up) => self.if_shown(step_up.clone(), denial, query),
            DenialKind::NotPublished
            | DenialKind::Forbidden
            | DenialKind::Withheld
            | DenialKind::Purpose { .. }
            | DenialKind::Grant => denial,
        })
    }

    /// Asks for a factor only if showing it leads through: it is asked for once and in full, and never
    /// where something else is missing as well.
    fn if_shown(&self, mut step_up: StepUp, mut denial: Denial, query: &Query<'_>) -> Denial {
        // Each round asks for more than the one before, and there is not that much to ask for.
        for _ in 0..MOST_FACTORS {
            let principal = Arc::new(query.principal.having_shown(&step_up, query.now_unix_s));
            let Err(then) = self.decide_as_is(&Query { principal: &principal, ..*query }) else {
                return Denial { kind: DenialKind::StepUp(step_up), ..denial };
            };
            let new = then.reasons.into_iter().filter(|reason| !denial.reasons.contains(reason));
            let new: Vec<Reason> = new.collect();
            denial.reasons.extend(new);
            let DenialKind::StepUp(more) = then.kind else {
                return Denial { kind: then.kind, ..denial };
            };
            step_up.join(more);
        }
        Denial { kind: DenialKind::Forbidden, ..denial }
    }

    fn decide_as_is(&self, query: &Query<'_>) -> Result<Permit, Denial> {
        self.check_published(query)?;
        self.check_apart(query.principal)?;
        self.check_purpose(query)?;
        let Some(grant) = query.grant else { return self.decide_covered(query) };
        // What does not cover the request is as good as none.
        match self.covers(grant, query) {
            Ok(()) => self.decide_covered(query),
            Err(lack) => {
                let without = self.decide_covered(&Query { grant: None, ..*query });
                without.map_err(|mut denial| {
                    let grant = grant.id.clone();
                    denial.reasons.push(Reason::NotCovered { grant, lack });
                    denial
                })
            }
        }
    }

    fn decide_covered(&self, query: &Query<'_>) -> Result<Permit, Denial> {
        let judgement = judge(self, query);
        self.check_denied(query, &judgement)?;
        self.check_route(query)?;
        self.check_granted(query, &judgement)?;
        self.check_opaque(query)?;
        self.check_export_grant(query, &judgement)?;
        let applied = judgement.applied();
        let key = Key {
            route: query.route.index,
            lacked: self.lacked(query, &applied),
            applied,
            grades: self.grades(&Query { grant: None, ..*query }),
            lent: query.grant.map(|grant| Box::new(self.lent(grant, query, &judgement))),
            is_confined: query.principal.tenant().is_some(),
            consent: self.asks_consent(query.purpose),
            page_limit: judgement.lent.limits.strictest(query.moment()).page,
        };
        let outcome = self.outcome(key).map_err(|error| {
            Denial::new(DenialKind::Forbidden, vec![Reason::TooManyConditions(error)])
        })?;
        if let Some(entity) = &outcome.untested_tenant {
            let reason = Reason::TenantUntested { entity: entity.to_string() };
            return Err(Denial::new(DenialKind::Forbidden, vec![reason]));
        }
        if let Some(entity) = &outcome.untested_consent {
            let reason = Reason::ConsentUntested { entity: entity.to_string() };
            return Err(Denial::new(DenialKind::Forbidden, vec![reason]));
        }
        let is_told = || matches!(self.subject_parameter(query.route), Some((.., Told::Surely)));
        if let Some(grant) = query.grant.filter(|_| outcome.untested_grant && !is_told()) {
            let reason = Reason::NotCovered { grant: grant.id.clone(), lack: Lack::Untestable };
            return Err(Denial::new(DenialKind::Forbidden, vec![reason]));
        }
        Ok(self.permit(query, judgement, outcome))
    }

    fn permit(&self, query: &Query<'_>, judgement: Judgement, outcome: Arc<Outcome>) -> Permit {
        let Judgement { holding, lent, .. } = judgement;
        let state = if outcome.pre_read.is_some() { State::Open } else { State::Settled(0) };
        Permit {
            route: Arc::clone(query.route),
            plan: Arc::clone(&outcome.plan),
            state,
            reads: query.route.reads.and_then(|at| self.routes.get(at)).map(Arc::clone),
            version: self.shared_version(),
            asked: Arc::new(Asked {
                principal: Arc::clone(query.principal),
                holding,
                lent,
                route: Arc::clone(query.route),
                zone: query.zone.to_owned(),
                params: query.params.to_vec(),
                purpose: query.purpose.map(str::to_owned),
                ticket: query.ticket.map(str::to_owned),
                grant: query.grant.map(Arc::clone),
                now_unix_s: query.now_unix_s,
                rotation: self.model.rotation(query.purpose).clone(),
                ties: query.ties.map(Arc::clone),
            }),
            outcome,
        }
    }

    /// A route of another program, or of another zone, is as good as none.
    fn check_published(&self, query: &Query<'_>) -> Result<(), Denial> {
        let ours = self.routes.get(query.route.index).is_some_and(|r| Arc::ptr_eq(r, query.route));
        let zones = &query.route.zones;
        let here = zones.is_empty() || zones.iter().any(|zone| zone.as_ref() == query.zone);
        if ours && here {
            return Ok(());
        }
        Err(Denial::new(DenialKind::NotPublished, vec![Reason::NotPublished]))
    }

    fn check_purpose(&self, query: &Query<'_>) -> Result<(), Denial> {
        let Some(name) = query.purpose else { return Ok(()) };
        let Some(purpose) = self.model.purposes.iter().find(|known| *known.name == *name) else {
            let accepted: Vec<String> = self.purposes().map(str::to_owned).collect();
            let reason = Reason::UnknownPurpose { accepted: accepted.clone() };
            return Err(Denial::new(DenialKind::Purpose { accepted, ticket: None }, vec![reason]));
        };
        let Some(form) = &purpose.ticket else { return Ok(()) };
        if query.ticket.is_some_and(|ticket| form.matches(ticket)) {
            return Ok(());
        }
        let form = form.as_str().to_owned();
        let reason = Reason::Ticket { purpose: name.to_owned(), form: form.clone() };
        let kind = DenialKind::Purpose { accepted: vec![name.to_owned()], ticket: Some(form) };
        Err(Denial::new(kind, vec![reason]))
    }

    /// Limits that allow no export, and deny rules that take away the action: those without fields and
    /// without a row condition, about the whole route or about an entity that the route is for.
    fn check_denied(&self, query: &Query<'_>, judgement: &Judgement) -> Result<(), Denial> {
        let mut reasons: Vec<Reason> = self.closed_exports(query, judgement).collect();
        for (index, standing) in &judgement.rules {
            let (Some(rule), Standing::Applies(error)) = (self.model.rules.get(*index), standing)
            else {
                continue;
            };
            let whole = rule.effect == Effect::Deny && !rule.names_fields() && rule.row.is_none();
            if whole && rule.of.is_none_or(|entity| query.route.main.contains(&entity)) {
                let rule = rule.name.to_string();
                reasons.push(Reason::Denied { rule, error: error.clone() });
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(Denial::new(DenialKind::Forbidden, reasons)) }
    }

    fn check_route(&self, query: &Query<'_>) -> Result<(), Denial> {
        let asked = self.model.asked_of_route(query.principal, query.route.index);
        check_met(std::iter::once(&query.route.require).chain(asked), query)
    }

    /// What passes unread passes whole or not at all: its grade has no masked form to fall back to.
    fn check_opaque(&self, query: &Query<'_>) -> Result<(), Denial> {
        let Some(opaque) = &query.route.opaque else { return Ok(()) };
        let grade = self.model.requirement_of(opaque.grade);
        let undefined = || Denial::new(DenialKind::Forbidden, vec![Reason::RouteZone]);
        let asked = self.model.asked_of_grade(query.principal, opaque.grade);
        check_met(std::iter::once(grade.ok_or_else(undefined)?).chain(asked), query)
    }

    /// Whether some allow rule that applies opens the route; else, what would.
    fn check_granted(&self, query: &Query<'_>, judgement: &Judgement) -> Result<(), Denial> {
        let mut reasons = Vec::new();
        let mut purposes: Vec<String> = Vec::new();
        let mut step_ups: Vec<StepUp> = Vec::new();
        let mut needs_grant = false;
        for (index, standing) in &judgement.rules {
            let Some(rule) = self.model.rules.get(*index) else { continue };
            if rule.effect == Effect::Deny || !opens(rule.of, query.route) {
                continue;
            }
            let obstacles = match standing {
                Standing::Applies(_) => return Ok(()),
                Standing::Not(obstacles) => obstacles,
            };
            let wants_purpose = obstacles.contains(&Obstacle::Purpose);
            let wants_grant = obstacles.contains(&Obstacle::Grant);
            let mut step_up = None;
            let mut hopeless = false;
            for obstacle in obstacles {
                match obstacle {
                    Obstacle::Purpose | Obstacle::Grant => {}
                    Obstacle::StepUp(needed) => step_up = Some(needed.clone()),
                    Obstacle::Zone
                    | Obstacle::Device
                    | Obstacle::ConditionFalse
                    | Obstacle::ConditionFailed(_) => hopeless = true,
                }
                reasons.push(Reason::of(rule, obstacle));
            }
            match (hopeless, wants_purpose, step_up) {
                (false, true, _) => purposes.extend(rule.purposes.iter().map(|p| p.to_string())),
                // A factor is asked for only where it is all that is missing.
                (false, false, Some(step_up)) if !wants_grant => step_ups.push(step_up),
                (false, false, _) => needs_grant = true,
                (true, ..) => {}
            }
        }
        Err(refusal(query, reasons, purposes, step_ups, needs_grant))
    }

    /// What a grant that covers the request opens.
    fn lent(&self, grant: &Grant, query: &Query<'_>, judgement: &Judgement) -> Lent {
        let rule = |index: &usize| self.model.rules.get(*index);
        let opaque = query.route.opaque.as_ref();
        let grade = opaque.and_then(|opaque| self.model.requirement_of(opaque.grade));
        let denies_blindly =
            |rule: &super::model::Rule| rule.effect == Effect::Deny && looks_at_the_grant(rule);
        let is_whole = query.route.require.grant
            || grade.is_some_and(|grade| grade.grant)
            || self.export_needs_grant(query, judgement)
            || judgement.granted.iter().filter_map(rule).any(|rule| rule.of.is_none())
            || judgement
                .lifted
                .iter()
                .filter_map(rule)
                .any(|rule| rule.of.is_none() || (!rule.names_fields() && rule.row.is_none()))
            || judgement.applied().iter().filter_map(rule).any(denies_blindly);
        let mut fields: Option<Vec<(usize, u16)>> = grant
            .coverage
            .fields
            .as_ref()
            .map(|names| names.iter().filter_map(|name| self.field_named(name)).collect());
        if let Some(fields) = &mut fields {
            fields.sort_unstable();
        }
        let is_bound = grant.coverage.is_bound();
        let is_own = |index: &usize| !judgement.granted.contains(index);
        let opens_alone =
            |rule: &super::model::Rule| rule.effect == Effect::Allow && opens(rule.of, query.route);
        let opened =
            judgement.applied().iter().filter(|at| is_own(at)).filter_map(rule).any(opens_alone);
        let is_told = matches!(self.subject_parameter(query.route), Some((.., Told::Surely)));
        Lent {
            grades: self.grades(query),
            rules: judgement.granted.clone(),
            lifted: judgement.lifted.clone(),
            fields,
            is_bound,
            is_whole,
            hides_scalars: is_bound && !is_told && (is_whole || !opened),
        }
    }

    fn grades(&self, query: &Query<'_>) -> [GradeStanding; 4] {
        // A step-up is offered only where nothing else is missing: alone it must show the field.
        let mut number = 0;
        self.model.grades.each_ref().map(|grade| {
            number += 1;
            let asked = self.model.asked_of_grade(query.principal, number);
            let each = asked.map(|requirement| unmet(requirement, query));
            match grade.as_ref().map(|g| each.fold(unmet(g, query), Unmet::and)) {
                None | Some(Unmet { zone: true, .. }) => GradeStanding::NotHere,
                Some(Unmet { device: true, .. }) => GradeStanding::NeedsDevice,
                Some(Unmet { grant: true, .. }) => GradeStanding::NeedsGrant,
                Some(Unmet { step_up: Some(step_up), .. }) => GradeStanding::AfterStepUp {
                    assurance: step_up.assurance,
                    max_age_s: step_up.max_age_s,
                },
                Some(Unmet { step_up: None, .. }) => GradeStanding::Met,
            }
        })
    }
}

/// Whether the caller meets what a route, or the grade of its whole answer, asks.
fn check_met<'r>(
    requirements: impl Iterator<Item = &'r Requirement>,
    query: &Query<'_>,
) -> Result<(), Denial> {
    let each = requirements.map(|requirement| unmet(requirement, query));
    let unmet = each.reduce(Unmet::and).unwrap_or_default();
    if unmet.is_none() {
        return Ok(());
    }
    let Unmet { zone, device, grant, step_up } = unmet;
    let mut reasons = Vec::new();
    reasons.extend(zone.then_some(Reason::RouteZone));
    reasons.extend(device.then_some(Reason::NeedsDevice { rule: None }));
    reasons.extend(grant.then_some(Reason::NeedsGrant { rule: None }));
    reasons.extend(step_up.clone().map(Reason::RouteStepUp));
    let kind = match step_up {
        _ if zone || device => DenialKind::Forbidden,
        // A factor is asked for only where it is all that is missing.
        Some(step_up) if !grant => DenialKind::StepUp(step_up),
        Some(_) | None => DenialKind::Grant,
    };
    Err(Denial::new(kind, reasons))
}

fn opens(of: Option<usize>, route: &Route) -> bool {
    of.is_none_or(|entity| route.main.contains(&entity))
}

fn refusal(
    query: &Query<'_>,
    mut reasons: Vec<Reason>,
    mut purposes: Vec<String>,
    step_ups: Vec<StepUp>,
    needs_grant: bool,
) -> Denial {
    if reasons.is_empty() {
        let route = query.route.name().to_owned();
        reasons.push(Reason::NoRule { action: query.route.action, route });
    }
    purposes.sort();
    purposes.dedup();
    let kind = if !purposes.is_empty() {
        DenialKind::Purpose { accepted: purposes, ticket: None }
    } else if let Some(least) = step_ups.into_iter().min() {
        DenialKind::StepUp(least)
    } else if needs_grant {
        DenialKind::Grant
    } else {
        DenialKind::Forbidden
    };
    Denial::new(kind, reasons)
}

impl Permit {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// What is done.
    #[must_use]
    pub fn action(&self) -> Action {
        self.route.action
    }

    /// The name of the upstream that may be called.
    #[must_use]
    pub fn upstream(&self) -> &str {
        self.route.upstream()
    }

    /// The names of the rules that apply, in the order of the files.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.outcome.rules.iter().map(AsRef::as_ref)
    }

    /// What to do with the answer.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The leave to pass the answer unread, under its terms. `None` for every route whose answers are
    /// judged, and as long as [`Permit::pre_read`] asks for the record.
    #[must_use]
    pub fn opaque(&self) -> Option<&Opaque> {
        match self.state {
            State::Settled(_) => self.route.opaque.as_ref(),
            State::Open | State::PreRead => None,
        }
    }

    /// The name of the entity that the answer is mainly about; empty if it is about none.
    #[must_use]
    pub fn entity(&self) -> &str {
        match &self.route.opaque {
            Some(opaque) => opaque.entity(),
            None => self.plan.records.first().map_or("", |record| &record.entity),
        }
    }

    /// What the request's body may carry: clear is writable, everything else is refused. `None`
    /// where there may be no body, and as long as [`Permit::pre_read`] asks for the record.
    #[must_use]
    pub fn write_plan(&self) -> Option<&Arc<Plan>> {
        let State::Settled(case) = self.state else { return None };
        if !self.route.takes_a_body() {
            return None;
        }
        self.outcome.write.get(case)?.as_ref()
    }

    /// Which query parameters may be used.
    #[must_use]
    pub fn search(&self) -> &SearchPlan {
        &self.outcome.search
    }

    /// How much may leave: the limits that count this request, each scope once.
    pub fn limits(&self) -> impl Iterator<Item = &Scoped> {
        // A record that is read first is read for the route that was asked for.
        self.asked.lent.limits.of_request(self.asked.moment())
    }

    /// What may be exported: the strictest of all limits that count this request.
    pub(super) fn export(&self) -> Export {
        self.asked.lent.limits.strictest(self.asked.moment()).export
    }

    /// What would show the fields that a rule shows in clear but whose grade asks more of the caller.
    #[must_use]
    pub fn step_up(&self) -> Option<&StepUp> {
        self.outcome.step_up.as_ref()
    }

    /// What would show all that some records of the answer may keep back: a condition on them asks for a factor.
    #[must_use]
    pub fn factor_on_records(&self) -> Option<&StepUp> {
        self.outcome.on_records.as_ref()
    }

    /// What would show more of a record in this case, as [`Permit::case`] gave it, or let it be acted on where this
    /// permit reads it first; `None` where no factor would.
    #[must_use]
    pub fn factor(&self, record: RecordId, case: usize) -> Option<&StepUp> {
        let factors = self.rows().get(usize::from(record.0))?.factors.get(case)?;
        match self.state {
            State::PreRead => factors.to_act.as_ref(),
            State::Open | State::Settled(_) => factors.to_show.as_ref(),
        }
    }

    /// The purpose declared.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        self.asked.purpose.as_deref()
    }

    /// The period whose pseudonyms the answer has, such as `2026-11`, also if it is sent for longer; empty
    /// where they stay.
    #[must_use]
    pub fn pseudonym_period(&self) -> String {
        self.asked.rotation.period(self.asked.now_unix_s)
    }

    /// When pseudonyms change, in words; `None` where the answer has none.
    pub(super) fn rotation_words(&self) -> Option<String> {
        self.plan.has_pseudonyms().then(|| self.asked.rotation.words())
    }

    /// The grant without which less would pass, or nothing.
    #[must_use]
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.asked.grant.as_ref().filter(|_| self.outcome.uses_grant)
    }

    /// Whether whatever passes does so by the grant, since that is about nobody in particular: no record has to be tested
    /// then.
    #[must_use]
    pub fn is_granted_whole(&self) -> bool {
        self.grant().is_some_and(|grant| !grant.coverage.is_bound())
    }

    /// Whether a record in this case, as [`Permit::case`] gave it, passes by the grant.
    #[must_use]
    pub fn is_granted(&self, record: RecordId, case: usize) -> bool {
        if self.grant().is_none() {
            return false;
        }
        let is_met = |(bit, test): (usize, &RowTest)| match test {
            RowTest::Granted(..) => Some(case >> bit & 1 == 1),
            RowTest::Allow(_)
            | RowTest::Deny(_)
            | RowTest::Flag(_)
            | RowTest::Tenant(_)
            | RowTest::Linked(_)
            | RowTest::Factor(_) => None,
        };
        let Some(rows) = self.rows().get(usize::from(record.0)) else { return false };
        let is_bound = self.asked.grant.as_ref().is_some_and(|grant| grant.coverage.is_bound());
        // Where no test stands, nothing of this entity's records is opened for certain people only.
        case != usize::MAX && rows.tests.iter().enumerate().find_map(is_met).unwrap_or(!is_bound)
    }

    /// The version of the policy that decided.
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// Whether both let the same leave of the same records; the rules may have other names.
    #[must_use]
    pub fn releases_as(&self, other: &Self) -> bool {
        let tests = |permit: &Self| {
            let rows = permit.rows().iter();
            rows.map(|rows| (rows.slots.clone(), rows.tests.clone())).collect::<Vec<_>>()
        };
        let rotates_alike =
            !self.plan.has_pseudonyms() || self.asked.rotation == other.asked.rotation;
        rotates_alike
            && self.plan == other.plan
            && tests(self) == tests(other)
            && self.asked.holding.names == other.asked.holding.names
            && self.asked.lent.names == other.asked.lent.names
            && self.asked.grant == other.asked.grant
            && self.route.opaque == other.route.opaque
            && self.route.headers == other.route.headers
            && self.route.upstream == other.route.upstream
    }

    /// The highest grade of what may be released, masked or not; 0 if nothing graded is.
    #[must_use]
    pub fn highest_grade(&self) -> u8 {
        match self.state {
            State::PreRead => 0,
            State::Open | State::Settled(_) => self.outcome.highest_grade,
        }
    }

    /// The highest grade of what may be released in clear; 0 if nothing graded is.
    #[must_use]
    pub fn highest_clear(&self) -> u8 {
        match self.state {
            State::PreRead => 0,
            State::Open | State::Settled(_) => self.outcome.highest_clear,
        }
    }

    /// Whether records of the answer are filtered one by one.
    #[must_use]
    pub fn row_conditions(&self) -> bool {
        self.rows().iter().any(|rows| !rows.tests.is_empty())
    }

    /// The case of a record: each condition's outcome as a bit of an index into [`super::plan::RecordPlan::cases`].
    ///
    /// `captures` are the values of the record's slots. A condition that cannot be evaluated counts
    /// as false where it allows, as true where it denies or flags. For a record that the plan does not
    /// know, the index is out of range, which withholds it.
    #[must_use]
    pub fn case(&self, record: RecordId, captures: &[Option<Value>]) -> usize {
        let Some(rows) = self.rows().get(usize::from(record.0)) else { return usize::MAX };
        let holds = self.row_outcomes(rows, captures).zip(&rows.tests).enumerate();
        let bits =
            holds.map(|(bit, (holds, test))| usize::from(holds.unwrap_or(test.if_closed())) << bit);
        bits.sum()
    }

    /// Whether a record in this case, as [`Permit::case`] gave it, is of a foreign tenant, or of none that can
    /// be read; never for a caller who is confined to none.
    #[must_use]
    pub fn is_foreign(&self, record: RecordId, case: usize) -> bool {
        let Some(rows) = self.rows().get(usize::from(record.0)) else { return false };
        let mut tests = rows.tests.iter().enumerate();
        tests.any(|(bit, test)| matches!(test, RowTest::Tenant(_)) && case >> bit & 1 == 0)
    }

    /// Whether a record in this case, as [`Permit::case`] gave it, passes although no case ties the caller to whom it
    /// is about, where the policy wants that flagged.
    #[must_use]
    pub fn is_unlinked(&self, record: RecordId, case: usize) -> bool {
        let Some(rows) = self.rows().get(usize::from(record.0)) else { return false };
        let passes = self.plan.record(record).and_then(|plan| plan.cases.get(case)?.as_ref());
        let mut tests = rows.tests.iter().enumerate();
        passes.is_some() && tests.any(|(bit, test)| test.only_flags() && case >> bit & 1 == 0)
    }

    /// The rules that apply whatever a record holds.
    pub fn rules_without_condition(&self) -> impl Iterator<Item = &str> {
        let entities = &self.outcome.entities;
        let has_condition = move |name: &str| {
            let mut rules = entities.iter().flat_map(|(_, outcome)| &outcome.rows.rules);
            rules.any(|(rule, in_force)| rule.as_ref() == name && !in_force.is_always())
        };
        self.rules().filter(move |name| !has_condition(name))
    }

    /// The rules whose condition holds for a record in this case, as [`Permit::case`] gave it.
    pub fn rules_met(&self, record: RecordId, case: usize) -> impl Iterator<Item = &str> {
        let rows = self.rows().get(usize::from(record.0));
        let met = move |in_force: InForce| {
            case != usize::MAX && !in_force.is_always() && in_force.holds(case)
        };
        rows.into_iter()
            .flat_map(|rows| &rows.rules)
            .filter(move |(_, in_force)| met(*in_force))
            .map(|(rule, _)| rule.as_ref())
    }

    /// The row conditions that could not be evaluated on a record, as written, and why.
    #[must_use]
    pub fn row_errors(
        &self,
        record: RecordId,
        captures: &[Option<Value>],
    ) -> Vec<(String, EvaluationError)> {
        let Some(rows) = self.rows().get(usize::from(record.0)) else { return Vec::new() };
        let outcomes = self.row_outcomes(rows, captures).zip(&rows.tests);
        outcomes.filter_map(|(o, test)| Some((test.text().to_owned(), o.err()?))).collect()
    }

    fn row_outcomes<'a>(
        &'a self,
        rows: &'a RowTests,
        captures: &'a [Option<Value>],
    ) -> impl Iterator<Item = Result<bool, EvaluationError>> + 'a {
        let record = Record { slots: &rows.slots, captures };
        let (facts, lent) = (self.asked.facts(), self.asked.facts_lent());
        rows.tests.iter().map(move |test| match test.holds(&facts, record) {
            // What denies by a lent role denies as by one's own.
            Ok(false) if test.if_closed() => {
                lent.as_ref().map_or(Ok(false), |lent| test.holds(lent, record))
            }
            outcome => outcome,
        })
    }

    /// How the caller stands to a grade, for explanations.
    pub(super) fn standing(&self, grade: Grade) -> &GradeStanding {
        let grades = self.outcome.lent_grades.as_ref().unwrap_or(&self.outcome.grades);
        standing(grades, grade)
    }

    /// Each entity of the route under the rules that apply, for explanations.
    pub(super) fn entities(&self) -> &[(usize, EntityOutcome)] {
        &self.outcome.entities
    }

    /// What is tested on records, as written.
    pub(super) fn row_texts(&self) -> impl Iterator<Item = &str> {
        self.rows().iter().flat_map(|rows| &rows.tests).map(RowTest::text)
    }

    fn rows(&self) -> &[RowTests] {
        match (&self.state, &self.outcome.pre_read) {
            (State::PreRead, Some((_, rows))) => rows,
            (State::PreRead, None) => &[],
            (State::Open | State::Settled(_), _) => &self.outcome.plan_rows,
        }
    }

    /// The view route over which the record is read before it is changed, if it must be.
    #[must_use]
    pub fn reads(&self) -> Option<&Arc<Route>> {
        self.reads.as_ref().filter(|_| matches!(self.state, State::Open))
    }

    /// A permit to read the record before it is changed. Its plan captures what the row conditions
    /// look at and releases nothing: a record that may be acted on passes as an empty object.
    ///
    /// `None` where there is nothing to test. The case of the record goes to [`Permit::settle`].
    #[must_use]
    pub fn pre_read(&self) -> Option<Self> {
        let (plan, _) = self.outcome.pre_read.as_ref()?;
        let route = self.reads()?;
        Some(Self {
            route: Arc::clone(route),
            plan: Arc::clone(plan),
            outcome: Arc::clone(&self.outcome),
            state: State::PreRead,
            reads: None,
            version: Arc::clone(&self.version),
            asked: Arc::clone(&self.asked),
        })
    }

    /// Whether the upstream may be called with this permit: the row conditions of a change are known.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// The permit once the case of the record is known, as [`Permit::case`] of the pre-read permit gave it.
    ///
    /// # Errors
    /// [`DenialKind::Withheld`] if the caller may not act on this record.
    pub fn settle(self, case: usize) -> Result<Self, Denial> {
        match self.state {
            State::Settled(_) | State::PreRead => Ok(self),
            State::Open if self.outcome.write.get(case).is_some_and(Option::is_some) => {
                Ok(Self { state: State::Settled(case), ..self })
            }
            State::Open => {
                let reason = Reason::RecordWithheld { action: self.route.action };
                Err(Denial::new(DenialKind::Withheld, vec![reason]))
            }
        }
    }
}
