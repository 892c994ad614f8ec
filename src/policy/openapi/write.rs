//! The two files as text.

use std::fmt::Write as _;

use super::catalogue::Entity;
use super::guess::{self, Guess};
use super::routes::{Route, Routes, shown};
use super::shape::{Member, Shape};
use super::{ImportOptions, Imported};
use crate::document::{Place, one_line, written};

/// As many fields as an entity may have.
const FIELD_LIMIT: usize = 255;

/// The files of what was found. Writing to a text cannot fail.
pub(super) fn files(
    routes: &Routes,
    entities: &[Option<&Entity>],
    options: &ImportOptions,
) -> Imported {
    let mut catalogue = Writer { entities, text: String::new(), fields: 0, left_out: Vec::new() };
    catalogue.line(0, "# What the data are, as the API's description says. No field has a grade yet, so that none leaves.");
    catalogue.line(0, "# Give each a grade (`name: { grade: 2, kind: person-name }`) or mark it `sealed`; kinds are guessed.");
    catalogue.line(0, "");
    catalogue.line(0, "entities:");
    for entity in entities.iter().flatten() {
        catalogue.entity(entity);
    }
    let mut text = String::new();
    let mut left_out: Vec<String> = routes
        .left_out
        .iter()
        .map(|(place, reason)| one_line(&format!("{place}: {reason}")))
        .collect();
    routes_text(routes, entities, options, &mut text);
    for line in &left_out {
        writeln!(text, "# left out: {line}").unwrap_or_default();
    }
    for route in &routes.published {
        left_out.extend(route.notes.iter().map(|note| format!("{}: {note}", route.name)));
    }
    left_out.extend(catalogue.left_out);
    Imported {
        routes: text,
        catalogue: catalogue.text,
        route_count: routes.published.len(),
        entity_count: entities.iter().flatten().count(),
        field_count: catalogue.fields,
        left_out,
    }
}

fn routes_text(
    routes: &Routes,
    entities: &[Option<&Entity>],
    options: &ImportOptions,
    text: &mut String,
) {
    let mut lines = vec![
        "# What could be published, as the API's description says. No rule opens any of it yet."
            .to_owned(),
        "# Actions and the meaning of parameters are guessed.".to_owned(),
        String::new(),
        "routes:".to_owned(),
    ];
    for (index, route) in routes.published.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        route_lines(route, entities, options, &mut lines);
    }
    lines.push(String::new());
    text.push_str(&lines.join("\n"));
    if !routes.left_out.is_empty() {
        text.push('\n');
    }
}

fn route_lines(
    route: &Route,
    entities: &[Option<&Entity>],
    options: &ImportOptions,
    lines: &mut Vec<String>,
) {
    lines.extend(route.notes.iter().map(|note| format!("  # {note}")));
    lines.push(format!("  {}:", written(&route.name, Place::Block)));
    let target = format!("{} {}{}", route.method, route.host, route.path);
    lines.push(format!("    match: {}", written(&target, Place::Block)));
    lines.push(format!("    to: {}", written(&options.upstream, Place::Block)));
    lines.push(format!("    action: {}", route.action));
    if !route.query.is_empty() {
        let flow = |(name, meaning): &(String, String)| {
            format!("{}: {}", written(name, Place::Flow), written(meaning, Place::Flow))
        };
        let query: Vec<String> = route.query.iter().map(flow).collect();
        lines.push(format!("    query: {{ {} }}", query.join(", ")));
    }
    for (key, body) in [("accepts", &route.accepts), ("returns", &route.returns)] {
        let Some((entity, place)) = body else { continue };
        let name = entities.get(*entity).copied().flatten().map_or("", |e| e.name.as_str());
        let name = written(name, Place::Flow);
        lines.push(format!("    {key}: {{ {name}: {} }}", written(place, Place::Flow)));
    }
    if let Some(reads) = &route.reads {
        lines.push(format!("    reads: {}", written(reads, Place::Block)));
    }
}

struct Writer<'e> {
    entities: &'e [Option<&'e Entity>],
    text: String,
    fields: usize,
    left_out: Vec<String>,
}

impl Writer<'_> {
    fn line(&mut self, indent: usize, line: &str) {
        writeln!(self.text, "{}{line}", " ".repeat(indent)).unwrap_or_default();
    }

    fn entity(&mut self, entity: &Entity) {
        if !self.text.ends_with("entities:\n") {
            self.line(0, "");
        }
        for note in &entity.notes {
            self.line(2, &format!("# {note}"));
            self.left_out.push(format!("{}: {note}", entity.name));
        }
        self.line(2, &format!("{}:", written(&entity.name, Place::Block)));
        let mut budget = FIELD_LIMIT;
        let members = trimmed(&entity.members, &mut budget);
        if let Some(key) = subject(&entity.members) {
            let why = if guess::of_people(&entity.members) {
                "whose data it is; needed, since this looks like people's data"
            } else {
                "whose data it is, if it is a person's"
            };
            self.line(4, &format!("# subject: {} # {why}", written(key, Place::Block)));
        }
        self.line(4, "fields:");
        self.members(&members, &entity.name, 6);
    }

    fn members(&mut self, members: &[Member], path: &str, indent: usize) {
        for member in members {
            let inside = format!("{path}.{}", member.name);
            let (shape, arrays) = member.shape.innermost();
            let key = format!("{}{}", member.name, "[]".repeat(arrays));
            let key = written(&key, Place::Block);
            match shape {
                Shape::Scalar { kind, format } => {
                    let guess = guess::field(&member.name, kind, format, members);
                    self.fields += 1;
                    self.line(indent, &format!("{key}: {}", field(guess)));
                }
                Shape::Entity(entity) => {
                    let name = self.entities.get(*entity).copied().flatten();
                    let name = written(name.map_or("ungraded", |e| e.name.as_str()), Place::Block);
                    self.line(indent, &format!("{key}: {name}"));
                }
                Shape::Object(inner) => {
                    self.line(indent, &format!("{key}:"));
                    self.members(inner, &inside, indent + 2);
                }
                Shape::LeftOut(reason) => {
                    self.line(indent, &format!("# {} is left out: {reason}", shown(&member.name)));
                    self.left_out.push(format!("{}: {reason}", shown(&inside)));
                }
                Shape::Array(_) => {}
            }
        }
    }
}

fn field(guess: Guess) -> String {
    match guess {
        Guess::Sealed => "sealed".to_owned(),
        Guess::Kind(kind) => format!("{{ grade: ungraded, kind: {kind} }}"),
        Guess::Perhaps => "ungraded # if it is a person's, add `kind: person-name`".to_owned(),
        Guess::Nothing => "ungraded".to_owned(),
    }
}

/// The member that most likely is the key of the data subject.
fn subject(members: &[Member]) -> Option<&str> {
    members.iter().find(|member| member.name == "id" && member.shape.is_scalar()).map(|_| "id")
}

/// The members with as many fields as an entity may have; a nested object cannot have a `grade`, which
/// would be taken for the grade of a field.
fn trimmed(members: &[Member], budget: &mut usize) -> Vec<Member> {
    let fit = |member: &Member| Member {
        name: member.name.clone(),
        shape: trimmed_shape(&member.shape, budget),
    };
    members.iter().map(fit).collect()
}

fn trimmed_shape(shape: &Shape, budget: &mut usize) -> Shape {
    match shape {
        Shape::Scalar { .. } => match budget.checked_sub(1) {
            Some(rest) => {
                *budget = rest;
                shape.clone()
            }
            None => Shape::LeftOut("an entity has at most 255 fields"),
        },
        Shape::Array(inner) => trimmed_shape(inner, budget).array(),
        Shape::Object(members) => {
            let mut members = trimmed(members, budget);
            for member in members.iter_mut().filter(|member| member.name == "grade") {
                if !matches!(member.shape, Shape::Array(_)) {
                    member.shape = Shape::LeftOut("a member of a member cannot be called `grade`");
                }
            }
            Shape::object(members)
        }
        Shape::Entity(_) | Shape::LeftOut(_) => shape.clone(),
    }
}
