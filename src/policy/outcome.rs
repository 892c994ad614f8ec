//! What a decision comes to once it is known which rules apply: plans, search, step-up. It depends on
//! the key alone, so that it is built once and shared.

use std::sync::Arc;

use super::consented;
use super::ground::Ground;
use super::judge::StepUp;
use super::lent::{Lent, Reach};
use super::linked::{self, Asked};
use super::model::{Effect, Entity, Grade, Route, Rule};
use super::plan::Plan;
use super::planner;
use super::program::Program;
use super::record_factor::{FactorId, Lacking};
use super::rows::{InForce, ROW_TEST_LIMIT, RowTest, RowTests, TooManyConditions};
use super::search::SearchPlan;

/// How the caller stands to a grade.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum GradeStanding {
    Met,
    AfterStepUp { assurance: u8, max_age_s: Option<u32> },
    NeedsDevice,
    NeedsGrant,
    NotHere,
}

impl GradeStanding {
    /// What would meet it, where a factor would.
    pub(super) fn step_up(&self) -> Option<StepUp> {
        let Self::AfterStepUp { assurance, max_age_s } = *self else { return None };
        Some(StepUp { assurance, max_age_s, fields: Vec::new() })
    }
}

/// All that plans depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) route: usize,
    /// The rules that apply, by index, in order.
    pub(super) applied: Vec<usize>,
    /// Without a grant.
    pub(super) grades: [GradeStanding; 4],
    /// What a grant opens beside that.
    pub(super) lent: Option<Box<Lent>>,
    /// The factors that records may ask for and that were not shown.
    pub(super) lacked: Vec<FactorId>,
    /// Whether the caller gets the records of certain tenants only.
    pub(super) is_confined: bool,
    /// The purpose that asks something of whom records are about, by index.
    pub(super) consent: Option<usize>,
    pub(super) page_limit: Option<u32>,
}

/// What happens to a field, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// It does not pass.
    Absent,
    /// As a keyed pseudonym.
    Pseudonym,
    /// In the masked form of its kind.
    Masked,
    /// As it is.
    Clear,
}

impl Treatment {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pseudonym => "pseudonym",
            Self::Masked => "masked",
            Self::Clear => "clear",
        }
    }
}

/// One entity under the rules that apply.
#[derive(Clone, Debug)]
pub(super) struct EntityOutcome {
    pub(super) rows: RowTests,
    /// By case: the treatment of each field, or `None` where the record is withheld.
    pub(super) read: Vec<Option<Vec<Treatment>>>,
    /// By case: whether each field may be written, or `None` where the record may not be acted on.
    pub(super) write: Vec<Option<Vec<bool>>>,
    /// Fields that some rule shows in clear, but whose grade asks more of the caller.
    pub(super) held_back: Vec<u16>,
}

impl EntityOutcome {
    /// The case in which every allow rule's condition holds and no deny rule's does, on a record of
    /// the caller's tenant without flags.
    pub(super) fn best_case(&self) -> usize {
        self.case_where(|test| !test.if_closed())
    }

    /// The case in which every test closes.
    pub(super) fn worst_case(&self) -> usize {
        self.case_where(RowTest::if_closed)
    }

    fn case_where(&self, holds: fn(&RowTest) -> bool) -> usize {
        let tests = self.rows.tests.iter().enumerate();
        tests.map(|(bit, test)| usize::from(holds(test)) << bit).sum()
    }

    /// Whether any record could pass at all.
    pub(super) fn is_seen(&self) -> bool {
        self.read.iter().any(Option::is_some)
    }

    /// Whether the field is in clear on every record that passes.
    pub(super) fn is_clear(&self, field: u16) -> bool {
        let clear = |treatments: &Vec<Treatment>| {
            treatments.get(usize::from(field)) == Some(&Treatment::Clear)
        };
        self.is_seen() && self.read.iter().flatten().all(clear)
    }

    /// Whether the field is in some form on some record that passes.
    pub(super) fn is_shown(&self, field: u16) -> bool {
        let shown = |treatments: &Vec<Treatment>| {
            treatments.get(usize::from(field)).is_some_and(|is| *is != Treatment::Absent)
        };
        self.read.iter().flatten().any(shown)
    }
}

/// Everything that plans depend on, worked out.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How the caller stands to each grade, without a grant.
    pub(super) grades: [GradeStanding; 4],
    /// And under it.
    pub(super) lent_grades: Option<[GradeStanding; 4]>,
    /// Whether less would pass without the grant, or nothing.
    pub(super) uses_grant: bool,
    /// Names of the rules that apply.
    pub(super) rules: Vec<Box<str>>,
    /// Each entity of the route.
    pub(super) entities: Vec<(usize, EntityOutcome)>,
    /// What to do with the answer.
    pub(super) plan: Arc<Plan>,
    /// The tests of each record of that plan.
    pub(super) plan_rows: Vec<RowTests>,
    /// What may be written: by case of the record that is read before, one case if none is.
    pub(super) write: Vec<Option<Arc<Plan>>>,
    /// The plan and tests to read the record with, where row conditions need it.
    pub(super) pre_read: Option<(Arc<Plan>, Vec<RowTests>)>,
    pub(super) search: SearchPlan,
    pub(super) step_up: Option<StepUp>,
    /// What would show all that records of that plan may keep back until a factor is shown.
    pub(super) on_records: Option<StepUp>,
    pub(super) highest_grade: u8,
    /// Of what may pass in clear.
    pub(super) highest_clear: u8,
    /// An entity whose record would be changed, or a file about it given, without that its tenant was tested.
    pub(super) untested_tenant: Option<Box<str>>,
    /// The same where the purpose asks something of whom the record is about.
    pub(super) untested_consent: Option<Box<str>>,
    /// Whether a grant about certain people opens a change, or a file, and no record is read that is tested for it.
    pub(super) untested_grant: bool,
}

impl Outcome {
    pub(super) fn build(program: &Program, key: &Key) -> Result<Self, TooManyConditions> {
        let Some(route) = program.routes.get(key.route) else {
            return Err(TooManyConditions { entity: String::new() });
        };
        let lifted = key.lent.iter().flat_map(|lent| lent.lifted_here());
        let applied = key.applied.iter().chain(lifted);
        let numbered = applied.filter_map(|at| Some((*at, program.model.rules.get(*at)?)));
        let numbered: Vec<(usize, &Rule)> = numbered.collect();
        let rules = key.applied.iter().filter_map(|index| program.model.rules.get(*index));
        let rules: Vec<&Rule> = rules.collect();
        let acted_on = acted_on(program, route);
        // What opens a route of which no body is judged is about the record that is read before, also where it names none.
        let of_the_route = acted_on.filter(|_| route.accepts.is_none() && route.returns.is_none());
        let mut entities = Vec::new();
        let mut uses_grant = key.lent.as_ref().is_some_and(|lent| lent.is_whole);
        for index in &route.entities {
            if let Some(entity) = program.model.entities.get(*index) {
                let is_of = |rule: &Rule| rule.of.or(of_the_route) == Some(*index);
                let of = numbered.iter().copied().filter(|(_, rule)| is_of(rule));
                let of: Vec<(usize, &Rule)> = of.collect();
                let is_inside = !route.main.contains(index);
                let lent =
                    key.lent.as_deref().filter(|lent| lent.opens((*index, entity), &of, key));
                uses_grant |= lent.is_some();
                let reach = Reach { lent, index: *index, is_inside };
                entities
                    .push((*index, entity_outcome(program, route, key, (entity, &of), &reach)?));
            }
        }
        let (plan, plan_rows) = planner::response(program, route, &entities, key);
        let acting = acted_on.and_then(|index| outcome_of(index, &entities));
        // What passes unread may do so only for a record that is there, and counts for its subject.
        let must_read = acting
            .is_some_and(|(_, outcome)| !outcome.rows.tests.is_empty() || route.opaque.is_some());
        let pre_read = acting.filter(|_| must_read).and_then(|(index, outcome)| {
            let reads = program.routes.get(route.reads?)?;
            Some(planner::pre_read(program, reads, index, outcome))
        });
        Ok(Self {
            grades: key.grades.clone(),
            lent_grades: key.lent.as_ref().map(|lent| lent.grades.clone()),
            uses_grant,
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
            plan: Arc::new(plan),
            on_records: plan_rows
                .iter()
                .flat_map(|rows| &rows.factors)
                .filter_map(|case| case.to_show.clone())
                .reduce(StepUp::joined),
            plan_rows,
            write: planner::write_cases(program, route, acting, &entities),
            pre_read: pre_read.map(|(plan, rows)| (Arc::new(plan), rows)),
            search: planner::search(program, route, &entities, key.page_limit),
            step_up: step_up(program, &entities, key),
            highest_grade: match &route.opaque {
                Some(opaque) => opaque.grade,
                None => highest_grade(program, &entities, Treatment::Pseudonym),
            },
            highest_clear: match &route.opaque {
                Some(opaque) => opaque.grade,
                None => highest_grade(program, &entities, Treatment::Clear),
            },
            untested_grant: uses_grant && untested_grant(route, acting, key),
            untested_tenant: untested(program, route, acting, |entity| entity.tenant)
                .filter(|_| key.is_confined),
            untested_consent: untested(program, route, acting, |entity| entity.subject)
                .filter(|_| key.consent.is_some()),
            entities,
        })
    }
}

/// The entity whose row conditions decide whether the action happens: that of the record that is read before.
fn acted_on(program: &Program, route: &Route) -> Option<usize> {
    program.routes.get(route.reads?)?.returns.as_ref()?.entities.first().copied()
}

fn outcome_of(
    index: usize,
    entities: &[(usize, EntityOutcome)],
) -> Option<(usize, &EntityOutcome)> {
    entities.iter().find(|(other, _)| *other == index).map(|(index, outcome)| (*index, outcome))
}

fn untested_grant(route: &Route, acting: Option<(usize, &EntityOutcome)>, key: &Key) -> bool {
    let is_bound = key.lent.as_ref().is_some_and(|lent| lent.is_bound);
    let is_tested = |(_, outcome): (usize, &EntityOutcome)| {
        outcome.rows.tests.iter().any(|test| matches!(test, RowTest::Granted(..)))
    };
    let reads = route.action.only_reads() && route.opaque.is_none();
    is_bound && !reads && !acting.is_some_and(is_tested)
}

/// A caller who is confined to a tenant, or asks for a purpose that asks something of whom a record is about, may change,
/// or have a file about, only records that are read before.
fn untested(
    program: &Program,
    route: &Route,
    acting: Option<(usize, &EntityOutcome)>,
    tested_by: fn(&Entity) -> Option<u16>,
) -> Option<Box<str>> {
    if !route.action.changes_a_record() && route.opaque.is_none() {
        return None;
    }
    let untested: &[usize] = match &acting {
        Some((_, outcome)) if outcome.write.iter().any(Option::is_some) => &[],
        Some((index, _)) => std::slice::from_ref(index),
        None => &route.main,
    };
    let mut entities = untested.iter().filter_map(|index| program.model.entities.get(*index));
    entities.find(|entity| tested_by(entity).is_some()).map(|entity| entity.name.clone())
}

fn entity_outcome(
    program: &Program,
    route: &Route,
    key: &Key,
    (entity, rules): (&Entity, &[(usize, &Rule)]),
    reach: &Reach<'_>,
) -> Result<EntityOutcome, TooManyConditions> {
    let mut rows = RowTests { slots: entity.subject.into_iter().collect(), ..RowTests::default() };
    let confined = entity.tenant.filter(|_| key.is_confined);
    let tenant = confined.map_or(0, |field| rows.bit(RowTest::Tenant(field), &[field]));
    let grant = reach.test(entity, &mut rows);
    let lacking = Lacking::test(program, route, (reach.index, rules), key, &mut rows);
    let mut forces: Vec<InForce> = Vec::new();
    for (index, rule) in rules {
        let in_force = InForce { set: rows.bit_of(rule), unset: 0 };
        let mut force = reach.force(*index, in_force, grant);
        force.set |= linked::must(&mut rows, entity, &rule.require.link);
        forces.push(lacking.force(*index, rule, force));
    }
    let links = Asked::of(&program.model, route, !reach.is_inside).test(entity, rules, &mut rows);
    close_on_flags(entity, rules, &mut rows, &mut forces);
    let purpose = key.consent.and_then(|at| program.model.purposes.get(at));
    let silent = purpose
        .map_or(0, |asks| consented::close(asks, (entity, route), rules, &mut rows, &mut forces));
    if rows.tests.len() > ROW_TEST_LIMIT {
        return Err(TooManyConditions { entity: entity.name.to_string() });
    }
    let named = rules.iter().map(|(_, rule)| rule.name.clone());
    rows.rules = named.zip(forces.iter().copied()).collect();
    let (forces, asks) = (forces.as_slice(), tenant | links.here);
    let ground =
        Ground { entity, key, reach, rules, forces, grant, confined, asks, links, silent, lacking };
    let cases = 0..(1_usize << rows.tests.len());
    let mut held_back = Vec::new();
    cases.clone().for_each(|case| ground.held_back(case, &mut held_back));
    if ground.lacking.bits() != 0 {
        rows.factors = cases.clone().map(|case| ground.factor(case)).collect();
    }
    let read = cases.clone().map(|case| ground.read(case)).collect();
    let write = cases.map(|case| ground.write(case)).collect();
    Ok(EntityOutcome { rows, read, write, held_back })
}

/// Has no rule that allows apply to flagged records, unless it names the flag.
fn close_on_flags(
    entity: &Entity,
    rules: &[(usize, &Rule)],
    rows: &mut RowTests,
    forces: &mut [InForce],
) {
    for (index, flag) in entity.flags.iter().enumerate() {
        let is_blind = |rule: &Rule| rule.effect == Effect::Allow && !rule.flags.contains(&index);
        let mut blind = forces.iter_mut().zip(rules).filter(|(_, (_, rule))| is_blind(rule));
        // Where every rule is for flagged records as well, the flag changes nothing.
        let Some((first, _)) = blind.next() else { continue };
        let flag = Arc::clone(&flag.condition);
        let fields = flag.fields.clone();
        let bit = rows.bit(RowTest::Flag(flag), &fields);
        first.unset |= bit;
        blind.for_each(|(force, _)| force.unset |= bit);
    }
}

pub(super) fn standing(grades: &[GradeStanding; 4], grade: Grade) -> &GradeStanding {
    let number = match grade {
        Grade::Open(number) => usize::from(number),
        Grade::Sealed | Grade::Ungraded => 0,
    };
    number.checked_sub(1).and_then(|at| grades.get(at)).unwrap_or(&GradeStanding::NotHere)
}

/// The one step-up that would show all fields that a step-up can show.
fn step_up(program: &Program, entities: &[(usize, EntityOutcome)], key: &Key) -> Option<StepUp> {
    let mut all: Option<StepUp> = None;
    for (index, outcome) in entities {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        let reach = Reach { lent: key.lent.as_deref(), index: *index, is_inside: false };
        for at in &outcome.held_back {
            let Some(field) = entity.fields.get(usize::from(*at)) else { continue };
            let standing = reach.standing(&key.grades, true, *at, field.grade);
            let Some(mut one) = standing.step_up() else { continue };
            one.fields.push(format!("{}.{}", entity.name, field.path));
            match &mut all {
                Some(all) => all.join(one),
                None => all = Some(one),
            }
        }
    }
    all
}

/// The highest grade of anything that may pass in this form or in a clearer one; 0 if nothing does.
fn highest_grade(program: &Program, entities: &[(usize, EntityOutcome)], least: Treatment) -> u8 {
    let mut highest = 0;
    for (index, outcome) in entities {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        for treatments in outcome.read.iter().flatten() {
            for (field, treatment) in entity.fields.iter().zip(treatments) {
                if let (Grade::Open(grade), true) = (field.grade, *treatment >= least) {
                    highest = highest.max(grade);
                }
            }
        }
    }
    highest
}
