//! Where taking away gives: a rule that is gone may open a search, let a count pass, leave a record
//! untested, or bring a caller below the number of row conditions that a decision can hold.
//!
//! What a caller may search depends on all rules that show records at once: a field may be searched only
//! if every record that can be seen shows it in clear. So fewer rules may mean more searches.

use std::collections::BTreeSet;

use super::super::rows::ROW_TEST_LIMIT;
use super::super::survey::{FieldUse, Parameter, RouteView, RuleView};
use super::cover::{Cause, Gap, Item, Purpose, Side, denies_for, implies};
use super::taken::follows;
use super::{Change, Class};

/// Both programs on one route, and what the new one gives that the old one does not.
pub(super) struct Hidden<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    pub(super) before: &'a RouteView,
    pub(super) after: &'a RouteView,
    pub(super) gains: &'a [Gap<'a>],
}

impl Hidden<'_> {
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes = self.too_many_conditions();
        changes.extend(self.counts());
        changes.extend(self.untested());
        for (name, parameter) in &self.after.query {
            changes.extend(self.parameter(name, parameter));
        }
        changes.extend(self.path());
        changes
    }

    fn change(&self, class: Class, sentence: String) -> Change {
        Change::of(class, sentence).on(&self.after.name)
    }

    /// Whether both programs have the same rules about an entity here, and say the same of its fields.
    fn is_same(&self, entity: &str) -> bool {
        let within = |mine: Side<'_>, theirs: Side<'_>| {
            mine.rules()
                .filter(|rule| rule.is_of(entity))
                .all(|rule| theirs.rules().any(|other| other.says_the_same_as(rule)))
        };
        within(self.old, self.new)
            && within(self.new, self.old)
            && self.old.survey.entities.get(entity) == self.new.survey.entities.get(entity)
    }

    /// Whoever is denied because too many conditions apply is let in by one condition less.
    fn too_many_conditions(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for entity in &self.before.entities {
            let rules = self.old.rules().filter(|rule| rule.is_of(entity));
            let rules: Vec<&RuleView> = rules.collect();
            let factors = rules.iter().filter(|rule| rule.factor.is_some()).count();
            let texts: BTreeSet<(&str, bool)> = rules
                .iter()
                .filter_map(|rule| Some((rule.row.as_ref()?.raw.as_ref(), rule.allows)))
                .collect();
            let view = self.old.survey.entities.get(entity);
            let others = factors
                + view.map_or(0, |view| {
                    view.flags.len() + view.factors.len() + usize::from(view.tenant.is_some())
                });
            if texts.len() + others > ROW_TEST_LIMIT && !self.is_same(entity) {
                let sentence = format!(
                    "`{}`: more than {ROW_TEST_LIMIT} row conditions and flags on `{entity}` denied it to whom \
                     they all applied; with other rules they may be let in",
                    self.after.name
                );
                changes.push(self.change(Class::CannotTell, sentence));
            }
        }
        changes
    }

    /// A count passes only where no row condition applies to anything in the answer.
    fn counts(&self) -> Option<Change> {
        let passes = &self.after.returns.as_ref()?.passes;
        let counts: Vec<&str> =
            passes.iter().filter(|(_, count)| **count).map(|(path, _)| path.as_ref()).collect();
        let placed = |rule: &RuleView, route: &RouteView| {
            rule.row.is_some() && rule.of.as_ref().is_some_and(|of| route.returned.contains(of))
        };
        let unfiltered = |rule: &RuleView| rule.opens(self.after) && !placed(rule, self.after);
        if counts.is_empty() || !self.new.rules().any(unfiltered) {
            return None;
        }
        let lost = self.old.rules().find(|rule| {
            placed(rule, self.before)
                && !self.still_applies(rule, |other| placed(other, self.after))
        })?;
        let sentence = format!(
            "`{}`: without the rule `{}` the count {} may pass",
            self.after.name,
            lost.name,
            counts.join(", ")
        );
        Some(self.change(Class::CannotTell, sentence))
    }

    /// A record is read before it is changed only where a row condition applies to it.
    fn untested(&self) -> Option<Change> {
        let acting = self.after.acting.as_deref()?;
        let tests = |rule: &RuleView| rule.is_of(acting) && rule.row.is_some();
        if !self.new.rules().any(|rule| rule.opens(self.after) && !tests(rule)) {
            return None;
        }
        let lost = self.old.rules().find(|rule| tests(rule) && !self.still_applies(rule, tests))?;
        let sentence = format!(
            "`{}`: without the rule `{}` the `{acting}` may be changed without being read before",
            self.after.name, lost.name
        );
        Some(self.change(Class::CannotTell, sentence))
    }

    /// Whether, whenever a rule of the old program applies, one of these of the new program does.
    /// Row conditions are left aside: what is asked is whether one is there.
    fn still_applies(&self, rule: &RuleView, wanted: impl Fn(&RuleView) -> bool) -> bool {
        let candidates: Vec<&RuleView> =
            self.new.rules().filter(|other| wanted(other) && other.allows == rule.allows).collect();
        let applies = |other: &RuleView, purpose: Purpose<'_>| {
            if !rule.allows {
                return denies_for(other, purpose, self.new.survey)
                    && follows(rule.when.as_ref(), other.when.as_ref());
            }
            let purpose = other.purposes.is_empty()
                || matches!(purpose, Purpose::Of(name) if other.purposes.contains(name));
            purpose
                && rule.require.implies(&other.require)
                && implies(rule.when.as_ref(), other.when.as_ref())
        };
        let mut purposes: Vec<Purpose<'_>> = rule
            .purposes
            .iter()
            .filter(|name| self.new.survey.purposes.contains(*name))
            .map(|name| Purpose::Of(name))
            .collect();
        if rule.purposes.is_empty() {
            purposes.push(Purpose::Any);
        } else if !rule.allows {
            purposes.push(Purpose::Undeclared);
        }
        rule.audience.parts().iter().all(|who| {
            purposes.iter().all(|purpose| {
                let for_who = candidates.iter().filter(|other| other.audience.includes(who));
                for_who.into_iter().any(|other| applies(other, *purpose))
            })
        })
    }

    fn parameter(&self, name: &str, parameter: &Parameter) -> Option<Change> {
        let before = self.before.query.get(name);
        let route = &self.after.name;
        match (before, parameter) {
            (None, Parameter::Field { entity, path, .. }) if !self.is_ever_clear(entity, path) => {
                let sentence =
                    format!("`{route}` has the parameter `{name}`, which nobody may use yet");
                Some(self.change(Class::Neutral, sentence))
            }
            (None, _) => {
                let sentence =
                    format!("`{route}` takes the parameter `{name}`{}", meaning(parameter));
                Some(self.change(Class::Widens, sentence))
            }
            (Some(Parameter::Free), Parameter::Free)
            | (Some(Parameter::PageSize), Parameter::PageSize)
            | (Some(Parameter::Fields), Parameter::Fields) => None,
            (Some(Parameter::Sort), Parameter::Sort) => self.sort(name, "sort"),
            (Some(Parameter::Filter(mine)), Parameter::Filter(form)) if mine == form => {
                self.sort(name, "filter")
            }
            (Some(Parameter::Include(mine)), Parameter::Include(of)) => {
                self.included(name, mine, of)
            }
            (Some(mine), Parameter::Field { entity, path, .. }) if *mine == *parameter => {
                self.search(name, entity, path)
            }
            (Some(mine @ Parameter::Field { .. }), Parameter::Field { entity, path, at_least })
                if mine.searches(entity, path) =>
            {
                let (class, how) = match mine.asks_more(*at_least) {
                    true => (Class::Widens, "shorter texts"),
                    false => (Class::Narrows, "longer texts only"),
                };
                let sentence = format!("`{route}` takes {how} in the parameter `{name}`");
                self.search(name, entity, path).or_else(|| Some(self.change(class, sentence)))
            }
            (Some(Parameter::Free), _) => {
                let sentence =
                    format!("`{route}` takes less in the parameter `{name}`{}", meaning(parameter));
                Some(self.change(Class::Narrows, sentence))
            }
            (Some(_), Parameter::Free) => {
                let sentence = format!("`{route}` takes any text in the parameter `{name}`");
                Some(self.change(Class::Widens, sentence))
            }
            (Some(_), _) => {
                let sentence = format!(
                    "`{route}`: the parameter `{name}` now means another thing{}",
                    meaning(parameter)
                );
                Some(self.change(Class::CannotTell, sentence))
            }
        }
    }

    /// A parameter of the path that is not said to search a field is a key, which anybody may name.
    fn path(&self) -> Vec<Change> {
        let (route, names) = (&self.after.name, self.before.path.keys());
        let undeclared = names.filter(|name| !self.after.path.contains_key(*name));
        let mut changes: Vec<Change> = undeclared
            .map(|name| {
                let sentence = format!("`{route}`: anybody may name any `{{{name}}}` in the path");
                self.change(Class::Widens, sentence)
            })
            .collect();
        for (name, parameter) in &self.after.path {
            let Parameter::Field { entity, path, .. } = parameter else { continue };
            changes.extend(match self.before.path.get(name) {
                None => {
                    let sentence =
                        format!("`{route}`: `{{{name}}}` in the path searches `{entity}.{path}`");
                    Some(self.change(Class::Narrows, sentence))
                }
                Some(before) if before == parameter => self.search(name, entity, path),
                Some(_) => {
                    let sentence = format!(
                        "`{route}`: `{{{name}}}` in the path now searches `{entity}.{path}`"
                    );
                    Some(self.change(Class::CannotTell, sentence))
                }
            });
        }
        changes
    }

    fn search(&self, name: &str, entity: &str, path: &str) -> Option<Change> {
        let (class, roles) = self.searchable(entity, path)?;
        let who = match class {
            Class::Widens => roles.join(", "),
            Class::CannotTell | Class::Narrows | Class::Neutral => "more callers".to_owned(),
        };
        let sentence = format!(
            "{who} may search `{}` by `{entity}.{path}` (parameter `{name}`)",
            self.after.name
        );
        let fields = vec![format!("{entity}.{path}")];
        Some(Change { roles, fields, ..self.change(class, sentence) })
    }

    /// Sorting by a field tells as much of it as a search.
    fn sort(&self, name: &str, how: &str) -> Option<Change> {
        let places = |route: &RouteView| {
            let returns = route.returns.as_ref();
            returns
                .map(|body| body.places.iter().map(|p| p.entity.clone()).collect::<BTreeSet<_>>())
        };
        let entities = places(self.after).unwrap_or_default();
        let mut found: Option<(Class, BTreeSet<String>, Vec<String>)> = None;
        if places(self.before).unwrap_or_default() != entities {
            found = Some((Class::CannotTell, BTreeSet::new(), Vec::new()));
        }
        for entity in &entities {
            let Some(view) = self.new.survey.entities.get(entity) else { continue };
            for path in &view.order {
                let Some((class, roles)) = self.searchable(entity, path) else { continue };
                let all = found.get_or_insert((class, BTreeSet::new(), Vec::new()));
                all.0 = all.0.min(class);
                all.1.extend(roles);
                all.2.push(format!("{entity}.{path}"));
            }
        }
        let (class, roles, fields) = found?;
        let by = if fields.is_empty() { "other fields".to_owned() } else { fields.join(", ") };
        let sentence =
            format!("callers may {how} `{}` by more (parameter `{name}`): {by}", self.after.name);
        Some(Change { roles: roles.into_iter().collect(), fields, ..self.change(class, sentence) })
    }

    fn included(
        &self,
        name: &str,
        before: &BTreeSet<Box<str>>,
        after: &BTreeSet<Box<str>>,
    ) -> Option<Change> {
        let route = &self.after.name;
        let more: BTreeSet<Box<str>> = after.difference(before).cloned().collect();
        if !more.is_empty() {
            let more = listed(&more);
            let sentence = format!("`{route}` takes more in the parameter `{name}`: {more}");
            return Some(self.change(Class::Widens, sentence));
        }
        let sentence = format!("`{route}` takes less in the parameter `{name}`");
        (before != after).then(|| self.change(Class::Narrows, sentence))
    }

    fn is_ever_clear(&self, entity: &str, path: &str) -> bool {
        let mut rules = self.new.allowing(entity);
        rules.any(|rule| rule.fields(FieldUse::Clear).contains(path))
            && !self.new.is_sealed(entity, path)
    }

    /// Whether somebody may search a field who could not before, as far as can be told; and who.
    fn searchable(&self, entity: &str, path: &str) -> Option<(Class, Vec<String>)> {
        let clear = |rule: &&RuleView| rule.fields(FieldUse::Clear).contains(path);
        if !self.is_ever_clear(entity, path) {
            return None;
        }
        let gained = |gap: &&Gap<'_>| matches!(gap.item, Item::Field(e, p, FieldUse::Clear) if e == entity && p == path);
        let gains: Vec<&Gap<'_>> = self.gains.iter().filter(gained).collect();
        if !gains.is_empty() {
            let certain = gains.iter().any(|gap| matches!(gap.cause, Cause::Nothing));
            let class = if certain { Class::Widens } else { Class::CannotTell };
            let roles: BTreeSet<String> = gains.iter().map(|gap| gap.who.to_string()).collect();
            return Some((class, roles.into_iter().collect()));
        }
        // Whoever has a clear way now has one of the old program's. Then every record that the old
        // program lets see shows the field if nothing there shows records without it,
        // or if that way is about all records.
        let takes = |rule: &RuleView| !rule.allows && rule.is_of(entity) && rule.reads(path);
        let nothing_taken = !self.old.rules().any(takes);
        let always_shown = self.old.allowing(entity).all(|rule| clear(&rule));
        let on_all = self.new.allowing(entity).filter(clear).all(|rule| rule.row.is_none());
        let proven = (nothing_taken && (always_shown || on_all)) || self.is_same(entity);
        (!proven).then_some((Class::CannotTell, Vec::new()))
    }
}

fn listed(names: &BTreeSet<Box<str>>) -> String {
    names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

fn meaning(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Field { entity, path, .. } => format!(", which searches `{entity}.{path}`"),
        Parameter::PageSize => ", a page size".to_owned(),
        Parameter::Sort => ", which sorts".to_owned(),
        Parameter::Filter(_) => ", which filters by fields".to_owned(),
        Parameter::Fields => ", which names the fields to be shown".to_owned(),
        Parameter::Include(of) => format!(", which includes {}", listed(of)),
        Parameter::Free => ", any text".to_owned(),
    }
}
