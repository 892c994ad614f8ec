//! Builds the plans that the guard obeys from what each entity's fields come to.

use std::collections::HashMap;
use std::sync::Arc;

use super::detect::Way;
use super::kind::Kind;
use super::model::{Action, Body, BodyShape, Entity, Grade, PathSearch, QueryUse, Route, Shape};
use super::outcome::{EntityOutcome, Key, Treatment};
use super::plan::{
    DetectId, Detection, FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot,
    Verdict,
};
use super::program::Program;
use super::rows::{RowTest, RowTests};
use super::search::{Parameter, PathParameter, SearchPlan};

/// From this grade on, a field in clear counts as unmasked.
pub(super) const UNMASKED_FROM: u8 = 3;

type Entities = [(usize, EntityOutcome)];

/// The plan for a route's answer, and the row tests of each of its records.
pub(super) fn response(
    program: &Program,
    route: &Route,
    entities: &Entities,
    key: &Key,
) -> (Plan, Vec<RowTests>) {
    let placed = |entity: &usize| {
        let returned = route.returns.as_ref().map_or(&[][..], |body| &body.entities);
        returned.iter().any(|main| program.model.nested(*main).contains(entity))
    };
    let filtered = entities.iter().any(|(index, outcome)| {
        placed(index) && outcome.rows.tests.iter().any(RowTest::takes_records)
    });
    let mut builder = Builder::new(program, entities);
    let hides = key.lent.as_ref().is_some_and(|lent| lent.hides_scalars);
    builder.passes = if hides { Passes::Nothing } else { Passes::Scalars { counts: !filtered } };
    builder.searched = Some((Way::Answer, route.index));
    builder.finish(route.returns.as_ref())
}

/// The plan that reads one record for its row conditions and releases nothing of it.
///
/// A record that may be acted on passes as an empty object, one that may not is withheld.
pub(super) fn pre_read(
    program: &Program,
    reads: &Route,
    entity: usize,
    outcome: &EntityOutcome,
) -> (Plan, Vec<RowTests>) {
    let nothing = |writable: &Vec<bool>| vec![Treatment::Absent; writable.len()];
    let mut read: Vec<_> = outcome.write.iter().map(|case| case.as_ref().map(nothing)).collect();
    if read.len() == 1 {
        // Of a record with one case the guard does not ask which it is, and whoever reads must hear that there was one.
        read.push(None);
    }
    let closed = EntityOutcome { read, ..outcome.clone() };
    Builder::new(program, &[(entity, closed)]).finish(reads.returns.as_ref())
}

/// What may be written, by case of the record that is read before; one case if none is.
pub(super) fn write_cases(
    program: &Program,
    route: &Route,
    acting: Option<(usize, &EntityOutcome)>,
    entities: &Entities,
) -> Vec<Option<Arc<Plan>>> {
    let cases = acting.map_or(1, |(_, outcome)| outcome.write.len());
    let plan = |case: usize| {
        let may_act =
            acting.is_none_or(|(_, outcome)| outcome.write.get(case).is_some_and(Option::is_some));
        may_act.then(|| {
            // Only the record that is read before has its tests known; what else stands in the body has
            // them all fail. Where no record exists yet, there is nothing to test.
            let is_new = matches!(route.action, Action::Create | Action::Call);
            let known = entities.iter().map(|(index, outcome)| {
                let acts = acting.is_some_and(|(acting, _)| acting == *index);
                let case = match (acts, is_new) {
                    (true, _) => case,
                    (false, true) => outcome.best_case(),
                    (false, false) => outcome.worst_case(),
                };
                (*index, writable(outcome, case))
            });
            let known: Vec<(usize, EntityOutcome)> = known.collect();
            let mut builder = Builder::new(program, &known);
            builder.records = Records::None;
            builder.searched = Some((Way::Request, route.index));
            Arc::new(builder.finish(route.accepts.as_ref()).0)
        })
    };
    (0..cases).map(plan).collect()
}

/// An outcome of one case in which "clear" means "may be written".
fn writable(outcome: &EntityOutcome, case: usize) -> EntityOutcome {
    let treatment = |may: &bool| if *may { Treatment::Clear } else { Treatment::Absent };
    let fields = outcome.write.get(case).cloned().flatten();
    EntityOutcome {
        rows: RowTests::default(),
        read: vec![fields.map(|fields| fields.iter().map(treatment).collect())],
        write: Vec::new(),
        held_back: Vec::new(),
    }
}

/// Which parameters of the path and of the query may be used.
pub(super) fn search(
    program: &Program,
    route: &Route,
    entities: &Entities,
    page_limit: Option<u32>,
) -> SearchPlan {
    let outcome =
        |entity: usize| entities.iter().find(|(index, _)| *index == entity).map(|(_, o)| o);
    let parameter = |(name, usage): &(Box<str>, QueryUse)| {
        let parameter = match usage {
            QueryUse::Page => Parameter::Page,
            QueryUse::PageSize(too_large) => Parameter::PageSize(*too_large),
            QueryUse::Free => Parameter::Free,
            QueryUse::Sort => Parameter::Sort { clear: sortable(program, route, entities) },
            QueryUse::Filter(form) => {
                Parameter::Filter { form: *form, clear: sortable(program, route, entities) }
            }
            QueryUse::Fields => Parameter::Fields {
                seen: shared(program, route, entities, |outcome, at| outcome.is_shown(at)),
                always: needed(program, route, entities),
            },
            QueryUse::Include(of) => Parameter::Include { of: of.clone() },
            QueryUse::Field { entity, field, at_least } => {
                let declared = program.model.entities.get(*entity)?;
                let described = declared.fields.get(usize::from(*field))?;
                Parameter::Field {
                    field: format!("{}.{}", declared.name, described.path).into(),
                    clear: outcome(*entity).is_some_and(|outcome| outcome.is_clear(*field)),
                    kind: described.kind,
                    at_least: *at_least,
                }
            }
        };
        Some((name.clone(), parameter))
    };
    let in_path = |search: &PathSearch| PathParameter {
        name: search.parameter.clone(),
        field: search.name.clone(),
        clear: outcome(search.entity).is_some_and(|outcome| outcome.is_clear(search.field)),
    };
    SearchPlan {
        path: route.path.iter().map(in_path).collect(),
        parameters: route.query.iter().filter_map(parameter).collect(),
        page_limit,
    }
}

/// A route that returns two entities sorts only by what has one name and is clear in both.
fn sortable(program: &Program, route: &Route, entities: &Entities) -> Vec<Box<str>> {
    shared(program, route, entities, EntityOutcome::is_clear)
}

/// The fields of all returned entities of which something holds, by the names that they share.
fn shared(
    program: &Program,
    route: &Route,
    entities: &Entities,
    holds: impl Fn(&EntityOutcome, u16) -> bool,
) -> Vec<Box<str>> {
    let returned = route.returns.as_ref().map_or(&[][..], |body| &body.entities);
    let mut names: Option<Vec<Box<str>>> = None;
    for (index, outcome) in entities.iter().filter(|(index, _)| returned.contains(index)) {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        let is_held = |at: usize| u16::try_from(at).is_ok_and(|at| holds(outcome, at));
        let clear = entity.fields.iter().enumerate().filter(|(at, _)| is_held(*at));
        let clear: Vec<Box<str>> = clear.map(|(_, field)| field.path.clone()).collect();
        names = Some(match names {
            Some(names) => names.into_iter().filter(|name| clear.contains(name)).collect(),
            None => clear,
        });
    }
    names.unwrap_or_default()
}

/// The fields without which a record cannot be judged: whose it is, and what conditions look at.
fn needed(program: &Program, route: &Route, entities: &Entities) -> Vec<Box<str>> {
    let returned = route.returns.as_ref().map_or(&[][..], |body| &body.entities);
    let mut names: Vec<Box<str>> = Vec::new();
    for (index, outcome) in entities.iter().filter(|(index, _)| returned.contains(index)) {
        let Some(entity) = program.model.entities.get(*index) else { continue };
        for at in entity.subject.iter().chain(&outcome.rows.slots) {
            let field = entity.fields.get(usize::from(*at)).map(|field| field.path.clone());
            names.extend(field.filter(|path| !names.contains(path)));
        }
    }
    names
}

/// Which scalars that are no field pass.
enum Passes {
    Nothing,
    Scalars { counts: bool },
}

/// Whether records are told apart: in answers they are, in requests not.
enum Records {
    Known,
    None,
}

struct Builder<'a> {
    program: &'a Program,
    entities: &'a Entities,
    plan: Plan,
    rows: Vec<RowTests>,
    /// The slot of each entity that was met, by index.
    met: HashMap<usize, Slot>,
    passes: Passes,
    records: Records,
    /// Which way the body goes and on which route, where it is looked through.
    searched: Option<(Way, usize)>,
    /// What is looked for in each field that was met, by entity and field.
    sought: HashMap<(usize, u16), Option<DetectId>>,
}

impl<'a> Builder<'a> {
    fn new(program: &'a Program, entities: &'a Entities) -> Self {
        Self {
            program,
            entities,
            plan: Plan::nothing(),
            rows: Vec::new(),
            met: HashMap::new(),
            passes: Passes::Nothing,
            records: Records::Known,
            searched: None,
            sought: HashMap::new(),
        }
    }

    fn finish(mut self, body: Option<&Body>) -> (Plan, Vec<RowTests>) {
        if let Some(body) = body {
            self.plan.root = self.body(&body.shape, "$");
        }
        (self.plan, self.rows)
    }

    fn body(&mut self, shape: &BodyShape, place: &str) -> Slot {
        match shape {
            BodyShape::Entity(entity) => self.entity(*entity),
            BodyShape::Pass(scalar) => match self.passes {
                Passes::Scalars { counts } if counts || !scalar.counts() => {
                    let detect = self.detection(None, None, || place.to_owned());
                    Slot { detect, ..Slot::of(Verdict::Clear) }
                }
                Passes::Scalars { .. } | Passes::Nothing => Slot::of(Verdict::Absent),
            },
            BodyShape::Array(inner) => {
                let inner = self.body(inner, &format!("{place}[]"));
                self.array(inner)
            }
            BodyShape::Object(members) => {
                let members = members.iter().map(|(name, shape)| {
                    (name.clone(), self.body(shape, &format!("{place}.{name}")))
                });
                let members: Vec<(Box<str>, Slot)> = members.collect();
                self.object(members)
            }
        }
    }

    fn array(&mut self, inner: Slot) -> Slot {
        if inner.verdict == Verdict::Absent {
            return Slot::of(Verdict::Absent);
        }
        Slot::of(self.push(Node::Array(inner)))
    }

    /// An object of which nothing passes and nothing is read does not pass itself.
    fn object(&mut self, members: Vec<(Box<str>, Slot)>) -> Slot {
        let idle = |slot: &Slot| slot.verdict == Verdict::Absent && slot.capture.is_none();
        if members.iter().all(|(_, slot)| idle(slot)) {
            return Slot::of(Verdict::Absent);
        }
        Slot::of(self.push(Node::Object(ObjectNode { members, ..ObjectNode::default() })))
    }

    fn push(&mut self, node: Node) -> Verdict {
        let Ok(index) = u32::try_from(self.plan.nodes.len()) else { return Verdict::Absent };
        self.plan.nodes.push(node);
        Verdict::Enter(NodeId(index))
    }

    /// The slot in which a record of the entity stands; built once, wherever it stands.
    fn entity(&mut self, index: usize) -> Slot {
        if let Some(slot) = self.met.get(&index) {
            return *slot;
        }
        let slot = self.record(index).unwrap_or(Slot::of(Verdict::Absent));
        self.met.insert(index, slot);
        slot
    }

    fn record(&mut self, index: usize) -> Option<Slot> {
        let entity = self.program.model.entities.get(index)?;
        let outcome = &self.entities.iter().find(|(other, _)| *other == index)?.1;
        if !outcome.is_seen() {
            return None;
        }
        let first_field = u16::try_from(self.plan.fields.len()).ok()?;
        self.plan.fields.extend(
            entity.fields.iter().map(|field| Box::from(format!("{}.{}", entity.name, field.path))),
        );
        let record = match self.records {
            Records::Known => {
                Some(self.open_record(&entity.name, entity.subject, &outcome.rows)?)
            }
            Records::None => None,
        };
        let mut built: HashMap<&[Treatment], NodeId> = HashMap::new();
        let mut cases = Vec::new();
        for treatments in &outcome.read {
            let Some(treatments) = treatments else {
                cases.push(None);
                continue;
            };
            let node = match built.get(treatments.as_slice()) {
                Some(node) => *node,
                None => {
                    let form = Form { index, first_field, treatments, slots: &outcome.rows.slots };
                    let node = self.record_node(&form, record)?;
                    built.insert(treatments, node);
                    node
                }
            };
            cases.push(Some(node));
        }
        let assumed = outcome.best_case();
        let standing = cases.get(assumed).copied().flatten()?;
        if let Some(record) = record.and_then(|id| self.plan.records.get_mut(usize::from(id.0))) {
            record.cases = cases;
            record.assumed = assumed;
        }
        Some(Slot::of(Verdict::Enter(standing)))
    }

    fn open_record(
        &mut self,
        name: &str,
        subject: Option<u16>,
        rows: &RowTests,
    ) -> Option<RecordId> {
        let id = RecordId(u16::try_from(self.plan.records.len()).ok()?);
        self.plan.records.push(RecordPlan {
            entity: name.into(),
            // The subject has the first slot.
            subject: subject.map(|_| 0),
            captures: u16::try_from(rows.slots.len()).ok()?,
            cases: vec![None],
            assumed: 0,
            taking: rows.taking(),
        });
        self.rows.push(rows.clone());
        Some(id)
    }

    fn record_node(&mut self, form: &Form<'_>, record: Option<RecordId>) -> Option<NodeId> {
        let entity = self.program.model.entities.get(form.index)?;
        let Shape::Object(members) = &entity.shape else { return None };
        let members: Vec<(Box<str>, Slot)> =
            members.iter().map(|(name, shape)| (name.clone(), self.part(shape, form))).collect();
        let unmasks = record.is_some() && unmasks(entity, form.treatments);
        match self.push(Node::Object(ObjectNode { members, record, unmasks })) {
            Verdict::Enter(node) => Some(node),
            Verdict::Absent | Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => None,
        }
    }

    fn part(&mut self, shape: &Shape, form: &Form<'_>) -> Slot {
        match shape {
            Shape::Field(field) => self.field(*field, form),
            Shape::Entity(entity) => self.entity(*entity),
            Shape::Array(inner) => {
                let inner = self.part(inner, form);
                self.array(inner)
            }
            Shape::Object(members) => {
                let members: Vec<(Box<str>, Slot)> = members
                    .iter()
                    .map(|(name, shape)| (name.clone(), self.part(shape, form)))
                    .collect();
                self.object(members)
            }
        }
    }

    fn field(&mut self, field: u16, form: &Form<'_>) -> Slot {
        let treatment =
            form.treatments.get(usize::from(field)).copied().unwrap_or(Treatment::Absent);
        let entity = self.program.model.entities.get(form.index);
        let kind = entity.and_then(|entity| entity.fields.get(usize::from(field))?.kind);
        let (verdict, kind) = match treatment {
            Treatment::Absent => (Verdict::Absent, kind),
            Treatment::Clear => (Verdict::Clear, kind),
            // A value of no known form is masked wholly.
            Treatment::Masked => (Verdict::Mask, kind.or(Some(Kind::Opaque))),
            Treatment::Pseudonym => (Verdict::Pseudonym, kind.or(Some(Kind::Opaque))),
        };
        let slot = form.slots.iter().position(|slot| *slot == field);
        let detect = match verdict {
            Verdict::Clear => self.detection_in(form.index, field),
            Verdict::Absent | Verdict::Mask | Verdict::Pseudonym | Verdict::Enter(_) => None,
        };
        Slot {
            verdict,
            capture: slot.and_then(|slot| u16::try_from(slot).ok()),
            field: form.first_field.checked_add(field).map(FieldId),
            mask: kind.map(|kind| self.program.model.masks.of(kind)),
            detect,
        }
    }

    /// What is looked for in a field; the same wherever the field stands.
    fn detection_in(&mut self, index: usize, field: u16) -> Option<DetectId> {
        if let Some(known) = self.sought.get(&(index, field)) {
            return *known;
        }
        let entity = self.program.model.entities.get(index)?;
        let described = entity.fields.get(usize::from(field))?;
        let name = || format!("{}.{}", entity.name, described.path);
        let detect = self.detection(Some((index, field)), described.kind, name);
        self.sought.insert((index, field), detect);
        detect
    }

    fn detection(
        &mut self,
        field: Option<(usize, u16)>,
        own: Option<Kind>,
        name: impl FnOnce() -> String,
    ) -> Option<DetectId> {
        let model = &self.program.model;
        let sought = model.detect.sought(self.searched?, field, own, &model.masks);
        if sought.is_empty() {
            return None;
        }
        let id = u16::try_from(self.plan.detections.len()).ok()?;
        self.plan.detections.push(Detection { name: name().into(), sought });
        Some(DetectId(id))
    }
}

/// Whether a field of a high grade stays in clear.
fn unmasks(entity: &Entity, treatments: &[Treatment]) -> bool {
    let mut fields = entity.fields.iter().zip(treatments);
    fields.any(|(field, treatment)| {
        *treatment == Treatment::Clear
            && matches!(field.grade, Grade::Open(grade) if grade >= UNMASKED_FROM)
    })
}

/// One case of one entity.
struct Form<'a> {
    index: usize,
    first_field: u16,
    treatments: &'a [Treatment],
    slots: &'a [u16],
}
