//! Schemas to entities: each named object that a route needs, with the entities inside it.

use std::collections::{HashMap, HashSet};

use super::description::{Description, Reference, get, items, pairs, text};
use super::guess::entity_name;
use super::shape::{Member, Shape};
use crate::document::Node;

/// As many as a policy may have.
const ENTITY_LIMIT: usize = 255;
/// How deep schemas and the entities in them are followed.
const DEPTH_LIMIT: usize = 32;
/// More members than a catalogue could have fields.
const MEMBER_LIMIT: usize = 1000;

/// An entity and what was noticed when it was read.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
    pub(super) notes: Vec<&'static str>,
}

/// The entities found so far.
pub(super) struct Catalogue<'d> {
    description: &'d Description<'d>,
    entities: Vec<Entity>,
    names: HashSet<String>,
    /// The entity that a schema became; `None` for one that is no object.
    of_schema: HashMap<&'d str, Option<usize>>,
    /// The schemas being read, so that one that stands inside itself is noticed.
    open: Vec<&'d str>,
    notes: Vec<&'static str>,
}

impl<'d> Catalogue<'d> {
    pub(super) fn new(description: &'d Description<'d>) -> Self {
        Self {
            description,
            entities: Vec::new(),
            names: HashSet::new(),
            of_schema: HashMap::new(),
            open: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn entity(&self, index: usize) -> Option<&Entity> {
        self.entities.get(index)
    }

    /// The form of a body.
    pub(super) fn body(&mut self, schema: &'d Node) -> Shape {
        self.notes.clear();
        self.shape(schema, 0)
    }

    /// An entity of an object that has no name of its own; equal ones of one name are one.
    pub(super) fn unnamed(&mut self, wanted: &str, members: Vec<Member>) -> Option<usize> {
        let wanted = entity_name(wanted);
        let same = |entity: &Entity| entity.name == wanted && entity.members == members;
        if let Some(at) = self.entities.iter().position(same) {
            return Some(at);
        }
        let notes = std::mem::take(&mut self.notes);
        self.add(wanted, members, notes)
    }

    /// The entities that stand in bodies, and those inside them, in the order in which they were found.
    pub(super) fn used<'r>(&self, roots: impl Iterator<Item = &'r usize>) -> Vec<Option<&Entity>> {
        let mut used: Vec<usize> = roots.copied().collect();
        let mut seen: HashSet<usize> = HashSet::new();
        while let Some(index) = used.pop() {
            if let Some(entity) = self.entities.get(index).filter(|_| seen.insert(index)) {
                entity.members.iter().for_each(|member| member.shape.entities(&mut used));
            }
        }
        let entities = self.entities.iter().enumerate();
        entities.map(|(index, entity)| seen.contains(&index).then_some(entity)).collect()
    }

    fn add(
        &mut self,
        wanted: String,
        members: Vec<Member>,
        notes: Vec<&'static str>,
    ) -> Option<usize> {
        if self.entities.len() >= ENTITY_LIMIT {
            return None;
        }
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        self.entities.push(Entity { name, members, notes });
        Some(self.entities.len() - 1)
    }

    /// The form of a schema; a reference to an object is a record of its entity.
    fn shape(&mut self, schema: &'d Node, depth: usize) -> Shape {
        if depth > DEPTH_LIMIT || !self.description.may_go_on() {
            return Shape::LeftOut("nested too deep");
        }
        match self.description.reference(schema, "schemas") {
            None => self.own(schema, depth),
            Some(Reference::Elsewhere) => Shape::LeftOut("stands in another document"),
            Some(Reference::Nowhere) => Shape::LeftOut("refers to nothing"),
            Some(Reference::To(name, _)) if self.open.contains(&name) => {
                Shape::LeftOut("stands inside itself")
            }
            Some(Reference::To(name, target)) => match self.of_schema.get(name) {
                Some(Some(entity)) => Shape::Entity(*entity),
                Some(None) => self.inside(name, target, depth),
                None => self.named(name, target, depth),
            },
        }
    }

    fn named(&mut self, name: &'d str, schema: &'d Node, depth: usize) -> Shape {
        let outer = std::mem::take(&mut self.notes);
        let shape = self.inside(name, schema, depth);
        let notes = std::mem::replace(&mut self.notes, outer);
        let Shape::Object(members) = shape else {
            self.of_schema.insert(name, None);
            self.notes.extend(notes);
            return shape;
        };
        let Some(entity) = self.add(entity_name(name), members, notes) else {
            return Shape::LeftOut("more than 255 entities");
        };
        self.of_schema.insert(name, Some(entity));
        Shape::Entity(entity)
    }

    fn inside(&mut self, name: &'d str, schema: &'d Node, depth: usize) -> Shape {
        self.open.push(name);
        let shape = self.shape(schema, depth + 1);
        self.open.pop();
        shape
    }

    /// The form of a schema with references followed and none made an entity, to be joined with others.
    fn inline(&mut self, schema: &'d Node, depth: usize) -> Shape {
        if depth > DEPTH_LIMIT || !self.description.may_go_on() {
            return Shape::LeftOut("nested too deep");
        }
        match self.description.reference(schema, "schemas") {
            None => self.own(schema, depth),
            Some(Reference::To(name, target)) if !self.open.contains(&name) => {
                self.open.push(name);
                let shape = self.inline(target, depth + 1);
                self.open.pop();
                shape
            }
            Some(_) => Shape::LeftOut("stands inside itself, or in another document"),
        }
    }

    fn own(&mut self, schema: &'d Node, depth: usize) -> Shape {
        let parts = get(schema, "allOf").map_or(&[][..], items);
        let forms: Vec<&'d Node> = ["oneOf", "anyOf"]
            .iter()
            .flat_map(|key| get(schema, key).map_or(&[][..], items))
            .filter(|form| get(form, "type").and_then(text) != Some("null"))
            .collect();
        let plain = self.plain(schema, depth);
        match (&plain, parts, forms.as_slice()) {
            (_, [], []) => plain,
            (Shape::LeftOut(_), [one], []) => self.shape(one, depth + 1),
            (Shape::LeftOut(_), [], [one]) => self.shape(one, depth + 1),
            _ => self.joined(plain, parts, &forms, depth),
        }
    }

    fn joined(
        &mut self,
        plain: Shape,
        parts: &'d [Node],
        forms: &[&'d Node],
        depth: usize,
    ) -> Shape {
        let mut joined = plain;
        for part in parts {
            let part = self.inline(part, depth + 1);
            self.note_left_out(&part);
            joined = joined.joined(part);
        }
        for form in forms {
            let form = self.inline(form, depth + 1);
            self.note_left_out(&form);
            joined = joined.joined(form);
        }
        let note = "has several forms: the members of all of them are listed";
        if forms.len() > 1 && matches!(joined, Shape::Object(_)) {
            self.note(note);
        }
        joined
    }

    fn note_left_out(&mut self, part: &Shape) {
        if matches!(part, Shape::LeftOut(_)) {
            self.note("a part of it is left out: it names no members, or leads back to itself");
        }
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn plain(&mut self, schema: &'d Node, depth: usize) -> Shape {
        if let Some(properties) = get(schema, "properties") {
            let mut members = Vec::new();
            for pair in pairs(properties).iter().take(MEMBER_LIMIT) {
                if members.iter().any(|known: &Member| known.name == pair.key) {
                    continue;
                }
                let shape = match unnameable(&pair.key) {
                    Some(reason) => Shape::LeftOut(reason),
                    None => self.shape(&pair.value, depth + 1),
                };
                members.push(Member { name: pair.key.clone(), shape });
            }
            return Shape::object(members);
        }
        if let Some(inner) = get(schema, "items") {
            return self.shape(inner, depth + 1).array();
        }
        match kind(schema) {
            Some("object") => Shape::LeftOut("an object whose members have no fixed names"),
            Some("array") => Shape::LeftOut("an array of anything"),
            Some(kind @ ("string" | "integer" | "number" | "boolean")) => Shape::Scalar {
                kind: kind.to_owned(),
                format: get(schema, "format").and_then(text).unwrap_or("").to_owned(),
            },
            _ if get(schema, "enum").is_some() || get(schema, "const").is_some() => {
                Shape::Scalar { kind: "string".to_owned(), format: String::new() }
            }
            _ => Shape::LeftOut("may hold anything"),
        }
    }
}

/// The type; of several (OpenAPI 3.1) the first that is not null.
fn kind(schema: &Node) -> Option<&str> {
    let kind = get(schema, "type")?;
    let several = items(kind).iter().filter_map(text).find(|word| *word != "null");
    text(kind).or(several)
}

/// Why a member cannot be named in a catalogue.
fn unnameable(name: &str) -> Option<&'static str> {
    const NAME_LIMIT_BYTES: usize = 128;
    let odd = |c: char| ".[]*".contains(c) || c.is_control() || c.is_whitespace();
    (name.is_empty() || name.len() > NAME_LIMIT_BYTES || name.contains(odd))
        .then_some("a catalogue cannot name it")
}
