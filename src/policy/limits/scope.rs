//! Whose a limit is and which requests it counts, and the limits of one caller by both.

use std::fmt;
use std::sync::Arc;

use super::super::model::{Action, Route};
use super::{Limits, OffHours};

/// Whose budget a limit is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Each person's own.
    #[default]
    Person,
    /// One for all who hold this role.
    Role(Arc<str>),
    /// One for each tenant.
    Tenant,
    /// One for each partner.
    Partner,
}

/// The requests that a limit counts: those that meet each part; an empty part asks nothing. Names are in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slice {
    /// Declared purposes.
    pub purposes: Vec<Box<str>>,
    /// Actions.
    pub actions: Vec<Action>,
    /// Routes.
    pub routes: Vec<Box<str>>,
    /// Only what is asked under a grant that opened in an emergency.
    pub emergency: bool,
}

impl Slice {
    /// Whether it counts all requests.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it counts a request.
    #[must_use]
    pub fn includes(&self, moment: Moment<'_>) -> bool {
        let Moment { route, purpose, in_emergency, now_unix_s: _ } = moment;
        let declared = |purpose: &str| self.purposes.iter().any(|known| known.as_ref() == purpose);
        (in_emergency || !self.emergency)
            && (self.purposes.is_empty() || purpose.is_some_and(declared))
            && self.concerns(route)
    }

    /// Whether it counts any request of a route.
    pub(in crate::policy) fn concerns(&self, route: &Route) -> bool {
        let mut named = self.routes.iter().map(AsRef::as_ref);
        (self.actions.is_empty() || self.actions.contains(&route.action))
            && (self.routes.is_empty() || named.any(|name: &str| name == route.name()))
    }

    /// Whether it counts all that the other counts.
    pub(in crate::policy) fn covers(&self, other: &Self) -> bool {
        fn within<T: PartialEq>(mine: &[T], theirs: &[T]) -> bool {
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|one| mine.contains(one)))
        }
        within(&self.purposes, &other.purposes)
            && within(&self.actions, &other.actions)
            && within(&self.routes, &other.routes)
            && (other.emergency || !self.emergency)
    }
}

/// Whose a limit is, and which requests it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Whose budget.
    pub holder: Holder,
    /// Which requests.
    pub slice: Slice,
    /// At which time only; at any, if there is none.
    pub off_hours: Option<OffHours>,
}

impl Scope {
    /// Whether a limit of it binds every request of the holder at any time.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.slice.is_all() && self.off_hours.is_none()
    }
}

/// What a request is, as far as limits look at it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The route.
    pub route: &'a Route,
    /// The purpose declared.
    pub purpose: Option<&'a str>,
    /// Whether it is asked under a grant that opened in an emergency.
    pub in_emergency: bool,
    /// Unix time in seconds.
    pub now_unix_s: i64,
}

/// ` of role teller together, for purpose care`; nothing for each person's own of all requests.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Holder::Person => {}
            Holder::Role(name) => write!(f, " for all of role `{name}` together")?,
            Holder::Tenant => write!(f, " for each tenant")?,
            Holder::Partner => write!(f, " for each partner")?,
        }
        let Slice { purposes, actions, routes, emergency } = &self.slice;
        let actions: Vec<Box<str>> = actions.iter().map(|action| action.name().into()).collect();
        for (what, names) in [("purpose", purposes), ("action", &actions), ("route", routes)] {
            if !names.is_empty() {
                write!(f, " on {what} {}", names.join(" or "))?;
            }
        }
        if *emergency {
            write!(f, " in an emergency")?;
        }
        match &self.off_hours {
            Some(hours) => write!(f, " {hours}"),
            None => Ok(()),
        }
    }
}

/// The limits of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoped {
    /// Whose, and of which requests.
    pub scope: Scope,
    /// What is limited.
    pub limits: Limits,
}

/// The limits of one caller: of every limit that applies to any role held or included, in each scope the
/// strictest in each dimension. Holding one more role never loosens a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSet(Vec<Scoped>);

impl LimitSet {
    /// All of them, each scope once, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scoped> {
        self.0.iter()
    }

    /// Those that count a request.
    pub fn of_request<'s>(&'s self, moment: Moment<'s>) -> impl Iterator<Item = &'s Scoped> {
        let now_unix_s = moment.now_unix_s;
        self.iter().filter(move |scoped| {
            let Scope { holder: _, slice, off_hours } = &scoped.scope;
            slice.includes(moment)
                && off_hours.as_ref().is_none_or(|hours| hours.is_off(now_unix_s))
        })
    }

    /// The strictest of all that count a request, whosever they are: for what does not add up over requests.
    pub(in crate::policy) fn strictest(&self, moment: Moment<'_>) -> Limits {
        let mut strictest = Limits::default();
        self.of_request(moment).for_each(|scoped| strictest.tighten(&scoped.limits));
        strictest
    }

    /// Adds a limit to its scope.
    pub(in crate::policy) fn add(&mut self, scope: Scope, limits: &Limits) {
        match self.0.binary_search_by(|known| known.scope.cmp(&scope)) {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    known.limits.tighten(limits);
                }
            }
            Err(at) => {
                let mut first = Limits::default();
                first.tighten(limits);
                self.0.insert(at, Scoped { scope, limits: first });
            }
        }
    }

    /// What a scope is limited to.
    pub(in crate::policy) fn of(&self, scope: &Scope) -> Limits {
        let found = self.iter().find(|known| known.scope == *scope);
        found.map_or_else(Limits::default, |known| known.limits.clone())
    }

    /// What bounds a scope: its own limits, and those of the same holder that count all its requests and more.
    pub(in crate::policy) fn bounding(&self, scope: &Scope) -> Limits {
        let mut bounding = Limits::default();
        let wider = |known: &&Scoped| {
            let Scope { holder, slice, off_hours } = &known.scope;
            let whenever = off_hours.is_none() || *off_hours == scope.off_hours;
            *holder == scope.holder && slice.covers(&scope.slice) && whenever
        };
        self.iter().filter(wider).for_each(|known| bounding.tighten(&known.limits));
        bounding
    }
}
