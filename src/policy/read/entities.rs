//! Entities: the form of their records, and the grade and kind of each field.

use std::sync::Arc;

use super::super::expression::{Condition, People, Scope, View};
use super::super::kind::Kind;
use super::super::model::{Entity, Field, Flag, Grade, Model, Purpose, Shape};
use super::super::rows::ROW_TEST_LIMIT;
use super::Sections;
use super::factors;
use super::rules::condition;
use crate::document::Code;
use crate::document::Span;
use crate::document::accepted;
use crate::document::{Content, Node, Pair};
use crate::document::{Keys, Reader, cut};

/// Together below 65,536, the number of fields that one plan can name.
const KEYS: [&str; 6] = ["subject", "registered-as", "tenant", "flags", "step-up", "fields"];
const ENTITY_LIMIT: usize = 255;
const FIELD_LIMIT: usize = 255;
const ARRAY_DEPTH_LIMIT: usize = 4;
const KEY_LIMIT_BYTES: usize = 128;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut definitions = sections.definitions("entities", reader);
    definitions.retain(|pair| reader.check_name(pair.key_span, &pair.key));
    if let Some(pair) = definitions.get(ENTITY_LIMIT) {
        let message = format!("a policy must have at most {ENTITY_LIMIT} entities");
        reader.fault(pair.key_span, Code::TooLarge, message, None);
        definitions.truncate(ENTITY_LIMIT);
    }
    let names: Vec<&str> = definitions.iter().map(|pair| pair.key.as_str()).collect();
    for pair in &definitions {
        let entity = entity(reader, &names, (&model.grades, &model.purposes), pair);
        model.entities.push(entity);
    }
    for (index, pair) in definitions.iter().enumerate() {
        let inside = model.entities.get(index).map(|entity| &entity.references);
        let nested = inside.into_iter().flatten().flat_map(|(_, other)| model.nested(*other));
        if nested.into_iter().any(|other| other == index) {
            let message = format!("the entity `{}` stands inside itself", pair.key);
            let help = "list the inner record's fields instead of naming the entity".to_owned();
            reader.fault(pair.key_span, Code::Ring, message, Some(help));
        }
    }
}

fn entity(
    reader: &mut Reader<'_>,
    names: &[&str],
    (grades, purposes): (&[Option<super::super::model::Requirement>; 4], &[Purpose]),
    pair: &Pair,
) -> Entity {
    let what = format!("the entity `{}`", pair.key);
    let keys = reader.keys(&pair.value, &what, &KEYS);
    let mut builder = Builder { reader, names, grades, fields: Vec::new(), references: Vec::new() };
    let shape = match keys.find("fields") {
        Some(fields) => builder.object(&fields.value, ""),
        None => {
            builder.reader.missing(pair.key_span, &what, "fields", "{ id: 1 }");
            Shape::Object(Vec::new())
        }
    };
    let (fields, references) = (builder.fields, builder.references);
    let mut entity = Entity {
        name: pair.key.as_str().into(),
        subject: None,
        registered_as: None,
        tenant: None,
        flags: Vec::new(),
        factors: Vec::new(),
        fields,
        shape,
        references,
        span: pair.key_span,
    };
    entity.subject = keys.find("subject").and_then(|pair| key_field(reader, &entity, &pair.value));
    entity.registered_as = registered_as(reader, &entity, names, &keys);
    entity.tenant = keys.find("tenant").and_then(|pair| key_field(reader, &entity, &pair.value));
    if let Some(pair) = keys.find("flags") {
        entity.flags = flags(reader, &entity, purposes, &pair.value);
    }
    entity.factors = factors::of_entity(reader, &entity, purposes, &keys);
    entity
}

/// Another entity of the policy: that of the person, where this one is of what a person has.
fn registered_as(
    reader: &mut Reader<'_>,
    entity: &Entity,
    names: &[&str],
    keys: &Keys<'_>,
) -> Option<Box<str>> {
    let pair = keys.find("registered-as")?;
    let name = reader.text(&pair.value, "`registered-as`")?;
    if entity.subject.is_none() {
        let message = "`registered-as` without a `subject` is about nobody".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, None);
    }
    if !names.contains(&name) {
        reader.unknown(pair.value.span, "entity", &cut(name), names);
        return None;
    }
    Some(name.into())
}

fn flags(reader: &mut Reader<'_>, entity: &Entity, purposes: &[Purpose], node: &Node) -> Vec<Flag> {
    let find = |path: &str| entity.scalar(path);
    let whose = entity.whose();
    let people = People { subject: whose.as_ref(), purposes };
    let view = View::Record;
    let scope = Scope { record: Some(&find), parameters: &[], flags: &[], view, people };
    let mut flags: Vec<Flag> = Vec::new();
    for pair in reader.map(node, "`flags`") {
        if flags.len() >= ROW_TEST_LIMIT {
            let message = format!("an entity must have at most {ROW_TEST_LIMIT} flags");
            reader.fault(pair.key_span, Code::TooLarge, message, None);
            break;
        }
        // As conditions read it: `flag.minor`.
        let is_name = pair.key.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && !pair.key.contains('.');
        if !reader.check_name(pair.key_span, &pair.key) {
            continue;
        }
        if !is_name {
            let message = "a flag's name begins with a letter and has no `.`".to_owned();
            reader.fault(pair.key_span, Code::WrongValue, message, None);
            continue;
        }
        let condition = condition(reader, &pair.value, &format!("`{}`", pair.key), &scope);
        // What was wrong is reported; the name stands, so that rules which use it are not at fault.
        let condition = condition.unwrap_or_else(|| Arc::new(Condition::always()));
        flags.push(Flag { name: pair.key.as_str().into(), condition });
    }
    flags
}

fn key_field(reader: &mut Reader<'_>, entity: &Entity, node: &Node) -> Option<u16> {
    let path = reader.text(node, "the key of a subject or tenant")?;
    match entity.scalar(path) {
        Ok(field) => Some(field),
        Err((code, message, help)) => {
            reader.fault(node.span, code, message, Some(help));
            None
        }
    }
}

struct Builder<'r, 's> {
    reader: &'r mut Reader<'s>,
    names: &'r [&'r str],
    grades: &'r [Option<super::super::model::Requirement>; 4],
    fields: Vec<Field>,
    references: Vec<(Box<str>, usize)>,
}

impl Builder<'_, '_> {
    /// As deep as the file, which is capped.
    fn object(&mut self, node: &Node, prefix: &str) -> Shape {
        let mut members: Vec<(Box<str>, Shape)> = Vec::new();
        for pair in self.reader.map(node, "fields") {
            let name = pair.key.trim_end_matches("[]");
            let arrays = (pair.key.len() - name.len()) / 2;
            if !self.check_key(pair, name, arrays) {
                continue;
            }
            if members.iter().any(|(other, _)| other.as_ref() == name) {
                let message = format!("the field `{name}` stands twice");
                self.reader.fault(pair.key_span, Code::RepeatedKey, message, None);
                continue;
            }
            let path =
                if prefix.is_empty() { pair.key.clone() } else { format!("{prefix}.{}", pair.key) };
            let Some(inner) = self.value(pair, &path) else { continue };
            let shape = (0..arrays).fold(inner, |shape, _| Shape::Array(Box::new(shape)));
            members.push((name.into(), shape));
        }
        Shape::Object(members)
    }

    fn check_key(&mut self, pair: &Pair, name: &str, arrays: usize) -> bool {
        let fits = !name.is_empty()
            && name.len() <= KEY_LIMIT_BYTES
            && !name.contains(['.', '[', ']', '*'])
            && !name.chars().any(|c| c.is_control() || c.is_whitespace());
        if !fits || arrays > ARRAY_DEPTH_LIMIT {
            let help = "write the JSON member's name, with `[]` behind it for an array; \
                        members of members go into a map of their own";
            let message = "not a field name".to_owned();
            self.reader.fault(pair.key_span, Code::WrongValue, message, Some(help.to_owned()));
        }
        fits && arrays <= ARRAY_DEPTH_LIMIT
    }

    fn value(&mut self, pair: &Pair, path: &str) -> Option<Shape> {
        match &pair.value.content {
            Content::Text(text) => self.word(text, pair.value.span, path),
            Content::Map(pairs) if pairs.iter().any(|pair| pair.key == "grade") => {
                let keys = self.reader.keys(&pair.value, "a field", &["grade", "kind"]);
                let grade = keys.find("grade").and_then(|pair| self.grade(&pair.value));
                let kind = keys.find("kind").and_then(|pair| self.kind(&pair.value));
                self.field(path, grade.unwrap_or(Grade::Sealed), kind, pair.key_span)
            }
            Content::Map(pairs) if !pairs.is_empty() => Some(self.object(&pair.value, path)),
            Content::Map(_) | Content::Null | Content::List(_) => {
                let message = format!("the field `{path}` has no grade");
                let help = "write a grade (`2`), `{ grade: 2, kind: phone }`, `sealed`, a map of \
                            members, or the name of an entity";
                self.reader.fault(
                    pair.value.span,
                    Code::WrongShape,
                    message,
                    Some(help.to_owned()),
                );
                None
            }
        }
    }

    fn word(&mut self, text: &str, span: Span, path: &str) -> Option<Shape> {
        if let Some(entity) = self.names.iter().position(|name| *name == text) {
            self.references.push((path.into(), entity));
            return Some(Shape::Entity(entity));
        }
        let grade = self.grade_of(text, span)?;
        self.field(path, grade, None, span)
    }

    fn field(&mut self, path: &str, grade: Grade, kind: Option<Kind>, span: Span) -> Option<Shape> {
        let index =
            u16::try_from(self.fields.len()).ok().filter(|_| self.fields.len() < FIELD_LIMIT);
        if index.is_none() {
            let message = format!("an entity must have at most {FIELD_LIMIT} fields");
            self.reader.fault(span, Code::TooLarge, message, None);
        }
        self.fields.push(Field { path: path.into(), grade, kind, span });
        index.map(Shape::Field)
    }

    fn grade(&mut self, node: &Node) -> Option<Grade> {
        let text = self.reader.text(node, "`grade`")?;
        self.grade_of(text, node.span)
    }

    fn grade_of(&mut self, text: &str, span: Span) -> Option<Grade> {
        if text == "sealed" {
            return Some(Grade::Sealed);
        }
        if text == "ungraded" {
            return Some(Grade::Ungraded);
        }
        let number = text.parse::<u8>().ok().filter(|n| (1..=4).contains(n) && text.len() == 1);
        let Some(number) = number else {
            let mut known = vec!["1", "2", "3", "4", "sealed", "ungraded"];
            known.extend(self.names);
            let message = format!("`{}` is neither a grade nor an entity", cut(text));
            let help = accepted(text, &known);
            self.reader.fault(span, Code::UnknownName, message, Some(help));
            return None;
        };
        let defined = self.grades.get(usize::from(number) - 1).is_some_and(Option::is_some);
        if !defined {
            let help = format!("add `{number}: {{}}` to `grades`, with what it asks");
            let message = format!("grade {number} is not defined");
            self.reader.fault(span, Code::UnknownName, message, Some(help));
        }
        Some(Grade::Open(number))
    }

    fn kind(&mut self, node: &Node) -> Option<Kind> {
        let text = self.reader.text(node, "`kind`")?;
        let kind = Kind::named(text);
        if kind.is_none() {
            let known: Vec<&str> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
            self.reader.unknown(node.span, "kind", &cut(text), &known);
        }
        kind
    }
}

/// Whether a path that a rule wrote means this path of the catalogue; `[]` may be left out.
fn names(written: &str, path: &str) -> bool {
    written == path || (!written.contains("[]") && written == path.replace("[]", ""))
}

type Unresolved = (Code, String, String);

impl Entity {
    /// The one field at `path`, which must be a scalar of the record itself and not sealed.
    pub(super) fn scalar(&self, path: &str) -> Result<u16, Unresolved> {
        let Some(at) = self.fields.iter().position(|field| names(path, &field.path)) else {
            return Err(self.no_field(path));
        };
        if self.fields.get(at).is_some_and(|field| field.path.contains("[]")) {
            let message = format!("`{path}` stands in an array, so that a record has many");
            return Err((Code::WrongValue, message, "name a field outside arrays".to_owned()));
        }
        self.check_open(at)
    }

    /// All fields at or below `path`. A sealed field may not be named; below a name it is passed over.
    ///
    /// `accounts.number` names `accounts[].number`, since YAML does not take `[]` inside `[a, b]`.
    pub(super) fn fields_at(&self, path: &str) -> Result<Vec<u16>, Unresolved> {
        if let Some(at) = self.fields.iter().position(|field| names(path, &field.path)) {
            return Ok(vec![self.check_open(at)?]);
        }
        let below = |field: &Field| {
            let ends = field.path.match_indices('.').map(|(at, _)| at);
            ends.filter_map(|end| field.path.get(..end)).any(|container| names(path, container))
        };
        let found: Vec<usize> =
            (0..self.fields.len()).filter(|at| self.fields.get(*at).is_some_and(below)).collect();
        let open: Vec<u16> = found.iter().filter_map(|at| self.check_open(*at).ok()).collect();
        match (found.first(), open.is_empty()) {
            (None, _) => Err(self.no_field(path)),
            (Some(first), true) => self.check_open(*first).map(|field| vec![field]),
            (Some(_), false) => Ok(open),
        }
    }

    /// The same for a query, which may name an ungraded field: it needs the field in clear, so that
    /// nobody may use it before there is a grade.
    pub(super) fn searchable(&self, path: &str) -> Result<Vec<u16>, Unresolved> {
        let found = self.fields.iter().position(|field| names(path, &field.path));
        let ungraded =
            |at: &usize| self.fields.get(*at).is_some_and(|field| field.grade == Grade::Ungraded);
        match found.filter(ungraded).and_then(|at| u16::try_from(at).ok()) {
            Some(field) => Ok(vec![field]),
            None => self.fields_at(path),
        }
    }

    fn check_open(&self, at: usize) -> Result<u16, Unresolved> {
        let field = self.fields.get(at);
        let open = field.is_some_and(|field| field.grade.is_open());
        let index = u16::try_from(at).ok().filter(|_| open);
        index.ok_or_else(|| {
            let path = field.map_or("", |field| field.path.as_ref());
            if field.is_some_and(|field| field.grade == Grade::Ungraded) {
                let message = format!("`{}.{path}` has no grade", self.name);
                return (Code::Sealed, message, "give it a grade first: it is closed".to_owned());
            }
            let message = format!("`{}.{path}` is sealed", self.name);
            (Code::Sealed, message, "a sealed field never leaves; no rule may name it".to_owned())
        })
    }

    fn no_field(&self, path: &str) -> Unresolved {
        let inside = self.references.iter().find(|(reference, _)| {
            let (path, reference) = (path.replace("[]", ""), reference.replace("[]", ""));
            path.strip_prefix(&reference)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        if let Some((reference, _)) = inside {
            let message = format!("`{reference}` is another entity's record");
            let help = "its own rules say what is seen of it: write a rule `of` that entity";
            return (Code::UnknownName, message, help.to_owned());
        }
        if path.contains('*') {
            let message = "`*` is not accepted: a rule names its fields".to_owned();
            return (Code::WrongValue, message, "list the fields".to_owned());
        }
        let open = self.fields.iter().filter(|field| field.grade.is_open());
        // As a rule writes them: YAML does not take `[]` inside `[a, b]`.
        let known: Vec<String> = open.map(|field| field.path.replace("[]", "")).collect();
        let help = accepted(path, &known.iter().map(String::as_str).collect::<Vec<_>>());
        (Code::UnknownName, format!("`{}` has no field `{}`", self.name, cut(path)), help)
    }
}
