//! What a decision comes to once it is known which rules apply: plans, search, step-up. It depends on
//! the key alone, so that it is built once and shared.

use std::sync::Arc;

use super::expression::Condition;
use super::judge::StepUp;
use super::model::{Effect, Entity, Grade, Route, Rule};
use super::plan::Plan;
use super::planner;
use super::program::Program;
use super::search::SearchPlan;

/// The most different row conditions on one entity in one decision: its cases are their outcomes' bits.
const ROW_TEST_LIMIT: usize = 6;

/// How the caller stands to a grade.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum GradeStanding {
    Met,
    AfterStepUp { assurance: u8, max_age_s: Option<u32> },
    NotHere,
}

/// All that plans depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) route: usize,
    /// The rules that apply, by index, in order.
    pub(super) applied: Vec<usize>,
    pub(super) grades: [GradeStanding; 4],
    pub(super) page_limit: Option<u32>,
}

/// More row conditions apply to one entity than a plan has cases for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {ROW_TEST_LIMIT} row conditions apply to `{entity}` at once")]
pub struct TooManyConditions {
    /// The entity.
    pub entity: String,
}

/// What happens to a field, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Treatment {
    Absent,
    Pseudonym,
    Masked,
    Clear,
}

/// The row conditions of one entity. Bit `n` of a case is the outcome of test `n`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RowTests {
    /// The fields that are captured, by slot; the subject is first where there is one.
    pub(super) slots: Vec<u16>,
    pub(super) tests: Vec<(Arc<Condition>, Effect)>,
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
    /// The case in which every allow rule's condition holds and no deny rule's does.
    pub(super) fn best_case(&self) -> usize {
        let allows = self.rows.tests.iter().enumerate();
        allows.filter(|(_, (_, effect))| *effect == Effect::Allow).map(|(bit, _)| 1 << bit).sum()
    }

    /// The case in which no allow rule's condition holds and every deny rule's does.
    pub(super) fn worst_case(&self) -> usize {
        let denies = self.rows.tests.iter().enumerate();
        denies.filter(|(_, (_, effect))| *effect == Effect::Deny).map(|(bit, _)| 1 << bit).sum()
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
}

/// Everything that plans depend on, worked out.
#[derive(Debug)]
pub(super) struct Outcome {
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
    pub(super) highest_grade: u8,
}

impl Outcome {
    pub(super) fn build(program: &Program, key: &Key) -> Result<Self, TooManyConditions> {
        let Some(route) = program.routes.get(key.route) else {
            return Err(TooManyConditions { entity: String::new() });
        };
        let rules: Vec<&Rule> =
            key.applied.iter().filter_map(|index| program.model.rules.get(*index)).collect();
        let mut entities = Vec::new();
        for index in &route.entities {
            if let Some(entity) = program.model.entities.get(*index) {
                let of: Vec<&Rule> =
                    rules.iter().copied().filter(|rule| rule.of == Some(*index)).collect();
                entities.push((*index, entity_outcome(entity, &of, &key.grades)?));
            }
        }
        let (plan, plan_rows) = planner::response(program, route, &entities);
        let acting = acting_entity(program, route, &entities);
        let must_read = acting.is_some_and(|(_, outcome)| !outcome.rows.tests.is_empty());
        let pre_read = acting.filter(|_| must_read).and_then(|(index, outcome)| {
            let reads = program.routes.get(route.reads?)?;
            Some(planner::pre_read(program, reads, index, outcome))
        });
        Ok(Self {
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
            plan: Arc::new(plan),
            plan_rows,
            write: planner::write_cases(program, route, acting, &entities),
            pre_read: pre_read.map(|(plan, rows)| (Arc::new(plan), rows)),
            search: planner::search(program, route, &entities, key.page_limit),
            step_up: step_up(program, &entities, &key.grades),
            highest_grade: highest_grade(program, &entities),
            entities,
        })
    }
}

/// The entity whose row conditions decide whether the action happens: the one that is read before.
fn acting_entity<'o>(
    program: &Program,
    route: &Route,
    entities: &'o [(usize, EntityOutcome)],
) -> Option<(usize, &'o EntityOutcome)> {
    let read = program.routes.get(route.reads?)?.returns.as_ref()?;
    let index = read.entities.first()?;
    entities.iter().find(|(other, _)| other == index).map(|(index, outcome)| (*index, outcome))
}

fn entity_outcome(
    entity: &Entity,
    rules: &[&Rule],
    grades: &[GradeStanding; 4],
) -> Result<EntityOutcome, TooManyConditions> {
    let mut rows = RowTests { slots: entity.subject.into_iter().collect(), tests: Vec::new() };
    let mut bits = Vec::new();
    for rule in rules {
        bits.push(rule.row.as_ref().map(|condition| rows.bit(condition, rule.effect)));
    }
    if rows.tests.len() > ROW_TEST_LIMIT {
        return Err(TooManyConditions { entity: entity.name.to_string() });
    }
    let mut outcome =
        EntityOutcome { rows, read: Vec::new(), write: Vec::new(), held_back: Vec::new() };
    for case in 0..(1_usize << outcome.rows.tests.len()) {
        let in_force = |bit: &Option<usize>| bit.is_none_or(|bit| (case >> bit) & 1 == 1);
        let pairs = rules.iter().zip(&bits).filter(|(_, bit)| in_force(bit));
        let effective: Vec<&Rule> = pairs.map(|(rule, _)| *rule).collect();
        outcome.read.push(read_case(entity, &effective, grades));
        outcome.write.push(write_case(entity, &effective));
        held_back(entity, &effective, grades, &mut outcome.held_back);
    }
    Ok(outcome)
}

impl RowTests {
    /// The bit of a condition. Allow and deny read errors in opposite ways, so each has its own.
    fn bit(&mut self, condition: &Arc<Condition>, effect: Effect) -> usize {
        for field in &condition.fields {
            if !self.slots.contains(field) {
                self.slots.push(*field);
            }
        }
        let same =
            |(other, of): &(Arc<Condition>, Effect)| other.text == condition.text && *of == effect;
        self.tests.iter().position(same).unwrap_or_else(|| {
            self.tests.push((Arc::clone(condition), effect));
            self.tests.len() - 1
        })
    }
}

/// `None` where the record may not be touched at all.
fn is_open(rules: &[&Rule]) -> bool {
    let withheld = |rule: &&&Rule| rule.effect == Effect::Deny && !rule.names_fields();
    rules.iter().any(|rule| rule.effect == Effect::Allow)
        && !rules.iter().any(|rule| withheld(&rule))
}

fn read_case(
    entity: &Entity,
    rules: &[&Rule],
    grades: &[GradeStanding; 4],
) -> Option<Vec<Treatment>> {
    let treat = |(index, field): (usize, &super::model::Field)| {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let said = |effect, list: fn(&Rule) -> &Vec<u16>| {
            rules.iter().any(|rule| rule.effect == effect && list(rule).contains(&index))
        };
        let lists: [fn(&Rule) -> &Vec<u16>; 3] =
            [|rule| &rule.clear, |rule| &rule.masked, |rule| &rule.pseudonym];
        let [clear, masked, pseudonym] = lists;
        let taken = lists.iter().any(|list| said(Effect::Deny, *list));
        if taken || field.grade == Grade::Sealed {
            Treatment::Absent
        } else if said(Effect::Allow, clear) && standing(grades, field.grade) == &GradeStanding::Met
        {
            Treatment::Clear
        } else if said(Effect::Allow, masked) {
            Treatment::Masked
        } else if said(Effect::Allow, pseudonym) {
            Treatment::Pseudonym
        } else {
            Treatment::Absent
        }
    };
    is_open(rules).then(|| entity.fields.iter().enumerate().map(treat).collect())
}

fn write_case(entity: &Entity, rules: &[&Rule]) -> Option<Vec<bool>> {
    let writable = |index: usize| {
        let said = |effect| {
            let names = |rule: &&&Rule| rule.write.iter().any(|field| usize::from(*field) == index);
            rules.iter().any(|rule| rule.effect == effect && names(&rule))
        };
        said(Effect::Allow) && !said(Effect::Deny)
    };
    is_open(rules).then(|| (0..entity.fields.len()).map(writable).collect())
}

fn standing(grades: &[GradeStanding; 4], grade: Grade) -> &GradeStanding {
    let number = match grade {
        Grade::Open(number) => usize::from(number),
        Grade::Sealed => 0,
    };
    number.checked_sub(1).and_then(|at| grades.get(at)).unwrap_or(&GradeStanding::NotHere)
}

/// Notes the fields that only their grade keeps from being in clear in this case.
fn held_back(entity: &Entity, rules: &[&Rule], grades: &[GradeStanding; 4], found: &mut Vec<u16>) {
    if !is_open(rules) {
        return;
    }
    let taken = |field: &u16| {
        rules.iter().any(|rule| {
            let lists = [&rule.clear, &rule.masked, &rule.pseudonym];
            rule.effect == Effect::Deny && lists.iter().any(|list| list.contains(field))
        })
    };
    for field in
        rules.iter().filter(|rule| rule.effect == Effect::Allow).flat_map(|rule| &rule.clear)
    {
        let grade = entity.fields.get(usize::from(*field)).map(|field| field.grade);
        let unmet = grade.is_some_and(|grade| standing(grades, grade) != &GradeStanding::Met);
        if unmet && !taken(field) && !found.contains(field) {
            found.push(*field);
        }
    }
}

/// The one step-up that would show all fields that a step-up can show.
fn step_up(
    program: &Program,
    entities: &[(usize, EntityOutcome)],
    grades: &[GradeStanding; 4],
) -> Option<StepUp> {
    let mut all: Option<StepUp> = None;
    for (index, outcome) in entities {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        for field in outcome.held_back.iter().filter_map(|at| entity.fields.get(usize::from(*at))) {
            let GradeStanding::AfterStepUp { assurance, max_age_s } = standing(grades, field.grade)
            else {
                continue;
            };
            let name = format!("{}.{}", entity.name, field.path);
            let one = StepUp { assurance: *assurance, max_age_s: *max_age_s, fields: vec![name] };
            match &mut all {
                Some(all) => all.join(one),
                None => all = Some(one),
            }
        }
    }
    all
}

/// The highest grade of anything that may pass, masked or not; 0 if nothing does.
fn highest_grade(program: &Program, entities: &[(usize, EntityOutcome)]) -> u8 {
    let mut highest = 0;
    for (index, outcome) in entities {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        for treatments in outcome.read.iter().flatten() {
            for (field, treatment) in entity.fields.iter().zip(treatments) {
                if let (Grade::Open(grade), true) = (field.grade, *treatment > Treatment::Absent) {
                    highest = highest.max(grade);
                }
            }
        }
    }
    highest
}
