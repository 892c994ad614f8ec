//! The policy after it was read and every name resolved: grades, entities, routes, roles, rules.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::consent::Demand;
use super::detect::Detect;
use super::detections::Detections;
use super::expression::{Condition, Subject};
use super::granting::GrantRule;
use super::headers::Headers;
use super::kind::{Kind, Mask};
use super::limits::{Limits, OffHours, Slice};
use super::opaque::Opaque;
use super::record_factor::RecordFactor;
use super::retention::Retention;
use super::rotation::Rotation;
use super::search::{FilterForm, TooLarge};
use super::sending::Sending;
use super::socket::Socket;
use super::stricter::Stricter;
use super::ticket::TicketForm;
use super::ties::CaseKinds;
use crate::document::Span;
use crate::route::Template;

/// What a caller does to data. Rules allow and deny actions; every route has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Reads one record.
    View,
    /// Reads a list that a query selects.
    Search,
    /// Takes records out in bulk.
    Export,
    /// Makes a record.
    Create,
    /// Changes a record.
    Update,
    /// Removes a record.
    Delete,
    /// Calls something that is none of these.
    Call,
}

impl Action {
    /// Every action with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("view", Self::View),
        ("search", Self::Search),
        ("export", Self::Export),
        ("create", Self::Create),
        ("update", Self::Update),
        ("delete", Self::Delete),
        ("call", Self::Call),
    ];

    /// The name that policy files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, action)| *action == self).map_or("call", |(name, _)| name)
    }

    /// Whether the action only reads. Everything else is recorded before the upstream is called.
    #[must_use]
    pub fn only_reads(self) -> bool {
        matches!(self, Self::View | Self::Search | Self::Export)
    }

    /// Whether the action changes a record that exists and can be read before.
    pub(super) fn changes_a_record(self) -> bool {
        matches!(self, Self::Update | Self::Delete)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A form in which an answer may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON text.
    Json,
    /// One JSON text a line.
    NdJson,
    /// A JSON text sequence (RFC 7464).
    JsonSeq,
    /// A stream of events, each of which holds a JSON text.
    EventStream,
    /// Rows of comma-separated values, the first of which names the columns.
    Csv,
    /// The same with tabs, where nothing is quoted.
    Tsv,
}

impl Format {
    /// Every format with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("json", Self::Json),
        ("ndjson", Self::NdJson),
        ("json-seq", Self::JsonSeq),
        ("event-stream", Self::EventStream),
        ("csv", Self::Csv),
        ("tsv", Self::Tsv),
    ];

    /// The media type that is asked for.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::JsonSeq => "application/json-seq",
            Self::EventStream => "text/event-stream",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
        }
    }

    /// The content type that a judged answer carries.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::NdJson | Self::JsonSeq | Self::EventStream => self.media_type(),
            Self::Csv => "text/csv; charset=utf-8",
            Self::Tsv => "text/tab-separated-values; charset=utf-8",
        }
    }

    /// Whether its records are rows.
    #[must_use]
    pub fn is_table(self) -> bool {
        match self {
            Self::Csv | Self::Tsv => true,
            Self::Json | Self::NdJson | Self::JsonSeq | Self::EventStream => false,
        }
    }

    /// Whether it goes on for as long as both sides like, so that each record leaves as it comes.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::EventStream => true,
            Self::Json | Self::NdJson | Self::JsonSeq | Self::Csv | Self::Tsv => false,
        }
    }
}

/// What a grade, route or rule asks of a caller beyond a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Requirement {
    /// Least assurance; 0 asks none.
    pub(super) assurance: u8,
    /// Greatest age of a factor of that assurance.
    pub(super) fresh_s: Option<u32>,
    /// Zones; none means all.
    pub(super) zones: Vec<Box<str>>,
    /// Whether a device key bound to the person is asked.
    pub(super) device: bool,
    /// Whether somebody must have granted it.
    pub(super) grant: bool,
    /// The kinds of cases of which one must tie the caller to whom a record is about.
    pub(super) link: CaseKinds,
}

impl Requirement {
    /// Whether whoever meets the other meets this.
    pub(super) fn asks_no_more_than(&self, other: &Self) -> bool {
        let longer = |mine: u32| other.fresh_s.is_some_and(|theirs| theirs <= mine);
        let anywhere = self.zones.is_empty();
        self.assurance <= other.assurance
            && self.fresh_s.is_none_or(longer)
            && (anywhere
                || (!other.zones.is_empty()
                    && other.zones.iter().all(|zone| self.zones.contains(zone))))
            && (!self.device || other.device)
            && (!self.grant || other.grant)
            && self.link.asks_no_more_than(&other.link)
    }
}

/// What data may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Purpose {
    pub(super) name: Box<str>,
    /// The form of the ticket without which it does not count as declared.
    pub(super) ticket: Option<TicketForm>,
    /// What it asks of whom records are about.
    pub(super) consent: Option<Demand>,
    /// When its pseudonyms change, if otherwise than those of other purposes.
    pub(super) pseudonyms: Option<Rotation>,
}

/// How sensitive a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// 1 open to 4 secret.
    Open(u8),
    /// Never leaves, whatever a rule says.
    Sealed,
    /// Nobody has said yet, as after an import; closed like a sealed one until somebody does.
    Ungraded,
}

impl Grade {
    /// Whether the field may leave at all.
    pub(super) fn is_open(self) -> bool {
        match self {
            Self::Open(_) => true,
            Self::Sealed | Self::Ungraded => false,
        }
    }
}

/// A leaf of an entity.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// The path inside the entity, such as `accounts[].number`.
    pub(super) path: Box<str>,
    pub(super) grade: Grade,
    pub(super) kind: Option<Kind>,
    pub(super) span: Span,
}

/// The form of an entity's record, or of a part of it.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A scalar, by index of its field.
    Field(u16),
    Object(Vec<(Box<str>, Shape)>),
    Array(Box<Shape>),
    /// Another entity's record, by index.
    Entity(usize),
}

/// A mark that some records have. No rule that allows applies to them unless it names the flag.
#[derive(Clone, Debug)]
pub(super) struct Flag {
    pub(super) name: Box<str>,
    /// Holds on flagged records, and counts as holding where it cannot be evaluated.
    pub(super) condition: Arc<Condition>,
}

/// A kind of record.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    pub(super) name: Box<str>,
    pub(super) subject: Option<u16>,
    /// The entity under which is registered what its subjects said, if not under its own name.
    pub(super) registered_as: Option<Box<str>>,
    pub(super) tenant: Option<u16>,
    pub(super) flags: Vec<Flag>,
    /// The factors that are asked for on certain records.
    pub(super) factors: Vec<RecordFactor>,
    pub(super) fields: Vec<Field>,
    pub(super) shape: Shape,
    /// Where other entities stand in it: path and entity.
    pub(super) references: Vec<(Box<str>, usize)>,
    pub(super) span: Span,
}

impl Entity {
    /// Whom a record is about, as registered, where that is known.
    pub(super) fn whose(&self) -> Option<Subject> {
        let entity = self.registered_as.as_ref().unwrap_or(&self.name).clone();
        self.subject.map(|field| Subject { entity, field })
    }
}

/// The form of a body: where records stand in it, and which scalars pass beside them.
#[derive(Clone, Debug)]
pub(super) enum BodyShape {
    Object(Vec<(Box<str>, BodyShape)>),
    Array(Box<BodyShape>),
    Entity(usize),
    /// A scalar that is no field.
    Pass(Scalar),
}

/// What a scalar that is no field tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// Nothing of how many records there are.
    Plain,
    /// How many, as its name lets fear.
    Count,
    /// How many, as the policy says.
    Total,
}

impl Scalar {
    /// Whether it would betray how many records were withheld.
    pub(super) fn counts(self) -> bool {
        match self {
            Self::Plain => false,
            Self::Count | Self::Total => true,
        }
    }
}

/// A body that a route takes or gives.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) shape: BodyShape,
    /// The entities that stand in it by themselves, not inside another.
    pub(super) entities: Vec<usize>,
    /// Whether a record stands inside an array.
    pub(super) many: bool,
}

/// What a query parameter is declared to mean.
#[derive(Clone, Debug)]
pub(super) enum QueryUse {
    Field {
        entity: usize,
        field: u16,
        at_least: Option<u32>,
    },
    Page,
    PageSize(TooLarge),
    Sort,
    Filter(FilterForm),
    Fields,
    /// The names that it may hold.
    Include(Vec<Box<str>>),
    Free,
}

/// A parameter of a path that searches a field.
#[derive(Clone, Debug)]
pub(super) struct PathSearch {
    pub(super) parameter: Box<str>,
    pub(super) entity: usize,
    pub(super) field: u16,
    /// The field's full name, such as `customer.phone`.
    pub(super) name: Box<str>,
}

/// Where the records of an export carry the mark of its reader, beside the head and the name of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The member or column that each record gets.
    pub field: Option<Box<str>>,
    /// Whether it is legible in the order of the records.
    pub order: bool,
}

/// A published entry point.
#[derive(Clone, Debug)]
pub struct Route {
    pub(super) index: usize,
    pub(super) name: Box<str>,
    pub(super) method: Box<str>,
    pub(super) host: Box<str>,
    pub(super) template: Template,
    pub(super) upstream: Box<str>,
    pub(super) action: Action,
    pub(super) zones: Vec<Box<str>>,
    pub(super) require: Requirement,
    /// The parameters of the path that search a field; the others are keys.
    pub(super) path: Vec<PathSearch>,
    pub(super) query: Vec<(Box<str>, QueryUse)>,
    pub(super) accepts: Option<Body>,
    pub(super) returns: Option<Body>,
    /// The forms of the answer; none where it has no body that is judged.
    pub(super) formats: Vec<Format>,
    pub(super) opaque: Option<Opaque>,
    /// Whether the answer is the same whatever the backend says.
    pub(super) constant: bool,
    /// Whether a request that may have been acted on is sent once more; what its upstream says where that is not said.
    pub(super) repeats: Option<bool>,
    /// What passes of heads, both ways.
    pub(super) headers: Headers,
    /// How the body of a request is taken.
    pub(super) sending: Sending,
    pub(super) watermark: Watermark,
    pub(super) reads: Option<usize>,
    /// The entities that a rule must open for the route to open.
    pub(super) main: Vec<usize>,
    /// Those, and the entities nested in them.
    pub(super) entities: Vec<usize>,
    /// The rules that could match, by index.
    pub(super) rules: Vec<usize>,
    pub(super) span: Span,
}

impl Route {
    /// The name, such as `customer.view`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The host it is published on.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path with its parameters.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The full name of the field that a parameter of the path searches, if it searches one.
    #[must_use]
    pub fn searches(&self, parameter: &str) -> Option<&str> {
        let search = self.path.iter().find(|search| *search.parameter == *parameter)?;
        Some(&search.name)
    }

    /// The parameters of a query that search a field.
    pub fn searched_parameters(&self) -> impl Iterator<Item = &str> {
        let searches = |one: &&(Box<str>, QueryUse)| matches!(one.1, QueryUse::Field { .. });
        self.query.iter().filter(searches).map(|(name, _)| name.as_ref())
    }

    /// Whether a parameter of the query says only which page of an answer, in which order and with which of its fields.
    #[must_use]
    pub fn turns_pages(&self, name: &str) -> bool {
        let turns = |used: &QueryUse| match used {
            QueryUse::Page | QueryUse::PageSize(_) | QueryUse::Sort | QueryUse::Fields => true,
            QueryUse::Field { .. }
            | QueryUse::Filter(_)
            | QueryUse::Include(_)
            | QueryUse::Free => false,
        };
        self.query_use(name).is_some_and(turns)
    }

    /// What a parameter of the query is declared to mean; `filter[name]` is one of `filter`, where that is so written.
    pub(super) fn query_use(&self, name: &str) -> Option<&QueryUse> {
        let (base, in_brackets) = match name.split_once('[') {
            Some((base, _)) => (base, true),
            None => (name, false),
        };
        let (_, used) = self.query.iter().find(|(declared, _)| **declared == *base)?;
        let is_brackets = matches!(used, QueryUse::Filter(FilterForm::Brackets));
        (is_brackets == in_brackets).then_some(used)
    }

    /// The name of the upstream that answers.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Whether its answer is a file that somebody takes out.
    #[must_use]
    pub fn gives_a_file(&self) -> bool {
        self.action() == Action::Export || self.opaque.is_some()
    }

    /// Whether a request that may have been acted on may be sent once more, where the policy says.
    #[must_use]
    pub fn repeats(&self) -> Option<bool> {
        self.repeats
    }

    /// Whether what it gives stays open for as long as both sides like: events, or a WebSocket.
    #[must_use]
    pub fn stays_open(&self) -> bool {
        let stays = |opaque: &Opaque| opaque.is_event_stream() || opaque.socket().is_some();
        self.opaque.as_ref().is_some_and(stays) || self.formats.iter().any(|one| one.is_live())
    }

    /// Whether its answers pass unread.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.opaque.is_some()
    }

    /// The terms of the WebSocket that it is, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Socket> {
        self.opaque.as_ref()?.socket()
    }

    /// What the route does.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The zones it exists in; none means all.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(AsRef::as_ref)
    }

    /// Whether the caller gets an empty answer at once, whatever the backend says.
    #[must_use]
    pub fn answers_constantly(&self) -> bool {
        self.constant
    }

    /// What passes of the heads of requests and answers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// How the body of a request is taken.
    #[must_use]
    pub fn sending(&self) -> &Sending {
        &self.sending
    }

    /// Where the records of an answer carry the mark of its reader.
    #[must_use]
    pub fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// Whether a request may have a body.
    #[must_use]
    pub fn takes_a_body(&self) -> bool {
        self.accepts.is_some() || self.sending.uploads.is_some()
    }

    /// Whether an answer is about one record that somebody may see or not, and nothing without it.
    #[must_use]
    pub fn views_one_record(&self) -> bool {
        let is_one = |body: &Body| !body.many && !body.entities.is_empty();
        self.action == Action::View && self.returns.as_ref().is_some_and(is_one)
    }

    /// The forms in which an answer may come, the one that is preferred first.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Whether an answer may have a body that is judged.
    #[must_use]
    pub fn gives_a_body(&self) -> bool {
        self.returns.is_some()
    }
}

/// A role and what it includes.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) name: Box<str>,
    /// Itself and every role it includes, by index.
    pub(super) held: Vec<usize>,
    pub(super) rank: u8,
    pub(super) external: bool,
    pub(super) span: Span,
}

/// Whether a rule gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// Whom a rule or limit is about.
#[derive(Clone, Debug)]
pub(super) enum Audience {
    Any,
    Roles(Vec<usize>),
}

impl Audience {
    pub(super) fn includes(&self, held: &[usize]) -> bool {
        match self {
            Self::Any => true,
            Self::Roles(roles) => roles.iter().any(|role| held.contains(role)),
        }
    }

    /// Whether everybody whom the other is about is among those whom this is about.
    pub(super) fn covers(&self, other: &Self, roles: &[Role]) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Roles(_), Self::Any) => false,
            (Self::Roles(_), Self::Roles(theirs)) => theirs
                .iter()
                .all(|role| roles.get(*role).is_some_and(|role| self.includes(&role.held))),
        }
    }
}

/// One rule. Fields are indexes in the entity `of`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Box<str>,
    pub(super) effect: Effect,
    pub(super) actions: Vec<Action>,
    pub(super) to: Audience,
    pub(super) of: Option<usize>,
    /// The routes it is confined to; none means all.
    pub(super) routes: Option<Vec<usize>>,
    pub(super) clear: Vec<u16>,
    pub(super) masked: Vec<u16>,
    pub(super) pseudonym: Vec<u16>,
    pub(super) write: Vec<u16>,
    pub(super) row: Option<Arc<Condition>>,
    pub(super) when: Option<Arc<Condition>>,
    pub(super) purposes: Vec<Box<str>>,
    pub(super) require: Requirement,
    /// The factor without which it gives nothing of certain records.
    pub(super) factor: Option<RecordFactor>,
    /// The flags of flagged records that the rule is for as well, by index in the entity.
    pub(super) flags: Vec<usize>,
    /// The tenant whose callers alone it is about; it denies then.
    pub(super) tenant: Option<Box<str>>,
    pub(super) span: Span,
}

impl Rule {
    /// Whether the rule names fields; a deny rule that names none takes away the action or the record.
    pub(super) fn names_fields(&self) -> bool {
        let lists = [&self.clear, &self.masked, &self.pseudonym, &self.write];
        lists.iter().any(|list| !list.is_empty())
    }

    /// Whether the rule is about this route.
    ///
    /// What a rule shows of an entity says nothing of a file about it: only a rule that names an opaque
    /// route opens it.
    pub(super) fn covers(&self, route: &Route) -> bool {
        let named = self.routes.as_ref().map(|routes| routes.contains(&route.index));
        let unless_named = route.opaque.is_none() || self.effect == Effect::Deny;
        self.actions.contains(&route.action)
            && named.unwrap_or(unless_named)
            && self.of.is_none_or(|entity| route.entities.contains(&entity))
    }
}

/// Who counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nobody with anybody.
    #[default]
    Person,
    /// All who hold a role that the limit names.
    Role,
    /// All of a tenant.
    Tenant,
    /// All of a partner.
    Partner,
}

impl Whose {
    /// Each with the name that policy files use.
    pub(super) const NAMES: [(&'static str, Self); 4] = [
        ("person", Self::Person),
        ("role", Self::Role),
        ("tenant", Self::Tenant),
        ("partner", Self::Partner),
    ];
}

/// A limit and whom it is about.
#[derive(Clone, Debug)]
pub(super) struct LimitRule {
    pub(super) to: Audience,
    pub(super) per: Whose,
    pub(super) on: Slice,
    pub(super) limits: Limits,
    /// What holds beside them at some times.
    pub(super) off_hours: Option<(OffHours, Limits)>,
    /// The tenant whose callers alone it is about.
    pub(super) tenant: Option<Box<str>>,
    pub(super) span: Span,
}

/// In which style each kind is masked, on all routes.
#[derive(Clone, Debug, Default)]
pub(super) struct Masks {
    /// The kinds whose style the policy names.
    named: Vec<Mask>,
}

impl Masks {
    /// Has all values of the mask's kind masked by it.
    pub(super) fn set(&mut self, mask: Mask) {
        self.named.retain(|other| other.kind() != mask.kind());
        self.named.push(mask);
    }

    /// How values of the kind are masked.
    pub(super) fn of(&self, kind: Kind) -> Mask {
        let named = self.named.iter().find(|mask| mask.kind() == kind);
        named.copied().unwrap_or_else(|| Mask::of(kind))
    }
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// What each grade asks, by grade less one; `None` where the files do not define it.
    pub(super) grades: [Option<Requirement>; 4],
    pub(super) purposes: Vec<Purpose>,
    pub(super) entities: Vec<Entity>,
    pub(super) routes: Vec<Route>,
    pub(super) roles: Vec<Role>,
    pub(super) rules: Vec<Rule>,
    pub(super) limits: Vec<LimitRule>,
    pub(super) masks: Masks,
    /// When pseudonyms change, unless the purpose says otherwise.
    pub(super) pseudonyms: Rotation,
    pub(super) detect: Detect,
    /// What one person alone may not command.
    pub(super) two_person: Vec<Box<str>>,
    /// Where the first of these words stands.
    pub(super) two_person_at: Option<Span>,
    /// What must be registered.
    pub(super) registered: Vec<Box<str>>,
    /// The least attested level of partners.
    pub(super) partner_level: u8,
    /// Who may be granted what.
    pub(super) grants: Vec<GrantRule>,
    /// Sets of roles of which nobody holds two.
    pub(super) apart: Vec<Vec<usize>>,
    pub(super) detections: Detections,
    /// The tenants that have a file of their own, in order.
    pub(super) tenant_files: Vec<Box<str>>,
    /// What they ask of their own callers beside everything else.
    pub(super) tenants: Vec<Stricter>,
    /// How long the log is kept.
    pub(super) retention: Option<Retention>,
    /// Of tenants whose own file says so; sorted.
    pub(super) tenant_retention: BTreeMap<Box<str>, Retention>,
}

impl Model {
    /// What a grade asks; nothing where the files do not define it.
    pub(super) fn requirement_of(&self, grade: u8) -> Option<&Requirement> {
        let at = usize::from(grade).checked_sub(1)?;
        self.grades.get(at)?.as_ref()
    }

    /// When pseudonyms change that are given for a purpose, or for none.
    pub(super) fn rotation(&self, purpose: Option<&str>) -> &Rotation {
        let declared = self.purposes.iter().find(|known| Some(&*known.name) == purpose);
        declared.and_then(|purpose| purpose.pseudonyms.as_ref()).unwrap_or(&self.pseudonyms)
    }

    /// The entities nested in `entity`, itself first. Entities are no ring, which the reader saw to.
    pub(super) fn nested(&self, entity: usize) -> Vec<usize> {
        let mut found = vec![entity];
        let mut next = 0;
        while let Some(entity) = found.get(next).and_then(|index| self.entities.get(*index)) {
            entity.shape.entities(&mut found);
            next += 1;
        }
        found
    }
}

impl Shape {
    /// Adds the entities that stand in this shape, each once.
    pub(super) fn entities(&self, found: &mut Vec<usize>) {
        match self {
            Self::Field(_) => {}
            Self::Object(members) => members.iter().for_each(|(_, shape)| shape.entities(found)),
            Self::Array(inner) => inner.entities(found),
            Self::Entity(entity) if found.contains(entity) => {}
            Self::Entity(entity) => found.push(*entity),
        }
    }
}
