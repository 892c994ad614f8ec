//! Gains and losses as sentences: what is alike for several fields, routes and roles is said once.

use std::collections::{BTreeMap, BTreeSet};

use super::super::survey::{Demand, FieldUse, Formula, RouteView, RuleView, Scope, Who};
use super::cover::{Cause, Gap, Item, Side, implies};
use super::taken::Lapse;
use super::{Change, Class};

/// What is gathered until everything is known.
#[derive(Default)]
pub(super) struct Words {
    /// By what is said: to whom it happens, of which fields, on which routes.
    said: BTreeMap<Said, BTreeMap<String, BTreeMap<String, BTreeSet<String>>>>,
}

/// What happens, apart from whom, what and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    class: Class,
    /// What one does, and what several do.
    verb: (String, String),
    /// On which terms.
    terms: String,
}

/// Routes, and the fields of which something is said on all of them.
type RoutesAndFields = (Vec<String>, Vec<String>);

impl Words {
    pub(super) fn gains(&mut self, route: &RouteView, old: Side<'_>, gaps: &[Gap<'_>]) {
        for gap in gaps.iter().filter(|gap| !is_implied(gap, gaps)) {
            let said = gained(gap, old);
            self.add(said, &gap.who, &gap.item, route);
        }
    }

    pub(super) fn losses(&mut self, route: &RouteView, new: Side<'_>, gaps: &[Gap<'_>]) {
        for gap in gaps.iter().filter(|gap| !is_implied(gap, gaps)) {
            let said = lost(gap, new);
            self.add(said, &gap.who, &gap.item, route);
        }
    }

    /// What is no longer taken away, or with `wider` false what now is.
    pub(super) fn lapses(&mut self, route: &RouteView, lapses: &[Lapse<'_>], wider: bool) {
        for lapse in lapses {
            let said = Said {
                class: match (wider, &lapse.instead) {
                    (false, _) => Class::Narrows,
                    (true, Some((_, class))) => *class,
                    (true, None) => Class::Widens,
                },
                verb: taking(lapse, wider),
                terms: conditions_of_lapse(lapse, if wider { "now" } else { "was" }),
            };
            let entity = lapse.rule.of.as_deref().unwrap_or_default();
            if lapse.scope == Scope::Fields {
                for (path, _) in &lapse.fields {
                    self.put(said.clone(), &lapse.who, format!("{entity}.{path}"), route);
                }
            } else {
                let object = if lapse.scope == Scope::Records { entity } else { "" };
                self.put(said, &lapse.who, object.to_owned(), route);
            }
        }
    }

    fn add(&mut self, said: Said, who: &Who, item: &Item<'_>, route: &RouteView) {
        let object = match item {
            Item::Route => String::new(),
            Item::Records(entity) => (*entity).to_owned(),
            Item::Field(entity, path, _) => format!("{entity}.{path}"),
        };
        self.put(said, who, object, route);
    }

    fn put(&mut self, said: Said, who: &Who, object: String, route: &RouteView) {
        let objects = self.said.entry(said).or_default().entry(who.to_string()).or_default();
        objects.entry(object).or_default().insert(route.name.to_string());
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (said, callers) in self.said {
            // First fields that are on the same routes, then callers to whom the same happens.
            let mut alike: BTreeMap<Vec<RoutesAndFields>, Vec<String>> = BTreeMap::new();
            for (who, objects) in callers {
                let mut by_routes: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
                for (object, routes) in objects {
                    by_routes.entry(routes.into_iter().collect()).or_default().push(object);
                }
                alike.entry(by_routes.into_iter().collect()).or_default().push(who);
            }
            for (parts, who) in alike {
                changes.extend(parts.into_iter().map(|(routes, objects)| {
                    let sentence = sentence(&said, &who, &objects, &routes);
                    let fields =
                        objects.into_iter().filter(|object| object.contains('.')).collect();
                    Change { class: said.class, roles: who.clone(), fields, routes, sentence }
                }));
            }
        }
        changes
    }
}

/// That a route may be used and that records are there goes without saying where fields are seen.
fn is_implied(gap: &Gap<'_>, gaps: &[Gap<'_>]) -> bool {
    let rank = |item: &Item<'_>| match item {
        Item::Route => 1,
        Item::Records(_) => 0,
        Item::Field(..) => 2,
    };
    gaps.iter().any(|other| {
        other.rule == gap.rule
            && other.who == gap.who
            && rank(&other.item) > rank(&gap.item)
            && other.cause.is_like(&gap.cause)
    })
}

fn sentence(said: &Said, who: &[String], objects: &[String], routes: &[String]) -> String {
    let caller = |name: &String| match name.as_str() {
        "any" => "any caller".to_owned(),
        name => name.to_owned(),
    };
    let who: Vec<String> = who.iter().map(caller).collect();
    let verb = if who.len() == 1 { &said.verb.0 } else { &said.verb.1 };
    let objects: Vec<String> =
        objects.iter().filter(|o| !o.is_empty()).map(|object| format!("`{object}`")).collect();
    let on = match (routes, objects.is_empty()) {
        ([route], true) => format!("`{route}`"),
        ([route], false) => format!("on `{route}`"),
        (routes, true) => format!("{} routes ({})", routes.len(), routes.join(", ")),
        (routes, false) => format!("on {} routes ({})", routes.len(), routes.join(", ")),
    };
    let objects = if objects.is_empty() { on } else { format!("{} {on}", objects.join(", ")) };
    format!("{} {verb} {objects}{}", joined(&who), said.terms)
}

/// `a`, `a and b`, `a, b and c`.
fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What one does and what several do.
fn verb(verb: &str, what: &str) -> (String, String) {
    let what = what.trim_end();
    (format!("{verb}s {what}"), format!("{verb} {what}"))
}

fn form(item: &Item<'_>) -> &'static str {
    match item {
        Item::Field(_, _, FieldUse::Clear) => "clear ",
        Item::Field(_, _, FieldUse::Masked) => "masked ",
        Item::Field(_, _, FieldUse::Pseudonym) => "a pseudonym of ",
        Item::Field(_, _, FieldUse::Write) => "writing ",
        Item::Records(_) => "records of ",
        Item::Route => "the use of ",
    }
}

fn gained(gap: &Gap<'_>, old: Side<'_>) -> Said {
    let form = form(&gap.item);
    let terms = terms(gap);
    match &gap.cause {
        Cause::Nothing => {
            let instead = masked_for(gap, old).map_or("", |()| ", which was masked");
            Said {
                class: Class::Widens,
                verb: verb("gain", form),
                terms: format!("{instead}{terms}"),
            }
        }
        Cause::Purposes(other) => Said {
            class: Class::Widens,
            verb: verb("gain", form),
            terms: format!("{terms}; was only for {}", listed(other.purposes.iter())),
        },
        Cause::Demand(before) => {
            let (class, how) = if before.implies(&gap.demand) {
                (Class::Widens, "less")
            } else {
                (Class::CannotTell, "another")
            };
            Said {
                class,
                verb: verb("need", &format!("{how} proof for {form}")),
                terms: format!(": {}, was {}", proof(&gap.demand), proof(before)),
            }
        }
        Cause::Condition(other) => {
            let looser = implies(other.when.as_ref(), gap.rule.when.as_ref())
                && implies(other.row.as_ref(), gap.rule.row.as_ref());
            Said {
                class: if looser { Class::Widens } else { Class::CannotTell },
                verb: verb("get", form),
                terms: format!(
                    " on other conditions: {}; was: {}",
                    conditions(gap.rule),
                    conditions(other)
                ),
            }
        }
    }
}

fn lost(gap: &Gap<'_>, new: Side<'_>) -> Said {
    let form = form(&gap.item);
    let (verb, terms) = match &gap.cause {
        Cause::Nothing => {
            let masked = masked_for(gap, new).map_or("", |()| ", which is now masked");
            (verb("lose", form), format!("{masked}{}", terms(gap)))
        }
        Cause::Purposes(other) => (
            verb("lose", form),
            format!("{}; it is now only for {}", terms(gap), listed(other.purposes.iter())),
        ),
        Cause::Demand(now) => (
            verb("need", &format!("more proof for {form}")),
            format!(": {}, was {}", proof(now), proof(&gap.demand)),
        ),
        Cause::Condition(other) => (
            verb("get", form),
            format!(
                " on narrower conditions: {}; was: {}",
                conditions(other),
                conditions(gap.rule)
            ),
        ),
    };
    Said { class: Class::Narrows, verb, terms }
}

/// Whether the other side shows a masked form of what is gained or lost in clear.
fn masked_for(gap: &Gap<'_>, other: Side<'_>) -> Option<()> {
    let Item::Field(entity, path, FieldUse::Clear) = gap.item else { return None };
    let masks = |rule: &&RuleView| {
        rule.fields(FieldUse::Masked).contains(path) && rule.audience.includes(&gap.who)
    };
    other.allowing(entity).any(|rule| masks(&rule)).then_some(())
}

fn listed<'n>(names: impl Iterator<Item = &'n Box<str>>) -> String {
    names.map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

fn proof(demand: &Demand) -> String {
    let words = demand.words();
    if words.is_empty() { "none".to_owned() } else { words }
}

/// `, for records where …; only when …; for …; with …`.
fn terms(gap: &Gap<'_>) -> String {
    let mut parts = Vec::new();
    let row = gap.rule.row.as_ref().filter(|_| gap.item != Item::Route);
    parts.extend(row.map(|row| format!("for records where {}", row.text())));
    parts.extend(gap.rule.when.as_ref().map(|when| format!("only when {}", when.text())));
    if !gap.purposes.is_empty() {
        let names: Vec<&str> = gap.purposes.iter().copied().collect();
        parts.push(format!("for {}", names.join(", ")));
    }
    let words = gap.demand.words();
    if !words.is_empty() {
        parts.push(format!("asks {words}"));
    }
    if parts.is_empty() { String::new() } else { format!(", {}", parts.join("; ")) }
}

/// The conditions of a rule, in words.
fn conditions(rule: &RuleView) -> String {
    let said = |what: &str, condition: Option<&Formula>| {
        condition.map(|condition| format!("{what} {}", condition.text()))
    };
    let parts = [said("records where", rule.row.as_ref()), said("only when", rule.when.as_ref())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}

fn taking(lapse: &Lapse<'_>, wider: bool) -> (String, String) {
    let what = match lapse.scope {
        Scope::Action => "the use of",
        Scope::Records => "records of",
        Scope::Fields => "the fields",
    };
    let one = if wider { "is no longer denied" } else { "is now denied" };
    let several = if wider { "are no longer denied" } else { "are now denied" };
    (format!("{one} {what}"), format!("{several} {what}"))
}

fn conditions_of_lapse(lapse: &Lapse<'_>, other: &str) -> String {
    let rule = lapse.rule;
    let mut parts = Vec::new();
    parts.extend(rule.row.as_ref().map(|row| format!("where {}", row.text())));
    parts.extend(rule.when.as_ref().map(|when| format!("when {}", when.text())));
    if !rule.purposes.is_empty() {
        parts.push(format!("for {}", listed(rule.purposes.iter())));
    }
    let terms = if parts.is_empty() { String::new() } else { format!(" {}", parts.join(", ")) };
    let instead = lapse.instead.map_or(String::new(), |(rule, _)| {
        format!("; {other}: {} (rule `{}`)", conditions(rule), rule.name)
    });
    format!("{terms} (rule `{}`){instead}", rule.name)
}
