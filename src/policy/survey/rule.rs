//! One rule, with everybody whom it is about and its conditions in comparable form.

use std::collections::BTreeSet;
use std::fmt;

use super::super::model::{Audience as Named, Effect, Entity, Model, Rule};
use super::view::RouteView;
use super::{Demand, Formula, Names, OnRecords};

/// One caller's standing: without any role, or with one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Who {
    /// Every caller, whatever roles are held.
    Any,
    /// Whoever holds the role.
    Role(Box<str>),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Role(name) => f.write_str(name),
        }
    }
}

/// Whom a rule or limit is about: every role with which one is among them, by inclusion too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Audience {
    Any,
    Roles(BTreeSet<Box<str>>),
}

impl Audience {
    pub(in crate::policy) fn of(named: &Named, model: &Model) -> Self {
        match named {
            Named::Any => Self::Any,
            Named::Roles(_) => {
                let among = model.roles.iter().filter(|role| named.includes(&role.held));
                Self::Roles(among.map(|role| role.name.clone()).collect())
            }
        }
    }

    /// Whether it is about everybody of that standing.
    pub(in crate::policy) fn includes(&self, who: &Who) -> bool {
        match (self, who) {
            (Self::Any, _) => true,
            (Self::Roles(_), Who::Any) => false,
            (Self::Roles(roles), Who::Role(role)) => roles.contains(role),
        }
    }

    /// A caller is among them exactly if it has one of these standings.
    pub(in crate::policy) fn parts(&self) -> Vec<Who> {
        match self {
            Self::Any => vec![Who::Any],
            Self::Roles(roles) => roles.iter().cloned().map(Who::Role).collect(),
        }
    }
}

/// What a rule may say of a field, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum FieldUse {
    Clear,
    Masked,
    Pseudonym,
    Write,
}

impl FieldUse {
    pub(in crate::policy) const ALL: [Self; 4] =
        [Self::Clear, Self::Masked, Self::Pseudonym, Self::Write];

    pub(in crate::policy) fn reads(self) -> bool {
        self != Self::Write
    }
}

/// What a rule that denies takes away on one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Scope {
    /// The use of the route.
    Action,
    /// Records of its entity.
    Records,
    /// Fields of its entity.
    Fields,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct RuleView {
    pub(in crate::policy) name: Box<str>,
    pub(in crate::policy) allows: bool,
    pub(in crate::policy) audience: Audience,
    /// None means any.
    pub(in crate::policy) purposes: BTreeSet<Box<str>>,
    pub(in crate::policy) require: Demand,
    /// What certain records ask for.
    pub(in crate::policy) factor: Option<OnRecords>,
    pub(in crate::policy) when: Option<Formula>,
    /// On which records: its row condition, and the flags that it does not name.
    pub(in crate::policy) row: Option<Formula>,
    /// The entity whose records it is about.
    pub(in crate::policy) of: Option<Box<str>>,
    clear: BTreeSet<Box<str>>,
    masked: BTreeSet<Box<str>>,
    pseudonym: BTreeSet<Box<str>>,
    write: BTreeSet<Box<str>>,
}

impl RuleView {
    pub(super) fn of(rule: &Rule, model: &Model, roles: &str) -> Self {
        let Rule {
            name,
            effect,
            // Which routes it covers is the routes' to say.
            actions: _,
            to,
            of,
            routes: _,
            clear,
            masked,
            pseudonym,
            write,
            row,
            when,
            purposes,
            require,
            factor,
            flags,
            // A survey is of one tenant's callers, or of those of none.
            tenant: _,
            span: _,
        } = rule;
        let entity = of.and_then(|at| model.entities.get(at));
        let paths: Vec<Box<str>> = entity.map_or(Vec::new(), paths);
        let named = |fields: &[u16]| -> BTreeSet<Box<str>> {
            fields.iter().filter_map(|at| paths.get(usize::from(*at)).cloned()).collect()
        };
        let names = Names { fields: &paths, roles };
        let formula = |condition: &std::sync::Arc<_>| Formula::of(condition, names);
        let allows = *effect == Effect::Allow;
        let mut bounds = row.as_ref().map(formula);
        let all_flags = entity.into_iter().flat_map(|entity| entity.flags.iter().enumerate());
        // A rule that allows is for flagged records only if it names the flag.
        for (_, flag) in all_flags.filter(|(at, _)| allows && !flags.contains(at)) {
            bounds = Some(Formula::without(&flag.condition, bounds, names));
        }
        Self {
            name: name.clone(),
            allows,
            audience: Audience::of(to, model),
            purposes: purposes.iter().cloned().collect(),
            require: Demand::from(require),
            factor: factor.as_ref().map(|factor| OnRecords::of(factor, names)),
            when: when.as_ref().map(formula),
            row: bounds,
            of: entity.map(|entity| entity.name.clone()),
            clear: named(clear),
            masked: named(masked),
            pseudonym: named(pseudonym),
            write: named(write),
        }
    }

    /// The fields that it names for a use.
    pub(in crate::policy) fn fields(&self, usage: FieldUse) -> &BTreeSet<Box<str>> {
        match usage {
            FieldUse::Clear => &self.clear,
            FieldUse::Masked => &self.masked,
            FieldUse::Pseudonym => &self.pseudonym,
            FieldUse::Write => &self.write,
        }
    }

    /// Whether it names the field in any form in which it can be read.
    pub(in crate::policy) fn reads(&self, path: &str) -> bool {
        FieldUse::ALL.iter().any(|usage| usage.reads() && self.fields(*usage).contains(path))
    }

    pub(in crate::policy) fn is_of(&self, entity: &str) -> bool {
        self.of.as_deref() == Some(entity)
    }

    /// Whether it is about the route itself or an entity that the route is for.
    fn is_of_the_route(&self, route: &RouteView) -> bool {
        self.of.as_ref().is_none_or(|entity| route.main.contains(entity))
    }

    /// Whether it lets a caller use the route.
    pub(in crate::policy) fn opens(&self, route: &RouteView) -> bool {
        self.allows && self.is_of_the_route(route)
    }

    /// What it takes away on the route, if it denies.
    pub(in crate::policy) fn takes(&self, route: &RouteView) -> Option<Scope> {
        let names_fields = FieldUse::ALL.iter().any(|usage| !self.fields(*usage).is_empty());
        match (self.allows, names_fields, &self.row) {
            (true, ..) => None,
            (false, true, _) => Some(Scope::Fields),
            (false, false, None) if self.is_of_the_route(route) => Some(Scope::Action),
            (false, false, _) => Some(Scope::Records),
        }
    }

    /// Whether both say the same, whatever they are called and wherever they apply.
    pub(in crate::policy) fn says_the_same_as(&self, other: &Self) -> bool {
        let Self {
            name: _,
            allows,
            audience,
            purposes,
            require,
            factor,
            when,
            row,
            of,
            clear,
            masked,
            pseudonym,
            write,
        } = self;
        (*allows, of, audience, purposes)
            == (other.allows, &other.of, &other.audience, &other.purposes)
            && (require, when, row) == (&other.require, &other.when, &other.row)
            && *factor == other.factor
            && (clear, masked) == (&other.clear, &other.masked)
            && (pseudonym, write) == (&other.pseudonym, &other.write)
    }
}

fn paths(entity: &Entity) -> Vec<Box<str>> {
    entity.fields.iter().map(|field| field.path.clone()).collect()
}
