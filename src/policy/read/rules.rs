//! Rules: who may do what to which fields of which records, and when.

use std::sync::Arc;

use super::super::expression::{Condition, People, Scope, View, parse};
use super::super::model::{Action, Audience, Effect, Entity, Model, Requirement, Route, Rule};
use super::Sections;
use super::factors;
use super::requirement::requirement;
use super::roles::audience;
use super::routes::{action_named, is_empty, route_named};
use crate::document::Code;
use crate::document::Node;
use crate::document::Span;
use crate::document::{Keys, Reader, cut};

const RULE_LIMIT: usize = 5000;
const NAME_LIMIT_BYTES: usize = 200;
const KEYS: [&str; 16] = [
    "name",
    "allow",
    "deny",
    "to",
    "of",
    "route",
    "clear",
    "masked",
    "pseudonym",
    "write",
    "where",
    "when",
    "purpose",
    "require",
    "step-up",
    "flags",
];

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut names = Names::new();
    for node in sections.items("rules", reader) {
        let keys = reader.keys(node, "a rule", &KEYS);
        if !add(reader, model, &mut names, (node, &keys), None) {
            break;
        }
    }
    cover(model);
}

/// Where the rules stand that are known, by name.
pub(super) type Names = std::collections::HashMap<String, Span>;

/// Reads what a tenant takes away from its callers.
pub(super) fn read_of_tenant(
    reader: &mut Reader<'_>,
    model: &mut Model,
    names: &mut Names,
    node: &Node,
    tenant: &str,
) {
    let keys = reader.keys(node, "a rule of a tenant", &KEYS);
    if let Some(pair) = keys.find("allow") {
        let message = "a tenant's file lets nobody do anything: it only denies".to_owned();
        let help = "write `deny`; what is allowed stands in a file without `tenant`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        return;
    }
    add(reader, model, names, (node, &keys), Some(tenant));
}

/// Adds a rule; `false` if there is no room for any.
fn add(
    reader: &mut Reader<'_>,
    model: &mut Model,
    names: &mut Names,
    (node, keys): (&Node, &Keys<'_>),
    tenant: Option<&str>,
) -> bool {
    let Some((name, span)) = name(reader, node, keys) else { return true };
    // Tenants do not have to know how others call their rules.
    let name = tenant.map_or_else(|| name.to_owned(), |tenant| format!("{tenant}: {name}"));
    if let Some(first) = names.insert(name.clone(), span) {
        reader.defined_twice(span, &name, first);
        return true;
    }
    if model.rules.len() >= RULE_LIMIT {
        let message = format!("a policy must have at most {RULE_LIMIT} rules");
        reader.fault(span, Code::TooLarge, message, None);
        return false;
    }
    if let Some(rule) = rule(reader, model, keys, &name, span) {
        check_reach(reader, model, &rule, keys);
        model.rules.push(Rule { tenant: tenant.map(Into::into), ..rule });
    }
    true
}

/// Says which rules cover which routes.
pub(super) fn cover(model: &mut Model) {
    for route in &mut model.routes {
        let covering = model.rules.iter().enumerate().filter(|(_, rule)| rule.covers(route));
        route.rules = covering.map(|(index, _)| index).collect();
    }
}

fn name<'t>(reader: &mut Reader<'_>, node: &Node, keys: &Keys<'t>) -> Option<(&'t str, Span)> {
    let Some(pair) = keys.find("name") else {
        reader.missing(node.span, "a rule", "name", "tellers serve their branch");
        return None;
    };
    let name = reader.text(&pair.value, "`name`")?;
    let fits = !name.trim().is_empty()
        && name.len() <= NAME_LIMIT_BYTES
        && !name.chars().any(char::is_control);
    if !fits {
        let message = format!("a rule's name must be one line of at most {NAME_LIMIT_BYTES} bytes");
        reader.fault(pair.value.span, Code::WrongValue, message, None);
    }
    Some((name, pair.value.span))
}

fn rule(
    reader: &mut Reader<'_>,
    model: &Model,
    keys: &Keys<'_>,
    name: &str,
    span: Span,
) -> Option<Rule> {
    let (effect, actions) = effect(reader, keys, span)?;
    let to = match keys.find("to") {
        Some(pair) => audience(reader, model, &pair.value),
        None => {
            reader.missing(span, "a rule", "to", "teller");
            Audience::Roles(Vec::new())
        }
    };
    let routes = match keys.find("route") {
        Some(pair) => {
            let words = reader.words(&pair.value, "`route`").into_iter();
            let known = words.map(|(word, span)| route_named(reader, model, word, span));
            // One unknown name: reported, and whatever follows from it would mislead.
            Some(known.collect::<Vec<_>>().into_iter().collect::<Option<Vec<usize>>>()?)
        }
        None => None,
    };
    let of = entity(reader, model, keys, routes.as_ref());
    let mut rule = Rule {
        name: name.into(),
        effect,
        actions,
        to,
        of: of.unwrap_or(None),
        routes,
        clear: Vec::new(),
        masked: Vec::new(),
        pseudonym: Vec::new(),
        write: Vec::new(),
        row: None,
        when: None,
        purposes: Vec::new(),
        require: Requirement::default(),
        factor: None,
        flags: Vec::new(),
        tenant: None,
        span,
    };
    check_keys(reader, keys, &rule);
    // An entity that is not known was reported; its fields cannot be.
    of?;
    fields(reader, model, keys, &mut rule);
    conditions(reader, model, keys, &mut rule);
    purposes(reader, model, keys, &mut rule);
    flags(reader, model, keys, &mut rule);
    if let Some(pair) = keys.find("require") {
        rule.require = requirement(reader, &pair.value);
    }
    Some(rule)
}

fn effect(reader: &mut Reader<'_>, keys: &Keys<'_>, span: Span) -> Option<(Effect, Vec<Action>)> {
    let (effect, pair) = match (keys.find("allow"), keys.find("deny")) {
        (Some(allow), None) => (Effect::Allow, allow),
        (None, Some(deny)) => (Effect::Deny, deny),
        (Some(_), Some(deny)) => {
            let message = "a rule either allows or denies".to_owned();
            reader.fault(
                deny.key_span,
                Code::Contradiction,
                message,
                Some("make two rules of it".to_owned()),
            );
            return None;
        }
        (None, None) => {
            let help = "write `allow: [view]` or `deny: [view]`".to_owned();
            let message = "a rule needs `allow` or `deny`".to_owned();
            reader.fault(span, Code::MissingKey, message, Some(help));
            return None;
        }
    };
    let words = reader.words(&pair.value, "the actions of a rule");
    if words.is_empty() {
        let message = "a rule must name at least one action".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, None);
    }
    let actions = words.into_iter().filter_map(|(word, span)| action_named(reader, word, span));
    Some((effect, actions.collect()))
}

/// The entity of the rule's fields: `of`, else what all its routes are about. The outer `None`: a fault.
fn entity(
    reader: &mut Reader<'_>,
    model: &Model,
    keys: &Keys<'_>,
    routes: Option<&Vec<usize>>,
) -> Option<Option<usize>> {
    if let Some(pair) = keys.find("of") {
        let name = reader.text(&pair.value, "`of`")?;
        let found = model.entities.iter().position(|entity| entity.name.as_ref() == name);
        if found.is_none() {
            let known: Vec<&str> =
                model.entities.iter().map(|entity| entity.name.as_ref()).collect();
            reader.unknown(pair.value.span, "entity", &cut(name), &known);
        }
        return found.map(Some);
    }
    let routes = routes.into_iter().flatten().filter_map(|at| model.routes.get(*at));
    let mut mains = routes.map(|route| &route.main);
    let first = mains.next();
    let same = first.filter(|first| first.len() == 1 && mains.all(|main| main == *first));
    Some(same.and_then(|main| main.first().copied()))
}

fn check_keys(reader: &mut Reader<'_>, keys: &Keys<'_>, rule: &Rule) {
    if rule.effect == Effect::Allow && keys.find("of").is_none() && rule.routes.is_none() {
        let help = "write `of: ENTITY` or `route: ROUTE`".to_owned();
        let message = "a rule that allows needs `of` or `route`".to_owned();
        reader.fault(rule.span, Code::MissingKey, message, Some(help));
    }
    let asks = keys.find("require").or(keys.find("step-up"));
    if rule.effect == Effect::Deny
        && let Some(pair) = asks
    {
        let message = "a rule that denies requires nothing".to_owned();
        let help = "say with `when` whom it hits, such as `caller.assurance < 2`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
    }
    if rule.effect == Effect::Deny
        && rule.of.is_some()
        && let Some(pair) = keys.find("flags")
    {
        let message = "a rule that denies hits flagged records anyway".to_owned();
        let help = "leave it out; to hit only them, write `where: flag.NAME`".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
    }
    let writes = rule
        .actions
        .iter()
        .any(|action| matches!(action, Action::Create | Action::Update | Action::Call));
    if let Some(pair) = keys.find("write").filter(|_| !writes && !rule.actions.is_empty()) {
        let message = "`write` means something only for create, update and call".to_owned();
        reader.fault(pair.key_span, Code::Contradiction, message, None);
    }
    for key in ["clear", "masked", "pseudonym", "write", "where", "step-up", "flags"] {
        if let Some(pair) =
            keys.find(key).filter(|_| rule.of.is_none() && keys.find("of").is_none())
        {
            let message = format!("`{key}` needs an entity whose fields it names");
            let help = "add `of: ENTITY`, or name with `route` routes of one entity".to_owned();
            reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        }
    }
}

fn fields(reader: &mut Reader<'_>, model: &Model, keys: &Keys<'_>, rule: &mut Rule) {
    let Some(entity) = rule.of.and_then(|at| model.entities.get(at)) else { return };
    rule.clear = field_list(reader, entity, keys, "clear");
    rule.masked = field_list(reader, entity, keys, "masked");
    rule.pseudonym = field_list(reader, entity, keys, "pseudonym");
    rule.write = field_list(reader, entity, keys, "write");
}

pub(super) fn field_list(
    reader: &mut Reader<'_>,
    entity: &Entity,
    keys: &Keys<'_>,
    key: &str,
) -> Vec<u16> {
    let Some(pair) = keys.find(key) else { return Vec::new() };
    if is_empty(&pair.value) {
        let message = format!("`{key}` names no field");
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
        return Vec::new();
    }
    let mut fields = Vec::new();
    for (path, span) in reader.words(&pair.value, key) {
        match entity.fields_at(path) {
            Ok(found) => fields.extend(found),
            Err((code, message, help)) => reader.fault(span, code, message, Some(help)),
        }
    }
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn conditions(reader: &mut Reader<'_>, model: &Model, keys: &Keys<'_>, rule: &mut Rule) {
    let mut parameters: Vec<&str> = Vec::new();
    for route in model.routes.iter().filter(|route| rule.covers(route)) {
        parameters.extend(route.template.parameters());
    }
    parameters.sort_unstable();
    parameters.dedup();
    let entity = rule.of.and_then(|at| model.entities.get(at));
    let find = |path: &str| match entity {
        Some(entity) => entity.scalar(path),
        None => Err((Code::NoRecord, "there is no record here".to_owned(), "add `of`".to_owned())),
    };
    let flags = entity.map_or(&[][..], |entity| &entity.flags);
    let view = View::All;
    let whose = entity.and_then(Entity::whose);
    let people = People { subject: whose.as_ref(), purposes: &model.purposes };
    let on_records = Scope { record: Some(&find), parameters: &parameters, flags, view, people };
    if let Some(pair) = keys.find("where") {
        rule.row = condition(reader, &pair.value, "`where`", &on_records);
    }
    rule.factor = factors::of_rule(reader, keys, &on_records);
    if let Some(pair) = keys.find("when") {
        let scope = Scope { record: None, parameters: &parameters, flags, view, people };
        rule.when = condition(reader, &pair.value, "`when`", &scope);
    }
}

pub(super) fn condition(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    scope: &Scope<'_>,
) -> Option<Arc<Condition>> {
    let text = reader.text(node, what)?;
    match parse(text, scope) {
        Ok(mut condition) => {
            for constant in &mut condition.constants {
                let length = constant.span.end.saturating_sub(constant.span.start);
                constant.span = reader.part(node.span, text, constant.span.start, length);
            }
            Some(Arc::new(condition))
        }
        Err(fault) => {
            let span = reader.part(node.span, text, fault.start, fault.length);
            reader.fault(span, fault.code, format!("{what}: {}", fault.message), fault.help);
            None
        }
    }
}

fn purposes(reader: &mut Reader<'_>, model: &Model, keys: &Keys<'_>, rule: &mut Rule) {
    let Some(pair) = keys.find("purpose") else { return };
    let known: Vec<&str> = model.purposes.iter().map(|purpose| purpose.name.as_ref()).collect();
    if is_empty(&pair.value) {
        let message = "`purpose` names no purpose".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in reader.words(&pair.value, "`purpose`") {
        if known.contains(&word) {
            rule.purposes.push(word.into());
        } else {
            reader.unknown(span, "purpose", &cut(word), &known);
        }
    }
}

fn flags(reader: &mut Reader<'_>, model: &Model, keys: &Keys<'_>, rule: &mut Rule) {
    let Some(pair) = keys.find("flags") else { return };
    let Some(entity) = rule.of.and_then(|at| model.entities.get(at)) else { return };
    let known: Vec<&str> = entity.flags.iter().map(|flag| flag.name.as_ref()).collect();
    if is_empty(&pair.value) {
        let message = "`flags` names no flag".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in reader.words(&pair.value, "`flags`") {
        match known.iter().position(|name| *name == word) {
            Some(flag) => rule.flags.push(flag),
            None => reader.unknown(span, "flag", &cut(word), &known),
        }
    }
}

/// A rule must reach a route, and its conditions on records and its entity's flags a record.
fn check_reach(reader: &mut Reader<'_>, model: &Model, rule: &Rule, keys: &Keys<'_>) {
    let mut reached = false;
    for route in model.routes.iter().filter(|route| rule.covers(route)) {
        reached = true;
        check_flags(reader, model, rule, route);
        let Some(problem) = unread(route) else { continue };
        for (key, is_there) in [("where", rule.row.is_some()), ("step-up", rule.factor.is_some())] {
            let Some(pair) = keys.find(key).filter(|_| is_there) else { continue };
            let help = format!(
                "give the route `reads: VIEW-ROUTE`, or make a rule without `{key}` for it"
            );
            let message = format!("`{key}` cannot be tested: {problem}");
            reader.fault(pair.key_span, Code::NoRecord, message, Some(help));
        }
    }
    let aims = rule.effect == Effect::Deny || rule.of.is_some() || rule.routes.is_some();
    if !reached && aims && !rule.actions.is_empty() {
        let actions: Vec<&str> = rule.actions.iter().map(|action| action.name()).collect();
        let message = format!("no route matches this rule ({})", actions.join(", "));
        let help = "publish a route with the action and the entity, or correct the rule".to_owned();
        reader.fault(rule.span, Code::DeadRule, message, Some(help));
    }
}

/// Why no record of the route is there on which a condition could be tested.
fn unread(route: &Route) -> Option<String> {
    let name = &route.name;
    let not_before = |does: &str| format!("the record that `{name}` {does} is not read before");
    if route.opaque.is_some() {
        return route.reads.is_none().then(|| not_before("is about"));
    }
    match route.action {
        Action::Create | Action::Call => {
            Some(format!("`{name}` has no record that exists already"))
        }
        Action::Update | Action::Delete => route.reads.is_none().then(|| not_before("changes")),
        Action::View | Action::Search | Action::Export => None,
    }
}

/// A rule that leaves flagged records alone must know them before it lets one be changed, or gives a
/// file about one.
fn check_flags(reader: &mut Reader<'_>, model: &Model, rule: &Rule, route: &Route) {
    let acts = route.action.changes_a_record() || route.opaque.is_some();
    if rule.effect == Effect::Deny || !acts {
        return;
    }
    let flagged = |at: &usize| model.entities.get(*at).filter(|entity| !entity.flags.is_empty());
    let problem = match rule.of {
        Some(of) if route.reads.is_none() => flagged(&of).and_then(|entity| {
            let mut flags = entity.flags.iter().enumerate();
            let (_, flag) = flags.find(|(index, _)| !rule.flags.contains(index))?;
            let help = "give the route `reads: VIEW-ROUTE`, or name every flag in `flags`";
            let record = format!("the record that `{}` is about is not read before", route.name);
            Some((format!("the flag `{}` cannot be tested: {record}", flag.name), help))
        }),
        Some(_) => None,
        None => route.main.iter().find_map(flagged).map(|entity| {
            let help = "say with `of` which records the rule is about";
            let route = &route.name;
            (
                format!("`{route}` is about a `{}`, whose flags the rule passes over", entity.name),
                help,
            )
        }),
    };
    if let Some((message, help)) = problem {
        reader.fault(rule.span, Code::NoRecord, message, Some(help.to_owned()));
    }
}
