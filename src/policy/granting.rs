//! `grants`: who may be granted what, by whom, and for how long, as a policy says it. How a grant comes to be, and is
//! kept, `grant` knows.
//!
//! Every entry that is about what is asked for binds: the strictest holds, so that their order means nothing. What
//! none is about nobody grants.

use super::grant::{Coverage, Subjects};
use super::model::{Action, Audience, Grade, Model, QueryUse};
use super::program::Program;
use super::two_person::GRADE_4;
use crate::document::Span;

/// Who is asked for a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Approvers {
    /// Whoever has a higher rank than the holder.
    #[default]
    HigherRank,
    /// Holders of one of these roles, by index.
    Roles(Vec<usize>),
}

/// What opens at once, and is looked at afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// How long it lasts at most, in seconds.
    pub longest_s: u32,
    /// The assurance that the holder must show.
    pub assurance: u8,
    /// How old that factor may be, in seconds.
    pub fresh_s: u32,
    /// Within how many seconds somebody else must review it.
    pub review_s: u32,
    /// How many people it may be about.
    pub subjects: u32,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct GrantRule {
    pub(super) to: Audience,
    /// None means all.
    pub(super) actions: Vec<Action>,
    pub(super) routes: Vec<Box<str>>,
    /// The roles that may be lent, by index.
    pub(super) lends: Vec<usize>,
    /// The highest grade of a field that it may open.
    pub(super) grade: u8,
    pub(super) by: Approvers,
    pub(super) terms: GrantTerms,
    pub(super) span: Span,
}

/// Within what somebody may be granted something, and what is asked of who grants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// How many people must agree.
    pub number: u8,
    /// The assurance that each must show.
    pub assurance: u8,
    /// How old that factor may be, in seconds.
    pub fresh_s: u32,
    /// How long it lasts at most, in seconds.
    pub longest_s: u32,
    /// How often it may be used; none means as often as one likes.
    pub uses: Option<u32>,
    /// How many people it may be about; none means about everybody.
    pub subjects: Option<u32>,
    /// How many records a search may give that it is about; none where it is about no search.
    pub rows: Option<u32>,
    /// How long a request waits to be decided, in seconds.
    pub waits_s: u32,
    /// After how many grants the other way round, within how many seconds, nobody agrees any more.
    pub ring: (u32, u32),
    /// What opens at once.
    pub break_glass: Option<BreakGlass>,
}

impl Default for GrantTerms {
    fn default() -> Self {
        Self {
            number: 1,
            assurance: 2,
            fresh_s: 900,
            longest_s: 3600,
            uses: None,
            subjects: Some(1),
            rows: None,
            waits_s: 86_400,
            ring: (3, 30 * 86_400),
            break_glass: None,
        }
    }
}

impl GrantTerms {
    /// What satisfies both.
    fn join(&mut self, other: &Self) {
        let least = |mine: Option<u32>, theirs: Option<u32>| match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.number = self.number.max(other.number);
        self.assurance = self.assurance.max(other.assurance);
        self.fresh_s = self.fresh_s.min(other.fresh_s);
        self.longest_s = self.longest_s.min(other.longest_s);
        self.uses = least(self.uses, other.uses);
        self.subjects = least(self.subjects, other.subjects);
        self.rows = match (self.rows, other.rows) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (_, _) => None,
        };
        self.waits_s = self.waits_s.min(other.waits_s);
        self.ring = (self.ring.0.min(other.ring.0), self.ring.1.max(other.ring.1));
        self.break_glass = match (self.break_glass, other.break_glass) {
            (Some(mine), Some(theirs)) => Some(BreakGlass {
                longest_s: mine.longest_s.min(theirs.longest_s),
                assurance: mine.assurance.max(theirs.assurance),
                fresh_s: mine.fresh_s.min(theirs.fresh_s),
                review_s: mine.review_s.min(theirs.review_s),
                subjects: mine.subjects.min(theirs.subjects),
            }),
            (_, _) => None,
        };
    }

    /// Two people agree, and nothing opens before they did.
    fn take_two(&mut self) {
        self.number = self.number.max(2);
        self.break_glass = None;
    }
}

/// What binds a grant under the policy in force.
#[derive(Clone, Debug)]
pub struct Granting {
    /// The strictest of all that is said of it.
    pub terms: GrantTerms,
    /// Who must agree: each of these asks it of every approver.
    by: Vec<Approvers>,
}

/// Why nobody can grant something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGrantable {
    /// There is no such role, route or field.
    #[error("the policy knows no {0} `{1}`")]
    Unknown(&'static str, String),
    /// It is about a search that no such route declares.
    #[error(
        "a grant about a search names one route that gives records and declares each parameter, one of which searches a \
         field, and not those that turn pages; `{0}` does not fit"
    )]
    Search(String),
    /// No entry of `grants` is about it.
    #[error("the policy lets nobody grant this")]
    Nobody,
}

impl Program {
    /// What binds a grant of this coverage to a holder of these roles.
    ///
    /// # Errors
    /// [`NotGrantable`].
    pub fn granting(
        &self,
        roles: &[String],
        coverage: &Coverage,
    ) -> Result<Granting, NotGrantable> {
        self.check_known(coverage)?;
        let held = self.holding(roles);
        let grade = self.highest_of(coverage);
        // Whoever asks for more than an entry is about does not shed it, be it another route, a role or a higher grade:
        // all that overlap bind, one must hold all.
        let is_about = |rule: &&GrantRule| {
            let routes = &coverage.routes;
            rule.to.includes(&held.roles)
                && (rule.actions.is_empty()
                    || coverage.actions.iter().any(|action| rule.actions.contains(action)))
                && (rule.routes.is_empty()
                    || routes.is_empty()
                    || routes.iter().any(|name| rule.routes.iter().any(|r| **r == **name)))
        };
        let holds_all = |rule: &GrantRule| {
            let lent = |name: &str| {
                let of = |index: &usize| self.model.roles.get(*index);
                rule.lends.iter().filter_map(of).any(|role| *role.name == *name)
            };
            (rule.actions.is_empty()
                || coverage.actions.iter().all(|action| rule.actions.contains(action)))
                && (rule.routes.is_empty()
                    || (!coverage.routes.is_empty()
                        && coverage.routes.iter().all(|n| rule.routes.iter().any(|r| **r == **n))))
                && coverage.role.as_deref().is_none_or(lent)
                && grade <= rule.grade
        };
        if !self.model.grants.iter().filter(is_about).any(holds_all) {
            return Err(NotGrantable::Nobody);
        }
        let mut found: Option<Granting> = None;
        for rule in self.model.grants.iter().filter(is_about) {
            let granting =
                found.get_or_insert_with(|| Granting { terms: rule.terms.clone(), by: Vec::new() });
            granting.terms.join(&rule.terms);
            granting.by.push(rule.by.clone());
        }
        if let Some(granting) = found.as_mut().filter(|_| grade >= 4 && self.unlocks_by_two()) {
            granting.terms.take_two();
        }
        found.filter(|_| !coverage.actions.is_empty()).ok_or(NotGrantable::Nobody)
    }

    /// Whether somebody with these roles may grant what binds so to a holder of those.
    #[must_use]
    pub fn may_grant(&self, granting: &Granting, approver: &[String], holder: &[String]) -> bool {
        let held = self.holding(approver);
        granting.by.iter().all(|by| match by {
            Approvers::HigherRank => self.rank(approver) > self.rank(holder),
            Approvers::Roles(roles) => roles.iter().any(|role| held.roles.contains(role)),
        })
    }

    /// The highest rank of these roles; none of those that the policy defines has none.
    #[must_use]
    pub fn rank(&self, roles: &[String]) -> Option<u8> {
        let named = self.model.roles.iter().filter(|role| roles.iter().any(|r| **r == *role.name));
        named.map(|role| role.rank).max()
    }

    fn unlocks_by_two(&self) -> bool {
        self.model.two_person.iter().any(|word| **word == *GRADE_4)
    }

    fn check_known(&self, coverage: &Coverage) -> Result<(), NotGrantable> {
        let unknown = |what, name: &str| Err(NotGrantable::Unknown(what, name.to_owned()));
        let Coverage { routes, role, fields, .. } = coverage;
        if let Some(name) =
            routes.iter().find(|name| !self.routes.iter().any(|r| r.name() == **name))
        {
            return unknown("route", name);
        }
        if let Some(name) =
            role.iter().find(|name| !self.model.roles.iter().any(|r| *r.name == ***name))
        {
            return unknown("role", name);
        }
        if let Some(name) = fields.iter().flatten().find(|name| self.field_named(name).is_none()) {
            return unknown("field", name);
        }
        let is_purpose = |name: &&String| self.model.purposes.iter().any(|p| *p.name == ***name);
        if let Some(name) = coverage.purpose.as_ref().filter(|name| !is_purpose(name)) {
            return unknown("purpose", name);
        }
        let has_subjects = |name: &str| {
            self.model.entities.iter().any(|e| e.subject.is_some() && *e.name == *name)
        };
        let mut entities = coverage.subjects.iter().flat_map(Subjects::entities);
        if let Some(name) = entities.find(|name| !has_subjects(name)) {
            return unknown("subjects of", name);
        }
        let is_parameter = |name: &str| {
            let is_meant =
                |name: &str| routes.is_empty() || routes.iter().any(|meant| *meant == *name);
            let mut meant = self.routes.iter().filter(|route| is_meant(route.name()));
            meant.any(|route| route.template.parameters().any(|parameter| parameter == name))
        };
        match coverage.parameters.iter().find(|(name, _)| !is_parameter(name)) {
            Some((name, _)) => unknown("parameter", name),
            None => self.check_search(coverage),
        }
    }

    /// A search has a meaning on one route only, and only where its records can be counted.
    fn check_search(&self, coverage: &Coverage) -> Result<(), NotGrantable> {
        let Some((first, _)) = coverage.search.first() else { return Ok(()) };
        let unfit = |name: &str| NotGrantable::Search(name.to_owned());
        let [name] = coverage.routes.as_slice() else { return Err(unfit(first)) };
        let route = self.routes.iter().find(|route| route.name() == *name);
        let route = route.ok_or_else(|| unfit(name))?;
        if !route.action.only_reads() || route.is_opaque() || route.main.is_empty() {
            return Err(unfit(name));
        }
        let mut searches = false;
        for (name, _) in &coverage.search {
            match route.query_use(name) {
                Some(QueryUse::Field { .. } | QueryUse::Filter(_)) => searches = true,
                Some(QueryUse::Include(_) | QueryUse::Free) => {}
                Some(
                    QueryUse::Page | QueryUse::PageSize(_) | QueryUse::Sort | QueryUse::Fields,
                )
                | None => return Err(unfit(name)),
            }
        }
        if searches { Ok(()) } else { Err(unfit(first)) }
    }

    /// The highest grade of what a grant could open: of its fields, else of all fields and files of its routes.
    #[must_use]
    pub fn highest_of(&self, coverage: &Coverage) -> u8 {
        let grade = |(entity, field): (usize, u16)| {
            let field = self.model.entities.get(entity)?.fields.get(usize::from(field))?;
            match field.grade {
                Grade::Open(grade) => Some(grade),
                // These never leave, whatever is granted.
                Grade::Sealed | Grade::Ungraded => None,
            }
        };
        let is_meant =
            |name: &str| coverage.routes.is_empty() || coverage.routes.iter().any(|r| r == name);
        let routes = || self.routes.iter().filter(|route| is_meant(route.name()));
        let files = routes().filter_map(|route| Some(route.opaque.as_ref()?.grade)).max();
        let fields = match &coverage.fields {
            Some(names) => names.iter().filter_map(|name| grade(self.field_named(name)?)).max(),
            None => {
                let entities = routes().flat_map(|route| route.entities.iter().copied());
                let all = entities.flat_map(|at| {
                    let count = self.model.entities.get(at).map_or(0, |e| e.fields.len());
                    (0..u16::try_from(count).unwrap_or(u16::MAX)).map(move |field| (at, field))
                });
                all.filter_map(grade).max()
            }
        };
        files.max(fields).unwrap_or(0)
    }

    /// Whom a request is about, as far as its path says so: the entity, and the key of the subject.
    #[must_use]
    pub fn subject_of<'q>(&'q self, query: &super::judge::Query<'q>) -> Option<(&'q str, &'q str)> {
        let (entity, name, _) = self.subject_parameter(query.route)?;
        let found = query.params.iter().find(|(parameter, _)| parameter == name);
        found.map(|(_, key)| (entity, key.as_str()))
    }
}

/// The entries as a comparison tells of them.
pub(super) fn described(model: &Model) -> std::collections::BTreeSet<String> {
    let names = |roles: &[usize]| {
        let of = |index: &usize| model.roles.get(*index).map(|role| role.name.to_string());
        roles.iter().filter_map(of).collect::<Vec<_>>().join(", ")
    };
    let describe = |rule: &GrantRule| {
        let GrantRule { to, actions, routes, lends, grade, by, terms, span: _ } = rule;
        let to = match to {
            Audience::Any => "any".to_owned(),
            Audience::Roles(roles) => names(roles),
        };
        let actions: Vec<&str> = actions.iter().map(|action| action.name()).collect();
        let by = match by {
            Approvers::HigherRank => "a higher rank".to_owned(),
            Approvers::Roles(roles) => names(roles),
        };
        format!(
            "to {to}, actions [{}], routes [{}], lends [{}], up to grade {grade}, by {by}, {terms:?}",
            actions.join(", "),
            routes.join(", "),
            names(lends),
        )
    };
    model.grants.iter().map(describe).collect()
}
