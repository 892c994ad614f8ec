//! Who sees what: for each role, entity and field what each action gives, and on which conditions.
//!
//! A summary for people, role by role. Whoever holds several roles gets what all of them give, less
//! what a rule that denies takes from any of them, within the strictest limits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::limits::{Export, Limits, Rate, Scoped, Window};
use super::super::model::{Action, Grade};
use super::super::program::Program;
use super::{Demand, FieldUse, Parameter, RouteView, RuleView, Scope, Survey, Who, duration};

/// What a matrix is narrowed to; `None` is everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// One role, or `any` for a caller without one.
    pub role: Option<String>,
    /// One entity.
    pub entity: Option<String>,
    /// One action.
    pub action: Option<Action>,
    /// The tenant of the callers, if it has a file of its own.
    pub tenant: Option<String>,
}

/// Why a selection selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSelection {
    /// No such role.
    #[error("unknown role `{name}`; the policy defines {known}, and `any` is who has none")]
    Role {
        /// As asked.
        name: String,
        /// What there is.
        known: String,
    },
    /// No tenant of this name has a file of its own.
    #[error("no file is of tenant `{name}`; there are files of {known}")]
    Tenant {
        /// As asked.
        name: String,
        /// What there is.
        known: String,
    },
    /// No such entity.
    #[error("unknown entity `{name}`; the policy defines {known}")]
    Entity {
        /// As asked.
        name: String,
        /// What there is.
        known: String,
    },
}

/// The whole table.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// A row for each role, entity and field, of entities of which the role gets anything.
    pub rows: Vec<MatrixRow>,
    /// The routes that a role may use.
    pub routes: Vec<RouteRow>,
    /// The limits of each role.
    pub limits: Vec<LimitRow>,
    /// Conditions; entries name them by number, from 1.
    pub notes: Vec<String>,
}

/// One field for one role.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixRow {
    /// The role, or `any`.
    pub role: String,
    /// The entity.
    pub entity: String,
    /// The field.
    pub field: String,
    /// `1` to `4`, `sealed` or `ungraded`.
    pub grade: String,
    /// The kind, which chooses the mask.
    pub kind: Option<&'static str>,
    /// A cell for each action that any route has on the entity.
    pub cells: Vec<Cell>,
}

/// What one action gives of a field; nothing if it has no entries.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The action's name.
    pub action: &'static str,
    /// From most to least.
    pub entries: Vec<Entry>,
}

/// One form of a field.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// `clear`, `masked`, `pseudonym` or `write`.
    pub form: &'static str,
    /// On one of these conditions; always, if there is none.
    pub notes: Vec<usize>,
}

/// A route that a role may use.
#[derive(Clone, Debug, Serialize)]
pub struct RouteRow {
    /// The role, or `any`.
    pub role: String,
    /// The route.
    pub route: String,
    /// Method, host and path.
    pub request: String,
    /// The action's name.
    pub action: &'static str,
    /// On one of these conditions.
    pub notes: Vec<usize>,
    /// The query parameters that may be used where all the role's rules apply.
    pub parameters: Vec<String>,
}

/// The limits of a role.
#[derive(Clone, Debug, Serialize)]
pub struct LimitRow {
    /// The role, or `any`.
    pub role: String,
    /// In words; none if nothing is limited.
    pub limits: Vec<String>,
}

impl Program {
    /// Who sees what.
    ///
    /// # Errors
    /// [`UnknownSelection`] if the policy does not define what is selected.
    pub fn matrix(&self, selection: &Selection) -> Result<Matrix, UnknownSelection> {
        let tenants: BTreeSet<&str> = self.tenants().collect();
        let tenant = selection.tenant.as_deref();
        if let Some(name) = tenant.filter(|name| !tenants.contains(name)) {
            let known = match tenants.is_empty() {
                true => "none".to_owned(),
                false => tenants.into_iter().collect::<Vec<_>>().join(", "),
            };
            return Err(UnknownSelection::Tenant { name: name.to_owned(), known });
        }
        let survey = Survey::of(&self.as_for(tenant), "");
        let callers = callers(&survey, selection.role.as_deref())?;
        check_entity(&survey, selection.entity.as_deref())?;
        let mut writer = Writer { survey: &survey, selection, notes: Vec::new() };
        let (mut rows, mut routes, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for who in &callers {
            for entity in survey.entities.keys().filter(|name| selects(&selection.entity, name)) {
                rows.extend(writer.rows(who, entity));
            }
            routes.extend(writer.routes(who));
            let words = survey.limits(who).iter().flat_map(scoped_words).collect();
            limits.push(LimitRow { role: who.to_string(), limits: words });
        }
        Ok(Matrix { rows, routes, limits, notes: writer.notes })
    }
}

fn selects(selected: &Option<String>, name: &str) -> bool {
    selected.as_ref().is_none_or(|selected| *selected == *name)
}

fn callers(survey: &Survey, selected: Option<&str>) -> Result<Vec<Who>, UnknownSelection> {
    let all = survey.roles.keys().cloned().map(Who::Role);
    let callers: Vec<Who> = std::iter::once(Who::Any)
        .chain(all)
        .filter(|who| selected.is_none_or(|selected| who.to_string() == selected))
        .collect();
    match selected {
        Some(name) if callers.is_empty() => {
            Err(UnknownSelection::Role { name: name.to_owned(), known: known(survey.roles.keys()) })
        }
        _ => Ok(callers),
    }
}

fn check_entity(survey: &Survey, selected: Option<&str>) -> Result<(), UnknownSelection> {
    match selected {
        Some(name) if !survey.entities.contains_key(name) => Err(UnknownSelection::Entity {
            name: name.to_owned(),
            known: known(survey.entities.keys()),
        }),
        _ => Ok(()),
    }
}

fn known<'n>(names: impl Iterator<Item = &'n Box<str>>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

struct Writer<'a> {
    survey: &'a Survey,
    selection: &'a Selection,
    notes: Vec<String>,
}

/// By condition, the routes on which it is the condition.
type Ways = BTreeMap<String, BTreeSet<Box<str>>>;

impl Writer<'_> {
    fn rows(&mut self, who: &Who, entity: &str) -> Vec<MatrixRow> {
        let Some(view) = self.survey.entities.get(entity) else { return Vec::new() };
        let mut rows = Vec::new();
        for path in &view.order {
            let Some(field) = view.fields.get(path) else { continue };
            rows.push(MatrixRow {
                role: who.to_string(),
                entity: entity.to_owned(),
                field: path.to_string(),
                grade: match field.grade {
                    Grade::Open(number) => number.to_string(),
                    Grade::Sealed => "sealed".to_owned(),
                    Grade::Ungraded => "ungraded".to_owned(),
                },
                kind: field.kind.map(super::super::Kind::name),
                cells: self.cells(who, entity, path, !field.grade.is_open()),
            });
        }
        let is_seen = rows.iter().any(|row| row.cells.iter().any(|cell| !cell.entries.is_empty()));
        if is_seen { rows } else { Vec::new() }
    }

    fn cells(&mut self, who: &Who, entity: &str, path: &str, is_sealed: bool) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (name, action) in Action::NAMES {
            let selected = self.selection.action.is_none_or(|selected| selected == *action);
            let holds = |route: &&RouteView| {
                route.action == *action && route.entities.iter().any(|e| **e == *entity)
            };
            let routes: Vec<&RouteView> = self.survey.routes.iter().filter(holds).collect();
            if !selected || routes.is_empty() {
                continue;
            }
            let mut entries = Vec::new();
            for usage in FieldUse::ALL.into_iter().filter(|_| !is_sealed) {
                let mut ways = Ways::new();
                for route in &routes {
                    for way in self.ways(who, route, entity, path, usage) {
                        ways.entry(way).or_default().insert(route.name.clone());
                    }
                }
                if !ways.is_empty() {
                    entries
                        .push(Entry { form: word(usage), notes: self.number(ways, routes.len()) });
                }
            }
            cells.push(Cell { action: name, entries });
        }
        cells
    }

    /// The conditions on which a caller gets the field in this form on the route, one for each rule.
    fn ways(
        &self,
        who: &Who,
        route: &RouteView,
        entity: &str,
        path: &str,
        usage: FieldUse,
    ) -> Vec<String> {
        let placed =
            if usage.reads() { route.returned.contains(entity) } else { route.accepts.is_some() };
        if !placed || !self.survey.rules_of(route).any(|rule| self.lets_in(rule, who, route)) {
            return Vec::new();
        }
        let hits = |rule: &RuleView| match rule.takes(route) {
            Some(Scope::Action) => true,
            Some(Scope::Records) => rule.is_of(entity),
            Some(Scope::Fields) if usage.reads() => rule.is_of(entity) && rule.reads(path),
            Some(Scope::Fields) => rule.is_of(entity) && rule.fields(usage).contains(path),
            None => false,
        };
        let Some(taken) = self.taken(who, route, hits) else { return Vec::new() };
        let rules = self.survey.rules_of(route).filter(|rule| rule.allows && rule.is_of(entity));
        rules
            .filter(|rule| rule.audience.includes(who) && rule.fields(usage).contains(path))
            .filter_map(|rule| {
                let clear = (usage == FieldUse::Clear).then_some((entity, path));
                let is_kept_back = matches!(usage, FieldUse::Clear | FieldUse::Write);
                let about = (entity, is_kept_back.then_some(path));
                let demand = self.survey.demand(route, rule, clear);
                let demand = demand.and(&self.survey.on_records(route, rule, about));
                self.condition(rule, &demand, true, &taken)
            })
            .collect()
    }

    fn lets_in(&self, rule: &RuleView, who: &Who, route: &RouteView) -> bool {
        rule.opens(route) && rule.audience.includes(who)
    }

    /// What rules take away from this caller, in words; `None` if they take all of it, always.
    fn taken(
        &self,
        who: &Who,
        route: &RouteView,
        hits: impl Fn(&RuleView) -> bool,
    ) -> Option<Vec<String>> {
        let rules = self.survey.rules_of(route);
        let rules = rules.filter(|rule| hits(rule) && rule.audience.includes(who));
        let mut taken = Vec::new();
        for rule in rules {
            let mut parts = Vec::new();
            parts.extend(rule.row.as_ref().map(|row| format!("where {}", row.text())));
            parts.extend(rule.when.as_ref().map(|when| format!("when {}", when.text())));
            if !rule.purposes.is_empty() {
                parts.push(format!("for {} or without a purpose", listed(&rule.purposes)));
            }
            if parts.is_empty() {
                return None;
            }
            taken.push(format!("not {} ({})", parts.join(" and "), rule.name));
        }
        Some(taken)
    }

    /// What a rule asks, in words; `None` if nobody can meet it.
    fn condition(
        &self,
        rule: &RuleView,
        demand: &Demand,
        with_row: bool,
        taken: &[String],
    ) -> Option<String> {
        if demand.is_impossible() {
            return None;
        }
        let mut parts = Vec::new();
        let row = rule.row.as_ref().filter(|_| with_row);
        parts.extend(row.map(|row| format!("only records where {}", row.text())));
        parts.extend(rule.when.as_ref().map(|when| format!("only when {}", when.text())));
        if !rule.purposes.is_empty() {
            parts.push(format!("for {}", listed(&rule.purposes)));
        }
        let words = demand.words();
        if !words.is_empty() {
            parts.push(format!("asks {words}"));
        }
        parts.extend(taken.iter().cloned());
        Some(parts.join("; "))
    }

    /// The numbers of the conditions. One that always holds leaves no other.
    fn number(&mut self, ways: Ways, routes: usize) -> Vec<usize> {
        if ways.get("").is_some_and(|on| on.len() == routes) {
            return Vec::new();
        }
        let mut numbers = Vec::new();
        for (condition, on) in ways {
            let names: Vec<&str> = on.iter().map(AsRef::as_ref).collect();
            let note = match (condition.as_str(), on.len() == routes) {
                ("", _) => format!("on {}", names.join(", ")),
                (_, true) => condition,
                (_, false) => format!("on {}: {condition}", names.join(", ")),
            };
            numbers.push(self.note(note));
        }
        numbers
    }

    fn note(&mut self, note: String) -> usize {
        // Names come from files: nothing in them may steer a terminal.
        let note: String = note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let at = self.notes.iter().position(|other| *other == note).unwrap_or_else(|| {
            self.notes.push(note);
            self.notes.len() - 1
        });
        at + 1
    }

    fn routes(&mut self, who: &Who) -> Vec<RouteRow> {
        let survey = self.survey;
        let mut rows = Vec::new();
        for route in &survey.routes {
            let entity = &self.selection.entity;
            let of_entity = entity.is_none() || route.entities.iter().any(|e| selects(entity, e));
            let of_action = self.selection.action.is_none_or(|action| action == route.action);
            let taken = self.taken(who, route, |rule| rule.takes(route) == Some(Scope::Action));
            let Some(taken) = taken.filter(|_| of_entity && of_action) else { continue };
            let opening = survey.rules_of(route).filter(|rule| self.lets_in(rule, who, route));
            let ways: BTreeSet<String> = opening
                .filter_map(|rule| {
                    let demand = survey.demand(route, rule, None);
                    let here = Demand { zones: route.zones.clone(), ..Demand::default() };
                    self.condition(rule, &demand.and(&here), false, &taken)
                })
                .collect();
            if ways.is_empty() {
                continue;
            }
            let notes = if ways.contains("") {
                Vec::new()
            } else {
                ways.into_iter().map(|way| self.note(way)).collect()
            };
            let usable = |parameter: &Parameter| self.is_usable(who, route, parameter);
            // A path that searches is open only to who may search by it.
            if !route.path.values().all(&usable) {
                continue;
            }
            let parameters = route.query.iter().filter(|(_, parameter)| usable(parameter));
            rows.push(RouteRow {
                role: who.to_string(),
                route: route.name.to_string(),
                request: route.request.to_string(),
                action: route.action.name(),
                notes,
                parameters: parameters.map(|(name, _)| name.to_string()).collect(),
            });
        }
        rows
    }

    /// A field may be searched by who sees it in clear on every record.
    fn is_usable(&self, who: &Who, route: &RouteView, parameter: &Parameter) -> bool {
        let Parameter::Field { entity, path, at_least: _ } = parameter else { return true };
        let rules: Vec<&RuleView> = self
            .survey
            .rules_of(route)
            .filter(|rule| rule.is_of(entity) && rule.audience.includes(who))
            .collect();
        let clear = |rule: &RuleView| rule.fields(FieldUse::Clear).contains(path);
        let is_taken = rules.iter().any(|rule| !rule.allows && rule.reads(path));
        let mut shown = rules.iter().filter(|rule| rule.allows).peekable();
        let is_shown = shown.peek().is_some()
            && (shown.clone().any(|rule| clear(rule) && rule.row.is_none())
                || shown.all(|rule| clear(rule)));
        is_shown && !is_taken
    }
}

fn word(usage: FieldUse) -> &'static str {
    match usage {
        FieldUse::Clear => "clear",
        FieldUse::Masked => "masked",
        FieldUse::Pseudonym => "pseudonym",
        FieldUse::Write => "write",
    }
}

fn listed(names: &BTreeSet<Box<str>>) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

fn scoped_words(scoped: &Scoped) -> Vec<String> {
    let Scoped { scope, limits } = scoped;
    words(limits).iter().map(|limit| format!("{limit}{scope}")).collect()
}

fn words(limits: &Limits) -> Vec<String> {
    let Limits {
        rate,
        requests,
        concurrent,
        page,
        records,
        subjects,
        kibibytes,
        unmask,
        files,
        zero_hits,
        export,
        refuse_whole,
        denies_when_lost,
    } = limits;
    let mut parts = Vec::new();
    parts.extend(rate.map(|Rate { count, per_s, burst }| {
        format!("{count} requests in {}, bursts of {burst}", duration(per_s))
    }));
    parts.extend(concurrent.map(|count| format!("{count} requests under way")));
    parts.extend(page.map(|count| format!("{count} records on a page")));
    match export {
        Export::None => parts.push("no export".to_owned()),
        Export::Bounded { rows, needs_grant } => {
            parts.extend(rows.map(|count| format!("{count} records in an export")));
            parts.extend(needs_grant.then(|| "exports with a grant".to_owned()));
        }
    }
    parts.extend(refuse_whole.then(|| "answers that reach a limit are refused whole".to_owned()));
    for (windows, what) in [
        (requests, "requests"),
        (records, "records"),
        (subjects, "people"),
        (unmask, "people unmasked"),
        (files, "files"),
        (zero_hits, "searches that found nobody"),
        (kibibytes, "KiB"),
    ] {
        parts.extend(windows.iter().map(|Window { per, count }| format!("{count} {what} {per}")));
    }
    parts.extend(denies_when_lost.then(|| "nothing while the shared store is lost".to_owned()));
    parts
}
