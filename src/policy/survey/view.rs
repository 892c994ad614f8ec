//! Routes and entities, with names in the place of indexes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::headers::Headers;
use super::super::kind::Kind;
use super::super::model::{
    Action, Body, BodyShape, Entity, Field, Flag, Grade, Model, PathSearch, QueryUse, Route,
    Watermark,
};
use super::super::opaque::{MediaRange, Opaque};
use super::super::program::Program;
use super::super::record_factor::RecordFactor;
use super::super::search::FilterForm;
use super::super::sending::{Sending, Unwritable, Uploads};
use super::super::socket::Socket;
use super::super::stricter::Where;
use super::{Demand, Formula, Names, OnRecords, Zones, and_at};

/// A leaf of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct FieldView {
    pub(in crate::policy) grade: Grade,
    pub(in crate::policy) kind: Option<Kind>,
}

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct EntityView {
    pub(in crate::policy) fields: BTreeMap<Box<str>, FieldView>,
    /// The same paths in the order of the catalogue.
    pub(in crate::policy) order: Vec<Box<str>>,
    pub(in crate::policy) subject: Option<Box<str>>,
    /// The entity under which is registered what its subjects said, if not under its own name.
    pub(in crate::policy) registered_as: Option<Box<str>>,
    pub(in crate::policy) tenant: Option<Box<str>>,
    /// Flags, by name, with their conditions.
    pub(in crate::policy) flags: BTreeMap<Box<str>, Formula>,
    /// What certain records ask for, and of which fields; of the record where none are named.
    pub(in crate::policy) factors: Vec<(OnRecords, Option<BTreeSet<Box<str>>>)>,
    /// Where other entities stand in it.
    pub(in crate::policy) references: BTreeSet<Place>,
}

/// Where records of an entity stand: a path, and the entity's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Place {
    pub(in crate::policy) path: Box<str>,
    pub(in crate::policy) entity: Box<str>,
}

/// What a parameter of a query means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Parameter {
    Field {
        entity: Box<str>,
        path: Box<str>,
        at_least: Option<u32>,
    },
    PageSize,
    Sort,
    Filter(FilterForm),
    Fields,
    Include(BTreeSet<Box<str>>),
    /// Any text, pages too.
    Free,
}

impl Parameter {
    pub(in crate::policy) fn searches(&self, of: &str, by: &str) -> bool {
        matches!(self, Self::Field { entity, path, .. } if **entity == *of && **path == *by)
    }

    /// Whether a search must be longer than one with this demand.
    pub(in crate::policy) fn asks_more(&self, than: Option<u32>) -> bool {
        matches!(self, Self::Field { at_least, .. } if *at_least > than)
    }
}

/// A published entry point.
#[derive(Clone, Debug)]
pub(in crate::policy) struct RouteView {
    pub(in crate::policy) name: Box<str>,
    /// Method, host and path with the names of its parameters.
    pub(in crate::policy) request: Box<str>,
    pub(in crate::policy) zones: Zones,
    pub(in crate::policy) upstream: Box<str>,
    pub(in crate::policy) action: Action,
    pub(in crate::policy) require: Demand,
    /// The parameters of the path that search a field.
    pub(in crate::policy) path: BTreeMap<Box<str>, Parameter>,
    pub(in crate::policy) query: BTreeMap<Box<str>, Parameter>,
    pub(in crate::policy) accepts: Option<BodyView>,
    pub(in crate::policy) returns: Option<BodyView>,
    /// The types that an answer may have.
    pub(in crate::policy) formats: BTreeSet<&'static str>,
    /// Set where the answer passes unread.
    pub(in crate::policy) opaque: Option<OpaqueView>,
    /// Whether the answer is the same whatever the backend says.
    pub(in crate::policy) constant: bool,
    /// Whether a request is sent once more, where that is said.
    pub(in crate::policy) repeats: Option<bool>,
    /// What passes of heads: a word for the way, and the names.
    /// How bodies are taken: their forms, and whether what may not be written is left out.
    pub(in crate::policy) sending: (BTreeSet<&'static str>, bool),
    pub(in crate::policy) uploads: Option<Uploads>,
    pub(in crate::policy) headers: BTreeSet<(&'static str, Box<str>)>,
    /// Where its records carry the mark of their reader.
    pub(in crate::policy) watermark: Watermark,
    /// The route over which the record is read first: request, upstream and answer.
    pub(in crate::policy) reads: Option<(Box<str>, Box<str>, Option<BodyView>)>,
    /// The entity whose conditions decide whether a change happens.
    pub(in crate::policy) acting: Option<Box<str>>,
    /// The entities that it is for.
    pub(in crate::policy) main: Vec<Box<str>>,
    /// Those, and the entities nested in them.
    pub(in crate::policy) entities: Vec<Box<str>>,
    /// The entities whose records stand in an answer, nested ones too.
    pub(in crate::policy) returned: BTreeSet<Box<str>>,
    /// The rules that cover it, by index.
    pub(in crate::policy) rules: Vec<usize>,
}

/// The terms under which an answer passes unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct OpaqueView {
    pub(in crate::policy) types: BTreeSet<String>,
    /// In bytes; none where only budgets end it.
    pub(in crate::policy) size: Option<u64>,
    pub(in crate::policy) grade: u8,
    /// The parameter that names whom it is about, and the entity.
    pub(in crate::policy) about: (Option<Box<str>>, Option<Box<str>>),
    pub(in crate::policy) socket: Option<Socket>,
}

/// The form of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct BodyView {
    pub(in crate::policy) places: BTreeSet<Place>,
    /// Scalars that are no field; true where it is a count.
    pub(in crate::policy) passes: BTreeMap<Box<str>, bool>,
}

impl EntityView {
    pub(super) fn of(entity: &Entity, model: &Model, roles: &str) -> Self {
        // The shape is what the paths of fields and references say.
        let Entity {
            name: _,
            subject,
            registered_as,
            tenant,
            flags,
            factors,
            fields,
            shape: _,
            references,
            span: _,
        } = entity;
        let paths: Vec<Box<str>> = fields.iter().map(|field| field.path.clone()).collect();
        let names = Names { fields: &paths, roles };
        let flag = |Flag { name, condition }: &Flag| (name.clone(), Formula::of(condition, names));
        let path = |at: &u16| fields.get(usize::from(*at)).map(|field| field.path.clone());
        let factor = |factor: &RecordFactor| {
            let fields = factor.fields.as_ref();
            let fields = fields.map(|fields| fields.iter().filter_map(path).collect());
            (OnRecords::of(factor, names), fields)
        };
        let place = |(path, other): &(Box<str>, usize)| {
            let entity = model.entities.get(*other)?.name.clone();
            Some(Place { path: path.clone(), entity })
        };
        Self {
            fields: fields.iter().map(field).collect(),
            order: paths.clone(),
            subject: subject.as_ref().and_then(path),
            registered_as: registered_as.clone(),
            tenant: tenant.as_ref().and_then(path),
            flags: flags.iter().map(flag).collect(),
            factors: factors.iter().map(factor).collect(),
            references: references.iter().filter_map(place).collect(),
        }
    }
}

fn field(field: &Field) -> (Box<str>, FieldView) {
    let Field { path, grade, kind, span: _ } = field;
    // A field without a kind is masked like an opaque one.
    let kind = kind.filter(|kind| *kind != Kind::Opaque);
    (path.clone(), FieldView { grade: *grade, kind })
}

impl RouteView {
    pub(super) fn of(route: &Route, program: &Program) -> Self {
        let Route {
            index,
            name,
            method,
            host,
            template,
            upstream,
            action,
            zones,
            require,
            path,
            query,
            accepts,
            returns,
            formats,
            opaque,
            constant,
            repeats,
            headers,
            sending,
            watermark,
            reads,
            main,
            entities,
            rules,
            span: _,
        } = route;
        let model = &program.model;
        let named = |at: &usize| model.entities.get(*at).map(|entity| entity.name.clone());
        let returned = returns.iter().flat_map(|body| &body.entities);
        let nested: Vec<usize> = returned.flat_map(|entity| model.nested(*entity)).collect();
        let reads = reads.and_then(|at| program.routes.get(at));
        let asked = and_at(Demand::from(require), &model.tenants, Where::Routes);
        let asked = and_at(asked, &model.tenants, Where::Route(*index));
        let acted_on = |read: &Route| read.returns.as_ref()?.entities.first().and_then(named);
        Self {
            name: name.clone(),
            request: format!("{method} {host}{}", template.as_str()).into(),
            zones: Zones::of(zones),
            upstream: upstream.clone(),
            action: *action,
            require: asked,
            path: path.iter().filter_map(|search| path_search(search, model)).collect(),
            formats: formats.iter().map(|format| format.media_type()).collect(),
            opaque: opaque.as_ref().map(OpaqueView::of),
            constant: *constant,
            repeats: *repeats,
            headers: header_names(headers),
            sending: sent(sending),
            watermark: watermark.clone(),
            uploads: sending.uploads.clone(),
            query: query.iter().filter_map(|(name, usage)| parameter(name, usage, model)).collect(),
            accepts: accepts.as_ref().map(|body| BodyView::of(body, model)),
            returns: returns.as_ref().map(|body| BodyView::of(body, model)),
            acting: reads.and_then(|read| acted_on(read)),
            reads: reads.map(|read| {
                let request = format!("{} {}{}", read.method, read.host, read.template.as_str());
                let body = read.returns.as_ref().map(|body| BodyView::of(body, model));
                (request.into(), read.upstream.clone(), body)
            }),
            main: main.iter().filter_map(named).collect(),
            entities: entities.iter().filter_map(named).collect(),
            returned: nested.iter().filter_map(named).collect(),
            rules: rules.clone(),
        }
    }

    /// Whether a request that meets this path could meet the other too, were there no first, and if
    /// so, whether this one is met.
    pub(in crate::policy) fn stands_before(&self, other: &Self) -> bool {
        let host = |route: &'_ Self| route.target().0.to_owned();
        let (mine, theirs) = (self.target().1, other.target().1);
        let is_parameter = |segment: &str| segment.starts_with('{');
        let pairs = || mine.split('/').zip(theirs.split('/'));
        let meet = |(mine, theirs): (&str, &str)| {
            mine == theirs || is_parameter(mine) || is_parameter(theirs)
        };
        let first = pairs().find(|(mine, theirs)| is_parameter(mine) != is_parameter(theirs));
        host(self) == host(other)
            && mine.split('/').count() == theirs.split('/').count()
            && pairs().all(meet)
            && first.is_some_and(|(mine, _)| !is_parameter(mine))
    }

    /// Host and path, whatever the parameters are called: what decides which route a request meets.
    pub(in crate::policy) fn shape(&self) -> String {
        let (host, path) = self.target();
        let plain = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        format!("{host}{}", plain.collect::<Vec<_>>().join("/"))
    }

    fn target(&self) -> (&str, &str) {
        let target = self.request.split_once(' ').map_or("", |(_, target)| target);
        let slash = target.find('/').unwrap_or(target.len());
        target.split_at_checked(slash).unwrap_or((target, ""))
    }
}

impl OpaqueView {
    fn of(opaque: &Opaque) -> Self {
        let Opaque { types, size_bytes, grade, subject, of, socket } = opaque;
        let range = |range: &MediaRange| {
            format!("{}/{}", range.kind, range.subtype.as_deref().unwrap_or("*"))
        };
        Self {
            types: types.iter().map(range).collect(),
            size: *size_bytes,
            grade: *grade,
            about: (subject.clone(), of.as_ref().map(|(_, name)| name.clone())),
            socket: socket.clone(),
        }
    }
}

fn sent(sending: &Sending) -> (BTreeSet<&'static str>, bool) {
    let Sending { forms, unwritable, uploads: _ } = sending;
    (forms.iter().map(|form| form.name()).collect(), *unwritable == Unwritable::Drop)
}

/// What a header is held to follows from its name, so that the names say all.
fn header_names(headers: &Headers) -> BTreeSet<(&'static str, Box<str>)> {
    let Headers { send, pass, cookies } = headers;
    let send = send.iter().map(|name| ("takes the header", name.clone()));
    let pass = pass.iter().map(|(name, _)| ("passes the header", name.clone()));
    let cookies = cookies.iter().map(|name| ("passes the cookie", name.clone()));
    send.chain(pass).chain(cookies).collect()
}

fn path_search(search: &PathSearch, model: &Model) -> Option<(Box<str>, Parameter)> {
    let PathSearch { parameter, entity, field, name: _ } = search;
    let entity = model.entities.get(*entity)?;
    let path = entity.fields.get(usize::from(*field))?.path.clone();
    let entity = entity.name.clone();
    Some((parameter.clone(), Parameter::Field { entity, path, at_least: None }))
}

fn parameter(name: &str, usage: &QueryUse, model: &Model) -> Option<(Box<str>, Parameter)> {
    let parameter = match usage {
        QueryUse::Field { entity, field, at_least } => {
            let entity = model.entities.get(*entity)?;
            let path = entity.fields.get(usize::from(*field))?.path.clone();
            Parameter::Field { entity: entity.name.clone(), path, at_least: *at_least }
        }
        // Refused or not, no more is asked for than the limit.
        QueryUse::PageSize(_) => Parameter::PageSize,
        QueryUse::Filter(form) => Parameter::Filter(*form),
        QueryUse::Fields => Parameter::Fields,
        QueryUse::Include(of) => Parameter::Include(of.iter().cloned().collect()),
        QueryUse::Sort => Parameter::Sort,
        QueryUse::Page | QueryUse::Free => Parameter::Free,
    };
    Some((name.into(), parameter))
}

impl BodyView {
    fn of(body: &Body, model: &Model) -> Self {
        // The rest of a body follows from its shape.
        let Body { shape, entities: _, many: _ } = body;
        let mut view = Self::default();
        view.add("$", shape, model);
        view
    }

    /// As deep as the file, which is capped.
    fn add(&mut self, path: &str, shape: &BodyShape, model: &Model) {
        match shape {
            BodyShape::Entity(entity) => {
                let entity = model.entities.get(*entity).map(|entity| entity.name.clone());
                self.places.extend(entity.map(|entity| Place { path: path.into(), entity }));
            }
            BodyShape::Pass(scalar) => {
                self.passes.insert(path.into(), scalar.counts());
            }
            BodyShape::Array(inner) => self.add(&format!("{path}[]"), inner, model),
            BodyShape::Object(members) => {
                for (name, inner) in members {
                    self.add(&format!("{path}.{name}"), inner, model);
                }
            }
        }
    }
}
