//! Whether what a rule gives in one program was given in the other: for each role that it is about
//! and each purpose, by one rule that is about the same role and purpose and asks no more.

use std::collections::BTreeSet;

use super::super::model::Grade;
use super::super::survey::{
    Demand, FieldUse, Formula, RouteView, RuleView, Scope, Survey, Who, Zones,
};

/// A program as it stands on one route; without a route, nothing is published there.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) survey: &'a Survey,
    pub(super) route: Option<&'a RouteView>,
}

/// What a rule that allows gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item<'a> {
    /// The use of the route.
    Route,
    /// That a record of the entity exists, and to act on it.
    Records(&'a str),
    /// A field of the entity.
    Field(&'a str, &'a str, FieldUse),
}

/// How a request stands to purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose<'a> {
    /// Whatever is declared, or nothing.
    Any,
    /// This one is declared.
    Of(&'a str),
    /// Nothing is declared.
    Undeclared,
}

/// Why something is not given in the other program.
#[derive(Clone, Debug)]
pub(super) enum Cause<'a> {
    /// Nothing like it is there.
    Nothing,
    /// It is, for certain purposes only.
    Purposes(&'a RuleView),
    /// It is, but asks for this.
    Demand(Demand),
    /// It is, under other conditions.
    Condition(&'a RuleView),
}

/// Something that one program gives and the other does not.
#[derive(Clone, Debug)]
pub(super) struct Gap<'a> {
    pub(super) who: Who,
    /// None: whatever is declared.
    pub(super) purposes: BTreeSet<&'a str>,
    pub(super) rule: &'a RuleView,
    pub(super) item: Item<'a>,
    pub(super) demand: Demand,
    pub(super) cause: Cause<'a>,
}

impl<'a> Side<'a> {
    pub(super) fn rules(self) -> impl Iterator<Item = &'a RuleView> {
        self.route.into_iter().flat_map(move |route| self.survey.rules_of(route))
    }

    pub(super) fn allowing(self, entity: &str) -> impl Iterator<Item = &'a RuleView> {
        self.rules().filter(move |rule| rule.allows && rule.is_of(entity))
    }

    pub(super) fn opens(self) -> bool {
        self.route.is_some_and(|route| self.survey.opens(route))
    }

    /// What the rule asks for this, in these zones.
    fn demand(self, rule: &RuleView, item: &Item<'_>, zones: &Zones) -> Demand {
        let Some(route) = self.route else { return Demand::impossible() };
        let clear = match item {
            Item::Field(entity, path, FieldUse::Clear) => Some((*entity, *path)),
            Item::Field(_, _, FieldUse::Masked | FieldUse::Pseudonym | FieldUse::Write)
            | Item::Route
            | Item::Records(_) => None,
        };
        let about = match item {
            Item::Field(entity, path, FieldUse::Clear | FieldUse::Write) => {
                Some((*entity, Some(*path)))
            }
            Item::Field(entity, ..) | Item::Records(entity) => Some((*entity, None)),
            // Where a file passes unread, what a record asks for decides whether it does.
            Item::Route => {
                rule.of.as_deref().filter(|_| route.opaque.is_some()).map(|of| (of, None))
            }
        };
        let on_records = about.map(|about| self.survey.on_records(route, rule, about));
        let zones = Demand { zones: zones.clone(), ..Demand::default() };
        self.survey.demand(route, rule, clear).and(&on_records.unwrap_or_default()).and(&zones)
    }

    /// The rules that give it or more, with the use that does.
    fn giving<'i>(self, item: &Item<'i>) -> Vec<(&'a RuleView, Item<'i>)> {
        let Some(route) = self.route else { return Vec::new() };
        let rules = self.rules().filter(|rule| rule.allows);
        match item {
            Item::Route => {
                rules.filter(|rule| rule.opens(route)).map(|rule| (rule, Item::Route)).collect()
            }
            Item::Records(entity) => rules
                .filter(|rule| rule.is_of(entity))
                .map(|rule| (rule, Item::Records(entity)))
                .collect(),
            Item::Field(entity, path, usage) => {
                if self.is_sealed(entity, path) {
                    return Vec::new();
                }
                let enough = match usage {
                    FieldUse::Clear => &[FieldUse::Clear][..],
                    FieldUse::Masked => &[FieldUse::Masked, FieldUse::Clear],
                    FieldUse::Pseudonym => &[FieldUse::Pseudonym, FieldUse::Clear],
                    FieldUse::Write => &[FieldUse::Write],
                };
                let of: Vec<&RuleView> = rules.filter(|rule| rule.is_of(entity)).collect();
                let named = |usage: FieldUse| {
                    let naming = of.iter().filter(move |rule| rule.fields(usage).contains(*path));
                    naming.map(move |rule| (*rule, Item::Field(entity, path, usage)))
                };
                enough.iter().flat_map(|usage| named(*usage)).collect()
            }
        }
    }

    pub(super) fn is_sealed(self, entity: &str, path: &str) -> bool {
        self.survey.field(entity, path).is_none_or(|field| !field.grade.is_open())
    }

    /// Whether a rule that denies whatever the conditions takes it from everybody of that standing.
    fn is_blocked(self, who: &Who, purpose: Purpose<'_>, item: &Item<'_>) -> bool {
        let Some(route) = self.route else { return true };
        self.rules().any(|rule| {
            let hits = match (rule.takes(route), item) {
                (Some(Scope::Action), _) => true,
                (Some(Scope::Records), Item::Records(entity) | Item::Field(entity, ..)) => {
                    rule.is_of(entity)
                }
                (Some(Scope::Fields), Item::Field(entity, path, usage)) => {
                    rule.is_of(entity) && takes_field(rule, path, *usage)
                }
                (Some(Scope::Records), Item::Route)
                | (Some(Scope::Fields), Item::Route | Item::Records(_))
                | (None, _) => false,
            };
            hits && rule.row.is_none()
                && rule.when.is_none()
                && rule.audience.includes(who)
                && denies_for(rule, purpose, self.survey)
        })
    }

    /// What this side gives, rule by rule.
    fn items(self, rule: &'a RuleView) -> Vec<Item<'a>> {
        let Some(route) = self.route else { return Vec::new() };
        let mut items = Vec::new();
        items.extend(rule.opens(route).then_some(Item::Route));
        let Some(entity) =
            rule.of.as_deref().filter(|of| route.entities.iter().any(|e| **e == **of))
        else {
            return items;
        };
        items.push(Item::Records(entity));
        for usage in FieldUse::ALL {
            let placed = if usage.reads() {
                route.returned.contains(entity)
            } else {
                route.accepts.is_some()
            };
            let named = rule.fields(usage).iter().filter(|path| !self.is_sealed(entity, path));
            items.extend(named.filter(|_| placed).map(|path| Item::Field(entity, path, usage)));
        }
        items
    }
}

/// Whether a rule that denies takes this use of a field away.
pub(super) fn takes_field(rule: &RuleView, path: &str, usage: FieldUse) -> bool {
    if usage.reads() { rule.reads(path) } else { rule.fields(FieldUse::Write).contains(path) }
}

/// Whether a rule that denies hits every request that stands so: who declares nothing is always hit.
pub(super) fn denies_for(rule: &RuleView, purpose: Purpose<'_>, survey: &Survey) -> bool {
    rule.purposes.is_empty()
        || match purpose {
            Purpose::Any => survey.purposes.is_subset(&rule.purposes),
            Purpose::Of(name) => rule.purposes.contains(name),
            Purpose::Undeclared => true,
        }
}

/// Whether a condition of a rule that allows holds wherever another does.
pub(super) fn implies(mine: Option<&Formula>, theirs: Option<&Formula>) -> bool {
    match (mine, theirs) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(mine), Some(theirs)) => mine.form.implies(&theirs.form),
    }
}

/// Everything that `mine` gives in these zones and that `theirs` does not.
pub(super) fn gaps<'a>(mine: Side<'a>, theirs: Side<'a>, zones: &Zones) -> Vec<Gap<'a>> {
    let mut gaps = Vec::new();
    if !mine.opens() {
        return gaps;
    }
    for rule in mine.rules().filter(|rule| rule.allows) {
        if is_given_alike(mine, theirs, rule) {
            continue;
        }
        for item in mine.items(rule) {
            for who in rule.audience.parts() {
                gaps_of(mine, theirs, rule, &item, &who, zones, &mut gaps);
            }
        }
    }
    gaps
}

/// The short way for most rules of most policies: the same rule where everything else is the same too.
fn is_given_alike(mine: Side<'_>, theirs: Side<'_>, rule: &RuleView) -> bool {
    let (Some(route), Some(other)) = (mine.route, theirs.route) else { return false };
    let entity = rule.of.as_deref();
    let same_fields = entity
        .is_none_or(|name| mine.survey.entities.get(name) == theirs.survey.entities.get(name));
    let same_grades =
        (1..=4).map(Grade::Open).all(|g| mine.survey.grade(g) == theirs.survey.grade(g));
    let same_route =
        route.require == other.require && route.opaque == other.opaque && route.main == other.main;
    same_fields
        && same_grades
        && same_route
        && theirs.rules().any(|other| other.says_the_same_as(rule))
}

fn gaps_of<'a>(
    mine: Side<'a>,
    theirs: Side<'a>,
    rule: &'a RuleView,
    item: &Item<'a>,
    who: &Who,
    zones: &Zones,
    found: &mut Vec<Gap<'a>>,
) {
    let demand = mine.demand(rule, item, zones);
    if demand.is_impossible() {
        return;
    }
    let known = rule.purposes.iter().filter(|name| mine.survey.purposes.contains(*name));
    let mut purposes: Vec<Purpose<'a>> = known.map(|name| Purpose::Of(name)).collect();
    if rule.purposes.is_empty() {
        purposes.push(Purpose::Any);
    }
    for purpose in purposes {
        if mine.is_blocked(who, purpose, item) {
            continue;
        }
        let Some(cause) = cause(rule, &demand, (who, purpose, item), theirs, zones) else {
            continue;
        };
        let names = match purpose {
            Purpose::Of(name) => BTreeSet::from([name]),
            Purpose::Any | Purpose::Undeclared => BTreeSet::new(),
        };
        let alike = |gap: &&mut Gap<'a>| {
            gap.rule == rule && gap.item == *item && gap.who == *who && gap.cause.is_like(&cause)
        };
        match found.iter_mut().rev().find(alike) {
            Some(gap) => gap.purposes.extend(names),
            None => found.push(Gap {
                who: who.clone(),
                purposes: names,
                rule,
                item: item.clone(),
                demand: demand.clone().beyond(zones),
                cause,
            }),
        }
    }
}

/// Why the other side does not give it; `None` where it does.
fn cause<'a>(
    rule: &RuleView,
    demand: &Demand,
    (who, purpose, item): (&Who, Purpose<'_>, &Item<'_>),
    theirs: Side<'a>,
    zones: &Zones,
) -> Option<Cause<'a>> {
    let mut best = Cause::Nothing;
    for (other, given) in theirs.giving(item).into_iter().filter(|(o, _)| o.audience.includes(who))
    {
        let for_purpose = other.purposes.is_empty()
            || matches!(purpose, Purpose::Of(name) if other.purposes.contains(name));
        // Row conditions do not decide whether a route is used.
        let row = matches!(item, Item::Route) || implies(rule.row.as_ref(), other.row.as_ref());
        let holds = row && implies(rule.when.as_ref(), other.when.as_ref());
        let asked = theirs.demand(other, &given, zones);
        let found = match (for_purpose, holds, demand.implies(&asked)) {
            (true, true, true) => return None,
            (true, true, false) if asked.is_impossible() => Cause::Nothing,
            (true, true, false) => Cause::Demand(asked.beyond(zones)),
            (true, false, _) => Cause::Condition(other),
            (false, ..) => Cause::Purposes(other),
        };
        if found.rank() > best.rank() {
            best = found;
        }
    }
    Some(best)
}

impl Cause<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Purposes(_) => 1,
            Self::Condition(_) => 2,
            Self::Demand(_) => 3,
        }
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::Purposes(mine), Self::Purposes(theirs))
            | (Self::Condition(mine), Self::Condition(theirs)) => mine == theirs,
            (Self::Demand(mine), Self::Demand(theirs)) => mine == theirs,
            (Self::Nothing | Self::Purposes(_) | Self::Condition(_) | Self::Demand(_), _) => false,
        }
    }
}
