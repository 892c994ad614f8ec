//! A grant as the policy sees it: what it covers, judged like everything else, and which of several is used.
//!
//! A grant opens what a requirement asks a grant for, and what the rules of the role that it lends show. It
//! takes no rule away that denies, and it never reaches further than what it says: action, route, entity, fields,
//! data subjects, time and place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::decide::Permit;
use super::denial::{Denial, DenialKind, Reason};
use super::judge::Query;
use super::model::{Action, Route};
use super::program::Program;
use super::value::Value;

/// What conditions read of a grant that opened before anybody had agreed.
pub const EMERGENCY: &str = "emergency";

/// Leave that somebody gave for a time, with what it is confined to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// The name under which the log knows it; conditions read it as `grant.id`.
    pub id: String,
    /// What conditions read as `grant.NAME`.
    pub attributes: BTreeMap<String, Value>,
    /// What it is confined to.
    pub coverage: Coverage,
}

impl Grant {
    /// A grant that is confined to nothing but what the rules ask of it.
    #[must_use]
    pub fn of_everything(id: &str, attributes: BTreeMap<String, Value>) -> Self {
        Self { id: id.to_owned(), attributes, coverage: Coverage::everything() }
    }

    /// Whether it opened before anybody had agreed.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        self.attributes.get(EMERGENCY) == Some(&Value::Bool(true))
    }
}

/// What a grant is confined to. The default covers nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// What may be done.
    pub actions: Vec<Action>,
    /// On which routes; none means on all.
    pub routes: Vec<String>,
    /// The role that it lends.
    pub role: Option<String>,
    /// The fields that it opens, such as `guest.passport`; none means all that the rules show.
    pub fields: Option<Vec<String>>,
    /// About whom; none means about everybody.
    pub subjects: Option<Subjects>,
    /// Path parameters of the routes, of which each must have this value.
    pub parameters: Vec<(String, String)>,
    /// Parameters of the query, which must have these values and stand there alone but for those that turn pages, sort
    /// or name fields; none means any query.
    pub search: Vec<(String, String)>,
    /// The purpose that must be declared.
    pub purpose: Option<String>,
    /// The zones; none means all.
    pub zones: Vec<String>,
    /// Whether a device bound to the person is asked.
    pub device: bool,
    /// The least assurance.
    pub assurance: u8,
    /// From when on, Unix seconds.
    pub from_unix_s: Option<i64>,
    /// Until when, Unix seconds; from that second on it covers nothing.
    pub until_unix_s: Option<i64>,
}

impl Coverage {
    /// What is confined to nothing.
    #[must_use]
    pub fn everything() -> Self {
        let actions = Action::NAMES.iter().map(|(_, action)| *action).collect();
        Self { actions, ..Self::default() }
    }

    /// Whether records are told apart by whom they are about.
    pub(super) fn is_bound(&self) -> bool {
        self.subjects.is_some()
    }
}

/// Data subjects by entity and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects(BTreeMap<String, BTreeSet<String>>);

impl Subjects {
    /// Whether the subject with this key of this entity is among them.
    #[must_use]
    pub fn include(&self, entity: &str, key: &str) -> bool {
        self.0.get(entity).is_some_and(|keys| keys.contains(key))
    }

    /// The entities that they are of.
    pub(super) fn entities(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

impl FromIterator<(String, String)> for Subjects {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut subjects = Self::default();
        for (entity, key) in pairs {
            subjects.0.entry(entity).or_default().insert(key);
        }
        subjects
    }
}

/// Why a grant does not cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Another action.
    Action,
    /// Another route.
    Route,
    /// Certain fields only, and what is asked for passes unread.
    Unread,
    /// Another data subject, or another parameter of the path.
    Subject,
    /// Another search.
    Search,
    /// Nothing tells whom a change without a record would be about.
    Untestable,
    /// The role that it lends must not be held together with one that the person has.
    Apart,
    /// Another purpose.
    Purpose,
    /// Another zone.
    Zone,
    /// Without the device.
    Device,
    /// Too little assurance.
    Assurance,
    /// Not yet.
    Early,
    /// No longer.
    Over,
    /// The policy has no such role or field any more.
    Dead,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Action => "it is for another action",
            Self::Route => "it is for another route",
            Self::Unread => "it is for certain fields, and this passes whole",
            Self::Subject => "it is about somebody else",
            Self::Search => "it is about another search",
            Self::Untestable => "it is about certain people, and nothing tells whom this is about",
            Self::Apart => "the policy keeps the role that it lends apart from one of the person",
            Self::Purpose => "it is for another purpose",
            Self::Zone => "it does not hold in this zone",
            Self::Device => "it asks for a device bound to the person",
            Self::Assurance => "it asks for more assurance",
            Self::Early => "it does not hold yet",
            Self::Over => "it holds no longer",
            Self::Dead => "the policy has changed: its role or a field of it is no more",
        })
    }
}

impl Program {
    /// Decides with the first of these grants that leads further than the request does without: so that no grant is
    /// used where none is needed. Narrow ones come first. Where one would lead further with a factor, that is said.
    ///
    /// # Errors
    /// [`Denial`], with every reason.
    pub fn decide_under(&self, query: &Query<'_>, grants: &[Arc<Grant>]) -> Result<Permit, Denial> {
        let mut without = self.decide(&Query { grant: None, ..*query });
        let mut best: Option<Denial> = None;
        let mut raisable: Option<Permit> = None;
        for grant in grants {
            let under = self.decide(&Query { grant: Some(grant), ..*query });
            match under {
                Ok(permit) if permit.grant().is_some() => return Ok(permit),
                // It shows no more than without, but would after a factor that is asked for here.
                Ok(permit) if permit.step_up().is_some() => raisable = raisable.or(Some(permit)),
                Ok(_) => {}
                // All that is missing under it is a factor, so that is what is asked for.
                Err(denial) if matches!(denial.kind, DenialKind::StepUp(_)) => {
                    best = best.or(Some(denial));
                }
                Err(denial) => {
                    if let Err(plain) = &mut without {
                        let of_grant =
                            |reason: &&Reason| matches!(reason, Reason::NotCovered { .. });
                        let new: Vec<Reason> =
                            denial.reasons.iter().filter(of_grant).cloned().collect();
                        plain.reasons.extend(new);
                    }
                }
            }
        }
        match (without, best, raisable) {
            (Err(_), Some(denial), _) => Err(denial),
            (Ok(plain), _, Some(raisable)) if plain.step_up() != raisable.step_up() => Ok(raisable),
            (without, ..) => without,
        }
    }

    /// Whether a grant covers the request, records apart.
    pub(super) fn covers(&self, grant: &Grant, query: &Query<'_>) -> Result<(), Lack> {
        let Coverage { actions, routes, fields, purpose, zones, device, assurance, .. } =
            &grant.coverage;
        let lacks = [
            (self.is_dead(&grant.coverage), Lack::Dead),
            (self.lends_apart(&grant.coverage, query), Lack::Apart),
            (!actions.contains(&query.route.action), Lack::Action),
            (!routes.is_empty() && !routes.iter().any(|r| r == query.route.name()), Lack::Route),
            (fields.is_some() && query.route.opaque.is_some(), Lack::Unread),
            (!is_searched(&grant.coverage.search, query), Lack::Search),
            (purpose.is_some() && purpose.as_deref() != query.purpose, Lack::Purpose),
            (!zones.is_empty() && !zones.iter().any(|zone| zone == query.zone), Lack::Zone),
            (*device && query.principal.device.is_none(), Lack::Device),
            (query.principal.assurance < *assurance, Lack::Assurance),
            (grant.coverage.from_unix_s.is_some_and(|s| query.now_unix_s < s), Lack::Early),
            (grant.coverage.until_unix_s.is_some_and(|s| query.now_unix_s >= s), Lack::Over),
        ];
        match lacks.into_iter().find(|(lacks, _)| *lacks) {
            Some((_, lack)) => Err(lack),
            None => self.covers_path(&grant.coverage, query),
        }
    }

    /// Whether the parameters of the path, as far as they say whom it is about, are of this grant. The records that
    /// come are judged by themselves.
    fn covers_path(&self, coverage: &Coverage, query: &Query<'_>) -> Result<(), Lack> {
        let value = |name: &str| {
            let found = query.params.iter().find(|(parameter, _)| parameter == name);
            found.map(|(_, value)| value.as_str())
        };
        let differs = |(name, wanted): &(String, String)| value(name) != Some(wanted);
        if coverage.parameters.iter().any(differs) {
            return Err(Lack::Subject);
        }
        let Some(subjects) = &coverage.subjects else { return Ok(()) };
        let told = self.subject_parameter(query.route);
        if let Some((entity, name, _)) = &told
            && !value(name).is_some_and(|key| subjects.include(entity, key))
        {
            return Err(Lack::Subject);
        }
        let is_told = matches!(told, Some((.., Told::Surely)));
        // An answer without entities has no record that could be judged.
        let has_records = !query.route.main.is_empty();
        let is_judged =
            query.route.opaque.is_none() && has_records && query.route.action.only_reads();
        if is_told || is_judged || query.route.reads.is_some() {
            return Ok(());
        }
        Err(Lack::Untestable)
    }

    /// The entity and the parameter of the path that says whom a request is about, if one does.
    pub(super) fn subject_parameter<'r>(
        &'r self,
        route: &'r Route,
    ) -> Option<(&'r str, &'r str, Told)> {
        if let Some((opaque, name)) = route.opaque.as_ref().and_then(|o| Some((o, o.subject()?))) {
            return Some((opaque.entity(), name, Told::Surely));
        }
        let searched = route.path.iter().find_map(|search| {
            let entity = self.model.entities.get(search.entity)?;
            (entity.subject == Some(search.field)).then_some((entity, &*search.parameter))
        });
        if let Some((entity, parameter)) = searched {
            return Some((&entity.name, parameter, Told::Surely));
        }
        if !route.views_one_record() && !route.action.changes_a_record() {
            return None;
        }
        let entity = self.model.entities.get(*route.main.first()?)?;
        let key = entity.fields.get(usize::from(entity.subject?))?;
        let mut parameters = route.template.parameters();
        let named = parameters.find(|parameter| **parameter == *key.path)?;
        Some((&entity.name, named, Told::ByName))
    }

    /// Whether the person would hold roles together that the policy keeps apart.
    fn lends_apart(&self, coverage: &Coverage, query: &Query<'_>) -> bool {
        let Some(role) = &coverage.role else { return false };
        let mut roles = query.principal.roles.clone();
        roles.push(role.clone());
        self.held_together(&roles, &query.principal.roles_elsewhere).is_some()
    }

    /// Whether the policy in force lacks the role or a field of a grant.
    fn is_dead(&self, coverage: &Coverage) -> bool {
        let Coverage { role, fields, .. } = coverage;
        let lacks_role = |name: &String| !self.model.roles.iter().any(|role| *role.name == **name);
        role.as_ref().is_some_and(lacks_role)
            || fields.iter().flatten().any(|name| self.field_named(name).is_none())
    }

    /// The field with a full name, by entity and field.
    pub(super) fn field_named(&self, name: &str) -> Option<(usize, u16)> {
        let (entity, path) = name.split_once('.')?;
        let index = self.model.entities.iter().position(|known| *known.name == *entity)?;
        let fields = &self.model.entities.get(index)?.fields;
        let at = fields.iter().position(|field| *field.path == *path)?;
        Some((index, u16::try_from(at).ok()?))
    }
}

/// Whether it is this very search, whichever page of it.
fn is_searched(search: &[(String, String)], query: &Query<'_>) -> bool {
    if search.is_empty() {
        return true;
    }
    // What nobody knows is another one.
    let Some(given) = query.search else { return false };
    let is_named = |name: &str| search.iter().any(|(named, _)| named == name);
    let turns_pages = |name: &str| query.route.turns_pages(name);
    let mut left = given.iter().filter(|(name, _)| is_named(name) || !turns_pages(name));
    let matched = left.clone().filter(|pair| search.contains(pair)).count();
    matched == search.len() && left.all(|pair| search.contains(pair))
}

/// How surely a parameter says whom a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The policy says so.
    Surely,
    /// It has the name of the field; enough to refuse early, never to let pass.
    ByName,
}
