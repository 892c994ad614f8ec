//! What a compiled program comes to, spelt out: for each route, entity and field the ways in which it
//! can be had and what takes it away. The matrix and the comparison of two programs both read it.
//!
//! It decides nothing. Every struct of the model is taken apart by name, so that a new part of the
//! language does not compile until somebody has said what it means here.

mod demand;
mod detect;
mod formula;
mod matrix;
mod rule;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use demand::{Demand, OnRecords, Zones, duration};
pub(super) use detect::DetectView;
pub(super) use formula::Formula;
use formula::Names;
pub use matrix::{Cell, Entry, LimitRow, Matrix, MatrixRow, RouteRow, Selection, UnknownSelection};
pub(super) use rule::{Audience, FieldUse, RuleView, Scope, Who};
pub(super) use view::{BodyView, EntityView, FieldView, OpaqueView, Parameter, RouteView};

use super::detections::Detections;
use super::granting::described;
use super::kind::Kind;
use super::limits::{Holder, LimitSet, Limits, OffHours, Scope as LimitScope, Slice};
use super::model::{Audience as Named, Grade, LimitRule, Model, Purpose, Requirement, Role, Whose};
use super::program::Program;
use super::retention::Retention;
use super::rotation::Rotation;
use super::stricter::{Stricter, Where};
use super::two_person::each_way;

/// A program, spelt out.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) rules: Vec<RuleView>,
    pub(super) routes: Vec<RouteView>,
    pub(super) entities: BTreeMap<Box<str>, EntityView>,
    /// Each role and all that it includes, itself too.
    pub(super) roles: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// What `rank` and `external` say of each role.
    pub(super) standings: BTreeMap<Box<str>, (u8, bool)>,
    pub(super) purposes: BTreeSet<Box<str>>,
    /// What purposes ask of whom records are about.
    pub(super) consents: BTreeMap<Box<str>, super::consent::Demand>,
    /// The forms of the tickets that purposes need.
    pub(super) tickets: BTreeMap<Box<str>, Box<str>>,
    /// What each grade asks.
    grades: [Option<Demand>; 4],
    limits: Vec<LimitView>,
    /// The style in which each kind is masked.
    pub(super) styles: BTreeMap<&'static str, &'static str>,
    /// When pseudonyms change that are given for no purpose, and for each.
    pub(super) rotations: BTreeMap<Option<Box<str>>, Rotation>,
    /// What is looked for in values that are not graded for it.
    pub(super) detect: DetectView,
    /// What is looked for in what people do.
    pub(super) detections: Detections,
    /// What one person alone may not command, each way by itself.
    pub(super) two_person: BTreeSet<String>,
    /// What must be registered.
    pub(super) registered: BTreeSet<Box<str>>,
    /// The least attested level of partners.
    pub(super) partner_level: u8,
    /// What may be granted, in words.
    pub(super) grants: BTreeSet<String>,
    /// Roles that nobody holds together, two by two.
    pub(super) apart: BTreeSet<(Box<str>, Box<str>)>,
    /// How long the log is kept.
    pub(super) retention: Option<Retention>,
}

/// A limit, with everybody whom it is about.
#[derive(Debug)]
struct LimitView {
    audience: Audience,
    /// The roles that it names.
    named: Vec<Box<str>>,
    per: Whose,
    on: Slice,
    limits: Limits,
    off_hours: Option<(OffHours, Limits)>,
}

impl LimitView {
    fn of(rule: &LimitRule, model: &Model) -> Self {
        let LimitRule { to, per, on, limits, off_hours, tenant: _, span: _ } = rule;
        let roles: &[usize] = match to {
            Named::Any => &[],
            Named::Roles(roles) => roles,
        };
        let named = roles.iter().filter_map(|role| model.roles.get(*role));
        Self {
            audience: Audience::of(to, model),
            named: named.map(|role| role.name.clone()).collect(),
            per: *per,
            on: on.clone(),
            limits: limits.clone(),
            off_hours: off_hours.clone(),
        }
    }
}

impl Survey {
    /// Spells out a program. `roles` tells what `caller.roles` holds from what it holds elsewhere.
    pub(super) fn of(program: &Program, roles: &str) -> Self {
        let Model {
            grades,
            purposes,
            entities,
            routes: _,
            roles: defined,
            rules,
            limits,
            masks,
            pseudonyms,
            detect,
            two_person,
            two_person_at: _,
            registered,
            partner_level,
            grants: _,
            apart: _,
            detections,
            tenant_files: _,
            tenants: stricter,
            retention,
            tenant_retention: _,
        } = &program.model;
        let rotation = |purpose: &Purpose| {
            let rotation = purpose.pseudonyms.as_ref().unwrap_or(pseudonyms);
            (Some(purpose.name.clone()), rotation.clone())
        };
        Self {
            rules: rules.iter().map(|rule| RuleView::of(rule, &program.model, roles)).collect(),
            routes: program.routes.iter().map(|route| RouteView::of(route, program)).collect(),
            entities: entities
                .iter()
                .map(|entity| (entity.name.clone(), EntityView::of(entity, &program.model, roles)))
                .collect(),
            roles: role_sets(program),
            standings: defined.iter().map(standing).collect(),
            purposes: purposes.iter().map(|purpose| purpose.name.clone()).collect(),
            consents: purposes.iter().filter_map(consent).collect(),
            tickets: purposes.iter().filter_map(ticket).collect(),
            grades: demands_of(grades, stricter),
            limits: limits.iter().map(|rule| LimitView::of(rule, &program.model)).collect(),
            styles: Kind::NAMES
                .iter()
                .map(|(name, kind)| (*name, masks.of(*kind).style().name()))
                .collect(),
            rotations: [(None, pseudonyms.clone())]
                .into_iter()
                .chain(purposes.iter().map(rotation))
                .collect(),
            detect: DetectView::of(detect, program),
            two_person: each_way(two_person),
            registered: registered.iter().cloned().collect(),
            partner_level: *partner_level,
            grants: described(&program.model),
            apart: program.model.apart_pairs(),
            detections: detections.clone(),
            retention: *retention,
        }
    }

    /// What a field of this grade asks of who sees it in clear.
    pub(super) fn grade(&self, grade: Grade) -> Demand {
        let number = match grade {
            Grade::Open(number) => usize::from(number),
            Grade::Sealed | Grade::Ungraded => 0,
        };
        let asked = number.checked_sub(1).and_then(|at| self.grades.get(at));
        asked.cloned().flatten().unwrap_or_else(Demand::impossible)
    }

    /// The limits of who holds this role alone.
    pub(super) fn limits(&self, who: &Who) -> LimitSet {
        let mut set = LimitSet::default();
        let held = match who {
            Who::Any => None,
            Who::Role(name) => self.roles.get(name),
        };
        for view in self.limits.iter().filter(|view| view.audience.includes(who)) {
            let LimitView { audience: _, named, per, on, limits, off_hours } = view;
            let mut add = |holder: Holder| {
                let scope =
                    |off_hours| LimitScope { holder: holder.clone(), slice: on.clone(), off_hours };
                set.add(scope(None), limits);
                if let Some((hours, stricter)) = off_hours {
                    set.add(scope(Some(hours.clone())), stricter);
                }
            };
            match per {
                Whose::Person => add(Holder::Person),
                Whose::Tenant => add(Holder::Tenant),
                Whose::Partner => add(Holder::Partner),
                Whose::Role => {
                    let mine = named.iter().map(AsRef::as_ref);
                    let mine = mine.filter(|name: &&str| held.is_some_and(|h| h.contains(*name)));
                    mine.for_each(|name| add(Holder::Role(name.into())));
                }
            }
        }
        set
    }

    /// The rules that cover a route.
    pub(super) fn rules_of<'a>(
        &'a self,
        route: &'a RouteView,
    ) -> impl Iterator<Item = &'a RuleView> {
        route.rules.iter().filter_map(|index| self.rules.get(*index))
    }

    pub(super) fn field(&self, entity: &str, path: &str) -> Option<&FieldView> {
        self.entities.get(entity)?.fields.get(path)
    }

    /// What a caller must prove to get from a rule on a route what it names of an entity.
    pub(super) fn demand(
        &self,
        route: &RouteView,
        rule: &RuleView,
        clear_field: Option<(&str, &str)>,
    ) -> Demand {
        let demand = rule.require.and(&route.require);
        // What passes unread cannot be masked: its grade is met or nothing passes.
        let demand = match &route.opaque {
            Some(opaque) => demand.and(&self.grade(Grade::Open(opaque.grade))),
            None => demand,
        };
        match clear_field {
            Some((entity, path)) => {
                let grade = self.field(entity, path).map_or(Grade::Sealed, |field| field.grade);
                demand.and(&self.grade(grade))
            }
            None => demand,
        }
    }

    /// What records of an entity ask for, of what a rule gives of them or of one field, in clear or to be written.
    pub(super) fn on_records(
        &self,
        route: &RouteView,
        rule: &RuleView,
        (entity, path): (&str, Option<&str>),
    ) -> Demand {
        let is_meant = |fields: &Option<BTreeSet<Box<str>>>| match fields {
            // A file cannot be told apart by its fields.
            Some(fields) if route.opaque.is_none() => {
                path.is_some_and(|path| fields.contains(path))
            }
            Some(_) | None => true,
        };
        let factors = self.entities.get(entity).map_or(&[][..], |entity| &entity.factors);
        let factors = factors.iter().filter(|(_, fields)| is_meant(fields));
        let factors = factors.map(|(factor, _)| factor).chain(&rule.factor);
        Demand { on_records: factors.cloned().collect(), ..Demand::default() }
    }

    /// Whether any rule lets anybody use the route.
    pub(super) fn opens(&self, route: &RouteView) -> bool {
        self.rules_of(route).any(|rule| rule.opens(route))
    }
}

/// What each grade asks of the callers whom the survey is about.
fn demands_of(grades: &[Option<Requirement>; 4], stricter: &[Stricter]) -> [Option<Demand>; 4] {
    let mut number = 0;
    grades.each_ref().map(|grade| {
        number += 1;
        grade.as_ref().map(|grade| and_at(Demand::from(grade), stricter, Where::Grade(number)))
    })
}

/// The same with what a tenant asks there.
fn and_at(demand: Demand, stricter: &[Stricter], place: Where) -> Demand {
    let here = stricter.iter().filter(|one| one.at == place);
    here.fold(demand, |demand, one| demand.and(&Demand::from(&one.require)))
}

/// The roles of a program and all that each includes.
pub(super) fn role_sets(program: &Program) -> BTreeMap<Box<str>, BTreeSet<Box<str>>> {
    let roles = &program.model.roles;
    let name = |index: &usize| roles.get(*index).map(|role| role.name.clone());
    roles
        .iter()
        .map(|role| (role.name.clone(), role.held.iter().filter_map(name).collect()))
        .collect()
}

fn ticket(purpose: &Purpose) -> Option<(Box<str>, Box<str>)> {
    let Purpose { name, ticket, consent: _, pseudonyms: _ } = purpose;
    ticket.as_ref().map(|form| (name.clone(), form.as_str().into()))
}

fn consent(purpose: &Purpose) -> Option<(Box<str>, super::consent::Demand)> {
    Some((purpose.name.clone(), purpose.consent.clone()?))
}

fn standing(role: &Role) -> (Box<str>, (u8, bool)) {
    let Role { name, held: _, rank, external, span: _ } = role;
    (name.clone(), (*rank, *external))
}
